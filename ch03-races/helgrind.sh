#!/bin/sh
# Helgrind on every case of the chapter: does it name the two lines?
. "$(dirname "$0")/../tests/tools/server.sh"
need valgrind valgrind

python3 tests/tools/race.py helgrind 03 --show || exit 1

cat <<'TEXT'

What to look at. Helgrind needs no special build, and it too asks what orders two accesses. But to
it a thread is what does something, and all tasks of one worker are one thread: it is shown the
cases on two workers only. And it knows pthread's locks, no atomics: a spin lock, the
inbox of a worker and each channel had to be announced to it, or it would report all of
them (ERROR SUMMARY: 9427 errors, before they were). A tool that cries wolf is a tool that nobody
runs.
TEXT
