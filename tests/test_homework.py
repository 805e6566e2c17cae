"""The homework's grader: what it gives the reference and the starter, and what it survives.

A subset, with one server for student code; `make test-more` has every variant and both archives.
"""

import ast
import io
import json
import os
import sys
import zipfile
from pathlib import Path

import pytest

HOMEWORK = Path(__file__).resolve().parent.parent / "homework"
sys.path.append(str(HOMEWORK))

import archives  # noqa: E402
import matrix  # noqa: E402
import personal  # noqa: E402
import questions  # noqa: E402
from grade import grade, total  # noqa: E402
from points import TABLE  # noqa: E402
from sandbox import Call, Failed, Sandbox, Tensor  # noqa: E402
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
