#!/bin/sh
# AddressSanitizer with LeakSanitizer at the end of a server: what is lost, case by case.
. "$(dirname "$0")/../tests/tools/server.sh"
need curl curl
build asan ch01-leaks/server.only-group ch01-leaks/server.only-static ch01-leaks/server.only-sse \
    ch01-leaks/server.only-idle ch01-leaks/server.only-signals ch01-leaks/server.fixed
ASAN_OPTIONS="detect_stack_use_after_return=0 fast_unwind_on_malloc=0"
GEE_DRAIN_MS=500ms # the leaked tasks do not end sooner if they get longer
export ASAN_OPTIONS GEE_DRAIN_MS

# ask CASE TARGET UNIT SECONDS: twenty requests to the server with that defect alone, and its end.
ask() {
    start "build/asan/ch01-leaks/server.$3"
    curl -s -o /dev/null --max-time "$4" "$url$2?[1-20]" 2>/dev/null
    sleep 0.2
    stop INT
    lost=$(sed -n 's/^SUMMARY: AddressSanitizer: //p' "$log" | head -n 1)
    # A process that LSan could not look into says so in its status, and not in a summary.
    [ -n "$lost" ] || [ "$status" = 0 ] || lost="no summary, and status $status"
    printf '  %-22s %s\n' "$1" "${lost:-nothing}"
}

say "== broken: 20 requests each, then the server ends; LSan says"
ask sse-disconnect /idle only-sse 0.2
ask static-fd /docs/http.md only-static 5
ask group-nesting /api/v1/user only-group 5
ask timer-never-stopped /idle-timeout/hello only-idle 5
ask handle-unclosed /user only-signals 5

say "== fixed: the same"
ask sse-disconnect /idle fixed 0.2
ask static-fd /docs/http.md fixed 5
ask group-nesting /api/v1/user fixed 5
ask timer-never-stopped /idle-timeout/hello fixed 5
ask handle-unclosed /user fixed 5

cat <<'TEXT'

What to look at. LSan sees memory that nobody points to, when the process ends: the copies of
group-nesting, whose only pointer was a key that was set again. It says nothing of a
descriptor, which is no memory. Of the stream's task it speaks only because the server gave
up waiting for it and dropped it where it stood; while the server ran, all of it was reachable.
TEXT
