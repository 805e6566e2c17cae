"""Part D: right and wrong estimators and verifiers, on which the students' own tests are tried.

All are drawn anew each time. The wrong ones come in LOTS lots, each made so that the cheap tests
miss some of it: those of one usual p, one prompt, or one kind of wrong text. The student's test
runs in the student's process and can only ask: it sends the arguments, and gets what the function
in here returns. Nothing in here executes what it is sent.
"""

import itertools
import math
import random
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from reference import answer
from torch import Tensor

LOTS = 5
DICE = random.SystemRandom()


class Behaviour(NamedTuple):
    """Something to be judged."""

    behave: Callable[..., Any]  # how it answers
    lot: int | None  # of wrong ones; None: it is right
    kind: str  # for the student
    args: tuple[int, ...] = ()  # what else the test is given


# -------------------------------------------------------------------------------- estimators

USUAL = (0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0)
Coefficients = list[float]  # c_j of w = sum_j c_j (1-p)^j


def estimators() -> list[Behaviour]:
    """Lots of one k and one order: right ones, one of another order, one that is off by a factor,
    and for each usual p one that is right there, and at k - 1 values of p in all."""
    found = []
    for lot, k in enumerate((4, 5, 6, *DICE.choices((4, 5, 6), k=LOTS - 3))):
        order, other = DICE.sample(range(1, k + 1), 2)
        right, another = ([1.0] * T + [0.0] * (k - T) for T in (order, other))
        hint = "only the expectation counts: the chances of all 2^k outcomes add up to 1"
        for _ in range(DICE.randint(1, 2)):
            found.append(Behaviour(estimator(k, right), None, hint, (k, order)))
        factor = DICE.uniform(1.15, 1.5) ** DICE.choice((-1, 1))
        wrong = [(another, "of another order"), ([factor * c for c in right], "off by a factor")]
        usual = DICE.sample(USUAL, len(USUAL))
        usual += usual[: -len(usual) % (k - 1)]
        for i in range(0, len(usual), k - 1):
            wrong.append((bent(right, usual[i : i + k - 1]), "right at some p, wrong at others"))
        found += [Behaviour(estimator(k, c), lot, kind, (k, order)) for c, kind in wrong]
    return found


def bent(right: Coefficients, roots: list[float]) -> Coefficients:
    """The same weight at these p, and one that is 20 to 60 % off somewhere between 0 and 1."""
    product = [1.0]
    for root in roots:  # times p - root = (1 - root) - (1 - p)
        pairs = zip([*product, 0.0], [0.0, *product], strict=True)
        product = [(1 - root) * same - before for same, before in pairs]
    powers = (torch.arange(1, 200).double() / 200).unsqueeze(1) ** torch.arange(len(right))
    bend, weight = (powers @ torch.tensor(x).double() for x in (product, right))
    most = (bend / weight).abs().max().item()
    size = DICE.choice((-1, 1)) * DICE.uniform(0.2, 0.6) / most
    return [c + size * d for c, d in zip(right, product, strict=True)]


def estimator(k: int, coefficients: Coefficients) -> Callable[..., Any]:
    """A function of (r, mean, k), r (N, k), whose weight is that of the coefficients. With f of its
    k - 1 peers failing, a success gets sum_j c_j C(f, j) / C(k-1, j) more than a failure would.
    What both get, by peers and seat, is drawn at random, because it does not change E[g]."""
    draws = torch.Generator().manual_seed(DICE.randrange(2**60))
    both = DICE.choice((1, 3, 10, 30)) * (torch.rand(2**k, k, generator=draws).double() - 0.5)
    omega = torch.zeros(k).double()  # by f
    for f, j in itertools.product(range(k), repeat=2):
        omega[f] += coefficients[j] * math.comb(f, j) / math.comb(k - 1, j)
    place = 2 ** torch.arange(k)  # an outcome's number: the places of its successes, added

    def behave(r: Any, mean: Any, k_: Any) -> Tensor:
        if r.dim() != 2 or r.shape[1] != k or len(r) > 5000 or not ((r == 0) | (r == 1)).all():
            raise ValueError("r must be a tensor of shape (N, k) of zeros and ones, N <= 5000")
        x = r.long()
        peers = (x * place).sum(1, keepdim=True) - x * place  # the outcome if this seat fails
        failing = k - 1 - (x.sum(1, keepdim=True) - x)
        return both.gather(0, peers) + x * omega[failing]

    return behave


