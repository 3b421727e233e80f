#!/usr/bin/env python3
"""`make matrix`: which tool sees which defect, of every case, broken, repaired, and as each decoy.

  matrix.py                                                all cells, and docs/matrix.* of them
  matrix.py [--case CASE] [--tool TOOL] [--chapter CH]     some of the cells, on the terminal;
                                                           --write: and into docs/matrix.*
  matrix.py --check                                        are docs/matrix.* of these manifests?

A cell is a tool and a variant of a case. The test of the case runs under the tool, or the tool
reads the unit, and its reports are held against the places that the manifest records (manifest.py,
`sites`; of races the pairs that race.py judges):

  TP   a report is about such a place
  FN   there is a defect, and nothing was reported
  FP   something was reported, and it was not that; or anything at all over the repaired unit
  TN   nothing was reported over the repaired unit
  crash, time-out, not run, failed (the test, over the repaired unit), n/a, each with its reason

Why a tool does not see a defect stands in the manifest (`fn.TOOL`), or in matrix.ini for all
defects of its kind. A FN without a reason is an error, and so is a reason without a FN, and whatever
is reported over a repaired unit. Cells are kept in build/matrix under a hash of all that they are
made from: a run that was interrupted goes on. The last line is `N passed, N failed`.
"""

import argparse
import concurrent.futures
import configparser
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import types
from dataclasses import dataclass

import census
import lesson
import manifest
import matrix_show
import matrix_tools as tools
import race
from manifest import ManifestError

KNOWN = {}          # "TOOL UNIT": /what is said/ and why it is false; from matrix.ini
SUPPRESSED = set()  # those of them that were met


class Cell:
    def __init__(self, case, variant, tool):
        self.case, self.variant, self.tool = case, variant, tool
        self.verdict, self.why, self.seconds, self.cached = "", "", 0.0, False

    @property
    def name(self):
        return f"{self.case.chapter[:4]}-{self.case.name}.{self.variant}.{self.tool}"

    @property
    def kept(self):
        """ASan and UBSan are one flavour, and one run."""
        return self.name.replace(".ubsan", ".asan")

    @property
    def source(self):
        """The unit of this variant."""
        c = self.case
        return {"broken": f"{c.chapter}/broken/{c.unit_name}", "fixed": f"common/src/{c.unit}"}.get(
            self.variant, f"{c.chapter}/decoys/{self.variant}.c")

    @property
    def program(self):
        c = self.case
        kind = {"broken": f"only-{c.unit_name[:-2]}", "fixed": "fixed"}.get(self.variant,
                                                                          f"decoy-{self.variant}")
        return f"build/{tools.FLAVOUR[self.tool]}/{c.chapter}/{c.program}.{kind}"

    @property
    def of_races(self):
        """What race.py has to judge, if it is its matter."""
        return self.tool in tools.RACE_TOOLS and self.case.race

    def row(self):
        return {"chapter": self.case.chapter, "case": self.case.name, "variant": self.variant,
                "tool": self.tool, "verdict": self.verdict, "why": self.why,
                "seconds": round(self.seconds, 1)}


def cells_of(cases, tool):
    """Of the cases whose manifest says what there is to be seen: `kind`."""
    return [Cell(c, v, t) for c in cases if c.kind for v in ("broken", *(d.name for d in c.decoys), "fixed")
            for t in tools.NAMES if tool in (None, t)]


# --- judging ---

def judge(reports, sites, variant, code, out, test, seconds):
    """(verdict, why) of a run, or of a reading (then test is None)."""
    said = "; ".join(sorted({str(r) for r in reports}))[:300]
    if variant != "fixed":
        for r in reports:
            at = next((p for p in r.places if p in sites), None)
            if at:  # which of its frames it is, too
                return "TP", f"{r.text} at {at[0]}:{at[1]}" if isinstance(at, tuple) else r.text
    if code is None:
        return "time-out", f"after {seconds} s"
    if test and (code < 0 or "'impossible' happened" in out or lesson.SIGNAL.search(out)):
        if not reports:
            return "crash", f"exit code {code}"
    elif test and not set(race.RAN.findall(out)) and not reports:
        return "not run", f"exit code {code}"
    if reports:
        return "FP", said
    if variant == "fixed":
        return ("failed", "the test itself") if test and "FAILED" in out else ("TN", "")
    return "FN", ""


