"""Part D: right and wrong estimators and verifiers, that the students' own tests are held against.

All are drawn anew each time, so there is no list to learn. The wrong ones come in LOTS lots, and a
lot counts only if a test refuses all of it. Each is made so that the cheap tests miss some of it:
one p out of the usual, one prompt, one kind of wrong text. The student's test runs in the student's
process and can only ask: it sends the arguments, and gets what the function in here returns.
Nothing in here executes what it is sent.
"""

import itertools
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox import Tensor

LOTS = 5
DICE = random.SystemRandom()


@dataclass
class Behaviour:
    """Something to be judged: how it answers, what else the test is told, and which lot of wrong
    ones it is in, None if it is right."""

    behave: Callable[..., Any]
    lot: int | None
    args: list[Any] = field(default_factory=list)
    hint: str = "see the handout, part D"


# -------------------------------------------------------------------------------- estimators

USUAL = (0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0)
EXPECTED = "only the expectation counts: the chances of all 2^k outcomes add up to 1"
Coefficients = list[float]  # c_j of w = sum_j c_j (1-p)^j


def estimators() -> list[Behaviour]:
    """Lots of one k and one order: right ones, and wrong ones for that order."""
    found = []
    for lot, k in enumerate((4, 5, 6, *DICE.choices((4, 5, 6), k=LOTS - 3))):
        order = DICE.randint(1, k)
        right = [1.0] * order + [0.0] * (k - order)
        for _ in range(DICE.randint(1, 2)):
            found.append(Behaviour(estimator(k, right), None, [k, order], EXPECTED))
        for wrong in mistakes(k, order, right):
            found.append(Behaviour(estimator(k, wrong), lot, [k, order]))
    return found


def mistakes(k: int, order: int, right: Coefficients) -> list[Coefficients]:
    """Another order, another factor; for each usual p one right there, at k - 1 p in all; for each
    number of failing peers one that is wrong with so many only, by p^(k-1-f) (1-p)^f; and one that
    is right on the average over p."""
    other = DICE.choice([T for T in range(1, k + 1) if T != order])
    factor = DICE.uniform(1.15, 1.5) ** DICE.choice((-1, 1))
    plain = [[1.0] * other + [0.0] * (k - other), [factor * c for c in right]]
    roots = DICE.sample(USUAL, len(USUAL))
    roots += DICE.sample(roots[: -(k - 1)], -len(roots) % (k - 1))
    parts = [roots[i : i + k - 1] for i in range(0, len(roots), k - 1)]
    parts += [[1.0] * f + [0.0] * (k - 1 - f) for f in range(k)]
    pairs = DICE.sample((0.1, 0.2, 0.25, 0.3, 0.4), (k - 2) // 2)
    parts.append([0.5, *pairs, *(1 - p for p in pairs)])
    return [*plain, *(bent(right, part) for part in parts)]


def weight(coefficients: Coefficients, p: float) -> float:
    """w(p)."""
    return sum(c * (1 - p) ** j for j, c in enumerate(coefficients))


def bent(right: Coefficients, roots: list[float]) -> Coefficients:
    """The same weight at these p, and one that is 20 to 60 % off somewhere between 0 and 1."""
    product = [1.0]
    for root in roots:  # times p - root = (1 - root) - (1 - p)
        pairs = zip([*product, 0.0], [0.0, *product], strict=True)
        product = [(1 - root) * same - before for same, before in pairs]
    product += [0.0] * (len(right) - len(product))
    most = max(abs(weight(product, i / 200) / weight(right, i / 200)) for i in range(1, 200))
    size = DICE.choice((-1, 1)) * DICE.uniform(0.2, 0.6) / most
    return [c + size * d for c, d in zip(right, product, strict=True)]


def estimator(k: int, coefficients: Coefficients) -> Callable[..., Any]:
    """A function of (r, mean, k), r (N, k), whose weight is that of the coefficients; mean is not
    used.

    E[g] depends on A(success) - A(failure) only, given the peers, and of that on its average over
    the peers of which f fail and over the seats: it must be sum_j c_j C(f, j) / C(k-1, j). All else
    is drawn.
    """
    size = DICE.choice((1, 3, 10, 30))
    seats = [(i, peers) for i in range(k) for peers in itertools.product((0, 1), repeat=k - 1)]
    low = {seat: size * DICE.uniform(-1, 1) for seat in seats}
    gap = {seat: size * DICE.uniform(-1, 1) for seat in seats}
    for f in range(k):
        like = [seat for seat in seats if sum(seat[1]) == k - 1 - f]
        mean = sum(gap[seat] for seat in like) / len(like)
        omega = sum(c * math.comb(f, j) / math.comb(k - 1, j) for j, c in enumerate(coefficients))
        for seat in like:
            gap[seat] += omega - mean

    def advantage(row: tuple, i: int) -> float:
        seat = i, row[:i] + row[i + 1 :]
        return low[seat] + row[i] * gap[seat]

    def behave(r: Any, mean: Any, k_: Any) -> Tensor:
        if not isinstance(r, Tensor) or not isinstance(r.values, list) or len(r.values) > 5000:
            raise ValueError("r must be a tensor of shape (N, k) with N up to 5000")
        for row in r.values:
            if not isinstance(row, list) or len(row) != k or not all(x in (0, 1) for x in row):
                raise ValueError("r must be a tensor of shape (N, k) of zeros and ones")
        rows = (tuple(map(int, row)) for row in r.values)
        return Tensor([[advantage(row, i) for i in range(k)] for row in rows], "float64")

    return behave


# -------------------------------------------------------------------------------- verifiers

_ASKS = re.compile(r" {0,18}([0-9]{1,18})([-+*]) {0,18}([0-9]{1,18})([=<])")
_LIKE = re.compile(_ASKS.pattern.replace("([=<])", "([=<]?)"))


def truth(prompt: str) -> str | None:
    """The one right answer, None if the prompt asks for none."""
    match = _ASKS.fullmatch(prompt)
    if match is None:
        return None
    a, sign, b, mark = match.groups()
    result = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign]
    return str(result)[:: -1 if mark == "<" else 1]


