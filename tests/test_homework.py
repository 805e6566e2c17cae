"""The homework's grader: what it gives the reference and the starter, and what it survives.

`make homework` grades every wrong function and the archives; here is what is not in there.
"""

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

import verify

HOMEWORK = Path(__file__).resolve().parent.parent / "homework"
sys.path.append(str(HOMEWORK))

import checks  # noqa: E402
import grade as grading  # noqa: E402
import personal  # noqa: E402
import questions  # noqa: E402
import reference  # noqa: E402
import release  # noqa: E402
from points import TABLE  # noqa: E402
from questions import train  # noqa: E402
from sandbox import ASK, NOBODY, Call, Failed, InProcess, Sandbox  # noqa: E402
from submission import Submission  # noqa: E402

ADA = "ada@example.edu"


@pytest.fixture
def folder(tmp_path):
    """A right submission of Ada's, without runs."""
    (tmp_path / "solution.py").write_text(release.solution(ADA), "utf-8-sig")  # as by Notepad
    right = questions.right_answers(personal.personal(ADA))
    (tmp_path / "answers.json").write_text(json.dumps(right))
    return tmp_path


def points(folder, monkeypatch, names=("",), sandbox=None):
    """Of the lines of the results that begin with these names."""
    monkeypatch.setattr(grading, "TABLE", [c for c in TABLE if c.name.startswith(tuple(names))])
    tests = grading.grade(folder, ADA, sandbox or InProcess())["tests"]
    return {test["name"]: test["score"] for test in tests}


def test_the_reference_gets_all_and_the_starter_nothing(folder, monkeypatch):
    right = {c.name: c.points * ("runs" not in c.name) for c in TABLE}
    assert points(folder, monkeypatch) == right
    by_part = {part: sum(c.points for c in TABLE if c.part == part) for part in "ABCD"}
    assert by_part == {"A": 40, "B": 15, "C": 15, "D": 10}, "assignment.md says so"
    (folder / "solution.py").write_text(release.starter())
    (folder / "answers.json").write_bytes((HOMEWORK / "student/answers.json").read_bytes())
    assert set(points(folder, monkeypatch).values()) == {0}


def test_wrong_functions_lose_what_they_violate():
    """Every tenth of them; all in `make homework`."""
    assert release.surprises(release.WRONG[::10]) == []


def test_the_grader_and_the_project_agree_about_all_that_verify_is_asked():
    for pair in checks.asked_pairs():
        assert verify.verify(*pair) == reference.verify(*pair), pair


PUPPET = "import sys; print('ready', flush=True); [print({!r}, flush=True) for _ in sys.stdin]"
VALUES = ["true", "NaN", "1" * 400, "[[1]]", '{"t": 5, "d": "int64"}', '{"t": [], "d": "bool"}']
LINES = ["", "[]", "[" * 10**5, '{"value": {"t": "x", "d": "int8"}}']
LINES += [f'{{"value": {value}, "grads": [{value}, {value}]}}' for value in VALUES]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_rubbish_in_place_of_replies_is_the_students_fault(folder, monkeypatch, line):
    sandbox = Sandbox(trust=True)
    sandbox.command = [sys.executable, "-S", "-c", PUPPET.format(line)]
    some = ("reinforce", "rloo", "pass_at_k edges", "compl", "summed", "policy", "is_verifier")
    assert set(points(folder, monkeypatch, some, sandbox=sandbox).values()) == {0}
    sandbox.stop()


CALLED = b"""
import os
def user(): return os.getuid()
def ask(f): return [f(i) for i in range(3)]
def square(x, y): return (x * x).sum() * y.sum().detach()
def told(x): raise ValueError(f'I was asked {x}')
"""


def test_calls_into_a_process_of_its_own():
    sandbox, (x, y) = Sandbox(trust=True), (torch.tensor([[1.0, 2.0]]), torch.tensor([3.0]))
    sandbox.load(CALLED)

    def reply(name, *args, grad=()):
        return sandbox.calls([Call(name, [*args], grad)], lambda i: i * 10)[0]

    assert reply("nothing")["error"] == "is not in solution.py"
    assert reply("told", 7) == {"error": "raised ValueError (line 6 of solution.py)"}
    assert reply("user")["value"] == (os.getuid() or NOBODY)
    assert reply("ask", ASK)["value"] == [0, 10, 20]
    squared = reply("square", x, y, grad=(0, 1))
    assert squared["value"] == 15 and squared["grads"][0].equal(6 * x) and not squared["grads"][1]
    sandbox.load(b"import os\na = b = c = d = lambda: os._exit(0)")
    for name in "abcde":
        with pytest.raises(Failed, match="^nothing else" if name == "e" else f"^{name} ended"):
            reply(name)
    sandbox.load(b"import os; os._exit(0)")
    with pytest.raises(Failed, match=r"^solution\.py ended its process"):
        reply("verify", "", "")


