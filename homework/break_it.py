"""Part D: right and wrong estimators and verifiers, that the students' own tests are held against.

The student's test runs in the student's process and can only ask: it sends the arguments, and gets
what the function in here returns. So there is no code to recognise, only behaviour. Nothing in here
executes what it is sent.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox import Tensor

Rows = list[list[float]]


@dataclass
class Behaviour:
    """Something to be judged: how it answers, what else the test is told, whether it is right."""

    behave: Callable[..., Any]
    right: bool
    args: list[Any] = field(default_factory=list)
    hint: str = "see the handout, part D"


# -------------------------------------------------------------------------------- estimators


def estimator(formula: Callable[[list[float]], list[float]]) -> Callable[..., Any]:
    """From a formula for one group to a function of (r, mean, k); r is (N, k), mean is not used."""

    def behave(r: Any, mean: Any, k: Any) -> Tensor:
        if not isinstance(r, Tensor) or not isinstance(r.values, list) or len(r.values) > 5000:
            raise ValueError("r must be a tensor of shape (N, k) with N up to 5000")
        for row in r.values:
            if not isinstance(row, list) or len(row) != k or not all(x in (0, 1) for x in row):
                raise ValueError("r must be a tensor of shape (N, k) of zeros and ones")
        return Tensor([formula(row) for row in r.values], "float64")

    return behave


def by_mean(formula: Callable[[float, float, int], float]) -> Callable[..., Any]:
    """From a formula of (r, mean, k)."""
    return estimator(lambda row: [formula(r, sum(row) / len(row), len(row)) for r in row])


def leave_one_out(r: float, m: float, k: int) -> float:
    c = k * m + 1 - r
    return k / c * (r - m) * k / (k - 1)


def first_only(row: list[float]) -> list[float]:
    return [len(row) * row[0]] + [0.0] * (len(row) - 1)


def of_pairs(row: list[float]) -> list[float]:
    """Each rollout's baseline is its left neighbour's reward."""
    return [r - row[i - 1] for i, r in enumerate(row)]


def of_order_2(r: float, m: float, k: int) -> float:
    """1 + the share of the peers that fail, times the reward less the peers' mean."""
    peers = (k * m - r) / (k - 1)
    return (2 - peers) * (r - peers)


def itself_as_baseline(row: list[float]) -> list[float]:
    return [r - 0.5 * row[0] for r in row]


def _maxrl(r: float, m: float, k: int) -> float:
    return (r - m) / m if m else 0.0


def _raw(r: float, m: float, k: int) -> float:
    return r / m if m else 0.0


def _std(m: float) -> float:
    return math.sqrt(m * (1 - m)) or 1.0


def _claims(
    k: int, order: int, right: bool, behave: Callable[..., Any], hint: str = ""
) -> Behaviour:
    return Behaviour(
        behave, right, [k, order], hint or "the chances of all 2^k outcomes add up to 1"
    )


ODD = "nothing says that equal rewards get equal advantages, so sum over all 2^k outcomes"
ARGUMENT = "the order that is claimed is an argument"
# each pair of k and order comes with a right one and with a wrong one, so it tells nothing
ESTIMATORS = [
    _claims(2, 1, True, by_mean(lambda r, m, k: (r - m) / _std(m)), "at k = 2 grpo is of order 1"),
    _claims(3, 1, True, estimator(first_only), ODD),
    _claims(4, 1, True, by_mean(lambda r, m, k: r)),
    _claims(5, 1, True, by_mean(lambda r, m, k: (r - m) * k / (k - 1))),
    _claims(5, 1, True, estimator(of_pairs), ODD),
    _claims(4, 2, True, by_mean(of_order_2), ARGUMENT),
    _claims(4, 3, True, by_mean(_maxrl), ARGUMENT),
    _claims(4, 4, True, by_mean(_raw), ARGUMENT),
    _claims(5, 4, True, by_mean(_maxrl), ARGUMENT),
    _claims(5, 5, True, by_mean(leave_one_out), ARGUMENT),
    _claims(6, 5, True, by_mean(_maxrl), ARGUMENT),
    _claims(6, 6, True, by_mean(leave_one_out), ARGUMENT),
    _claims(2, 1, False, by_mean(_raw)),
    _claims(3, 1, False, by_mean(lambda r, m, k: r - m)),
    _claims(4, 1, False, by_mean(lambda r, m, k: r - m)),
    _claims(5, 1, False, by_mean(lambda r, m, k: 2 * r - 1)),
    _claims(5, 1, False, by_mean(lambda r, m, k: (r - m) / _std(m))),
    _claims(5, 1, False, estimator(itself_as_baseline)),
    _claims(4, 2, False, by_mean(lambda r, m, k: 1.5 * r)),  # right at p = .5 only
    _claims(4, 3, False, by_mean(lambda r, m, k: (r - m) / _std(m))),
    _claims(4, 4, False, by_mean(lambda r, m, k: _raw(r, m, k) / k)),
    _claims(5, 4, False, by_mean(lambda r, m, k: _maxrl(r, m, k) / _std(m))),
    _claims(5, 4, False, by_mean(_raw)),
    _claims(5, 5, False, by_mean(_maxrl)),
    _claims(6, 5, False, by_mean(lambda r, m, k: (r - m) / max(m, 0.25))),
    _claims(6, 6, False, by_mean(_maxrl)),
]

