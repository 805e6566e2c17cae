"""Countdown: `3,5,7,2:24=` -> `3*7+5-2`, or any other way. Ten rows: `python -m data.countdown`.

Reach the target with + - * and parentheses, using each number exactly once. Most problems have many
right answers. A problem is made from a random expression, which is then its demonstration.
"""

import re
from typing import Any, ClassVar

import numpy as np

import verify
from data import LARGER, Problems
from data import Task as Base
from data.arithmetic import show
from data.splits import in_split, split_hash

N_NUMBERS = 4
Part = tuple[int, str, int]  # an expression: value, text, how tightly its last operator binds


def join(left: Part, operator: str, right: Part) -> Part:
    """Two expressions joined into one, with parentheses only where they are needed."""
    binds = 2 if operator == "*" else 1
    (a, x, x_binds), (b, y, y_binds) = left, right
    x = f"({x})" if x_binds < binds else x
    y = f"({y})" if y_binds < binds or (operator == "-" and y_binds == 1) else y
    value = {"+": a + b, "-": a - b, "*": a * b}[operator]
    return value, f"{x}{operator}{y}", binds


def random_expression(rng: np.random.Generator, numbers: list[int]) -> Part:
    """Neighbours are joined, in a random order, until one expression is left."""
    parts = [(n, str(n), 3) for n in numbers]
    while len(parts) > 1:
        i = rng.integers(len(parts) - 1)
        parts[i : i + 2] = [join(parts[i], "+-*"[rng.integers(3)], parts[i + 1])]
    return parts[0]


class Task(Base):
    """Four numbers of 1 to `digits` digits; a target has at most one digit more."""

    single_answer = False
    takes: ClassVar[tuple[str, ...]] = ("digits", "reverse")
    defaults: ClassVar[dict[str, Any]] = LARGER | {
        "digits": 1, "reverse": False, "sft_steps": 600, "sft_until": 1.0, "lr": 1e-4, "steps": 150,
        "eval_every": 50, "eval_prompts": 200,
    }  # fmt: skip

    def __init__(self, digits: int, reverse: bool = False):
        if not 1 <= digits <= 4:
            raise ValueError(f"digits must be 1 to 4 in countdown, not {digits}")
        if reverse:
            raise ValueError("only tasks whose prompts end in a result can be reversed")
        self.digits = digits
        self.largest_target = 10 ** (digits + 1) - 1
        self.prompt_width = len(self.write_prompt([1] * N_NUMBERS, 1))
        operators = N_NUMBERS - 1  # each of them may have a pair of parentheses
        self.max_new_tokens = N_NUMBERS * digits + 3 * operators + 1

    def verify(self, prompt: str, completion: str) -> bool:
        return verify.verify(prompt, completion)

    def write_prompt(self, numbers: list[int], target: int) -> str:
        """[3, 5, 7, 2], 24 -> `3,5,7,2:24=`, every number padded to its place."""
        listed = ",".join(str(n).rjust(self.digits) for n in numbers)
        return f"{listed}:{str(target).rjust(self.digits + 1)}="

    def draw(self, rng: np.random.Generator, n: int, split: str) -> Problems:
        """n problems of a split as (prompt, one expression that solves it). They may repeat."""
        problems: Problems = []
        while len(problems) < n:
            numbers = rng.integers(1, 10**self.digits, N_NUMBERS).tolist()
            target, text, _ = random_expression(rng, numbers)
            key = np.array([[*sorted(numbers), max(target, 0)]])  # the numbers have no order
            if 1 <= target <= self.largest_target and in_split(split_hash(key, False), split)[0]:
                rng.shuffle(numbers)  # or their order would give the expression away
                problems.append((self.write_prompt(numbers, target), text))
        return problems

    def align(self, text: str) -> str:
        """`3,5,7,2:24` as a person types it -> the prompt. ValueError says what is expected."""
        match = re.fullmatch(r"([0-9]+(?:,[0-9]+)*):([0-9]+)=?", text.replace(" ", ""))
        numbers = [int(x) for x in match[1].split(",")] if match else []
        if (
            not match
            or len(numbers) != N_NUMBERS
            or not 0 < min(numbers) <= max(numbers) < 10**self.digits
        ):
            example = self.write_prompt([3, 5, 7, 2], 24)
            raise ValueError(f"{text!r} is not a prompt of this task; '{example}' is one")
        if not 1 <= int(match[2]) <= self.largest_target:
            raise ValueError(f"targets are 1 to {self.largest_target}, not {match[2]}")
        return self.write_prompt(numbers, int(match[2]))


if __name__ == "__main__":
    show(Task)
