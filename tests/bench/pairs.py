"""What watching costs, measured in turns within one server: tests/bench/watched.c under load.

A quad is four slices: not watched, watched, watched, not. Its ratio is the CPU time a request of the two
in the middle by that of the other two: what drifts falls on both alike, and what disturbs one quad
is in that one alone. The cost is the median of the ratios. How sure that is, is asked of the
ratios themselves: so many of them are drawn at random, again and again, and 95 of 100 medians lie within
the interval. A bar is met or missed when the whole of the interval is on one side of it.
"""

import json
import random
import statistics
import subprocess

import peers

CONNECTIONS = 64
DRAWS = 4000


def ratio(quad):
    """CPU time a request while it is watched, by that while it is not."""
    (off1, on1, on2, off2) = quad
    return (((on1[0] + on2[0]) / (on1[1] + on2[1])) / ((off1[0] + off2[0]) / (off1[1] + off2[1])))


def interval(ratios, seed=1):
    """Of the median, 95 %: by bootstrap. Always the same of the same ratios."""
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(DRAWS))
    return medians[int(DRAWS * 0.025)], medians[int(DRAWS * 0.975)]


def verdict(low, high, bar):
    return "met" if high <= bar else "MISSED" if low > bar else "NOT DECIDED"


def measure(what, quads, each, *more):
    """The ratios and their median, with the interval (low, high); off_us: µs of CPU a request without;
    the last quad; and what else it said."""
    server = peers.Server([peers.PROGRAMS / "watched", what, quads, each, *more])
    wrk = subprocess.Popen(["wrk", "-t1", f"-c{CONNECTIONS}", "-d3600s", server.url + "/hello/you"],
                           stdout=subprocess.DEVNULL, preexec_fn=peers.pin(1))
    rows, rest = [], {}
    try:
        for line in server.process.stdout:
            said = json.loads(line)
            if isinstance(said, dict):
                rest = said
            else:
                rows.append(said)
    finally:
        wrk.kill()
        wrk.wait()
        server.stop()
    if len(rows) < quads:
        raise SystemExit(f"pairs.py: of {quads} quads there are {len(rows)}")
    ratios = [ratio(q) for q in rows]
    low, high = interval(ratios)
    off = statistics.median((q[0][0] + q[3][0]) / (q[0][1] + q[3][1]) for q in rows) / 1e3
    return {"ratios": ratios, "off_us": off, "low": low, "median": statistics.median(ratios), "high": high,
            "last": rows[-1], **rest}


def say(name, m, bar):
    v = verdict(m["low"], m["high"], bar)
    print(f"{name}: {(m['median'] - 1) * 100:.1f} % of the CPU time a request ({m['off_us']:.2f} µs), 95 % interval "
          f"{(m['low'] - 1) * 100:.1f} to {(m['high'] - 1) * 100:.1f}, of {len(m['ratios'])} quads; "
          f"bar {(bar - 1) * 100:.0f}: {v}", flush=True)
    return v
