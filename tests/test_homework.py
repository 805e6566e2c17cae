"""The homework's grader: what it gives the reference and the starter, and what it survives.

A subset, with one server for student code; `make test-more` has every variant and both archives.
"""

import ast
import contextlib
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
import break_it  # noqa: E402
import checks  # noqa: E402
import grade as grading  # noqa: E402
import matrix  # noqa: E402
import personal  # noqa: E402
import questions  # noqa: E402
import replay  # noqa: E402
import sandbox as sandboxes  # noqa: E402
from grade import GraderFailed, grade, total  # noqa: E402
from points import TABLE, Check  # noqa: E402
from sandbox import MOST_TEXT, Call, Failed, NotConfined, Reply, Sandbox, Tensor  # noqa: E402
from submission import Missing, Submission  # noqa: E402

ADA = "ada@example.edu"
CODE = [check for check in TABLE if check.part in "ABD"]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(trust=True) as sandbox:  # these programs are our own
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


def test_the_reference_gets_all_points(handed_in, sandbox):
    """In every second test; in all, part D and the runs among them: make homework."""
    out = handed_in(archives.reference(ADA))
    checks = [c for c in TABLE if c.part in "ABC" and "runs" not in c.name][::2]
    results = grade(out, ADA, sandbox, out / "results.json", checks)
    assert [t for t in results["tests"] if t["status"] == "failed"] == []
    assert total(results) == sum(check.points for check in checks)
    assert json.loads((out / "results.json").read_text())["tests"] == results["tests"]


def test_the_starter_gets_nothing(tmp_path, sandbox):
    """In every third test."""
    (tmp_path / "solution.py").write_text(archives.starter())
    results = grade(tmp_path, ADA, sandbox, checks=TABLE[::3])
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


SOME = "rloo__over_the_batch maxrl__clamped_mean own__with_replacement verify__by_heart"
SOME += " policy_gradient_loss__live_groups grpo__exits blank__equal_to_everything"


def test_some_variants_lose_what_they_list(handed_in, tmp_path_factory, sandbox):
    """All variants: make homework."""
    reference, blank = handed_in(archives.reference(ADA)), tmp_path_factory.mktemp("blank")
    (blank / "solution.py").write_text(archives.starter())
    chosen = [v for v in matrix.variants(sandbox) if v.name in SOME.split()]
    assert len(chosen) == len(SOME.split())
    for variant in chosen:
        folder = blank.parent / variant.name
        matrix.hand_in(variant, reference, blank, folder)
        target = variant.name.split("__")[0]
        words = {"pass_at_k": "pass_at_k", "policy_gradient_loss": "loss"}
        mine = [c for c in CODE if c.name.startswith(words.get(target, target))]
        mine = mine or CODE[::9]
        results = grade(folder, ADA, sandbox, checks=mine)
        lost = [
            c.name for c, t in zip(mine, results["tests"], strict=True) if t["status"] == "failed"
        ]
        listed = [c.name for c in mine if c.name in variant.loses or target == "blank"]
        assert lost == listed, variant.name


class AnotherEachTime:
    """A submission that is right in its first session and hands back r - 1/2 in all others."""

    sessions = 0

    def calls(self, calls: list[Call]) -> list[Reply]:
        self.sessions += 1
        rows = [call.args[0].values[0] for call in calls]
        if self.sessions == 1:
            return [Reply(Tensor([[x / max(sum(r), 1) * len(r) for x in r]])) for r in rows]
        return [Reply(Tensor([[x - 0.5 for x in r]])) for r in rows]


def test_the_runs_are_held_against_the_very_replies_that_were_graded(monkeypatch):
    student = checks.Student(ADA, AnotherEachTime(), Submission(Path("nowhere")))
    assert checks.expectation(student, "maxrl_raw") == (1, "")
    monkeypatch.setattr(replay, "judged", lambda student, names, table: table)
    table = replay.own(student, "maxrl_raw")
    assert table[1:3] == [[16, 0], [8, 0]] and student.sandbox.sessions == 1


def test_there_are_enough_variants(sandbox):
    kinds = [v.kind for v in matrix.variants(sandbox)]
    assert kinds.count("wrong") >= 50 and kinds.count("equivalent") >= 10
    assert kinds.count("cheats") >= 10


