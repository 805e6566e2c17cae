"""What is measured on models without training them: the gradients of single prompts.

    python reproduce.py --only 5

The models are warm starts, which train.py keeps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Binomial

import maxrl
import train
from data.batches import draw_problems, make_batch
from data.tokenizer import END
from harness.config import checked_task, parse_args, pick_device
from model import logprobs
from paper.sweeps import SWEEPS

STAGES = {"default base": "default", "base .5": "border-50"}  # -> the sweep whose warm start it is


def gradients(quick: bool) -> dict[str, Any]:
    """stage -> seed -> p of single prompts, and the norm of grad log p. Nothing else is needed, as
    E[g] = w(p) grad p, and its norm is w(p) p |grad log p|."""
    n, seeds = (40, 1) if quick else (500, 8)
    found = {}
    for stage, sweep in STAGES.items():
        flags = f"{SWEEPS[sweep].flags} --batch-size {n}"
        found[stage] = {seed: of_prompts(f"{flags} --seed {seed}") for seed in range(seeds)}
    return found


def of_prompts(flags: str) -> dict[str, list[float]]:
    """p and |grad log p| of the first batch of a run with these flags, at its first weights."""
    config, _, _ = parse_args(flags.split())
    task, device = checked_task(config), pick_device(config.device)
    model = train.starting_model(config, task, device)
    batch = make_batch(draw_problems(task, config.seed, 1, config.batch_size), task, device)
    p, norm = [], []
    for i in range(config.batch_size):
        model.zero_grad()
        logp = logprobs(model, batch.prompts[i : i + 1], batch.answers[i : i + 1], END)
        logp.sum().backward()
        squares = sum((w.grad**2).sum() for w in model.parameters() if w.grad is not None)
        p.append(float(f"{logp.double().exp().item():.4g}"))
        norm.append(float(f"{torch.as_tensor(squares).sqrt().item():.4g}"))
    return {"p": p, "norm": norm}


def expected_weight(method: str, p: Tensor, k: int) -> Tensor:
    """w(p) (N,) of a method for many p < 1 (N,) at once, by the sum of maxrl.enumerated_weight over
    0 to k successes; for `ce` it is 1/p."""
    if method == "ce":
        return 1 / p
    successes = torch.arange(k + 1).double()
    rewards = (torch.arange(k) < successes[:, None]).double()  # (k+1, k)
    A = maxrl.ADVANTAGES[method](rewards) / k
    right, wrong = (A * rewards).sum(1), (A * (1 - rewards)).sum(1)  # (k+1,)
    chance = Binomial(k, p[:, None]).log_prob(successes).exp()  # (N, k+1)
    return chance @ right / p - chance @ wrong / (1 - p)


def expected_norms(method: str, rows: dict[str, list[float]], k: int) -> tuple[Tensor, Tensor]:
    """p of the prompts of a seed, the hardest first, and the norms of their expected gradients,
    w(p) |grad p|."""
    p, norm = (torch.tensor(rows[name], dtype=torch.float64) for name in ("p", "norm"))
    p, order = p.clamp(max=1 - 1e-9).sort(stable=True)
    return p, expected_weight(method, p, k) * p * norm[order]


MEASUREMENTS = {5: gradients}  # experiment -> what it needs; its file has the name of the function
