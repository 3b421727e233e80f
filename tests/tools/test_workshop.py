#!/usr/bin/env python3
"""A test of the workshop: does it know what a learner has done?

For every case of every chapter, in a pack of that chapter as participants get it: the untouched
exercise is STILL BROKEN, the final unit is REPAIRED, each decoy is a KNOWN WRONG FIX, and for its
own reason. Then what a learner may come up with beside that: repairs that serve nothing or
lock everything out, what does not compile, crashes, never ends. And what the workshop keeps.

  test_workshop.py [CH]
"""

import concurrent.futures
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import types

import manifest
import mine
import notes
import pack
import test_lesson

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Checks:
    """Of hundreds of checks only those that fail are said."""

    def __init__(self):
        self.passed = self.failed = 0
        self.lock = threading.Lock()

    def __call__(self, what, good, saw=""):
        with self.lock:
            self.passed += bool(good)
            self.failed += not good
            if not good:
                print(f"FAIL {what}\n" + "\n".join("     | " + l for l in str(saw).splitlines()[-30:]),
                      flush=True)


class Tree:
    """A pack of a chapter, in a directory of its own."""

    def __init__(self, tmp, chapter, flavours=("debug",)):
        self.root = pathlib.Path(tempfile.mkdtemp(dir=tmp))
        pack.make_tree(ROOT, self.root, chapter, list(flavours))
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
        """Of [(case, its source)] the Verdicts."""
        for case, path in sources:
            shutil.copyfile(path, mine.exercise(self.args, case))
        return mine.check(self.args, [case for case, _ in sources])


def every_case(check, tree):
    code, out = tree.call("start", tree.chapter)
    check(f"{tree.chapter}: start", code == 0 and all(c.unit_name in out for c in tree.cases), out)
    here = ROOT / tree.chapter
    for v in tree.judge([(c, here / "broken" / c.unit_name) for c in tree.cases]):
        check(f"{v.case.name}: untouched", v.kind == mine.BROKEN and v.untouched and not v.why,
              (v.kind, v.words, v.why, v.detail))
        check(f"{v.case.name}: its words", v.words and not v.words.startswith(v.case.name), v.words)
    for v in tree.judge([(c, here / "fixed" / c.unit_name) for c in tree.cases]):
        check(f"{v.case.name}: fixed", v.kind == mine.REPAIRED, (v.kind, v.words, v.detail))
    for i in range(max(len(c.decoys) for c in tree.cases)):
        having = [c for c in tree.cases if i < len(c.decoys)]
        for v in tree.judge([(c, here / "decoys" / f"{c.decoys[i].name}.c") for c in having]):
            d = v.case.decoys[i]
            check(f"{v.case.name}: {d.name}", v.kind == mine.WRONG and v.why == d.why,
                  (v.kind, v.words, v.why, v.detail))


# --- what else a learner may come up with ---

LOCK = [("#include <string.h>\n", '#include "gee/sync.h"\n#include <string.h>\nstatic gee_mutex all;\n'),
        ("int rc = gee_flush(req);", "int rc = gee_mutex_lock(ctx, &all);\n"
         "    rc = rc < 0 ? rc : gee_flush(req);"),
        ("    if (rc < 0)\n        gee_hang_up", "    gee_mutex_unlock(&all);\n    if (rc < 0)\n"
         "        gee_hang_up")]
SPIN = [("/* Under the lock. *old", "static gee_spin all;\n\n/* Under the lock. *old"),
        *((f"gee_spin_{do}(&{keys}lock)", f"gee_spin_{do}(&all)")
          for do in ("lock", "unlock") for keys in ("req->keys.", "keys->"))]
ONLY_THE_SLEEP = [("int rc = gee_flush(req);", "int rc = 0;\n    gee_flush(req);")]
WITH_THE_SET = [("    close_handles(s);\n    gee_ctx_cancel", "    for (int i = 0; i < s->open; i++)\n"
                 "        uv_signal_stop(&s->handles[i]);\n    gee_ctx_cancel")]
