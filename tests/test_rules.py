"""paper/rules.py: intervals, corrections and the rule of experiment 1, checked otherwise."""

import itertools
import random

import pytest

from paper.rules import convergence, holm, interval, of_ratio, p_value, say

SAMPLE = [0.3, 1.1, -0.4, 2.0, 0.9, 1.6, 0.7, 1.3]


def rank_sum(values):
    """Of the positive: mid-ranks of the sizes, counted one pair at a time."""
    ranks = [sum(abs(y) < abs(x) for y in values) + (sum(abs(y) == abs(x) for y in values) + 1) / 2
             for x in values]  # fmt: skip
    return sum(r for r, x in zip(ranks, values, strict=True) if x > 0)


def by_flips(values):
    """The two-sided p-value: how often a flip of signs has as small a rank sum, twice."""
    mine = min(rank_sum(values), rank_sum([-x for x in values]))
    flips = itertools.product((1, -1), repeat=len(values))
    sums = [rank_sum([s * x for s, x in zip(signs, values, strict=True)]) for signs in flips]
    return min(1.0, 2 * sum(t <= mine for t in sums) / len(sums))


def test_p_values_are_those_of_all_flips_of_signs():
    """With ties and zeros too: drawn from few values."""
    rng = random.Random(0)
    for n in (1, 2, 3, 5, 8) * 4:
        values = [rng.choice((-2, -1, 0, 0.5, 1, 1, 3)) for _ in range(n)]
        assert p_value(values) == pytest.approx(by_flips(values)), values


@pytest.mark.parametrize("n", [6, 7, 8])
def test_the_interval_holds_what_the_test_does_not_reject(n):
    """The duality by which it is defined: shift the values, and enumerate the flips."""
    rng = random.Random(n)
    values = [rng.gauss(0.3, 1) for _ in range(n)]
    v = interval(values)
    assert interval([-x for x in values]).high == pytest.approx(-v.low)
    for shift, inside in ((v.low - 1e-6, False), (v.low + 1e-6, True), (v.centre, True),
                          (v.high - 1e-6, True), (v.high + 1e-6, False)):  # fmt: skip
        assert (by_flips([x - shift for x in values]) > 0.05) == inside


def test_how_an_interval_is_said():
    assert say(interval(SAMPLE)) == "+0.975 [+0.250, +1.600]"
    assert say(interval([x / 1000 for x in SAMPLE])) == "+0.00097 [+0.00025, +0.00160]"
    assert say(of_ratio([4.0] * 8, [2.0] * 8), ratio=True) == "2.00x [2.00x, 2.00x]"
    few = interval([1.0, 2.0, 4.0])
    assert say(few) == "+2.250 (+1.000 to +4.000)" and few.sign == 0
    assert say(interval([3.0])) == "+3.000"
    # A ratio is judged by its logarithm.
    v, logs = of_ratio([3 * 2**x for x in SAMPLE], [3] * 8), interval(SAMPLE)
    assert (v.low, v.high) == pytest.approx((2**0.25, 2**1.6))
    assert (v.p, v.above, v.n) == (logs.p, 7, 8)


def test_holm_by_hand():
    """.01 x 3, then .02 x 2, then .03 x 1, and never less than the one before. With eight seeds a
    family of six claims can survive, and no larger one."""
    corrected = holm({"c": 0.03, "a": 0.01, "b": 0.02})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.04, "c": 0.04})
    assert holm({"a": 0.9, "b": 0.6}) == {"b": 1.0, "a": 1.0}
    assert max(holm(dict.fromkeys("abcdef", 2 / 256)).values()) < 0.05
    assert min(holm(dict.fromkeys("abcdefg", 2 / 256)).values()) > 0.05


def around(*values):
    """Eight seeds around each of these."""
    return [[v + i / 1000 for i in range(8)] for v in values]


def test_the_rule_of_experiment_1():
    """The limit is the floor's upper end, here .026, plus the margin: .041."""
    [floor], [far, farther, near, at_limit] = around(0.02), around(0.1, 0.3, 0.031, 0.035)
    found = convergence({16: farther, 128: far, 1024: near}, floor)
    assert found.limit == pytest.approx(0.041)
    assert (found.near, found.falling, found.converges) == ((1024,), 8, True)
    assert not convergence({16: farther, 128: far}, floor).converges, "it never gets near"
    assert not convergence({16: farther, 128: at_limit}, floor).near, "the upper end is above"
    found = convergence({16: farther, 128: [0.31, *far[1:]], 1024: near}, floor)
    assert (found.falling, found.converges) == (7, False)
    again = {16: farther, 1024: near, 4096: [x + 0.001 for x in near]}
    assert convergence(again, floor).converges, "beyond the first that is near nothing is asked"
