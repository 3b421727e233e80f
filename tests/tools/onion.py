#!/usr/bin/env python3
"""The onion: a picture of a chain, drawn from a trace of two requests (tests/tools/onion.c).

Nothing in it is written by hand but the layout: rings are the links, their edges the moments in
which a link began and had its last word, and the rows below say what the trace says of each. The
trace itself stands in ch02-timeouts/chain.md.

  onion.py            compares both with what a run says; the last line is `N passed, N failed`
  onion.py --renew    writes them (make onion)
"""

import pathlib
import re
import subprocess
import sys

import making
from dataclasses import dataclass
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parents[2]
SVG = ROOT / "ch02-timeouts/onion.svg"
PAGE = ROOT / "ch02-timeouts/chain.md"
PROGRAM = "build/debug/tests/tools/onion"
LINE = re.compile(r"(\w+) +(\w+) +(in|out) +at (\d+) +started (\d+) of (\d+) +next (\w+) +"
                  r"head (\d+|-) +ms (\d+)")
BLOCK = re.compile(r"(<!-- the trace -->\n```\n).*?(```\n)", re.S)
TITLES = {"ann": "GET /account, of a user: every link goes on",
          "eve": "GET /account, of nobody: auth answers, and aborts"}

COLUMN, LEFT, RIGHT = 108, 184, 92  # px: an event; in front of the first; behind the last
RING, CORE, ROW = 28, 76, 22        # between two rings; the innermost; a row of the table
FILLS = ["#f3f6fb", "#e4ecf7", "#d3e0f2", "#ffffff"]
EDGE, INK, FAINT, HEAD = "#5470a3", "#1f2937", "#6b7280", "#c2410c"


@dataclass
class Event:
    link: str
    phase: str
    at: int
    started: int
    of: int
    next: str
    head: str
    ms: int


def read(trace):
    requests = {}
    for line in trace.splitlines():
        m = LINE.fullmatch(line)
        if m is None:
            raise SystemExit(f"onion.py: not a line of a trace: {line}")
        g = m.groups()
        requests.setdefault(g[0], []).append(
            Event(g[1], g[2], int(g[3]), int(g[4]), int(g[5]), g[6], g[7], int(g[8])))
    return requests


# --- drawing ---

def text(x, y, s, size=13, anchor="middle", fill=INK, weight="normal"):
    bold = f' font-weight="{weight}"' if weight != "normal" else ""
    return (f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
            f'{bold}>{escape(s)}</text>')


def box(x, y, w, h, fill, dashed=False):
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="14" fill="{fill}" '
            f'stroke="{EDGE}"{dash}/>')


def path(d, colour, arrow=False):
    end = f' marker-end="url(#{"answered" if colour == HEAD else "asked"})"' if arrow else ""
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="3"{end}/>'


