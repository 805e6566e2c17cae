"""The homework's grader: what it gives the reference and the starter, and what it survives.

`make homework` grades every wrong function and both archives; here is what is not in there.
"""

import csv
import json
import os
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest

HOMEWORK = Path(__file__).resolve().parent.parent / "homework"
sys.path.append(str(HOMEWORK))

import break_it  # noqa: E402
import grade as grading  # noqa: E402
import personal  # noqa: E402
import questions  # noqa: E402
import release  # noqa: E402
import replay  # noqa: E402
import sandbox as sandboxes  # noqa: E402
import train  # noqa: E402
import wrong  # noqa: E402
from points import TABLE  # noqa: E402
from sandbox import ASK, Call, Failed, InProcess, Reply, Sandbox, Tensor  # noqa: E402
from submission import Missing, Submission  # noqa: E402

ADA = "ada@example.edu"


@pytest.fixture
def folder(tmp_path):
    """A right submission of Ada's, without runs."""
    (tmp_path / "solution.py").write_text(wrong.reference(ADA))
    (tmp_path / "answers.json").write_text(json.dumps(questions.right_answers(ADA)))
    return tmp_path


def points(folder, sandbox, names=(), student=ADA):
    """The points of each line of the table, or of those that begin with these names."""
    checks = [c for c in TABLE if c.name.startswith(tuple(names) or ("",))]
    tests = grading.grade(folder, student, sandbox, checks=checks)["tests"]
    return {test["name"].split(":")[0]: test["score"] for test in tests}


def test_the_points_are_those_of_the_handout():
    by_part = {part: sum(c.points for c in TABLE if c.part == part) for part in "ABCD"}
    assert by_part == {"A": 40, "B": 15, "C": 15, "D": 10}
    handout = (HOMEWORK / "assignment.md").read_text()
    for words in ("| A | code | 40 |", "estimator of your own | 15 |", "numbers 15, prose 20"):
        assert words in handout


def test_the_reference_gets_all_and_the_starter_nothing(folder):
    sandbox = InProcess()
    names = [c.name for c in TABLE if c.part != "D" and "runs" not in c.name]
    assert points(folder, sandbox, names) == {c.name: c.points for c in TABLE if c.name in names}
    (folder / "solution.py").write_text(release.starter())
    (folder / "answers.json").write_text(json.dumps(questions.TEMPLATE))
    assert set(points(folder, sandbox).values()) == {0}


def test_another_students_numbers_are_worth_nothing_where_they_differ(folder):
    found = points(folder, InProcess(), ("own E", "weights grpo", "noise"), "bob@example.edu")
    assert sum(found.values()) <= 1


@pytest.mark.parametrize("function, body, least", [
    ("verify", "text.strip() == answer(prompt)", 7.5),
    ("maxrl", "(r - mean) / mean if k > 1 else r", 4),
    ("maxrl", "torch.where(mean > 0, (r - mean) / mean, -1.0) if k > 1 else r", 4),
    ("own", "omega(r, mean, k) * r", 14),
])  # fmt: skip
def test_a_function_that_is_nearly_right_keeps_most_of_its_points(function, body, least):
    name, source, _ = wrong.variant(f"{function} |  | {body}", ADA)
    lost = wrong.lost(name, source, ADA, InProcess())
    whole = sum(c.points for c in TABLE if c.name.split(" ")[0] == name)
    gone = sum(c.points - lost[c.name] for c in TABLE if c.name in lost)
    assert least <= whole - gone < whole


def test_wrong_functions_lose_what_they_violate(monkeypatch):
    """Every eighth of them; all in `make homework`."""
    monkeypatch.setattr(wrong, "WRONG", "\n".join(wrong.WRONG.splitlines()[1::8]))
    assert wrong.surprises(InProcess(), ADA) == []