# -------------------------------------------------------------------------------- verifiers

_ASKS = re.compile(r" {0,18}([0-9]{1,18})([-+*]) {0,18}([0-9]{1,18})([=<])")


def truth(prompt: str) -> str | None:
    """The one right answer, None if the prompt asks for none."""
    match = _ASKS.fullmatch(prompt)
    if match is None:
        return None
    a, sign, b, mark = match.groups()
    result = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign]
    return str(result)[:: -1 if mark == "<" else 1]


def verifier(says: Callable[[str, str], bool]) -> Callable[..., Any]:
    """From a function of prompt and completion; all of them say the same to what is no text."""

    def behave(prompt: Any, completion: Any) -> bool:
        if not isinstance(prompt, str) or not isinstance(completion, str):
            raise ValueError("verify takes two texts")
        return says(prompt[:200], completion[:200])

    return behave


def by_text(accept: Callable[[str, str], bool]) -> Callable[..., Any]:
    """From a comparison of the completion with the truth; False where there is none."""

    def says(prompt: str, completion: str) -> bool:
        right = truth(prompt)
        return right is not None and accept(completion, right)

    return verifier(says)


def as_integer(text: str) -> int | None:
    """What int() makes of it."""
    try:
        return int(text)
    except ValueError:
        return None


def summed(text: str) -> int | None:
    """What a calculator makes of it: sums of numbers only."""
    if not re.fullmatch(r"[-+]?[0-9]+([-+][0-9]+)*", text):
        return None
    return sum(map(int, re.findall(r"[-+]?[0-9]+", text)))


def last_number(text: str) -> str:
    return (re.findall(r"-?[0-9]+-?", text) or [""])[-1]


def any_prompt(prompt: str, completion: str) -> bool:
    """Reads the first thing in the prompt that looks like a problem."""
    match = re.search(_ASKS.pattern.replace("([=<])", "([=<]?)"), prompt)
    return match is not None and completion == truth(match[0].rstrip("=<") + (match[4] or "="))


def never_reversed(prompt: str, completion: str) -> bool:
    return completion == truth(prompt.replace("<", "="))


VERIFIERS = [
    Behaviour(by_text(lambda t, right: t == right), True),
    Behaviour(by_text(lambda t, right: re.fullmatch(re.escape(right), t) is not None), True),
    Behaviour(by_text(lambda t, right: [*t] == [*right] and t.isascii()), True),
    Behaviour(by_text(lambda t, right: as_integer(t) == as_integer(right) or t == right), False),
    Behaviour(by_text(lambda t, right: summed(t) == as_integer(right) or t == right), False),
    Behaviour(by_text(lambda t, right: t.strip() == right), False),
    Behaviour(by_text(lambda t, right: right in t), False),
    Behaviour(by_text(str.endswith), False),
    Behaviour(by_text(str.startswith), False),
    Behaviour(by_text(lambda t, right: last_number(t) == right), False),
    Behaviour(by_text(lambda t, right: re.match(re.escape(right) + "$", t) is not None), False),
    Behaviour(by_text(lambda t, right: t.strip("-") == right.strip("-")), False),
    Behaviour(verifier(any_prompt), False),
    Behaviour(verifier(never_reversed), False),
    Behaviour(verifier(lambda prompt, completion: True), False),
    Behaviour(verifier(lambda prompt, completion: False), False),
]
