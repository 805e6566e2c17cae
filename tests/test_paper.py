"""paper/: what is made of logs, against figures worked out by hand or another way."""

import json
import math
import random
from statistics import mean

import pytest
import torch

import maxrl
from harness.config import parse_args
from paper import logs, measure, tables, verdicts
from paper.logs import Logs, at_best, ending, more_pass_rates, samples_for, steps_to
from paper.sweeps import (
    MOST_RATES,
    SWEEPS,
    TUNING_SEEDS,
    Sweep,
    best_rate,
    rate_text,
    reported_runs,
    to_tune,
    tuning_run,
)
from paper.verdicts import NO, OPEN, YES
from train import likelihood_backward

TOY = Sweep(
    number=1,
    flags="--steps 10",
    quick="--steps 2",
    labels={
        "maxrl k=8": "--method maxrl --k 8",
        "maxrl k=4": "--method maxrl --k 4",
        "ce": "--method ce",
    },
    tuned_at={"maxrl k=8": "maxrl k=8", "maxrl k=4": "maxrl k=8"},
    seeds=2,
    figures=("pass@1",),
)


def write(folder, sweep, run, flags, values):
    path = Logs(folder).path(sweep, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    config = parse_args(flags.split())[0]
    head = {"command": f"python train.py {flags}", "config": vars(config)}
    lines = [head, *({"step": s, "pass@1": x} for s, x in values.items())]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def tune(folder, ends):
    """Tuning runs of "maxrl k=8" that end so: {(rate, seed): pass@1}."""
    for key, end in ends.items():
        write(folder, "toy/tuning", *tuning_run(TOY, "maxrl k=8", *key), {0: 0.1, 10: end})


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A sweep without logs."""
    monkeypatch.setitem(SWEEPS, "toy", TOY)
    monkeypatch.setattr(logs, "RESULTS", tmp_path)
    return Logs(tmp_path)


# ------------------------------------------------------------------------------- the grid


def test_rates_are_powers_of_two_times_1e_4():
    assert [rate_text(n) for n in (-2, 0, 1, 3, 4)] == ["2.5e-5", "1e-4", "2e-4", "8e-4", "1.6e-3"]
    assert all(float(rate_text(n)) == pytest.approx(1e-4 * 2**n) for n in range(-10, 11))


def tried(*values, first=0, seeds=TUNING_SEEDS[:2]):
    """These values for both seeds, at the rates from `first` on."""
    return {(first + i, s): v for i, v in enumerate(values) for s in seeds}


def test_a_grid_begins_with_three_rates_and_two_seeds():
    assert to_tune({}, 1) == [(0, 100), (0, 101), (1, 100), (1, 101), (2, 100), (2, 101)]
    assert to_tune({(0, 100): 0.5}, 1)[0] == (0, 101)


def test_a_grid_grows_on_the_side_of_its_best_until_that_is_inside():
    assert to_tune(tried(1, 3, 2), 1) == []
    assert to_tune(tried(1, 2, 3), 1) == [(3, 100), (3, 101)]
    assert to_tune(tried(3, 2, 1), 1) == [(-1, 100), (-1, 101)]
    assert to_tune(tried(1, 2, 3, 2), 1) == []
    assert to_tune(tried(*range(MOST_RATES)), 1) == [], "its best is at an edge, and it says so"


def test_of_equal_rates_the_lowest_is_chosen():
    assert best_rate(tried(1, 2, 2, first=5), TUNING_SEEDS[:2]) == 6


def test_a_third_seed_decides_where_two_choose_different_rates():
    values = tried(0, 5, 4, 0) | {(2, 101): 7}
    assert to_tune(values, 1) == [(n, 102) for n in range(4)]
    values |= tried(0, 1, 2, 9, seeds=TUNING_SEEDS[2:])
    assert to_tune(values, 1) == [], "means 0, 3.7, 4.3, 3: inside"
    assert best_rate(values, TUNING_SEEDS) == 2
    values[3, 102] = 99
    assert to_tune(values, 1) == [(4, s) for s in TUNING_SEEDS], "the grid grows for all three"


def test_tuning_looks_at_validation_and_never_at_a_reported_seed():
    run, flags = tuning_run(TOY, "maxrl k=8", 1, 101)
    assert run == "maxrl-k8-lr2e-4-s101"
    want = "--method maxrl --k 8 --steps 10 --eval-split validation --lr 2e-4 --seed 101"
    assert flags == want
    for sweep in SWEEPS.values():
        assert not set(TUNING_SEEDS) & set(range(sweep.seeds))
        assert "--eval-split" not in " ".join(reported_runs(sweep, {}).values())


def test_reported_runs_have_the_choice_of_their_arm_and_quick_ones_less():
    runs = reported_runs(TOY, {"maxrl k=8": 2})
    assert len(runs) == 6
    assert runs["maxrl-k4-s1"] == "--method maxrl --k 4 --steps 10 --lr 4e-4 --seed 1"
    assert runs["ce-s1"] == "--method ce --steps 10 --seed 1"
    assert (
        reported_runs(TOY, {}, quick=True)["ce-s0"] == "--method ce --steps 10 --steps 2 --seed 0"
    )


def test_what_is_missing_comes_in_order(toy):
    """Tuning first; runs without a rate at once; the others when it is chosen."""
    assert len(logs.missing_tuning("toy")) == 6
    assert set(logs.missing_runs(toy, "toy")) == {"ce-s0", "ce-s1"}
    tune(toy.folder, tried(1, 2, 3, first=-1))
    assert set(logs.missing_tuning("toy")) == {"maxrl-k8-lr4e-4-s100", "maxrl-k8-lr4e-4-s101"}
    tune(toy.folder, tried(0, first=2))
    assert not logs.missing_tuning("toy") and logs.chosen("toy") == {"maxrl k=8": 1}
    missing = logs.missing_runs(toy, "toy")
    assert len(missing) == 6 and "--lr 2e-4" in missing["maxrl-k4-s0"]
    for run, flags in missing.items():
        assert not logs.complete(toy, "toy")
        write(toy.folder, "toy", run, flags, {0: 0.1, 10: 0.5})
    assert logs.complete(toy, "toy")


def test_a_log_of_other_flags_or_of_an_older_list_does_not_count(toy):
    tune(toy.folder, tried(1, 3, 2, first=-1))
    for run, flags in reported_runs(TOY, {"maxrl k=8": 0}).items():
        write(toy.folder, "toy", run, flags, {0: 0.1, 10: 0.5})
    write(toy.folder, "toy", "rloo-s0", "--method rloo", {0: 0.1})
    write(toy.folder, "toy/tuning", "maxrl-k8-lr1e-4", "--method rloo", {0: 0.1})
    (toy.folder / "toy/mine.jsonl").write_text("of my own\n")
    assert logs.complete(toy, "toy")
    assert [p.name for p in logs.superfluous("toy")] == ["rloo-s0.jsonl", "maxrl-k8-lr1e-4.jsonl"]
    write(toy.folder, "toy", "ce-s0", "--method ce --steps 11 --seed 0", {0: 0.1})
    assert list(logs.missing_runs(toy, "toy")) == ["ce-s0"]


def test_runs_of_one_seed_that_start_from_two_weights_are_refused(toy):
    for run, flags in reported_runs(TOY, {"maxrl k=8": 0}).items():
        write(toy.folder, "toy", run, flags, {0: 0.1, 10: 0.5})
    assert toy.starts("toy", "pass@1") == [0.1, 0.1]
    write(toy.folder, "toy", "ce-s1", "--method ce --seed 1", {0: 0.2, 10: 0.5})
    with pytest.raises(SystemExit, match="different weights"):
        toy.starts("toy", "pass@1")


# ------------------------------------------------------------------------------ the verdicts


@pytest.mark.parametrize("n", range(2, 14))
def test_t_quantiles(n):
    """Against the t distribution, integrated: 97.5% lies below."""
    df, t = n - 1, verdicts.T_975[n - 2]
    constant = math.gamma((df + 1) / 2) / math.sqrt(df * math.pi) / math.gamma(df / 2)
    x = torch.linspace(0, t, 100_001, dtype=torch.float64)
    y = constant * (1 + x**2 / df) ** (-(df + 1) / 2)
    assert torch.trapezoid(y, x).item() == pytest.approx(0.475, abs=2e-5)


def test_an_interval_by_hand():
    """1, 2, 3: mean 2, standard deviation 1, so 2 +- 4.303 / sqrt 3."""
    assert verdicts.interval([1, 2, 3]) == pytest.approx((2, 2 - 2.4843, 2 + 2.4843), abs=1e-4)
    assert verdicts.interval([5]) == (5, -math.inf, math.inf)


def test_a_difference_is_settled_where_its_interval_excludes_zero():
    assert verdicts.of_difference([1, 2, 3]).word == OPEN
    assert verdicts.of_difference([2, 2.1, 2.2]).word == YES
    assert verdicts.of_difference([-2, -2.1, -2.2]).word == NO
    assert verdicts.of_difference([9]).word == OPEN, "one seed settles nothing"


def test_a_ratio_is_judged_by_its_logarithm():
    v = verdicts.of_ratio([2, 8])
    assert v.mean == pytest.approx(4) and v.word == OPEN
    assert v.low == pytest.approx(4 * 2**-12.706, rel=1e-6), "log2 is 2 +- 12.706 * 1"
    assert verdicts.of_ratio([2, 2.1, 2.2]).word == YES
    assert verdicts.of_ratio([0.5, 0.49, 0.52]).word == NO


def test_equality_has_a_margin():
    assert verdicts.of_equality([0.001, -0.001, 0.002]).word == YES
    assert verdicts.of_equality([0.05, 0.051, 0.052]).word == NO
    assert verdicts.of_equality([0.015, 0.02, 0.025]).word == OPEN
    assert verdicts.of_equality([-0.05, -0.051, -0.052]).word == NO


def test_who_is_sooner():
    """8 of 8, or 7 with a tie; never is last, and never against never a tie."""
    assert verdicts.of_order([1] * 8, [2] * 8) == YES
    assert verdicts.of_order([1] * 7 + [2], [2] * 8) == YES
    assert verdicts.of_order([1] * 7 + [3], [2] * 8) == OPEN
    assert verdicts.of_order([1] * 6 + [2] * 2, [2] * 8) == OPEN
    assert verdicts.of_order([None] * 8, [2] * 8) == NO
    assert verdicts.of_order([2] * 7 + [None], [None] * 8) == YES
    assert verdicts.of_order([None] * 8, [None] * 8) == OPEN


def test_the_best_beyond_a_pass_rate_is_interpolated_in_logarithms():
    path = [(0.1, 0.9), (0.3, 0.4), (0.5, 0.1)]
    assert verdicts.best_beyond(path, 0.3) == pytest.approx(0.4)
    assert verdicts.best_beyond(path, 0.4) == pytest.approx(0.2), "the geometric mean of .4 and .1"
    assert verdicts.best_beyond(path, 0.1) == pytest.approx(0.9)
    back = [*path, (0.25, 0.8)]
    log = math.log(0.1) + (0.5 - 0.3) / (0.5 - 0.25) * math.log(0.8 / 0.1)
    assert verdicts.best_beyond(back, 0.3) == pytest.approx(math.exp(log)), "on the way back"


def test_at_equal_pass_at_1():
    """x is the lower of the two highest pass@1."""
    ours, theirs = [(0.1, 0.9), (0.5, 0.8)], [(0.1, 0.9), (0.3, 0.6), (0.2, 0.95)]
    a, b = verdicts.at_equal(ours, theirs)
    assert a == pytest.approx(math.sqrt(0.9 * 0.8)) and b == pytest.approx(0.6)
    assert verdicts.at_equal(ours, [(0.1, 0.9), (0.05, 0.9)]) is None, "it never leaves the base"
    paths = [[(0.1, 0.9), (0.3, q)] for q in (0.8, 0.81, 0.82)]
    lower = [[(0.1, 0.9), (0.3, q - 0.1)] for q in (0.8, 0.81, 0.82)]
    assert verdicts.of_paths(paths, lower).word == YES
    assert verdicts.of_paths(lower, paths).word == NO
    stuck = [*lower[:2], [(0.1, 0.9)]]
    v = verdicts.of_paths(paths, stuck)
    assert v.word == OPEN and verdicts.said(v) == "no common pass@1"


def test_the_best_checkpoint_is_chosen_by_one_half_and_judged_by_the_other():
    halves = [([0.1, 0.1], [0.5, 0.6]), ([0.9, 0.2], [0.3, 0.4]), ([0.3, 0.8], [0.1, 0.2])]
    rows = [{"halves": {"pass@1": a, "pass@8": b}} for a, b in halves]
    assert at_best(rows, "pass@8") == pytest.approx((0.4 + 0.1) / 2)


def test_halves_share_no_prompt_and_hold_all():
    config = parse_args("--digits 1 --eval-prompts 300".split())[0]
    sides = logs.sides_of(config)
    draw = logs.checked_task(config).draw
    texts = [t for t, _ in draw(logs.rng(0, "held-out"), 300, "test")]
    by_side = [{t for t, s in zip(texts, sides, strict=True) if s == side} for side in (0, 1)]
    assert len(set(texts)) < 300 and not by_side[0] & by_side[1] and all(by_side)
    row = {"n": 4, "c": [4 * s for s in sides]}
    assert logs.halves(row, sides, ["pass@1", "pass@4"])["pass@4"] == [0, 1]
    row = {"logp": [math.log(0.5 + 0.25 * s) for s in sides]}
    assert logs.halves(row, sides, ["pass@2"])["pass@2"] == pytest.approx([0.75, 0.9375])


# --------------------------------------------------------------------------------- the logs


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
    monkeypatch.setattr(Logs, "starts", lambda self, sweep, figure: ends(self, sweep, "", figure))
    for K in logs.KS[2:]:
        for other in ("grpo", "base"):
            found = logs.fewer_samples(Logs(logs.RESULTS), 16, other, K)
            assert found == pytest.approx([2.0, 4.0])
    assert logs.fewer_samples(Logs(logs.RESULTS), 16, "grpo", 1) == [None, None]


def test_what_loo_gains_is_paired_by_seed(monkeypatch):
    ends = {("few", "maxrl-loo k=3"): [0.5, 0.9], ("few", "maxrl k=3"): [0.4, 0.3]}
    ends |= {("few", "maxrl-loo k=4"): [0.6, 0.7], ("scaling", "maxrl k=4"): [0.2, 0.1]}
    monkeypatch.setattr(Logs, "ends", lambda self, sweep, label, figure: ends[sweep, label])
    assert logs.gains_of_loo(Logs(logs.RESULTS), "pass@1", 3) == pytest.approx([0.1, 0.6])
    assert logs.gains_of_loo(Logs(logs.RESULTS), "pass@1", 4) == pytest.approx([0.4, 0.6])


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


def test_steps_to_a_target():
    rows = [{"step": 0, "pass@1": 0.1}, {"step": 7, "pass@1": 0.5}, {"step": 9, "pass@1": 0.4}]
    assert steps_to(rows, 0.5) == 7 and steps_to(rows, 0.6) is None


def test_spread_and_markdown():
    assert tables.spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert tables.markdown(["a", "b"], [["1", "2"]]).splitlines() == [
        "| a | b |",
        "|---|---|",
        "| 1 | 2 |",
    ]


def test_the_last_fifth_is_several_evaluations():
    for name, sweep in SWEEPS.items():
        for run, flags in reported_runs(sweep, {}).items():
            config = parse_args(flags.split())[0]
            late = [s for s in range(0, config.steps + 1, config.eval_every)]
            late = [s for s in late if s > 0.8 * config.steps]
            assert len(late) >= (2 if config.method in ("expert-iteration", "star") else 4), run
            assert config.steps % config.eval_every == 0, (name, run)


def test_a_block_without_its_runs_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "LOGS", Logs(tmp_path))
    monkeypatch.setattr(logs, "RESULTS", tmp_path)
    assert tables.content("experiment-1") == tables.NOT_RUN
    assert not tables.can_be_made("claims") and tables.can_be_made("scaling-of-a-step")


# -------------------------------------------------------------------------------- measuring


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    flags = "--n-embd 8 --n-head 2 --digits 1 --sft-steps 3 --batch-size 5"
    warm = f"{flags} --sft-steps 200 --sft-lr 3e-3 --sft-until 1"
    noisy = f"--task noisy --sigma 20 --sft-lr 3e-3 {flags} --sft-steps 100"
    tiny = {"scaling": flags, "scarce-hard": warm, "likelihoods": noisy}
    for name, own in tiny.items():
        sweep = Sweep(number=1, flags=own, quick="", labels={})
        monkeypatch.setitem(SWEEPS, name, sweep)


def test_predicted_norms_are_those_of_the_exact_objective(tiny):
    """maxrl-raw of 16 rollouts trains order 16: |grad J_16| by automatic differentiation."""
    flags = f"{SWEEPS['scaling'].flags} --batch-size 9"
    found = measure.gradients_of_prompts(flags)
    model, config, _, batch = measure.start(flags)
    config.method, config.order = "exact", 16
    for i in (0, 7):
        likelihood_backward(model, measure.part_of(batch, i), config)
        square = logs.predicted_square("maxrl-raw", found["p"][i], found["norm"][i])
        assert measure.gradient(model).norm().item() == pytest.approx(square**0.5, rel=1e-3)


def test_measured_gradients_are_about_the_predicted_ones(tiny):
    found = measure.gradients_of_prompts(f"{SWEEPS['scarce-hard'].flags} --batch-size 40")
    for method in ("maxrl", "rloo"):
        said = [
            logs.predicted_square(method, p, n)
            for p, n in zip(found["p"], found["norm"], strict=True)
        ]
        assert sum(found[method]) == pytest.approx(sum(said), rel=0.5)


def test_signal_to_noise_of_estimates_by_hand():
    """Two groups of two completions with orthonormal scores: g = (1, 0) and (3, 0)."""
    A, gram = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.eye(2)
    # mean (2, 0), |mean|^2 4; E|g|^2 = 5; noise (5 - 4) * 2 = 2; less its share in the mean: 4 - 1
    assert measure.signal_and_noise(A, gram) == pytest.approx((3, 2))
    assert measure.signal_and_noise(torch.zeros(3, 2), gram) == (0, 0)


def test_what_a_group_weighs():
    """maxrl, 4 rollouts of completions 0, 1, 1, 2, of which 0 is right: 3, -1, -1, -1 over 4."""
    A = measure.weights_of("maxrl", torch.tensor([1.0, 0.0, 0.0]), torch.tensor([[0, 1, 1, 2]]))
    assert A.tolist() == [[0.75, -0.5, -0.25]]


def test_signal_to_noise_of_two_outcomes_by_hand():
    """reinforce, one rollout: g = (1 - p) with chance p, else 0."""
    p = 0.3
    g, square = p * (1 - p), p * (1 - p) ** 2
    assert logs.signal_to_noise("reinforce", p, 1) == pytest.approx(g**2 / (square - g**2))
    assert logs.signal_to_noise("reinforce", p, 8) == pytest.approx(g**2 / (square - g**2))
    raw, loo = (logs.signal_to_noise(m, 0.3, 16) for m in ("maxrl-raw", "maxrl"))
    assert raw > loo, "with one right text the baseline only adds noise"


def test_norms_in_bins():
    rows = {"p": [0.05, 0.06, 0.07, 0.5], "norm": [1.0] * 4, "maxrl": [1.0, 4.0, 4.0, 9.0]}
    low, high = logs.binned_norms(rows, "maxrl", True, (0, 0.1, 1))
    assert low == pytest.approx(math.sqrt(3)) and math.isnan(high)
    said = mean(logs.predicted_square("maxrl", p, 1.0) for p in rows["p"][:3])
    assert logs.binned_norms(rows, "maxrl", False, (0, 0.1, 1))[0] == pytest.approx(said**0.5)


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
