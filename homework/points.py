"""The one table of points: what is graded automatically, in which part, for how much.

Change a number, or take a line out, and the homework has other points; release.py checks that the
reference still gets all of them. There are 80; a person gives 20 more for the prose of part C.
"""

from collections.abc import Callable
from typing import NamedTuple

import checks
import questions
from checks import Outcome, Student
from sandbox import Failed


class Check(NamedTuple):
    """One line of the results. The check is called with the words of the name."""

    part: str
    name: str
    points: float
    title: str
    check: Callable[..., Outcome]

    def run(self, student: Student) -> Outcome:
        try:
            return self.check(student, *self.name.split())
        except Failed as failed:
            return 0, str(failed)


PROPERTIES: dict[str, tuple[str, Callable[..., Outcome]]] = {
    "E": ("expected gradient", checks.expectation),
    "K": ("a group of one", checks.equal_rewards),
    "B": ("a group alone and in a batch", checks.held),
    "D": ("equal rewards", checks.equal_rewards),
}
ESTIMATORS: dict[str, dict[str, float]] = {
    "reinforce": {"E": 1, "B": 0.5},
    "rloo": {"E": 1.5, "K1": 0.5, "B": 1, "D": 0.5},
    "grpo": {"E": 2, "B": 1, "D": 1},
    "maxrl": {"E": 2.5, "K1": 0.5, "B": 1, "D": 1},
    "maxrl_raw": {"E": 1.5, "B": 0.5, "D": 1},
    "own": {"E4": 2, "E5": 3, "E8": 4, "E16": 4, "B": 1, "D": 1},
}
TABLE = [
    Check("A", "verify right", 2, "right answers", checks.verify),
    Check("A", "verify numbers", 2, "other numbers", checks.verify),
    Check("A", "verify form", 3, "what looks like the answer", checks.verify),
    Check("A", "verify prompts", 1, "no prompts", checks.verify),
    Check("A", "pass_at_k brute", 2.5, "counted, for small n", checks.held),
    Check("A", "pass_at_k large", 1.5, "n = 100,000", checks.held),
    Check("A", "pass_at_k edges", 1, "no success, all, and n < k", checks.held),
    Check("A", "completion_mask ends", 1, "true up to the first end token", checks.held),
    Check("A", "summed_logprobs sum", 2.5, "its value", checks.held),
    Check("A", "summed_logprobs slope", 1.5, "its gradient", checks.held),
    Check("A", f"{checks.LOSS} gradient", 2, "its gradient", checks.held),
    Check("A", f"{checks.LOSS} divisor", 1.5, "groups without a signal count", checks.held),
    Check("A", f"{checks.LOSS} constant", 1.5, "A is constant", checks.constant),
    *(Check("B" if name == "own" else "A", f"{name} {letter}", x, *PROPERTIES[letter[0]])
      for name, points in ESTIMATORS.items() for letter, x in points.items()),
    *(Check("C", f"{what} {method}".strip(), x, f"question {what} {method}", questions.graded)
      for what, (_, points) in questions.QUESTIONS.items() for method, x in points.items()),
    *(Check("C", f"runs {m}", 1.5, f"the three runs of {m}", questions.runs)
      for m in ("rloo", "grpo", "maxrl", "exact")),
    Check("D", "has_order", 5, "the test of estimators", checks.caught),
    Check("D", "is_verifier", 5, "the test of verifiers", checks.caught),
]  # fmt: skip
