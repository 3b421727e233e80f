#!/usr/bin/env python3
"""What a CPU profile at 100 Hz costs: CPU time a request, with one being made and without, in turns.

The time is that of all threads of the server, so that who reads the samples is in it. And, since
that is disturbed by whatever else the machine does, the two parts of the cost by themselves: the
share of the thread that reads the samples, and the instructions of the walk in the handler for a
sample, counted by callgrind; 100 of them are a share of a second.

  cpuprof.py [--rounds 8] [--seconds 2]
"""

import argparse
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import urllib.request

import count
import peers

BAR = 1.02
HZ = 100
INSTRUCTIONS_S = 1e9  # that a core does at least


def cpu_ns(pid):
    return sum(int(p.read_text().split()[0])
               for p in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


def reader_ns(pid):
    return sum(int((p / "schedstat").read_text().split()[0])
               for p in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if (p / "comm").read_text() == "gee profile\n")


def wrk(server, seconds):
    out = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", server.url + "/hello/you"],
                         stdout=subprocess.PIPE, text=True, preexec_fn=peers.pin(1),
                         timeout=seconds + 30, check=True).stdout
    return int(re.search(r"(\d+) requests in", out).group(1))


def a_round(server, seconds, on):
    """CPU µs a request, and the share of it that the reader of the samples has."""
    asked = []
    if on:
        def ask():
            url = f"{server.url}/debug/pprof/profile?seconds={seconds + 3}&hz={HZ}"
            asked.append(len(urllib.request.urlopen(url, timeout=60).read()))
        profile = threading.Thread(target=ask)
        profile.start()
    wrk(server, 1)  # with its first sample the profile reads files, once
    before, reader = cpu_ns(server.pid), reader_ns(server.pid)
    requests = wrk(server, seconds)
    used, reader = cpu_ns(server.pid) - before, reader_ns(server.pid) - reader
    if on:
        profile.join()
        if not asked:
            raise SystemExit("cpuprof.py: there was no profile")
    return used / requests / 1000, reader / used


def in_turns(rounds, seconds):
    server = peers.Server([peers.PROGRAMS / "gee"])
    try:
        a_round(server, 1, True)
        pairs, shares = [], []
        for i in range(rounds):
            turn = [False, True] if i % 2 == 0 else [True, False]
            cost = {on: a_round(server, seconds, on) for on in turn}
            (without, _), (with_it, share) = cost[False], cost[True]
            pairs.append((without, with_it))
            shares.append(share)
            print(f"  round {i + 1} of {rounds}: without {without:.2f}, with {with_it:.2f} µs CPU a "
                  f"request, ratio {with_it / without:.3f}; of it the reader of the samples "
                  f"{share:.2%}", flush=True)
    finally:
        server.stop()
    ratios = sorted(b / a for a, b in pairs)
    ratio = statistics.median(b for _, b in pairs) / statistics.median(a for a, _ in pairs)
    print(f"with / without: {ratio:.3f}, of the medians; a round: {ratios[0]:.3f} - {ratios[-1]:.3f}, "
          f"median {statistics.median(ratios):.3f}; bar {BAR}: {'met' if ratio <= BAR else 'MISSED'}")
    print(f"the reader of the samples: {statistics.median(shares):.2%} of the CPU time of the server")
    return ratio


def of_the_handler():
    """Instructions of a sample, in the walk; the rest of the handler is some 50 more."""
    server = peers.Server([peers.PROGRAMS / "gee"], under=[*count.CALLGRIND, "--toggle-collect=gee_cpu_walk"],
                          stderr=subprocess.PIPE)
    try:
        port = int(server.url.rsplit(":", 1)[1])
        said = []

        def ask():
            url = f"{server.url}/debug/pprof/profile?seconds=4&debug=1"
            said.append(urllib.request.urlopen(url, timeout=120).read().decode())

        profile = threading.Thread(target=ask)
        profile.start()
        client = socket.create_connection(("127.0.0.1", port), 60)
        request = f"GET /hello/you HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        while profile.is_alive():
            client.sendall(request)
            client.recv(4096)
        client.close()
    finally:
        server.stop()
    samples = int(re.search(r"# (\d+) samples", said[0]).group(1))
    per = count.collected(server.process.stderr.read()) / samples
    share = per * HZ / INSTRUCTIONS_S
    print(f"the walk in the handler: {per:.0f} instructions a sample, of {samples}; {HZ} of them are {share:.3%} of a "
          f"core that does {INSTRUCTIONS_S:.0e} a second")
    return share


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--seconds", type=int, default=2)
    args = p.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed (package wrk)")
        return 1
    ratio = in_turns(args.rounds, args.seconds)
    if shutil.which("valgrind"):
        of_the_handler()
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
