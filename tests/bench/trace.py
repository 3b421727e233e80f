#!/usr/bin/env python3
"""What a trace costs while it records: CPU time a request with it and without, in turns (pairs.py).

The bar is for the recording. Behind it stands what the JSON takes that is made afterwards: by a request
that was recorded, once, and beside it no request is served. Instructions in user space are counted
as well, by callgrind (count.py): no other program can disturb them, but they are not time: the
kernel's part of a request is not in them.

    trace.py [--quads 150] [--requests 2000] [--kib 16384]
"""

import argparse
import shutil
import socket
import sys
import time
import urllib.request

import count
import pairs
import peers

BAR = 1.05
PATH = "/debug/pprof/trace"


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
    p.add_argument("--quads", type=int, default=150)
    p.add_argument("--requests", type=int, default=2000)
    p.add_argument("--kib", type=int, default=16384)
    args = p.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed (package wrk)")
        return 1
    m = pairs.measure("trace", args.quads, args.requests, args.kib)
    verdict = pairs.say("a trace while it records", m, BAR)
    recorded = m["last"][1][1] + m["last"][2][1]  # and a few before and behind the two slices
    if m["dropped"] == 0:
        print(f"its JSON, afterwards: {m['json_ns'] / recorded / 1e3:.2f} µs and "
              f"{m['json_bytes'] / recorded:.0f} bytes a request, of {m['records']} records")
    if shutil.which("valgrind"):
        rest, traced = instructions()
        print(f"request, instructions in user space: {rest:.0f} at rest, {traced:.0f} while it is recorded: "
              f"{traced - rest:.0f}, {traced / rest - 1:.1%} more")
    return 1 if verdict == "MISSED" else 0


if __name__ == "__main__":
    sys.exit(main())
