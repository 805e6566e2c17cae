"""evaluate.py: sampled figures against exact ones, and what is said of numbers and likelihoods."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from conftest import CPU, read, tiny_model, written

from data.batches import held_out_problems, make_batch
from evaluate import evaluate, graded_figures, pass_rates, sampled_figures
from harness.config import Config, checked_task

NOISY = Config("maxrl-loo", task="noisy", digits=1, reverse=False, sigma=2.0)


@pytest.fixture
def tiny():
    """A random model, its task, five held-out problems with their weights, the configuration."""
    model, task, config = tiny_model("--eval-rollouts 200000", scale=4.0)
    weights = held_out_problems(task, 5, "held-out")
    batch = make_batch(list(weights), task, CPU)
    return model, task, batch, torch.tensor([*weights.values()]).double(), config


def test_sampled_figures_agree_with_exact_ones(tiny):
    """On a task where both can be had: pass@k of 200,000 rollouts is that of the exact p."""
    model, task, problems, _, config = tiny
    E = len(problems.texts)
    batch = problems, torch.arange(1.0, E + 1).double() / (E * (E + 1) / 2)
    exact = evaluate(model, *batch, task, config)
    sampled = sampled_figures(model, *batch, task, config)
    weight = torch.tensor(exact["weight"])
    mean_p = (weight @ torch.tensor(pass_rates(exact))).item()
    assert exact["pass@1"] == pytest.approx(mean_p, rel=1e-4)
    assert exact["nll"] == pytest.approx(-(weight @ torch.tensor(exact["logp"])).item(), rel=1e-4)
    assert exact["exact"] and not sampled["exact"] and sampled["n"] == 200_000
    assert sampled == sampled_figures(model, *batch, task, config), "every evaluation asks the same"
    for k in (1, 8, 128):  # at small p, pass@k is about k p, known to 6 standard deviations
        error = 6 * k * (exact["pass@1"] / 200_000) ** 0.5
        assert sampled[f"pass@{k}"] == pytest.approx(exact[f"pass@{k}"], abs=error)
    assert pass_rates(sampled) == pytest.approx(pass_rates(exact), abs=6 * 0.5 / 200_000**0.5)
    assert sampled["answers"] == 1, "there is one right answer, and it is found"
    task.graded = True  # a reader's task has grades, but no likelihood
    assert "log_tail" not in sampled_figures(model, *batch, task, replace(config, eval_rollouts=9))


@pytest.mark.parametrize("name", ["chain", "countdown"])
def test_tasks_with_many_answers(train, name):
    """The log says that its figures are sampled; pass@k beyond n is null, and printed as such."""
    train(f"--task {name} --eval-rollouts 9 --k 3 --sft-steps 2 --eval-prompts 7 --out out")
    for row in (row for row in read("out") if "nll" in row):
        assert row["exact"] is False and row["n"] == 9 and sum(row["weight"]) - 1 < 1e-4
        assert row["pass@128"] is row["pass@1024"] is row["greedy"] is None
        rate = sum(w * c / 9 for w, c in zip(row["weight"], row["c"], strict=True))
        assert row["pass@1"] == pytest.approx(rate, abs=1e-4)
        assert row["pass@8"] >= row["pass@1"] and "logp" not in row


def test_greedy_figures_are_those_of_decoding_greedily(tiny):
    """With what the model says greedily for the references, except for that of the first."""
    model, task, batch, weight, config = tiny
    said = batch.prompts
    for _ in range(task.max_new_tokens):
        said = torch.cat((said, model(said)[:, -1].argmax(-1, keepdim=True)), 1)
    batch.answers = said[:, task.prompt_width :]
    batch.answers[0, 0] = (batch.answers[0, 0] + 1) % 10
    figures = evaluate(model, batch, weight, task, config)
    assert figures["greedy"] == pytest.approx(1 - weight[0].item())


def test_long_batches_are_evaluated_in_parts(tiny):
    model, task, batch, weight, config = tiny
    problems = list(zip(batch.texts, batch.references, strict=True))
    few = evaluate(model, batch, weight, task, config)
    whole = make_batch(problems * 110, task, CPU), weight.repeat(110) / 110
    figures = evaluate(model, *whole, task, config)
    assert figures["logp"] == pytest.approx(few["logp"] * 110, abs=1e-4)
    assert figures["nll"] == pytest.approx(few["nll"], rel=1e-5)


def test_graded_figures_by_hand():
    """Two prompts, 7+8~ with target 17 and 3+4~ with target 5; sigma = 2."""
    task = checked_task(NOISY)
    batch = make_batch([("7+8~", "17"), ("3+4~", "5")], task, CPU)
    rollouts = written((0, "15", 3), (0, "17", 1), (0, "", 2), (1, "9", 2), (1, [3, 3, 3], 4))
    weight = torch.tensor([0.3, 0.7]).double()
    figures = graded_figures(batch, weight, rollouts, task)
    a = (3 * math.exp(-4 / 8) + 1) / 6
    b = 2 * math.exp(-16 / 8) / 6
    assert figures["log_likelihood"] == pytest.approx(0.3 * math.log(a) + 0.7 * math.log(b))
    above = [[(4, 6)] * 6 + [(1, 6)] * 4, [(2, 6)] + [(0, 6)] * 9]  # l: .607 and 1; .135
    tails = [sum(math.log((c + 0.5) / 7) for c, _ in one) / 10 for one in above]
    assert figures["log_tail"] == pytest.approx(0.3 * tails[0] + 0.7 * tails[1])
    regression = checked_task(replace(NOISY, method="rloo", reward="regression"))
    assert graded_figures(batch, weight, rollouts, regression) == figures


def test_the_best_of_several_is_the_mean_over_all_choices_of_them():
    """64 of 66 rollouts, of which two are better than the rest: enumerated."""
    task, one = checked_task(NOISY), torch.ones(1).double()
    batch = make_batch([("7+8~", "17")], task, CPU)
    rollouts = written((0, "13", 64), (0, "15", 1), (0, "17", 1))
    l = [math.exp(-16 / 8)] * 64 + [math.exp(-4 / 8), 1.0]
    figures = graded_figures(batch, one, rollouts, task)
    assert figures["best@1"] == pytest.approx(sum(l) / 66)
    of_64 = [max(x for i, x in enumerate(l) if i not in pair)
             for pair in itertools.combinations(range(66), 2)]  # fmt: skip
    assert figures["best@64"] == pytest.approx(sum(of_64) / len(of_64))
    assert "best@8" not in graded_figures(batch, one, written((0, "13", 7)), task)


@pytest.mark.parametrize("flags", ["maxrl-loo --order 2", "reinforce --reward regression", "ce"])
def test_noisy_runs(train, capsys, flags):
    train(f"--task noisy --sft-steps 2 --method {flags} --out out")
    rows = [row for row in read("out") if "nll" in row]
    assert all(row.get("live") is row.get("dead") is None for row in read("out"))
    figures = ("log_likelihood", "log_tail", "best@8")
    assert all(math.isfinite(row[n]) for row in rows for n in figures)
    first, *_, head, _, last = capsys.readouterr().out.splitlines()
    assert ("one demonstration" in first) == (flags == "ce")
    assert "log_likelihood" in head and f"{rows[-1]['log_tail']:.4f}" in last
