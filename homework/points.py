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

POINTS: dict[str, dict[str, float]] = {
    "A verify": {"right": 2, "numbers": 2, "form": 3, "prompts": 1},
    "A reinforce": {"E": 1, "B": 0.5},
    "A rloo": {"E": 1.5, "K1": 0.5, "B": 1, "D": 0.5},
    "A grpo": {"E": 2, "B": 1, "D": 1},
    "A maxrl": {"E": 2.5, "K1": 0.5, "B": 1, "D": 1},
    "A maxrl_raw": {"E": 1.5, "B": 0.5, "D": 1},
    "A pass_at_k": {"brute": 2.5, "large": 1.5, "edges": 1},
    "A completion_mask": {"ends": 1},
    "A summed_logprobs": {"sum": 2.5, "gradient": 1.5},
    "A policy_gradient_loss": {"gradient": 2, "divisor": 1.5, "constant": 1.5},
    "B own": {"E4": 2, "E5": 3, "E8": 4, "E16": 4, "B": 1, "D": 1},
    "C weights": {"rl": 0.25, "grpo": 1, "maxrl": 1, "ml": 0.75},
    "C shares": {"rl": 0.5, "grpo": 0.5, "maxrl": 0.5, "ml": 0.5},
    "C hardest": {"": 1},
    "C lost": {"": 1.5},
    "C sd": {"": 1.5},
    "C runs": {"rloo": 1.5, "grpo": 1.5, "maxrl": 1.5, "exact": 1.5},
    "D has_order": {"": 5},
    "D is_verifier": {"": 5},
}
# By the last word of a line, or by the first; all others are `held`.
CHECKS: dict[str, Callable[..., Outcome]] = {
    **dict.fromkeys(("E", "E4", "E5", "E8", "E16"), checks.expectation),
    **dict.fromkeys(("K1", "D"), checks.equal_rewards),
    **dict.fromkeys(("has_order", "is_verifier"), checks.caught),
    **dict.fromkeys(questions.HINTS, questions.graded),
    "runs": questions.runs, "verify": checks.verify, "constant": checks.constant,
}  # fmt: skip


class Check(NamedTuple):
    """One line of the results."""

    part: str
    name: str  # its words are what the check is called with
    points: float

    def run(self, student: Student) -> Outcome:
        words = self.name.split()
        check = CHECKS.get(words[0]) or CHECKS.get(words[-1], checks.held)
        try:
            return check(student, *words)
        except Failed as failed:
            return 0, str(failed)


TABLE = [Check(part_and_name[0], f"{part_and_name[2:]} {word}".strip(), points)
         for part_and_name, lines in POINTS.items() for word, points in lines.items()]  # fmt: skip
