#!/bin/sh
# Stopped at the race: a case's test under TSan, in gdb, and both tasks with their stacks.
#   ch03-races/stopped.sh [CASE] [--two] [--stay]       keys-unlocked; see tests/tools/stopped.py
cd "$(dirname "$0")/.." && exec python3 tests/tools/stopped.py "$@"
