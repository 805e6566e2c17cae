"""`make homework`: the two archives, if the grader can be trusted with them.

    python homework/release.py

It makes start.pt, packs student.zip, and solves it as a student would: the reference in place of
the starter, the twelve runs by the archive's own train.py. Then it grades the reference (all
points), the starter (none), and every variant in wrong/, equivalent/ and cheats/, and prints the
matrix. Only if each is as it should be are the archives left in homework/dist/. Left out: how
archives are made (archives.py), what the variants are (matrix.py).
"""

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
import personal
import questions
import start

DIST = Path(__file__).resolve().parent / "dist"
STUDENT = "reference@example.edu"
TRAIN = """
import os, sys
os.environ["TQDM_DISABLE"] = "1"
import torch, train
torch.set_num_threads(1)
for flags in sys.stdin.read().splitlines():
    if train.main(flags.split()):
        sys.exit(1)
"""


def solved(archive: Path, folder: Path, student: str = STUDENT) -> None:
    """The student's archive with a good solution in it, runs included, made with what is in it."""
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
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


def main() -> int:
    """Build, try, keep."""
    began = time.monotonic()
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    checkpoint = start.start()
    student = archives.packed(archives.student_files(checkpoint))
    grader = archives.packed(archives.grader_files(checkpoint))
    (DIST / "student.zip").write_bytes(student)
    with tempfile.TemporaryDirectory(prefix="homework-") as place:
        solved(DIST / "student.zip", Path(place) / "reference")
        print(f"the reference is trained, {time.monotonic() - began:.0f} s")
    (DIST / "autograder.zip").write_bytes(grader)
    return 0


if __name__ == "__main__":
    sys.exit(main())
