"""What a run prints: a line when it starts, a warning, a table when it ends.

Left out: the figures themselves (evaluate.py).
"""

import math
import sys
from typing import Any

import torch

import maxrl
from data import Task
from evaluate import EVAL_K, pass_rates
from harness.config import LIKELIHOOD, SELF_TRAINING, Config, model_sizes
from model import GPT

TABLE = (*(f"pass@{k}" for k in EVAL_K), "nll")
GRADED = ("log_likelihood", "mse", "spread")  # what the table of a graded task adds


def headline(config: Config, task: Task, device: torch.device) -> str:
    """In one line: method, formula, order, task, parameters, device."""
    formula, order = in_words(config, task)
    with torch.device("meta"):
        n_parameters = GPT(model_sizes(config, task)).n_parameters()
    what = ", ".join(filter(None, (config.task, task.notation())))
    return (
        f"{config.method}: {formula}; {order} | {what} | "
        f"{n_parameters / 1e6:.2f}M parameters on {device.type}"
    )


def in_words(config: Config, task: Task) -> tuple[str, str]:
    """What a method computes, and what order it trains."""
    method, k = config.method, config.k
    if method in SELF_TRAINING:
        return "cross-entropy on distinct successes", f"k = {k}, {config.rounds} rounds"
    if method not in LIKELIHOOD:
        sentence = (maxrl.FORMULAS[method].__doc__ or "").split(". ")[0].split(".\n")[0]
        trained = maxrl.trained_order(method, k, config.order)
        order = f"trains order {trained}" if trained else "trains no J_T"
        if maxrl.population_weight(method, torch.tensor(0.5), k, config.order).isnan():
            order = "order not known"  # of a method that is not ours
        return sentence.strip().rstrip(".") or "a formula of yours", f"k = {k}, {order}"
    T = config.order or math.inf
    formula = f"loss = -J_{T:g}(p), p computed exactly" if T < math.inf else "loss = -log p"
    if not task.single_answer:
        formula = "loss = -log pi(one demonstration), which bounds -log p from above"
    return formula, f"order {T:g}, --k is ignored"


def warn_if_dead(config: Config, base: dict[str, Any]) -> None:
    """Say so when hardly any group will have a success, which no estimator can learn from.

    base: the evaluation of the base model. Likelihoods ("mse" is a figure of theirs) have no dead
    groups.
    """
    if config.method in LIKELIHOOD or "mse" in base:
        return
    p, weight = (torch.tensor(x).double() for x in (pass_rates(base), base["weight"]))
    live = (weight @ maxrl.exact_pass_at_k(p, config.k)).item()
    if live < 0.05:
        print(
            f"warning: at the start only {live:.2%} of the groups have a success (the mean of "
            f"1-(1-p)^k, k = {config.k}): raise --k, --sft-steps or --batch-size",
            file=sys.stderr,
        )


def evaluation_line(step: int, figures: dict[str, Any]) -> str:
    """What is printed of an evaluation."""
    names = [n for n in (*TABLE, "greedy", "answers", *GRADED) if figures.get(n) is not None]
    return f"step {step:4}  " + "  ".join(f"{n} {figures[n]:.3f}" for n in names)


def table(base: dict[str, Any], final: dict[str, Any]) -> str:
    """Base against final, on held-out prompts."""
    names = (*TABLE, *(name for name in GRADED if name in base))
    lines = [f"held-out  {'  '.join(f'{name:>9}' for name in names)}"]
    for label, row in (("base", base), ("final", final)):
        cells = (
            f"{'-':>{max(len(n), 9)}}" if row[n] is None else f"{row[n]:{max(len(n), 9)}.4f}"
            for n in names
        )
        lines.append(f"{label:8}  " + "  ".join(cells))
    return "\n".join(lines)
