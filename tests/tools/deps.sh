#!/bin/sh
# Installs what a target needs, on Debian and Ubuntu; says what before it does.
#
#   deps.sh [GROUP...]     build (default), install, check, test, pprof, flame, bench, stores, browser, readers, cleanroom
#
# Silent and fast when everything is there. As root, or through sudo. Elsewhere it
# lists what is needed and ends with 1, unless all of it can be found. With
# GEE_NO_INSTALL=1 it only says what is missing.
#
# A package after a `?` is a tool that only some checks need: where it cannot be had
# it is named, those checks are skipped, and everything else goes on.

set -u

packages_of() {
    case $1 in
    build) echo "gcc libc6-dev pkg-config libuv1-dev libboost-context-dev libjansson-dev libdw-dev zlib1g-dev LLHTTP" ;;
    install) echo "$(packages_of build) python3 ?libcurl4-openssl-dev" ;;
    check) echo "$(packages_of build) libcmocka-dev libcurl4-openssl-dev curl python3 binutils patch" ;;
    test) echo "$(packages_of check) ?clang ?CLANG_RT ?llvm ?valgrind ?libc6-dbg ?clang-format ?cppcheck ?linux-perf ?gdb ?libsqlite3-dev ?mandoc ?gnuplot-nox ?tmux" ;;
    flame) echo "$(packages_of check) linux-perf ?gdb" ;;
    clang) echo "clang CLANG_RT" ;;
    valgrind) echo "valgrind" ;;
    # Go, for its pprof: 440 MB once it is unpacked.
    pprof) echo "?golang-go ?graphviz" ;;
    bench) echo "$(packages_of build) python3 ?wrk ?valgrind ?nginx-light ?h2o ?libmicrohttpd-dev ?golang-go ?golang-github-gin-gonic-gin-dev ?nodejs" ;;
    stores) echo "$(packages_of build) python3 ?gnuplot-nox" ;;
    browser) echo "chromium" ;;
    readers) echo "chromium npm" ;;
    cleanroom) echo "debootstrap" ;;
    *)
        echo "deps.sh: no group $1; there are: build install check test pprof flame clang valgrind bench stores browser readers cleanroom" >&2
        exit 2
        ;;
    esac
}

# For systems without apt: what can be found there answers for the package.
present_elsewhere() {
    case $1 in
    libc6-dev | libc6-dbg | binutils | libboost-context-dev | CLANG_RT) command -v ld >/dev/null 2>&1 ;;
    pkg-config) command -v pkg-config ;;
    libuv1-dev) pkg-config --exists libuv ;;
    libjansson-dev) pkg-config --exists jansson ;;
    libdw-dev) pkg-config --exists libdw ;;
    zlib1g-dev) pkg-config --exists zlib ;;
    libcmocka-dev) pkg-config --exists cmocka ;;
    libcurl4-openssl-dev) pkg-config --exists libcurl ;;
    LLHTTP) pkg-config --exists libllhttp || [ -f /usr/share/llhttp/llhttp.c ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

elsewhere() {
    missing=
    for p in $wanted; do
        case $p in \?*) continue ;; esac
        present_elsewhere "$p" >/dev/null 2>&1 || missing="$missing $p"
    done
    [ -z "$missing" ] && exit 0
    {
        echo "This is not Debian or Ubuntu, so nothing is installed for you. Missing here"
        echo "(Debian's names; LLHTTP is llhttp with its pkg-config file):"
        for p in $missing; do echo "  $p"; done
    } >&2
    exit 1
}

wanted=
for group in "${@:-build}"; do
    list=$(packages_of "$group") || exit $?
    wanted="$wanted $list"
done

command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1 || elsewhere

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')

is_installed() {
    case "
$installed
" in
    *"
$1
"*) return 0 ;;
    esac
    # pkgconf provides pkg-config; another libcurl provides the same header.
    case $1 in
    pkg-config | clang | valgrind | wrk | chromium | npm | curl | gcc | python3)
        command -v "$1" >/dev/null 2>&1
        ;;
    golang-go) command -v go >/dev/null 2>&1 ;;
    graphviz) command -v dot >/dev/null 2>&1 ;;
    libcurl4-openssl-dev) pkg-config --exists libcurl 2>/dev/null ;;
    *) return 1 ;;
    esac
}

# A stand-in for what depends on the release.
is_there() {
    case $1 in
    LLHTTP) is_installed libllhttp-dev || is_installed node-llhttp ;;
    CLANG_RT) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.tsan-*.a >/dev/null 2>&1 ;;
    *) is_installed "$1" ;;
    esac
}

missing= optional=
for p in $wanted; do
    name=${p#\?}
    is_there "$name" && continue
    case $p in
    \?*) optional="$optional $name" ;;
    *) missing="$missing $name" ;;
    esac
done
[ -z "$missing$optional" ] && exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 && sudo=sudo
fi
can_install=yes
[ "$(id -u)" -ne 0 ] && [ -z "$sudo" ] && can_install=
[ -n "${GEE_NO_INSTALL:-}" ] && can_install=

known() {
    apt-cache show "$1" >/dev/null 2>&1
}

# The lists may be missing (a fresh image) or too old to know a package.
if [ -n "$can_install" ] && ! known libuv1-dev; then
    echo "reading the package lists (apt-get update) ..."
    $sudo apt-get update -qq || {
        echo "deps.sh: apt-get update failed: is there a network?" >&2
        exit 1
    }
fi

real_name() {
    case $1 in
    LLHTTP) known libllhttp-dev && echo libllhttp-dev || echo node-llhttp ;;
    CLANG_RT)
        version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
        echo "libclang-rt-${version:-14}-dev"
        ;;
    *) echo "$1" ;;
    esac
}

install=
for p in $missing; do install="$install $(real_name "$p")"; done
for p in $optional; do
    p=$(real_name "$p")
    if known "$p" || [ -z "$can_install" ]; then
        install="$install $p"
    else
        echo "not to be had here: $p; the checks that need it are skipped"
    fi
done
[ -z "$install" ] && exit 0

if [ -z "$can_install" ]; then
    echo "missing:$install" >&2
    echo "install with: apt-get install --no-install-recommends$install" >&2
    [ -z "$missing" ] && exit 0
    exit 1
fi

echo "installing:$install"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of words
if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 $install >"$log" 2>&1; then
    # Perhaps only the lists are old.
    $sudo apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o Dpkg::Use-Pty=0 $install >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "deps.sh: the packages could not be installed" >&2
        exit 1
    }
fi
echo "installed"
