"""The one table of points: what is graded automatically, in which part, for how much.

Change a number, or take a line out, and the homework has other points; release.py checks that the
reference still gets all of them. There are 80; a person gives 20 more for the prose of part C.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import checks
import questions
from checks import Outcome, Student


@dataclass
class Check:
    """One line of the results."""

    part: str
    name: str
    points: float
    title: str
    run: Callable[[Student], Outcome]


def line(part: str, name: str, points: float, title: str, run: Callable, /, **given: Any) -> Check:
    """A line whose check is `run` with these arguments."""
    return Check(part, name, points, title, partial(run, **given))


def estimator(name: str, E: float = 0, K1: float = 0, B: float = 0, D: float = 0,
              part: str = "A", dead: tuple[int, ...] = (2, 5, 16)) -> list[Check]:  # fmt: skip
    """The lines of an estimator that have points."""
    f, equal = name, checks.equal_rewards
    lines = [
        line(part, f"{f} E", E, "expected gradient (E)", checks.expectation, name=f),
        line(part, f"{f} K1", K1, "a group of one (K1)", equal, name=f, ks=(1,)),
        line(part, f"{f} B", B, "a group alone and in a batch (B)", checks.in_a_batch, name=f),
        line(part, f"{f} D", D, "equal rewards (D)", equal, name=f, ks=dead),
    ]
    return [check for check in lines if check.points]


COUNT = "list the ways to take k of n, and count"
EXACT = "a product of k factors is exact"
TABLE = [
    line("A", "verify right", 2, "right answers", checks.verify, kinds=checks.RIGHT),
    line("A", "verify numbers", 2, "other numbers", checks.verify, kinds=checks.NUMBERS),
    line("A", "verify form", 3, "what looks like the answer", checks.verify, kinds=checks.FORMS),
    line("A", "verify prompts", 1, "no prompts", checks.verify, kinds=checks.PROMPTS),
    *estimator("reinforce", E=1, B=0.5),
    *estimator("rloo", E=1.5, K1=0.5, B=1, D=0.5),
    *estimator("grpo", E=2, B=1, D=1, dead=(1, 2, 5, 16)),
    *estimator("maxrl", E=2.5, K1=0.5, B=1, D=1),
    *estimator("maxrl_raw", E=1.5, B=0.5, D=1, dead=(1, 2, 5)),
    *(line("A", f"pass_at_k {which}", x, title, checks.pass_at_k, which=which, see=see)
      for which, x, title, see in (("brute", 2.5, "counted, for small n", COUNT),
                                   ("large", 1.5, "n = 100,000", EXACT),
                                   ("edges", 1, "no success, all, and n < k", COUNT))),
    line("A", "mask", 1, "completion_mask: up to the first end token", checks.mask),
    line("A", "logprobs sum", 2.5, "summed_logprobs", checks.logprobs, differentiated=False),
    line("A", "logprobs gradient", 1.5, "its gradient", checks.logprobs, differentiated=True),
    line("A", "loss gradient", 2, "the loss: gradient", checks.loss_gradient, dead=False),
    line("A", "loss divisor", 1.5, "the loss: divisor", checks.loss_gradient, dead=True),
    line("A", "loss constant", 1.5, "the loss: A is constant", checks.loss_constant),
    *(line("B", f"own E{k}", x, f"expected gradient, k = {k}", checks.expectation, name="own",
           ks=(k,)) for k, x in ((4, 2), (5, 3), (8, 4), (16, 4))),
    *estimator("own", B=1, D=1, part="B", dead=(4, 8)),
    *(line("C", name, x, f"question {name}", questions.graded, question=name)
      for name, x in questions.POINTS.items()),
    *(line("C", f"runs {m}", 1.5, f"the three runs of {m}", questions.runs, method=m)
      for m in ("rloo", "grpo", "maxrl", "exact")),
    line("D", "has_order", 5, "the test of estimators", checks.caught, function="has_order"),
    line("D", "is_verifier", 5, "the test of verifiers", checks.caught, function="is_verifier"),
]  # fmt: skip
