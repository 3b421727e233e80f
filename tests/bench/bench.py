#!/usr/bin/env python3
"""`make bench`: what a request and a parked stream cost.

CPU a request, as a ratio to tests/bench/floor.c, a bare libuv server that does not
parse: both in the same run, interleaved round by round, the server on one core and
wrk on another. The kernel's own count of the server's CPU time is divided by the
requests that wrk counted. Seconds differ from machine to machine and from minute to
minute; the ratio much less. Then 10,000 streams: resident memory for each, and how
soon the server is rid of them, from the moment their clients begin to close. Then 5,000
requests in flight that are answered at their deadline, and how late. Then a profile of 10,000
parked tasks: what it takes, and for how long the worker does nothing else. Then instructions,
which no other program can disturb: count.py.

Other programs on the same cores disturb all of this. How long the server was ready
to run and had no core is the kernel's to tell, and is told here: when it is much,
look for who else is running before you believe the figures.

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

import count

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/release/bench"
BAR_RATIO, BAR_KIB, BAR_GONE_S = 1.5, 12.0, 1.0
BAR_LATE_MS = 5.0  # 99 of 100 answers at a deadline
BAR_PROFILE_MS, BAR_AWAY_MS = 50.0, 5.0
QUIET = 0.1  # of the time without a core: above it, something else was running


def pin(core):
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


class Server:
    def __init__(self, name, under=(), stderr=None):
        self.process = subprocess.Popen([*under, PROGRAMS / name], stdout=subprocess.PIPE,
                                        stderr=stderr, text=True, preexec_fn=pin(0),
                                        env={**os.environ, "GEE_WORKERS": "1"})
        self.pid = self.process.pid
        said = self.process.stdout.readline().split()
        if not said:
            self.process.wait()
            raise SystemExit(f"bench.py: {name} did not start")
        self.url = said[-1]

    def sched(self):
        """ns on a core, and ns ready to run without one: of the main thread, worker 0."""
        text = pathlib.Path(f"/proc/{self.pid}/schedstat").read_text()
        return tuple(int(n) for n in text.split()[:2])

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
            self.process.wait()


def load(server, seconds, connections):
    """One round of wrk: CPU µs a request, requests a second, p50 and p99 in µs."""
    cpu0, waited0 = server.sched()
    start = time.monotonic()
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                          server.url + "/hello/you"], stdout=subprocess.PIPE, text=True,
                         preexec_fn=pin(1), timeout=seconds + 30, check=True).stdout
    wall = time.monotonic() - start
    cpu1, waited1 = server.sched()
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    unit = {"us": 1, "ms": 1000, "s": 1e6}
    p50, p99 = (float(v) * unit[u] for v, u in
                re.findall(r"^\s+(?:50|99)%\s+([\d.]+)(us|ms|s)", out, re.M))
    if "Non-2xx" in out or "Socket errors" in out:
        print(out)
        raise SystemExit("bench.py: wrk met errors")
    return {"cpu_us": (cpu1 - cpu0) / requests / 1000, "rps": requests / seconds, "p50_us": p50,
            "p99_us": p99, "without_core": (waited1 - waited0) / 1e9 / wall}


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def warn_of_others(share):
    if share > QUIET:
        print(f"  NOT QUIET: other programs kept the server from its core {share:.0%} of the time")


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
            floor, gee = (r[-1]["cpu_us"] for r in rows.values())
            print(f"  round {i + 1} of {args.rounds}: floor {floor:.2f}, gee {gee:.2f} µs CPU a "
                  f"request, ratio {gee / floor:.2f}", flush=True)
    finally:
        for s in servers.values():
            s.stop()
    print(f"\n{'':<8}{'CPU µs/request':>16}{'spread':>16}{'requests/s':>12}"
          f"{'p50 µs':>9}{'p99 µs':>9}")
    for name, r in rows.items():
        cpu = [x["cpu_us"] for x in r]
        print(f"{name:<8}{median(r, 'cpu_us'):>16.2f}{f'{min(cpu):.2f} - {max(cpu):.2f}':>16}"
              f"{median(r, 'rps'):>12.0f}{median(r, 'p50_us'):>9.0f}{median(r, 'p99_us'):>9.0f}")
    ratios = [g["cpu_us"] / f["cpu_us"] for g, f in zip(rows["gee"], rows["floor"])]
    ratio = statistics.median(ratios)
    print(f"gee / floor: {ratio:.2f} (rounds: {min(ratios):.2f} - {max(ratios):.2f}); "
          f"bar {BAR_RATIO}: {'met' if ratio <= BAR_RATIO else 'MISSED'}")
    without = statistics.median(x["without_core"] for r in rows.values() for x in r)
    warn_of_others(without)
    return {"rows": rows, "ratios": ratios, "ratio": ratio, "without_core": without,
            "met": ratio <= BAR_RATIO}


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
        (cpu0, waited0), start = server.sched(), time.monotonic()
        client.kill()
        client.wait()
        closing = time.monotonic() - start  # until the last of them was closed
        keys = ("tasks", "reqs", "conns")
        while True:
            now = server.census()
            gone = time.monotonic() - start
            if all(now[k] <= base[k] for k in keys) or gone > 10:
                break
            time.sleep(0.01)
        cpu, waited = ((b - a) / 1e9 for a, b in zip((cpu0, waited0), server.sched()))
        left = {k: now[k] - base[k] for k in keys}
    finally:
        if client and client.poll() is None:
            client.kill()
            client.wait()
        server.stop()
    met = held == n and kib <= BAR_KIB and gone <= BAR_GONE_S and not any(left.values())
    print(f"\n{n} streams, {held} tasks parked{'' if held == n else ', MISSED'}: "
          f"{kib:.2f} KiB resident each, bar {BAR_KIB:.0f}: "
          f"{'met' if kib <= BAR_KIB else 'MISSED'}")
    print(f"their clients close: after {gone:.2f} s there are {left['tasks']} tasks, "
          f"{left['reqs']} requests, {left['conns']} connections more than before; "
          f"bar 0 within {BAR_GONE_S:.0f} s: {'met' if gone <= BAR_GONE_S else 'MISSED'}")
    print(f"  of that the clients took {closing:.2f} s to close; "
          f"the server used {cpu:.2f} s of CPU")
    warn_of_others(waited / gone)
    return {"streams": n, "held": held, "kib": kib, "gone_s": gone, "closing_s": closing,
            "cpu_s": cpu, "without_core_s": waited, "left": left, "met": met}


def deadlines_part(n=5000, limit_ms=1000, seconds=6):
    server = Server("hello")
    try:
        (_, waited0), start = server.sched(), time.monotonic()
        out = subprocess.run([PROGRAMS / "deadline", server.url.rsplit(":", 1)[1], str(n),
                              "/limited/hangs", str(limit_ms), str(seconds)], text=True,
                             stdout=subprocess.PIPE, preexec_fn=pin(1), timeout=60, check=True)
        late = json.loads(out.stdout)
        without = (server.sched()[1] - waited0) / 1e9 / (time.monotonic() - start)
        time.sleep(limit_ms / 1000 + 0.5)
        left = server.census()["reqs"] - 1
    finally:
        server.stop()
    met = late["p99_ms"] <= BAR_LATE_MS and late["min_ms"] >= 0 and left == 0
    print(f"\n{n} requests in flight, each answered 504 at its deadline of {limit_ms} ms, "
          f"{late['answers']} answers: late by p50 {late['p50_ms']:.2f}, p99 {late['p99_ms']:.2f}, "
          f"p99.9 {late['p999_ms']:.2f}, at most {late['max_ms']:.2f} ms, none early; "
          f"{left} requests left; bar p99 {BAR_LATE_MS:.0f} ms: {'met' if met else 'MISSED'}")
    warn_of_others(without)
    return {**late, "left": left, "without_core": without, "met": met}


def profile_part(n=10000, rounds=15):
    out = subprocess.run([PROGRAMS / "profile", str(n), str(rounds)], stdout=subprocess.PIPE,
                         text=True, timeout=120, check=True).stdout
    r = json.loads(out)
    met = r["cpu_ms"] <= BAR_PROFILE_MS and r["away_ms"] <= BAR_AWAY_MS
    print(f"\na profile of {n} parked tasks: {r['cpu_ms']:.1f} ms of CPU, after {r['ms']:.1f} ms; "
          f"bar {BAR_PROFILE_MS:.0f} ms; the worker is away for {r['away_ms']:.2f} ms at a time; "
          f"bar {BAR_AWAY_MS:.0f} ms: {'met' if met else 'MISSED'}")
    return {**r, "met": met}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--streams", type=int, default=10000)
    args = p.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        print("one core only: the client takes from the server what is measured")
    results = {"requests": requests_part(args), "streams": streams_part(args),
               "deadlines": deadlines_part(),
               "profile": profile_part(),
               "instructions": count.instructions_part(Server),
               "routes": count.routes_part(PROGRAMS)}
    (ROOT / "build/bench.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(r is None or r["met"] for r in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
