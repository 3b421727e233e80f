"""The half of stopped.py that runs inside gdb, behind gee-gdb.py.

TSan calls __tsan_on_report when it has written a report, in the task that made the later of the two
accesses: so that task stands right there. The earlier one is history. TSan has kept its stack, and
its task may be anywhere by now, or gone. TSan names it by a number of its own. That belongs to a
fiber, and the runtime names each fiber after its task: so gdb watches both calls, and knows a task
by that number when it is no more. (ThreadStart, which has the number, is not part of TSan's
interface. Without it the tasks are shown by their names alone.)
"""

import contextlib
import io
import json
import os
import pathlib
import re
import sys

import gdb

ROOT = pathlib.Path.cwd()
sys.path.insert(0, str(ROOT / "tests/tools"))
import manifest  # noqa: E402
import race  # noqa: E402

WANTED = json.loads(os.environ["GEE_STOPPED"])
PAIRS = manifest.select(ROOT, None, WANTED["case"])[0].race.variants["broken"].pairs
ARGUMENTS = {"i386:x86-64": ("rdi", "rsi"), "aarch64": ("x0", "x1")}
ACCESS = re.compile(r"^  (?:Previous )?([\w ]+?) of size (\d+) at \w+ by (?:thread T(\d+)|(main thread))")
FRAME = re.compile(r"^    #\d+ (?P<function>.*?) (?P<place>[^\s(]+) \(")
HIDDEN = re.compile(r"#\d+ +(?:0x\w+ in )?(?:__tsan|__sanitizer|__interceptor)")


def arguments():
    frame = gdb.newest_frame()
    return [int(frame.read_register(r)) for r in ARGUMENTS[frame.architecture().name()]]


class Numbers(gdb.Breakpoint):
    """ThreadStart(fiber, number, …)"""

    of = {}

    def stop(self):
        fiber, number = arguments()
        self.of[fiber] = number & 0xffffffff
        return False


class Names(gdb.Breakpoint):
    """__tsan_set_fiber_name(fiber, name), and the name is in the task."""

    tasks = {}  # by TSan's number: id, name, where it was created

    def stop(self):
        fiber, name = arguments()
        t = container(gdb.Value(name), "struct gee_task", "name")  # noqa: F821 (gee-gdb.py)
        self.tasks[Numbers.of.get(fiber)] = int(t["id"]), t["name"].string(), t["created_at"].string()
        return False


def report():
    """The latest one: its text, where its two accesses are, and whether it is the race."""
    logs = pathlib.Path(WANTED["log"]).parent.glob("tsan.*")
    texts = re.findall(r"^WARNING: ThreadSanitizer:.*?^SUMMARY:", "".join(
        p.read_text(errors="replace") for p in logs), re.M | re.S)
    accesses = list(race.tsan_reports(ROOT, texts[-1] if texts else ""))
    return texts[-1] if texts else "", any(race.matches(a, p) for a in accesses for p in PAIRS)


def accesses(text):
    """(what, T's number, lines of its stack) of the later one and of the earlier one"""
    for block in text.split("\n\n"):
        for i, line in enumerate(block.splitlines()):
            found = ACCESS.match(line)
            if found:
                frames = [m.groups() for m in map(FRAME.match, block.splitlines()[i + 1:]) if m]
                yield found[1].lower(), found[3] and int(found[3]), frames
                break


def shorter(place):
    return re.sub(r":(\d+):\d+$", r":\1", place).replace(f"{ROOT}/", "")


def first_place(frames):
    """As race.py takes a report apart: below what libc or TSan does for us."""
    for _, place in frames:
        path, _, line = shorter(place).partition(":")
        if line and (ROOT / path).is_file():
            return f"{path}:{line}", (ROOT / path).read_text().splitlines()[int(line) - 1].strip()
    return "somewhere", ""


def who(text, number):
    """As it was when its fiber began."""
    if number is None:
        return "no task: main, or the loop"
    if number in Names.tasks:
        id_, name, site = Names.tasks[number]
        return f"task {id_} \"{name}\", created at {site}"
    return re.search(rf"^  Thread T{number} ('[^']*')?", text, re.M)[1] or "a thread"


def show(text):
    print(f"{WANTED['title']}: {WANTED['test']} stands at the race\n")
    both = list(zip(accesses(text), ("now", "before")))
    for (what, number, frames), when in both:
        place, source = first_place(frames)
        print(f"{when:<7} {what:<6} {place}  {source}")
        print(f"{'':<7} by {who(text, number)}")
    moment = Moment()  # noqa: F821
    alive = {Numbers.of.get(int(t.at["fiber"])): t for t in moment.tasks if int(t.at["fiber"])}
    for (what, number, frames), when in both:
        task = alive.get(number)
        print(f"\n{task.describe() if task else who(text, number) + ', has ended'}")
        if when == "before":
            print(f"its {what}, as TSan remembers it:")
            for i, (function, place) in enumerate(frames):
                print(f"  #{i:<2} {function} at {shorter(place)}")
        if task:
            print("where it is now:")
            stack(task)


def stack(task):
    gdb.execute("set print address off")
    with OnStack(task) as on:  # noqa: F821
        for line in on.backtrace("bt -frame-arguments presence").splitlines():
            if not HIDDEN.match(line):
                print(f"  {line}")
    gdb.execute("set print address on")


def main():
    for setting in ("pagination off", "breakpoint pending off", "print thread-events off", "width 0"):
        gdb.execute(f"set {setting}")
    gdb.execute("handle SIGPIPE nostop noprint pass", to_string=True)
    gdb.Breakpoint("__tsan_on_report", internal=True)
    try:
        Numbers("__tsan::ThreadStart", internal=True)
        Names("__tsan_set_fiber_name", internal=True)
    except (gdb.error, RuntimeError):
        pass
    gdb.execute("run")
    while gdb.selected_inferior().pid:
        text, is_it = report()
        if is_it:
            seen = io.StringIO()
            with contextlib.redirect_stdout(seen):
                show(text)
            pathlib.Path(WANTED["out"]).write_text(seen.getvalue())
            print(f"\n{seen.getvalue()}")
            return
        gdb.execute("continue")


main()
if gdb.parameter("confirm") is False and gdb.selected_inferior().pid:
    gdb.execute("kill")
