"""maxrl.py against exact enumeration, hand-worked vectors and rational arithmetic."""

import itertools
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import maxrl
from maxrl import ADVANTAGES, objective, pass_at_k, weight

INF = math.inf
# Four outcomes, of which the last two are right: p is a sum over two ways to be right.
LOGITS = torch.tensor([0.3, 1.1, -0.7, -1.9], dtype=torch.float64)
RIGHT = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)


def gradient(f, n: int = 4) -> torch.Tensor:
    """d f(policy) / d logits for a softmax policy over the first n outcomes."""
    logits = LOGITS[:n].clone().requires_grad_()
    return torch.autograd.grad(f(logits.softmax(0)), logits)[0]


def expected_gradient(name: str, k: int, rewards=RIGHT, **options) -> torch.Tensor:
    """E[(1/k) sum_i A_i score_i], summed over all n^k outcomes of k rollouts."""
    n = len(rewards)
    pi = LOGITS[:n].softmax(0)
    scores = torch.eye(n, dtype=torch.float64) - pi  # d log pi(z) / d logits, a row each
    z = torch.cartesian_prod(*[torch.arange(n)] * k).view(-1, k)  # (n^k, k)
    A = ADVANTAGES[name](rewards[z], **options)
    g = torch.einsum("nk,nkc->nc", A, scores[z]) / k
    return pi[z].prod(1) @ g


def p_of(pi, rewards=RIGHT):
    return (pi * rewards).sum()


def row(k: int, S: int) -> torch.Tensor:
    """A group of k rollouts, the first S of them right."""
    return (torch.arange(k) < S).double().unsqueeze(0)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["reinforce", "rloo", "maxrl", "maxrl-raw", "maxrl-loo", "passk"])
def test_expected_gradient_is_that_of_the_order_it_names(name, k):
    default = {"reinforce": 1, "rloo": 1, "maxrl": max(k - 1, 1)}.get(name, k)
    for order in (None, *range(1, k + 1)) if name in maxrl.ORDERED else (None,):
        T = order or default
        truth = gradient(lambda pi: objective(p_of(pi), T))  # noqa: B023
        if name == "passk":
            truth = gradient(lambda pi: 1 - (1 - p_of(pi)) ** T)  # noqa: B023
        got = expected_gradient(name, k, order=order)
        assert torch.allclose(got, truth, rtol=1e-9, atol=1e-12)
        assert maxrl.trained_order(name, k, order) == (None if name == "passk" and T > 1 else T)


def test_orders_weights_and_deviations_elsewhere():
    """(The table that maxrl.py prints has more of them.)"""
    known = {("grpo", 1): None, ("grpo", 2): 1, ("tailrl", 1): 1, ("tailrl", 5): 4,
             ("rft", 5): None}  # fmt: skip
    assert known == {pair: maxrl.trained_order(*pair) for pair in known}
    p = torch.tensor(0.3, dtype=torch.float64)
    assert maxrl.population_weight("yours", p, 5).isnan()
    for name, k, T, tolerance in (("grpo", 512, None, 2e-3), ("maxrl-std", 512, None, 5e-3),
                                  ("passk", 5, 3, 1e-9), ("rloo", 1, None, 1e-9),
                                  ("maxrl", 2000, None, 1e-9)):  # fmt: skip
        w, _ = maxrl.enumerated_weight(name, 0.3, k, T)
        assert w == pytest.approx(maxrl.population_weight(name, p, k, T).item(), rel=tolerance)
    live = 1 - 0.7**4  # the estimate of maxrl-raw is 1/p with this chance, and else 0
    w, sd = live / 0.3, (live * (1 - live)) ** 0.5 / 0.3
    assert maxrl.enumerated_weight("maxrl-raw", 0.3, 4) == pytest.approx((w, sd), rel=1e-9)


