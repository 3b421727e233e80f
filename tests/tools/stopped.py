#!/usr/bin/env python3
"""Stops a case of races at its race: its test under TSan, in gdb, until TSan reports the pair of
lines that the manifest names. Then both tasks are shown (stopped_gdb.py does it, inside gdb).

  stopped.py [CASE] [--two] [--stay]      keys-unlocked; --two: its racers on two workers;
                                          --stay: gdb stays there, for you
Exit code: 0 stopped there, 1 not, 2 the case has no race to stop at, 77 gdb or clang is missing.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import lesson
import manifest
import race

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 60
PTRACE = ("gdb may not trace a process here: ptrace is not permitted. In a container, "
          "--cap-add=SYS_PTRACE; elsewhere look at /proc/sys/kernel/yama/ptrace_scope.")


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("case", nargs="?", default="keys-unlocked")
    p.add_argument("--two", action="store_true", help="the racers on two workers")
    p.add_argument("--stay", action="store_true", help="gdb stays there")
    return p.parse_args(argv)


def cell_of(name, workers):
    case = manifest.select(ROOT, None, name)[0]
    if case.race is None:
        raise manifest.ManifestError(f"{name} is not about a race")
    races = case.race.variants["broken"]
    cell = race.Cell("tsan", workers, case, "broken", races)
    why = races.none or case.race.why_not.get("tsan") or case.race.why_not.get(workers)
    if why:
        raise manifest.ManifestError(f"{name} has no race that TSan could stop at: {why}")
    return cell


def gdb_command(cell, stay):
    gdb = ["gdb", "-nx", "-q", "-iex", "set debuginfod enabled off"] + ([] if stay else ["-batch"])
    return [*gdb, "-x", "common/gdb/gee-gdb.py", "-x", "tests/tools/stopped_gdb.py",
            "--args", cell.target, cell.test]


def stop_at_it(cell, stay):
    with tempfile.TemporaryDirectory(prefix="gee-stopped-") as work:
        wanted = {"title": cell.title(), "test": cell.test, "log": f"{work}/tsan",
                  "out": f"{work}/out", "case": cell.case.name}
        env = {**os.environ, "GEE_STOPPED": json.dumps(wanted),
               "TSAN_OPTIONS": f"{race.TSAN} log_path={work}/tsan"}
        if stay:
            return subprocess.run(gdb_command(cell, stay), cwd=ROOT, env=env).returncode
        p = subprocess.run(gdb_command(cell, stay), cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           errors="replace", timeout=SECONDS)
        out = pathlib.Path(f"{work}/out")
        if out.exists():
            print(out.read_text(), end="")
            return 0
    if re.search(r"ptrace: Operation not permitted|Could not trace the inferior", p.stdout):
        print(f"stopped.py: {PTRACE}", file=sys.stderr)
    else:
        print("\n".join("     | " + line for line in p.stdout.rstrip().splitlines()[-30:]))
        print(f"stopped.py: {cell.title()}: gdb did not stop at the race", file=sys.stderr)
    return 1


def main(argv):
    args = parse(argv)
    try:
        cell = cell_of(args.case, "two" if args.two else "one")
    except manifest.ManifestError as e:
        print(f"stopped.py: {e}", file=sys.stderr)
        return 2
    for tool in ("gdb", "clang"):
        if shutil.which(tool) is None:
            print(f"stopped.py: {tool} is not installed (package {tool})", file=sys.stderr)
            return 77
    if not race.build(argparse.Namespace(root=ROOT), [cell]):
        return 1
    try:
        return stop_at_it(cell, args.stay)
    except subprocess.TimeoutExpired:
        print(f"stopped.py: {cell.title()}: not there after {SECONDS} s", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
