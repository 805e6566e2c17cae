"""The tasks: every file here but tokenizer.py and arithmetic.py is one, and its name is `--task`.

A task module has a class `Task(digits, reverse)` with

    draw(rng, n, split)     n problems as (prompt, reference answer); split "train" or "held-out"
    align(text)             a prompt as a person types it -> as the model knows it, or ValueError
    prompt_width            characters of every prompt
    max_new_tokens          tokens of the longest legal answer, the end token included
    single_answer           True if the reference answer is the only correct completion
"""

from importlib import import_module
from pkgutil import iter_modules

TASKS = sorted(m.name for m in iter_modules(__path__) if m.name not in ("tokenizer", "arithmetic"))


def make_task(name: str, digits: int, reverse: bool):
    """The task called `name`; ValueError if it cannot be built with these settings."""
    if name not in TASKS:
        raise ValueError(f"there is no task {name}; there are {', '.join(TASKS)}")
    return import_module(f"data.{name}").Task(digits, reverse)