# Of the final unit: (case, what, what is replaced, what it must come to).
CHEATS = [
    ("sse-disconnect", "serves nothing",
     [("while (rc == 0) {", "while (false) {\n        (void)step, (void)arg, (void)ctx;")],
     mine.NO_WORK, "test_frames"),
    ("sse-disconnect", "one lock for all streams", LOCK, mine.NO_WORK, "of test_stream fails"),
    ("static-fd", "serves nothing",
     [("== '/';\n    f->file.fd = open_and_stat(f);", "== '/';\n    f->file.fd = UV_ENOENT;")],
     mine.NOT_YET, "404"),
    ("missing-cancel", "ends its tries with the call",
     [("static int try_once(", "static void drop(void *own) {\n    gee_ctx_unref(own);\n}\n\n"
       "static int try_once("), ("push(&over, end_try,", "push(&over, drop,"),
      ("    for (int failed", "    gee_ctx *all = gee_ctx_with_cancel(ctx);\n    gee_cleanup over;\n"
       "    gee_cleanup_push(&over, end_try, all);\n    for (int failed"),
      ("try_once(ctx,", "try_once(all,"), ("            return rc;\n", "            break;\n"),
      ("break;\n    }\n}", "break;\n    }\n    gee_cleanup_pop(&over, true);\n    return rc;\n}")],
     mine.NOT_YET, "ends_with_its_try"),
    ("missing-cancel", "asks all the time",
     [("gee_sleep_at(ctx, pause_ms, site) < 0)\n            return rc;",
       "gee_ctx_err(ctx) < 0)\n            return rc;\n        for (; pause_ms > 0; pause_ms--)\n"
       "            if (gee_sleep_at(ctx, 1, site) < 0)\n                return rc;")],
     mine.SLOWER, "turns"),
    ("no-deadline", "is not left by a panic",
     [("    gee_cleanup_push(&t.cleanup, leave, &t);\n", ""),
      ("    gee_cleanup_pop(&t.cleanup, true);\n", "    leave(&t);\n")], mine.NOT_YET, "left over"),
    ("late-write", "has a way to the client",
     [("    grave->gone = UV_ETIMEDOUT;\n", "    grave->gone = UV_ETIMEDOUT;\n"
       "    grave->io = x->conn->io;\n")], mine.NOT_YET, "reaches_its_client"),
    ("late-write", "only closes the connection", [
        ("x->head_sent = x->ended = x->on_wire = true; /*", "/*"),
        ("grave->closing = grave->serving", "grave->serving"),
        ("    grave->gone = UV_ETIMEDOUT;\n", "")], mine.BROKEN, "Segmentation fault"),
    ("keepalive-timer", "a head has what is left of the idle time",
     [("        gee_conn_deadline(c, GEE_IDLE, limits->idle_ms);\n    else if (c->deadline != GEE_HEAD)",
       "        gee_conn_deadline(c, GEE_HEAD, limits->idle_ms);\n    else if (c->deadline != GEE_HEAD ||\n"
       "             c->deadline_ns > gee_clock_in_ms(limits->head_ms))")],
     mine.NO_WORK, "a_next_head_that_is_whole_in_time"),
    ("child-not-inherit", "copies the deadline",
     [("    s->ctx = gee_ctx_with_cancel(req->ctx);\n", "    uint64_t due;\n"
       "    s->ctx = gee_ctx_deadline(req->ctx, &due) ? gee_ctx_with_deadline(req->x.ctx, due)\n"
       "                                              : gee_ctx_with_cancel(req->x.ctx);\n")],
     mine.NOT_YET, "test_ctx_of_a_middleware"),
    ("handler-spawns-forever", "keeps each request for a while",
     [("    gee_ctx_end(w->end);\n    gee_waitgroup", "    gee_sleep(NULL, 40);\n"
       "    gee_ctx_end(w->end);\n    gee_waitgroup")], mine.SLOWER, "virtual time"),
    ("reader-reentry", "one mutex", [("gee_rwmutex_rlock(", "gee_rwmutex_lock("),
                                     ("gee_rwmutex_runlock(", "gee_rwmutex_unlock(")],
     mine.NO_WORK, "of test_flags fails"),
    ("keys-unlocked", "one spin lock", SPIN, mine.NO_WORK, "it waited"),
]
ODD = [  # of sse-disconnect
    ("does not compile", lambda t: t.replace("gee_sleep", "gee_slep"), mine.NO_BUILD, "gee_slep"),
    ("lacks a function", lambda t: t.replace("int gee_stream(", "static int gee_stream("),
     mine.NO_BUILD, "gee_stream"),
    ("is empty", lambda t: "", mine.NO_BUILD, "error:"),
    ("crashes", lambda t: t.replace("gee_flush(req);", "*(volatile int *)0 = 1;", 1), mine.BROKEN,
     "Segmentation fault"),
    ("ends the process", lambda t: t.replace("gee_flush(req);", "_exit(0);", 1).replace(
        "#include <string.h>", "#include <string.h>\n#include <unistd.h>"), mine.BROKEN, "no test"),
    ("never ends", lambda t: t.replace("gee_flush(req);", "for (;;) {}", 1), mine.BROKEN, "out of time"),
]