BY_HAND = {  # the advantages of a success and of a failure where m = S/k; rft: of batches of mean b
    "reinforce": lambda m, k, b: (1, 0),
    "rloo": lambda m, k, b: ((1 - m) * k / (k - 1), -m * k / (k - 1)),
    "grpo": lambda m, k, b: ((1 / m - 1) ** 0.5, -((1 / m - 1) ** -0.5)),
    "maxrl": lambda m, k, b: (1 / m - 1, -1),
    "maxrl-raw": lambda m, k, b: (1 / m, 0),
    "maxrl-loo": lambda m, k, b: ((1 - m) / m * k / (k - 1), -m * k / (m * k + 1) * k / (k - 1)),
    "tailrl": lambda m, k, b: (1 / m - 1, -1),
    "passk": lambda m, k, b: (k if m * k == 1 else 0, 0),
    "maxrl-std": lambda m, k, b: ((1 / m - 1) ** 0.5 / m, -((1 / m - 1) ** -0.5) / m),
    "rft": lambda m, k, b: (1 / b, 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_every_formula_by_hand(name):
    """A row for each S, all failures and all successes among them: exactly 0, for 0 is skipped."""
    for k in (2, 5, 6):
        A = ADVANTAGES[name](torch.cat([row(k, S) for S in range(k + 1)])).tolist()
        for S in range(1, k):
            success, failure = BY_HAND[name](S / k, k, 1 / 2)
            assert A[S] == pytest.approx(S * [success] + (k - S) * [failure], rel=1e-12)
        assert A[0] == [0] * k
        assert A[k] == [{"reinforce": 1, "maxrl-raw": 1, "rft": 2}.get(name, 0)] * k
    if name not in ("grpo", "maxrl-std", "rft"):  # a group of one is REINFORCE
        assert ADVANTAGES[name](torch.tensor([[1.0], [0.0], [1.0]])).tolist() == [[1], [0], [1]]


@given(st.data(), st.sampled_from(sorted(ADVANTAGES)), st.randoms())
def test_equal_rollouts_have_equal_advantages_in_any_order(data, name, random):
    """Merge the equal rewards of each group into one entry with a count, in scrambled order."""
    B, k = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 7))
    eighths = {"tailrl": (-12, 9), "rloo": (-12, 9), "maxrl-loo": (0, 8)}.get(name)
    value = st.integers(*eighths).map(lambda n: n / 8) if eighths else st.sampled_from([0.0, 1.0])
    rows = data.draw(st.lists(st.lists(value, min_size=k, max_size=k), min_size=B, max_size=B))
    T = data.draw(st.sampled_from([None, 1, k])) if name in maxrl.ORDERED else None
    entries = [(b, r, row.count(r)) for b, row in enumerate(rows) for r in set(row)]
    if name != "maxrl-loo":  # which wants them by group
        random.shuffle(entries)
    group, r, count = (torch.tensor(column) for column in zip(*entries, strict=True))
    counted = maxrl.counted_advantages(name, r.double(), group, count, k, T).tolist()
    full = ADVANTAGES[name](torch.tensor(rows).double(), order=T).tolist()
    for (b, reward, _), a in zip(entries, counted, strict=True):
        for other, theirs in zip(rows[b], full[b], strict=True):
            assert other != reward or theirs == pytest.approx(a, abs=1e-12)


@pytest.mark.parametrize("name", ADVANTAGES)
def test_rewards_and_orders_that_a_method_takes(name):
    """Advantages are floats: in the precision of the rewards, or else in torch's own."""
    f, rewards = ADVANTAGES[name], torch.tensor([[1, 0, 0, 0], [1, 1, 0, 1]])
    for dtype in "bool uint8 int32 int64 float16 bfloat16 float32 float64".split():
        dtype = getattr(torch, dtype)
        A = f(rewards.to(dtype))
        assert A.dtype == (dtype if dtype.is_floating_point else torch.float32)
        assert torch.allclose(A.double(), f(rewards.double()), rtol=0.01)
    for bad in (0.5, -1.0, 1e-3, 1.25, math.nan, math.inf):
        rewards = torch.tensor([[1.0, 0.0, bad]])
        anything = name in ("reinforce", "rloo", "tailrl") and math.isfinite(bad)
        if anything or (name == "maxrl-loo" and 0 <= bad <= 1):
            assert f(rewards).isfinite().all()
        else:
            with pytest.raises(ValueError, match=f"not {bad:.2g}"):
                f(rewards)
    for order in (0, 4, 1.5, -1, INF, -INF, math.nan) if name in maxrl.ORDERED else (1, 2):
        with pytest.raises(ValueError):
            f(torch.tensor([[1.0, 0.0, 0.0]]), order)
    for shape in ((3,), (2, 3, 1), (0, 4)):
        with pytest.raises(ValueError):
            f(torch.zeros(shape))


