"""The homework's grader: what it gives the reference and the starter, and what it survives.

A subset, with one server for student code; `make test-more` has every variant and both archives.
"""

import ast
import csv
import io
import itertools
import json
import os
import sys
import zipfile
from pathlib import Path

import pytest

HOMEWORK = Path(__file__).resolve().parent.parent / "homework"
sys.path.append(str(HOMEWORK))

import archives  # noqa: E402
import grade as grading  # noqa: E402
import matrix  # noqa: E402
import personal  # noqa: E402
import questions  # noqa: E402
import sandbox as sandboxes  # noqa: E402
from break_it import ESTIMATORS  # noqa: E402
from grade import GraderFailed, grade, total  # noqa: E402
from points import TABLE, Check  # noqa: E402
from sandbox import MOST_TEXT, Call, Failed, Reply, Sandbox, Tensor  # noqa: E402
from submission import Missing, Submission  # noqa: E402

ADA = "ada@example.edu"
CODE = [check for check in TABLE if check.part in "ABD"]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def handed_in(tmp_path):
    """hand_in("text of solution.py") is a folder with that and the right answers."""

    def hand_in(solution: str, student: str = ADA) -> Path:
        (tmp_path / "solution.py").write_text(solution)
        (tmp_path / "answers.json").write_text(json.dumps(questions.right_answers(student)))
        return tmp_path

    return hand_in


def test_the_points_are_those_of_the_handout():
    points = {part: sum(c.points for c in TABLE if c.part == part) for part in "ABCD"}
    assert points == {"A": 40, "B": 15, "C": 15, "D": 10}
    assert len({check.name for check in TABLE}) == len(TABLE)
    in_the_handout = (HOMEWORK / "assignment.md").read_text()
    for line in (
        "| A | code | 40 |",
        "| B | an estimator of your own | 15 |",
        "numbers 15, prose 20",
    ):
        assert line in in_the_handout


def test_the_reference_gets_all_points_for_code_and_numbers(handed_in, sandbox):
    out = handed_in(archives.reference(ADA))
    results = grade(
        out, ADA, sandbox, out / "results.json", [c for c in TABLE if "runs" not in c.name]
    )
    assert [t for t in results["tests"] if t["status"] == "failed"] == []
    assert total(results) == 74
    assert json.loads((out / "results.json").read_text())["tests"] == results["tests"]


def test_the_starter_gets_nothing(tmp_path, sandbox):
    (tmp_path / "solution.py").write_text(archives.starter())
    results = grade(tmp_path, ADA, sandbox)
    assert total(results) == 0
    assert all(
        test["output"] and "grader itself" not in test["output"] for test in results["tests"]
    )


def test_another_students_numbers_are_worth_nothing_where_they_differ(handed_in, sandbox):
    checks = [c for c in TABLE if c.name in ("own E5", "weights grpo", "lost", "noise", "factor")]
    copied = handed_in(archives.reference("bob@example.edu"), "bob@example.edu")
    assert personal.personal(ADA).coefficients != personal.personal("bob@example.edu").coefficients
    results = grade(copied, ADA, sandbox, checks=checks)
    assert all(test["status"] == "failed" for test in results["tests"])
    assert "bob@example.edu" in results["output"]


SOME = "rloo__over_the_batch maxrl__clamped_mean grpo__ddof_1 policy_gradient_loss__live_groups"
SOME += " pass_at_k__float_factorials verify__int own__with_replacement grpo__exits maxrl__forks"
SOME += " has_order__equal_rewards blank__forged_results blank__equal_to_everything"
SOME += " verify__by_heart completion_mask__by_heart has_order__what_is_claimed"


