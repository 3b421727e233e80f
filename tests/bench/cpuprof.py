#!/usr/bin/env python3
"""What a CPU profile at 100 Hz costs: CPU time a request with one being made and without, in turns
(pairs.py).

The time is that of all threads of the server, so that who reads the samples is in it. A slice is half a second or
more, since samples are so far apart. And, since that is disturbed by whatever else the machine
does, the walk in the handler by itself: its instructions for a sample, counted by callgrind; 100 of them are a
share of a second.

  cpuprof.py [--quads 20] [--requests 80000]
"""

import argparse
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request

import count
import pairs
import peers

BAR = 1.02
HZ = 100
INSTRUCTIONS_S = 1e9  # that a core does at least


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
    p.add_argument("--quads", type=int, default=20)
    p.add_argument("--requests", type=int, default=80000)
    args = p.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed (package wrk)")
        return 1
    verdict = pairs.say("a CPU profile while it is made", pairs.measure("profile", args.quads, args.requests), BAR)
    if shutil.which("valgrind"):
        of_the_handler()
    return 1 if verdict == "MISSED" else 0


if __name__ == "__main__":
    sys.exit(main())
