#!/bin/sh
# Memcheck on a live server with leaked tasks, and what it can and cannot see.
. "$(dirname "$0")/../tests/tools/server.sh"
need valgrind valgrind
need vgdb valgrind
build valgrind ch01-leaks/server.broken ch01-leaks/server.fixed

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
        /gee_task_spawn/ { tasks += blocks; blocks = 0 }
        /definitely lost:|possibly lost:|still reachable:/ && !seen[$0]++ { print "    " $0 }
        END { print "    of those, allocated by gee_task_spawn: " tasks " blocks" }'
}

for variant in broken fixed; do
    say "== $variant: three clients open a stream and leave"
    start valgrind --vgdb=yes "build/valgrind/ch01-leaks/server.$variant"
    for path in /ticking /ticking /idle; do
        visit "$path" 1.5
    done
    sleep 1.2
    echo "  what the framework counts:"
    tasks | sed -n 's/^census/    census/p'
    echo "  what memcheck says about the live heap:"
    leak_check
    stop
done

cat <<'TEXT'

What to look at. Over the broken server the census shows three tasks, connections
and requests too many. Memcheck reports not one byte as lost: each leaked task is in
its worker's list and its stack is known, so all of it is "still reachable", among
everything else a server rightly holds. The only trace is in the last
line, three or four blocks more than over the fixed server, and to see a fault in it you must
know how many there should be (one is main, one may be the curl of this script).
Memcheck finds memory that nobody points to; a leaked task is the opposite, memory
that somebody will hold for ever. Use it for what happens after: a task that runs into
memory its owner has freed.
TEXT
