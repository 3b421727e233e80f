#!/usr/bin/env python3
"""A test of the workshop: does it know what a learner has done?

For every case of every chapter, in a pack of that chapter as participants get it: the untouched
exercise is STILL BROKEN, the final unit is REPAIRED, each decoy is a KNOWN WRONG FIX, and for its
own reason. Then what a learner may come up with beside that: repairs that serve nothing or
lock everything out, what does not compile, crashes, never ends. And what the workshop keeps.

  test_workshop.py [CH]
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types

import manifest
import mine
import notes
import pack

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, what, good, saw=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f"FAIL {what}\n" + "\n".join("     | " + l for l in str(saw).splitlines()[-30:]),
                  flush=True)


class Tree:
    """A pack of a chapter, for the debug flavour, in a directory of its own."""

    def __init__(self, tmp, chapter):
        self.root = pathlib.Path(tmp) / chapter
        self.root.mkdir()
        pack.make_tree(ROOT, self.root, chapter, ["debug"])
        self.chapter = chapter
        self.args = types.SimpleNamespace(root=self.root, flavour="debug", jobs=None)
        self.cases = manifest.load(self.root, chapter)

    def call(self, *argv, stdin=""):
        p = subprocess.run([sys.executable, "tests/tools/workshop.py", *argv], cwd=self.root,
                           input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=120)
        return p.returncode, p.stdout

    def put(self, case, text):
        mine.exercise(self.args, case).write_text(text)

    def judge(self, sources):
        """{case: source} -> {case name: Verdict}"""
        for case, path in sources.items():
            shutil.copyfile(path, mine.exercise(self.args, case))
        cases = [c for c in self.cases if c.name in {k.name for k in sources}]
        return {v.case.name: v for v in mine.check(self.args, cases)}


class Named:
    """A case as a key."""

    def __init__(self, case):
        self.__dict__.update(case.__dict__)
        self.unit_name = case.unit_name

    def __hash__(self):
        return hash(self.name)


def every_case(check, tree):
    code, out = tree.call("start", tree.chapter)
    check(f"{tree.chapter}: start", code == 0 and all(c.unit_name in out for c in tree.cases), out)
    here = ROOT / tree.chapter
    keys = [Named(c) for c in tree.cases]
    for v in tree.judge({c: here / "broken" / c.unit_name for c in keys}).values():
        check(f"{v.case.name}: untouched", v.kind == mine.BROKEN and v.untouched and not v.why,
              (v.kind, v.words, v.why, v.detail))
        check(f"{v.case.name}: its words", v.words and not v.words.startswith(v.case.name), v.words)
    for v in tree.judge({c: here / "fixed" / c.unit_name for c in keys}).values():
        check(f"{v.case.name}: fixed", v.kind == mine.REPAIRED, (v.kind, v.words, v.detail))
    for i in range(max(len(c.decoys) for c in tree.cases)):
        of = {c: c.decoys[i] for c in keys if i < len(c.decoys)}
        found = tree.judge({c: here / "decoys" / f"{d.name}.c" for c, d in of.items()})
        for c, d in of.items():
            v = found[c.name]
            check(f"{c.name}: {d.name}", v.kind == mine.WRONG and v.why == d.why,
                  (v.kind, v.words, v.why, v.detail))


def main(argv):
    check, start = Checks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gee-workshop-") as tmp:
        for chapter in manifest.pick_chapters(ROOT, argv[0] if argv else None):
            tree = Tree(tmp, chapter)
            every_case(check, tree)
            print(f"{chapter}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
