"""The parts of a test run, side by side.

A part is a function that writes on a Sheet. Most parts wait, for a server, a limit, a person that is
played; a few keep all cores busy. Of these at most two run at once, so that one builds while the
programs of the other wait; of the others as many as there is room for, which are two beside two of
them. Who judges shares of the CPU or times has the machine alone, behind all others.

Their output never mixes, and its order is that of the list, whatever ends first: what a part
says is kept until all parts in front of it have ended, and from then on it is said at once.
"""

import concurrent.futures
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

NARROW, WIDE, ALONE = 1, 2, 6  # how much room
ROOM, WIDE_AT_ONCE = 6, 2
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


# --- processes ---

class Running:
    """The processes that are to end when we do."""

    def __init__(self):
        self.pids, self.lock, self.ended = set(), threading.Lock(), False

    def start(self, cmd, out, **more):
        with self.lock:
            if self.ended:
                raise InterruptedError("it was told to end")
            # A session of its own: when its time is up, what it started ends with it.
            p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True, **more)
            self.pids.add(p.pid)
            return p

    def wait(self, p, seconds):
        """(its exit code, or None: out of time; its CPU seconds, and of all it waited for)"""
        late = threading.Event()

        def end():
            late.set()
            os.killpg(p.pid, signal.SIGKILL)
        timer = threading.Timer(seconds, end)
        timer.start()
        os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT)
        timer.cancel()
        timer.join()  # from here on nobody sends a signal to a number that may be another's
        with self.lock:
            self.pids.discard(p.pid)
            _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        return None if late.is_set() else p.returncode, used.ru_utime + used.ru_stime

    def end(self):
        """The second signal is for who cannot be interrupted."""
        self.ended = True
        for signum, seconds in ((signal.SIGINT, 5), (signal.SIGKILL, 5)):
            with self.lock:
                for pid in self.pids:
                    os.killpg(pid, signum)
            last = time.monotonic() + seconds
            while self.pids and time.monotonic() < last:
                time.sleep(0.05)


RUNNING = Running()


# --- what a part says ---

class Sheet:
    """What a part says, and counts; its programs, and the CPU seconds that they have used."""

    def __init__(self, say=print):
        self.passed = self.failed = 0
        self.skipped, self.cpu, self.lock = [], 0.0, threading.Lock()
        self.say = say

    def run(self, cmd, seconds, **more):
        """(exit code, or None: out of time; all that was printed)"""
        with tempfile.TemporaryFile() as out:
            code, cpu = RUNNING.wait(RUNNING.start(cmd, out, **more), seconds)
            out.seek(0)
            said = out.read().decode(errors="replace")
        with self.lock:
            self.cpu += cpu
        return code, said

    def line(self, name, passed, failed, seconds, note=""):
        self.passed += passed
        self.failed += failed
        mark = paint("31", "FAIL") if failed else paint("32", "ok  ")
        self.say(f"{mark} {name:<34} {passed:>4} passed {failed:>3} failed {seconds:6.1f} s "
                 f"{self.cpu:6.1f} s of CPU  {note}".rstrip())
        self.cpu = 0.0

    def skip(self, name, why):
        self.skipped.append(name)
        self.say(f"{paint('33', 'skip')} {name:<34} {why}")

    def tail(self, text, lines=40):
        self.say("\n".join("     | " + l for l in text.rstrip().splitlines()[-lines:]))


class Printer:
    """Of many parts: the first that has not ended speaks, the others' words are kept."""

    def __init__(self, names, out):
        self.names, self.out = list(names), out
        self.kept = {n: [] for n in names}
        self.ended, self.lock = set(), threading.Lock()

    def say(self, name, text):
        with self.lock:
            self.kept[name].append(text)
            self.flush()

    def end(self, name):
        with self.lock:
            self.ended.add(name)
            self.flush()

    def flush(self):
        while self.names:
            for text in self.kept[self.names[0]]:
                print(text, file=self.out, flush=True)
            self.kept[self.names[0]] = []
            if self.names[0] not in self.ended:
                break
            self.names.pop(0)


# --- which runs when ---

class Part:
    """after: parts that make what this one needs, if they are to run at all."""

    def __init__(self, room, fn, after=()):
        self.room, self.fn, self.after = room, fn, after


def perform(name, part, sheet):
    start = time.monotonic()
    try:
        part.fn(sheet)
    except Exception:  # one part's end is not that of the others
        sheet.tail(traceback.format_exc())
        sheet.line(name, 0, 1, time.monotonic() - start, "the part itself failed")


def startable(parts, waiting, running):
    """The first for which there is room; those that need the machine alone stand behind all others."""
    room = ROOM - sum(parts[n].room for n in running)
    wide = sum(parts[n].room == WIDE for n in running)
    for name in sorted(waiting, key=lambda n: parts[n].room == ALONE):
        p = parts[name]
        if p.room <= room and (p.room != WIDE or wide < WIDE_AT_ONCE) and \
                not set(p.after) & {*waiting, *running}:
            return name
    return None


def run(parts, out=None):
    """{name: its Sheet} of {name: Part}."""
    printer = Printer(parts, out or sys.stdout)
    sheets = {n: Sheet(lambda text, n=n: printer.say(n, text)) for n in parts}
    waiting, running = list(parts), {}
    with concurrent.futures.ThreadPoolExecutor(ROOM) as pool:
        try:
            while waiting or running:
                while (name := startable(parts, waiting, running)) is not None:
                    waiting.remove(name)
                    running[name] = pool.submit(perform, name, parts[name], sheets[name])
                if not running:
                    raise ValueError(f"they wait for each other: {', '.join(waiting)}")
                concurrent.futures.wait(running.values(), return_when="FIRST_COMPLETED")
                for name in [n for n, future in running.items() if future.done()]:
                    running.pop(name)
                    printer.end(name)
        except BaseException:
            RUNNING.end()
            raise
    return sheets
