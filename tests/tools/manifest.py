"""The manifests of the chapters: chNN-name/cases.ini, a section for each case.

    unit       the source under common/src that the case replaces: web/sse.c
    test       the cmocka test, or several, in the chapter's test_*.c
    symptom    a line for the learner
    signature  a regular expression; each failing test's output must have it (one for
               each test, on lines of their own, or one for all)
    decoys     the names of files in decoys/, without .c
    NAME.signature, NAME.why     of each decoy; the first test is what rejects it
    seconds    what a test may take; 20 if it is not there
    work       programs of tests/common that say what the unit is for: a learner's repair has to
               pass them, and not to cost more there than the final unit does (mine.py)
    program    the test program, without .c; found by the name of its first test where it is not there
    lines      N WHY: the repair may change N lines of code, and why 30 do not do
    common     the tests of common that this defect makes fail as well (staircase.py); a line is
               test_P:test_name, or several, and behind ": " why. " unless CASE" in front of that: where
               that case is broken too, they do not fail. "perhaps " in front of all: the defect makes them
               fail now and then, so they are not asked where it is

For the matrix of tools (matrix.py), what each of them is to see. TP is only what one reports here:

    kind       a section of tests/tools/matrix.ini: why tools do not see defects of this kind. A
               case without it is not in the matrix
    sites      where the defect is, or where what it leaves behind was made: places as below, one a
               line; a place may be many lines. "census KIND" is something that is left over
               and that the framework counts, "worker" a thing of one worker used from another.
               Without it, the lines of `race`
    fn.TOOL    why this tool does not see this case; it must be so
    NAME.sites           of a decoy; without it those of the case, in the decoy

A test program of a chapter that no case names belongs to the chapter as a whole: `make test`
runs it over the repaired chapter.

For a case about races, what tools must say of it (race.py). A pair of accesses is two places, a
place is PATH /REGEX/ or PATH:FUNCTION /REGEX/: those lines of the file, or of that function in it,
that match. PATH begins in the chapter, or is common/src/...; with * in it, many files. Lines are
found anew in each run, so nothing drifts.

    race       the pairs that are the defect, one a line; each place is one line. At least one of
               them must be reported, or it is not the defect that was found. "none: REASON": it is
               no data race, and no tool may report one
    race.also  more pairs that may be reported beside these, and are consequences; a place may
               be many lines. A report of anything else is a false one
    race.one   the test in which the racers are tasks of one worker, for TSan; or n/a REASON
    race.two   the test in which they are on two workers, for TSan, Helgrind and DRD; or n/a REASON
    race.tsan, race.helgrind, race.drd    n/a REASON: this tool is not asked
    NAME.race, NAME.race.also             of each decoy; "as broken": the same lines, in the decoy
    NAME.race.tsan, …                     n/a REASON: this tool is not asked of this decoy

In a chapter in which a case has `race`, all have it.

In a pack of the workshop what a learner should not read by accident is one key, `sealed`: the
signatures, the decoys and why they are wrong, `common` of the tests of `work` (seal()).

A manifest with a key too many, one too few, or a file that is not there is an
error: a lesson that is half described is not a lesson.
"""

import base64
import configparser
import json
import pathlib
import re
import zlib
from dataclasses import dataclass, field

KEYS = {"unit", "test", "symptom", "signature", "decoys", "seconds", "lines", "common", "kind", "sites", "work", "program"}
TOOLS = ("own", "memcheck", "helgrind", "drd", "tsan", "asan", "ubsan", "fanalyzer", "clang", "cppcheck")
RACE_KEYS = {"race", "race.also", "race.one", "race.two", "race.tsan", "race.helgrind",
             "race.drd"}
RACE_TOOLS = ("tsan", "helgrind", "drd")
PLACE = re.compile(r"(?P<path>[\w./*-]+)(?::(?P<function>\w+))? /(?P<regex>(?:[^/\\]|\\.)+)/")
REQUIRED = {"unit", "test", "symptom", "signature", "decoys"}


class ManifestError(Exception):
    pass


@dataclass
class Decoy:
    name: str
    signature: str
    why: str


@dataclass
class Place:
    """Lines of the tree: (path, number)."""
    lines: set

    def __contains__(self, at):
        return at in self.lines


@dataclass
class Races:
    """What may be said of one variant: pairs of places. none: why there is no race in it."""
    pairs: list = field(default_factory=list)
    also: list = field(default_factory=list)
    none: str = ""
    why_not: dict = field(default_factory=dict)  # a tool: the reason for n/a, here alone


@dataclass
class RaceSpec:
    one: str
    two: str
    why_not: dict   # "one", "two" or a tool: the reason for n/a
    variants: dict  # "broken" or a decoy: its Races


