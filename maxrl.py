"""Maximum Likelihood Reinforcement Learning (MaxRL): its mathematics, from pass rate to loss.

Source: Tajwar et al. 2026, arXiv 2602.02710. Work through this page with a pencil; each of its
formulas appears once in the code. Left out: models, tokens, files, clipping, KL, epsilon.

**The pass rate.** For a prompt, a model writes a completion z with probability pi(z). One such
sample is a *rollout*. A verifier says whether it is right: its *reward* r(z) is 1 or 0. The pass
rate p = sum_z pi(z) r(z) = E[r] is the chance that a rollout is right.

**Why log p.** Reinforcement learning ascends E[p], the pass rate averaged over prompts. Maximum
likelihood ascends E[log p], for which every doubling counts the same: going from 1 to 2 in 10,000
counts as much as from .25 to .5. For p itself, the second step counts 2,500 times as much. Since
grad log p = (1/p) grad p, a prompt that is solved once in a hundred tries counts a hundredfold.

**What to average.** The *score* of z is grad log pi(z), so grad pi(z) = pi(z) score(z), and the
mean score is E[score] = sum_z grad pi(z) = grad 1 = 0. Then

    grad p     = sum_z r(z) grad pi(z)  =  sum_z pi(z) r(z) score(z)        =  E[r score],
    grad log p = grad p / p             =  sum_z [pi(z) r(z) / p] score(z)  =  E[score | right],

because pi(z) r(z) / p is the probability of z given that it is right. So the average score of the
rollouts that succeeded estimates the gradient of log p. That is MaxRL. Of k rollouts let S be
right. REINFORCE divides the sum of their scores by k, and MaxRL divides it by S.

**The order.** S is random, but dividing by it causes no bias: given which rollouts are right, each
of these is a draw from pi(z | right), so their average has mean grad log p whatever S >= 1 is.
But a group without a success gives 0, and this has probability (1-p)^k. So the expectation is
pass@k grad log p, where pass@k = 1 - (1-p)^k is the chance that at least one of k rollouts is
right. Compare this with the Taylor series of log p at p = 1, of which J_T(p) keeps T terms:

    log p = -sum_{j>=1} (1-p)^j / j,              J_T(p) = -sum_{j=1..T} (1-p)^j / j,
    w_T(p) = dJ_T/dp = sum_{j=0..T-1} (1-p)^j = (1 - (1-p)^T) / p = pass@T / p.

Hence grad J_T = w_T(p) grad p = pass@T grad log p: the average score of the successes among k
rollouts ascends J_k. T is the *order*: order 1 is expected reward (w = 1), order infinity is
maximum likelihood (w = 1/p).

**The advantage.** Every method below is one formula for the advantage A of a rollout, in

    g = (1/k) sum_i A_i score(z_i),               E[g] = w(p) grad p.

In expectation w(p) is all that tells the methods apart. To divide by S, divide each reward by the
mean reward of its group, which is S/k. Then A = r / mean is k/S for a success, and

    g = (1/k) sum_i (r_i / mean) score(z_i) = (1/S) sum over the successes of score(z_i).

**The baseline.** MaxRL as it is used has A = r / mean - 1 = (r - mean) / mean. The 1 subtracts the
average score of the whole group. This baseline buys two things: a group in which all succeed gives
exactly 0, and wrong rollouts are pushed down, so that a step learns from failures too. The price is
one order. A score has mean 0, but a group without a success is skipped, baseline included, and what
the other groups contribute to that mean is exactly the last term of w_k grad p (`maxrl` shows why).
The noise depends on the answers. Where many are right, their scores differ, and the baseline lowers
the noise of prompts that are solved most of the time, in some cases by half. Where only one is, all
successes have the same score, and the baseline adds noise once successes are common.

`python maxrl.py` computes every w(p) by exact enumeration and prints it beside its closed form,
with the standard deviation of the estimate.

    >>> ADVANTAGES["maxrl"](torch.tensor([[1., 0., 0., 0.], [1., 1., 0., 0.], [0., 0., 0., 0.]]))
    tensor([[ 3., -1., -1., -1.],
            [ 1.,  1., -1., -1.],
            [ 0.,  0.,  0.,  0.]])
"""

import math
import signal
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import graded

