#!/usr/bin/env python3
"""The staircase: does each state of the framework fail exactly what it should?

  staircase.py                  every state, from the top down
  staircase.py --state 1        S1 alone
  staircase.py --alone CASE     the tests of common that fail over that case's unit alone:
                                what its manifest has to name in `common`

S0 has the broken units of all chapters, S1 has those of the first repaired, and so on to the last
state, which is common. On Sk

  - each test of a case of the chapters 1 to k passes, and each test program there that is no case's
  - each test of a case of the later chapters fails, with its signature (lesson.py: REPRODUCED)
  - of the tests of common exactly those fail that the cases of the later chapters name in
    their manifests. That one fails which nobody named is as wrong as that a named one passes.
    Those that a defect makes fail now and then are not asked where it is.

Each test has a process of its own, with a limit: one that crashes or hangs takes no other with it.
A program of common of which nothing is named runs as a whole first: if that passes, so do its tests.
Which tests there are, the programs say themselves, over common. One that must fail may take three
times what its whole program took there; the others a minute.

Most of them wait. So a state is built while the one above it runs, and of all states together as many
run at once as --jobs says.
The last line is `N passed, N failed`.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import sys
import time

import lesson
import manifest
from manifest import ManifestError

FLAVOUR = "debug"
GOOD = "as it should"


class Job:
    """A test, on a state, and what must come of it: "pass", or a signature, or "fail"."""

    def __init__(self, state, group, program, test, expected, seconds):
        self.state, self.group, self.program, self.test = state, group, program, test
        self.expected, self.seconds = expected, seconds
        self.verdict, self.why, self.out = "", "", ""

    @property
    def title(self):
        return f"S{self.state} {pathlib.Path(self.program).name.split('.')[0]}:{self.test or 'all'}"


def number(chapter):
    return int(chapter[2:4])


def variant(chapter, state):
    """The file that is this chapter's test over that state: some are those of check-broken."""
    own = number(chapter)
    return {own: "fixed", own - 1: "broken"}.get(state, f"S{state}")


class Program:
    """A test program over the last state: which tests it has, how long they take, and do they pass?"""

    def __init__(self, root, name, seconds):
        self.name = pathlib.Path(name).name.split(".")[0]
        start = time.monotonic()
        code, self.out, _ = lesson.run_test(root / "build" / FLAVOUR / name, None, seconds, {}, None)
        self.seconds = time.monotonic() - start
        self.tests = lesson.PASSED.findall(self.out)
        failed = lesson.FAILED.findall(self.out)
        self.why = ("" if code == 0 and self.tests else f"failed: {', '.join(failed)}" if failed
                    else f"out of time after {seconds} s" if code is None else f"exit code {code}")


# --- what has to come of each test ---

def chapter_jobs(args, chapter, cases, state):
    jobs, fixed = [], number(chapter) <= state
    for c in cases:
        path = f"{chapter}/{c.program}.{variant(chapter, state)}"
        for test, signature in zip(c.tests, c.signatures):
            jobs.append(Job(state, chapter, path, test, "" if fixed else signature, c.seconds))
    for program in manifest.caseless(args.root, chapter) if fixed else []:
        jobs.append(Job(state, chapter, f"{program}.{variant(chapter, state)}", None, "", args.seconds))
    return jobs


def named(cases, state):
    """Of the cases that are broken on that state: {program:test: [who says that it fails]}, and those
    tests of which it is said that they fail now and then."""
    broken, fail, perhaps = [c for c in cases if number(c.chapter) > state], {}, set()
    names = {c.name for c in broken}
    for c in broken:
        for test, said in c.common.items():
            if said.perhaps:
                perhaps.add(test)
            elif said.unless not in names:
                fail.setdefault(test, []).append(c.name)
    return fail, perhaps - set(fail)


def common_jobs(args, cases, state, have):
    """Of each program of common; the longest first."""
    out, (must_fail, perhaps) = [], named(cases, state)
    for program in sorted(have, key=lambda p: -p.seconds):
        jobs = []
        for test in program.tests:
            if f"{program.name}:{test}" in perhaps:
                continue
            by = must_fail.get(f"{program.name}:{test}", [])
            seconds = max(3, 3 * program.seconds) if by else args.seconds
            jobs.append(Job(state, "common", f"tests/common/{program.name}.S{state}", test, bool(by),
                            seconds))
            jobs[-1].named_by = by
        out += [(program, jobs)] if jobs else []
    return out


# --- running and judging ---