def test_what_is_claimed_of_an_estimator_does_not_tell_whether_it_is_right():
    cases = break_it.estimators()
    right, wrong = ({tuple(c.args) for c in cases if (c.lot is None) is r} for r in (True, False))
    assert right == wrong


def weight_of(case: break_it.Behaviour, p: float) -> float:
    """w(p) of E[g] = w grad p, over all 2^k outcomes."""
    k = case.args[0]
    rows = [list(row) for row in itertools.product((0.0, 1.0), repeat=k)]
    total = 0.0
    for A, r in zip(case.behave(Tensor(rows), None, k).values, rows, strict=True):
        g = sum(a * (x - p) for a, x in zip(A, r, strict=True)) / k
        total += p ** sum(r) * (1 - p) ** (k - sum(r)) * g / (p * (1 - p))
    return total


def test_estimators_are_as_right_and_as_wrong_as_the_handout_says():
    """And at each usual p, 0 and 1 as limits, one of each lot of wrong ones is right."""
    right_at, limits = set(), {0.0: 1e-6, 1.0: 1 - 1e-6}
    for case in break_it.estimators():
        off = {p: abs(weight_of(case, x) * x / (1 - (1 - x) ** case.args[1]) - 1)
               for p in (*break_it.USUAL, *(i / 50 for i in range(1, 50)))
               for x in [limits.get(p, p)]}  # fmt: skip
        assert max(off.values()) < 1e-7 if case.lot is None else max(off.values()) > 0.1
        right_at |= {(case.lot, p) for p in break_it.USUAL
                     if off[p] < (1e-4 if p in limits else 1e-9)}  # fmt: skip
    assert right_at >= set(itertools.product(range(break_it.LOTS), break_it.USUAL))


def test_no_one_prompt_shows_a_whole_lot_of_verifiers():
    cases = break_it.verifiers()
    for prompt, right in (("12+34=", "46"), (" 8-30<", "22-"), ("  09* 12<", "801")):
        texts = [right, *(text for alike in ("0{}", " {}", "+{}", "{}1", "{}.0", "{}+0")
                          for text in [alike.format(right)])]  # fmt: skip
        lots = [c.lot for c in cases if all(c.behave(prompt, t) == (t == right) for t in texts)]
        assert {*lots} == {None, *range(break_it.LOTS)}


def test_an_answer_takes_a_right_verifier_as_long_as_a_wrong_one(monkeypatch):
    """Whoever times the answers learns nothing: all work out the same, whatever is asked."""
    done = []
    monkeypatch.setattr(
        break_it, "truth", lambda text, of=break_it.truth: done.append(1) or of(text)
    )
    for case in break_it.verifiers() + break_it.verifiers():
        for prompt, text in (("12+34=", "46"), (" 8-30<", ""), ("9 9 9", "x"), ("", "0")):
            done.clear()
            case.behave(prompt, text)
            assert len(done) == 2


RUBBISH = [None, True, 5, 10**400, float("nan"), "x" * 10**4, [], [[1]], {"t": 1}, Tensor(5, "x")]
RUBBISH += [Tensor("x"), Tensor(None), Tensor([[1], [2, 3]]), Tensor([[{}] * 5] * 3), Tensor([])]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda x: f"{x!r:.20}")
def test_rubbish_in_place_of_replies_is_the_students_fault(tmp_path, sandbox, monkeypatch, rubbish):
    """Whoever writes onto the socket himself can send any JSON."""

    def calls(calls, answer=None):
        return [Reply(rubbish, [rubbish, Tensor(rubbish)]) for _ in calls]

    monkeypatch.setattr(sandbox, "calls", calls)
    checks = [check for check in CODE if check.name != "verify short"]  # thousands of the same
    results = grade(tmp_path, ADA, sandbox, checks=checks)
    assert total(results) == 0
    assert all(0 < len(test["output"]) <= MOST_TEXT for test in results["tests"])


def test_sleeping_does_not_hold_up_a_class(sandbox, monkeypatch):
    monkeypatch.setattr(sandboxes, "ALL_WALL_SECONDS", 0.2)
    sandbox.load(b"import time\ndef f(): time.sleep(0.3)\ndef g(): return 1")
    assert sandbox.calls([Call("f", [])])[0].value is None
    with pytest.raises(Failed, match="has taken"):
        sandbox.calls([Call("g", [])])


