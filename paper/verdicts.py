"""When a claim is settled: the rules, and nothing but numbers. Printed as RULE above the claims.

Differences are paired: the two runs of a seed start from the same weights and see the same prompts.

    >>> of_difference([1.0, 2.0, 3.0]).word
    'not settled'

Left out: which claims there are (tables.py), and where the numbers come from (logs.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, stdev

YES, NO, OPEN = "**yes**", "**no**", "not settled"
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
EQUAL = 0.02
RULE = (
    "A claim is **yes** where the 95% t-interval of the difference (of ratios, of their logarithm),"
    " paired by seed, lies above zero, **no** where it lies below, else *not settled*. That two are"
    f" equal is **yes** where the interval lies within {EQUAL:g} of zero, **no** where it lies"
    " outside. A figure that is never reached counts as reached last; who is sooner is **yes** if"
    " all seeds say so, or all but one that ties. *At equal pass@1*: x is the highest pass@1 that"
    " both runs of a seed reach; compared is the best pass@k that each has at a pass@1 of x or"
    " more, on the straight lines between its evaluations in the plane (pass@1, -log pass@k); where"
    " a seed has no x above the base, nothing is settled. *At the end* is the mean over the"
    " evaluations of the last fifth of the steps."
)
Path = Sequence[tuple[float, float]]  # (pass@1, pass@k) at the evaluations of a run


@dataclass(frozen=True)
class Verdict:
    """A word, and the interval that it was read from."""

    word: str
    mean: float
    low: float
    high: float


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Their mean, and its 95% t-interval: of one value everything, of up to 13 by the table."""
    if len(values) < 2:
        return mean(values), -math.inf, math.inf
    half = T_975[len(values) - 2] * stdev(values) / math.sqrt(len(values))
    return mean(values), mean(values) - half, mean(values) + half


def of_difference(differences: Sequence[float]) -> Verdict:
    """Are they above zero?"""
    m, low, high = interval(differences)
    return Verdict(YES if low > 0 else NO if high < 0 else OPEN, m, low, high)


def of_ratio(ratios: Sequence[float]) -> Verdict:
    """Are they above one? The mean is the geometric one."""
    m, low, high = (math.exp(x) for x in interval([math.log(r) for r in ratios]))
    return Verdict(YES if low > 1 else NO if high < 1 else OPEN, m, low, high)


def of_equality(differences: Sequence[float], within: float = EQUAL) -> Verdict:
    """Are they zero, or near enough?"""
    m, low, high = interval(differences)
    inside, outside = -within <= low and high <= within, low > within or high < -within
    return Verdict(YES if inside else NO if outside else OPEN, m, low, high)


def of_order(sooner: Sequence[float | None], later: Sequence[float | None]) -> str:
    """Is the first sooner, seed by seed? None is never."""
    a, b = ([math.inf if x is None else x for x in steps] for steps in (sooner, later))
    wins = sum(x < y for x, y in zip(a, b, strict=True))
    losses = sum(x > y for x, y in zip(a, b, strict=True))
    enough = max(len(a) - 1, 2)
    if wins >= enough and not losses:
        return YES
    return NO if losses >= enough and not wins else OPEN


def best_beyond(path: Path, x: float) -> float:
    """The best pass@k at a pass@1 of x or more; between evaluations -log pass@k is linear in it."""
    points = [(p, math.log(q)) for p, q in path if q > 0]
    candidates = [q for p, q in points if p >= x]
    for (p, q), (p2, q2) in pairwise(points):
        if min(p, p2) < x < max(p, p2):
            candidates.append(q + (q2 - q) * (x - p) / (p2 - p))
    return math.exp(max(candidates))


def at_equal(ours: Path, theirs: Path) -> tuple[float, float] | None:
    """The best pass@k of each at the highest pass@1 that both reach; None if that is the base's."""
    x = min(max(p for p, _ in path) for path in (ours, theirs))
    if x <= max(ours[0][0], theirs[0][0]):
        return None
    return best_beyond(ours, x), best_beyond(theirs, x)


def of_paths(ours: Sequence[Path], theirs: Sequence[Path]) -> Verdict:
    """Is the pass@k of ours higher at equal pass@1?"""
    pairs = [at_equal(a, b) for a, b in zip(ours, theirs, strict=True)]
    found = [a - b for a, b in filter(None, pairs)]
    if len(found) < max(len(pairs), 1):
        return Verdict(OPEN, math.nan, -math.inf, math.inf)
    return of_difference(found)


def said(verdict: Verdict, ratio: bool = False) -> str:
    """'+0.024 [+0.017, +0.031]', or for a ratio '2.31x [1.9x, 2.8x]'; small: more digits."""
    if math.isnan(verdict.mean):
        return "no common pass@1"
    if ratio:
        return f"{verdict.mean:.3g}x [{verdict.low:.3g}x, {verdict.high:.3g}x]"
    digits = 3 if max(abs(verdict.low), abs(verdict.high)) >= 0.01 else 5
    low, high = f"{verdict.low:+.{digits}f}", f"{verdict.high:+.{digits}f}"
    return f"{verdict.mean:+.{digits}f} [{low}, {high}]"
