"""Every variant in wrong/, equivalent/ and cheats/, handed in and graded: what does it lose?

A variant is a function in one of those files, FUNCTION__NAME. It takes the place of FUNCTION in the
reference, or edits the folder that is handed in (`answers`, `folder`, `forged`; `blank` begins
with the starter). Its docstring lists the tests that it must lose, and it must lose exactly those.
"""

import ast
import importlib.util
import json
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import archives
from grade import GraderFailed, grade, total
from points import TABLE, Check
from sandbox import Sandbox

HERE = Path(__file__).resolve().parent
KINDS = ("wrong", "equivalent", "cheats")
FOLDER = ("answers", "folder", "blank", "forged")  # edits of the folder, not functions in it
# what cannot be closed where student code is not confined, or not alone (instructor.md)
ONLY_CONFINED = {f"forged__{what}_files" for what in ("moves", "reads", "deletes", "names")}
ONLY_CONFINED |= {"forged__signals_others", "forged__leaves_a_key_behind"}
ONLY_ALONE = {
    f"forged__{what}"
    for what in ("leaves_memory_behind", "uses_the_network", "makes_a_pair_of_sockets")
}
NAMES = [check.name for check in TABLE]
CODE = [
    c.name for c in TABLE if c.part in "ABD" or (c.name.startswith("runs") and "ex" not in c.name)
]
NUMBERS = [c.name for c in TABLE if c.part == "C" and not c.name.startswith("runs")]
GROUPS = {"code": CODE, "numbers": NUMBERS}
GROUPS |= {f"part {part}": [c.name for c in TABLE if c.part == part] for part in "ABCD"}


@dataclass
class Variant:
    """One of them."""

    kind: str
    file: Path
    name: str  # FUNCTION__NAME
    loses: list[str]


@dataclass
class Graded:
    """And what came of it."""

    variant: Variant
    points: float
    lost: list[str]
    broken: str = ""  # how the grader itself failed

    @property
    def as_it_should_be(self) -> bool:
        """Lost what it lists, or got nothing."""
        if self.variant.name.startswith("blank__"):
            return self.points == 0 and not self.broken
        return self.lost == self.variant.loses and not self.broken


def variants(sandbox: Sandbox) -> list[Variant]:
    """All of them, in order, but for those that only a better confined session withstands."""
    left_out = set() if sandbox.is_confined else ONLY_CONFINED
    left_out |= set() if sandbox.is_alone else ONLY_ALONE
    found = []
    for kind in KINDS:
        for file in sorted((HERE / kind).glob("*.py")):
            for name, node in archives.functions(ast.parse(file.read_text())).items():
                if not name.startswith("_") and name not in left_out:
                    loses = ast.get_docstring(node) or "" if kind != "equivalent" else ""
                    found.append(Variant(kind, file, name, expanded(loses)))
    return found


def expanded(loses: str) -> list[str]:
    """The tests that a docstring names, in the order of the table."""
    named: list[str] = []
    for word in filter(None, (part.strip() for part in loses.split(","))):
        assert word in NAMES or word in GROUPS, f"there is no test {word}"
        named += GROUPS.get(word, [word])
    return [name for name in NAMES if name in named]


