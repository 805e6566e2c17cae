"""likelihoods.py against exact enumeration, and against the closed forms of 0 and 1."""

import doctest

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_maxrl import expected_gradient, gradient, p_of

import likelihoods
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
    assert likelihoods.MOST == 4096
    monkeypatch.setattr(likelihoods, "MOST", 5)
    A = likelihoods.advantages(torch.full((1, 5), 0.5), 5)
    assert A.tolist() == [[0] * 5] and A.dtype == torch.float32
    with pytest.raises(ValueError, match="up to 5, not 6"):
        likelihoods.advantages(torch.full((1, 6), 0.5), 5)


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
    assert doctest.testmod(likelihoods) == (0, 1)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.data())
def test_fractional_and_binary_leave_one_out_are_one_estimator(values, data):
    order = data.draw(st.integers(1, len(values)))
    binary = torch.tensor([[round(x) for x in values]]).double()
    got = likelihoods.advantages(binary, order)
    assert torch.allclose(got, ADVANTAGES["maxrl-loo"](binary, order=order), atol=1e-9)
    l = torch.tensor([values], dtype=torch.float64)
    full = likelihoods.omega_of_any_order(l, l.shape[1])
    assert torch.allclose(likelihoods.omega_of_order_k(l), full, rtol=1e-9)


def test_full_order_is_stable_for_large_groups():
    """All peers at likelihood l: omega is w_k(l) in closed form, where C(k-1, j) overflows."""
    k = 1100
    for l in (1e-4, 0.3, 1.0):
        got = likelihoods.omega_of_order_k(torch.full((1, k), l, dtype=torch.float64))
        # k int (1-tl)^(k-1) dt = (1 - (1-l)^k) / l
        assert got[0, 0].item() == pytest.approx((1 - (1 - l) ** k) / l, rel=1e-9)
