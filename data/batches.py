"""Which problems a step sees, as text and as tokens, and the generators behind every random draw.

No random state is carried from step to step: each draw has a generator of its own, made from the
seed, a purpose and the step. So no draw depends on how often anything else drew, and a resumed run
needs no saved state. Example:

    >>> from data import make_task
    >>> task = make_task("addition", {"digits": 3, "reverse": False})
    >>> draw_problems(task, seed=0, step=1, n=2) == draw_problems(task, seed=0, step=1, n=2)
    True
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from data import Problems, Task
from data.tokenizer import encode_completions, encode_prompts


def rng(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """The generator of one step's draws for one purpose."""
    return np.random.default_rng([seed, step, *purpose.encode()])


def torch_rng(seed: int, purpose: str, step: int, device: torch.device) -> torch.Generator:
    """The same for torch. It is on the CPU for MPS, which lacks some of the samplers."""
    generator = torch.Generator("cuda" if device.type == "cuda" else "cpu")
    return generator.manual_seed(int(rng(seed, purpose, step).integers(2**63)))


@lru_cache(maxsize=1)
def fixed_problems(draw: Callable, seed: int, n: int) -> Problems:
    """The problems of --train-prompts; `draw` is the task's."""
    return draw(rng(seed, "pool"), n, "train")


def draw_problems(
    task: Task, seed: int, step: int, n: int, fixed: int = 0, purpose: str = "data"
) -> Problems:
    """n training problems for a step: fresh ones, or, if `fixed` is not 0, the next n of that many
    fixed problems, which are shuffled anew in each epoch."""
    if not fixed:
        return task.draw(rng(seed, purpose, step), n, "train")
    problems = fixed_problems(task.draw, seed, fixed)
    first = (step - 1) * n
    epochs = range(first // fixed, (first + n - 1) // fixed + 1)
    order = np.concatenate([rng(seed, "epoch", e).permutation(fixed) for e in epochs])
    return [problems[i] for i in order[first - epochs[0] * fixed :][:n]]


def held_out_problems(task: Task, n: int, split: str) -> dict[tuple[str, str], float]:
    """Different problems of a split with their weights, which sum to 1: a weighted mean over them
    estimates the mean over the problems that the task draws.

    If the split has at most n problems, all of them are returned, weighted by their chances.
    Otherwise n problems are drawn, always the same ones; one drawn c times has weight c/n.
    """
    if (every := task.every(split)) and len(every) <= n:
        return every
    draws = Counter(task.draw(rng(0, "held-out"), n, split))
    return {problem: c / n for problem, c in draws.items()}


@dataclass
class Batch:
    """B problems, as text and as tokens on the device."""

    texts: list[str]  # the prompts
    references: list[str]  # the reference answers
    prompts: Tensor  # (B, P) int64
    answers: Tensor  # (B, L) int64, the reference answers


def make_batch(problems: Problems, task: Task, device: torch.device) -> Batch:
    """Tokenize problems."""
    texts, answers = map(list, zip(*problems, strict=True))
    completions = encode_completions(answers, task.max_new_tokens)
    tokens = (torch.from_numpy(ids).to(device) for ids in (encode_prompts(texts), completions))
    return Batch(texts, answers, *tokens)
