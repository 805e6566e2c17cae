"""`make homework`: the archives of the homework, if the grader can be trusted.

    python homework/release.py

It packs student.zip, solves it as a student would, with the reference and twelve runs, and grades
that as Gradescope would, from autograder.zip: all points. In wrong.txt a wrong function takes the
place of one in the reference, and must lose exactly those lines of its own that it violates; an
unusual right one must lose nothing; a hostile one, and the starter, all. Only then are the archives
left in homework/dist/, with reference.zip, a whole submission to try the grader with. Left out:
wrong runs and archives (tests/test_homework.py).
"""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import questions
import reference
from checks import Outcome, Student
from grade import grade
from personal import Parser, command, personal
from points import TABLE
from sandbox import InProcess, Sandbox
from submission import Submission

HERE = Path(__file__).resolve().parent
ROOT, DIST = HERE.parent, HERE / "dist"
STUDENT = "reference@example.edu"
BEGAN = time.monotonic()
KIT = (
    "assignment.md personal.py student/README.md student/answers.json student/answers.md "
    "student/start.pt student/test_public.py student/train.py ../LICENSE"
).split()
GRADER = [path.name for path in HERE.glob("*.py") if path.name != "release.py"]
GRADER += ["student/train.py", "student/start.pt"]
HEAD = '''"""Your solution: assignment.md says what each function must do. No other file is read.
It may import the standard library, numpy and torch. Try it: `python -m pytest test_public.py`.
"""

from collections.abc import Callable

from torch import Tensor

COEFFICIENTS: list[int] = []  # of `python personal.py YOUR-ID`
'''
# Wrong functions, unusual right ones, and hostile code.
_, HELPERS, *SECTIONS = re.split(r"^=== .*\n", (HERE / "wrong.txt").read_text(), flags=re.M)
WRONG, HOSTILE_FUNCTIONS = (section.splitlines() for section in SECTIONS[:2])
FUNCTIONS = [*dict.fromkeys(check.name.split()[0] for check in TABLE if check.part != "C")]
EACH = f"def f(*a): return \\1\n{' = '.join(FUNCTIONS)} = f"
HOSTILE = re.sub(r"EACH\((.*)\)", EACH, SECTIONS[2]).split("---\n")


def said(what: str) -> None:
    print(f"{time.monotonic() - BEGAN:4.0f} s  {what}", flush=True)


def solution(student: str) -> str:
    """The reference with this student's coefficients."""
    numbers = f"COEFFICIENTS = {[*personal(student).coefficients]}"
    return inspect.getsource(reference).replace("COEFFICIENTS: list[int] = []", numbers)


def starter() -> str:
    """solution.py as a student gets it: the reference's signatures and docstrings."""
    parts = [HEAD]
    for name in FUNCTIONS:
        head = re.findall('.*?""".*?"""', inspect.getsource(getattr(reference, name)), re.S)[0]
        parts.append(f'{head}\n    raise NotImplementedError("{name}: yours to write")\n')
    return "\n\n".join(parts)


def model() -> str:
    """The project's model.py without what is the student's to write: its second half."""
    network, _, theirs = (ROOT / "model.py").read_text().partition("\n\n\n# ------")
    assert "def summed_logprobs" in theirs
    head = '"""The network: a small decoder-only transformer."""'
    return re.sub('""".*?"""', head, network, count=1, flags=re.S) + "\n"


def student_kit(folder: Path) -> Path:
    """What student.zip holds, in a new folder."""
    folder.mkdir()
    for name in KIT:
        shutil.copy(HERE / name, folder)
    (folder / "solution.py").write_text(starter())
    (folder / "model.py").write_text(model())
    return folder


def grader(folder: Path) -> None:
    """What autograder.zip holds, in a new folder."""
    (folder / "homework" / "student").mkdir(parents=True)
    for name in GRADER:
        shutil.copy(HERE / name, folder / "homework" / name)
    for path in (ROOT / "model.py", *(HERE / "gradescope").iterdir()):
        shutil.copy(path, folder)