# ----------------------------------------------------------------- the estimators, side by side
# r: a rollout's reward. mean: its group's mean reward, S/k for S successes. k: the group's size.
# Each docstring opens with the formula; train.py prints that sentence when it starts.


def _divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Their ratio, or 0 where the denominator is 0. A mean of 0 or 1 is exact: no epsilon."""
    return torch.where(denominator > 0, numerator / denominator, 0.0)


def reinforce(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = r. Williams 1992. E[g] = E[r score] = grad p: order 1, expected reward."""
    return r


def rloo(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) k/(k-1). Ahmadian 2024, arXiv 2402.14740. Order 1, with a baseline.

    The factor makes the baseline the mean of the *other* rollouts, which are independent of this
    one, so E[g] = grad p exactly. A group of one has no others: there it is `reinforce`.

    Whether the baseline lowers the noise depends on p. Take one right and one wrong text: their
    scores are in the ratio 1 - p to -p. Where p is near 1 the right text has a small score. With a
    baseline the rare failures contribute too, and their score is large: there it adds noise.
    """
    return (r - mean) * (k / (k - 1)) if k > 1 else r


def grpo(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) / std. Shao 2024, arXiv 2402.03300. w tends to 1/sqrt(p(1-p)).

    std has ddof 0. A group whose rewards are all equal gets 0, so a group of one always does.
    For k = 2 and 3 this is a multiple of order 1; for k > 3 it is the gradient of no J_T: nearly
    solved prompts gain weight, like hard ones.
    """
    std = (mean * (1 - mean)).sqrt()  # of k rewards in {0, 1}
    return _divide(r - mean, std)


def maxrl(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) / mean. MaxRL, Algorithm 1. Trains order k-1, not k.

    `maxrl_raw`, the next function, trains order k. Here the average score of the group is
    subtracted as well, provided that the group has a success. Over all groups the average score has
    mean 0. A wrong rollout's score has mean -grad p / (1-p), because E[(1-r) score] = -grad p.
    So the groups without a success, whose probability is (1-p)^k, contribute -(1-p)^(k-1) grad p to
    that 0. The other groups contribute (1-p)^(k-1) grad p, and the baseline takes this away:
    exactly the last term of w_k grad p, where w_k = 1 + (1-p) + ... + (1-p)^(k-1). The other k-1
    terms remain. At k = 1 none would, so a group of one is `reinforce`, as in `maxrl_raw`.
    """
    return _divide(r - mean, mean) if k > 1 else r


def maxrl_raw(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = r / mean. MaxRL, Theorem 2: g is the average score of the successes. Order k."""
    return _divide(r, mean)


# Those five are the lesson. The five that follow are for comparison.


def maxrl_loo(r: Tensor, mean: Tensor, k: int, order: float | None = None) -> Tensor:
    """A = omega (r - mean of the peers), omega = pass@T / p estimated from the peers.

    Leave-one-out MaxRL, which is ours and not the paper's: exactly order T <= k (default k), with a
    baseline, and 0 in a group whose rollouts all fail or all pass. The peers of a rollout are the
    other k-1 of its group. omega and the baseline look only at the peers, so both are independent
    of this rollout, and E[A score] = E[omega] E[r score] = E[omega] grad p.

    Compute omega as if this rollout had succeeded: with s successes of k, s >= 1, it is
    pass_at_k(k, s, T) / (s/k). omega does not depend on r, so E[omega] = E[omega | r = 1]. By
    Bayes' rule a group in which this rollout is right has s successes with probability
    P(S = s) (s/k) / p, so the factor s/k cancels, and E[omega] =
    sum_s P(S = s) pass_at_k(k, s, T) / p = pass@T / p = w_T(p). Grades in [0, 1]: graded.py.
    """
    if k == 1:
        return r
    s = (k * mean + 1 - r).round()  # S for a success, S + 1 for a failure
    pass_T = 1.0 if order is None or order == k else 1 - _fail_at_k(k, s, int(order))
    return pass_T / (s / k) * (r - mean) * (k / (k - 1))  # the factor: r minus the peers' mean


