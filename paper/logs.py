"""The logs of the runs: what is kept of them, and what is asked of them.

    Logs(RESULTS).runs("scaling", "maxrl k=16")[0][-1]["pass@1024"]   # seed 0, the last evaluation

Left out: drawing (figures.py), writing (tables.py), and when a claim is settled (verdicts.py).
"""

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import maxrl
from compare import Rows
from data.batches import rng
from harness.config import Config, checked_task, from_dict, parse_args
from harness.log import read_lines
from paper.measure import MEASUREMENTS
from paper.sweeps import (
    SWEEPS,
    TUNING_SEEDS,
    best_rate,
    pools_of,
    reported_runs,
    run_name,
    seeds_of,
    sweeps_of,
    to_tune,
    tuning_run,
)
from paper.verdicts import Path as Pareto
from paper.verdicts import Verdict, of_difference, of_paths
from verify import answer

RESULTS = Path(__file__).resolve().parent.parent / "results"
KS = tuple(2**i for i in range(15))  # pass@k may be kept for these
EDGES = (0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # of bins of pass rates
ESTIMATORS = ("reinforce", "rloo", "grpo", "maxrl", "maxrl-raw", "maxrl-loo")
KEPT = ("step", "seconds", "rollouts", "live")  # of every evaluation
EVERY_RATE = range(-10, 11)  # that a log may be of


# ------------------------------------------------------------------------------------- keeping


def compact(out: Path, flags: str, commit: str, figures: Sequence[str]) -> list[dict[str, Any]]:
    """The log to keep of the run in `out`: a head, then these figures of its evaluations.

    "live" is the mean since the evaluation before. "halves" are the pass@k of two halves of the
    held-out prompts, so that a checkpoint can be chosen by one and judged by the other.
    """
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    head = {"command": f"python train.py {flags}", "commit": commit, "config": config}
    lines, since = [head], []
    sides = sides_of(from_dict(config)) if "halves" in figures else []
    for row in read_lines(out / "metrics.jsonl"):
        if "nll" not in row:
            since.append(row["live"])
            continue
        live = [x for x in since if x is not None]
        row |= more_pass_rates(row) | ({"live": mean(live)} if live else {})
        if sides:
            row["halves"] = halves(row, sides, [f for f in figures if f.startswith("pass@")])
        kept = {n: row[n] for n in (*KEPT, *figures) if n in row}
        lines.append({n: round(v, 7) if isinstance(v, float) else v for n, v in kept.items()})
        since = []
    return lines


def sides_of(config: Config) -> list[int]:
    """For each held-out prompt, the half it is in; a prompt that is drawn twice is in one half."""
    draw = checked_task(config).draw
    problems = draw(rng(0, "held-out"), config.eval_prompts, config.eval_split)
    return [zlib.crc32(text.encode()) % 2 for text, _ in problems]


def halves(row: dict[str, Any], sides: list[int], names: list[str]) -> dict[str, list[float]]:
    """name -> this pass@k of either half."""
    per_prompt = "logp" if "logp" in row else "c"
    rates = []
    for side in (0, 1):
        part = [x for x, s in zip(row[per_prompt], sides, strict=True) if s == side]
        rates.append(more_pass_rates({"n": row.get("n"), per_prompt: part}))
    return {name: [round(r[name], 7) for r in rates] for name in names}


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


def is_of(config: Any, flags: str) -> bool:
    """Whether a configuration out of a log or config.json is that of these flags."""
    saved = vars(Config()) | (config if isinstance(config, dict) else {})  # newer flags: defaults
    return settings(flags) == {n: str(v) for n, v in saved.items() if n != "out"}


@cache
def settings(flags: str) -> dict[str, str]:
    """Every setting of a command line as text: inf is "inf" in JSON."""
    config = parse_args(flags.split())[0]
    return {n: str(v) for n, v in vars(config).items() if n != "out"}


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
        path = self.path(sweep, run)
        return parsed(path, path.stat().st_mtime_ns)

    def measured(self, name: str) -> dict[str, Any]:
        """What a function of measure.py returned."""
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))["found"]

    def has_measured(self, name: str) -> bool:
        """Whether it was asked since logs name their commit."""
        path = self.folder / f"{name}.json"
        return path.exists() and "found" in json.loads(path.read_text(encoding="utf-8"))

    def exists(self, sweep: str, run: str) -> bool:
        """Whether there is a log of this name."""
        return self.path(sweep, run).exists()

    def seeds(self, sweep: str) -> range:
        """Those that are reported."""
        return seeds_of(SWEEPS[sweep], self.quick)

    def runs(self, sweep: str, label: str) -> list[Rows]:
        """The evaluations of each seed."""
        return [self.lines(sweep, run_name(label, f"s{s}"))[1:] for s in self.seeds(sweep)]

    def ends(self, sweep: str, label: str, figure: str) -> list[float]:
        """Where a held-out figure ended, for each seed."""
        return [ending(rows, figure) for rows in self.runs(sweep, label)]

    def starts(self, sweep: str, figure: str) -> list[float]:
        """The figure of the weights that all runs of a sweep start from, for each seed.

        A warm start made again on another machine is not the same one: SystemExit."""
        found = {
            tuple(rows[0][figure] for rows in self.runs(sweep, label))
            for label in SWEEPS[sweep].labels
        }
        if len(found) > 1:
            raise SystemExit(
                f"results/{sweep}: runs of one seed start from different weights, perhaps on two "
                "machines; delete its logs, or those of one machine, and run it again"
            )
        return list(found.pop())

    def paths(self, sweep: str, label: str, figure: str) -> list[Pareto]:
        """(pass@1, figure) at every evaluation of each seed."""
        return [path_of(rows, figure) for rows in self.runs(sweep, label)]

    def tried(self, sweep: str, label: str) -> dict[tuple[int, int], Rows]:
        """(rate, seed) -> the evaluations of the tuning run with these, if there is one."""
        found = {}
        for key in [(n, s) for n in EVERY_RATE for s in TUNING_SEEDS]:
            run, flags = tuning_run(SWEEPS[sweep], label, *key)
            if self.exists(f"{sweep}/tuning", run):
                head, *rows = self.lines(f"{sweep}/tuning", run)
                if is_of(head["config"], flags):
                    found[key] = rows
        return found


