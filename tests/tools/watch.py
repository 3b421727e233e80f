"""make watch: checks a case whenever its file is saved.

A plain program for a terminal: it looks at the files four times a second, draws the whole screen
anew when something has changed, and takes single keys. The check runs on a thread; what is
saved meanwhile is checked behind it. Where there is no terminal it prints each verdict as lines,
and takes the same letters as lines from its standard input.

The terminal is given back as it was found on every way out: q, an exception, INT, TERM, HUP. A
stop (Ctrl-Z) gives it back too, and takes it again.
"""

import concurrent.futures
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import lesson
import manifest
import mine
import notes
import workshop
from lesson import paint

TICK_S = 0.25
KEYS = "h hint   n next   d diff   r reset   q quit"


class Quit(Exception):
    pass


# --- the terminal ---

class Screen:
    """A terminal without echo and lines, and a screen of its own; or no terminal at all."""

    def __init__(self):
        self.fd = sys.stdin.fileno()
        self.rich = sys.stdin.isatty() and sys.stdout.isatty()
        self.drawing = self.rich and os.environ.get("TERM", "dumb") != "dumb"
        self.before = None
        self.resized = False
        self.typed = ""  # and not taken yet

    def __enter__(self):
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(s, self.end)
        if self.rich:
            signal.signal(signal.SIGTSTP, self.suspend)
            signal.signal(signal.SIGWINCH, self.on_resize)
            self.take()
        return self

    def __exit__(self, *_):
        self.give_back()

    def take(self):
        import termios
        import tty
        self.before = termios.tcgetattr(self.fd)
        tty.setcbreak(self.fd, termios.TCSANOW)
        if self.drawing:
            self.write("\033[?1049h\033[?25l")  # a screen beside the shell's, no cursor

    def give_back(self):
        if self.before is None:
            return
        import termios
        if self.drawing:
            self.write("\033[0m\033[?25h\033[?1049l")
        termios.tcsetattr(self.fd, termios.TCSANOW, self.before)
        self.before = None

    def write(self, text):
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            pass  # it is gone; there is nothing to restore

    def end(self, number, _frame):
        raise SystemExit(128 + number)

    def suspend(self, *_):
        self.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.take()
        self.resized = True

    def on_resize(self, *_):
        self.resized = True

    def show(self, lines):
        """All of it, in place of what was there."""
        if not self.drawing:
            self.write("\n".join(lines) + "\n")
            return
        size = shutil.get_terminal_size()
        rows = fit(lines, size.columns, size.lines)
        self.write("\033[H" + "".join(row + "\033[K\r\n" for row in rows[:-1]) + rows[-1] +
                   "\033[K\033[J")

    def key(self, seconds):
        """One key, or ""; where there are no keys, the first letter of a line."""
        if "\n" not in self.typed and select.select([self.fd], [], [], seconds)[0]:
            got = os.read(self.fd, 1 if self.rich else 4096)
            if not got:
                raise EOFError
            self.typed += got.decode(errors="replace")
        if self.rich:
            key, self.typed = self.typed.strip(), ""
            return key
        line, end, rest = self.typed.partition("\n")
        self.typed = rest if end else self.typed
        return line.strip()[:1] if end else ""


ANSI = re.compile(r"\033\[[0-9;?]*[a-zA-Z]")


def cut(line, width):
    """To so many columns; what colours it is not counted."""
    if len(ANSI.sub("", line)) <= width:
        return line
    out, used = "", 0
    for part in re.split(r"(\033\[[0-9;?]*[a-zA-Z])", line):
        if not ANSI.fullmatch(part):
            part = part[:max(0, width - used)]
            used += len(part)
        out += part
    return out + "\033[0m"


def fit(lines, width, height):
    """The last two, which say what can be done, stay; what is too much in front of them goes."""
    rows = [cut(l.expandtabs(), width) for l in lines]
    if len(rows) > height:
        rows = rows[:max(0, height - 3)] + ["... (make the window higher to see more)"] + rows[-2:]
    return rows[-height:] if height > 0 else rows[-1:]


# --- what is watched ---

