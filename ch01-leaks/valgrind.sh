#!/bin/sh
# Memcheck on the servers of this chapter, and what it can and cannot see: a live server with
# leaked tasks, and others when they have ended.
#   valgrind.sh [CASE]     sse-disconnect static-fd group-nesting handle-unclosed
#                          timer-never-stopped; all, if none is named
case=${1:-all}
case $case in
all | sse-disconnect | static-fd | group-nesting | handle-unclosed | timer-never-stopped) ;;
*)
    echo "$0: no case $case; sse-disconnect static-fd group-nesting handle-unclosed timer-never-stopped" >&2
    exit 2
    ;;
esac
. "$(dirname "$0")/../tests/tools/server.sh"
need valgrind valgrind
need vgdb valgrind

wanted() {
    [ "$case" = all ] || [ "$case" = "$1" ]
}

# Asks memcheck for its leak check while the server runs. It answers when the
# server next does something, hence the curls.
leak_check() {
    (for _ in $(seq 100); do
        curl -s -o /dev/null --max-time 1 "$url/"
        sleep 0.1
    done) &
    poke=$!
    timeout 30 vgdb --max-invoke-ms=0 --pid="$pid" leak_check full reachable any >"$work/leaks" 2>&1
    kill "$poke" 2>/dev/null
    wait "$poke" 2>/dev/null
    sed -n 's/^==[0-9]*== //p' "$work/leaks" | awk '
        /in loss record/ { for (i = 2; i <= NF; i++) if ($i == "blocks") blocks = $(i - 1); next }
        /gee_origin_make/ { blocks = 0 } # of a place that starts tasks, and not of a task
        /gee_task_spawn/ { tasks += blocks; blocks = 0 }
        /definitely lost:|possibly lost:|still reachable:/ && !seen[$0]++ { print "    " $0 }
        END { print "    of those, allocated by gee_task_spawn: " tasks " blocks" }'
}

live() {
    start valgrind --vgdb=yes "build/valgrind/ch01-leaks/server.$1"
    for path in /ticking /ticking /idle; do
        visit "$path" 1.5
    done
    sleep 1.2
    echo "  sse-disconnect: three clients open a stream and leave; what the framework counts:"
    tasks | sed -n 's/^census/    census/p'
    echo "  what memcheck says about the live heap:"
    leak_check
    stop
}

# Twenty requests, and the end of the server: which kinds of loss, and the stack of the first.
ended() {
    wanted "$1" || return
    start env GEE_DRAIN_MS=500ms valgrind --leak-check=full --track-fds=yes --show-leak-kinds=all \
        "build/valgrind/ch01-leaks/server.$2"
    curl -s -o /dev/null "$url$3?[1-20]"
    sleep 0.3
    stop INT
    echo "  $1: 20 requests, and the server has ended; what it says itself, and memcheck:"
    sed -n 's/0x[0-9a-f]*/0x.../; s/^gee: left over/    &/p' "$log"
    sed -n 's/^==[0-9]*== //p' "$log" | awk -f tests/tools/memcheck.awk
}

both() {
    if wanted sse-disconnect; then live "$1"; fi
    ended static-fd "$2" /docs/http.md
    ended group-nesting "$3" /api/v1/user
    ended handle-unclosed "$4" /user
    ended timer-never-stopped "$5" /idle-timeout/hello
}

server=ch01-leaks/server
build valgrind $server.broken $server.fixed $server.only-static $server.only-group \
    $server.only-signals $server.only-idle
say "== broken"
both broken only-static only-group only-signals only-idle
say "== fixed"
both fixed fixed fixed fixed fixed

cat <<'TEXT'

What to look at. sse-disconnect: over the broken server the census shows three tasks, connections
and requests too many. Memcheck reports not one byte as lost: each leaked task is in
its worker's list and its stack is known, so all of it is "still reachable", among
everything else a server rightly holds. The only trace is in the last
line, three or four blocks more than over the fixed server, and to see a fault in it you must
know how many there should be (one is main, one may be the curl of this script).
Memcheck finds memory that nobody points to; a leaked task is the opposite, memory
that somebody will hold for ever. Use it for what happens after: a task that runs into
memory its owner has freed.
The others are what it is made for: a copy, a timer's memory or a descriptor to which nobody
points any more. It shows at the end only, and for handle-unclosed one step too far: what could
not be freed is lost, and why not, only the server itself says.
TEXT
