"""The tasks: every file here that is not in SHARED holds one; `--task` takes the file's name.

A task module has a class `Task`, derived from the `Task` of this file. The derived class says what
a problem is and which answers are right; the base class does the rest. Example:

    >>> task = make_task("addition", {"digits": 2, "reverse": False})
    >>> task.align("1+2"), task.verify(" 1+ 2=", "3"), task.reward(" 1+ 2=", "4", "3")
    (' 1+ 2=', True, 0.0)
"""

import math
from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, ClassVar

import numpy as np

from data.splits import text_in_split
from data.tokenizer import encode
from harness import UsageError

SHARED = ("tokenizer", "splits", "arithmetic", "batches")
TASKS = sorted(m.name for m in iter_modules(__path__) if m.name not in SHARED)
Problems = list[tuple[str, str]]  # prompts with their reference answers
LARGER = {"n_layer": 2, "n_head": 5, "n_embd": 160, "batch_size": 128, "sft_lr": 1e-3}  # defaults
TRIES = 10_000  # problems that are drawn in vain before a split counts as empty


class Task:
    """What a run needs from a task. A derived class sets the first two attributes and writes the
    first two methods."""

    prompt_width: int  # characters of every prompt
    max_new_tokens: int  # tokens of the longest right answer, the end token included
    single_answer = True  # whether the reference answer is the only right one
    graded = False  # whether rewards are grades instead of verdicts
    takes: ClassVar[tuple[str, ...]] = ()  # the flags of train.py that build this task
    defaults: ClassVar[dict[str, Any]] = {}  # flags that have another default for this task

    def problem(self, rng: np.random.Generator) -> tuple[str, str]:
        """One random problem: its prompt and a reference answer."""
        raise NotImplementedError

    def verify(self, prompt: str, completion: str) -> bool:
        """Whether a completion (up to its end token) is right. It must never raise an exception."""
        raise NotImplementedError

    def reward(self, prompt: str, completion: str, reference: str) -> float:
        """What a completion earns: by default the verdict, as 0 or 1."""
        return float(self.verify(prompt, completion))

    def draw(self, rng: np.random.Generator, n: int, split: str) -> Problems:
        """n problems of a split. They may repeat. ValueError if the split is empty."""
        problems: Problems = []
        in_vain = 0
        while len(problems) < n:
            problem = self.problem(rng)
            if text_in_split(problem[0], split):
                problems.append(problem)
                in_vain = 0
            elif (in_vain := in_vain + 1) == TRIES:
                raise ValueError(f"this task has hardly any {split} problems")
        return problems

    def every(self, split: str) -> dict[tuple[str, str], float] | None:
        """All problems of a split, each with the chance that it is drawn; None if not known."""
        return None

    def align(self, text: str) -> str:
        """A prompt as a person types it -> as the model knows it. ValueError says what is wrong."""
        if len(text) != self.prompt_width:
            raise ValueError(
                f"{text!r} is not a prompt of this task, whose prompts have "
                f"{self.prompt_width} characters"
            )
        return text

    def show(self, prompt: str, completion: str) -> str:
        """A problem and an answer as a person writes them."""
        return prompt + completion

    def notation(self) -> str:
        """A few words about how problems and answers are written; "" if there is nothing to say."""
        return ""


def task_class(name: str) -> type[Task]:
    """The class of the task called `name`; UsageError if there is none or its file fails."""
    if name not in TASKS:
        raise UsageError(f"there is no task {name}; there are {', '.join(TASKS)}")
    try:
        return import_module(f"data.{name}").Task
    except Exception as error:
        raise UsageError(f"data/{name}.py cannot be imported: {in_a_line(error)}") from error


def make_task(name: str, settings: Mapping[str, Any]) -> Task:
    """The task called `name`, built from those of the settings that it takes. ValueError if it
    cannot be built from these."""
    kind = task_class(name)
    try:
        return kind(**{flag: settings[flag] for flag in kind.takes})
    except (TypeError, AttributeError) as error:
        raise ValueError(f"data/{name}.py cannot build its Task: {in_a_line(error)}") from error


def in_a_line(error: Exception) -> str:
    """What went wrong in somebody's file."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def check_task(name: str, task: Task, split: str) -> None:
    """ValueError in one line if the task contradicts itself on a few dozen problems of a split.

    Otherwise a mistake in a new task would show only as a model that learns nothing.
    """
    file = f"data/{name}.py"
    try:
        problems = task.draw(np.random.default_rng(0), 48, split)
        for (prompt, reference), (_, other) in zip(problems, problems[1:] + problems, strict=False):
            encode(prompt + reference)
            wrong = contradiction(task, prompt, reference, other)
            if wrong:
                raise ValueError(wrong)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    except Exception as error:
        raise ValueError(f"{file} fails on a {split} problem: {in_a_line(error)}") from error


def contradiction(task: Task, prompt: str, reference: str, other: str) -> str:
    """What is wrong with a problem, and what would fix it; "" if nothing is. other: the reference
    of another problem, which should be wrong here where only one answer is right."""
    if len(prompt) != task.prompt_width:
        return (
            f"the prompt {prompt!r} has {len(prompt)} characters and prompt_width is "
            f"{task.prompt_width}: make them equal"
        )
    if len(reference) + 1 > task.max_new_tokens:
        return (
            f"the reference {reference!r} and its end token are {len(reference) + 1} tokens and "
            f"max_new_tokens is {task.max_new_tokens}: raise it"
        )
    earned = [task.reward(prompt, text, reference) for text in (reference, "")]
    if not all(map(math.isfinite, earned)):
        return f"the rewards of {reference!r} and of an empty answer are {earned}: make them finite"
    if earned[0] <= earned[1]:
        return (
            f"the reference {reference!r} of {prompt!r} earns no more than an empty answer: "
            "fix verify, or the reference"
        )
    for text in (other, f"0{reference}", f"+{reference}"):
        is_right = text not in ("", reference) and task.verify(prompt, text)
        if is_right and task.single_answer and len(text) < task.max_new_tokens:
            return (
                f"{reference!r} and {text!r} are both right for {prompt!r}: set single_answer to "
                "False, or fix verify"
            )
    return ""
