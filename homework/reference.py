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
    """All 2^k outcomes of a group, weighed by their chances, at k + 1 p.

    w and w_T are polynomials in p of degree below k: equal at k p, they are equal everywhere.
    """
    r = torch.tensor(list(itertools.product((0.0, 1.0), repeat=k)), dtype=torch.float64)
    A = estimator(r, r.mean(dim=1, keepdim=True), k)  # (2^k, k)
    for i in range(k + 1):
        p = (i + 0.5) / (k + 1)
        chance = (p**r * (1 - p) ** (1 - r)).prod(dim=1)
        g = (A * (r - p)).mean(dim=1) / (p * (1 - p))
        weight = (1 - (1 - p) ** order) / p
        if not math.isclose((chance * g).sum().item(), weight, rel_tol=1e-6):
            return False
    return True


# of each sign and mark, with spaces, leading zeros, one to three digits, below 0
ANSWERS = {
    "12+34=": "46", "8-30=": "-22", "7*8=": "56", "25+5<": "03", "8-30<": "22-", "3-3=": "0",
    "  9*  3=": "27", "007+05=": "12", "48+52=": "100", " 8+ 3<": "11", "17*6<": "201",
}  # fmt: skip


def near(prompt: str, answer: str) -> list[tuple[str, str]]:
    """Ways to be nearly right."""
    arabic = answer.translate({48 + d: 0x660 + d for d in range(10)})
    texts = [f"0{answer}", f"+{answer}", f"-{answer}", f" {answer}", f"{answer} ", f"{answer}\n"]
    texts += [f"1{answer}", f"{answer}1", f"9={answer}", f"{answer}=9", f"{answer}+0", arabic, ""]
    texts += [f"{answer}.0", f"{answer[0]}_{answer[1:]}", answer[:-1], "7" * len(answer)]
    texts += [answer[::-1]] * (answer[::-1] != answer)
    prompts = prompt[:-1], f"x{prompt}", f"{prompt}x", f"{prompt}{answer}"
    return [*((prompt, text) for text in texts), *((other, answer) for other in prompts)]


def is_verifier(verify: Callable) -> bool:
    """Right answers, and for each the ways to be nearly right."""
    return all(
        verify(prompt, answer) and not any(verify(*pair) for pair in near(prompt, answer))
        for prompt, answer in ANSWERS.items()
    )
