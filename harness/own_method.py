"""`--method FILE.py:FUNCTION`: an estimator of yours, a function of (r, mean, k) as in maxrl.py.

    def half(r, mean, k):                         # in mine.py
        "A = r - mean / 2. Half a baseline."
        return r - mean / 2

    python train.py --method mine.py:half

A file may change, so what the function computes is kept with the run: a table over the number of
successes in a group. Left out: what a formula means (maxrl.py).
"""

import math
import runpy
import sys
from pathlib import Path

import torch

import maxrl

Table = list[list[float | None]]  # rows: S successes, the advantage of a success, that of a failure
MOST_ROWS = 1025


def is_own(method: str) -> bool:
    """Whether this names a function in a file."""
    return ".py:" in method


def load(method: str, k: int) -> Table:
    """Make `maxrl.FORMULAS[method]` this function, and return its table. ValueError in one line if
    there is no such function, if it fails, or if what it returns cannot be advantages."""
    path, _, name = method.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"{path} does not exist")
    if (folder := str(Path(path).resolve().parent)) not in sys.path:
        sys.path.append(folder)  # for the imports of that file
    try:
        formula = runpy.run_path(path).get(name)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path} fails: {in_a_line(error)}") from error
    if not callable(formula):
        raise ValueError(f"{path} has no function {name}")
    maxrl.FORMULAS[method] = formula
    return table(method, k)


def table(method: str, k: int) -> Table:
    """Advantages in groups of S = 0..k successes; if k is large, for evenly spaced S.

    A group without a success has no advantage of a success, so None stands there; a group of
    successes has no advantage of a failure.
    """
    S = torch.linspace(0, k, min(k + 1, MOST_ROWS)).round().long()  # (n,)
    r = torch.tensor([[1.0], [0.0]]).double().expand(2, len(S)).flatten()  # (2n,)
    try:
        A = maxrl.FORMULAS[method](r, (S.double() / k).repeat(2), k)
    except Exception as error:
        raise ValueError(f"it fails: {in_a_line(error)}") from error
    if not isinstance(A, torch.Tensor) or A.shape != r.shape:
        raise ValueError("it must return a tensor of the shape of r, also for many groups at once")
    rows: Table = []
    for s, success, failure in zip(S.tolist(), *A.double().view(2, -1).tolist(), strict=True):
        rows.append([s, success if s > 0 else None, failure if s < k else None])
        if not all(x is None or math.isfinite(x) for x in rows[-1]):
            raise ValueError(f"in a group with {s} successes of {k} an advantage is not finite")
    return rows


def in_a_line(error: BaseException) -> str:
    """What happened, as the last line of a traceback says it."""
    return " ".join(f"{type(error).__name__}: {error}".split())
