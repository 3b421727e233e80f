#!/usr/bin/env python3
"""A browser's EventSource against a stream: headless Chromium opens the page of
common/examples/clock.c, which reports each event back. Then the browser is
ended, and the server must be rid of its tasks, requests and connections within
a second. The last line is `N passed, N failed`."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage"]


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as r:
        return r.read().decode()


def census(url):
    return json.loads(fetch(url + "/debug/tasks?format=json"))["census"]


def wait_until(done, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.05)
    return done()


def main():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("chromium is not installed")
        print("0 passed, 1 failed")
        return 1
    server = subprocess.Popen([ROOT / "build/release/examples/clock"], stdout=subprocess.PIPE,
                              text=True, env={**os.environ, "PORT": "0"})
    results = []
    profile = tempfile.mkdtemp(prefix="gee-browser-")
    browser = None
    try:
        url = server.stdout.readline().split()[-1]
        before = census(url)
        browser = subprocess.Popen([chromium, *FLAGS, "--remote-debugging-port=0",
                                    f"--user-data-dir={profile}", url],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        got = wait_until(lambda: int(fetch(url + "/seen")) >= 10, 60)
        results.append(("the page has seen 10 events", got))
        during = census(url)
        results.append(("its stream is one task", during["tasks"] > before["tasks"]))
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
        start = time.monotonic()
        rest = ("tasks", "reqs", "conns")
        gone = wait_until(lambda: all(census(url)[k] <= before[k] for k in rest), 1)
        results.append((f"the browser gone, so is its stream ({time.monotonic() - start:.2f} s)",
                        gone))
        server.send_signal(signal.SIGTERM)
        results.append(("the server ends well", server.wait(10) == 0))
    finally:
        for p in (browser, server):
            if p and p.poll() is None:
                p.kill()
        shutil.rmtree(profile, ignore_errors=True)
    for name, ok in results:
        print(f"{'ok  ' if ok else 'FAIL'} {name}")
    failed = sum(not ok for _, ok in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
