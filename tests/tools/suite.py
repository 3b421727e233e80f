#!/usr/bin/env python3
"""`make test`: everything that a change must pass, a line for each part.

A part is a command that ends with a line `N passed, N failed`, or the cmocka programs of one
flavour, those of common and those of chapters that are no case's (manifest.py), whose tests are
counted one by one. A program that crashes, times out, or is told off by its tool counts as failed
even if all its tests passed. What a missing tool prevents is named and counted as skipped. Parts
run side by side (lanes.py); each says how long it took, and what of the CPU. The last line is
`N passed, N failed`.

  suite.py [PART...]     suite.py --list
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import sys
import time

import lanes
import making
import manifest
import speedscope
from lanes import ALONE, NARROW, WIDE, Part

ROOT = pathlib.Path(__file__).resolve().parents[2]
OK = re.compile(r"^\[\s+OK \] (\S+)", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\w+)$", re.M)
TOTAL = re.compile(r"^(\d+) passed, (\d+) failed", re.M)
FLAVOURS = {  # flavour: what it needs, seconds a program may take
    "tsan": ("clang", 300), "valgrind": ("valgrind", 600), "asan": ("gcc", 240),
    "release": ("gcc", 120), "clang": ("clang", 120), "debug": ("gcc", 120),
}
VALGRIND = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
            "--child-silent-after-fork=yes"]
TSAN = "exitcode=66 halt_on_error=0 second_deadlock_stack=1"
ASAN = "detect_stack_use_after_return=0 fast_unwind_on_malloc=0"
# Each program is linked by itself in the flavour release; under Valgrind a small one is read sooner.
IN_ONE = ("clang", "debug", "asan", "tsan")
BUILD, SIDES = ("build",), ("broken", "fixed")
TOOK = {}  # program: seconds, in the latest flavour


def run(sheet, cmd, seconds, env=None):
    return sheet.run(cmd, seconds, cwd=ROOT, env={**os.environ, **(env or {})})


def make(sheet, flavour, *targets):
    with making.lock(flavour):
        code, out = run(sheet, making.command(flavour, *targets), 1200)
    if code != 0:
        sheet.tail(out)
    return code == 0


def one_program(sheet, path, flavour, seconds):
    cmd = (VALGRIND if flavour == "valgrind" else []) + [str(path)]
    start = time.monotonic()
    rc, out = run(sheet, cmd, seconds, {"TSAN_OPTIONS": TSAN, "ASAN_OPTIONS": ASAN})
    passed, failed = len(OK.findall(out)), len(set(FAILED.findall(out)))
    why = ""
    if rc is None:
        why = f"out of time after {seconds} s"
    elif rc < 0:
        why = f"ended by signal {-rc}"
    elif rc != 0 and failed == 0:
        why = f"exit code {rc}: a report of the tool"
    elif passed + failed == 0:
        why = "no test was run"
    return path.name, passed, max(failed, 1 if why else 0), time.monotonic() - start, why, out


def programs_of(flavour):
    """In the flavours of IN_ONE the tests of common are one program, as on a state of the staircase."""
    variant = f".S{int(chapters()[-1][2:4])}" if flavour in IN_ONE else ""
    return [pathlib.Path(f"build/{flavour}/tests/common/{p.stem}{variant}")
            for p in sorted((ROOT / "tests/common").glob("test_*.c"))] + [
        pathlib.Path(f"build/{flavour}/{p}.fixed") for p in manifest.caseless(ROOT)]


def unit(sheet, flavour):
    needs, seconds = FLAVOURS[flavour]
    if shutil.which(needs) is None:
        sheet.skip(f"common, {flavour}", f"{needs} is not installed")
        return
    start = time.monotonic()
    if not make(sheet, flavour, *map(str, wanted := programs_of(flavour))):
        sheet.line(f"common, {flavour}", 0, 1, time.monotonic() - start, "it does not build")
        return
    # What took long in the flavour before goes first, so that nothing is waited for at the end.
    programs = sorted(wanted, key=lambda p: -TOOK.get(p.stem, 0))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        results = list(pool.map(lambda p: one_program(sheet, p, flavour, seconds), programs))
    TOOK.update({p.stem: r[3] for p, r in zip(programs, results)})
    for name, _, failed, _, why, out in results:
        if failed:
            sheet.say(f"     {name}: {why}")
            sheet.tail(out)
    slow = max(results, key=lambda r: r[3])
    sheet.line(f"common, {flavour}", sum(r[1] for r in results), sum(r[2] for r in results),
               time.monotonic() - start, f"slowest: {slow[0]} {slow[3]:.1f} s")


def command(sheet, name, cmd, seconds=900, needs=None, shown=()):
    """shown: lines that it has to print, since a document says so."""
    if needs and shutil.which(needs) is None:
        sheet.skip(name, f"{needs} is not installed")
        return
    start = time.monotonic()
    rc, out = run(sheet, cmd, seconds)
    totals = TOTAL.findall(out)
    passed, failed = (int(n) for n in totals[-1]) if totals else (0, 0)
    note = ""
    if rc is None:
        failed, note = failed + 1, f"out of time after {seconds} s"
    elif (rc != 0 and failed == 0) or not totals:
        failed, note = failed + 1, f"exit code {rc}"
    missing = [line for line in shown if line not in out.splitlines()]
    if missing:
        failed, note = failed + len(missing), f"a document shows, and it does not say: {missing}"
    passed += len(shown) - len(missing)
    if failed:
        sheet.tail(out)
    sheet.line(name, passed, failed, time.monotonic() - start, note)


def formatted(sheet):
    files = sorted(str(p.relative_to(ROOT)) for d in ("common", "tests", *chapters())
                   for p in (ROOT / d).rglob("*.[ch]") if not p.is_symlink())
    # Another version formats otherwise, and would find fault with every file.
    version = run(sheet, ["clang-format", "--version"], 10)[1] if shutil.which("clang-format") else "none"
    if "version 14." not in version:
        sheet.skip("clang-format", "the code is formatted by version 14; this is " +
                   (re.search(r"[\d.]+", version) or ["not installed"])[0])
        return
    start = time.monotonic()
    rc, out = run(sheet, ["clang-format", "--dry-run", "-Werror", *files], 120)
    bad = sorted(set(re.findall(r"^([^:\s]+\.[ch]):", out, re.M)))
    if bad:
        sheet.tail("\n".join(bad))
    sheet.line("clang-format", len(files) - len(bad), len(bad) or int(rc != 0),
               time.monotonic() - start)


def linted(sheet):
    if shutil.which("cppcheck") is None:
        sheet.skip("cppcheck", "cppcheck is not installed")
        return
    start = time.monotonic()
    rc, out = run(sheet, ["cppcheck", "--std=c11", "--enable=warning,portability", "--inline-suppr",
                   "--error-exitcode=1", "--quiet", "-j", str(os.cpu_count()),
                   "-Icommon/include", "-Icommon/src", "-Icommon/otlp-curl", "-Itests/lib",
                   "-D__linux__", "--suppressions-list=tests/tools/cppcheck.txt", "common/src",
                   "common/otlp-curl", "tests/lib"], 600)
    if rc != 0:
        sheet.tail(out)
    sheet.line("cppcheck", int(rc == 0), int(rc != 0), time.monotonic() - start)


# What the tools must still say of the cases, or the chapter's README is wrong: each
# expression is found in the part about the broken side, or about the fixed one.
SCRIPTS = {
    "ch01-leaks/valgrind.sh": (
        [r"census: tasks 5 ", r"gee_task_spawn: [45] blocks", r"definitely lost: 0 bytes",
         r"20 descriptors are open on http.md$", r"by find \(static.c:\d+\)$",
         r"20 blocks are definitely lost\n +at gee_req_copy ", r"signal handle 0x... \(never closed",
         r"1 block is definitely lost\n +at gee_runtime_init ",
         r"20 blocks are definitely lost\n +at watch_new \(idle.c:"],
        [r"census: tasks 2 ", r"gee_task_spawn: [12] blocks", r"definitely lost: 0 bytes",
         *(rf"  {case}: .*\n    nothing is lost, no descriptor is open$" for case in (
             "static-fd", "group-nesting", "handle-unclosed", "timer-never-stopped"))]),
    "ch01-leaks/asan.sh": (
        [r"static-fd +nothing$", *(rf"{case} +\d+ byte\(s\) leaked in \d+ alloc" for case in (
            "sse-disconnect", "group-nesting", "timer-never-stopped", "handle-unclosed"))],
        [rf"{case} +nothing$" for case in ("sse-disconnect", "static-fd", "group-nesting",
                                           "timer-never-stopped", "handle-unclosed")]),
    "ch01-leaks/tsan.sh": (
        [r"exit code: 1 ", r"reports of TSan: 0$", r"stays for ever, of an idle stream for ever"],
        [r"exit code: 0 ", r"reports of TSan: 0$"]),
    "ch04-pprof/helgrind.sh": (
        [r"in gee_prof_walk, stack.c$", r"in note, prof_task.c$", r"is not seen where it is"],
        [r"reports of Helgrind: 0$"]),
    "ch04-pprof/tsan.sh": (
        [r"reports of TSan: [1-9]", r"signal-unsafe call inside of a signal:\n    malloc\n    take\n",
         r"it waits for malloc; one while samples are read: it waits for the reader$"],
        [r"reports of TSan: 0$"]),
    "ch04-pprof/perf.sh": (
        [r"a second later it stands, in: futex", r"^ +[0-2]\.\d%  import$"],
        [r"a second later it is at work$", r"^ +[1-9][0-9.]*%  report$", r"^ +[1-9][0-9.]*%  import$",
         r"^build/flame/ch04.svg: "]),
    "ch01-leaks/perf.sh": (
        [r"census: tasks 402 ", r"^ +\d+\.\d+%  gee_stream$"],
        [r"census: tasks 2 ", r"^ +none$"]),
}


def scripts(sheet, wanted):
    for script, expected in SCRIPTS.items():
        if not wanted(script):
            continue
        start = time.monotonic()
        rc, out = run(sheet, ["sh", script], 600)
        if rc == 77:
            sheet.skip(script, out.strip().splitlines()[-1])
            continue
        sides = re.split(r"^== fixed", out, flags=re.M)
        missing = [e for side, es in zip(sides, expected) for e in es
                   if not re.search(e, side, re.M)]
        failed = len(missing) if len(sides) == 2 else 1
        if failed:
            sheet.tail(out, 60)
        sheet.line(script, sum(map(len, expected)) - len(missing) if len(sides) == 2 else 0, failed,
                   time.monotonic() - start, f"not said: {missing}" if missing else "")


def shown_of(script):
    """The lines that the chapter's documents show of a script's output."""
    for path in sorted((ROOT / script).parent.glob("*.md")):
        for block in re.findall(rf"^\$ {re.escape(script)}\n(.*?)^```", path.read_text(), re.M | re.S):
            yield from (line for line in block.splitlines() if line.strip() != "...")


def races(sheet):
    """What the tools say of the races, and on which line: by the scripts that a learner calls."""
    for tool, needs in (("tsan", "clang"), ("helgrind", "valgrind"), ("drd", "valgrind")):
        script = f"ch03-races/{tool}.sh"
        command(sheet, script, ["sh", script], needs=needs, shown=list(shown_of(script)))


def browser(sheet):
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        sheet.skip("EventSource in a browser", "chromium is not installed: make test-browser")
    elif make(sheet, "release", "build/release/examples/clock"):
        command(sheet, "EventSource in a browser", [sys.executable, "tests/tools/browser.py"])
    else:
        sheet.line("EventSource in a browser", 0, 1, 0, "it does not build")


def traces(sheet):
    if make(sheet, "debug", "build/debug/ch04-pprof/server.fixed"):
        command(sheet, "traces of a real server", [sys.executable, "tests/tools/trace.py"])
    else:
        sheet.line("traces of a real server", 0, 1, 0, "it does not build")


def readers(sheet):
    if speedscope.missing():
        sheet.skip("a trace in speedscope", f"{speedscope.missing()}: make test-readers")
    elif make(sheet, "debug", "build/debug/ch04-pprof/server.fixed"):
        command(sheet, "a trace in speedscope",
                [sys.executable, "tests/tools/trace.py", "--readers"])
    else:
        sheet.line("a trace in speedscope", 0, 1, 0, "it does not build")


def chapters():
    return sorted(p.name for p in ROOT.glob("ch[0-9][0-9]-*") if p.is_dir())


def built(sheet):
    """What most parts need, at once: who has a limit would not wait for a compiler within it."""
    cases = manifest.select(ROOT, None, None)
    wanted = {
        "debug": [*map(str, programs_of("debug")), *(f"build/debug/{c}/server.{side}" for c in chapters() for side in SIDES),
                  *sorted({f"build/debug/{c.chapter}/{c.program}.{side}" for c in cases for side in SIDES})],
        "release": ["tests", "examples", "build/release/ch04-pprof/hunt/server"],
    }
    for flavour, targets in wanted.items():
        start = time.monotonic()
        good = make(sheet, flavour, *targets)
        sheet.line(f"build, {flavour}", int(good), int(not good), time.monotonic() - start)


def says(name, script, *args, **more):
    """A part that is one of our commands."""
    return lambda sheet: command(sheet, name, [sys.executable, f"tests/tools/{script}", *args], **more)


def flavour(name):
    return lambda sheet: unit(sheet, name)


# In each group what takes longest comes first, so that nothing is waited for at the end.
PARTS = {
    "build": Part(WIDE, built),
    "format": Part(NARROW, formatted),
    "layers": Part(NARROW, says("layers", "layers.py")),
    "docs": Part(NARROW, says("what the documents say of the tree", "docs.py")),
    "cppcheck": Part(NARROW, linted),
    "machine": Part(NARROW, says("the lesson machine itself", "test_lesson.py")),
    "staircase-machine": Part(NARROW, says("the staircase itself", "test_staircase.py")),
    "race-machine": Part(NARROW, says("the judge of the tools' reports", "test_race.py")),
    "matrix-machine": Part(NARROW, says("the judge of the matrix, and what it came to", "test_matrix.py")),
    "suite-machine": Part(NARROW, says("what runs all these", "test_suite.py")),
    "flame": Part(NARROW, says("flame graphs", "flame.py", "--check")),
    "diff": Part(NARROW, says("what a case changes, at most 30 lines", "lesson.py", "diff", "--count")),

    **{f: Part(WIDE, flavour(f), BUILD) for f in FLAVOURS},  # first those that others come after
    "staircase": Part(WIDE, says("the staircase", "staircase.py"), BUILD),
    "workshop": Part(WIDE, says("the workshop: every case, in its packs", "test_workshop.py"),
                     (*BUILD, "tsan", "valgrind")),
    "broken": Part(WIDE, says("check-broken", "lesson.py", "broken"), BUILD),
    "fixed": Part(WIDE, says("check-fixed", "lesson.py", "fixed"), BUILD),
    "fixed-asan": Part(WIDE, says("check-fixed, asan", "lesson.py", "fixed", "--flavour", "asan"), ("asan",)),
    "fixed-tsan": Part(WIDE, says("check-fixed, tsan", "lesson.py", "fixed", "--flavour", "tsan",
                                  needs="clang"), ("tsan",)),
    "fixed-memcheck": Part(WIDE, says("check-fixed, memcheck", "lesson.py", "fixed", "--flavour", "valgrind",
                                      "--under", "valgrind", needs="valgrind"), ("valgrind",)),
    "races": Part(WIDE, races, ("tsan", "valgrind")),

    "transcripts": Part(NARROW, says("what the lessons show of a terminal", "transcripts.py"),
                        (*BUILD, "tsan", "valgrind")),
    "watch": Part(NARROW, says("the workshop's watch, in tmux", "test_watch.py", needs="tmux"), BUILD),
    "gdb": Part(NARROW, says("gdb, live, on a core, at a race", "test_gdb.py", needs="gdb"),
                (*BUILD, "tsan")),
    "examples": Part(NARROW, says("the examples, with curl", "examples.py"), (*BUILD, "asan")),
    "tools": Part(NARROW, lambda sheet: scripts(sheet, lambda s: not s.endswith("/perf.sh")),
                  ("asan", "tsan", "valgrind")),
    "pprof": Part(NARROW, says("go tool pprof on every profile", "pprof.py", needs="go"), BUILD),
    "install": Part(NARROW, says("make install, and programs that use it", "install.py"), BUILD),
    "trace": Part(NARROW, traces, BUILD),
    "readers": Part(NARROW, readers, BUILD),
    "browser": Part(NARROW, browser, BUILD),
    "repairs": Part(NARROW, says("three repairs against each leak", "repairs.py", "--check"), BUILD),
    "census": Part(NARROW, says("the census of the leaks", "census.py"), BUILD),
    "stores": Part(NARROW, says("the comparison of the stores", "stores.py", "--quick"), BUILD),
    "onion": Part(NARROW, says("the picture of a chain, and its trace", "onion.py"), BUILD),
    "timeline": Part(NARROW, says("the picture of a trace", "timeline.py"), BUILD),

    # They judge shares of the CPU, and how often something is done in a second.
    "hunt": Part(ALONE, says("the hunt can be won", "test_hunt.py"), BUILD),
    "cpuprof": Part(ALONE, says("a CPU profile, by go tool pprof and as a flame graph", "cpuprof.py")),
    "perf": Part(ALONE, lambda sheet: scripts(sheet, lambda s: s.endswith("/perf.sh"))),
    "storm": Part(ALONE, says("the profile storm, a few seconds of each", "storm.py", "--seconds", "4")),
}

# Only by name: the last state of the staircase is all of common in the flavour debug, and the
# storm has a command of its own, `make storm`.
BY_NAME = ("debug", "storm")


def main(argv):
    if argv == ["--list"]:
        print(" ".join(PARTS))
        return 0
    unknown = [a for a in argv if a not in PARTS]
    if unknown:
        print(f"no part {', '.join(unknown)}; there are: {' '.join(PARTS)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    names = argv or [p for p in PARTS if p not in BY_NAME]
    sheets = lanes.run({n: PARTS[n] for n in names}).values()
    print(f"\n{time.monotonic() - start:.0f} s")
    skipped = [name for s in sheets for name in s.skipped]
    if skipped:
        print(f"skipped: {', '.join(skipped)}")
    failed = sum(s.failed for s in sheets)
    print(f"{sum(s.passed for s in sheets)} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
