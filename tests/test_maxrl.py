"""maxrl.py against exact enumeration, hand-worked vectors and rational arithmetic."""

import doctest
import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import maxrl
from maxrl import ADVANTAGES, objective, pass_at_k, weight

INF = math.inf
OURS = "reinforce rloo grpo maxrl maxrl-raw maxrl-loo tailrl passk maxrl-std rft".split()
# Four outcomes, of which the last two are right: p is a sum over two ways to be right.
LOGITS = torch.tensor([0.3, 1.1, -0.7, -1.9], dtype=torch.float64)
RIGHT = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)


def gradient(f, n: int = 4) -> torch.Tensor:
    """d f(policy) / d logits for a softmax policy over the first n outcomes."""
    logits = LOGITS[:n].clone().requires_grad_()
    return torch.autograd.grad(f(logits.softmax(0)), logits)[0]


def expected_gradient(name: str, k: int, likelihood=RIGHT, **options) -> torch.Tensor:
    """E[(1/k) sum_i A_i score_i], summed over all n^k outcomes of k rollouts."""
    n = len(likelihood)
    pi = LOGITS[:n].softmax(0)
    scores = torch.eye(n, dtype=torch.float64) - pi  # d log pi(z) / d logits, a row each
    z = torch.cartesian_prod(*[torch.arange(n)] * k).view(-1, k)  # (n^k, k)
    A = ADVANTAGES[name](likelihood[z], **options)
    g = torch.einsum("nk,nkc->nc", A, scores[z]) / k
    return pi[z].prod(1) @ g


def p_of(pi, likelihood=RIGHT):
    return (pi * likelihood).sum()


# --------------------------------------------------------------------------- what each one trains


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["reinforce", "rloo", "maxrl", "maxrl-raw", "maxrl-loo"])
def test_expected_gradient_is_that_of_the_order_it_names(name, k):
    order = {"reinforce": 1, "rloo": 1, "maxrl": max(k - 1, 1), "maxrl-raw": k, "maxrl-loo": k}[
        name
    ]
    truth = gradient(lambda pi: objective(p_of(pi), order))
    assert torch.allclose(expected_gradient(name, k), truth, rtol=1e-9, atol=1e-12)
    assert maxrl.trained_order(name, k) == order


