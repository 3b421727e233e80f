#!/usr/bin/env python3
"""`make leaks URL=http://localhost:8080`: a trace and a snapshot, joined.

A snapshot (/debug/pprof/goroutine?debug=2) shows what is parked now, and not since when there are
more and more of it. A trace (/debug/pprof/trace) shows what began and ended, and has to be searched
for what did not. This takes the one, and a while after it the other, and lists every task that
started in the trace, did not finish in it, and is in the snapshot still, with the path of its
creation. First, for each group of such tasks, the four steps of the search, a line each:

    1  in the snapshot, stacks of the same kind
    2  in the trace, the tasks of that function
    3  of these, a start without a finish
    4  back to the path of its creation

    trace_join.py URL [--seconds 5] [--wait 1] [--json]
    trace_join.py --trace FILE --snapshot FILE

A task that has just work to do that takes longer is listed as well: compare step 3, where of the same
kind others finish, and look how long it has waited. Exit code 0: nothing is listed, 1: something
is, 2: there was nothing to look at.
"""

import argparse
import collections
import json
import re
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import trace_check

HEAD = re.compile(r"goroutine (\d+) \[(.*)\]:$")
FRAME = re.compile(r"(\S+)\(\.\.\.\)\n\t(\S+)(?: \+0x[0-9a-f]+)?$", re.M)
CREATED = re.compile(r"^created by (\S+)(?: in goroutine \d+)?\n\t(\S+)", re.M)
OURS = re.compile(r"(?:.*/)?common/src/")  # the framework's own
SHOWN = 20  # tasks of a group, one by one


@dataclass
class Parked:
    task: int
    state: str  # "chan receive"
    function: str
    at: str
    started_by: str
    stack: tuple


def fetch(url, seconds):
    try:
        with urllib.request.urlopen(url, timeout=seconds + 60) as r:
            return r.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as e:
        raise SystemExit2(f"{url}: {e.code}: {e.read().decode(errors='replace').strip()}") from None
    except OSError as e:
        raise SystemExit2(f"{url}: {getattr(e, 'reason', e)}") from None


class SystemExit2(Exception):
    """There is nothing to look at, and why."""


def snapshot(text):
    """The tasks of a traceback, by number."""
    tasks = {}
    for part in text.split("\n\n"):
        head = HEAD.match(part.split("\n", 1)[0])
        if not head:
            continue
        created = CREATED.search(part)
        frames = FRAME.findall(part[:created.start()] if created else part)
        # The innermost that is not the framework's, or what the task began with.
        own = [f for f in frames if not OURS.match(f[1])] or [
            a for a, b in zip(frames, frames[1:]) if b[0] in ("call", "call_main")] or frames[:1]
        function, at = own[0] if own else ("?", "?")
        tasks[int(head[1])] = Parked(int(head[1]), head[2].split(",")[0], function, at,
                                     created[1] if created else "", tuple(frames))
    return tasks


@dataclass
class Group:
    """Tasks that were created along one path."""
    path: str
    started: int = 0   # in the trace
    finished: int = 0  # of these
    unfinished: list = None  # (task, its b), and in the snapshot


def groups(trace, parked):
    found = {}
    for (cat, of), spans in trace.spans.items():
        start, stop, b = spans[0]
        if cat != "task" or "before_us" in b["args"]:
            continue
        g = found.setdefault(b["args"]["created_at"], Group(b["args"]["created_at"], unfinished=[]))
        g.started += 1
        if stop is not None:
            g.finished += 1
        elif int(of, 16) in parked:
            g.unfinished.append((int(of, 16), b))
    return sorted((g for g in found.values() if g.unfinished),
                  key=lambda g: (-len(g.unfinished), g.path))


def waits(trace):
    """What a task waited for when the recording ended: task: (since when, b)."""
    return {int(of, 16): (s[-1][0], s[-1][2]) for (cat, of), s in trace.spans.items()
            if cat == "wait" and s[-1][1] is None}


