"""Part C: the numbers of questions 1 to 3 (answers.json), and the runs of questions 4 and 5.

A number is right within 1 %. A message says which entry is wrong, never what it should be. A run
counts if its settings are those that `personal.py --runs` prints for this student, if it has a row
for each step and each evaluation, and if the figures that no estimator has changed yet, of step 0
and the pass rate of step 1, are those of the reference. How good it is does not matter. Left out:
prose (answers.md, which a person reads), and the later steps of a run.
"""

import math
import runpy
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import personal
import reference
from checks import Outcome, Student, Weight, described, order, weight_of
from sandbox import Failed

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # the project's model.py
train: Any = SimpleNamespace(**runpy.run_path(str(HERE / "student" / "train.py")))

METHODS: dict[str, Weight] = {
    "rl": order(1), "grpo": weight_of("grpo", 8), "maxrl": order(7), "ml": lambda p: 1 / p
}  # fmt: skip
HINTS = {
    "weights": "sum over S = 0..8, as in part A",
    "shares": "w p (1-p), as a percentage of the sum of the five",
    "hardest": "about the hardest prompt",
    "lost": "enumerate S = 0..k by hand, and subtract",
    "sd": "E[x^2] - E[x]^2 of x = g / (p (1-p)), over S = 0..k",
}


def right_answers(own: personal.Personal) -> dict[str, Any]:
    """answers.json with everything right in it."""
    parts = {name: [w(p) * p * (1 - p) for p in own.prompts] for name, w in METHODS.items()}
    (*_, p), (q, k) = own.prompts, own.lost
    half, live = math.log(0.5) / math.log1p(-p), -100 * math.expm1(8 * math.log1p(-p))
    lost = {"maxrl_raw": order(k)(q), "maxrl": order(k - 1)(q), "difference": (1 - q) ** (k - 1)}
    return {
        "weights": {name: [w(p) for p in own.prompts] for name, w in METHODS.items()},
        "shares": {name: [100 * x / sum(some) for x in some] for name, some in parts.items()},
        "hardest": {"factor": 1 / p, "half": half, "live": live}, "lost": lost,
        "sd": {name: [math.sqrt(w(own.noise, 2) - w(own.noise) ** 2)
                      for w in (weight_of(name, k) for k in (2, 8, 32))]
               for name in ("maxrl_raw", "maxrl")},
    }  # fmt: skip


def compared(right: Any, theirs: Any, where: str) -> Iterator[str]:
    """For each number in `right`: what is wrong with theirs, "" if nothing is."""
    if isinstance(right, dict | list):
        for key, x in right.items() if isinstance(right, dict) else enumerate(right):
            try:
                inner = theirs[key]
            except (LookupError, TypeError):
                inner = None
            yield from compared(x, inner, f"{where} {key}")
    elif type(theirs) not in (int, float) or not abs(theirs) < 1e30:
        yield f"{where} is {described(theirs)}, not a finite number"
    else:
        same = math.isclose(theirs, right, rel_tol=0.01, abs_tol=1e-9)
        yield "" if same else f"{where} is not right"


def graded(student: Student, what: str, *method: str) -> Outcome:
    """The share of a question's entries that are right."""
    right = right_answers(personal.personal(student.id))
    right = {what: {name: right[what][name] for name in method} or right[what]}
    answers = student.submission.json("answers.json", 100_000)
    share, said = outcome([*compared(right, answers, "answers.json:")])
    return share, said and f"{said}: {HINTS[what]}"


def outcome(problems: list[str]) -> Outcome:
    """The share of those that are "", and the first of the others."""
    bad = [said for said in problems if said]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return 1 - len(bad) / len(problems), bad[0] + more if bad else ""


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
