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
from harness import UsageError

Table = list[list[float | None]]  # rows: S successes, the advantage of a success, that of a failure
MOST_ROWS = 1025


def is_own(method: str) -> bool:
    """Whether this names a function in a file."""
    return ".py:" in method


def load(method: str, k: int) -> Table | None:
    """Put the function into `maxrl.FORMULAS`, and return its table; None for a method of ours.
    UsageError if there is no such function, if it fails, or if it returns no advantages."""
    if not is_own(method):
        return None
    path, _, name = method.rpartition(":")
    if (folder := str(Path(path).resolve().parent)) not in sys.path:
        sys.path.append(folder)  # for the imports of that file
    try:
        formula = runpy.run_path(path).get(name)
        if not callable(formula):
            raise ValueError(f"{path} has no function {name}")
        maxrl.FORMULAS[method] = formula
        return table(method, k)
    except (Exception, SystemExit) as error:  # whatever the file raises
        raise UsageError(f"--method {method} fails: {error!r:.120}") from error


def table(method: str, k: int) -> Table:
    """Advantages in groups of S = 0..k successes; if k is large, for evenly spaced S. None stands
    for the advantage of a success in a group without one, and likewise for a failure."""
    S = torch.linspace(0, k, min(k + 1, MOST_ROWS), dtype=torch.float64).round().long()  # (n,)
    r = torch.tensor([[1.0], [0.0]]).double().expand(2, len(S)).flatten()  # (2n,)
    A = maxrl.FORMULAS[method](r, (S.double() / k).repeat(2), k)
    if not isinstance(A, torch.Tensor) or A.shape != r.shape:
        raise ValueError("it must return a tensor of the shape of r, even for many groups at once")
    rows: Table = []
    for s, success, failure in zip(S.tolist(), *A.double().view(2, -1).tolist(), strict=True):
        rows.append([s, success if s > 0 else None, failure if s < k else None])
        if not all(x is None or math.isfinite(x) for x in rows[-1]):
            raise ValueError(f"in a group with {s} successes of {k} an advantage is not finite")
    return rows