@dataclass
class Named:
    """What is said of a test of common."""
    why: str
    perhaps: bool = False
    unless: str = ""  # a case


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
    work: list
    decoys: list = field(default_factory=list)
    race: RaceSpec = None
    lines: int = 30  # of code that a repair may change
    kind: str = ""
    sites: dict = field(default_factory=dict)  # "broken" or a decoy: lines, or "census KIND"
    fn: dict = field(default_factory=dict)     # a tool: why it does not see it
    common: dict = field(default_factory=dict)  # test_P:test_name: Named

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


def _seconds(where, text):
    if not re.fullmatch(r"[1-9]\d*", text):
        raise ManifestError(f"{where}: seconds is a number of them, not {text}")
    return int(text)


def _lines(where, text):
    m = re.fullmatch(r"([1-9]\d*) \S.*", text)
    if not m:
        raise ManifestError(f"{where}: lines is a number of them, and why, not {text}")
    return int(m[1])


NAMED = re.compile(r"(?P<perhaps>perhaps )?(?P<tests>test_\w+:\w+(?: test_\w+:\w+)*)(?: unless (?P<unless>[\w-]+))?: "
                   r"(?P<why>\S.*)")


def _common(where, text):
    out = {}
    for line in text.strip().splitlines():
        m = NAMED.fullmatch(line.strip())
        if not m:
            raise ManifestError(f"{where}: common: not TESTS: WHY: {line.strip()}")
        out.update(dict.fromkeys(m["tests"].split(), Named(m["why"], bool(m["perhaps"]), m["unless"] or "")))
    return out


def _program(root, where, chapter, test):
    found = [p for p in sorted((root / chapter).glob("test_*.c"))
             if re.search(rf"\b{re.escape(test)}\b", p.read_text())]
    if len(found) != 1:
        raise ManifestError(f"{where}: {test} is in {len(found)} of the chapter's test_*.c")
    return found[0].stem


def seal(value):
    """Against reading by accident, not by intent."""
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


def unseal(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))


def _case(root, chapter, name, section):
    where = f"{chapter}/cases.ini [{name}]"
    if "sealed" in section and is_pack(root):
        section |= unseal(section.pop("sealed"))
    decoys = section.get("decoys", "").split()
    needed = REQUIRED | {f"{d}.{k}" for d in decoys for k in ("signature", "why")}
    known = KEYS | needed | {f"fn.{t}" for t in TOOLS} | {f"{d}.sites" for d in decoys}
    if "race" in section:
        needed |= {"race.one", "race.two", *(f"{d}.race" for d in decoys)}
        known |= RACE_KEYS | needed | {f"{d}.race.{k}" for d in decoys
                                       for k in ("also", *RACE_TOOLS)}
    missing = sorted(needed - set(section))
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
    program = section.get("program") or _program(root, where, chapter, tests[0])
    case = Case(chapter, name, section["unit"], tests, signatures, section["symptom"],
                program, _seconds(where, section.get("seconds", "20")),
                section.get("work", "").split(),
                [Decoy(d, section[f"{d}.signature"], section[f"{d}.why"]) for d in decoys],
                common=_common(where, section.get("common", "")))
    _check_files(root, where, case)
    if "race" in section:
        case.race = _race(root, where, case, section)
    case.lines = _lines(where, section.get("lines", "30 as always"))
    case.kind = section.get("kind", "")
    case.fn = {t: section[f"fn.{t}"] for t in TOOLS if f"fn.{t}" in section}
    case.sites = _sites(root, where, case, section)
    return case


# --- where tools are to find it ---

def _site_set(root, where, chapter, text):
    out = set()
    for line in text.strip().splitlines():
        line = line.strip()
        m = PLACE.fullmatch(line)
        if m:
            out |= _place(root, where, chapter, m, False).lines
        elif re.fullmatch(r"census \w+|worker", line):
            out.add(line)
        else:
            raise ManifestError(f"{where}: sites: not a place: {line}")
    return out


def _sites(root, where, case, section):
    """Of each variant. A place in the broken unit is looked for in a decoy as well."""
    sites, text = {}, section.get("sites", "")
    for variant in ("broken", *(d.name for d in case.decoys)):
        if text:
            own = section.get(f"{variant}.sites") or (
                text if variant == "broken" else
                text.replace(f"broken/{case.unit_name}", f"decoys/{variant}.c"))
            sites[variant] = _site_set(root, f"{where} {variant}", case.chapter, own)
        elif case.race:
            races = case.race.variants[variant]
            sites[variant] = set().union(*(p.lines for pair in races.pairs for p in pair))
        else:
            sites[variant] = set()
    return sites


# --- the accesses that race ---

def _function_lines(lines, name):
    """The numbers of the lines of that function; clang-format leaves its end in the first column."""
    head = re.compile(rf"[\w].*\b{name}\(")
    for i, line in enumerate(lines):
        if head.match(line) and not line.rstrip().endswith(";"):
            end = next((j for j in range(i, len(lines)) if lines[j].startswith("}")), len(lines))
            return range(i, end)
    return range(0)