def summed(text: str) -> str:
    """What a calculator makes of it: sums of numbers only."""
    if not re.fullmatch(r"[-+]?[0-9]+([-+][0-9]+)*", text):
        return ""
    return str(sum(map(int, re.findall(r"[-+]?[0-9]+", text))))


# when a text is taken for the right one; None: when the prompt only looks like one
ALIKE: list[Callable[[str, str], bool] | None] = [
    lambda text, right: text.strip() == right,
    lambda text, right: text.lstrip("0") == right.lstrip("0"),
    lambda text, right: text.lstrip("+") == right,
    lambda text, right: text.strip("-") == right.strip("-"),
    lambda text, right: "".join(str(int(c)) if c.isdecimal() else c for c in text) == right,
    lambda text, right: text.startswith(right),
    lambda text, right: text.endswith(right),
    lambda text, right: right in text,
    lambda text, right: right in (text, summed(text), summed(text)[::-1]),
    lambda text, right: text.removesuffix(".0") == right,
    lambda text, right: text.replace("_", "") == right,
    lambda text, right: text in ("", right),
    lambda text, right: len(text) == len(right),
    lambda text, right: right in (text, text[::-1]),
    None,
]


def asks(sign: str, mark: str) -> Callable[[str, str], bool]:
    """On prompts of this sign and mark."""
    return lambda prompt, right: sign in prompt and prompt.endswith(mark)


SIGNS = [asks(sign, mark) for sign in "+-*" for mark in "=<"]
ONLY: list[Callable[[str, str], bool]] = [  # as many as there are lots
    lambda prompt, right: prompt.endswith("<"),
    lambda prompt, right: "-" in right,
    lambda prompt, right: sum(c.isdigit() for c in right) == 3,
    lambda prompt, right: " " in prompt,
    lambda prompt, right: re.search(r"(?<![0-9])0[0-9]", prompt) is not None,
]


def verifiers() -> list[Behaviour]:
    """Right ones; and in each lot three that accept too much, one that accepts too little, and one
    that accepts another text in place of the right one, all of them on some prompts only: two for
    different signs and marks, the others where something holds or where it does not."""
    signs, only = DICE.sample(SIGNS, LOTS + 1), DICE.sample(ONLY, LOTS)
    alike = DICE.sample(ALIKE, 3 * LOTS)
    found = [
        Behaviour(
            verifier(DICE.choice(SIGNS + ONLY), DICE.choice([*ALIKE, another]), mistaken=False),
            None,
        )
        for _ in range(DICE.randint(2, 4))
    ]
    for lot in range(LOTS):
        there, not_there = DICE.sample((only[lot], elsewhere(only[lot])), 2)
        where = signs[lot], signs[lot + 1], there
        for i, condition in enumerate(where):
            found.append(Behaviour(verifier(condition, alike[3 * lot + i]), lot))
        found.append(Behaviour(verifier(not_there, never), lot))
        found.append(Behaviour(verifier(DICE.choice((there, not_there)), another), lot))
    return found


def never(*_: str) -> bool:
    """No text is taken for the right one."""
    return False


def another(text: str, right: str) -> bool:
    """The right one turned round is taken, and itself is not."""
    return text == right[::-1]


def elsewhere(there: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
    """On the other prompts."""
    return lambda prompt, right: not there(prompt, right)


def verifier(
    condition: Callable[[str, str], bool],
    alike: Callable[[str, str], bool] | None,
    mistaken: bool = True,
) -> Callable[..., Any]:
    """Right but where the condition holds: there it accepts what is alike, or if nothing is, not
    even what is right. One that is not mistaken works out the same and makes no use of it, so that
    the time an answer takes tells nothing.
    """

    def behave(prompt: Any, text: Any) -> bool:
        if not isinstance(prompt, str) or not isinstance(text, str):
            raise ValueError("verify takes two texts")
        prompt, text = prompt[:200], text[:200]
        exact = text == truth(prompt)
        like = _LIKE.search(prompt)
        read = like[0] + ("" if like[4] else "=") if like and alike is None else prompt
        right = truth(read)
        here = condition(read, right or "") and right is not None
        taken = text == right if alike is None else alike(text, right or "")
        return taken if here and mistaken else exact

    return behave
