"""Grade a submission: a folder or a zip file with solution.py, answers.json and runs/.

    python homework/grade.py ada/ --out results.json --student ada@example.edu
    python homework/grade.py --all submissions/ --out grades.csv

The exit status is 0 whatever the points; 1, and there are no points at all, if the grader itself
fails; 2 where student code cannot be confined: without --trust none is run there. The results are
in Gradescope's format. Left out: what is tested (checks.py, questions.py), and the points.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from checks import Student
from personal import Parser, command, normal, say
from points import TABLE, Check
from sandbox import Failed, Sandbox
from submission import Submission

MOST_SOURCE, MOST_TEXT = 200_000, 500  # bytes, characters of a message
OURS = (b"", b'{\n "score', b"file,stud")  # how a file begins that an earlier grading left


def printable(text: object) -> str:
    """What a student may have had a hand in, as one line of at most MOST_TEXT characters."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:MOST_TEXT])


def row(check: Check, share: float, output: object) -> dict[str, Any]:
    """One test of results.json."""
    return {
        "name": check.name, "number": check.part, "output": printable(output),
        "score": round(share * check.points, 3), "max_score": check.points,
        "status": "passed" if share == 1 else "failed", "visibility": "visible",
    }  # fmt: skip


def whose(path: Path) -> str:
    """Whose submission it is: what answers.json says; otherwise the name of the folder or file."""
    name = normal(path.absolute().name if path.is_dir() else path.stem)
    try:
        return normal(Submission(path).json("answers.json", 100_000)["student"])[:MOST_TEXT] or name
    except (Failed, LookupError, TypeError, AttributeError):
        return name


def grade(path: Path, student: str, sandbox: Sandbox) -> dict[str, Any]:
    """The results of one submission. Failed if it cannot be read at all."""
    submission, note = Submission(path), f"Graded with the numbers of {student}."
    if (named := whose(path)) != student:
        note += f" The submission says that it is by {named}."
    try:
        sandbox.load(submission.read("solution.py", MOST_SOURCE))
    except Failed as missing:
        sandbox.load(b"", str(missing))
        note += f" {missing}."
    handed_in = Student(student, sandbox, submission)
    tests = [row(check, *check.run(handed_in)) for check in TABLE]
    score = round(sum(test["score"] for test in tests), 2)
    return {"score": score, "tests": tests, "output": printable(note)}


def grade_one(path: Path, student: str, out: Path, sandbox: Sandbox) -> None:
    """Grade and print."""
    out.unlink(missing_ok=True)  # no score rather than an old one, if this fails
    try:
        results = grade(path, student, sandbox)
    except Failed as failed:
        tests = [row(check, 0, failed) for check in TABLE]
        results = {"score": 0, "tests": tests, "output": str(failed)}
    out.write_text(json.dumps(results, indent=1))
    for test in results["tests"]:
        mark = "" if test["status"] == "passed" else f"  {test['output']}"
        say(f"{test['score']:5g} of {test['max_score']:<4g} {test['name']}{mark}")
    say(f"{results['output']}\n{results['score']:g} of {sum(c.points for c in TABLE):g}, in {out}")


def grade_all(folder: Path, table: Path, sandbox: Sandbox) -> int:
    """A class: a line for each thing in the folder. An id that two submissions have is not graded.
    Returns how many lines have no points but a reason."""
    paths = [p for p in sorted(folder.resolve().iterdir()) if p.name[0] != "." and p != table
             and not p.name.endswith(".results.json")]  # fmt: skip
    ids, failed = [whose(path) for path in paths], 0
    with open(table, "w", newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.writer(file)
        lines.writerow(["file", "student", "points", *(c.name for c in TABLE), "remarks"])
        for path, student in zip(paths, ids, strict=True):
            scores, points = [""] * len(TABLE), ""
            out = folder / f"{path.name}.results.json"
            try:
                out.unlink(missing_ok=True)
                if ids.count(student) > 1:
                    raise Failed(f"more than one submission is by {student}")
                results = grade(path, student, sandbox)
                out.write_text(json.dumps(results, indent=1))
                scores, points = [t["score"] for t in results["tests"]], f"{results['score']:g}"
                remark = results["output"]
            except Exception as error:
                kind = "" if isinstance(error, Failed) else f"{type(error).__name__}: "
                remark, failed = printable(f"not graded: {kind}{error}"), failed + 1
            lines.writerow([printable(path.name), printable(student), points, *scores, remark])
            file.flush()
            say(f"{points or '-':>5}  {printable(path.name)}  {remark}")
    return failed


def main() -> int:
    parser = Parser("Grade a submission, or a class.")
    parser.add_argument("folder", nargs="?", help="a submission: a folder or a zip file")
    parser.add_argument("--all", metavar="FOLDER", help="grade everything in FOLDER")
    parser.add_argument("--out", type=Path, help="(results.json, or for --all grades.csv)")
    parser.add_argument("--student", default="", help="whose numbers (default: see answers.json)")
    parser.add_argument("--trust", action="store_true", help="run student code even unconfined")
    args = parser.parse_args()
    if sys.stdout:  # None if it was closed from the start
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a student's words
    if bool(args.all) == bool(args.folder):
        parser.error("name a submission, or --all FOLDER")
    path = Path(args.all or args.folder)
    out = (args.out or Path("grades.csv" if args.all else "results.json")).resolve()
    is_ours = not out.exists() or (out.is_file() and out.read_bytes()[:9] in OURS)
    if not path.exists() or not is_ours or not out.parent.is_dir():
        why = f"--out {out} is in no folder, or something else that would be lost"
        parser.error(why if path.exists() else f"{path} does not exist")
    try:
        sandbox = Sandbox(args.trust)
    except PermissionError as error:
        parser.error(f"{error}. Add --trust if you trust these programs")
    try:
        if args.all:
            return int(grade_all(path, out, sandbox) > 0)
        grade_one(path, normal(args.student) or whose(path), out, sandbox)
    except Exception as error:
        why = printable(f"{type(error).__name__}: {error}")
        parser.exit(1, f"grade.py failed, and gives no points: {why}\n")
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