def tell(g, trace, parked, open_waits):
    stacks = collections.Counter(parked[t].stack for t, _ in g.unfinished)
    stack, _ = stacks.most_common(1)[0]
    like = next(parked[t] for t, _ in g.unfinished if parked[t].stack == stack)
    alike = sum(p.stack == stack for p in parked.values())
    where = f"{like.function} at {like.at}"
    print(f"1  snapshot: {alike} task{'s'[:alike != 1]} parked alike: {like.state} in {where}")
    print(f"2  trace: {g.started} such task{'s'[:g.started != 1]} started in "
          f"{trace_check.ns(trace.other['recorded_us']) / 1e9:.1f} s")
    print(f"3  of these {g.finished} finished; {len(g.unfinished)} did not")
    by = f", by {like.started_by}" if like.started_by else ""
    print(f"4  created at {g.path}{by}")
    end = trace_check.ns(trace.other["recorded_us"])
    for task, b in g.unfinished[:SHOWN]:
        line = f"     task {task:<6} \"{b['name']}\" started at {b['ts'] / 1e6:.3f} s"
        if task in open_waits:
            since, w = open_waits[task]
            line += (f", waits since {since / 1e9:.3f} s, {(end - since) / 1e9:.1f} s by the end of the "
                     f"trace: {w['name']} at {w['args']['at']}")
        print(line)
    if len(g.unfinished) > SHOWN:
        print(f"     and {len(g.unfinished) - SHOWN} more")
    print()


def as_json(found, trace, parked, open_waits):
    def one(task, b):
        w = open_waits.get(task)
        return {"task": task, "name": b["name"], "started_us": b["ts"], "function":
                parked[task].function, "waits": w and w[1]["name"], "at": w and w[1]["args"]["at"]}

    print(json.dumps({
        "recorded_us": trace.other["recorded_us"], "dropped": trace.other["dropped"],
        "groups": [{"path": g.path.split(" < "), "started": g.started, "finished": g.finished,
                    "unfinished": [one(*u) for u in g.unfinished]} for g in found]}, indent=1))


def read(args):
    if args.trace:
        with open(args.trace, encoding="utf-8") as t, open(args.snapshot, encoding="utf-8") as s:
            return t.read(), s.read()
    url = args.url.rstrip("/")
    if "://" not in url:
        url = "http://" + url
    fetch(f"{url}/debug/pprof/goroutine?debug=2", 0)  # so that a wrong URL is told at once
    print(f"recording {args.seconds} s, and then {args.wait:g} s for what ends by itself ...",
          file=sys.stderr, flush=True)
    trace = fetch(f"{url}/debug/pprof/trace?seconds={args.seconds}", args.seconds)
    time.sleep(args.wait)
    return trace, fetch(f"{url}/debug/pprof/goroutine?debug=2", 0)


def main(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("url", nargs="?")
    p.add_argument("--seconds", type=int, default=5)
    p.add_argument("--wait", type=float, default=1)
    p.add_argument("--json", action="store_true")
    p.add_argument("--trace")
    p.add_argument("--snapshot")
    args = p.parse_args(argv)
    if bool(args.url) == bool(args.trace) or bool(args.trace) != bool(args.snapshot):
        p.error("either URL, or --trace and --snapshot")
    if args.seconds < 1:
        p.error("--seconds is 1 or more")
    try:
        text, traceback = read(args)
        trace = trace_check.Trace(text)
        parked = snapshot(traceback)
    except (SystemExit2, OSError) as e:
        print(f"trace_join.py: {e}", file=sys.stderr)
        return 2
    except (ValueError, KeyError, TypeError) as e:
        print(f"trace_join.py: that is no trace of this server: {e}", file=sys.stderr)
        return 2
    if trace.wrong or not parked:
        print(f"trace_join.py: {trace.wrong[0] if trace.wrong else 'the snapshot has no task'}",
              file=sys.stderr)
        return 2
    found, open_waits = groups(trace, parked), waits(trace)
    if args.json:
        as_json(found, trace, parked, open_waits)
        return 1 if found else 0
    for g in found:
        tell(g, trace, parked, open_waits)
    n = sum(len(g.unfinished) for g in found)
    print(f"{n} task{'s'[:n != 1]} started and did not finish"
          + (f", of {len(found)} kind{'s'[:len(found) != 1]}" if found else ""))
    if trace.other["dropped"]:
        print(f"{trace.other['dropped']} records were dropped: of tasks that have ended the trace has "
              "only the latest, so there were more in step 2 and 3; none that lives is missing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
