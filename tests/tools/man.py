#!/usr/bin/env python3
"""The reference: man pages (mdoc) made from the public headers, which say it all.

A header gives one page, gee_req.3 of gee/req.h, and each call that it declares one
more, which only refers to it, so that `man gee_body` finds what belongs together.
gee.7 is the overview. A header is read as this project writes it: an essay on top,
`/* --- sections --- */`, and blocks of a comment and the declarations below it.

  man.py DIRECTORY       writes DIRECTORY/man3/*.3 and DIRECTORY/man7/gee.7
"""

import datetime
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "common" / "include" / "gee"
OTLP_CURL = ROOT / "common" / "otlp-curl" / "gee" / "otlp_curl.h"
SECTION = re.compile(r"/\* --- (.*?) --- \*/")
# Where a comment begins to say what comes back: with a sentence.
RETURNS = re.compile(r"(?:\A|(?<=[.:]\s)|(?<=\n\n)|(?<=; )(?=NULL)) *"
                     r"(?:0[,:.]|0$|0 |> 0|NULL[:,]|NULL if|NULL when|Returns |True|False|UV_E\w+[,:]"
                     r"|The number of )", re.M)


class Block:
    """Declarations and what is said of them."""

    def __init__(self, comment, code, section):
        self.comment, self.code, self.section = comment, code, section
        self.calls = calls_of(code)

    def returns(self, results):
        """Pairs of names and what is said of their results: behind one, or over them all."""
        rest = [c.name for c in self.calls if (c.macro or not c.name.endswith("_at")) and
                not results.get(c.result, c.result).endswith("void")]
        for m in re.finditer(r"(gee_\w+)\([^;{}]*\);\s*?(/\*.*?\*/)", self.code, re.S):
            said = unwrap(m[2])
            if (at := RETURNS.search(said)) and m[1] in rest:
                rest.remove(m[1])
                yield [m[1]], said[at.start():]
        if rest and (at := RETURNS.search(self.comment)):
            yield rest, self.comment[at.start():]


class Call:
    def __init__(self, name, result, args, macro=False):
        self.name, self.result, self.args, self.macro = name, result, args, macro


def unwrap(comment):
    """The text of a comment without its frame of stars."""
    lines = comment.strip()[2:-2].split("\n")
    return "\n".join(re.sub(r"^ \* ?", "", l).rstrip() for l in lines).strip("\n").strip(" ")


def split_args(text):
    args, depth, at = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            args.append(text[at:i])
            at = i + 1
    return [" ".join(a.split()) for a in [*args, text[at:]]]


def calls_of(code):
    """Functions and function-like macros, in their order. A macro gives what the function
    does that it calls."""
    bare = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    calls = {}
    for m in re.finditer(r"^#define (gee_\w+)\(([^)]*)\)\s*\\?\s*(\w*)", bare, re.M):
        calls[m[1]] = Call(m[1], m[3], split_args(m[2]), macro=True)
    text = re.sub(r"^#(?:.*\\\n)*.*", "", bare, flags=re.M)
    text = re.sub(r"\{[^{}]*\}", "", re.sub(r"\{[^{}]*\}", "", text))
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)\)?(?=\s*;)", "", text, flags=re.S)
    for statement in text.split(";"):
        statement = " ".join(statement.split())
        m = re.match(r"(?!typedef)([\w ]+?[ *]+)(gee_\w+)\((.*)\)$", statement)
        if m:
            calls[m[2]] = Call(m[2], m[1].strip(), split_args(m[3]))
    return list(calls.values())


