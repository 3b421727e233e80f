#!/bin/sh
# Runs a command in a Debian tree that has nothing but git and make, on a fresh clone.
#
#   clean-room.sh [bookworm|trixie] [--pack TARBALL] [COMMAND...]
#
# The default is bookworm make check-broken check-fixed. With --pack it runs in what a participant of a
# workshop unpacks (make workshop-pack), default: make check-mine.
#
# Needs root and debootstrap. The pristine tree is kept in $GEE_CLEAN_ROOM (default
# /var/cache/gee-clean-room); each run gets a copy of its own, in a mount and a process
# namespace of its own, so that nothing is left mounted or running afterwards.
set -eu

release=bookworm
case ${1:-} in
bookworm | trixie)
    release=$1
    shift
    ;;
esac
pack=
if [ "${1:-}" = --pack ]; then
    pack=$(realpath "$2")
    shift 2
    [ $# -gt 0 ] || set -- make check-mine
fi
[ $# -gt 0 ] || set -- make check-broken check-fixed

here=$(cd "$(dirname "$0")/../.." && pwd)
cache=${GEE_CLEAN_ROOM:-/var/cache/gee-clean-room}
base=$cache/$release

if [ "$(id -u)" -ne 0 ]; then
    echo "clean-room.sh: needs root, to make a Debian tree" >&2
    exit 1
fi
sh "$here/tests/tools/deps.sh" cleanroom

if [ ! -e "$base/etc/debian_version" ]; then
    echo "making a $release tree in $base ..."
    mkdir -p "$cache"
    rm -rf "$base.part"
    debootstrap --variant=minbase --include=git,make,ca-certificates "$release" "$base.part" \
        >"$cache/$release.log" 2>&1 || {
        tail -n 5 "$cache/$release.log" >&2
        exit 1
    }
    mv "$base.part" "$base"
fi

room=$(mktemp -d "$cache/run-XXXXXX")
trap 'rm -rf --one-file-system "$room"' EXIT
cp -a --reflink=auto "$base/." "$room/"
cp /etc/resolv.conf "$room/etc/resolv.conf"
if [ -n "$pack" ]; then
    mkdir "$room/root/gee"
    tar -xJf "$pack" -C "$room/root/gee" --strip-components=1
else
    git clone -q "$here" "$room/root/gee"
fi
printf '%s\n' "$@" >"$room/root/command"

echo "$release: $*"
start=$(date +%s)
code=0
unshare --mount --pid --fork --kill-child sh -c '
    mount --make-rprivate /
    mount -t proc proc "$1/proc"
    mount --rbind /sys "$1/sys"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 \
        sh -c "cd /root/gee && xargs -d \"\\n\" env <../command"
' sh "$room" </dev/null || code=$?
echo "$release: $*: exit code $code after $(($(date +%s) - start)) s"
exit "$code"
