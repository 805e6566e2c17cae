"""`make homework`: the archives of the homework, if the grader can be trusted.

    python homework/release.py

It makes start.pt, packs student.zip, and solves it as a student would: the reference in place of
the starter, the twelve runs by the archive's own train.py. Then it grades the reference (all
points), the starter (none), and every variant in wrong/, equivalent/ and cheats/, and prints the
matrix. Only if each is as it should be are the archives left in homework/dist/, and reference.zip,
a whole submission to try the grader with, which is not for students. Left out: how
archives are made (archives.py), what the variants are (matrix.py).
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import archives
import matrix
import personal
import questions
import start
from grade import GraderFailed, grade, total
from sandbox import Sandbox

DIST = Path(__file__).resolve().parent / "dist"
STUDENT = "reference@example.edu"
FIGURES = ("pass@1", "pass@1024", "nll")
LEAST = {"wrong": 50, "equivalent": 10, "cheats": 10}
TRAIN = """
import os, sys
os.environ["TQDM_DISABLE"] = "1"
import torch, train
torch.set_num_threads(1)
for flags in sys.stdin.read().splitlines():
    if train.main(flags.split()):
        sys.exit(1)
"""


def solve(folder: Path, student: str = STUDENT) -> None:
    """Solve the student's archive in `folder`; the runs are made with what is there."""
    (folder / "solution.py").write_text(archives.reference(student))
    (folder / "answers.json").write_text(json.dumps(questions.right_answers(student)))
    commands = list(personal.runs(student).values())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda half: train_there(folder, half), (commands[::2], commands[1::2])))


def train_there(folder: Path, commands: list[str]) -> None:
    """Some of the runs, in one process of the archive's own code."""
    words = [sys.executable, "-c", TRAIN]
    done = subprocess.run(
        words, cwd=folder, input="\n".join(commands), text=True, capture_output=True
    )
    if done.returncode:
        raise SystemExit(f"the student's archive does not train:\n{done.stdout}{done.stderr}")


def handed_in(folder: Path) -> dict[str, bytes]:
    """What a student hands in, by name."""
    files = [folder / "solution.py", folder / "answers.json", *sorted(folder.glob("runs/*/*"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def came_to(folder: Path) -> str:
    """What the runs of questions 4 and 5 came to, for the instructor: means of the seeds."""
    logs: dict[str, list[dict]] = {}
    for path in sorted(folder.glob("runs/*/metrics.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        evaluations = [row for row in rows if "nll" in row]
        logs.setdefault("start.pt", []).append(evaluations[0])
        logs.setdefault(path.parent.name.split("-s")[0], []).append(evaluations[-1])
    lines = [f"{'':10}" + "".join(f"{name:>11}" for name in FIGURES)]
    for name, ends in logs.items():
        means = (sum(row[figure] for row in ends) / len(ends) for figure in FIGURES)
        lines.append(f"{name:10}" + "".join(f"{x:11.3f}" for x in means))
    return "\n".join(lines)


def objections(reference: matrix.Reference, blank: float, graded: list[matrix.Graded]) -> list[str]:
    """Why the grader cannot be trusted; nothing if it can."""
    lost = [f"the reference loses {n}: {t['output']}" for n, t in reference.tests.items()
            if t["status"] != "passed"]  # fmt: skip
    lost += [f"the starter gets {blank:g} points"] if blank else []
    for g in graded:
        if not g.as_it_should_be:
            should = (
                "get nothing" if g.variant.name.startswith("blank") else f"lose {g.variant.loses}"
            )
            lost.append(
                f"{g.variant.name} should {should}; it loses {g.lost}, {g.points:g} points left"
            )
            lost += [f"{g.variant.name}: the grader itself fails: {g.broken}"] if g.broken else []
    for kind, least in LEAST.items():
        found = sum(g.variant.kind == kind for g in graded)
        lost += [f"only {found} variants are {kind}"] if found < least else []
    return lost


def main() -> int:
    """Build, try, keep."""
    began = time.monotonic()
    shutil.rmtree(DIST, ignore_errors=True)
    checkpoint = start.start()
    for_students = archives.packed(archives.student_files(checkpoint))
    for_graders = archives.packed(archives.grader_files(checkpoint))
    with tempfile.TemporaryDirectory(prefix="homework-") as place:
        reference, blank = Path(place) / "reference", Path(place) / "blank"
        for folder in (reference, blank):
            with zipfile.ZipFile(io.BytesIO(for_students)) as content:
                content.extractall(folder)
        solve(reference)
        solved = archives.packed(handed_in(reference))
        said(began, "the reference has trained its twelve runs")
        print(came_to(reference))
        tried = matrix.graded_reference(reference, blank, STUDENT)
        with Sandbox(trust=True) as sandbox:  # these programs are our own
            nothing = total(grade(blank, STUDENT, sandbox))
            variants = matrix.variants(sandbox)
        said(began, "the reference and the starter are graded")
        graded = matrix.grade_all(tried, variants)
    print(matrix.matrix(graded))
    most = sum(test["score"] for test in tried.tests.values())
    said(
        began, f"{len(graded)} variants; the reference has {most:g} points, the starter {nothing:g}"
    )
    if problems := objections(tried, nothing, graded):
        print("\n".join(["not released:", *problems]), file=sys.stderr)
        return 1
    for name, archive in (
        ("student.zip", for_students),
        ("autograder.zip", for_graders),
        ("reference.zip", solved),
    ):
        (DIST / name).write_bytes(archive)
        print(f"{DIST / name}: {len(archive) / 1000:.0f} kB")
    return 0


def said(began: float, what: str) -> None:
    """A line with the seconds so far."""
    print(f"{time.monotonic() - began:4.0f} s  {what}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GraderFailed as error:
        sys.exit(f"not released: the grader itself fails: {error}")
