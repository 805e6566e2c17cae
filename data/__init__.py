"""The tasks: every file here but tokenizer.py and arithmetic.py is one, and its name is `--task`.

A task module has a class `Task(digits, reverse)` that is what this file's `Task` says.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

import numpy as np

TASKS = sorted(m.name for m in iter_modules(__path__) if m.name not in ("tokenizer", "arithmetic"))


class Task(Protocol):
    """What a run needs of a task."""

    digits: int
    reverse: bool
    prompt_width: int  # characters of every prompt
    max_new_tokens: int  # tokens of the longest legal answer, the end token included
    single_answer: bool  # True if the reference answer is the only correct completion

    def draw(self, rng: np.random.Generator, n: int, split: str) -> list[tuple[str, str]]:
        """n problems as (prompt, reference answer); split is "train" or "held-out"."""

    def align(self, text: str) -> str:
        """A prompt as a person types it -> as the model knows it. ValueError says what is wrong."""


def make_task(name: str, digits: int, reverse: bool) -> Task:
    """The task called `name`; ValueError if it cannot be built with these settings."""
    if name not in TASKS:
        raise ValueError(f"there is no task {name}; there are {', '.join(TASKS)}")
    return import_module(f"data.{name}").Task(digits, reverse)
