#!/usr/bin/env python3
"""What the lessons show of a terminal, held against what the terminal shows.

A code block in a README that has lines with `$ ` is a transcript: each is run, and the lines
behind it are its output. `$ make serve-broken CH=01` (or serve-fixed, with CASE=, with
GEE_WORKERS=2 and the like in front) starts that server on a free port, for the rest of its
section, in place of the one before; what stands in a section in front of the first server is not
run. $PID in a command is the number that this server has printed. In a block of the kind ```server each line is one that this server has printed.

Times, ports, pids, addresses and the ids of tasks differ from run to run, and are not compared;
a line `...` stands for any lines, and ... in a line for any text. A command whose tool is not
installed is not run.

  transcripts.py [README...]            compares; the last line is `N passed, N failed`
  transcripts.py --renew [README...]    writes into the README what was seen (make transcripts)
"""

import concurrent.futures
import difflib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVE = re.compile(r"((?:[A-Z_]+=\w+ )*)make serve-(broken|fixed) CH=(\w+)(?: CASE=([\w-]+))?\s*&?$")
ALONE = re.compile(r"make -s census\b|ch03-races/stopped\.sh\b")  # needs no server
TOOLS = ((re.compile(r"\bgdb |stopped\.sh"), "gdb"), (re.compile(r"stopped\.sh"), "clang"))
SECONDS = 60  # that a command may take
VARIES = [(re.compile(p, re.M), to) for p, to in (
    (r"\b\d+\.\d+ s\b", "T s"), (r"\b\d+\.\d{4,}\b", "T"), (r"\b\d+\.\d+ ms\b", "T ms"),
    (r"\btask \d+ *", "task N "), (r"(127\.0\.0\.1|localhost):\d+", r"\1:P"),
    (r"\bhandles \d+ fds \d+", "handles N fds N"), (r"\bbytes \d+", "bytes N"),
    (r"0x[0-9a-f]+", "0xA"), (r"\[\d\d/\w{3}/\d{4}:[\d:]{8} \+0000\]", "[DATE]"), (r"^==\d+==", "==P=="), (r"\bpid \d+", "pid P"),
    (r"[ \t]+$", ""))]


def normal(line):
    for pattern, to in VARIES:
        line = pattern.sub(to, line)
    return line


def matches(expected, seen):
    """Lines against lines; `...` is any number of them."""
    if not expected:
        return not seen
    if expected[0].strip() == "...":
        return any(matches(expected[1:], seen[i:]) for i in range(len(seen) + 1))
    if not seen:
        return False
    parts = [re.escape(normal(p)) for p in expected[0].split("...")]
    return re.fullmatch(".*".join(parts), normal(seen[0])) is not None and \
        matches(expected[1:], seen[1:])


