"""docs/performance.md and its pictures, from the figures of one run."""

import os
import pathlib
import re
import statistics
import subprocess
from xml.sax.saxutils import escape

import figures
import load
import peers
from peers import ROOT

HEAD = """# What it costs

`make bench` has measured this and written this page, on {machine}.
{rounds} rounds of {seconds} s; it took {took:.0f} s. {quiet}

Each server is alone on a core, its load on the other one. In each round each server is measured once; a
ratio is of two rows of one round, a figure the median of the rounds, with the least and the most in
brackets. CPU a request is the kernel's count of the server's time, all its threads, divided by the
requests that wrk counted; so it does not depend on how fast the load is. Requests a second do, and the
latencies, which are the load's own. The library is the release that `make install` installs.
What is not said to be otherwise: one worker, 64 connections that are kept.

## The bars

"""
TABLE = "| {head} | {columns} |\n|---|{lines}|\n"
MICRO = {"spawn": "task: spawn, run, exit", "switch": "switch of tasks",
         "chan": "channel, round trip, with a ctx", "chan_plain": "channel, round trip, without",
         "select": "select of 4", "ctx": "ctx: derive, cancel",
         "ctx_timeout": "ctx with a deadline: derive, cancel", "timer": "timer: arm, stop",
         "keys": "keys: set, get", "route10": "route, one of 10 (Go: Gin's)",
         "route1000": "route, one of 1,000 (Go: Gin's)"}
COLOURS = {"gee": "#228833"}
GREY = "#7799bb"


def machine():
    models = re.findall(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)

    def version(*command):
        try:
            out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            found = re.search(r"\d+\.\d+[\d.]*", out.stdout)
            return found.group(0) if found else "?"
        except OSError:
            return None
    tools = {"gcc": version("gcc", "-dumpfullversion"), "go": version("go", "version"),
             "nginx": version(peers.NGINX or "nginx", "-v"), "h2o": version("h2o", "-v"),
             "node": version("node", "--version")}
    return (f"{len(os.sched_getaffinity(0))} cores ({models[0] if models else os.uname().machine}), "
            f"Linux {os.uname().release.split('-')[0]}, "
            + ", ".join(f"{n} {v}" for n, v in tools.items() if v))


def number(x):
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:,.0f}"


def cell(values):
    low, high = figures.spread(values)
    return f"{number(statistics.median(values))} ({number(low)} – {number(high)})"


def table(head, columns, rows):
    text = TABLE.format(head=head, columns=" | ".join(columns),
                        lines="|".join("---" for _ in columns))
    return text + "".join(f"| {name} | {' | '.join(cells)} |\n" for name, cells in rows)


def bars_table(rows):
    verdict = {True: "met", False: "**missed**", None: "not measured"}
    return table("figure", ["bar", "measured", "rounds", ""], [
        (r["what"], [r["bar"].strip(), (r["value"] or "–").strip(), r.get("spread", ""),
                     verdict[r["met"]]])
        for r in rows])


# --- pictures ---

def picture(path, caption, bars):
    """Horizontal bars: (label, values, colour); the line is the spread."""
    width, left, row = 760, 210, 26
    most = max(max(v) for _, v, _ in bars)
    scale = (width - left - 80) / most
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {40 + row * len(bars)}" '
           'font-family="sans-serif" font-size="13">',
           f'<rect width="{width}" height="{40 + row * len(bars)}" fill="white"/>',
           f'<text x="10" y="22" font-weight="bold">{escape(caption)}</text>']
    for i, (name, values, colour) in enumerate(bars):
        y, middle = 36 + row * i, statistics.median(values)
        low, high = (left + scale * v for v in figures.spread(values))
        out += [f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="{left}" y="{y + 2}" width="{scale * middle:.1f}" height="{row - 8}" '
                f'fill="{colour}"/>',
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + 11}" y2="{y + 11}" stroke="black"/>',
                f'<text x="{high + 6:.1f}" y="{y + 15}">{number(middle)}</text>']
    path.write_text("\n".join([*out, "</svg>"]) + "\n")


def bars_of(rows, key):
    return [(peers.label(n), [r[key] for r in of], COLOURS.get(n, GREY)) for n, of in rows.items()]


# --- the page ---

def request_section(name, rows, pictures):
    title = load.title(name)
    text = f"\n## {title[0].upper()}{title[1:]}\n\n"
    picture(pictures / f"{name}.svg", f"µs of CPU a request: {title}",
            bars_of(rows, "cpu_us"))
    text += f"![µs of CPU a request](performance/{name}.svg)\n\n"
    columns = ["µs CPU a request", "Gee in C / this", "requests/s", "p50 µs", "p99 µs", "p99.9 µs"]
    body = []
    for n, of in rows.items():
        own = figures.ratios(rows, "gee", n)
        body.append((peers.label(n), [
            cell([r["cpu_us"] for r in of]), "" if n == "gee" else cell(own),
            *(number(figures.median(of, k)) for k in ("rps", "p50_us", "p99_us", "p999_us"))]))
    return text + table("", columns, body)