def _place(root, where, chapter, m, exact):
    path = m["path"] if m["path"].startswith("common/") else f"{chapter}/{m['path']}"
    files = sorted(root.glob(path))
    if not files:
        raise ManifestError(f"{where}: {path} is not there")
    _check_regex(where, m["regex"])
    found = set()
    for file in files:
        lines = file.read_text().splitlines()
        among = _function_lines(lines, m["function"]) if m["function"] else range(len(lines))
        found |= {(str(file.relative_to(root)), i + 1) for i in among
                  if re.search(m["regex"], lines[i])}
    if not found or (exact and len(found) != 1):
        raise ManifestError(f"{where}: /{m['regex']}/ is {len(found)} lines of {path}" +
                            (f", {m['function']}()" if m["function"] else ""))
    return Place(found)


def _pairs(root, where, chapter, text, exact):
    pairs = []
    for line in text.strip().splitlines():
        places = list(PLACE.finditer(line))
        if len(places) != 2 or PLACE.sub("", line).strip():
            raise ManifestError(f"{where}: not two places: {line.strip()}")
        pairs.append(tuple(_place(root, where, chapter, m, exact) for m in places))
    return pairs


def _races(root, where, chapter, text, also):
    if text.startswith("none:"):
        if also:
            raise ManifestError(f"{where}: no race, and pairs that may be reported")
        return Races(none=text[5:].strip())
    return Races(_pairs(root, where, chapter, text, True),
                 _pairs(root, where, chapter, also, False))


def _race(root, where, case, section):
    why_not, tests = {}, {}
    source = (root / case.chapter / f"{case.program}.c").read_text()
    for key in ("one", "two", *RACE_TOOLS):
        text = section.get(f"race.{key}", "")
        if text.startswith("n/a "):
            why_not[key] = text[4:]
        elif key in RACE_TOOLS and text:
            raise ManifestError(f"{where}: race.{key} is n/a and a reason, or nothing")
        elif text and not re.search(rf"\b{re.escape(text)}\b", source):
            raise ManifestError(f"{where}: race.{key}: {text} is not in {case.program}.c")
        tests[key] = text
    variants = {"broken": _races(root, where, case.chapter, section["race"],
                                 section.get("race.also", ""))}
    for d in case.decoys:
        text, also = section[f"{d.name}.race"], section.get(f"{d.name}.race.also", "")
        if text == "as broken":
            def here(t):
                return t.replace(f"broken/{case.unit_name}", f"decoys/{d.name}.c")
            text, also = here(section["race"]), here(section.get("race.also", "")) + "\n" + also
        variants[d.name] = _races(root, f"{where} {d.name}", case.chapter, text, also)
        for tool in RACE_TOOLS:
            reason = section.get(f"{d.name}.race.{tool}", "")
            if reason and not reason.startswith("n/a "):
                raise ManifestError(f"{where}: {d.name}.race.{tool} is n/a and a reason, or nothing")
            if reason:
                variants[d.name].why_not[tool] = reason[4:]
    return RaceSpec(tests["one"], tests["two"], why_not, variants)


def is_pack(root):
    """A workshop's tree for participants (pack.py): it has no answers, and of the rest objects."""
    return (root / "pack.json").is_file()


def _check_files(root, where, case):
    if is_pack(root):
        return
    final = root / "common" / "src" / case.unit
    here = root / case.chapter
    for path in (final, here / "broken" / case.unit_name,
                 *(here / "decoys" / f"{d.name}.c" for d in case.decoys)):
        if not path.is_file():
            raise ManifestError(f"{where}: {path.relative_to(root)} is not there")
    for program in case.work:
        if not (root / "tests/common" / f"{program}.c").is_file():
            raise ManifestError(f"{where}: work: there is no tests/common/{program}.c")
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
    cases = [_case(root, chapter, name, dict(parser[name])) for name in parser.sections()]
    without = [c.name for c in cases if c.race is None]
    if without and len(without) < len(cases):
        raise ManifestError(f"{chapter}/cases.ini: race is missing: {', '.join(without)}")
    _check_strangers(root, chapter, cases)
    return cases


def _check_strangers(root, chapter, cases):
    """What lies in broken/ is linked: nothing may be there that no case vouches for."""
    named = {"broken": {c.unit_name for c in cases}, "fixed": {c.unit_name for c in cases},
             "decoys": {f"{d.name}.c" for c in cases for d in c.decoys}}
    for folder, names in named.items():
        for path in sorted((root / chapter / folder).glob("*.c")):
            if path.name not in names:
                raise ManifestError(f"{chapter}/{folder}/{path.name} is no case's")


def caseless(root, wanted=None):
    """The chapters' test programs that are no case's, as chNN-x/test_T: they only have to pass."""
    for chapter in pick_chapters(root, wanted):
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
