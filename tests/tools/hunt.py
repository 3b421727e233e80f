#!/usr/bin/env python3
"""The hunt of chapter 4: a parcel service with three faults, under load.

  hunt.py run --seed 7 [--seconds 900]      `make hunt SEED=7`: server and load, until the time is
                                            over or Ctrl-C; PORT=8080
  hunt.py check --seed 7 --answer "prices vans scale"   `make hunt-check SEED=7 ANSWER="prices vans scale"`

A suspect is named by its file (prices, prices.c), by a line in it (prices.c:40), or by one of
its functions. The exit code of `check` is 0 when all three are found and nobody else is accused,
1 when not, 2 when the answer is none.
"""

import argparse
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import hunt_load
import making

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "ch04-pprof" / "hunt"
SERVER = ROOT / "build/release/ch04-pprof/hunt/server"
SUSPECTS = ("prices", "topics", "labels", "vans", "scale", "dispatch", "notify", "rates",
            "carriers")
GUILTY = 3

# Said to who has found it: what it does, and where that is seen.
FOUND = {
    "prices": "sorts 40,000 postal codes for every question. The CPU profile has by_code at its "
              "top, and libc's merge sort below it. It waits for nobody, so no list of tasks "
              "shows it.",
    "topics": "keeps a channel for every parcel that anybody has ever asked for. The heap profile "
              "has them by where they were made, and -diff_base of two profiles shows them grow. "
              "No task is too many: they end, and leave this behind.",
    "labels": "holds the mutex while it prints. The mutex profile has nearly all delay at one "
              "line; the list of tasks has a queue there, and its holder asleep.",
    "vans": "takes a van before it looks at the address, and does not bring it back when there is "
            "none. The list of tasks shows some who wait for a van at vans.c, again and again, "
            "and none who drives. Who has lost what they wait for has ended long ago.",
    "scale": "calls the driver from the loop. A trace has slices of 20 ms, and everybody's "
             "wake-ups behind them; the CPU profile says nothing, for the thread sleeps in the "
             "kernel.",
    "dispatch": "looks for orders every millisecond. A trace has its slices, a thousand a second, "
                "each woken by a timer; the server is never idle, though nobody orders.",
    "notify": "tries again at once, each time in a new task. No list shows more than a few of "
              "them; the count of tasks by where they were started grows by thousands, and a "
              "trace has their short lives, one behind the other.",
    "rates": "lets everybody ask who finds the rate too old. Every half a second the list of "
             "tasks has a dozen in blocking work at one line; the block profile has twelve waits "
             "where one would do; others wait for a thread of the pool meanwhile.",
    "carriers": "asks one carrier after the other. In a trace the sub-tasks of a request do not "
                "overlap: five times 15 ms in a row. Nothing is busy, nothing is stuck, nothing "
                "grows.",
}


def build():
    good, said = making.make("release", str(SERVER.relative_to(ROOT)))
    if not good:
        raise SystemExit(f"{said}\nhunt: the server does not build")