# -------------------------------------------------------------------------------- verifiers

_LIKE = re.compile(r" {0,18}[0-9]{1,18}[-+*] {0,18}[0-9]{1,18}([=<]?)")
Accepts = Callable[[str, str], bool]  # of a text and the right answer
# When a text is taken for the right one. None: when the prompt only looks like one.
ALIKE: list[tuple[str, Accepts | None]] = [  # two for each lot
    ("spaces", lambda text, right: text.strip() == right),
    ("zeros in front", lambda text, right: text.lstrip("0") == right.lstrip("0")),
    ("a plus", lambda text, right: text.lstrip("+") == right),
    ("a wrong sign", lambda text, right: text.strip("-") == right.strip("-")),
    ("foreign digits", lambda text, right:
        "".join(str(int(c)) if c.isdecimal() else c for c in text) == right),
    ("something after it", lambda text, right: text.startswith(right)),
    ("something before it", lambda text, right: text.endswith(right)),
    ("a sum", lambda text, right: text.removesuffix("+0") == right),
    ("any text of that length", lambda text, right: len(text) == len(right)),
    ("what is not quite a prompt", None),
]  # fmt: skip
NEVER: tuple[str, Accepts] = ("no answer at all", lambda text, right: False)
TURNED: tuple[str, Accepts] = ("another answer only", lambda text, right: text == right[::-1])
# For which prompts: what is to be found in the prompt and its answer, one after the other.
SIGNS = [(f"{sign} and {mark}", rf"\{sign}.*{mark}") for sign in "+-*" for mark in "=<"]
ONLY = [  # as many as there are lots
    ("<", "<"), ("a result below 0", "[=<].*-"), ("spaces", " "),
    ("a result of three digits", "[=<]-?[0-9]{3}-?$"), ("leading zeros", r"\b0[0-9].*[=<]"),
]  # fmt: skip


def verifiers() -> list[Behaviour]:
    """Right ones; and in each lot two that accept too much, one that accepts nothing, and one that
    accepts another text in place of the right one, all of them on some prompts only: one for a
    sign and a mark, the others where something holds or where it does not."""
    alike, signs = DICE.sample(ALIKE, 2 * LOTS), DICE.sample(SIGNS, LOTS)
    hint = "it obeys the rules of A1, which know no other marks and no other signs"
    found = [Behaviour(answers, None, hint) for _ in range(DICE.randint(2, 4))]
    for lot, (words, there) in enumerate(ONLY):
        where, not_there = DICE.sample([(words, there), (f"no {words}", f"^(?!.*({there}))")], 2)
        places = [signs[lot], where, not_there, DICE.choice((where, not_there))]
        taken = [*alike[2 * lot : 2 * lot + 2], NEVER, TURNED]
        for (prompts, here), (text, accepts) in zip(places, taken, strict=True):
            kind = f"one that accepts {text} for prompts with {prompts}"
            found.append(Behaviour(partial(answers, here=here, accepts=accepts), lot, kind))
    return found


def answers(prompt: Any, text: Any, here: str = "(?!)", accepts: Accepts | None = None) -> bool:
    """A right verdict; but a wrong one where the pattern `here` is found (by default nowhere).
    Without `accepts` it takes what only looks like a prompt for a prompt."""
    like = _LIKE.search(prompt) if accepts is None else None
    read = like[0] + ("" if like[1] else "=") if like else prompt
    right = answer(read)
    if right is None or not re.search(here, read + right):
        return text == answer(prompt)
    return text == right if accepts is None else accepts(text, right)
