#!/usr/bin/env python3
"""Waitgroup, cancellation, recover: each tried as a repair against every leak of a chapter.

chNN-x/repairs/CASE.KIND.patch is what somebody would write who knows only that one: lines that
say why, then a diff of the broken unit. Without a diff (`none: …`) there is no place for it. Each
is built and linked as a decoy is, and the case's first test says what it does: the leak is
stopped, or it is not, with what was measured, or it is worse, and the test does not even end.

  repairs.py [CH]            the page on stdout (make repairs CH=01)
  repairs.py --write [CH]    into chNN-x/repairs.md
  repairs.py --check [CH]    that file is what a run says; the last line is `N passed, N failed`
"""

import argparse
import concurrent.futures
import contextlib
import os
import re
import sys
import types

import lesson
import manifest

KINDS = [("waitgroup", "waitgroup"), ("cancel", "cancellation"), ("recover", "recover")]
SECONDS = 10
HEAD = """# Three repairs, ten leaks

The article ends its part on leaks with a comparison: `sync.WaitGroup`, `context.WithCancel`, and
`defer recover`. Here each of the three is tried against every case of the chapter, as somebody
would write it who knows only that one ([`repairs/`](repairs/)), and the case's own test says what it
does. This page is what `make repairs CH=01` prints, and `make test` compares it with a run.

| case | waitgroup | cancellation | recover |
|---|---|---|---|
"""
TAIL = """
A waitgroup counts who is there; it tells nobody to go. Whoever waits for a task that nothing
ends has made one more of them. Cancellation stops what waits and listens: it is the right word for
tasks, and has nothing to say to a descriptor, a handle or a copy that was lost. Recover is about a
task that ends too early; a leak is one that does not end.
"""


class Repair:
    def __init__(self, root, case, kind):
        self.case, self.kind = case, kind
        path = root / case.chapter / "repairs" / f"{case.name}.{kind}.patch"
        if not path.is_file():
            raise manifest.ManifestError(f"{path.relative_to(root)} is not there")
        head = re.split(r"^--- ", path.read_text(), maxsplit=1, flags=re.M)
        self.why = " ".join(head[0].split())
        self.applies = len(head) > 1
        if self.applies == self.why.startswith("none:") or not self.why:
            raise manifest.ManifestError(f"{path.relative_to(root)}: a reason and a diff, or none: "
                                         "and a reason")

    @property
    def target(self):
        return (f"build/debug/{self.case.chapter}/{self.case.program}"
                f".repair-{self.case.name}.{self.kind}")


def judge(repair, root):
    """(verdict, what was measured)"""
    if not repair.applies:
        return "n/a", ""
    test = repair.case.tests[0]
    code, out, _ = lesson.run_test(root / repair.target, test, SECONDS, {}, None)
    if code == 0 and lesson.PASSED.findall(out) == [test]:
        return "stops it, at a price" if repair.why.startswith("worse:") else "stops it", ""
    said = re.search(rf"^{re.escape(repair.case.name)}: .*$", out, re.M)
    if code is None:
        return "makes it worse", f"the test does not end within {SECONDS} s"
    if code is not None and code < 0:
        return "makes it worse", f"the test is ended by signal {-code}"
    if said is None:
        left = re.search(r"^(?:ERROR: )?(left over after the test: .*|leaked after the test: .*)$",
                         out, re.M)
        return "makes it worse", left.group(1) if left else out.strip().splitlines()[2]
    return "does not", re.sub(r"\.c:\d+", ".c", said.group(0))


def page(cases, repairs, results):
    text = HEAD
    for case in cases:
        cells = [results[case.name, kind][0] for kind, _ in KINDS]
        text += f"| `{case.name}` | " + " | ".join(cells) + " |\n"
    text += TAIL
    for case in cases:
        text += f"\n## {case.name}\n\n{case.symptom.capitalize()}.\n\n"
        for kind, name in KINDS:
            verdict, measured = results[case.name, kind]
            why = repairs[case.name, kind].why.removeprefix("none: ").removeprefix("worse: ")
            text += f"- **{name}: {verdict}.** {why[:1].upper()}{why[1:]}"
            text += f"\n  `{measured}`\n" if measured else "\n"
    return text


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("chapter", nargs="?", default="01")
    p.add_argument("--write", action="store_true")
    p.add_argument("--check", action="store_true")
    args = p.parse_args(argv)
    root = lesson.ROOT
    try:
        cases = manifest.select(root, args.chapter, None)
        if not (root / cases[0].chapter / "repairs").is_dir():
            raise manifest.ManifestError(f"{cases[0].chapter} has none; CH=01 has")
        repairs = {(c.name, k): Repair(root, c, k) for c in cases for k, _ in KINDS}
    except manifest.ManifestError as e:
        print(f"repairs.py: {e}", file=sys.stderr)
        return 2
    targets = sorted(r.target for r in repairs.values() if r.applies)
    with contextlib.redirect_stdout(sys.stderr):
        built = lesson.make(types.SimpleNamespace(flavour="debug", root=root), targets)
    if not built:
        print("0 passed, 1 failed")
        return 1
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda r: judge(r, root), repairs.values())
    results = dict(zip(repairs, found))
    text = page(cases, repairs, results)
    path = root / cases[0].chapter / "repairs.md"
    if args.write:
        path.write_text(text)
    elif not args.check:
        print(text, end="")
    else:
        same = path.is_file() and path.read_text() == text
        if not same:
            print(f"{path.relative_to(root)} is not what a run says: make repairs CH=01 >"
                  f"{path.relative_to(root)}, and look at the difference")
        print(f"{len(results) if same else 0} passed, {0 if same else 1} failed")
        return 0 if same else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
