"""Part C, questions 4 and 5: the runs that were handed in.

A run is a file of settings, a table of advantages and rows. It counts if

- its settings are those that `personal.py --runs` prints for this student, seed included;
- its table is that of the function in solution.py, which has nearly the method's expected gradient;
- it has one row for each step and each evaluation, and no two of them are the same;
- its first steps come out again, from start.pt, in the grader's own copy of train.py. A run of
  `exact`, which draws nothing and takes seconds, is repeated to its end.

How good a run is does not matter. Left out: the later steps of the sampled runs, which would take
as long as the student took, and on another machine round to other draws.
"""

import importlib.util
import json
import sys
import types
from dataclasses import asdict
from pathlib import Path
from typing import Any

import personal
import reference
import torch
from checks import Outcome, Student, of_size, proportional, same
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
SAME, OF_DRAWS = 5e-3, 0.05  # relative, of what is computed again; of what hangs on draws
REPEATED: dict[str, list[dict[str, Any]]] = {}  # rows of train.py, by settings and table


def runs(student: Student, method: str) -> Outcome:
    """The share of a method's three runs that count, and what is wrong with the first other."""
    table = []
    if method != "exact":
        table = [list(row) for row in of_size(method, proportional(student, method)[0], K, True)]
    names = [name for name in personal.runs(student.id) if name.startswith(f"{method}-")]
    said = {name: wrong(student, name, table) for name in names}
    bad = [f"runs/{name}.json {why}" for name, why in said.items() if why]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return 1 - len(bad) / len(names), bad[0] + more if bad else ""


def wrong(student: Student, name: str, table: list[list[float]]) -> str:
    """What is wrong with a run; "" if it counts."""
    s = train.Settings(**personal.runs(student.id)[name])
    settings = json.loads(json.dumps(asdict(s)))
    try:
        run = student.submission.json(f"runs/{name}.json", MOST)
        rows = {("nll" in row, row["step"]): row for row in run["rows"]}
        if run["settings"] != settings:
            return f"has other settings than {settings}: see personal.py --runs"
        if not same_table(table, run["table"]):
            return f"was not trained by the {s.method} that is in solution.py: train it again"
    except Missing as missing:
        return f"does not count: {missing}"
    except (TypeError, KeyError):
        return "is not a run of train.py"
    wanted = [(False, step) for step in range(1, s.steps + 1)]
    if sorted(rows) != wanted + [(True, step) for step in range(0, s.steps + 1, s.every)]:
        return f"does not have a row for each of {s.steps} steps and for each evaluation"
    if len({json.dumps(row | {"step": 0}) for row in run["rows"]}) < len(run["rows"]) or len(
        rows) < len(run["rows"]):  # fmt: skip
        return "has two rows for the same step, or with the same figures"
    for ours in repeated(s, table):
        near = SAME if s.method == "exact" or "nll" in ours else OF_DRAWS
        for figure, x in ours.items():
            y = rows["nll" in ours, ours["step"]].get(figure)
            if type(y) not in (int, float) or not abs(x - y) <= near * abs(x) + 1e-3:
                return f"does not come out again at step {ours['step']}: {figure} is another"
    return ""


def same_table(mine: list[list[float]], theirs: Any) -> bool:
    """Whether two tables of advantages are nearly equal."""
    try:
        a, b = (torch.tensor(x, dtype=torch.float64).flatten().tolist() for x in (mine, theirs))
    except (TypeError, ValueError, RuntimeError):
        return False
    return len(a) == len(b) and all(map(same, a, b))


def repeated(s: Any, table: list[list[float]]) -> list[dict[str, Any]]:
    """The first rows of this run, with right functions and this table; of `exact` all of them."""
    key = json.dumps([asdict(s), table])
    if key not in REPEATED:
        tabled = torch.tensor(table or [[0.0, 0.0]], dtype=torch.float64)

        def submitted(r: torch.Tensor, mean: torch.Tensor, k: int) -> torch.Tensor:
            return tabled[(mean * k).round().long(), (r < 0.5).long()]

        mine = types.SimpleNamespace(**{**vars(reference), s.method: submitted})
        steps = s.steps if s.method == "exact" else REPLAYED
        REPEATED[key] = train.train(s, mine, HERE / "student", steps, quiet=True)[1]
    return REPEATED[key]
