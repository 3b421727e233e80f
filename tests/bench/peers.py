"""The servers that are measured: how each is started, and what it can be asked for.

All are alone on core 0, and what loads them is on core 1. They are ours (peers/), except
nginx and h2o, which are run with a configuration of ours, in a directory of their own. CPU time is
the kernel's count of all threads of the server.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ROOT / "build/release/bench"
FILES = ROOT / "build/bench-files"
LOG = ROOT / "build/bench-peers.log"  # what the servers say on stderr
SIZES = {"4k": 4096, "1m": 1 << 20}


def pin(core):
    """For preexec_fn; None: all cores."""
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, cores if core is None else {cores[core % len(cores)]})


def make_files():
    """What is echoed, and the static files."""
    FILES.mkdir(parents=True, exist_ok=True)
    for name, size in SIZES.items():
        (FILES / f"{name}.txt").write_bytes((b"0123456789abcde\n" * (size // 16))[:size])
    one = {"id": 123456, "name": "a thing of some kind", "price": 12.5, "tags": ["a", "b", "c"],
           "open": True, "parent": None}
    for name, size in {"1k": 1024, "64k": 65536}.items():
        n = size // (len(json.dumps(one)) + 2)
        (FILES / f"{name}.json").write_text(json.dumps([{**one, "id": i} for i in range(n)]))


class Server:
    """A program that says where it listens as the last word of its first line."""

    def __init__(self, command, under=(), stderr=None, core=0, workers=1, env=None):
        with LOG.open("a") as log:
            self.process = subprocess.Popen([*under, *map(str, command)], stdout=subprocess.PIPE,
                                            stderr=stderr or log, text=True, preexec_fn=pin(core),
                                            env={**os.environ, "GEE_WORKERS": str(workers),
                                                 **(env or {})})
        self.pid = self.process.pid
        self.url = self.listens()
        self.port = int(self.url.rsplit(":", 1)[1])

    def listens(self):
        said = self.process.stdout.readline().split()
        if not said:
            self.process.wait()
            raise SystemExit(f"bench.py: {self.process.args} did not start")
        return said[-1]

    def sched(self):
        """For each thread: ns on a core, and ns ready to run without one."""
        threads = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                threads.append([int(n) for n in (task / "schedstat").read_text().split()[:2]])
            except OSError:
                pass  # it has ended meanwhile
        return threads

    def cpu_ns(self):
        return sum(t[0] for t in self.sched())

    def waited_ns(self):
        return sum(t[1] for t in self.sched())

    def rss_kib(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as r:
            return r.read()

    def census(self):
        """Of a gee server."""
        return json.loads(self.get("/debug/tasks?format=json"))["census"]

    def stop(self):
        """The rest of what it said."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self.process.stdout.read() if self.process.stdout else ""


class Configured(Server):
    """nginx and h2o: a port is looked for, and a configuration is made."""

    def __init__(self, template, command):
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="gee-bench-"))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        text = (HERE / "peers" / template).read_text()
        for name, value in {"tmp": self.tmp, "port": self.port, "files": FILES}.items():
            text = text.replace("{" + name + "}", str(value))
        conf = self.tmp / template
        conf.write_text(text)
        (self.tmp / "hello").mkdir()
        (self.tmp / "hello/you").write_text("hello, you!\n")
        if os.getuid() == 0:  # h2o becomes nobody
            shutil.chown(self.tmp, "nobody")
            self.tmp.chmod(0o755)
        super().__init__([a.replace("{conf}", str(conf)) for a in command],
                         stderr=(self.tmp / "stderr").open("w"))

    def listens(self):
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return f"http://127.0.0.1:{self.port}"
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"bench.py: {self.process.args} does not listen: "
                         + (self.tmp / "stderr").read_text())

    def stop(self):
        super().stop()
        shutil.rmtree(self.tmp, ignore_errors=True)
        return ""


def ours(name, *args):
    return lambda: Server([PROGRAMS / name, *args])


HELLO = {"hello", "pipelined", "close"}
FILE = {"file4k", "file1m"}
JSON = {"json1k", "json64k"}
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")

# name: what it is called in the tables, how it is started, what it can do, what has to be there.
PEERS = {
    "floor": ("bare libuv, parses nothing", ours("floor"), {"hello", "close"}, None),
    "gee": ("Gee in C", ours("gee", FILES), {"all"}, None),
    "nginx": ("nginx", lambda: Configured("nginx.conf", [NGINX, "-c", "{conf}"]), HELLO | FILE,
              NGINX),
    "h2o": ("h2o (a file)", lambda: Configured("h2o.conf", ["h2o", "-c", "{conf}"]), HELLO | FILE,
            shutil.which("h2o")),
    "mhd": ("libmicrohttpd", ours("mhd"), HELLO, PROGRAMS / "mhd"),
    "gin": ("Gin, Go", ours("gin", FILES), {"all"}, PROGRAMS / "gin"),
    "gogee": ("Gee, Go", ours("gogee"), HELLO, PROGRAMS / "gogee"),
    "node": ("node:http", lambda: Server(["node", HERE / "peers/node.js"]), HELLO | JSON,
             shutil.which("node")),
}
PACKAGES = {"nginx": "nginx-light", "h2o": "h2o", "mhd": "libmicrohttpd-dev", "node": "nodejs",
            "gin": "golang-go, golang-github-gin-gonic-gin-dev", "gogee": "golang-go"}


def label(name):
    return PEERS[name][0]


def is_here(name):
    needs = PEERS[name][3]
    return name in ("floor", "gee") or bool(needs and pathlib.Path(needs).exists())


def missing():
    return [n for n in PEERS if not is_here(n)]


def who_can(workload):
    return [n for n, p in PEERS.items() if p[2] & {workload, "all"} and is_here(n)]


def start(name):
    return PEERS[name][1]()
