#!/usr/bin/env python3
"""make workshop-pack: a chapter for participants, without its answers.

  pack.py CH [--out FILE.tar.xz | --into DIR] [--flavours debug,tsan,...]

In a pack are the broken units, the lesson without what it says of cause and repair, the hints, the
chapter's server, the framework's headers, the hints (sealed: one at a time), and of its sources those that no case of this chapter or
of a later one is about. Everything else, the tests too, is there as objects:

  build/F/libgee.a          the framework in its final form
  build/F/later/            the broken units of the later chapters: a chapter stands on the state
                            of the staircase that is its own
  build/F/chNN-x/, tests/   the tests, the server, the tests of common that a repair has to pass

Objects fit the system on which they were made. Which that was stands in pack.json, and
workshop.py refuses another one, in words.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import types

import lesson
import manifest
import notes
from manifest import ManifestError

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAVOURS = {"debug": "gcc", "asan": "gcc", "tsan": "clang", "valgrind": "valgrind"}
TOOLS = ("workshop.py", "mine.py", "notes.py", "watch.py", "grade.py", "lesson.py", "making.py", "manifest.py",
         "race.py", "pack.py", "libuv.supp", "memcheck.awk", "server.sh", "deps.sh", "flavours.mk",
         "lessons.mk", "workshop.mk")
TOLD = ("The symptom", "Reading what you see", "The tools", "Questions")
LIBRARIES = ("libuv", "jansson", "libdw", "zlib", "cmocka", "libcurl")


# --- what a pack is made on ---

def system():
    """What the objects of a pack depend on."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', pathlib.Path("/etc/os-release").read_text(),
                              re.M)) if pathlib.Path("/etc/os-release").is_file() else {}
    def version(name):
        return subprocess.run(["pkg-config", "--modversion", name], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout.strip().split("-")[0]
    return {"system": release.get("PRETTY_NAME", "unknown"), "machine": os.uname().machine,
            "libc": os.confstr("CS_GNU_LIBC_VERSION") or "unknown",
            **{name: version(name) for name in LIBRARIES}}


def unfit(root):
    """Why this pack's objects are not for this system; "" if they are, or this is no pack."""
    if not manifest.is_pack(root):
        return ""
    made, here = json.loads((root / "pack.json").read_text())["on"], system()
    other = [f"{k} {made[k]}, here {here[k] or 'none'}" for k in made
             if k != "system" and made[k] != here[k]]
    return f"this pack was made on {made['system']}, and this is {here['system']} " \
        f"({'; '.join(other)}): ask for one that was made for it" if other else ""


# --- what is in it ---

HOW = """
See a defect (`make serve-broken CASE={case}`, and curl), find it in `exercise/`, repair it there:

```
make watch                                # checks whenever you save
make check-mine CASE={case}     # or by hand
```

How it goes, and what you have to know of the framework, is in [README.md](../README.md).

"""


def for_participants(text, case):
    """The lesson without causes and repairs, and without links to what is not here."""
    head, *rest = re.split(r"^(?=## )", text, flags=re.M)
    parts = [head.split("\n```", 1)[0] + HOW.format(case=case)]
    for section in rest:
        top, *subs = re.split(r"^(?=### )", section, flags=re.M)
        kept = [s for s in subs if s.split("\n", 1)[0][4:] in TOLD]
        if kept:
            parts.append(top + "".join(kept))
    told = re.sub(r"\[([^\]]*)\]\((?!#|broken/|lifecycle\.md|\.\./README)[^)]*\)", r"\1", "".join(parts))
    told = re.sub(r"\s+\(`\w+\.c` [^()]*\)", "", told)  # a test, which is there as an object only
    told = re.sub(r"ch\d\d-races/(tsan|helgrind|drd)\.sh", r"make check-mine TOOL=\1", told)
    return told.replace("make check-broken", "make check-mine")


def guide(text, chapter, case):
    """The workshop's page, about this chapter."""
    for old, new in (("CH=01", f"CH={chapter[2:4]}"), ("chapter 1", f"chapter {int(chapter[2:4])}"),
                     ("ch01-leaks", chapter), ("sse-disconnect", case), ("(glossary", "(docs/glossary")):
        text = text.replace(old, new)
    return text


def cases_ini(cases):
    """What checking needs of the manifest."""
    out = ["# The cases of this workshop. What would tell the repairs that are wrong is sealed."]
    for c in cases:
        sealed = {"signature": "\n".join(c.signatures), "decoys": " ".join(d.name for d in c.decoys),
                  "common": "\n".join(f"{t}: {why}" for t, why in c.common.items()
                                      if t.split(":")[0] in c.work)}
        for d in c.decoys:
            sealed |= {f"{d.name}.signature": d.signature, f"{d.name}.why": d.why}
        lines = {"unit": c.unit, "test": " ".join(c.tests), "program": c.program,
                 "work": " ".join(c.work), "symptom": c.symptom, "seconds": str(c.seconds),
                 "sealed": manifest.seal(sealed)}
        out += ["", f"[{c.name}]", *(f"{k} = {v}" for k, v in lines.items())]
    return "\n".join(out) + "\n"


def withheld(root, chapter):
    """The final units of this chapter and of those behind it."""
    return {f"common/src/{c.unit}" for name in manifest.chapters(root) if name >= chapter
            for c in manifest.load(root, name)}


def copy(root, into, paths):
    for path in paths:
        to = into / path
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, to)