class Panel:
    """A request: its rings, its way through them, and the rows of what holds at each edge."""

    def __init__(self, name, events, links, y):
        self.events, self.links, self.y = events, links, y
        self.title = TITLES[name]
        self.top = y + 34
        self.height = CORE + 2 * RING * (len(links) - 1)
        self.middle = self.top + self.height / 2
        self.bottom = self.top + self.height + 20 + 5 * ROW

    def x(self, i):
        return LEFT + COLUMN * i

    def edges(self, link):
        """The columns in which it begins and ends; None: it never ran."""
        found = [i for i, e in enumerate(self.events) if e.link == link]
        return (found[0], found[-1]) if found else None

    def rings(self):
        for depth, link in enumerate(self.links):
            y, h = self.top + RING * depth, self.height - 2 * RING * depth
            edges = self.edges(link)
            if edges is None:
                last = max(i for i, e in enumerate(self.events) if e.phase == "in")
                x, w = self.x(last) + 17, COLUMN - 34
                yield box(x, y, w, h - 14, "none", dashed=True)
                yield text(x + w / 2, self.middle - 10, link, 12, fill=FAINT)
                yield text(x + w / 2, self.middle + 7, "never runs", 11, fill=FAINT)
                continue
            x, w = self.x(edges[0]), COLUMN * (edges[1] - edges[0])
            yield box(x, y, w, h, FILLS[min(depth, len(FILLS) - 1)])
            yield text(x + 14, y + 18, link, 13, "start", weight="bold")

    def way(self):
        """In, and out; behind the answer in another colour."""
        y, turn = self.middle, max(i for i, e in enumerate(self.events) if e.phase == "in")
        x0, x1 = self.x(turn), self.x(turn + 1)
        half, answers = (x0 + x1) / 2, self.events[turn + 1]
        yield path(f"M {self.x(0) - 58} {y} H {x0}", FAINT)
        if self.edges(self.links[-1]) is None:  # around what never runs
            low, curve = y + CORE / 2 + 2, 26
            yield path(f"M {x0} {y} L {x0 + 8} {y} C {x0 + 8} {low - 8}, {x0 + curve} {low}, "
                       f"{half} {low}", FAINT)
            yield path(f"M {half} {low} C {x1 - curve} {low}, {x1 - 8} {low - 8}, {x1 - 8} {y} "
                       f"L {x1} {y}", HEAD)
            mark = low
        else:
            yield path(f"M {x0} {y} H {half}", FAINT)
            yield path(f"M {half} {y} H {x1}", HEAD)
            mark = y
        end = self.x(len(self.events) - 1) + 44
        yield path(f"M {x1} {y} H {end}", HEAD, arrow=True)
        yield f'<circle cx="{half}" cy="{mark}" r="6" fill="{HEAD}"/>'
        yield text(half, mark + 20, f"head: {answers.head}", 12, fill=HEAD, weight="bold")
        yield text(self.x(0) - 8, y - 10, "request", 12, "end", fill=FAINT)
        yield text(self.x(len(self.events) - 1) + 10, y - 10, "response", 12, "start", fill=HEAD)
        for i, e in enumerate(self.events):
            colour = FAINT if e.head == "-" else HEAD
            yield f'<circle cx="{self.x(i)}" cy="{y}" r="4" fill="#ffffff" stroke="{colour}" ' \
                  'stroke-width="2"/>'

    def table(self):
        rows = [("link that runs", [str(e.at) for e in self.events]),
                ("started", [f"{e.started} of {e.of}" for e in self.events]),
                ("gee_next runs", ["–" if e.next == "nothing" else e.next for e in self.events]),
                ("head", ["–" if e.head == "-" else e.head for e in self.events]),
                ("time", [f"{e.ms} ms" for e in self.events])]
        for r, (name, values) in enumerate(rows):
            y = self.top + self.height + 34 + ROW * r
            yield text(LEFT - 66, y, name, 12, "end", fill=FAINT)
            for i, value in enumerate(values):
                answered = name == "head" and value != "–"
                yield text(self.x(i), y, value, 12, fill=HEAD if answered else INK)
        for i in range(len(self.events)):  # from the edge to what is said of it
            yield (f'<path d="M {self.x(i)} {self.middle + 5} V {self.top + self.height + 18}" '
                   f'stroke="{EDGE}" stroke-width="1" stroke-dasharray="1 4" fill="none"/>')

    def draw(self):
        yield text(LEFT - 160, self.y + 12, self.title, 15, "start", weight="bold")
        yield from self.rings()
        yield from self.table()
        yield from self.way()


def draw(requests):
    longest = max(requests.values(), key=len)
    links = [e.link for e in longest if e.phase == "in"]
    panels, y = [], 24
    for name, events in requests.items():
        panels.append(Panel(name, events, links, y))
        y = panels[-1].bottom + 34
    width, height = LEFT + COLUMN * (len(longest) - 1) + RIGHT, int(y) - 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
           "<title>A request goes through a chain, in and out</title>",
           "<!-- Made by tests/tools/onion.py from a trace: make onion. -->",
           "<defs>"]
    for name, colour in (("asked", FAINT), ("answered", HEAD)):
        out.append(f'<marker id="{name}" viewBox="0 0 10 10" refX="2" refY="5" markerWidth="4" '
                   f'markerHeight="4" orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" '
                   f'fill="{colour}"/></marker>')
    out += ["</defs>", f'<rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>']
    for p in panels:
        out += p.draw()
    return "\n".join([*out, "</svg>"]) + "\n"


# --- comparing ---

def trace():
    good, said = making.make("debug", PROGRAM)
    if not good:
        raise SystemExit(f"{said}onion.py: {PROGRAM} does not build")
    return subprocess.run([ROOT / PROGRAM], check=True, stdout=subprocess.PIPE, text=True).stdout


def main(argv):
    seen = trace()
    page = BLOCK.sub(lambda m: m[1] + seen + m[2], PAGE.read_text(), count=1)
    wanted = {SVG: draw(read(seen)), PAGE: page}
    failed = 0
    if seen not in page:
        print(f"{PAGE.relative_to(ROOT)}: there is no place for the trace")
        failed += 1
    for path_, content in wanted.items():
        if path_.exists() and path_.read_text() == content:
            continue
        if argv == ["--renew"]:
            path_.write_text(content)
            print(f"{path_.relative_to(ROOT)}: renewed")
        else:
            print(f"{path_.relative_to(ROOT)}: not what a run says: make onion")
            failed += 1
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
