#!/usr/bin/env python3
"""What a trace costs: CPU time a request with it and without, in one run, round by round.

wrk on one core loads tests/bench/peers/gee.c on another. A round is one load without a trace
and one that lies wholly within a recording (the cost of recording), after which the
server makes the trace and sends it (the cost of the JSON; beside it no request is served).
All CPU time is the kernel's count for all threads of the server. The bar is for the recording.
Instructions in user space are counted as well, by callgrind (count.py): no other program can
disturb them, but they are not time: the kernel's part of a request is not in them.

    trace.py [--rounds 5] [--seconds 3] [--connections 64] [--kib 16384]
"""

import argparse
import pathlib
import shutil
import socket
import statistics
import sys
import threading
import time
import urllib.request

import count
import load
import peers

BAR = 5.0  # per cent of the CPU time a request
PATH = "/debug/pprof/trace"


class Download(threading.Thread):
    """Takes the trace on the client's core, and only counts it."""

    def __init__(self, url):
        super().__init__()
        self.url, self.bytes, self.head, self.error = url, 0, b"", None

    def run(self):
        peers.pin(1)()
        try:
            with urllib.request.urlopen(self.url, timeout=120) as r:
                while piece := r.read(1 << 20):
                    self.head = self.head or piece[:4096]
                    self.bytes += len(piece)
        except OSError as e:
            self.error = e


def loaded(server, args):
    """CPU µs a request, of all threads; and how many requests."""
    row = load.ask(server, "hello", args.seconds, args.connections)
    return row["cpu_us"], row["rps"] * args.seconds, row["waited"]


def one_round(server, args):
    off, _, without = loaded(server, args)
    trace = Download(f"{server.url}{PATH}?seconds={args.seconds + 2}&kib={args.kib}")
    trace.start()
    time.sleep(0.3)
    on, requests, without_too = loaded(server, args)
    before = server.cpu_ns()
    trace.join()
    if trace.error or b'"workers":1' not in trace.head:
        raise SystemExit(f"trace.py: no trace: {trace.error or trace.head[:200]}")
    made = (server.cpu_ns() - before) / requests / 1000
    return {"off": off, "on": on, "made": made, "mib": trace.bytes / 2**20,
            "without_core": max(without, without_too)}


def recording_server(command, **options):
    """A server that records from now on, and will not come to making the trace."""
    server = peers.Server(command, **options)
    server.recording = socket.create_connection(("127.0.0.1", server.port), 30)
    server.recording.sendall(f"GET {PATH}?seconds=3600 HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    while b"pprof/trace" not in urllib.request.urlopen(server.url + "/debug/tasks").read():
        time.sleep(0.1)
    return server


def instructions(rounds=(20, 100), connections=50):
    """A request's, at rest and while it is recorded: of a long run and a short one the difference."""
    few, many = rounds
    return [(count.run("", 1, many, connections, start) - count.run("", 1, few, connections, start))
            / ((many - few) * connections) for start in (peers.Server, recording_server)]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--kib", type=int, default=16384)
    args = p.parse_args()
    peers.make_files()
    server = peers.start("gee")
    rows = []
    try:
        load.ask(server, "hello", 1, args.connections)
        for i in range(args.rounds):
            r = one_round(server, args)
            rows.append(r)
            print(f"  round {i + 1} of {args.rounds}: {r['off']:.2f} µs CPU a request, "
                  f"{r['on']:.2f} while recording, and {r['made']:.2f} for {r['mib']:.0f} MiB of "
                  "trace", flush=True)
    finally:
        server.stop()
    recording = statistics.median((r["on"] / r["off"] - 1) * 100 for r in rows)
    whole = statistics.median(((r["on"] + r["made"]) / r["off"] - 1) * 100 for r in rows)
    met = recording <= BAR
    print(f"trace: recording costs {recording:.1f} % of the CPU time a request; with the JSON that is "
          f"made afterwards {whole:.1f} %; bar {BAR:.0f} for the first: {'met' if met else 'MISSED'}")
    waited = statistics.median(r["without_core"] for r in rows)
    if waited > 0.1:
        print(f"NOT QUIET: other programs kept the server from its core {waited:.0%} of the time")
    if shutil.which("valgrind"):
        rest, traced = instructions()
        print(f"request, instructions in user space: {rest:.0f} at rest, {traced:.0f} while it is recorded: "
              f"{traced / rest - 1:.1%} more")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
