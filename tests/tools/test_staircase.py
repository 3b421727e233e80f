#!/usr/bin/env python3
"""A test of the staircase: does it see a step that is not as it should be?

The fake framework of test_lesson.py gets tests of common, and its manifest is made wrong in
each way in turn. A staircase that called everything good would fail here.
"""

import subprocess
import sys
import tempfile
import time

import test_lesson
from test_lesson import HEAD, MAKEFILE, TOOLS, Checks, make_root, unit

RULE = """
$(B)/tests/common/%: $(B)/tests/common/%.o $(LIB)
	@$(CC) -o $@ $^ $(TEST_LIBS)
"""
# A test of common that the defect touches, one that it does not touch, and one in another program.
COMMON = HEAD + """
int first_value(void);
static void touched(void **s) { (void)s; %s }
static void untouched(void **s) { (void)s; }
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(touched), cmocka_unit_test(untouched)};
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
"""
FAILS = "assert_int_equal(first_value(), 0);"
NAMED = "common = test_c:touched: it asks for the value\n"


def root_of(tmp, body=FAILS, common=NAMED, broken="return 1;"):
    """Two chapters of a case each; the tests of common are about the first's unit."""
    root = make_root(tmp, {"first": broken})
    (root / "Makefile").write_text(MAKEFILE + RULE)
    (root / "tests/common").mkdir(parents=True)
    (root / "tests/common/test_c.c").write_text(COMMON % body)
    ini = root / "ch01-fake/cases.ini"
    ini.write_text(ini.read_text() + common)
    for d in ("broken", "fixed", "decoys"):
        (root / "ch02-later" / d).mkdir(parents=True)
    (root / "common/src/web/later.c").write_text(unit("later", "return 0;"))
    (root / "ch02-later/broken/later.c").write_text(unit("later", "return 1;"))
    (root / "ch02-later/fixed/later.c").symlink_to("../../common/src/web/later.c")
    test = (root / "ch01-fake/test_fake.c").read_text()
    (root / "ch02-later/test_later.c").write_text(test.replace("first", "later"))
    (root / "ch02-later/cases.ini").write_text(ini.read_text().replace("first", "later")
                                               .replace(common or "-", ""))
    return root


def staircase(root, *args):
    p = subprocess.run([sys.executable, TOOLS / "staircase.py", "--root", root, *args],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return p.returncode, p.stdout


def steps(check, tmp):
    code, out = staircase(root_of(tmp))
    rows = [line.split() for line in out.splitlines() if line.startswith("S")]
    check("three states, from the top down", code == 0 and [r[0] for r in rows] == ["S2", "S1", "S0"], out)
    check("each is as it should be", "1 reproduce" in out and "1 pass, 1 fail" in out and
          "11 passed, 0 failed" in out, out)
    code, out = staircase(root_of(tmp), "--state", "1")
    check("one state alone", code == 0 and "S1" in out and "S0" not in out, out)
    code, out = staircase(root_of(tmp), "--state", "3")
    check("no such state", code == 2 and "there are: S0 to S2" in out, out)
    code, out = staircase(root_of(tmp, common=""), "--alone", "first")
    check("what a manifest has to name", "test_c:touched  it fails" in out and "1 of 2 fail" in out, out)


def deviations(check, tmp):
    for what, changes, words in (
            ("a test that nobody named", {"common": ""}, "FAILS S0 test_c:touched: it fails, and no"),
            ("a named one that passes", {"common": NAMED + "  test_c:untouched: so they say\n"},
             "PASSES S0 test_c:untouched: but first names it"),
            ("a name that is no test", {"common": NAMED + "  test_c:nix: so they say\n"},
             "NO SUCH TEST .*test_c:nix|common has no test test_c:nix"),
            ("a test of common that crashes", {"body": "if (first_value()) *(volatile int *)0 = 1;",
                                               "common": ""}, "FAILS S0 test_c:touched: crash"),
            ("one that hangs", {"body": "while (first_value()) ;", "common": ""}, "out of time"),
            ("common that fails itself", {"body": "fail();"}, "FAILS S2 test_c:all its tests: failed: touched"),
            ("a case that passes", {"broken": "return 0;", "common": ""}, "NOT REPRODUCED S0 test_fake:test_first"),
            ("a case that fails otherwise", {"broken": "return 2;"}, "WRONG FAILURE S0 test_fake:test_first"),
            ("a state that does not build", {"broken": "return 1"}, "S0 does not build")):
        root = root_of(tmp, **changes)
        code, out = staircase(root, *(["--seconds", "2"] if "hangs" in what else []))
        check(what, code == 1 and test_lesson.re.search(words, out), out)
    for what, common, want in (
            ("one that fails now and then is not asked", "common = perhaps test_c:touched: by luck\n", (0, "10 passed, 0 failed")),
            ("one of a case that hides it passes", NAMED.replace(": it", " unless later: it"), (1, "FAILS S0 test_c:touched")),
            ("one of a case that is not there", NAMED.replace(": it", " unless nix: it"), (1, "unless nix: no such case")),
            ("a name without a reason", "common = test_c:touched\n", (2, "common: not TESTS: WHY: test_c:touched"))):
        code, out = staircase(root_of(tmp, common=common))
        check(what, code == want[0] and want[1] in out, out)
    root = root_of(tmp, body="while (first_value()) ;")
    start = time.monotonic()
    code, out = staircase(root)
    check("one that hangs as was said, in little time", code == 0 and time.monotonic() - start < 30, out)


def main():
    check, start = Checks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gee-staircase-") as tmp:
        for part in (steps, deviations):
            part(check, tmp)
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
