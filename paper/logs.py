"""The logs of the runs: what is kept of them, and what is asked of them.

    Logs().runs("fresh", "maxrl k=16")[0][-1]["pass@1024"]   # seed 0, the last evaluation

results/ has a file for each sweep, in which a line of JSON is a run that has ended: its label,
seed, command, commit, configuration and evaluations. Left out: what is made of them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise, product
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import maxrl
from compare import Rows
from data.batches import held_out_problems
from harness.config import Config, checked_task, from_dict, parse_args
from harness.log import read_lines, replace_file
from paper.measure import MEASUREMENTS
from paper.rules import Interval, interval
from paper.sweeps import EVERY_RATE, SWEEPS, TUNING_SEEDS, best_rate, rate_text, sweeps_of, to_tune

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
KS = tuple(2**i for i in range(15))  # pass@k may be kept for these
KINDS = ("sums without a carry", "sums below 100 with a carry", "sums of three digits")
KEPT = ("step", "seconds", "rollouts")  # of every evaluation
MAY_DIFFER = ("out", "threads")  # settings that do not make a run a different one
Line = dict[str, Any]  # what is kept of a run


@dataclass(frozen=True)
class Job:
    """A run whose line is missing."""

    sweep: str
    label: str
    seed: int
    flags: str  # of train.py
    out: Path

    @cached_property
    def command(self) -> str:
        """The command, as its line has it."""
        return f"python train.py {self.flags}"


def line_of(job: Job, commit: str) -> Line:
    """What to keep of the run in job.out: the sweep's figures of all evaluations, with pass@k for
    more k and by kinds of problems at the end; for a tuning run only where its criterion ended."""
    sweep = SWEEPS[job.sweep]
    (config,) = read_lines(job.out / "config.json")
    rows = [row for row in read_lines(job.out / "metrics.jsonl", step=int) if "nll" in row]
    rows = [row | more_pass_rates(row) for row in rows]
    kept = (*KEPT, *sweep.figures)
    if "kinds" in kept:
        rows[-1]["kinds"] = by_kind(from_dict(config), rows[-1])
    if job.seed in TUNING_SEEDS:
        rows = [rows[-1] | {sweep.criterion: ending(rows, sweep.criterion)}]
        kept = (*KEPT, sweep.criterion)
    evaluations = [{n: short(row[n]) for n in kept if n in row} for row in rows]
    about = {"sweep": job.sweep, "label": job.label, "seed": job.seed, "command": job.command}
    return about | {"commit": commit, "config": config, "evaluations": evaluations}


def short(x: Any) -> Any:
    """Seven digits are enough."""
    return float(f"{x:.7g}") if isinstance(x, float) else x


def more_pass_rates(row: dict[str, Any]) -> dict[str, float]:
    """pass@k, for all k of KS that the evaluation allows, from its figures of single problems."""
    weight = torch.tensor(row["weight"], dtype=torch.float64)
    if "logp" in row:
        p = torch.tensor(row["logp"], dtype=torch.float64).exp()
        at = {k: maxrl.exact_pass_at_k(p, k) for k in KS}
    else:
        c = torch.tensor(row["c"])
        at = {k: torch.as_tensor(maxrl.pass_at_k(row["n"], c, k)) for k in KS if k <= row["n"]}
    return {f"pass@{k}": ((weight @ x.double()) / weight.sum()).item() for k, x in at.items()}


def kind_of(prompt: str) -> int:
    """The place in KINDS of an addition of numbers with up to two digits."""
    a, b = map(int, re.findall(r"\d+", prompt))
    return 2 if a + b > 99 else int(a % 10 + b % 10 > 9)


def by_kind(config: Config, row: dict[str, Any]) -> list[list[float]]:
    """[weight, pass@1, pass@128] of each of KINDS."""
    problems = held_out_problems(checked_task(config), config.eval_prompts, config.eval_split)
    kinds, found = [kind_of(prompt) for prompt, _ in problems], []
    for i in range(len(KINDS)):
        part = {name: [x for x, kind in zip(row[name], kinds, strict=True) if kind == i]
                for name in ("logp", "weight")}  # fmt: skip
        rates = more_pass_rates(part)
        found.append([short(x) for x in (sum(part["weight"]), rates["pass@1"], rates["pass@128"])])
    return found


def is_of(config: Any, flags: str) -> bool:
    """Whether a configuration from a log or config.json is that of these flags."""
    saved = vars(Config()) | (config if isinstance(config, dict) else {})  # newer flags: defaults
    return settings(flags) == {n: str(v) for n, v in saved.items() if n not in MAY_DIFFER}


@cache
def settings(flags: str) -> dict[str, str]:
    """Every setting of a command line as text: inf is "inf" in JSON."""
    config = parse_args(flags.split())[0]
    return {n: str(v) for n, v in vars(config).items() if n not in MAY_DIFFER}


@dataclass(frozen=True)
class Logs:
    """A folder with a file for each sweep, of whole runs or of --quick ones."""

    folder: Path = RESULTS
    quick: bool = False

    def lines(self, sweep: str) -> list[Line]:
        """The lines of all runs of a sweep that have ended."""
        path = self.folder / f"{sweep}.jsonl"
        return parsed(path, path.stat().st_mtime_ns) if path.exists() else []

    def seeds(self, sweep: str) -> range:
        """The seeds that are reported."""
        return SWEEPS[sweep].seeds[:1] if self.quick else SWEEPS[sweep].seeds

    def runs(self, sweep: str, label: str) -> list[Rows]:
        """The evaluations of each reported seed."""
        mine = {x["seed"]: x["evaluations"] for x in self.lines(sweep) if x["label"] == label}
        return [mine[seed] for seed in self.seeds(sweep)]

    def ends(self, sweep: str, label: str, figure: str) -> list[float]:
        """Where a held-out figure ended, for each seed; for "base", where all began."""
        if label == "base":
            return self.starts(sweep, figure)
        return [ending(rows, figure) for rows in self.runs(sweep, label)]

    def starts(self, sweep: str, figure: str) -> list[float]:
        """The figure at the weights that all runs of a sweep start from. SystemExit if these
        differ: a warm start that is made again on another machine is not the same one."""
        found = {tuple(rows[0][figure] for rows in self.runs(sweep, label))
                 for label in SWEEPS[sweep].labels}  # fmt: skip
        if len(found) > 1:
            raise SystemExit(
                f"{self.folder / sweep}.jsonl: runs of one seed start from different weights, "
                "perhaps because they ran on two machines; delete their lines and run them again"
            )
        return list(found.pop())

    def gap(self, ours: tuple[str, str], theirs: tuple[str, str], figure: str) -> Interval:
        """Ours minus theirs at the end, paired by seed; each is a sweep and a label."""
        pairs = zip(self.ends(*ours, figure), self.ends(*theirs, figure), strict=True)
        return interval([a - b for a, b in pairs])

    def measured(self, name: str) -> dict[str, Any]:
        """What a function of measure.py returned."""
        return read_lines(self.folder / f"{name}.json", found=dict)[0]["found"]

    def write(self, name: str, text: str) -> None:
        """Replace a file, whole or not at all. Infinity becomes "inf", as in a run's log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / name, text.replace("Infinity", '"inf"').encode())


