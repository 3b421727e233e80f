"""What the matrix looks like: on the terminal, and as docs/matrix.csv, docs/matrix.md, docs/matrix.svg."""

import csv
import io
import re

import lesson
import matrix_tools as tools

HEADS = {"own": "own", "memcheck": "memcheck", "helgrind": "Helgrind", "drd": "DRD", "tsan": "TSan",
         "asan": "ASan, LSan", "ubsan": "UBSan", "fanalyzer": "-fanalyzer", "clang": "clang", "cppcheck": "cppcheck"}
COLOUR = {"TP": "32", "TN": "0", "FN": "33", "FP": "31", "n/a": "0"}
FILL = {"TP": "#2c8c4b", "TN": "#e4efe6", "FN": "#e8c468", "FP": "#c0392b", "n/a": "#f1f1f1"}
FIELDS = ["chapter", "case", "variant", "tool", "verdict", "why"]

# What others measured. The line-level figures of DataRaceBench are those to compare with: there too a
# report counts only on the recorded line.
PUBLISHED = """\
| published | tool | recall | precision |
|---|---|---|---|
| DataRaceBench 1.4, C/C++, was a race reported for the file | TSan | 0.78 | 0.99 |
| | Intel Inspector | 0.84 | 0.65 |
| the same, by the line of the source | TSan | 0.66 | 0.78 |
| | Intel Inspector | 0.76 | 0.33 |

These are the metrics of October 2021 in the wiki of
[LLNL/dataracebench](https://github.com/LLNL/dataracebench/wiki/Metrics-Oct-2021). GoBench
(Yuan et al., [CGO 2021](https://doi.org/10.1109/CGO51591.2021.9370317)) has 82 bugs of real Go
programs and 103 kernels of them, and judges as is done here: a report that is not about the bug is
a false one, also where there is a bug. Their programs are not these: the figures say what to
expect of a tool on races that others have written, not that one of the tables is better.
"""


