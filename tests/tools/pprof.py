#!/usr/bin/env python3
"""`go tool pprof` reads every profile of /debug/pprof/, over HTTP, from the server of chapter 4.

Each with -top, -tree, -raw, -svg (graphviz), and -diff_base against an earlier one: that the tool
takes it, and that it says the functions, the lines and the numbers that are true of this
server. Without `go` nothing is checked, and without `dot` no pictures are. The last line is
`N passed, N failed`.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import making

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / "build/release/ch04-pprof/server.fixed"
SOURCE = "ch04-pprof/server.c"
passed = failed = 0


def check(ok, what, seen=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED: {what}")
        print("\n".join("    | " + l for l in str(seen).splitlines()[:40]))
    return ok


def line_of(text):
    """The number of the line of the server's source that has this."""
    lines = (ROOT / SOURCE).read_text().splitlines()
    return next(i + 1 for i, l in enumerate(lines) if text in l)


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


class Tool:
    def __init__(self, tmp):
        self.tmp = tmp

    def pprof(self, *args):
        p = subprocess.run(["go", "tool", "pprof", *args], cwd=self.tmp, text=True, timeout=120,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, errors="replace",
                           env={**os.environ, "PPROF_TMPDIR": self.tmp, "HOME": self.tmp})
        return p.returncode, p.stdout

    def says(self, what, expected, *args):
        rc, out = self.pprof(*args)
        missing = [e for e in expected if not re.search(e, out, re.M)]
        check(rc == 0 and not missing, f"{what}: {' '.join(args)}: {missing}", out)
        return out


class Load:
    """Requests to one path from so many clients, until it is left."""

    def __init__(self, url, clients):
        self.threads = [threading.Thread(target=self.run, args=(url,)) for _ in range(clients)]
        self.on = True

    def run(self, url):
        while self.on:
            fetch(url)

    def __enter__(self):
        for t in self.threads:
            t.start()

    def __exit__(self, *_):
        self.on = False
        for t in self.threads:
            t.join()


def views(tool, name, source, functions, raw, index=()):
    """One profile in each form that people look at."""
    args = [*index, source]
    named = [rf" {re.escape(f)}( \(inline\))?$" for f in functions]
    tool.says(f"{name}, top", [*named, r"^File: server.fixed$", r"^Build ID: [0-9a-f]+$"],
              "-top", "-nodecount=500", "-nodefraction=0", *args)
    tool.says(f"{name}, tree", [rf"\| +{re.escape(functions[0])}"], "-tree", "-nodecount=500",
              "-nodefraction=0", *args)
    tool.says(f"{name}, raw", raw, "-raw", source)
    if shutil.which("dot"):
        tool.says(f"{name}, svg", [r"<svg ", re.escape(functions[0])], "-svg", "-nodecount=500",
                  "-nodefraction=0", "-output=/dev/stdout", *args)


def keep(url, path):
    status, body = fetch(url)
    check(status == 200 and body[:2] == b"\x1f\x8b", f"{url} is compressed", status)
    pathlib.Path(path).write_bytes(body)
    return path


def tasks(tool, base, tmp):
    wait = line_of("gee_chan_recv(ctx, receipts")
    by = {f: line_of(text) for f, text in (
        ("order", "gee_go(gee_background(), awaits_receipt"), )}
    before = keep(f"{base}/goroutine", f"{tmp}/goroutine.before")
    for path in ("order", "invoice", "invoice"):
        fetch(f"{base.rsplit('/debug', 1)[0]}/{path}")
    url = f"{base}/goroutine"
    functions = ["awaits_receipt", "created by order", "created by invoice", "gee_park_wait"]
    raw = [r"^goroutine/count$", rf" awaits_receipt \S*{SOURCE}:{wait} s=0$",
           rf" created by order {SOURCE}:{by['order']} s=0$",
           r"^ +6: [\d ]+\n +created_at:\[ch04-pprof/server.c:\d+\]", r"\[FN\]\[FL\]\[LN\]\[IN\]"]
    views(tool, "goroutine", url, functions, raw)
    tool.says("goroutine, by line", [rf"^ +0 .* 7 .* awaits_receipt \S*{SOURCE}:{wait}$"], "-top", "-lines",
              "-nodecount=500", url)
    tool.says("goroutine, by label", [r"created_at: Total 7", r"chan receive"], "-tags",
              "-focus=awaits_receipt", url)
    tool.says("task", [r" awaits_receipt$"], "-top", f"{base}/task")
    tool.says("goroutine, the difference", [r"^ +0 .* 6 .* created by invoice$",
                                            r"^ +0 .* 1 .* created by order$"], "-top",
              "-nodecount=500", "-nodefraction=0", f"-diff_base={before}", url)
    tool.says("goroutine, as text", [r"^ +\d+ .*gee_task_switch_out$"], "-top", f"{url}?debug=1")
    status, text = fetch(f"{url}?debug=2")
    check(status == 200 and re.search(rb"^goroutine \d+ \[chan receive\]:$", text, re.M),
          "goroutine?debug=2", text)


