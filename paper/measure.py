"""What is measured on models without training them: gradients, and what an advantage weighs.

Each function returns what its log in results/ holds. The models are warm starts, which are cached
by train.py. Left out: drawing.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

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


def cosines(quick: bool) -> dict[str, Any]:
    """start -> method -> k -> the cosine of the estimate with the cross-entropy gradient.

    On one batch of prompts, for several draws of the rollouts; 0 where no rollout has an advantage.
    The starts are stages of learning two-digit addition by cross-entropy.
    """
    ks, draws = ((2, 16, 256), 2) if quick else ((2, 4, 16, 64, 256, 1024, 4096), 5)
    scratch = f"{SWEEPS['convergence'].flags} --sft-lr 2e-3"
    stages = {
        "warm start, 256 prompts": "--batch-size 256 --sft-steps 5000 --sft-until 0.5",
        "late, 256 prompts": "--batch-size 256 --sft-steps 5000 --sft-until 0.95",
    }
    found: dict[str, Any] = {}
    for stage, flags in stages.items():
        model, config, task, batch = start(f"{scratch} {flags}")
        train.likelihood_backward(model, batch, replace(config, method="ce"))
        ce = gradient(model)
        found[stage] = {
            method: {
                k: [
                    cosine_of_draw(model, replace(config, method=method, k=k), task, batch, i, ce)
                    for i in range(draws)
                ]
                for k in ks
            }
            for method in METHODS
        }
    return found


def cosine_of_draw(
    model: GPT, config: Config, task: Task, batch: Batch, draw: int, ce: Tensor
) -> float:
    """One estimate: the rollouts of all methods are the same."""
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    generator = torch_rng(draw, "cosine", config.k, ce.device)
    train.rollout_backward(model, batch, config, task, generator)
    return round(torch.cosine_similarity(gradient(model), ce, dim=0).item(), 5)


def gradients(quick: bool) -> dict[str, Any]:
    """stage -> seed -> p of single prompts, |grad log p|, and for each method |E[g]|^2 as measured.

    E[g] = w(p) grad p is a prediction: its norm is w(p) p |grad log p|. Measured is the product of
    two means of estimates, each over 16 groups of 16 rollouts: its expectation is |E[g]|^2.
    """
    n, seeds = (30, 1) if quick else (100, 8)
    stages = {"base pass rate .1": "scarce-hard", "base pass rate .55": "scaling"}
    return {
        stage: {
            seed: gradients_of_prompts(f"{SWEEPS[sweep].flags} --batch-size {n} --seed {seed}")
            for seed in range(seeds)
        }
        for stage, sweep in stages.items()
    }


def gradients_of_prompts(flags: str) -> dict[str, list[float]]:
    """What `gradients` holds for a seed: a list over prompts for each figure."""
    k, groups = 16, 32
    model, config, task, batch = start(flags)
    generator = torch_rng(config.seed, "gradients", k, batch.prompts.device)
    rows = []
    for i in range(len(batch.texts)):
        logp = logprobs(model, batch.prompts[i : i + 1], batch.answers[i : i + 1], END)
        logp.sum().backward()
        row = {"p": logp.double().exp().item(), "norm": gradient(model).norm().item()}
        one = part_of(batch, i)
        rollouts = roll_out(model, one.prompts, k * groups, task, generator)
        rewards = rewards_of(one, rollouts, task)
        which = torch.arange(len(rewards)).repeat_interleave(rollouts.count.cpu())
        which = which[torch.randperm(k * groups, generator=generator)].view(groups, k)
        logp = tree.logprobs(model, one.prompts, rollouts.group, rollouts.tokens, END)
        for method in ("maxrl", "grpo", "rloo"):
            A = weights_of(method, rewards, which)  # (groups, U)
            a, b = (estimate(model, logp, half.mean(0)) for half in A.chunk(2))
            row[method] = (a @ b).item()
        rows.append({name: float(f"{x:.5g}") for name, x in row.items()})
    return {name: [row[name] for row in rows] for name in rows[0]}


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


def estimate(model: GPT, logp: Tensor, weights: Tensor) -> Tensor:
    """The sum over completions of weight times score, as one vector."""
    (weights * logp).sum().backward(retain_graph=True)
    return gradient(model)


def estimates(quick: bool) -> dict[str, Any]:
    """start -> p of single prompts, and method -> k -> [|E[g]|^2, tr Cov g] of each prompt.

    The scores of all distinct completions of 1024 rollouts are differentiated one by one; groups
    are then drawn from those rollouts.
    """
    n, ks = (8, (4, 16)) if quick else (60, (4, 8, 16, 64))
    found: dict[str, Any] = {}
    stages = {"base pass rate .1": "scarce-hard", "base pass rate .55": "scaling"}
    for stage, sweep in stages.items():
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
                    of[m][k].append([float(f"{x:.5g}") for x in pair])
        p = logprobs(model, batch.prompts, batch.answers, END).exp()
        found[stage] = {"p": [round(x, 5) for x in p.tolist()], "of": of}
    return found


def products_of_scores(model: GPT, one: Batch, rollouts: Rollouts) -> Tensor:
    """(U, U) float64: the inner products of the scores of the completions of one prompt."""
    logp = tree.logprobs(model, one.prompts, rollouts.group, rollouts.tokens, END)
    eye = torch.eye(len(logp), dtype=logp.dtype, device=logp.device)
    scores = torch.stack([estimate(model, logp, row) for row in eye]).double()
    return scores @ scores.T


def signal_and_noise(A: Tensor, gram: Tensor) -> tuple[float, float]:
    """|E[g]|^2 and tr Cov g, both without bias, of M estimates g = A S, where gram = S S^T."""
    M, total = len(A), ((A @ gram) * A).sum(1).mean().item()  # E|g|^2
    of_mean = (A.mean(0) @ gram @ A.mean(0)).item()
    noise = (total - of_mean) * M / (M - 1)
    return of_mean - noise / M, noise


def two_effects(quick: bool) -> dict[str, Any]:
    """What likelihoods weigh, at the warm start of "likelihoods", for groups of 16 rollouts.

    Within a prompt: the mean advantage of the rollout with the r-th largest likelihood, in units of
    the mean absolute one. Across prompts: omega, the factor of a rollout's likelihood less its
    peers' mean, beside the prompt's E[l], for which 1024 other rollouts stand.
    """
    k, orders = 16, (1, 4, 16)
    n = 50 if quick else 200
    model, config, task, batch = start(
        f"--method maxrl-loo {SWEEPS['likelihoods'].flags} --batch-size {n}"
    )
    l = likelihoods(model, config, task, batch, k)  # (n, k), sorted
    p = likelihoods(model, config, task, batch, 1024).mean(1)  # (n,)
    beyond_peers = l - (l.sum(1, keepdim=True) - l) / (k - 1)
    kept = (beyond_peers.abs() > 1e-9).all(1)  # or omega would be 0/0 for some rollout
    l, p, beyond_peers = l[kept], p[kept], beyond_peers[kept]
    A = {T: maxrl.ADVANTAGES["maxrl-loo"](l, order=T) for T in orders}
    return {
        "within": {T: (a / a.abs().mean()).mean(0).tolist() for T, a in A.items()},
        "across": {T: (a / beyond_peers).mean(1).tolist() for T, a in A.items()},
        "p": p.tolist(),
    }


def likelihoods(model: GPT, config: Config, task: Task, batch: Batch, k: int) -> Tensor:
    """(B, k) float64 likelihoods of k rollouts of each prompt, the largest first."""
    generator = torch_rng(0, "two effects", k, batch.prompts.device)
    rollouts = roll_out(model, batch.prompts, k, task, generator)
    l = rewards_of(batch, rollouts, task).cpu().double()
    rows = l.repeat_interleave(rollouts.count.cpu()).view(-1, k)
    return rows.sort(1, descending=True).values


MEASUREMENTS = {1: (cosines,), 5: (gradients,), 7: (two_effects,), 8: (estimates,)}