def read_csv(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def csv_text(rows):
    out = io.StringIO()
    w = csv.DictWriter(out, FIELDS, extrasaction="ignore", lineterminator="\n")
    w.writeheader()
    w.writerows(rows)
    return out.getvalue()


def grid(rows):
    """{(chapter, case, variant): {tool: row}}, in the order of the manifests."""
    out = {}
    for r in rows:
        out.setdefault((r["chapter"], r["case"], r["variant"]), {})[r["tool"]] = r
    return out


def shown_tools(rows):
    have = {r["tool"] for r in rows}
    return [t for t in tools.NAMES if t in have]


def table(rows):
    columns, before = shown_tools(rows), ""
    print(f"\n{'':<26}{'':<34}" + "".join(f"{t:<10}" for t in columns))
    for (_, case, variant), of in grid(rows).items():
        print(f"{case if case != before else '':<26}{variant:<34}" + "".join(
            lesson.paint(COLOUR.get(of[t]["verdict"], "31"), f"{of[t]['verdict']:<10}") for t in columns))
        before = case
    print()


# --- figures ---

def figures(rows):
    """(found, defects that it was asked about, reports, of them false)"""
    asked = [r for r in rows if r["verdict"] != "n/a"]
    found = sum(r["verdict"] == "TP" for r in asked)
    defects = sum(r["variant"] != "fixed" for r in asked)
    false = sum(r["verdict"] == "FP" for r in asked)
    return found, defects, found + false, false


def ratio(a, b):
    return f"{a / b:.2f}" if b else "-"


def figure_table(rows):
    chapters = sorted({r["chapter"] for r in rows})
    lines = ["| tool | " + " | ".join(f"{c[:4]}: recall | precision" for c in chapters) +
             " | all: recall | precision |", "|---" * (3 + 2 * len(chapters)) + "|"]
    for tool in shown_tools(rows):
        mine, line = [r for r in rows if r["tool"] == tool], f"| {HEADS[tool]} "
        for part in (*([r for r in mine if r["chapter"] == c] for c in chapters), mine):
            found, defects, reports, false = figures(part)
            line += f"| {ratio(found, defects)} ({found} of {defects}) | {ratio(found, reports)} "
        lines.append(line + "|")
    return "\n".join(lines)


def race_table(rows, cases):
    """Of the variants with a data race alone, which is what DataRaceBench asks about."""
    racy = {(c.name, v) for c in cases if c.race for v, r in c.race.variants.items() if r.pairs}
    clean = {(c.name, "fixed") for c in cases if c.race}
    lines = ["| here | tool | recall | precision |", "|---|---|---|---|"]
    for tool in (t for t in shown_tools(rows) if t in tools.RACE_TOOLS):
        mine = [r for r in rows if r["tool"] == tool and (r["case"], r["variant"]) in racy | clean]
        found, defects, reports, false = figures(mine)
        lines.append(f"| chapters of races, by the pair of lines | {HEADS[tool]} | {ratio(found, defects)} "
                     f"({found} of {defects}) | {ratio(found, reports)} |")
    return "\n".join(lines)


# --- the document ---

def verdict_table(rows, chapter):
    columns, before = shown_tools(rows), ""
    lines = ["| case | variant | " + " | ".join(HEADS[t] for t in columns) + " |",
             "|---" * (2 + len(columns)) + "|"]
    for (c, case, variant), of in grid(rows).items():
        if c == chapter:
            marks = (f"**{v}**" if v in ("TP", "FP") else v for v in (of[t]["verdict"] for t in columns))
            lines.append(f"| {case if case != before else ''} | {variant} | " + " | ".join(marks) + " |")
            before = case
    return "\n".join(lines)


def reason_list(rows, cases, generic, reason_of):
    """Each reason once, with the cells that it explains."""
    by_name, groups = {(c.chapter, c.name): c for c in cases}, {}
    for r in rows:
        if r["verdict"] == "FN":
            case = by_name[r["chapter"], r["case"]]
            why = reason_of(r, case, generic)
            mine = groups.setdefault((r["tool"], why), [])
            if case.name not in mine:
                mine.append(case.name)
    lines = []
    for tool in tools.NAMES:
        of = [(why, names) for (t, why), names in groups.items() if t == tool]
        if of:
            lines.append(f"\n### {HEADS[tool]}\n")
            lines += [f"- {why} ({', '.join(names)})" for why, names in of]
    return "\n".join(lines)


def odd_list(rows):
    lines = [f"- {r['case']}, {r['variant']}, {HEADS[r['tool']]}: {r['verdict']}: {r['why']}"
             for r in rows if r["verdict"] in ("FP", "n/a", "crash", "time-out", "not run", "failed")]
    return "\n".join(lines) or "None."


def known_list(known):
    lines = []
    for key, text in known.items():
        tool, unit = key.split()
        said, why = re.match(r"/(.*?)/ (.*)", text).groups()
        lines.append(f"- {HEADS[tool]}, `{unit}`, \"{said}\": {why}")
    return "\n".join(lines) or "None."


def document(rows, cases, generic, reason_of, known):
    chapters = sorted({r["chapter"] for r in rows})
    counts = {v: sum(r["verdict"] == v for r in rows) for v in ("TP", "FN", "FP", "TN", "n/a")}
    fixed = sum(r["verdict"] == "FP" and r["variant"] == "fixed" for r in rows)
    text = f"""# What the tools see

Made by `make matrix` from runs; [the cells](matrix.csv) with what was reported in each. {len(rows)} cells:
{', '.join(f'{n} {v}' for v, n in counts.items())}; false reports over a repaired unit: {fixed}.

![a square for each tool and variant](matrix.svg)

TP: the tool reported the defect, where the manifest says that it is. FN: it reported nothing; why
not stands below. FP: it reported something else, or anything over the repaired unit, where TN is
what should be. A decoy is a repair that is none, so there is a defect to be found in it, too. *own* is
what the framework itself says: its leak check, its census, its worker check; *clang* is the static
analyser.

## How much they find

Recall is TP of the defects that the tool was asked about, precision TP of what it reported.

{figure_table(rows)}

Of the data races alone, beside what was published of other races:

{race_table(rows, cases)}

{PUBLISHED}
"""
    for c in chapters:
        text += f"## {c}\n\n{verdict_table(rows, c)}\n\n"
    return text + f"""## Why they do not see it
{reason_list(rows, cases, generic, reason_of)}

## False reports, and cells that are none

A report over a defect is false when no frame of it is at a place of the defect. Most of these are what
follows from it: a task that stays has a request, a connection and a server, which are reported
as lost where they were made, and nothing says where the task stands; what it uses when the rest has
been taken down looks like a race, or a use of freed memory, of those who took it down.

{odd_list(rows)}

Not counted, because they are known not to be so (`tests/tools/matrix.ini`):

{known_list(known)}
"""


# --- the picture ---

def svg(rows):
    columns, lines, y, before = shown_tools(rows), [], 92, ("", "")
    side, left = 22, 430
    for (chapter, case, variant), of in grid(rows).items():
        if chapter != before[0]:
            y += 26
            lines.append(f'<text x="10" y="{y - 4}" class="h">{chapter}</text>')
        elif case != before[1]:
            y += 5
        if case != before[1]:
            lines.append(f'<text x="10" y="{y + 15}">{case}</text>')
        shade = "" if variant == "broken" else ' class="v"'
        lines.append(f'<text x="190" y="{y + 15}"{shade}>{variant}</text>')
        for i, tool in enumerate(columns):
            r = of[tool]
            title = f"{case}, {variant}, {HEADS[tool]}: {r['verdict']} {r['why']}".strip()
            title = title.replace("&", "&amp;").replace("<", "&lt;")
            lines.append(f'<rect x="{left + i * side}" y="{y}" width="{side - 2}" height="{side - 2}" '
                         f'fill="{FILL.get(r["verdict"], "#7a4fa3")}"><title>{title}</title></rect>')
        before, y = (chapter, case), y + side
    for i, tool in enumerate(columns):
        x = left + i * side + 15
        lines.append(f'<text x="{x}" y="104" transform="rotate(-60 {x} 104)">{HEADS[tool]}</text>')
    words = {"TP": "found", "FN": "not found", "FP": "something else, or false", "TN": "nothing there, nothing said",
             "n/a": "not asked"}
    x = 10
    for verdict, word in words.items():
        lines.append(f'<rect x="{x}" y="12" width="14" height="14" fill="{FILL[verdict]}"/>'
                     f'<text x="{x + 19}" y="24">{word}</text>')
        x += 32 + 7 * len(word)
    width, height = left + side * len(columns) + 40, y + 16
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">\n<style>text {{ font: 12px sans-serif; fill: #222 }} '
            '.h { font-weight: bold } .v { fill: #666 }</style>\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(lines) + "\n</svg>\n")


def documents(rows, cases, generic, reason_of, known):
    return {"docs/matrix.md": document(rows, cases, generic, reason_of, known), "docs/matrix.svg": svg(rows)}


def write(root, rows, cases, generic, reason_of, known):
    (root / "docs/matrix.csv").write_text(csv_text(rows))
    for name, text in documents(rows, cases, generic, reason_of, known).items():
        (root / name).write_text(text)
    print("docs/matrix.csv, docs/matrix.md and docs/matrix.svg are written")
