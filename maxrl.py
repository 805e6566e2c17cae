"""The mathematics of Maximum Likelihood Reinforcement Learning (MaxRL): everything the method is.

Source: Tajwar et al. 2026, arXiv 2602.02710. A prompt x has a pass rate p(x): the chance that a
rollout z ~ pi(.|x) is right. Reinforcement learning ascends E[p], maximum likelihood E[log p].

Why it works, in one line: p is the sum of pi(z) over the right z, grad pi = pi grad log pi, so

    grad log p = (1/p) sum over right z of pi(z) grad log pi(z) = E[grad log pi(z) | z is right].

Average grad log pi over the rollouts that succeeded, and you estimate the gradient of maximum
likelihood. REINFORCE divides the same sum by k, the number of rollouts; MaxRL divides it by S, the
number of successes. That is all there is to it. S is random, but there is no bias: given which
rollouts are right, each right one is a draw from pi(z | z is right), so the average of S of them
has the mean grad log p whatever S >= 1 is. One thing is lost: a group of k rollouts without a
success gives 0, so the expectation is pass@k grad log p, where pass@k = 1 - (1-p)^k.

That is the gradient of a series cut off: keep T terms of log p, here T = k, and call them J_T(p),

    log p = -sum_{j>=1} (1-p)^j / j,        grad J_T = w_T(p) grad p,   w_T(p) = (1 - (1-p)^T) / p,

so that w_T(p) grad p = (1 - (1-p)^T) grad log p. T = 1 is expected reward (w = 1), T = infinity
maximum likelihood (w = 1/p: hard prompts count). An estimator is one formula for the advantage A
of a rollout,

    g = (1/k) sum_i A_i grad log pi(z_i|x),        E[g] = w(p) grad p,

and in expectation its w(p) is all that tells REINFORCE, GRPO and MaxRL apart. `python maxrl.py`
computes every w(p) by exact enumeration and prints it beside its closed form.

Three words: the *reward* of a rollout is 0 or 1, its *log-probability* is log pi(z|x), summed over
its tokens, and its *score* is grad log pi(z|x). Read `reinforce`, `rloo`, `grpo` and `maxrl` first;
the other five are for comparison. Left out: models, tokens, files, clipping, KL, epsilon. Example:

    >>> ADVANTAGES["maxrl"](torch.tensor([[1., 0., 0., 0.], [1., 1., 0., 0.], [0., 0., 0., 0.]]))
    tensor([[ 3., -1., -1., -1.],
            [ 1.,  1., -1., -1.],
            [ 0.,  0.,  0.,  0.]])
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import graded

# ------------------------------------------------------------------- the estimators, side by side
# r: a rollout's reward. mean: its group's mean reward, S/k for S successes. k: the group's size.
# Each docstring opens with the formula; train.py prints that sentence when it starts.


def reinforce(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = r. Williams 1992. E[g] = grad p: order 1, expected reward."""
    return r


def rloo(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) k/(k-1). Ahmadian 2024, arXiv 2402.14740. Order 1, with a baseline.

    The factor makes the baseline the mean of the *other* rollouts, so E[g] = grad p exactly.
    Whether it lowers the noise depends on p. For a policy with one right and one wrong text, and 8
    rollouts, the standard deviation of w falls from .54 to .36 at p = .3, but rises from .18 to .56
    at p = .8 (`python maxrl.py`): there the score of the right text is small, 1 - p, and the
    baseline lets in that of the rare failures, -p. A group of one has no others: it is `reinforce`.
    """
    return (r - mean) * (k / (k - 1)) if k > 1 else r


def grpo(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) / std. Shao 2024, arXiv 2402.03300. w tends to 1/sqrt(p(1-p)).

    std has ddof 0 and no epsilon: a group whose rewards are all equal gets 0, and so k = 1 always.
    Not the gradient of any J_T: prompts that are nearly solved gain weight as hard ones do.
    """
    std = (mean * (1 - mean)).sqrt()  # of k rewards in {0, 1}
    return _divide(r - mean, std)


def maxrl(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) / mean. MaxRL, Algorithm 1. Trains order k-1, not k.

    g is the average score of the S successes (`maxrl_raw`, order k) less the average score of all
    k, in groups with a success; the others are dropped. Scores have mean 0, so E[1{S>0} mean score]
    + E[1{S=0} mean score] = 0. A group that fails, with chance (1-p)^k, has the mean E[score |
    wrong] = -grad p / (1-p). So what is subtracted has the mean

        E[1{S>0} mean score] = -E[1{S=0} mean score] = (1-p)^k grad p / (1-p) = (1-p)^(k-1) grad p,

    exactly the last term of w_k = sum_{j=0..k-1} (1-p)^j: k-1 terms are left. At k = 1 none would
    be, so a group of one is `reinforce`, as `maxrl_raw` is there.
    """
    return _divide(r - mean, mean) if k > 1 else r


def maxrl_raw(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = r / mean. MaxRL, Theorem 2: g is grad log pi averaged over the successes. Order k."""
    return _divide(r, mean)


