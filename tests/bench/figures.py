"""Figures from rows: medians, ratios of one run, and the bars.

A ratio is made of two rows of the same round, and the median is that of the ratios: what disturbs
the machine for a while disturbs both. A bar is met when the median is.
"""

import statistics

INSTRUCTIONS = 5500  # Debian 12, x86-64: gcc 12, glibc 2.36, llhttp 8
ROUTES = 1.2


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def spread(values):
    return min(values), max(values)


def ratios(rows, of, to, key="cpu_us"):
    """None, if one of the two was not there."""
    if of not in rows or to not in rows:
        return None
    return [a[key] / b[key] for a, b in zip(rows[of], rows[to])]


def percentile(values, share):
    values = sorted(values)
    return values[int(share * (len(values) - 1))]


def at_most(what, values, bar, unit="×"):
    """A row of the table of bars. values None: it was not measured."""
    if not values:
        return {"what": what, "bar": f"≤ {bar} {unit}", "value": None, "met": None}
    value = statistics.median(values)
    low, high = spread(values)
    return {"what": what, "bar": f"≤ {bar} {unit}", "value": f"{value:.2f} {unit}",
            "spread": f"{low:.2f} – {high:.2f}", "met": value <= bar}


def at_least(what, values, bar, unit="×"):
    row = at_most(what, values, bar, unit)
    row["bar"] = f"≥ {bar} {unit}"
    if values:
        row["met"] = statistics.median(values) >= bar
    return row


def of_requests(requests):
    hello, pipelined = requests.get("hello", {}), requests.get("pipelined", {})
    return [
        at_most("CPU a request, hello: to bare libuv", ratios(hello, "gee", "floor"), 1.15),
        at_most("CPU a request, hello: to nginx", ratios(hello, "gee", "nginx"), 1.0),
        at_most("CPU a request, hello: to Gin", ratios(hello, "gee", "gin"), 0.45),
        at_most("CPU a request, hello: to Gee on Go", ratios(hello, "gee", "gogee"), 0.45),
        at_most("CPU a request, pipelined by 16: to nginx", ratios(pipelined, "gee", "nginx"), 0.25),
        at_most("CPU a request, pipelined by 16: to Gin", ratios(pipelined, "gee", "gin"), 0.15),
    ]


def of_streams(streams):
    own = streams.get("gee", [])
    return [
        at_most("resident a parked stream", [r["kib"] for r in own], 6.0, "KiB"),
        at_most("disconnect to task gone, p99: to Gin", ratios(streams, "gee", "gin", "gone_p99_ms"),
                0.25),
    ]


def of_micro(micro):
    names = {"spawn": "spawn and exit", "chan": "channel round trip", "ctx": "ctx, derive and cancel"}
    return [at_most(f"{text}: to Go", ratios(micro, "gee", "go", key), 1.0)
            for key, text in names.items()]


def of_profile(row):
    return [
        at_most("a profile of 10,000 parked tasks", [row["cpu_ms"]] if row else None, 50.0, "ms"),
        at_most("a worker away for it at a time", [row["away_ms"]] if row else None, 5.0, "ms"),
    ]


def of_counts(counts):
    rows = []
    if counts.get("instructions"):
        rows.append(at_most("instructions a request in user space", [counts["instructions"]["wrk"]],
                            INSTRUCTIONS, ""))
    if counts.get("routes"):
        r = counts["routes"]
        rows.append(at_most("route lookup: 1,000 routes to 10, instructions",
                            [r["1000"] / r["10"]], ROUTES))
    return rows


def bars(results):
    left = results.get("left", {})
    worst = max(left.values()) if left else None
    return [
        *of_requests(results.get("requests", {})),
        *of_streams(results.get("streams", {})),
        *of_micro(results.get("micro", {})),
        at_least("two workers: to one", results.get("workers", {}).get("gain"), 1.8),
        {"what": "memory left after each workload", "bar": "0",
         "value": None if worst is None else f"{worst}", "met": None if worst is None
         else worst == 0},
        *of_profile(results.get("profile")),
        *of_counts(results.get("counts", {})),
    ]


def without_core(results):
    """How much of the time the server, of one thread, was ready to run and had no core."""
    rows = [r for w in results.get("requests", {}).values() for n in ("gee", "floor")
            for r in w.get(n, [])]
    return median(rows, "waited") if rows else None