def test_grading_is_refused_where_student_code_is_not_confined(tmp_path, monkeypatch, capsys):
    def start(sandbox):
        raise NotConfined("it cannot be confined here")

    monkeypatch.setattr(Sandbox, "start", start)
    monkeypatch.setattr("sys.argv", ["grade.py", str(tmp_path), "--out", str(tmp_path / "x.json")])
    with pytest.raises(SystemExit) as refused:
        grading.main()
    assert refused.value.code == 2 and not (tmp_path / "x.json").exists()
    said = capsys.readouterr().err
    assert "cannot be confined here" in said and "--trust" in said and said.count("\n") == 1


def test_a_session_has_nothing_that_outlives_it(sandbox):
    """/dev/null has times, and a login's keyring has keys, that another session could read."""
    sandbox.load(
        b"import ctypes, os, sys\n"
        b"def f(fd): print(1, file=sys.stderr); print(sys.stdin.read()); os.fstat(fd)\n"
        b"def leave(): return ctypes.CDLL(None).syscall(248, b'user', b'mine', b'1', 1, -3)\n"
        b"def find(): return ctypes.CDLL(None).syscall(250, 10, -3, b'user', b'mine', 0)"
    )
    for fd in range(3):
        assert sandbox.calls([Call("f", [fd])])[0].error.startswith("OSError")
    if sys.platform == "linux" and os.uname().machine == "x86_64":  # add_key, keyctl
        sandbox.calls([Call("leave", [])])
        assert sandbox.calls([Call("find", [])])[0].value == -1


def test_an_archive_may_be_packed_by_deflate_only(tmp_path):
    """What other methods unpack to has no limit."""
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "it.zip", "w", method) as archive:
            archive.writestr("solution.py", "pass")
        handed_in = Submission(tmp_path / "it.zip")
        if method == zipfile.ZIP_DEFLATED:
            assert handed_in.read("solution.py", 100) == b"pass"
        else:
            with pytest.raises(Missing, match="only deflate"):
                handed_in.read("solution.py", 100)


def test_an_id_that_is_no_text():
    assert personal.normal(" A\ud800 ") == "a?" and personal.personal("\ud800")


def test_of_an_exception_only_type_and_line_are_told(sandbox):
    sandbox.load(b"class Told(ValueError): pass\n\ndef f(x): raise Told(f'I was asked {x}')")
    assert sandbox.calls([Call("f", [1])])[0].error == "ValueError (line 3 of solution.py)"
    in_disguise = "import __main__\n__main__.described = lambda error: ['it was 1', 'line 1']\n"
    sandbox.load(f"{in_disguise}def f(x): raise KeyError".encode())
    assert sandbox.calls([Call("f", [1])])[0].error == "an exception"
    in_the_graders_place = """
import os, sys
def f(x):
    frame = sys._getframe()
    while "say" not in frame.f_locals: frame = frame.f_back
    frame.f_locals["say"]({"failed": f"full points, please; it was {x}", "slow": True})
    os._exit(0)
"""
    sandbox.load(in_the_graders_place.encode())
    with pytest.raises(Failed, match="what f handed back is not what was asked for"):
        sandbox.calls([Call("f", [1])])


def test_a_grader_that_fails_gives_no_points(tmp_path, sandbox, monkeypatch, capsys):
    def fails(student):
        raise KeyError("a mistake")

    broken = [Check("A", "broken", 1, "", fails)]
    with pytest.raises(GraderFailed, match="broken: KeyError"):
        grade(tmp_path, ADA, sandbox, checks=broken)
    monkeypatch.setattr(grading, "grade", lambda *_: grade(tmp_path, ADA, sandbox, checks=broken))
    monkeypatch.setattr(grading, "Sandbox", lambda trust: contextlib.nullcontext(sandbox))
    out = tmp_path / "results.json"
    monkeypatch.setattr("sys.argv", ["grade.py", str(tmp_path), "--out", str(out)])
    assert grading.main() == 1 and not out.exists()
    assert "gives no points: GraderFailed: broken: KeyError" in capsys.readouterr().err


def test_two_submissions_of_one_name_are_not_graded(tmp_path, sandbox):
    (tmp_path / "Ada").mkdir()
    (tmp_path / "ada.zip").write_text("rubbish")
    assert grading.grade_all(tmp_path, tmp_path / "grades.csv", sandbox) == 2
    text = (tmp_path / "grades.csv").read_text()
    assert text.count("more than one submission of this name") == 2


