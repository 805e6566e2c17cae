"""How good is a model on held-out prompts: exactly where that can be had, else from n rollouts.

- One right answer: p is the probability of that answer, one teacher-forced pass; pass@k and
  nll = -log p follow without sampling (`"exact": true`).
- Many right answers: n rollouts of each prompt, c of them right, and the unbiased pass@k of Chen
  2021, null where k > n. nll is then that of one demonstration: -log pi(demonstration) is more than
  -log p, and being good at it is not being right.
- Graded answers: the same, and what the likelihoods say.

Left out: what training measures on its own rollouts (rollouts.py).
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import maxrl
from data import Task
from data.batches import Batch, torch_rng
from data.tokenizer import END, decode
from harness.config import Config
from model import GPT, completion_logits, completion_mask, summed_logprobs
from rollouts import rewards_of, roll_out, said, verdicts
from tree import Rollouts
from verify import answer, number

EVAL_K = (1, 8, 128, 1024)


@torch.no_grad()
def evaluate(model: GPT, batch: Batch, task: Task, config: Config) -> dict[str, Any]:
    """Held-out figures of a model, on a batch of held-out problems."""
    logp, greedy = [], []
    for i in range(0, len(batch.texts), 512):  # so that long answers need no more memory
        answers = batch.answers[i : i + 512]
        logits = completion_logits(model, batch.prompts[i : i + 512], answers)  # (E, L, V)
        logp.append(summed_logprobs(logits, answers, END).cpu().double())
        is_greedy = (logits.argmax(-1) == answers) | ~completion_mask(answers, END)
        greedy.append(is_greedy.all(1).float())
    logp_all = torch.cat(logp)
    figures = {"nll": -logp_all.mean().item()}
    if task.single_answer:
        return figures | exact_figures(logp_all) | {"greedy": torch.cat(greedy).mean().item()}
    return figures | sampled_figures(model, batch, task, config)


def exact_figures(logp: Tensor) -> dict[str, Any]:
    """From the exact log p (E,) of a single-answer task. All of it is kept, for any pass@k."""
    pass_at = {f"pass@{k}": maxrl.exact_pass_at_k(logp.exp(), k).mean().item() for k in EVAL_K}
    return pass_at | {"exact": True, "logp": [round(x, 5) for x in logp.tolist()]}


def sampled_figures(model: GPT, batch: Batch, task: Task, config: Config) -> dict[str, Any]:
    """From n rollouts of each prompt: pass@k, and how many different right answers they hold.

    The same prompts and random numbers at every evaluation, so that curves are comparable.
    """
    n, E = config.eval_rollouts, len(batch.texts)
    device = batch.prompts.device
    rollouts = roll_out(model, batch.prompts, n, task, torch_rng(0, "evaluation", 0, device))
    right, group = verdicts(batch.texts, rollouts).cpu().double(), rollouts.group.cpu()
    c = right.new_zeros(E).index_add(0, group, right * rollouts.count.cpu())
    different = right.new_zeros(E).index_add(0, group, right)
    figures: dict[str, Any] = {
        f"pass@{k}": torch.as_tensor(maxrl.pass_at_k(n, c, k)).mean().item() if k <= n else None
        for k in EVAL_K
    }
    figures["greedy"] = None  # the likeliest text is not what is judged here
    figures["answers"] = different[c > 0].mean().item() if c.any() else 0.0
    if task.graded:
        figures |= graded_figures(batch, rollouts, task, config)
    return figures | {"exact": False, "n": n, "c": [int(x) for x in c.tolist()]}


def graded_figures(
    batch: Batch, rollouts: Rollouts, task: Task, config: Config
) -> dict[str, float | None]:
    """What the numbers that were written say of the targets.

    log_likelihood: the mean over prompts of log((1/n) sum l), which is too low by about the
    variance of l over 2 n E[l]^2; a prompt without a number counts as 1e-30. mse: of the mean
    number written, against the sum without its noise. spread: of the numbers written for one
    prompt, the distance between their quartiles as a standard deviation (over 1.349), which a
    stray number does not move; averaged over prompts. None if no number was written at all.
    """
    by_likelihood = replace(config, reward="likelihood")
    n = rollouts.count.cpu()

    def matrix(values: Tensor) -> Tensor:
        """(U,) of distinct completions -> (E, n) of all of them."""
        return values.cpu().double().repeat_interleave(n).view(len(batch.texts), -1)

    l = matrix(rewards_of(batch, rollouts, task, by_likelihood))
    written = [number(text or "") for text in said(rollouts)]
    z = matrix(torch.tensor([math.nan if x is None else x for x in written], dtype=torch.double))
    truth = torch.tensor([float(answer(text) or 0) for text in batch.texts], dtype=torch.double)
    low, high = z.nanquantile(torch.tensor([0.25, 0.75]).double(), dim=1)
    figures = {
        "log_likelihood": l.mean(1).clamp(min=1e-30).log().mean().item(),
        "mse": ((z.nanmean(1) - truth) ** 2).nanmean().item(),
        "spread": ((high - low) / 1.349).nanmean().item(),
    }
    return {name: x if math.isfinite(x) else None for name, x in figures.items()}


def samples(
    model: GPT, batch: Batch, task: Task, config: Config, step: int, n: int = 3
) -> list[str]:
    """What the model says to the first n prompts, with the verdicts."""
    generator = torch_rng(config.seed, "samples", step, batch.prompts.device)
    rollouts = roll_out(model, batch.prompts[:n], 1, task, generator)
    right = verdicts(batch.texts, rollouts).tolist()
    remarks = ["right" if r else "wrong" for r in right]
    if task.graded:
        remarks = [f"(target {y})" for y in batch.references[:n]]
    texts = map(decode, rollouts.tokens.tolist())
    lines = zip(batch.texts, texts, remarks, strict=False)
    return [f"{prompt}{text} {remark}" for prompt, text, remark in lines]


def pass_rates(evaluation: dict[str, Any]) -> list[float]:
    """p of each held-out prompt: exact, or the share of right rollouts."""
    if "logp" in evaluation:
        return [math.exp(x) for x in evaluation["logp"]]
    return [c / evaluation["n"] for c in evaluation["c"]]
