"""From prompts to rewards: what every step, every evaluation and sample.py begin with.

    prompts -> k rollouts of each (tree.generate) -> a reward of each (verify.py)

Left out: where the prompts come from (data/batches.py), and what is done with the rewards
(maxrl.py, train.py, selftrain.py, evaluate.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from data import Task
from data.batches import Batch
from data.tokenizer import END, PAD, decode
from harness.config import Config
from model import GPT
from tree import Rollouts, generate
from verify import likelihood, regression, verify

REGRESSION_CLIP = 8.0  # standard deviations sigma; an error beyond it costs no more


def roll_out(
    model: GPT, prompts: Tensor, k: int, task: Task, generator: torch.Generator
) -> Rollouts:
    """k rollouts of each prompt (B, P), as long as the task's longest legal answer."""
    max_nodes = 2**16 if prompts.is_cuda else 1024
    words = {"end": END, "pad": PAD, "max_nodes": max_nodes}
    return generate(model, prompts, k, task.max_new_tokens, generator=generator, **words)


def said(rollouts: Rollouts) -> list[str | None]:
    """What each of U completions says up to its end token; None if it has none."""
    rows = zip(rollouts.tokens.tolist(), rollouts.ended.tolist(), strict=True)
    return [decode(ids) if ended else None for ids, ended in rows]


def verdicts(texts: list[str], rollouts: Rollouts) -> Tensor:
    """(U,) rewards, 0 or 1: the completion ended, and what it says up to there is right."""
    pairs = zip(rollouts.group.tolist(), said(rollouts), strict=True)
    right = [text is not None and verify(texts[b], text) for b, text in pairs]
    return torch.tensor(right, dtype=torch.float32, device=rollouts.group.device)


def rewards_of(batch: Batch, rollouts: Rollouts, task: Task, config: Config) -> Tensor:
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
        for b, text in zip(rollouts.group.tolist(), said(rollouts), strict=True)
    ]
    return torch.tensor(rewards, device=rollouts.group.device)


def rollout_figures(
    rollouts: Rollouts, rewards: Tensor, B: int, k: int, graded: bool = False
) -> dict[str, float | None]:
    """What the log says of all the rollouts of a step, before any was dropped or weighted.

    pass_rate is the mean reward. Groups are live, dead or all_pass only by verdicts, else None.
    """
    total = rewards.new_zeros(B).index_add(0, rollouts.group, rewards * rollouts.count)
    shares = {"live": total > 0, "dead": total == 0, "all_pass": total == k}
    return {
        "pass_rate": total.sum().item() / (B * k),
        **{name: None if graded else x.float().mean().item() for name, x in shares.items()},
        "unique": len(rewards) / (B * k),
        "eos_rate": (rollouts.ended * rollouts.count).sum().item() / (B * k),
        "entropy": -(rollouts.logprob * rollouts.count).sum().item() / (B * k),
    }
