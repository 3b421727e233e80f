"""What the workshop keeps: hints and questions, as the chapter has them, and how far a learner is.

The hints of a chapter are in chNN-x/hints.md: a section for each case, three items in each. Its
questions are the items under `### Questions` in the README; a learner's answers go
to exercise/answers/, a file for each section. How far one is stands in exercise/progress.json:
for each case the last verdict, how many hints were shown, and for how long one was at it.
"""

import json
import re
import time

import manifest

HINTS = 3
AWAY_S = 15 * 60  # who does nothing for longer than that is not at it
PLACEHOLDER = "(your answer)"


def sections(text):
    """{heading: text} of the `## ` sections."""
    parts = re.split(r"^## (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def subsection(text, heading):
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^### |\Z)", text, re.M | re.S)
    return found[1].strip() if found else ""


def items(text):
    """Of a numbered list: each as one line."""
    return [" ".join(i.split()) for i in
            re.findall(r"^\d+\. (.*?)(?=^\d+\. |^\S|\Z)", text + "\n", re.M | re.S)]


def hints(root, case):
    sealed, path = (root / case.chapter / f"hints.{kind}" for kind in ("sealed", "md"))
    if sealed.is_file():
        return manifest.unseal(sealed.read_text())[case.name]
    text = path.read_text() if path.is_file() else ""
    return items(sections(text).get(case.name, ""))


def readme(root, chapter):
    return sections((root / chapter / "README.md").read_text())


def explanation(root, case):
    text = readme(root, case.chapter).get(case.name, "")
    return "\n\n".join(t for t in (subsection(text, h) for h in ("The cause", "The repair")) if t)


def questions(root, chapter):
    """{the name of the file: (heading, [question])}"""
    found = {}
    for heading, text in readme(root, chapter).items():
        asked = items(subsection(text, "Questions"))
        if asked:
            name = re.sub(r"[^\w]+", "-", heading.lower()).strip("-")
            found[f"{name}.md"] = (heading, asked)
    return found


def write_questions(root, chapter):
    """A file for each section that has questions, where it is not there yet; the new ones' names."""
    where, new = root / chapter / "exercise" / "answers", []
    where.mkdir(parents=True, exist_ok=True)
    for name, (heading, asked) in questions(root, chapter).items():
        if not (where / name).exists():
            (where / name).write_text(f"# {heading}\n" + "".join(
                f"\n## {i}. {q}\n\n{PLACEHOLDER}\n" for i, q in enumerate(asked, 1)))
            new.append(name)
    return new


def answers(root, chapter):
    """[(heading, question, answer)]; the answer is "" where there is none."""
    found = []
    for name, (heading, asked) in questions(root, chapter).items():
        path = root / chapter / "exercise" / "answers" / name
        text = path.read_text(errors="replace") if path.is_file() else ""
        parts = re.split(r"^## (\d+)\..*$", text, flags=re.M)
        given = dict(zip(parts[1::2], parts[2::2]))
        for i, question in enumerate(asked, 1):
            answer = given.get(str(i), "").replace(PLACEHOLDER, "").strip()
            found.append((heading, question, answer))
    return found


class Progress:
    """Of one chapter. Written whole each time; a file that is damaged is put aside."""

    def __init__(self, root, chapter):
        self.path = root / chapter / "exercise" / "progress.json"
        self.cases, self.last_s = {}, None
        if not self.path.is_file():
            return
        try:
            kept = json.loads(self.path.read_text())
            self.cases, self.last_s = dict(kept["cases"]), kept["last_s"]
        except (ValueError, KeyError, TypeError):
            self.path.rename(self.path.with_suffix(".damaged"))

    def of(self, name):
        return {"verdict": "", "digest": "", "hints": 0, "checks": 0, "seconds": 0, "revealed": False,
                "repaired_s": None, **self.cases.get(name, {})}

    def begin(self):
        """The time until the first check is spent on reading, and counts."""
        if self.last_s is None:
            self.last_s = time.time()
        self.save()

    def note(self, name, **news):
        """Something was done about that case, and it is what was done since the last thing was."""
        now = time.time()
        case = self.of(name)
        if case["repaired_s"] is None and self.last_s is not None:
            away = now - self.last_s
            case["seconds"] = round(case["seconds"] + (away if 0 < away < AWAY_S else 0), 1)
        self.last_s = now
        self.cases[name] = {**case, **news}
        self.save()

    def save(self):
        self.path.parent.mkdir(exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"last_s": self.last_s, "cases": self.cases}, indent=1) + "\n")
        new.replace(self.path)
