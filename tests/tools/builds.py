#!/usr/bin/env python3
"""`make builds`: what builds, and does it serve? Two compilers, two sources of llhttp.

Debian 12 has llhttp as sources (node-llhttp), which the Makefile compiles; elsewhere there is a
library with a pkg-config file. Where that is not installed, one is made here of those sources, in
a temporary directory. Each of the four is built in a tree of its own, with the example of the
README and a test program of the parser; `hello` must answer curl, and the tests must pass. The last
line is `N passed, N failed`.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import lesson

ROOT = lesson.ROOT
SOURCES = pathlib.Path("/usr/share/llhttp")
HEADER = pathlib.Path("/usr/share/include/llhttp/llhttp.h")
COMPILERS = {"gcc": "release", "clang": "clang"}  # and the flavour that has it


def run(cmd, env=None, seconds=900):
    p = subprocess.run(cmd, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                       timeout=seconds)
    return p.returncode, p.stdout


def make_package(tmp):
    """llhttp as a library that pkg-config finds: the directory of its .pc file."""
    version = dict(re.findall(r"#define LLHTTP_VERSION_(\w+) (\d+)", HEADER.read_text()))
    shutil.copy(HEADER, tmp / "llhttp.h")
    objects = []
    for source in SOURCES.glob("*.c"):
        objects.append(str(tmp / f"{source.stem}.o"))
        subprocess.run(["gcc", "-O2", f"-I{tmp}", "-c", source, "-o", objects[-1]], check=True)
    subprocess.run(["ar", "rcs", tmp / "libllhttp.a", *objects], check=True)
    (tmp / "libllhttp.pc").write_text(
        f"Name: libllhttp\nDescription: llhttp\nVersion: {'.'.join(version.values())}\n"
        f"Cflags: -isystem {tmp}\nLibs: -L{tmp} -lllhttp\n")
    return tmp


def sources(tmp):
    """{name: environment} of the two ways to llhttp, and why one is not there."""
    installed = run(["pkg-config", "--exists", "libllhttp"])[0] == 0
    have_sources = (SOURCES / "llhttp.c").exists()
    out = {}
    if installed:
        out["pkg-config"] = {}
    elif have_sources:
        out["pkg-config"] = {"PKG_CONFIG_PATH": str(make_package(tmp))}
    if have_sources:  # hidden from pkg-config, if it is there too
        out["Debian's sources"] = {"LLHTTP_PKG": "no"} if installed else {}
    return out


def serves(tree):
    """Does the example of the README answer?"""
    p = subprocess.Popen([ROOT / tree / "examples/hello"], env={**os.environ, "PORT": "0"}, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        line = p.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", line)
        if not url:
            return f"it does not listen: {line.strip()}"
        code, out = run(["curl", "-sS", "--max-time", "5", f"{url[0]}/hello/ann"], seconds=10)
        return "" if code == 0 and "ann" in out else f"curl: {code} {out.strip()}"
    finally:
        p.terminate()
        p.wait(10)


def one(compiler, env, name):
    tree = f"build/builds/{compiler}-{'pkg' if name == 'pkg-config' else 'sources'}"
    args = [f"{k}={v}" for k, v in env.items() if k == "LLHTTP_PKG"]
    test = f"{tree}/tests/common/test_http"
    code, out = run(["make", "--no-print-directory", f"-j{os.cpu_count()}", f"FLAVOUR={COMPILERS[compiler]}",
                     f"B={tree}", *args, f"{tree}/libgee.a", f"{tree}/examples/hello", test], env)
    if code != 0:
        return "it does not build", out
    own = any((ROOT / tree / "llhttp").glob("*.o"))
    if own != (name != "pkg-config"):
        return f"it was linked with the other llhttp (compiled here: {own})", out
    why = serves(tree)
    if why:
        return why, ""
    code, out = run([ROOT / test], seconds=60)
    return ("" if code == 0 else "test_http fails"), out


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="gee-builds-") as tmp:
        ways = sources(pathlib.Path(tmp))
        shutil.rmtree(ROOT / "build/builds", ignore_errors=True)
        print(f"{'compiler':<10}{'llhttp':<20}{'':<10}")
        for compiler in COMPILERS:
            for name, env in ways.items():
                start = time.monotonic()
                if shutil.which(compiler) is None:
                    print(f"{compiler:<10}{name:<20}skipped: {compiler} is not installed", flush=True)
                    continue
                why, out = one(compiler, env, name)
                passed, failed = passed + (not why), failed + bool(why)
                mark = lesson.paint("31", "FAIL") if why else lesson.paint("32", "builds and serves")
                print(f"{compiler:<10}{name:<20}{mark} {time.monotonic() - start:5.0f} s  {why}", flush=True)
                if why:
                    print("\n".join("     | " + line for line in out.rstrip().splitlines()[-20:]))
    for name in {"pkg-config", "Debian's sources"} - set(ways):
        print(f"skipped: {name}: it is not here")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
