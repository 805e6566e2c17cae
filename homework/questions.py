"""Part C: the numbers of questions 1 to 3 (answers.json), and the runs of questions 4 and 5.

A number is right within 1 %. A message says which entry is wrong, never what it should be.

A run is a file of settings and rows. It counts if its settings are those that `personal.py --runs`
prints for this student, seed included; if it has a row for each step and each evaluation; and if
the figures that no estimator has changed yet, of step 0 and the pass rate of step 1, are those of
the reference. How good a run is does not matter.

Left out: prose (answers.md, which a person reads), and the later steps of a run.
"""

import importlib.util
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import personal
import reference
from checks import Outcome, Student, described, order, std_weight, weight
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


def right(own: personal.Personal, what: str, method: str = "") -> tuple[Entries, str]:
    """The numbers that a question asks of this student, and how to compute them."""
    if what in ("weights", "shares"):
        x = [METHODS[method](p) for p in own.prompts]
        see = "sum over S = 0..8, as in part A"
        if what == "shares":
            parts = [w * p * (1 - p) for w, p in zip(x, own.prompts, strict=True)]
            x = [100 * part / sum(parts) for part in parts]
            see = "w p (1-p), divided by the sum of the five, in percent"
        return {(what, method, i): number for i, number in enumerate(x)}, see
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
    return "" if math.isclose(x, wanted, rel_tol=0.01, abs_tol=1e-9) else f"{where} is not right"


def graded(student: Student, *question: str) -> Outcome:
    """The share of a question's entries that are right."""
    wanted, see = right(personal.personal(student.id), *question)
    answers = student.submission.json("answers.json", 100_000)
    share, said = outcome([wrong(answers, path, x) for path, x in wanted.items()])
    return share, said and f"{said}: {see}"


def outcome(problems: list[str]) -> Outcome:
    """The share of those that are "", and the first of the others."""
    bad = [said for said in problems if said]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return 1 - len(bad) / len(problems), bad[0] + more if bad else ""


def right_answers(student: str) -> dict[str, Any]:
    """answers.json with everything right in it: what release.py tries the grader with."""
    filled = json.loads(TEMPLATE.read_text()) | {"student": student}
    for question in POINTS:
        for path, x in right(personal.personal(student), *question.split())[0].items():
            inner = filled
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = x
    return filled


# ---------------------------------------------------------------------------------------- runs


def runs(student: Student, _: str, method: str) -> Outcome:
    """The share of a method's runs that count."""
    names = [name for name in personal.runs(student.id) if name.startswith(f"{method}-")]
    return outcome([wrong_run(student, name) for name in names])


def wrong_run(student: Student, name: str) -> str:
    """What is wrong with a run; "" if it counts."""
    s, said = train.Settings(**personal.runs(student.id)[name]), f"runs/{name}.json"
    try:
        run = student.submission.json(said, 500_000)
        if run["settings"] != asdict(s):
            return f"{said} has settings other than {asdict(s)}: see personal.py --runs"
        steps = [(row["step"], "nll" in row) for row in run["rows"]]
        evaluated = [(step, True) for step in range(0, s.steps + 1, s.every)]
        if steps != sorted(evaluated + [(step, False) for step in range(1, s.steps + 1)]):
            return f"{said} does not have a row for each of {s.steps} steps and each evaluation"
        ours = train.train(s, reference, HERE / "student")
        for row, again in zip(run["rows"][:2], ours, strict=False):
            again.pop("grad_norm", None)
            for figure, x in again.items():
                most = 0.1 if figure == "pass_rate" else 0.005  # draws depend on rounding
                if not abs(x - row[figure]) <= most * abs(x) + 1e-4:
                    return f"{said} does not begin as yours should: {figure} is different"
    except Failed as missing:
        return str(missing)
    except (TypeError, KeyError, ArithmeticError):
        return f"{said} is not a run of train.py"
    return ""
