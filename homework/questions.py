"""Part C: the numbers of questions 1 to 3 (answers.json), and the runs of questions 4 and 5.

A number is right within 1 %. A message says which entry is wrong, never what it should be.

A run is a file of settings and rows. It counts if its settings are those that `personal.py --runs`
prints for this student, seed included; if it has a row for each step and each evaluation; and if
its first steps come out again in the grader's own copy of train.py, by the function in solution.py,
which must have nearly the method's expected gradient. How good a run is does not matter.

Left out: prose (answers.md, which a person reads), and the later steps of a run, which would take
as long as the student took, and would lead to other draws on another machine, where rounding
differs.
"""

import importlib.util
import itertools
import json
import math
import sys
import types
from dataclasses import asdict
from pathlib import Path
from typing import Any

import personal
import reference
import torch
from checks import Outcome, Student, described, double, order, proportional, std_weight, weight
from sandbox import Failed

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # the project's model.py
spec = importlib.util.spec_from_file_location("homework_train", HERE / "student" / "train.py")
assert spec and spec.loader
train: Any = importlib.util.module_from_spec(spec)  # not the project's own train.py
sys.modules["homework_train"] = train
spec.loader.exec_module(train)

# ------------------------------------------------------------------------------------- numbers

K = 8  # of question 1
NOISE_KS = (2, 8, 32)  # of question 3
TEMPLATE = HERE / "student" / "answers.json"
METHODS = {"rl": order(1), "grpo": std_weight(K), "maxrl": order(K - 1), "ml": lambda p: 1 / p}
POINTS = {
    "weights rl": 0.25, "weights grpo": 1, "weights maxrl": 1, "weights ml": 0.75,
    "shares rl": 0.5, "shares grpo": 0.5, "shares maxrl": 0.5, "shares ml": 0.5,
    "hardest": 1, "lost": 1.5, "noise": 1.5,
}  # fmt: skip
Entries = dict[tuple, float]  # the path of each number in answers.json


def right(question: str, own: personal.Personal) -> tuple[Entries, str]:
    """The numbers that a question asks of this student, and how to compute them."""
    what, _, method = question.partition(" ")
    if what == "weights":
        w = [METHODS[method](p) for p in own.prompts]
        return {(what, method, i): x for i, x in enumerate(w)}, "sum over S = 0..8, as in part A"
    if what == "shares":
        parts = [METHODS[method](p) * p * (1 - p) for p in own.prompts]
        shares = {(what, method, i): 100 * x / sum(parts) for i, x in enumerate(parts)}
        return shares, "w p (1-p), divided by the sum of the five, in percent"
    if what == "hardest":
        p = own.prompts[-1]
        half, live = math.log(0.5) / math.log1p(-p), -100 * math.expm1(K * math.log1p(-p))
        return {("factor",): 1 / p, ("half",): half, ("live",): live}, "about the hardest prompt"
    if what == "lost":
        p, k = own.lost
        both = {("lost", "maxrl_raw"): order(k)(p), ("lost", "maxrl"): order(k - 1)(p)}
        last = {("lost", "difference"): (1 - p) ** (k - 1)}
        return both | last, "enumerate S = 0..k by hand, and subtract"
    sds = {("sd", name, i): standard_deviation(name, own.noise, k)
           for i, k in enumerate(NOISE_KS) for name in ("maxrl_raw", "maxrl")}  # fmt: skip
    return sds, "E[x^2] - E[x]^2 of x = g / (p (1-p)), over S = 0..k"


def standard_deviation(name: str, p: float, k: int) -> float:
    """That of g / (p (1-p)) for one group, on two outcomes; a group without a success gives 0."""
    minus = float(name == "maxrl")
    rows = [(0.0, 0.0), *((k / s - minus, -minus) for s in range(1, k + 1))]
    return math.sqrt(weight(rows, p, 2) - weight(rows, p) ** 2)


def wrong(answers: Any, path: tuple, wanted: float) -> str:
    """What is wrong with the number at a path; "" if it is right."""
    x, where = answers, "answers.json: " + " ".join(map(str, path))
    try:
        for step in path:
            x = x[step]
    except (LookupError, TypeError):
        return f"{where} is missing"
    if type(x) not in (int, float) or not abs(x) < 1e30:
        return f"{where} is {described(x)}, not a finite number"
    right = math.isclose(x, wanted, rel_tol=0.01, abs_tol=1e-9)
    return "" if right else f"{where} is not right"


def graded(student: Student, question: str) -> Outcome:
    """The share of a question's entries that are right."""
    wanted, see = right(question, personal.personal(student.id))
    answers = student.submission.json("answers.json", 100_000)
    problems = [said for path, x in wanted.items() if (said := wrong(answers, path, x))]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return 1 - len(problems) / len(wanted), f"{problems[0]}{more}: {see}" if problems else ""


def right_answers(student: str) -> dict[str, Any]:
    """answers.json with everything right in it: what release.py tries the grader with."""
    filled = json.loads(TEMPLATE.read_text()) | {"student": student}
    for question in POINTS:
        for path, x in right(question, personal.personal(student))[0].items():
            inner = filled
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = x
    return filled


# ---------------------------------------------------------------------------------------- runs

RUN_K, REPLAYED = 16, 3
NEAR = {"pass_rate": 0.1, "grad_norm": 0.05}  # relative, for what depends on draws; else 0.005


def runs(student: Student, method: str) -> Outcome:
    """The share of a method's three runs that count, and what is wrong with the first bad one."""
    table = double([])
    if method != "exact":
        rows, _ = proportional(student, method)
        table = double([rows[RUN_K, s] for s in range(RUN_K + 1)])

    def submitted(r: torch.Tensor, mean: torch.Tensor, k: int) -> torch.Tensor:
        return table[(mean * k).round().long(), (r < 0.5).long()]

    mine = types.SimpleNamespace(**{**vars(reference), method: submitted})
    names = [name for name in personal.runs(student.id) if name.startswith(f"{method}-")]
    said = {name: wrong_run(student, name, mine) for name in names}
    bad = [f"runs/{name}.json {why}" for name, why in said.items() if why]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return 1 - len(bad) / len(names), bad[0] + more if bad else ""


def wrong_run(student: Student, name: str, mine: Any) -> str:
    """What is wrong with a run by these functions; "" if it counts."""
    s = train.Settings(**personal.runs(student.id)[name])
    try:
        run = student.submission.json(f"runs/{name}.json", 500_000)
        if run["settings"] != asdict(s):
            return f"has settings other than {asdict(s)}: see personal.py --runs"
        steps = [(row["step"], "nll" in row) for row in run["rows"]]
        evaluated = [(step, True) for step in range(0, s.steps + 1, s.every)]
        if steps != sorted(evaluated + [(step, False) for step in range(1, s.steps + 1)]):
            return f"does not have a row for each of {s.steps} steps and for each evaluation"
        ours = train.train(s, mine, HERE / "student")
        for again, row in zip(itertools.islice(ours, REPLAYED + 1), run["rows"], strict=False):
            for figure, x in again.items():
                if not abs(x - row[figure]) <= NEAR.get(figure, 0.005) * abs(x) + 1e-4:
                    why = f"cannot be repeated at step {again['step']}: {figure} is different"
                    return f"{why}. If you have changed {s.method} since, train it again"
    except Failed as missing:
        return f"does not count: {missing}"
    except (TypeError, KeyError, ArithmeticError):
        return "is not a run of train.py"
    except SystemExit as stopped:  # as train.py stops for the student
        return f"cannot be repeated: {stopped}"
    return ""
