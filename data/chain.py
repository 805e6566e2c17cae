"""Addition with a scratchpad: `12+34:` -> `2+4=6,10+30=40;46`. `python -m data.chain`.

The model may write anything up to the `;`, and only what follows it is judged. So a prompt has many
right rollouts, of different lengths, and its pass rate is the sum over all of them. Demonstrations
come in two styles, place by place or as a running sum, so no one way of working is prescribed.
"""

from typing import Any, ClassVar

import numpy as np

from data import LARGER
from data.arithmetic import Arithmetic, show


def place_by_place(a: int, b: int) -> str:
    """12, 34 -> `2+4=6,10+30=40;46`: the sum of each place, then the whole sum."""
    steps = []
    for i in range(max(len(str(a)), len(str(b)))):
        x, y = (n // 10**i % 10 * 10**i for n in (a, b))
        steps.append(f"{x}+{y}={x + y}")
    return f"{','.join(steps)};{a + b}"


def running_sum(a: int, b: int) -> str:
    """12, 34 -> `12+4=16,16+30=46;46`: the places of b are added one after another."""
    total, steps = a, []
    for i in range(len(str(b))):
        part = b // 10**i % 10 * 10**i
        steps.append(f"{total}+{part}={total + part}")
        total += part
    return f"{','.join(steps)};{total}"


class Task(Arithmetic):
    """a + b for operands of 1 to `digits` digits, with the work shown."""

    operators = "+"
    commutes = True
    mark = ":"
    single_answer = False
    defaults: ClassVar[dict[str, Any]] = LARGER | {
        "reverse": False, "sft_steps": 250, "sft_until": 1.0, "lr": 1e-4, "steps": 60,
        "eval_every": 20, "eval_prompts": 200,
    }  # fmt: skip

    def answer(self, a: int, b: int) -> int:
        return a + b

    def demonstrate(self, rng: np.random.Generator, *operands: int) -> str:
        style = (place_by_place, running_sum)[rng.integers(2)]
        return style(*operands)

    def longest_answer(self) -> int:
        largest = 10**self.digits - 1  # in both styles larger digits never give shorter texts
        return max(len(style(largest, largest)) for style in (place_by_place, running_sum))


if __name__ == "__main__":
    show(Task)