def perform(job, build):
    code, job.out, job.took = lesson.run_test(build / job.program, job.test, job.seconds, {}, None)
    if job.group == "common":
        judge_common(job, code)
    elif job.expected:
        job.verdict, job.why = lesson.judge_broken(GOOD, "NOT REPRODUCED", code, job.out, job.test,
                                                   job.expected, job.seconds)
    elif job.test is None:  # a whole program
        passes = code == 0 and lesson.PASSED.search(job.out)
        job.verdict, job.why = (GOOD, "") if passes else ("FAILS", f"exit code {code}")
    else:
        verdict, job.why = lesson.judge_fixed(code, job.out, job.test, job.seconds)
        job.verdict = GOOD if verdict == "CLEAN" else verdict
    return job


def all_pass(jobs, build):
    """Of a program of common, with all its tests in one process."""
    code, out, _ = lesson.run_test(build / jobs[0].program, None, jobs[0].seconds, {}, None)
    passed = code == 0 and lesson.PASSED.findall(out) == [j.test for j in jobs]
    for j in jobs if passed else []:
        j.verdict = GOOD
    return passed


def calls_of(programs, build):
    """What is to be run of programs of common; one that does not pass as a whole is run again."""
    def together(jobs):
        if not all_pass(jobs, build):
            for j in jobs:
                perform(j, build)
    for program, jobs in programs:
        if len(jobs) < len(program.tests) or any(j.expected for j in jobs):
            yield from (lambda j=j: perform(j, build) for j in jobs)
        else:
            yield lambda jobs=jobs: together(jobs)


def judge_common(job, code):
    passed = code == 0 and lesson.PASSED.findall(job.out) == [job.test]
    how = ("out of time" if code is None else f"signal {-code}" if code < 0 else
           "crash" if lesson.SIGNAL.search(job.out) else "it fails")
    job.failed = "" if passed else how
    if not passed and code == 0:
        job.verdict, job.why = "NOT RUN", f"no test {job.test} was run"
    elif passed and job.expected:
        job.verdict, job.why = "PASSES", f"but {', '.join(job.named_by)} names it"
    elif not passed and not job.expected:
        job.verdict, job.why = "FAILS", f"{how}, and no manifest names it"
    else:
        job.verdict = GOOD


class Progress:
    """How far it is, on a terminal."""

    def __init__(self, what, total):
        self.what, self.total, self.done, self.start = what, total, 0, time.monotonic()
        self.tty = sys.stdout.isatty()

    def step(self):
        self.done += 1
        if self.tty:
            print(f"\r{self.what}: {self.done} of {self.total}, "
                  f"{time.monotonic() - self.start:.0f} s ", end="", flush=True)

    def end(self):
        if self.tty:
            print("\r" + " " * 70 + "\r", end="", flush=True)


def run_all(calls, args, what):
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        return results_of([pool.submit(c) for c in calls], what)


def results_of(futures, what):
    progress = Progress(what, len(futures))
    for _ in concurrent.futures.as_completed(futures):
        progress.step()
    progress.end()
    return [f.result() for f in futures]


# --- the table ---

def cell(jobs):
    """What is seen of a chapter, or of common, on a state."""
    bad = sum(j.verdict != GOOD for j in jobs)
    broken = sum(bool(j.expected) for j in jobs)
    if bad:
        return "31", f"{bad} of {len(jobs)} WRONG"
    if not broken:
        return "32", f"{len(jobs)} pass"
    if broken == len(jobs):
        return "33", f"{len(jobs)} reproduce"
    return "33", f"{len(jobs) - broken} pass, {broken} fail"


def row(state, groups, jobs, last):
    names = {0: "all broken", last: "common"}
    text = f"S{state} {names.get(state, f'{state} repaired'):<12}"
    for group in groups:
        colour, what = cell([j for j in jobs if j.group == group])
        text += lesson.paint(colour, f"{what:<20}")
    print(text, flush=True)


def complain(jobs):
    for j in jobs:
        if j.verdict != GOOD:
            print(f"{lesson.paint('31', j.verdict)} {j.title}: {j.why}")
            if j.group != "common":
                print("\n".join("     | " + line for line in j.out.rstrip().splitlines()[-15:]))


def check_names(cases, have):
    tests, names = {f"{p.name}:{t}" for p in have for t in p.tests}, {c.name for c in cases}
    return [f"{c.chapter}/cases.ini [{c.name}]: common has no test {t}"
            for c in cases for t in c.common if t not in tests] + [
            f"{c.chapter}/cases.ini [{c.name}]: {t} unless {n.unless}: no such case"
            for c in cases for t, n in c.common.items() if n.unless and n.unless not in names]


def build(args, targets):
    """What is wrong with it; nothing: it builds."""
    good, said, _ = lesson.run_make(args, sorted({f"build/{FLAVOUR}/{t}" for t in targets}))
    return "" if good else said or "make fails"


