"""From prompts to rewards: what every step, every evaluation and sample.py begin with.

    problems -> a batch of prompts -> k rollouts each (model.generate) -> a reward each (verify.py)

Left out: what is done with the rewards (maxrl.py, train.py, selftrain.py, evaluate.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from config import Config
from data import Task
from data.tokenizer import END, PAD, decode, encode_completions, encode_prompts
from model import GPT, Rollouts, generate, logprobs
from verify import likelihood, regression, verify

REGRESSION_CLIP = 8.0  # standard deviations sigma; an error beyond it costs no more


def rng(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """The generator of one step's draws for one purpose.

    Nothing is carried from step to step, so no draw depends on how often anything else drew, and a
    resumed run needs no saved state.
    """
    return np.random.default_rng([seed, step, *purpose.encode()])


def torch_rng(seed: int, purpose: str, step: int, device: torch.device) -> torch.Generator:
    """The same for torch; on the CPU for MPS, whose own samplers are not to be trusted."""
    generator = torch.Generator("cuda" if device.type == "cuda" else "cpu")
    return generator.manual_seed(int(rng(seed, purpose, step).integers(2**63)))


# ------------------------------------------------------------------------------------- prompts


@dataclass
class Batch:
    """B problems, as text and as tokens on the device."""

    texts: list[str]  # the prompts
    references: list[str]  # the reference answers
    prompts: Tensor  # (B, P) int64
    answers: Tensor  # (B, L) int64, the reference answers


def make_batch(problems: list[tuple[str, str]], task: Task, device: torch.device) -> Batch:
    """Tokenize problems (prompt, answer)."""
    texts, answers = map(list, zip(*problems, strict=True))
    completions = encode_completions(answers, task.max_new_tokens)
    tokens = (torch.from_numpy(ids).to(device) for ids in (encode_prompts(texts), completions))
    return Batch(texts, answers, *tokens)


@lru_cache(maxsize=1)
def fixed_problems(draw: Callable, seed: int, n: int) -> list[tuple[str, str]]:
    """The problems of --train-prompts; `draw` is the task's."""
    return draw(rng(seed, "pool"), n, "train")


def draw_problems(
    config: Config, task: Task, step: int, purpose: str = "data"
) -> list[tuple[str, str]]:
    """The training problems of a step: fresh, or the next of a fixed set, shuffled per epoch."""
    B, N = config.batch_size, config.train_prompts
    if not N:
        return task.draw(rng(config.seed, purpose, step), B, "train")
    pool = fixed_problems(task.draw, config.seed, N)
    first = (step - 1) * B
    epochs = range(first // N, (first + B - 1) // N + 1)
    order = np.concatenate([rng(config.seed, "epoch", e).permutation(N) for e in epochs])
    return [pool[i] for i in order[first - epochs[0] * N :][:B]]


# ------------------------------------------------------------------------------------ rollouts


def roll_out(
    model: GPT, prompts: Tensor, k: int, task: Task, generator: torch.Generator
) -> Rollouts:
    """k rollouts of each prompt (B, P), as long as the task's longest legal answer."""
    max_rows = 2**16 if prompts.is_cuda else 512
    words = {"end": END, "pad": PAD, "max_rows": max_rows}
    return generate(model, prompts, k, task.max_new_tokens, generator=generator, **words)


def rescore(model: GPT, prompts: Tensor, prompt: Tensor, tokens: Tensor) -> Tensor:
    """log pi of U completions, with gradients: (U,). Only the prompts that they belong to are run.

    prompts (B, P); prompt (U,), which of them a completion answers; tokens (U, L).
    """
    used, row = prompt.unique(return_inverse=True)
    return logprobs(model, prompts[used], tokens, END, row)


def said(rollouts: Rollouts) -> list[str | None]:
    """What each of U completions says up to its end token; None if it has none."""
    rows = zip(rollouts.tokens.tolist(), rollouts.ended.tolist(), strict=True)
    return [decode(ids) if ended else None for ids, ended in rows]


def verdicts(texts: list[str], rollouts: Rollouts) -> Tensor:
    """(U,) rewards, 0 or 1: the completion ended, and what it says up to there is right."""
    pairs = zip(rollouts.prompt.tolist(), said(rollouts), strict=True)
    right = [text is not None and verify(texts[b], text) for b, text in pairs]
    return torch.tensor(right, dtype=torch.float32, device=rollouts.prompt.device)


def score(batch: Batch, rollouts: Rollouts, task: Task, config: Config) -> Tensor:
    """(U,) rewards: verdicts, or if the task is graded likelihoods or regression rewards."""
    if not task.graded:
        return verdicts(batch.texts, rollouts)
    grade: Callable[[str, str, float, float], float] = likelihood
    width = config.sigma
    if config.reward == "regression":
        grade, width = regression, REGRESSION_CLIP * config.sigma
    targets = [float(reference) for reference in batch.references]
    rewards = [
        grade(batch.texts[b], text or "", targets[b], width)  # no number in no text
        for b, text in zip(rollouts.prompt.tolist(), said(rollouts), strict=True)
    ]
    return torch.tensor(rewards, device=rollouts.prompt.device)


def rollout_figures(
    rollouts: Rollouts, rewards: Tensor, B: int, k: int, graded: bool = False
) -> dict[str, float | None]:
    """What the log says of all the rollouts of a step, before any was dropped or weighted.

    pass_rate is the mean reward. Groups are live, dead or all_pass only by verdicts, else None.
    """
    count = rollouts.count.float()
    total = rewards.new_zeros(B).index_add(0, rollouts.prompt, rewards * count)
    shares = {"live": total > 0, "dead": total == 0, "all_pass": total == k}
    return {
        "pass_rate": total.sum().item() / (B * k),
        **{name: None if graded else x.float().mean().item() for name, x in shares.items()},
        "unique": len(rewards) / (B * k),
        "eos_rate": (rollouts.ended * count).sum().item() / (B * k),
        "entropy": -(rollouts.logprob * count).sum().item() / (B * k),
    }