def solve(kit: Path) -> None:
    """Solve the kit in this folder as STUDENT, with its runs, and say what these came to."""
    (kit / "solution.py").write_text(solution(STUDENT))
    answers = {"student": STUDENT} | questions.right_answers(personal(STUDENT))
    (kit / "answers.json").write_text(json.dumps(answers))

    def run(command: str) -> list[str]:
        words = [sys.executable, *command.split()[1:]]
        return subprocess.check_output(words, cwd=kit, text=True).splitlines()

    commands = run(f"python personal.py {STUDENT} --runs")
    with ThreadPoolExecutor(2) as pool:
        for command, rows in zip(commands, pool.map(run, commands), strict=True):
            said(f"{command}\n{rows[0]}\n{rows[-1]}")


def outcomes(name: str, body: str, sandbox: Sandbox) -> dict[str, Outcome]:
    """What is earned and said in each line of a function that has another body."""
    head = f"def {name}({', '.join(inspect.signature(getattr(reference, name)).parameters)}):\n    "
    sandbox.load(f"{solution(STUDENT)}\n{HELPERS}\nright = {name}\n{head}{body}\n".encode())
    student = Student(STUDENT, sandbox, Submission(HERE))
    lines = [check for check in TABLE if check.name.split()[0] == name]
    return {check.name.split()[-1]: check.run(student) for check in lines}


def surprises(lines: list[str] = WRONG) -> list[str]:
    """Wrong functions that lose other lines of the table than they should."""
    found, sandbox = [], InProcess()
    for line in lines:
        name, wanted, expression = (part.strip() for part in line.split(" | ", 2))
        shares = outcomes(name, f"return {expression}", sandbox)
        lost = {word for word, (share, _) in shares.items() if share < 1}
        if lost != {*wanted.split()}:
            found.append(f"{line}: it loses {' '.join(sorted(lost)) or 'nothing'}")
    return found


def objections(place: Path) -> list[str]:
    """Why the grader cannot be trusted; nothing if it can."""
    users = [{"email": "z@example.edu"}, {"email": STUDENT.title()}]
    (place / "submission_metadata.json").write_text(json.dumps({"users": users}))
    environment = {**os.environ, "AUTOGRADER_ROOT": str(place), "PYTHON": sys.executable}
    subprocess.check_output([place / "source/run_autograder", "--trust"], env=environment)
    results = json.loads((place / "results/results.json").read_text())
    found = [f"the reference loses {test['name']}: {test['output']}"
             for test in results["tests"] if test["status"] != "passed"]  # fmt: skip
    said(f"the reference has {results['score']:g} points")
    sandbox, folder = Sandbox(trust=True), student_kit(place / "hostile")  # all of it is our own
    for source in (starter(), *HOSTILE):
        (folder / "solution.py").write_text(source)
        if points := grade(folder, STUDENT, sandbox)["score"]:
            found.append(f"{points:g} points for {source}")
    said(f"the starter and {len(HOSTILE)} hostile submissions are graded")
    sandbox.wall_seconds = 8
    for line in HOSTILE_FUNCTIONS:
        name, body, wanted = line.split(" | ")
        shares, messages = zip(*outcomes(name, body, sandbox).values(), strict=True)
        if any(shares) or wanted not in " ".join(messages):
            found.append(f"{line}: {shares}, {messages}")
    found += surprises()
    said(f"{len(WRONG)} wrong functions are graded")
    return found


def main() -> int:
    Parser("Build the archives, if the grader can be trusted.").parse_args()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # nothing but our files is to be packed
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="homework-") as name:
        place = Path(name)
        student_kit(place / "student")
        grader(place / "source")
        solve(student_kit(place / "submission"))
        if found := objections(place):
            print("\n".join(["not released:", *found]), file=sys.stderr)
            return 1
        folders = {"student": "student", "autograder": "source", "reference": "submission"}
        for archive, folder in folders.items():
            said(shutil.make_archive(str(DIST / archive), "zip", place / folder))
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