class Top(Job):
    """A program of common over the last state, where each of its tests passes."""

    def __init__(self, program, state):
        super().__init__(state, "common", program.name, "all its tests", False, 0)
        self.verdict, self.why, self.out = (GOOD if not program.why else "FAILS"), program.why, program.out
        self.named_by = []


def programs_on(args, variant):
    """The programs of common, over other units."""
    return [f"tests/common/{p.stem}.{variant}" for p in sorted((args.root / "tests/common").glob("test_*.c"))]


def on_top(args, last):
    """The programs of common, run over common."""
    return run_all([lambda n=n: Program(args.root, n, args.seconds) for n in programs_on(args, f"S{last}")],
                   args, "common")


def jobs_on(args, chapters, cases, state):
    return [j for c in chapters
            for j in chapter_jobs(args, c, [x for x in cases if x.chapter == c], state)]


def climb(args, chapters, cases, last, have, built):
    """Down the stairs; all that was run. built: of each state a future, what is wrong with it"""
    groups, done, where = [*chapters, "common"], [], args.root / "build" / FLAVOUR
    print(f"{'':<15}" + "".join(f"{g:<20}" for g in groups), flush=True)
    states = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for state, wrong in built.items():
            jobs = jobs_on(args, chapters, cases, state)
            common = common_jobs(args, cases, state, have) if state < last else []
            calls = [*(lambda j=j: perform(j, where) for j in jobs), *calls_of(common, where)]
            jobs += [j for _, of in common for j in of]
            if wrong.result():
                print(wrong.result(), end="")
                for j in jobs:
                    j.verdict, j.why = "NOT RUN", f"S{state} does not build"
            states.append((state, jobs, [] if wrong.result() else [pool.submit(c) for c in calls]))
        for state, jobs, futures in states:
            results_of(futures, f"S{state}")
            jobs += [Top(p, state) for p in have] if state == last else []
            row(state, groups, jobs, last)
            done += jobs
    return done


def staircase(args):
    chapters = manifest.chapters(args.root)
    cases = manifest.select(args.root, None, None)
    last = number(chapters[-1])
    if args.state is not None and args.state > last:
        raise ManifestError(f"no state S{args.state}; there are: S0 to S{last}")
    with concurrent.futures.ThreadPoolExecutor(1) as maker:
        top = maker.submit(build, args, programs_on(args, f"S{last}"))
        built = {s: maker.submit(build, args, [*programs_on(args, f"S{s}"), *(
                     j.program for j in jobs_on(args, chapters, cases, s))])
                 for s in (range(last, -1, -1) if args.state is None else [args.state])}
        if top.result():
            print(f"{top.result()}common does not build\n0 passed, 1 failed")
            return 1
        have = on_top(args, last)
        errors = check_names(cases, have)
        jobs = climb(args, chapters, cases, last, have, built)
    complain(jobs)
    for e in errors:
        print(f"{lesson.paint('31', 'NO SUCH TEST')} {e}")
    bad = sum(j.verdict != GOOD for j in jobs)
    print(f"{len(jobs) - bad} passed, {bad + len(errors)} failed")
    return 1 if bad or errors else 0


def alone(args):
    """What fails over the defect of one case, as a manifest has it, and how."""
    case = manifest.select(args.root, None, args.alone)[0]
    last = number(manifest.chapters(args.root)[-1])
    variant = f"only-{case.chapter}-{case.unit_name[:-2]}"
    wrong = build(args, [*programs_on(args, f"S{last}"), *programs_on(args, variant)])
    if wrong:
        print(wrong, end="")
        return 1
    have = on_top(args, last)
    jobs = [Job(0, "common", f"tests/common/{p.name}.{variant}", t, False, max(6, 3 * p.seconds))
            for p in have for t in p.tests]
    run_all([lambda j=j: perform(j, args.root / "build" / FLAVOUR) for j in jobs], args, args.alone)
    failed = [j for j in jobs if j.failed]
    for j in failed:
        reason = next((line for line in j.out.splitlines() if line and line[0] != "["), "")
        print(f"{j.title[3:]}  {j.failed}: {reason[:200]}")
    print(f"{case.name}: {len(failed)} of {len(jobs)} fail")
    return 0


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--state", type=int)
    p.add_argument("--alone", metavar="CASE")
    p.add_argument("--seconds", type=int, default=60, help="for a test that must pass; default 60")
    p.add_argument("--jobs", type=int, default=3 * os.cpu_count())
    p.add_argument("--root", type=pathlib.Path, default=lesson.ROOT)
    args = p.parse_args(argv)
    args.root, args.flavour = args.root.resolve(), FLAVOUR
    os.chdir(args.root)  # where the tests find their files
    try:
        return alone(args) if args.alone else staircase(args)
    except ManifestError as e:
        print(f"staircase.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