def test_some_variants_lose_what_they_list(handed_in, tmp_path_factory, sandbox):
    """All of them: make homework."""
    reference, blank = handed_in(archives.reference(ADA)), tmp_path_factory.mktemp("blank")
    (blank / "solution.py").write_text(archives.starter())
    chosen = [v for v in matrix.variants() if v.name in SOME.split()]
    assert len(chosen) == len(SOME.split())
    for variant in chosen:
        folder = blank.parent / variant.name
        matrix.hand_in(variant, reference, blank, folder)
        target = variant.name.split("__")[0]
        words = {"pass_at_k": "pass_at_k", "policy_gradient_loss": "loss"}
        mine = [c for c in CODE if c.name.startswith(words.get(target, target))]
        mine = mine or CODE[::6]
        results = grade(folder, ADA, sandbox, checks=mine)
        lost = [
            c.name for c, t in zip(mine, results["tests"], strict=True) if t["status"] == "failed"
        ]
        listed = [c.name for c in mine if c.name in variant.loses or target == "blank"]
        assert lost == listed, variant.name


def test_there_are_enough_variants():
    kinds = [v.kind for v in matrix.variants()]
    assert kinds.count("wrong") >= 50 and kinds.count("equivalent") >= 10
    assert kinds.count("cheats") >= 10


def test_what_is_claimed_of_an_estimator_does_not_tell_whether_it_is_right():
    right, wrong = ({tuple(c.args) for c in ESTIMATORS if c.right is which} for which in (1, 0))
    assert right == wrong


def test_estimators_are_as_right_and_as_wrong_as_the_handout_says():
    for case in ESTIMATORS:
        k, order = case.args
        rows = [list(row) for row in itertools.product((0.0, 1.0), repeat=k)]
        A = case.behave(Tensor(rows), None, k).values
        off = []
        for p in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98):
            chances = [p ** sum(r) * (1 - p) ** (k - sum(r)) for r in rows]
            g = [sum(a * (x - p) for a, x in zip(a_row, r, strict=True)) / k
                 for a_row, r in zip(A, rows, strict=True)]  # fmt: skip
            w = sum(c * x for c, x in zip(chances, g, strict=True)) / (p * (1 - p))
            off.append(abs(w * p / (1 - (1 - p) ** order) - 1))
        assert max(off) < 1e-9 if case.right else max(off) > 0.0999


RUBBISH = [None, True, 5, 10**400, float("nan"), "x" * 10**4, [], [[1]], {"t": 1}, Tensor(5, "x")]
RUBBISH += [Tensor("x"), Tensor(None), Tensor([[1], [2, 3]]), Tensor([[{}] * 5] * 3), Tensor([])]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda x: f"{x!r:.20}")
def test_rubbish_in_place_of_replies_is_the_students_fault(tmp_path, sandbox, monkeypatch, rubbish):
    """Whoever writes onto the socket himself can send any JSON."""

    def calls(calls, answer=None):
        return [Reply(rubbish, [rubbish, Tensor(rubbish)]) for _ in calls]

    monkeypatch.setattr(sandbox, "calls", calls)
    checks = [check for check in CODE if check.name != "verify short"]  # 30,000 times the same
    results = grade(tmp_path, ADA, sandbox, checks=checks)
    assert total(results) == 0
    assert all(0 < len(test["output"]) <= MOST_TEXT for test in results["tests"])


def test_sleeping_does_not_hold_up_a_class(sandbox, monkeypatch):
    monkeypatch.setattr(sandboxes, "ALL_WALL_SECONDS", 0.2)
    sandbox.load(b"import time\ndef f(): time.sleep(0.3)\ndef g(): return 1")
    assert sandbox.calls([Call("f", [])])[0].value is None
    with pytest.raises(Failed, match="has taken"):
        sandbox.calls([Call("g", [])])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can close its files to others")
def test_no_file_but_solution_py_is_seen(sandbox):
    source = "import os, decimal, numpy.random\ndef f(): return os.listdir('/') + os.listdir('.')"
    sandbox.load(source.encode())
    assert sandbox.calls([Call("f", [])])[0].value == ["solution.py"] * 2


