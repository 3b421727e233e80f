"""Instructions, counted by callgrind: figures that no other program can disturb.

Of a request to peers/gee.c, in user space, with nothing in its head but Host, as wrk sends it,
with what a browser sends, and pipelined by 16. Of a route lookup among 10, 100 and 1,000
routes (routes.c). Of what tracing adds to a request (traced.c).
"""

import re
import shutil
import socket
import subprocess

from peers import PROGRAMS, Server

CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
BROWSER = ("User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
           "Firefox/128.0\r\n"
           "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
           "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
           "Connection: keep-alive\r\nCookie: session=0123456789abcdef\r\n"
           "Upgrade-Insecure-Requests: 1\r\n")
HEADS = {"wrk": ("", 1), "a browser": (BROWSER, 1), "wrk, pipelined by 16": ("", 16)}
ANSWER = b"hello, you!\n"


def collected(said):
    return int(re.search(r"Collected : (\d+)", said).group(1))


def run(fields, depth, rounds, connections, start=Server, command=("gee",)):
    """All instructions of a server that lives for so many requests on each connection."""
    server = start([PROGRAMS / command[0], *command[1:]], under=CALLGRIND, stderr=subprocess.PIPE)
    request = f"GET /hello/you HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{fields}\r\n".encode()
    clients = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(connections)]
    for _ in range(rounds):
        for c in clients:
            c.sendall(request * depth)
        for c in clients:
            answer = b""
            while answer.count(ANSWER) < depth:
                piece = c.recv(65536)
                if not piece:
                    raise SystemExit("count.py: the server closed a connection")
                answer += piece
    for c in clients:
        c.close()
    server.stop()
    return collected(server.process.stderr.read())


def instructions(connections=50, rounds=(20, 100)):
    """The difference of a long run and a short one: without start and end. {head: a request}"""
    if shutil.which("valgrind") is None:
        print("\nvalgrind is not installed (package valgrind): instructions are not counted")
        return None
    few, many = rounds
    counts = {}
    for name, (fields, depth) in HEADS.items():
        more = run(fields, depth, many, connections) - run(fields, depth, few, connections)
        counts[name] = more / ((many - few) * connections * depth)
    print("\nrequest, instructions in user space: "
          + ", ".join(f"{v:.0f} with the head of {name}" for name, v in counts.items()), flush=True)
    return counts


def traced(connections=50, rounds=(20, 100)):
    """What tracing adds to a request (traced.c), with all of the export but the post: of one whose
    trace is sampled, and of one whose client says that its is not. {which: instructions}"""
    if shutil.which("valgrind") is None:
        return None

    def a_request(command, fields=""):
        more = [run(fields, 1, n, connections, command=("traced", command)) for n in rounds]
        return (more[1] - more[0]) / ((rounds[1] - rounds[0]) * connections)

    unsampled = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n"
    counts = {"sampled": a_request("traced") - a_request("plain"),
              "not sampled": a_request("traced", unsampled) - a_request("plain", unsampled)}
    print("tracing, instructions that it adds to a request: "
          + ", ".join(f"{v:.0f} {k}" for k, v in counts.items()), flush=True)
    return counts


def routes(lookups=20000):
    """{number of routes: instructions a lookup}"""
    if shutil.which("valgrind") is None:
        return None
    counts = {}
    for n in (10, 100, 1000):
        said = subprocess.run([*CALLGRIND, "--toggle-collect=find_all", PROGRAMS / "routes",
                               str(n), str(lookups)], stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True, timeout=120,
                              check=True).stderr
        counts[n] = collected(said) / lookups
    print("route lookup, instructions: "
          + ", ".join(f"{v:.0f} among {n} routes" for n, v in counts.items()), flush=True)
    return counts
