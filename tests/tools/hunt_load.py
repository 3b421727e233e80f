"""The customers of the hunt's parcel service: some forty, each with a connection of its own.

What they ask does not depend on who is guilty. A customer asks, waits for the answer, thinks, and
asks again; so a server that is slow is asked less, and is never drowned.
"""

import asyncio
import random
import threading
import urllib.parse

# Who: how many of them, what they ask (N is a new number each time), and for
# how many ms they think.
CUSTOMERS = (
    (3, "GET /price?to=PLACE", 60),
    (4, "GET /parcel/N", 20),
    (1, "POST /parcel/N", 100),
    (6, "POST /label/N", 80),
    (4, "POST /pickup?from=FROM", 40),
    (2, "GET /weigh/N", 80),
    (1, "POST /order/N", 200),
    (4, "POST /notify/N", 50),
    (12, "GET /rate", 30),
    (2, "GET /compare", 60),
)
PATIENCE_S = 10


class Load:
    """A with-block: they come, and inside of it they ask; `done` and `failed` count the answers
    (failed: 503, or none)."""

    def __init__(self, url, seed=1):
        at = urllib.parse.urlsplit(url)
        self.host, self.port = at.hostname, at.port
        self.done = self.failed = self.number = 0
        self.random = random.Random(seed)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.all(),))
        self.stop = asyncio.Event()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.loop.close()

    def target(self, what):
        self.number += 1
        return (what.replace("PLACE", str(self.random.randrange(10000, 50000)))
                .replace("FROM", "nowhere" if self.random.random() < 0.1 else "mill+lane")
                .replace("/N", f"/{self.number}"))

    async def ask(self, reader, writer, method, target):
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: parcels\r\n{length}\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        size = [l.split(":")[1] for l in head.split("\r\n") if l.startswith("content-length:")]
        await reader.readexactly(int(size[0]) if size else 0)
        return int(head.split()[1])

    async def visit(self, what, think_ms):
        """One connection, until it fails."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            while not self.stop.is_set():
                method, target = self.target(what).split()
                status = await asyncio.wait_for(self.ask(reader, writer, method, target),
                                                PATIENCE_S)
                self.done += 1
                self.failed += status >= 500
                await asyncio.sleep(think_ms / 1000 * self.random.uniform(0.5, 1.5))
        finally:
            writer.close()

    async def customer(self, what, think_ms):
        while not self.stop.is_set():
            try:
                await self.visit(what, think_ms)
            except (OSError, EOFError, asyncio.TimeoutError):
                self.failed += 1
                await asyncio.sleep(0.5)

    async def all(self):
        tasks = [asyncio.ensure_future(self.customer(what, think))
                 for n, what, think in CUSTOMERS for _ in range(n)]
        await self.stop.wait()
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