def tailrl(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = maxrl's, added up over all thresholds of the reward. TailRL, Ramasubramanian 2026.

    Verdicts have one threshold, so on them it is `maxrl`. Other rewards: graded.py.
    """
    return maxrl(r, mean, k)


def passk(r: Tensor, mean: Tensor, k: int, order: float | None = None) -> Tensor:
    """A = T fail@(T-1) (r - mean of the peers). PKPO, Walder 2025: ascends pass@T (default k).

    fail@(T-1) is the chance that T-1 of the k-1 peers, drawn without replacement, all fail, so
    E[g] = T (1-p)^(T-1) grad p = grad pass@T exactly: 0 where p = 1, if T > 1.
    """
    if k == 1:
        return r
    T = k if order is None else int(order)
    right_peers = (k * mean - r).round()
    omega = T * _fail_at_k(k - 1, right_peers, T - 1)
    return omega * (r - mean) * (k / (k - 1))


def maxrl_std(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) / (std mean). A snippet that circulates as MaxRL but is not.

    w tends to (1/p) / sqrt(p(1-p)), for small p far beyond the 1/p of maximum likelihood.
    """
    return _divide(r - mean, (mean * (1 - mean)).sqrt() * mean)


def rft(r: Tensor, batch_mean: Tensor, k: int) -> Tensor:
    """A = r / mean reward of the whole batch. One step of rejection-sampling fine-tuning.

    Every prompt has the same w, which tends to 1/E[p] as the batch grows.
    """
    return _divide(r, batch_mean)


FORMULAS: dict[str, Callable[..., Tensor]] = {
    "reinforce": reinforce,
    "rloo": rloo,
    "grpo": grpo,
    "maxrl": maxrl,
    "maxrl-raw": maxrl_raw,
    "maxrl-loo": maxrl_loo,
    "tailrl": tailrl,
    "passk": passk,
    "maxrl-std": maxrl_std,
    "rft": rft,
}
ORDERED = ("maxrl-loo", "passk")  # the estimators that take an order
OF_THE_BATCH = ("rft",)  # those whose mean is that of all B k rewards, not of a group


# ------------------------------------------------------------------- from rewards to A to g


def counted_advantages(
    name: str, rewards: Tensor, group: Tensor, count: Tensor, k: int, order: float | None = None
) -> Tensor:
    """Advantages of U distinct completions, each of which may stand for several rollouts: (U,).

    rewards, group, count: (U,), the reward of a completion, the number of its prompt in 0..B-1, and
    how many of that prompt's k rollouts it stands for. Rewards are 0 or 1; `maxrl-loo` also takes
    any in [0, 1], if the completions are sorted by group, and `reinforce`, `rloo` and `tailrl` take
    any finite ones. order: the T of `maxrl-loo` and `passk`, from 1 to k (default k). ValueError
    for other rewards or orders, and for an advantage that the type of the rewards cannot hold.
    """
    if rewards.is_complex():
        raise ValueError("rewards are real numbers, not complex ones")
    r = rewards.detach().cpu().double().clone()  # they are few, and MPS has no float64
    group, count = group.cpu(), count.cpu()
    check_rewards(name, r)
    check_order(name, k, order)
    if name in graded.NAMES and k > 1 and not bool(((r == 0) | (r == 1)).all()):
        A = graded.advantages(name, r, group, count, k, int(order or k))
    else:
        total = r.new_zeros(int(group.max()) + 1).index_add(0, group, r * count)
        mean = total / k  # (B,)
        mean = mean.mean() if name in OF_THE_BATCH else mean[group]  # (U,)
        A = FORMULAS[name](r, mean, k, **({} if order is None else {"order": order}))
    rounded = A.to(dtype := graded.wide(rewards)[1])
    if bool(((A.isfinite() | (r.abs() > 1)) & ~rounded.isfinite()).any()):
        raise ValueError(f"an advantage of {A.abs().max():g} is too large for {dtype}")
    return rounded.to(rewards.device)


def group_advantages(name: str, rewards: Tensor, order: float | None = None) -> Tensor:
    """The same for k rollouts of each of B prompts: (B, k) in, (B, k) out.

    For rewards of 0 and 1 it is FORMULAS[name](r, r.mean(1, keepdim=True), k), except for `rft`.
    """
    rewards = torch.as_tensor(rewards)
    if rewards.dim() != 2 or rewards.numel() == 0:
        raise ValueError(f"rewards must be (B, k), not {tuple(rewards.shape)}")
    B, k = rewards.shape
    group = torch.arange(B).repeat_interleave(k)  # every rollout stands for itself
    one = torch.ones_like(group)
    return counted_advantages(name, rewards.flatten(), group, one, k, order).view(B, k)


ADVANTAGES: dict[str, Callable[..., Tensor]]  # name -> a function of rewards (B, k)
ADVANTAGES = {name: partial(group_advantages, name) for name in FORMULAS}


def policy_gradient_loss(
    logprobs: Tensor, advantages: Tensor, count: Tensor | None = None, total: int | None = None
) -> Tensor:
    """-(1/(B k)) sum A log pi(z): its gradient is -g, averaged over the B prompts.

    logprobs: (...) of whole completions, summed (not averaged) over tokens, end token included.
    advantages: the same shape, treated as constants. count: how many rollouts an entry stands for
    (default 1). total: B k, the divisor (default: all the rollouts given). Give it when these are
    only part of a batch, because groups without a signal stay in the divisor.

    Half precision cannot count to 257 (bfloat16) or to 70,000 (float16), so rollouts are counted in
    whole numbers, and the sum is a float32.
    """
    shapes = [tuple(x.shape) for x in (logprobs, advantages, count) if x is not None]
    if len(set(shapes)) > 1:
        raise ValueError(f"shapes differ: {', '.join(map(str, shapes))}")
    dtype = torch.promote_types(logprobs.dtype, torch.float32)
    weights, rollouts = advantages.detach().to(dtype), logprobs.numel()
    if count is not None:
        weights, rollouts = weights * count, int(count.sum(dtype=torch.int64))
    return -(weights * logprobs).sum() / (total or rollouts)


def exact_loss(logp: Tensor, order: float) -> Tensor:
    """The loss whose gradient is -grad J_T, averaged over prompts, from exact log p: (B,) -> ().

    grad J_T = pass@T grad log p: cross-entropy in which a prompt is weighted by its chance of
    being solved in T tries. At T = inf it is plain cross-entropy, even where p underflows.
    The value is not -J_T: only the gradient means something.
    """
    return -(exact_pass_at_k(logp.detach().exp(), order) * logp).mean()


# --------------------------------------------------------------------- objectives and pass@k


def objective(p: Tensor, order: float) -> Tensor:
    """J_T(p) = -sum_{j=1..T} (1-p)^j / j, elementwise and differentiable; T = inf is log p.

    p in [0, 1]. The order is an integer from 1 to 10^6 or math.inf, else ValueError. MaxRL paper,
    section 3. All terms have the same sign, so the plain sum of float64 is accurate everywhere.
    """
    p, T = torch.as_tensor(p), _order(order)
    if T == math.inf:
        return p.log()
    if T > 10**6:
        raise ValueError(f"an objective is a sum of at most 1,000,000 terms, not {T}")
    p, dtype = graded.wide(p)
    j = torch.arange(1, int(T) + 1, dtype=p.dtype, device=p.device)
    return -((1 - p).unsqueeze(-1) ** j / j).sum(-1).to(dtype)


def weight(p: Tensor, order: float) -> Tensor:
    """w_T(p) = dJ_T/dp = (1 - (1-p)^T) / p = pass@T / p, elementwise; T at p = 0."""
    (p, dtype), T = graded.wide(torch.as_tensor(p)), _order(order)
    return torch.where(p == 0, T, exact_pass_at_k(p, T) / p).to(dtype)


def exact_pass_at_k(p: Tensor, k: float) -> Tensor:
    """pass@k = 1 - (1-p)^k of a known pass rate; 1 at k = inf, even where p underflows. ValueError
    unless k is a whole number from 1 on, or inf.

    1 - (1-p)^k loses digits for small p, and the slope of expm1(k log1p(-p)) at p = 1 is 0 times
    inf, so each formula is used on the half of [0, 1] where it is safe. (The inner where keeps
    log1p away from p = 1: its infinite slope would make the gradient NaN.)
    """
    (p, dtype), k = graded.wide(torch.as_tensor(p)), _order(k)
    if k == math.inf:
        return torch.ones_like(p).to(dtype)
    small = p < 0.5
    near_0 = -torch.expm1(k * torch.log1p(-torch.where(small, p, 0.0)))
    return torch.where(small, near_0, 1 - (1 - p) ** k).to(dtype)


def pass_at_k(n: Tensor | int, c: Tensor | int, k: Tensor | int) -> Tensor | float:
    """Unbiased pass@k from n samples of one prompt, c of them correct: 1 - C(n-c, k) / C(n, k).

    Chen 2021, arXiv 2107.03374. Numbers give a float; tensors, arrays and lists whose shapes
    broadcast give a float64 tensor. ValueError for anything else, and for n < k.
    """
    given = (n, c, k)
    try:
        lists = [x.tolist() if hasattr(x, "tolist") else x for x in given]
        n, c, k = (torch.tensor(x, dtype=torch.float64) for x in lists)
        shape = torch.broadcast_shapes(n.shape, c.shape, k.shape)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError("pass_at_k takes numbers, or arrays of them that broadcast") from error
    if not all(bool((x % 1 == 0).all()) for x in (n, c, k)) or (k < 1).any() or (n < k).any():
        raise ValueError("pass_at_k needs whole numbers with 1 <= k <= n")
    if (c < 0).any() or (c > n).any():
        raise ValueError("pass_at_k needs 0 <= c <= n")
    result = 1 - _fail_at_k(n, c, k)
    return result if shape or any(isinstance(x, Tensor) for x in given) else result.item()


def _fail_at_k(n: Tensor | int, c: Tensor, k: Tensor | int) -> Tensor:
    """C(n-c, k) / C(n, k): the chance that k of n samples, c of them right, are all wrong."""
    n, k = torch.as_tensor(n), torch.as_tensor(k)
    if n.dim() or k.dim():
        return _product(n, c, k)
    distinct, where = c.unique(return_inverse=True)  # few different numbers of successes occur
    fail, possible = torch.zeros_like(distinct), distinct <= n - k
    fail[possible] = _product(n, distinct[possible], k)
    return fail[where]


def _product(n: Tensor, c: Tensor, k: Tensor) -> Tensor:
    """C(n-c, k) / C(n, k) as a product: no factorial overflows. c and k may change places."""
    n, c, k = (x.double().unsqueeze(-1) for x in (n, c, k))
    c, k = torch.maximum(c, k), torch.minimum(c, k)  # so that there are few factors
    result, most = torch.ones_like((n + c + k)[..., 0]), int(k.max()) if k.numel() else 0
    for first in range(0, most, 4096):  # 4096 factors at a time, to bound the memory
        i = torch.arange(first, min(first + 4096, most), dtype=n.dtype)
        result = result * torch.where(i < k, (n - c - i).clamp(min=0) / (n - i), 1.0).prod(-1)
    return result


# --------------------------------------------------------------------------- what may be asked for


def check_rewards(name: str, rewards: Tensor) -> None:
    """ValueError if `name` does not take these rewards; it names the first that is wrong."""
    if name in ("reinforce", "rloo", "tailrl"):
        right, needs = rewards.isfinite(), "finite rewards"
    elif name == "maxrl-loo":
        right, needs = (rewards >= 0) & (rewards <= 1), "rewards in [0, 1]"
    else:
        right = (rewards == 0) | (rewards == 1)
        needs = "rewards that are 0 or 1 (maxrl-loo takes any in [0, 1], tailrl any)"
    if not bool(right.all()):
        raise ValueError(f"{name} needs {needs}, not {rewards[~right][0]:.9g}")


def check_order(name: str, k: int, order: float | None) -> None:
    """ValueError for an order that `name` does not take."""
    if order is None:
        return
    if name not in ORDERED:
        raise ValueError(f"{name} takes no order; {', '.join(ORDERED)} and exact do")
    if not (1 <= order <= k and int(order) == order):
        raise ValueError(
            f"the order of {name} must be a whole number from 1 to k = {k}, not {order:g}"
        )


def _order(order: float) -> float:
    """The order itself, if an objective can have it; otherwise a ValueError."""
    if order == math.inf or (order >= 1 and int(order) == order):
        return order
    raise ValueError(f"an order is a whole number >= 1 or inf, not {order}")


# ---------------------------------------------------------------------- proof by computation


def trained_order(name: str, k: int, order: float | None = None) -> float | None:
    """The T whose J_T the estimator ascends in expectation; None if there is no such T."""
    T = order or k
    orders = {"reinforce": 1, "rloo": 1, "maxrl": max(k - 1, 1), "maxrl-raw": k, "maxrl-loo": T}
    orders |= {"tailrl": max(k - 1, 1)}  # at every threshold
    orders |= {"grpo": 1} if k == 2 else {}  # where it is rloo, rollout by rollout
    orders |= {"passk": 1} if T == 1 else {}
    return orders.get(name)


def population_weight(name: str, p: Tensor, k: int, order: float | None = None) -> Tensor:
    """w(p) with E[g] = w(p) grad p in closed form; NaN where none is known.

    For `grpo` and `maxrl-std` it is the limit for large k. For `rft`, whose w depends on the whole
    batch, it is the w for a batch of one prompt, where `rft` equals `maxrl-raw`.
    """
    T = trained_order(name, k, order)
    if T is not None:
        return weight(p, T)
    std = (p * (1 - p)) ** 0.5
    pass_T = (order or k) * (1 - p) ** ((order or k) - 1)  # the slope of pass@T
    known = {"rft": weight(p, k), "passk": pass_T, "grpo": 1 / std, "maxrl-std": 1 / (p * std)}
    return known.get(name, torch.full_like(p, math.nan))


def enumerated_weight(
    name: str, p: float, k: int, order: float | None = None
) -> tuple[float, float]:
    """w(p) and the standard deviation of its estimate, exactly: a sum over S = 0..k successes.

    The policy knows two texts: a right one, with probability p = sigmoid(theta), and a wrong one.
    With respect to theta their scores are 1 - p and -p, and grad p = p (1 - p), by which the
    estimate g is divided. This gives the w of any policy: A depends on rewards only, and a right
    rollout's mean score is grad p / p, a wrong one's -grad p / (1-p). The standard deviation is
    that of this policy. ValueError unless 0 < p < 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"p must lie between 0 and 1, which excludes {p:g}")
    mean = mean_square = 0.0
    for s in range(k + 1):
        rewards = (torch.arange(k) < s).double()  # (k,); the order within a group does not matter
        A = group_advantages(name, rewards.unsqueeze(0), order)[0]
        g = (A * (rewards - p)).mean().item() / (p * (1 - p))  # r - p is the score
        log_ways = math.lgamma(k + 1) - math.lgamma(s + 1) - math.lgamma(k - s + 1)
        chance = math.exp(log_ways + s * math.log(p) + (k - s) * math.log1p(-p))
        mean, mean_square = mean + chance * g, mean_square + chance * g**2
    return mean, math.sqrt(max(mean_square - mean**2, 0.0))


def table(k: int, ps: tuple[float, ...]) -> list[str]:
    """The lines of the table for k: a row for each estimator, three columns for each pass rate."""
    lines = [f"{f'k = {k}':16}" + "".join(f" |{f'p = {p:g}':^25}" for p in ps)]
    lines += [f"{'':11}order" + " |  weight  formula      sd" * len(ps)]
    for name in [name for name in FORMULAS if name != "tailrl"]:
        T = trained_order(name, k)
        row = f"{name:11}{'-' if T is None else T:>5}"
        for p in ps:
            w, sd = enumerated_weight(name, p, k)
            closed = population_weight(name, torch.tensor(p, dtype=torch.float64), k).item()
            limit = "~" if T is None and name in ("grpo", "maxrl-std") else ""
            formula = "-" if math.isnan(closed) else f"{limit}{closed:.4f}"
            row += f" |{w:8.4f}{formula:>9}{sd:8.3f}"
        lines.append(row)
    return [*lines, "max. likelihood " + "".join(f" |{1 / p:8.4f}{'1/p':>9}{'':8}" for p in ps)]


def main() -> None:
    """Print, for each k, every estimator's weight by enumeration beside its closed form."""
    print("One division apart: A = (r - mean)         rloo, up to the constant k/(k-1)")
    print("                    A = (r - mean) / std   grpo")
    print("                    A = (r - mean) / mean  maxrl, and tailrl, if rewards are 0 and 1")
    print("\nE[g] = w(p) grad p. weight: w(p), by exact enumeration of a group of k rollouts.")
    print("formula: w(p) in closed form (~ a limit for large k; rft: for a batch of one prompt).")
    print("sd: the standard deviation of one prompt's estimate, for one right and one wrong text.")
    for k in (8, 2, 4, 64):
        print("", *table(k, (0.05, 0.3, 0.8)), sep="\n")


if __name__ == "__main__":
    signal.signal(getattr(signal, "SIGPIPE", signal.SIGTERM), signal.SIG_DFL)  # for `| head`
    try:
        main()
    except OSError as error:  # the table cannot be printed
        sys.exit(f"maxrl.py: {error}")
