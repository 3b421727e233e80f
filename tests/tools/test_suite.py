#!/usr/bin/env python3
"""A test of what runs all parts: is each failure counted, does no output mix, is the room kept?

The parts here are small programs of its own. The last line is `N passed, N failed`.
"""

import concurrent.futures
import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import lanes
import making
import suite
from lanes import ALONE, NARROW, WIDE, Part
from test_workshop import Checks


def python(text):
    return [sys.executable, "-c", text]


def command(text, seconds=20, **more):
    return lambda sheet: suite.command(sheet, "it", python(text), seconds, **more)


def perform(parts):
    """(the sheets, what was printed)"""
    out = io.StringIO()
    return lanes.run(parts, out), out.getvalue()


# --- what is counted ---

def counted(check):
    def crash(sheet):
        raise RuntimeError("the part itself")
    for what, fn, passed, failed, says in (
            ("that passes", command("print('3 passed, 0 failed')"), 3, 0, r"^ok +it +3 passed"),
            ("that fails", command("print('why\\n2 passed, 1 failed'); exit(1)"), 2, 1, r"\| why$"),
            ("that fails, and says that it does not", command("print('2 passed, 0 failed'); exit(1)"), 2, 1,
             r"exit code 1$"),
            ("that says nothing", command(""), 0, 1, r"exit code 0$"),
            ("that a signal ends", command("import os; os.abort()"), 0, 1, r"exit code -6$"),
            ("that hangs", command("import time; time.sleep(60)", 1), 0, 1, r"out of time after 1 s$"),
            ("that hangs behind its result", command(
                "import time; print('5 passed, 0 failed', flush=True); time.sleep(60)", 1), 5, 1, "out of time"),
            ("that is broken itself", crash, 0, 1, r"RuntimeError: the part itself$"),
            ("whose tool is missing", command("", needs="no-such-tool"), 0, 0, "^skip +it +no-such-tool")):
        start = time.monotonic()
        sheets, out = perform({"one": Part(NARROW, fn), "two": Part(NARROW, command("print('1 passed, 0 failed')"))})
        got = sheets["one"]
        check(f"a part {what}", (got.passed, got.failed) == (passed, failed) and re.search(says, out, re.M) and
              sheets["two"].passed == 1 and time.monotonic() - start < 30, out)
    _, out = perform({"one": Part(NARROW, command("while __import__('time').process_time() < 0.5: pass\n"
                                                  "print('1 passed, 0 failed')"))})
    cpu = re.search(r"([\d.]+) s of CPU", out)
    check("its CPU seconds", cpu and 0.4 < float(cpu[1]) < 5, out)


def nothing_stays(check, tmp):
    """What a part that is out of time has started ends with it."""
    pid = tmp / "pid"
    perform({"one": Part(NARROW, command(
        f"import subprocess, time\np = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(pid)!r}, 'w').write(str(p.pid))\ntime.sleep(60)", 3))})
    check("what it has started ends with it", pid.exists() and gone(int(pid.read_text())))