def cheats(check, tree):
    for name, what, subs, kind, words in CHEATS:
        case = next((c for c in tree.cases if c.name == name), None)
        if case is None:
            continue
        text = (ROOT / tree.chapter / "fixed" / case.unit_name).read_text()
        for old, new in subs:
            check(f"{name}: {what}: {old} is there", old in text, text)
            text = text.replace(old, new)
        tree.put(case, text)
        v = mine.check(tree.args, [case])[0]
        said = "\n".join([v.words, *v.detail])
        check(f"{name}: {what}", v.kind == kind and words in v.words, (v.kind, said))
        check(f"{name}: {what}: no more is said than that",
              not re.search(r"traceback of|^figures: ", said, re.M), said)


def odd(check, tree):
    case = tree.cases[0]
    case.seconds = 2
    text = mine.original(tree.args, case).read_text()
    for what, change, kind, words in ODD:
        tree.put(case, change(text))
        v = mine.check(tree.args, [case])[0]
        said = "\n".join([v.words, *v.detail])
        check(f"an exercise that {what}", v.kind == kind and words in said, (v.kind, said))
    both = tree.cases[:2]
    tree.put(both[0], "int")
    shutil.copyfile(ROOT / tree.chapter / "fixed" / both[1].unit_name,
                    mine.exercise(tree.args, both[1]))
    kinds = [v.kind for v in mine.check(tree.args, both)]
    check("one that does not compile keeps no other from being judged",
          kinds == [mine.NO_BUILD, mine.REPAIRED], kinds)
    code, out = tree.call("check", "--case", case.name)
    check("what the compiler said is shown", code == 1 and "error:" in out and "sse.c:1" in out, out)


def tools(check, tmp):
    """TOOL=: what a tool has to say of an exercise, and of its repair nothing."""
    name, tried = "keys-unlocked", [t for t in ("tsan", "memcheck") if shutil.which(
        mine.NEEDS.get(t, "valgrind"))]
    if not tried:
        return
    tree = Tree(tmp, "ch03-races", ["debug", *(mine.TOOLS[t][0] for t in tried)])
    case = next(c for c in tree.cases if c.name == name)
    tree.call("start", tree.chapter)
    if "tsan" in tried:
        code, out = tree.call("check", "--case", name, "--tool", "tsan")
        check("tsan names both lines of the exercise", code == 1 and re.search(
            r"a race:\n.*exercise/keys\.c:\d+ .*\n.*exercise/keys\.c:\d+ ", out), out)
    shutil.copyfile(ROOT / tree.chapter / "fixed" / case.unit_name, mine.exercise(tree.args, case))
    for tool in tried:
        code, out = tree.call("check", "--case", name, "--tool", tool)
        check(f"{tool}, over the repair", code == 0 and out.count("nothing to report") ==
              len(case.tests), out)
    if "memcheck" in tried:
        text = mine.exercise(tree.args, case).read_text()
        lock = "    gee_spin_lock(&req->keys.lock);\n"
        tree.put(case, text.replace(lock, lock + "    void *volatile lost = malloc(24);\n    (void)lost;\n", 1))
        code, out = tree.call("check", "--case", name, "--tool", "memcheck")
        check("a report is the verdict", code == 1 and lock in text and "NOT CLEAN" in out and
              "definitely lost" in out and "0 of 1 repaired" in out, out)


# --- what is kept, and what is never lost ---

