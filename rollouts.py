"""From prompts to rewards: what every step, every evaluation and sample.py begin with.

    prompts -> k rollouts of each (tree.generate) -> a reward of each (the task's)

Left out: where the prompts come from (data/batches.py), what is right (the task, in data/), and
what becomes of the rewards (maxrl.py, train.py, selftrain.py, evaluate.py).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from data import Task
from data.batches import Batch
from data.tokenizer import END, PAD, decode
from model import GPT
from tree import Rollouts, generate


def roll_out(
    model: GPT, prompts: Tensor, k: int, task: Task, generator: torch.Generator
) -> Rollouts:
    """k rollouts of each prompt (B, P), at most as long as the task's longest right answer."""
    max_nodes = 2**16 if prompts.is_cuda else 1024
    words = {"end": END, "pad": PAD, "max_nodes": max_nodes}
    return generate(model, prompts, k, task.max_new_tokens, generator=generator, **words)


def said(rollouts: Rollouts) -> list[str | None]:
    """What each of U completions says up to its end token; None if it has none."""
    rows = zip(rollouts.tokens.tolist(), rollouts.ended.tolist(), strict=True)
    return [decode(ids) if ended else None for ids, ended in rows]


def verdicts(texts: list[str], rollouts: Rollouts, task: Task) -> Tensor:
    """(U,) of 0 and 1: the completion ended, and its text up to there is right."""
    pairs = zip(rollouts.group.tolist(), said(rollouts), strict=True)
    right = [text is not None and task.verify(texts[b], text) for b, text in pairs]
    return torch.tensor(right, dtype=torch.float32, device=rollouts.group.device)


def rewards_of(batch: Batch, rollouts: Rollouts, task: Task) -> Tensor:
    """(U,) rewards, as the task gives them."""
    return graded_by(task.reward, batch, rollouts, task)


def graded_by(
    reward: Callable[[str, str, str], float], batch: Batch, rollouts: Rollouts, task: Task
) -> Tensor:
    """(U,) values of a function of (prompt, completion, reference).

    A completion without an end token gets 0 or, where rewards are graded, what an empty text gets.
    """
    rewards = [
        reward(batch.texts[b], text or "", batch.references[b])
        if text is not None or task.graded
        else 0.0
        for b, text in zip(rollouts.group.tolist(), said(rollouts), strict=True)
    ]
    return torch.tensor(rewards, dtype=torch.float32, device=rollouts.group.device)


def rollout_figures(
    rollouts: Rollouts, rewards: Tensor, B: int, k: int, graded: bool = False
) -> dict[str, float | None]:
    """The log's figures of all the rollouts of a step, before any is dropped or weighted.

    pass_rate is the mean reward. A group is live if it has a success, dead if it has none, and
    all_pass if it has only successes; with graded rewards these three are None.
    """
    total = rewards.new_zeros(B).index_add(0, rollouts.group, rewards * rollouts.count)
    short = (rewards != 1).to(rewards.dtype) * rollouts.count
    failures = rewards.new_zeros(B).index_add(0, rollouts.group, short)
    shares = {"live": total > 0, "dead": total == 0, "all_pass": failures == 0}
    return {
        "pass_rate": total.sum().item() / (B * k),
        **{name: None if graded else x.float().mean().item() for name, x in shares.items()},
        "unique": len(rewards) / (B * k),
        "eos_rate": (rollouts.ended * rollouts.count).sum().item() / (B * k),
        "entropy": -(rollouts.logprob * rollouts.count).sum().item() / (B * k),
    }
