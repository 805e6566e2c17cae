"""What is measured on models without training them: gradients of single prompts.

Each function returns what its file in results/ holds. The models are warm starts, which train.py
keeps. Left out: drawing.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Binomial

import maxrl
import train
import tree
from data import Task
from data.batches import Batch, draw_problems, make_batch, torch_rng
from data.tokenizer import END
from harness.config import Config, checked_task, parse_args, pick_device
from model import GPT, logprobs
from paper.sweeps import SWEEPS
from rollouts import rewards_of, roll_out
from tree import Rollouts

METHODS = ("reinforce", "rloo", "grpo", "maxrl", "maxrl-raw", "maxrl-loo")
STAGES = {"base .05": "default", "base .5": "border .5"}  # -> the sweep whose warm start it is


def start(flags: str) -> tuple[GPT, Config, Task, Batch]:
    """The model that a run with these flags starts from, and its first batch of prompts."""
    config, _, _ = parse_args(flags.split())
    task, device = checked_task(config), pick_device(config.device)
    model = train.starting_model(config, task, device)
    model.zero_grad()  # a warm start that was just made has its last one
    problems = draw_problems(task, config.seed, 1, config.batch_size, config.train_prompts)
    return model, config, task, make_batch(problems, task, device)


def gradient(model: GPT) -> Tensor:
    """All gradients as one vector, which are then forgotten."""
    vector = torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None])
    model.zero_grad()
    return vector


def gradients(quick: bool) -> dict[str, Any]:
    """stage -> seed -> p of single prompts, and the norm of grad log p.

    That is all there is to measure: E[g] = w(p) grad p, whose norm is w(p) p |grad log p|.
    """
    n, seeds = (40, 1) if quick else (500, 8)
    return {
        stage: {
            seed: of_prompts(f"{SWEEPS[sweep].flags} --batch-size {n} --seed {seed}")
            for seed in range(seeds)
        }
        for stage, sweep in STAGES.items()
    }


def of_prompts(flags: str) -> dict[str, list[float]]:
    """What `gradients` holds for a seed."""
    model, _, _, batch = start(flags)
    p, norm = [], []
    for i in range(len(batch.texts)):
        logp = logprobs(model, batch.prompts[i : i + 1], batch.answers[i : i + 1], END)
        logp.sum().backward()
        p.append(float(f"{logp.double().exp().item():.4g}"))
        norm.append(float(f"{gradient(model).norm().item():.4g}"))
    return {"p": p, "norm": norm}


def expected_weight(method: str, p: Tensor, k: int) -> Tensor:
    """w(p) (N,) of a method, exactly: a sum over 0 to k successes, as maxrl.enumerated_weight, for
    many p (N,) at once."""
    successes = torch.arange(k + 1).double()
    rewards = (torch.arange(k) < successes[:, None]).double()  # (k+1, k)
    A = maxrl.ADVANTAGES[method](rewards) / k
    right, wrong = (A * rewards).sum(1), (A * (1 - rewards)).sum(1)  # (k+1,)
    chance = Binomial(k, p[:, None]).log_prob(successes).exp()  # (N, k+1)
    return chance @ right / p - chance @ wrong / (1 - p)


def estimates(quick: bool) -> dict[str, Any]:
    """stage -> p of single prompts, and method -> k -> [|E[g]|^2, tr Cov g] of each prompt.

    The scores of all distinct completions of 1024 rollouts are differentiated one by one; groups
    are then drawn from those rollouts.
    """
    n, ks = (8, (4, 16)) if quick else (60, (4, 8, 16, 64))
    found: dict[str, Any] = {}
    for stage, sweep in STAGES.items():
        model, _, task, batch = start(f"{SWEEPS[sweep].flags} --batch-size {n}")
        generator = torch_rng(0, "estimates", 0, batch.prompts.device)
        of: dict[str, Any] = {m: {k: [] for k in ks} for m in METHODS}
        for i in range(n):
            one = part_of(batch, i)
            rollouts = roll_out(model, one.prompts, 1024, task, generator)
            rewards = rewards_of(one, rollouts, task).double()
            gram = products_of_scores(model, one, rollouts)
            for k in ks:
                of_each = rollouts.count.double()
                drawn = torch.multinomial(of_each, 1000 * k, True, generator=generator)
                for m in METHODS:
                    pair = signal_and_noise(weights_of(m, rewards, drawn.view(1000, k)), gram)
                    of[m][k].append([float(f"{x:.4g}") for x in pair])
        p = logprobs(model, batch.prompts, batch.answers, END).exp()
        found[stage] = {"p": [round(x, 5) for x in p.tolist()], "of": of}
    return found


def part_of(batch: Batch, i: int) -> Batch:
    """One prompt."""
    part = slice(i, i + 1)
    return Batch(
        batch.texts[part], batch.references[part], batch.prompts[part], batch.answers[part]
    )


def weights_of(method: str, rewards: Tensor, which: Tensor) -> Tensor:
    """(M, U): what each of M groups' estimates weighs the scores of U distinct completions with.
    which (M, k): the completion that a rollout is."""
    A = maxrl.ADVANTAGES[method](rewards[which])  # (M, k)
    return A.new_zeros(len(which), len(rewards)).scatter_add(1, which, A / which.shape[1])


def products_of_scores(model: GPT, one: Batch, rollouts: Rollouts) -> Tensor:
    """(U, U) float64: the inner products of the scores of the completions of one prompt."""
    logp = tree.logprobs(model, one.prompts, rollouts.group, rollouts.tokens, END)
    scores = []
    for row in logp:
        row.backward(retain_graph=True)
        scores.append(gradient(model).double())
    matrix = torch.stack(scores)
    return matrix @ matrix.T


def signal_and_noise(A: Tensor, gram: Tensor) -> tuple[float, float]:
    """|E[g]|^2 and tr Cov g, both without bias, of M estimates g = A S, where gram = S S^T."""
    M, total = len(A), ((A @ gram) * A).sum(1).mean().item()  # E|g|^2
    of_mean = (A.mean(0) @ gram @ A.mean(0)).item()
    noise = (total - of_mean) * M / (M - 1)
    return of_mean - noise / M, noise


MEASUREMENTS = {5: (gradients,), 6: (estimates,)}
