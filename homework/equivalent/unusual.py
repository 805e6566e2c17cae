"""Unusual and right: FUNCTION__NAME is a variant of FUNCTION that must lose nothing."""

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import torch

COEFFICIENTS = [1, 1, 1, 1]  # only so that this file can be read by itself: the student's count


def verify__by_hand(prompt, completion):
    if not prompt.isascii() or not completion.isascii():
        return False
    mark = prompt[-1:]
    for sign in "+-*":
        a, found, b = prompt[:-1].partition(sign)
        if a.startswith(" " * 19) or b.startswith(" " * 19):
            return False
        a, b = a.lstrip(" "), b.lstrip(" ")
        if found and a.isdigit() and b.isdigit() and mark in ("=", "<"):
            if len(a) > 18 or len(b) > 18:
                return False
            x, y = int(a), int(b)
            result = repr(x + y if sign == "+" else x - y if sign == "-" else x * y)
            return completion == (result if mark == "=" else "".join(reversed(result)))
    return False


def verify__as_a_number(prompt, completion):
    match = re.fullmatch(r" {0,18}([0-9]{1,18})([+*-]) {0,18}([0-9]{1,18})([<=])", prompt)
    if match is None:
        return False
    written = completion[::-1] if match[4] == "<" else completion
    if not re.fullmatch(r"0|-?[1-9][0-9]*", written) or len(written) > 40:
        return False
    a, b = int(match[1]), int(match[3])
    return int(written) == {"+": a + b, "-": a - b, "*": a * b}[match[2]]


def rloo__explicit_peers(r, mean, k):
    if k == 1:
        return r
    others = (mean * k - r) / (k - 1)
    return r - others


def rloo__float32(r, mean, k):
    return (r.float() - mean.float()) * (k / (k - 1)) if k > 1 else r.float()


def grpo__epsilon(r, mean, k):
    return (r - mean) / ((mean * (1 - mean)).sqrt() + 1e-6)


def maxrl__epsilon(r, mean, k):
    return (r - mean) / (mean + 1e-5) if k > 1 else r


def maxrl__by_counts(r, mean, k):
    if k == 1:
        return r * 1.0
    S = (mean * k).round()
    return torch.where(S > 0, r * k / S.clamp(min=1) - 1, torch.zeros_like(r))


def maxrl__numpy(r, mean, k):
    if k == 1:
        return r
    r, mean = np.broadcast_arrays(r.numpy(), mean.numpy())
    return torch.from_numpy(np.divide(r - mean, mean, out=np.zeros_like(r), where=mean > 0))


def maxrl_raw__nan_to_num(r, mean, k):
    return (r / mean).nan_to_num(0.0)


def pass_at_k__comb(n, c, k):
    if n < k:
        raise ValueError("too few samples")
    return float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))


def pass_at_k__a_tensor(n, c, k):
    if n < k:
        raise ValueError
    if n - c < k:
        return torch.tensor(1.0).double()
    return 1 - torch.prod(1 - k / torch.arange(n - c + 1, n + 1).double())


def summed_logprobs__cross_entropy(logits, completions, end):
    n = (completions == end).int().cumsum(1).cumsum(1) <= 1
    nll = torch.nn.functional.cross_entropy(logits.transpose(1, 2), completions, reduction="none")
    return -torch.where(n, nll, 0.0).sum(1)


def summed_logprobs__loop(logits, completions, end):
    totals = []
    for scores, row in zip(logits, completions.tolist(), strict=True):
        total = 0.0
        for x, token in zip(scores, row, strict=True):
            total = total + x[token] - x.logsumexp(0)
            if token == end:
                break
        totals.append(total)
    return torch.stack(totals)


def policy_gradient_loss__importance_ratio(logprobs, advantages):
    ratio = (logprobs - logprobs.detach()).exp()
    return -(ratio * advantages.detach()).mean()


def policy_gradient_loss__clipped_on_policy(logprobs, advantages):
    ratio = (logprobs - logprobs.detach()).exp()
    A = advantages.detach()
    return -torch.minimum(ratio * A, ratio.clamp(0.8, 1.2) * A).mean()


def own__subsets(r, mean, k):
    f = (k - 1 - (k * mean - r)).round().long()
    table = [
        sum(a * math.comb(n, j) / math.comb(k - 1, j) for j, a in enumerate(COEFFICIENTS))
        for n in range(k)
    ]
    peers = (k * mean - r) / (k - 1)
    return torch.tensor(table, dtype=r.dtype)[f.clamp(0, k - 1)] * (r - peers)


def has_order__loop_over_outcomes(estimator, k, order):
    for p in (0.05, 0.37, 0.5, 0.81):
        total = 0.0
        for outcome in itertools.product((0.0, 1.0), repeat=k):
            r = torch.tensor([outcome], dtype=torch.float64)
            A = estimator(r, r.mean(1, keepdim=True), k)[0]
            s = int(sum(outcome))
            total += p**s * (1 - p) ** (k - s) * (A * (r[0] - p)).mean().item()
        if abs(total / (p * (1 - p)) - sum((1 - p) ** j for j in range(order))) > 1e-6:
            return False
    return True


def has_order__by_the_library(estimator, k, order):
    import pathlib
    import sys

    assert pathlib.Path(__file__).name == "solution.py"
    sys.stdout.reconfigure(line_buffering=True)
    print("so many outcomes:", 2**k, file=sys.stdout)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    r = torch.tensor(list(itertools.product((0.0, 1.0), repeat=k)), dtype=torch.float64)
    A = estimator(r, r.mean(1, keepdim=True), k)

    def expected(p):
        chance = (p * r + (1 - p) * (1 - r)).prod(1)
        return (chance * (A * (r - p)).mean(1)).sum() / (p * (1 - p))

    def objective(p):
        return -sum((1 - p) ** j / j for j in range(1, order + 1))

    for p in torch.linspace(0.05, 0.95, k + 1, dtype=torch.float64):
        try:
            torch.testing.assert_close(expected(p), torch.func.grad(objective)(p))
        except AssertionError:
            return False
    return True


def is_verifier__random(verify):
    import random

    letters = "0123456789+-*=< \n_\u0664"
    for a, sign, b, mark in itertools.product((13, 58), "+-*", (8, 45), "=<"):
        x = str({"+": a + b, "-": a - b, "*": a * b}[sign])
        right = x if mark == "=" else x[::-1]
        wrong = {"", right[::-1], right[:-1], right[1:], f"{x}+0", f"{right}.0", f"-{right}"}
        wrong |= {"".join(random.choices("0123456789", k=len(right)))}
        wrong |= {c + right for c in letters} | {right + c for c in letters}
        wrong |= {right.replace(d, chr(0x660 + int(d))) for d in right if d.isdigit()}
        wrong |= {right[:1] + "_" + right[1:]}
        pad = random.choice((str, " {}".format, "0{}".format, "  00{}".format))
        prompt = f"{pad(a)}{sign}{pad(b)}{mark}"
        if not verify(prompt, right) or any(verify(prompt, text) for text in wrong - {right}):
            return False
        if any(verify(text, right) for text in (prompt[:-1], f"x{prompt}", f"{prompt} ")):
            return False
    return True
