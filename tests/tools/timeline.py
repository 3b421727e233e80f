#!/usr/bin/env python3
"""The picture of a trace, drawn from one (tests/tools/timeline.c): a row for each task.

Nothing in it is written by hand but the layout: bars are lives, what is on them are waits, and the
arrows lead from the task that made another one runnable. A life without an end runs out.

  timeline.py            compares it with what a run says; the last line is `N passed, N failed`
  timeline.py --renew    writes it (make timeline)
"""

import pathlib
import subprocess
import sys
from xml.sax.saxutils import escape

import making
import trace_check

ROOT = pathlib.Path(__file__).resolve().parents[2]
SVG = ROOT / "ch04-pprof/trace.svg"
PROGRAM = "build/debug/tests/tools/timeline"

LEFT, WIDTH, RIGHT, TOP, ROW, BAR = 150, 660, 60, 56, 46, 20
INK, FAINT, LIFE, EDGE, WAKE = "#1f2937", "#6b7280", "#ffffff", "#5470a3", "#c2410c"
WAITS = {"sleep": "#d3e0f2", "chan receive": "#fbe3d3", "chan send": "#f3d9ec", "io write": "#e2f0d9"}
OTHER = "#e5e7eb"


def text(x, y, s, size=12, anchor="start", fill=INK, weight="normal"):
    bold = f' font-weight="{weight}"' if weight != "normal" else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
            f'{bold}>{escape(s)}</text>')


def rect(x, y, w, h, fill, stroke="none", dashed=False):
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h}" fill="{fill}" '
            f'stroke="{stroke}"{dash}/>')


class Picture:
    def __init__(self, trace):
        self.trace = trace
        self.end = trace_check.ns(trace.other["recorded_us"])
        lives = {int(of, 16): s[0] for (cat, of), s in trace.spans.items() if cat == "task"}
        # Those that began while it was recorded, first come, first drawn.
        self.tasks = sorted((t for t, s in lives.items() if "before_us" not in s[2]["args"]),
                            key=lambda t: (lives[t][0], t))
        self.lives = lives
        self.row = {t: i for i, t in enumerate(self.tasks)}

    def x(self, ns):
        return LEFT + WIDTH * ns / self.end

    def y(self, task):
        return TOP + ROW * self.row[task]

    def life(self, task):
        start, stop, b = self.lives[task]
        y = self.y(task)
        x0, x1 = self.x(start), self.x(self.end if stop is None else stop)
        yield text(LEFT - 12, y + 9, b["name"], 13, "end", weight="bold")
        yield text(LEFT - 12, y + 24, f"task {task}", 11, "end", FAINT)
        yield rect(x0, y, x1 - x0, BAR, LIFE, EDGE, stop is None)
        for start, to, w in self.trace.spans.get(("wait", hex(task)), []):
            a, b = self.x(start), self.x(self.end if to is None else to)
            if b - a < 1:
                continue
            yield rect(a + .5, y + .5, b - a - 1, BAR - 1, WAITS.get(w["name"], OTHER))
            if b - a > 7 * len(w["name"]):
                yield text((a + b) / 2, y + 14, w["name"], 11, "middle", FAINT)
        if stop is None:
            yield text(x1 + 6, y + 14, "no end", 11, "start", WAKE, "bold")

    def wakes(self):
        """From who made it runnable; within a row there is nothing to draw."""
        for slices in self.trace.slices.values():
            for at, _, e in slices:
                by, task = e["args"].get("by"), e["args"]["task"]
                if by not in self.row or task not in self.row or by == task:
                    continue
                x, y0, y1 = self.x(at), self.y(by), self.y(task)
                y0, y1 = (y0 + BAR, y1 - 2) if y1 > y0 else (y0, y1 + BAR + 2)
                side = 5 * (self.row[task] - self.row[by])  # several at a time stay apart
                yield (f'<path d="M {x:.1f} {y0} C {x + side:.1f} {y0 + (y1 - y0) / 3:.1f}, '
                       f'{x + side:.1f} {y1 - (y1 - y0) / 3:.1f}, {x:.1f} {y1}" fill="none" '
                       f'stroke="{WAKE}" stroke-width="1.5" marker-end="url(#wakes)"/>')

    def runs(self):
        """In simulation a slice takes no time: a stroke."""
        for slices in self.trace.slices.values():
            for start, stop, e in slices:
                if e["args"]["task"] in self.row:
                    x, y = self.x(start), self.y(e["args"]["task"])
                    yield rect(x - 1.5, y - 2, 3 + self.x(stop) - self.x(start), BAR + 4, INK)

    def axis(self):
        bottom = TOP + ROW * len(self.tasks) + 4
        for ms in range(0, int(self.end / 1e6) + 1, 10):
            x = self.x(ms * 1e6)
            yield (f'<path d="M {x:.1f} {TOP - 14} V {bottom}" stroke="#e5e7eb" '
                   'stroke-dasharray="2 4" fill="none"/>')
            yield text(x, bottom + 16, f"{ms} ms", 11, "middle", FAINT)

    def legend(self):
        waits = {w["name"] for task in self.tasks
                 for _, _, w in self.trace.spans.get(("wait", hex(task)), [])}
        known = [(WAITS[name], EDGE, f"waits: {name}", 18) for name in WAITS if name in waits]
        x, y = LEFT, 20
        for fill, stroke, name, w in ((INK, "none", "runs", 3), *known, (LIFE, EDGE, "lives", 18)):
            yield rect(x, y, w, 12, fill, stroke)
            yield text(x + w + 6, y + 10, name, 11, fill=FAINT)
            x += w + 20 + 5.6 * len(name)
        yield (f'<path d="M {x} {y + 6} H {x + 20}" stroke="{WAKE}" stroke-width="1.5" '
               'marker-end="url(#wakes)"/>')
        yield text(x + 30, y + 10, "makes runnable: starts or wakes", 11, fill=FAINT)

    def draw(self):
        width, height = LEFT + WIDTH + RIGHT, TOP + ROW * len(self.tasks) + 34
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
               f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
               "<title>A request, the tasks that it started, and the one that has no end</title>",
               "<!-- Made by tests/tools/timeline.py from a trace: make timeline. -->",
               '<defs><marker id="wakes" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="6" '
               f'markerHeight="6" orient="auto"><path d="M 0 0 L 10 5 L 0 10 z" fill="{WAKE}"/>'
               "</marker></defs>", f'<rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>']
        out += [*self.legend(), *self.axis()]
        for task in self.tasks:
            out += self.life(task)
        out += [*self.runs(), *self.wakes()]
        return "\n".join([*out, "</svg>"]) + "\n"


def recorded():
    good, said = making.make("debug", PROGRAM)
    if not good:
        raise SystemExit(f"{said}timeline.py: {PROGRAM} does not build")
    out = subprocess.run([ROOT / PROGRAM], check=True, stdout=subprocess.PIPE, text=True).stdout
    trace = trace_check.Trace(out)
    if trace.check():
        raise SystemExit(f"timeline.py: {trace.wrong[0]}")
    return trace


def main(argv):
    seen = Picture(recorded()).draw()
    if argv == ["--renew"]:
        SVG.write_text(seen)
        print(f"wrote {SVG.relative_to(ROOT)}")
        return 0
    same = SVG.exists() and SVG.read_text() == seen
    print(f"{SVG.relative_to(ROOT)} {'is' if same else 'is not'} what a run draws"
          f"{'' if same else ': make timeline'}\n{int(same)} passed, {int(not same)} failed")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
