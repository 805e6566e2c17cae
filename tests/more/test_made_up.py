"""Every table, finding and figure of the page of results, from made-up logs of the right shape."""

import json
import math
import random

import pytest
import test_recompute

from harness.config import parse_args
from paper import claims, figures, logs, tables
from paper.logs import KS, Job, Logs, job_of
from paper.measure import STAGES
from paper.sweeps import BEST_OF, SWEEPS, TUNING_SEEDS

OTHERS = ("nll", "answers", "log_likelihood", "log_tail", *BEST_OF)  # figures


def evaluation(sweep, config, t):
    """After a share t of the run. At first all are equal; the best rate is inside its grid."""
    luck = random.Random(f"{config.method} {config.k} {config.seed}").random() / 9
    best = 1.6e-3 if (sweep, config.method) == ("default", "maxrl") else 8e-4
    near = 0.5 - abs(math.log2(config.lr / best)) / 20
    p = 0.05 + config.seed % 100 / 900 + t * (near + luck * (config.seed < 100))
    row = {f"pass@{k}": 1 - (1 - p) ** (k ** (1 - t / 2)) for k in KS}
    row |= {name: i + p for i, name in enumerate(OTHERS)}
    return row | {"kinds": [[w, p, p**w] for w in (0.55, 0.28, 0.17)]}


def line(job: Job):
    config, sweep, rows = parse_args(job.flags.split())[0], SWEEPS[job.sweep], []
    steps = range(0, config.steps + 1, config.eval_every)
    for step in steps[-1:] if job.seed in TUNING_SEEDS else steps:
        row = evaluation(job.sweep, config, step / config.steps)
        kept = {*sweep.figures, sweep.criterion} - ({"kinds"} if step < config.steps else set())
        about = {"step": step, "seconds": step / 10, "rollouts": step}
        rows.append(about | {n: v for n, v in row.items() if n in kept})
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


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Made-up logs of every sweep in the place of those that are committed."""
    folder, patch = tmp_path_factory.mktemp("results"), pytest.MonkeyPatch()
    write_all(folder)
    patch.setattr(logs, "RESULTS", folder)
    patch.setattr(tables, "LOGS", Logs(folder))
    yield Logs(folder)
    patch.undo()


@pytest.mark.parametrize("number", range(9))
def test_the_figure_and_the_text_of_an_experiment(number, made, tmp_path):
    assert logs.ready(made, number)
    drawn = figures.draw(made, tmp_path, number)
    text = tables.content(f"experiment-{number}")
    assert drawn.read_bytes()[1:4] == b"PNG" and f"(assets/{drawn.name})" in text
    assert "nan" not in text and text.count("![") == 1


def test_the_chief_findings_are_few_and_each_claim_of_the_family_is_one(made):
    found = claims.findings(made)
    assert {f.experiment for f in found} == {0, 1, 2, 3, 4, 5, 7, 8}
    assert 6 <= sum(f.chief for f in found) <= 14
    assert {f.name for f in found} - {""} == set(claims.FAMILY)


@pytest.mark.parametrize("name", test_recompute.CHECKS)
def test_other_code_computes_the_same_numbers(name, made):
    results, block = test_recompute.Results(made.folder), tables.content(name)
    test_recompute.check(name, results, block)
