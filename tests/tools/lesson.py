#!/usr/bin/env python3
"""The lesson machine: do the broken chapters break, each case for its own reason,
and does the repaired framework pass?

  lesson.py broken [CH] [--case CASE]   each case must be REPRODUCED, each decoy REJECTED
  lesson.py fixed [CH] [--case CASE]    each case must be CLEAN
  lesson.py diff [CH] [--case CASE]     what a repair changes; --count: in how many lines of code,
                                        of which 30 may be, or `lines` of the manifest
  lesson.py serve broken|fixed CH       the chapter's server, on $PORT or 8080; broken with
                                        --case CASE: with that defect alone
  lesson.py list

A test runs in a process of its own, with a limit. On the broken side there are
three outcomes. REPRODUCED: that test, and no other, failed, and what it printed has
the signature of the manifest. NOT REPRODUCED: it passed. WRONG FAILURE: anything
else, another assertion, a signal, a time-out, a report of a sanitizer, no such
test. Only the first is a success; a decoy is judged in the same way.
The last line is `N passed, N failed`.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import making
import manifest
from manifest import ManifestError

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
FAILED = re.compile(r"^\[  FAILED  \] (\w+)$", re.M)
PASSED = re.compile(r"^\[       OK \] (\w+)$", re.M)
TOOL = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|^==\d+==.*ERROR"
                  r"|^==\d+== *(?:Invalid |Conditional jump|Use of uninit|Syscall param|Mismatched "
                  r"|Jump to the invalid|Process terminating)", re.M)
# cmocka catches a signal and then reports an ordinary failure of the test.
SIGNAL = re.compile(r"Test failed with exception: .*")
GOOD = {"REPRODUCED", "REJECTED", "CLEAN"}
VALGRIND = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
            "--child-silent-after-fork=yes"]
SLOWER = {"asan": 3, "tsan": 5, "valgrind": 10}  # how many times the limit


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


# --- running one test ---

RUNNING = set()  # the tests' processes, for who ends before them


def run_test(program, test, seconds, env, under, tool=()):
    """(exit code or None, output, seconds); test None: all; tool: a command in front of it"""
    # timeout(1) behind our own limit: a test that hangs ends even if this process does not live
    # to end it. A session of its own, so that what the test started ends with it.
    cmd = ["timeout", "-s", "KILL", str(seconds + 5)]
    cmd += [*(VALGRIND if under == "valgrind" else tool), str(program), *([test] if test else [])]
    start = time.monotonic()
    p = subprocess.Popen(cmd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         errors="replace", start_new_session=True)
    RUNNING.add(p)
    try:
        out, _ = p.communicate(timeout=seconds)
        code = p.returncode
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, _ = p.communicate()
        code = None
    finally:
        RUNNING.discard(p)
    return code, out, time.monotonic() - start


def judge_failure(code, out, test, signature, seconds):
    """Why this is not a failure of `test` with `signature`; "" if it is."""
    if code is None:
        return f"out of time after {seconds} s"
    if code < 0:
        return f"ended by signal {-code} ({signal.Signals(-code).name})"
    if TOOL.search(out):
        return "a tool reported something else: " + TOOL.search(out).group(0)
    if SIGNAL.search(out):
        return SIGNAL.search(out).group(0)
    failed = set(FAILED.findall(out))
    if not failed and not PASSED.findall(out):
        return f"no test {test} was run"
    if failed != {test}:
        return f"failed: {', '.join(sorted(failed)) or 'nothing'}, exit code {code}"
    if not re.search(signature, out, re.M):
        return "it failed for another reason than its own"
    return ""


def judge_broken(good, bad, code, out, test, signature, seconds):
    if code == 0 and PASSED.findall(out) == [test]:
        return bad, ""
    why = judge_failure(code, out, test, signature, seconds)
    return ("WRONG FAILURE", why) if why else (good, "")


def judge_fixed(code, out, test, seconds):
    if code == 0 and PASSED.findall(out) == [test] and not TOOL.search(out):
        return "CLEAN", ""
    if code is None:
        return "NOT CLEAN", f"out of time after {seconds} s"
    return "NOT CLEAN", f"exit code {code}"


# --- jobs: one for each test of each variant ---

class Job:
    def __init__(self, case, test, signature, variant, outcomes, note):
        self.case, self.test, self.signature = case, test, signature
        self.variant, self.outcomes, self.note = variant, outcomes, note

    @property
    def target(self):
        return f"{self.case.chapter}/{self.case.program}.{self.variant}"

    @property
    def title(self):
        kind = self.variant[6:] if self.variant.startswith("decoy-") else self.test
        return f"{self.case.chapter[:4]} {self.case.name}: {kind}"


def jobs_of(cases, side):
    jobs = []
    for c in cases:
        for test, signature in zip(c.tests, c.signatures):
            outcomes = ("REPRODUCED", "NOT REPRODUCED") if side == "broken" else None
            note = c.symptom if outcomes else "nothing is left over"
            jobs.append(Job(c, test, signature, side, outcomes, note))
        for d in c.decoys if side == "broken" else []:
            jobs.append(Job(c, c.tests[0], d.signature, f"decoy-{d.name}",
                            ("REJECTED", "NOT REJECTED"), d.why))
    return jobs


def perform(job, args, build):
    seconds = job.case.seconds * SLOWER.get("valgrind" if args.under else args.flavour, 1)
    env = {"GEE_SEED": str(args.seed)} if args.seed else {}
    env["ASAN_OPTIONS"] = "detect_stack_use_after_return=0 fast_unwind_on_malloc=0"
    env["TSAN_OPTIONS"] = "exitcode=66"
    code, out, took = run_test(build / job.target, job.test, seconds, env, args.under)
    if job.outcomes:
        verdict, why = judge_broken(*job.outcomes, code, out, job.test, job.signature, seconds)
    else:
        verdict, why = judge_fixed(code, out, job.test, seconds)
    return verdict, why, out, took


# --- building, and that the right unit was linked ---

def run_make(args, targets):
    """(it builds, what the compiler said, seconds)"""
    start = time.monotonic()
    good, said = making.make(args.flavour, *targets, root=args.root)
    return good, re.sub(r"^  (CC|LD|AR) .*\n", "", said, flags=re.M), time.monotonic() - start


def make(args, targets):
    good, said, took = run_make(args, targets)
    if not good:
        print(said, end="")
    elif took > 1 and sys.stdout.isatty():  # for who has waited
        print(f"built in {took:.0f} s", flush=True)
    return good


def symbols(path):
    out = subprocess.run(["nm", "-g", "--defined-only", "-P", str(path)], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[0] for line in out.splitlines() if len(line.split()) > 1}


def compare_symbols(cases, args, build):
    """A replacement must define what the unit defines: with less, both would be linked."""
    errors = []
    for c in cases:
        unit = symbols(build / "common/src" / f"{c.unit[:-2]}.o")
        for path in (f"broken/{c.unit_name[:-2]}.o", *(f"decoys/{d.name}.o" for d in c.decoys)):
            own = symbols(build / c.chapter / path)
            if own != unit:
                errors.append(f"{c.chapter}/{path[:-2]}.c: " + ", ".join(
                    [f"does not define {s}" for s in sorted(unit - own)] +
                    [f"defines {s} as well" for s in sorted(own - unit)]))
    return errors


# --- commands ---

# It ends by itself when who started it is gone, however that ended.
LOOP = "import os; p = os.getppid()\nwhile os.getppid() == p: pass"


class Load:
    """Two busy loops, to be slow and unlucky with."""

    def __init__(self, wanted):
        self.wanted, self.processes = wanted, []

    def __enter__(self):
        for _ in range(2 if self.wanted else 0):
            self.processes.append(subprocess.Popen([sys.executable, "-c", LOOP]))

    def __exit__(self, *_):
        for p in self.processes:
            p.kill()
            p.wait()


def report(job, verdicts, why, out, took):
    good = all(v in GOOD for v in verdicts)
    verdict = next((v for v in verdicts if v not in GOOD), verdicts[0])
    times = f" {sum(v in GOOD for v in verdicts)} of {len(verdicts)}" if len(verdicts) > 1 else ""
    print(f"{paint('32' if good else '31', f'{verdict:<14}')}{times} {job.title:<58} {took:5.1f} s  "
          f"{job.note if good else why}", flush=True)
    if not good:
        print("\n".join("     | " + line for line in out.rstrip().splitlines()[-25:]), flush=True)
    return result(job, verdicts, why, took)


def result(job, verdicts, why, took):
    verdict = next((v for v in verdicts if v not in GOOD), verdicts[0])
    return {"chapter": job.case.chapter, "case": job.case.name, "test": job.test,
            "variant": job.variant, "verdict": verdict, "passed": verdict in GOOD, "runs": len(verdicts),
            "good": sum(v in GOOD for v in verdicts), "why": why, "seconds": round(took, 3)}


def write_json(args, results):
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=1) + "\n")


def repeat(job, args, build, pool):
    runs = [pool.submit(perform, job, args, build) for _ in range(args.repeat)]
    return job, runs


def check(args, side):
    cases = manifest.select(args.root, args.chapter, args.case)
    jobs = jobs_of(cases, side)
    build = args.root / "build" / args.flavour
    print(f"{side}: {len(cases)} case{'s' * (len(cases) != 1)}, flavour {args.flavour}; building",
          flush=True)
    if not make(args, sorted({f"build/{args.flavour}/{j.target}" for j in jobs})):
        print(f"{paint('31', 'WRONG FAILURE')} it does not build\n0 passed, {len(jobs)} failed")
        write_json(args, [result(j, ["WRONG FAILURE"], "it does not build", 0) for j in jobs])
        return 1
    errors = compare_symbols(cases, args, build) if side == "broken" else []
    for e in errors:
        print(f"{paint('31', 'WRONG FAILURE')} {e}")
    results = []
    with Load(args.load), concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for job, runs in [repeat(j, args, build, pool) for j in jobs]:
            done = [r.result() for r in runs]
            bad = next((d for d in done if d[0] not in GOOD), done[0])
            results.append(report(job, [d[0] for d in done], bad[1], bad[2],
                                  max(d[3] for d in done)))
    write_json(args, results)
    passed = sum(r["passed"] for r in results)
    failed = len(results) - passed + len(errors)
    if any(r["verdict"] == "NOT REPRODUCED" for r in results):
        print("NOT REPRODUCED: its test passes. That is how a repair looks from here.")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def code_of(text):
    """The lines of C that are more than comment and space."""
    def keep(m):
        return m.group(0) if m.group(0)[0] in "\"'" else " " + "\n" * m.group(0).count("\n")
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', keep, text, flags=re.S)
    return [line.strip() for line in text.splitlines() if line.strip()]


def changed_code(root, pair):
    """How many lines of code one side has and the other has not."""
    with tempfile.TemporaryDirectory() as tmp:
        paths = []
        for i, path in enumerate(pair):
            paths.append(pathlib.Path(tmp) / str(i))
            paths[-1].write_text("\n".join(code_of((root / path).read_text())) + "\n")
        out = subprocess.run(["diff", *map(str, paths)], stdout=subprocess.PIPE, text=True).stdout
    return sum(line[:1] in "<>" for line in out.splitlines())


def diff(args):
    passed = failed = 0
    for c in manifest.select(args.root, args.chapter, args.case):
        pair = [f"{c.chapter}/{side}/{c.unit_name}" for side in ("broken", "fixed")]
        text = "" if args.count else subprocess.run(["diff", "-u", *pair], cwd=args.root, text=True,
                                                    stdout=subprocess.PIPE).stdout
        for line in text.splitlines():
            print(paint({"+": "32", "-": "31", "@": "36"}.get(line[:1], "0"), line))
        n = changed_code(args.root, pair)
        passed, failed = passed + (0 < n <= c.lines), failed + (not 0 < n <= c.lines)
        print(f"{c.name}: {n} changed lines of code")
        if n > c.lines:
            print(f"{c.name}: more than {c.lines}: a case shows one thing", file=sys.stderr)
        elif n == 0:
            print(f"{c.name}: its broken unit is the repaired one", file=sys.stderr)
    if args.count:
        print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def serve(args):
    if not args.chapter:
        have = ", ".join(manifest.chapters(args.root))
        raise ManifestError(f"which chapter? CH=01, for one of: {have}")
    chapter = manifest.pick_chapters(args.root, args.chapter)[0]
    variant = args.side
    if args.case:
        case = manifest.select(args.root, chapter, args.case)[0]
        variant = f"only-{case.unit_name[:-2]}" if args.side == "broken" else "fixed"
    target = f"build/{args.flavour}/{chapter}/server.{variant}"
    if not make(args, [target]):
        return 1
    check_port(f"make serve-{args.side}")
    become(args.root, target)


def become(root, target):
    """The server keeps our pid, and whoever wants to look at it from outside needs that."""
    print(f"pid {os.getpid()}", flush=True)
    os.chdir(root)
    os.execv(target, [target])


def check_port(command):
    """The server would say no more than that the address is in use."""
    port = os.environ.get("PORT", "8080")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", int(port)))
        except (ValueError, OverflowError):
            return  # the server has a word for that
        except OSError:
            raise ManifestError(f"port {port} is in use: PORT=8081 {command} …, or 0 for any") from None


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    sub = p.add_subparsers(dest="command", required=True)
    for name in ("broken", "fixed", "diff", "serve", "list"):
        s = sub.add_parser(name)
        if name == "serve":
            s.add_argument("side", choices=("broken", "fixed"))
        if name == "diff":
            s.add_argument("--count", action="store_true", help="how many lines, and no more")
        s.add_argument("chapter", nargs="?")
        s.add_argument("--case")
        s.add_argument("--flavour", default=os.environ.get("FLAVOUR", "debug"))
        s.add_argument("--root", type=pathlib.Path, default=ROOT)
        if name in ("broken", "fixed"):
            s.add_argument("--repeat", type=int, default=1, help="how often; default 1")
            s.add_argument("--load", action="store_true", help="with two busy loops")
            s.add_argument("--under", choices=("valgrind",))
            s.add_argument("--seed", type=int, help="GEE_SEED")
            s.add_argument("--jobs", type=int, default=os.cpu_count())
            s.add_argument("--json", help="results, to this file")
    return p.parse_args(argv)


def main(argv):
    args = parse(argv)
    args.root = args.root.resolve()
    try:
        if args.command == "list":
            for c in manifest.select(args.root, args.chapter, args.case):
                print(f"{c.chapter} {c.name:<20} {c.unit:<20} {c.symptom}")
            return 0
        if args.command == "diff":
            return diff(args)
        if args.command == "serve":
            return serve(args)
        return check(args, args.command)
    except ManifestError as e:
        print(f"lesson.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # make diff | head
    sys.exit(main(sys.argv[1:]))
