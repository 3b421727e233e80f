#!/usr/bin/env python3
"""Flame graphs: stacks, as an SVG that says on its own what it shows.

The width of a box is the share of the time in which that function was on the stack; above it are
those that it called. Boxes of one function on top of the same callers are one, so the order from
left to right means nothing. The SVG needs no script: a box says its figures when the pointer rests
on it. Two files are drawn side by side, each to its own total, with the same colour for the same
function.

  flame.py [-o OUT.svg] [--title T]... [--label KEY]... [--value I] FILE...
  flame.py --folded [--label KEY]... FILE     the stacks as text: "main;serve;write 12"
  flame.py --perf ...                         FILE is what `perf script -F comm,ip,sym` prints
  flame.py --check                            tries itself; the last line is `N passed, N failed`

FILE is such a text, or a profile.proto (what /debug/pprof/ answers), compressed or not. With
--label the value of that label of a sample is drawn as its outermost function: tasks are told apart
by --label name. --value is the number of the value to draw; the last one if it is not said. What
perf prints has one label, thread: the name of the thread.
"""

import argparse
import gzip
import pathlib
import re
import sys
import tempfile
import zlib
from xml.sax.saxutils import escape

ROW, CHAR, PAD, HEAD, FOOT = 17, 6.4, 12, 46, 26  # px
WIDTH, WIDTH_OF_TWO, NARROWEST = 1180, 760, 0.4
INK, FAINT, PAPER = "#1f2937", "#6b7280", "#ffffff"


# --- profile.proto ---

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of a message: an int, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        elif wire in (1, 5):
            n = 8 if wire == 1 else 4
            value, at = int.from_bytes(data[at:at + n], "little"), at + n
        else:
            raise ValueError(f"wire type {wire}")
        yield key >> 3, value


def numbers(message, field):
    """A repeated number, packed or not, signed."""
    out = []
    for number, value in fields(message):
        if number != field:
            continue
        if isinstance(value, int):
            out.append(value)
        else:
            at = 0
            while at < len(value):
                v, at = varint(value, at)
                out.append(v)
    return [v - (1 << 64) if v >> 63 else v for v in out]


def one(message, field, otherwise=0):
    return next((v for n, v in fields(message) if n == field), otherwise)


class Stacks:
    """{(outermost, …, innermost): value}, and what the value is."""

    def __init__(self):
        self.of, self.unit = {}, "samples"

    def add(self, frames, value):
        key = tuple(frames)
        self.of[key] = self.of.get(key, 0) + value

    @property
    def total(self):
        return sum(self.of.values())

    def say(self, value):
        if self.unit != "nanoseconds":
            return f"{value:,} {self.unit}"
        return f"{value / 1e9:.2f} s" if value >= 1e9 else f"{value / 1e6:.0f} ms"


def of_profile(data, labels, which):
    message = list(fields(data))
    strings = [v.decode(errors="replace") for n, v in message if n == 6]
    types = [v for n, v in message if n == 1]
    names = {one(v, 1): strings[one(v, 2)] for n, v in message if n == 5}
    locations = {}  # the innermost first, as inlined
    for number, v in message:
        if number == 4:
            lines = [names[one(l, 1)] for n, l in fields(v) if n == 4]
            locations[one(v, 1)] = lines or [hex(one(v, 3))]
    stacks = Stacks()
    which = len(types) - 1 if which is None else which
    if not 0 <= which < len(types):
        raise ValueError(f"there are {len(types)} values in it, from 0 on")
    stacks.unit = strings[one(types[which], 2)]
    if stacks.unit == "count":
        stacks.unit = strings[one(types[which], 1)]
    for number, v in message:
        if number != 2:
            continue
        tags = {strings[one(l, 1)]: strings[one(l, 2)] for n, l in fields(v) if n == 3}
        frames = [f for i in numbers(v, 1) for f in locations[i]]
        outer = [tags.get(k, "(no task)") for k in labels]
        stacks.add(outer + frames[::-1], numbers(v, 2)[which])
    return stacks


def of_folded(text):
    stacks = Stacks()
    for i, line in enumerate(text.splitlines(), 1):
        m = re.fullmatch(r"(.+) (\d+)", line.strip())
        if m:
            stacks.add(m[1].split(";"), int(m[2]))
        elif line.strip():
            raise ValueError(f"line {i} is no stack and number: {line.strip()[:60]}")
    return stacks