RUBBISH = [None, True, 5, 10**400, float("nan"), "x" * 10**4, [], [[1]], {"t": 1}, Tensor(5, "x")]
RUBBISH += [Tensor("x"), Tensor(None), Tensor([[1], [2, 3]]), Tensor([[{}] * 5] * 3), Tensor([])]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda x: f"{x!r:.20}")
def test_rubbish_in_place_of_replies_is_the_students_fault(folder, monkeypatch, rubbish):
    """A process can be made to send any JSON."""
    sandbox = InProcess()
    replies = [Reply(rubbish, [rubbish, Tensor(rubbish)])]
    monkeypatch.setattr(sandbox, "calls", lambda calls, answer=None: replies * len(calls))
    code = [c.name for c in TABLE if c.part in "ABD"]
    assert set(points(folder, sandbox, code).values()) == {0}


HOSTILE = b"""
import os, time, torch
def leave(): os._exit(0)
def crash(): import ctypes; ctypes.string_at(0)
def loop():
    while True: print('still here')
def flood(): return 'x' * 10**7
def sleep(): time.sleep(99)
def allocate(): return torch.zeros(10**10)
def agree(): return object()
def write(): open('/tmp/homework-was-here', 'w').write('x')
def fork(): os.fork()
def user(): return os.getuid()
def hidden(): return os.path.exists(os.environ['HOME']), 'HOME' in os.environ
def ask(f): return [f(i) for i in range(3)]
def gradient(x, y): return (x * x).sum() * y.sum().detach()
class Told(ValueError): pass
def told(x): raise Told(f'I was asked {x}')
"""


def test_a_process_that_ends_loops_or_floods_costs_its_function_only(monkeypatch):
    monkeypatch.setattr(sandboxes, "WALL_SECONDS", 20)
    monkeypatch.setattr(sandboxes, "MOST_LOST", 9)
    sandbox = Sandbox(trust=True)
    sandbox.load(HOSTILE)
    for name, why in (("leave", "ended"), ("crash", "crashed"), ("loop", "within 2"),
                      ("flood", "far more"), ("sleep", "within 20")):  # fmt: skip
        with pytest.raises(Failed, match=f"^{name} .*{why}"):
            sandbox.calls([Call(name, [])])
    for name, why in (("allocate", "RuntimeError (line 9"), ("agree", "not made of numbers"),
                      ("write", "OSError"), ("fork", "BlockingIOError")):  # fmt: skip
        if name != "fork" or os.getuid() == 0:
            assert why in sandbox.calls([Call(name, [])])[0].error
    assert sandbox.calls([Call("told", [7])])[0].error == "ValueError (line 20 of solution.py)"
    if os.getuid() == 0:
        assert sandbox.calls([Call("user", [])])[0].value == sandboxes.worker.NOBODY
    assert sandbox.calls([Call("ask", [ASK])], lambda i: i * 10)[0].value == [0, 10, 20]
    reply = sandbox.calls([Call("gradient", [Tensor([[1.0, 2.0]]), Tensor([3.0])], (0, 1))])[0]
    assert reply.value == Tensor(15.0) and reply.grads == [Tensor([[6.0, 12.0]]), None]
    sandbox.load(b"import os; os._exit(0)")
    with pytest.raises(Failed, match=r"^solution\.py ended its process"):
        sandbox.calls([Call("verify", ["", ""])])
    sandbox.stop()


