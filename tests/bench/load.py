"""What the servers are asked, and one round of it: wrk for requests, our own programs for streams
and for deadlines. Each is on core 1."""

import json
import pathlib
import subprocess
import time

from peers import FILES, HERE, PROGRAMS, pin

# name: (title, depth, method, path, body or None, whether each has a connection of its own)
WORKLOADS = {
    "hello": ("hello behind two middlewares, a parameter route", 1, "GET", "/hello/you", None, False),
    "pipelined": ("the same, pipelined by 16", 16, "GET", "/hello/you", None, False),
    "close": ("connect, one request, close", 1, "GET", "/hello/you", None, True),
    "json1k": ("JSON echo, 1 KiB", 1, "POST", "/json", "1k.json", False),
    "json64k": ("JSON echo, 64 KiB", 1, "POST", "/json", "64k.json", False),
    "file4k": ("static file, 4 KiB", 1, "GET", "/files/4k.txt", None, False),
    "file1m": ("static file, 1 MiB", 1, "GET", "/files/1m.txt", None, False),
    "fanout": ("fan-out of 4 sub-tasks", 1, "GET", "/fanout", None, False),
}


class Failed(Exception):
    """A server has not done what it was asked for."""


def title(name):
    return WORKLOADS[name][0]


def ask(server, name, seconds, connections, core=1, threads=1):
    """One round of wrk: µs of the server's CPU a request, requests a second, latencies in µs."""
    _, depth, method, path, body, close = WORKLOADS[name]
    args = [depth, method, path, "close" if close else "keep"] + ([FILES / body] if body else [])
    before, start = server.sched(), time.monotonic()
    out = subprocess.run(
        ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s",
         "-s", HERE / "wrk.lua", server.url, "--", *map(str, args)],
        stdout=subprocess.PIPE, text=True, preexec_fn=pin(core), timeout=seconds + 60,
        check=True).stdout
    wall_ns = (time.monotonic() - start) * 1e9
    after = server.sched()
    said = json.loads(out[out.rindex("{"):])
    if said["requests"] == 0 or said["bad"]:
        raise Failed(f"{name}: wrk met errors\n{out}")
    cpu = sum(t[0] for t in after) - sum(t[0] for t in before)
    each = [a[0] - b[0] for a, b in zip(after, before)]
    return {"cpu_us": cpu / said["requests"] / 1e3,
            "rps": said["requests"] / said["us"] * 1e6,
            **{k: said[k] for k in ("p50_us", "p99_us", "p999_us")},
            "busiest": max(each) / max(1, sum(each)),
            "waited": (sum(t[1] for t in after) - sum(t[1] for t in before)) / wall_ns}


class Streams:
    """N open streams of a server."""

    def __init__(self, server, n, path):
        self.process = subprocess.Popen([PROGRAMS / "streams", str(server.port), str(n), path],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=pin(1))
        if self.process.stdout.readline().strip() != "open":
            self.process.wait()
            raise Failed("the streams did not open")

    def close(self):
        """All of them, at once. {port: ns at which its client began to close it}"""
        out, _ = self.process.communicate("close\n", timeout=60)
        return {int(p): int(ns) for p, ns in (line.split() for line in out.splitlines())}


def deadlines(server, n, limit_ms, seconds):
    """Half of n requests a second are late: how late their 504s were, and CPU a request."""
    before = server.cpu_ns()
    done = subprocess.run([PROGRAMS / "deadline", str(server.port), str(n), str(limit_ms),
                           str(seconds)], text=True, stdout=subprocess.PIPE, preexec_fn=pin(1),
                          stderr=subprocess.PIPE, timeout=seconds + 60)
    if done.returncode != 0:
        raise Failed(f"deadlines: {done.stderr.strip()}")
    late = json.loads(done.stdout)
    return {**late, "cpu_us": (server.cpu_ns() - before) / late["answers"] / 1e3}


def micro(program, ms):
    """{name: ns of CPU an operation}"""
    go = program.name.endswith("-go")
    args = ["-test.bench=.", f"-test.benchtime={ms}ms", "-test.cpu=1"] if go else [str(ms)]
    out = subprocess.run([program, *args], text=True, stdout=subprocess.PIPE, preexec_fn=pin(0),
                         timeout=120, check=True).stdout
    if not go:
        return {name: float(ns) for name, ns in (line.split() for line in out.splitlines())}
    lines = (line.split() for line in out.splitlines() if line.startswith("Benchmark"))
    return {words[0][len("Benchmark"):].lower(): float(words[words.index("cpu-ns/op") - 1])
            for words in lines}


def have_wrk():
    return any((pathlib.Path(d) / "wrk").exists() for d in ("/usr/bin", "/usr/local/bin"))
