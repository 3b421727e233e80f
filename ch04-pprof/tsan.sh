#!/bin/sh
# ThreadSanitizer on signal-unsafe, broken and fixed: it knows what a handler may not call.
. "$(dirname "$0")/../tests/tools/server.sh"
need clang clang
build tsan ch04-pprof/test_sampler.broken ch04-pprof/test_sampler.fixed

for variant in broken fixed; do
    say "== $variant"
    TSAN_OPTIONS="exitcode=66" "build/tsan/ch04-pprof/test_sampler.$variant" test_signal_unsafe \
        >"$work/out" 2>&1
    echo "  reports of TSan: $(grep -c 'WARNING: ThreadSanitizer' "$work/out")"
    awk '/WARNING: ThreadSanitizer/ { sub(/.*ThreadSanitizer: /, ""); sub(/ \(pid.*/, "")
                                      if (!said++) { print "  " $0 ":"; in_it = 1 } }
         in_it && /^ *#[0-9]+ / { if ($2 != "__wrap_malloc") print "    " $2 }
         in_it && / on_prof / { in_it = 0 }' "$work/out"
    sed -n 's/^signal-unsafe: /  the test: /p' "$work/out"
done

cat <<'TEXT'

What to look at. TSan keeps a signal until a call that it knows, and then runs the handler: so it is
not the deadlock that it finds, but the call of malloc in a handler, each time, whether anybody holds
the lock or not. It knows malloc and free, and a changed errno. Of a mutex that a handler takes it
says nothing: that it may be held by whom the handler interrupts is not in the code of either.
TEXT
