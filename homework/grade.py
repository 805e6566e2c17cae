"""Grade a submission: a folder or a zip file with solution.py, answers.json and runs/.

    python homework/grade.py ada/ --out results.json --student ada@example.edu
    python homework/grade.py --all submissions/ --csv grades.csv    # a folder or zip for each id

The exit status is 0 whatever the points. If the grader itself fails it is 1, and no points are
given at all. It is 2 where student code cannot be confined: without --trust none is run there.
results.json is in Gradescope's format, and is written whole after every test, so that whoever stops
the grader finds what was earned until then. With AUTOGRADER_ROOT it reads and writes where
Gradescope wants it (run_autograder). Left out: what is tested (checks.py, questions.py, replay.py),
for how many points (points.py).
"""

import argparse
import contextlib
import csv
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import replay
import start  # noqa: F401  (the project's modules can be imported from here on)
from checks import Student
from personal import normal
from points import TABLE, Check
from sandbox import MOST_TEXT, Failed, NotConfined, Sandbox
from submission import Missing, Submission

NOT_RUN = "not run: the grader was stopped before it came to this test"


class GraderFailed(Exception):
    """A mistake of the grader's, in a line: nobody's points may hang on it."""


MOST_SOURCE = 200_000


def test_row(check: Check, share: float, output: str) -> dict[str, Any]:
    """One test of results.json."""
    return {
        "name": f"{check.name}: {check.title}",
        "number": check.part,
        "score": round(share * check.points, 3),
        "max_score": check.points,
        "status": "passed" if share == 1 else "failed",
        "output": printable(output),
        "output_format": "text",
        "visibility": "visible",
    }


def printable(text: str) -> str:
    """What a student may have had a hand in, as one line of at most MOST_TEXT characters."""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_TEXT])


def write(path: Path | None, content: dict[str, Any]) -> None:
    """Replace a file of JSON, whole or not at all."""
    if path is not None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(content, indent=1))
        os.replace(temporary, path)


def grade(
    path: Path, student: str, sandbox: Sandbox, out: Path | None = None, checks: list = TABLE
) -> dict[str, Any]:
    """The results of one submission. GraderFailed if it is not the submission's fault."""
    began = time.monotonic()
    tests = [test_row(check, 0, NOT_RUN) for check in checks]
    note = f"Graded with the numbers of {printable(student)}. " if student else ""
    results: dict[str, Any] = {"tests": tests, "visibility": "visible", "output": note}
    results |= {"stdout_visibility": "hidden", "extra_data": {"student": student}}
    write(out, results)
    try:
        submission = Submission(path)
    except Missing as missing:  # not even a zip file
        results["output"] += f"{printable(str(missing))}. "
        submission = Submission(Path(sandbox.folder.name) / "nothing")
    try:
        sandbox.load(submission.read("solution.py", MOST_SOURCE))
    except Missing as missing:
        sandbox.load(b"", str(missing))
    results["output"] += declared(submission, student)
    handed_in = Student(student, sandbox, submission)
    for i, check in enumerate(checks):
        tests[i] = test_row(check, *outcome(check, handed_in))
        results["execution_time"] = round(time.monotonic() - began, 1)
        write(out, results)
    return results


def outcome(check: Check, student: Student) -> tuple[float, str]:
    """What a check says."""
    try:
        return check.run(student)
    except (Failed, Missing) as failed:
        return 0, str(failed)
    except RecursionError:
        return 0, "what was handed back is nested too deep to be what was asked for"
    except Exception as error:
        raise GraderFailed(f"{check.name}: {type(error).__name__}: {error}"[:MOST_TEXT]) from error


def declared(submission: Submission, student: str) -> str:
    """A sentence if answers.json names somebody else."""
    try:
        answers = submission.json("answers.json", 100_000)
    except Missing as missing:
        return f"{printable(str(missing))}. "
    named = answers.get("student") if isinstance(answers, dict) else None
    if isinstance(named, str) and normal(named) == student:
        return ""
    return f'answers.json says "student": {named!r:.60}; the numbers of {student} count. '


def id_of(submission: Path, given: str | None) -> str:
    """Whose numbers: the one given, else the one in answers.json, else the name of the folder."""
    if given:
        return normal(given)
    try:
        named = Submission(submission).json("answers.json", 100_000).get("student")
    except (Missing, AttributeError):
        named = None
    named = named if isinstance(named, str) and named.strip() else name_of(submission)
    return normal(named)[:MOST_TEXT]