def archive(path, names, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as content:
        for name in names.split():
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, method  # as it stands, backslashes and all
            content.writestr(info, "pass")
    return path


@pytest.mark.parametrize("names, there", [
    ("solution.py runs/a.json", True), ("./solution.py ./runs/a.json", True),
    ("ada\\solution.py ada\\runs\\a.json", True), ("C:\\solution.py", False),
    ("__MACOSX/solution.py ./ada/solution.py ada/runs/a.json", True),
    ("/solution.py ../runs/a.json", False), ("a/solution.py b/solution.py", False),
])  # fmt: skip
def test_names_in_an_archive_however_they_are_written(tmp_path, names, there):
    submission = Submission(archive(tmp_path / "it.zip", names))
    for name in ("solution.py", "runs/a.json"):
        with contextlib.nullcontext() if there else pytest.raises(Failed, match="not handed in"):
            assert submission.read(name, 100) == b"pass"


def test_links_bombs_and_rubbish_are_a_sentence(tmp_path):
    os.symlink("/etc/passwd", tmp_path / "solution.py")
    os.mkfifo(tmp_path / "answers.json")
    os.symlink("/etc", tmp_path / "runs")
    large = archive(tmp_path / "large.zip", "solution.py")
    bomb = archive(tmp_path / "bomb.zip", "solution.py", zipfile.ZIP_LZMA)
    for path, name, why in (
        (large, "solution.py", "larger"), (bomb, "solution.py", "only deflate"),
        (tmp_path, "solution.py", "not handed in"), (tmp_path, "runs/passwd", "not handed in"),
        (tmp_path, "answers.json", "not handed in"),
    ):  # fmt: skip
        with pytest.raises(Failed, match=why):
            Submission(path).read(name, 3)


def test_a_class_has_a_line_for_each_submission(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "TABLE", [c for c in TABLE if c.name == "rloo E"])
    there, table, rubbish = tmp_path / "class", tmp_path / "grades.csv", "a.tar.gz b.7z c.zip d.py"
    for name, student in (("Ada L_12345_assignsubmission_file", ADA), ("Zoe\u0301 ", 7),
                          ("eve", "bob")):  # fmt: skip
        (there / name).mkdir(parents=True)
        (there / name / "solution.py").write_text(release.solution(ADA))
        (there / name / "answers.json").write_text(json.dumps({"student": student}))
    archive(there / "BOB.ZIP", "./solution.py")
    (there / "loop").symlink_to("loop")
    (there / "Moodle_1").mkdir()
    archive(there / "Moodle_1/HAND.ZIP", "hw/solution.py hw/old_solution.py")
    (there / "eve.results.json").write_text("old")
    for name in rubbish.split():
        (there / name).write_bytes(b"\x00rubbish")
    assert grading.grade_all(there, table, InProcess()) == 7
    rows = {row["file"]: row for row in csv.DictReader(table.open(encoding="utf-8"))}
    points = {row["student"]: row["points"] for row in rows.values() if row["points"]}
    assert len(rows) == 10 and points == {ADA: "1.5", "zo\u00e9": "1.5", "moodle_1": "0"}
    assert "not handed in" not in rows["Moodle_1"]["remarks"]
    assert not (there / "eve.results.json").exists()
    assert all("not a zip file" in rows[name]["remarks"] for name in ["loop", *rubbish.split()])
    assert all("more than one" in rows[name]["remarks"] for name in ("eve", "BOB.ZIP"))


def test_an_id_has_one_spelling_and_its_own_numbers():
    assert personal.personal("Zo\u00e9 ") == personal.personal("Zoe\u0301")
    assert personal.personal(" Ada@Example.edu ") == personal.personal(ADA)
    assert personal.normal("a\ud800") == "a?"
    ids = [personal.personal(f"s{i}@example.edu") for i in range(100)]
    assert len({x.coefficients for x in ids}) > 80 and len({x.seeds for x in ids}) == 100


def test_numbers_of_the_usual_example():
    """p = .9, .5, .1, .01, .0001 with k = 8, worked out elsewhere."""
    own = personal.Personal((1,) * 4, (0.9, 0.5, 0.1, 0.01, 0.0001), (0.3, 3), 0.1, (1, 2, 3))
    right = {
        "weights": {"rl": [1] * 5, "grpo": [2.33, 1.86, 2.33, 2.61, 2.65],
                    "maxrl": [1.11, 1.98, 5.22, 6.79, 7], "ml": [1.11, 2, 10, 100, 10000]},
        "shares": {"rl": [20.5, 56.8, 20.5, 2.25, 0.0227], "ml": [2.87, 14.3, 25.8, 28.4, 28.7]},
        "hardest": {"factor": 10000, "half": 6931.1, "live": 0.08},
        "lost": {"maxrl_raw": 2.19, "maxrl": 1.7, "difference": 0.49},
        "sd": {"maxrl_raw": [3.92, 4.95, 1.82], "maxrl": [2.13, 4.59, 1.9]},
    }  # fmt: skip
    assert {*questions.compared(right, questions.right_answers(own), "")} == {""}


def changed(kind, **figures):
    return lambda run: run | {"rows": [r | figures if kind in r else r for r in run["rows"]]}


@pytest.mark.parametrize("change, why", [
    (lambda run: run, ""), (lambda run: run | {"settings": {}}, "settings other"),
    (lambda run: run | {"rows": run["rows"][:-1]}, "a row for each"),
    (lambda run: run | {"rows": [*run["rows"], run["rows"][1]]}, "a row for each"),
    (changed("nll", nll=3), "nll is different"), (changed("pass_rate", pass_rate=1), "pass_rate"),
    (changed("nll", nll="x"), "not a run"), (lambda run: [run], "not a run"),
    (changed("grad_norm", grad_norm=9), ""),
])  # fmt: skip
def test_a_run_counts_if_it_begins_as_the_students_own(folder, monkeypatch, change, why):
    short = {"method": "rloo", "batch": 4, "steps": 2, "every": 2, "seed": 5}
    monkeypatch.setattr(personal, "runs", lambda student: {"rloo-s5": short})
    s = train.Settings(**short)
    rows = [*train.train(s, reference, HOMEWORK / "student")]
    (folder / "runs").mkdir()
    run = change({"settings": vars(s), "rows": rows})
    (folder / "runs/rloo-s5.json").write_text(json.dumps(run))
    student = checks.Student(ADA, InProcess(), Submission(folder))
    share, said = questions.runs(student, "runs", "rloo")
    assert why in said and share == (not why)


def test_the_students_kit_gives_nothing_away(tmp_path):
    texts = {p.name: p.read_text() for p in release.student_kit(tmp_path / "kit").glob("*.py")}
    assert texts["solution.py"].count("raise NotImplementedError") == 13
    assert "fullmatch" not in texts["solution.py"] and "log_softmax" not in texts["model.py"]


def test_wrong_use_and_a_grader_that_fails(tmp_path, monkeypatch, capsys):
    """One line, which says what to do; and no points rather than wrong ones."""

    def run(main, *words):
        monkeypatch.setattr(sys, "argv", ["grade.py", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return stopped.value.code, said

    os.mkfifo(tmp_path.parent / "fifo")  # a stand-in for /dev/null
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for main, why, *words in (
        (grading.main, "--trust", tmp_path), (grading.main, "not exist", "nowhere"),
        (grading.main, "--all"), (grading.main, "--all", "--all", ""),
        (grading.main, "lost", tmp_path, "--out="), (release.main, "no value", "--x=--"),
        (grading.main, "lost", tmp_path, "--out", tmp_path.parent / "fifo"),
        (grading.main, "lost", tmp_path, "--out", HOMEWORK / "student/answers.json"),
        *((train.main, f"--{name} must be", f"--{name}=-1") for name in train.MOST),
        (train.main, "no file", "--init="), (train.main, "cannot write", "--save", "/dev/null/x"),
        (personal.main, "empty", " "),
        (grading.main, "in no", tmp_path, "--out", "a/b"), (grading.main, "or", "a", "--all", "b"),
        (grading.main, "unrecognized", tmp_path, "--tru"), (release.main, "unrecognized", "x"),
        (grading.main, "no value", tmp_path, "--out=--"), (train.main, "int", "--steps", "x"),
    ):  # fmt: skip
        status, said = run(main, *words)
        assert status == 2 and why in said
    assert personal.command(Mock(side_effect=KeyboardInterrupt)) == 130
    assert capsys.readouterr().err.count("\n") == 1
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr(grading, "Sandbox", lambda trust: InProcess())
    monkeypatch.setattr(grading, "grade", lambda *_: {}["a mistake"])
    out = tmp_path / "results.json"
    out.write_text('{\n "score": 1}')
    status, said = run(grading.main, tmp_path, "--out", out)
    assert status == 1 and "gives no points: KeyError" in said and not out.exists()
    command = [sys.executable, HOMEWORK / "personal.py", ADA]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