def maxrl_loo(r: Tensor, mean: Tensor, k: int, order: float | None = None) -> Tensor:
    """A = omega (r - mean of the peers), omega = pass@T / p estimated with oneself as a success.

    Leave-one-out MaxRL: the order T <= k exactly (default k), with a baseline, and 0 where all
    fail or all pass. Not the paper's: ours, the binary case of the weights in graded.py.
    The peers are the other k-1 rollouts. omega and the baseline may look at them only: then they
    are independent of this rollout, and E[A score] = E[omega] E[r score] = E[omega] grad p. So this
    rollout counts as a success in any case: c of k. omega = pass_at_k(k, c, T) / (c/k) has the mean
    w_T(p), and no other function of c has (the binomial family is complete). At T = k pass_at_k is
    1: omega is k/S for a success, k/(S+1) for a failure. k/(k-1) makes the mean that of the peers.
    """
    if k == 1:
        return r
    c = (k * mean + 1 - r).round()  # S for a success, S + 1 for a failure
    pass_T = 1.0 if order is None or order == k else pass_at_k(k, c, int(order))  # c >= 1
    return pass_T / (c / k) * (r - mean) * (k / (k - 1))


def tailrl(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = the sum of maxrl's over all thresholds of the reward. TailRL, Ramasubramanian 2026.

    Verdicts have one threshold, so on them it is `maxrl`. graded.py has the sum for other rewards.
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
    peers_solved = (k * mean - r).round()
    omega = T * _fail_at_k(k - 1, peers_solved, T - 1)
    return omega * (r - mean) * (k / (k - 1))


def maxrl_std(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = (r - mean) / (std mean). A snippet that circulates as MaxRL, and is not.

    Dividing by both leaves w tending to (1/p) / sqrt(p(1-p)): at p = .05, k = 64 a weight of 97
    where maximum likelihood has 20. Kept as the counter-example.
    """
    return _divide(r - mean, (mean * (1 - mean)).sqrt() * mean)


def rft(r: Tensor, batch_mean: Tensor, k: int) -> Tensor:
    """A = r / mean reward of the whole batch. Rejection-sampling fine-tuning, one step of it.

    The one formula here that is given another mean (`OF_THE_BATCH` says so): every prompt has the
    same w, tending to 1/E[p] as the batch grows.
    """
    return _divide(r, batch_mean)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is 0. b >= 0 comes from counts, so the test is exact: no epsilon."""
    return torch.where(b > 0, a / b, 0.0)


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
OF_THE_BATCH = ("rft",)  # whose mean is that of all B k rewards, not of a group


# ------------------------------------------------------------------------- from rewards to A to g


def group_advantages(name: str, rewards: Tensor, order: float | None = None) -> Tensor:
    """Advantages of k rollouts of each of B prompts. `ADVANTAGES[name]` is this with its name set.

    rewards: (B, k), in {0, 1}; `maxrl-loo` takes any in [0, 1], `reinforce`, `rloo` and `tailrl`
    any finite ones.
    order: the T of `maxrl-loo` and `passk`, 1..k (default k).
    Returns (B, k). Raises ValueError for other shapes, rewards or orders.
    """
    if rewards.dim() != 2 or rewards.numel() == 0:
        raise ValueError(f"rewards must be (B, k), not {tuple(rewards.shape)}")
    r, k = rewards.detach().cpu().double(), rewards.shape[1]  # a few numbers; MPS has no double
    check_rewards(name, r)
    check_order(name, k, order)
    if name in graded.NAMES and k > 1 and not is_binary(r):
        A = graded.advantages(name, r, int(order or k))
    else:
        mean = r.mean() if name in OF_THE_BATCH else r.sum(dim=1, keepdim=True) / k  # (B, 1)
        A = apply_formula(name, r, mean, k, order)
    return A.to(rewards) if rewards.is_floating_point() else A


ADVANTAGES: dict[str, Callable[..., Tensor]] = {
    name: partial(group_advantages, name) for name in FORMULAS
}


def counted_advantages(
    name: str, rewards: Tensor, group: Tensor, count: Tensor, k: int, order: float | None = None
) -> Tensor:
    """The same numbers for distinct completions: equal rollouts have equal advantages.

    rewards, group, count: (U,) of U distinct completions: its reward in {0, 1}, the number of its
    prompt in 0..B-1, and how many of that prompt's k rollouts it stands for. Returns (U,), on the
    device of rewards. Fractional rewards as in `ADVANTAGES`; for `maxrl-loo` sorted by group.
    """
    r, b = rewards.detach().cpu().double(), group.cpu()
    check_rewards(name, r)
    check_order(name, k, order)
    if name in graded.NAMES and k > 1 and not is_binary(r):
        A = graded.counted_advantages(name, r, b, count.cpu(), k, int(order or k))
    else:
        total = r.new_zeros(int(b.max()) + 1).index_add(0, b, r * count.cpu())
        mean = total / k  # (B,)
        mean = mean.mean() if name in OF_THE_BATCH else mean[b]  # (U,)
        A = apply_formula(name, r, mean, k, order)
    return A.to(rewards if rewards.is_floating_point() else rewards.device)


def apply_formula(name: str, r: Tensor, mean: Tensor, k: int, order: float | None) -> Tensor:
    """`FORMULAS[name]`, with the order if there is one."""
    return FORMULAS[name](r, mean, k, **({} if order is None else {"order": order}))


def policy_gradient_loss(
    logprobs: Tensor, advantages: Tensor, count: Tensor | None = None, total: int | None = None
) -> Tensor:
    """-(1/(B k)) sum A log pi(z|x): its gradient is -g averaged over the B prompts.

    logprobs: (...) of whole completions, summed over tokens with the end token, never averaged.
    advantages: the same shape, treated as constants. count: how many rollouts an entry stands for
    (default 1). total: B k, the divisor (default: all the rollouts given); give it when these are
    a part of the batch, because groups without a signal stay in the divisor.
    """
    if logprobs.shape != advantages.shape:
        raise ValueError(f"shapes {tuple(logprobs.shape)} and {tuple(advantages.shape)} differ")
    count = torch.ones_like(logprobs) if count is None else count
    weights = advantages.detach().to(logprobs.dtype) * count
    return -(weights * logprobs).sum() / (total or count.sum())


def exact_loss(logp: Tensor, order: float) -> Tensor:
    """The loss whose gradient is -grad J_T, averaged over prompts, from exact log p: (B,) -> ().

    grad J_T = pass@T grad log p: cross-entropy in which a prompt counts as much as its chance of
    being solved in T tries. Written so, nothing underflows; at T = inf it is cross-entropy itself.
    The value is not -J_T: only the gradient means something.
    """
    return -(exact_pass_at_k(logp.detach().exp(), order) * logp).mean()


# --------------------------------------------------------------------- objectives and pass@k


def objective(p: Tensor, order: float) -> Tensor:
    """J_T(p) = -sum_{j=1..T} (1-p)^j / j, elementwise and differentiable; T = inf is log p.

    p in [0, 1]; order an integer >= 1 or math.inf, else ValueError. MaxRL paper, section 3.
    All terms have one sign, so the plain sum is accurate from p = 0 (minus the harmonic number) to
    p = 1 (0).
    """
    p, T = torch.as_tensor(p), _order(order)
    if T == math.inf:
        return p.log()
    j = torch.arange(1, int(T) + 1, dtype=p.dtype, device=p.device)
    return -((1 - p).unsqueeze(-1) ** j / j).sum(-1)


def weight(p: Tensor, order: float) -> Tensor:
    """w_T(p) = dJ_T/dp = (1 - (1-p)^T) / p = pass@T / p, elementwise; T at p = 0."""
    p, T = torch.as_tensor(p), _order(order)
    return torch.where(p > 0, exact_pass_at_k(p, T) / p, T)


def exact_pass_at_k(p: Tensor, k: float) -> Tensor:
    """pass@k = 1 - (1-p)^k of a known pass rate; 1 at k = inf, even where p underflows.

    1 - (1-p)^k cancels for small p and the slope of expm1(k log1p(-p)) at p = 1 is 0 times inf, so
    each serves its half. (The inner where keeps log1p away from p = 1: its infinite slope would
    make the gradient NaN.)
    """
    p = torch.as_tensor(p)
    if k == math.inf:
        return torch.ones_like(p)
    small = p < 0.5
    near_0 = -torch.expm1(k * torch.log1p(-torch.where(small, p, 0.0)))
    return torch.where(small, near_0, 1 - (1 - p) ** k)


def pass_at_k(n: Tensor | int, c: Tensor | int, k: Tensor | int) -> Tensor | float:
    """Unbiased pass@k from n samples of one prompt, c of them correct: 1 - C(n-c, k) / C(n, k).

    Chen 2021, arXiv 2107.03374. Numbers give a float, tensors (broadcast) a float64 tensor.
    ValueError when n < k: fewer samples than tries say nothing about pass@k.
    """
    values = [torch.as_tensor(x).cpu().double() for x in (n, c, k)]
    whole = all(bool((x == x.floor()).all()) for x in values)
    if not whole or (values[2] < 1).any() or (values[0] < values[2]).any():
        raise ValueError("pass_at_k needs whole numbers with 1 <= k <= n")
    if (values[1] < 0).any() or (values[1] > values[0]).any():
        raise ValueError("pass_at_k needs 0 <= c <= n")
    result = 1 - _fail_at_k(*values)
    return result if any(isinstance(x, Tensor) for x in (n, c, k)) else result.item()


def _fail_at_k(n: Tensor | int, c: Tensor | int, k: Tensor | int) -> Tensor:
    """C(n-c, k) / C(n, k) as a product of k factors (no factorial overflows), on the CPU."""
    n, c, k = (torch.as_tensor(x).cpu().double().unsqueeze(-1) for x in (n, c, k))
    result = torch.ones(())
    for i in torch.arange(int(k.max()), dtype=n.dtype).split(4096):  # bounds the memory
        result = result * torch.where(i < k, (n - c - i).clamp(min=0) / (n - i), 1.0).prod(-1)
    return result


# --------------------------------------------------------------------------- what may be asked for


def is_binary(rewards: Tensor) -> bool:
    """Whether all rewards are 0 or 1."""
    return bool(((rewards == 0) | (rewards == 1)).all())


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
    if order == math.inf or (order >= 1 and int(order) == order):
        return order
    raise ValueError(f"an order is a whole number >= 1 or inf, not {order}")


# ------------------------------------------------------------------------ proof by computation


def trained_order(name: str, k: int, order: float | None = None) -> float | None:
    """The T whose J_T the estimator ascends in expectation; None if there is no such T."""
    orders: dict[str, float | None]
    orders = {"reinforce": 1, "rloo": 1, "maxrl": max(k - 1, 1), "maxrl-raw": k}
    orders["tailrl"] = orders["maxrl"]  # on verdicts
    orders |= {"maxrl-loo": order or k, "passk": 1 if (order or k) == 1 else None}
    orders |= {"grpo": 1 if k == 2 else None}  # where it is rloo, rollout by rollout
    return orders.get(name)


def population_weight(name: str, p: Tensor, k: int, order: float | None = None) -> Tensor:
    """w(p) with E[g] = w(p) grad p in closed form; NaN where none is known.

    For `grpo` and `maxrl-std` the limit of large k. For `rft`, whose w depends on the whole batch,
    that of a batch of one prompt, where it is `maxrl-raw`.
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

    The policy has two outcomes and one logit, so that the score of a success is 1 - p, that of a
    failure -p, and grad p = p (1 - p), by which the estimate g is divided. That is enough for w of
    any policy: A depends on rewards only, and the mean score is grad p / p if a rollout is right,
    -grad p / (1-p) if it is wrong. The standard deviation is that of this policy.
    """
    mean = mean_square = 0.0
    for s in range(k + 1):
        rewards = (torch.arange(k) < s).double()  # (k,); the order within a group does not matter
        scores = rewards - p  # 1 - p for a success, -p for a failure
        A = group_advantages(name, rewards.unsqueeze(0), order)[0]
        g = (A * scores).mean().item() / (p * (1 - p))
        chance = math.comb(k, s) * p**s * (1 - p) ** (k - s)
        mean, mean_square = mean + chance * g, mean_square + chance * g**2
    return mean, math.sqrt(max(mean_square - mean**2, 0.0))


def main() -> None:
    """Print, for each k, every estimator's weight by enumeration beside its closed form."""
    ps = (0.05, 0.3, 0.8)
    print("One division apart: A = (r - mean)         rloo, up to the constant k/(k-1)")
    print("                    A = (r - mean) / std   grpo")
    print("                    A = (r - mean) / mean  maxrl")
    print("\nE[g] = w(p) grad p. Each cell: w by exact enumeration, w in closed form, and the")
    print("standard deviation of one prompt's estimate, on two outcomes. Maximum likelihood: 1/p,")
    print(", ".join(f"{1 / p:.4f} at p = {p:g}" for p in ps) + ".")
    print("~ marks a limit of large k, where there is no closed form; rft: a batch of one prompt.")
    print("tailrl, which takes any rewards, is maxrl on rewards of 0 and 1.")
    for k in (1, 2, 4, 8, 64):
        print(
            f"\n{f'k = {k}':11}{'order':>5}" + "".join(f"{f'p = {p:g}':>17}{'sd':>9}" for p in ps)
        )
        for name in [name for name in FORMULAS if name != "tailrl"]:
            order = trained_order(name, k)
            row = f"{name:11}{order if order is not None else '-':>5}"
            for p in ps:
                w, sd = enumerated_weight(name, p, k)
                closed = population_weight(name, torch.tensor(p, dtype=torch.float64), k).item()
                mark = "~" if order is None and name in ("grpo", "maxrl-std") else ""
                formula = "-" if math.isnan(closed) else f"{mark}{closed:.4f}"
                row += f"{w:>9.4f}{formula:>9}{sd:>8.3f}"
            print(row)


if __name__ == "__main__":
    main()
