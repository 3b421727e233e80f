"""speedscope, a reader of traces that is not ours, in headless Chromium.

It is an npm package and comes as one page with its program: `make test-readers` installs it under
build/readers, and nothing else is downloaded. Chromium is steered by its DevTools protocol, over a
pipe: JSON messages that end with a zero (--remote-debugging-pipe).
"""

import base64
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import trace_check
from browser import FLAGS

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = "(document.querySelector('table') ? document.body.innerText : '')"
PAGE = ROOT / "build/readers/node_modules/speedscope/dist/release/index.html"


def missing():
    """What is not there, or None."""
    if not chromium():
        return "chromium is not installed"
    return None if PAGE.exists() else "speedscope is not installed"


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="gee-browser-")
        to_browser, self.write_fd = os.pipe()
        self.read_fd, from_browser = os.pipe()

        def fds():  # it reads 3 and writes 4
            a, b = os.dup(to_browser), os.dup(from_browser)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [chromium(), *FLAGS, "--remote-debugging-pipe", "--allow-file-access-from-files",
             f"--user-data-dir={self.profile}", "about:blank"], preexec_fn=fds, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.session = b"", 0, None
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.write_fd)
        os.close(self.read_fd)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.buffer:
                piece = os.read(self.read_fd, 65536)
                if not piece:
                    raise RuntimeError("Chromium has ended")
                self.buffer += piece
            one, _, self.buffer = self.buffer.partition(b"\0")
            answer = json.loads(one)
            if answer.get("id") == self.number:
                return answer.get("result", {})

    def open(self, url):
        target = self.call("Target.createTarget", url=url)["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True).get(
            "result", {}).get("value")

    def wait(self, expression, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.value(expression)
            if value:
                return value
            time.sleep(0.1)
        return self.value(expression)

    def key(self, key, code):
        for what in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=what, key=key, text=key if what == "keyDown" else "",
                      windowsVirtualKeyCode=code)


def shown(path):
    """What speedscope shows of a trace: the text of its table of names, for each track."""
    data = base64.b64encode(pathlib.Path(path).read_bytes()).decode()
    with tempfile.NamedTemporaryFile("w", suffix=".js") as js, Browser() as browser:
        # As its own command line does it.
        js.write(f"speedscope.loadFileFromBase64({json.dumps(os.path.basename(path))}, "
                 f"{json.dumps(data)})")
        js.flush()
        browser.open(f"{PAGE.as_uri()}#localProfilePath={js.name}")
        browser.call("Emulation.setDeviceMetricsOverride", width=1200, height=8000,
                     deviceScaleFactor=1, mobile=False)  # of a table only what is in sight is there
        browser.wait("document.title.includes(' - ')")
        browser.key("3", 51)  # the table
        pages = [browser.wait(TABLE) or ""]
        tracks = re.search(r"\(1/(\d+)\)", pages[0])
        for i in range(2, int(tracks[1]) + 1 if tracks else 0):
            browser.key("n", 78)  # the next track
            pages.append(browser.wait(f"{TABLE}.includes('({i}/{tracks[1]})') && {TABLE}") or "")
        return pages


def opens(path):
    """(what, whether it is so), …: speedscope shows the workers, and on each the slices it has."""
    trace = trace_check.Trace(pathlib.Path(path).read_text())
    names = {tid: {e["name"] for _, _, e in slices} for tid, slices in trace.slices.items()}
    pages = shown(path)
    results = [(f"speedscope opens it, and has {len(pages)} tracks", len(pages) == len(trace.threads))]
    for tid, worker in sorted(trace.threads.items()):
        text = next((p for p in pages if f", {worker} (tid {tid})" in p), "")
        of = names.get(tid, set())
        seen = {n for n in of if n in text}
        results.append((f"{worker}: {len(seen)} of {len(of)} names of slices are in its table",
                        seen == of and bool(text)))
    return results
