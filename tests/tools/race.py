#!/usr/bin/env python3
"""Do the tools find the races of the lessons, and on the very line?

  race.py TOOL[,TOOL...] [CH] [--case CASE] [--show]     TOOL: tsan, helgrind, drd; or all

Each case has in its manifest the pair of lines that race (manifest.py). Its tests are built in the
tool's flavour over the broken unit alone, over each decoy and over the fixed unit, run under the
tool, and every report is taken apart: where are the two accesses? A cell is then

  TP  the pair was reported, and nothing that does not belong to it
  FN  the pair was not reported; a report about other lines does not count
  FP  something else was reported, or anything where there is no race
  TN  nothing was reported, and there is nothing
  n/a the tool is not asked, for the reason in the manifest
  crash, time-out, not run, failed (the test itself, over the fixed unit)

DRD names one of the two accesses, and of the other one only the stretch of code in which it is; so
it has found the pair if that one is of it. TSan is asked twice: with the racers on one worker, and
on two. The last line is `N passed, N failed`; passed are TP where the manifest has a race, and TN
where it has none.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import sys
import types

import lesson
import manifest
from manifest import ManifestError

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAVOUR = {"tsan": "tsan", "helgrind": "valgrind", "drd": "valgrind"}
TSAN = ("exitcode=0 halt_on_error=0 suppress_equal_stacks=0 suppress_equal_addresses=0 "
        "atexit_sleep_ms=0 history_size=7")
SLOWER = {"tsan": 5, "helgrind": 10, "drd": 10}
COLUMNS = {"tsan": ("one", "two"), "helgrind": ("two",), "drd": ("two",)}
RAN = re.compile(r"^\[ +(?:OK|FAILED) +\] (\w+)$", re.M)


# --- reports: each is a list of accesses, an access (path, line), or None: not in our tree ---

OURS = re.compile(r"(?:^|/)((?:common|tests|ch\d\d-[\w-]+)/.*)$")


def in_tree(root, path):
    """A compiler cache may have the object from a tree of another name: what counts is the file."""
    m = OURS.search(os.path.relpath(path, root) if path.startswith(f"{root}/") else path)
    return m[1] if m and (root / m[1]).is_file() else None


def first_of_ours(root, frames):
    """Where an access is: below what libc, or the tool in its place, does for us."""
    for path, line in frames:
        ours = in_tree(root, path)
        if ours:
            return ours, int(line)
    return None


TSAN_FRAME = re.compile(r"^    #\d+ (?!__wrap_).*? (?P<path>[^:\s<(]+|<null>)(?::(?P<line>\d+))?(?::\d+)? \(")
TSAN_ACCESS = re.compile(r"^  (?:Previous )?(?:[Aa]tomic )?(?:[Rr]ead|[Ww]rite) of size")


def tsan_reports(root, out):
    for text in re.findall(r"^WARNING: ThreadSanitizer:(.*?)^SUMMARY:", out, re.M | re.S):
        accesses = []
        for block in text.split("\n\n"):
            lines = block.splitlines()
            start = next((i for i, l in enumerate(lines) if TSAN_ACCESS.match(l)), None)
            if start is not None:
                frames = [m.group("path", "line") for m in map(TSAN_FRAME.match, lines[start:]) if m]
                accesses.append(first_of_ours(root, [f for f in frames if f[1]]))
        yield accesses


VG_FRAME = re.compile(r"^   (?:at|by) 0x[0-9A-F]+: (?!__wrap_).*\((?P<path>[^()]+):(?P<line>\d+)\)$")


def vg_stack(root, lines):
    """Of the stack that begins in these lines."""
    frames = []
    for line in lines:
        if re.match(r"^   (at|by) 0x", line):
            m = VG_FRAME.match(line)
            frames += [m.group("path", "line")] if m else []
        elif frames or not line.startswith("Locks held"):
            break
    return first_of_ours(root, frames)


def vg_lines(out):
    return [re.sub(r"^==\d+== ?", "", l) for l in out.splitlines() if re.match(r"^==\d+==", l)]


def helgrind_reports(root, out):
    lines = vg_lines(out)
    for i, line in enumerate(lines):
        if not line.startswith("Possible data race during"):
            continue
        accesses = [vg_stack(root, lines[i + 1:])]
        for j in range(i + 1, len(lines)):
            if lines[j].startswith("This conflicts with a previous"):
                accesses.append(vg_stack(root, lines[j + 1:]))
            if re.match(r"-{20}| Address 0x|Possible data race", lines[j]):
                break
        yield accesses


def drd_reports(root, out):
    lines = vg_lines(out)
    for i, line in enumerate(lines):
        if line.startswith(("Conflicting load", "Conflicting store")):
            yield [vg_stack(root, lines[i + 1:])]


REPORTS = {"tsan": tsan_reports, "helgrind": helgrind_reports, "drd": drd_reports}


def matches(report, pair):
    a, b = pair
    return len(report) == 2 and ((report[0] in a and report[1] in b) or
                                 (report[1] in a and report[0] in b))


def touches(report, pair):
    """Valgrind's tools are sure of the access that they stopped at. Of the other one DRD says
    nothing, and Helgrind what its history has for that address, which may be older."""
    return report[0] in pair[0] or report[0] in pair[1]


# --- cells ---

class Cell:
    def __init__(self, tool, workers, case, variant, races):
        self.tool, self.workers, self.case = tool, workers, case
        self.variant, self.races = variant, races
        self.test = getattr(case.race, workers)
        self.verdict, self.why, self.out, self.reports = "", "", "", []

    @property
    def target(self):
        names = {"broken": f"only-{self.case.unit_name[:-2]}", "fixed": "fixed"}
        name = names.get(self.variant, f"decoy-{self.variant}")
        return f"build/{FLAVOUR[self.tool]}/{self.case.chapter}/{self.case.program}.{name}"

    @property
    def expected(self):
        return "TP" if self.races and self.races.pairs else "TN"

    @property
    def good(self):
        return self.verdict in (self.expected, "n/a")

    def title(self):
        workers = {"one": "one worker", "two": "two workers"}[self.workers]
        return f"{self.case.name}, {self.variant}, {self.tool}, {workers}"


def cells_of(cases, tools):
    cells = []
    for c in cases:
        for variant, races in [*c.race.variants.items(), ("fixed", None)]:
            for tool in tools:
                cells += [Cell(tool, w, c, variant, races) for w in COLUMNS[tool]]
    for cell in cells:
        why_not = cell.case.race.why_not
        of_variant = cell.races.why_not if cell.races else {}
        cell.why = (why_not.get(cell.tool) or why_not.get(cell.workers) or
                    of_variant.get(cell.tool) or "")
        cell.verdict = "n/a" if cell.why else ""
    return cells


def command(root, tool):
    if tool == "tsan":
        return []
    return ["valgrind", f"--tool={tool}", f"--fullpath-after={root}/", "--fair-sched=try",
            f"--suppressions={ROOT}/tests/tools/libuv.supp", "--child-silent-after-fork=yes",
            "--error-limit=no", "--history-level=full" if tool == "helgrind" else "--check-stack-var=yes"]


def found_by(cell):
    """The reports that are the defect."""
    says = touches if cell.tool == "drd" else matches
    return [r for r in cell.reports if any(says(r, p) for p in cell.races.pairs)] if cell.races else []


def judge(cell, code, out, seconds):
    if code is None:
        return "time-out", f"after {seconds} s"
    if code < 0 or "'impossible' happened" in out or "Test failed with exception" in out:
        return "crash", f"exit code {code}"
    if set(RAN.findall(out)) != {cell.test}:
        return "not run", f"exit code {code}"
    if cell.variant == "fixed" and "FAILED" in out:
        return "failed", "the test itself"
    races = cell.races or manifest.Races()
    known = races.pairs + races.also
    belongs = matches if cell.tool == "tsan" else touches
    strangers = [r for r in cell.reports if not any(belongs(r, p) for p in known)]
    if strangers:
        return "FP", "; ".join(sorted({say(r) for r in strangers}))
    found = found_by(cell)
    if found:
        return "TP", say(found[0])
    if races.pairs:
        other = sorted({say(r) for r in cell.reports})
        return "FN", "reported were only: " + "; ".join(other) if other else "nothing was reported"
    return "TN", ""


def perform(root, cell):
    if cell.verdict:
        return
    seconds = cell.case.seconds * SLOWER[cell.tool]
    code, cell.out, _ = lesson.run_test(root / cell.target, cell.test, seconds,
                                        {"TSAN_OPTIONS": TSAN}, None, command(root, cell.tool))
    cell.reports = list(REPORTS[cell.tool](root, cell.out))
    cell.verdict, cell.why = judge(cell, code, cell.out, seconds)


def say(report):
    return " and ".join(f"{a[0]}:{a[1]}" if a else "a line that is not ours" for a in report)


# --- what is printed ---

def table(cells, tools):
    columns = [(t, w) for t in tools for w in COLUMNS[t]]
    heads = [f"{t}, {'1 worker' if w == 'one' else '2 workers'}" if t == "tsan" else t
             for t, w in columns]
    rows = {}
    for c in cells:
        row = rows.setdefault((c.case.name, c.variant), {})
        row.setdefault((c.tool, c.workers), []).append(c)
    print(f"{'':<18}{'':<34}" + "".join(f"{h:<17}" for h in heads))
    before = ""
    for (name, variant), row in rows.items():
        print(f"{name if name != before else '':<18}{variant:<34}", end="")
        for key in columns:
            c = next((c for c in row[key] if not c.good), row[key][0])
            times = f" {sum(c.good for c in row[key])} of {len(row[key])}" if len(row[key]) > 1 else ""
            text = c.verdict if c.verdict == "n/a" else c.verdict + times
            print(lesson.paint("32" if c.good else "31", f"{text:<17}"), end="")
        print()
        before = name
    print(flush=True)


def source(root, access):
    if access is None:
        return "a line that is not ours"
    return f"{access[0]}:{access[1]}  {(root / access[0]).read_text().splitlines()[access[1] - 1].strip()}"


def show(root, cells):
    for c in cells:
        if c.variant != "broken" or c.verdict != "TP":
            continue
        print(f"{c.title()}:")
        for access in found_by(c)[0]:
            print(f"    {source(root, access)}")
    print()


def summary(cells, tools):
    for tool in tools:
        mine = [c for c in cells if c.tool == tool and c.verdict != "n/a"]
        races = [c for c in mine if c.expected == "TP"]
        found = sum(c.verdict == "TP" for c in races)
        false = sum(c.verdict == "FP" for c in mine)
        print(f"{tool}: found {found} of {len(races)} races on their line; "
              f"false reports in {false} of {len(mine)} runs")


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("tools", help="tsan, helgrind, drd, several with commas, or all")
    p.add_argument("chapter", nargs="?")
    p.add_argument("--case")
    p.add_argument("--show", action="store_true", help="the lines, as the tool found them")
    p.add_argument("--reports", action="store_true", help="all that the tools said")
    p.add_argument("--repeat", type=int, default=1)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--root", type=pathlib.Path, default=ROOT)
    args = p.parse_args(argv)
    args.root = args.root.resolve()
    args.tools = list(FLAVOUR) if args.tools == "all" else args.tools.split(",")
    if set(args.tools) - set(FLAVOUR):
        p.error(f"a tool is one of {', '.join(FLAVOUR)}")
    return args


def build(args, cells):
    for flavour in sorted({FLAVOUR[c.tool] for c in cells}):
        targets = sorted({c.target for c in cells if FLAVOUR[c.tool] == flavour and not c.verdict})
        if targets and not lesson.make(types.SimpleNamespace(root=args.root, flavour=flavour),
                                       targets):
            return False
    return True


def check(args):
    cases = [c for c in manifest.select(args.root, args.chapter, args.case) if c.race]
    if not cases:
        raise ManifestError("no case here is about a race")
    cells = [c for _ in range(args.repeat) for c in cells_of(cases, args.tools)]
    if not build(args, cells):
        print(f"it does not build\n0 passed, {len(cells)} failed")
        return 1
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda c: perform(args.root, c), cells))
    table(cells, args.tools)
    for c in cells:
        if c.verdict == "n/a" and c.variant == "broken":
            print(f"{c.title()}: n/a: {c.why}")
        elif not c.good:
            print(lesson.paint("31", f"{c.title()}: {c.verdict}: {c.why}"))
            if c.verdict in ("crash", "time-out", "not run", "failed"):
                print("\n".join("     | " + line for line in c.out.rstrip().splitlines()[-25:]))
        if args.reports and c.out:
            print(c.out)
    if args.show:
        show(args.root, cells)
    summary(cells, args.tools)
    good = sum(c.good for c in cells)
    print(f"{good} passed, {len(cells) - good} failed")
    return 0 if good == len(cells) else 1


def main(argv):
    try:
        return check(parse(argv))
    except ManifestError as e:
        print(f"race.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