@pytest.mark.parametrize("k, order", [(3, 1), (3, 2), (5, 2), (5, 4), (5, 5)])
def test_leave_one_out_trains_any_order_up_to_k(k, order):
    truth = gradient(lambda pi: objective(p_of(pi), order))
    got = expected_gradient("maxrl-loo", k, order=order)
    assert torch.allclose(got, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k, order", [(1, None), (3, None), (4, 1), (4, 3), (5, 2)])
def test_passk_ascends_pass_at_k(k, order):
    truth = gradient(lambda pi: 1 - (1 - p_of(pi)) ** (order or k))
    got = expected_gradient("passk", k, order=order)
    assert torch.allclose(got, truth, rtol=1e-9, atol=1e-12)


def binomial_weight(p: float, k: int, success, failure) -> float:
    """w(p) for advantages given as functions of m = S/k, from E[S A+]/(k p) - E[(k-S) A-]/(k q)."""
    total = 0.0
    for s in range(1, k):  # the groups in which rewards differ
        chance = math.comb(k, s) * p**s * (1 - p) ** (k - s)
        m = s / k
        total += chance * (s * success(m) / (k * p) - (k - s) * failure(m) / (k * (1 - p)))
    return total


@pytest.mark.parametrize("k", [1, 3, 4, 6])
def test_grpo_and_maxrl_std_match_the_finite_k_binomial_sum(k):
    p = p_of(LOGITS.softmax(0)).item()
    odds = lambda m: math.sqrt((1 - m) / m)  # noqa: E731  (1 - m) / std
    grad_p = gradient(p_of)
    w = binomial_weight(p, k, odds, lambda m: -1 / odds(m))
    assert torch.allclose(expected_gradient("grpo", k), w * grad_p, rtol=1e-9, atol=1e-12)
    w = binomial_weight(p, k, lambda m: odds(m) / m, lambda m: -1 / odds(m) / m)
    assert torch.allclose(expected_gradient("maxrl-std", k), w * grad_p, rtol=1e-9, atol=1e-12)


def test_rft_gives_every_prompt_of_a_batch_a_weight_from_the_whole_batch():
    """Two prompts, k = 3: w(p_1) = E[S_1 / (S_1 + S_2) * 2] / p_1, by enumeration."""
    k, p = 3, (0.15, 0.7)
    pmf = [[math.comb(k, s) * q**s * (1 - q) ** (k - s) for s in range(k + 1)] for q in p]
    got = truth = 0.0
    for s1, s2 in itertools.product(range(k + 1), repeat=2):
        chance = pmf[0][s1] * pmf[1][s2]
        rewards = torch.tensor([[float(i < s) for i in range(k)] for s in (s1, s2)]).double()
        A = ADVANTAGES["rft"](rewards)
        scores = rewards[0] - p[0]  # 1 - p for a success, -p for a failure
        got += chance * (A[0] @ scores).item() / k / (p[0] * (1 - p[0]))
        truth += chance * (2 * s1 / (s1 + s2) if s1 + s2 else 0.0) / p[0]
    assert got == pytest.approx(truth, rel=1e-9)


def test_the_figures_of_the_specification():
    """w at p = .05 and .8, worked out apart from this code."""
    known = {
        (0.05, 8): {"maxrl-raw": 6.7316, "maxrl": 6.0333, "grpo": 2.4731, "maxrl-std": 17.5902},
        (0.05, 64): {"maxrl-raw": 19.2495, "maxrl": 19.21, "grpo": 4.3364, "maxrl-std": 96.8469},
        (0.8, 64): {"maxrl-raw": 1.25, "maxrl": 1.25, "grpo": 2.4686, "maxrl-std": 3.1167},
    }
    for (p, k), row in known.items():
        for name, w in row.items():
            assert maxrl.enumerated_weight(name, p, k)[0] == pytest.approx(w, abs=6e-5)


def test_closed_forms_equal_the_enumeration():
    for name, k, p in itertools.product(OURS, (1, 2, 3, 7), (0.05, 0.3, 0.8)):
        closed = maxrl.population_weight(name, torch.tensor(p, dtype=torch.float64), k).item()
        if name not in ("grpo", "maxrl-std"):
            assert maxrl.enumerated_weight(name, p, k)[0] == pytest.approx(closed, rel=1e-9), name


def test_limits_of_large_k():
    p = torch.tensor(0.3, dtype=torch.float64)
    for name, tolerance in (("grpo", 2e-3), ("maxrl-std", 5e-3)):
        limit = maxrl.population_weight(name, p, 512).item()
        assert maxrl.enumerated_weight(name, 0.3, 512)[0] == pytest.approx(limit, rel=tolerance)


def test_the_standard_deviation_is_that_of_the_estimate():
    """reinforce is a mean of k independent r * score, so its variance is known by hand."""
    p, k = 0.3, 4
    _, sd = maxrl.enumerated_weight("reinforce", p, k)
    one = p * ((1 - p) / (p * (1 - p))) ** 2 - 1  # E[x^2] - E[x]^2 of x = r score / (p q)
    assert sd == pytest.approx(math.sqrt(one / k), rel=1e-9)
    w, sd = maxrl.enumerated_weight("maxrl-raw", p, k)  # 1/p in a group with a success, else 0
    live = 1 - (1 - p) ** k
    assert w == pytest.approx(live / p) and sd == pytest.approx(math.sqrt(live * (1 - live)) / p)


# ------------------------------------------------------------------------------ vectors and edges


def test_doctests():
    assert doctest.testmod(maxrl) == (0, 1)


def test_maxrl_vectors():
    rewards = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).double()
    expected = [[3, -1, -1, -1], [1, 1, -1, -1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert ADVANTAGES["maxrl"](rewards).tolist() == expected


@pytest.mark.parametrize(
    "name, success, failure",
    [
        ("reinforce", 1, 0),
        ("rloo", 1, -1 / 3),
        ("grpo", 3**0.5, -(3**-0.5)),
        ("maxrl", 3, -1),
        ("maxrl-raw", 4, 0),
        ("maxrl-loo", 4, -2 / 3),
        ("tailrl", 3, -1),
        ("passk", 4, 0),
        ("maxrl-std", 4 * 3**0.5, -4 * 3**-0.5),
        ("rft", 8 / 3, 0),  # beside a group with two successes: the batch mean is 3/8
    ],
)
def test_one_success_of_four(name, success, failure):
    rewards = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0]]).double()
    assert ADVANTAGES[name](rewards)[0].tolist() == pytest.approx([success] + 3 * [failure])


