"""The logs of the runs: what is kept of them, and what is asked of them.

    Logs(RESULTS).runs("scarce", "maxrl")[0][-1]["pass@1024"]       # seed 0, the last evaluation

Left out: drawing (figures.py) and writing (tables.py).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import maxrl
from compare import Rows
from data.batches import fixed_problems, make_batch, rng
from evaluate import evaluate, pass_rates
from harness import checkpoint
from harness.config import Config, checked_task, from_dict, parse_args, pick_device
from harness.log import read_lines
from paper.sweeps import SWEEPS, Sweep, arms, run_name, seeds_of
from train import starting_model
from verify import answer

RESULTS = Path(__file__).resolve().parent.parent / "results"
BINS = ((0, 0.01), (0.01, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1))  # of pass rates
KS = tuple(2**i for i in range(15))  # pass@k is kept for these
TRAINING_FIGURES = ("live", "pass_rate", "grad_norm", "unique")


# ------------------------------------------------------------------------------------- keeping


def compact(out: Path, flags: str, commit: str) -> list[dict[str, Any]]:
    """The log to keep of the run in `out`: a head, then its evaluations.

    An evaluation has pass@k for more k in place of its per-prompt figures, and the mean of some
    training figures since the one before. The head has the pass rates of the prompts of
    --train-prompts, before and after.
    """
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    head: dict[str, Any] = {"command": f"python train.py {flags}", "commit": commit}
    head["config"] = config
    if config["train_prompts"]:
        head |= training_pass_rates(out)
    lines, since = [head], []
    for row in read_lines(out / "metrics.jsonl"):
        if "nll" not in row:
            since.append(row)
            continue
        row |= more_pass_rates(row) | means(since)
        for name in ("logp", "c"):
            row.pop(name, None)
        lines.append({n: round(v, 9) if isinstance(v, float) else v for n, v in row.items()})
        since = []
    return lines


def more_pass_rates(row: dict[str, Any]) -> dict[str, float]:
    """pass@k, for all of KS that the evaluation knows, from its per-prompt figures."""
    if "logp" in row:
        p = torch.tensor(row["logp"], dtype=torch.float64).exp()
        return {f"pass@{k}": maxrl.exact_pass_at_k(p, k).mean().item() for k in KS}
    c = torch.tensor(row["c"])
    known = [k for k in KS if k <= row["n"]]
    return {
        f"pass@{k}": torch.as_tensor(maxrl.pass_at_k(row["n"], c, k)).mean().item() for k in known
    }


def means(rows: Rows) -> dict[str, float]:
    """Of the training figures that these steps have."""
    values = {n: [row[n] for row in rows if row.get(n) is not None] for n in TRAINING_FIGURES}
    return {n: mean(v) for n, v in values.items() if v}


def training_pass_rates(out: Path) -> dict[str, list[float]]:
    """The exact p of each training prompt of a run with --train-prompts, and at its start."""
    content = checkpoint.load(out)
    config = from_dict(content["config"])
    task, device = checked_task(config), pick_device(config.device)
    problems = fixed_problems(task.draw, config.seed, config.train_prompts)
    batch = make_batch(problems, task, device)
    first = starting_model(config, task, device)
    last = checkpoint.load_model(out, content, device)
    return {
        name: [round(p, 4) for p in pass_rates(evaluate(model, batch, task, config))]
        for name, model in (("train_base", first), ("train_final", last))
    }


def is_of(config: Any, flags: str) -> bool:
    """Whether a configuration out of a log or config.json is that of these flags."""
    wanted: Config = parse_args(flags.split())[0]
    saved = vars(Config()) | (config if isinstance(config, dict) else {})  # newer flags: defaults
    asked = {n: str(v) for n, v in vars(wanted).items() if n != "out"}  # inf is "inf" in JSON
    return asked == {n: str(v) for n, v in saved.items() if n != "out"}


# ------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Logs:
    """A folder of logs, whole or of --quick."""

    folder: Path
    quick: bool = False

    def path(self, sweep: str, run: str) -> Path:
        """Where the log of a run is, or will be."""
        return self.folder / sweep / f"{run}.jsonl"

    def lines(self, sweep: str, run: str) -> list[dict[str, Any]]:
        """The head and the evaluations of a run."""
        text = self.path(sweep, run).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def measured(self, name: str) -> dict[str, Any]:
        """What a function of measure.py returned."""
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def seeds(self, sweep: str) -> tuple[int, ...]:
        """Those that are reported."""
        return seeds_of(SWEEPS[sweep], self.quick)

    def heads(self, sweep: str, label: str) -> list[dict[str, Any]]:
        """What the run of each seed says of itself."""
        return [self.lines(sweep, run_name(label, f"s{s}"))[0] for s in self.seeds(sweep)]

    def runs(self, sweep: str, label: str) -> list[Rows]:
        """The evaluations of each seed."""
        return [self.lines(sweep, run_name(label, f"s{s}"))[1:] for s in self.seeds(sweep)]

    def ends(self, sweep: str, label: str, figure: str) -> list[float]:
        """Where a held-out figure ended, for each seed."""
        return [ending(rows, figure) for rows in self.runs(sweep, label)]

    def starts(self, sweep: str, figure: str) -> list[float]:
        """The figure of the weights that all runs of a sweep start from, for each seed."""
        label = next(iter(SWEEPS[sweep].labels))
        return [rows[0][figure] for rows in self.runs(sweep, label)]


def ending(rows: Rows, figure: str) -> float:
    """The mean over the evaluations of the last fifth of the steps: single ones are noisy."""
    late = [row[figure] for row in rows if row["step"] > 0.8 * rows[-1]["step"]]
    return mean(late)


def sample_ratios(logs: Logs, other: str) -> dict[int, list[float]]:
    """K -> for each seed, how many times fewer samples maxrl needs to reach `other`'s pass@K.

    Of the runs of "scaling" at k = 16. The samples of maxrl are interpolated in log k between
    powers of two; K is left out where, for any seed, maxrl has that pass rate with its first sample
    already, or not with its last.
    """
    curves = {
        method: [logs.ends("scaling", f"{method} k=16", f"pass@{k}") for k in KS]
        for method in ("maxrl", other)
    }
    ratios = {}
    for K, targets in zip(KS, curves[other], strict=True):
        needed = [
            samples_for(target, [values[i] for values in curves["maxrl"]])
            for i, target in enumerate(targets)
        ]
        if all(needed):
            ratios[K] = [K / n for n in needed if n]
    return ratios


def gains_of_loo(logs: Logs, figure: str, k: int) -> list[float]:
    """maxrl-loo less maxrl at the end of "few", for each seed."""
    both = (logs.ends("few", f"{method} k={k}", figure) for method in ("maxrl-loo", "maxrl"))
    return [loo - ours for loo, ours in zip(*both, strict=True)]


def best_likelihoods() -> dict[str, float]:
    """What maximum likelihood would measure on "likelihoods".

    There z plus N(0, sigma) is distributed as the target y is, N(sum, noise), so E[l] is
    sigma/noise times exp(-(y - sum)^2 / (2 noise^2)), here for the held-out targets.
    """
    config, _, _ = parse_args(["--method", "ce", *SWEEPS["likelihoods"].flags.split()])
    sigma, noise = config.sigma, float(config.noise or 0)
    problems = checked_task(config).draw(rng(0, "held-out"), config.eval_prompts, config.eval_split)
    squares = mean((float(y) - float(answer(prompt) or 0)) ** 2 for prompt, y in problems)
    return {
        "log_likelihood": math.log(sigma / noise) - squares / (2 * noise**2),
        "mse": (noise**2 - sigma**2) / config.eval_rollouts,
        "spread": math.sqrt(noise**2 - sigma**2),
    }


def population_norms(method: str, p: Sequence[float], norms: Sequence[float]) -> list[float]:
    """|w(p) grad p| = w(p) p |grad log p|, for groups of 16; ce is its limit, |grad log p|."""
    if method == "ce":
        return list(norms)
    return [
        maxrl.enumerated_weight(method, x, 16)[0] * x * n for x, n in zip(p, norms, strict=True)
    ]


def samples_for(target: float, curve: Sequence[float]) -> float | None:
    """k, interpolated, at which pass@k is `target`, where curve[i] is pass@2^i and rises."""
    for i, (low, high) in enumerate(pairwise(curve)):
        if low <= target <= high and low < high:
            return 2 ** (i + (target - low) / (high - low))
    return None


def share(p: Sequence[float], low: float, high: float) -> float:
    """Of pass rates, how many are in (low, high]; 0 is in the first bin."""
    return mean(low < x <= high or x == low == 0 for x in p)


def steps_to(rows: Rows, target: float) -> int | None:
    """The first evaluated step whose pass@1 is at least `target`."""
    return next((row["step"] for row in rows if row["pass@1"] >= target), None)


def tuned_in(sweep: str) -> tuple[str, Sweep]:
    """The sweep whose choice of learning rates is used."""
    name = SWEEPS[sweep].rates_of or sweep
    return name, SWEEPS[name]


def tuned(sweep: str) -> dict[str, dict[str, float]]:
    """arm -> learning rate -> the criterion, from the committed logs of the tuning runs."""
    name, source = tuned_in(sweep)
    logs = Logs(RESULTS)
    values: dict[str, dict[str, float]] = {}
    for arm, label in arms(source).items():
        runs = {rate: run_name(label, f"lr{rate}") for rate in source.rates}
        values[arm] = {
            rate: ending(logs.lines(f"{name}/tuning", run)[1:], source.criterion)
            for rate, run in runs.items()
            if logs.path(f"{name}/tuning", run).exists()
        }
    return values


def chosen(sweep: str) -> dict[str, str]:
    """arm -> its learning rate: the best, or the middle one where there are no logs."""
    rates = tuned_in(sweep)[1].rates
    return {
        arm: max(tried, key=tried.__getitem__) if tried else rates[len(rates) // 2]
        for arm, tried in tuned(sweep).items()
        if rates
    }
