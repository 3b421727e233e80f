#!/usr/bin/env python3
"""`make install` as somebody else sees it: into a staged root (DESTDIR), used by
programs outside this tree that know only pkg-config, and removed again; and into a prefix, for gdb,
which goes by real paths.

  install.py [--keep]      the last line is `N passed, N failed`
"""

import contextlib
import http.server
import json
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
import urllib.request

import making

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIX = "/opt/gee"
IN_HANDLERS = ("pprof/sampler", "pprof/walk", "pprof/stack", "runtime/overflow", "runtime/task")
CFLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
PROGRAM = r"""
#include <gee/gee.h>
#include <stdio.h>

static void count_to(gee_ctx *ctx, void *arg) {
    gee_chan *ch = arg;
    for (int i = 0; i < 4; i++)
        if (gee_chan_send(ctx, ch, &i) < 0)
            break;
    gee_chan_close(ch);
    gee_chan_unref(ch);
}

static void parked(gee_req *req) {
    gee_sleep(gee_req_ctx(req), 60000);
}

static void sum(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    gee_chan *ch = gee_chan_new(sizeof(int), 0);
    int n, total = 0;
    if (ch == NULL || gee_go(ctx, count_to, gee_chan_ref(ch)) < 0) {
        gee_fail(req, 500);
        return;
    }
    while (gee_chan_recv(ctx, ch, &n) == 0)
        total += n;
    gee_chan_unref(ch);
    gee_json(req, 200, "{s:i, s:s}", "sum", total, "eof", uv_err_name(UV_EOF));
}

int main(void) {
    gee_engine *e = gee_engine_new();
    if (e == NULL)
        return 1;
    gee_GET(gee_root(e), "/sum", sum);
    gee_GET(gee_root(e), "/parked", parked);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
"""

OTLP_PROGRAM = r"""
#include <gee/gee.h>
#include <gee/otlp_curl.h>

static void sum(gee_req *req) {
    gee_otlp_log(NULL, gee_req_ctx(req), GEE_LOG_INFO, "adding");
    gee_json(req, 200, "{s:i}", "sum", 6);
}

int main(void) {
    gee_engine *e = gee_engine_new();
    gee_otlp_options opt = {.service_name = "sum"};
    gee_otlp *x;
    if (e == NULL || gee_otlp_curl_new(NULL, &opt.transport) < 0 || gee_otlp_new(&opt, &x) < 0 ||
        gee_otlp_attach(x, e) < 0)
        return 1;
    gee_use_tracing(gee_root(e), x);
    gee_GET(gee_root(e), "/sum", sum);
    int rc = gee_engine_run(e, "127.0.0.1", 0);
    gee_engine_free(e);
    return rc ? 1 : 0;
}
"""


class Results:
    passed = failed = 0

    def check(self, ok, what, detail=""):
        self.passed += bool(ok)
        self.failed += not ok
        print(("ok   " if ok else "FAIL ") + what, flush=True)
        if not ok and detail:
            print("\n".join("     | " + l for l in str(detail).rstrip().splitlines()[-20:]))
        return ok


def run(cmd, env=None, cwd=ROOT, seconds=300, stdin=None):
    p = subprocess.run(cmd, cwd=cwd, env=env, timeout=seconds, input=stdin,
                       stdin=None if stdin else subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, errors="replace")
    return p.returncode, p.stdout


def make(target, stage="", prefix=PREFIX):
    # A make that runs this one hands down its flags; they are not meant for this.
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    with making.lock("release"):
        return run(["make", "--no-print-directory", target, f"DESTDIR={stage}", f"PREFIX={prefix}"],
                   env, seconds=900)


def pkg_config(stage, *args, package="gee"):
    """The words that it says, with the paths of what is staged only turned to the stage."""
    env = {**os.environ, "PKG_CONFIG_PATH": f"{stage}{PREFIX}/lib/pkgconfig"}
    rc, out = run(["pkg-config", *args, package], env)
    return rc, [w.replace(PREFIX, f"{stage}{PREFIX}", 1) for w in out.split()]


def declared(stage):
    """The functions that the installed headers declare, from their text alone."""
    names = set()
    for h in (stage / PREFIX[1:] / "include/gee").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", h.read_text(), flags=re.S)
        text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*", "", text, flags=re.M)
        names.update(re.findall(r"^(?!typedef)[\w ]+[ *](gee_\w+)\(", text, re.M))
    return names


def exported(library):
    rc, out = run(["nm", "-D", "--defined-only", "--extern-only", str(library)])
    return {line.split()[-1] for line in out.splitlines()} if rc == 0 else set()


def has_otlp(stage):
    return (stage / PREFIX[1:] / "lib/libgee-otlp.a").exists()


def headers(r, stage, work):
    _, cflags = pkg_config(stage, "--cflags", package="gee-otlp" if has_otlp(stage) else "gee")
    for h in sorted((stage / PREFIX[1:] / "include/gee").glob("*.h")):
        source = f"#include <gee/{h.name}>\n#include <gee/{h.name}>\nextern int x;\n"
        bad = []
        for cc in filter(shutil.which, ("gcc", "clang")):
            rc, out = run([cc, *CFLAGS, *cflags, "-fsyntax-only", "-xc", "-"], cwd=work,
                          stdin=source)
            if rc != 0:
                bad.append(out)
        r.check(not bad, f"<gee/{h.name}> compiles on its own", "\n".join(bad))


