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
        if isinstance(node, ast.FunctionDef) and node.name in wrong.FUNCTIONS.split():
            head = text.splitlines()[node.lineno - 1 : node.body[0].end_lineno]
            todo = f'    raise NotImplementedError("{node.name}: yours to write")\n'
            parts.append("\n".join([*head, todo]))
    return "\n\n".join(parts)


def model() -> str:
    """The project's model.py without what is the student's to write: its second half."""
    network, _, theirs = (ROOT / "model.py").read_text().partition("\n\n\n# ------")
    assert "def summed_logprobs" in theirs
    docstring = ast.parse(network).body[0].end_lineno
    head = '"""The network: a small decoder-only transformer."""'
    return "\n".join([head, *network.splitlines()[docstring:], ""])


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
    """A zip file with the same bytes every time, whose programs may be run."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o100755 << 16
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED)
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
    """Solve the kit in this folder as STUDENT, with its runs; returns what is handed in."""
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
    """The ends of the runs of questions 4 and 5, for the instructor, and where all began."""
    ends: dict[str, dict] = {}
    for name, content in sorted(solved.items()):
        if name.startswith("runs/"):
            rows = [row for row in json.loads(content)["rows"] if "nll" in row]
            ends |= {"start.pt": rows[0], Path(name).stem: rows[-1]}
    return "\n".join(f"{name:20}" + "".join(f"  {f} {x:.3f}" for f, x in row.items() if f != "step")
                     for name, row in ends.items())  # fmt: skip


def as_gradescope(grader: Files, submission: Files, root: Path) -> list[dict]:
    """The tests in the results of autograder.zip, run as Gradescope does, with our packages."""
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
    for source in (starter(), *wrong.HOSTILE):
        folder = unpack(kit | {"solution.py": source.encode()}, place / "blank")
        if points := total(grade(folder, STUDENT, sandbox)):
            found.append(f"{points:g} points for {source}")
    said(f"the starter and {len(wrong.HOSTILE)} hostile submissions are graded")
    found += wrong.survivors(STUDENT, sandbox) + wrong.surprises(STUDENT)
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
