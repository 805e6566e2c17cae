"""The tasks: every file here that is not in SHARED is one, and its name is `--task`.

A task module has a class `Task(digits, reverse, noise)` that is what this file's `Task` says.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar, Protocol

import numpy as np


class Task(Protocol):
    """What a run needs of a task."""

    digits: int
    reverse: bool
    noise: float  # standard deviation of the target, where there is one
    prompt_width: int  # characters of every prompt
    max_new_tokens: int  # tokens of the longest legal answer, the end token included
    single_answer: bool  # True if the reference answer is the only correct completion
    graded: bool  # True if a completion has a likelihood in [0, 1] and not a verdict
    defaults: ClassVar[dict[str, Any]]  # flags of train.py that this task wants other defaults for

    def draw(self, rng: np.random.Generator, n: int, split: str) -> list[tuple[str, str]]:
        """n problems as (prompt, reference answer); `split` is one of arithmetic.SPLITS."""

    def align(self, text: str) -> str:
        """A prompt as a person types it -> as the model knows it. ValueError says what is wrong."""


SHARED = ("tokenizer", "arithmetic", "batches")
TASKS = sorted(m.name for m in iter_modules(__path__) if m.name not in SHARED)


def task_class(name: str) -> Any:
    """The class of the task called `name`; ValueError if there is none."""
    if name not in TASKS:
        raise ValueError(f"there is no task {name}; there are {', '.join(TASKS)}")
    return import_module(f"data.{name}").Task


def make_task(name: str, digits: int, reverse: bool, noise: float = 0.0) -> Task:
    """The task called `name`; ValueError if it cannot be built with these settings."""
    return task_class(name)(digits, reverse, noise)
