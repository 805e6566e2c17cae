"""paper/: what is made of logs, against figures worked out by hand or another way."""

import json
import math
import random

import pytest
import torch

import maxrl
from compare import COLORS, styles
from paper import figures, logs, measure, tables
from paper.logs import Logs, ending, more_pass_rates, samples_for, share, steps_to
from paper.sweeps import SWEEPS, Sweep, arms, reported_runs, tuning_runs
from train import likelihood_backward

TOY = Sweep(
    number=1,
    flags="--steps 10",
    quick="--steps 2",
    labels={"maxrl k=8": "--method maxrl --k 8", "maxrl k=4": "--method maxrl --k 4", "ce": "--ce"},
    rates=("1e-4", "2e-4"),
    seeds=(5, 6),
)


def write(folder, sweep, run, rows, **head):
    path = Logs(folder).path(sweep, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in [head, *rows]))


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A sweep with logs: pass@1 ends at the mean of steps 9 and 10."""
    monkeypatch.setitem(SWEEPS, "toy", TOY)
    monkeypatch.setattr(logs, "RESULTS", tmp_path)
    for run, at in {"maxrl-k8-lr1e-4": 0.3, "maxrl-k8-lr2e-4": 0.4, "ce-lr1e-4": 0.6}.items():
        write(tmp_path, "toy/tuning", run, [{"step": 10, "pass@1": at}])
    for i, seed in enumerate(TOY.seeds):
        for run in ("maxrl-k8", "maxrl-k4", "ce"):
            values = {0: 0.1, 8: 0.9, 9: 0.2 + i / 10, 10: 0.4 + i / 10}
            rows = [{"step": step, "pass@1": x} for step, x in values.items()]
            write(tmp_path, "toy", f"{run}-s{seed}", rows, seed=seed)
    return Logs(tmp_path)


def test_each_arm_tunes_its_first_label():
    assert arms(TOY) == {"maxrl": "maxrl k=8", "ce": "ce"}
    assert tuning_runs(TOY)["maxrl-k8-lr2e-4"] == (
        "--method maxrl --k 8 --steps 10 --lr 2e-4 --seed 100"
    )
    assert len(tuning_runs(TOY)) == 4


def test_reported_runs_have_the_choice_of_their_arm_and_quick_ones_less():
    runs = reported_runs(TOY, {"maxrl": "3e-4"})
    assert len(runs) == 6
    assert runs["maxrl-k4-s6"] == "--method maxrl --k 4 --steps 10 --lr 3e-4 --seed 6"
    assert reported_runs(TOY, {}, quick=True)["ce-s5"] == "--ce --steps 10 --steps 2 --seed 5"


def test_the_best_rate_is_chosen_and_the_middle_one_where_nothing_is_known(toy):
    assert logs.chosen("toy") == {"maxrl": "2e-4", "ce": "1e-4"}
    toy.path("toy/tuning", "ce-lr1e-4").unlink()
    assert logs.chosen("toy")["ce"] == "2e-4"


def test_ends_and_starts(toy):
    assert toy.ends("toy", "ce", "pass@1") == pytest.approx([0.3, 0.4])
    assert toy.starts("toy", "pass@1") == [0.1, 0.1]
    assert [head["seed"] for head in toy.heads("toy", "ce")] == [5, 6]
    assert Logs(toy.folder, quick=True).ends("toy", "ce", "pass@1") == pytest.approx([0.3])


def test_the_last_fifth():
    rows = [{"step": s, "x": float(s)} for s in range(0, 101, 10)]
    assert ending(rows, "x") == 95.0, "90 and 100"
    assert ending(rows[:2], "x") == 10.0


def test_pass_rates_of_more_k():
    ps = [0.5, 0.003, 1.0]
    found = more_pass_rates({"logp": [math.log(p) for p in ps]})
    assert len(found) == 15
    for k in (1, 32, 16384):
        assert found[f"pass@{k}"] == pytest.approx(sum(1 - (1 - p) ** k for p in ps) / 3)
    assert more_pass_rates({"n": 4, "c": [0, 1, 4]}) == pytest.approx(
        {"pass@1": (0 + 1 / 4 + 1) / 3, "pass@2": (0 + 1 / 2 + 1) / 3, "pass@4": 2 / 3}
    )


def test_the_mean_of_training_figures_skips_what_is_null():
    rows = [{"live": 0.2, "unique": None}, {"live": 0.4, "unique": None, "loss": 1}]
    assert logs.means(rows) == pytest.approx({"live": 0.3})


def test_samples_needed():
    curve = [0.1, 0.3, 0.3, 0.7]  # at 1, 2, 4, 8
    assert samples_for(0.3, curve) == pytest.approx(2)
    assert samples_for(0.2, curve) == pytest.approx(2**0.5)
    assert samples_for(0.5, curve) == pytest.approx(2**2.5)
    assert samples_for(0.05, curve) is None and samples_for(0.8, curve) is None


def test_sample_ratios_of_known_curves(monkeypatch):
    """Were maxrl to need a half and a fourth of grpo's samples, these would be the ratios."""
    curve = {k: 1 - 0.9 / k for k in (*logs.KS, 2 * logs.KS[-1], 4 * logs.KS[-1])}

    def ends(self, sweep, label, figure):
        k = int(figure.split("@")[1])
        return [curve[f * k] if label.startswith("maxrl") else curve[k] for f in (2, 4)]

    monkeypatch.setattr(Logs, "ends", ends)
    ratios = logs.sample_ratios(Logs(logs.RESULTS), "grpo")
    assert set(ratios) == set(logs.KS[2:]), "before, the first sample of maxrl is enough"
    assert all(values == pytest.approx([2.0, 4.0]) for values in ratios.values())


