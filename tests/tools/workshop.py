#!/usr/bin/env python3
"""The workshop: a learner repairs what is broken.

  workshop.py start CH                     copies the broken units into chNN-x/exercise/
  workshop.py check [CH] [--case CASE] [--tool tsan|asan|memcheck|helgrind|drd]
  workshop.py hint|reveal|reset [CH] --case CASE
  workshop.py progress [CH]
  workshop.py serve CH [--case CASE]       the chapter's server over the exercise, on $PORT or 8080
  workshop.py watch CH [--case CASE]       checks whenever a file is saved (watch.py)
  workshop.py grade [CH] [--name NAME]     a page and JSON for who teaches (grade.py)

What may come of a check is told in mine.py, what is kept in notes.py. Exit code 0: all that
was asked for is repaired; 1: not all; 2: it could not be asked.
"""

import argparse
import filecmp
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import lesson
import manifest
import mine
import notes
import pack
from lesson import paint
from manifest import ManifestError

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLOURS = {mine.REPAIRED: "32", mine.BROKEN: "31", mine.NO_BUILD: "35", mine.NOT_STARTED: "0"}


def chapter_of(args):
    """One chapter, that was named."""
    if not args.chapter:
        have = ", ".join(manifest.chapters(args.root))
        raise ManifestError(f"which chapter? CH=01, for one of: {have}")
    return manifest.pick_chapters(args.root, args.chapter)[0]


def case_of(args):
    if not args.case:
        names = ", ".join(c.name for c in manifest.select(args.root, args.chapter, None))
        raise ManifestError(f"which case? CASE=, for one of: {names}")
    return manifest.select(args.root, args.chapter, args.case)[0]


def number(chapter):
    return chapter[2:4]


def wrap(text, indent="    "):
    width = min(shutil.get_terminal_size().columns, 100)
    return "\n".join(textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent,
                                   break_on_hyphens=False, break_long_words=False))


def ask(question):
    """False where nobody is there to answer."""
    if not sys.stdin.isatty():
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


# --- start, reset ---

def start(args):
    chapter = chapter_of(args)
    cases = manifest.load(args.root, chapter)
    (args.root / chapter / "exercise").mkdir(exist_ok=True)
    print(f"{chapter}/exercise/: these are yours to repair, and nothing else.\n")
    for c in cases:
        mine_path, broken = mine.exercise(args, c), mine.original(args, c)
        kept = mine_path.exists()
        if not kept:
            shutil.copyfile(broken, mine_path)
        elif filecmp.cmp(mine_path, broken, False):
            kept = False
        print(f"  {c.unit_name:<14} {c.name:<24} {'kept as you left it; ' if kept else ''}{c.symptom}")
    new = notes.write_questions(args.root, chapter)
    notes.Progress(args.root, chapter).begin()
    ch, first = number(chapter), cases[0]
    answers = f"{chapter}/exercise/answers/"
    print(f"\n{'Room for your answers to the questions: ' + answers if new else 'Your answers: ' + answers}")
    print(textwrap.dedent(f"""
        Read {chapter}/README.md; then what the first unit promises, {mine.contract(args, first)},
        and the unit, {chapter}/exercise/{first.unit_name}. Repair it there, and
          make check-mine CH={ch} CASE={first.name}
        or leave it to this one, which checks whenever you save:
          make watch CH={ch}"""))
    return 0


def put_back(args, case):
    """As at the start. Where the learner's is kept, as words; "" if there was nothing to keep."""
    path, kept = mine.exercise(args, case), None
    if path.exists() and not filecmp.cmp(path, mine.original(args, case), False):
        kept = path.parent / "backup" / f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}"
        kept.parent.mkdir(exist_ok=True)
        while kept.exists():
            kept = kept.with_name(kept.name + "+")
        shutil.copyfile(path, kept)
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(mine.original(args, case), path)
    notes.Progress(args.root, case.chapter).note(case.name, verdict="", digest="", repaired_s=None)
    return f"kept: {kept.relative_to(args.root)}" if kept else ""


def reset(args):
    case = case_of(args)
    kept = put_back(args, case)
    if kept:
        print(f"yours is {kept}")
    print(f"{mine.exercise(args, case).relative_to(args.root)} is as it was at the start")
    return 0


# --- check ---

