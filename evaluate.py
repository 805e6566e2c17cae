"""How good is a model on held-out prompts? Exact figures where possible, otherwise n rollouts.

- One right answer: p is the probability of that answer, which one teacher-forced pass computes;
  pass@k and nll = -log p follow without sampling (`"exact": true`).
- Many right answers: n rollouts of each prompt, c of them right, and the unbiased pass@k of Chen
  2021, null where k > n. Here nll is that of one demonstration: -log pi(demonstration) exceeds
  -log p, and a model that imitates demonstrations better need not be right more often.
- Graded answers: the same, and figures of the likelihoods.

Every figure is a weighted mean over different prompts: no prompt is evaluated twice, and each is
weighted by its chance of being drawn (data/batches.py). Left out: what training measures on its
own rollouts (rollouts.py).
"""

import math
from typing import Any

import torch
from torch import Tensor

import maxrl
from data import Task
from data.batches import Batch, torch_rng
from data.tokenizer import END, decode
from harness.config import Config
from model import GPT, completion_logits, completion_mask, summed_logprobs
from rollouts import graded_by, roll_out, verdicts
from tree import Rollouts

EVAL_K = (1, 8, 128, 1024)
THRESHOLDS = [0.05 + 0.1 * i for i in range(10)]  # of likelihoods
BEST_OF = (1, 8, 64)


@torch.no_grad()
def evaluate(
    model: GPT, batch: Batch, weight: Tensor, task: Task, config: Config
) -> dict[str, Any]:
    """Held-out figures of a model on E different problems. weight: (E,) float64, sums to 1."""
    logp, greedy = [], []
    for i in range(0, len(batch.texts), 512):  # 512 at a time, to bound the memory
        answers = batch.answers[i : i + 512]
        logits = completion_logits(model, batch.prompts[i : i + 512], answers)  # (E, L, V)
        logp.append(summed_logprobs(logits, answers, END).cpu().double())
        is_greedy = (logits.argmax(-1) == answers) | ~completion_mask(answers, END)
        greedy.append(is_greedy.all(1).float())
    logp_all, greedy_all = torch.cat(logp), torch.cat(greedy).cpu().double()
    figures: dict[str, Any] = {"nll": -(weight @ logp_all).item()}
    if task.single_answer:
        p = logp_all.exp()
        figures |= {f"pass@{k}": (weight @ maxrl.exact_pass_at_k(p, k)).item() for k in EVAL_K}
        figures |= {"exact": True, "logp": [round(x, 5) for x in logp_all.tolist()]}
        figures["greedy"] = (weight @ greedy_all).item()
    else:
        figures |= sampled_figures(model, batch, weight, task, config)
    return figures | {"weight": [float(f"{w:.6g}") for w in weight.tolist()]}


def sampled_figures(
    model: GPT, batch: Batch, weight: Tensor, task: Task, config: Config
) -> dict[str, Any]:
    """From n rollouts of each prompt: pass@k, and how many different right answers they hold. All
    evaluations use the same prompts and random numbers, so that curves are comparable."""
    n, E = config.eval_rollouts, len(batch.texts)
    device = batch.prompts.device
    rollouts = roll_out(model, batch.prompts, n, task, torch_rng(0, "evaluation", 0, device))
    right, group = verdicts(batch.texts, rollouts, task).cpu().double(), rollouts.group.cpu()
    c = right.new_zeros(E).index_add(0, group, right * rollouts.count.cpu())
    different = right.new_zeros(E).index_add(0, group, right)
    figures: dict[str, Any] = {
        f"pass@{k}": (weight @ torch.as_tensor(maxrl.pass_at_k(n, c, k))).item() if k <= n else None
        for k in EVAL_K
    }
    figures["greedy"] = None  # greedy decoding finds the likeliest token, not the likeliest answer
    solved = (weight * (c > 0)).sum()
    figures["answers"] = ((weight @ different) / solved).item() if solved else 0.0
    if hasattr(task, "likelihood"):
        figures |= graded_figures(batch, weight, rollouts, task)
    return figures | {"exact": False, "n": n, "c": [int(x) for x in c.tolist()]}


def graded_figures(batch: Batch, weight: Tensor, rollouts: Rollouts, task: Any) -> dict[str, float]:
    """How likely the written numbers make the targets. log_likelihood: the mean over prompts of
    log((1/n) sum l), too low by about the variance of l divided by 2 n E[l]^2; where all l are 0,
    their mean counts as 1e-30. log_tail: the mean over prompts and THRESHOLDS of log((c + 1/2) /
    (n + 1)), where c of n likelihoods exceed the threshold. best@m: an unbiased estimate of the
    mean of the largest of m likelihoods."""
    l = graded_by(task.likelihood, batch, rollouts, task).cpu().double()
    l = l.repeat_interleave(rollouts.count.cpu()).view(len(batch.texts), -1)  # (E, n)
    l, n = l.sort(1).values, l.shape[1]
    above = torch.stack([(l > t).sum(1) for t in THRESHOLDS], 1)  # (E, thresholds)
    figures = {
        "log_likelihood": (weight @ l.mean(1).clamp(min=1e-30).log()).item(),
        "log_tail": (weight @ ((above.double() + 0.5) / (n + 1)).log().mean(1)).item(),
    }
    larger = torch.arange(n, -1, -1)  # how many of the n are not among the i smallest, i = 0..n
    for m in (m for m in BEST_OF if m <= n):
        within = 1 - torch.as_tensor(maxrl.pass_at_k(n, larger, m))  # all m among the i smallest
        figures[f"best@{m}"] = (weight @ (l @ within.diff())).item()
    return figures


def samples(
    model: GPT, batch: Batch, task: Task, config: Config, step: int, n: int = 3
) -> list[str]:
    """What the model answers to n prompts spread over the batch, with the verdicts."""
    generator = torch_rng(config.seed, "samples", step, batch.prompts.device)
    E = len(batch.texts)
    some = sorted({(2 * i + 1) * E // (2 * n) for i in range(n)})
    prompts, references = ([column[i] for i in some] for column in (batch.texts, batch.references))
    rollouts = roll_out(model, batch.prompts[some], 1, task, generator)
    remarks = ["right" if r else "wrong" for r in verdicts(prompts, rollouts, task).tolist()]
    if task.graded:
        remarks = [f"(target {y})" for y in references]
    texts = map(decode, rollouts.tokens.tolist())
    lines = zip(prompts, texts, remarks, strict=True)
    return [f"{task.show(prompt, text)} {remark}" for prompt, text, remark in lines]


def pass_rates(evaluation: dict[str, Any]) -> list[float]:
    """p of each held-out prompt: exact, or the share of right rollouts."""
    if "logp" in evaluation:
        return [math.exp(x) for x in evaluation["logp"]]
    return [c / evaluation["n"] for c in evaluation["c"]]
