"""graded.py against exact enumeration, and against the closed forms of 0 and 1."""

import doctest
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_maxrl import expected_gradient, gradient, p_of

import graded
import maxrl
from maxrl import ADVANTAGES

LIKELIHOODS = [
    torch.tensor([0.0, 0.2, 0.65, 1.0], dtype=torch.float64),
    torch.tensor([1e-6, 0.5, 0.5, 0.999], dtype=torch.float64),
]


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(
    "k, order", [(k, order) for k in (1, 2, 3, 5) for order in range(1, k + 1)]
)
def test_leave_one_out_with_fractional_likelihoods(k, order, likelihood):
    truth = gradient(
        lambda pi: -sum((1 - p_of(pi, likelihood)) ** j / j for j in range(1, order + 1))
    )
    got = expected_gradient("maxrl-loo", k, likelihood, order=order)
    assert torch.allclose(got, truth, rtol=1e-9, atol=1e-12)


def test_groups_that_are_too_large(monkeypatch):
    """The cost is k^2, so there is a limit; it is inclusive."""
    assert graded.MOST == 4096
    monkeypatch.setattr(graded, "MOST", 5)
    A = graded.maxrl_loo(torch.full((1, 5), 0.5), 5)
    assert A.tolist() == [[0] * 5] and A.dtype == torch.float32
    with pytest.raises(ValueError, match="up to 5, not 6"):
        graded.maxrl_loo(torch.full((1, 6), 0.5), 5)


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6), st.integers(1, 5))
def test_counted_advantages_of_fractions_are_those_of_the_rollouts(values, order):
    """Two groups of five: the second and third rollout of each are equal."""
    k, count = 5, torch.tensor([1, 2, 1, 1, 2, 2])
    group, l = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor(values, dtype=torch.float64)
    count[4], count[5] = 2, 3
    full = l.repeat_interleave(count).view(2, k)
    for name, T in (("maxrl-loo", order), ("maxrl-loo", None), ("rloo", None), ("reinforce", None)):
        A = maxrl.counted_advantages(name, l, group, count, k, T)
        expected = ADVANTAGES[name](full, **({"order": float(T)} if T else {})).flatten()
        assert torch.allclose(A.repeat_interleave(count), expected, atol=1e-12), name


def test_counted_advantages_by_hand():
    """Of fractions by rloo, and of 0 and 1, also where a group's entries are apart."""
    group, count = torch.tensor([1, 0, 1]), torch.tensor([1, 2, 1])
    for name, r, expected in (("rloo", 0.5, [1, 0, -1]), ("maxrl-loo", 0.0, [2, 0, -1])):
        A = maxrl.counted_advantages(name, torch.tensor([1, r, 0]), group, count, 2)
        assert A.tolist() == expected
    l, count, group = torch.tensor([0.5, 0.25]), torch.tensor([2, 1]), torch.tensor([0, 0])
    A = maxrl.counted_advantages("maxrl-loo", l, group, count, 3, order=1)
    assert A.tolist() == [0.125, -0.25] and A.dtype == torch.float32


def test_doctests():
    assert doctest.testmod(graded) == (0, 2)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.data())
def test_fractional_and_binary_leave_one_out_are_one_estimator(values, data):
    order = data.draw(st.integers(1, len(values)))
    binary = torch.tensor([[round(x) for x in values]]).double()
    got = graded.maxrl_loo(binary, order)
    assert torch.allclose(got, ADVANTAGES["maxrl-loo"](binary, order=order), atol=1e-9)
    l = torch.tensor([values], dtype=torch.float64)
    full = graded.omega_of_any_order(l, l.shape[1])
    assert torch.allclose(graded.omega_of_order_k(l), full, rtol=1e-9)


def test_full_order_is_stable_for_large_groups():
    """All peers at likelihood l: omega is w_k(l) in closed form, where C(k-1, j) overflows."""
    k = 1100
    for l in (1e-4, 0.3, 1.0):
        got = graded.omega_of_order_k(torch.full((1, k), l, dtype=torch.float64))
        # k int (1-tl)^(k-1) dt = (1 - (1-l)^k) / l
        assert got[0, 0].item() == pytest.approx((1 - (1 - l) ** k) / l, rel=1e-9)


