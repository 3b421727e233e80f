#!/usr/bin/env python3
"""A test of make watch, driven through tmux as a learner drives it.

In a pack of chapter 1: it starts, a file is saved, the verdict comes, a hint, the next case, a diff,
a reset, and it ends; by q, by signals, and when it fails inside. Behind each the terminal is as it
was: its settings, the shell's screen, the cursor. And without a terminal it prints lines.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pack
from test_workshop import ROOT, Checks

WIDTH, HEIGHT = 100, 30


class Terminal:
    """A shell in a tmux of its own."""

    def __init__(self, cwd):
        self.name = f"gee-watch-{os.getpid()}"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT),
                  "-c", str(cwd), "env", "PS1=ready> ", "sh")
        self.wait("ready>")

    def tmux(self, *args):
        return subprocess.run(["tmux", "-L", self.name, *args], check=True, stdout=subprocess.PIPE,
                              text=True, env={**os.environ, "TERM": "xterm-256color"}).stdout

    def close(self):
        self.tmux("kill-server")

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def enter(self, command):
        self.type(command)
        self.tmux("send-keys", "Enter")

    def wait(self, pattern, seconds=30):
        """The screen, once it has that; or as it is when time is up."""
        end = time.monotonic() + seconds
        while True:
            seen = self.screen()
            if re.search(pattern, seen, re.M) or time.monotonic() > end:
                return seen
            time.sleep(0.1)

    def ask(self, command):
        """What a command prints, by a file: it must not disturb the screen that is compared."""
        out = pathlib.Path(tempfile.gettempdir()) / f"{self.name}.out"
        out.unlink(missing_ok=True)
        self.enter(f"clear; {command} >{out}.new 2>&1; mv {out}.new {out}")
        end = time.monotonic() + 20
        while not out.exists() and time.monotonic() < end:
            time.sleep(0.05)
        text = out.read_text() if out.exists() else "no answer"
        out.unlink(missing_ok=True)
        return text

    def state(self):
        """What a program may leave behind: the settings, the alternate screen, the cursor. Not the
        size of the window, which this test changes."""
        return re.sub(r"rows \d+; columns \d+;", "", self.ask("stty -a")), self.tmux(
            "display-message", "-p", "#{alternate_on} #{cursor_flag} #{keypad_flag} #{mouse_any_flag}")


def has(check, what, seen, pattern):
    check(what, re.search(pattern, seen, re.M), seen)


def session(check, term, tree):
    exercise = tree / "ch01-leaks/exercise"
    before = term.state()
    term.enter("make watch CH=01")
    seen = term.wait("^STILL BROKEN", 90)
    has(check, "it starts where nobody has, and checks the first case", seen,
        r"^STILL BROKEN +sse-disconnect")
    has(check, "the chapter at a glance", seen, r"0 of 10 repaired +\[\.{10}\]")
    check("it is on a screen of its own", term.state_now() == "1 0", term.state_now())
    start = time.monotonic()
    (exercise / "sse.c").write_text("int;\n")
    seen = term.wait("^DOES NOT BUILD")
    has(check, "a save that does not compile", seen, r"sse\.c:1.*error")
    check(f"and within seconds ({time.monotonic() - start:.1f})", time.monotonic() - start < 15)
    new = exercise / "sse.c.new"
    shutil.copyfile(ROOT / "ch01-leaks/fixed/sse.c", new)
    new.rename(exercise / "sse.c")  # as many editors save
    seen = term.wait(r"^REPAIRED")
    has(check, "a repair, saved", seen, r"^REPAIRED +sse-disconnect")
    has(check, "and the chapter", seen, r"1 of 10 repaired +\[#\.{9}\]")
    term.type("n")
    seen = term.wait(r"^STILL BROKEN +static-fd")
    has(check, "n: the next one", seen, r"^> +static-fd")
    term.type("h")
    has(check, "h: a hint", term.wait(r"^ +1\. "), r"^ +1\. Follow one request")
    term.type("h")
    has(check, "h again: one more", term.wait(r"^ +2\. "), r"^ +2\. ")
    text = (exercise / "static.c").read_text()
    (exercise / "static.c").write_text(text + "/* my line */\n")
    term.wait(r"checking", 3)
    term.wait(r"^STILL BROKEN +static-fd")
    term.type("d")
    has(check, "d: what I have changed", term.wait(r"^\+/\* my line"), r"^\+/\* my line \*/")
    term.type("r")
    has(check, "r asks", term.wait("y or n"), "y or n")
    term.type("x")
    check("and does nothing without a y", "my line" in (exercise / "static.c").read_text())
    term.type("r")
    term.wait("y or n")
    term.type("y")
    has(check, "r, y: as it was, and mine is kept", term.wait("kept: "), r"kept: .*backup/static\.c\.")
    check("it is", (exercise / "static.c").read_text() == text)
    term.tmux("resize-window", "-x", "60", "-y", "12")
    seen = term.wait("^h hint")
    has(check, "in a small window the keys stay", seen, r"^h hint.*q quit")
    term.tmux("resize-window", "-x", str(WIDTH), "-y", str(HEIGHT))
    term.type("q")
    seen = term.wait(r"ready>\s*$")
    has(check, "q: it ends, and says how far one is", seen, r"ch01-leaks: 1 of 10 repaired")
    check("the terminal is as it was", term.state() == before, (before, term.state()))


def ends(check, term, tree):
    """Each way out that is not q."""
    before = term.state()
    pids = tree / "pid"
    run = ("python3 -c 'import os, sys; open(\"pid\", \"w\").write(str(os.getpid())); "
           "sys.path.insert(0, \"tests/tools\"); import watch, workshop; {} "
           "sys.exit(workshop.main([\"watch\", \"01\"]))'")
    fails = "watch.Watch.look = lambda self: 1 / 0;"
    for what, setup, send in (("TERM", "", signal.SIGTERM), ("INT", "", signal.SIGINT),
                              ("HUP", "", signal.SIGHUP), ("an exception", fails, None)):
        pids.unlink(missing_ok=True)
        term.enter("clear; " + run.format(setup))
        if send:
            term.wait("^STILL BROKEN|^REPAIRED")
            os.kill(int(pids.read_text()), send)
        seen = term.wait(r"ready>\s*$")
        if not send:
            has(check, "an exception is told", seen, "ZeroDivisionError")
        check(f"{what}: the terminal is as it was", term.state() == before, (seen, term.state()))
    term.enter("clear; " + run.format(""))
    term.wait("^STILL BROKEN|^REPAIRED")
    term.tmux("send-keys", "C-z")
    has(check, "Ctrl-Z gives it back", term.wait(r"ready>\s*$"), r"ready>\s*$")
    check("as it was", term.state() == before, term.state())
    term.enter("fg")
    has(check, "and fg takes it again", term.wait("^h hint"), "^h hint")
    term.tmux("send-keys", "C-c")
    term.wait(r"ready>\s*$")
    check("Ctrl-C: the terminal is as it was", term.state() == before, term.state())


def without_a_terminal(check, tree):
    p = subprocess.Popen(["make", "-s", "watch", "CASE=group-nesting"], cwd=tree, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    guard = threading.Timer(60, p.terminate)
    guard.start()
    seen = ""
    while "STILL BROKEN" not in seen:
        line = p.stdout.readline()
        seen += line
        if not line:
            break
    has(check, "without a terminal: a verdict", seen, "^STILL BROKEN +group-nesting")
    p.stdin.write("h\nq\n")
    p.stdin.close()
    seen = p.stdout.read()
    check("h and q are lines; and no escape sequence", p.wait() == 0 and "1. Where do the" in seen
          and "\033" not in seen, seen)
    guard.cancel()


def dumb(check, term):
    term.enter("clear; TERM=dumb make -s watch CASE=group-nesting")
    has(check, "TERM=dumb: lines, and single keys", term.wait("^STILL BROKEN"), "^STILL BROKEN")
    term.type("q")
    has(check, "q", term.wait(r"ready>\s*$"), r"ready>\s*$")


def main():
    if shutil.which("tmux") is None:
        print("skipped: tmux is not installed")
        return 77
    check, start = Checks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gee-watch-") as tmp:
        tree = pathlib.Path(tmp)
        pack.make_tree(ROOT, tree, "ch01-leaks", ["debug"])
        term = Terminal(tree)
        term.state_now = lambda: term.tmux("display-message", "-p",
                                           "#{alternate_on} #{cursor_flag}").strip()
        try:
            session(check, term, tree)
            ends(check, term, tree)
            dumb(check, term)
        finally:
            term.close()
        without_a_terminal(check, tree)
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
