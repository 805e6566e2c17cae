"""docs/index.html is what its sources and results build, and holds nothing from elsewhere.

What the page computes and how it behaves is tests/more/test_explorer_page.py, in a browser.
"""

import base64
import json
import re

import torch

import maxrl
from explorer import build
from model import GPT, ModelConfig
from paper.sweeps import SWEEPS, TUNING_SEEDS, seeds_of

PAGE = build.PAGE.read_text(encoding="utf-8")


def data(name):
    found = re.search(rf'<script type="application/json" id="data-{name}">(.*)</script>', PAGE)
    return json.loads(found[1])


def test_the_committed_page_is_what_its_sources_build():
    assert build.build() == PAGE, "run `make explorer` and commit docs/index.html"
    assert len(PAGE.encode()) < 4_000_000


def test_the_page_asks_for_nothing():
    outside = re.sub(r"<script.*?</script>|<style>.*?</style>", "", PAGE, flags=re.DOTALL)
    assert set(re.findall(r'(?:src|href)="(?!#)([^"]*)"', outside)) == {
        "data:,",
        "https://arxiv.org/abs/2602.02710",
    }
    styles = re.search("<style>(.*?)</style>", PAGE, flags=re.DOTALL)[1]
    assert "url(" not in styles and "@import" not in styles


def test_modules_come_after_what_they_import_and_hide_their_names():
    found = build.modules("main")
    sources = {path.stem for path in build.HERE.glob("*.js")} - {build.LIBRARY}
    assert list(found)[-1] == "main" and set(found) == sources
    for name, code in found.items():
        earlier = list(found)[: list(found).index(name)]
        assert set(re.findall(r"= (\w+)_js;", code)) <= set(earlier)
        assert not re.search(r"^(import|export)\b", code, flags=re.MULTILINE)


def test_results_are_those_of_the_logs_and_of_reported_seeds():
    shown = data("results")
    assert set(shown) <= set(SWEEPS) and shown
    for name, sweep in shown.items():
        for label, runs in sweep["labels"].items():
            assert label in SWEEPS[name].labels
            for seed, run in runs.items():
                assert int(seed) in seeds_of(SWEEPS[name], quick=False)
                assert int(seed) not in TUNING_SEEDS
                log = build.RESULTS / name / f"{build.run_name(label, f's{seed}')}.jsonl"
                head, *rows = map(json.loads, log.read_text(encoding="utf-8").splitlines())
                assert run["command"] == head["command"]
                assert len(run["step"]) <= 60 and run["step"][-1] == rows[-1]["step"]
                for figure, curve in run["curves"].items():
                    last = rows[-1].get(figure)
                    assert curve[-1] == (None if last is None else float(f"{last:.5g}"))


def test_long_curves_are_thinned_to_their_ends():
    rows = [{"step": i} for i in range(1001)]
    kept = [row["step"] for row in build.thinned(rows, 60)]
    assert len(kept) == 60 and kept[0] == 0 and kept[-1] == 1000
    assert kept == sorted(set(kept)) and build.thinned(rows[:60], 60) == rows[:60]


def test_more_results_than_there_is_room_for_have_fewer_points(monkeypatch):
    sizes = [len(build.as_json(build.results(most))) for most in build.MOST_POINTS]
    assert sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(build, "MOST_BYTES", sizes[-1])
    assert len(build.results_that_fit()) == sizes[-1]


def test_the_weights_are_those_of_the_sizes_they_come_with():
    models = data("models")
    size = GPT(ModelConfig(**models["config"])).n_parameters()
    for name, model in models["models"].items():
        weights = torch.frombuffer(bytearray(base64.b64decode(model["weights"])), dtype=torch.half)
        assert len(weights) == size and weights.isfinite().all(), name
        assert len(model["logp"]) == len(models["prompts"])


def test_the_models_are_as_part_5_says():
    """Its sentence has only numbers filled in; its first example is the hardest prompt for base."""
    models = data("models")
    logp = {name: torch.tensor(model["logp"]).double() for name, model in models["models"].items()}
    ks = [2.0 ** (i / 4) for i in range(41)]
    base, *trained = (
        torch.stack([maxrl.exact_pass_at_k(logp[name].exp(), k).mean() for k in ks])
        for name in ("base", "rloo", "grpo", "maxrl")
    )
    assert all(curve[0] > base[0] for curve in trained)
    rloo, grpo, ours = ((curve - base) for curve in trained)
    assert rloo[-1] < -0.03 and grpo[-1] < -0.03 and ours.min() > -0.002
    i = models["prompts"].index(" 0+ 1=")
    assert i == logp["base"].argmin()
    assert logp["maxrl"][i] > logp["base"][i] > max(logp["grpo"][i], logp["rloo"][i])


def test_every_experiment_has_a_title():
    titles = re.search(r"const TITLES = \{(.*?)\};", build.read("results.js"), flags=re.DOTALL)[1]
    assert set(re.findall(r'^ *"?([\w-]+)"?: ', titles, flags=re.MULTILINE)) == set(SWEEPS)
