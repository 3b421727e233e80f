#!/usr/bin/env python3
"""A test of the lesson machine: does it tell its outcomes apart?

In a temporary directory stands a little framework (a library of one-line units)
with a chapter of fake cases, one for each outcome, built by the same lessons.mk.
Each check runs lesson.py as a person would and looks at what it says. A machine
that called everything REPRODUCED would fail here.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

import manifest as manifests_of

TOOLS = pathlib.Path(__file__).resolve().parent

MAKEFILE = f"""
B := build/$(FLAVOUR)
CC := gcc
CFLAGS := -std=c11 -g
LIB := $(B)/libfake.a
TEST_LIBS := -lcmocka
LIB_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard common/src/web/*.c))
$(B)/%.o: %.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -c $< -o $@
$(LIB): $(LIB_OBJS)
	@ar rcs $@ $^
include {TOOLS}/lessons.mk
.SECONDARY:
"""

HEAD = """
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
"""

# What the broken unit does, and what the machine must make of it.
CASES = {
    "reproduced": ("return 1;", "REPRODUCED", ""),
    "passes": ("return 0;", "NOT REPRODUCED", ""),
    "otherassert": ("return 2;", "WRONG FAILURE", "another reason than its own"),
    "crash": ("abort();", "WRONG FAILURE", "SIGABRT"),
    "hang": ("for (;;) ;", "WRONG FAILURE", "out of time after 1 s"),
    "leavesearly": ("exit(0);", "WRONG FAILURE", "no test .* was run"),
    "exitcode": ("exit(3);", "WRONG FAILURE", "no test .* was run"),
    "tool": ('print_error("==1==ERROR: AddressSanitizer: heap-use-after-free\\n"); return 1;',
             "WRONG FAILURE", "a tool reported something else"),
    "unlisted": ("return 1;", "WRONG FAILURE", "no test .* was run"),
    # cmocka catches the signal and reports an ordinary failure; the signature was said before.
    "segv": ('print_error("segv: value 1\\n"); return *(volatile int *)0;', "WRONG FAILURE",
             "exception"),
    "invalid": ('print_error("==7== Invalid write of size 4\\n"); return 1;', "WRONG FAILURE",
                "a tool reported something else"),
}
DECOYS = {
    "rejected": ("return 3;", "REJECTED", ""),
    "accepted": ("return 0;", "NOT REJECTED", ""),
    "likebroken": ("return 1;", "WRONG FAILURE", "another reason than its own"),
}


def unit(name, body):
    return (f"#include <stdlib.h>\nvoid print_error(const char *, ...);\n"
            f"int {name}_value(void);\nint {name}_value(void) {{ {body} }}\n")


def write_tests(root, names):
    text = HEAD
    for n in names:
        text += (f"int {n}_value(void);\nstatic void test_{n}(void **s) {{\n    (void)s;\n"
                 f"    int v = {n}_value();\n    if (v == 2) fail_msg(\"something else\");\n"
                 f"    if (v) fail_msg(\"{n}: value %d\", v);\n}}\n")
    listed = [n for n in names if n != "unlisted"]
    rows = ", ".join(f"cmocka_unit_test(test_{n})" for n in listed)
    text += ("int main(int argc, char **argv) {\n"
             f"    const struct CMUnitTest tests[] = {{{rows}}};\n"
             "    if (argc > 1) cmocka_set_test_filter(argv[1]);\n"
             "    return cmocka_run_group_tests(tests, NULL, NULL);\n}\n")
    if "unlisted" in names:
        text = text.replace("static void test_unlisted", "void test_unlisted(void **s);\nvoid test_unlisted")
    (root / "ch01-fake/test_fake.c").write_text(text)


def make_root(tmp, cases, decoys=None, final=None):
    """A root with these fake cases: {name: body of the broken unit}."""
    root = pathlib.Path(tempfile.mkdtemp(dir=tmp))
    for d in ("common/src/web", "ch01-fake/broken", "ch01-fake/fixed", "ch01-fake/decoys"):
        (root / d).mkdir(parents=True)
    (root / "Makefile").write_text(MAKEFILE)
    manifest = ""
    for name, body in cases.items():
        (root / f"common/src/web/{name}.c").write_text(unit(name, final or "return 0;"))
        (root / f"ch01-fake/broken/{name}.c").write_text(unit(name, body))
        (root / f"ch01-fake/fixed/{name}.c").symlink_to(f"../../common/src/web/{name}.c")
        manifest += (f"[{name}]\nunit = web/{name}.c\ntest = test_{name}\nsymptom = fake\n"
                     f"signature = {name}: value 1$\nseconds = 1\n"
                     f"decoys = {' '.join(decoys or {}) if name == 'reproduced' else ''}\n")
        for d, (decoy_body, _, _) in (decoys or {}).items():
            if name == "reproduced":
                (root / f"ch01-fake/decoys/{d}.c").write_text(unit(name, decoy_body))
                manifest += f"{d}.signature = {name}: value 3$\n{d}.why = because\n"
    (root / "ch01-fake/cases.ini").write_text(manifest)
    write_tests(root, cases)
    return root


def lesson(root, *args):
    p = subprocess.run([sys.executable, TOOLS / "lesson.py", args[0], "--root", root, *args[1:]],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return p.returncode, p.stdout


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, name, good, out=""):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}", flush=True)
        if not good:
            print("\n".join("     | " + line for line in out.splitlines()))


def said(out, verdict, title, reason):
    return re.search(rf"^{verdict} .*: {title}\b.*{reason}", out, re.M)


def outcomes(check, tmp):
    root = make_root(tmp, {n: c[0] for n, c in CASES.items()}, DECOYS)
    code, out = lesson(root, "broken")
    for name, (_, verdict, reason) in CASES.items():
        check(f"{name}: {verdict}", said(out, verdict, f"test_{name}", reason), out)
    for name, (_, verdict, reason) in DECOYS.items():
        check(f"decoy {name}: {verdict}", said(out, verdict, name, reason), out)
    good = sum(v[1] in ("REPRODUCED", "REJECTED") for v in (*CASES.values(), *DECOYS.values()))
    total = len(CASES) + len(DECOYS)
    check("the last line counts them", out.rstrip().endswith(f"{good} passed, {total - good} failed"),
          out)
    check("and the exit code is 1", code == 1)
    code, out = lesson(root, "broken", "01", "--case", "reproduced", "--repeat", "5", "--load")
    check("repeated, under load", "REPRODUCED     5 of 5" in out, out)
    code, out = lesson(root, "fixed", "--case", "reproduced")
    check("the fixed side is CLEAN", code == 0 and "CLEAN" in out, out)
    for args, words in ((("broken", "7"), "no chapter 7; there are: ch01-fake"),
                        (("broken", "ch01", "--case", "nix"), "no case nix; there are: ")):
        code, out = lesson(root, *args)
        check(f"{' '.join(args)}: exit code 2, and what there is", code == 2 and words in out, out)


def caseless(check, tmp):
    root = make_root(tmp, {"reproduced": "return 1;"})
    (root / "ch01-fake/test_whole.c").write_text("int main(void) { return 0; }\n")
    found = list(manifests_of.caseless(root))
    check("a test program that no case names is found", found == ["ch01-fake/test_whole"],
          str(found))


def not_clean(check, tmp):
    root = make_root(tmp, {"reproduced": "return 1;"}, final="return 4;")
    code, out = lesson(root, "fixed")
    check("a fixed side that fails is NOT CLEAN", code == 1 and "NOT CLEAN" in out, out)


def staircase(check, tmp):
    """Chapter 1 repaired is the state in which chapter 2 is still broken."""
    root = make_root(tmp, {"state": "return 1;"}, final="int later_value(void); "
                     "return later_value() == 7 ? 0 : 5;")
    (root / "common/src/web/later.c").write_text(unit("later", "return 0;"))
    for d in ("broken", "fixed"):
        (root / "ch02-later" / d).mkdir(parents=True)
    (root / "ch02-later/broken/later.c").write_text(unit("later", "return 7;"))
    (root / "ch02-later/fixed/later.c").symlink_to("../../common/src/web/later.c")
    first = (root / "ch01-fake/test_fake.c").read_text()
    (root / "ch02-later/test_two.c").write_text(first.replace("state", "later"))
    (root / "ch02-later/cases.ini").write_text(
        "[later]\nunit = web/later.c\ntest = test_later\nsymptom = fake\n"
        "signature = later: value 7$\ndecoys =\n")
    for side, words in (("fixed", "CLEAN .*test_state"), ("fixed", "CLEAN .*test_later"),
                        ("broken", "REPRODUCED .*test_state"),
                        ("broken", "REPRODUCED .*test_later")):
        code, out = lesson(root, side)
        check(f"two chapters, {side}: {words}", code == 0 and re.search(words, out), out)


def symbols(check, tmp):
    for what, body, words in (
            ("less", "int other_value(void); int other_value(void) { return 1; }",
             "multiple definition|does not define reproduced_value|undefined reference|does not build"),
            ("more", unit("reproduced", "return 1;") + "int extra(void); int extra(void) { return 0; }",
             "defines extra as well")):
        root = make_root(tmp, {"reproduced": "return 1;"})
        (root / "ch01-fake/broken/reproduced.c").write_text(body)
        code, out = lesson(root, "broken")
        check(f"a unit that defines {what} than the final one", code == 1 and re.search(words, out),
              out)


def census(check, tmp):
    """Its figures come from a test that prints them, so the fake ones do."""
    def run(broken, final, then="", more=()):
        root = make_root(tmp, {"reproduced": broken, "passes": "return 0;"}, final=final)
        test = root / "ch01-fake/test_fake.c"
        zero = "".join(f" {kind} 0 0" for kind in ("timers", "handles", "ctxs", "chans", "requests",
                                                   "fds", "bytes"))
        text = test.read_text().replace("int main(", (
            "#include <stdio.h>\nstatic void census_reproduced(void **s) {\n    (void)s;\n"
            "    int v = reproduced_value();\n"
            f'    printf("census: reproduced tasks %d %d{zero}\\n", 9, v);\n'
            f"    fflush(stdout);\n    {then}\n}}\nint main("))
        test.write_text(text.replace("tests[] = {", "tests[] = {cmocka_unit_test(census_reproduced), "))
        p = subprocess.run([sys.executable, TOOLS / "census.py", "--root", root, "01", *more],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        return p.returncode, p.stdout
    code, out = run("return 7;", "return 0;")
    check("a census of a leak and its repair", code == 0 and "2 passed, 0 failed" in out
          and re.search(r"^reproduced +broken +9/7 ", out, re.M), out)
    code, out = run("return 7;", "return 1;")
    check("a fixed side that is not at rest", code == 1 and "it is not at rest: tasks +1" in out, out)
    code, out = run("return 0;", "return 0;")
    check("a broken side that leaks nothing", code == 1 and "it leaks nothing" in out, out)
    code, out = run("return 7;", "return 0;", then="if (v) *(volatile int *)0 = 1;")
    check("a scenario that crashes", code == 1 and "1 passed, 1 failed" in out, out)
    code, out = run("return 7;", "return 0;", more=("--case", "passes"))
    check("a case that has no scenario", code == 0 and "There is no census of passes:" in out
          and out.rstrip().endswith("There is one of: ch01-fake"), out)
    root = make_root(tmp, {"reproduced": "return 1;"})
    p = subprocess.run([sys.executable, TOOLS / "census.py", "--root", root], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check("no scenario at all", p.returncode == 2 and "no case here has a scenario" in p.stdout,
          p.stdout)


def build_error(check, tmp):
    root = make_root(tmp, {"reproduced": "return 1"})
    code, out = lesson(root, "broken")
    check("a build error is the compiler's, and no reproduction",
          code == 1 and "error: expected" in out and "it does not build" in out
          and "\nREPRODUCED" not in out, out)


def manifests(check, tmp):
    for what, old, new, words in (
            ("a key too many", "symptom", "sympton = x\nsymptom", "sympton is not a key"),
            ("a key too few", "symptom = fake\n", "", "symptom is missing"),
            ("a signature that is none", "value 1$", "value (1$", "not a regular expression"),
            ("a unit that is not there", "web/reproduced.c", "web/x.c", "x.c is not there"),
            ("a test that is not there", "test_reproduced", "test_nix", "is in 0 of")):
        root = make_root(tmp, {"reproduced": "return 1;"})
        ini = root / "ch01-fake/cases.ini"
        ini.write_text(ini.read_text().replace(old, new))
        code, out = lesson(root, "broken")
        check(f"manifest: {what}", code == 2 and words in out, out)
    root = make_root(tmp, {"reproduced": "return 1;"})
    (root / "ch01-fake/fixed/reproduced.c").unlink()
    (root / "ch01-fake/fixed/reproduced.c").write_text(unit("reproduced", "return 0;"))
    code, out = lesson(root, "fixed")
    check("manifest: a fixed unit that is a copy", code == 2 and "is not a link" in out, out)


def main():
    check, start = Checks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gee-lesson-") as tmp:
        for part in (outcomes, caseless, not_clean, staircase, symbols, census, build_error, manifests):
            part(check, tmp)
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
