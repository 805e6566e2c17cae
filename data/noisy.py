"""Sums seen through noise: `12+34~` -> a draw from N(46, noise). `python -m data.noisy`.

A completion is not right or wrong: of the number z it writes, verify.likelihood says how likely it
makes the target y, with a standard deviation sigma of its own. Maximum likelihood then learns to
spread z by sqrt(noise^2 - sigma^2) around the sum, so that z plus N(0, sigma) is distributed as y
is. Expected likelihood and regression are best served by one point.
"""

from typing import Any, ClassVar

import numpy as np

from data.arithmetic import Arithmetic, show

MOST = 8  # standard deviations; beyond them noise is cut off, so that an answer has a longest form


class Task(Arithmetic):
    """a + b + noise, rounded, for operands of 1 to `digits` digits."""

    operators = "+"
    commutes = True
    mark = "~"
    single_answer = False
    graded = True
    defaults: ClassVar[dict[str, Any]] = {
        "digits": 2, "sft_steps": 500, "sft_until": 1.0, "lr": 1e-4, "steps": 200,
        "eval_every": 50, "eval_prompts": 200,
    }  # fmt: skip

    def answer(self, a: int, b: int) -> int:
        return a + b

    def demonstrate(self, rng: np.random.Generator, *operands: int) -> str:
        z = np.clip(rng.standard_normal(), -MOST, MOST)
        return str(round(self.answer(*operands) + self.noise * z))

    def longest_answer(self) -> int:
        most = round(MOST * self.noise)
        return max(len(str(2 * (10**self.digits - 1) + most)), len(str(-most)))


if __name__ == "__main__":
    show(Task, noise=4.0)