def test_one_division_apart():
    r = torch.tensor([[1.0, 0, 0, 1, 0]], dtype=torch.float64)
    centred, mean, std = r - r.mean(), r.mean(), r.std(correction=0)
    assert torch.allclose(ADVANTAGES["rloo"](r), centred * 5 / 4)
    assert torch.allclose(ADVANTAGES["grpo"](r), centred / std)
    assert torch.allclose(ADVANTAGES["maxrl"](r), centred / mean)


def test_at_two_rollouts_rloo_grpo_and_maxrl_coincide():
    rewards = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    rloo, grpo, maxrl_ = (ADVANTAGES[name](rewards) for name in ("rloo", "grpo", "maxrl"))
    assert torch.equal(rloo, grpo) and torch.equal(rloo, maxrl_)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OURS)
def test_groups_that_all_fail_or_all_pass(name, dtype):
    A = ADVANTAGES[name](torch.tensor([[0.0] * 7, [1.0] * 7], dtype=dtype))
    all_pass = {"reinforce": 1, "maxrl-raw": 1, "rft": 2}.get(name, 0)  # of a batch whose mean is ½
    assert A.dtype == dtype and A.tolist() == [[0] * 7, [all_pass] * 7]  # exactly: 0 is skipped


@pytest.mark.parametrize("name", ["rloo", "maxrl", "maxrl-raw", "maxrl-loo", "passk"])
def test_a_group_of_one_is_reinforce(name):
    rewards = torch.tensor([[1.0], [0.0], [1.0]])
    assert torch.equal(ADVANTAGES[name](rewards), rewards)


groups = st.integers(1, 4).flatmap(
    lambda B: st.integers(1, 9).flatmap(
        lambda k: st.lists(
            st.lists(st.sampled_from([0.0, 1.0]), min_size=k, max_size=k), min_size=B, max_size=B
        )
    )
)


@given(groups, st.sampled_from(sorted(ADVANTAGES)), st.randoms())
def test_shuffling_a_group_shuffles_its_advantages(rows, name, random):
    rewards = torch.tensor(rows, dtype=torch.float64)
    order = random.sample(range(rewards.shape[1]), rewards.shape[1])
    shuffled = ADVANTAGES[name](rewards[:, order])
    assert torch.allclose(shuffled, ADVANTAGES[name](rewards)[:, order], atol=1e-12)


@given(groups, st.sampled_from(sorted(ADVANTAGES)), st.randoms())
def test_counted_advantages_are_those_of_the_rollouts(rows, name, random):
    """Merge the equal rewards of each group into one entry with a count, in scrambled order."""
    rewards = torch.tensor(rows, dtype=torch.float64)
    k = rewards.shape[1]
    entries = [(b, r, row.count(r)) for b, row in enumerate(rows) for r in (1.0, 0.0) if r in row]
    random.shuffle(entries)
    group, r, count = (torch.tensor(column) for column in zip(*entries, strict=True))
    A = maxrl.counted_advantages(name, r.double(), group, count, k)
    full = ADVANTAGES[name](rewards)
    for b, reward, a in zip(group.tolist(), r.tolist(), A.tolist(), strict=True):
        assert a == pytest.approx(full[b, rows[b].index(reward)].item(), abs=1e-12)


