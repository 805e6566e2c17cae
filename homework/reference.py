"""A whole right solution.py, in the form in which students hand it in. Not for students.

release.py makes the starter of these signatures and docstrings. Left out: every explanation that
assignment.md asks for.
"""

import itertools
import math
import re
from collections.abc import Callable

import torch
from torch import Tensor


def verify(prompt: str, completion: str) -> bool:
    """Is `completion` the right answer to `prompt`? True or False for any two texts.

    The prompts are a+b=, a-b= and a*b=, and the same with < in place of =, which asks for the
    result from right to left, sign last. assignment.md has the exact rules.

        >>> verify(" 12+ 34=", "46"), verify("8-30=", "-22"), verify("8-30<", "22-")
        (True, True, True)
        >>> verify("12+34=", "046"), verify("12+34=", "46 "), verify("12+34", "46")
        (False, False, False)
    """
    return completion == answer(prompt)


def answer(prompt: str) -> str | None:
    """The one right answer, None if the prompt asks for none. A starter does not have this."""
    match = re.fullmatch(r" {0,18}([0-9]{1,18})([-+*]) {0,18}([0-9]{1,18})([=<])", prompt)
    if match is None:
        return None
    a, b = int(match[1]), int(match[3])
    result = str({"+": a + b, "-": a - b, "*": a * b}[match[2]])
    return result if match[4] == "=" else result[::-1]