class Server:
    """A with-block: it runs inside, and has ended behind it."""

    def __init__(self, *args, port="0"):
        self.process = subprocess.Popen([SERVER, *args], stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "PORT": port})
        said = self.process.stdout.readline().split()
        if not said:
            self.process.wait()
            raise SystemExit(2)
        self.url = said[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


BRIEF = """
{url}  is a parcel service, which nine files serve: ch04-pprof/hunt/*.c. Six of them are
innocent. Find the other three by what the server does, not by reading: each has both ways in it.

  curl {url}/                      what it has to offer
  curl {url}/debug/tasks           what it does; /debug/requests, /debug/routes, /debug/pprof/
  go tool pprof -top {url}/debug/pprof/profile?seconds=5

Then, in another terminal:  make hunt-check SEED={seed} ANSWER="… … …"
It ends in {seconds} s, or by Ctrl-C.
"""


def run(seed, seconds):
    port = os.environ.get("PORT", "8080")
    if not re.fullmatch(r"\d{1,5}", port) or int(port) > 65535:
        print(f"hunt: PORT={port}: 0 to 65535", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build()
    with Server(str(seed), str(seconds + 5), port=port) as server:
        print(BRIEF.format(url=server.url, seed=seed, seconds=seconds), flush=True)
        with hunt_load.Load(server.url) as load:
            end = time.monotonic() + seconds
            try:
                while time.monotonic() < end and server.process.poll() is None:
                    time.sleep(1)
                    left = max(0, end - time.monotonic())
                    line = f"  {load.done} requests, {load.failed} of them failed; {left:.0f} s left"
                    if sys.stdout.isatty():
                        print(f"\r{line} ", end="", flush=True)
            except KeyboardInterrupt:
                pass
            print()
            if server.process.poll() is not None:
                print("hunt: the server has ended by itself", file=sys.stderr)
                return 1
    return 0


def functions(path):
    """Of a C file: its functions, with the lines from and to which they go."""
    found, start, name = {}, 0, None
    for n, line in enumerate(path.read_text().splitlines(), 1):
        head = re.match(r"[a-z].*?\**(\w+)\([^;]*\) \{$", line)
        if head:
            start, name = n, head.group(1)
        elif line == "}" and name:
            found[name], name = (start, n), None
    return found


def suspect(word):
    """Whom a word of the answer accuses; None: nobody."""
    m = re.fullmatch(r"(?:.*/)?(\w+?)(?:\.c)?(?::(\d+))?", word)
    if m and m.group(1) in SUSPECTS:
        lines = len((HERE / f"{m.group(1)}.c").read_text().splitlines())
        return m.group(1) if m.group(2) is None or 0 < int(m.group(2)) <= lines else None
    for s in SUSPECTS:
        if word in functions(HERE / f"{s}.c"):
            return s
    return None


def answer_of(seed):
    out = subprocess.run([SERVER, "--answer", str(seed)], stdout=subprocess.PIPE, text=True,
                         check=True)
    return out.stdout.split()


def check(seed, words):
    accused = {w: suspect(w) for w in words}
    unknown = [w for w, s in accused.items() if s is None]
    if unknown or not words:
        for w in unknown:
            print(f"hunt: {w} is no suspect: name a file of ch04-pprof/hunt (prices), a line "
                  "(prices.c:40) or a function", file=sys.stderr)
        if not words:
            print('hunt: say whom you accuse: ANSWER="prices vans scale"', file=sys.stderr)
        return 2
    named = set(accused.values())
    if len(named) > GUILTY:
        print(f"hunt: {GUILTY} are guilty, and you accuse {len(named)}", file=sys.stderr)
        return 2
    build()
    guilty = set(answer_of(seed))
    for s in sorted(named):
        print(f"{s}: guilty. It {FOUND[s]}" if s in guilty else
              f"{s}: not guilty. What was seen there comes from somebody else.")
    print(f"{len(named & guilty)} of {GUILTY} found")
    return 0 if named == guilty else 1


def main(argv):
    p = argparse.ArgumentParser(prog="hunt", add_help=True)
    p.add_argument("what", choices=("run", "check"))
    p.add_argument("--seed", default=None)
    p.add_argument("--seconds", default="900")
    p.add_argument("--answer", default="")
    args = p.parse_args(argv)
    if args.what == "check" and not args.seed:
        p.error("which hunt? SEED=…, as make hunt has said it")
    seed = args.seed or str(random.randrange(1, 1000))
    if not re.fullmatch(r"\d{1,19}", seed):
        p.error(f"SEED={seed}: a number")
    if not re.fullmatch(r"\d{1,5}", args.seconds) or int(args.seconds) < 1:
        p.error(f"HUNT_S={args.seconds}: seconds, 1 to 99999")
    if args.what == "run":
        return run(int(seed), int(args.seconds))
    return check(int(seed), re.findall(r"[^\s,]+", args.answer))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