def name_of(submission: Path) -> str:
    """The name of a folder, or of a zip file without its ending."""
    return submission.resolve().name.removesuffix(".zip")


def total(results: dict[str, Any]) -> float:
    """All points."""
    return round(sum(test["score"] for test in results["tests"]), 2)


def grade_one(path: Path, student: str, out: Path, sandbox: Sandbox) -> None:
    """Grade and print."""
    try:
        results = grade(path, student, sandbox, out)
    except Exception:
        with contextlib.suppress(OSError):
            out.unlink()  # no score rather than a wrong one
        raise
    for test in results["tests"]:
        mark = "" if test["status"] == "passed" else f"  {test['output']}"
        print(f"{test['score']:5g} of {test['max_score']:<4g} {test['name']}{mark}")
    most = sum(test["max_score"] for test in results["tests"])
    print(f"{results['output']}\n{total(results):g} of {most:g} points, in {out}")


def grade_all(folder: Path, table: Path, sandbox: Sandbox) -> int:
    """A class: a folder or zip file for each student, named by the id; a line for each in a CSV.

    Where grading fails, or two have one id, the line has no points and says why, and the others go
    on. Returns how many that were.
    """
    failed = 0
    paths = sorted(p for p in folder.iterdir() if p.is_dir() or p.suffix == ".zip")
    names = [normal(name_of(path)) for path in paths]
    with open(table, "w", newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.writer(file)
        rows.writerow(["student", "points", *(check.name for check in TABLE), "remarks"])
        for path, name in zip(paths, names, strict=True):
            out = folder / f"{name}.results.json"
            try:
                replay.forget()
                if names.count(name) > 1:
                    raise GraderFailed("there is more than one submission of this name")
                results = grade(path, name, sandbox, out)
                scores = [test["score"] for test in results["tests"]]
                row = [total(results), *scores, results["output"]]
            except Exception as error:
                failed += 1
                with contextlib.suppress(OSError):  # it may be what has failed
                    out.unlink()
                row = ["", *([""] * len(TABLE)), f"not graded: {in_a_line(error)}"]
            rows.writerow([name, *row])
            file.flush()
            print(f"{row[0]!s:>5}  {printable(name)}{'' if row[0] != '' else f'  {row[-1]}'}")
    return failed


def in_a_line(error: Exception) -> str:
    """What happened to the grader."""
    return printable(f"{type(error).__name__}: {error}")


def gradescope(root: Path, sandbox: Sandbox) -> None:
    """As Gradescope calls it. A team's numbers are those of the id that comes first."""
    try:
        users = json.loads((root / "submission_metadata.json").read_text())["users"]
        student = min(normal(user["email"]) for user in users)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        student = id_of(root / "submission", None)
    grade_one(root / "submission", student, root / "results" / "results.json", sandbox)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="a submission: a folder or a zip file")
    parser.add_argument(
        "--out", type=Path, default=Path("results.json"), help="default results.json"
    )
    parser.add_argument("--student", help="whose numbers (default: what answers.json says)")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="grade everything in FOLDER")
    parser.add_argument("--csv", type=Path, default=Path("grades.csv"), help="default grades.csv")
    parser.add_argument(
        "--trust", action="store_true", help="grade where student code cannot be confined, too"
    )
    args = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # whatever a student wrote into a message
    root, place = os.environ.get("AUTOGRADER_ROOT"), args.all or args.folder
    if place is None and root is None:
        parser.exit(2, "grade.py: name a submission, or --all FOLDER\n")
    if place is not None and not (place.is_dir() or (place.is_file() and not args.all)):
        parser.exit(2, f"grade.py: {place} is not there\n")
    try:
        with Sandbox(args.trust) as sandbox:
            if args.all:
                return int(grade_all(args.all, args.csv, sandbox) > 0)
            elif args.folder:
                grade_one(args.folder, id_of(args.folder, args.student), args.out, sandbox)
            elif root:
                gradescope(Path(root), sandbox)
    except NotConfined as why:
        parser.exit(
            2, f"grade.py: {why}; grade as root, or add --trust if you trust these programs\n"
        )
    except Exception as error:
        print(f"grade.py failed, and gives no points: {in_a_line(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