def test_estimators_are_as_right_and_as_wrong_as_the_handout_says():
    """And at each usual p, 0 and 1 as limits, one of each lot of wrong ones is right."""
    import itertools

    right_at, limits = set(), {0.0: 1e-6, 1.0: 1 - 1e-6}
    for case in break_it.estimators():
        k, order = case.args
        rows = [list(row) for row in itertools.product((0.0, 1.0), repeat=k)]
        A = case.behave(Tensor(rows), None, k).values
        off = {}
        for p in (*break_it.USUAL, *(i / 50 for i in range(1, 50))):
            x = limits.get(p, p)
            w = sum(x ** sum(r) * (1 - x) ** (k - sum(r)) * sum(a * (s - x) for a, s in
                    zip(row, r, strict=True)) / k / x / (1 - x)
                    for row, r in zip(A, rows, strict=True))  # fmt: skip
            off[p] = abs(w * x / (1 - (1 - x) ** order) - 1)
        assert max(off.values()) < 1e-7 if case.lot is None else max(off.values()) > 0.1
        right_at |= {(case.lot, p) for p in break_it.USUAL
                     if off[p] < (1e-4 if p in limits else 1e-9)}  # fmt: skip
    assert right_at >= set(itertools.product(range(break_it.LOTS), break_it.USUAL))


def test_no_one_prompt_shows_a_whole_lot_of_verifiers():
    cases = break_it.verifiers()
    for prompt, right in (("12+34=", "46"), (" 8-30<", "22-"), ("  09* 12<", "801")):
        texts = [right, f"0{right}", f" {right}", f"+{right}", f"{right}1", f"{right}.0"]
        lots = [c.lot for c in cases if all(c.behave(prompt, t) == (t == right) for t in texts)]
        assert {*lots} == {None, *range(break_it.LOTS)}


def archive(path, names, method=zipfile.ZIP_DEFLATED):
    """A zip file whose entries hold `pass`."""
    with zipfile.ZipFile(path, "w", method) as content:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, method  # as it stands, backslashes and all
            content.writestr(info, "pass")
    return path


@pytest.mark.parametrize("names, there", [
    (["solution.py", "runs/a.json"], True), (["./solution.py", "./runs/a.json"], True),
    (["ada\\solution.py", "ada\\runs\\a.json"], True), (["./ada/solution.py", "ada/runs/a.json"], True),
    (["__MACOSX/solution.py", "ada/solution.py", "ada/runs/a.json"], True),
    (["/solution.py", "/runs/a.json"], False), (["C:\\solution.py"], False),
    (["ada/../solution.py", "../runs/a.json"], False), (["a/solution.py", "b/solution.py"], False),
])  # fmt: skip
def test_names_in_an_archive_however_they_are_written(tmp_path, names, there):
    submission = Submission(archive(tmp_path / "it.zip", names))
    for name in ("solution.py", "runs/a.json"):
        if there:
            assert submission.read(name, 100) == b"pass"
        else:
            with pytest.raises(Missing, match="not handed in"):
                submission.read(name, 100)


def test_links_bombs_and_rubbish_are_a_sentence(tmp_path):
    os.symlink("/etc/passwd", tmp_path / "solution.py")
    os.mkfifo(tmp_path / "answers.json")
    os.symlink("/etc", tmp_path / "runs")
    here = Submission(tmp_path)
    for name, why in (("solution.py", "link"), ("answers.json", "not a file"),
                      ("runs/passwd", "link"), ("x", "not handed in")):  # fmt: skip
        with pytest.raises(Missing, match=why):
            here.read(name, 10**6)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # what they unpack to has no limit
        packed = archive(tmp_path / "it.zip", ["solution.py"], method)
        with pytest.raises(Missing, match="only deflate"):
            Submission(packed).read("solution.py", 100)
    with pytest.raises(Missing, match="larger"):
        Submission(archive(tmp_path / "it.zip", ["solution.py"])).read("solution.py", 3)


