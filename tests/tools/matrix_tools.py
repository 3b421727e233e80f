"""The tools of the matrix: how each is asked about a variant, and what it reports.

A report is what it says in a line, and where: the places of our own tree on its stacks, innermost
first. What the framework itself counts (`own`) may have no place: then it has the kind that is left,
as "census timers".
"""

import re
import shutil
import subprocess
from dataclasses import dataclass, field

import race

NAMES = ("own", "memcheck", "helgrind", "drd", "tsan", "asan", "ubsan", "fanalyzer", "clang", "cppcheck")
FLAVOUR = {"own": "debug", "memcheck": "valgrind", "helgrind": "valgrind", "drd": "valgrind",
           "tsan": "tsan", "asan": "asan", "ubsan": "asan"}
STATIC = ("fanalyzer", "clang", "cppcheck")  # they read the unit and run nothing
RACE_TOOLS = ("helgrind", "drd", "tsan")
SLOWER = {"memcheck": 10, "helgrind": 15, "drd": 15, "tsan": 8, "asan": 4, "ubsan": 4, "own": 2}
NEEDS = {"own": "gcc", "memcheck": "valgrind", "helgrind": "valgrind", "drd": "valgrind", "tsan": "clang",
         "asan": "gcc", "ubsan": "gcc", "fanalyzer": "gcc", "clang": "clang", "cppcheck": "cppcheck"}
ENV = {"GEE_TEST_SAYS": "1", "TSAN_OPTIONS": race.TSAN,
       "ASAN_OPTIONS": "detect_stack_use_after_return=0 fast_unwind_on_malloc=0 exitcode=0",
       "UBSAN_OPTIONS": "print_stacktrace=1"}


@dataclass
class Report:
    text: str
    places: list = field(default_factory=list)  # (path, line), or "census KIND"

    def __str__(self):
        at = next((p for p in self.places if isinstance(p, tuple)), None)
        return f"{self.text} at {at[0]}:{at[1]}" if at else self.text


def version(tool):
    program = {"fanalyzer": "gcc", "own": "gcc", "tsan": "clang", "asan": "gcc", "ubsan": "gcc"}.get(
        tool, NEEDS[tool])
    out = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True).stdout
    return out.splitlines()[0] if out else ""


def missing(tool):
    return "" if shutil.which(NEEDS[tool]) else f"{NEEDS[tool]} is not installed"


# --- how they are asked ---

def command(root, tool):
    """What stands in front of the program."""
    if tool == "memcheck":
        return ["valgrind", f"--fullpath-after={root}/", "--leak-check=full", "--track-fds=yes",
                "--show-leak-kinds=definite,possible", "--child-silent-after-fork=yes",
                "--error-limit=no", "--num-callers=30", f"--suppressions={race.ROOT}/tests/tools/libuv.supp"]
    return race.command(root, tool) if tool in ("helgrind", "drd") else []


def static_command(tool, path, flags):
    if tool == "fanalyzer":
        return ["gcc", *flags, "-std=c11", "-O1", "-fanalyzer", "-fdiagnostics-plain-output", "-c", path,
                "-o", "/dev/null"]
    if tool == "clang":
        return ["clang", *flags, "-std=c11", "--analyze", "--analyzer-output", "text", path]
    return ["cppcheck", "--std=c11", "--enable=warning,portability", "--inline-suppr", "--quiet",
            "--suppressions-list=tests/tools/cppcheck.txt", "--template={file}:{line}: warning: {message}",
            "-Icommon/include", "-Icommon/src", "-D__linux__", path]


# --- what they say ---

AT = re.compile(r"(?<![\w/])((?:ch\d\d-[\w-]+|common|tests)/[\w./-]+\.[ch]):(\d+)")


def places_in(text):
    return [(p, int(n)) for p, n in AT.findall(text)]