@lru_cache(maxsize=2000)
def parsed(path: Path, written: int) -> list[dict[str, Any]]:
    """The lines of a log; they are asked for many times. written: or a new one would be missed."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ending(rows: Rows, figure: str) -> float:
    """The mean over the evaluations of the last fifth of the steps: single ones are noisy."""
    late = [row[figure] for row in rows if row["step"] > 0.8 * rows[-1]["step"]]
    return mean(late)


def path_of(rows: Rows, figure: str) -> list[tuple[float, float]]:
    """(pass@1, figure) at every evaluation."""
    return [(row["pass@1"], row[figure]) for row in rows]


def at_best(rows: Rows, figure: str) -> float:
    """The figure at the checkpoint with the highest pass@1: chosen by one half of the held-out
    prompts and read on the other, both ways."""
    best = [max(rows, key=lambda row: row["halves"]["pass@1"][side]) for side in (0, 1)]
    return mean(row["halves"][figure][1 - side] for side, row in enumerate(best))


def fewer_samples(logs: Logs, k: int, other: str, K: int) -> list[float | None]:
    """For each seed, how many times fewer samples maxrl needs to reach `other`'s pass@K.

    Of the runs of "scaling" with k rollouts; `other` is a method, or base. The samples of maxrl are
    interpolated in log k between powers of two. None where its first sample is enough already, or
    its last is not.
    """
    curves = zip(*(logs.ends("scaling", f"maxrl k={k}", f"pass@{n}") for n in KS), strict=True)
    figure = f"pass@{K}"
    base = other == "base"
    targets = (
        logs.starts("scaling", figure) if base else logs.ends("scaling", f"{other} k={k}", figure)
    )
    needed = [samples_for(t, curve) for t, curve in zip(targets, curves, strict=True)]
    return [K / n if n else None for n in needed]


def gains_of_loo(logs: Logs, figure: str, k: int) -> list[float]:
    """maxrl-loo less maxrl at the end, for each seed, at the learning rate of maxrl."""
    sweep = "few" if f"maxrl k={k}" in SWEEPS["few"].labels else "scaling"
    ours = logs.ends(sweep, f"maxrl k={k}", figure)
    loo = logs.ends("few", f"maxrl-loo k={k}", figure)
    return [a - b for a, b in zip(loo, ours, strict=True)]


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


@dataclass(frozen=True)
class Setting:
    """A cell of the map of experiment 3."""

    name: str
    sweep: str
    pool: str
    figure: str  # the pass@k that is compared

    def label(self, method: str) -> str:
        """Of a method's runs in it."""
        return f"{method} pool={self.pool}"


