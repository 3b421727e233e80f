#!/bin/sh
# perf on a server that is busy, and is asked for a profile meanwhile: from outside.
. "$(dirname "$0")/../tests/tools/server.sh"
need perf linux-perf
build release ch04-pprof/server.broken ch04-pprof/server.fixed
pictures=build/flame
mkdir -p "$pictures"

# The share of the samples that have this function on the stack.
share() {
    awk -v name="$1" '{ n = $NF; $NF = ""; all += n
                        if (index(";" $0, ";" name ";") || index($0, name " ")) sum += n }
                      END { printf "    %5.1f%%  %s\n", all ? 100 * sum / all : 0, name }' "$2"
}

for variant in broken fixed; do
    say "== $variant: curl asks for /report and /import; perf looks for 3 s, and the server's own profile too"
    start "build/release/ch04-pprof/server.$variant"
    perf record -q -e cpu-clock -F 999 --call-graph fp -p "$pid" -o "$work/perf.data" \
        -- sleep 3 >"$work/perf.log" 2>&1 &
    perf=$!
    sleep 0.5 # it has begun
    for target in "report?ms=60000" "import?ms=60000" "debug/pprof/profile?seconds=1"; do
        curl -s -o /dev/null --max-time 60 "$url/$target" &
    done
    if ! wait "$perf"; then
        sed 's/^/  /' "$work/perf.log"
        echo "perf.sh: perf cannot record here (kernel.perf_event_paranoid?)" >&2
        exit 77
    fi
    before=$(awk '{ print $1 }' "/proc/$pid/schedstat")
    sleep 1
    after=$(awk '{ print $1 }' "/proc/$pid/schedstat")
    if [ "$after" -gt "$before" ]; then
        echo "  a second later it is at work"
    else
        echo "  a second later it stands, in: $(cat "/proc/$pid/wchan" 2>/dev/null)"
        command -v gdb >/dev/null && gdb -p "$pid" -batch -ex bt 2>/dev/null |
            sed -n 's/^#\([0-9]*\) *\(0x[0-9a-f]* in \)\{0,1\}\(<[^>]*>\|[A-Za-z_0-9]*\).*/    #\1  \3/p' |
            head -14
    fi
    stop
    perf script -i "$work/perf.data" -F comm,ip,sym 2>/dev/null >"$work/$variant.perf"
    python3 tests/tools/flame.py --perf --folded "$work/$variant.perf" >"$pictures/ch04-$variant.folded"
    echo "  share of the samples, by the function that each task is in:"
    share report "$pictures/ch04-$variant.folded"
    share import "$pictures/ch04-$variant.folded"
done

python3 tests/tools/flame.py -o "$pictures/ch04.svg" \
    --title "broken: 3 s of a server that is asked for a profile" \
    --title "fixed: the same 3 s" "$pictures/ch04-broken.folded" "$pictures/ch04-fixed.folded"
say "$pictures/ch04.svg: both as flame graphs, side by side; $pictures/ch04-*.folded: the stacks"

cat <<'TEXT'

What to look at. perf needs nothing of the server but frame pointers, and walks through the stack of
a task as through any other. To perf a task is no thread: all of a worker's are in one. But each begins
in entry, above the trampoline of make_fcontext, and further up is the handler or the function that
gee_go was given. That tells tasks of different functions apart; two requests of one route it cannot,
for it knows no labels. Workers are told apart by the names of their threads (flame.py --perf --label
thread). Debian's libc has no frame pointers: what malloc did stands on (unknown), not on /import.
The broken server is silent in the picture, and not because it is at rest: it waits for itself, and who
waits uses no CPU. No profile of the CPU shows that. The stack says it: malloc is asked for by
the handler of a signal that has interrupted malloc.
TEXT