@pytest.mark.parametrize("name", ADVANTAGES)
def test_rewards_that_a_method_does_not_take(name):
    anything = ("reinforce", "rloo", "tailrl")
    for bad in (0.5, -1.0, 1e-3, 1.25, math.nan, math.inf):
        rewards = torch.tensor([[1.0, 0.0, bad], [0.0, 0.0, 1.0]])
        if (name in anything and math.isfinite(bad)) or (name == "maxrl-loo" and 0 <= bad <= 1):
            assert ADVANTAGES[name](rewards).isfinite().all()
        else:
            with pytest.raises(ValueError, match=f"not {bad:.2g}"):
                ADVANTAGES[name](rewards)
            one = torch.ones(3, dtype=torch.long)
            with pytest.raises(ValueError, match=f"not {bad:.2g}"):
                maxrl.counted_advantages(name, rewards[0], one - 1, one, 3)
    for shape in ((3,), (2, 3, 1), (0, 4)):
        with pytest.raises(ValueError):
            ADVANTAGES[name](torch.zeros(shape))


def test_advantages_of_a_million_rollouts():
    """One failure among k: float32 means would be off by a percent, products by gigabytes."""
    k = 10**6
    r, prompt = torch.tensor([1.0, 0.0]), torch.tensor([0, 0])
    known = {"maxrl": 1 / (k - 1), "rloo": 1 / (k - 1), "maxrl-loo": k / (k - 1) ** 2}
    known |= {"grpo": (k - 1) ** -0.5, "passk": 0.0}
    for name, success in known.items():
        A = maxrl.counted_advantages(name, r, prompt, torch.tensor([k - 1, 1]), k)
        assert A.dtype == r.dtype and A[0].item() == pytest.approx(success, rel=1e-6), name
    A = maxrl.counted_advantages("maxrl-loo", r, prompt, torch.tensor([k - 1, 1]), k, order=k // 2)
    assert A[0].item() == pytest.approx(k / (k - 1) ** 2, rel=1e-6)  # T >= 2 finds a success
    with pytest.raises(ValueError):
        maxrl.counted_advantages("maxrl-loo", r / 2, prompt, torch.tensor([k - 1, 1]), k)


def test_whole_numbers_and_verdicts_are_rewards_too():
    """bool and int give float64; floats keep their dtype."""
    for dtype in (torch.bool, torch.long):
        A = ADVANTAGES["maxrl"](torch.tensor([[1, 0, 0, 0]]).to(dtype))
        assert A.dtype == torch.float64 and A.tolist() == [[3, -1, -1, -1]]
        group, count = torch.tensor([0, 0]), torch.tensor([1, 3])
        A = maxrl.counted_advantages("maxrl", torch.tensor([1, 0]).to(dtype), group, count, 4)
        assert A.dtype == torch.float64 and A.tolist() == [3, -1]
    k = 3 * 10**5  # float32 knows S/k too roughly, and counts beyond 2**24 not at all
    for name, success in (("maxrl", 1 / (k - 1)), ("maxrl-loo", k / (k - 1) ** 2)):
        A = ADVANTAGES[name]((torch.arange(k) > 0).float().unsqueeze(0))
        assert A[0, 1].item() == pytest.approx(success, rel=1e-6)


@pytest.mark.parametrize("k, S", [(49, 1), (103, 1), (22, 15), (49, 27)])
def test_counts_of_successes_are_whole(k, S):
    """k (S/k) is not always S in floating point. omega by hand, of both ordered estimators."""
    assert k * (S / k) != S
    rewards, T = (torch.arange(k) < S).double().unsqueeze(0), 3
    if S > 1:  # of k - S + 1 peers one is right: exactly 0
        assert not ADVANTAGES["passk"](rewards, order=k - S + 2).any()
    for r, c, others in ((1, S, S - 1), (0, S + 1, S)):  # itself a success; among its peers
        omega = (1 - math.comb(k - c, T) / math.comb(k, T)) / (c / k)
        centred = r - others / (k - 1)
        A = ADVANTAGES["maxrl-loo"](rewards, order=T)[0, 0 if r else -1].item()
        assert A == pytest.approx(omega * centred, rel=1e-9)
        omega = T * math.comb(k - 1 - others, T - 1) / math.comb(k - 1, T - 1)
        A = ADVANTAGES["passk"](rewards, order=T)[0, 0 if r else -1].item()
        assert A == pytest.approx(omega * centred, rel=1e-9)


def test_which_order_is_trained():
    known = {
        ("reinforce", 5, None): 1, ("rloo", 5, None): 1, ("maxrl", 5, None): 4,
        ("maxrl", 1, None): 1, ("maxrl-raw", 5, None): 5, ("maxrl-loo", 5, None): 5,
        ("maxrl-loo", 5, 3): 3, ("passk", 5, 1): 1, ("passk", 1, None): 1, ("passk", 5, None): None,
        ("passk", 5, 2): None, ("grpo", 1, None): None, ("grpo", 2, None): 1,
        ("grpo", 3, None): None,
        ("rft", 5, None): None, ("maxrl-std", 5, None): None, ("a method of yours", 5, None): None,
    }  # fmt: skip
    for (name, k, order), T in known.items():
        assert maxrl.trained_order(name, k, order) == T, (name, k, order)
    p = torch.tensor([0.3])
    assert maxrl.population_weight("a method of yours", p, 5).isnan().all()
    passk = maxrl.population_weight("passk", p.double(), 5, 3).item()
    assert passk == pytest.approx(maxrl.enumerated_weight("passk", 0.3, 5, 3)[0], rel=1e-6)


def test_orders_that_a_method_does_not_take():
    rewards = torch.tensor([[1.0, 0.0, 0.0]])
    for name in ADVANTAGES:
        for order in (0, 4, 1.5, -1, INF, -INF, math.nan) if name in maxrl.ORDERED else (1, 2):
            with pytest.raises(ValueError):
                ADVANTAGES[name](rewards, order=order)
            ones = torch.ones(3, dtype=torch.long)
            with pytest.raises(ValueError):
                maxrl.counted_advantages(name, rewards[0], ones - 1, ones, 3, order)


# -------------------------------------------------------------------------------- objective, weight


def reference(p: float, order: int) -> tuple[Fraction, Fraction]:
    """J_T and w_T of the exact rational value of the float p."""
    q = 1 - Fraction(p)
    return -sum(q**j / j for j in range(1, order + 1)), sum(q**j for j in range(order))


@pytest.mark.parametrize("p", [1e-12, 1e-7, 0.01, 0.4999, 0.5, 0.75, 1 - 1e-12, 1.0])
@pytest.mark.parametrize("order", [1, 2, 7, 60])
def test_objective_and_weight_against_rationals(p, order):
    J, w = reference(p, order)
    x = torch.tensor([p], dtype=torch.float64, requires_grad=True)
    value = objective(x, order)
    value.sum().backward()
    assert value.item() == pytest.approx(float(J), rel=1e-12, abs=0)
    assert weight(x.detach(), order).item() == pytest.approx(float(w), rel=1e-12)
    assert x.grad.item() == pytest.approx(float(w), rel=1e-12)


@pytest.mark.parametrize("p", [1e-12, 1e-9, 1e-6, 1e-3, 0.3, 1.0])
@pytest.mark.parametrize("order", [10**4, 10**6])
def test_large_orders_against_a_taylor_series(p, order):
    """For T p << 1 use the binomial series of 1-(1-p)^T, else its size is known to 1e-9."""
    T, x = order, Fraction(p)
    if T * p < 0.01:
        w = float(sum(Fraction((-1) ** j * math.comb(T, j + 1)) * x**j for j in range(12)))
    else:
        w = -math.expm1(T * math.log1p(-p)) / p if p < 1 else 1.0
    assert weight(torch.tensor(p, dtype=torch.float64), T).item() == pytest.approx(w, rel=1e-9)


def test_objective_of_high_order_at_small_p():
    """J_T(p) = -H_T + sum_j (-1)^(j+1) C(T,j) p^j / j for integer T, here with T p = 1e-8."""
    T, p = 10**4, 1e-12
    harmonic = sum(Fraction(1, j) for j in range(1, T + 1))
    expected = -float(harmonic) + T * p
    got = objective(torch.tensor(p, dtype=torch.float64), T).item()
    assert got == pytest.approx(expected, rel=1e-12)


def test_extremes():
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert objective(zero, 5).item() == pytest.approx(-(1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5))
    assert weight(zero, 5).item() == 5 and weight(zero, INF).item() == INF
    assert objective(one, INF).item() == 0 and objective(one, 3).item() == 0
    assert weight(torch.tensor(1e-300, dtype=torch.float64), INF).item() == pytest.approx(1e300)
    assert (objective(0.5, 2), weight(0.5, 2), maxrl.exact_pass_at_k(0.5, 2)) == (-0.625, 1.5, 0.75)
    p = torch.tensor([0.2, 0.9], dtype=torch.float64)
    assert torch.allclose(weight(p, INF), 1 / p) and torch.allclose(objective(p, INF), p.log())
    for order in (0, -1, 1.5, math.nan):
        with pytest.raises(ValueError):
            weight(p, order)
        with pytest.raises(ValueError):
            objective(p, order)


@given(st.floats(1e-9, 1 - 1e-9), st.integers(1, 50), st.integers(1, 50))
def test_weight_grows_with_the_order_towards_one_over_p(p, a, b):
    x = torch.tensor(p, dtype=torch.float64)
    low, high = weight(x, min(a, b)).item(), weight(x, max(a, b)).item()
    assert low <= high * (1 + 1e-12) <= (1 / p) * (1 + 1e-9)


@pytest.mark.parametrize("order", [1, 3, 12, INF])
def test_exact_loss_has_the_gradient_of_the_objective(order):
    """-grad mean J_T(exp(logp)), by autograd through p where p does not underflow."""
    logp = torch.tensor([-9.0, -2.0, -0.3, -1e-4], dtype=torch.float64, requires_grad=True)
    truth = torch.autograd.grad(-objective(logp.exp(), order).mean(), logp)[0]
    got = torch.autograd.grad(maxrl.exact_loss(logp, order), logp)[0]
    assert torch.allclose(got, truth, rtol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 7, INF])