def test_a_grader_that_fails_gives_no_points(tmp_path, sandbox, monkeypatch, capsys):
    def fails(student):
        raise KeyError("a mistake")

    broken = [Check("A", "broken", 1, "", fails)]
    with pytest.raises(GraderFailed, match="broken: KeyError"):
        grade(tmp_path, ADA, sandbox, checks=broken)
    monkeypatch.setattr(grading, "grade", lambda *_: grade(tmp_path, ADA, sandbox, checks=broken))
    out = tmp_path / "results.json"
    monkeypatch.setattr("sys.argv", ["grade.py", str(tmp_path), "--out", str(out)])
    assert grading.main() == 1 and not out.exists()
    assert "gives no points: GraderFailed: broken: KeyError" in capsys.readouterr().err


def test_one_students_trouble_does_not_stop_a_class(tmp_path, monkeypatch, capsys):
    """A zip file of a version that zipfile does not know, and a grader that fails for one."""
    (tmp_path / "fails").mkdir()
    (tmp_path / "later.zip").write_bytes(archives.packed({"solution.py": b""}))
    content = bytearray((tmp_path / "later.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 255
    (tmp_path / "later.zip").write_bytes(content)
    (tmp_path / "last").mkdir()

    def some(path, student, sandbox, out):
        if student == "fails":
            raise GraderFailed("a mistake")
        return grade(path, student, sandbox, out, checks=CODE[:1])

    monkeypatch.setattr(grading, "grade", some)
    assert grading.grade_all(tmp_path, tmp_path / "grades.csv") == 1
    rows = {row[0]: row for row in csv.reader((tmp_path / "grades.csv").open())}
    assert rows["fails"][1] == "" and "not graded: GraderFailed" in rows["fails"][-1]
    assert rows["last"][1] == rows["later"][1] == "0" and "version 25.5" in rows["later"][-1]
    assert not (tmp_path / "fails.results.json").exists()
    assert "fails  not graded" in capsys.readouterr().out


HOSTILE = """
import os, torch
def allocate(x): return torch.zeros(10**10)
def fork(x): os.fork()
def leave(x): os._exit(0)
def write(x): open("/tmp/homework-was-here", "w").write("x")
def nest(x):
    for _ in range(10**5): x = [x]
    return x
class Yes:
    def __eq__(self, other): return True
def agree(x): return Yes()
def crash(x):
    import ctypes
    ctypes.string_at(0)
def fine(x): return x + 1
"""


@pytest.mark.parametrize("name, why", [
    ("allocate", "memory"), ("fork", "BlockingIOError"), ("nest", "Error"),
    ("agree", "it returned a Yes"), ("nothing", "no function nothing"),
])  # fmt: skip
def test_hostile_functions_are_errors(sandbox, name, why):
    sandbox.load(HOSTILE.encode())
    bad, good = sandbox.calls([Call(name, [1]), Call("fine", [1])])
    assert why in bad.error and good.value == 2


@pytest.mark.parametrize("name", ["leave", "crash"])
def test_a_process_that_ends_is_the_students_fault(sandbox, name):
    sandbox.load(HOSTILE.encode())
    with pytest.raises(Failed, match=name):
        sandbox.calls([Call(name, [1])])
    assert sandbox.calls([Call("fine", [1])])[0].value == 2


def test_no_file_is_written(sandbox):
    sandbox.load(HOSTILE.encode())
    sandbox.calls([Call("write", [1])])
    place = Path("/tmp/homework-was-here")
    assert not place.exists() or place.read_text() == ""
    place.unlink(missing_ok=True)


def test_tensors_and_gradients_come_back_as_numbers(sandbox):
    sandbox.load(b"def f(x, y): return (x * x).sum() * y.sum().detach()")
    reply = sandbox.calls([Call("f", [Tensor([[1.0, 2.0]]), Tensor([3.0])], (0, 1))])[0]
    assert reply.value == Tensor(15.0) and reply.grads == [Tensor([[6.0, 12.0]]), None]


def test_a_function_may_ask_back(sandbox):
    sandbox.load(b"def f(ask, n): return [ask(i) for i in range(n)]")
    ask = {"ask": True}
    assert sandbox.calls([Call("f", [ask, 3])], lambda i: i * 10)[0].value == [0, 10, 20]
    failed = sandbox.calls([Call("f", [ask, 3])], lambda i: 1 / i)[0]
    assert "ZeroDivisionError" in failed.error


def test_links_bombs_and_rubbish_are_a_sentence(tmp_path):
    os.symlink("/etc/passwd", tmp_path / "solution.py")
    os.mkfifo(tmp_path / "answers.json")
    here = Submission(tmp_path)
    for name, why in (
        ("solution.py", "link"),
        ("answers.json", "not a file"),
        ("x", "not handed in"),
    ):
        with pytest.raises(Missing, match=why):
            here.read(name, 10)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("work/solution.py", b"#" * 10**7)
        archive.writestr("work/answers.json", "{}")
        archive.writestr("work/../../escaped", "x")
    (tmp_path / "bomb.zip").write_bytes(bomb.getvalue())
    with pytest.raises(Missing, match="larger"):
        Submission(tmp_path / "bomb.zip").read("solution.py", 1000)
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x").write_text("x")
    os.symlink("real", tmp_path / "runs")
    assert here.names("runs/") == []
    with pytest.raises(Missing, match="runs is a link"):
        here.read("runs/x", 10)
    (tmp_path / "no.zip").write_text("rubbish")
    with pytest.raises(Missing, match="not a zip"):
        Submission(tmp_path / "no.zip")


def test_numbers_of_the_usual_example():
    """p = .9, .5, .1, .01, .0001 with k = 8, worked out elsewhere."""
    p = (0.9, 0.5, 0.1, 0.01, 0.0001)
    own = personal.Personal((1, 1, 1, 1), p, (0.3, 3), 0.1, (1, 2, 3))
    table = {"grpo": (2.33, 1.86, 2.33, 2.61, 2.65), "maxrl": (1.11, 1.98, 5.22, 6.79, 7.00)}
    for method, row in table.items():
        assert list(questions.weights(own, method).values()) == pytest.approx(row, abs=6e-3)
    shares = {"rl": (20.5, 56.8, 20.5, 2.25, 0.023), "ml": (2.9, 14.3, 25.8, 28.4, 28.7)}
    for method, row in shares.items():
        assert list(questions.shares(own, method).values()) == pytest.approx(row, rel=0.02)
    assert questions.factor(own)[("half",)] == pytest.approx(6931.1, abs=1)


def test_numbers_of_an_id_stay_what_they_are():
    assert personal.personal(" Ada@Example.edu ") == personal.personal(ADA)
    classroom = [personal.personal(f"s{i}@example.edu") for i in range(100)]
    assert len({one.coefficients for one in classroom}) > 80
    assert len({one.seeds[0] for one in classroom}) == 100
    assert all(len(one.coefficients) == 4 and one.coefficients[3] != 0 for one in classroom)


def test_the_students_archive_gives_nothing_away(tmp_path):
    start = tmp_path / "start.pt"
    start.write_bytes(b"x")
    files = archives.student_files(start)
    assert archives.packed(files) == archives.packed(dict(reversed(files.items())))
    assert not {"plain.py", "reference.py", "checks.py"} & files.keys()
    for name in ("solution.py", "maxrl.py", "verify.py", "likelihoods.py"):
        tree = ast.parse(files[name].decode())
        bridged = archives.BRIDGES.get(name, {})
        gone = archives.TASKS if name == "solution.py" else archives.STRIPPED[name]
        for function in gone:
            body = archives.functions(tree)[function].body
            assert len(body) == 2 and ("NotImplementedError" in ast.unparse(body[1])), function
        for function in bridged:
            assert "solution." in ast.unparse(archives.functions(tree)[function])
    assert b"_fail_at_k" not in files["maxrl.py"] and b"_PROMPT" not in files["verify.py"]