def of_perf(text, labels):
    """Blocks of lines: the thread's name, then an address and a function, the innermost first."""
    stacks = Stacks()
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        head, *lines = block.splitlines() or [""]
        frames = [re.sub(r"\+0x[0-9a-f]+$", "", m[1].strip()) for m in
                  (re.fullmatch(r"\s+[0-9a-f]+ (.+)", l) for l in lines) if m]
        if frames:
            outer = [head.strip().rstrip(":") if k == "thread" else "(no label)" for k in labels]
            stacks.add(outer + [f if f != "[unknown]" else "(unknown)" for f in frames[::-1]], 1)
    return stacks


def read(path, labels=(), which=None, perf=False):
    data = pathlib.Path(path).read_bytes() if path != "-" else sys.stdin.buffer.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if perf:
        return of_perf(data.decode(errors="replace"), labels)
    text = re.fullmatch(rb"[\t\n\r\x20-\x7e\x80-\xff]*", data)
    try:
        return of_folded(data.decode(errors="replace")) if text else \
            of_profile(data, labels, which)
    except (ValueError, IndexError, KeyError) as e:
        raise SystemExit(f"flame.py: {path}: neither folded stacks nor a profile: {e}") from None


# --- drawing ---

class Box:
    def __init__(self, name):
        self.name, self.value, self.above = name, 0, {}

    def depth(self):
        return 1 + max((b.depth() for b in self.above.values()), default=0)


def tree(stacks):
    root = Box("all")
    for frames, value in stacks.of.items():
        box = root
        box.value += value
        for name in frames:
            box = box.above.setdefault(name, Box(name))
            box.value += value
    return root


def colour(name):
    if name.startswith("created by "):
        return "#bcd3f2"
    if name == "all" or name.startswith("("):
        return "#e5e7eb"
    if re.match(r"GET |POST |PUT |DELETE |HEAD |PATCH ", name):
        return "#cfe8cf"
    h = zlib.crc32(name.encode())
    return f"hsl({h % 45 + 8},{60 + h // 64 % 25}%,{68 + h // 4096 % 12}%)"


def text(x, y, s, size=11, fill=INK, weight=""):
    bold = ' font-weight="bold"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}"{bold}>{escape(s)}</text>'


class Graph:
    def __init__(self, stacks, title, x, width, height):
        self.stacks, self.root, self.title = stacks, tree(stacks), title
        self.x, self.width, self.height, self.out, self.hidden = x, width, height, [], 0

    def draw(self):
        total = self.stacks.say(self.stacks.total)
        self.out.append(text(self.x, 20, self.title, 14, weight="bold"))
        self.out.append(text(self.x, 36, total if self.stacks.total else "no samples", 11, FAINT))
        if self.stacks.total:
            self.box(self.root, self.x, self.height - FOOT - ROW, self.width)
        if self.hidden:
            self.out.append(text(self.x, self.height - 8, f"{self.hidden} boxes are too narrow to "
                                 "be drawn", 10, FAINT))
        return self.out

    def box(self, b, x, y, width):
        if width < NARROWEST:
            self.hidden += 1
            return
        share = b.value / self.stacks.total
        self.out.append(
            f'<g><title>{escape(b.name)}: {escape(self.stacks.say(b.value))}, {share:.1%}</title>'
            f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.6, 0.2):.1f}" height="{ROW - 1}" '
            f'rx="2" fill="{colour(b.name)}"/>')
        room = int((width - 6) / CHAR)
        if room >= 3:
            name = b.name if len(b.name) <= room else b.name[:room - 2] + ".."
            self.out.append(text(x + 3, y + 12, name))
        self.out.append("</g>")
        for child in sorted(b.above.values(), key=lambda c: c.name):
            self.box(child, x, y - ROW, width * child.value / b.value)
            x += width * child.value / b.value


def svg(all_stacks, titles):
    width = WIDTH if len(all_stacks) == 1 else WIDTH_OF_TWO
    deepest = max(tree(s).depth() for s in all_stacks)
    height = HEAD + deepest * ROW + FOOT
    across = len(all_stacks) * (width + PAD) + PAD
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{height}" '
           f'viewBox="0 0 {across} {height}" font-family="ui-monospace, DejaVu Sans Mono, monospace" '
           'role="img">', f"<title>{escape('; '.join(titles))}</title>",
           f'<rect width="{across}" height="{height}" fill="{PAPER}"/>']
    for i, (stacks, title) in enumerate(zip(all_stacks, titles)):
        out += Graph(stacks, title, PAD + i * (width + PAD), width, height).draw()
    return "\n".join(out + ["</svg>"]) + "\n"


