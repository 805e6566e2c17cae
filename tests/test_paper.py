"""paper/: what is made of logs, against figures worked out by hand or another way."""

import itertools
import math
import random

import pytest
import torch

from data.batches import held_out_problems
from harness.config import checked_task, parse_args
from paper import claims, logs, measure, tables
from paper.claims import Finding, corrected, pair
from paper.logs import KINDS, Logs, by_kind, kind_of, more_pass_rates
from paper.rules import convergence, holm, interval, of_ratio, p_value, say
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
    """Of a model that solves all except for sums of three digits; kinds by adding on paper."""
    for a, b in itertools.product(range(100), repeat=2):
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
    of |= {"ce twin": 0.02}
    first, _, lost = distances(monkeypatch, of)
    assert first.sentence.startswith("MaxRL converges. At k = 16,384 ")
    assert first.p == 2 / 256
    assert first.seeds == "8 of 8" and " is indistinguishable" in first.sentence
    assert "on 3 seeds with k = 16, and on 3 with k = 16,384" in lost.sentence
    first, *_ = distances(monkeypatch, of | {"maxrl k=128": 0.5})
    assert "on 0 of 8 seeds, where" in first.sentence and first.seeds == "0 of 8"
    first, *_ = distances(monkeypatch, of | {"maxrl k=16384": 0.05})
    assert "stays farther from that of maximum" in first.sentence and first.p == 1


def test_what_has_not_been_run_counts_in_the_family_and_is_said(monkeypatch, tmp_path):
    found = [Finding(0, "", "", "", "", name=claims.FAMILY[0], p=0.005)]
    assert corrected(found)[claims.FAMILY[0]] == pytest.approx(0.03), "times six"
    assert corrected(found)[claims.FAMILY[1]] == 1
    monkeypatch.setattr(tables, "LOGS", Logs(tmp_path))
    monkeypatch.setattr(logs, "RESULTS", tmp_path)
    assert tables.content("experiment-1") == tables.NOT_RUN
    assert "Not run yet: experiments 0, 1" in tables.content("claims")
    assert "w(p)" in tables.content("experiment-6"), "which needs none"


SAMPLE = [0.3, 1.1, -0.4, 2.0, 0.9, 1.6, 0.7, 1.3]


def rank_sum(values):
    """Of the positive: mid-ranks of the sizes, counted one pair at a time."""
    ranks = [sum(abs(y) < abs(x) for y in values) + (sum(abs(y) == abs(x) for y in values) + 1) / 2
             for x in values]  # fmt: skip
    return sum(r for r, x in zip(ranks, values, strict=True) if x > 0)


def by_flips(values):
    """The two-sided p-value: how often a flip of signs has as small a rank sum, twice."""
    mine = min(rank_sum(values), rank_sum([-x for x in values]))
    flips = itertools.product((1, -1), repeat=len(values))
    sums = [rank_sum([s * x for s, x in zip(signs, values, strict=True)]) for signs in flips]
    return min(1.0, 2 * sum(t <= mine for t in sums) / len(sums))


def test_p_values_are_those_of_all_flips_of_signs():
    """With ties and zeros too: drawn from few values."""
    rng = random.Random(0)
    for n in (1, 2, 3, 5, 8) * 4:
        values = [rng.choice((-2, -1, 0, 0.5, 1, 1, 3)) for _ in range(n)]
        assert p_value(values) == pytest.approx(by_flips(values)), values


@pytest.mark.parametrize("n", [6, 7, 8])
def test_the_interval_holds_what_the_test_does_not_reject(n):
    """The duality by which it is defined: shift the values, and enumerate the flips."""
    rng = random.Random(n)
    values = [rng.gauss(0.3, 1) for _ in range(n)]
    v = interval(values)
    assert interval([-x for x in values]).high == pytest.approx(-v.low)
    for shift, inside in ((v.low - 1e-6, False), (v.low + 1e-6, True), (v.centre, True),
                          (v.high - 1e-6, True), (v.high + 1e-6, False)):  # fmt: skip
        assert (by_flips([x - shift for x in values]) > 0.05) == inside


def test_how_an_interval_is_said():
    assert say(interval(SAMPLE)) == "+0.975 [+0.250, +1.600]"
    assert say(interval([x / 1000 for x in SAMPLE])) == "+0.00097 [+0.00025, +0.00160]"
    assert say(of_ratio([4.0] * 8, [2.0] * 8), ratio=True) == "2.00x [2.00x, 2.00x]"
    few = interval([1.0, 2.0, 4.0])
    assert say(few) == "+2.250 (+1.000 to +4.000)" and few.sign == 0
    assert say(interval([3.0])) == "+3.000"
    # A ratio is judged by its logarithm.
    v, logs = of_ratio([3 * 2**x for x in SAMPLE], [3] * 8), interval(SAMPLE)
    assert (v.low, v.high) == pytest.approx((2**0.25, 2**1.6))
    assert (v.p, v.above, v.n) == (logs.p, 7, 8)


def test_holm_by_hand():
    """.01 x 3, .02 x 2, .03 x 1. With eight seeds six claims can survive, and no more."""
    corrected = holm({"c": 0.03, "a": 0.01, "b": 0.02})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.04, "c": 0.04})
    assert holm({"a": 0.9, "b": 0.6}) == {"b": 1.0, "a": 1.0}
    assert max(holm(dict.fromkeys("abcdef", 2 / 256)).values()) < 0.05
    assert min(holm(dict.fromkeys("abcdefg", 2 / 256)).values()) > 0.05


def around(*values):
    """Eight seeds around each of these."""
    return [[v + i / 1000 for i in range(8)] for v in values]


def test_the_rule_of_experiment_1():
    """The limit is the floor's upper end, here .026, plus the margin: .041."""
    [floor], [far, farther, near, at_limit] = around(0.02), around(0.1, 0.3, 0.031, 0.035)
    found = convergence({16: farther, 128: far, 1024: near}, floor)
    assert found.limit == pytest.approx(0.041)
    assert (found.near, found.falling, found.converges) == ((1024,), 8, True)
    assert not convergence({16: farther, 128: far}, floor).converges, "it never gets near"
    assert not convergence({16: farther, 128: at_limit}, floor).near, "the upper end is above"
    found = convergence({16: farther, 128: [0.31, *far[1:]], 1024: near}, floor)
    assert (found.falling, found.converges) == (7, False)
    again = {16: farther, 1024: near, 4096: [x + 0.001 for x in near]}
    assert convergence(again, floor).converges, "beyond the first that is near nothing is asked"
