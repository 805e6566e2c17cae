"""Part C, questions 4 and 5: the runs that were handed in.

A run is a file of settings and rows. It counts if its settings are those that `personal.py --runs`
prints for this student, seed included; if it has a row for each step and each evaluation; and if
its first steps come out again in the grader's own copy of train.py, by the function in solution.py,
which must have nearly the method's expected gradient. How good a run is does not matter. Left out:
the later steps, which would take as long as the student took, and would lead to other draws on
another machine, where rounding differs.
"""

import importlib.util
import itertools
import sys
import types
from dataclasses import asdict
from pathlib import Path
from typing import Any

import personal
import reference
import torch
from checks import Outcome, Student, double, proportional
from submission import Missing

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # the project's model.py
spec = importlib.util.spec_from_file_location("homework_train", HERE / "student" / "train.py")
assert spec and spec.loader
train: Any = importlib.util.module_from_spec(spec)  # not the project's own train.py
sys.modules["homework_train"] = train
spec.loader.exec_module(train)

K, REPLAYED = 16, 3
MOST = 500_000  # bytes
NEAR = {"pass_rate": 0.1, "grad_norm": 0.05}  # relative, for what depends on draws; else 0.005


def runs(student: Student, method: str) -> Outcome:
    """The share of a method's three runs that count, and what is wrong with the first bad one."""
    table = double([])
    if method != "exact":
        rows, _ = proportional(student, method)
        table = double([rows[K, s] for s in range(K + 1)])

    def submitted(r: torch.Tensor, mean: torch.Tensor, k: int) -> torch.Tensor:
        return table[(mean * k).round().long(), (r < 0.5).long()]

    mine = types.SimpleNamespace(**{**vars(reference), method: submitted})
    names = [name for name in personal.runs(student.id) if name.startswith(f"{method}-")]
    said = {name: wrong(student, name, mine) for name in names}
    bad = [f"runs/{name}.json {why}" for name, why in said.items() if why]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return 1 - len(bad) / len(names), bad[0] + more if bad else ""


def wrong(student: Student, name: str, mine: Any) -> str:
    """What is wrong with a run by these functions; "" if it counts."""
    s = train.Settings(**personal.runs(student.id)[name])
    try:
        run = student.submission.json(f"runs/{name}.json", MOST)
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
    except Missing as missing:
        return f"does not count: {missing}"
    except (TypeError, KeyError, ArithmeticError):
        return "is not a run of train.py"
    return ""
