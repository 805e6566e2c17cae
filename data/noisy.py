"""Sums seen through noise: `12+34~` -> a draw from N(46, noise). `python -m data.noisy`.

A completion is neither right nor wrong. For the number z that it writes, verify.likelihood says how
likely the target y is under N(z, sigma); sigma is a setting of its own, apart from the noise.
Maximum likelihood then learns to spread z by sqrt(noise^2 - sigma^2) around the sum, so that z plus
N(0, sigma) has the distribution of y. Expected likelihood and regression are best served by a
single number.
"""

from typing import Any, ClassVar

import numpy as np

import verify
from data import LARGER
from data.arithmetic import Arithmetic, show

MOST = 8  # standard deviations; noise is cut off beyond them, so that answers have a maximum length
REGRESSION_CLIP = 8.0  # standard deviations sigma; an error beyond it costs no more


class Task(Arithmetic):
    """a + b + noise, rounded, for operands of 1 to `digits` digits."""

    operators = "+"
    commutes = True
    mark = "~"
    single_answer = False
    graded = True
    takes: ClassVar[tuple[str, ...]] = ("digits", "reverse", "noise", "sigma", "reward")
    defaults: ClassVar[dict[str, Any]] = LARGER | {
        "reverse": False, "sft_steps": 500, "sft_until": 1.0, "lr": 1e-4, "steps": 200,
        "eval_every": 50, "eval_prompts": 200,
    }  # fmt: skip

    def __init__(
        self, digits: int, reverse: bool, noise: float, sigma: float, reward: str = "likelihood"
    ):
        self.noise, self.sigma, self.regression = noise, sigma, reward == "regression"
        super().__init__(digits, reverse)

    def answer(self, a: int, b: int) -> int:
        return a + b

    def likelihood(self, prompt: str, completion: str, reference: str) -> float:
        """The likelihood, in [0, 1], of the target given the number that the completion writes."""
        return verify.likelihood(prompt, completion, float(reference), self.sigma)

    def reward(self, prompt: str, completion: str, reference: str) -> float:
        """The likelihood of the target or, with --reward regression, minus the squared error."""
        if self.regression:
            clip = REGRESSION_CLIP * self.sigma
            return verify.regression(prompt, completion, float(reference), clip)
        return self.likelihood(prompt, completion, reference)

    def every(self, split: str) -> None:
        """A prompt has as many targets as the noise has values: they cannot be listed."""

    def demonstrate(self, rng: np.random.Generator, *operands: int) -> str:
        z = np.clip(rng.standard_normal(), -MOST, MOST)
        return str(round(self.answer(*operands) + self.noise * z))

    def longest_answer(self) -> int:
        most = round(MOST * self.noise)
        return max(len(str(2 * (10**self.digits - 1) + most)), len(str(-most)))


if __name__ == "__main__":
    show(Task, noise=4.0, sigma=2.0, reward="likelihood")