def test_pass_at_k_of_a_known_pass_rate_and_its_slope(k):
    """Also at both ends: 1 - (1-p)^k rises by k (1-p)^(k-1)."""
    p = torch.tensor([0.0, 1e-12, 0.3, 0.5, 0.7, 1.0], dtype=torch.float64, requires_grad=True)
    got = maxrl.exact_pass_at_k(p, k)
    if k == INF:
        assert got.tolist() == [1] * 6
        return
    exact = [float(1 - (1 - Fraction(x)) ** k) for x in p.tolist()]
    assert got.tolist() == pytest.approx(exact, rel=1e-12, abs=0)
    (slope,) = torch.autograd.grad(got.sum(), p)
    assert slope.tolist() == pytest.approx([k * (1 - x) ** (k - 1) for x in p.tolist()], rel=1e-9)


def test_exact_loss_of_order_infinity_survives_underflow():
    logp = torch.tensor([-2000.0, -1.0], requires_grad=True)
    maxrl.exact_loss(logp, INF).backward()
    assert logp.grad.tolist() == [-0.5, -0.5]


# -------------------------------------------------------------------------------------- pass@k


def test_pass_at_k_against_brute_force():
    for n in range(1, 8):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            hits = [any(i < c for i in chosen) for chosen in itertools.combinations(range(n), k)]
            assert pass_at_k(n, c, k) == pytest.approx(sum(hits) / len(hits), abs=1e-12)


