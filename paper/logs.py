"""The logs of the runs: what is kept of them, where, and what is asked of them.

    Logs().runs("fresh", "maxrl k=16")[0][-1]["pass@1024"]   # seed 0, the last evaluation

A finished run is one line of JSON: its sweep, label, seed, command, commit, configuration and
evaluations. It waits in runs/ until `pack` puts it into the file of its experiment in results/; both
are read. Left out: drawing (figures.py), writing (tables.py), and when a difference counts
(rules.py).
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import maxrl
from compare import Rows
from data.batches import held_out_problems
from harness.checkpoint import replace_file
from harness.config import Config, checked_task, from_dict, parse_args
from harness.log import read_lines
from paper.measure import MEASUREMENTS
from paper.rules import Interval, interval, of_paths
from paper.sweeps import (
    EVERY_RATE,
    SWEEPS,
    TUNING_SEEDS,
    best_rate,
    rate_text,
    reported_run,
    sweeps_of,
    to_tune,
    tuning_run,
)

ROOT = Path(__file__).resolve().parent.parent
RESULTS, WAITING = ROOT / "results", ROOT / "runs" / "reproduce"
KS = tuple(2**i for i in range(15))  # pass@k may be kept for these
KINDS = ("sums without a carry", "sums below 100 with a carry", "sums of three digits")
KEPT = ("step", "seconds", "rollouts")  # of every evaluation
MAY_DIFFER = ("out", "threads")  # settings that do not make another run
Line = dict[str, Any]  # what is kept of a run


# ------------------------------------------------------------------------------------- keeping


@dataclass(frozen=True)
class Job:
    """A run whose line is missing."""

    sweep: str
    label: str
    seed: int
    flags: str  # of train.py

    @property
    def tuning(self) -> bool:
        """Whether it only serves to choose a learning rate."""
        return self.seed in TUNING_SEEDS

    @property
    def name(self) -> str:
        """Of its folder and its file while it waits."""
        lr = "".join(re.findall(r"--lr (\S+)", self.flags)[-1:])
        return re.sub(r"[^a-z0-9.-]+", "-", f"{self.label} {lr} s{self.seed}".replace("=", ""))


def line_of(job: Job, out: Path, commit: str) -> Line:
    """What to keep of the run in `out`: of a tuning run where its criterion ended, and otherwise
    the sweep's figures of all evaluations, with pass@k for more k, by kinds of problems at the end.
    """
    sweep = SWEEPS[job.sweep]
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    rows = [row for row in read_lines(out / "metrics.jsonl") if "nll" in row]
    for row in rows:
        row |= more_pass_rates(row)
    if "kinds" in sweep.figures:
        rows[-1]["kinds"] = by_kind(from_dict(config), rows[-1])
    kept = (*KEPT, *sweep.figures)
    if job.tuning:
        rows = [rows[-1] | {sweep.criterion: ending(rows, sweep.criterion)}]
        kept = (*KEPT, sweep.criterion)
    evaluations = [{n: short(row[n]) for n in kept if n in row} for row in rows]
    about = {"sweep": job.sweep, "label": job.label, "seed": job.seed}
    about |= {"command": f"python train.py {job.flags}", "commit": commit}
    return about | {"config": config, "evaluations": evaluations}


def short(x: Any) -> Any:
    """Seven digits are enough."""
    return float(f"{x:.7g}") if isinstance(x, float) and math.isfinite(x) else x


def as_text(line: Line) -> str:
    """JSON, which has no infinity: that is "inf", as in the log of a run."""
    return json.dumps(line).replace("Infinity", '"inf"') + "\n"


def more_pass_rates(row: dict[str, Any]) -> dict[str, float]:
    """pass@k, for all of KS that the evaluation knows, from its figures of single problems."""
    weight = torch.tensor(row["weight"], dtype=torch.float64)
    if "logp" in row:
        p = torch.tensor(row["logp"], dtype=torch.float64).exp()
        at = {k: maxrl.exact_pass_at_k(p, k) for k in KS}
    else:
        c = torch.tensor(row["c"])
        at = {k: torch.as_tensor(maxrl.pass_at_k(row["n"], c, k)) for k in KS if k <= row["n"]}
    return {f"pass@{k}": ((weight @ x) / weight.sum()).item() for k, x in at.items()}


def kind_of(prompt: str) -> int:
    """Of an addition of numbers with up to two digits: its place in KINDS."""
    a, b = map(int, re.findall(r"\d+", prompt))
    if a + b > 99:
        return 2
    return int(a % 10 + b % 10 > 9)


def by_kind(config: Config, row: dict[str, Any]) -> list[list[float]]:
    """[weight, pass@1, pass@128] of each of KINDS."""
    problems = held_out_problems(checked_task(config), config.eval_prompts, config.eval_split)
    kinds = [kind_of(prompt) for prompt, _ in problems]
    found = []
    for i in range(len(KINDS)):
        mine = [j for j, kind in enumerate(kinds) if kind == i]
        part = {name: [row[name][j] for j in mine] for name in ("logp", "weight")}
        rates = more_pass_rates(part)
        found.append([short(x) for x in (sum(part["weight"]), rates["pass@1"], rates["pass@128"])])
    return found


def is_of(config: Any, flags: str) -> bool:
    """Whether a configuration out of a log or config.json is that of these flags."""
    saved = vars(Config()) | (config if isinstance(config, dict) else {})  # newer flags: defaults
    return settings(flags) == {n: str(v) for n, v in saved.items() if n not in MAY_DIFFER}


@cache
def settings(flags: str) -> dict[str, str]:
    """Every setting of a command line as text: inf is "inf" in JSON."""
    config = parse_args(flags.split())[0]
    return {n: str(v) for n, v in vars(config).items() if n not in MAY_DIFFER}


# ------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Logs:
    """A folder with a file for each experiment, and one where finished runs wait to be packed."""

    folder: Path = RESULTS
    waiting: Path = WAITING
    quick: bool = False

    def path(self, number: int) -> Path:
        """The file of an experiment."""
        return self.folder / f"experiment-{number}.jsonl"

    def path_of(self, job: Job) -> Path:
        """Where its line is put when it has ended."""
        return self.waiting / job.sweep / f"{job.name}.json"

    def lines(self, sweep: str) -> list[Line]:
        """Of all runs of a sweep that have ended, packed or not."""
        files = [self.path(SWEEPS[sweep].number), *sorted((self.waiting / sweep).glob("*.json"))]
        there = [line for path in files if path.exists() for line in parsed(path, stamp(path))]
        return [line for line in there if line["sweep"] == sweep]

    def has(self, job: Job) -> bool:
        """Whether a run with these flags has ended."""
        command = f"python train.py {job.flags}"
        same = (line for line in self.lines(job.sweep) if line["command"] == command)
        return any(is_of(line["config"], job.flags) for line in same)

    def seeds(self, sweep: str) -> range:
        """Those that are reported."""
        return SWEEPS[sweep].seeds[:1] if self.quick else SWEEPS[sweep].seeds

    def runs(self, sweep: str, label: str) -> list[Rows]:
        """The evaluations of each reported seed."""
        mine = {x["seed"]: x["evaluations"] for x in self.lines(sweep) if x["label"] == label}
        return [mine[seed] for seed in self.seeds(sweep)]

    def ends(self, sweep: str, label: str, figure: str) -> list[float]:
        """Where a held-out figure ended, for each seed."""
        return [ending(rows, figure) for rows in self.runs(sweep, label)]

    def starts(self, sweep: str, figure: str) -> list[float]:
        """The figure of the weights that all runs of a sweep start from, for each seed.

        A warm start made again on another machine is not the same one: SystemExit."""
        labels = SWEEPS[sweep].labels
        found = {tuple(rows[0][figure] for rows in self.runs(sweep, m)) for m in labels}
        if len(found) > 1:
            raise SystemExit(
                f"{self.path(SWEEPS[sweep].number)}: runs of one seed of {sweep} start from "
                "different weights, perhaps on two machines; delete their lines, run them again"
            )
        return list(found.pop())

    def gap(self, ours: tuple[str, str], theirs: tuple[str, str], figure: str) -> Interval:
        """Ours minus theirs at the end, paired by seed; each is a sweep and a label."""
        pairs = zip(self.ends(*ours, figure), self.ends(*theirs, figure), strict=True)
        return interval([a - b for a, b in pairs])

    def gap_at_equal(
        self, ours: tuple[str, str], theirs: tuple[str, str], figure: str
    ) -> Interval | None:
        """The same at equal pass@1; None if a seed has none."""
        paths = [
            [[(row["pass@1"], row[figure]) for row in rows] for rows in self.runs(*side)]
            for side in (ours, theirs)
        ]
        return of_paths(*paths)

    def measured(self, name: str) -> dict[str, Any]:
        """What a function of measure.py returned."""
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))["found"]


def stamp(path: Path) -> int:
    """When it was written, or a file that is newer would be missed."""
    return path.stat().st_mtime_ns


@lru_cache(maxsize=5000)
def parsed(path: Path, written: int) -> list[Line]:
    """The lines of a file, which are asked for many times; an evaluation has numbers only."""
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        for row in line["evaluations"]:
            row |= {n: math.inf for n, x in row.items() if x == "inf"}
    return lines


def ending(rows: Rows, figure: str) -> float:
    """The mean over the evaluations of the last fifth of the steps: single ones are noisy."""
    return mean(row[figure] for row in rows if row["step"] > 0.8 * rows[-1]["step"])


def samples_for(target: float, curve: Sequence[float]) -> float:
    """The k, interpolated in log k, at which pass@k is `target`; curve[i] is pass@2^i and rises.
    1 where the first is enough, infinity where the last is not."""
    if curve[0] >= target:
        return 1.0
    for i, (low, high) in enumerate(pairwise(curve)):
        if low < target <= high:
            return 2 ** (i + (target - low) / (high - low))
    return math.inf


# ------------------------------------------------------------------- what is still to be run


def tried(sweep: str, label: str) -> dict[tuple[int, int], float]:
    """(rate, seed) -> where the criterion ended, of the tuning runs of a label."""
    rates = {rate_text(n): n for n in EVERY_RATE}
    found = {}
    for line in Logs(RESULTS, WAITING).lines(sweep):
        if line["label"] == label and line["seed"] in TUNING_SEEDS:
            lr = re.findall(r"--lr (\S+)", line["command"])[-1]
            key = rates[lr], line["seed"]
            if is_of(line["config"], tuning_run(SWEEPS[sweep], label, *key)):
                found[key] = line["evaluations"][-1][SWEEPS[sweep].criterion]
    return found


def choice(sweep: str, label: str) -> int | None:
    """The rate that the tuning runs of a label choose; None if they are not all there."""
    ends = tried(sweep, label)
    if to_tune(ends, SWEEPS[sweep].middle):
        return None
    return best_rate(ends, {s for _, s in ends})


def chosen(sweep: str) -> dict[str, int | None]:
    """label -> the rate of its runs, for all labels that are tuned."""
    at = SWEEPS[sweep].tuned_at
    choices = {label: choice(sweep, label) for label in dict.fromkeys(at.values())}
    return {label: choices[source] for label, source in at.items()}


def missing_tuning(sweep: str) -> list[Job]:
    """The tuning runs that are needed next; none at the end."""
    of = SWEEPS[sweep]
    return [
        Job(sweep, label, seed, tuning_run(of, label, rate, seed))
        for label in dict.fromkeys(of.tuned_at.values())
        for rate, seed in to_tune(tried(sweep, label), of.middle)
    ]


def reported(logs: Logs, sweep: str) -> list[Job]:
    """All runs that are drawn and have a rate already. --quick takes the middle one meanwhile."""
    of, rates = SWEEPS[sweep], chosen(sweep)
    if logs.quick:
        rates = {label: of.middle if n is None else n for label, n in rates.items()}
    return [
        Job(sweep, label, seed, reported_run(of, label, seed, rates.get(label), logs.quick))
        for label in of.labels
        for seed in logs.seeds(sweep)
        if rates.get(label, 0) is not None
    ]


def missing(logs: Logs, sweep: str) -> list[Job]:
    """The runs that can be made now, in their order."""
    tuning = [] if logs.quick else missing_tuning(sweep)
    return tuning + [job for job in reported(logs, sweep) if not logs.has(job)]


def ready(logs: Logs, number: int) -> bool:
    """Whether all that an experiment is made from is there."""
    files = [logs.folder / f"{m.__name__}.json" for m in MEASUREMENTS.get(number, ())]
    return not any(missing(logs, s) for s in sweeps_of(number)) and all(f.exists() for f in files)


def pack(logs: Logs, numbers: Iterable[int]) -> None:
    """Put the runs that have ended into the files of their experiments, a line each; runs of older
    lists, or of a rate that was not chosen, are left out."""
    for number in numbers:
        lines = [line for sweep in sweeps_of(number) for line in kept_lines(logs, sweep)]
        if lines:
            logs.folder.mkdir(parents=True, exist_ok=True)
            replace_file(logs.path(number), "".join(map(as_text, lines)).encode())
        for sweep in sweeps_of(number):
            for path in (logs.waiting / sweep).glob("*.json"):
                path.unlink()


def kept_lines(logs: Logs, sweep: str) -> list[Line]:
    """Those of a sweep that belong to it, each once, in the order of its list."""
    of = SWEEPS[sweep]
    expected = [
        tuning_run(of, label, rate, seed)
        for label in dict.fromkeys(of.tuned_at.values())
        for rate in EVERY_RATE
        for seed in TUNING_SEEDS
    ]
    expected += [job.flags for job in reported(logs, sweep)]
    order = {f"python train.py {flags}": i for i, flags in enumerate(expected)}
    mine = {line["command"]: line for line in logs.lines(sweep) if line["command"] in order}
    return sorted(mine.values(), key=lambda line: order[line["command"]])