# --- trying itself ---

def message(*pairs):
    """A message of (field, int or bytes)."""
    def number(v):
        v &= (1 << 64) - 1
        out = b""
        while v > 0x7f:
            out, v = out + bytes([v & 0x7f | 0x80]), v >> 7
        return out + bytes([v])
    return b"".join(number(f << 3) + number(v) if isinstance(v, int)
                    else number(f << 3 | 2) + number(len(v)) + v for f, v in pairs)


def check():
    import xml.etree.ElementTree as xml
    results = []

    def expect(what, ok):
        results.append(ok)
        if not ok:
            print(f"flame.py: {what}")

    strings = [b"", b"cpu", b"nanoseconds", b"main", b"a & b", b"name", b"GET /<x>", b"inlined"]
    data = message(
        (1, message((1, 1), (2, 2))),
        (2, message((1, bytes([2, 1])), (2, message((0, 300))[1:]), (3, message((1, 5), (2, 6))))),
        (2, message((1, 1), (2, 100))),
        (4, message((1, 1), (4, message((1, 1), (2, 7))))),
        (4, message((1, 2), (4, message((1, 3), (2, 1))), (4, message((1, 2), (2, 9))))),
        (5, message((1, 1), (2, 3))), (5, message((1, 2), (2, 4))), (5, message((1, 3), (2, 7))),
        *((6, s) for s in strings))
    stacks = of_profile(data, ["name"], None)
    expect("a profile: its stacks, labels and inlined functions", stacks.of == {
        ("GET /<x>", "main", "a & b", "inlined"): 300, ("(no task)", "main"): 100})
    expect("a profile: its unit", stacks.unit == "nanoseconds")
    folded = of_folded("main;a b;c 3\nmain;a b 1\nmain;d 4\nmain;a b;c 2\n")
    expect("folded stacks: equal ones are added", folded.of[("main", "a b", "c")] == 5)
    root = xml.fromstring(svg([folded, stacks], ["one", "two"]))
    ns = "{http://www.w3.org/2000/svg}"
    titles = [t.text for t in root.iter(ns + "title")]
    expect("each box says its share", "a b: 6 samples, 60.0%" in titles)
    expect("names are escaped", any(t.startswith("a & b: ") for t in titles))
    widths = {g.find(ns + "title").text.split(":")[0]: float(g.find(ns + "rect").get("width"))
              for g in root.iter(ns + "g")}
    expect("a width is a share", abs(widths["c"] / widths["d"] - 5 / 4) < 0.02)
    expect("no samples are said", "no samples" in svg([of_folded("")], ["none"]))
    perf = of_perf("server 12 \n\t  55 read\n\t  56 main\n\nserver 12 \n\t  55 read\n"
                   "\t  57 [unknown]\n\n", [])
    expect("what perf prints", perf.of == {("main", "read"): 1, ("(unknown)", "read"): 1})
    with tempfile.TemporaryDirectory() as work:
        path = pathlib.Path(work) / "stacks"
        for bad in (b"main;a\n", b"\x08", message((1, b"")) + b"\xff"):
            path.write_bytes(bad)
            try:
                read(path)
                expect(f"{bad!r} is refused", False)
            except SystemExit:
                expect("refused", True)
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("-o", "--output", default="-")
    p.add_argument("--title", action="append", default=[])
    p.add_argument("--label", action="append", default=[])
    p.add_argument("--value", type=int)
    p.add_argument("--folded", action="store_true")
    p.add_argument("--perf", action="store_true")
    p.add_argument("--check", action="store_true")
    p.add_argument("files", nargs="*", metavar="FILE")
    args = p.parse_args()
    if args.check:
        return check()
    if not args.files or len(args.files) > 2 or (args.folded and len(args.files) != 1):
        p.error("one file, or two to be drawn side by side")
    try:
        stacks = [read(f, args.label, args.value, args.perf) for f in args.files]
    except OSError as e:
        raise SystemExit(f"flame.py: {e}") from None
    if args.folded:
        out = "".join(f"{';'.join(f)} {v}\n" for f, v in sorted(stacks[0].of.items()))
    else:
        titles = args.title + args.files[len(args.title):]
        out = svg(stacks, titles)
    if args.output == "-":
        sys.stdout.write(out)
    else:
        pathlib.Path(args.output).write_text(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
