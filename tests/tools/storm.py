#!/usr/bin/env python3
"""The profile storm: everything under /debug, in loops, while a server is under load and memory
comes and goes on all of its threads (storm.c).

  storm.py [--seconds 60] [FLAVOUR...]    release, tsan and valgrind, if none is named

The pages of /debug/pprof/ are read from its index, so a new one is in the storm from its first day.
In each flavour: every request must be answered, in time, with a status that its page may have;
afterwards nothing may be left of it; and the server must end, and be told nothing by its tool. The
last line is `N passed, N failed`.
"""

import argparse
import http.client
import json
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
from collections import Counter

import making

ROOT = pathlib.Path(__file__).resolve().parents[2]
VALGRIND = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full"]
NEEDS = {"release": "gcc", "debug": "gcc", "clang": "clang", "asan": "gcc", "tsan": "clang",
         "valgrind": "valgrind"}
LOAD = ["/task", "/thread", "/tasks"]
OURS = ["/debug/tasks", "/debug/tasks?format=json", "/debug/tasks?leaked=1", "/debug/requests",
        "/debug/routes", "/metrics"]
AT_REST = ("tasks", "timers", "ctxs", "chans", "conns", "reqs", "copies", "bytes")
PATIENCE_S = {"valgrind": 600, "tsan": 300}  # for one answer, on a busy machine; 60 otherwise
REST_S = 20


class Server:
    def __init__(self, flavour, log):
        under = VALGRIND if flavour == "valgrind" else []
        env = {**os.environ, "GEE_WORKERS": "2", "PORT": "0", "GEE_DRAIN_MS": "20s",
               "TSAN_OPTIONS": "exitcode=66 halt_on_error=0",
               "ASAN_OPTIONS": "detect_stack_use_after_return=0"}
        self.p = subprocess.Popen([*under, ROOT / f"build/{flavour}/tests/tools/storm"], env=env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                  text=True)
        said = self.p.stdout.readline().split()
        if not said:
            raise SystemExit("storm.py: the server did not start")
        self.port = int(said[-1].rsplit(":", 1)[1])


class Client(threading.Thread):
    """Asks for one target after another, until it is over, and for each of them once at least."""

    def __init__(self, port, targets, end, patience):
        super().__init__(daemon=True)
        self.port, self.targets, self.end, self.patience = port, targets, end, patience
        self.answers, self.error = Counter(), None

    def run(self):
        connection = None
        i = 0
        while (time.monotonic() < self.end or i < len(self.targets)) and self.error is None:
            target = self.targets[i % len(self.targets)]
            i += 1
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                            timeout=self.patience)
                connection.request("GET", target)
                answer = connection.getresponse()
                answer.read()
                self.answers[target, answer.status] += 1
                if i % 50 == 0 or answer.will_close:  # connections come and go as well
                    connection.close()
                    connection = None
            except TimeoutError:
                self.error = f"{target}: no answer in {self.patience} s"
            except (OSError, http.client.HTTPException) as e:
                self.error = f"{target}: {type(e).__name__} {e}"
        if connection:
            connection.close()


def fetch(port, target, patience):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    connection.request("GET", target)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def census(port, patience):
    return json.loads(fetch(port, "/debug/tasks?format=json", patience)[1])["census"]


def pprof_targets(port, patience):
    """Of each page: for tools, for people, and what changes in a second."""
    page = fetch(port, "/debug/pprof/", patience)[1].decode()
    names = sorted(set(re.findall(r'href="/debug/pprof/([a-z]+)', page)))
    quick, slow = ["/debug/pprof/"], []
    for name in names:
        if name == "profile" or name == "trace":  # without a time it takes its own
            slow += [f"/debug/pprof/{name}?seconds=1"]
        elif name in ("cmdline", "symbol"):
            quick.append(f"/debug/pprof/{name}")
        else:
            quick += [f"/debug/pprof/{name}", f"/debug/pprof/{name}?debug=1",
                      f"/debug/pprof/{name}?debug=2"]
            slow.append(f"/debug/pprof/{name}?seconds=1")
    slow += ["/debug/pprof/profile?seconds=1&hz=1000", "/debug/pprof/profile?seconds=1&debug=1"]
    return quick, slow