@lru_cache(maxsize=40)
def parsed(path: Path, written: int) -> list[Line]:
    """The lines of a file, cached. written: when it was written, so that no new one is missed."""
    return read_lines(path, label=str, seed=int, evaluations=list)


def ending(rows: Rows, figure: str) -> float:
    """The mean over the evaluations of the last fifth of the steps: single ones are noisy."""
    return mean(row[figure] for row in rows if row["step"] > 0.8 * rows[-1]["step"])


def samples_for(target: float, curve: Sequence[float]) -> float:
    """The k, interpolated in log k, at which pass@k is `target`; curve[i] is pass@2^i and rises.
    It is 1 where the first is enough, and the last k where none is."""
    for i, (low, high) in enumerate(pairwise(curve)):
        if low < target <= high:
            return 2 ** (i + (target - low) / (high - low))
    return 1.0 if curve[0] >= target else 2.0 ** (len(curve) - 1)


def job_of(logs: Logs, sweep: str, label: str, seed: int, rate: int | None) -> Job:
    """A run of a label. rate: its rate, if that is tuned. Tuning seeds look at other problems."""
    of, tuning = SWEEPS[sweep], seed in TUNING_SEEDS
    lr = "" if rate is None else f"--lr {rate_text(rate)}"
    parts = (of.labels[label], of.flags, "--eval-split validation" * tuning, lr,
             of.quick * logs.quick, f"--seed {seed}")  # fmt: skip
    flags = " ".join(" ".join(parts).split())
    name = re.sub(r"[^a-z0-9.-]+", "-", f"{label} {lr} {seed}")
    return Job(sweep, label, seed, flags, logs.folder.parent / "runs" / "reproduce" / sweep / name)