def reinforce(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """The advantage of REINFORCE without a baseline: E[g] = grad p.

    In this and the next four functions every entry of r is the reward of one rollout, 0 or 1, and
    mean is the mean reward of that rollout's group of k, in a shape that broadcasts to the shape
    of r. Return a tensor of the shape of r. Work entry by entry: r may be (B, k) with mean (B, 1),
    or both may be flat.
    """
    return r


def rloo(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """The reward minus the mean of the k - 1 *other* rewards; at k = 1 the reward itself."""
    return (r - mean) * (k / (k - 1)) if k > 1 else r


def grpo(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """(r - mean) / std of the group, std with divisor k; 0 where all rewards are equal."""
    std = (mean * (1 - mean)).sqrt()
    return torch.where(std > 0, (r - mean) / std, 0.0)


def maxrl(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """(r - mean) / mean, Algorithm 1 of MaxRL; 0 in a group without a success; r at k = 1."""
    return torch.where(mean > 0, (r - mean) / mean, 0.0) if k > 1 else r


def maxrl_raw(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """Makes g the mean score of the successes, Theorem 2 of MaxRL; 0 if there are none."""
    return torch.where(mean > 0, r / mean, 0.0)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, drawn without replacement, hold one of the c right ones.

    0 <= c <= n and k >= 1. ValueError when n < k. It must be right for n = 100,000, too.
    """
    if n < k:
        raise ValueError(f"{n} samples say nothing about pass@{k}")
    few, many = sorted((c, k))
    return 1 - math.prod(max(n - many - i, 0) / (n - i) for i in range(few))


def completion_mask(completions: Tensor, end: int) -> Tensor:
    """Which tokens of completions (U, L) count: (U, L) bool, True up to the first `end` token.

    The end token itself counts. In a row without one all L tokens count.
    """
    ends = (completions == end).long()
    return ends.cumsum(1) - ends == 0


def summed_logprobs(logits: Tensor, completions: Tensor, end: int) -> Tensor:
    """log pi of each completion: the sum over the tokens that count, (U,), with gradients.

    logits (U, L, V): logits[u, t] are the scores from which completions[u, t] was drawn.
    """
    per_token = logits.log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2)
    return (per_token * completion_mask(completions, end)).sum(1)


def policy_gradient_loss(logprobs: Tensor, advantages: Tensor) -> Tensor:
    """A scalar whose gradient is that of -(1/(B k)) sum A log pi; advantages are constants.

    logprobs, advantages (B, k): each entry is one rollout.
    """
    return -(advantages.detach() * logprobs).mean()


COEFFICIENTS: list[int] = []


def own(r: Tensor, mean: Tensor, k: int) -> Tensor:
    """Your own: E[g] = sum_j a_j (1-p)^j grad p with your COEFFICIENTS a_0..a_3, for k >= 4.

    0 in groups whose rewards are all equal. r, mean and k are as above.
    """
    failing = (k - 1 - (k * mean - r)).round()
    omega = torch.zeros_like(r)
    chance = torch.ones_like(r)
    for j, a in enumerate(COEFFICIENTS):
        omega = omega + a * chance
        chance = chance * (failing - j) / (k - 1 - j)
    return omega * (r - mean) * (k / (k - 1))


def has_order(estimator: Callable, k: int, order: int) -> bool:
    """Does the estimator have E[g] = grad J_T with T = order, for groups of k <= 6?

    estimator(r, mean, k) takes float64 tensors r (N, k) and mean (N, 1), N up to 5,000, and returns
    advantages (N, k): a fixed function of each row, which may give equal rewards different
    advantages. You may ask it up to 2,000 times.
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


# Each sign and each mark, with spaces, with leading zeros, of one to three digits, below 0.
ANSWERS = {
    "12+34=": "46", "8-30=": "-22", "7*8=": "56", "25+5<": "03", "8-30<": "22-", "3-3=": "0",
    "  9*  3=": "27", "007+05=": "12", "48+52=": "100", " 8+ 3<": "11", "17*6<": "201",
}  # fmt: skip


def foreign(text: object, zero: int = 0x660) -> str:
    """A text in the digits of another script, whose 0 is `zero`: they only look like ours."""
    return str(text).translate({48 + d: zero + d for d in range(10)})


def texts(prompt: str, x: str) -> dict[str, list[str]]:
    """What is not the answer x: other numbers, then what looks like x, or holds it, or computes to
    it, by kind."""
    n = x.strip("-")
    others = [f"1{x}", f"{x}1", x[:-1], x[1:], x[::-1], "7" * len(x), x.replace(n[-1], "6")]
    return {
        # "50" reversed is "05", which is not another number but a matter of zeros
        "another number": [y for y in others if y.strip("-0") != n.strip("0")],
        "spaces": [f" {x}", f"{x} ", f"\n{x}", f"{x}\n", f"\t{x}", f"{x[0]} {x[1:]}", f"{x}\n{x}"],
        "zeros": [f"0{x}", f"00{x}", f"-0{n}", f"0{n}-"],
        "signs": [f"+{x}", f"{x}+", f"-{x}", f"{x}-", n, f"{n}-", f"-{n}", "-" + n[::-1]],
        "foreign digits": [foreign(x), foreign(x, 0xFF10)],
        "a computation": [f"{x}.0", f"{x}.", f"{x}e0", f"0x{int(n):x}", f"{x[0]}_{x[1:]}", f"{x}+0",
                          f"0+{x}", f"{x}*1", f"int('{x}')"],
        "more than a number": [f"{x}={x}", f"{prompt}{x}", prompt[:-1], f"9={x}", f"a{x}", f"{x}a",
                               f"{x}<end>", f"{x}\x00", f"I say {x}.", ""],
    }  # fmt: skip


def near(prompt: str, x: str) -> list[tuple[str, str]]:
    """A prompt with its answer, and pairs that are nearly right."""
    others = prompt[:-1], f"x{prompt}", f"{prompt}x", f"{prompt}{x}"
    wrong = [x[::-1], *(text for some in texts(prompt, x).values() for text in some)]
    return [*((prompt, y) for y in (x, *wrong)), *((other, x) for other in others)]


def is_verifier(verify: Callable) -> bool:
    """Does verify(prompt, completion) obey the rules of A1? You may ask it up to 2,000 times."""
    pairs = (near(*pair) for pair in ANSWERS.items())
    return all(verify(p, text) is (text == answer(p)) for some in pairs for p, text in some)