@pytest.mark.parametrize("name", ADVANTAGES)
def test_half_precision_counts_and_does_not_overflow(name):
    """float16 ends at 65,504 and counts to 2,048, and a mean of float32 may be a percent off."""
    k = 70_000
    precisions = (torch.half, 1e-3, 1e-7), (torch.float, 1e-6, 0)
    for S, (dtype, error, least) in itertools.product((1, k // 2, k - 1), precisions):
        exact, r = ADVANTAGES[name](row(k, S))[0, [0, -1]], row(k, S).to(dtype)
        if exact.abs().max() > 65_504 and dtype == torch.half:
            with pytest.raises(ValueError, match="too large"):
                ADVANTAGES[name](r)
        else:
            got = ADVANTAGES[name](r)[0, [0, -1]]
            assert torch.allclose(got.double(), exact, error, least) and got.dtype == dtype
    if name in ("rloo", "tailrl"):
        with pytest.raises(ValueError, match="too large"):
            ADVANTAGES[name](torch.tensor([[1e308, -1e308]], dtype=torch.double))
    lists, array = ADVANTAGES[name]([[1, 0, 0]]), ADVANTAGES[name](np.array([[1.0, 0, 0]]))
    assert lists.equal(array.float()) and lists.dtype != array.dtype == torch.float64
    with pytest.raises(ValueError, match="complex"):
        ADVANTAGES[name](row(4, 1).to(torch.complex64))


@pytest.mark.parametrize("k, S", [(49, 1), (103, 1), (22, 15), (49, 27)])
def test_counts_of_successes_are_whole(k, S):
    """k (S/k) is not always S in floating point. omega by hand, of both ordered estimators."""
    assert k * (S / k) != S
    rewards, T = row(k, S), 3
    if S > 1:  # of k - S + 1 peers one is right: exactly 0
        assert not ADVANTAGES["passk"](rewards, order=k - S + 2).any()
    for r, c, others in ((1, S, S - 1), (0, S + 1, S)):  # itself a success; among its peers
        loo = (1 - math.comb(k - c, T) / math.comb(k, T)) / (c / k)
        passk = T * math.comb(k - 1 - others, T - 1) / math.comb(k - 1, T - 1)
        for name, omega in (("maxrl-loo", loo), ("passk", passk)):
            A = ADVANTAGES[name](rewards, order=T)[0, 0 if r else -1].item()
            assert A == pytest.approx(omega * (r - others / (k - 1)), rel=1e-9)


@pytest.mark.parametrize("p", [0.0, 1e-12, 1e-7, 0.01, 0.4999, 0.5, 0.75, 1 - 1e-12, 1.0])
@pytest.mark.parametrize("T", [1, 2, 7, 60])
def test_objective_weight_and_pass_at_k_against_rationals(p, T):
    """And their slopes: that of J_T is w_T, that of 1 - (1-p)^T is T (1-p)^(T-1)."""
    q, x = 1 - Fraction(p), torch.tensor([p], dtype=torch.float64, requires_grad=True)
    J, w = -sum(q**j / j for j in range(1, T + 1)), float(sum(q**j for j in range(T)))
    pass_T = maxrl.exact_pass_at_k(x, T)
    for y, value, slope in ((objective(x, T), J, w), (pass_T, 1 - q**T, T * q ** (T - 1))):
        (dy,) = torch.autograd.grad(y.sum(), x)
        assert y.item() == pytest.approx(float(value), rel=1e-12, abs=0)
        assert dy.item() == pytest.approx(float(slope), rel=1e-12)
    assert weight(x, T).item() == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
def test_objective_weight_and_pass_at_k_in_any_precision(dtype):
    p = torch.tensor([0, 1e-3, 0.3, 1]).to(dtype)
    for f, T in itertools.product((objective, weight, maxrl.exact_pass_at_k), (1, 3, 3000, 70_000)):
        exact, got = f(p.double(), T), f(p, T)
        assert got.dtype == (torch.float32 if dtype == torch.int64 else dtype)
        assert torch.allclose(got.double(), exact.to(got.dtype).double(), rtol=0.01), (f, T)
    assert weight(p.double(), 10**9)[0] == 10**9
    with pytest.raises(ValueError, match="1,000,000"):
        objective(p, 10**9)


def test_extremes():
    zero, one, p = (torch.tensor(x, dtype=torch.float64) for x in (0.0, 1.0, 0.2))
    assert (weight(zero, INF), weight(p, INF), maxrl.exact_pass_at_k(zero, INF)) == (INF, 1 / p, 1)
    assert (objective(one, INF), objective(p, INF)) == (0, p.log())
    assert weight(zero * INF, 3).isnan()
    assert weight(torch.tensor(1e-300, dtype=torch.float64), INF).item() == pytest.approx(1e300)
    assert (objective(0.5, 2), weight(0.5, 2), maxrl.exact_pass_at_k(0.5, 2)) == (-0.625, 1.5, 0.75)
    functions = weight, objective, maxrl.exact_pass_at_k
    wrong = [*itertools.product(functions, [p], (0, -1, 1.5, math.nan))]
    wrong += [(maxrl.enumerated_weight, "maxrl", p, 4) for p in (0, 1, -0.1, 1.5, math.nan)]
    for f, *words in wrong:
        with pytest.raises(ValueError):
            f(*words)


@pytest.mark.parametrize("T", [1, 3, 12, INF])
def test_exact_loss_has_the_gradient_of_the_objective(T):
    """-grad mean J_T(exp(logp)), by autograd through p; and where p underflows, at T = inf."""
    logp = torch.tensor([-9.0, -2.0, -0.3, -1e-4], dtype=torch.float64, requires_grad=True)
    truth = torch.autograd.grad(-objective(logp.exp(), T).mean(), logp)[0]
    got = torch.autograd.grad(maxrl.exact_loss(logp, T), logp)[0]
    assert torch.allclose(got, truth, rtol=1e-9)
    tiny = torch.tensor([-2000.0, -1.0], requires_grad=True)
    maxrl.exact_loss(tiny, INF).backward()
    assert tiny.grad.tolist() == [-0.5, -0.5]


def test_pass_at_k_against_brute_force_of_lists_arrays_and_tensors():
    for n in range(1, 8):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            hits = [any(i < c for i in chosen) for chosen in itertools.combinations(range(n), k)]
            assert pass_at_k(n, c, k) == pytest.approx(sum(hits) / len(hits), abs=1e-12)
    for kind in (list, np.array, torch.tensor, lambda x: np.array(x[::-1])[::-1]):
        one = pass_at_k(8, kind([2])[0], 2)
        assert isinstance(one, torch.Tensor if kind is torch.tensor else float) and one == 13 / 28
        got = pass_at_k(kind([8, 8, 12]), kind([0, 3, 12]), kind([1, 2, 12]))
        assert got.dtype == torch.float64 and got.tolist() == pytest.approx([0, 18 / 28, 1])
        assert pass_at_k(9, kind([[1], [4]]), kind([1, 2, 9])).shape == (2, 3)
        assert pass_at_k(8, kind([0, 0]), kind([1, 2])).tolist() == [0, 0]


@pytest.mark.parametrize("n, c, k", [
    (4, 1, 5), (4, 5, 2), (4, -1, 2), (4, 1, 0), (10**400, 1, 2), (4, math.nan, 2), (4.5, 1, 2),
    (INF, 1, 2), (4, 1, 2.5), ("x", 1, 2), (4, None, 2), (4, [1, [2]], 2), (4, [1, 2], [1, 2, 3]),
])  # fmt: skip
def test_pass_at_k_refuses_the_rest(n, c, k):
    with pytest.raises(ValueError, match="pass_at_k"):
        pass_at_k(n, c, k)


@pytest.mark.parametrize("k", [4096, 4097, 9000])
def test_pass_at_k_of_many_tries(k, n=10_000):
    """Its factors are multiplied some thousands at a time; with two successes by hand."""
    neither = (n - k) * (n - k - 1) / (n * (n - 1))
    assert pass_at_k(n, 2, k) == pytest.approx(1 - neither, rel=1e-9)
    assert pass_at_k(n, n - 1000, k) == 1  # the factors after the 0 would overflow
    assert pass_at_k(10**12, 1, 10**11) == pytest.approx(0.1)  # one factor, and not 10^11
    both = pass_at_k(n, torch.tensor([2, 0]), torch.tensor([k, n]))
    assert both.tolist() == pytest.approx([1 - neither, 0], rel=1e-9)


def test_the_loss_is_a_sum_over_a_constant():
    """Also where advantages, or their rewards, were computed from the network."""
    logp = torch.tensor([[-1.0, -2.0, -4.0], [-3.0, -5.0, -6.0]], requires_grad=True)
    A = torch.tensor([[2.0, -1.0, -1.0], [0.0, 0.0, 0.0]]).double() * (logp / logp.detach())
    loss = maxrl.policy_gradient_loss(logp, A)
    loss.backward()
    assert loss.item() == pytest.approx(-(-2 + 2 + 4) / 6) and loss.dtype == logp.dtype
    assert logp.grad.flatten().tolist() == pytest.approx([-2 / 6, 1 / 6, 1 / 6, 0, 0, 0])
    rewards = (logp.exp() > 0.2).float() + 0 * logp
    assert rewards.requires_grad
    assert not any(ADVANTAGES[name](rewards).requires_grad for name in ADVANTAGES)
    column, three = torch.zeros(3, 1), torch.zeros(3)
    for words in ((column, three), (three, three, column)):
        with pytest.raises(ValueError, match="shapes"):
            maxrl.policy_gradient_loss(*words)


@pytest.mark.parametrize(
    "dtype, n", [("bfloat16", 257), ("float16", 70_000), ("float32", 2**24 + 1), ("float64", 3)]
)
def test_rollouts_are_counted_in_whole_numbers(dtype, n):
    """As entries of their own, and as counts, whatever the precision of either."""
    dtype = getattr(torch, dtype)
    for entries, count in ((n, None), (2, torch.tensor([n - 2, 2]))):
        logp = torch.full((entries,), -1.0, dtype=dtype, requires_grad=True)
        loss = maxrl.policy_gradient_loss(logp, torch.ones(entries, dtype=dtype), count)
        loss.backward()
        assert loss.item() == pytest.approx(1, rel=1e-6)
        assert logp.grad[0].item() == pytest.approx(-(1 / n if count is None else 1 - 2 / n), 0.01)


def test_the_table_prints_the_proof_and_the_readme_has_some_of_it(capsys):
    maxrl.main()
    first, *tables = capsys.readouterr().out.split("\nk = ")
    elsewhere = "6.0333 6.7316 2.4731 17.5902 19.2495 19.2100 4.3364 96.8469 2.4686 3.1167"
    assert all(figure in "".join(tables) for figure in elsewhere.split())  # not by this code
    for k, table in zip((8, 2, 4, 64), tables, strict=True):
        head, _, *rows = (line.replace("|", "").split() for line in table.splitlines())
        assert "tailrl" in first and int(head[0]) == k
        assert [name for name, *_ in rows[:-1]] == [n for n in maxrl.FORMULAS if n != "tailrl"]
        for name, order, *cells in rows[:-1]:
            trained = maxrl.trained_order(name, k)
            assert order == ("-" if trained is None else str(trained))
            for enumerated, closed in zip(cells[::3], cells[1::3], strict=True):
                limit = name in ("grpo", "maxrl-std") and trained is None
                wanted = enumerated if name in BY_HAND else "-"  # a reader's method has no formula
                assert closed.startswith("~") if limit else closed == wanted
        assert rows[-1][-6:] == ["20.0000", "1/p", "3.3333", "1/p", "1.2500", "1/p"]

    readme = (Path(maxrl.__file__).parent / "README.md").read_text(encoding="utf-8")
    for name in ("RLOO", "GRPO", "MaxRL"):  # which the README has to two places, at k = 8
        cell = re.search(rf"^\| {name} \|.*\| ([\d.]+)[^|]*\|$", readme, re.MULTILINE)[1]
        w, _ = maxrl.enumerated_weight(name.lower(), 0.05, 8)
        assert float(cell) == pytest.approx(w, abs=0.005)
