"""docs/index.html is what its sources and results build; tests/more looks at it in a browser."""

import json
import re

import pytest
import torch

import maxrl
from explorer import build, train_models

PAGE = build.PAGE.read_text(encoding="utf-8")


def data(name):
    found = re.search(rf'<script type="application/json" id="data-{name}">(.*)</script>', PAGE)
    return json.loads(found[1])


def test_the_committed_page_is_what_its_sources_build_and_asks_for_nothing():
    assert build.build() == PAGE, "run `make explorer` and commit docs/index.html"
    assert len(PAGE.encode()) < 2_500_000
    outside = re.sub(r"<script.*?</script>|<style>.*?</style>", "", PAGE, flags=re.DOTALL)
    links = set(re.findall(r'(?:src|href)="(?!#)([^"]*)"', outside))
    assert links == {"data:,", "https://arxiv.org/abs/2602.02710"}
    styles = re.search("<style>(.*?)</style>", PAGE, flags=re.DOTALL)[1]
    assert "url(" not in styles and "@import" not in styles


FINDING = build.Finding("A is ahead.", "", "toy", "pass@1", {"maxrl k=4": "A", "grpo": "B"})


def run(label, seed, values, split="test"):
    rows = [{"step": 10 * i, "pass@1": value} for i, value in enumerate(values)]
    about = {"label": label, "command": f"{label} {seed}", "config": {"eval_split": split}}
    return about | {"evaluations": rows}


@pytest.fixture
def findings(tmp_path, monkeypatch):
    """findings(runs): what build.results() says of a finding when results/ holds these."""
    monkeypatch.setattr(build, "RESULTS", tmp_path)

    def call(*runs, finding=FINDING):
        monkeypatch.setattr(build, "FINDINGS", (finding,))
        if runs:
            (tmp_path / "toy.jsonl").write_text("\n".join(map(json.dumps, runs)))
        return build.results()

    return call


def test_a_finding_has_the_curves_of_its_runs_and_their_mean(findings):
    [shown], left_out = findings(
        run("maxrl k=4", 0, [0.1, None, 0.51239]),
        run("maxrl k=4", 1, [0.3, 0.4, 0.7]),
        run("maxrl k=16", 0, [0.9, 0.9, 0.9]),
        run("maxrl k=4", 100, [0.9, 0.9, 0.9], "validation"),
        run("grpo", 0, [0.2, 0.3, 0.4]),
        run("grpo", 1, [0.2, 0.3, 0.4]),
    )
    assert (left_out, shown["says"], shown["command"]) == ([], "A is ahead.", "maxrl k=4 0")
    a, b = shown["lines"]
    assert (a["name"], a["method"], b["name"], b["method"]) == ("A", "maxrl", "B", "grpo")
    assert a["step"] == [0, 20] and b["step"] == [0, 10, 20], "where all of them were evaluated"
    assert (a["range"], a["runs"]) == ([0.5124, 0.7], 2)
    assert (a["mean"], a["end"], b["end"]) == ([0.2, 0.6062], 0.6062, 0.4)


def test_a_finding_that_the_runs_do_not_show_is_left_out_and_said(findings):
    ahead, behind = run("maxrl k=4", 0, [0.5]), run("grpo", 0, [0.6])
    for runs, why in (
        ([], "no runs"), ([ahead, run("grpo", 1, [None])], "no pass@1 of grpo"),
        ([ahead, behind], "the runs end in another order: [0.5, 0.6]"),
        ([ahead, run("grpo", 0, [0.4]), behind], "runs are missing: there are [1, 2]"),
    ):  # fmt: skip
        assert findings(*runs) == ([], [f"left out: “A is ahead.” (results/toy: {why})"])


def test_a_finding_may_be_about_the_distance_from_a_curve(findings):
    """The farther curve may end higher; the distance is the mean over the steps that both have."""
    near = build.Finding("", "", "toy", "pass@1", {"ce": "", "b": "", "c": ""}, near="ce")
    ce, b = run("ce", 0, [0.1, 0.5, 0.8]), run("b", 0, [0.1, 0.7, 0.7])
    for c, is_shown in (([0.1, None, 1.2], 1), ([0.1, 0.9, 0.8], 1), ([0.1, 0.4, 0.8], 0)):
        shown, left_out = findings(ce, b, run("c", 0, c), finding=near)
        assert len(shown) == is_shown and ("another order" in str(left_out)) == (not is_shown)


def test_the_page_shows_every_finding_that_results_hold():
    """Their sentences have no numbers, which come from the runs."""
    shown, left_out = build.results()
    assert data("results") == shown and len(shown) + len(left_out) == len(build.FINDINGS)
    assert not any(re.search(r"\d", finding["says"]) for finding in shown)


def test_the_models_are_as_part_4_says():
    """Its sentence has only numbers filled in; its first example is the hardest one for base."""
    models = data("models")
    for name, model in models["models"].items():
        assert len(model["logp"]) == len(models["prompts"])
        assert model["command"] == train_models.command_of(name)
    logp = {name: torch.tensor(model["logp"]).double() for name, model in models["models"].items()}
    first, last = ({name: maxrl.exact_pass_at_k(x.exp(), k).mean() for name, x in logp.items()}
                   for k in (1, 1024))  # fmt: skip
    assert all(first[name] > first["base"] for name in ("rloo", "grpo", "maxrl"))
    assert all(last[name] < last["base"] - 0.03 for name in ("rloo", "grpo"))
    assert last["maxrl"] > last["base"] - 0.002
    i = models["prompts"].index(" 0+ 1=")
    assert i == logp["base"].argmin()
    assert logp["maxrl"][i] > logp["base"][i] > max(logp["grpo"][i], logp["rloo"][i])
