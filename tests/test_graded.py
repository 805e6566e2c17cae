"""graded.py against exact enumeration, TailRL's own formula, and maxrl.py on verdicts."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_maxrl import expected_gradient, gradient, p_of

import graded
import maxrl
from maxrl import ADVANTAGES

LIKELIHOODS = torch.tensor([[0.0, 0.2, 0.65, 1.0], [1e-6, 0.5, 0.5, 0.999]], dtype=torch.float64)


def papers_tailrl(rewards: list[float]) -> list[float]:
    """As its paper has it: a_i = k sum_{j <= rank i} (r_(j) - r_(j-1)) / (k-j+1), then centred."""
    k, a, total, previous = len(rewards), [0.0] * len(rewards), 0.0, 0.0
    for j, i in enumerate(sorted(range(k), key=rewards.__getitem__)):
        total += k * (rewards[i] - previous) / (k - j)
        a[i], previous = total, rewards[i]
    return [x - sum(a) / k for x in a]


@pytest.mark.parametrize("k", range(1, 6))
@pytest.mark.parametrize(
    "rewards", [(0, 0.3, 1), (-2, 0.5, 0.6), (0, 1, 1), (0, 0.3, 1, 2.5), (-2, 5, 0.6, 5), (7,) * 4]
)
def test_tailrl_has_the_gradient_of_all_thresholds(rewards, k):
    """Sum over the gaps between rewards of gap J_T(P(r > t)), T = max(k-1, 1), by enumeration."""
    r = torch.tensor(rewards, dtype=torch.float64)
    gaps = list(itertools.pairwise(r.unique()))

    def thresholds(pi):
        terms = [(b - a) * maxrl.objective(pi[r > a].sum(), max(k - 1, 1)) for a, b in gaps]
        return sum(terms, 0 * pi.sum())

    truth = gradient(thresholds, len(r))
    assert torch.allclose(expected_gradient("tailrl", k, r), truth, rtol=1e-12, atol=1e-12)
    assert truth.abs().max() > 0.01 or not gaps


@given(st.lists(st.integers(-40, 40).map(lambda n: n / 8), min_size=2, max_size=7))
def test_tailrl_of_any_rewards(rewards):
    """Negative, equal, in any order."""
    A = ADVANTAGES["tailrl"](torch.tensor([rewards]).double())
    assert A[0].tolist() == pytest.approx(papers_tailrl(rewards), abs=1e-12)


def test_tailrl_of_equal_rewards_and_of_verdicts():
    assert not ADVANTAGES["tailrl"](torch.full((2, 6), 0.1).double()).any(), "exactly 0"
    for k in (2, 5, 7):
        verdicts = (torch.arange(k) < torch.arange(k + 1).unsqueeze(1)).double()
        for function in (graded.tailrl, ADVANTAGES["tailrl"]):
            assert torch.equal(function(verdicts), ADVANTAGES["maxrl"](verdicts)), "to the bit"


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("k, T", [(k, T) for k in (1, 2, 3, 5) for T in range(1, k + 1)])
def test_leave_one_out_with_fractional_likelihoods(k, T, likelihood):
    truth = gradient(lambda pi: -sum((1 - p_of(pi, likelihood)) ** j / j for j in range(1, T + 1)))
    got = expected_gradient("maxrl-loo", k, likelihood, order=T)
    assert torch.allclose(got, truth, rtol=1e-9, atol=1e-12)


def test_large_groups(monkeypatch, k=1100):
    """All peers at likelihood l: omega is (1 - (1-l)^k) / l, where C(k-1, j) overflows. The cost is
    k^2, so there is a limit; it is inclusive."""
    for l in (1e-4, 0.3, 1.0):
        got = graded.omega_of_order_k(torch.full((1, k), l, dtype=torch.float64))
        assert got[0, 0].item() == pytest.approx((1 - (1 - l) ** k) / l, rel=1e-9)
    rewards = torch.rand(7, k, generator=torch.Generator().manual_seed(0)).double()
    whole = graded.maxrl_loo(rewards, k)  # which the thin wrapper computes three groups at a time
    assert torch.allclose(ADVANTAGES["maxrl-loo"](rewards), whole, rtol=1e-9)
    monkeypatch.setattr(graded, "MOST", 5)
    assert graded.maxrl_loo(torch.full((1, 5), 0.5), 5).tolist() == [[0] * 5]
    with pytest.raises(ValueError, match="up to 5, not 6"):
        graded.maxrl_loo(torch.full((1, 6), 0.5), 5)


@pytest.mark.parametrize("dtype", "bool uint8 int64 float16 bfloat16 float32".split())
def test_graded_functions_take_rewards_of_any_type(dtype):
    """Also of more rollouts than the type can count."""
    dtype = getattr(torch, dtype)
    for f, k in ((lambda r: graded.maxrl_loo(r, 3), 5), (graded.tailrl, 5), (graded.tailrl, 3000)):
        rewards = torch.zeros(1, k).index_fill(1, torch.tensor([0, 3]), 1)
        got = f(rewards.to(dtype))
        assert got.dtype == (dtype if dtype.is_floating_point else torch.float32)
        assert torch.allclose(got.double(), f(rewards.double()), rtol=0.01)
