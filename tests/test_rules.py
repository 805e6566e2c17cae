"""paper/rules.py: intervals, corrections and the rule of experiment 1, checked otherwise."""

import itertools
import math
import random

import pytest

from paper import rules
from paper.rules import convergence, holm, interval, of_ratio, p_value, say

SEEDS = 8
SAMPLE = [0.3, 1.1, -0.4, 2.0, 0.9, 1.6, 0.7, 1.3]


def rank_sums(values):
    """(of the positive, of the negative): mid-ranks of the sizes, counted one pair at a time."""
    sums = {1: 0.0, -1: 0.0}
    for x in values:
        smaller = sum(abs(y) < abs(x) for y in values)
        same = sum(abs(y) == abs(x) for y in values)
        if x:
            sums[1 if x > 0 else -1] += smaller + (same + 1) / 2
    return sums[1], sums[-1]


def by_flips(values):
    """The two-sided p-value: how often the smaller rank sum is as small or smaller, twice."""
    mine = min(rank_sums(values))
    flips = itertools.product((1, -1), repeat=len(values))
    # by symmetry, either sum of a flip is as likely to be that small
    lower = [rank_sums([s * x for s, x in zip(signs, values, strict=True)])[0] for signs in flips]
    return min(1.0, 2 * sum(t <= mine for t in lower) / len(lower))


@pytest.mark.parametrize("n", range(1, 10))
def test_p_values_are_those_of_all_flips_of_signs(n):
    """With ties and zeros too: drawn from few values."""
    rng = random.Random(n)
    for _ in range(4):
        values = [rng.choice((-2, -1, 0, 0.5, 1, 1, 3)) for _ in range(n)]
        assert p_value(values) == pytest.approx(by_flips(values)), values


@pytest.mark.parametrize("n, p", [(5, 2 / 32), (6, 2 / 64), (8, 2 / 256), (12, 2 / 4096)])
def test_when_all_seeds_agree(n, p):
    """Then p is the smallest there is: eight seeds can bear a family of six claims, no more."""
    values = [0.1 * (i + 1) for i in range(n)]
    assert p_value(values) == p and interval(values).above == n
    assert interval(values).sign == (n >= 6), "five seeds have no 95 % interval"


@pytest.mark.parametrize("n", [6, 7, 8, 9])
def test_the_interval_holds_what_the_test_does_not_reject(n):
    """The duality by which it is defined: shift the values, and enumerate the flips."""
    rng = random.Random(n)
    values = [rng.gauss(0.3, 1) for _ in range(n)]
    v = interval(values)
    for shift, inside in ((v.low - 1e-6, False), (v.low + 1e-6, True), (v.centre, True),
                          (v.high - 1e-6, True), (v.high + 1e-6, False)):  # fmt: skip
        assert (by_flips([x - shift for x in values]) > 0.05) == inside


def test_an_interval_by_hand():
    """Of 8 values there are 36 Walsh averages; the fourth from either end bounds the interval. The
    lowest: -.4, (-.4+.3)/2, (-.4+.7)/2, (-.4+.9)/2; the highest: 2, 1.8, 1.65, 1.6 (twice)."""
    v = interval(SAMPLE)
    assert (v.low, v.high) == pytest.approx((0.25, 1.6))
    averages = sorted((a + b) / 2 for i, a in enumerate(SAMPLE) for b in SAMPLE[i:])
    assert v.centre == pytest.approx((averages[17] + averages[18]) / 2)
    assert (v.n, v.above, v.sign) == (8, 7, 1)
    assert interval([-x for x in SAMPLE]).sign == -1


def test_few_seeds_have_a_range():
    v = interval([1.0, 2.0, 4.0])
    assert (v.low, v.centre, v.high, v.sign) == (1, 2.25, 4, 0)
    assert say(v) == "+2.250 (+1.000 to +4.000)" and say(interval([3.0])) == "+3.000"


def test_how_an_interval_is_said():
    assert say(interval(SAMPLE)) == "+0.975 [+0.250, +1.600]"
    assert say(interval([x / 1000 for x in SAMPLE])) == "+0.00097 [+0.00025, +0.00160]"
    assert say(of_ratio([2.0] * 8), ratio=True) == "2.00x [2.00x, 2.00x]"


def test_a_ratio_is_judged_by_its_logarithm():
    v, logs = of_ratio([2**x for x in SAMPLE]), interval([x * math.log(2) for x in SAMPLE])
    assert (v.low, v.high) == pytest.approx((2**0.25, 2**1.6))
    assert (v.p, v.above, v.n) == (logs.p, 7, 8)


def test_holm_by_hand():
    """.01 x 3, then .02 x 2, then .03 x 1, and never less than the one before."""
    corrected = holm({"c": 0.03, "a": 0.01, "b": 0.02})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.04, "c": 0.04})
    assert holm({"a": 0.9, "b": 0.6}) == {"b": 1.0, "a": 1.0}
    assert max(holm(dict.fromkeys("abcdef", 2 / 256)).values()) < 0.05
    assert min(holm(dict.fromkeys("abcdefg", 2 / 256)).values()) > 0.05


def seeds(*values):
    """Eight seeds around each of these."""
    return [[v + i / 1000 for i in range(SEEDS)] for v in values]


def test_the_rule_of_experiment_1():
    """The limit is the floor's upper end, here .02 + .006 or .0065, plus the margin."""
    [floor] = seeds(0.02)
    limit = interval(floor).high + rules.MARGIN
    near, far, farther = seeds(limit - 0.01, 0.1, 0.3)
    found = convergence({16: farther, 128: far, 1024: near}, floor)
    assert found.limit == pytest.approx(limit) and 0.04 < limit < 0.0425
    assert (found.near, found.falling, found.converges) == ((1024,), 8, True)
    assert not convergence({16: farther, 128: far}, floor).converges, "it never gets near"
    [at_limit] = seeds(limit - 0.006)
    assert not convergence({16: farther, 128: at_limit}, floor).near, "the upper end is above"


def test_convergence_needs_every_seed_down_to_the_first_that_is_near_and_no_farther():
    [floor], [low, far, farther] = seeds(0.02), seeds(0.021, 0.1, 0.3)
    odd = [0.31, *far[1:]]
    found = convergence({16: farther, 128: odd, 1024: low}, floor)
    assert (found.falling, found.converges) == (7, False)
    again = convergence({16: farther, 1024: low, 4096: [x + 0.001 for x in low]}, floor)
    assert again.near == (1024, 4096) and again.converges, "beyond it the floor is all there is"


def test_distance():
    assert rules.distance([0.1, 0.5, 0.9], [0.1, 0.8, 0.7]) == pytest.approx(0.5 / 3)
