"""Expert iteration and STaR: the self-training relatives of MaxRL, which filter and imitate.

    python train.py --task countdown --method expert-iteration --rounds 8

A round samples k rollouts for each of a pool of prompts, keeps the distinct right ones, and does a
few epochs of cross-entropy on them. Expert iteration (Anthony 2017, arXiv 1705.08439) goes on from
there; STaR (Zelikman 2022, arXiv 2203.14465; here without its rationalization of failures) starts
every round again from the weights of the beginning. A success counts 1 and a failure 0, whatever
the pass rate: filters, where MaxRL reweights continuously. One round is one `step` of the log.
Left out: everything around a round (train.py).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from config import Config
from data import Task
from model import GPT, Rollouts
from rollouts import (
    draw_problems,
    make_batch,
    rescore,
    rng,
    roll_out,
    rollout_figures,
    score,
    torch_rng,
)


def one_round(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    config: Config,
    task: Task,
    step: int,
    start: dict[str, Tensor],
    update: Callable[[float], float],
) -> dict[str, Any]:
    """Sample, keep, imitate. The figures of the rollouts, and of the last update of the round.

    start: the weights that STaR returns to. update: applies the gradients of a batch, given its
    loss, and returns their norm.
    """
    device = next(model.parameters()).device
    if config.method == "star":
        model.load_state_dict(start)
        optimizer.state.clear()
    pool = draw_problems(replace(config, batch_size=config.pool), task, step)
    batch = make_batch(pool, task, device)
    generator = torch_rng(config.seed, "rollouts", step, device)
    rollouts = roll_out(model, batch.prompts, config.k, task, generator)
    rewards = score(batch, rollouts, task, config)
    kept = distinct_successes(batch.texts, rollouts, rewards)
    shuffle = rng(config.seed, "shuffle", step)
    loss, norm = 0.0, 0.0
    for _ in range(config.epochs):
        order = torch.from_numpy(shuffle.permutation(len(kept))).to(device)
        for part in order.split(config.batch_size) if len(kept) else ():
            loss = imitate(
                model, batch.prompts, rollouts.prompt[kept[part]], rollouts.tokens[kept[part]]
            )
            norm = update(loss)
    figures = rollout_figures(rollouts, rewards, config.pool, config.k)
    return {"loss": loss} | figures | {"grad_norm": norm}


def distinct_successes(texts: list[str], rollouts: Rollouts, rewards: Tensor) -> Tensor:
    """Which of U completions to imitate: each right answer to a prompt once, also if the prompt
    is in the pool more than once."""
    first: dict[tuple[str, tuple[int, ...]], int] = {}
    prompts, tokens = rollouts.prompt.tolist(), rollouts.tokens.tolist()
    for i in rewards.nonzero().squeeze(1).tolist():
        first.setdefault((texts[prompts[i]], tuple(tokens[i])), i)
    return torch.tensor(list(first.values()), dtype=torch.long, device=rewards.device)


def imitate(model: GPT, prompts: Tensor, prompt: Tensor, tokens: Tensor) -> float:
    """Cross-entropy of completions tokens (U, L) of the prompts (U,) in (B, P), differentiated."""
    for w in model.parameters():
        w.grad = None
    loss = -rescore(model, prompts, prompt, tokens).mean()
    loss.backward()
    return loss.item()
