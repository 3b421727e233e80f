"""What a learner has made of a case: the judge of the workshop.

A case's exercise, chNN-x/exercise/U.c, is linked alone in place of the final unit, as each decoy
is, and the case's tests are run over it. What comes of it is one of

    STILL BROKEN      a test fails; what it saw is the symptom, or what has become of it
    KNOWN WRONG FIX   the first test fails in the way that a decoy does (cases.ini)
    NOT YET           they pass, and a test of common that says what the unit is for does not; nor did
                      it over the unit as it was given (`common` of the manifest)
    NO LONGER WORKS   the same, of a test that passed over the unit as it was given
    SLOWER            these pass too, and take more virtual time, or more turns of tasks, than over
                      the final unit. Both are the same in every run (tests/lib/t.h)
    REPAIRED
    NOT CLEAN         the same, and a tool that was asked has something to report
    DOES NOT BUILD    with what the compiler said
    NOT STARTED       there is no exercise

Serving nothing is caught by the fourth, one lock around everything by the fifth.
"""

import concurrent.futures
import filecmp
import hashlib
import os
import re
import signal
from dataclasses import dataclass, field

import lesson
import race

BROKEN, WRONG, NO_WORK, SLOWER = "STILL BROKEN", "KNOWN WRONG FIX", "NO LONGER WORKS", "SLOWER"
NOT_YET, UNCLEAN = "NOT YET", "NOT CLEAN"
REPAIRED, NO_BUILD, NOT_STARTED = "REPAIRED", "DOES NOT BUILD", "NOT STARTED"

# How much more than the final unit, in each simulation. Of virtual time nearly nothing: there
# computing takes none, and whoever waits longer waits for something. Of turns: a repair of another
# kind may wake a task or two more; a task that asks again and again takes multiples.
TIMES_US, PLUS_US = 1.001, 25000
TIMES_TURNS, PLUS_TURNS = 2, 20

# What a test that has no end, or is ended, does not say.
WHICH = "memory that was freed, or a wait without an end? With TOOL=asan behind it the first has a report"

ENV = {"ASAN_OPTIONS": "detect_stack_use_after_return=0 fast_unwind_on_malloc=0",
       "TSAN_OPTIONS": "exitcode=66"}