def test_pass_at_k_on_tensors_and_edges():
    n, c = torch.tensor([10, 10, 12]), torch.tensor([0, 3, 12])
    assert torch.allclose(
        pass_at_k(n, c, 2), torch.tensor([0, 1 - 42 / 90, 1], dtype=torch.float64)
    )
    assert torch.equal(
        pass_at_k(10, torch.tensor(4), torch.tensor([1, 10])).round(decimals=9),
        torch.tensor([0.4, 1.0], dtype=torch.float64),
    )
    assert pass_at_k(5, 0, 5) == 0.0 and isinstance(pass_at_k(5, 2, 1), float)
    assert pass_at_k(100_000, 1, 1000) == pytest.approx(0.01, rel=1e-9)
    for bad in (
        (4, 1, 5),
        (4, 5, 2),
        (4, -1, 2),
        (4, 1, 0),
        (4, 1, 2.5),
        (4, math.nan, 2),
        (4.5, 1, 2),
    ):
        with pytest.raises(ValueError):
            pass_at_k(*bad)


@pytest.mark.parametrize("k", [4096, 4097, 9000])
def test_pass_at_k_of_many_tries(k):
    """Its factors are multiplied some thousands at a time; with two successes by hand."""
    n = 10_000
    neither = (n - k) * (n - k - 1) / (n * (n - 1))
    assert pass_at_k(n, 2, k) == pytest.approx(1 - neither, rel=1e-9)
    assert pass_at_k(n, n - 1000, k) == 1  # the factors after the 0 would overflow
    both = pass_at_k(n, torch.tensor([2, 0]), torch.tensor([k, n]))
    assert both.tolist() == pytest.approx([1 - neither, 0], rel=1e-9)