def say(args, v):
    """A Verdict as lines."""
    c = v.case
    path = mine.exercise(args, c).relative_to(args.root)
    lines = [f"{paint(COLOURS.get(v.kind, '33'), f'{v.kind:<16}')} {c.name:<24} {path}"]
    if v.words:
        lines.append(wrap(v.words))
    if v.kind == mine.WRONG:
        lines.append(wrap(f"This repair is known, and wrong: {v.why}."))
    elif v.why:
        lines.append(wrap(v.why[0].upper() + v.why[1:] + "."))
    lines += ["     | " + line for line in v.detail[:40]]
    if v.kind == mine.NOT_STARTED:
        lines.append(f"    make start CH={number(c.chapter)}")
    elif v.untouched:
        lines.append(f"    It is still as it was at the start. What it promises: {mine.contract(args, c)}")
    return lines


def note(args, v):
    """Keeps what was found; without an exercise there is nothing to keep."""
    if v.kind == mine.NOT_STARTED:
        return
    progress = notes.Progress(args.root, v.case.chapter)
    was = progress.of(v.case.name)
    if v.untouched and not was["checks"]:
        return
    if v.kind == mine.REPAIRED == was["verdict"]:
        progress.note(v.case.name, digest=v.digest)  # what is asked behind the repair is not counted
        return
    since = was["repaired_s"] or time.time() if v.kind == mine.REPAIRED else None
    progress.note(v.case.name, verdict=v.kind, digest=v.digest, checks=was["checks"] + 1,
                  repaired_s=since)


def with_tool(v, tool, said):
    """What a tool reports of a repair is part of the verdict."""
    if v.kind != mine.REPAIRED or not (isinstance(said, str) or any(lines for _, lines, _ in said)):
        return v
    return mine.Verdict(v.case, mine.UNCLEAN, f"the tests pass, and {tool} has something to report over them",
                        untouched=v.untouched, digest=v.digest)


def say_tool(tool, said):
    if isinstance(said, str):
        print(wrap(f"{tool}: it does not build for it:"))
        print(textwrap.indent(said, "     | "))
        return
    for test, lines, whole in said:
        print(f"    {tool}, {test}: {f'all of it is in {whole}' if lines else 'nothing to report'}")
        for line in lines[:40]:
            print("     | " + line)
        if len(lines) > 40:
            print(f"     | ... and {len(lines) - 40} lines more")


def begin(args, chapter):
    """Who checks before having started has the exercise laid out, and is told."""
    if not list((args.root / chapter / "exercise").glob("*.c")):
        start(argparse.Namespace(**{**vars(args), "chapter": chapter}))
        print()


def check(args):
    cases = manifest.select(args.root, args.chapter, args.case)
    if args.tool and args.tool not in mine.TOOLS:
        raise ManifestError(f"TOOL={args.tool}: it is one of {', '.join(sorted(mine.TOOLS))}")
    if args.tool and shutil.which(mine.NEEDS.get(args.tool, "valgrind")) is None:
        raise ManifestError(f"TOOL={args.tool}: {mine.NEEDS.get(args.tool, 'valgrind')} is not installed")
    for chapter in sorted({c.chapter for c in cases}) if args.chapter or args.case else []:
        begin(args, chapter)
    good = 0
    for v in mine.check(args, cases):
        said = None
        if args.tool and v.kind not in (mine.NO_BUILD, mine.NOT_STARTED):
            said = mine.ask_tool(args, args.tool, v.case)
            v = with_tool(v, args.tool, said)
        print("\n".join(say(args, v)), flush=True)
        note(args, v)
        if said is not None:
            say_tool(args.tool, said)
        elif v.kind == mine.REPAIRED and len(cases) == 1 and mine.unasked(v.case):
            print(wrap(f"No tool was asked: TOOL={mine.unasked(v.case)[0]} behind it sees an order that is missing "
                       "where nothing goes wrong, and TOOL=asan memory that is not given back."))
        good += v.kind == mine.REPAIRED
    print(f"\n{good} of {len(cases)} repaired", flush=True)
    if good < len(cases) and len(cases) == 1:
        c = cases[0]
        print(f"make hint CH={number(c.chapter)} CASE={c.name}")
    return 0 if good == len(cases) else 1


def serve(args):
    chapter = chapter_of(args)
    variant = "mine"
    if args.case:
        case = manifest.select(args.root, chapter, args.case)[0]
        variant = f"mine-{mine.stem(case)}"
    if not list((args.root / chapter / "exercise").glob("*.c")):
        raise ManifestError(f"there is no exercise yet: make start CH={number(chapter)}")
    target = f"build/{args.flavour}/{chapter}/server.{variant}"
    if not lesson.make(args, [target]):
        return 1
    lesson.check_port("make serve-mine")
    lesson.become(args.root, target)


# --- hints, and the repair ---