def test_what_loo_gains_is_paired_by_seed(monkeypatch):
    ends = {"maxrl-loo k=4": [0.5, 0.9], "maxrl k=4": [0.4, 0.3]}
    monkeypatch.setattr(Logs, "ends", lambda self, sweep, label, figure: ends[label])
    assert logs.gains_of_loo(Logs(logs.RESULTS), "pass@1", 4) == pytest.approx([0.1, 0.6])


def test_the_best_likelihood_is_what_its_rollouts_would_measure():
    """Numbers drawn from N(sum, 12), for targets from N(sum, 16), judged with sigma = 2."""
    best, rng = logs.best_likelihoods(), random.Random(0)
    assert best["spread"] == pytest.approx(math.sqrt(12))
    total, n = 0.0, 4000
    for _ in range(n):
        y = rng.gauss(0, 4)
        z = [rng.gauss(0, math.sqrt(12)) for _ in range(200)]
        total += math.log(sum(math.exp(-((y - x) ** 2) / 8) for x in z) / 200)
    assert total / n == pytest.approx(math.log(2 / 4) - 0.5, abs=0.03)
    assert best["log_likelihood"] == pytest.approx(math.log(2 / 4) - 0.5, abs=0.15), "200 targets"


def test_ratios_are_of_the_means_and_by_seed():
    assert tables.times([2.0, 9.0], [1.0, 3.0]) == "**2.75 times** (by seed 2.00 to 3.00)"


def test_steps_to_a_target():
    rows = [{"step": 0, "pass@1": 0.1}, {"step": 7, "pass@1": 0.5}, {"step": 9, "pass@1": 0.4}]
    assert steps_to(rows, 0.5) == 7 and steps_to(rows, 0.6) is None


def test_bins_hold_every_pass_rate_once():
    ps = [0.0, 1.0, 0.01, *(random.Random(0).random() for _ in range(200))]
    assert sum(share(ps, *b) for b in logs.BINS) == pytest.approx(1)
    assert share([0.0, 0.01, 0.02, 1.0], 0, 0.01) == 0.5


def test_verdicts():
    assert tables.verdict(True, True) == "**yes**"
    assert tables.verdict(True, False) == "partly" and tables.verdict(False, False) == "**no**"