def kept(check, tree):
    case, second = tree.cases[:2]
    path = mine.exercise(tree.args, case)
    path.write_text("mine\n")
    code, out = tree.call("start", tree.chapter)
    check("start keeps what is there", code == 0 and path.read_text() == "mine\n" and "kept" in out, out)
    code, out = tree.call("reset", "--case", case.name)
    backups = list((path.parent / "backup").glob("*"))
    check("reset keeps it beside", code == 0 and path.read_bytes() == mine.original(
        tree.args, case).read_bytes() and [b.read_text() for b in backups] == ["mine\n"], out)
    shutil.copyfile(ROOT / tree.chapter / "fixed" / second.unit_name, mine.exercise(tree.args, second))
    code, out = tree.call("check", "--case", second.name)
    check("repaired: exit code 0", code == 0 and "1 of 1 repaired" in out, out)
    path2 = mine.exercise(tree.args, second)
    repaired = path2.read_text()
    path2.write_text(repaired + "/* more */\n")
    code, out = tree.call("progress")
    check("progress knows what was saved behind a check", f"{tree.chapter}: 0 of " in out and
          re.search(rf"  {second.name} +repaired +changed since", out), out)
    path2.write_text(repaired)
    code, out = tree.call("hint", "--case", second.name)
    check("a hint behind the repair is not counted", code == 0 and "3 of 3:" in out and
          "not counted" in out, out)
    code, out = tree.call("progress")
    check("progress", f"{tree.chapter}: 1 of {len(tree.cases)} repaired" in out and
          re.search(rf"x {second.name} +repaired", out), out)
    for n in (1, 2, 3, 3):
        code, out = tree.call("hint", "--case", case.name)
        check(f"hint {n}", code == 0 and f"{n} of 3:" in out and f"{n + 1} of 3:" not in out, out)
    code, out = tree.call("reveal", "--case", case.name)
    check("a pack reveals nothing", code == 2 and "not in this pack" in out, out)
    answer = tree.root / tree.chapter / "exercise/answers" / next(iter(notes.questions(
        tree.root, tree.chapter)))
    answer.write_text(answer.read_text().replace(notes.PLACEHOLDER, "Because <b>it</b> is.", 1))
    code, out = tree.call("grade")
    check("a grade is somebody's", code == 2 and "whose is it?" in out, out)
    code, out = tree.call("grade", "--name", "Ann & Bob")
    g = json.loads((tree.root / tree.chapter / "exercise/grade.json").read_text())
    page = (tree.root / tree.chapter / "exercise/grade.html").read_text()
    check("grade", code == 0 and g["name"] == "Ann & Bob" and g["repaired"] == 1 and g["answered"] == 1
          and g["results"][0]["hints"] == 3 and g["results"][1]["diff"] and
          g["results"][1]["hints"] == 0 and g["results"][1]["checks"] == 1, out)
    tree.call("grade", "--name", "Ann")
    check("an earlier grade is kept", len(list((tree.root / tree.chapter / "exercise").glob(
        "grade.*-*.html"))) == 1)
    check("its page", "Because &lt;b&gt;it&lt;/b&gt; is." in page and "Ann &amp; Bob" in page, page[:500])
    progress = tree.root / tree.chapter / "exercise/progress.json"
    progress.write_text("{")
    code, out = tree.call("progress")
    check("progress that is damaged is put aside", code == 0 and
          progress.with_suffix(".damaged").exists(), out)


def reveal(check, tmp):
    """Where the answers are: in a tree of one fake case, so that nobody's progress is touched."""
    root = test_lesson.make_root(tmp, {"reproduced": "return 1;"})
    (root / "ch01-fake/README.md").write_text(
        "# Fake\n\n## reproduced\n\n### The cause\n\nIt is 1.\n\n### The repair\n\nLet it be 0.\n")

    def call(*argv):
        p = subprocess.run([sys.executable, ROOT / "tests/tools/workshop.py", *argv, "--root", root],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60)
        return p.returncode, p.stdout
    code, out = call("reveal", "--case", "reproduced")
    check("reveal asks first, and who does not answer is shown nothing", code == 1 and
          "is not repaired" in out and "return 0" not in out, out)
    code, out = call("reveal", "--case", "reproduced", "--yes")
    check("and then has the diff and the reasons", code == 0 and "Let it be 0." in out and
          re.search(r"^-.*return 1;", out, re.M) and re.search(r"^\+.*return 0;", out, re.M), out)
    code, out = call("check", "--case", "reproduced")
    check("a tree that is no pack, and a case without work", code == 1 and "STILL BROKEN" in out and
          "value 1" in out, out)
    (root / "ch01-fake/exercise/reproduced.c").write_text(test_lesson.unit("reproduced", "return 0;"))
    code, out = call("check", "--case", "reproduced")
    check("and its repair", code == 0 and "REPAIRED" in out, out)
    code, out = call("reveal", "--case", "reproduced")
    check("of what is repaired it asks nothing", code == 0 and "Let it be 0." in out, out)


