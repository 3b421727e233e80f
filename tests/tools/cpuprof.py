#!/usr/bin/env python3
"""A CPU profile of chapter 4's server, as other people's tools read it: go tool pprof, and flame.py.

Two requests share a worker, one busy with numbers and one with memory. What the profile says of
them is held against what the server has used of its CPU. The last line is `N passed, N failed`.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import flame
import making

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / "build/release/ch04-pprof/server.fixed"
SECONDS = 3
passed = failed = 0


def expect(what, ok, seen=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"not so: {what}" + ("\n" + str(seen)[:1500] if seen else ""))


def fetch(url, timeout=60):
    try:
        with urllib.request.urlopen(url, timeout=timeout) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def cpu_ns(pid):
    return sum(int(p.read_text().split()[0])
               for p in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


def take(server, url):
    """The profile, and the CPU time in ns meanwhile; the second that asks is told to wait."""
    load = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", f"{url}/{n}?ms=60000"])
            for n in ("report", "import")]
    results = []

    def ask():
        before = cpu_ns(server.pid)
        results.append(fetch(f"{url}/debug/pprof/profile?seconds={SECONDS}"))
        results.append(cpu_ns(server.pid) - before)

    try:
        profile = threading.Thread(target=ask)
        profile.start()
        time.sleep(1)
        status, said = fetch(f"{url}/debug/pprof/profile?seconds=1")
        expect("the second is told that there is one already", status == 409 and
               b"one at a time" in said, (status, said))
        profile.join()
    finally:
        for curl in load:
            curl.kill()
            curl.wait()
    expect("the profile is answered", results[0][0] == 200, results[0])
    return results[0][1], results[1]


def pprof(*args):
    p = subprocess.run(["go", "tool", "pprof", *args], stdout=subprocess.PIPE, cwd=ROOT,
                       stderr=subprocess.STDOUT, text=True, timeout=60,
                       env={**os.environ, "PPROF_TMPDIR": "/nonexistent", "PPROF_NO_BROWSER": "1"})
    return p.stdout


def tools(path):
    top = pprof("-top", path)
    rows = re.findall(r"^ *([\d.]+m?s) +[\d.]+% +[\d.]+% .*  (\w+)$", top, re.M)
    expect("-top: what adds up is on top", rows and rows[0][1] == "add_up", top)
    expect("-top: what it is of", "Type: cpu" in top and re.search(r"Duration: 3(\.\d+)?s", top), top)
    lines = pprof("-lines", "-top", path)
    expect("-lines: with file and line", re.search(r"  add_up .*ch04-pprof/server\.c:\d+$", lines,
                                                   re.M), lines)
    tree = pprof("-tree", path)
    expect("-tree: who called it", re.search(r"\|   (work|report)\b.*\n.*\| add_up", tree), tree)
    expect("-tree: who called malloc", re.search(r"\|   parse_record\n.*\| (__libc_)?malloc", tree), tree)
    expect("-tree: who started the task", "created by gee_conn_serve" in tree, tree)
    tags = pprof("-tags", path)
    for tag in ("name: ", "GET /report?ms=60000", "GET /import?ms=60000", "created_at: ", "task: "):
        expect(f"-tags: {tag}", tag in tags, tags)
    focus = pprof("-top", "-tagfocus=name=GET /import", path)
    expect("-tagfocus: of the one request, nothing of the other", "add_up" not in focus and
           re.search(r"malloc|parse_record", focus), focus)
    expect("-comments: how much there is", re.search(
        r"^\d+ samples of \d+ threads at 100 Hz; 0 were dropped; 0 threads were not looked at$",
        pprof("-comments", path), re.M))
    raw = pprof("-raw", path)
    expect("-raw: the period", "PeriodType: cpu nanoseconds" in raw and "Period: 10000000" in raw and
           "samples/count cpu/nanoseconds" in raw, raw)
    diff = pprof("-top", f"-diff_base={path}", path)
    expect("-diff_base: of itself, nothing is left", "Showing nodes accounting for 0" in diff, diff)


def pictures(path, used_ns):
    stacks = flame.read(path, ["name"])
    share = stacks.total / used_ns
    expect(f"the profile is of the CPU time that was used ({share:.2f} of it)", 0.8 < share < 1.2)
    of = [sum(v for f, v in stacks.of.items() if f[0].startswith(n))
          for n in ("GET /report", "GET /import")]
    expect(f"both have as much ({of[0] / 1e6:.0f} and {of[1] / 1e6:.0f} ms)",
           0.6 < of[0] / max(of[1], 1) < 1.6)
    svg = flame.svg([stacks], ["chapter 4"])
    expect("the flame graph shows both", "GET /report" in svg and "GET /import" in svg)


def main():
    good, said = making.make("release", str(SERVER.relative_to(ROOT)))
    if not good:
        print(said)
        print("0 passed, 1 failed")
        return 1
    server = subprocess.Popen([SERVER], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PORT": "0", "GEE_WORKERS": "1"})
    try:
        url = server.stdout.readline().split()[-1]
        profile, used_ns = take(server, url)
        with tempfile.TemporaryDirectory() as work:
            path = str(pathlib.Path(work) / "cpu.pb.gz")
            pathlib.Path(path).write_bytes(profile)
            if shutil.which("go"):
                tools(path)
            else:
                print("go is not installed: go tool pprof is not asked")
            pictures(path, used_ns)
    finally:
        server.terminate()
        server.wait(20)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
