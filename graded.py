"""Graded rewards: MaxRL where a rollout is neither right nor wrong but better or worse.

There are two ways to grade a rollout z, and each has an objective and an estimator here.

The grade may be a *likelihood*, l(z) in [0, 1]: how probable z makes the target (for a number, say,
a Gaussian around the answer in z; a density is first divided by its largest value). Then p = E[l]
is the probability that the model gives the target, and `maxrl-loo` ascends log p = log E[l], or its
first T terms J_T(p).

Or it may be any *reward* r(z). Each threshold t turns it into a verdict, "r > t", with a pass
rate P(r > t). TailRL, `tailrl`, ascends the integral of log P(r > t) over all thresholds.

A likelihood allows both. E[l] is the integral of P(l > t) for t from 0 to 1, so the first
objective has the logarithm outside the integral and the second has it inside, which makes the
second the lower one (Jensen's inequality). Verdicts have only one threshold: there both are MaxRL,
and maxrl.py, which counts successes, is enough. Left out: that case, and checks of the arguments.

    >>> tailrl(torch.tensor([[0.0, 1.0, 1.0, 4.0]]))  # 4 is alone above 1; three are above 0
    tensor([[-4.0000, -2.6667, -2.6667,  9.3333]])
    >>> maxrl_loo(torch.tensor([[0.5, 0.5, 0.2]]), T=1)  # order 1: the leave-one-out baseline
    tensor([[ 0.1500,  0.1500, -0.3000]])
"""

import torch
from torch import Tensor

NAMES = ("maxrl-loo", "tailrl")
MOST = 4096  # rollouts in a group of maxrl-loo, whose cost is k^2


