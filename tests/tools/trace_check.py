#!/usr/bin/env python3
"""Checks a trace strictly: against the Trace Event Format, and against what it says of itself.

    trace_check.py FILE        (- is stdin)

The format: JSON as RFC 8259 has it, and for each phase its fields and no others. And: slices of a
worker do not overlap; a task keeps to its worker and never does two things at a time; each e has
its b; each flow has one beginning, in a slice, and one end, where a slice begins; what is still
open is at its end; a task whose last slice says that it exits has ended, at that time; records that
were dropped are counted, and nothing lies in the time for which they are missing.

Says what is wrong, at most twenty lines, and then what the trace has; the last line is
`N passed, N failed`, of the events and what was found wrong.
"""

import bisect
import collections
import json
import sys

ANY = {"ph", "pid", "tid", "name"}
FIELDS = {  # phase: the fields it must have beside those of all, those that it may have
    "M": ({"args"}, set()),
    "C": ({"ts", "args"}, set()),
    "X": ({"ts", "dur", "cat"}, {"args"}),
    "b": ({"ts", "cat", "id", "args"}, set()),
    "e": ({"ts", "cat", "id"}, set()),
    "s": ({"ts", "cat", "id"}, set()),
    "f": ({"ts", "cat", "id", "bp"}, set()),
}
OTHER = {"recorded_us", "workers", "dropped", "lists_unfinished"}
SPANS = ("task", "wait", "request")


def ns(us):
    """Microseconds with three places are so many ns, exactly."""
    return round(us * 1000)


def strict(text):
    def no_constant(name):
        raise ValueError(f"{name} is no JSON")

    def no_twice(pairs):
        d = dict(pairs)
        if len(d) != len(pairs):
            raise ValueError(f"a name twice: {[k for k, _ in pairs]}")
        return d

    return json.loads(text, parse_constant=no_constant, object_pairs_hook=no_twice)


