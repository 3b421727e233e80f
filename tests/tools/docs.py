"""What the documents say of the tree, held against the tree.

Links lead somewhere; a make target, a GEE_ variable and a test that are named exist; a script that one
is to call can be called; cases are in one order; a workflow runs commands of the README; and a source
line that is quoted ("parked (sleep) at x.c:17", "created at
y.c:150") still is one where a task is parked, or is created.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")),
        *sorted(ROOT.glob("ch[0-9][0-9]-*/*.md"))]

# The reason for which a task is parked, as /debug/tasks says it, and who parks for it.
PARKS = {"sleep": "gee_sleep", "ctx done": "gee_ctx_wait", "chan receive": "gee_chan_recv",
         "chan send": "gee_chan_send", "select": "gee_select", "mutex": "gee_mutex_lock",
         "waitgroup wait": "gee_(waitgroup_wait|fanout_wait|req_join)",
         "blocking work": "gee_blocking",
         "pool thread": "gee_blocking", "io read": "gee_body|gee_exchange_await_body|GEE_HERE",
         "io write": "gee_(write|flush)|GEE_HERE"}
QUOTE = re.compile(r"\((?P<reason>[a-z ]+)\)[^()\n]*? at (?P<parked>[\w./-]+\.c):(?P<at>\d+)"
                   r"|created at (?P<created>[\w./-]+\.c):(?P<by>\d+)")


def heading_ids(text):
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


def links(doc, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = doc.parent / path if path else doc
        if not to.exists():
            yield f"a link to {path}, which is not there"
        elif anchor and anchor not in heading_ids(to.read_text()):
            yield f"a link to #{anchor}, which is no heading of {to.relative_to(ROOT)}"


def quoted_lines(text):
    for m in QUOTE.finditer(text):
        name, number = m["parked"] or m["created"], int(m["at"] or m["by"])
        expected = PARKS.get(m["reason"], "gee_") if m["reason"] else \
            "gee_(req_|fanout_)?go|gee_hedge|gee_workpool_new|GEE_HERE"
        path = ROOT / name
        lines = path.read_text().splitlines() if path.exists() else []
        line = lines[number - 1] if number <= len(lines) else ""
        if not re.search(expected, line):
            yield f"{name}:{number} is quoted for {expected}, but is \"{line.strip()}\""


def targets(text, makefiles):
    for target in set(re.findall(r"\bmake ([a-z][a-z-]+)\b(?! [a-z]+ [a-z]+)", "\n".join(
            re.findall(r"`(make [^`]*)`", text) + re.findall(r"^\$? ?(make .*)$", text, re.M)))):
        if not re.search(rf"^[^\t#=\n]*\b{target}\b[^=\n]*:", makefiles, re.M):
            yield f"make {target}: there is no such target"


def workflows(readme, makefiles):
    """What a workflow runs is what the README tells a person to run, and exists."""
    for path in sorted((ROOT / ".github/workflows").glob("*.y*ml")):
        commands = re.findall(r"^ *(?:- )?run: *(.*)$", path.read_text(), re.M)
        ours = [c for c in commands if not c.startswith("apt-get ")]
        if not any(re.match(r"make test\b", c) for c in ours):
            yield f"{path.relative_to(ROOT)}: it does not run make test"
        for command in ours:
            if not re.fullmatch(r"make( [\w-]+)*( [A-Z]+=[\w-]+)*", command):
                yield f"{path.relative_to(ROOT)}: `{command}` is no make"
            elif f"`{command}`" not in readme:
                yield f"{path.relative_to(ROOT)}: `{command}` is no command of README.md"
            for why in targets(f"`{command}`", makefiles):
                yield f"{path.relative_to(ROOT)}: {why}"


def scripts(text):
    """A script that one is told to call by its path can be called by it."""
    for name in set(re.findall(r"(?:^\$ |`)([\w/-]+/[\w.-]+\.sh)\b", text, re.M)):
        if not (ROOT / name).exists():
            yield f"{name} is not there"
        elif not (ROOT / name).stat().st_mode & 0o111:
            yield f"{name} is not executable"


def cases(doc, text):
    """A chapter tells its cases in the order in which `make start` and `make watch` list them."""
    manifest = doc.parent / "cases.ini"
    if doc.name == "README.md" and manifest.exists():
        listed = re.findall(r"^\| \[`([\w-]+)`\]\(#", text, re.M)
        if listed != re.findall(r"^\[([\w-]+)\]$", manifest.read_text(), re.M):
            yield f"its cases, {', '.join(listed)}, are not those of cases.ini, in that order"


def variables(text, sources):
    for name in set(re.findall(r"\bGEE_[A-Z_]+\b", text)):
        if name not in sources:
            yield f"{name} is nowhere in the sources"


def named_tests(doc, text, tests):
    files = {p.stem for p in ROOT.glob("tests/*/test_*.c")}
    for name in set(re.findall(r"`(test_\w+)`", text)) - files:
        if not re.search(rf"\b{name}\b", tests):
            yield f"{name} is no test"
    if doc.name != "http.md":
        return
    for name in set(re.findall(r"`([A-Za-z]\w*_\w+)`", text)):
        if not re.search(rf"\b{name}\b", tests) and not name.startswith(("GEE_", "gee_")) \
                and not re.fullmatch(r"\w+_(ms|bytes)", name):
            yield f"{name} is no test"


def main():
    tests = "\n".join(p.read_text() for p in ROOT.glob("tests/**/*.[ch]"))
    sources = tests + "\n".join(
        p.read_text() for pattern in ("common/**/*.[ch]", "common/*.mk", "tests/**/*.py",
                                      "tests/**/*.sh", "tests/**/*.mk", "Makefile")
        for p in ROOT.glob(pattern) if p != Path(__file__).resolve())
    makefiles = "\n".join(p.read_text() for p in [ROOT / "Makefile", *ROOT.glob("*/*.mk"),
                                                  *ROOT.glob("tests/*/*.mk")])
    failed = 0
    for doc in DOCS:
        text = doc.read_text()
        bad = [*links(doc, text), *quoted_lines(text), *targets(text, makefiles), *scripts(text),
               *cases(doc, text), *variables(text, sources), *named_tests(doc, text, tests)]
        for line in sorted(set(bad)):
            print(f"{doc.relative_to(ROOT)}: {line}")
        failed += bool(bad)
    for line in workflows((ROOT / "README.md").read_text(), makefiles):
        print(line)
        failed += 1
    print(f"{max(len(DOCS) - failed, 0)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
