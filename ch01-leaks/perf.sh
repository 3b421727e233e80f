#!/bin/sh
# perf on a server whose clients have all gone: who still uses the CPU?
. "$(dirname "$0")/../tests/tools/server.sh"
need perf linux-perf
build release ch01-leaks/server.broken ch01-leaks/server.fixed
clients=400

for variant in broken fixed; do
    say "== $variant: $clients clients listen to /ticking and leave; then perf looks for 4 s"
    start "build/release/ch01-leaks/server.$variant"
    curl -s -o /dev/null --parallel --parallel-immediate --parallel-max 200 --max-time 2 \
        "$url/ticking?[1-$clients]" 2>/dev/null
    tasks | sed -n 's/^census/  census/p'
    before=$(awk '{ print $1 }' "/proc/$pid/schedstat")
    if ! perf record -q -e cpu-clock -F 4999 --call-graph fp -p "$pid" -o "$work/perf.data" \
        -- sleep 4 >"$work/perf.log" 2>&1; then
        sed 's/^/  /' "$work/perf.log"
        echo "perf.sh: perf cannot record here (kernel.perf_event_paranoid?)" >&2
        exit 77
    fi
    after=$(awk '{ print $1 }' "/proc/$pid/schedstat")
    echo "  CPU in those 4 s: $(((after - before) / 1000000)) ms"
    echo "  share of the samples with the stream's loop on the stack:"
    perf report -i "$work/perf.data" --stdio --children -g none --percent-limit 0 2>/dev/null |
        awk '$0 ~ / (gee_stream|gee_sse|tick)$/ { print "    " $1 "  " $NF; found = 1 }
             END { if (!found) print "    none" }'
    stop
done

cat <<'TEXT'

What to look at. Nobody is connected, and the broken server still works: its tasks
wake up once a second, write an event for nobody, and sleep. With frame pointers perf
walks through a task's stack as through any other and names the loop. That is what you
see of a leak that ticks. A leak that only waits (/idle) uses no CPU, and no profile of
the CPU will ever show it: for that you need a list of what is parked.
TEXT