class Trace:
    """The events of a trace by what they are about; `wrong` is what was found."""

    def __init__(self, text):
        self.wrong = []
        doc = strict(text)
        self.other = doc.get("otherData", {})
        self.events = doc["traceEvents"]
        self.slices = collections.defaultdict(list)  # tid: (from, to, event)
        self.missing = {}  # tid: (from, to)
        self.spans = collections.defaultdict(list)  # (cat, id): [from, to or None, b]
        self.flows = collections.defaultdict(list)
        self.threads = {}
        self.counters = {}
        if set(doc) != {"traceEvents", "otherData", "displayTimeUnit"}:
            self.say(f"the file has {sorted(doc)}")
        if set(self.other) != OTHER:
            self.say(f"otherData has {sorted(self.other)}")
        if doc.get("displayTimeUnit") != "ns":
            self.say("displayTimeUnit is not ns")
        for e in self.events:
            if self.well_formed(e):
                self.sort_in(e)

    def say(self, what):
        self.wrong.append(what)

    def well_formed(self, e):
        must, may = FIELDS.get(e.get("ph"), (None, None))
        if must is None:
            self.say(f"no phase of ours: {e}")
            return False
        if not (ANY | must) <= set(e) <= (ANY | must | may):
            self.say(f"fields too many or too few: {e}")
            return False
        if not (type(e["pid"]) is int and type(e["tid"]) is int and type(e["name"]) is str):
            self.say(f"pid, tid or name is not what it should be: {e}")
            return False
        for k in ("ts", "dur"):
            if k in e and not (type(e[k]) in (int, float) and e[k] >= 0):
                self.say(f"{k} is no time: {e}")
                return False
        if "ts" in e and ns(e["ts"]) + ns(e.get("dur", 0)) > ns(self.other.get("recorded_us", 0)):
            self.say(f"behind the end of the recording: {e}")
        return True

    def sort_in(self, e):
        ph, at = e["ph"], ns(e.get("ts", 0))
        if ph == "M":
            self.meta(e)
        elif ph == "C":
            self.counters[e["tid"]] = e["args"]["n"]
        elif ph == "X" and e["cat"] == "trace":
            self.missing[e["tid"]] = (at, at + ns(e["dur"]))
        elif ph == "X":
            self.slices[e["tid"]].append((at, at + ns(e["dur"]), e))
        elif ph in "be":
            self.span(e, at)
        else:
            self.flows[e["id"]].append((at, e))

    def meta(self, e):
        if e["name"] == "thread_name":
            if e["tid"] in self.threads:
                self.say(f"a thread that is named twice: {e}")
            self.threads[e["tid"]] = e["args"]["name"]
        elif e["name"] != "process_name":
            self.say(f"metadata that no reader knows: {e}")

    def span(self, e, at):
        """In the file an e follows its b at once; spans of a kind come in the order of their ends."""
        if e["cat"] not in SPANS:
            self.say(f"a span of no category of ours: {e}")
            return
        of = self.spans[e["cat"], e["id"]]
        if e["ph"] == "b":
            of.append([at, None, e])
        elif not of or of[-1][1] is not None:
            self.say(f"an e without its b: {e}")
        elif of[-1][2]["name"] != e["name"]:
            self.say(f"an e of another name than its b: {e}")
        else:
            of[-1][1] = at

    # --- checks ---

    def check_slices(self):
        self.of_task = collections.defaultdict(list)
        for tid, slices in self.slices.items():
            slices.sort(key=lambda s: s[:2])
            for a, b in zip(slices, slices[1:]):
                if b[0] < a[1]:
                    self.say(f"slices of worker track {tid} overlap: {a[2]} {b[2]}")
            until = self.missing.get(tid, (0, 0))[1]
            if slices and slices[0][0] < until:
                self.say(f"a slice in the time for which records are missing: {slices[0][2]}")
            for s in slices:
                self.of_task[s[2]["args"]["task"]].append((s[0], s[1], s[2]))
        for task, slices in self.of_task.items():
            if len({s[2]["tid"] for s in slices}) != 1:
                self.say(f"task {task} ran on more than one worker")

    def check_spans(self):
        end = ns(self.other["recorded_us"])
        for (cat, of), spans in self.spans.items():
            spans.sort(key=lambda s: (s[0], s[1] is None, s[1]))
            for a, b in zip(spans, spans[1:]):
                if a[1] is None or b[0] < a[1]:
                    self.say(f"two of {cat} {of} at a time: {a[2]} {b[2]}")
            for start, stop, b in spans:
                if stop is not None and not start <= stop <= end:
                    self.say(f"it ends before it begins: {b}")
            if cat == "task" and len(spans) != 1:
                self.say(f"task {of} lives {len(spans)} times")
            if cat == "request" and spans[-1][1] is None:
                self.say(f"a request without an end: {spans[-1][2]}")

    def check_tasks(self):
        """A slice, a wait and a request lie in a life; a task that waits does not run."""
        lives = {int(of, 16): s[0] for (cat, of), s in self.spans.items() if cat == "task"}
        for task, slices in self.of_task.items():
            life = lives.get(task)
            if life is None:
                self.say(f"task {task} runs and has no life")
                continue
            last = slices[-1]
            if last[2]["args"]["then"] == "exits" and life[1] != last[1]:
                self.say(f"task {task} exits, and its life goes on: {last[2]}")
            if slices[0][0] < life[0] or (life[1] is not None and last[1] > life[1]):
                self.say(f"task {task} runs before or after its life: {life[2]}")
        for (cat, of), spans in self.spans.items():
            if cat == "task":
                continue
            life, slices = lives.get(int(of, 16)), self.of_task.get(int(of, 16), [])
            begins = [s[0] for s in slices]
            for start, stop, b in spans:
                if life is None or start < life[0] or (
                        life[1] is not None and (stop is None or stop > life[1])):
                    self.say(f"outside of its task's life: {b}")
                if cat == "wait":
                    i = bisect.bisect_right(begins, start) - 1
                    if i >= 0 and slices[i][1] > start:
                        self.say(f"a task that waits while it runs: {b}")

    def inside(self, tid, at, at_begin=False):
        slices = self.slices.get(tid, [])
        i = self.find(tid, at)
        for s in reversed(slices[max(0, i - 64):i]):
            if at_begin and s[0] == at or not at_begin and s[0] <= at <= s[1]:
                return True
        return False

    def find(self, tid, at):
        if tid not in self.begins:
            self.begins[tid] = [s[0] for s in self.slices.get(tid, [])]
        return bisect.bisect_right(self.begins[tid], at)

    def check_flows(self):
        self.begins = {}
        for of, ends in self.flows.items():
            phases = sorted((e["ph"] for _, e in ends), reverse=True)
            if phases != ["s", "f"]:
                self.say(f"flow {of} has {phases}")
                continue
            (s_at, s), (f_at, f) = sorted(ends, key=lambda x: x[1]["ph"] == "f")
            if s_at > f_at:
                self.say(f"a flow that ends before it begins: {s} {f}")
            lost = self.missing.get(s["tid"], (0, 0))[1]
            if s_at > lost and not self.inside(s["tid"], s_at):
                self.say(f"a flow that begins in no slice: {s}")
            if f["bp"] != "e" or not self.inside(f["tid"], f_at, True):
                self.say(f"a flow that does not end where a slice begins: {f}")

    def check_counts(self):
        tids = {e["tid"] for e in self.events if e.get("ph") != "M"}
        if set(self.threads) != tids or len(tids) != self.other["workers"]:
            self.say(f"tracks {sorted(tids)}, names {sorted(self.threads)}, "
                     f"workers {self.other['workers']}")
        if sum(self.counters.values()) != self.other["dropped"]:
            self.say(f"dropped: {self.counters}, and {self.other['dropped']} altogether")
        if {t for t, n in self.counters.items() if n} != set(self.missing):
            self.say(f"dropped: {self.counters}, and times that are missing: {self.missing}")

    def check(self):
        if not self.wrong:
            self.check_slices()
            self.check_spans()
            self.check_tasks()
            self.check_flows()
            self.check_counts()
        return self.wrong

    def unfinished(self):
        """The tasks that have begun and not ended: number, b."""
        return [(int(of, 16), s[0][2]) for (cat, of), s in self.spans.items()
                if cat == "task" and s[0][1] is None]


def main(argv):
    if len(argv) != 1:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        text = sys.stdin.buffer.read() if argv[0] == "-" else open(argv[0], "rb").read()
        trace = Trace(text.decode("utf-8"))
        wrong = trace.check()
    except (OSError, ValueError, KeyError, TypeError) as e:
        print(f"trace_check.py: no trace: {e}\n0 passed, 1 failed")
        return 1
    for what in wrong[:20]:
        print(what)
    n = collections.Counter(cat for cat, _ in trace.spans.keys())
    print(f"{ns(trace.other['recorded_us']) / 1e9:.3f} s, {trace.other['workers']} workers: "
          f"{sum(map(len, trace.slices.values()))} slices of {n['task']} tasks, "
          f"{sum(len(s) for (c, _), s in trace.spans.items() if c == 'request')} requests, "
          f"{len(trace.flows)} wake-ups by tasks, {len(trace.unfinished())} tasks that have not "
          f"ended, {trace.other['dropped']} records dropped")
    print(f"{len(trace.events)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
