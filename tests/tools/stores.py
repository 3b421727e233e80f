#!/usr/bin/env python3
"""What an operation on each of the stores of chapter 3 costs: `make stores`.

  stores.py            measures; the tables on stdout, in ch03-races/stores.md, and as a picture
                       in ch03-races/stores.svg (gnuplot)
  stores.py --quick    the same, for a moment, and into no file: whether there is a figure for
                       everything; what it says is not looked at. The last line is
                       `N passed, N failed`

Each figure is the median of ROUNDS runs, in brackets the quartiles. The runs of all of them are
interleaved: in each round everything is measured once, in another order, so that whatever else
goes on in the machine disturbs all alike. A run whose threads had to wait for a core for more
than QUIET of its time is taken again, up to TRIES times: with another program on one of two cores
there are no two workers that meet. If that does not help, it is said.
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import making

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "ch03-races"
PROGRAM = ROOT / "build/release/ch03-races/stores/bench"
ROUNDS, MS, QUIET, TRIES = 15, 40, 0.02, 12
MIXES = [(1, "99 / 1"), (50, "50 / 50"), (90, "10 / 90")]  # writes of 100; read / write
WORKERS, KEYS = [1, 2], [8, 1000]
BRIGHT = ["#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#777777"]

HEAD = """# What the stores cost

