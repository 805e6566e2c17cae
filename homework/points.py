"""The one table of points: what is graded automatically, in which part, for how much.

Change a number, or take a line out, and the homework has other points; release.py checks that the
reference still gets all of them. There are 80; a person gives 20 more for the prose of part C.
"""

from collections.abc import Callable
from typing import NamedTuple

import checks
import questions
from checks import Outcome, Student


class Check(NamedTuple):
    """One line of the results: what `check` says of a student, given `args`."""

    part: str
    name: str
    points: float
    title: str
    check: Callable[..., Outcome]
    args: tuple = ()

    def run(self, student: Student) -> Outcome:
        return self.check(student, *self.args)


PROPERTIES: dict[str, tuple[str, Callable[..., Outcome]]] = {
    "E": ("expected gradient (E)", checks.expectation),
    "K1": ("a group of one (K1)", checks.alone),
    "B": ("a group alone and in a batch (B)", checks.in_a_batch),
    "D": ("equal rewards (D)", checks.equal_rewards),
}
ESTIMATORS: dict[str, dict[str, float]] = {
    "reinforce": {"E": 1, "B": 0.5},
    "rloo": {"E": 1.5, "K1": 0.5, "B": 1, "D": 0.5},
    "grpo": {"E": 2, "B": 1, "D": 1},
    "maxrl": {"E": 2.5, "K1": 0.5, "B": 1, "D": 1},
    "maxrl_raw": {"E": 1.5, "B": 0.5, "D": 1},
    "own": {"B": 1, "D": 1},
}
TABLE = [
    Check("A", "verify right", 2, "right answers", checks.verify, (checks.RIGHT,)),
    Check("A", "verify numbers", 2, "other numbers", checks.verify, (checks.NUMBERS,)),
    Check("A", "verify form", 3, "what looks like the answer", checks.verify, (checks.FORMS,)),
    Check("A", "verify prompts", 1, "no prompts", checks.verify, (checks.PROMPTS,)),
    Check("A", "pass_at_k brute", 2.5, "counted, for small n", checks.pass_at_k, ("brute",)),
    Check("A", "pass_at_k large", 1.5, "n = 100,000", checks.pass_at_k, ("large",)),
    Check("A", "pass_at_k edges", 1, "no success, all, and n < k", checks.pass_at_k, ("edges",)),
    Check("A", "mask", 1, "completion_mask: up to the first end token", checks.mask),
    Check("A", "logprobs sum", 2.5, "summed_logprobs", checks.logprobs, (False,)),
    Check("A", "logprobs gradient", 1.5, "its gradient", checks.logprobs, (True,)),
    Check("A", "loss gradient", 2, "the loss: gradient", checks.loss_gradient, (False,)),
    Check("A", "loss divisor", 1.5, "the loss: divisor", checks.loss_gradient, (True,)),
    Check("A", "loss constant", 1.5, "the loss: A is constant", checks.loss_constant),
    *(Check("B" if name == "own" else "A", f"{name} {letter}", x, *PROPERTIES[letter], (name,))
      for name, points in ESTIMATORS.items() for letter, x in points.items()),
    *(Check("B", f"own E{k}", x, f"expected gradient, k = {k}", checks.expectation, ("own", (k,)))
      for k, x in ((4, 2), (5, 3), (8, 4), (16, 4))),
    *(Check("C", name, x, f"question {name}", questions.graded, (name,))
      for name, x in questions.POINTS.items()),
    *(Check("C", f"runs {m}", 1.5, f"the three runs of {m}", questions.runs, (m,))
      for m in ("rloo", "grpo", "maxrl", "exact")),
    Check("D", "has_order", 5, "the test of estimators", checks.caught, ("has_order",)),
    Check("D", "is_verifier", 5, "the test of verifiers", checks.caught, ("is_verifier",)),
]  # fmt: skip
