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
from data import Task
from data.batches import Batch, draw_problems, make_batch, torch_rng
from data.tokenizer import END
from harness.config import Config, checked_task, parse_args, pick_device
from model import GPT, logprobs
from paper.sweeps import SWEEPS
from rollouts import rewards_of, roll_out

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
        "initialisation, 32 prompts": "--batch-size 32",
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


def gradient_norms(quick: bool) -> dict[str, Any]:
    """The pass rate p and |grad log p| of single training prompts at the warm start of "scaling".

    The population gradient of a method on a prompt is w(p) grad p, so its norm is w(p) p times
    that: exact, without a rollout.
    """
    n = 100 if quick else 400
    model, _, _, batch = start(f"{SWEEPS['scaling'].flags} --batch-size {n}")
    p, norms = [], []
    for i in range(n):
        logp = logprobs(model, batch.prompts[i : i + 1], batch.answers[i : i + 1], END)
        logp.sum().backward()
        p.append(logp.double().exp().item())
        norms.append(float(f"{gradient(model).norm().item():.6g}"))
    return {"p": p, "norm": norms}


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
    l = rewards_of(batch, rollouts, task, config).cpu().double()
    rows = l.repeat_interleave(rollouts.count.cpu()).view(-1, k)
    return rows.sort(1, descending=True).values


MEASUREMENTS = {1: cosines, 5: gradient_norms, 7: two_effects}
