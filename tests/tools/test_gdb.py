#!/usr/bin/env python3
"""A test of gdb's half of the project: gee-gdb.py on a live server and on its core files, and
ch03-races/stopped.sh on every case of races.

The server is that of chapter 3 with one broken unit, in which tasks park in known places and stay
there: three in `reader-reentry`. In `wrong-thread` it ends by a signal, and what the kernel leaves of
it is read. A line is known by what stands in it, and looked up in the source.

  test_gdb.py      exit code 77: gdb is missing; the last line is `N passed, N failed`
"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lesson
import manifest
import race
from test_lesson import Checks

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHAPTER = "ch03-races"
GDB = ["gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off",
       "-x", str(ROOT / "common/gdb/gee-gdb.py")]
CORE_PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern")
SECONDS = 60


def gdb(*args):
    """Commands are those behind `--`. What was printed, errors included, without gdb's own greeting."""
    at = args.index("--")
    commands = [a for c in args[at + 1:] for a in ("-ex", c)]
    p = subprocess.run([*GDB, *map(str, args[:at]), *commands], stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
                       errors="replace")
    return p.stdout


def place(path, words, nth=0):
    """path:line of the nth line that has these words."""
    lines = (ROOT / path).read_text().splitlines()
    return f"{path}:{[i + 1 for i, text in enumerate(lines) if words in text][nth]}"


