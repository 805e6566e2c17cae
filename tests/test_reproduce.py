"""reproduce.py: the README says what the logs say, and the logs what the runs said."""

import json
import re

import pytest

import reproduce
from reproduce import EXPERIMENTS, ROOT, tables


def test_the_tables_in_the_readme_are_those_of_the_logs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, table in tables().items():
        assert f"<!-- results:{name} -->\n{table}\n<!-- end -->" in text, "run reproduce.py"


def test_every_figure_in_the_readme_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_logs_are_of_the_runs_they_name(experiment):
    from config import parse_args

    for name, flags in EXPERIMENTS[experiment].items():
        lines = (
            (ROOT / "results" / experiment / f"{name}.jsonl")
            .read_text(encoding="utf-8")
            .splitlines()
        )
        head, *rows = map(json.loads, lines)
        config, _, _ = parse_args(flags.split())
        mine = vars(config) | {"out": head["config"]["out"]}
        assert head["config"] == {n: mine[n] for n in head["config"]}, name  # later flags are off
        assert head["command"] == f"python train.py {flags}"
        assert rows[0]["step"] == 0 and rows[-1]["step"] == config.steps


def test_the_mean_and_spread():
    assert reproduce.spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
