"""The one table of points: what is graded automatically, in which part, for how much.

Change a number, or take a line out, and the homework has other points; release.py checks that the
reference still gets all of them. 80 in all; the prose of part C is worth 20 more, by a person.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import break_it
import checks
import questions
import replay
from checks import Outcome, Student


@dataclass
class Check:
    """One line of the results."""

    part: str
    name: str
    points: float
    title: str
    run: Callable[[Student], Outcome]


E, B, D, K1 = checks.expectation, checks.in_a_batch, checks.dead_groups, checks.group_of_one
C, LOSS = questions.graded, checks.loss_gradient
BATCH = "a group alone, in a batch, in another order (B)"
EQUAL = "groups whose rewards are all equal (D)"

TABLE = [
    Check("A", "verify right", 2, "right answers are right", checks.verify_right),
    Check("A", "verify short", 3, "all texts of up to 3 of 10 symbols", checks.verify_short),
    Check("A", "verify alike", 2, "what looks like the answer", checks.verify_alike),
    Check("A", "verify prompts", 1, "prompts that ask for nothing", checks.verify_prompts),
    Check("A", "reinforce E", 1, "expected gradient (E)", partial(E, name="reinforce")),
    Check("A", "reinforce B", 0.5, BATCH, partial(B, name="reinforce")),
    Check("A", "rloo E", 1.5, "expected gradient (E)", partial(E, name="rloo")),
    Check("A", "rloo K1", 0.5, "a group of one (K1)", partial(K1, name="rloo")),
    Check("A", "rloo B", 1, BATCH, partial(B, name="rloo")),
    Check("A", "rloo D", 0.5, EQUAL, partial(D, name="rloo")),
    Check("A", "grpo E", 1, "expected gradient (E)", partial(E, name="grpo")),
    Check("A", "grpo unit", 1, "mean 0 and variance 1", checks.unit_variance),
    Check("A", "grpo B", 1, BATCH, partial(B, name="grpo")),
    Check("A", "grpo D", 1, EQUAL, partial(D, name="grpo", ks=(1, 2, 5, 16))),
    Check("A", "maxrl E", 2.5, "expected gradient (E)", partial(E, name="maxrl")),
    Check("A", "maxrl K1", 0.5, "a group of one (K1)", partial(K1, name="maxrl")),
    Check("A", "maxrl B", 1, BATCH, partial(B, name="maxrl")),
    Check("A", "maxrl D", 1, EQUAL, partial(D, name="maxrl")),
    Check("A", "maxrl_raw E", 1.5, "expected gradient (E)", partial(E, name="maxrl_raw")),
    Check("A", "maxrl_raw B", 0.5, BATCH, partial(B, name="maxrl_raw")),
    Check("A", "maxrl_raw D", 1, EQUAL, partial(D, name="maxrl_raw", ks=(1, 2, 5), passed=1)),
    Check("A", "pass_at_k brute", 2.5, "counted, for small n", checks.pass_brute),
    Check("A", "pass_at_k large", 1.5, "n = 100,000", checks.pass_large),
    Check("A", "pass_at_k edges", 1, "no success, and n < k", checks.pass_edges),
    Check("A", "mask", 1, "completion_mask: up to the first end token", checks.mask),
    Check("A", "logprobs sum", 2.5, "summed_logprobs: up to the end token", checks.logprobs_sum),
    Check("A", "logprobs gradient", 1.5, "summed_logprobs: gradient", checks.logprobs_gradient),
    Check("A", "loss gradient", 2, "policy_gradient_loss: gradient", partial(LOSS, dead=False)),
    Check("A", "loss divisor", 1.5, "policy_gradient_loss: the divisor", partial(LOSS, dead=True)),
    Check("A", "loss constant", 1.5, "policy_gradient_loss: A is constant", checks.loss_constant),
    Check("B", "own E4", 2, "expected gradient, k = 4", partial(E, name="own", ks=(4,))),
    Check("B", "own E5", 3, "expected gradient, k = 5", partial(E, name="own", ks=(5,))),
    Check("B", "own E8", 4, "expected gradient, k = 8", partial(E, name="own", ks=(8,))),
    Check("B", "own E16", 4, "expected gradient, k = 16", partial(E, name="own", ks=(16,))),
    Check("B", "own B", 1, BATCH, partial(B, name="own")),
    Check("B", "own D", 1, EQUAL, partial(D, name="own", ks=(4, 7))),
    *(Check("C", f"weights {m}", x, f"question 1, {m}", partial(C, question=f"weights {m}"))
      for m, x in zip(questions.METHODS, (0.25, 1, 1, 0.75), strict=True)),
    *(Check("C", f"shares {m}", 0.5, f"question 1, {m}", partial(C, question=f"shares {m}"))
      for m in questions.METHODS),
    Check("C", "factor", 1, "question 1, the hardest prompt", partial(C, question="factor")),
    Check("C", "lost", 1.5, "question 2, the lost term", partial(C, question="lost")),
    Check("C", "noise", 1.5, "question 3, standard deviations", partial(C, question="noise")),
    *(Check("C", f"runs {m}", 1.5, f"question 5, three runs of {m}", partial(replay.own, method=m))
      for m in replay.METHODS),
    Check("C", "runs exact", 1.5, "question 4, three runs of exact", replay.exact),
    Check("D", "has_order", 5, "the property test of estimators",
          partial(checks.caught, function="has_order", drawn=break_it.estimators)),
    Check("D", "is_verifier", 5, "the property test of verifiers",
          partial(checks.caught, function="is_verifier", drawn=break_it.verifiers)),
]  # fmt: skip
