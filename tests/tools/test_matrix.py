#!/usr/bin/env python3
"""A test of the judge of the matrix: it is given reports that are wrong, and must not be content.

Reports of each tool, as it prints them, with the lines of a little tree in their place: on the
recorded line, on another, on none, over the repaired unit. Then what must come of a whole matrix: a
FN without a reason, a reason without a FN, a false report. And docs/matrix.* must be of the manifests.
"""

import contextlib
import io
import pathlib
import sys
import tempfile
import types

import matrix
import matrix_show
import matrix_tools as tools
from test_lesson import Checks

ROOT = pathlib.Path(__file__).resolve().parents[2]
SITE, OTHER = 7, 9
REPORTS = {
    "memcheck": "==5== 1,408 bytes in 20 blocks are definitely lost in loss record 3 of 9\n"
                "==5==    at 0x483: malloc (vg_replace_malloc.c:381)\n"
                "==5==    by 0x10A: keep (ROOT/ch01-x/broken/u.c:LINE)\n==5== \n",
    "helgrind": "==5== Possible data race during write of size 4 at 0x1 by thread #1\n==5== Locks held: none\n"
                "==5==    at 0x10A: keep (ROOT/ch01-x/broken/u.c:LINE)\n==5== \n",
    "drd": "==5== Conflicting store by thread 1 at 0x1 size 4\n"
           "==5==    at 0x10A: keep (ROOT/ch01-x/broken/u.c:LINE)\n==5== \n",
    "tsan": "WARNING: ThreadSanitizer: data race (pid=5)\n  Write of size 4 at 0x7b by thread T1:\n"
            "    #0 keep ROOT/ch01-x/broken/u.c:LINE:3 (test+0x1)\n\nSUMMARY: ThreadSanitizer: data race\n",
    "asan": "==5==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 1408 byte(s) in 20 object(s) "
            "allocated from:\n    #0 0x7f in malloc (/lib/libasan.so.8+0x1)\n"
            "    #1 0x55 in keep ch01-x/broken/u.c:LINE\n\n",
    "ubsan": "ch01-x/broken/u.c:LINE:5: runtime error: signed integer overflow\n",
    "fanalyzer": "ch01-x/broken/u.c:LINE:5: warning: leak of 'p' [-Wanalyzer-malloc-leak]\n",
    "clang": "ch01-x/broken/u.c:LINE:5: warning: Potential leak of memory [unix.Malloc]\n",
    "cppcheck": "ch01-x/broken/u.c:LINE: warning: Memory leak: p\n",
    "own": "own: leak: sleep at ch01-x/broken/u.c:LINE, created at common/src/http/serve.c:1: nobody ends it\n",
}
RAN = "[ RUN      ] test_x\n[  FAILED  ] test_x\n"


def tree(tmp):
    root = pathlib.Path(tmp)
    (root / "ch01-x/broken").mkdir(parents=True)
    (root / "ch01-x/broken/u.c").write_text("\n" * 20)
    return root


def verdict(root, tool, line, variant="broken", code=1, ran=RAN, sites=None):
    text = REPORTS[tool].replace("ROOT", str(root)).replace("LINE", str(line)) if line else ""
    reports = tools.READ[tool](root, ran + text)
    sites = {("ch01-x/broken/u.c", SITE)} if sites is None else sites
    return matrix.judge(reports, sites, variant, code, ran + text, "test_x", 20)[0]


def lines(check, root):
    for tool in tools.NAMES:
        for what, line, variant, want in (("on the recorded line", SITE, "broken", "TP"),
                                          ("on another line", OTHER, "broken", "FP"),
                                          ("on none", 0, "broken", "FN"),
                                          ("on that line, of the repaired unit", SITE, "fixed", "FP"),
                                          ("on none of the repaired unit", 0, "fixed", None)):
            ran = RAN.replace("[  FAILED  ]", "[       OK ]") if variant == "fixed" else RAN
            got = verdict(root, tool, line, variant, ran=ran)
            check(f"{tool}, a report {what}: {want or 'TN'}", got == (want or "TN"), got)


