#!/usr/bin/env python3
"""The table of what the leaks leave behind: `make census`.

  census.py [CH] [--case CASE]

Each case that has a scenario (tests/lib/t_census.h) is run over the broken and over the fixed
side: 100 visitors come and go, one every 10 ms of virtual time, and what exists is counted all the
while and a minute after: `at most/left`, above what there was before. A row fails when the fixed
side is not at rest after that, or when the broken side is: then it leaks no more, and is no lesson.
The last line is `N passed, N failed`.
"""

import argparse
import pathlib
import re
import sys

import lesson
import manifest

COLUMNS = {"tasks": 8, "timers": 8, "handles": 8, "ctxs": 8, "chans": 8, "requests": 9, "fds": 8,
           "bytes": 10}  # and how wide; requests are those that are served, and copies of them
SECONDS = 60
# Section 2.4 of the article: instances of *gee.Context while 100 requests are made, and how many
# of them are left behind a collection.
ARTICLE = {"group-nesting": {"fixed": ("3-5", ""), "broken": ("127+", "~42 %")}}


def scenario(case, root):
    """The name of the test that measures it, or None."""
    name = "census_" + case.name.replace("-", "_")
    source = (root / case.chapter / f"{case.program}.c").read_text()
    return name if re.search(rf"\bcmocka_unit_test\w*\({name}\b", source) else None


def parse(out):
    """{kind: (at most, left)} of the line that t_census_say prints."""
    line = re.search(r"^census: \w+((?: \w+ -?\d+ -?\d+)+)$", out, re.M)
    if not line:
        return None
    return {kind: (int(most), int(left))
            for kind, most, left in re.findall(r"(\w+) (-?\d+) (-?\d+)", line.group(1))}


def measure(case, test, side, args):
    program = args.root / "build" / args.flavour / case.chapter / f"{case.program}.{side}"
    code, out, _ = lesson.run_test(program, test, SECONDS, {}, None)
    row = parse(out)
    if row is None or code is None or code < 0 or lesson.SIGNAL.search(out):
        return None, f"no figures, or a crash: exit code {code}\n{out}"
    left = {kind: n[1] for kind, n in row.items() if n[1] != 0}
    if side == "fixed" and left:
        return row, "it is not at rest: " + ", ".join(f"{k} {n:+}" for k, n in left.items())
    if side == "fixed" and code != 0:
        return row, f"the test failed\n{out}"
    if side == "broken" and not left:
        return row, "it is at rest: it leaks nothing"
    return row, ""


def number(n, kind):
    return f"{round(n / 1024)}K" if kind == "bytes" and n else str(n)


def cell(row, kind):
    most, left = row[kind]
    return f"{number(most, kind)}/{number(left, kind)}" if most or left else "-"


def print_row(name, side, row):
    print(f"{name:<23}{side:<7}" + "".join(f"{cell(row, c):>{n}}" for c, n in COLUMNS.items()))


def beside_the_article(name, rows):
    print(f"\n{name}, beside section 2.4 of the article:")
    print(f"  {'requests and their copies':<33}{'at most':>9}{'of them left':>15}")
    for side, (most, left) in ARTICLE[name].items():
        groups = "nested" if side == "broken" else "not nested"
        print(f"  {'the article, groups ' + groups:<33}{most:>9}{left:>15}".rstrip())
        if rows.get(side):
            most, left = rows[side]["requests"]
            share = f"{round(100 * left / most)} %" if most else ""
            print(f"  {'here, ' + side:<33}{most:>9}{share:>15}")


def table(cases, args):
    failures, passed, all_rows = [], 0, {}
    print(f"{'at most/left':<30}" + "".join(f"{c:>{n}}" for c, n in COLUMNS.items()))
    for case, test in cases:
        for side in ("broken", "fixed"):
            row, why = measure(case, test, side, args)
            if row:
                print_row(case.name if side == "broken" else "", side, row)
            all_rows.setdefault(case.name, {})[side] = row
            passed += not why
            if why:
                failures.append(f"{case.chapter} {case.name}, {side}: {why}")
        sys.stdout.flush()
    for name in all_rows:
        if name in ARTICLE:
            beside_the_article(name, all_rows[name])
    return passed, failures


def none_here(args):
    """Nothing is wrong with that: what a race or a timeout does wrong is not left behind."""
    have = sorted({c.chapter for c in manifest.select(args.root, None, None) if scenario(c, args.root)})
    if not have:
        raise manifest.ManifestError("no case here has a scenario (tests/lib/t_census.h)")
    asked = args.case or ", ".join(manifest.pick_chapters(args.root, args.chapter))
    print(f"There is no census of {asked}: it is of what is left behind, and no test here counts that "
          f"(tests/lib/t_census.h). There is one of: {', '.join(have)}")
    return 0


def census(args):
    cases = [(c, scenario(c, args.root))
             for c in manifest.select(args.root, args.chapter, args.case)]
    measured = [(c, t) for c, t in cases if t]
    targets = [f"build/{args.flavour}/{c.chapter}/{c.program}.{side}"
               for c, _ in measured for side in ("broken", "fixed")]
    if not measured:
        return none_here(args)
    if not lesson.make(args, targets):
        print(f"it does not build\n0 passed, {len(targets)} failed")
        return 1
    passed, failures = table(measured, args)
    others = [c.name for c, t in cases if not t]
    if others:
        print(f"\nwithout a scenario (tests/lib/t_census.h): {', '.join(others)}")
    print()
    for f in failures:
        print(lesson.paint("31", "FAIL") + " " + f)
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("chapter", nargs="?")
    p.add_argument("--case")
    p.add_argument("--flavour", default="debug")
    p.add_argument("--root", type=pathlib.Path, default=lesson.ROOT)
    args = p.parse_args(argv)
    args.root = args.root.resolve()
    try:
        return census(args)
    except manifest.ManifestError as e:
        print(f"census.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