def advantages(name: str, r: Tensor, group: Tensor, count: Tensor, k: int, T: int) -> Tensor:
    """`maxrl.counted_advantages` for these estimators, k >= 2: (U,) each in, (U,) out.

    T: the order of `maxrl-loo`, which needs the completions sorted by group.
    """
    if name == "tailrl":
        return counted_tailrl(r, group, count)
    rows = r.repeat_interleave(count).view(-1, k)  # no closed form: write out all k
    parts = rows.split(max(2**22 // k**2, 1))  # so many groups at a time, to bound the memory
    A = torch.cat([maxrl_loo(part, T) for part in parts])
    return A.flatten()[count.cumsum(0) - count]  # and keep one of each


def wide(r: Tensor) -> tuple[Tensor, torch.dtype]:
    """r in a type wide enough to count rollouts (float16 stops at 2,048), and the type in which to
    return what is computed from it: that of r, or torch's default if r holds whole numbers."""
    dtype = r.dtype if r.is_floating_point() else torch.get_default_dtype()
    return r.to(torch.promote_types(dtype, torch.float32)), dtype


# ------------------------------------------------------------------------------------- TailRL


def tailrl(r: Tensor, count: Tensor | None = None) -> Tensor:
    """Advantages (B, k) of any finite rewards (B, k), k >= 2: maxrl's, at every threshold.

    Ramasubramanian et al. 2026, Tail-Likelihood Reinforcement Learning. It follows from `maxrl`:

    1. A threshold t makes the verdict v = 1{r > t}. Its advantage by `maxrl` is (v - m) / m, where
       m is the share of the group above t; this trains order k-1 of the pass rate P(r > t).
    2. Sort the group. Between two neighbours, r_(j-1) <= t < r_(j), m stays (k - j + 1) / k.
    3. So the integral over t is a sum over gaps. A gap below r_i, where v = 1, adds gap * (1-m)/m.
    4. A gap above r_i, where v = 0, adds -gap. Together these are -(highest reward - r_i).
    5. E[g] = integral over t of w_{k-1}(P(r > t)) grad P(r > t). With one threshold it is `maxrl`.

    A constant added to all rewards changes no gap; a factor only rescales A. count (B, k): how many
    rollouts each entry stands for (default 1).
    """
    r, dtype = wide(r)
    r, order = r.sort(dim=1)  # (B, k)
    count = torch.ones_like(r) if count is None else count.to(r.dtype).gather(1, order)
    at_least = count.flip(1).cumsum(1).flip(1)  # rollouts above the gap that ends at r_(j)
    m = at_least / count.sum(1, keepdim=True)
    gap = r.diff(dim=1, prepend=r[:, :1])  # 0 between equal rewards, so their order is irrelevant
    below = torch.where(gap > 0, gap * (1 - m) / m, 0.0).cumsum(1)
    A = below - (r[:, -1:] - r)
    return torch.empty_like(A).scatter(1, order, A).to(dtype)


def counted_tailrl(r: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """`tailrl` of distinct completions (U,), in any order, without writing out copies.

    Groups become rows. A short row is filled up with entries that stand for no rollout.
    """
    group, order = group.sort(stable=True)
    size = group.bincount()  # entries of each group
    first = size.cumsum(0) - size
    column = torch.arange(len(group)) - first[group]
    rewards = r[order][first].unsqueeze(1).repeat(1, int(size.max()))
    counts = torch.zeros_like(rewards)
    rewards[group, column], counts[group, column] = r[order], count[order].to(r.dtype)
    A = tailrl(rewards, counts)
    return torch.empty_like(r).scatter(0, order, A[group, column])


# ------------------------------------------------------------------------- MaxRL of likelihoods


def maxrl_loo(l: Tensor, T: int) -> Tensor:
    """Advantages (B, k) of the likelihoods l (B, k), k >= 2: unbiased for grad J_T, T from 1 to k.

    J_T(p) = -sum_{j=1..T} (1-p)^j / j has the weight w_T(p) = sum_{j=0..T-1} (1-p)^j. The *peers*
    of rollout i are the other k-1. A product of 1 - l over j peers has mean (1-p)^j. Its
    average over all subsets of j peers estimates (1-p)^j with the least variance an unbiased
    estimate can have, and omega_i is the sum of these averages. Then

        A_i = omega_i (l_i - mean of the peers' l),        E[g] = w_T(p) grad p = grad J_T.

    omega_i does not depend on rollout i, so it may multiply the score of rollout i without bias.
    This is not in the paper, whose rewards are 0 and 1. maxrl-statistics (nlyu1) derives these
    weights for continuous rewards. ValueError for more than MOST rollouts.
    """
    k = l.shape[1]
    if k > MOST:
        raise ValueError(f"maxrl-loo of likelihoods takes k up to {MOST}, not {k}")
    l, dtype = wide(l)
    omega = omega_of_order_k(l) if T == k else omega_of_any_order(l, T)
    peers_mean = (l.sum(1, keepdim=True) - l) / (k - 1)
    return (omega * (l - peers_mean)).to(dtype)


def omega_of_any_order(l: Tensor, T: int) -> Tensor:
    """omega (B, k) by recursion, in O(k^2 T).

    E_j is the average, over all subsets of j peers, of the product of their 1 - l. Add the peers
    one by one: among the subsets that hold j of the first n peers, a share j/n contains the n-th.
    """
    E = torch.zeros(*l.shape, T, dtype=l.dtype, device=l.device)  # (B, k, T)
    E[..., 0] = 1
    j = torch.arange(1, T, dtype=l.dtype, device=l.device)
    for n in range(1, l.shape[1]):
        wrong = 1 - l.roll(n, dims=1).unsqueeze(-1)  # of every rollout's n-th peer at once
        E[..., 1:] = ((n - j) * E[..., 1:] + j * wrong * E[..., :-1]) / n  # E_j is 0 for j > n
    return E.sum(-1)


def omega_of_order_k(l: Tensor) -> Tensor:
    """omega (B, k) at T = k, where it is k times the integral of prod (1 - x l) for x from 0 to 1.

    The product is over the peers: a polynomial of degree k-1 in x, which Gauss-Legendre integrates
    exactly with k//2 + 1 nodes, the eigenvalues of a tridiagonal matrix (Golub, Welsch 1969).
    """
    k = l.shape[1]
    i = torch.arange(1, k // 2 + 1, dtype=torch.float64, device=l.device)
    off_diagonal = i / (4 * i**2 - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(off_diagonal.diag(1) + off_diagonal.diag(-1))
    x, dx = (1 + nodes) / 2, vectors[0] ** 2  # moved from [-1, 1] to [0, 1]
    log_factors = torch.log1p(-x * l.unsqueeze(-1))  # (B, k, nodes), finite since x < 1
    peers = log_factors.sum(1, keepdim=True) - log_factors
    return (k * peers.exp() @ dx).to(l.dtype)