def line_from(logs: Logs, job: Job) -> Line | None:
    """The line of the run with these flags, if it has ended."""
    same = (x for x in logs.lines(job.sweep) if x["command"] == job.command)
    return next((line for line in same if is_of(line["config"], job.flags)), None)


def tried(sweep: str, label: str) -> dict[tuple[int, int], float]:
    """(rate, seed) -> where the criterion ended, of the committed tuning runs of a label."""
    logs, found = Logs(RESULTS), {}
    for rate, seed in product(EVERY_RATE, TUNING_SEEDS):
        if line := line_from(logs, job_of(logs, sweep, label, seed, rate)):
            found[rate, seed] = line["evaluations"][-1][SWEEPS[sweep].criterion]
    return found


def tuned(sweep: str) -> tuple[list[Job], dict[str, int | None]]:
    """The tuning runs that are needed next, none at the end; and the rate for each label that is
    tuned, None if it is not known yet."""
    of, jobs, rates = SWEEPS[sweep], [], {}
    for source in dict.fromkeys(of.tuned_at.values()):
        ends = tried(sweep, source)
        todo = to_tune(ends, of.middle)
        jobs += [job_of(Logs(RESULTS), sweep, source, seed, rate) for rate, seed in todo]
        rates[source] = None if todo else best_rate(ends, {seed for _, seed in ends})
    return jobs, {label: rates[source] for label, source in of.tuned_at.items()}


def missing(logs: Logs, sweep: str) -> list[Job]:
    """The runs that can be made now, in their order: those that choose a rate, then all that are
    drawn and have a rate already. --quick takes the middle rate until one is chosen."""
    of, (jobs, rates) = SWEEPS[sweep], tuned(sweep)
    if logs.quick:
        jobs, rates = [], {label: of.middle if n is None else n for label, n in rates.items()}
    for label, seed in product(of.labels, logs.seeds(sweep)):
        if rates.get(label, 0) is not None:
            job = job_of(logs, sweep, label, seed, rates.get(label))
            if not line_from(logs, job):
                jobs.append(job)
    return jobs


def is_measured(logs: Logs, number: int) -> bool:
    """Whether an experiment needs nothing of measure.py, or has it."""
    measure = MEASUREMENTS.get(number)
    return not measure or (logs.folder / f"{measure.__name__}.json").exists()


def ready(logs: Logs, number: int) -> bool:
    """Whether everything that an experiment is made from is there."""
    runs = any(missing(logs, sweep) for sweep in sweeps_of(number))
    return not runs and is_measured(logs, number)


def add(logs: Logs, job: Job, commit: str) -> Line:
    """Keep the line of a run that has ended in the file of its sweep, in the order of the labels.
    The lines that it replaces are dropped, and so are those of labels that are no longer listed."""
    new, labels = line_of(job, commit), list(SWEEPS[job.sweep].labels)

    def stays(x: Line) -> bool:
        same = (x["label"], x["seed"]) == (job.label, job.seed)
        another_rate = job.seed in TUNING_SEEDS and x["command"] != job.command
        return x["label"] in labels and (not same or another_rate)

    lines = [*filter(stays, logs.lines(job.sweep)), new]
    lines.sort(key=lambda x: (labels.index(x["label"]), x["seed"], x["command"]))
    logs.write(f"{job.sweep}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return new