# ------------------------------------------------------------------------------------- TailRL


def paper_tailrl(row: list[float]) -> list[float]:
    """As its paper has it: a_i = k sum_{j <= rank i} (r_(j) - r_(j-1)) / (k-j+1), then centred."""
    k, ranked = len(row), sorted(range(len(row)), key=row.__getitem__)
    a, total, previous = [0.0] * k, 0.0, 0.0
    for j, i in enumerate(ranked):
        total += k * (row[i] - previous) / (k - j)
        a[i], previous = total, row[i]
    return [x - sum(a) / k for x in a]


@pytest.mark.parametrize("k", range(1, 6))
@pytest.mark.parametrize(
    "rewards", [(0, 0.3, 1), (-2, 0.5, 0.6), (0, 1, 1), (0, 0.3, 1, 2.5), (-2, 5, 0.6, 5), (7,) * 4]
)
def test_tailrl_has_the_gradient_of_all_thresholds(rewards, k):
    """Sum over the gaps between rewards of gap J_T(P(r > t)), T = max(k-1, 1), by enumeration."""
    r = torch.tensor(rewards, dtype=torch.float64)
    levels = r.unique()

    def thresholds(pi):
        gaps = itertools.pairwise(levels)
        terms = [(b - a) * maxrl.objective(pi[r > a].sum(), max(k - 1, 1)) for a, b in gaps]
        return sum(terms, 0 * pi.sum())

    truth = gradient(thresholds, len(r))
    assert torch.allclose(expected_gradient("tailrl", k, r), truth, rtol=1e-12, atol=1e-12)
    assert len(levels) == 1 or truth.abs().max() > 0.01


finite = st.integers(-40, 40).map(lambda n: n / 8)  # with ties; sums of eighths are exact
tables = st.tuples(st.integers(1, 3), st.integers(2, 7)).flatmap(
    lambda size: st.lists(
        st.lists(finite, min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


@given(tables, finite, st.randoms())
def test_tailrl_of_any_rewards(rows, constant, random):
    r, k = torch.tensor(rows, dtype=torch.float64), len(rows[0])
    A = graded.tailrl(r)
    assert torch.equal(A, ADVANTAGES["tailrl"](r))
    assert torch.allclose(A, torch.tensor([paper_tailrl(row) for row in rows]).to(A), atol=1e-12)
    assert torch.equal(graded.tailrl(r + constant), A)
    assert torch.allclose(graded.tailrl(r / 3), A / 3, atol=1e-12)
    order = random.sample(range(k), k)
    assert torch.equal(graded.tailrl(r[:, order]), A[:, order])
    assert not graded.tailrl(r[:, :1].expand(-1, k)).any()
    entries = [(b, x, row.count(x)) for b, row in enumerate(rows) for x in set(row)]
    random.shuffle(entries)
    group, values, count = (torch.tensor(column) for column in zip(*entries, strict=True))
    counted = maxrl.counted_advantages("tailrl", values.double(), group, count, k)
    for b, x, a in zip(group.tolist(), values.tolist(), counted.tolist(), strict=True):
        assert a == A[b, rows[b].index(x)], "to the bit"


@given(st.integers(2, 40), st.data())
def test_tailrl_is_maxrl_on_verdicts_to_the_bit(k, data):
    r = (torch.arange(k) < data.draw(st.integers(0, k))).double().unsqueeze(0)
    assert torch.equal(graded.tailrl(r), ADVANTAGES["maxrl"](r))
    assert torch.equal(ADVANTAGES["tailrl"](r), ADVANTAGES["maxrl"](r))
    assert maxrl.trained_order("tailrl", k) == maxrl.trained_order("maxrl", k)


def test_tailrl_of_one_rollout_is_its_reward():
    r = torch.tensor([[-2.0], [0.5]])
    assert torch.equal(ADVANTAGES["tailrl"](r), r)
    group, count = torch.tensor([0, 1]), torch.tensor([1, 1])
    assert torch.equal(maxrl.counted_advantages("tailrl", r[:, 0], group, count, 1), r[:, 0])
