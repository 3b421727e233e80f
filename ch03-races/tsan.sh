#!/bin/sh
# ThreadSanitizer on every case of the chapter: does it name the two lines?
. "$(dirname "$0")/../tests/tools/server.sh"
need clang clang

python3 tests/tools/race.py tsan 03 --show || exit 1

cat <<'TEXT'

What to look at. Each case is run twice: its racers are tasks of one worker, which never run at
the same time, and tasks of two. TSan finds both. It does not wait for two accesses to
meet; it asks whether anything orders them: a spawn, a channel, a lock. The runtime tells it of
each switch between tasks that the switch itself orders nothing (common/src/base/tools.h), and so
a race is found in a run in which nothing goes wrong, on one CPU. It has to be run, though: of code
that no test reaches TSan knows nothing.
TEXT