class Server:
    """The chapter's, with one broken unit and two workers."""

    def __init__(self, flavour, unit, cwd=ROOT):
        self.program = ROOT / f"build/{flavour}/{CHAPTER}/server.only-{unit}"
        self.process = subprocess.Popen(
            [self.program], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**os.environ, "PORT": "0", "GEE_WORKERS": "2"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
            if resource.getrlimit(resource.RLIMIT_CORE)[1] == resource.RLIM_INFINITY else None)
        self.url = (self.process.stdout.readline().split() or [""])[-1]
        self.pid, self.visitors = self.process.pid, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in [*self.visitors, self.process]:
            p.kill()
            p.wait()
            p.stdout.close()

    def curl(self, path, *args):
        return self.visit(path, *args).communicate()[0]

    def visit(self, path, *args):
        p = subprocess.Popen(["curl", "-s", "-m", "30", "--noproxy", "*", *args, self.url + path],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.visitors.append(p)
        return p

    def tasks(self):
        return self.curl("/debug/tasks")

    def comes(self, words, times=1):
        """Are they in /debug/tasks, or soon?"""
        end = time.monotonic() + 20
        while self.tasks().count(words) < times:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


def number_of(name, out):
    """Of the task with this name, in `gee tasks`."""
    found = re.search(rf'^task (\d+) .*\n +"{re.escape(name)}"', out, re.M)
    return found[1] if found else "none"


def stack_has(out, *frames):
    """Are these among its frames, in this order? A frame is a function and a place."""
    pattern = ".*?".join(rf"^#\d+ +(?:0x\w+ in )?{re.escape(function)} \([^\n]*\) at {re.escape(at)}$"
                         for function, at in frames)
    return re.search(pattern, out, re.M | re.S) is not None


def parked_frames(flavour="debug"):
    """The task's name, and where it is, innermost first. An optimised function that ends in a call
    has left by then: switch_mail_off."""
    flags, server = f"{CHAPTER}/broken/flags.c", f"{CHAPTER}/server.c"
    last = 2 if flavour == "debug" else 1
    asks = ("gee_flags_ask", place(flags, "gee_rwmutex_rlock(ctx"))
    return {
        "nightly_job": (asks, ("gee_flags_ask", place(flags, "rc = gee_flags_ask(")),
                        ("nightly_job", place(server, 'gee_flags_ask(ctx, flags, "invoices"'))),
        "switch_mail_off": (("gee_flags_switch", place(flags, "gee_rwmutex_lock(ctx", 1)),
                            ("switch_mail_off", place(server, "gee_flags_switch(ctx")))[:last],
        "GET /mail": (asks, ("mail", place(server, 'gee_flags_ask(gee_req_ctx(req), flags, "mail"'))),
    }


def check_tasks(check, flavour, kind, where):
    """where: how gdb comes to the process."""
    title, parked = f"{flavour}, {kind}", parked_frames(flavour)
    listed = gdb(*where, "--", "gee tasks", "gee workers")
    for name, frames in parked.items():
        check(f"{title}: gee tasks has \"{name}\", at its line", re.search(
            rf'^task \d+ +waiting .* at {re.escape(frames[0][1])}\n +"{name}", worker \d, created at ',
            listed, re.M), listed)
    check(f"{title}: it has the request", "request: GET /mail, for " in listed, listed)
    check(f"{title}: gee workers has both, and their threads", len(set(re.findall(
        r"^worker [01]: (thread \d+) \(LWP \d+\), runs no task; tasks \d", listed, re.M))) == 2, listed)
    names = list(parked)
    out = gdb(*where, "--", *(f"gee task {number_of(n, listed)} bt" for n in names), "gee task all bt",
              f"gee task {number_of('nightly_job', listed)} frame function nightly_job", "bt 1")
    stacks = re.split(r"^(?=#\d+ +(?:0x\w+ in )?gee_task_switch_out )", out, flags=re.M)[1:]
    for name, stack in zip(names, stacks):
        check(f"{title}: gee task N bt of \"{name}\"", stack_has(stack, *parked[name]) and
              "make_fcontext" not in stack, out)
    check(f"{title}: gee task all bt has all", all(sum(stack_has(s, *f) for s in stacks) >= 2
                                                   for f in parked.values()), out)
    check(f"{title}: another command on its stack", stack_has(
        out, ("nightly_job", parked["nightly_job"][-1][1])), out)
    check(f"{title}: behind it the thread has its own stack again", "epoll_wait" in
          out.rsplit("nightly_job", 1)[-1] or "syscall" in out.rsplit("nightly_job", 1)[-1], out)


def stuck(server):
    """Three tasks that stay where they are. The job's rule takes two seconds, and the switch has to
    come within: where the machine is that slow, once more."""
    asks, switches = (parked_frames()[n][0][1] for n in ("nightly_job", "switch_mail_off"))
    for _ in range(5):
        server.curl("/nightly", "-X", "POST")
        server.comes('"nightly_job"')
        server.curl("/mail/off", "-X", "POST")
        if server.comes(switches):
            server.visit("/mail")
            if server.comes(asks, 2):
                return
    raise RuntimeError(f"no circle comes about: {server.tasks()}")


def live_and_core(check, flavour, work):
    with Server(flavour, "flags") as s:
        stuck(s)
        check_tasks(check, flavour, "live", ("-p", s.pid))
        on_its_way = s.visit("/hello/you")  # takes two seconds, gdb takes one of them
        time.sleep(0.3)
        core = work / "saved.core"
        out = gdb("-p", s.pid, "--", f"gee core {core}")
        check(f"{flavour}: gee core FILE", re.search(rf"^saved {core}, with the stacks of \d tasks",
                                                     out, re.M), out)
        seen = s.tasks()
        check(f"{flavour}: the server goes on: all tasks are where they were",
              all(f'"{n}"' in seen for n in parked_frames()), seen)
        check(f"{flavour}: and so does a request that was on its way",
              on_its_way.communicate()[0] == "hello, you\n")
        if flavour == "debug":
            bad_input(check, s, work)
            without_stacks(check, s, work)
        check(f"{flavour}: behind all that it serves", s.curl("/whoami") == "you are 127.0.0.1\n")
    check_tasks(check, flavour, "core", (s.program, core))
    core.unlink()


def without_stacks(check, server, work):
    """What gcore makes lacks them, and gee-gdb.py says so."""
    core = work / "plain.core"
    out = gdb("-p", server.pid, "--", f"gcore {core}")
    if not core.exists():
        return check("gcore saves a core", False, out)
    listed = gdb(server.program, core, "--", "gee tasks")
    n = number_of("nightly_job", listed)
    out = gdb(server.program, core, "--", f"gee task {n} bt")
    check("gcore's own file: it says what is missing",
          "`gee core` makes one that does not" in listed if n == "none" else
          "`gee core` makes one that does" in out or "is not in memory, or not in the core" in out,
          listed + out)
    core.unlink()


BAD = {
    "gee task 999 bt": r"^There is no task 999: `gee tasks` lists those that there are\.$",
    "gee task": r"^Usage: gee task N\|all \[COMMAND\], where N is a number that `gee tasks` shows\.$",
    "gee task nix bt": r"^Usage: gee task N\|all ",
    "gee task -1": r"^Usage: gee task N\|all ",
    "gee task 1 nix": r'^Undefined command: "nix"',
    "gee ctxs": r"^Usage: gee ctxs N,",
    "gee ctxs 999": r"^There is no task 999:",
    "gee tasks 7": r"^Usage: gee tasks",
    "gee workers 7": r"^Usage: gee workers",
    "gee core": r"^Usage: gee core FILE$",
    "gee core /nowhere/core": r"^Failed to open '/nowhere/core' for output\.",
    "gee nix": r"^There is no `gee nix`: ",
}


def bad_input(check, server, work):
    mark = "=====\n"
    all_said = gdb("-p", server.pid, "--", *(c for command in [*BAD, "gee tasks"]
                                             for c in (f"echo {mark}", command))).split(mark)[1:]
    for (command, pattern), out in zip(BAD.items(), all_said):
        check(f"bad input: {command}", re.search(pattern, out, re.M) and "Traceback" not in out and
              "Python Exception" not in out, out)
    check("bad input: and behind it the tasks", '"nightly_job"' in all_said[-1], all_said[-1])
    with contextlib.ExitStack() as stack:
        other = subprocess.Popen(["sleep", "60"])
        stack.callback(other.wait)
        stack.callback(other.kill)
        out = gdb("-p", other.pid, "--", "gee tasks")
    check("a program that has no libgee",
          re.search(r"^This program has no libgee in it\.$", out, re.M), out)
    out = gdb(server.program, "--", "gee tasks")
    check("no process", re.search(r"^There is no process: run the program, attach to it, or open a "
                                  r"core file\.$", out, re.M), out)
    out = gdb(server.program, "--", "break main", "run", "gee task all bt", "kill")
    check("a process in front of gee_run", re.search(r"^No task exists: ", out, re.M), out)
    bare = work / "bare"
    subprocess.run(["strip", "-o", bare, server.program], check=True)
    out = gdb(bare, "--", "starti", "gee tasks", "kill")
    check("a program without debug information", "Traceback" not in out and re.search(
        r"^This (libgee has no debug information|program has no libgee)", out, re.M), out)


def crash(check, work):
    """The kernel's core of a server that a signal has ended."""
    pattern = CORE_PATTERN.read_text().strip()
    limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if not re.fullmatch(r"[\w.%-]+", pattern) or limit != resource.RLIM_INFINITY:
        print(f"     not asked: a core of the kernel's; its core_pattern is {pattern!r}, the limit {limit}")
        return
    with Server("debug", "deadline", cwd=work) as s:
        s.curl("/quote")
        code = s.process.wait(20)
    cores = [p for p in work.iterdir() if p.name.startswith("core")]
    check("a crash leaves a core", code == -signal.SIGABRT and len(cores) == 1, f"{code}, {cores}")
    if not cores:
        return
    out = gdb(s.program, cores[0], "--", "gee tasks", "gee task all bt")
    server, unit = f"{CHAPTER}/server.c", f"{CHAPTER}/broken/deadline.c"
    running = re.search(r'^task \d+ +running.*\n +"near_exchange", worker 1,.*', out, re.M | re.S)
    check("crash: the task that has brought it about", running and stack_has(
        out, ("gee_ctx_stop_timer", place(unit, "gee_timer_stop(")),
        ("near_exchange", place(server, "gee_ctx_cancel(q->asking"))), out)
    # far_exchange has been woken, and may be gone.
    check("crash: who waits for it", stack_has(
        out, ("quote", place(server, "gee_waitgroup_wait(NULL, &q.answered)"))), out)


def stopped(case):
    """The arguments, and what stopped.sh says."""
    p = subprocess.run(["sh", f"{CHAPTER}/stopped.sh", *case], cwd=ROOT, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2 * SECONDS)
    return case, p.returncode, p.stdout


def check_stopped(check, case, args, code, out):
    races = case.race.variants["broken"]
    title = " ".join(args)
    workers = "two" if "--two" in args else "one"
    why = races.none or case.race.why_not.get("tsan") or case.race.why_not.get(workers)
    if why:
        return check(f"stopped.sh {title}: none, and why", code == 2 and why in out, out)
    at = re.findall(r"^(?:now|before) +[\w ]*?(?:read|write) +(\S+):(\d+)  \S", out, re.M)
    report = [(path, int(line)) for path, line in at]
    check(f"stopped.sh {title}: it stands at the recorded pair", code == 0 and
          any(race.matches(report, pair) for pair in races.pairs), out)
    now, _, before = out.partition(", as TSan remembers it:")
    remembered = re.findall(r"^  #\d+ +\S+ at (\S+):(\d+)$", before, re.M)
    check(f"stopped.sh {title}: both by a task, with their stacks",
          len(re.findall(r'^ +by task \d+ "[^"]+", created at \S+:\d+$', out, re.M)) == 2 and
          stack_of(now, report[:1]) and (report[1][0], str(report[1][1])) in remembered, out)


def stack_of(out, report):
    """The stack of the one that stands there goes through its line."""
    path, line = report[0] if report else ("", 0)
    return re.search(rf"^  #\d+ .*\) at {re.escape(path)}:{line}$", out, re.M)


def all_stopped(check):
    if shutil.which("clang") is None:
        print("     not asked: stopped.sh; clang is not installed")
        return
    cases = {c.name: c for c in manifest.select(ROOT, CHAPTER, None) if c.race}
    asked = [*((name,) for name in cases), ("keys-unlocked", "--two"), ("copy-shallow", "--two")]
    stopped(asked[0])  # one builds at a time
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for args, code, out in pool.map(stopped, asked):
            check_stopped(check, cases[args[0]], args, code, out)
    for args, words in ((["nix"], "nix"), (["sse-disconnect"], "is not about a race")):
        _, code, out = stopped(args)
        check(f"stopped.sh {args[0]}: an error", code == 2 and words in out and
              "Traceback" not in out, out)


def build():
    for flavour, units in (("debug", ("flags", "deadline")), ("release", ("flags",))):
        targets = [f"build/{flavour}/{CHAPTER}/server.only-{u}" for u in units]
        args = lesson.parse(["list", "--flavour", flavour])
        if not lesson.make(args, targets):
            return False
    return True


def main():
    if shutil.which("gdb") is None:
        print("gdb is not installed (package gdb)", file=sys.stderr)
        return 77
    check, start = Checks(), time.monotonic()
    if not build():
        print("it does not build\n0 passed, 1 failed")
        return 1
    with tempfile.TemporaryDirectory(prefix="gee-gdb-") as tmp:
        work = pathlib.Path(tmp)
        for flavour in ("debug", "release"):
            live_and_core(check, flavour, work)
        crash(check, work)
    all_stopped(check)
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