def judge_races(cells):
    """One cell of the verdicts of race.py: with the racers on one worker, and on two."""
    asked = [c for c in cells if c.verdict != "n/a"]
    if not asked:
        return "n/a", cells[0].why
    for verdict in ("crash", "time-out", "not run", "failed", "FP", "TP", "FN"):
        mine = [c for c in asked if c.verdict == verdict]
        if mine:
            return verdict, mine[0].why
    return ("TN", "") if cells[0].variant == "fixed" else ("FN", "")


# --- running: what was printed is kept, and is judged anew each time ---

@dataclass
class Run:
    """A program under a tool, with one of its tests; or a tool that reads a unit."""
    program: str
    command: list  # in front of the program; or all of it
    test: str = None
    seconds: int = 300
    race: object = None  # the cell of race.py that has to judge it
    code: int = None
    out: str = ""


def runs_of(root, cell, flags):
    c = cell.case
    if cell.tool in tools.STATIC:
        return [Run(cell.source, tools.static_command(cell.tool, cell.source, flags))]
    seconds = c.seconds * tools.SLOWER[cell.tool]
    if cell.of_races:
        mine = [r for r in race.cells_of([c], [cell.tool]) if r.variant == cell.variant]
        cell.asked = mine
        return [Run(r.target, race.command(root, cell.tool), r.test, seconds, r)
                for r in mine if not r.verdict]
    out = [Run(cell.program, tools.command(root, cell.tool), c.tests[0], seconds)]
    scenario = census.scenario(c, root) if cell.tool == "own" else None
    return out + ([Run(cell.program, [], scenario, seconds)] if scenario else [])


def perform_run(root, cell, run):
    if cell.tool in tools.STATIC:
        p = subprocess.run(run.command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=run.seconds, stdin=subprocess.DEVNULL)
        run.code, run.out = p.returncode, p.stdout
    else:
        run.code, run.out, _ = lesson.run_test(root / run.program, run.test, run.seconds, tools.ENV, None,
                                               run.command)


def judge_cell(root, cell, runs):
    out = "".join(r.out for r in runs)
    if cell.of_races:
        for r in runs:
            r.race.reports = list(race.REPORTS[cell.tool](root, r.out))
            r.race.verdict, r.race.why = race.judge(r.race, r.code, r.out, r.seconds)
        return judge_races(cell.asked)
    reports = [r for r in tools.READ[cell.tool](root, out) if not known_false(cell, r)]
    sites = cell.case.sites.get(cell.variant, set())
    if cell.tool == "ubsan" and not reports and tools.READ["asan"](root, out) and not race.RAN.search(out):
        return "n/a", "ASan, with which it shares a run, ended that before"
    return judge(reports, sites, cell.variant, runs[0].code, out, runs[0].test, runs[0].seconds)


def known_false(cell, report):
    """Is this report in the list of those that are not so?"""
    m = re.match(r"/(.*?)/ .", KNOWN.get(f"{cell.tool} {cell.case.unit}", ""))
    hit = bool(m and re.search(m[1], report.text))
    if hit:
        SUPPRESSED.add(f"{cell.tool} {cell.case.unit}")
    return hit


def inputs(root, cell, runs, flags):
    """A hash of all that is run."""
    h = hashlib.sha256((tools.version(cell.tool) + json.dumps(tools.ENV)).encode())
    for r in runs:
        h.update(json.dumps([r.command, r.test, r.seconds]).encode() + (root / r.program).read_bytes())
        if cell.tool in tools.STATIC:  # and what it includes
            h.update(subprocess.run(["gcc", *flags, "-E", "-P", cell.source], cwd=root,
                                    stdout=subprocess.PIPE).stdout)
    return h.hexdigest()


