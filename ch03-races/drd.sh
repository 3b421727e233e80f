#!/bin/sh
# DRD on every case of the chapter: does it name a line of the two?
. "$(dirname "$0")/../tests/tools/server.sh"
need valgrind valgrind

python3 tests/tools/race.py drd 03 --show || exit 1

cat <<'TEXT'

What to look at. DRD names one line, not two: where it was when it found the conflict. Of
the other thread it keeps no history of accesses, only the segment between two
synchronisations in which its access must have been ("Other segment start", "end"). That is
often enough, since the line that you see tells you which data it is about. It uses less memory
than Helgrind for it.
TEXT
