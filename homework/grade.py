"""Grade a submission: a folder or a zip file with solution.py, answers.json and runs/.

    python homework/grade.py ada/ --out results.json --student ada@example.edu
    python homework/grade.py --all submissions/ --csv grades.csv --roster ids.txt

The exit status is 0 whatever the points. It is 1, and there are no points at all, if the grader
itself fails; and 2 where student code cannot be confined: without --trust none is run there.
results.json is in Gradescope's format, and is written whole after every test, so that a time-out
keeps what was earned until then. With AUTOGRADER_ROOT and without a folder it reads and writes
where Gradescope wants it to (run_autograder). Left out: what is tested (checks.py, questions.py),
and for how many points (points.py).
"""

import argparse
import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

from checks import Student
from personal import normal
from points import TABLE, Check
from sandbox import Failed, NotConfined, Sandbox
from submission import Submission

MOST_SOURCE, MOST_TEXT = 200_000, 500  # bytes, characters of a message


def printable(text: object) -> str:
    """What a student may have had a hand in, as one line of at most MOST_TEXT characters."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:MOST_TEXT])


def say(text: str) -> None:
    """Print. Where the reader is gone or the disk full, the words are lost, but nobody's points."""
    try:
        print(text, flush=True)
    except OSError:  # and nothing that is left in the buffer may fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def word(text: str) -> Path:
    """An argparse type: a path. (An empty word would be the folder one stands in.)"""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: give a name")
    return Path(text)


def row(check: Check, share: float, output: object) -> dict[str, Any]:
    """One test of results.json."""
    return {
        "name": f"{check.name}: {check.title}", "number": check.part,
        "score": round(share * check.points, 3), "max_score": check.points,
        "status": "passed" if share == 1 else "failed",
        "output": printable(output), "visibility": "visible",
    }  # fmt: skip


def grade(path: Path, student: str, sandbox: Sandbox, out: Path | None = None) -> dict[str, Any]:
    """The results of one submission. Failed if it cannot be read at all."""
    submission = Submission(path)
    named = named_in(submission)
    note = f"Graded with the numbers of {student}. "
    note += f'answers.json says "student": {named or "nobody"}.' if named != student else ""
    tests = [row(check, 0, "not run: the grader was stopped before this test") for check in TABLE]
    results = {"tests": tests, "output": printable(note), "extra_data": {"student": student}}
    try:
        sandbox.load(submission.read("solution.py", MOST_SOURCE))
    except Failed as missing:
        sandbox.load(b"", str(missing))
    handed_in = Student(student, sandbox, submission)
    for i, check in enumerate(TABLE):
        write(out, results)
        try:
            tests[i] = row(check, *check.run(handed_in))
        except Failed as failed:
            tests[i] = row(check, 0, failed)
    write(out, results)
    return results


def write(path: Path | None, content: dict[str, Any]) -> None:
    """Replace a file of JSON, whole or not at all."""
    if path is not None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(content, indent=1))
        os.replace(temporary, path)


def named_in(submission: Submission) -> str:
    """The id in answers.json; "" if there is none."""
    try:
        named = submission.json("answers.json", 100_000).get("student")
    except (Failed, AttributeError):
        return ""
    return normal(named)[:MOST_TEXT] if isinstance(named, str) else ""


def whose(path: Path, roster: list[str]) -> str:
    """The id of a submission: its name, if the roster has that; else what answers.json says."""
    name = normal(path.resolve().name if path.is_dir() else path.stem)
    try:
        return name if name in roster else named_in(Submission(path)) or name
    except Failed:
        return name


def total(results: dict[str, Any]) -> float:
    """All points."""
    return round(sum(test["score"] for test in results["tests"]), 2)


def grade_one(path: Path, student: str, out: Path, sandbox: Sandbox) -> None:
    """Grade and print."""
    try:
        results = grade(path, normal(student) or whose(path, []), sandbox, out)
    except Failed as failed:
        results = {"tests": [row(check, 0, failed) for check in TABLE], "output": str(failed)}
        write(out, results)
    for test in results["tests"]:
        mark = "" if test["status"] == "passed" else f"  {test['output']}"
        say(f"{test['score']:5g} of {test['max_score']:<4g} {test['name']}{mark}")
    most = sum(test["max_score"] for test in results["tests"])
    say(f"{results['output']}\n{total(results):g} of {most:g} points, in {out}")