def perform(root, cell, flags):
    runs = runs_of(root, cell, flags)
    kept = root / "build/matrix" / f"{cell.kept}.json"
    key = inputs(root, cell, runs, flags)
    old = json.loads(kept.read_text()) if kept.exists() else {}
    if old.get("key") == key:
        for r, (code, out) in zip(runs, old["runs"]):
            r.code, r.out = code, out
        cell.seconds, cell.cached = old["seconds"], True
    else:
        start = time.monotonic()
        for r in runs:
            perform_run(root, cell, r)
        cell.seconds = time.monotonic() - start
        new = kept.with_suffix(f".{cell.tool}")
        new.write_text(json.dumps({"key": key, "seconds": cell.seconds, "runs": [(r.code, r.out) for r in runs]}))
        new.rename(kept)  # an interrupted run leaves no half of one
    cell.verdict, cell.why = judge_cell(root, cell, runs)


def build(args, cells):
    for flavour in sorted({tools.FLAVOUR[c.tool] for c in cells if c.tool not in tools.STATIC}):
        targets = sorted({c.program for c in cells
                          if c.tool not in tools.STATIC and tools.FLAVOUR[c.tool] == flavour})
        print(f"building {len(targets)} programs, flavour {flavour}", flush=True)
        if not lesson.make(types.SimpleNamespace(root=args.root, flavour=flavour), targets):
            return False
    return True


def compile_flags(root):
    out = subprocess.run(["make", "--no-print-directory", "-s", "flags"], cwd=root, text=True,
                         stdout=subprocess.PIPE).stdout
    return out.split()


def run_all(args, cells):
    flags, start, done = compile_flags(args.root), time.monotonic(), 0
    (args.root / "build/matrix").mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        # UBSan last: it is found in what ASan ran.
        order = sorted(cells, key=lambda c: c.tool == "ubsan")
        futures = {pool.submit(perform, args.root, c, flags): c for c in order}
        for future in concurrent.futures.as_completed(futures):
            future.result()
            done += 1
            cell, minutes = futures[future], (time.monotonic() - start) / 60
            if not cell.cached or done == len(cells):
                print(f"{done:4} of {len(cells)}, {minutes:4.1f} min  {cell.verdict:<9} {cell.name}"
                      f"{'  ' + cell.why[:90] if cell.why else ''}", flush=True)


# --- what it must come to ---

def reasons(path):
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read(path)
    kinds = {kind: dict(parser[kind]) for kind in parser.sections()}
    KNOWN.update(kinds.pop("known false", {}))
    return kinds


def reason_and_key(row, case, generic):
    """Why this tool sees nothing here, and which entry says so."""
    races = case.race.variants.get(row["variant"]) if case.race else None
    if races and races.none and row["tool"] in tools.RACE_TOOLS:
        return races.none, None
    if row["tool"] in case.fn:
        return case.fn[row["tool"]], (case.name, row["tool"])
    return generic.get(case.kind, {}).get(row["tool"], ""), (case.kind, row["tool"])


def reason_of(row, case, generic):
    return reason_and_key(row, case, generic)[0]


def errors_in(rows, cases, generic, whole):
    by_name = {(c.chapter, c.name): c for c in cases}
    out, used = [], set()
    for row in rows:
        case = by_name[row["chapter"], row["case"]]
        title = f"{row['case']}, {row['variant']}, {row['tool']}"
        if row["verdict"] == "FN":
            why, key = reason_and_key(row, case, generic)
            used.add(key)
            if not why:
                out.append(f"{title}: FN, and no reason is given for it")
        elif row["verdict"] in ("crash", "time-out", "not run", "failed"):
            out.append(f"{title}: {row['verdict']}: {row['why']}")
        elif row["verdict"] == "FP":
            out += [f"{title}: FP: {row['why']}"] if row["variant"] == "fixed" else []
    if whole:
        tools_seen = {(r["case"], r["tool"]) for r in rows}
        out += [f"{c.name}: fn.{t}: there is no FN that it would explain" for c in cases for t in c.fn
                if (c.name, t) in tools_seen and (c.name, t) not in used]
        out += [f"matrix.ini [{k}] {t}: there is no FN that it would explain" for k, of in generic.items()
                for t in of if (k, t) not in used]
    return out


