"""Modular products, the modulus in the prompt: ` 12* 34%  7=` -> `2`. `python -m data.modular`."""

import numpy as np

from data.arithmetic import Arithmetic, show


class Task(Arithmetic):
    """a * b mod m for numbers of 1 to `digits` digits, m at least 2."""

    operators = "*%"
    commutes = True

    def answer(self, a: int, b: int, m: int) -> int:
        return a * b % m

    def longest_answer(self) -> int:
        return self.digits

    def draw_operands(self, rng: np.random.Generator, n: int) -> np.ndarray:
        operands = super().draw_operands(rng, n)
        operands[:, 2] = operands[:, 2].clip(min=2)
        return operands


if __name__ == "__main__":
    show(Task)
