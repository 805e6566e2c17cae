"""MaxRL for likelihoods between 0 and 1, in place of rewards that are right or wrong.

A rollout z has a likelihood l(z) of the target, in [0, 1], and p = E[l(z)] is what the model gives
that target. (A reward of 0 or 1 is the special case; a density is first divided by its largest
value.) The objective is the same series, J_T(p) = -sum_{j=1..T} (1-p)^j / j, and so is its weight,

    w_T(p) = sum_{j=0..T-1} (1-p)^j.

Each power is estimated from the other k-1 rollouts, the *peers* of rollout i: a product of 1 - l
over j different peers has the mean (1-p)^j, so the average of that product over all subsets of j
peers estimates it, with the least variance that an unbiased estimate can have. omega_i is the sum
of these estimates, and

    A_i = omega_i (l_i - mean of the peers' l),        E[g] = w_T(p) grad p = grad J_T.

omega_i knows nothing of rollout i, so it may multiply the gradient of rollout i without a bias.
Not in the paper, whose rewards are 0 and 1: these are the minimum-variance weights that
maxrl-statistics (nlyu1) derives for continuous rewards. Left out: rewards of 0 and 1, where
counting is enough (`maxrl.maxrl_loo`). Example, of order 1, which is the leave-one-out baseline:

    >>> advantages(torch.tensor([[0.5, 0.5, 0.2]]), order=1)
    tensor([[ 0.1500,  0.1500, -0.3000]])
"""

import torch
from torch import Tensor

MOST = 4096  # rollouts of a group: the cost is k^2


def advantages(l: Tensor, order: int) -> Tensor:
    """Advantages (B, k) of the likelihoods l (B, k) of k >= 2 rollouts of each prompt.

    order: T, 1..k. ValueError for more than MOST rollouts.
    """
    k = l.shape[1]
    if k > MOST:
        raise ValueError(f"maxrl-loo of likelihoods takes k up to {MOST}, not {k}")
    omega = omega_of_order_k(l) if order == k else omega_of_any_order(l, order)
    peers_mean = (l.sum(1, keepdim=True) - l) / (k - 1)
    return omega * (l - peers_mean)


def omega_of_any_order(l: Tensor, T: int) -> Tensor:
    """omega (B, k) by recursion, in O(k^2 T).

    E_j is the mean, over all subsets of j peers, of the product of their 1 - l. Take in the peers
    one by one: of the subsets of j among n peers, the share j/n contains the n-th one.
    """
    E = torch.zeros(*l.shape, T, dtype=l.dtype, device=l.device)  # (B, k, T)
    E[..., 0] = 1
    j = torch.arange(1, T, dtype=l.dtype, device=l.device)
    for n in range(1, l.shape[1]):
        x = 1 - l.roll(n, dims=1).unsqueeze(-1)  # the n-th peer of every rollout at once
        E[..., 1:] = ((n - j) * E[..., 1:] + j * x * E[..., :-1]) / n  # E_j is 0 for j > n
    return E.sum(-1)


def omega_of_order_k(l: Tensor) -> Tensor:
    """omega (B, k) at T = k: omega_i = k int_0^1 prod over the peers of (1 - t l) dt.

    The integrand is a polynomial of degree k-1 in t, for which Gauss-Legendre with k//2 + 1 nodes
    is exact. The nodes are the eigenvalues of a tridiagonal matrix (Golub and Welsch 1969).
    """
    k = l.shape[1]
    i = torch.arange(1, k // 2 + 1, dtype=torch.float64, device=l.device)
    off_diagonal = i / (4 * i**2 - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(off_diagonal.diag(1) + off_diagonal.diag(-1))
    t, dt = (1 + nodes) / 2, vectors[0] ** 2  # moved from [-1, 1] to [0, 1]
    log_factors = torch.log1p(-t * l.unsqueeze(-1))  # (B, k, nodes), finite since t < 1
    peers = log_factors.sum(1, keepdim=True) - log_factors
    return (k * peers.exp() @ dt).to(l.dtype)
