#!/usr/bin/env python3
"""`make test`: everything that a change must pass, a line for each part.

The parts run one after the other; inside a part, programs run in parallel over
the cores. A part is a command that ends with a line `N passed, N failed`, or the
cmocka programs of one flavour, those of common and those of chapters that are no case's
(manifest.py), whose tests are counted one by one. A
program that crashes, times out, or is told off by its tool counts as failed
even if all its tests passed. What a missing tool prevents is named and counted
as skipped. The last line is `N passed, N failed`.

  suite.py [PART...]     suite.py --list
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import manifest
import speedscope

ROOT = pathlib.Path(__file__).resolve().parents[2]
OK = re.compile(r"^\[\s+OK \] (\S+)", re.M)
FAILED = re.compile(r"^\[  FAILED  \] (\w+)$", re.M)
TOTAL = re.compile(r"^(\d+) passed, (\d+) failed", re.M)
FLAVOURS = {  # flavour: what it needs, seconds a program may take
    "release": ("gcc", 60), "clang": ("clang", 60), "debug": ("gcc", 60),
    "asan": ("gcc", 120), "tsan": ("clang", 180), "valgrind": ("valgrind", 300),
}
VALGRIND = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
            "--child-silent-after-fork=yes"]
TSAN = "exitcode=66 halt_on_error=0 second_deadlock_stack=1"
ASAN = "detect_stack_use_after_return=0 fast_unwind_on_malloc=0"
# It counts samples of CPU time, and under Valgrind signals come when Valgrind has time for them.
NOT_UNDER = {"valgrind": ("test_prof_cpu",)}
TOOK = {}  # program: seconds, in the latest flavour
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Tally:
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []

    def line(self, name, passed, failed, seconds, note=""):
        self.passed += passed
        self.failed += failed
        mark = paint("31", "FAIL") if failed else paint("32", "ok  ")
        print(f"{mark} {name:<34} {passed:>4} passed {failed:>3} failed  {seconds:6.1f} s  {note}",
              flush=True)

    def skip(self, name, why):
        self.skipped.append(name)
        print(f"{paint('33', 'skip')} {name:<34} {why}", flush=True)


def run(cmd, seconds, env=None):
    """The exit code (None: out of time) and all that was printed."""
    try:
        p = subprocess.run(cmd, cwd=ROOT, env={**os.environ, **(env or {})}, timeout=seconds,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace")
        return p.returncode, p.stdout
    except subprocess.TimeoutExpired as e:
        out = e.stdout or b""
        return None, out.decode(errors="replace") if isinstance(out, bytes) else out


def tail(text, lines=40):
    print("\n".join("     | " + l for l in text.rstrip().splitlines()[-lines:]), flush=True)


def make(*args):
    rc, out = run(["make", "--no-print-directory", "-j", str(os.cpu_count()), *args], 1200)
    if rc != 0:
        tail(out)
    return rc == 0


def one_program(path, flavour, seconds):
    cmd = (VALGRIND if flavour == "valgrind" else []) + [str(path)]
    start = time.monotonic()
    rc, out = run(cmd, seconds, {"TSAN_OPTIONS": TSAN, "ASAN_OPTIONS": ASAN})
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


def unit(tally, flavour):
    needs, seconds = FLAVOURS[flavour]
    if shutil.which(needs) is None:
        tally.skip(f"common, {flavour}", f"{needs} is not installed")
        return
    start = time.monotonic()
    caseless = [f"build/{flavour}/{p}.fixed" for p in manifest.caseless(ROOT)]
    if not make(f"FLAVOUR={flavour}", "tests", *caseless):
        tally.line(f"common, {flavour}", 0, 1, time.monotonic() - start, "it does not build")
        return
    programs = sorted((ROOT / "build" / flavour / "tests" / "common").glob("test_*"))
    programs = [p for p in programs if p.suffix == ""] + [ROOT / p for p in caseless]
    for name in NOT_UNDER.get(flavour, ()):
        programs = [p for p in programs if p.name != name]
        tally.skip(f"{name}, {flavour}", "it counts samples, and here they come late")
    # What took long in the flavour before goes first, so that nothing is waited for at the end.
    programs.sort(key=lambda p: -TOOK.get(p.name, 0))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        results = list(pool.map(lambda p: one_program(p, flavour, seconds), programs))
    TOOK.update({r[0]: r[3] for r in results})
    for name, _, failed, _, why, out in results:
        if failed:
            print(f"     {name}: {why}")
            tail(out)
    slow = max(results, key=lambda r: r[3])
    tally.line(f"common, {flavour}", sum(r[1] for r in results), sum(r[2] for r in results),
               time.monotonic() - start, f"slowest: {slow[0]} {slow[3]:.1f} s")


def command(tally, name, cmd, seconds=900, needs=None, shown=()):
    """shown: lines that it has to print, since a document says so."""
    if needs and shutil.which(needs) is None:
        tally.skip(name, f"{needs} is not installed")
        return
    start = time.monotonic()
    rc, out = run(cmd, seconds)
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
        tail(out)
    tally.line(name, passed, failed, time.monotonic() - start, note)


def formatted(tally):
    files = sorted(str(p.relative_to(ROOT)) for d in ("common", "tests", *chapters())
                   for p in (ROOT / d).rglob("*.[ch]") if not p.is_symlink())
    # Another version formats otherwise, and would find fault with every file.
    version = run(["clang-format", "--version"], 10)[1] if shutil.which("clang-format") else "none"
    if "version 14." not in version:
        tally.skip("clang-format", "the code is formatted by version 14; this is " +
                   (re.search(r"[\d.]+", version) or ["not installed"])[0])
        return
    start = time.monotonic()
    rc, out = run(["clang-format", "--dry-run", "-Werror", *files], 120)
    bad = sorted(set(re.findall(r"^([^:\s]+\.[ch]):", out, re.M)))
    if bad:
        tail("\n".join(bad))
    tally.line("clang-format", len(files) - len(bad), len(bad) or int(rc != 0),
               time.monotonic() - start)


def linted(tally):
    if shutil.which("cppcheck") is None:
        tally.skip("cppcheck", "cppcheck is not installed")
        return
    start = time.monotonic()
    rc, out = run(["cppcheck", "--std=c11", "--enable=warning,portability", "--inline-suppr",
                   "--error-exitcode=1", "--quiet", "-j", str(os.cpu_count()),
                   "-Icommon/include", "-Icommon/src", "-Icommon/otlp-curl", "-Itests/lib",
                   "-D__linux__", "--suppressions-list=tests/tools/cppcheck.txt", "common/src",
                   "common/otlp-curl", "tests/lib"], 600)
    if rc != 0:
        tail(out)
    tally.line("cppcheck", int(rc == 0), int(rc != 0), time.monotonic() - start)


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
        [r"a second later it stands, in: futex", r"^ +0\.0%  import$"],
        [r"a second later it is at work$", r"^ +[1-9][0-9.]*%  report$", r"^ +[1-9][0-9.]*%  import$",
         r"^build/flame/ch04.svg: "]),
    "ch01-leaks/perf.sh": (
        [r"census: tasks 402 ", r"^ +\d+\.\d+%  gee_stream$"],
        [r"census: tasks 2 ", r"^ +none$"]),
}


def scripts(tally):
    for script, expected in SCRIPTS.items():
        start = time.monotonic()
        rc, out = run(["sh", script], 180)
        if rc == 77:
            tally.skip(script, out.strip().splitlines()[-1])
            continue
        sides = re.split(r"^== fixed", out, flags=re.M)
        missing = [e for side, es in zip(sides, expected) for e in es
                   if not re.search(e, side, re.M)]
        failed = len(missing) if len(sides) == 2 else 1
        if failed:
            tail(out, 60)
        tally.line(script, sum(map(len, expected)) - len(missing) if len(sides) == 2 else 0, failed,
                   time.monotonic() - start, f"not said: {missing}" if missing else "")


def shown_of(script):
    """The lines that the chapter's documents show of a script's output."""
    for path in sorted((ROOT / script).parent.glob("*.md")):
        for block in re.findall(rf"^\$ {re.escape(script)}\n(.*?)^```", path.read_text(), re.M | re.S):
            yield from (line for line in block.splitlines() if line.strip() != "...")


def races(tally):
    """What the tools say of the races, and on which line: by the scripts that a learner calls."""
    for tool, needs in (("tsan", "clang"), ("helgrind", "valgrind"), ("drd", "valgrind")):
        script = f"ch03-races/{tool}.sh"
        command(tally, script, ["sh", script], needs=needs, shown=list(shown_of(script)))


def browser(tally):
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        tally.skip("EventSource in a browser", "chromium is not installed: make test-browser")
    elif make("FLAVOUR=release", "build/release/examples/clock"):
        command(tally, "EventSource in a browser", [sys.executable, "tests/tools/browser.py"])
    else:
        tally.line("EventSource in a browser", 0, 1, 0, "it does not build")


def traces(tally):
    if make("FLAVOUR=debug", "build/debug/ch04-pprof/server.fixed"):
        command(tally, "traces of a real server", [sys.executable, "tests/tools/trace.py"])
    else:
        tally.line("traces of a real server", 0, 1, 0, "it does not build")


def readers(tally):
    if speedscope.missing():
        tally.skip("a trace in speedscope", f"{speedscope.missing()}: make test-readers")
    elif make("FLAVOUR=debug", "build/debug/ch04-pprof/server.fixed"):
        command(tally, "a trace in speedscope",
                [sys.executable, "tests/tools/trace.py", "--readers"])
    else:
        tally.line("a trace in speedscope", 0, 1, 0, "it does not build")


def chapters():
    return sorted(p.name for p in ROOT.glob("ch[0-9][0-9]-*") if p.is_dir())


def lesson(*args):
    return [sys.executable, "tests/tools/lesson.py", *args]


PARTS = {
    "format": formatted,
    "layers": lambda t: command(t, "layers", [sys.executable, "tests/tools/layers.py"]),
    "docs": lambda t: command(t, "what the documents say of the tree",
                              [sys.executable, "tests/tools/docs.py"]),
    "cppcheck": linted,
    **{f: (lambda t, f=f: unit(t, f)) for f in FLAVOURS},
    "machine": lambda t: command(t, "the lesson machine itself",
                                 [sys.executable, "tests/tools/test_lesson.py"]),
    "race-machine": lambda t: command(t, "the judge of the tools' reports",
                                      [sys.executable, "tests/tools/test_race.py"]),
    "staircase-machine": lambda t: command(t, "the staircase itself",
                                           [sys.executable, "tests/tools/test_staircase.py"]),
    "matrix-machine": lambda t: command(t, "the judge of the matrix, and what it came to",
                                        [sys.executable, "tests/tools/test_matrix.py"]),
    "workshop": lambda t: command(t, "the workshop: every case, in its packs",
                                  [sys.executable, "tests/tools/test_workshop.py"]),
    "watch": lambda t: command(t, "the workshop's watch, in tmux",
                               [sys.executable, "tests/tools/test_watch.py"], needs="tmux"),
    "broken": lambda t: command(t, "check-broken", lesson("broken")),
    "fixed": lambda t: command(t, "check-fixed", lesson("fixed")),
    "diff": lambda t: command(t, "what a case changes, at most 30 lines", lesson("diff", "--count")),
    "staircase": lambda t: command(t, "the staircase", [sys.executable, "tests/tools/staircase.py"]),
    "census": lambda t: command(t, "the census of the leaks",
                                [sys.executable, "tests/tools/census.py"]),
    "fixed-asan": lambda t: command(t, "check-fixed, asan", lesson("fixed", "--flavour", "asan")),
    "fixed-tsan": lambda t: command(t, "check-fixed, tsan", lesson("fixed", "--flavour", "tsan"),
                                    needs="clang"),
    "fixed-memcheck": lambda t: command(t, "check-fixed, memcheck",
                                        lesson("fixed", "--flavour", "valgrind", "--under",
                                               "valgrind"), needs="valgrind"),
    "repairs": lambda t: command(t, "three repairs against each leak",
                                 [sys.executable, "tests/tools/repairs.py", "--check"]),
    "stores": lambda t: command(t, "the comparison of the stores",
                                [sys.executable, "tests/tools/stores.py", "--quick"]),
    "transcripts": lambda t: command(t, "what the lessons show of a terminal",
                                     [sys.executable, "tests/tools/transcripts.py"]),
    "cpuprof": lambda t: command(t, "a CPU profile, by go tool pprof and as a flame graph",
                                 [sys.executable, "tests/tools/cpuprof.py"]),
    "flame": lambda t: command(t, "flame graphs", [sys.executable, "tests/tools/flame.py", "--check"]),
    "storm": lambda t: command(t, "the profile storm, a few seconds of each",
                               [sys.executable, "tests/tools/storm.py", "--seconds", "4"]),
    "tools": scripts,
    "onion": lambda t: command(t, "the picture of a chain, and its trace",
                               [sys.executable, "tests/tools/onion.py"]),
    "timeline": lambda t: command(t, "the picture of a trace",
                                  [sys.executable, "tests/tools/timeline.py"]),
    "races": races,
    "gdb": lambda t: command(t, "gdb, live, on a core, at a race",
                             [sys.executable, "tests/tools/test_gdb.py"], needs="gdb"),
    "examples": lambda t: command(t, "the examples, with curl",
                                  [sys.executable, "tests/tools/examples.py"]),
    "pprof": lambda t: command(t, "go tool pprof on every profile",
                               [sys.executable, "tests/tools/pprof.py"], needs="go"),
    "install": lambda t: command(t, "make install, and programs that use it",
                                 [sys.executable, "tests/tools/install.py"]),
    "browser": browser,
    "trace": traces,
    "hunt": lambda t: command(t, "the hunt can be won", [sys.executable, "tests/tools/test_hunt.py"]),
    "readers": readers,
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
    tally = Tally()
    start = time.monotonic()
    for part in argv or [p for p in PARTS if p not in BY_NAME]:
        PARTS[part](tally)
    print(f"\n{time.monotonic() - start:.0f} s")
    if tally.skipped:
        print(f"skipped: {', '.join(tally.skipped)}")
    print(f"{tally.passed} passed, {tally.failed} failed", flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