def own_reports(root, out):
    """The leak check, the census, what the runtime prints of tasks, deadlocks and wrong workers."""
    reports, seen = [], set()
    for line in out.splitlines():
        if line in seen:
            continue
        seen.add(line)
        m = re.match(r"own: (leak|left over): (.*)", line)
        if m and m[1] == "leak":
            reports.append(Report("leaked: " + m[2].split(" at ")[0], places_in(line)))
        elif m:
            reports.append(Report("left over: " + m[2],
                                  [f"census {k}" for k in re.findall(r"(\w+) \+\d", m[2])]))
        elif re.search(r"\ba [\w ]+ of worker \d+ is used from ", line):  # or of a child, told by the test
            reports.append(Report(re.search(r"\ba [\w ]+ of worker \d+ is used from .*", line)[0], ["worker"]))
        elif re.match(r"gee: left over: \w+ handle ", line):
            reports.append(Report(re.sub(r"0x\w+ ", "", line[5:]), ["census handles"]))
        elif re.match(r"  task \d+ \".*\" ", line):
            reports.append(Report("stays: " + line.split('"')[1], places_in(line)))
        m = re.match(r"census: \w+((?: \w+ -?\d+ -?\d+)+)$", line)
        left = [(k, int(n)) for k, n in re.findall(r"(\w+) -?\d+ (-?\d+)", m[1])] if m else []
        left = [(k, n) for k, n in left if n > 0]
        if left:
            reports.append(Report("left behind: " + ", ".join(f"{k} {n}" for k, n in left),
                                  [f"census {k}" for k, _ in left]))
    return reports


def frames(root, lines, pattern):
    """Of the stack that begins in these lines; it ends with the first that is no frame."""
    out, begun = [], False
    for line in lines:
        if re.match(r"^   (at|by) 0x|^    #\d+ ", line):
            begun = True
            m = pattern.match(line)
            path = m and race.in_tree(root, m["path"])
            out += [(path, int(m["line"]))] if path else []
        elif begun:
            break
    return out


def memcheck_reports(root, out):
    lines, reports = race.vg_lines(out), []
    for i, line in enumerate(lines):
        lost = re.search(r"([\d,]+) blocks are (definitely|possibly) lost in", line)
        bad = re.match(r"(Invalid (?:read|write|free)|Conditional jump|Use of uninit|Syscall param|Mismatched "
                       r"free|Source and dest|Jump to the invalid)", line)
        fd = re.match(r"Open (?:file descriptor|AF_\w+ socket) \d+: *(\S*)", line)
        if not (lost or bad or fd):
            continue
        places = frames(root, lines[i + 1:i + 40], race.VG_FRAME)
        if fd and not places:
            continue  # inherited
        text = (f"{lost[1]} blocks {lost[2]} lost" if lost else bad[1] if bad else
                "open at the end: " + re.sub("^/tmp/.*", "/tmp/...", fd[1]))
        reports.append(Report(text, places))
    return reports


ASAN_FRAME = re.compile(r"^    #\d+ 0x[0-9a-f]+ in \S+ (?P<path>[^:\s]+):(?P<line>\d+)")


def asan_reports(root, out):
    lines, reports = out.splitlines(), []
    for i, line in enumerate(lines):
        m = re.match(r"==\d+==ERROR: AddressSanitizer: (\S+)|(?:Direct|Indirect) leak of (\d+ byte)", line)
        if m:
            places = frames(root, lines[i + 1:i + 60], ASAN_FRAME)
            reports.append(Report(m[1] or f"leak of {m[2]}s", places))
    return reports


def ubsan_reports(root, out):
    return [Report(m[3], [(race.in_tree(root, m[1]) or m[1], int(m[2]))])
            for m in re.finditer(r"^([^:\s]+):(\d+):\d+: runtime error: (.*)", out, re.M)]


def static_reports(root, out):
    return [Report(m[3][:120], [(race.in_tree(root, m[1]) or m[1], int(m[2]))])
            for m in re.finditer(r"^([^:\s]+):(\d+)(?::\d+)?: (?:warning|error): (.*)", out, re.M)]


TSAN_FRAME = re.compile(r"^    #\d+ .*? (?P<path>[^:\s<(]+):(?P<line>\d+)")


def tsan_reports(root, out):
    """Of a race both accesses; of what is none, as a call in a handler of a signal, its stack."""
    texts = re.findall(r"^WARNING: ThreadSanitizer: (.*?) \(pid=\d+\)(.*?)^SUMMARY:", out, re.M | re.S)
    return [Report("a race", [a for a in accesses if a]) if accesses else
            Report(what, frames(root, text.splitlines(), TSAN_FRAME))
            for (what, text), accesses in zip(texts, race.tsan_reports(root, out))]


def race_reports(tool):
    def read(root, out):
        return [Report("a race", [a for a in accesses if a]) for accesses in race.REPORTS[tool](root, out)]
    return read


READ = {"own": own_reports, "memcheck": memcheck_reports, "asan": asan_reports, "ubsan": ubsan_reports,
        "tsan": tsan_reports, **{t: race_reports(t) for t in ("helgrind", "drd")},
        **{t: static_reports for t in STATIC}}
