"""What a run prints: a line at its start, a warning, evaluations, a table at its end.

Left out: the figures themselves (evaluate.py has those of held-out prompts).
"""

import math
import re
import sys
from pathlib import Path
from typing import Any

import torch

import maxrl
from data import Task
from evaluate import EVAL_K, pass_rates
from harness.command import command_line
from harness.config import LIKELIHOOD, SELF_TRAINING, Config, model_sizes
from model import GPT

TABLE = (*(f"pass@{k}" for k in EVAL_K), "nll")
GRADED = ("log_likelihood", "log_tail")  # what the table of a graded task adds


def go_on(config: Config, step: int, folder: Path) -> str:
    """Where a run was stopped, and the command that goes on with it."""
    method = [f"--method={config.method}"] if config.table else []
    command = command_line("train.py", "--resume", "--out", str(folder), *method)
    return f"stopped after step {step}; to go on:\n{command}"


def headline(config: Config, task: Task, device: torch.device) -> str:
    """In one line: method, formula, order, task, parameters, device."""
    with torch.device("meta"):
        millions = GPT(model_sizes(config, task)).n_parameters() / 1e6
    what = ", ".join(filter(None, (config.task, task.notation())))
    return f"{in_words(config, task)} | {what} | {millions:.2f}M parameters on {device.type}"


def in_words(config: Config, task: Task) -> str:
    """What a method computes, and which order it trains."""
    method, k = config.method, config.k
    if method in SELF_TRAINING:
        return f"{method}: cross-entropy on distinct successes; k = {k}, {config.rounds} rounds"
    if method in LIKELIHOOD:
        T = config.order or math.inf
        formula = f"loss = -J_{T:g}(p), p computed exactly" if T < math.inf else "loss = -log p"
        if not task.single_answer:
            formula = "loss = -log pi(one demonstration), which bounds -log p from above"
        return f"{method}: {formula}; order {T:g}, --k is ignored"
    sentence = re.split(r"\.\s", str(maxrl.FORMULAS[method].__doc__ or "no docstring"))[0]
    trained = maxrl.trained_order(method, k, config.order)
    order = f"trains order {trained}" if trained else "trains no J_T"
    if maxrl.population_weight(method, torch.tensor(0.5), k, config.order).isnan():
        order = "order not known"  # of a method that is not ours
    return f"{method}: {' '.join(sentence.split()).rstrip('.')}; k = {k}, {order}"


def warn_if_dead(config: Config, task: Task, base: dict[str, Any]) -> None:
    """Warn when hardly any group will have a success, for then no estimator can learn. Likelihoods
    and graded rewards have no dead groups."""
    p, weight = (torch.tensor(x).double() for x in (pass_rates(base), base["weight"]))
    live = (weight @ maxrl.exact_pass_at_k(p, config.k)).item()
    if live < 0.05 and config.method not in LIKELIHOOD and not task.graded:
        print(
            f"warning: at the start only {live:.2%} of the groups have a success (the mean of "
            f"1-(1-p)^k, k = {config.k}): raise --k, --sft-steps or --batch-size",
            file=sys.stderr,
        )


def evaluation_line(step: int, figures: dict[str, Any]) -> str:
    """An evaluation, as it is printed."""
    names = [n for n in (*TABLE, "greedy", "answers", *GRADED) if figures.get(n) is not None]
    return f"step {step:4}  " + "  ".join(f"{n} {figures[n]:.3f}" for n in names)


def table(base: dict[str, Any], final: dict[str, Any]) -> str:
    """The base model and the final one on held-out prompts."""
    names = (*TABLE, *(name for name in GRADED if name in base))
    lines = [f"held-out  {'  '.join(f'{name:>9}' for name in names)}"]
    for label, row in (("base", base), ("final", final)):
        cells = ("-" if row[n] is None else f"{float(row[n]):.4f}" for n in names)
        columns = (f"{cell:>{max(len(n), 9)}}" for cell, n in zip(cells, names, strict=True))
        lines.append(f"{label:8}  " + "  ".join(columns))
    return "\n".join(lines)
