#!/usr/bin/env python3
"""A test of race.py: does it tell its verdicts apart?

The fake framework of test_lesson.py again. Its units do not race: they print what TSan would have
said, of lines of theirs, so that each verdict has a case of its own. What Helgrind and DRD say is
taken apart from texts that they have said. A judge that called everything TP would fail here.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

import race
from test_lesson import Checks, make_root

TOOLS = pathlib.Path(__file__).resolve().parent

PRINT = r'''
#include <stdio.h>
static void access(const char *how, int line) {{
    printf("  %s of size 4 at 0x1 by thread T1 'x':\n    #0 memcpy <null> (t+0x1)\n"
           "    #1 f {path}:%d:3 (t+0x1) (BuildId: 1)\n    #2 g {path}:1 (t+0x1)\n\n", how, line);
}}
static void report(int a, int b) {{
    printf("==================\nWARNING: ThreadSanitizer: data race (pid=1)\n");
    access("Write", a);
    access("Previous atomic read", b);
    printf("  Location is heap block of size 4 at 0x1 allocated by main thread:\n"
           "    #0 malloc <null> (t+0x1)\n    #1 h {path}:2 (t+0x1)\n\n"
           "SUMMARY: ThreadSanitizer: data race\n==================\n");
    fflush(stdout);
}}
'''
# Lines of the fake unit, by what stands on them.
MARKS = "\nint first_line;\nint second_line;\nint third_line;\nint fourth_line;\n"
FIRST, SECOND, THIRD, FOURTH = (2, 3, 4, 5)

# What the broken unit does, and what the judge must make of it.
CASES = {
    "pair": (f"report({FIRST}, {SECOND}); return 1;", "TP", ""),
    "turned": (f"report({SECOND}, {FIRST}); return 1;", "TP", ""),
    "passes": (f"report({FIRST}, {SECOND}); return 0;", "TP", ""),
    "half": (f"report({FIRST}, {FIRST}); return 1;", "FP", r"ch01-fake/broken/half.c:2"),
    "consequence": (f"report({FIRST}, {SECOND}); report({THIRD}, {THIRD}); return 1;", "TP", ""),
    "onlythat": (f"report({THIRD}, {THIRD}); return 1;", "FN", "reported were only"),
    "stranger": (f"report({FIRST}, {SECOND}); report({FOURTH}, {FIRST}); return 1;", "FP", ""),
    "silent": ("return 1;", "FN", "nothing was reported"),
    "crash": (f"report({FIRST}, {SECOND}); abort();", "crash", ""),
    "segv": (f"report({FIRST}, {SECOND}); return *(volatile int *)0;", "crash", ""),
    "hang": ("for (;;) ;", "time-out", ""),
    "leavesearly": ("exit(0);", "not run", ""),
}


def race_root(tmp, cases, final=None, extra=""):
    root = make_root(tmp, {n: "return 0;" for n in cases}, final=final)
    ini = ""
    for name, (body, *_) in cases.items():
        path = f"ch01-fake/broken/{name}.c"
        (root / path).write_text(MARKS + "#include <stdlib.h>\n" + PRINT.format(path=path) +
                                 f"int {name}_value(void);\nint {name}_value(void) {{ (void)report; "
                                 f"{body} }}\n")
        ini += (f"[{name}]\nunit = web/{name}.c\ntest = test_{name}\nsymptom = fake\n"
                f"signature = value 1$\nseconds = 1\ndecoys =\n"
                f"race = broken/{name}.c /first_line/ broken/{name}.c /second_line/\n"
                f"race.also = broken/{name}.c /third_line/ broken/{name}.c /third_line/\n"
                f"race.one = test_{name}\nrace.two = n/a it is fake\n{extra}")
    (root / "ch01-fake/cases.ini").write_text(ini)
    return root


def run(root, *args):
    p = subprocess.run([sys.executable, TOOLS / "race.py", *args, "--root", root],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return p.returncode, p.stdout


def verdicts(check, tmp):
    code, out = run(race_root(tmp, CASES), "tsan", "01")
    for name, (_, verdict, why) in CASES.items():
        check(f"{name}: {verdict}", re.search(rf"^{name} +broken +{verdict} ", out, re.M) and
              (verdict == "TP" or re.search(rf"^{name}, broken, tsan, one worker: {verdict}: .*{why}",
                                            out, re.M)), out)
    good = sum(v == "TP" for _, v, _ in CASES.values())
    check("the last line counts them", code == 1 and out.rstrip().endswith(
        f"{good + 3 * len(CASES)} passed, {len(CASES) - good} failed"), out)
    check("and so does the line of the tool",
          f"tsan: found {good} of {len(CASES)} races on their line; false reports in 2 of" in out, out)


def fixed_side(check, tmp):
    one = {"pair": CASES["pair"]}
    code, out = run(race_root(tmp, one), "tsan")
    check("the repaired unit, silent: TN", code == 0 and re.search(r"^ +fixed +TN +n/a", out, re.M), out)
    noise = ('#include <stdio.h>\nstatic void say(void) { puts("WARNING: ThreadSanitizer: data race\\n'
             '  Write of size 4 at 0x1 by x:\\n    #0 f nowhere.c:1 (t+0x1)\\n\\nSUMMARY: x"); }\n')
    root = race_root(tmp, one)
    final = root / "common/src/web/pair.c"
    final.write_text(noise + final.read_text().replace("return 0;", "say(); return 0;"))
    code, out = run(root, "tsan")
    check("a report over the repaired unit: FP", code == 1 and re.search(r"^ +fixed +FP", out, re.M) and
          "a line that is not ours" in out, out)
    code, out = run(race_root(tmp, one, final="return 1;"), "tsan")
    check("a test that fails over it: failed", code == 1 and re.search(r"^ +fixed +failed", out, re.M),
          out)


def none(check, tmp):
    for body, verdict, code in (("return 1;", "TN", 0), (CASES["pair"][0], "FP", 1)):
        root = race_root(tmp, {"pair": (body,)})
        ini = root / "ch01-fake/cases.ini"
        ini.write_text(re.sub(r"race = .*\nrace.also = .*", "race = none: it is a lock", ini.read_text()))
        got, out = run(root, "tsan")
        check(f"a case that is no data race: {verdict}",
              got == code and re.search(rf"^pair +broken +{verdict}", out, re.M), out)
    code, out = run(race_root(tmp, {"pair": CASES["pair"]}, extra="race.tsan = n/a of no use\n"), "tsan")
    check("a tool that is not asked", code == 0 and "one worker: n/a: of no use" in out, out)


HELGRIND = """==7== Possible data race during write of size 8 at 0x1 by thread #1
==7== Locks held: 1, at address 0x1
==7==    at 0x1: memcpy (vg_replace.c:1)
==7==    by 0x1: f (ch01-fake/broken/pair.c:3)
==7==    by 0x1: g (ch01-fake/broken/pair.c:9)
==7== 
==7== This conflicts with a previous read of size 8 by thread #6
==7== Locks held: none
==7==    at 0x1: f (ch01-fake/broken/pair.c:2)
==7==  Address 0x1 is 0 bytes inside a block of size 8 alloc'd
==7==    at 0x1: f (ch01-fake/broken/pair.c:5)
==7== ----------------------------------------------------------------
==7== Possible data race during write of size 4 at 0x5F23750 by thread #1
==7==    at 0x1: uv_x (in /usr/lib/libuv.so.1.0.0)
"""
DRD = """==7== Conflicting store by thread 6 at 0x1 size 4
==7==    at 0x1: ??? (in /usr/lib/libuv.so.1.0.0)
==7==    by 0x1: f (ch01-fake/broken/pair.c:2)
==7== Address 0x1 is at offset 0 from 0x1. Allocation context:
==7==    at 0x1: f (ch01-fake/broken/pair.c:5)
==7== Other segment start (thread 1)
==7==    at 0x1: f (ch01-fake/broken/pair.c:4)
"""


def texts(check, tmp):
    root = race_root(tmp, {"pair": CASES["pair"]})
    at = "ch01-fake/broken/pair.c"
    got = list(race.helgrind_reports(root, HELGRIND))
    check("what Helgrind says", got == [[(at, 3), (at, 2)], [None]], str(got))
    got = list(race.drd_reports(root, DRD))
    check("what DRD says", got == [[(at, 2)]], str(got))


def manifests(check, tmp):
    for what, old, new, words in (
            ("a place that is nowhere", "/first_line/", "/no_line/", "is 0 lines of"),
            ("a place that is many lines", "/first_line/", "/_line/", "is 4 lines of"),
            ("a function that is not there", "pair.c /first", "pair.c:nix /first", "nix()"),
            ("a file that is not there", "broken/pair.c /first", "broken/x.c /first", "is not there"),
            ("one place only", " broken/pair.c /second_line/", "", "not two places"),
            ("no test", "race.one = test_pair", "race.one = test_x", "test_x is not in"),
            ("no test, without a reason", "race.two = n/a it is fake\n", "", "race.two is missing")):
        root = race_root(tmp, {"pair": CASES["pair"]})
        ini = root / "ch01-fake/cases.ini"
        ini.write_text(ini.read_text().replace(old, new))
        code, out = run(root, "tsan")
        check(f"manifest: {what}", code == 2 and words in out, out)
    root = race_root(tmp, {"pair": CASES["pair"], "half": CASES["half"]})
    ini = root / "ch01-fake/cases.ini"
    ini.write_text(re.sub(r"(?s)\[half\](.*?)race = .*", r"[half]\1", ini.read_text()))
    code, out = run(root, "tsan")
    check("manifest: a case without, in a chapter with", code == 2 and "race is missing: half" in out, out)


def main():
    check, start = Checks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gee-race-") as tmp:
        for part in (verdicts, fixed_side, none, texts, manifests):
            part(check, tmp)
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
