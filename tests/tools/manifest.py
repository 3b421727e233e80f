"""The manifests of the chapters: chNN-name/cases.ini, a section for each case.

    unit       the source under common/src that the case replaces: web/sse.c
    test       the cmocka test, or several, in the chapter's test_*.c
    symptom    a line for the learner
    signature  a regular expression; each failing test's output must have it (one for
               each test, on lines of their own, or one for all)
    decoys     the names of files in decoys/, without .c
    NAME.signature, NAME.why     of each decoy; the first test is what rejects it
    seconds    what a test may take; 20 if it is not there

A test program of a chapter that no case names belongs to the chapter as a whole: `make test`
runs it over the repaired chapter.

A manifest with a key too many, one too few, or a file that is not there is an
error: a lesson that is half described is not a lesson.
"""

import configparser
import pathlib
import re
from dataclasses import dataclass, field

KEYS = {"unit", "test", "symptom", "signature", "decoys", "seconds"}
REQUIRED = {"unit", "test", "symptom", "signature", "decoys"}


class ManifestError(Exception):
    pass


@dataclass
class Decoy:
    name: str
    signature: str
    why: str


@dataclass
class Case:
    chapter: str
    name: str
    unit: str
    tests: list
    signatures: list
    symptom: str
    program: str  # test_leaks, without .c
    seconds: int
    decoys: list = field(default_factory=list)

    @property
    def unit_name(self):
        return pathlib.Path(self.unit).name


def chapters(root):
    return sorted(p.parent.name for p in root.glob("ch[0-9][0-9]-*/cases.ini"))


def pick_chapters(root, wanted):
    """ch01-leaks, ch01, 01 and 1 all name the first; nothing names all."""
    have = chapters(root)
    if not have:
        raise ManifestError("there is no chapter here: no chNN-name/cases.ini")
    if not wanted:
        return have
    digits = re.fullmatch(r"(?:ch)?0*(\d+)", wanted)
    found = [c for c in have if c == wanted or (digits and int(c[2:4]) == int(digits.group(1)))]
    if not found:
        raise ManifestError(f"no chapter {wanted}; there are: {', '.join(have)}")
    return found


def _check_regex(where, text):
    try:
        re.compile(text)
    except re.error as e:
        raise ManifestError(f"{where}: not a regular expression: {e}") from None


def _case(root, chapter, name, section):
    where = f"{chapter}/cases.ini [{name}]"
    decoys = section.get("decoys", "").split()
    known = KEYS | {f"{d}.{k}" for d in decoys for k in ("signature", "why")}
    missing = sorted((REQUIRED | (known - KEYS)) - set(section))
    unknown = sorted(set(section) - known)
    if missing or unknown:
        raise ManifestError(where + "".join(f": {k} is missing" for k in missing) +
                            "".join(f": {k} is not a key" for k in unknown))
    tests = section["test"].split()
    signatures = section["signature"].strip().splitlines()
    if len(signatures) == 1:
        signatures *= len(tests)
    if not tests or len(signatures) != len(tests):
        raise ManifestError(f"{where}: {len(tests)} tests and {len(signatures)} signatures")
    for s in signatures:
        _check_regex(where, s)
    for d in decoys:
        _check_regex(f"{where} {d}", section[f"{d}.signature"])
    program = [p for p in sorted((root / chapter).glob("test_*.c"))
               if re.search(rf"\b{re.escape(tests[0])}\b", p.read_text())]
    if len(program) != 1:
        raise ManifestError(f"{where}: {tests[0]} is in {len(program)} of the chapter's test_*.c")
    case = Case(chapter, name, section["unit"], tests, signatures, section["symptom"],
                program[0].stem, int(section.get("seconds", "20")),
                [Decoy(d, section[f"{d}.signature"], section[f"{d}.why"]) for d in decoys])
    _check_files(root, where, case)
    return case


def _check_files(root, where, case):
    final = root / "common" / "src" / case.unit
    here = root / case.chapter
    for path in (final, here / "broken" / case.unit_name,
                 *(here / "decoys" / f"{d.name}.c" for d in case.decoys)):
        if not path.is_file():
            raise ManifestError(f"{where}: {path.relative_to(root)} is not there")
    link = here / "fixed" / case.unit_name
    if not link.is_symlink() or link.resolve() != final.resolve():
        raise ManifestError(f"{where}: {link.relative_to(root)} is not a link to the final unit")


def load(root, chapter):
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    try:
        parser.read_string((root / chapter / "cases.ini").read_text(), f"{chapter}/cases.ini")
    except configparser.Error as e:
        raise ManifestError(str(e).replace("\n", " ")) from None
    return [_case(root, chapter, name, dict(parser[name])) for name in parser.sections()]


def caseless(root):
    """The chapters' test programs that are no case's, as chNN-x/test_T: they only have to pass."""
    for chapter in chapters(root):
        of_cases = {c.program for c in load(root, chapter)}
        for path in sorted((root / chapter).glob("test_*.c")):
            if path.stem not in of_cases:
                yield f"{chapter}/{path.stem}"


def select(root, chapter, case):
    """The cases of the chapters that were asked for."""
    have = [c for name in pick_chapters(root, chapter) for c in load(root, name)]
    if case:
        found = [c for c in have if c.name == case]
        if not found:
            raise ManifestError(f"no case {case}; there are: {', '.join(c.name for c in have)}")
        return found
    if not have:
        raise ManifestError("there is no case here")
    return have