def hand_in(variant: Variant, reference: Path, blank: Path, folder: Path) -> None:
    """Make the folder of this variant."""
    target, _, _ = variant.name.partition("__")
    shutil.copytree(blank if target == "blank" else reference, folder)
    if target not in FOLDER:
        text = variant.file.read_text()
        kept = archives.needed(ast.parse(text), [variant.name])
        lines = [
            archives.lines_of(text, n) for n in kept if "COEFFICIENTS" not in archives.defined(n)
        ]
        with open(folder / "solution.py", "a") as solution:
            solution.write("\n\n" + "\n\n".join(lines) + f"\n\n{target} = {variant.name}\n")
        return
    spec = importlib.util.spec_from_file_location(variant.file.stem, variant.file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    edit = getattr(module, variant.name)
    if target == "answers":
        answers = json.loads((folder / "answers.json").read_text())
        edit(answers)
        (folder / "answers.json").write_text(json.dumps(answers))
    else:
        edit(folder)


@dataclass
class Reference:
    """The submissions that variants are made from, and what the reference's checks came to."""

    folder: Path
    blank: Path
    student: str
    tests: dict[str, dict[str, Any]]
    asks: dict[str, set[str]]  # of each check the functions that it calls

    def checks(self, variant: Variant, folder: Path) -> list[Check]:
        """Those that a variant can touch; of the others the reference's results hold."""
        target = variant.name.partition("__")[0]
        solution = (self.folder / "solution.py").read_text()
        if target not in FOLDER:
            tree, hit = ast.parse(solution), set()
            for name in archives.TASKS:
                needs = archives.needed(tree, [name])
                hit |= {name} if any(target in archives.defined(node) for node in needs) else set()
            return [check for check in TABLE if self.asks[check.name] & hit]
        path = folder / "solution.py"
        same = path.is_file() and path.read_bytes() == solution.encode()
        return [check for check in TABLE if check.part == "C"] if same else TABLE


def graded_reference(folder: Path, blank: Path, student: str) -> Reference:
    """Grade the reference, check by check."""
    reference = Reference(folder, blank, student, {}, {})
    with Sandbox(trust=True) as sandbox:
        for check in TABLE:
            sandbox.asked = set()
            reference.tests[check.name] = grade(folder, student, sandbox, checks=[check])["tests"][
                0
            ]
            reference.asks[check.name] = sandbox.asked
    return reference


def grade_some(some: list[Variant], reference: Reference) -> list[Graded]:
    """Grade these, with one server."""
    graded = []
    with Sandbox(trust=True) as sandbox:
        for variant in some:
            with tempfile.TemporaryDirectory(prefix="homework-") as place:
                folder = Path(place) / "submission"
                hand_in(variant, reference.folder, reference.blank, folder)
                checks = reference.checks(variant, folder)
                try:
                    results = grade(folder, reference.student, sandbox, checks=checks)
                except GraderFailed as error:
                    graded.append(Graded(variant, 0, [], str(error)))
                    continue
            names = [check.name for check in checks]
            tests = reference.tests | dict(zip(names, results["tests"], strict=True))
            graded.append(judge(variant, {"tests": [tests[name] for name in NAMES]}))
    return graded


def judge(variant: Variant, results: dict[str, Any]) -> Graded:
    """What was lost."""
    pairs = list(zip(NAMES, results["tests"], strict=True))
    lost = [name for name, test in pairs if test["status"] == "failed"]
    return Graded(variant, total(results), lost)


def grade_all(reference: Reference, some: list[Variant]) -> list[Graded]:
    """All variants, by two processes."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        halves = [pool.submit(grade_some, some[i::2], reference) for i in (0, 1)]
        graded = [g for half in halves for g in half.result()]
    return sorted(graded, key=lambda g: some.index(g.variant))


def matrix(graded: list[Graded]) -> str:
    """A line for each variant: an x for each test that it loses, a dot for each other."""
    most = max(len(g.variant.name) for g in graded)
    lines = [f"{'':{most}}   points  {heading}" for heading in headings()]
    for kind in KINDS:
        lines.append(kind)
        for g in graded:
            if g.variant.kind == kind:
                cells = "".join("x" if name in g.lost else "." for name in NAMES)
                wrong = "" if g.as_it_should_be else "  <- NOT AS LISTED"
                lines.append(f"{g.variant.name:{most}}   {g.points:6g}  {cells}{wrong}")
    return "\n".join(lines)


def headings() -> list[str]:
    """The names of the tests, written downwards."""
    tall = max(map(len, NAMES))
    return ["".join(name.rjust(tall)[i] for name in NAMES) for i in range(tall)]
