#!/usr/bin/env python3
"""`make bench`: what a request, a stream, a task cost, beside what others take for it.

  bench.py                       everything: docs/performance.md with its pictures, build/bench.json
  bench.py --only hello,micro    some of it: into build/ alone
  bench.py --rounds 3 --seconds 1

In each round every server is measured once, one after the other; so a ratio is of two that had the
same machine at the same time, and the median of the rounds is told with their spread. A server is
alone on a core, its load on another. CPU a request is the kernel's count of the server's time,
divided by the requests that wrk counted: it does not matter how fast the load is.

Other programs on the same cores disturb this all the same. How long the server was ready to run and
had no core is the kernel's to tell, and is told here.

Exit code 1 if a bar is missed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

import count
import figures
import load
import peers
import report

CONNECTIONS, STREAMS, DEADLINES, LIMIT_MS = 64, 10000, 5000, 100
QUIET = 0.1  # of the time without a core: above it, something else was running
COUNTED = ("tasks", "timers", "ctxs", "chans", "conns", "reqs", "copies", "bytes")
PARTS = [*load.WORKLOADS, "streams", "deadline", "workers", "micro", "profile", "counts"]


def say(text, end="\n"):
    print(text, end=end, flush=True)


class Servers:
    """Those that can do it. They live for one workload."""

    def __init__(self, workload, names=None):
        self.workload = workload
        self.all = {n: peers.start(n) for n in names or peers.who_can(workload)}

    def __enter__(self):
        return self

    def __exit__(self, *failed):
        for s in self.all.values():
            s.stop()

    def warm(self, load_it):
        """A first round. A peer that cannot do it is left out, and said to be; ours may not fail."""
        for n, s in list(self.all.items()):
            try:
                load_it(s)
            except load.Failed as e:
                if n == "gee":
                    raise SystemExit(f"bench.py: {n}: {e}") from e
                say(f"  {n} is left out: {e}")
                self.all.pop(n).stop()


def more_than(server, before):
    """How many things more there are, when the clients have gone."""
    for _ in range(100):
        now = server.census()
        more = {k: now[k] - before[k] for k in COUNTED}
        if not any(more.values()):
            break
        time.sleep(0.05)
    return sum(abs(v) for v in more.values())


def left_by(workload, load_it, results):
    """
    Objects that the census counts, when the clients have gone; and bytes, when the server has
    ended. Some of these libc and libuv keep for good, from the first time that they need them: so it
    is what the second load leaves that the first did not. Without malloc's thread cache, since
    what is free in that counts as allocated.
    """
    left = []
    for times in (1, 2):
        server = peers.Server([peers.PROGRAMS / "gee", peers.FILES],
                              env={"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"})
        try:
            before = server.census()
            for _ in range(times):
                load_it(server)
            objects = more_than(server, before)
        finally:
            said = server.stop()
        left.append(int(said.split("left:")[1]))
    results["left"][workload] = objects + max(0, left[1] - left[0])
    say(f"  left: {objects} objects, {left[1] - left[0]} bytes")


def requests_part(workload, args, results):
    say(f"\n{load.title(workload)}")
    with Servers(workload) as servers:
        servers.warm(lambda s: load.ask(s, workload, 1, args.connections))
        rows = {n: [] for n in servers.all}
        for i in range(args.rounds):
            for n, s in servers.all.items():
                rows[n].append(load.ask(s, workload, args.seconds, args.connections))
            say(f"  round {i + 1} of {args.rounds}: " + ", ".join(
                f"{n} {r[-1]['cpu_us']:.2f}" for n, r in rows.items()) + " µs CPU a request")
    results["requests"][workload] = rows
    left_by(workload, lambda s: load.ask(s, workload, 1, args.connections), results)


def one_of_streams(server, n):
    """Parked: resident bytes, and how soon each is gone. Then ticking: CPU an event."""
    before = server.rss_kib()
    streams = load.Streams(server, n, "/events")
    kib = (server.rss_kib() - before) / n
    closed = streams.close()
    gone, deadline = {}, time.monotonic() + 30
    while len(gone) < n and time.monotonic() < deadline:
        time.sleep(0.3)
        for line in server.get("/gone").decode().splitlines()[1:]:
            port, ns = line.split()
            gone[int(port)] = int(ns)
    late = [(gone[p] - ns) / 1e6 for p, ns in closed.items() if p in gone]
    streams = load.Streams(server, n, "/events?ms=1000")
    time.sleep(1)
    server.get("/gone")
    cpu = server.cpu_ns()
    time.sleep(3)
    cpu = server.cpu_ns() - cpu
    ticks = int(server.get("/gone").split()[0])
    ticking_kib = (server.rss_kib() - before) / n
    streams.close()
    time.sleep(1)
    return {"kib": kib, "ticking_kib": ticking_kib, "held": n, "gone": len(late),
            "gone_p50_ms": figures.percentile(late, 0.5),
            "gone_p99_ms": figures.percentile(late, 0.99), "tick_us": cpu / max(1, ticks) / 1e3}


def streams_part(args, results):
    n = min(args.streams, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100)
    say(f"\n{n} streams, parked; their clients leave; then ticking once a second")
    rows, names = {}, [p for p in ("gee", "gin") if peers.is_here(p)]
    for i in range(max(1, args.rounds - 2)):
        with Servers("streams", names) as servers:  # new ones: what is resident is of one load
            for name, s in servers.all.items():
                row = one_of_streams(s, n)
                rows.setdefault(name, []).append(row)
                say(f"  round {i + 1}: {name} {row['kib']:.2f} KiB each, {row['gone']} gone, p99 "
                    f"after {row['gone_p99_ms']:.1f} ms; ticking {row['ticking_kib']:.2f} KiB, "
                    f"{row['tick_us']:.2f} µs an event")
    results["streams"] = rows
    left_by("streams", lambda s: load.Streams(s, n, "/events?ms=1000").close(), results)


def deadline_part(args, results):
    say(f"\n{DEADLINES} requests a second with a deadline of {LIMIT_MS} ms, half of them late")
    with Servers("deadline") as servers:
        rows = {n: [] for n in servers.all}
        for i in range(max(1, args.rounds - 2)):
            for n, s in servers.all.items():
                row = load.deadlines(s, DEADLINES, LIMIT_MS, 2 * args.seconds)
                rows[n].append(row)
                say(f"  round {i + 1}: {n} {row['cpu_us']:.2f} µs CPU a request, {row['expired']} "
                    f"of {row['answers']} late, their answers by p99 {row['p99_ms']:.2f} ms; "
                    f"{row['wrong']} with another status than was due")
    results["deadline"] = rows
    left_by("deadline", lambda s: load.deadlines(s, DEADLINES, LIMIT_MS, 2), results)


def workers_part(args, results):
    """
    Both cores serve, and both have a thread of wrk: so requests a second say nothing. What two
    cores would serve is limited by the busier one of two workers: its share of the CPU time of
    a request.
    """
    say("\ntwo workers, hello, wrk on both cores")
    command = [peers.PROGRAMS / "gee", peers.FILES]
    one, two = peers.Server(command), peers.Server(command, core=None, workers=2)
    rows = {"one": [], "two": []}
    try:
        for i in range(args.rounds):
            for name, s in (("one", one), ("two", two)):
                rows[name].append(load.ask(s, "hello", args.seconds, 256, core=None, threads=2))
            a, b = rows["one"][-1], rows["two"][-1]
            say(f"  round {i + 1}: {a['cpu_us']:.2f} and {b['cpu_us']:.2f} µs CPU a request, "
                f"of two the busier has {b['busiest']:.0%}")
    finally:
        one.stop()
        two.stop()
    gain = [a["cpu_us"] / (b["cpu_us"] * b["busiest"]) for a, b in zip(rows["one"], rows["two"])]
    results["workers"] = {"rows": rows, "gain": gain}


def micro_part(args, results):
    say("\nthe parts: ns of CPU an operation")
    programs = {"gee": peers.PROGRAMS / "micro", "go": peers.PROGRAMS / "micro-go"}
    rows = {n: [] for n, p in programs.items() if p.exists()}
    for _ in range(args.rounds):
        for n in rows:
            rows[n].append(load.micro(programs[n], 100))
    for key in rows["gee"][0]:
        say(f"  {key:<14}" + "".join(f"{n} {figures.median(r, key):8.1f}   "
                                     for n, r in rows.items() if key in r[0]))
    results["micro"] = rows


def profile_part(args, results):
    """Of 10,000 parked tasks: what a profile of them takes, and for how long a worker is away."""
    say("\na profile of 10,000 parked tasks")
    out = subprocess.run([peers.PROGRAMS / "profile", "10000", str(3 * args.rounds)], text=True,
                         stdout=subprocess.PIPE, preexec_fn=peers.pin(0), timeout=120, check=True)
    row = results["profile"] = json.loads(out.stdout)
    say(f"  {row['cpu_ms']:.1f} ms of CPU, after {row['ms']:.1f} ms; the worker is away for "
        f"{row['away_ms']:.2f} ms at a time")


def counts_part(results):
    results["counts"] = {"instructions": count.instructions(), "routes": count.routes(),
                         "tracing": count.traced()}


def one_part(part, args, results):
    parts = {"streams": streams_part, "deadline": deadline_part, "micro": micro_part,
             "profile": profile_part}
    if part == "counts":
        counts_part(results)
    elif part in load.WORKLOADS or part == "workers":
        if not load.have_wrk():
            say(f"{part}: wrk is not installed (package wrk): not measured")
        elif part == "workers":
            workers_part(args, results)
        else:
            requests_part(part, args, results)
    else:
        parts[part](args, results)


def measure(args, only):
    results = {"requests": {}, "left": {}, "machine": report.machine(),
               "rounds": args.rounds, "seconds": args.seconds}
    for part in only:
        try:
            one_part(part, args, results)
        except load.Failed as e:  # the others are worth their time all the same
            say(f"{part}: NOT MEASURED: {e}")
    return json.loads(json.dumps(results))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--only", default="", help="some of: " + ",".join(PARTS))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=2)
    p.add_argument("--connections", type=int, default=CONNECTIONS)
    p.add_argument("--streams", type=int, default=STREAMS)
    p.add_argument("--check", action="store_true", help="only say whether these can be measured")
    args = p.parse_args()
    only = [w for w in args.only.split(",") if w] or PARTS
    if set(only) - set(PARTS):
        p.error(f"--only: {', '.join(sorted(set(only) - set(PARTS)))}: there are {', '.join(PARTS)}")
    if min(args.rounds, args.seconds, args.connections, args.streams) < 1:
        p.error("rounds, seconds, connections and streams are at least 1")
    if args.check:
        return 0
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if len(os.sched_getaffinity(0)) < 2:
        say("one core only: the load takes from the server what is measured")
    for name in peers.missing():
        say(f"skipped: {peers.label(name)}: not installed (package {peers.PACKAGES[name]})")
    peers.make_files()
    start = time.monotonic()
    results = measure(args, only)
    results["took_s"] = time.monotonic() - start
    waited = results["without_core"] = figures.without_core(results)
    (peers.ROOT / "build/bench.json").write_text(json.dumps(results, indent=1) + "\n")
    where = report.write(results, whole=set(only) == set(PARTS))
    rows = figures.bars(results)
    say("\n" + report.bars_table(rows))
    if waited is not None and waited > QUIET:
        say(f"NOT QUIET: other programs kept the servers from their core {waited:.0%} of the time")
    say(f"{results['took_s']:.0f} s; written: {where}, build/bench.json")
    return 0 if all(r["met"] is not False for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