def check_documents(root, cases):
    """Have all cells of the manifests been run, and does each FN have its reason still?"""
    if not (root / "docs/matrix.csv").exists():
        return 0, ["docs/matrix.csv is not there: make matrix"]
    rows = matrix_show.read_csv(root / "docs/matrix.csv")
    have = {(r["chapter"], r["case"], r["variant"], r["tool"]) for r in rows}
    want = {(c.case.chapter, c.case.name, c.variant, c.tool) for c in cells_of(cases, None)}
    out = [f"docs/matrix.csv has not all cells of {name}: make matrix CASE={name} WRITE=1"
           for name in sorted({w[1] for w in want - have})]
    out += [f"docs/matrix.csv: {', '.join(h)} is no cell any more" for h in sorted(have - want)]
    if out:
        return len(rows), out
    generic = reasons(root / "tests/tools/matrix.ini")
    out += errors_in(rows, cases, generic, True)
    for name, text in matrix_show.documents(rows, cases, generic, reason_of, KNOWN).items():
        if (root / name).read_text() != text:
            out.append(f"{name} is not of docs/matrix.csv and the manifests: make matrix")
    return len(rows), out


def outside(cases):
    names = [c.name for c in cases if not c.kind]
    if names:
        print(f"not in the matrix, since their manifest has no kind: {', '.join(names)}")


def finish(n, errors):
    for e in errors:
        print(f"{lesson.paint('31', 'FAIL')} {e}")
    bad = len(errors)
    print(f"{max(n - bad, 0)} passed, {bad} failed")
    return 1 if errors else 0


def others(root, rows, cases):
    """Of the cells that are in the documents, those that were not run now and still are cells."""
    path, mine = root / "docs/matrix.csv", {row_name(r) for r in rows}
    names = {row_name(c.row()) for c in cells_of(cases, None)}
    return [r for r in (matrix_show.read_csv(path) if path.exists() else [])
            if row_name(r) not in mine and row_name(r) in names]


def row_name(row):
    return tuple(row[k] for k in ("chapter", "case", "variant", "tool"))


def in_order(rows, cases):
    place = {row_name(c.row()): i for i, c in enumerate(cells_of(cases, None))}
    return sorted(rows, key=lambda r: place[row_name(r)])


def matrix(args):
    every = manifest.select(args.root, None, None)
    outside(every)
    if args.check:
        return finish(*check_documents(args.root, every))
    cases = manifest.select(args.root, args.chapter, args.case)
    if args.tool and args.tool not in tools.NAMES:
        raise ManifestError(f"no tool {args.tool}; there are: {', '.join(tools.NAMES)}")
    cells = cells_of(cases, args.tool)
    for cell in cells:
        cell.why = tools.missing(cell.tool)
        cell.verdict = "n/a" if cell.why else ""
    wanted = [c for c in cells if not c.verdict]
    if not build(args, wanted):
        print("it does not build\n0 passed, 1 failed")
        return 1
    generic = reasons(args.root / "tests/tools/matrix.ini")
    run_all(args, wanted)
    whole = not (args.chapter or args.case or args.tool)
    rows = [c.row() for c in cells]
    matrix_show.table(rows)
    if whole or args.write:
        kept = [] if whole else others(args.root, rows, every)
        matrix_show.write(args.root, in_order(rows + kept, every), every, generic, reason_of, KNOWN)
    errors = errors_in(rows, cases, generic, whole)
    if whole:
        errors += [f"matrix.ini [known false] {k}: it was not said" for k in sorted(set(KNOWN) - SUPPRESSED)]
    return finish(len(rows), errors)


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--case")
    p.add_argument("--tool")
    p.add_argument("--chapter")
    p.add_argument("--check", action="store_true")
    p.add_argument("--write", action="store_true", help="these cells into docs/matrix.*")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--root", type=pathlib.Path, default=lesson.ROOT)
    args = p.parse_args(argv)
    args.root = args.root.resolve()
    try:
        return matrix(args)
    except ManifestError as e:
        print(f"matrix.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
