#!/bin/sh
# ThreadSanitizer on the case, broken and fixed.
. "$(dirname "$0")/../tests/tools/server.sh"
need clang clang
build tsan ch01-leaks/test_sse.broken ch01-leaks/test_sse.fixed

for variant in broken fixed; do
    say "== $variant"
    TSAN_OPTIONS="exitcode=66" "build/tsan/ch01-leaks/test_sse.$variant" test_sse_disconnect \
        >"$work/out" 2>&1
    code=$?
    echo "  the test's exit code: $code (66 would be a report of TSan)"
    echo "  reports of TSan: $(grep -c 'WARNING: ThreadSanitizer' "$work/out")"
    sed -n 's/^sse-disconnect/  the test: sse-disconnect/p' "$work/out"
done

cat <<'TEXT'

What to look at. TSan has nothing to say about either side, and that is right: a
stream that sleeps for ever touches nothing that it should not. A leak is not a race.
TSan earns its place here when you repair it: a repair that ends the task from
outside, by a flag that another task sets, is reported the first time it runs.
TEXT