class Header:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        text = path.read_text()
        m = re.match(r"\s*(/\*.*?\*/)", text, re.S)
        self.essay = unwrap(m[1])
        body = text[m.end():]
        body = re.sub(r"^#(?:ifndef|define|endif|include)\b(?! gee_|.*[\\({\-]| GEE_\w+ \S).*\n?", "",
                      body, flags=re.M)
        self.blocks = list(self.parse(body))
        self.calls = [c for b in self.blocks for c in b.calls]

    @staticmethod
    def parse(body):
        section, comment, code = "", "", []
        lines = body.split("\n") + [""]
        i = 0
        while i < len(lines):
            line = lines[i]
            if line.startswith("/*"):  # of its own: what was before has ended
                if code:
                    yield Block(comment, "\n".join(code), section)
                whole = line
                while "*/" not in whole:
                    i += 1
                    whole += "\n" + lines[i]
                comment, code = unwrap(whole), []
                if m := SECTION.fullmatch(whole.strip()):
                    section, comment = m[1], ""
            elif line == "" and (not code or balanced("\n".join(code))):
                if code or (comment and i + 1 < len(lines)):
                    yield Block(comment, "\n".join(code), section)
                comment, code = "", []
            else:
                code.append(line)
            i += 1


def balanced(code):
    bare = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    return bare.count("{") == bare.count("}") and "/*" not in bare


# --- mdoc ---


def escape(text):
    text = text.replace("\\", "\\e")
    return "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)


def line(text):
    """A line of text: nothing in it is a request."""
    text = escape(text)
    return "\\&" + text if text[:1] in (".", "'") else text


def sentences(text):
    """mdoc wants each to begin a line."""
    return [line(s) for s in re.sub(r"([.!?][)\]\"']*) +", r"\1\n", text).split("\n")]


def literal(text, offset=""):
    lines = text.strip("\n").split("\n")
    return [".Bd -literal" + offset, *map(line, lines), ".Ed"]


def macro_arg(text):
    return '"' + escape(text).replace('"', "\\(dq") + '"'


def paragraphs(text):
    """Prose filled; what is indented stands as it is."""
    out = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        out.append(".Pp")
        run, kept = [], []
        for l in paragraph.split("\n") + [""]:
            if l.startswith("  "):
                kept.append(l)
                continue
            if kept:
                out += literal("\n".join(kept))
                kept = []
            if l:
                out += sentences(l.strip())
    while out and out[-1] == ".Pp":
        out.pop()
    return out


def prototype(call, results):
    kind = call.result if not call.macro else results.get(call.result, "")
    args = [a for a in call.args if a]
    return [*([f".Ft {macro_arg(kind)}"] if kind else []), f".Fo {call.name}",
            *(f".Fa {macro_arg(a)}" for a in args), ".Fc"]


def summary(essay):
    first = re.split(r"(?<=[.:;]) |(?<=[.:;])\n|\n\s*\n", essay)[0]
    first = " ".join(first.split()).rstrip(".:;")
    return first if first[1:2].isupper() else first[:1].lower() + first[1:]


def lead(paragraph_lines):
    """Without the .Pp that would follow a heading."""
    return paragraph_lines[1:] if paragraph_lines[:1] == [".Pp"] else paragraph_lines


def date_of(path):
    when = int(os.environ.get("SOURCE_DATE_EPOCH", path.stat().st_mtime))
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%B %-d, %Y")


def head(path, title, section):
    return [f".\\\" Made by tests/tools/man.py from {path.relative_to(ROOT)}.",
            f".Dd {date_of(path)}", f".Dt {title} {section}", ".Os"]


def description(header):
    out = lead(paragraphs(header.essay))
    section = ""
    for b in header.blocks:
        if b.section != section:
            section = b.section
            out.append(f".Ss {line(section[:1].upper() + section[1:])}")
        if b.code:
            out += literal(b.code)
        if b.comment:
            out += paragraphs(b.comment) if b.code else [".Pp", *lead(paragraphs(b.comment))]
    return out


def returns(header, results):
    out = []
    for names, said in (pair for b in header.blocks for pair in b.returns(results)):
        out.append(".It " + " , ".join(f"Fn {n}" for n in names))
        out += lead(paragraphs(said))
    if not out:
        return []
    return [".Sh RETURN VALUES", "Errors are negative", ".Dv UV_E*", "codes, which",
            ".Xr gee 7", "explains.", ".Bl -tag -width Ds", *out, ".El"]