# ---------------------------------------------------------------------------------------- loss


def test_the_loss_is_a_sum_over_a_constant():
    logp = torch.tensor([[-1.0, -2.0, -4.0], [-3.0, -5.0, -6.0]])
    A = torch.tensor([[2.0, -1.0, -1.0], [0.0, 0.0, 0.0]])
    loss = maxrl.policy_gradient_loss(logp, A.double())
    assert loss.item() == pytest.approx(-(-2 + 2 + 4) / 6) and loss.dtype == logp.dtype


def test_advantages_are_constants():
    """Also where they, or the rewards that they come from, were computed from the network."""
    logp = torch.tensor([[-1.0, -2.0, -4.0]], requires_grad=True)
    rewards = (logp.exp() > 0.2).float() + 0 * logp
    assert rewards.requires_grad
    for name in ADVANTAGES:
        assert not ADVANTAGES[name](rewards).requires_grad
    group, count = torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.long)
    assert not maxrl.counted_advantages("rloo", rewards[0], group, count, 3).requires_grad
    maxrl.policy_gradient_loss(logp, 2 * logp).backward()
    assert logp.grad.tolist() == [pytest.approx([2 / 3, 4 / 3, 8 / 3])]


@given(st.integers(1, 7))
def test_micro_batches_order_and_counts_do_not_change_the_gradient(size):
    g = torch.Generator().manual_seed(size)
    logp = torch.randn(7, generator=g, dtype=torch.float64).requires_grad_()
    A, count = torch.randn(7, generator=g).double(), torch.randint(1, 5, (7,), generator=g)
    whole = torch.autograd.grad(
        maxrl.policy_gradient_loss(
            logp.repeat_interleave(count), A.repeat_interleave(count), total=40
        ),
        logp,
    )[0]
    rows = torch.randperm(7, generator=g)
    for part in rows.split(size):
        maxrl.policy_gradient_loss(logp[part], A[part], count[part], 40).backward()
    assert torch.allclose(logp.grad, whole, rtol=1e-12)


def test_the_loss_refuses_to_broadcast():
    with pytest.raises(ValueError):
        maxrl.policy_gradient_loss(torch.zeros(3, 1), torch.zeros(3))
    whole = maxrl.policy_gradient_loss(torch.ones(2), torch.ones(2), torch.tensor([3, 5]))
    assert whole.item() == -1  # the divisor is the number of rollouts, not of entries


def test_the_table_prints_the_proof(capsys):
    maxrl.main()
    out = capsys.readouterr().out
    assert all(figure in out for figure in ("6.0333", "6.7316", "96.8469", "(r - mean) / std"))
    assert max(map(len, out.splitlines())) <= 100
    tables = out.split("\nk = ")[1:]
    assert [int(table.split()[0]) for table in tables] == [1, 2, 4, 8, 64]
    for table in tables:
        k = int(table.split()[0])
        rows = {row[0]: row[1:] for row in map(str.split, table.splitlines()[1:]) if row}
        assert list(rows) == [name for name in maxrl.FORMULAS if name != "tailrl"]
        for name, (order, *cells) in rows.items():
            trained = maxrl.trained_order(name, k)
            assert order == ("-" if trained is None else str(trained))
            for enumerated, closed in zip(cells[::3], cells[1::3], strict=True):
                if name in ("grpo", "maxrl-std") and trained is None:
                    assert closed.startswith("~")
                else:  # a method of one's own may have no closed form
                    assert closed == enumerated or (trained is None and closed == "-")