def refused(check, tree):
    for argv, words in ((("check", "--case", "nix"), "no case nix; there are: "),
                        (("check", "--tool", "nix"), "TOOL=nix: it is one of asan"),
                        (("hint",), "which case? CASE="), (("start", "77"), "no chapter 77"),
                        (("start",), "which chapter? CH=")):
        code, out = tree.call(*argv)
        check(" ".join(argv), code == 2 and words in out, out)
    made = tree.root / "pack.json"
    was = json.loads(made.read_text())
    made.write_text(json.dumps({**was, "on": {**was["on"], "libuv": "0.1"}}))
    code, out = tree.call("check")
    check("a pack for another system", code == 2 and "ask for one" in out and "libuv 0.1" in out, out)
    made.write_text(json.dumps(was))


# --- that all is there, and no answers are ---

def whole(check):
    for c in manifest.select(ROOT, None, None):
        check(f"{c.chapter} {c.name}: three hints", len(notes.hints(ROOT, c)) == notes.HINTS)
        check(f"{c.chapter} {c.name}: work", c.work)
        written = notes.readme(ROOT, c.chapter).get(c.name, "").strip()
        check(f"{c.chapter} {c.name}: questions, and an explanation", not written or (
            f"{c.name}.md" in notes.questions(ROOT, c.chapter) and notes.explanation(ROOT, c)))


def no_answers(check, tree):
    paths = {str(p.relative_to(tree.root)) for p in tree.root.rglob("*") if p.is_file()}
    hidden = pack.withheld(ROOT, tree.chapter)
    check(f"{tree.chapter}: no final unit is in the pack", len(hidden) >= len(tree.cases) and
          not hidden & paths, hidden & paths)
    check(f"{tree.chapter}: nor fixed, decoys, repairs, tests", not [
        p for p in paths if re.search(r"/(fixed|decoys|repairs)/|test_\w+\.c$", p)])
    readme = (tree.root / tree.chapter / "README.md").read_text()
    linked = re.findall(r"\]\((?!#|http)([^)#]+)", readme)
    check(f"{tree.chapter}: what is linked is there", not [
        p for p in linked if not (tree.root / tree.chapter / p).exists()], linked)
    plain = "".join((tree.root / p).read_text() for p in paths if p.endswith((".ini", ".sealed")))
    check(f"{tree.chapter}: no reason of a wrong repair, and no hint, is in the clear", not [
        w for c in tree.cases for w in [*(d.why for d in c.decoys), *(d.name for d in c.decoys),
                                        *notes.hints(ROOT, c)] if w in plain])
    check(f"{tree.chapter}: the lesson, without causes", "### The symptom" in readme and
          not re.search(r"^### (The cause|The repair|Repairs that)", readme, re.M))
    for c in tree.cases:
        final, broken = (re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S) for path in (
            ROOT / "common/src" / c.unit, mine.original(tree.args, c)))
        new = [l for l in map(str.strip, final.splitlines()) if l not in broken and len(l) > 40]
        texts = "".join((tree.root / p).read_text(errors="replace") for p in paths
                        if not p.startswith("build/"))
        told = [l for l in new if l in texts]
        # Here and there the same idiom is used elsewhere.
        check(f"{c.name}: its repair is not in the pack", 4 * len(told) <= len(new), told)


def one_chapter(check, tree, first):
    no_answers(check, tree)
    every_case(check, tree)
    cheats(check, tree)
    if first:
        kept(check, tree)
        refused(check, tree)
    if tree.cases[0].name == "sse-disconnect":
        odd(check, tree)


def main(argv):
    """Half of the time is spent waiting, for a test of real time or a linker: so chapters go side by side."""
    check, start = Checks(), time.monotonic()
    whole(check)
    with tempfile.TemporaryDirectory(prefix="gee-workshop-") as tmp:
        trees = [Tree(tmp, c) for c in manifest.pick_chapters(ROOT, argv[0] if argv else None)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            jobs = [pool.submit(one_chapter, check, tree, tree is trees[0]) for tree in trees]
            jobs += [pool.submit(reveal, check, tmp)]
            if any(t.chapter == "ch03-races" for t in trees):
                jobs.append(pool.submit(tools, check, tmp))
            for job in jobs:
                job.result()
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