def page(header, name, results, others):
    names = list(dict.fromkeys(c.name for c in header.calls)) or [name]
    nm = [f".Nm {n} ," for n in names[:-1]] + [f".Nm {names[-1]}"]
    out = [*head(header.path, name.upper(), 3), ".Sh NAME", *nm, f".Nd {line(summary(header.essay))}",
           ".Sh LIBRARY", "libgee-otlp (pkg-config gee-otlp)" if header.path == OTLP_CURL else
           "libgee (pkg-config gee)", ".Sh SYNOPSIS", f".In gee/{header.path.name}"]
    for c in header.calls:
        out += prototype(c, results)
    out += [".Sh DESCRIPTION", *description(header), *returns(header, results), ".Sh SEE ALSO"]
    out += see_also([n for n in others if n != name], ("gee", 7))
    return text_of(out)


def text_of(lines):
    """What begins with space of its own wants no paragraph before it."""
    follows = [*lines[1:], ""]
    return "".join(l + "\n" for l, after in zip(lines, follows)
                   if l != ".Pp" or not after.startswith((".Bd", ".Bl", ".Sh", ".Ss", ".Pp", ".It")))


def see_also(names, last=None):
    refs = [(n, 3) for n in sorted(names)] + ([last] if last else [])
    return [f".Xr {n} {s}" + (" ," if i + 1 < len(refs) else "") for i, (n, s) in enumerate(refs)]


def overview(headers, names):
    readme = (ROOT / "README.md").read_text()
    about = re.search(r"^(A web framework.*?\))", readme, re.S | re.M)
    environment = re.search(r"^### The environment\n(.*?)^#", readme, re.S | re.M)
    hello = ROOT / "common" / "examples" / "hello.c"
    out = [*head(INCLUDE / "gee.h", "GEE", 7), ".Sh NAME", ".Nm gee",
           ".Nd a web framework in C with goroutine-like tasks", ".Sh SYNOPSIS", ".In gee/gee.h",
           ".Pp", ".Dl cc -std=c11 server.c $(pkg-config --cflags --libs gee)", ".Sh DESCRIPTION"]
    out += lead(paragraphs(about[1].strip() + ".") if about else [])
    out += [".Pp", "Each header has a page, and each call has that of its header:",
            ".Bl -tag -width Ds"]
    for h in headers:
        out += [f".It Xr {names[h.name]} 3", line(f"<gee/{h.path.name}>: {summary(h.essay)}.")]
    out += [".El"]
    if environment:
        rows = re.findall(r"^\| (`.*?) \| (.*) \|$", environment[1].replace("\\|", "|"), re.M)
        out += [".Sh ENVIRONMENT", ".Bl -tag -width Ds"]
        for variables, meaning in rows:
            out += [".It Ev " + " ".join(re.findall(r"`(\w+)`", variables)), line(meaning + ".")]
        out += [".El"]
    out += [".Sh EXAMPLES", *literal(hello.read_text()), ".Sh DIAGNOSTICS",
            "A call that can fail returns 0, or a negative code of libuv's:", ".Fn uv_strerror",
            "and", ".Fn uv_err_name", "say what it means.", ".Sh SEE ALSO"]
    return text_of(out + see_also(names[h.name] for h in headers))


def main(argv):
    if len(argv) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    out3, out7 = pathlib.Path(argv[0]) / "man3", pathlib.Path(argv[0]) / "man7"
    headers = [Header(p) for p in sorted([*INCLUDE.glob("*.h"), OTLP_CURL]) if p.name != "gee.h"]
    owner = {c.name: h for h in headers for c in h.calls}
    results = {c.name: c.result for h in headers for c in h.calls if not c.macro}
    # gee_run is declared by gee/run.h or by none; otherwise the call has the name.
    names = {h.name: f"gee_{h.name}" if owner.get(f"gee_{h.name}", h) is h else f"gee_{h.name}.h"
             for h in headers}
    for d in (out3, out7):
        d.mkdir(parents=True, exist_ok=True)
        for old in d.iterdir():
            old.unlink()
    for h in headers:
        (out3 / f"{names[h.name]}.3").write_text(page(h, names[h.name], results, names.values()))
    for call, h in owner.items():
        if call != names[h.name]:
            (out3 / f"{call}.3").write_text(f".so man3/{names[h.name]}.3\n")
    (out7 / "gee.7").write_text(overview(headers, names))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
