"""`make homework`: the archives of the homework, if the grader can be trusted.

    python homework/release.py

It packs student.zip, and solves it as a student would: the reference in place of the starter, the
twelve runs by the archive's own train.py. Then it grades that as Gradescope would, from
autograder.zip (all points), the starter (none), and everything in wrong.py. Only if each comes out
as it should are the archives left in homework/dist/, and reference.zip, a whole submission to try
the grader with, which is not for students. Left out: how a submission is graded (grade.py).
"""

import ast
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import questions
import wrong
from grade import grade, total
from sandbox import Sandbox

HERE = Path(__file__).resolve().parent
ROOT, DIST = HERE.parent, HERE / "dist"
STUDENT = "reference@example.edu"
BEGAN = time.monotonic()
GRADER = (
    "grade.py submission.py points.py checks.py break_it.py questions.py replay.py personal.py "
    "reference.py sandbox.py student/train.py student/start.pt"
).split()
GIVEN_AWAY = ("completion_logits", "completion_mask", "logprobs", "summed_logprobs")  # in model.py
HEAD = '''"""Your solution. Fill in the functions; assignment.md says what each must do.

Everything must be in this file: the grader reads no other. It may import the standard library,
numpy and torch. Try it with `python -m pytest test_public.py`.
"""

from collections.abc import Callable

from torch import Tensor


COEFFICIENTS: list[int] = []  # of `python personal.py YOUR-ID`
'''
Files = dict[str, bytes]  # by name


def said(what: str) -> None:
    print(f"{time.monotonic() - BEGAN:4.0f} s  {what}", flush=True)


def starter() -> str:
    """solution.py as a student gets it: the reference's signatures and docstrings."""
    text, parts = (HERE / "reference.py").read_text(), [HEAD]
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name != "near":
            head = text.splitlines()[node.lineno - 1 : node.body[0].end_lineno]
            todo = f'    raise NotImplementedError("{node.name}: yours to write")\n'
            parts.append("\n".join([*head, todo]))
    return "\n\n".join(parts)


def model() -> str:
    """The project's model.py without the functions that are the student's to write."""
    lines = (ROOT / "model.py").read_text().splitlines()
    docstring, *nodes = ast.parse("\n".join(lines)).body
    for node in reversed(nodes):
        if isinstance(node, ast.FunctionDef) and node.name in GIVEN_AWAY:
            del lines[node.lineno - 1 : node.end_lineno]
    lines[: docstring.end_lineno] = ['"""The network: a small decoder-only transformer."""']
    while not lines[-1] or lines[-1].startswith("#"):  # what stood above them
        lines.pop()
    return "\n".join(lines) + "\n"


def student_files() -> Files:
    """What student.zip holds."""
    texts = {"solution.py": starter(), "model.py": model()}
    theirs = "README.md answers.json answers.md start.pt test_public.py train.py".split()
    paths = [*(HERE / "student" / name for name in theirs), ROOT / "LICENSE",
             HERE / "assignment.md", HERE / "personal.py"]  # fmt: skip
    return {path.name: path.read_bytes() for path in paths} | {
        name: text.encode() for name, text in texts.items()
    }


def grader_files() -> Files:
    """What autograder.zip holds."""
    files = {f"homework/{name}": (HERE / name).read_bytes() for name in GRADER}
    files |= {name: (HERE / "gradescope" / name).read_bytes() for name in
              ("run_autograder", "setup.sh")}  # fmt: skip
    return files | {"model.py": (ROOT / "model.py").read_bytes()}


def packed(files: Files) -> bytes:
    """A zip file with the same bytes every time."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            runs = name in ("run_autograder", "setup.sh")
            info.external_attr = (0o100755 if runs else 0o100644) << 16
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
    return whole.getvalue()


def unpack(files: Files, folder: Path) -> Path:
    """These files in a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755)
    return folder


def solve(kit: Path) -> Files:
    """Solve the kit in this folder as STUDENT, its runs included; what is handed in."""
    (kit / "solution.py").write_text(wrong.reference(STUDENT))
    (kit / "answers.json").write_text(json.dumps(questions.right_answers(STUDENT)))

    def run(command: str) -> str:
        words = [sys.executable, *command.split()[1:]]
        done = subprocess.run(words, cwd=kit, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"not released: in the kit, {command}\n{done.stdout}{done.stderr}")
        said(f"{command}")
        return done.stdout

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, run(f"python personal.py {STUDENT} --runs").splitlines()))
    paths = [kit / "solution.py", kit / "answers.json", *(kit / "runs").iterdir()]
    return {str(path.relative_to(kit)): path.read_bytes() for path in paths}


def came_to(solved: Files) -> str:
    """What the runs of questions 4 and 5 came to, for the instructor: means of the seeds."""
    ends: dict[str, list[dict]] = {}
    for name, content in sorted(solved.items()):
        if name.startswith("runs/"):
            rows = [row for row in json.loads(content)["rows"] if "nll" in row]
            ends["start.pt"] = rows[:1]
            ends.setdefault(name[5:-5].split("-s")[0], []).append(rows[-1])
    lines = []
    for name, rows in ends.items():
        figures = {f: sum(row[f] for row in rows) / len(rows) for f in rows[0] if f != "step"}
        lines.append(f"{name:10}" + "".join(f"  {f} {x:5.3f}" for f, x in figures.items()))
    return "\n".join(lines)


def as_gradescope(grader: Files, submission: Files, root: Path) -> list[dict]:
    """The tests in the results of autograder.zip, run as there; the packages are ours."""
    unpack(grader, root / "source")
    unpack(submission, root / "submission")
    environment = {**os.environ, "AUTOGRADER_ROOT": str(root), "PYTHON": sys.executable}
    subprocess.run([str(root / "source/run_autograder"), "--trust"], env=environment, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return json.loads((root / "results/results.json").read_text())["tests"]


def objections(place: Path, kit: Files, solved: Files) -> list[str]:
    """Why the grader cannot be trusted; nothing if it can."""
    tests = as_gradescope(grader_files(), solved, place)
    found = [f"the reference loses {t['name']}: {t['output']}" for t in tests
             if t["status"] != "passed"]  # fmt: skip
    said(f"the reference has {sum(test['score'] for test in tests):g} points")
    sandbox = Sandbox(trust=True)  # these programs are our own
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        wrong_ones = pool.submit(wrong.surprises, STUDENT)
        for source in (starter(), *wrong.HOSTILE):
            folder = unpack(kit | {"solution.py": source.encode()}, place / "blank")
            if points := total(grade(folder, STUDENT, sandbox)):
                found.append(f"{points:g} points for {source}")
        said(f"the starter and {len(wrong.HOSTILE)} hostile submissions are graded")
        found += wrong.survivors(STUDENT, sandbox) + wrong_ones.result()
    said(f"{len(wrong.WRONG)} wrong functions are graded")
    return found


def main() -> int:
    """Build, try, keep."""
    shutil.rmtree(DIST, ignore_errors=True)
    kit = student_files()
    with tempfile.TemporaryDirectory(prefix="homework-") as place:
        solved = solve(unpack(kit, Path(place) / "kit"))
        print(came_to(solved))
        if found := objections(Path(place), kit, solved):
            print("\n".join(["not released:", *found]), file=sys.stderr)
            return 1
    DIST.mkdir()
    archives = {"student.zip": kit, "autograder.zip": grader_files(), "reference.zip": solved}
    for name, files in archives.items():
        (DIST / name).write_bytes(packed(files))
        said(f"{DIST / name}: {len(files)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