def settings_of_scarce() -> list[Setting]:
    """Tasks and base pass rates, by the number of training prompts."""
    rows = (
        ("addition, base .5", "scarce-half", "pass@128"),
        ("addition, base .1", "scarce-hard", "pass@128"),
        ("countdown, base .1", "countdown", "pass@64"),
    )
    return [Setting(n, sweep, pool, f) for n, sweep, f in rows for pool in pools_of(sweep)]


def gap(logs: Logs, sweep: str, ours: str, theirs: str, figure: str, how: str) -> Verdict:
    """Ours less theirs, paired by seed. how: at equal pass@1, at the end, or at the best checkpoint
    ("equal", "end", "best")."""
    if how == "equal":
        return of_paths(logs.paths(sweep, ours, figure), logs.paths(sweep, theirs, figure))
    if how == "end":
        a, b = (logs.ends(sweep, label, figure) for label in (ours, theirs))
    else:
        a, b = ([at_best(r, figure) for r in logs.runs(sweep, m)] for m in (ours, theirs))
    return of_difference([x - y for x, y in zip(a, b, strict=True)])


@cache
def predicted_square(method: str, p: float, norm: float) -> float:
    """|E[g]|^2 = (w(p) p |grad log p|)^2 of a group of 16 on one prompt."""
    return (maxrl.enumerated_weight(method, p, 16)[0] * p * norm) ** 2


def binned_norms(
    rows: dict[str, list[float]], method: str, measured: bool, edges: Sequence[float] = EDGES
) -> list[float]:
    """The root mean square of |E[g]| over the prompts with p in each bin; NaN of fewer than 3."""
    squares = (
        rows[method]
        if measured
        else list(map(partial(predicted_square, method), rows["p"], rows["norm"]))
    )
    found = []
    for low, high in pairwise(edges):
        inside = [x for p, x in zip(rows["p"], squares, strict=True) if low < p <= high]
        found.append(math.sqrt(max(mean(inside), 0.0)) if len(inside) >= 3 else math.nan)
    return found


@cache
def signal_to_noise(method: str, p: float, k: int) -> float:
    """|E[g]|^2 / (k var g), exact for a policy of two outcomes; infinite without noise."""
    w, sd = maxrl.enumerated_weight(method, p, k)
    return w**2 / (k * sd**2) if sd > 1e-12 else math.inf


def samples_for(target: float, curve: Sequence[float]) -> float | None:
    """k, interpolated, at which pass@k is `target`, where curve[i] is pass@2^i and rises."""
    for i, (low, high) in enumerate(pairwise(curve)):
        if low <= target <= high and low < high:
            return 2 ** (i + (target - low) / (high - low))
    return None


def steps_to(rows: Rows, target: float) -> int | None:
    """The first evaluated step whose pass@1 is at least `target`."""
    return next((row["step"] for row in rows if row["pass@1"] >= target), None)