def sources(root, into, chapter):
    tracked = subprocess.run(["git", "ls-files", "common", chapter, "docs"], cwd=root, check=True,
                             stdout=subprocess.PIPE, text=True).stdout.split()
    hidden = withheld(root, chapter)
    cases = manifest.load(root, chapter)
    copy(root, into, [p for p in tracked if p not in hidden and (
        re.match(r"common/(include|src|gdb)/|docs/(cheatsheet|glossary|architecture|http)\.", p) or
        re.match(rf"{chapter}/(broken/|server\.c|chapter\.mk|lifecycle\.md|[\w-]+\.svg)", p) or
        (re.match(rf"{chapter}/[\w-]+\.sh", p) and not cases[0].race))])
    copy(root, into, [f"tests/tools/{t}" for t in TOOLS])
    copy(root, into, ["LICENSE"])
    shutil.copy2(root / "tests/tools/pack.mk", into / "Makefile")
    (into / chapter / "cases.ini").write_text(cases_ini(cases))
    (into / chapter / "hints.sealed").write_text(
        manifest.seal({c.name: notes.hints(root, c) for c in cases}) + "\n")
    readme = (root / chapter / "README.md").read_text()
    (into / chapter / "README.md").write_text(for_participants(readme, cases[0].name))
    (into / "README.md").write_text(guide((root / "docs/workshop.md").read_text(), chapter,
                                          cases[0].name))
    (into / ".gitignore").write_text("/build/\n__pycache__/\n")


def later_units(root, chapter, flavour):
    """As lessons.mk has them: under TSan without those of the chapters of races."""
    for name in manifest.chapters(root):
        cases = manifest.load(root, name) if name > chapter else []
        if cases and not (flavour == "tsan" and cases[0].race):
            yield from (f"{name}/broken/{c.unit_name[:-2]}.o" for c in cases)


def objects(root, into, chapter, flavour):
    cases = manifest.load(root, chapter)
    programs = {f"{chapter}/{c.program}.o" for c in cases}
    work = {f"tests/common/{w}.o" for c in cases for w in c.work}
    lib = [f"tests/lib/{p.stem}.o" for p in sorted((root / "tests/lib").glob("*.c"))]
    later = list(later_units(root, chapter, flavour))
    wanted = ["libgee.a", f"{chapter}/server.o", *sorted(programs), *sorted(work), *lib]
    good, said, _ = lesson.run_make(types.SimpleNamespace(root=root, flavour=flavour),
                                    [f"build/{flavour}/{t}" for t in wanted + later])
    if not good:
        raise ManifestError(f"{flavour} does not build:\n{said}")
    copy(root, into, [f"build/{flavour}/{t}" for t in wanted])
    for t in later:
        to = into / "build" / flavour / "later" / t.replace("/broken/", "-")
        to.parent.mkdir(exist_ok=True)
        shutil.copy2(root / "build" / flavour / t, to)


def make_tree(root, into, chapter, flavours):
    sources(root, into, chapter)
    for f in flavours:
        objects(root, into, chapter, f)
    (into / "pack.json").write_text(json.dumps(
        {"chapter": chapter, "flavours": flavours, "on": system()}, indent=1) + "\n")


def make_tar(tree, out, name):
    def plain(info):
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info
    out.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(out, "w:xz", preset=3) as tar:
        tar.add(tree, name, filter=plain)


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("chapter", nargs="?")
    p.add_argument("--out", type=pathlib.Path)
    p.add_argument("--into", type=pathlib.Path, help="an empty directory, instead of a tarball")
    p.add_argument("--flavours", default=",".join(FLAVOURS))
    p.add_argument("--root", type=pathlib.Path, default=ROOT)
    args = p.parse_args(argv)
    try:
        chapters = manifest.pick_chapters(args.root, args.chapter)
        if len(chapters) > 1:
            raise ManifestError(f"which chapter? CH=01, for one of: {', '.join(chapters)}")
        chapter = chapters[0]
        flavours = [f for f in args.flavours.split(",") if shutil.which(FLAVOURS[f])]
        for f in set(args.flavours.split(",")) - set(flavours):
            print(f"not in the pack: {f}, for which {FLAVOURS[f]} is not installed")
        if args.into:
            make_tree(args.root, args.into.resolve(), chapter, flavours)
            return 0
        name = f"gee-workshop-{chapter}"
        out = args.out or args.root / "build/workshop" / f"{name}.tar.xz"
        start = time.monotonic()
        print(f"packing {chapter} ({', '.join(flavours)}) ...", flush=True)
        with tempfile.TemporaryDirectory(prefix="gee-pack-") as tmp:
            make_tree(args.root, pathlib.Path(tmp), chapter, flavours)
            make_tar(tmp, out, name)
        print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, for {system()['system']}, "
              f"in {time.monotonic() - start:.0f} s\n"
              f"A participant:  tar xf {out.name} && cd {name} && make watch")
        return 0
    except ManifestError as e:
        print(f"pack.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
