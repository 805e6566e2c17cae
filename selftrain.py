"""Expert iteration and STaR: the self-training relatives of MaxRL, which filter and imitate.

    python train.py --task countdown --method expert-iteration --rounds 8

A round samples k rollouts for each of a pool of prompts, keeps the distinct right ones, and does a
few epochs of cross-entropy on them. Expert iteration (Anthony 2017, arXiv 1705.08439) continues
with the weights that result. STaR (Zelikman 2022, arXiv 2203.14465; here without its
rationalization of failures) starts every round from the initial weights. A success counts 1 and
a failure 0, whatever the pass rate: these methods filter, whereas MaxRL reweights continuously. One
round is one `step` of the log.

This file chooses the completions to imitate; train.py (`self_training_round`) imitates them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from data import Task
from data.batches import draw_problems, make_batch, rng, torch_rng
from harness.config import Config
from model import GPT
from rollouts import rewards_of, roll_out, rollout_figures
from tree import Rollouts


def successes(
    model: GPT, config: Config, task: Task, step: int
) -> tuple[Tensor, Rollouts, dict[str, float | None]]:
    """Sample and keep: returns the prompts of the pool (B, P), the distinct right completions among
    k rollouts of each prompt, and the figures of all rollouts."""
    device = next(model.parameters()).device
    pool = draw_problems(task, config.seed, step, config.pool, config.train_prompts)
    batch = make_batch(pool, task, device)
    generator = torch_rng(config.seed, "rollouts", step, device)
    rollouts = roll_out(model, batch.prompts, config.k, task, generator)
    rewards = rewards_of(batch, rollouts, task)
    kept = distinct_successes(batch.texts, rollouts, rewards)
    right = Rollouts(*(column[kept] for column in vars(rollouts).values()))
    return batch.prompts, right, rollout_figures(rollouts, rewards, config.pool, config.k)


def distinct_successes(texts: list[str], rollouts: Rollouts, rewards: Tensor) -> Tensor:
    """The indices, among U completions, of those to imitate: each right answer to a prompt once,
    even if the prompt is in the pool several times."""
    first: dict[tuple[str, tuple[int, ...]], int] = {}
    groups, tokens = rollouts.group.tolist(), rollouts.tokens.tolist()
    for i in rewards.nonzero().squeeze(1).tolist():
        first.setdefault((texts[groups[i]], tuple(tokens[i])), i)
    return torch.tensor(list(first.values()), dtype=torch.long, device=rewards.device)


def mini_batches(right: Rollouts, config: Config, step: int) -> Iterator[Tensor]:
    """--epochs passes over the completions, shuffled, --batch-size at a time: their indices."""
    shuffle, n = rng(config.seed, "shuffle", step), len(right.count)
    for _ in range(config.epochs):
        order = torch.from_numpy(shuffle.permutation(n)).to(right.count.device)
        yield from order.split(config.batch_size) if n else ()