def symbols(r, stage):
    public, have = declared(stage), exported(stage / PREFIX[1:] / "lib/libgee.so")
    public -= {n for n in public if n.startswith("gee_otlp_curl_")}
    r.check(len(public) > 80, f"the headers declare functions: {len(public)}")
    r.check(not public - have, "libgee.so exports all that the headers declare",
            sorted(public - have))
    r.check(not have - public, "libgee.so exports nothing else", sorted(have - public))
    _, out = run(["readelf", "-d", str(stage / PREFIX[1:] / "lib/libgee.so")])
    r.check("[libgee.so.0]" in out, "its soname is libgee.so.0", out)
    objects = [f"build/pic/common/src/{unit}.o" for unit in IN_HANDLERS]
    rc, out = run(["nm", "-u", *objects])
    r.check(rc == 0 and "__tls_get_addr" not in out,
            "what its handlers of signals ask of a thread is there, and is not allocated by them", out)


@contextlib.contextmanager
def running(program, env):
    """The process, and its first line."""
    p = subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env={**os.environ, **env})
    try:
        line = p.stdout.readline()
        yield p, line, (re.search(r"http://[^\s/]+", line) or [""])[0]
    finally:
        if p.poll() is None:
            p.kill()
        p.wait()
        p.stdout.close()


def serves(r, what, program, env):
    with running(program, env) as (p, line, url):
        if not r.check(url, f"{what}: starts", line):
            return
        with urllib.request.urlopen(url + "/sum", timeout=10) as answer:
            body = answer.read()
        r.check(b'"sum": 6' in body or b'"sum":6' in body, f"{what}: answers", body)
        p.send_signal(signal.SIGTERM)
        r.check(p.wait(15) == 0, f"{what}: ends with 0 on SIGTERM", p.returncode)


def programs(r, stage, work):
    (work / "x.c").write_text(PROGRAM)
    rc, words = pkg_config(stage, "--cflags", "--libs")
    if not r.check(rc == 0, "pkg-config knows gee", " ".join(words)):
        return
    libdir = str(stage / PREFIX[1:] / "lib")
    for cc in filter(shutil.which, ("gcc", "clang")):
        rc, out = run([cc, *CFLAGS, "x.c", "-o", f"shared-{cc}", *words], cwd=work)
        if r.check(rc == 0 and not out, f"{cc} links it with libgee.so", out):
            serves(r, f"{cc}, shared", work / f"shared-{cc}", {"LD_LIBRARY_PATH": libdir})
    # One library static and the others shared, as most would ship it; Debian has no
    # libuv.a of that name to link all of it so.
    rc, words = pkg_config(stage, "--cflags", "--libs", "--static")
    words = ["-l:libgee.a" if w == "-lgee" else w for w in words]
    rc, out = run(["gcc", *CFLAGS, "x.c", "-o", "static", *words], cwd=work)
    if r.check(rc == 0 and not out, "gcc links it with libgee.a", out):
        _, out = run(["readelf", "-d", "static"], cwd=work)
        r.check("libgee" not in out, "static: does not need libgee.so", out)
        serves(r, "static", work / "static", {})


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes everything, and keeps the names of the spans."""
    names = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in body.get("resourceSpans", []):
            for scope in resource["scopeSpans"]:
                self.names += [s["name"] for s in scope["spans"]]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


def otlp_program(r, stage, work):
    if not has_otlp(stage):
        print("skip gee-otlp: libcurl is not installed")
        return
    (work / "otlp.c").write_text(OTLP_PROGRAM)
    rc, words = pkg_config(stage, "--cflags", "--libs", package="gee-otlp")
    if not r.check(rc == 0, "pkg-config knows gee-otlp", " ".join(words)):
        return
    rc, out = run(["gcc", *CFLAGS, "otlp.c", "-o", "otlp", *words], cwd=work)
    if not r.check(rc == 0 and not out, "gcc links a program with libgee-otlp.a", out):
        return
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    serves(r, "otlp", work / "otlp", {
        "LD_LIBRARY_PATH": str(stage / PREFIX[1:] / "lib"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"})
    collector.shutdown()
    collector.server_close()
    r.check(Collector.names == ["GET /sum"], "otlp: its span was sent before it ended",
            Collector.names)


def gdb(pid, *args):
    """What it says of the task that is parked in the program's handler, and of its stack."""
    base = ["gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", *args, "-p", str(pid)]
    _, listed = run([*base, "-ex", "gee tasks"])
    n = re.search(r'^task (\d+) .*\n +"GET /parked"', listed, re.M)
    if n is None:
        return False, listed
    _, out = run([*base, "-ex", f"gee task {n[1]} bt"])
    return re.search(r"^#\d+ .* in gee_sleep\S* .*$(.*\n)+?#\d+ .* in parked \(", out, re.M), out