def tuned_in(sweep: str) -> str:
    """The sweep whose choice of learning rates is used."""
    return SWEEPS[sweep].rates_of or sweep


def ends_of_tuning(logs: Logs, sweep: str, label: str) -> dict[tuple[int, int], float]:
    """(rate, seed) -> the criterion at the end, of the tuning runs of a label."""
    criterion = SWEEPS[sweep].criterion
    return {key: ending(rows, criterion) for key, rows in logs.tried(sweep, label).items()}


def choice(sweep: str, label: str) -> int | None:
    """The rate that the committed tuning runs of a label choose; None if they are not all there."""
    tried = ends_of_tuning(Logs(RESULTS), sweep, label)
    if to_tune(tried, SWEEPS[sweep].middle):
        return None
    return best_rate(tried, {s for _, s in tried})


def tuned_labels(sweep: str) -> dict[str, int | None]:
    """tuned label -> its choice."""
    labels = dict.fromkeys(SWEEPS[sweep].tuned_at.values())
    return {label: choice(tuned_in(sweep), label) for label in labels}


def chosen(sweep: str) -> dict[str, int]:
    """tuned label -> its choice, or the middle rate where there is none yet."""
    middle = SWEEPS[tuned_in(sweep)].middle
    return {label: middle if n is None else n for label, n in tuned_labels(sweep).items()}


def missing_tuning(sweep: str) -> dict[str, str]:
    """run -> flags of the tuning runs that are needed next; none at the end."""
    runs = {}
    for label in dict.fromkeys(SWEEPS[sweep].tuned_at.values()):
        tried = ends_of_tuning(Logs(RESULTS), tuned_in(sweep), label)
        for key in to_tune(tried, SWEEPS[tuned_in(sweep)].middle):
            run, flags = tuning_run(SWEEPS[tuned_in(sweep)], label, *key)
            runs[run] = flags
    return runs


def missing_runs(logs: Logs, sweep: str) -> dict[str, str]:
    """run -> flags of the reported runs that have no log of these flags, and a rate already.
    --quick takes the middle rate where there is none."""
    at, rates = SWEEPS[sweep].tuned_at, tuned_labels(sweep)
    labels = [
        m for m in SWEEPS[sweep].labels if logs.quick or rates.get(at.get(m, ""), 0) is not None
    ]
    runs = reported_runs(SWEEPS[sweep], chosen(sweep), logs.quick, labels) if labels else {}
    return {
        run: flags
        for run, flags in runs.items()
        if not (logs.exists(sweep, run) and is_of(logs.lines(sweep, run)[0]["config"], flags))
    }


def complete(logs: Logs, sweep: str) -> bool:
    """Whether all of its runs are there."""
    return (logs.quick or not missing_tuning(sweep)) and not missing_runs(logs, sweep)


def ready(logs: Logs, number: int) -> bool:
    """Whether all that an experiment is made from is there."""
    measured = (logs.has_measured(m.__name__) for m in MEASUREMENTS.get(number, ()))
    return all(complete(logs, s) for s in sweeps_of(number)) and all(measured)


def superfluous(sweep: str) -> list[Path]:
    """The logs in its folder that are of none of its runs: of older lists, or of another rate."""
    expected = {f"{run}.jsonl" for run in reported_runs(SWEEPS[sweep], chosen(sweep))}
    for label in dict.fromkeys(SWEEPS[sweep].tuned_at.values()):
        for key in Logs(RESULTS).tried(tuned_in(sweep), label):
            expected.add(f"tuning/{tuning_run(SWEEPS[tuned_in(sweep)], label, *key)[0]}.jsonl")
    folder = RESULTS / sweep
    return [p for p in logs_in(sweep) if p.relative_to(folder).as_posix() not in expected]


def logs_in(sweep: str) -> list[Path]:
    """All logs in its folder; a file of one's own beside them is none, whatever its name."""
    there = sorted((RESULTS / sweep).rglob("*.jsonl"))
    return [path for path in there if path.read_bytes().startswith(b'{"command": ')]