def streams_section(rows, pictures):
    text = "\n## 10,000 event streams\n\n" \
        "Resident memory of the server, less what it had before, a stream. Then all clients close, one\n" \
        "right after the other; *gone* is the time from a client's close until its handler has returned.\n" \
        "Then as many streams with an event a second each.\n\n"
    for key, what in (("kib", "KiB resident a parked stream"),
                      ("gone_p99_ms", "ms from disconnect to gone, 99 of 100")):
        picture(pictures / f"streams-{key}.svg", what, bars_of(rows, key))
        text += f"![{what}](performance/streams-{key}.svg)\n\n"
    columns = ["KiB parked", "KiB ticking", "gone, p50 ms", "gone, p99 ms", "µs CPU an event"]
    return text + table("", columns, [
        (peers.label(n), [cell([r[k] for r in of]) for k in
                          ("kib", "ticking_kib", "gone_p50_ms", "gone_p99_ms", "tick_us")])
        for n, of in rows.items()])


def deadline_section(rows):
    text = "\n## Deadlines\n\n5,000 requests a second, each with a deadline of 100 ms. Half of them " \
        "are answered in time, the\nothers by a 504; *late* is by how much that came later than " \
        "the deadline, seen by the client.\n*Wrong* are the answers, of a thousand, with another status " \
        "than was due: a 504 where the machine\nwas so busy that 50 ms took 100. No time counts them.\n\n"
    columns = ["µs CPU a request", "late, p50 ms", "late, p99 ms", "at most", "wrong, ‰"]
    return text + table("", columns, [
        (peers.label(n), [cell([r[k] for r in of]) for k in ("cpu_us", "p50_ms", "p99_ms", "max_ms")]
         + [cell([1000 * r["wrong"] / r["answers"] for r in of])])
        for n, of in rows.items()])


def workers_section(workers):
    one, two = workers["rows"]["one"], workers["rows"]["two"]
    return ("\n## Two workers\n\n"
            "wrk needs both cores as well, so its requests a second say nothing of two workers. What two\n"
            "cores of their own would serve follows from CPU a request: with two workers it must not grow,\n"
            "and the busier of the two, as the kernel spreads 256 connections, is the one that limits.\n\n"
            + table("", ["µs CPU a request", "share of the busier"], [
                ("one worker", [cell([r["cpu_us"] for r in one]), ""]),
                ("two workers", [cell([r["cpu_us"] for r in two]), cell([r["busiest"] for r in two])])])
            + f"\nTwo workers are {cell(workers['gain'])} × one.\n")


def micro_section(rows, pictures):
    text = "\n## The parts\n\nns of CPU an operation, of the whole process: with Go's garbage collector.\n\n"
    both = [k for k in MICRO if k in rows["gee"][0] and "go" in rows and k in rows["go"][0]]
    if both:
        picture(pictures / "micro.svg", "ns of CPU, Gee in C / Go (1: the same)",
                [(MICRO[k], figures.ratios(rows, "gee", "go", k), COLOURS["gee"]) for k in both])
        text += "![Gee in C / Go](performance/micro.svg)\n\n"
    body = []
    for key, what in MICRO.items():
        cells = [cell([r[key] for r in rows[n]]) if n in rows and key in rows[n][0] else ""
                 for n in ("gee", "go")]
        body.append((what, cells + [cell(figures.ratios(rows, "gee", "go", key))
                                    if key in both else ""]))
    return text + table("", ["Gee in C", "Go", "ratio"], body)


def counts_section(counts):
    text = "\n## Instructions\n\nIn user space, as callgrind counts them: the same in each run.\n\n"
    rows = [(f"a request with the head of {n}", [f"{v:,.0f}"])
            for n, v in (counts.get("instructions") or {}).items()]
    rows += [(f"a route lookup among {int(n):,}", [f"{v:,.0f}"])
             for n, v in (counts.get("routes") or {}).items()]
    rows += [(f"tracing of a request, {k}: a span and its export up to the post", [f"{v:,.0f} more"])
             for k, v in (counts.get("tracing") or {}).items()]
    return text + table("", ["instructions"], rows)


def write(results, whole):
    """Into docs/ if everything was measured, else into build/."""
    docs = ROOT / ("docs" if whole else "build")
    pictures = docs / "performance"
    pictures.mkdir(exist_ok=True)
    waited = results.get("without_core")
    quiet = "" if waited is None else (
        f"The servers were kept from their core {waited:.1%} of the time"
        + (": **the cores were not quiet**." if waited > 0.1 else "."))
    text = HEAD.format(machine=results["machine"], rounds=results["rounds"],
                       seconds=results["seconds"], took=results["took_s"], quiet=quiet)
    text += bars_table(figures.bars(results))
    absent = peers.missing()
    if absent:
        text += "\nNot installed, and so not measured: " + ", ".join(map(peers.label, absent)) + ".\n"
    for name, rows in results["requests"].items():
        text += request_section(name, rows, pictures)
    if "streams" in results:
        text += streams_section(results["streams"], pictures)
    if "deadline" in results:
        text += deadline_section(results["deadline"])
    if "workers" in results:
        text += workers_section(results["workers"])
    if "micro" in results:
        text += micro_section(results["micro"], pictures)
    if results.get("counts"):
        text += counts_section(results["counts"])
    page = docs / "performance.md"
    page.write_text(text)
    return page.relative_to(ROOT)