def gone(pid, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if "\nState:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text():
            return True
        time.sleep(0.05)
    return False


def ended(check, tmp):
    """A signal ends the run, and its programs, also one that takes no notice."""
    for what, first in (("its programs", ""), ("one that cannot be interrupted", "trap '' INT; ")):
        pid = tmp / what
        cmd = ["sh", "-c", first + 'echo $$ >pid; mv pid "$0"; exec sleep 60', str(pid)]
        p = subprocess.Popen(python(
            "import signal, sys; sys.path.insert(0, 'tests/tools'); import lanes\n"
            "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
            f"lanes.run({{'one': lanes.Part(1, lambda sheet: sheet.run({cmd!r}, 60, cwd={str(tmp)!r}))}})"),
            cwd=suite.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end and not pid.exists():
            time.sleep(0.05)
        p.send_signal(signal.SIGTERM)
        check(f"SIGTERM ends it, and {what}", p.wait(30) != 0 and gone(int(pid.read_text())))


# --- what is printed ---

def in_order(check):
    """The one behind ends first; its words come behind all the same, and in one piece."""
    second_has_ended = threading.Event()

    def first(sheet):
        sheet.say("first, 1")
        second_has_ended.wait(20)
        sheet.line("first", 0, 1, 0)
        sheet.tail("why\nit failed")

    def second(sheet):
        sheet.say("second, 1")
        sheet.line("second", 1, 0, 0)
        second_has_ended.set()
    for _ in range(20):
        second_has_ended.clear()
        _, out = perform({"one": Part(NARROW, first), "two": Part(NARROW, second)})
        said = [" ".join(line.split()[:2]) for line in out.splitlines()]
        if said != ["first, 1", "FAIL first", "| why", "| it", "second, 1", "ok second"]:
            break
    check("the output is in the order of the list, and does not mix", "ok second" in said[-1:] and
          said[0] == "first, 1" and said[1] == "FAIL first", out)
    seen = io.StringIO()

    def watched(sheet):
        sheet.say("at once")
        sheet.line("watched", *((1, 0) if "at once" in seen.getvalue() else (0, 1)), 0)
    check("who is first speaks at once", lanes.run({"one": Part(NARROW, watched)}, seen)["one"].passed == 1,
          seen.getvalue())

    def noisy(sheet, n):
        for i in range(200):
            sheet.say(f"part {n} line {i}\n     | of {n}")
            if i % 50 == 0:
                time.sleep(0.001)
    _, out = perform({str(n): Part(NARROW, lambda sheet, n=n: noisy(sheet, n)) for n in range(8)})
    wanted = [line for n in range(8) for i in range(200) for line in (f"part {n} line {i}", f"     | of {n}")]
    check("eight that all speak", out.splitlines() == wanted, out[:500])


# --- who runs beside whom ---

class Watch:
    """Who has run beside whom."""

    def __init__(self):
        self.now, self.beside, self.most, self.lock = set(), {}, 0, threading.Lock()
        self.begun = []

    def part(self, name, seconds=0.02):
        def fn(sheet):
            with self.lock:
                self.begun.append(name)
                for other in self.now:
                    self.beside.setdefault(name, set()).add(other)
                    self.beside.setdefault(other, set()).add(name)
                self.now.add(name)
                self.most = max(self.most, len(self.now))
            time.sleep(seconds)
            with self.lock:
                self.now.discard(name)
        return fn


def room(check):
    for _ in range(10):
        w = Watch()
        parts = {"alone1": Part(ALONE, w.part("alone1"))}
        for i in range(6):
            parts |= {f"wide{i}": Part(WIDE, w.part(f"wide{i}")),
                      f"narrow{i}": Part(NARROW, w.part(f"narrow{i}"))}
        parts["alone2"] = Part(ALONE, w.part("alone2"))
        lanes.run(parts, io.StringIO())
        if w.beside.get("alone1") or w.beside.get("alone2") or w.most < 3 or w.most > lanes.ROOM:
            break
    check("who wants the machine alone has it", not w.beside.get("alone1") and not w.beside.get("alone2"), w.beside)
    check("behind all others", set(w.begun[-2:]) == {"alone1", "alone2"}, w.begun)
    check("others run side by side, while there is room", 3 <= w.most <= lanes.ROOM, w.most)
    check("each runs once", sorted(w.begun) == sorted(parts), w.begun)
    w = Watch()
    lanes.run({f"wide{i}": Part(WIDE, w.part(f"wide{i}", 0.1)) for i in range(5)}, io.StringIO())
    check("of those that keep all cores busy two", w.most == lanes.WIDE_AT_ONCE, w.most)
    w = Watch()
    lanes.run({"late": Part(NARROW, w.part("late"), ("early", "not asked for")),
               "early": Part(NARROW, w.part("early", 0.2))}, io.StringIO())
    check("one that comes after another", w.begun == ["early", "late"] and not w.beside, (w.begun, w.beside))
    try:
        lanes.run({"a": Part(NARROW, w.part("a"), ("b",)), "b": Part(NARROW, w.part("b"), ("a",))}, io.StringIO())
        check("two that wait for each other are an error", False)
    except ValueError as e:
        check("two that wait for each other are an error", "wait for each other" in str(e), e)


def makes(check, tmp):
    """Two makes of a flavour, one after the other; of two flavours, side by side."""
    (tmp / "Makefile").write_text(
        "build/debug/one: one\none two:\n\t@mkdir build/at-$(FLAVOUR) || { echo two at once; false; }; sleep 0.3; "
        "ls -d build/at-*; rmdir build/at-$(FLAVOUR)\n")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        same = list(pool.map(lambda t: making.make("debug", t, root=tmp), ("one", "two", "one", "two")))
        other = list(pool.map(lambda f: making.make(f, "one", root=tmp), ("debug", "asan")))
    check("two makes of one flavour: one at a time", all(good for good, _ in same), same)
    check("of two flavours: side by side", all(good for good, _ in other) and
          any("at-asan" in said and "at-debug" in said for _, said in other), other)
    script = tmp / "tests/tools/x.sh"
    script.parent.mkdir(parents=True)
    script.write_text(f". {suite.ROOT}/tests/tools/server.sh\ncd {tmp}\nbuild debug one && echo built\n")
    with making.lock("debug", tmp):
        p = subprocess.Popen(["sh", str(script)], stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        waits = p.poll() is None
    check("a script of a chapter waits for it, too", waits and p.wait(20) == 0)


def main():
    check, start = Checks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gee-suite-") as tmp:
        tmp = pathlib.Path(tmp)
        counted(check)
        nothing_stays(check, tmp)
        ended(check, tmp)
        in_order(check)
        room(check)
        makes(check, tmp)
    unknown = {a for p in suite.PARTS.values() for a in p.after} - set(suite.PARTS)
    check("what a part comes after is a part", not unknown, unknown)
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