`make stores` has measured this, on {machine}. ns of CPU an operation: the time of the whole process,
divided by the operations of all its workers, which had a core each. Each is the median of {rounds} interleaved runs of
{ms} ms; in brackets the quartiles. What follows from it is in [the chapter](README.md#stores).

![ns an operation, 8 keys](stores.svg)
"""
TIMES = """
## {keys:,} keys

| | {heads} |
|---|{lines}|
"""
BYTES = """
## Bytes

Of one store with values of 16 bytes, as malloc counts them.

| | 8 keys | 1,000 keys |
|---|---|---|
"""
TAIL = """
`web/keys.c` and `flow/flags.c` are what `common/` has, behind the same interface: the first keeps
pointers to values and no copies, the second one bit; so their bytes, and their sets, are of less.
A write of `carried in ctx` is seen by the task that made it alone.
"""


def run(*args):
    env = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"} if args[0] == "bytes" \
        else None
    p = subprocess.run([PROGRAM, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60, env=env)
    out = p.stdout.strip()
    if p.returncode != 0 or (args[0] != "list" and not re.fullmatch(r"\d+|\d+\.\d+ \d+\.\d+", out)):
        raise SystemExit(f"stores.py: {' '.join(map(str, args))}: exit code {p.returncode}: {out}\n"
                         "0 passed, 1 failed")
    return out


def timed(one, ms, tries):
    """(ns an operation, whether it was left in peace)"""
    best = None
    for _ in range(tries):
        ns, share = map(float, run("time", *one, ms).split())
        if best is None or share < best[1]:
            best = ns, share
        if share <= QUIET:
            break
    return best[0], best[1] <= QUIET


def measure(kinds, rounds, ms, tries=TRIES):
    """{(kind, workers, writes, keys): [ns, ...]}, {(kind, keys): bytes}"""
    disturbed = 0
    times = {(k, w, m, n): [] for k in kinds for w in WORKERS for m, _ in MIXES for n in KEYS}
    chance = random.Random(1)
    for i in range(rounds):
        for one in chance.sample(list(times), len(times)):
            ns, peace = timed(one, ms, tries)
            times[one].append(ns)
            disturbed += not peace
        print(f"\r{i + 1} of {rounds} rounds", end="", file=sys.stderr, flush=True)
    print(f"\n{disturbed} of {rounds * len(times)} runs had to wait for a core", file=sys.stderr)
    return times, {(k, n): int(run("bytes", k, n)) for k in kinds for n in KEYS}


def number(x):
    return f"{x:.1f}" if x < 10 else f"{x:,.0f}"


def cell(values):
    if len(values) < 2:
        return number(values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{number(middle)} ({number(low)} – {number(high)})"


def name(kind):
    return f"`{kind}`" if "/" in kind else kind


def machine():
    models = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    cc = subprocess.run(["gcc", "-dumpfullversion"], stdout=subprocess.PIPE, text=True).stdout.strip()
    return f"{len(os.sched_getaffinity(0))} cores ({models[0] if models else os.uname().machine}), gcc {cc} -O2"


def page(kinds, times, sizes, rounds, ms):
    text = HEAD.format(machine=machine(), rounds=rounds, ms=ms)
    columns = [(w, m, f"{mix}, {w} worker{'s' if w > 1 else ''}") for w in WORKERS for m, mix in MIXES]
    for keys in KEYS:
        text += TIMES.format(keys=keys, heads=" | ".join(c[2] for c in columns),
                             lines="|".join("---" for _ in columns))
        for k in kinds:
            cells = [cell(times[k, w, m, keys]) for w, m, _ in columns]
            text += f"| {name(k)} | {' | '.join(cells)} |\n"
    text += BYTES
    for k in kinds:
        text += f"| {name(k)} | " + " | ".join(f"{sizes[k, n]:,}" for n in KEYS) + " |\n"
    return text + TAIL


def draw(kinds, times, path):
    """Of 8 keys: a panel for one worker and one for two, a group of bars for each mix."""
    with tempfile.TemporaryDirectory() as tmp:
        plots = []
        for w in WORKERS:
            data = pathlib.Path(tmp) / f"{w}.txt"
            rows = ["\t".join([f'"{mix}"', *(str(statistics.median(times[k, w, m, KEYS[0]]))
                                             for k in kinds)]) for m, mix in MIXES]
            data.write_text("\n".join(rows) + "\n")
            bars = ", ".join(f"'{data}' using {i + 2}:xtic(1) title '{k}' linecolor rgb '{BRIGHT[i]}'"
                             for i, k in enumerate(kinds))
            title = f"{w} worker" + ("s" if w > 1 else "")
            plots.append(f"set title '{title}'\nplot {bars}\n")
        script = (
            f"set terminal svg size 960,420 font 'sans-serif,12' background '#ffffff'\n"
            f"set output '{path}'\n"
            "set style data histogram\nset style histogram clustered gap 1\n"
            "set style fill solid 0.9\nset boxwidth 0.9\nset logscale y\nset yrange [5:20000]\n"
            "set grid ytics\nset ylabel 'ns of CPU an operation'\nset xlabel 'read / write'\n"
            "set key top left reverse Left samplen 1 font ',10'\nset multiplot layout 1,2\n" +
            plots[0] + "unset key\n" + plots[1] + "unset multiplot\n")
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def quick(kinds):
    times, sizes = measure(kinds, 1, 2, 1)
    text = page(kinds, times, sizes, 1, 2)
    wanted = [(CHAPTER / "stores.md").read_text(), text]
    rows = [re.findall(r"^\| (`?[\w/. ]+`?) (?=\|)", t, re.M) for t in wanted]
    good = rows[0] == rows[1] and len(rows[1]) == 3 * len(kinds)
    checks = [good, all(v[0] > 0 for v in times.values()), all(n > 0 for n in sizes.values())]
    if not good:
        print("ch03-races/stores.md does not have the rows that make stores prints")
    if shutil.which("gnuplot"):
        with tempfile.TemporaryDirectory() as tmp:
            path = pathlib.Path(tmp) / "stores.svg"
            draw(kinds, times, path)
            svg = path.read_text()
            checks.append("</svg>" in svg and all(k in svg for k in kinds))
    print(f"{sum(checks)} passed, {len(checks) - sum(checks)} failed")
    return 0 if all(checks) else 1


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--quick", action="store_true")
    p.add_argument("--rounds", type=int, default=ROUNDS)
    args = p.parse_args(argv)
    good, said = making.make("release", str(PROGRAM.relative_to(ROOT)))
    if not good:
        print(f"{said}it does not build\n0 passed, 1 failed")
        return 1
    kinds = run("list").splitlines()
    if args.quick:
        return quick(kinds)
    times, sizes = measure(kinds, args.rounds, MS)
    text = page(kinds, times, sizes, args.rounds, MS)
    print(text, end="")
    (CHAPTER / "stores.md").write_text(text)
    if shutil.which("gnuplot"):
        draw(kinds, times, CHAPTER / "stores.svg")
    else:
        print("stores.py: gnuplot is not installed: there is no new picture", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