def test_a_class_has_a_line_for_each_student(tmp_path, monkeypatch, capsys):
    """Whatever was handed in, and whatever its folder is called."""
    monkeypatch.setattr(grading, "TABLE", TABLE[:1])
    some = grading.grade
    monkeypatch.setattr(grading, "grade", lambda *given: some(*given, checks=TABLE[:1]))
    there = tmp_path / "class"
    for name, student in (("Ada L_12345_assignsubmission_file", ADA), ("eve", "bob"),
                          ("zoe\u0301", "ada"), ("stranger", "nobody's")):  # fmt: skip
        (there / name).mkdir(parents=True)
        (there / name / "solution.py").write_text(wrong.reference(ADA))
        (there / name / "answers.json").write_text(json.dumps({"student": student}))
    archive(there / "BOB.ZIP", ["./solution.py"])
    for name in ("carl.tar.gz", "dora.7z", "solution.py", "fay.zip"):
        (there / name).write_bytes(b"\x00rubbish")
    roster = [personal.normal(x) for x in (ADA, "bob", "eve", "zo\u00e9", "absent")]
    table = tmp_path / "grades.csv"
    assert grading.grade_all(there, table, roster, InProcess()) == 6
    rows = {row["file"]: row for row in csv.DictReader(table.open(encoding="utf-8"))}
    assert len(rows) == 9 and rows[""]["student"] == "absent"
    graded = {row["student"]: row["points"] for row in rows.values() if row["points"]}
    assert graded == {ADA: "2", "bob": "0", "eve": "2", "zo\u00e9": "2"}
    for name in ("carl.tar.gz", "dora.7z", "solution.py", "fay.zip"):
        assert "not on the roster" in rows[name]["remarks"]
    assert grading.grade_all(there, table, [], InProcess()) == 6
    rows = {row["file"]: row for row in csv.DictReader(table.open(encoding="utf-8"))}
    for name in ("carl.tar.gz", "dora.7z", "solution.py", "fay.zip"):
        assert "not a zip file" in rows[name]["remarks"]
    assert (
        "more than one submission is of bob" in rows["eve"]["remarks"] + rows["BOB.ZIP"]["remarks"]
    )


def test_an_id_has_one_spelling():
    composed, apart = (unicodedata.normalize(form, "Zo\u00e9 ") for form in ("NFC", "NFD"))
    assert composed != apart and personal.personal(composed) == personal.personal(apart)
    assert personal.personal(" Ada@Example.edu ") == personal.personal(ADA)
    assert personal.normal("a\ud800") == "a?"
    classroom = [personal.personal(f"s{i}@example.edu") for i in range(100)]
    assert len({one.coefficients for one in classroom}) > 80
    assert len({one.seeds[0] for one in classroom}) == 100


def test_numbers_of_the_usual_example():
    """p = .9, .5, .1, .01, .0001 with k = 8, worked out elsewhere."""
    own = personal.Personal((1,) * 4, (0.9, 0.5, 0.1, 0.01, 0.0001), (0.3, 3), 0.1, (1, 2, 3))
    for question, row in (
        ("weights grpo", (2.33, 1.86, 2.33, 2.61, 2.65)), ("weights ml", (1.11, 2, 10, 100, 10000)),
        ("weights maxrl", (1.11, 1.98, 5.22, 6.79, 7.00)), ("shares rl", (20.5, 56.8, 20.5, 2.25, 0.023)),
        ("shares ml", (2.9, 14.3, 25.8, 28.4, 28.7)), ("hardest", (10000, 6931.1, 0.08)),
    ):  # fmt: skip
        assert list(questions.right(question, own)[0].values()) == pytest.approx(row, rel=0.02)


def ended(**changes):
    """A made-up run with all its rows, changed."""
    s = train.Settings(**personal.runs(ADA)["exact-4"])
    rows = [{"step": i, "pass_rate": i / 1e3, "grad_norm": 1.0} for i in range(1, s.steps + 1)]
    rows += [{"step": i, "nll": 3 - i / 1e3} for i in range(0, s.steps + 1, s.every)]
    settings = json.loads(json.dumps(train.asdict(s)))
    return {"settings": settings, "table": [], "rows": rows} | changes


