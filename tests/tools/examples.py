#!/usr/bin/env python3
"""The examples, used as their users would: real processes on real ports, and curl.

  examples.py [FLAVOUR...]     default: release asan; the last line is `N passed, N failed`

Each server is told to end with SIGTERM, also in the middle of things, and must then
exit with 0 in time; under ASan that is also where LeakSanitizer looks.
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import making

ROOT = pathlib.Path(__file__).resolve().parents[2]
CURL = ["curl", "-s", "-m", "20", "--noproxy", "*"]
passed = failed = 0


def check(ok, what, detail=""):
    global passed, failed
    passed += bool(ok)
    failed += not ok
    print(("ok   " if ok else "FAIL ") + what, flush=True)
    if not ok and detail != "":
        print("     | " + str(detail)[:2000])
    return ok


class Server:
    """One example, running; used in a `with`, at whose end it must end well."""

    def __init__(self, flavour, name, **env):
        self.name = f"{flavour}, {name}"
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [ROOT / "build" / flavour / "examples" / name], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, "PORT": "0", "GEE_DRAIN_MS": "2000", **env,
                 "ASAN_OPTIONS": "detect_stack_use_after_return=0"})
        self.url = (self.process.stdout.readline().split() or [""])[-1]
        self.port = int(self.url.rpartition(":")[2] or 0)

    def __enter__(self):
        if not self.url.startswith("http://"):
            self.kill()
            raise RuntimeError(f"{self.name} does not start: {self.said()}")
        return self

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, kind, *_):
        if self.process.poll() is None and kind is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(25)
            check(self.process.poll() == 0, f"{self.name}: SIGTERM ends it, with 0",
                  f"{self.process.poll()}\n{self.said()}")
        self.kill()
        self.process.stdout.close()
        self.log.close()

    def curl(self, path, *args, data=None):
        """The status and the body, as bytes."""
        p = subprocess.run([*CURL, "-w", "\n%{http_code}", *args, self.url + path], input=data,
                           stdout=subprocess.PIPE, timeout=30)
        body, _, status = p.stdout.rpartition(b"\n")
        return int(status or 0), body

    def json(self, path, *args, data=None):
        status, body = self.curl(path, *args, data=data)
        return status, json.loads(body) if body else None

    def send(self, path, value, *args):
        return self.json(path, *args, "--data-binary", "@-",
                         data=value if isinstance(value, bytes) else json.dumps(value).encode())


def until(done, seconds=10):
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
    return done()


# --- hello ---


def hello(flavour):
    with Server(flavour, "hello") as s:
        name = s.name
        check(s.curl("/hello") == (200, b"hello, world\n"), f"{name}: /hello")
        check(s.curl("/hello/you") == (200, b"hello, you\n"), f"{name}: /hello/you")
        check(s.curl("/hello", "-I")[0] == 200, f"{name}: HEAD /hello")
        check(s.curl("/other")[0] == 404, f"{name}: another path is 404")
        data = os.urandom(1 << 20)
        for how in ("Content-Length", "chunked"):
            args = ["-H", "Transfer-Encoding: chunked"] if how == "chunked" else []
            status, got = s.curl("/echo", *args, "-H", "Content-Type: image/x-noise", "-D", "-",
                                 "--data-binary", "@-", data=data)
            check(status == 200 and got.endswith(data) and
                  b"content-type: image/x-noise\r\n" in got[:1000].lower(),
                  f"{name}: echoes 1 MiB of a type, {how}", status)
        check(s.curl("/echo", "-X", "POST") == (200, b""), f"{name}: echoes nothing")
        status, _ = s.curl("/echo", "--data-binary", "@-", data=bytes(9 << 20))
        check(status == 413, f"{name}: more than the limit is 413", status)
        # A body that stays away half way must not keep it from ending.
        half = socket.create_connection(("127.0.0.1", s.port), 5)
        half.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(0.2)
        half.close()


# --- rest ---

BAD_NOTES = {
    "no JSON": b"title=milk", "half a JSON": b'{"title":', "no object": b'["milk"]',
    "no text": {"title": "milk"}, "an unknown field": {"title": "a", "text": "b", "c": 1},
    "a title that is no string": {"title": 1, "text": ""}, "no title": {"title": "", "text": ""},
    "a long title": {"title": "x" * 201, "text": ""}, "nothing": b"",
    "a zero byte": b'{"title":"a\\u0000b","text":""}', "no UTF-8": b'{"title":"\xff","text":""}',
    "a deep one": b"[" * 100000,
}


def rest_crud(s):
    status, note = s.send("/notes", {"title": "milk", "text": "two 'litres'; \u2603"})
    check(status == 201 and note["title"] == "milk" and note["id"] > 0, f"{s.name}: POST", note)
    at = f"/notes/{note['id']}"
    head = s.curl("/notes", "-D", "-", "-d", '{"title":"eggs","text":""}')[1].decode()
    check("Location: /notes/" in head, f"{s.name}: POST says where it is", head)
    check(s.json(at) == (200, note), f"{s.name}: GET")
    changed = {"title": "milk", "text": "one litre"}
    check(s.send(at, changed, "-X", "PUT") == (200, {"id": note["id"], **changed}),
          f"{s.name}: PUT")
    check(s.json(at)[1]["text"] == "one litre", f"{s.name}: GET after PUT")
    check(s.json(at, "-X", "DELETE")[0] == 200, f"{s.name}: DELETE")
    check(s.json(at)[0] == 404, f"{s.name}: GET after DELETE")
    check(s.json(at, "-X", "DELETE")[0] == 404, f"{s.name}: DELETE after DELETE")
    check(s.send(at, changed, "-X", "PUT")[0] == 404, f"{s.name}: PUT after DELETE")


def rest_refuses(s):
    before = s.json("/notes")[1]
    for what, value in BAD_NOTES.items():
        status, answer = s.send("/notes", value)
        check(status == 400 and answer["error"], f"{s.name}: {what} is 400", (status, answer))
    for bad in ("x", "-1", "1x", "99999999999999999999", "1%20", "1'or'1"):
        check(s.json(f"/notes/{bad}")[0] == 404, f"{s.name}: /notes/{bad} is 404")
    for bad in ("0", "1001", "x", "-1", ""):
        check(s.json(f"/notes?limit={bad}")[0] == 400, f"{s.name}: limit={bad} is 400")
    check(s.json("/notes")[1] == before, f"{s.name}: nothing of that was kept")


def rest_many(s, n=60):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        got = list(pool.map(lambda i: s.send("/notes", {"title": f"n{i}", "text": "x" * i}),
                            range(n)))
    ids = {note["id"] for status, note in got if status == 201}
    check(len(ids) == n, f"{s.name}: {n} writers at once", [g for g in got if g[0] != 201][:3])
    seen, last = [], 0
    while True:
        page = s.json(f"/notes?limit=7&after={last}")[1]["notes"]
        if not page:
            break
        seen += page
        last = page[-1]["id"]
    everything = s.json("/notes?limit=1000")[1]["notes"]
    check(seen == everything and ids <= {note["id"] for note in seen}, f"{s.name}: pages")


def rest_locked(s, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writer = pool.submit(s.send, "/notes", {"title": "late", "text": ""})
        status, _ = s.json("/notes")
        check(status == 200 and not writer.done(), f"{s.name}: reads go on under a writer", status)
        check(writer.result()[0] == 503, f"{s.name}: a lock that stays is 503", writer.result())
        writer = pool.submit(s.send, "/notes", {"title": "late", "text": ""})
        time.sleep(0.3)
        other.execute("ROLLBACK")
        check(writer.result()[0] == 201, f"{s.name}: a lock that goes is waited for")
    other.close()


def rest(flavour):
    if not (ROOT / "build" / flavour / "examples" / "rest").exists():
        print(f"skip {flavour}, rest: libsqlite3-dev is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="gee-rest-") as tmp:
        path = os.path.join(tmp, "notes.db")
        env = {"NOTES_DB": path, "GEE_WORKERS": "2"}
        with Server(flavour, "rest", **env) as s:
            check(s.json("/notes") == (200, {"notes": []}), f"{s.name}: starts empty")
            rest_crud(s)
            rest_refuses(s)
            rest_many(s)
            rest_locked(s, path)
            before = s.json("/notes?limit=1000")
        check(os.listdir(tmp) == ["notes.db"], f"{s.name}: closed its database", os.listdir(tmp))
        with Server(flavour, "rest", **env) as s:
            check(s.json("/notes?limit=1000") == before, f"{s.name}: a restart keeps the notes")
            status, note = s.send("/notes", {"title": "last", "text": "before the crash"})
            s.kill()
        with Server(flavour, "rest", **env) as s:
            check(s.json(f"/notes/{note['id']}") == (200, note), f"{s.name}: and so does SIGKILL")
        with contextlib.closing(sqlite3.connect(path)) as db:
            check(db.execute("PRAGMA integrity_check").fetchone() == ("ok",),
                  f"{s.name}: the file is whole")
    nowhere = subprocess.run([ROOT / "build" / flavour / "examples/rest"], timeout=20,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "NOTES_DB": "/nonexistent/notes.db", "PORT": "0"})
    check(nowhere.returncode == 1 and "/nonexistent/notes.db" in nowhere.stderr,
          f"{flavour}, rest: a file that cannot be is said", nowhere)


# --- pages ---


def pages(flavour):
    with Server(flavour, "pages", GEE_WORKERS="2", PAGES=str(ROOT / "common/examples/pages")) as s:
        status, page = s.curl("/")
        check(status == 200 and b"<title>Guest book</title>" in page and b"Nobody" in page,
              f"{s.name}: an empty book", page)
        bad = "</script><b>'\""
        status, _ = s.curl("/", *(a for field in (f"name={bad}", "site=javascript:alert(1)",
                                                  f"text={bad}") for a in ("--data-urlencode", field)))
        check(status == 303, f"{s.name}: signed", status)
        page = s.curl("/")[1].decode()
        check("<b>" not in page and page.count("</script>") == 1 and "javascript:alert" not in
              page.split("<script>")[0] and '<a href="#unsafe">&lt;/script&gt;&lt;b&gt;&#39;&#34;</a>' in page,
              f"{s.name}: what a guest writes stays text", page)
        check(s.curl("/", "-d", "name=")[0] == 400, f"{s.name}: no name is 400")
    nowhere = subprocess.run([ROOT / "build" / flavour / "examples/pages"], timeout=20,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "PAGES": "/nonexistent", "PORT": "0"})
    check(nowhere.returncode == 1 and "/nonexistent/*.tmpl: no such file" in nowhere.stderr,
          f"{flavour}, pages: no template is said, and nothing starts", nowhere)


# --- chat ---


class Reader:
    """curl -N on a room, in a thread that gathers the messages."""

    def __init__(self, s, room):
        self.messages, self.other = [], []
        self.process = subprocess.Popen([*CURL[:2], "-N", "-D", "-", f"{s.url}/rooms/{room}/events"],
                                        stdout=subprocess.PIPE, text=True)
        self.open = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        event = ""
        for line in self.process.stdout:
            line = line.rstrip("\r\n")
            if line.lower() == "content-type: text/event-stream":
                self.open.set()
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                (self.other if event else self.messages).append(event or json.loads(line[6:]))
            elif line == "":
                event = ""

    def close(self):
        self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


def chat_rooms(s):
    readers = {room: Reader(s, room) for room in ("tea", "coffee")}
    try:
        check(all(r.open.wait(10) for r in readers.values()), f"{s.name}: streams open")
        until(lambda: s.send("/rooms/tea/messages", {"from": "x", "text": "?"})[1]["readers"] == 1)
        readers["tea"].messages.clear()
        said = {"from": "ann", "text": "two\nlines, <b> and \u2603"}
        check(s.send("/rooms/tea/messages", said) == (202, {"readers": 1}), f"{s.name}: a post")
        check(until(lambda: readers["tea"].messages[-1:] == [said]), f"{s.name}: is read in its room",
              readers["tea"].messages)
        check(not readers["coffee"].messages, f"{s.name}: and in no other")
        check(s.send("/rooms/water/messages", said) == (202, {"readers": 0}),
              f"{s.name}: a room without readers")
        for what, bad in {"no JSON": b"hello", "no from": {"text": "x"}, "a number": {"from": 1, "text": ""},
                          "a long text": {"from": "a", "text": "x" * 2001}}.items():
            check(s.send("/rooms/tea/messages", bad)[0] == 400, f"{s.name}: {what} is 400")
        check(s.curl("/rooms/" + "x" * 65 + "/events")[0] == 404, f"{s.name}: a long name is 404")
        check(b"EventSource" in s.curl("/")[1], f"{s.name}: has a page")
    finally:
        for r in readers.values():
            r.close()
    gone = until(lambda: s.send("/rooms/tea/messages", said)[1] == {"readers": 0})
    check(gone, f"{s.name}: a reader that left is forgotten")


def post_all(s, room, messages, stop=lambda answer: False):
    """Over one connection: the answers."""
    c, answers = http.client.HTTPConnection("127.0.0.1", s.port, timeout=20), []
    for m in messages:
        c.request("POST", f"/rooms/{room}/messages", json.dumps(m))
        answers.append(json.loads(c.getresponse().read())["readers"])
        if stop(answers[-1]):
            break
    c.close()
    return answers


def joined(s, room, n):
    probe = {"from": "probe", "text": ""}
    return until(lambda: post_all(s, room, [probe])[0] == n)


def spoken(reader, who):
    return [m["text"] for m in reader.messages if m["from"] == who]


def chat_many(s):
    readers = [Reader(s, "big") for _ in range(12)]
    try:
        check(joined(s, "big", 12), f"{s.name}: 12 readers on its workers")
        texts = [str(i) for i in range(50)]

        def speak(who):
            for t in texts:
                post_all(s, "big", [{"from": who, "text": t}])
                time.sleep(0.005)

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(speak, "abc"))
        everything = until(lambda: all(len(spoken(r, w)) == 50 for r in readers for w in "abc"))
        check(everything, f"{s.name}: each gets all that 3 connections say",
              [[len(spoken(r, w)) for w in "abc"] for r in readers])
        check(all(spoken(r, w) == texts for r in readers for w in "abc"), f"{s.name}: in order")
    finally:
        for r in readers:
            r.close()


def chat_slow(s):
    """One who does not read, and one who does: only the first may suffer, and is told."""
    fast = Reader(s, "slow")
    sock = socket.socket()
    try:
        joined(s, "slow", 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", s.port))
        sock.sendall(b"GET /rooms/slow/events HTTP/1.1\r\nHost: x\r\n\r\n")
        check(joined(s, "slow", 2), f"{s.name}: a slow reader comes")
        sent, end = 0, time.monotonic() + 25
        answer = 2
        while answer == 2 and time.monotonic() < end:  # 12 KB each, once escaped
            batch = [{"from": "loud", "text": "\x01" * 1990 + f"{sent + i:08}"} for i in range(20)]
            answers = post_all(s, "slow", batch, lambda n: n != 2)
            sent, answer = sent + len(answers), answers[-1]
            until(lambda: len(spoken(fast, "loud")) == sent)
        check(answer == 1, f"{s.name}: is given up when its queue is full", (answer, sent))
        check(until(lambda: len(spoken(fast, "loud")) == sent), f"{s.name}: the fast one gets all",
              (sent, len(spoken(fast, "loud")), fast.other))
        got = b""
        with contextlib.suppress(socket.timeout):
            while not got.endswith(b"0\r\n\r\n"):
                piece = sock.recv(65536)
                if not piece:
                    break
                got += piece
        check(b"event: dropped\n" in got[-200:], f"{s.name}: is told so, and its stream ends",
              got[-300:])
        check(0 < got.count(b'"loud"') < sent, f"{s.name}: after what it had been sent",
              (got.count(b'"loud"'), sent))
        check(joined(s, "slow", 1), f"{s.name}: and is forgotten")
    finally:
        sock.close()
        fast.close()


def chat(flavour):
    with Server(flavour, "chat", GEE_WORKERS="3") as s:
        chat_rooms(s)
        chat_many(s)
        chat_slow(s)
        stay = [Reader(s, "end") for _ in range(3)]
        joined(s, "end", 3)
    # The server has ended, with streams open: they must have, too.
    check(all(until(lambda r=r: r.process.poll() is not None) for r in stay),
          f"{s.name}: open streams end with it")
    for r in stay:
        r.close()


def main(argv):
    for flavour in argv or ["release", "asan"]:
        good, said = making.make(flavour, "examples")
        if not check(good, f"{flavour}: the examples are built", said):
            continue
        for example in (hello, rest, pages, chat):
            try:
                example(flavour)
            except Exception as e:  # one example's end is not that of the others
                check(False, f"{flavour}, {example.__name__}: {type(e).__name__}: {e}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
