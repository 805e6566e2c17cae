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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import personal
import questions
import wrong
from grade import grade, total
from sandbox import InProcess, Sandbox

HERE = Path(__file__).resolve().parent
ROOT, DIST = HERE.parent, HERE / "dist"
STUDENT = "reference@example.edu"
BEGAN = time.monotonic()
KIT = ("train.py", "test_public.py", "start.pt", "README.md", "answers.md")  # of student/
GRADER = (
    "grade.py submission.py points.py checks.py break_it.py questions.py replay.py personal.py "
    "reference.py sandbox.py worker.py student/train.py student/start.pt"
).split()
GIVEN_AWAY = ("completion_logits", "completion_mask", "logprobs", "summed_logprobs")  # in model.py
HEAD = '''"""Your solution. Fill in the functions; assignment.md says what each must do.

Everything must be in this file: the grader reads no other. It may import the standard library,
numpy and torch. Try it with `python -m pytest test_public.py`.
"""

from collections.abc import Callable

from torch import Tensor
'''


def said(what: str) -> None:
    """A line with the seconds so far."""
    print(f"{time.monotonic() - BEGAN:4.0f} s  {what}", flush=True)


def starter() -> str:
    """solution.py as a student gets it: the reference's signatures and docstrings."""
    text = (HERE / "reference.py").read_text()
    lines, parts = text.splitlines(), [HEAD]
    for node in ast.parse(text).body:
        if isinstance(node, ast.AnnAssign):
            parts.append("COEFFICIENTS: list[int] = []  # of `python personal.py YOUR-ID`\n")
        if isinstance(node, ast.FunctionDef) and node.name != "near":
            head = lines[node.lineno - 1 : node.body[0].end_lineno]
            todo = f'    raise NotImplementedError("{node.name}: yours to write")\n'
            parts.append("\n".join([*head, todo]))
    return "\n\n".join(parts)


def without(file: Path, names: tuple[str, ...]) -> str:
    """A file of the project without these functions."""
    lines = file.read_text().splitlines()
    for node in reversed(ast.parse("\n".join(lines)).body):
        if getattr(node, "name", "") in names:
            del lines[node.lineno - 1 : node.end_lineno]
    while not lines[-1] or lines[-1].startswith("#"):  # what stood above them
        lines.pop()
    return "\n".join(lines) + "\n"


def student_files() -> dict[str, bytes]:
    """What student.zip holds, by name."""
    files = {name: (HERE / "student" / name).read_bytes() for name in KIT}
    files |= {name: (HERE / name).read_bytes() for name in ("assignment.md", "personal.py")}
    files["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files["model.py"] = without(ROOT / "model.py", GIVEN_AWAY).encode()
    files["solution.py"] = starter().encode()
    return files | {"answers.json": (json.dumps(questions.TEMPLATE, indent=1) + "\n").encode()}


def grader_files() -> dict[str, bytes]:
    """What autograder.zip holds, by name."""
    files = {f"homework/{name}": (HERE / name).read_bytes() for name in GRADER}
    files |= {path.name: path.read_bytes() for path in (HERE / "gradescope").iterdir()}
    return files | {"model.py": (ROOT / "model.py").read_bytes()}


def packed(files: dict[str, bytes]) -> bytes:
    """A zip file with the same bytes every time."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            runs = name.endswith(".sh") or name == "run_autograder"
            info.external_attr = (0o100755 if runs else 0o100644) << 16
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
    return whole.getvalue()


def unpack(files: dict[str, bytes], folder: Path) -> Path:
    """These files in a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755)
    return folder


def solve(kit: Path) -> dict[str, bytes]:
    """Solve the kit in this folder as STUDENT, its runs included; what is handed in, by name."""
    (kit / "solution.py").write_text(wrong.reference(STUDENT))
    (kit / "answers.json").write_text(json.dumps(questions.right_answers(STUDENT)))
    printed = [sys.executable, "personal.py", STUDENT, "--runs"]
    commands = subprocess.run(printed, cwd=kit, capture_output=True, text=True, check=True).stdout

    def run(command: str) -> None:
        words = [sys.executable, *command.split()[1:]]
        done = subprocess.run(words, cwd=kit, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the student's kit does not train:\n{done.stdout}{done.stderr}")
        said(words[-1])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, commands.splitlines()))
    paths = [kit / "solution.py", kit / "answers.json", *(kit / "runs").iterdir()]
    return {str(path.relative_to(kit)): path.read_bytes() for path in paths}


def came_to(solved: dict[str, bytes]) -> str:
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


def as_gradescope(files: dict[str, bytes], solved: dict[str, bytes], root: Path) -> dict:
    """The results of autograder.zip, run as Gradescope runs it; installed packages are ours."""
    unpack(files, root / "source")
    unpack(solved, root / "submission")
    environment = {**os.environ, "AUTOGRADER_ROOT": str(root), "PYTHON": sys.executable}
    subprocess.run([str(root / "source/run_autograder"), "--trust"], env=environment, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return json.loads((root / "results/results.json").read_text())


def problems(place: Path, kit: dict[str, bytes], grader: dict[str, bytes]) -> list[str]:
    """Why the grader cannot be trusted, nothing if it can; and dist/ has the reference's archive."""
    solved = solve(unpack(kit, place / "kit"))
    print(came_to(solved))
    tests = as_gradescope(grader, solved, place)["tests"]
    found = [f"the reference loses {t['name']}: {t['output']}" for t in tests
             if t["status"] != "passed"]  # fmt: skip
    said(f"the reference has {sum(test['score'] for test in tests):g} points")
    sandbox = Sandbox(trust=True)  # these programs are our own
    points = total(grade(unpack(kit, place / "blank"), STUDENT, sandbox))
    found += [f"the starter gets {points:g} points"] if points else []
    for name, source in wrong.HOSTILE.items():
        (place / "blank/solution.py").write_text(source)
        points = total(grade(place / "blank", STUDENT, sandbox))
        found += [f"{name} gets {points:g} points"] if points else []
    said(f"the starter and {len(wrong.HOSTILE)} hostile submissions have none")
    found += wrong.survivors(sandbox, STUDENT)
    found += wrong.surprises(InProcess(), STUDENT)
    said("wrong functions lose what they should")
    DIST.mkdir(exist_ok=True)
    (DIST / "reference.zip").write_bytes(packed(solved))
    return found


def main() -> int:
    """Build, try, keep."""
    shutil.rmtree(DIST, ignore_errors=True)
    kit, grader = student_files(), grader_files()
    with tempfile.TemporaryDirectory(prefix="homework-") as place:
        if found := problems(Path(place), kit, grader):
            print("\n".join(["not released:", *found]), file=sys.stderr)
            return 1
    for name, files in (("student.zip", kit), ("autograder.zip", grader)):
        (DIST / name).write_bytes(packed(files))
        said(f"{DIST / name}: {len(files)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