def runs(check, root):
    crash = RAN + "Test failed with exception: Segmentation fault(11)\n"
    for what, args, want in (
            ("a time-out", {"line": 0, "code": None}, "time-out"), ("a signal", {"line": 0, "code": -6}, "crash"),
            ("a crash that cmocka caught", {"line": 0, "ran": crash}, "crash"),
            ("a test that is not there", {"line": 0, "ran": "nothing\n"}, "not run"),
            ("a test that fails over the repaired unit", {"line": 0, "variant": "fixed"}, "failed"),
            ("a crash behind a report on the line", {"line": SITE, "ran": crash}, "TP")):
        got = verdict(root, "memcheck", **args)
        check(f"{what}: {want}", got == want, got)
    out = "own: left over: timers +50, ctxs +1\n"
    for sites, want in (({"census timers"}, "TP"), ({"census fds"}, "FP")):
        got = matrix.judge(tools.own_reports(root, out), sites, "broken", 1, RAN + out, "test_x", 20)[0]
        check(f"what is left over, where {sites} was recorded: {want}", got == want, got)
    inherited = "==5== Open file descriptor 2: /dev/null\n==5==    <inherited from parent>\n==5== \n"
    check("a descriptor that was inherited is no report", tools.memcheck_reports(root, inherited) == [])
    in_handler = ("WARNING: ThreadSanitizer: signal-unsafe call inside of a signal (pid=5)\n    #0 malloc <null> (t+0x1)\n"
                  "    #1 keep ROOT/ch01-x/broken/u.c:LINE:3 (t+0x1)\n\nSUMMARY: ThreadSanitizer: signal-unsafe call\n")
    for line, want in ((SITE, "TP"), (OTHER, "FP")):
        out = in_handler.replace("ROOT", str(root)).replace("LINE", str(line))
        got = matrix.judge(tools.tsan_reports(root, out), {("ch01-x/broken/u.c", SITE)}, "broken", 1, RAN + out, "test_x",
                           20)[0]
        check(f"what TSan says of a handler, at line {line}: {want}", got == want, got)


def whole(check, _):
    case = types.SimpleNamespace(chapter="ch01-x", name="c", kind="waits", fn={}, race=None)

    def errors(verdict, variant="broken", fn=None, generic=None):
        case.fn = fn or {}
        row = {"chapter": "ch01-x", "case": "c", "variant": variant, "tool": "drd", "verdict": verdict, "why": "w"}
        return matrix.errors_in([row], [case], generic or {}, True)
    check("a FN without a reason", "no reason" in str(errors("FN")))
    check("a FN with a reason of its own", errors("FN", fn={"drd": "so"}) == [])
    check("a FN with a reason of its kind", errors("FN", generic={"waits": {"drd": "so"}}) == [])
    check("a reason of its own for a TP", "no FN that it would explain" in str(errors("TP", fn={"drd": "so"})))
    check("a reason of a kind for a TP", "no FN" in str(errors("TP", generic={"waits": {"drd": "so"}})))
    check("a false report over the repaired unit", "FP" in str(errors("FP", "fixed")))
    check("a crash", "crash" in str(errors("crash")))
    rows = [{"variant": "broken", "verdict": v} for v in ("TP", "FN", "FP")] + [{"variant": "fixed", "verdict": "TN"},
                                                                               {"variant": "broken", "verdict": "n/a"}]
    check("recall of three that were asked, precision of two reports", matrix_show.figures(rows) == (1, 3, 2, 1))


def documents(check, _):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = matrix.main(["--check"])
    check("docs/matrix.* are of the manifests, and each FN has its reason", code == 0, out.getvalue()[-3000:])


def main():
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="gee-matrix-") as tmp:
        for part in (lines, runs, whole, documents):
            part(check, tree(tempfile.mkdtemp(dir=tmp)))
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
