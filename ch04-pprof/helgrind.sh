#!/bin/sh
# Helgrind on the dump of tasks, broken and fixed.
. "$(dirname "$0")/../tests/tools/server.sh"
need valgrind valgrind
build valgrind ch04-pprof/test_dump.broken ch04-pprof/test_dump.fixed

for variant in broken fixed; do
    say "== $variant"
    valgrind --tool=helgrind --fair-sched=try --suppressions=tests/tools/libuv.supp --error-limit=no \
        "build/valgrind/ch04-pprof/test_dump.$variant" >"$work/out" 2>&1
    echo "  reports of Helgrind: $(grep -c 'Possible data race' "$work/out")"
    grep -A 3 'Possible data race' "$work/out" |
        sed -n 's/.* at 0x[0-9A-F]*: \([a-z_]*\) (\(.*\):.*/    in \1, \2/p' | sort | uniq -c
    sed -n 's/^racy-dump/  the test: racy-dump/p' "$work/out"
done

cat <<'TEXT'

What to look at. To Helgrind all tasks of a worker are one thread, and each worker is another. What
the broken dump reads of the other worker is in the report from end to end: the list of its
tasks, their fields, and the words of a stack that is in use. The repaired one reads the same
things, on the thread to which they belong.
TEXT