class Watch:
    def __init__(self, args, chapter, screen):
        self.args, self.chapter, self.screen = args, chapter, screen
        self.cases = manifest.load(args.root, chapter)
        self.progress = notes.Progress(args.root, chapter)
        self.case = self.first()
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.running = self.verdict = None
        self.seen = self.times()
        self.below = []          # lines under the verdict: a hint, a diff
        self.asking = None       # what y does
        self.again = True        # the case is to be checked

    def first(self):
        if self.args.case:
            return next(c for c in self.cases if c.name == self.args.case)
        changed = [c for c in self.cases if workshop.is_changed(self.args, self.progress, c)]
        return next((c for c in [*changed, *self.cases] if not self.done(c)), self.cases[0])

    def done(self, case):
        return workshop.is_done(self.args, self.progress, case)

    def times(self):
        found = {}
        for c in self.cases:
            try:
                st = mine.exercise(self.args, c).stat()
                found[c.name] = (st.st_mtime_ns, st.st_size)
            except OSError:
                found[c.name] = None  # between the two halves of an editor's save, say
        return found

    def look(self):
        """Was something saved? Then that case is the one that one is at."""
        now = self.times()
        changed = [c for c in self.cases if now[c.name] != self.seen[c.name] and now[c.name]]
        self.seen = {k: v or self.seen[k] for k, v in now.items()}
        if changed:
            self.case = self.case if self.case in changed else changed[0]
            self.again, self.below = True, []
        return bool(changed)

    def step(self):
        """Starts a check that is due, or takes what one has found. True: there is news."""
        if self.running and self.running.done():
            verdict = self.running.result()
            self.running = None
            if verdict.case.name == self.case.name and not self.again:
                self.verdict = verdict
                workshop.note(self.args, verdict)
                self.progress = notes.Progress(self.args.root, self.chapter)
                return True
        if self.again and not self.running:
            self.again, self.verdict = False, None
            case = self.case
            self.running = self.pool.submit(lambda: mine.check(self.args, [case])[0])
            return self.screen.drawing
        return False

    # --- keys ---

    def press(self, key):
        if self.asking:
            action, self.asking = self.asking, None
            self.below = action() if key == "y" else []
            return True
        action = {"h": self.hint, "n": self.next, "d": self.diff, "r": self.reset,
                  "q": self.quit}.get(key.lower())
        if action:
            self.below = action() or []
        return action is not None

    def hint(self):
        have = notes.hints(self.args.root, self.case)
        self.progress = notes.Progress(self.args.root, self.chapter)
        p = self.progress.of(self.case.name)
        shown = len(have) if p["repaired_s"] else min(p["hints"] + 1, len(have))
        if not p["repaired_s"]:
            self.progress.note(self.case.name, hints=shown)
        return [line for i, text in enumerate(have[:shown], 1)
                for line in workshop.wrap(f"{i}. {text}").splitlines()] or ["    no hints for this case"]

    def next(self):
        at = self.cases.index(self.case)
        order = self.cases[at + 1:] + self.cases[:at]
        self.case = next((c for c in order if not self.done(c)), order[0] if order else self.case)
        self.again = True

    def diff(self):
        pair = [str(p.relative_to(self.args.root)) for p in
                (mine.original(self.args, self.case), mine.exercise(self.args, self.case))]
        text = subprocess.run(["diff", "-u", *pair], cwd=self.args.root, stdout=subprocess.PIPE,
                              text=True, errors="replace").stdout
        return [paint({"+": "32", "-": "31", "@": "36"}.get(l[:1], "0"), l)
                for l in text.splitlines()] or ["    you have changed nothing yet"]

    def reset(self):
        self.asking = self.really_reset
        return [f"    {self.case.unit_name} as it was at the start? Yours is kept in exercise/backup/. y or n"]

    def really_reset(self):
        kept = workshop.put_back(self.args, self.case)
        self.seen, self.again = self.times(), True
        self.progress = notes.Progress(self.args.root, self.chapter)
        return [f"    yours is {kept}" if kept else "    it was as at the start"]

    def quit(self):
        raise Quit

    # --- what is shown ---

    def mark(self, case):
        here = ">" if case is self.case else " "
        p = self.progress.of(case.name)
        now = self.verdict.kind if self.verdict and case is self.case else p["verdict"]
        if workshop.is_changed(self.args, self.progress, case):
            now += ", changed since"
        text = f"{here} {'x' if self.done(case) else ' '} {case.name:<24} {now.lower()}"
        return paint("32", text) if self.done(case) else text

    def page(self):
        """With the list of cases, if there is room for it."""
        below = list(self.lines())
        head = [paint("1", next(iter(workshop.progress_lines(self.args, self.chapter)))), ""]
        if not self.screen.drawing:
            return head + below
        listed = [*map(self.mark, self.cases), ""]
        room = shutil.get_terminal_size().lines - len(head) - len(below) >= len(listed)
        return head + (listed if room else []) + below

    def lines(self):
        if self.verdict:
            yield from [l for v in workshop.say(self.args, self.verdict) for l in v.splitlines()]
            if self.verdict.kind == mine.REPAIRED:
                yield "    Well done. n: the next one."
        else:
            yield f"{self.case.name}: checking ..." if self.running or self.again else ""
        if self.below:
            yield ""
            yield from self.below
        yield ""
        yield KEYS


def follow(watch, screen):
    draw, keys = True, True
    while True:
        draw = watch.look() or draw
        draw = watch.step() or draw or screen.resized
        if draw:
            screen.resized = False
            if screen.drawing or watch.verdict or watch.below:
                screen.show(watch.page())
            draw = False
        try:
            key = screen.key(TICK_S) if keys else time.sleep(TICK_S)
        except EOFError:
            keys = False  # nobody can press one any more; the files are still saved
            if screen.rich:
                raise Quit from None
            continue
        except InterruptedError:
            continue
        if key:
            draw = watch.press(key)


def run(args, chapter):
    if args.case:
        manifest.select(args.root, chapter, args.case)
    lesson.COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ and \
        os.environ.get("TERM", "dumb") != "dumb"
    screen = Screen()
    watch = Watch(args, chapter, screen)
    try:
        with screen:
            follow(watch, screen)
    except Quit:
        pass
    finally:
        mine.stop()
        watch.pool.shutdown(wait=False, cancel_futures=True)
    print("\n".join(workshop.progress_lines(args, chapter)))
    return 0