TOOLS = {  # flavour, a line that is the tool's
    "tsan": ("tsan", re.compile(r"ThreadSanitizer")),
    "asan": ("asan", re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")),
    "memcheck": ("valgrind", re.compile(r"^==\d+==")),
    "helgrind": ("valgrind", re.compile(r"^==\d+==")),
    "drd": ("valgrind", re.compile(r"^==\d+==")),
}
NEEDS = {"tsan": "clang", "asan": "gcc"}  # and valgrind for the others


@dataclass
class Verdict:
    case: object
    kind: str
    words: str = ""    # what the test saw
    why: str = ""      # of a wrong fix; where it is known
    detail: list = field(default_factory=list)  # lines: the compiler's, or what a crash left
    seconds: float = 0.0
    untouched: bool = False
    digest: str = ""   # of the exercise that was judged


def exercise(args, case):
    return args.root / case.chapter / "exercise" / case.unit_name


def original(args, case):
    return args.root / case.chapter / "broken" / case.unit_name


def digest(args, case):
    try:
        return hashlib.sha256(exercise(args, case).read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def contract(args, case):
    """The header that says what the unit promises: the one that declares most of what it defines."""
    text = original(args, case).read_text()
    names = set(re.findall(r"^(?!static)\w[\w *]*?\b(gee_\w+?)(?:_at)?\(", text, re.M))
    def declared(path):
        header = path.read_text()
        return sum(re.search(rf"^\w.*\b{n}(_at)?\(", header, re.M) is not None for n in names)
    headers = [*sorted(args.root.glob("common/include/gee/*.h")), *sorted(args.root.glob("common/src/*/*.h"))]
    own = [p for p in headers if p.stem == stem(case)]
    best = own[0] if own else max(headers, key=declared, default=None)
    return str(best.relative_to(args.root)) if best and (own or declared(best)) else ""


def stem(case):
    return case.unit_name[:-2]


# --- what a test said ---

NOT_WORDS = re.compile(r"gee: |  (?:task|at|traceback of) |figures: |census: |\s*$|   +")


def message(case, out, test=r"\w+"):
    """What the (first) test that failed saw, in its words; without the name of the case in front."""
    found = re.search(rf"^\[ RUN      \] {test}\n((?:(?!^\[ RUN).*\n)*?)\[  ERROR   \] --- (.*)", out, re.M)
    if not found:
        return ""
    lines = [l for l in found[1].splitlines() if not NOT_WORDS.match(l)]
    own = [l for l in lines if l.startswith(case.name)]
    if not found[2].startswith("[   LINE"):
        lines = [found[2]]
    said = own[-1] if own else " ".join(lines)[:300]
    said = re.sub(r" \(parked: nowhere\)", "", said)
    said = re.sub(r"\b0 tasks, which stay 0\.0 s", "0 tasks", said)
    return re.sub(rf"^{re.escape(case.name)}(?: ([^:]*))?: ", lambda m: f"({m[1]}) " if m[1] else "",
                  said)


def in_place_of(case, out, path):
    """The output as it would be if the exercise were that file: signatures name it."""
    return out.replace(f"{case.chapter}/exercise/{case.unit_name}", f"{case.chapter}/{path}")


def judge(case, number, code, out):
    """Of the test of that number: None if it passed, or a Verdict."""
    test, signature = case.tests[number], case.signatures[number]
    if code == 0 and lesson.PASSED.findall(out) == [test]:
        return None
    for d in case.decoys if number == 0 else []:
        if not lesson.judge_failure(code, in_place_of(case, out, f"decoys/{d.name}.c"), test,
                                    d.signature, case.seconds):
            return Verdict(case, WRONG, message(case, out), d.why)
    other = lesson.judge_failure(code, in_place_of(case, out, f"broken/{case.unit_name}"), test,
                                 signature, case.seconds)
    if not other:
        return Verdict(case, BROKEN, message(case, out))
    words = message(case, out)
    if not words or lesson.SIGNAL.search(out) or code is None or code < 0:
        return Verdict(case, BROKEN, f"{test}: {other}", WHICH, detail=tail(out))
    return Verdict(case, BROKEN, words)


def tail(out, n=15):
    return [l for l in out.rstrip().splitlines() if not l.startswith("figures: ")][-n:]


def unasked(case):
    """The tools that see this race, where it is one, and of which this case has no reason why not."""
    spec = case.race
    if spec is None or spec.variants["broken"].none:
        return []
    return [t for t in ("tsan", "helgrind", "drd") if t not in spec.why_not]


# --- building ---

def flavour_of(args, flavour):
    return type(args)(**{**vars(args), "flavour": flavour})


def build(args, cases, targets_of):
    """Builds for all at once, and for each alone if that fails: {case name: what make said}"""
    def path(t):
        return f"build/{args.flavour}/{t}"
    good, _, _ = lesson.run_make(args, [path(t) for c in cases for t in targets_of(c)])
    if good:
        return {}
    failed = {}
    for c in cases:
        good, said, _ = lesson.run_make(args, [path(t) for t in targets_of(c)])
        if not good:
            failed[c.name] = re.sub(r"^make(\[\d+\])?: .*\n", "", said, flags=re.M)
    return failed


def tests_of(case):
    return [f"{case.chapter}/{case.program}.mine-{stem(case)}",
            f"{case.chapter}/broken/{stem(case)}.o"]


def work_of(case):
    return [t for w in case.work for t in (f"{case.chapter}/work/{w}.{stem(case)}",
                                           f"tests/common/{w}")]


def symbols_differ(args, case):
    """A replacement must define what the unit defines: with less, both would be linked."""
    here = args.root / "build" / args.flavour / case.chapter
    unit = lesson.symbols(here / "broken" / f"{stem(case)}.o")
    own = lesson.symbols(here / "exercise" / f"{stem(case)}.o")
    return [f"it does not define {s}, which the unit has to" for s in sorted(unit - own)] + \
        [f"it defines {s} as well: make it static" for s in sorted(own - unit)]


# --- is it as good as the final unit? ---

def figures(out):
    """[(test, µs, turns)] of each simulation, in order."""
    found, test = [], ""
    for line in out.splitlines():
        run = re.match(r"\[ RUN      \] (\w+)", line)
        cost = re.match(r"figures: (\d+) us, (\d+) turns", line)
        if run:
            test = run[1]
        elif cost:
            found.append((test, int(cost[1]), int(cost[2])))
    return found


def slower(mine, final):
    """In words, by how much; "" if it is not."""
    for (test, us, turns), (_, final_us, final_turns) in zip(mine, final):
        if us > final_us * TIMES_US + PLUS_US:
            return f"{test} takes {us / 1e6:.2f} s of virtual time; {final_us / 1e6:.2f} s are enough"
        if turns > final_turns * TIMES_TURNS + PLUS_TURNS:
            return f"in {test} tasks get {turns} turns; {final_turns} are enough"
    return ""


def not_yours(case, program, test):
    return ("over the unit as it was given it fails as well (there, "
            f"{case.common[f'{program}:{test}'].why}): so this is not your doing, and yours to do. ")


def judge_failed_work(args, case, program, code, out):
    """NOT YET if each test that fails did so over the unit as it was given."""
    failed = list(dict.fromkeys(lesson.FAILED.findall(out)))
    where = f"What it has to do stands in {contract(args, case)}"
    running = re.findall(r"^\[ RUN      \] (\w+)", out, re.M)[-1:]
    if code is None and f"{program}:{''.join(running)}" in case.common:
        return Verdict(case, NOT_YET, f"{running[0]} of {program} has no end within 60 s",
                       not_yours(case, program, running[0]) + where, tail(out))
    if not failed or code is None:
        saw = "no end within 60 s" if code is None else message(case, out) or f"exit code {code}"
        return Verdict(case, NO_WORK, f"{program}: {saw}", f"over the unit as it was given it ends well. {where}",
                       tail(out))
    own = [t for t in failed if f"{program}:{t}" not in case.common]
    test = (own or failed)[0]
    words = f"{test} of {program} fails, and its check says: {checked(case, out, test)}"
    if own:
        return Verdict(case, NO_WORK, words, f"over the unit as it was given it passes. {where}")
    return Verdict(case, NOT_YET, words, not_yours(case, program, test) + where)


def checked(case, out, test):
    return re.sub(r" \(-?\d+\)$", "", message(case, out, test)) or "nothing"


def judge_work(args, case):
    """None if it does its work at no more than what that may cost."""
    build_dir = args.root / "build" / args.flavour
    for program in case.work:
        def run(target):
            return lesson.run_test(build_dir / target, None, 60, {**ENV, "GEE_FIGURES": "1"}, None)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            (code, out, _), (_, final, _) = pool.map(
                run, (f"{case.chapter}/work/{program}.{stem(case)}", f"tests/common/{program}"))
        if code != 0:
            return judge_failed_work(args, case, program, code, out)
        more = slower(figures(out), figures(final))
        if more:
            return Verdict(case, SLOWER, more, "the defect is gone, and those who have nothing to "
                           "do with it pay for that")
    return None


# --- a case, whole ---

def judge_tests(args, case):
    """None if it passes its tests."""
    wrong = symbols_differ(args, case)
    if wrong:
        return Verdict(case, NO_BUILD, wrong[0], detail=wrong)
    program = args.root / "build" / args.flavour / tests_of(case)[0]
    for number, test in enumerate(case.tests):
        code, out, _ = lesson.run_test(program, test, case.seconds, ENV, None)
        verdict = judge(case, number, code, out)
        if verdict:
            return verdict
    return None


def built_and_judged(args, cases, targets_of, judge_one, pool):
    """{case name: Verdict} of those that do not build or do not pass."""
    failed = build(args, cases, targets_of) if cases else {}
    verdicts = {c.name: Verdict(c, NO_BUILD, detail=failed[c.name].splitlines())
                for c in cases if c.name in failed}
    running = {c.name: pool.submit(judge_one, args, c) for c in cases if c.name not in failed}
    return verdicts | {name: r.result() for name, r in running.items() if r.result()}


def check(args, cases):
    """The Verdicts of these, in order."""
    here = [c for c in cases if exercise(args, c).is_file()]
    digests = {c.name: digest(args, c) for c in here}
    with concurrent.futures.ThreadPoolExecutor(args.jobs or os.cpu_count()) as pool:
        found = built_and_judged(args, here, tests_of, judge_tests, pool)
        found |= built_and_judged(args, [c for c in here if c.work and c.name not in found], work_of,
                                  judge_work, pool)
    verdicts = [found.get(c.name, Verdict(c, REPAIRED if c in here else NOT_STARTED)) for c in cases]
    for v in verdicts:
        v.untouched = v.case in here and filecmp.cmp(exercise(args, v.case), original(args, v.case),
                                                     False)
        v.digest = digests.get(v.case.name, "")
    return verdicts


def stop():
    """Ends what runs, for who does not want to know any more."""
    for p in list(lesson.RUNNING):
        try:
            os.killpg(p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


# --- with a tool ---

def command(args, tool):
    if tool == "memcheck":
        return lesson.VALGRIND
    return race.command(args.root, tool) if tool in ("helgrind", "drd") else []


def races(args, tool, out):
    """What one that looks for races reported, as lines: each pair once, with what stands there."""
    reports = {tuple(r) for r in race.REPORTS[tool](args.root, out) if any(r)}
    for report in sorted(reports, key=str):
        yield "a race:" if len(report) > 1 else "a race, and the other access is not named:"
        yield from ("    " + race.source(args.root, access) for access in report)


def ask_tool(args, tool, case):
    """[(test, lines that the tool said, the file that has all of it)]; or a string: what make said"""
    flavour, line = TOOLS[tool]
    args = flavour_of(args, flavour)
    failed = build(args, [case], lambda c: tests_of(c)[:1])
    if failed:
        return failed[case.name]
    program = args.root / "build" / flavour / tests_of(case)[0]
    seconds = case.seconds * lesson.SLOWER[flavour]
    said = []
    for test in case.tests:
        env = {**ENV, "TSAN_OPTIONS": race.TSAN} if tool == "tsan" else ENV
        code, out, _ = lesson.run_test(program, test, seconds, env, None, command(args, tool))
        whole = program.with_name(f"{test}.{tool}.txt")
        whole.write_text(out)
        if tool in race.REPORTS:
            report = list(races(args, tool, out))
        else:
            lines = out.splitlines()
            first = next((i for i, l in enumerate(lines) if line.search(l)), len(lines))
            report = [l for l in lines[first:] if line.search(l) or flavour == "asan"]
        if code is None:
            report.append(f"no end within {seconds} s")
        said.append((test, report, whole.relative_to(args.root)))
    return said
