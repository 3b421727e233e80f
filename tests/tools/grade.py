"""make grade: what a learner has done in a chapter, for who teaches.

All cases are checked once more; then exercise/grade.json and exercise/grade.html hold, for each,
the verdict, hints that were shown, the time at it, and what was changed; and the answers that were
written to the chapter's questions, for a person to read. Hints and checks behind a repair do not
count. What an earlier grade has written is kept beside it, by its time. Nothing leaves the machine.
"""

import html
import json
import subprocess
import sys
import time

import manifest
import mine
import notes
import workshop

STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 52em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25em .7em .25em 0; border-bottom: 1px solid #ccc; }
td.n, th.n { text-align: right; }
pre { background: #f4f4f4; padding: .6em; overflow-x: auto; font-size: 13px; }
.good { color: #060; } .bad { color: #900; } .none { color: #777; }
blockquote { white-space: pre-wrap; border-left: 3px solid #999; margin: .3em 0 1em; padding-left: 1em; }
@media print { body { margin: 0; } pre { white-space: pre-wrap; } }
"""


def diff(args, case):
    pair = [str(p.relative_to(args.root)) for p in
            (mine.original(args, case), mine.exercise(args, case))]
    return subprocess.run(["diff", "-u", *pair], cwd=args.root, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, errors="replace").stdout


def result(args, chapter, name):
    cases = manifest.load(args.root, chapter)
    rows = []
    for v in mine.check(args, cases):
        workshop.note(args, v)
        p = notes.Progress(args.root, chapter).of(v.case.name)
        rows.append({"case": v.case.name, "verdict": v.kind, "repaired": v.kind == mine.REPAIRED,
                     "untouched": v.untouched, "saw": v.words, "why": v.why, "hints": p["hints"], "revealed": p["revealed"],
                     "checks": p["checks"], "minutes": round(p["seconds"] / 60, 1),
                     "diff": diff(args, v.case)})
    answers = [{"section": s, "question": q, "answer": a}
               for s, q, a in notes.answers(args.root, chapter)]
    return {"chapter": chapter, "name": name, "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            "cases": len(rows), "repaired": sum(r["repaired"] for r in rows),
            "hints": sum(r["hints"] for r in rows), "minutes": sum(r["minutes"] for r in rows),
            "questions": len(answers), "answered": sum(bool(a["answer"]) for a in answers),
            "results": rows, "answers": answers}


def row(r):
    e = html.escape
    kind = "good" if r["repaired"] else "none" if r["verdict"] == mine.NOT_STARTED else "bad"
    more = " · ".join(filter(None, [r["saw"], r["why"]]))
    return (f"<tr><td><a href='#{e(r['case'])}'>{e(r['case'])}</a></td>"
            f"<td class='{kind}'>{e(r['verdict'].lower())}{', untouched' if r['untouched'] else ''}</td>"
            f"<td class=n>{r['hints']}{' + revealed' if r['revealed'] else ''}</td>"
            f"<td class=n>{r['checks']}</td><td class=n>{r['minutes']:.0f}</td>"
            f"<td>{'' if r['repaired'] else e(more)}</td></tr>")


def page(g):
    e = html.escape
    out = ["<!doctype html><meta charset=utf-8>", f"<title>{e(g['chapter'])}: {e(g['name'])}</title>",
           f"<style>{STYLE}</style>", f"<h1>{e(g['chapter'])}: {e(g['name'])}</h1>",
           f"<p>{g['date']}: {g['repaired']} of {g['cases']} cases repaired, {g['hints']} hints, "
           f"{g['minutes']:.0f} minutes, {g['answered']} of {g['questions']} questions answered.</p>",
           "<table><tr><th>case<th>verdict<th class=n>hints<th class=n>checks<th class=n>minutes"
           "<th>what the test saw</tr>", *map(row, g["results"]), "</table>", "<h2>Answers</h2>"]
    section = None
    for a in g["answers"]:
        if a["section"] != section:
            section = a["section"]
            out.append(f"<h3>{e(section)}</h3>")
        out.append(f"<p>{e(a['question'])}</p>")
        out.append(f"<blockquote>{e(a['answer'])}</blockquote>" if a["answer"]
                   else "<blockquote class=none>no answer</blockquote>")
    out.append("<h2>Changes</h2>")
    for r in g["results"]:
        text = r["diff"] or "nothing"
        out.append(f"<h3 id='{e(r['case'])}'>{e(r['case'])}</h3><pre>{e(text)}</pre>")
    return "\n".join(out) + "\n"


def who(args):
    if args.name:
        return args.name
    if sys.stdin.isatty():
        name = input("Whose is it? ").strip()
        if name:
            return name
    raise manifest.ManifestError('whose is it? NAME="Ann Example"')


def keep_earlier(where):
    for path in (where / "grade.json", where / "grade.html"):
        if path.exists():
            when = time.strftime("%Y%m%d-%H%M%S", time.localtime(path.stat().st_mtime))
            path.rename(path.with_name(f"grade.{when}{path.suffix}"))


def run(args, chapters):
    name = who(args)
    for chapter in chapters:
        where = args.root / chapter / "exercise"
        if not where.is_dir():
            print(f"{chapter}: not started")
            continue
        print(f"{chapter}: checking ...", flush=True)
        g = result(args, chapter, name)
        keep_earlier(where)
        (where / "grade.json").write_text(json.dumps(g, indent=1, ensure_ascii=False) + "\n")
        (where / "grade.html").write_text(page(g))
        print(f"{chapter}: {g['repaired']} of {g['cases']} repaired, {g['hints']} hints, "
              f"{g['minutes']:.0f} minutes, {g['answered']} of {g['questions']} questions answered\n"
              f"  {(where / 'grade.html').relative_to(args.root)}, grade.json")
    return 0