class Server:
    def __init__(self, settings, side, chapter, case):
        own = dict(s.split("=") for s in settings.split())
        self.log = tempfile.NamedTemporaryFile("w+", prefix="gee-transcript-")
        cmd = [sys.executable, "tests/tools/lesson.py", "serve", side, chapter]
        cmd += ["--case", case] if case else []
        self.process = subprocess.Popen(cmd, cwd=ROOT, env={**os.environ, **own, "PORT": "0"},
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        start, self.port = time.monotonic(), None
        while self.port is None and time.monotonic() - start < 180:
            time.sleep(0.05)
            found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.said())
            self.port = found and found.group(1)
            if self.process.poll() is not None:
                break
        if self.port is None:
            self.stop()
            raise RuntimeError(f"the server did not start:\n{self.said()}")

    def said(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Block:
    """Lines first .. last of the README, without the fences."""

    def __init__(self, kind, first, lines):
        self.kind, self.first, self.lines = kind, first, lines

    def commands(self):
        """(index of the command's line, command, expected lines)"""
        at = [i for i, line in enumerate(self.lines) if line.startswith("$ ")]
        for i, end in zip(at, at[1:] + [len(self.lines)]):
            yield i, self.lines[i][2:], self.lines[i + 1:end]


def sections(text):
    """Lists of the blocks of each section, for sections that start a server."""
    out, blocks, fence, lines = [], [], None, text.splitlines()
    for n, line in enumerate(lines):
        if fence is None and line.startswith("```"):
            fence = (line[3:].strip(), n + 1)
        elif fence is not None and line.startswith("```"):
            blocks.append(Block(fence[0], fence[1], lines[fence[1]:n]))
            fence = None
        elif fence is None and re.match(r"##? ", line):
            out.append(blocks)
            blocks = []
    out.append(blocks)
    return [s for s in out
            if any(SERVE.match(c) or ALONE.match(c) for b in s for _, c, _ in b.commands())]


def run(command, server):
    """What it prints; with & at its end it is another terminal, which nobody looks at."""
    if "/debug/" in command:
        time.sleep(1.1)  # as long as a person needs to type it: connections linger for a second
    if server:
        command = re.sub(r"\$PID\b", str(server.process.pid), command)
        command = re.sub(r"localhost([:/])8080", rf"localhost\g<1>{server.port}", command)
    if command.rstrip().endswith("&"):
        subprocess.Popen(["timeout", str(SECONDS), "sh", "-c", command.rstrip()[:-1]], cwd=ROOT,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        return []
    p = subprocess.run(["sh", "-c", command], cwd=ROOT, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
    return p.stdout.decode(errors="replace").replace("\r", "").splitlines()


def trimmed(lines):
    lines = list(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def not_said(block, server):
    """The lines that the server has not printed; it may write its log behind an answer."""
    for _ in range(20):
        said = server.said().splitlines()
        missing = [line for line in block.lines if line.strip() != "..." and
                   not any(matches([line], [s]) for s in said)]
        if not missing:
            break
        time.sleep(0.1)
    return missing


def follow(blocks):
    """Runs a section: (passed, [what was wrong], {first line: (number of lines, new lines)})"""
    server, passed, wrong, renewed = None, 0, [], {}
    try:
        for block in blocks:
            if block.kind == "server" and server:
                missing = not_said(block, server)
                passed += not missing
                if missing:
                    new = excerpt(block.lines, [s.rstrip() for s in server.said().splitlines()],
                                  False)
                    renewed[block.first] = (len(block.lines), new)
                wrong += [(block.first, f"the server did not print:\n  {line}") for line in missing]
            for i, command, expected in block.commands():
                serve = SERVE.match(command)
                if serve:
                    if server:
                        server.stop()
                    server = Server(*serve.groups())
                    time.sleep(0.2)
                    continue
                if server is None and not ALONE.match(command):
                    continue
                if any(uses.search(command) and not shutil.which(t) for uses, t in TOOLS):
                    continue
                seen = run(command, server)
                if matches(trimmed(expected), trimmed(seen)):
                    passed += 1
                    continue
                diff = difflib.unified_diff([normal(l) for l in trimmed(expected)],
                                            [normal(l) for l in trimmed(seen)],
                                            "in the README", "seen", lineterm="")
                wrong.append((block.first + i, f"$ {command}\n" + "\n".join(diff)))
                blank = expected[len(trimmed(expected)):]
                whole = not any(line.strip() == "..." for line in expected)
                new = excerpt(trimmed(expected), [s.rstrip() for s in trimmed(seen)], whole)
                renewed[block.first + i + 1] = (len(expected), new + blank)
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        wrong.append((blocks[0].first, str(e)))
    finally:
        if server:
            server.stop()
    return passed, wrong, renewed


def excerpt(expected, seen, whole):
    """What stands in the README for an excerpt stays one, if only lines of sources have moved."""
    def moved(line):
        return re.sub(r"\.c:\d+", ".c:L", normal(line))
    rest = iter(seen)  # each is found behind the one before it
    found = [line if line.strip() == "..." else
             next((s for s in rest if moved(s) == moved(line)), None) for line in expected]
    return seen if None in found or (whole and len(found) != len(seen)) else found


def renew(path, changes):
    lines = path.read_text().splitlines()
    for first in sorted(changes, reverse=True):
        n, new = changes[first]
        lines[first:first + n] = new
    path.write_text("\n".join(lines) + "\n")


def main(argv):
    renewing = "--renew" in argv
    names = [a for a in argv if a != "--renew"]
    paths = [pathlib.Path(n).resolve() for n in names] or \
        [ROOT / "README.md", *sorted(ROOT.glob("ch[0-9][0-9]-*/*.md"))]
    jobs = [(p, s) for p in paths for s in sections(p.read_text())]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda job: follow(job[1]), jobs))
    passed = failed = 0
    for path in paths:
        own = [r for (p, _), r in zip(jobs, results) if p == path]
        passed += sum(r[0] for r in own)
        for _, wrong, _ in own:
            for line, what in wrong:
                print(f"{path.relative_to(ROOT)}:{line + 1}: {what}", flush=True)
        changes = {k: v for _, _, renewed in own for k, v in renewed.items()}
        if renewing and changes:
            renew(path, changes)
            print(f"{path.relative_to(ROOT)}: {len(changes)} outputs renewed")
        failed += sum(len(r[1]) for r in own)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed and not renewing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