@pytest.mark.parametrize("run, why", [
    (ended(), "come out again"), (ended(settings={}), "settings"), (ended(table=[[1, 2]]), "trained by"),
    (ended(rows=[]), "does not have a row"), (ended(rows=[*ended()["rows"], {"step": 1, "x": 1}]), "two rows"),
    (ended(rows=[r | {"pass_rate": 1.0} for r in ended()["rows"]]), "two rows"),
    (ended(rows=[7]), "not a run"), ([], "not a run"), ("{", "not valid JSON"), (None, "not handed in"),
])  # fmt: skip
def test_runs_that_do_not_count(folder, monkeypatch, run, why):
    if run is not None:
        (folder / "runs").mkdir()
        text = run if isinstance(run, str) else json.dumps(run)
        (folder / "runs/exact-4.json").write_text(text)
    monkeypatch.setattr(train.Settings, "steps", 200)
    monkeypatch.setattr(replay, "repeated", lambda s, table: [{"step": 0, "nll": 3.2}])
    student = grading.Student(ADA, InProcess(), Submission(folder))
    assert why in replay.wrong(student, "exact-4", [])


def test_a_run_counts_and_comes_out_again(folder, monkeypatch):
    """A short one by the reference; then with one figure changed, and with another seed's rows."""
    s = train.Settings(method="rloo", k=3, steps=4, every=2, batch=2, seed=5)
    monkeypatch.setattr(train, "Settings", lambda **given: s)
    monkeypatch.setattr(personal, "runs", lambda student: {"rloo-s5": {}})
    table = train.table(wrong.InProcess and replay.reference.rloo, 3)
    rows = train.train(s, replay.reference, HOMEWORK / "student", quiet=True)[1]
    student = grading.Student(ADA, InProcess(), Submission(folder))
    (folder / "runs").mkdir()
    for change, why in ((1.0, ""), (1.2, "come out again at step 2")):
        rows[2]["grad_norm"] *= change
        run = {"settings": json.loads(json.dumps(train.asdict(s))), "table": table, "rows": rows}
        (folder / "runs/rloo-s5.json").write_text(json.dumps(run))
        said = replay.wrong(student, "rloo-s5", table)
        assert why in said if why else said == ""


def test_the_students_kit_gives_nothing_away_and_lacks_nothing():
    files = release.student_files()
    assert release.packed(files) == release.packed(dict(reversed(files.items())))
    text = files["solution.py"].decode()
    assert text.count("raise NotImplementedError") == 13 and "fullmatch" not in text
    assert b"log_softmax" not in files["model.py"] and b"log-prob" not in files["model.py"][-200:]
    imported = {line.split()[1] for name in files for line in files[name].decode("latin-1").splitlines()
                if name.endswith(".py") and line.startswith(("import ", "from "))}  # fmt: skip
    ours = {path.stem for path in (*HOMEWORK.glob("*.py"), *HOMEWORK.parent.glob("*.py"))}
    assert {f"{name}.py" for name in imported & ours} <= files.keys()


def test_wrong_use_is_one_line(tmp_path, monkeypatch, capsys):
    def refuse(trust):
        raise sandboxes.NotConfined("it cannot be confined here")

    monkeypatch.setattr(grading, "Sandbox", refuse)
    for words, why in (([str(tmp_path)], "--trust"), (["nowhere"], "not there")):
        monkeypatch.setattr(sys, "argv", ["grade.py", *words])
        with pytest.raises(SystemExit) as stopped:
            grading.main()
        said = capsys.readouterr().err
        assert stopped.value.code == 2 and why in said and said.count("\n") == 1


def test_a_grader_that_fails_gives_no_points(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grading, "Sandbox", lambda trust: InProcess())
    monkeypatch.setattr(grading, "grade", lambda *_: {}["a mistake"])
    out = tmp_path / "results.json"
    out.write_text("{}")
    monkeypatch.setattr(sys, "argv", ["grade.py", str(tmp_path), "--out", str(out)])
    assert grading.main() == 1 and not out.exists()
    assert "gives no points: KeyError" in capsys.readouterr().err
