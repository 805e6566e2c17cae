"""paper/: what is made of logs, against figures worked out by hand or another way.

Left out: what tests/more/test_recompute.py computes again from the logs.
"""

import math
from itertools import product

import pytest
import torch

import maxrl
from data.batches import held_out_problems
from harness.config import checked_task, parse_args
from paper import claims, logs, measure, tables
from paper.claims import Finding, corrected, pair
from paper.logs import KINDS, Logs, by_kind, kind_of, more_pass_rates
from paper.sweeps import MOST_RATES, TUNING_SEEDS, best_rate, rate_text, to_tune


def tried(*values, first=0, seeds=TUNING_SEEDS[:2]):
    """These values for both seeds, at the rates from `first` on."""
    return {(first + i, s): v for i, v in enumerate(values) for s in seeds}


def test_a_grid_begins_with_three_rates_and_grows_until_its_best_is_inside():
    assert to_tune({}, 1) == [(0, 100), (0, 101), (1, 100), (1, 101), (2, 100), (2, 101)]
    assert to_tune({(0, 100): 0.5}, 1)[0] == (0, 101)
    assert to_tune(tried(1, 3, 2), 1) == [] == to_tune(tried(1, 2, 3, 2), 1)
    assert to_tune(tried(1, 2, 3), 1) == [(3, 100), (3, 101)]
    assert to_tune(tried(3, 2, 1), 1) == [(-1, 100), (-1, 101)]
    assert to_tune(tried(*range(MOST_RATES)), 1) == [], "its best is at an edge, and it says so"
    assert best_rate(tried(1, 2, 2, first=5), TUNING_SEEDS[:2]) == 6, "of equal ones the lowest"
    assert [rate_text(n) for n in (-2, 0, 1, 3, 4)] == ["2.5e-5", "1e-4", "2e-4", "8e-4", "1.6e-3"]
    assert all(float(rate_text(n)) == pytest.approx(1e-4 * 2**n) for n in range(-10, 11))


def test_a_third_seed_decides_where_two_choose_different_rates():
    values = tried(0, 5, 4, 0) | {(2, 101): 7}
    assert to_tune(values, 1) == [(n, 102) for n in range(4)]
    values |= tried(0, 1, 2, 9, seeds=TUNING_SEEDS[2:])
    assert to_tune(values, 1) == [], "means 0, 3.7, 4.3, 3: inside"
    assert best_rate(values, TUNING_SEEDS) == 2
    values[3, 102] = 99
    assert to_tune(values, 1) == [(4, s) for s in TUNING_SEEDS], "the grid grows for all three"


def test_pass_rates_of_more_k_are_weighted():
    ps, weight = [0.5, 0.003, 1.0], [0.2, 0.5, 0.3]
    found = more_pass_rates({"logp": [math.log(p) for p in ps], "weight": weight})
    assert len(found) == 15
    for k in (1, 32, 16384):
        want = sum(w * (1 - (1 - p) ** k) for w, p in zip(weight, ps, strict=True))
        assert found[f"pass@{k}"] == pytest.approx(want)
    assert more_pass_rates({"n": 4, "c": [0, 1, 4], "weight": weight}) == pytest.approx(
        {"pass@1": 0.5 / 4 + 0.3, "pass@2": 0.5 / 2 + 0.3, "pass@4": 0.8}
    )


