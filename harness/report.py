"""What a run prints: a line at its start, a warning, evaluations, a table at its end.

    with steady_output():  # around every command: printing must never cost a run
        print(f"ask it: {command_line('sample.py', 'runs/mine')}")

Left out: the figures themselves (evaluate.py).
"""

import math
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import torch

import maxrl
from data import Task
from evaluate import EVAL_K, pass_rates
from harness.config import LIKELIHOOD, SELF_TRAINING, Config, model_sizes
from model import GPT

ROOT = Path(__file__).resolve().parent.parent
TABLE = (*(f"pass@{k}" for k in EVAL_K), "nll")
GRADED = ("log_likelihood", "log_tail")  # what the table of a graded task adds


class Steady:
    """A stream that never fails. What it cannot write is lost: its reader may be gone, the disk
    full, or the stream closed from the start (None). Letters that it lacks are escaped."""

    def __init__(self, stream: TextIO | None):
        self.stream = stream or open(os.devnull, "w")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            self.attempt(self.stream.write, text)
        except UnicodeError:
            encoding = self.stream.encoding or "utf-8"
            text_it_has = text.encode(encoding, "backslashreplace").decode(encoding)
            self.attempt(self.stream.write, text_it_has)
        return len(text)

    def flush(self) -> None:
        self.attempt(self.stream.flush)

    def attempt(self, action: Callable[..., Any], *words: str) -> None:
        try:
            action(*words)
        except RuntimeError:
            pass  # a signal's handler may print while something is being printed
        except OSError:
            with suppress(OSError):  # or Python would write the rest of the buffer when it exits
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


@contextmanager
def steady_output() -> Iterator[None]:
    """While this lasts, nothing that is printed raises an exception."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Steady, before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def command_line(script: str, *words: str) -> str:
    """A command that works as it stands, in the current folder and with this Python."""
    program = [os.path.relpath(path) for path in (sys.executable, ROOT / script)]
    return shlex.join([*program, *words])


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
    sentence = re.split(r"\.\s", maxrl.FORMULAS[method].__doc__ or "a formula of yours")[0]
    trained = maxrl.trained_order(method, k, config.order)
    order = f"trains order {trained}" if trained else "trains no J_T"
    if maxrl.population_weight(method, torch.tensor(0.5), k, config.order).isnan():
        order = "order not known"  # of a method that is not ours
    return f"{method}: {sentence.strip().rstrip('.')}; k = {k}, {order}"


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
