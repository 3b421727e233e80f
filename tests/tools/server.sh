# Sourced by the chapters' tool scripts: builds a chapter's server, starts it on a
# free port under a tool, and ends it, whatever happens.
#
#   need TOOL PACKAGE          or exit 77, which the test run counts as skipped
#   build FLAVOUR TARGET...    quietly
#   start COMMAND...           sets $pid and $url; the output is in $log
#   visit PATH SECONDS         a curl that comes and leaves
#   stop [SIGNAL]

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1
work=$(mktemp -d)
log=$work/server.log
pid=

stop() {
    if [ -n "$pid" ]; then
        kill -"${1:-KILL}" "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        status=$? # for who wants to know
    fi
    pid=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

say() {
    printf '\n%s\n' "$*"
}

need() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "$0: $1 is not installed (package $2)" >&2
    exit 77
}

build() {
    flavour=$1
    shift
    if [ -f pack.json ] && [ ! -f "build/$flavour/libgee.a" ]; then
        echo "$0: this pack has no $flavour build of the framework, which this script needs" >&2
        exit 77
    fi
    mkdir -p build
    # One make at a time in a flavour: making.py takes the same lock.
    # shellcheck disable=SC2046 # a list of words
    flock "build/.lock-$flavour" make --no-print-directory -j "$(nproc)" FLAVOUR="$flavour" \
        $(printf "build/$flavour/%s " "$@") >"$work/build.log" 2>&1 || {
        cat "$work/build.log" >&2
        exit 1
    }
}

start() {
    : >"$log" # here and not in the child, or the address of the server before is read
    PORT=0 "$@" >"$log" 2>&1 &
    pid=$!
    for _ in $(seq 150); do
        url=$(sed -n 's/^listening on //p' "$log")
        [ -n "$url" ] && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "$0: the server did not start:" >&2
    cat "$log" >&2
    exit 1
}

visit() {
    curl -sN -o /dev/null --max-time "$2" "$url$1"
}

tasks() {
    curl -s --max-time 5 "$url/debug/tasks"
}
