#!/usr/bin/env python3
"""The hunt can be won: each suspect is found by what the endpoints say, and no other one.

The server runs with nobody guilty, with each suspect alone, and with those of some seeds, under the
load of `make hunt`. Of each run a trace, a CPU profile and the list of the paths of creation are
taken, and a detective who knows nothing else accuses. He must accuse just those who are guilty.
Then `hunt.py check` is given right, wrong and foolish answers. The last line is
`N passed, N failed`.
"""

import collections
import concurrent.futures
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
import urllib.request

import flame
import hunt
import hunt_load
import trace_check

SECONDS, WARM_S, HZ, SEEDS = 2, 2, 500, (1, 7)


class Evidence:
    """What the endpoints said of one server, within a few seconds."""

    def __init__(self, url):
        def get(path):
            with urllib.request.urlopen(url + path, timeout=60) as r:
                return r.read()

        def paths():
            return {p["path"][0]: p["started"] for p in
                    json.loads(get("/debug/tasks?paths=1&format=json"))["paths"]}

        time.sleep(WARM_S)
        before = paths()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            trace = pool.submit(get, f"/debug/pprof/trace?seconds={SECONDS}")
            profile = pool.submit(get, f"/debug/pprof/profile?seconds={SECONDS}&hz={HZ}")
            self.trace = trace_check.Trace(trace.result().decode())
            with tempfile.NamedTemporaryFile() as f:
                f.write(profile.result())
                f.flush()
                self.cpu = flame.read(f.name)
        self.started = {p: n - before.get(p, 0) for p, n in paths().items()}
        self.chans = json.loads(get("/debug/tasks?format=json"))["census"]["chans"]
        self.wrong = self.trace.check()

    def cpu_ms(self, function):
        """A second, of one function and what it calls."""
        return sum(v for frames, v in self.cpu.of.items() if function in frames) / 1e6 / SECONDS

    def slices(self, name):
        """ms, of the tasks whose name begins so."""
        return [(b - a) / 1e6 for slices in self.trace.slices.values() for a, b, e in slices
                if e["name"].startswith(name)]

    def waits(self, reason, file):
        """ms, of the waits in a file that have ended."""
        return [(b - a) / 1e6 for (cat, _), spans in self.trace.spans.items() if cat == "wait"
                for a, b, e in spans
                if b and e["name"] == reason and f"/{file}:" in e["args"]["at"]]

    def lives(self, created_in):
        """{who started them: [(from, to)]} of tasks that were started in a file, and have ended."""
        found = []
        for (cat, _), spans in self.trace.spans.items():
            for a, b, e in spans:
                if cat == "task" and b and f"/{created_in}:" in e["args"]["created_at"].split(" < ")[0]:
                    found.append((a, b))
        return sorted(found)

    def started_in(self, file):
        return sum(n for p, n in self.started.items() if f"/{file}:" in p)

    def requests(self, name):
        return sum(len(spans) for (cat, _), spans in self.trace.spans.items()
                   if cat == "request" and spans[0][2]["name"].startswith(name))


def most_at_once(spans):
    edges = sorted([(a, 1) for a, _ in spans] + [(b, -1) for _, b in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


# What the detective looks at, and what he thinks too much.
CLUES = {
    "prices": lambda e: e.cpu_ms("by_code") > 15,
    "topics": lambda e: e.chans > 40,
    "labels": lambda e: sum(e.waits("mutex lock", "labels.c")) > 500 * SECONDS,
    "vans": lambda e: not e.waits("sleep", "vans.c") and max(e.waits("chan receive", "vans.c"),
                                                             default=0) > 300,
    "scale": lambda e: statistics.median(e.slices("GET /weigh") or [0]) > 10,
    "dispatch": lambda e: len(e.slices("dispatch_run")) > 100 * SECONDS,
    "notify": lambda e: e.started_in("notify.c") > e.requests("POST /notify"),
    "rates": lambda e: len(e.waits("blocking work", "rates.c")) > 6 * SECONDS,
    "carriers": lambda e: most_at_once(e.lives("carriers.c")) < 5,
}


def accused(*args):
    """Whom the detective accuses; and whether the server and its trace were in order."""
    with hunt.Server(*args, "60") as server:
        with hunt_load.Load(server.url) as load:
            evidence = Evidence(server.url)
        done = load.done
    ok = not evidence.wrong and server.process.returncode == 0 and done > 100
    return {s for s, clue in CLUES.items() if clue(evidence)}, ok


def hunts():
    """(what, whether it is so) of all runs. They wait most of the time: five at once."""
    cases = [(("--only", s), {s}) for s in hunt.SUSPECTS]
    cases += [(("--only", "none"), set())]
    cases += [((str(seed),), set(hunt.answer_of(seed))) for seed in SEEDS]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        results = list(pool.map(lambda c: accused(*c[0]), cases))
    for (args, guilty), (found, ok) in zip(cases, results):
        yield f"{' '.join(args)}: {sorted(guilty)} guilty, {sorted(found)} accused", \
            found == guilty and ok


def said(*argv):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            rc = hunt.main(list(argv))
        except SystemExit as e:
            rc = e.code
    return rc, out.getvalue()


def answers():
    guilty = hunt.answer_of(7)
    innocent = next(s for s in hunt.SUSPECTS if s not in guilty)
    a_function = next(iter(hunt.functions(hunt.HERE / f"{guilty[0]}.c")))
    for what, args, rc, text in (
            ("right", ["--seed", "7", "--answer", " ".join(guilty)], 0, "3 of 3 found"),
            ("by line and function", ["--seed", "7", "--answer", f"{a_function},{guilty[1]}.c:9 "
                                      f"ch04-pprof/hunt/{guilty[2]}.c"], 0, "3 of 3 found"),
            ("two of them", ["--seed", "7", "--answer", " ".join(guilty[:2])], 1, "2 of 3 found"),
            ("an innocent", ["--seed", "7", "--answer", innocent], 1, "not guilty"),
            ("no suspect", ["--seed", "7", "--answer", "moriarty"], 2, "no suspect"),
            ("a line too far", ["--seed", "7", "--answer", "vans.c:4711"], 2, "no suspect"),
            ("everybody", ["--seed", "7", "--answer", " ".join(hunt.SUSPECTS)], 2, "are guilty"),
            ("nobody", ["--seed", "7"], 2, "whom you accuse"),
            ("no seed", ["--answer", "vans"], 2, "which hunt"),
            ("a seed that is none", ["--seed", "x", "--answer", "vans"], 2, "SEED=x")):
        got, out = said("check", *args)
        yield f"an answer, {what}: {got}, {out!r}", got == rc and text in out
    met = collections.Counter(s for seed in range(200) for s in hunt.answer_of(seed))
    yield f"all suspects are guilty now and then: {met}", min(met[s] for s in hunt.SUSPECTS) > 30


def main():
    hunt.build()
    passed = failed = 0
    for what, ok in (*answers(), *hunts()):
        passed, failed = passed + ok, failed + (not ok)
        if not ok:
            print(what, flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