def test_an_id_is_printed_without_its_control_characters(tmp_path, sandbox, capsys):
    out = tmp_path / "results.json"
    grading.grade_one(tmp_path, "ada\x1b[2J\nbob", out, sandbox)
    said = capsys.readouterr().out
    assert "numbers of ada [2J bob." in said and "\x1b" not in said


def test_one_students_trouble_does_not_stop_a_class(tmp_path, sandbox, monkeypatch, capsys):
    """A zip file of a version that zipfile does not know, and a grader that fails for one."""
    (tmp_path / "fails").mkdir()
    (tmp_path / "later.zip").write_bytes(archives.packed({"solution.py": b""}))
    content = bytearray((tmp_path / "later.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 255
    (tmp_path / "later.zip").write_bytes(content)
    (tmp_path / "last").mkdir()
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob.results.json").mkdir()
    (tmp_path / ("x" * 250)).mkdir()

    def some(path, student, sandbox, out):
        if student == "fails":
            raise GraderFailed("a mistake")
        return grade(path, student, sandbox, out, checks=CODE[:1])

    monkeypatch.setattr(grading, "grade", some)
    assert grading.grade_all(tmp_path, tmp_path / "grades.csv", sandbox) == 3
    rows = {row[0]: row for row in csv.reader((tmp_path / "grades.csv").open())}
    assert rows["fails"][1] == "" and "not graded: GraderFailed" in rows["fails"][-1]
    assert rows["bob"][1] == rows["x" * 250][1] == ""
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
    ("allocate", "RuntimeError (line 3"), ("fork", "BlockingIOError"), ("nest", "Error"),
    ("agree", "not made of numbers"),
])  # fmt: skip
def test_hostile_functions_are_errors(sandbox, name, why):
    if name == "fork" and os.getuid() == 0 and not sandbox.is_confined:
        pytest.skip("the kernel does not count the processes of root")
    sandbox.load(HOSTILE.encode())
    bad, good = sandbox.calls([Call(name, [1]), Call("fine", [1])])
    assert why in bad.error and good.value == 2


@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in sandboxes.REFUSED,
    reason="no filter for it",
)
def test_a_session_gets_no_socket_and_no_memory_without_an_owner(sandbox):
    sandbox.load(b"""
import ctypes, socket
C = ctypes.CDLL(None, use_errno=True)
def plug(x): return socket.socket().fileno()
def pair(x): return socket.socketpair()[0].fileno()
def shared(x): return C.shmget(0, 8, 0o1600), ctypes.get_errno()
def queue(x): return C.msgget(0, 0o1600), ctypes.get_errno()
def fine(x): return x + 1
""")
    for name, wanted in (("shared", [-1, 1]), ("queue", [-1, 1]), ("fine", 2)):
        assert sandbox.calls([Call(name, [1])])[0].value == wanted
    for name in ("plug", "pair"):
        assert "PermissionError" in sandbox.calls([Call(name, [1])])[0].error


def test_what_a_session_hands_back_is_limited_in_all(sandbox):
    sandbox.load(b"def long(x): return 'a' * 100_000")
    assert len(sandbox.calls([Call("long", [1])] * 10)) == 10
    with pytest.raises(Failed, match="far larger"):
        sandbox.calls([Call("long", [1])] * 30)


@pytest.mark.parametrize("name", ["leave", "crash", "nothing"])
def test_a_process_that_ends_or_has_nothing_to_call_is_the_students_fault(sandbox, name):
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
    assert failed.error == "ValueError (line 1 of solution.py)"


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
    for name in ("solution.py", "maxrl.py", "verify.py", "graded.py"):
        tree = ast.parse(files[name].decode())
        bridged = archives.BRIDGES.get(name, {})
        gone = archives.TASKS if name == "solution.py" else archives.STRIPPED[name]
        for function in gone:
            body = archives.functions(tree)[function].body
            assert len(body) == 2 and ("NotImplementedError" in ast.unparse(body[1])), function
        for function in bridged:
            assert "solution." in ast.unparse(archives.functions(tree)[function])
    assert b"_fail_at_k" not in files["maxrl.py"] and b"_PROMPT" not in files["verify.py"]
