#!/usr/bin/env python3
"""`make bench`: what a request and a parked stream cost.

CPU a request, as a ratio to tests/bench/floor.c, a bare libuv server that does not
parse: both in the same run, interleaved round by round, the server on one core and
wrk on another. The kernel's own count of the server's CPU time is divided by the
requests that wrk counted. Seconds differ from machine to machine and from minute to
minute; the ratio does not. Then 10,000 streams: resident memory for each, and how
soon the server is rid of them.

A table, build/bench.json, and exit code 1 if a bar is missed.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/release/bench"
BAR_RATIO, BAR_KIB, BAR_GONE_S = 1.5, 12.0, 1.0


def pin(core):
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


class Server:
    def __init__(self, name):
        self.process = subprocess.Popen([PROGRAMS / name], stdout=subprocess.PIPE, text=True,
                                        preexec_fn=pin(0), env={**os.environ, "GEE_WORKERS": "1"})
        self.url = self.process.stdout.readline().split()[-1]
        self.pid = self.process.pid

    def cpu_ns(self):
        return int(pathlib.Path(f"/proc/{self.pid}/schedstat").read_text().split()[0])

    def rss_kib(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def census(self):
        with urllib.request.urlopen(self.url + "/debug/tasks?format=json", timeout=30) as r:
            return json.loads(r.read())["census"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def load(server, seconds, connections):
    """One round of wrk: CPU µs a request, requests a second, p50 and p99 in µs."""
    before = server.cpu_ns()
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                          server.url + "/hello/you"], stdout=subprocess.PIPE, text=True,
                         preexec_fn=pin(1), timeout=seconds + 30, check=True).stdout
    cpu = server.cpu_ns() - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    unit = {"us": 1, "ms": 1000, "s": 1e6}
    p50, p99 = (float(v) * unit[u] for v, u in
                re.findall(r"^\s+(?:50|99)%\s+([\d.]+)(us|ms|s)", out, re.M))
    if "Non-2xx" in out or "Socket errors" in out:
        print(out)
        raise SystemExit("bench.py: wrk met errors")
    return {"cpu_us": cpu / requests / 1000, "rps": requests / seconds, "p50_us": p50,
            "p99_us": p99}


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def requests_part(args):
    if shutil.which("wrk") is None:
        print("wrk is not installed (package wrk): requests are not measured")
        return None
    servers = {"floor": Server("floor"), "gee": Server("hello")}
    rows = {name: [] for name in servers}
    try:
        for s in servers.values():
            load(s, 1, args.connections)
        for i in range(args.rounds):
            for name, s in servers.items():
                rows[name].append(load(s, args.seconds, args.connections))
                print(f"  round {i + 1} of {args.rounds}, {name:<5}: "
                      f"{rows[name][-1]['cpu_us']:.2f} µs CPU a request", flush=True)
    finally:
        for s in servers.values():
            s.stop()
    print(f"\n{'':<8}{'CPU µs/request':>16}{'spread':>16}{'requests/s':>12}{'p50 µs':>9}{'p99 µs':>9}")
    for name, r in rows.items():
        cpu = [x["cpu_us"] for x in r]
        print(f"{name:<8}{median(r, 'cpu_us'):>16.2f}{f'{min(cpu):.2f} - {max(cpu):.2f}':>16}"
              f"{median(r, 'rps'):>12.0f}{median(r, 'p50_us'):>9.0f}{median(r, 'p99_us'):>9.0f}")
    ratios = [g["cpu_us"] / f["cpu_us"] for g, f in zip(rows["gee"], rows["floor"])]
    ratio = statistics.median(ratios)
    print(f"gee / floor: {ratio:.2f} (rounds: {min(ratios):.2f} - {max(ratios):.2f}); "
          f"bar {BAR_RATIO}: {'met' if ratio <= BAR_RATIO else 'MISSED'}")
    return {"rows": rows, "ratio": ratio, "met": ratio <= BAR_RATIO}


def streams_part(args):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    n = min(args.streams, hard - 100)
    server = Server("hello")
    client = None
    try:
        base = server.census()
        before = server.rss_kib()
        client = subprocess.Popen([PROGRAMS / "streams", server.url.rsplit(":", 1)[1], str(n),
                                   "/events"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, preexec_fn=pin(1))
        if client.stdout.readline().strip() != "open":
            raise SystemExit("bench.py: the streams did not open")
        kib = (server.rss_kib() - before) / n
        held = server.census()["tasks"] - base["tasks"]
        client.kill()
        client.wait()
        start = time.monotonic()
        keys = ("tasks", "reqs", "conns")
        while True:
            now = server.census()
            gone = time.monotonic() - start
            if all(now[k] <= base[k] for k in keys) or gone > 10:
                break
        left = {k: now[k] - base[k] for k in keys}
    finally:
        if client and client.poll() is None:
            client.kill()
        server.stop()
    met = held == n and kib <= BAR_KIB and gone <= BAR_GONE_S and not any(left.values())
    print(f"\n{n} streams, {held} tasks parked: {kib:.2f} KiB resident each, bar {BAR_KIB:.0f}: "
          f"{'met' if kib <= BAR_KIB else 'MISSED'}")
    print(f"their clients ended: after {gone:.2f} s there are {left['tasks']} tasks, "
          f"{left['reqs']} requests, {left['conns']} connections more than before; "
          f"bar 0 within {BAR_GONE_S:.0f} s: {'met' if gone <= BAR_GONE_S else 'MISSED'}")
    return {"streams": n, "kib": kib, "gone_s": gone, "left": left, "met": met}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--streams", type=int, default=10000)
    args = p.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        print("one core only: the client takes from the server what is measured")
    results = {"requests": requests_part(args), "streams": streams_part(args)}
    (ROOT / "build/bench.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(r is None or r["met"] for r in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
