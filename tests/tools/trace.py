#!/usr/bin/env python3
"""Traces of a real server under load: strictly checked, joined with a snapshot, and read by others.

    trace.py            traces, the check itself, and `make leaks`
    trace.py --readers  `make test-readers`: speedscope, in headless Chromium, opens a trace

A check that cannot fail is none: the strict one is given traces with one thing wrong. The last line
is `N passed, N failed`.
"""

import concurrent.futures
import copy
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import making
import speedscope
import trace_check

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = "build/debug/ch04-pprof/server.fixed"


class Server:
    def __enter__(self):
        self.process = subprocess.Popen([ROOT / SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL,  # what it leaks, at its end
                                        env={**os.environ, "PORT": "0", "GEE_WORKERS": "2"})
        self.url = self.process.stdout.readline().split()[-1]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path, seconds=60):
        try:
            with urllib.request.urlopen(self.url + path, timeout=seconds) as r:
                return r.status, r.read().decode(errors="replace")
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors="replace")

    def is_recording(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if "GET /debug/pprof/trace" in self.get("/debug/tasks")[1]:
                return True
            time.sleep(0.05)
        return False


def recorded(server, query, visits):
    """The trace of a recording in which these pages were visited."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        trace = pool.submit(server.get, f"/debug/pprof/trace?{query}")
        time.sleep(0.2)
        list(pool.map(server.get, visits))
        return trace.result()


# --- the check, given what is wrong ---

def first(events, **want):
    return next(i for i, e in enumerate(events) if all(e.get(k) == v for k, v in want.items()))


def without(i):
    def fn(doc):
        del doc["traceEvents"][i(doc["traceEvents"])]
    return fn


def with_value(key, value, **want):
    def fn(doc):
        e = doc["traceEvents"][first(doc["traceEvents"], **want)]
        e[key] = value(e[key])
    return fn


def with_all_values(key, value, **want):
    """Of one alone chance might make a right one."""
    def fn(doc):
        for e in doc["traceEvents"]:
            if all(e.get(k) == v for k, v in want.items()):
                e[key] = value(e[key])
    return fn


def later(us):
    return lambda at: at + us


MUTATIONS = {
    "a task that has exited without its end": without(lambda ev: first(ev, ph="e", cat="task")),
    "an e without its b": without(lambda ev: first(ev, ph="e", cat="request") - 1),
    "a flow without its end": without(lambda ev: first(ev, ph="f")),
    "a flow that begins in no slice": with_all_values("tid", lambda tid: 3 - tid, ph="s"),
    "a flow that ends where nothing begins": with_value("ts", later(0.001), ph="f"),
    "slices that overlap": with_value("dur", later(1e6 / 2), ph="X", cat="run"),
    "a wait that goes on while its task runs": with_value("ts", later(-5), ph="b", cat="wait"),
    "a worker without a name": without(lambda ev: first(ev, ph="M", name="thread_name")),
    "records that are missing and not counted": with_value("args", lambda _: {"n": 7}, ph="C"),
    "a time that is none": with_value("ts", lambda _: "soon", ph="X"),
    "an event behind the end": with_value("ts", later(1e9), ph="b", cat="task"),
    "a phase that is none": with_value("ph", lambda _: "?", ph="X"),
    "a field that no reader knows": lambda doc: doc["traceEvents"][9].update(colour="red"),
}


def accepts(text):
    try:
        return not trace_check.Trace(text).check()
    except (ValueError, KeyError, TypeError):
        return False


def the_check(text, results):
    doc = json.loads(text)
    results.append(("the strict check accepts the trace", accepts(text)))
    results.append(("not JSON: NaN, a name twice, the half of it",
                    not accepts(text.replace('"ts":', '"ts":NaN,"t":', 1)) and
                    not accepts(text.replace('"pid":1', '"pid":1,"pid":1', 1)) and
                    not accepts(text[:len(text) // 2])))
    for name, mutate in MUTATIONS.items():
        changed = copy.deepcopy(doc)
        mutate(changed)
        results.append((f"it finds {name}", not accepts(json.dumps(changed))))


# --- make leaks ---

def join(*args):
    p = subprocess.run([sys.executable, ROOT / "tests/tools/trace_join.py", *args], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    return p.returncode, p.stdout, p.stderr


def leaks(server, results):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        joined = pool.submit(join, server.url, "--seconds", "3", "--wait", "0.2")
        ready = server.is_recording()
        for _ in range(4):
            for path in ("/order", "/invoice", "/"):
                server.get(path)
        rc, out, _ = joined.result()
    results.append(("make leaks: it is recording, and finds something", ready and rc == 1))
    for n, started in ((12, "invoice"), (4, "order")):
        want = (rf"^1  snapshot: \d+ tasks parked alike: chan receive in awaits_receipt at \S+\n"
                rf"2  trace: {n} such tasks started in 3.0 s\n"
                rf"3  of these 0 finished; {n} did not\n"
                rf"4  created at ch04-pprof/server.c:\d+ < common/src/http/serve.c:\d+, by {started}\n"
                rf"(     task .* waits since .*chan receive at ch04-pprof/server.c:\d+\n){{{n}}}")
        results.append((f"make leaks: {n} of {started}, in four steps", re.search(want, out, re.M)))
    results.append(("make leaks: and nothing else",
                    out.rstrip().endswith("16 tasks started and did not finish, of 2 kinds")))
    if not all(ok for _, ok in results):
        print(out)
    rc, out, _ = join(server.url, "--seconds", "1", "--wait", "0")
    results.append(("make leaks: nothing, where nothing starts", rc == 0 and out.startswith("0 tasks")))
    for name, url in (("nobody is there", "http://127.0.0.1:1"), ("no such page", server.url + "/x")):
        rc, out, err = join(url, "--seconds", "1")
        results.append((f"make leaks: {name}: said, and exit code 2",
                        rc == 2 and not out and err.startswith("trace_join.py: http")))


def traces():
    results = []
    with Server() as server:
        visits = ["/", "/debug/tasks?leaked=1", "/debug/pprof/goroutine", "/nowhere"] * 25
        status, text = recorded(server, "seconds=2", visits)
        results.append(("a trace", status == 200))
        the_check(text, results)
        status, small = recorded(server, "seconds=1&kib=8", visits)
        dropped = json.loads(small)["otherData"]["dropped"]
        results.append((f"a ring of 8 KiB: {dropped} records dropped, and the trace is whole",
                        dropped > 0 and accepts(small)))
        leaks(server, results)
    return results


def main(argv):
    good, said = making.make("debug", SERVER)
    if not good:
        print(f"{said}it does not build\n0 passed, 1 failed")
        return 1
    if argv == ["--readers"]:
        with Server() as server, tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            f.write(recorded(server, "seconds=1", ["/", "/debug/pprof/goroutine"] * 20)[1])
            f.flush()
            results = speedscope.opens(f.name)
    else:
        results = traces()
    for name, ok in results:
        if not ok or argv:
            print(f"{'ok  ' if ok else 'FAIL'} {name}")
    failed = sum(not ok for _, ok in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