def test_more_seeds_are_better_and_then_fewer_steps():
    ranks = [tables.progress(steps) for steps in ([], [50], [900, 800], [700, 800])]
    assert tables.rises(ranks)
    assert not tables.rises(ranks[::-1]) and not tables.rises([ranks[0], ranks[0]])


def test_spread_and_markdown():
    assert tables.spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert tables.markdown(["a", "b"], [["1", "2"]]).splitlines() == [
        "| a | b |",
        "|---|---|",
        "| 1 | 2 |",
    ]


def test_labels_of_one_method_share_its_colour_and_differ_in_the_line():
    drawn = styles(["maxrl k=4", "grpo", "maxrl k=8", "mine", "theirs", "mine k=2"])
    assert drawn["maxrl k=4"]["color"] == drawn["maxrl k=8"]["color"] == COLORS["maxrl"]
    assert drawn["maxrl k=4"]["ls"] != drawn["maxrl k=8"]["ls"]
    assert drawn["mine"]["color"] == drawn["mine k=2"]["color"] != drawn["theirs"]["color"]
    assert len(set(COLORS.values())) == len(COLORS)


# -------------------------------------------------------------------------------- measuring


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    flags = "--n-embd 8 --n-head 2 --digits 1 --sft-steps 3 --batch-size 5"
    noisy = f"--task noisy --sigma 20 --sft-lr 3e-3 {flags} --sft-steps 100"
    for name, own in {"scaling": flags, "likelihoods": noisy}.items():
        sweep = Sweep(number=1, flags=own, quick="", labels={}, rates=())
        monkeypatch.setitem(SWEEPS, name, sweep)


def test_norms_of_population_gradients_are_those_of_the_exact_objective(tiny):
    """maxrl-raw of 16 rollouts trains order 16: |grad J_16| by automatic differentiation."""
    found = measure.gradient_norms(quick=True)
    norms = figures.population_norms("maxrl-raw", found["p"], found["norm"])
    model, config, _, batch = measure.start(f"{SWEEPS['scaling'].flags} --batch-size 100")
    config.method, config.order = "exact", 16
    for i in (0, 7):
        one = type(batch)(
            batch.texts[i : i + 1], batch.references[i : i + 1],
            batch.prompts[i : i + 1], batch.answers[i : i + 1],
        )  # fmt: skip
        likelihood_backward(model, one, config)
        assert measure.gradient(model).norm().item() == pytest.approx(norms[i], rel=1e-3)


def test_the_cosine_of_an_estimate(tiny):
    """Against itself 1; with every rollout of a batch that succeeds nowhere 0."""
    model, config, task, batch = measure.start(SWEEPS["scaling"].flags)
    config.method, config.k = "maxrl-raw", 4096
    likelihood_backward(model, batch, config)
    ce = measure.gradient(model)
    assert measure.cosine_of_draw(model, config, task, batch, 0, ce) > 0.5
    batch.texts = ["9+9="] * 5  # whose truth nobody says, or hardly
    config.k = 1
    assert measure.cosine_of_draw(model, config, task, batch, 0, ce) == 0


def test_two_effects_of_likelihoods(tiny):
    found = measure.two_effects(quick=True)
    n = len(found["p"])
    assert n > 20 and {T: len(x) for T, x in found["across"].items()} == {1: n, 4: n, 16: n}
    assert found["across"][1] == pytest.approx([1.0] * n)
    for A in found["within"].values():
        assert A == sorted(A, reverse=True), "the better a rollout, the more it weighs"
    steep = {T: A[0] / sum(map(abs, A)) for T, A in found["within"].items()}
    assert steep[1] < steep[4] < steep[16]
    weights = maxrl.weight(torch.tensor(found["p"]), 16)
    ratio = torch.tensor(found["across"][16]).mean() / weights.mean()
    assert ratio.item() == pytest.approx(1.0, abs=0.25)