def hint(args):
    case = case_of(args)
    have = notes.hints(args.root, case)
    progress = notes.Progress(args.root, case.chapter)
    repaired = progress.of(case.name)["repaired_s"] is not None
    shown = len(have) if repaired else min(progress.of(case.name)["hints"] + 1, len(have))
    for i, text in enumerate(have[:shown], 1):
        print(f"{i} of {len(have)}:")
        print(wrap(text))
    if not have:
        print("there are no hints for this case")
        return 1
    if repaired:
        print("It is repaired: these are not counted any more.")
        return 0
    progress.note(case.name, hints=shown)
    if shown == len(have) and manifest.is_pack(args.root):
        print("That is all; what is left is who gave you this pack.")
    elif shown == len(have):
        print(f"That is all; what is left is: make reveal CH={number(case.chapter)} CASE={case.name}")
    return 0


def reveal(args):
    case = case_of(args)
    if manifest.is_pack(args.root):
        raise ManifestError("the repairs are not in this pack: ask who gave it to you")
    progress = notes.Progress(args.root, case.chapter)
    if progress.of(case.name)["repaired_s"] is None and not args.yes:
        print(f"{case.name} is not repaired, as far as this was checked.")
        if not ask("Show the repair all the same?"):
            print("Not shown. (YES=1 asks nothing.)")
            return 1
    pair = [str(p.relative_to(args.root)) for p in
            (mine.original(args, case), args.root / case.chapter / "fixed" / case.unit_name)]
    print(subprocess.run(["diff", "-u", *pair], cwd=args.root, stdout=subprocess.PIPE,
                         text=True).stdout)
    print(notes.explanation(args.root, case))
    progress.note(case.name, revealed=True)
    return 0


def is_changed(args, progress, case):
    """Was it saved behind its last verdict?"""
    kept = progress.of(case.name)["digest"]
    return bool(kept) and kept != mine.digest(args, case)


def is_done(args, progress, case):
    return progress.of(case.name)["repaired_s"] is not None and not is_changed(args, progress, case)


def progress_lines(args, chapter):
    cases, progress = manifest.load(args.root, chapter), notes.Progress(args.root, chapter)
    repaired = [c.name for c in cases if is_done(args, progress, c)]
    done = len(repaired)
    yield f"{chapter}: {done} of {len(cases)} repaired  [{'#' * done}{'.' * (len(cases) - done)}]"
    for c in cases:
        p = progress.of(c.name)
        verdict = p["verdict"] or ("" if mine.exercise(args, c).exists() else mine.NOT_STARTED)
        extra = ["changed since: check it"] if is_changed(args, progress, c) else []
        extra += [f"{p['hints']} hint{'s' * (p['hints'] != 1)}"] if p["hints"] else []
        extra += ["revealed"] if p["revealed"] else []
        extra += [f"{p['seconds'] / 60:.0f} min"] if p["seconds"] >= 30 else []
        yield (f"  {'x' if c.name in repaired else ' '} {c.name:<24} {verdict.lower():<16} "
               f"{', '.join(extra)}").rstrip()


def progress(args):
    for chapter in manifest.pick_chapters(args.root, args.chapter):
        print("\n".join(progress_lines(args, chapter)))
        if not list((args.root / chapter / "exercise").glob("*.c")):
            print(f"  make start CH={number(chapter)}")
    return 0


def watch(args):
    import watch as view
    chapter = chapter_of(args)
    begin(args, chapter)
    return view.run(args, chapter)


def grade(args):
    import grade as report
    return report.run(args, manifest.pick_chapters(args.root, args.chapter))


COMMANDS = {"start": start, "check": check, "hint": hint, "reveal": reveal, "reset": reset,
            "progress": progress, "serve": serve, "watch": watch, "grade": grade}


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    sub = p.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        s = sub.add_parser(name)
        s.add_argument("chapter", nargs="?")
        s.add_argument("--case")
        s.add_argument("--flavour", default=os.environ.get("FLAVOUR", "debug"))
        s.add_argument("--root", type=pathlib.Path, default=ROOT)
        s.add_argument("--jobs", type=int, default=os.cpu_count())
        if name == "check":
            s.add_argument("--tool")
        if name == "reveal":
            s.add_argument("--yes", action="store_true")
        if name == "grade":
            s.add_argument("--name", default="")
    args = p.parse_args(argv)
    args.root = args.root.resolve()
    return args


def main(argv):
    args = parse(argv)
    try:
        if pack.unfit(args.root):
            raise ManifestError(pack.unfit(args.root))
        return COMMANDS[args.command](args)
    except ManifestError as e:
        print(f"workshop.py: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        mine.stop()
        return 130


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
