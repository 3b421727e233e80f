"""Instructions, counted by callgrind: figures that no other program can disturb.

Of a request to tests/bench/hello.c, in user space, with nothing in its head but Host,
as wrk sends it, and with what a browser sends. Of a route lookup among 10, 100 and 1,000
routes (tests/bench/routes.c). Parts of bench.py.
"""

import re
import shutil
import socket
import subprocess

BAR_INSTRUCTIONS = 8800  # Debian 12, x86-64: gcc 12, glibc 2.36, llhttp 8
BAR_ROUTES = 1.2

CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
HEADS = {
    "wrk": "",
    "a browser": "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
                 "Firefox/128.0\r\n"
                 "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
                 "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
                 "Connection: keep-alive\r\nCookie: session=0123456789abcdef\r\n"
                 "Upgrade-Insecure-Requests: 1\r\n",
}


def collected(said):
    return int(re.search(r"Collected : (\d+)", said).group(1))


def count_run(start, fields, rounds, connections):
    """All instructions of a server that lives for so many requests on each connection."""
    server = start("hello", under=CALLGRIND, stderr=subprocess.PIPE)
    port = int(server.url.rsplit(":", 1)[1])
    request = f"GET /hello/you HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}\r\n".encode()
    clients = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(connections)]
    for _ in range(rounds):
        for c in clients:
            c.sendall(request)
        for c in clients:
            answer = b""
            while not answer.endswith(b"hello, you!\n"):
                piece = c.recv(4096)
                if not piece:
                    raise SystemExit("count.py: the server closed a connection")
                answer += piece
    for c in clients:
        c.close()
    server.stop()
    return collected(server.process.stderr.read())


def instructions_part(start, connections=50, rounds=(20, 100)):
    """The difference of a long run and a short one: without start and end."""
    if shutil.which("valgrind") is None:
        print("\nvalgrind is not installed (package valgrind): instructions are not counted")
        return None
    few, many = rounds
    counts = {}
    for name, fields in HEADS.items():
        more = (count_run(start, fields, many, connections)
                - count_run(start, fields, few, connections))
        counts[name] = more / ((many - few) * connections)
    met = counts["wrk"] <= BAR_INSTRUCTIONS
    print("\nrequest, instructions in user space: "
          + ", ".join(f"{v:.0f} with the head of {name}" for name, v in counts.items())
          + f"; bar {BAR_INSTRUCTIONS} for the first: {'met' if met else 'MISSED'}")
    return {"instructions": counts, "met": met}


def routes_part(programs, lookups=20000):
    if shutil.which("valgrind") is None:
        print("\nvalgrind is not installed (package valgrind): route lookups are not counted")
        return None
    counts = {}
    for n in (10, 100, 1000):
        said = subprocess.run([*CALLGRIND, "--toggle-collect=find_all", programs / "routes",
                               str(n), str(lookups)], stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, text=True, timeout=120,
                              check=True).stderr
        counts[n] = collected(said) / lookups
    ratio = counts[1000] / counts[10]
    print("\nroute lookup, instructions: "
          + ", ".join(f"{v:.0f} among {n} routes" for n, v in counts.items())
          + f"; 1,000 / 10: {ratio:.2f}; bar {BAR_ROUTES}: "
          + ("met" if ratio <= BAR_ROUTES else "MISSED"))
    return {"instructions": counts, "ratio": ratio, "met": ratio <= BAR_ROUTES}
