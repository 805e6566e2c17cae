"""Reference solutions of what the project itself has no function for: parts B and D.

release.py makes the starter of solution.py from these and from the project's own functions. Part A
needs nothing here.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

COEFFICIENTS: list[int] = []  # a_0, a_1, ... of `python personal.py YOUR-ID`


def own(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """A = omega (r - mean of the peers), omega = sum_j a_j C(f, j) / C(k-1, j), f failing peers.

    C(f, j) / C(k-1, j) is the chance that j peers drawn without replacement all fail: an unbiased
    estimate of (1-p)^j that does not look at the rollout itself.
    """
    if k == 1:
        return COEFFICIENTS[0] * r
    failing = (k - 1 - (k * mean - r)).round()
    omega = torch.zeros_like(r)
    chance = torch.ones_like(r)
    for j, a in enumerate(COEFFICIENTS[:k]):
        omega = omega + a * chance
        chance = chance * (failing - j) / max(k - 1 - j, 1)
    return omega * (r - mean) * (k / (k - 1))


def has_order(estimator: Callable, k: int, order: int) -> bool:
    """All 2^k outcomes of a group, weighed by their chances, at a few p."""
    r = torch.tensor(list(itertools.product((0.0, 1.0), repeat=k)), dtype=torch.float64)
    A = estimator(r, r.mean(dim=1, keepdim=True), k)  # (2^k, k)
    for p in (0.1, 0.3, 0.6, 0.9):
        chance = (p**r * (1 - p) ** (1 - r)).prod(dim=1)
        g = (A * (r - p)).mean(dim=1) / (p * (1 - p))
        weight = (1 - (1 - p) ** order) / p
        if not math.isclose((chance * g).sum().item(), weight, rel_tol=1e-3):
            return False
    return True


def is_verifier(verify: Callable) -> bool:
    """Right answers, and for each the ways to be nearly right."""
    right = {"12+34=": "46", "8-30=": "-22", "7*8=": "56", " 8+ 3<": "11", "25+5<": "03"}
    right |= {"3-3=": "0", "8-30<": "22-", "48+52=": "100"}
    for prompt, answer in right.items():
        arabic = answer.translate({48 + d: 0x660 + d for d in range(10)})
        near = [f"0{answer}", f"+{answer}", f" {answer}", f"{answer} ", f"{answer}\n", "", arabic]
        near += [f"1{answer}", f"{answer}1", answer[:-1], f"9={answer}", f"{answer}=9"]
        near += [prompt[:-1], f"{answer}+0", f"{answer}.0", f"{answer[0]}_{answer[1:]}"]
        near += [answer[::-1]] * (answer[::-1] != answer)
        if not verify(prompt, answer) or any(verify(prompt, text) for text in near):
            return False
    return not any(verify(prompt, "46") for prompt in ("12+34", "46=", "", "12+34=46", "x"))