def test_pass_rates_by_kind():
    """A model that solves all except for sums of three digits: the plateau that a figure marks.
    Kinds are told by adding on paper, with every pair of numbers."""
    for a, b in product(range(100), repeat=2):
        carries = (a % 10 + b % 10 > 9) + (a // 10 + b // 10 + (a % 10 + b % 10 > 9) > 9)
        kind = KINDS[kind_of(f"{a:2}+{b:2}<")]
        three = len(str(a + b)) == 3
        assert (kind == "sums of three digits") == three
        assert three or (kind == "sums without a carry") == (carries == 0)
    config = parse_args(["--method", "ce"])[0]
    problems = held_out_problems(checked_task(config), config.eval_prompts, config.eval_split)
    logp = [-30.0 if len(answer) == 3 else 0.0 for _, answer in problems]
    found = by_kind(config, {"logp": logp, "weight": list(problems.values())})
    assert [p for _, p, _ in found] == pytest.approx([1, 1, 0], abs=1e-6)
    three = sum(w for (_, answer), w in problems.items() if len(answer) == 3)
    assert found[2][0] == pytest.approx(three) and sum(w for w, _, _ in found) == pytest.approx(1)


@pytest.mark.parametrize("method", ["maxrl", "maxrl-loo", "grpo", "rloo", "maxrl-std"])
def test_expected_weights_of_many_prompts_are_those_that_are_enumerated(method):
    p = torch.tensor([0.001, 0.05, 0.3, 0.999]).double()
    for k in (2, 7, 16):
        want = [maxrl.enumerated_weight(method, x, k)[0] for x in p.tolist()]
        assert measure.expected_weight(method, p, k).tolist() == pytest.approx(want, rel=1e-6)
    assert measure.expected_weight("ce", p, 3).tolist() == (1 / p).tolist()


def test_the_norm_of_a_prompts_gradient(tmp_path, monkeypatch):
    """Against a difference quotient along that gradient."""
    monkeypatch.chdir(tmp_path)
    flags = "--sft-steps 0 --n-embd 16 --n-head 2 --batch-size 2"
    found = measure.of_prompts(flags)
    config = parse_args(flags.split())[0]
    task, cpu = checked_task(config), torch.device("cpu")
    model = measure.train.starting_model(config, task, cpu)
    batch = measure.make_batch(measure.draw_problems(task, 0, 1, 2), task, cpu)

    def logp() -> torch.Tensor:
        return measure.logprobs(model, batch.prompts[1:], batch.answers[1:], measure.END)[0]

    model.double(), logp().backward()
    norm, before, h = found["norm"][1], logp().item(), 1e-4
    torch.optim.SGD(model.parameters(), lr=h / norm, maximize=True).step()
    assert (logp().item() - before) / h == pytest.approx(norm, rel=1e-2)
    assert found["p"][1] == pytest.approx(math.exp(before), rel=1e-3)


@pytest.mark.parametrize("gains, says, p", [
    ([0.1] * 8, "MaxRL ends above GRPO in pass@1", 2 / 256),
    ([-0.1] * 8, "MaxRL ends below GRPO in pass@1", 1.0),
    ([0.1, -0.1] * 4, "MaxRL and GRPO cannot be told apart in pass@1 at the end", 1.0),
])  # fmt: skip
def test_a_sentence_is_true_whichever_way_the_logs_fall(monkeypatch, gains, says, p):
    """And a claim of the family counts only if the effect is in its favour."""
    ends = {"maxrl": [0.5 + g for g in gains], "grpo": [0.5] * 8}
    monkeypatch.setattr(Logs, "ends", lambda self, sweep, label, figure: ends[label])
    monkeypatch.setattr(Logs, "starts", lambda self, sweep, figure: [0.05] * 8)
    f = pair(Logs(), ("default", "maxrl"), ("default", "grpo"), "pass@1", "8")
    assert (f.sentence, f.start, f.p) == (says, "p = 0.05, k = 8", pytest.approx(p))
    assert f.seeds == ("4 of 8" if p == 1 and gains[1] != gains[0] else "8 of 8")


def distances(monkeypatch, at):
    """Findings of experiment 1 were these the D of 8 seeds of each label."""
    D = lambda self, label, figure="pass@1": [at[label] + i / 1e4 for i in range(8)]  # noqa: E731
    monkeypatch.setattr(claims, "distances", D)
    monkeypatch.setattr(claims, "lost", lambda logs, label: [[2]] * 3 + [[]] * 5)
    monkeypatch.setattr(Logs, "starts", lambda self, sweep, figure: [0.001] * 8)
    monkeypatch.setattr(Logs, "ends", lambda self, sweep, label, figure: [len(label)] * 8)
    return claims.of_convergence(Logs())


def test_what_is_said_of_convergence(monkeypatch):
    D = {16: 0.4, 128: 0.2, 1024: 0.1, 4096: 0.06, 16384: 0.03}
    of = {f"maxrl k={k}": d for k, d in D.items()}
    of |= {"ce twin": 0.02, "exact order=1023": 0.021}
    first, exact, _, lost = distances(monkeypatch, of)
    assert "falls on every seed, and at k = 16,384 and above" in first.sentence
    assert first.p == 2 / 256
    assert first.seeds == "8 of 8" and " is indistinguishable" in exact.sentence
    assert "on 3 seeds with k = 16, and on 3 with k = 16,384" in lost.sentence
    first, *_ = distances(monkeypatch, of | {"maxrl k=128": 0.5})
    assert "does not fall on all of the seeds" in first.sentence and first.seeds == "0 of 8"
    first, *_ = distances(monkeypatch, of | {"maxrl k=4096": 0.03, "maxrl k=16384": 0.05})
    assert "at k = 4,096 the two" in first.sentence, "not above"
    far = {"maxrl k=16384": 0.05, "exact order=1023": 0.05}
    first, exact, *_ = distances(monkeypatch, of | far)
    assert "stays larger than that between two runs" in first.sentence and first.p == 1
    assert "is not indistinguishable" in exact.sentence


def test_what_has_not_been_run_counts_in_the_family_and_is_said(monkeypatch, tmp_path):
    found = [Finding(0, "", "", "", "", name=claims.FAMILY[0], p=0.005)]
    assert corrected(found)[claims.FAMILY[0]] == pytest.approx(0.03), "times six"
    assert corrected(found)[claims.FAMILY[1]] == 1
    monkeypatch.setattr(tables, "LOGS", Logs(tmp_path))
    monkeypatch.setattr(logs, "RESULTS", tmp_path)
    assert tables.content("experiment-1") == tables.NOT_RUN
    assert "Not run yet: experiments 0, 1" in tables.content("claims")
    assert "w(p)" in tables.content("experiment-6"), "which needs none"