def debugger(r, work):
    """In a prefix of its own and not a stage: gdb looks for what it loads by the library's real path."""
    if shutil.which("gdb") is None:
        print("skip gdb: it is not installed")
        return
    prefix = work / "prefix"
    rc, out = make("install", prefix=prefix)
    if not r.check(rc == 0, "make install without DESTDIR", out):
        return
    share, lib = prefix / "share", prefix / "lib"
    auto = share / "gdb/auto-load" / str(lib)[1:] / "libgee.so.0-gdb.py"
    r.check(auto.is_symlink() and not os.readlink(auto).startswith("/") and
            auto.resolve() == (share / "gee/gee-gdb.py").resolve(),
            "what gdb loads with libgee.so.0 is a relative link to share/gee/gee-gdb.py", auto)
    by_itself = ["-iex", f"add-auto-load-scripts-directory {share}/gdb/auto-load",
                 "-iex", f"add-auto-load-safe-path {share}/gdb/auto-load"]
    for program, how, args in (("shared-gcc", "by itself, with libgee.so", by_itself),
                               ("static", "by `source`", ["-iex", f"source {share}/gee/gee-gdb.py"])):
        with running(work / program, {"LD_LIBRARY_PATH": str(lib)}) as (p, line, url):
            if not r.check(url, f"gdb, {program}: it starts", line):
                continue
            visitor = threading.Thread(target=visit, args=(url + "/parked",))
            visitor.start()
            ok, out = False, ""
            for _ in range(20):
                ok, out = gdb(p.pid, *args)
                if ok or "gee" not in out:
                    break
                time.sleep(0.1)
            r.check(ok, f"gdb shows where a task is parked; gee-gdb.py is loaded {how}", out)
            p.kill()
            visitor.join()
    rc, out = make("uninstall", prefix=prefix)
    left = [str(p) for p in prefix.rglob("*") if not p.is_dir()]
    r.check(rc == 0 and not left, "make uninstall leaves nothing of it", f"{out}\n{left}")


def visit(url):
    try:
        urllib.request.urlopen(url, timeout=60).close()
    except OSError:
        pass


def flags_of_a_packager(r):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    targets = ["build/pic/common/src/base/arena.o", "build/pic/libgee.so.0"]
    _, out = run(["make", "-nB", "FLAVOUR=release", "EXTRA_CFLAGS=-DASKED_C", "EXTRA_LDFLAGS=-Wl,-asked",
                  *targets], env)
    lines = [line for line in out.splitlines() if "arena.c" in line or "-shared" in line]
    r.check(any("-DASKED_C -fPIC" in line for line in lines) and
            any(re.search(r"-shared +-Wl,-asked ", line) for line in lines),
            "EXTRA_CFLAGS and EXTRA_LDFLAGS are given to the compiler", "\n".join(lines))


def manual(r, stage):
    pages = stage / PREFIX[1:] / "share/man"
    have = {p.name[:-2]: p for p in (pages / "man3").glob("*.3")}
    missing = sorted(declared(stage) - have.keys())
    r.check(not missing, "each call has a man page", missing)
    refers = {n: (pages / m[1]) for n, p in have.items()
              if (m := re.match(r"\.so (man3/\S+)\n$", p.read_text()))}
    bad = [n for n, p in refers.items() if not p.exists() or p.name[:-2] in refers or
           not re.search(rf"^\.Fo {n}$", p.read_text(), re.M)]
    r.check(not bad, "and what it refers to has the call in its synopsis", bad)
    real = [p for n, p in have.items() if n not in refers] + [pages / "man7/gee.7"]
    if shutil.which("mandoc") is None:
        print("skip the form of the man pages: mandoc is not installed")
        return
    for p in sorted(real):
        rc, out = run(["mandoc", "-T", "lint", "-W", "warning", str(p)])
        r.check(rc == 0 and not out, f"{p.name}: no warnings of mandoc", out)


def main(argv):
    r = Results()
    work = pathlib.Path(tempfile.mkdtemp(prefix="gee-install-"))
    stage = work / "stage"
    try:
        rc, out = make("install", stage)
        if r.check(rc == 0, "make install", out):
            pc = (stage / PREFIX[1:] / "lib/pkgconfig/gee.pc").read_text()
            r.check(str(stage) not in pc and str(ROOT) not in pc, "gee.pc names no build path", pc)
            headers(r, stage, work)
            symbols(r, stage)
            programs(r, stage, work)
            debugger(r, work)
            flags_of_a_packager(r)
            otlp_program(r, stage, work)
            manual(r, stage)
        rc, out = make("uninstall", stage)
        left = [str(p) for p in stage.rglob("*") if not p.is_dir() or p.name == "gee" and
                p.parent.name == "include"]
        r.check(rc == 0 and not left, "make uninstall leaves nothing", f"{out}\n{left}")
    finally:
        if "--keep" in argv:
            print(f"kept: {work}")
        else:
            shutil.rmtree(work)
    print(f"{r.passed} passed, {r.failed} failed")
    return 1 if r.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
