"""When a difference counts: the rules of RESULTS.md, and nothing but numbers.

Differences are paired: the two runs of a seed start from the same weights. The rules were written
down, and committed, before the runs that they judge.

    >>> say(interval([0.1, 0.2, 0.3, 0.2, 0.1, 0.3, 0.2, 0.4]))
    '+0.200 [+0.150, +0.300]'

Left out: which differences are claimed (claims.py), and where the numbers come from (logs.py).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean, median
from typing import NamedTuple

MARGIN = 0.015  # of experiment 1, in pass@1
RULE = (
    "Every comparison is paired by seed: the two runs of a seed start from the same weights and"
    " see the same prompts. Its effect is the Hodges-Lehmann estimate: the median of the means of"
    " all pairs of differences, including each difference paired with itself. Its 95 % interval"
    " [in brackets] is the one that belongs to the exact signed-rank test. This test does not"
    " assume a normal distribution, which would not fit: wherever some seeds lose a kind of"
    " problem, the final figures are bimodal. With fewer than six seeds there is no such interval,"
    " and the range of the differences is given instead (in parentheses). A ratio is compared by"
    " its logarithm. Intervals cover variation over seeds, not over problems: all seeds answer the"
    " same test problems, and other problems would move all of them together."
)
RULE_OF_CONVERGENCE = (
    "D(k) is |pass@1 - pass@1 of the same seed's `ce`|, averaged over the evaluations of a run"
    " with k rollouts. Its floor is the D of a twin of `ce`, which starts from the same weights"
    " but sees different prompts. MaxRL(k) is *indistinguishable from maximum likelihood* where"
    " the upper end of the interval of D(k) lies below the upper end of the floor's interval plus"
    f" {MARGIN:g}. MaxRL *converges* if there is such a k, and if D falls with k on every seed up"
    " to the first such k. Its P is about the largest k: that its D minus the margin lies below the"
    " floor of the same seed. The rule was worked out on seeds 0 to 7 and is applied to seeds 8 to"
    " 15."
)


@dataclass(frozen=True)
class Interval:
    """An effect, its interval, and what it was read from."""

    centre: float
    low: float
    high: float
    n: int  # seeds
    above: int  # of them above zero (a ratio: above one)
    p: float  # two-sided, of the exact signed-rank test against zero (a ratio: one)

    @property
    def sign(self) -> int:
        """1 above zero, -1 below, 0 where the interval contains zero or there is none."""
        return ((self.low > 0) - (self.high < 0)) * (self.n >= 6)


def interval(values: Sequence[float]) -> Interval:
    """The signed-rank interval of 95 %: the Walsh averages between the c-th from either end, where
    c - 1 is the largest rank sum whose chance of being reached or undercut is at most 2.5 %."""
    n = len(values)
    walsh = sorted(mean((values[i], values[j])) for i in range(n) for j in range(i, n))
    c = rank_sums(range(1, n + 1))[int(0.025 * 2**n)]
    cut = max(int(c) - 1, 0)
    above = sum(x > 0 for x in values)
    return Interval(median(walsh), walsh[cut], walsh[-1 - cut], n, above, p_value(values))


def rank_sums(ranks: Iterable[float]) -> list[float]:
    """The rank sums of the positive values for all flips of signs, from the smallest on."""
    sums = [0.0]
    for r in ranks:
        sums += [t + r for t in sums]
    return sorted(sums)


def p_value(values: Sequence[float]) -> float:
    """The two-sided p of the signed-rank test, exact over all flips of signs. Equal sizes share
    their ranks, and zeros have ranks that count for neither side (Pratt 1959)."""
    sizes = [abs(x) for x in values]
    ranks = [sum(s < x for s in sizes) + (sum(s == x for s in sizes) + 1) / 2 for x in sizes]
    signed = [(r, x > 0) for r, x in zip(ranks, values, strict=True) if x]
    smaller = min(sum(r for r, up in signed if up == side) for side in (True, False))
    sums = rank_sums(r for r, _ in signed)
    return min(1.0, 2 * sum(t <= smaller for t in sums) / len(sums))


def of_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The same for paired ratios, by their logarithms; an effect of 1 is no effect."""
    logs = interval([math.log(a / b) for a, b in zip(ours, theirs, strict=True)])
    centre, low, high = map(math.exp, (logs.centre, logs.low, logs.high))
    return replace(logs, centre=centre, low=low, high=high)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p-value corrected for the size of the family (Holm 1979)."""
    corrected, worst = {}, 0.0
    for i, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - i) * p_values[name]))
        corrected[name] = worst
    return corrected


def times(x: float) -> str:
    """A ratio, to three digits."""
    return f"{x:#.3g}x" if x < 100 else f"{x:,.0f}x"


def say(v: Interval, ratio: bool = False) -> str:
    """'+0.024 [+0.017, +0.031]', of a ratio '2.31x [1.90x, 2.80x]'; few seeds have (a range)."""
    digits = 3 if max(abs(v.low), abs(v.high)) >= 0.01 else 5
    text = [times(x) if ratio else f"{x:+.{digits}f}" for x in (v.centre, v.low, v.high)]
    if v.n < 2:
        return text[0]
    return ("{} [{}, {}]" if v.n >= 6 else "{} ({} to {})").format(*text)


class Convergence(NamedTuple):
    """What the rule says."""

    near: tuple[int, ...]  # the k that are indistinguishable
    falling: int  # seeds on which D falls with k up to the first of these, or to the largest k
    converges: bool
    limit: float  # what the upper end of D(k) has to stay below


def convergence(D: Mapping[int, Sequence[float]], floor: Sequence[float]) -> Convergence:
    """Apply RULE_OF_CONVERGENCE. D: k, rising -> D(k) of each seed; floor: that of the twins."""
    limit = interval(floor).high + MARGIN
    near = tuple(k for k, values in D.items() if interval(values).high < limit)
    seeds = zip(*(values for k, values in D.items() if k <= min(near, default=k)), strict=True)
    falling = sum(all(a > b for a, b in pairwise(seed)) for seed in seeds)
    return Convergence(near, falling, bool(near) and falling == len(floor), limit)