def leaks(tool, base):
    site = base.rsplit("/debug", 1)[0]
    tool.says("taskleak, none", [r"^Type: goroutine$"], "-top", f"{base}/taskleak")
    fetch(f"{site}/forgets")
    time.sleep(0.1)
    views(tool, "taskleak", f"{base}/taskleak", ["waits_for_nobody", "created by forgets"],
          [r"leak:\[\w+\]", rf" waits_for_nobody \S*{SOURCE}:\d+ "])


def heap(tool, base, tmp):
    site = base.rsplit("/debug", 1)[0]
    before = keep(f"{base}/heap", f"{tmp}/heap.before")
    views(tool, "heap", f"{base}/heap", ["task", "stack", "created by invoice", "connection"],
          [r"^inuse_objects/count inuse_space/bytes", r"gee_prof_page"])
    tool.says("heap, objects", [r"^ +\d+ .* task$", r"^Type: inuse_objects$"], "-top",
              "-sample_index=inuse_objects", f"{base}/heap")
    fetch(f"{site}/order")
    tool.says("heap, the difference", [r"^ +0 .* created by order$"], "-top", "-nodecount=500",
              "-nodefraction=0", "-sample_index=inuse_objects", f"-diff_base={before}",
              f"{base}/heap")
    tool.says("heap, as text", [r"^Type: space$", r" awaits_receipt$"], "-top", f"{base}/heap?debug=1")


def waits(tool, base, tmp):
    site = base.rsplit("/debug", 1)[0]
    lock = line_of("gee_mutex_lock(ctx, &till)")
    for name in ("block", "mutex"):
        with Load(f"{site}/pay", 5):
            path = keep(f"{base}/{name}?seconds=2", f"{tmp}/{name}")
        out = tool.says(name, [r"^Duration: 2", r"^Type: delay$"], "-top", path)
        total = re.search(r"Total samples = ([\d.]+)s", out)
        # Four at a time wait for a lock that is held, all of the two seconds.
        check(total and 4 <= float(total.group(1)) <= 12, f"{name}: the sum", out)
        views(tool, name, path, ["pay", "gee_mutex_lock_at"],
              [r"^contentions/count delay/nanoseconds", r"reason:\[mutex lock\]",
               rf" pay \S*{SOURCE}:{lock} s=0$"])
        tool.says(f"{name}, of nothing", [r"^Showing nodes accounting for 0, "], "-top",
                  f"-diff_base={path}", path)
    tool.says("block, as text", [r"^Showing nodes accounting for 0"], "-top", f"{base}/block?debug=1")


def others(base):
    status, text = fetch(f"{base}/cmdline")
    check(status == 200 and text == str(SERVER).encode(), "cmdline", text)
    text = fetch(f"{base}/goroutine?debug=1")[1].decode()
    pc = re.search(r"^#\t(0x[0-9a-f]+)\tawaits_receipt\+", text, re.M).group(1)
    check(fetch(f"{base}/symbol?{pc}")[1].decode().endswith(f"{pc} awaits_receipt\n"), "symbol", pc)
    check(fetch(f"{base}/symbol")[1] == b"num_symbols: 1\n", "symbol")
    for query in ("debug=9", "seconds=-1", "seconds=1&debug=1"):
        check(fetch(f"{base}/goroutine?{query}")[0] == 400, f"?{query} is refused")


def main():
    if shutil.which("go") is None:
        print("go is not installed (package golang-go)")
        print("0 passed, 1 failed")
        return 1
    good, said = making.make("release", str(SERVER.relative_to(ROOT)))
    if not check(good, "the server is built", said):
        return 1
    server = subprocess.Popen([SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, env={**os.environ, "PORT": "0", "GEE_WORKERS": "2"})
    with tempfile.TemporaryDirectory(prefix="gee-pprof-") as tmp:
        try:
            base = server.stdout.readline().split()[-1] + "/debug/pprof"
            tool = Tool(tmp)
            tasks(tool, base, tmp)
            heap(tool, base, tmp)
            waits(tool, base, tmp)
            leaks(tool, base)
            others(base)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    if shutil.which("dot") is None:
        print("dot is not installed (package graphviz): no pictures were drawn")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
