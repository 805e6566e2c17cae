"""`--method FILE.py:FUNCTION`: an estimator of one's own, of (r, mean, k) as those in maxrl.py.

    def half(r, mean, k):                         # in mine.py
        "A = r - mean / 2. Half a baseline."
        return r - mean / 2

    python train.py --method mine.py:half

What it computes is kept with the run as a table over the successes of a group, for a file may
change. Left out: what a formula means (maxrl.py).
"""

import importlib.util
import math
import sys
from pathlib import Path

import torch

import maxrl

Table = list[list[float | None]]  # rows: S successes, the advantage of a success, that of a failure
MOST_ROWS = 1025


def is_own(method: str) -> bool:
    """Whether it names a function in a file."""
    return ".py:" in method


def load(method: str, k: int) -> Table:
    """Make `maxrl.FORMULAS[method]` this function; its table. ValueError in one line if it is not
    one, fails, or gives what is no advantage."""
    path, _, name = method.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"{path} does not exist")
    if (folder := str(Path(path).resolve().parent)) not in sys.path:
        sys.path.append(folder)  # its own imports
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec and spec.loader, "a file that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path} fails: {in_a_line(error)}") from error
    if not callable(formula := getattr(module, name, None)):
        raise ValueError(f"{path} has no function {name}")
    maxrl.FORMULAS[method] = formula
    return table(method, k)


def table(method: str, k: int) -> Table:
    """Advantages in groups of S = 0..k successes (of a large k, evenly spaced ones).

    A group without a success has no advantage of a success: None there, and likewise in the last.
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
