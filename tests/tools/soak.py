#!/usr/bin/env python3
"""`make soak`: the two checks over and over, each time with another seed and with busy cores.

  soak.py [--times N] [--first SEED]      20 times, with the seeds 1, 2, 3 …

Two loops keep the cores busy meanwhile (lesson.py --load). A deviation is a case that was not
reproduced for its reason, a decoy that was not rejected for its own, or a test that did not
pass over the repaired framework: it is shown with its seed. The last line is `N passed, N failed`.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import lesson


def check(args, side, seed, results):
    """One side with one seed: (results, what was printed)."""
    cmd = [sys.executable, str(pathlib.Path(lesson.__file__)), side, "--root", str(args.root), "--load",
           "--seed", str(seed), "--json", results]
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       stdin=subprocess.DEVNULL)
    try:
        return json.loads(pathlib.Path(results).read_text() or "[]"), p.stdout
    except json.JSONDecodeError:
        return [], p.stdout


def soak(args):
    passed = failed = 0
    start = time.monotonic()
    for seed in range(args.first, args.first + args.times):
        for side in ("broken", "fixed"):
            with tempfile.NamedTemporaryFile(prefix="gee-soak-") as f:
                results, out = check(args, side, seed, f.name)
            bad = [r for r in results if not r["passed"]]
            passed, failed = passed + len(results) - len(bad), failed + (len(bad) or (not results))
            mark = lesson.paint("31", "DEVIATES") if bad or not results else lesson.paint("32", "as it should")
            print(f"seed {seed:<4} check-{side:<7} {len(results):>4} tests  {mark}  "
                  f"{(time.monotonic() - start) / 60:.1f} min", flush=True)
            for r in bad:
                print(f"    {r['case']}, {r['variant']}, {r['test']}: {r['verdict']}: {r['why']}")
            if bad or not results:
                print("\n".join("     | " + line for line in out.rstrip().splitlines()[-25:]), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--times", type=int, default=20)
    p.add_argument("--first", type=int, default=1, metavar="SEED")
    p.add_argument("--root", type=pathlib.Path, default=lesson.ROOT)
    return soak(p.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