def grade_all(folder: Path, table: Path, roster: list[str], sandbox: Sandbox) -> int:
    """A class: a line for each thing in the folder, and for each id of the roster that handed in
    nothing. An id that two submissions have, or that is not on the roster, is not graded. Returns
    how many lines have no points but a reason."""
    paths = [p for p in sorted(folder.iterdir()) if p.name[0] != "." and p.resolve() != table
             and not p.name.endswith(".results.json")]  # fmt: skip
    ids: list[tuple[Path | None, str]] = [(path, whose(path, roster)) for path in paths]
    there = [student for _, student in ids]
    ids += [(None, student) for student in roster if student not in there]
    failed = 0
    with open(table, "w", newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.writer(file)
        lines.writerow(["file", "student", "points", *(c.name for c in TABLE), "remarks"])
        for path, student in ids:
            scores, points = [""] * len(TABLE), ""
            try:
                if path is None:
                    raise Failed("nothing was handed in")
                if there.count(student) > 1:
                    raise Failed(f"more than one submission is by {student}")
                out = folder / f"{path.name}.results.json"
                if roster and student not in roster:
                    raise Failed(f"{student} is not on the roster")
                results = grade(path, student, sandbox, out)
                scores, points = [t["score"] for t in results["tests"]], f"{total(results):g}"
                remark = results["output"]
            except Exception as error:
                kind = "" if isinstance(error, Failed) else f"{type(error).__name__}: "
                remark, failed = printable(f"not graded: {kind}{error}"), failed + 1
            name = printable(path.name if path else "")
            lines.writerow([name, student, points, *scores, remark])
            file.flush()
            say(f"{points or '-':>5}  {name}  {remark}")
    return failed


def on_gradescope(root: Path) -> str:
    """Whose submission it is; "" if that is not known. A team's numbers are those of the id that
    comes first."""
    try:
        users = json.loads((root / "submission_metadata.json").read_text())["users"]
        return min(normal(user["email"]) for user in users)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Grade a submission, or a class.")
    parser.add_argument("folder", nargs="?", type=word, help="a submission: a folder or a zip file")
    parser.add_argument("--out", type=word, default=Path("results.json"), help="for one submission")
    parser.add_argument("--student", default="", help="whose numbers (default: see answers.json)")
    parser.add_argument("--all", type=word, metavar="FOLDER", help="grade everything in FOLDER")
    parser.add_argument("--csv", type=word, default=Path("grades.csv"), help="for --all")
    parser.add_argument("--roster", type=word, help="for --all: a file with one id on each line")
    parser.add_argument("--trust", action="store_true", help="run student code even unconfined")
    args, root = parser.parse_args(), os.environ.get("AUTOGRADER_ROOT")
    if sys.stdout:  # None if it was closed from the start
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a student's words
    if root and not (args.all or args.folder):
        args.folder, args.out = Path(root, "submission"), Path(root, "results", "results.json")
        args.student = on_gradescope(Path(root))
    for path in (args.all, args.folder, args.roster):
        if path is not None and not path.exists():
            parser.exit(2, f"grade.py: {path} does not exist\n")
    if not (args.all or args.folder):
        parser.exit(2, "grade.py: name a submission, or --all FOLDER\n")
    try:
        sandbox = Sandbox(args.trust)
        if args.all:
            ids = args.roster.read_text(encoding="utf-8").splitlines() if args.roster else []
            roster = [normal(student) for student in ids if student.strip()]
            return int(grade_all(args.all, args.csv.resolve(), roster, sandbox) > 0)
        grade_one(args.folder, args.student, args.out, sandbox)
    except NotConfined as why:
        parser.exit(2, f"grade.py: {why}. Add --trust if you trust these programs\n")
    except Exception as error:
        if not args.all and args.out.is_file():
            args.out.unlink()  # no score rather than a wrong one
        words = printable(f"grade.py failed, and gives no points: {type(error).__name__}: {error}")
        print(words, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
