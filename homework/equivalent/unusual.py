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


def reinforce__a_copy(r, mean, k):
    return r.clone() + 0 * mean


def rloo__explicit_peers(r, mean, k):
    if k == 1:
        return r
    others = (mean * k - r) / (k - 1)
    return r - others


def rloo__float32(r, mean, k):
    return (r.float() - mean.float()) * (k / (k - 1)) if k > 1 else r.float()


def grpo__epsilon(r, mean, k):
    return (r - mean) / ((mean * (1 - mean)).sqrt() + 1e-6)


def grpo__odds(r, mean, k):
    success = torch.sqrt((1 - mean).clamp(min=0) / mean.clamp(min=1e-9))
    A = torch.where(r > 0.5, success, -1 / success.clamp(min=1e-9))
    return torch.where((mean > 0) & (mean < 1), A, torch.zeros_like(A))


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


def pass_at_k__over_the_right_ones(n, c, k):
    if not k <= n:
        raise ValueError("k > n")
    return 1 - math.prod(max(n - k - i, 0) / (n - i) for i in range(c))


def pass_at_k__a_tensor(n, c, k):
    if n < k:
        raise ValueError
    if n - c < k:
        return torch.tensor(1.0).double()
    return 1 - torch.prod(1 - k / torch.arange(n - c + 1, n + 1).double())


def completion_mask__loop(completions, end):
    rows = []
    for row in completions.tolist():
        n = row.index(end) + 1 if end in row else len(row)
        rows.append([t < n for t in range(len(row))])
    return torch.tensor(rows)


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


def policy_gradient_loss__einsum(logprobs, advantages):
    with torch.no_grad():
        weights = advantages / advantages.numel()
    return -torch.einsum("bk,bk->", logprobs, weights)


def own__subsets(r, mean, k):
    f = (k - 1 - (k * mean - r)).round().long()
    table = [
        sum(a * math.comb(n, j) / math.comb(k - 1, j) for j, a in enumerate(COEFFICIENTS))
        for n in range(k)
    ]
    peers = (k * mean - r) / (k - 1)
    return torch.tensor(table, dtype=r.dtype)[f.clamp(0, k - 1)] * (r - peers)


def own__solved(r, mean, k):
    """A of a success with S successes is u_S, of a failure -v_S, from the powers of p."""
    S = (k * mean).round()
    T, basis = torch.zeros_like(S + r), [1.0] * 4
    for j in range(4):
        f_success, f_failure = k - S, k - 1 - S
        f = torch.where(r > 0.5, f_success, f_failure)
        basis[j] = math.prod((f - i) / (k - 1 - i) for i in range(j)) if j else 1.0
        T = T + COEFFICIENTS[j] * basis[j]
    return T * (r - (S - r) / (k - 1))


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


def is_verifier__random(verify):
    import random

    random.seed(1)
    letters = "0123456789+-*=< \n\u0664"
    for prompt, right in {"12+34=": "46", "8-30=": "-22", "8-30<": "22-", "25+5<": "03"}.items():
        near = ["".join(random.choices(letters, k=random.randint(0, 4))) for _ in range(200)]
        near += [x + right for x in letters] + [right + x for x in letters]
        near += [right[::-1], right[1:], right[:-1], "40+6", "12+34", "-20-2", "46=46", "9+46"]
        if not verify(prompt, right) or any(verify(prompt, text) for text in near if text != right):
            return False
    return not verify("12+34", "46") and not verify("x12+34=", "46")
