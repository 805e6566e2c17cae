"""Logs of every sweep with made-up figures, so that every table and figure can be made from logs
of the right shape in seconds. maxrl is best, for a little while.
"""

import json
import math
import random

from harness.config import parse_args
from paper.logs import KS, Job, Logs, job_of
from paper.measure import STAGES
from paper.sweeps import BEST_OF, SWEEPS, TUNING_SEEDS

GAIN = {"maxrl": 0.6, "maxrl-loo": 0.5, "tailrl": 0.5, "ce": 0.7, "grpo": 0.45, "rloo": 0.4}
BASE = {"fresh": 0.05, "default": 0.05, "budget": 0.05, "convergence": 0.001}


def evaluation(sweep, config, rng, t):
    """After a share t of the run: pass@1 has risen, and the right answers vary less."""
    gain = GAIN.get(config.method, 0.3) * (0.6 + 0.4 * (1 - 1 / config.k))
    noise = 0 if config.seed >= 100 else rng.uniform(-0.02, 0.02)
    best = 1.6e-3 if (sweep, config.method) == ("default", "maxrl") else 8e-4
    near = -abs(math.log2(config.lr / best)) / 20
    rise = 1 - (1 - t) ** 2
    p = BASE.get(sweep, 0.1) + config.seed % 100 / 900 + rise * (gain + near + noise)
    sharp = 1 - t * (0.3 if config.method.startswith("maxrl") else 0.6)
    row = {f"pass@{k}": 1 - (1 - p) ** (k**sharp) for k in KS}
    row |= {"nll": 4 - rise * 3 * gain, "answers": 8 * sharp, "log_tail": -2 + t * gain / 3}
    row |= {"log_likelihood": -1.3 + t * (gain + near) / 5}
    row |= {f: 0.4 + 0.05 * i + t * gain / 9 for i, f in enumerate(BEST_OF)}
    row["kinds"] = [[w, p, p if i else 1.0] for i, w in enumerate((0.55, 0.28, 0.17))]
    return row


def line(job: Job):
    config = parse_args(job.flags.split())[0]
    sweep, rng = SWEEPS[job.sweep], random.Random(job.flags)
    steps = range(0, config.steps + 1, config.eval_every)
    if job.seed in TUNING_SEEDS:
        steps = steps[-1:]
    rows = []
    for step in steps:
        row = evaluation(job.sweep, config, rng, step / config.steps)
        kept = (*sweep.figures, sweep.criterion)
        row = {n: v for n, v in row.items() if n in kept and (n != "kinds" or step == config.steps)}
        rows.append({"step": step, "seconds": step / 10, "rollouts": step} | row)
    settings = {n: "inf" if v == math.inf else v for n, v in vars(config).items()}
    about = {"sweep": job.sweep, "label": job.label, "seed": job.seed, "command": job.command}
    return about | {"commit": "made up", "config": settings, "evaluations": rows}


def write_all(folder):
    """Everything that reproduce.py would leave in results/."""
    logs = Logs(folder)
    for name, sweep in SWEEPS.items():
        tuned = dict.fromkeys(sweep.tuned_at.values())
        rates = range(min(sweep.middle - 1, 2), 6)
        jobs = [job_of(logs, name, m, s, n) for m in tuned for n in rates for s in TUNING_SEEDS[:2]]
        for label in sweep.labels:
            rate = {("default", "maxrl"): 4}.get((name, label), 3)
            rate = rate if label in sweep.tuned_at else None
            jobs += [job_of(logs, name, label, seed, rate) for seed in sweep.seeds]
        text = "".join(json.dumps(line(job)) + "\n" for job in jobs)
        logs.write(f"{name}.jsonl", text)
    rng = random.Random(0)
    p = [rng.random() ** 2 + 1e-3 for _ in range(100)]
    rows = {"p": p, "norm": [10 * (1.2 - x) for x in p]}
    found = {s: {str(i): rows for i in range(8)} for s in STAGES}
    logs.write("gradients.json", json.dumps({"commit": "made up", "found": found}))
