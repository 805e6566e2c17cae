"""Logs of every sweep with made-up figures, so that every table and figure can be made from logs
of the right shape in a second. maxrl is best, for a little while.
"""

import json
import math
import random

from harness.config import parse_args
from harness.log import as_line
from paper.logs import KS, Logs
from paper.measure import METHODS
from paper.sweeps import SWEEPS, TUNING_SEEDS, reported_runs, tuning_run

GAIN = {"maxrl": 0.5, "maxrl-loo": 0.5, "ce": 0.55, "grpo": 0.45, "rloo": 0.4}


def rows_of(sweep, config, rng):
    """Evaluations that go up in pass@1 and down in the variety of what is right."""
    gain = GAIN.get(config.method, 0.3)
    noise = 0 if config.seed >= 100 else rng.uniform(-0.03, 0.03)
    near = -abs(math.log2(config.lr / 4e-4)) / 20  # the best rate is 4e-4
    kept = ("step", "seconds", "rollouts", "live", *SWEEPS[sweep].figures)
    times = range(0, config.steps + 1, config.eval_every)
    for step in times:
        t = step / max(config.steps, 1)
        p = 0.1 + config.seed % 100 / 200 + t * (gain - 0.05 + near + noise)
        sharp = 1 - t * (0.3 if config.method.startswith("maxrl") else 0.6)
        pass_at = {f"pass@{k}": 1 - (1 - p) ** (k**sharp) for k in KS}
        row = {"step": step, "seconds": step / 10, "rollouts": step, "live": 0.5 + t * gain / 2}
        row |= pass_at | {"nll": 3 - t * gain, "answers": 8 * sharp, "spread": 4 - t}
        row |= {"log_likelihood": -1.3 + t * (gain + near) / 5, "mse": 5 - t}
        row["halves"] = {f: [round(x, 7)] * 2 for f, x in pass_at.items() if f in kept}
        yield {n: round(v, 7) if isinstance(v, float) else v for n, v in row.items() if n in kept}


def write_log(logs, folder, run, flags, sweep):
    config = parse_args(flags.split())[0]
    head = {"command": f"python train.py {flags}", "commit": "made up", "config": vars(config)}
    head["config"] = {n: "inf" if v == math.inf else v for n, v in vars(config).items()}
    path = logs.path(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [head, *rows_of(sweep, config, random.Random(str(flags)))]
    path.write_text("".join(map(as_line, lines)), encoding="utf-8")


def write_all(folder):
    """Everything that reproduce.py would leave in results/."""
    logs = Logs(folder)
    for name, sweep in SWEEPS.items():
        tuned = dict.fromkeys(() if sweep.rates_of else sweep.tuned_at.values())
        for label in tuned:
            for rate in range(sweep.middle - 2, 5):
                for seed in TUNING_SEEDS[:2]:
                    write_log(logs, f"{name}/tuning", *tuning_run(sweep, label, rate, seed), name)
    for name, sweep in SWEEPS.items():
        rates = {label: 2 for label in sweep.tuned_at.values()}
        for run, flags in reported_runs(sweep, rates).items():
            write_log(logs, name, run, flags, name)
    for name, found in measurements().items():
        (folder / f"{name}.json").write_text(json.dumps({"commit": "made up", "found": found}))


def measurements():
    rng = random.Random(0)
    cosines = {m: {str(k): [1 - 1 / k, 1 - 2 / k] for k in (2, 16, 256, 4096)} for m in METHODS}
    ps = [rng.random() ** 2 for _ in range(100)]
    norms = {"p": ps, "norm": [10 * (1 - p) for p in ps]}
    norms |= {m: [(10 * p) ** 2 for p in ps] for m in ("maxrl", "grpo", "rloo")}
    gradients = {str(s): norms for s in range(8)}
    of = {m: {str(k): [[p, (1.01 - p) / k] for p in ps] for k in (4, 8, 16, 64)} for m in METHODS}
    stages = ("base pass rate .1", "base pass rate .55")
    return {
        "cosines": {"warm start, 256": cosines, "late, 256": cosines},
        "gradients": dict.fromkeys(stages, gradients),
        "two_effects": {
            "within": {T: [float(8 - i) for i in range(16)] for T in ("1", "4", "16")},
            "across": {T: [1 / p for p in ps] for T in ("1", "4", "16")},
            "p": ps,
        },
        "estimates": {s: {"p": ps, "of": of} for s in stages},
    }