def is_expected(target, status):
    return status == 200 or (status == 409 and target.startswith(
        ("/debug/pprof/profile", "/debug/pprof/trace")))


def more_than(base, now):
    return {k: now[k] - base[k] for k in AT_REST if now[k] > base[k]}


def left_over(port, base, patience):
    end = time.monotonic() + REST_S
    while more_than(base, census(port, patience)) and time.monotonic() < end:
        time.sleep(0.2)
    return more_than(base, census(port, patience))


def storm(flavour, seconds):
    """What went wrong, as lines; and what was done, in words."""
    wrong, log = [], tempfile.TemporaryFile("w+", errors="replace")
    server = Server(flavour, log)
    patience = PATIENCE_S.get(flavour, 60)
    try:
        for target in [*LOAD, *OURS]:
            fetch(server.port, target, patience)
        quick, slow = pprof_targets(server.port, patience)
        base = census(server.port, patience)
        end = time.monotonic() + seconds
        lists = [LOAD, LOAD[::-1], LOAD, OURS, quick, quick[::-1], slow, slow[::-1], slow]
        clients = [Client(server.port, targets, end, patience) for targets in lists]
        for c in clients:
            c.start()
        for c in clients:
            c.join(seconds + 3 * patience)
        wrong += [c.error for c in clients if c.error]
        wrong += ["a client hangs" for c in clients if c.is_alive()]
        answers = sum((c.answers for c in clients), Counter())
        wrong += [f"{t}: {n} times {s}" for (t, s), n in answers.items() if not is_expected(t, s)]
        if not wrong:
            left = left_over(server.port, base, patience)
            wrong += [f"left over: {left}"] if left else []
        profiles = sum(n for (t, s), n in answers.items()
                       if t.startswith("/debug/pprof/profile") and s == 200)
        done = (f"{sum(answers.values())} answers, {sum(n for (t, _), n in answers.items() if t not in LOAD)} "
                f"of them of /debug, {profiles} CPU profiles")
        server.p.send_signal(signal.SIGTERM)
        rc = server.p.wait(patience)
        wrong += [f"the server ended with {rc}"] if rc != 0 else []
    except (OSError, http.client.HTTPException, subprocess.TimeoutExpired) as e:
        wrong.append(f"{type(e).__name__}: {e}")
        done = "cut short"
    finally:
        if server.p.poll() is None:
            server.p.kill()
            server.p.wait()
    log.seek(0)
    said = log.read().strip()
    if said:
        wrong.append("it said:\n" + "\n".join(said.splitlines()[:60]))
    return wrong, done


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("flavours", nargs="*", metavar="FLAVOUR")
    args = p.parse_args()
    unknown = [f for f in args.flavours if f not in NEEDS]
    if unknown:
        p.error(f"no flavour {', '.join(unknown)}; there are: {' '.join(NEEDS)}")
    passed = failed = 0
    for flavour in args.flavours or ["release", "tsan", "valgrind"]:
        if shutil.which(NEEDS[flavour]) is None:
            print(f"skipped: {flavour}: {NEEDS[flavour]} is not installed")
            continue
        good, said = making.make(flavour, f"build/{flavour}/tests/tools/storm")
        if not good:
            print(said)
            failed += 1
            continue
        print(f"{flavour}: a storm of {args.seconds:.0f} s", flush=True)
        wrong, done = storm(flavour, args.seconds)
        print(f"  {done}: {'no deadlock, no crash, at rest afterwards' if not wrong else 'WRONG'}")
        for w in wrong:
            print(f"  {w}")
        passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
