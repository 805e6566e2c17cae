"""rollouts.py: what a completion says, what it earns, and what the log says of a step."""

import math

import pytest
import torch
from conftest import CPU, tiny_model, written

from data.batches import Batch, make_batch, rng
from data.tokenizer import ALPHABET, END, PAD
from harness.config import Config, checked_task
from rollouts import rewards_of, roll_out, rollout_figures, verdicts

PLUS = ALPHABET.index("+")


def test_without_an_end_token_the_answer_is_wrong():
    """Also where what it says up to there is right. After an end token nothing is read."""
    right, never_ends, wrong = [1, 2, END], [1, 2, PAD], [1, 3, END]
    says_more = [3, END, 5]
    said = (0, right, 4), (0, never_ends, 2), (0, wrong, 1), (1, "3", 1), (1, says_more, 1)
    said += (1, right, 1), (1, [3, PAD, END], 1), (1, [3, PAD, PAD], 1), (1, "03", 1)
    rollouts = written(*said, (2, [1, 2, 3], 1), (3, [1, PLUS, 2], 1))
    task = checked_task(Config(digits=1, reverse=False))
    texts, expected = ["5+7=", "1+2=", "99+24=", "1,2:3="], [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    batch = Batch(texts, [""] * 4, *torch.zeros(2, 4, 1))
    for got in (verdicts(texts, rollouts, task), rewards_of(batch, rollouts, task)):
        assert got.tolist() == expected and got.dtype == torch.float32
    task.reward = lambda prompt, completion, reference: 0.25  # also of no text at all
    assert set(rewards_of(batch, rollouts, task).tolist()) == {0.25, 0.0}
    task.graded = True
    assert set(rewards_of(batch, rollouts, task).tolist()) == {0.25}


@pytest.mark.parametrize("reward, expected", [
    ("likelihood", [1, math.exp(-4 / 8), 0, 0, math.exp(-16 / 8), 0, 0]),
    ("regression", [0, -4 / 16**2, -1, -1, -16 / 16**2, -1, -1]),
])  # fmt: skip
def test_graded_rewards_by_hand(reward, expected):
    """Targets 17 and 5, sigma 2. A number without an end token is no number."""
    config = Config("rloo", task="noisy", digits=1, reverse=False, sigma=2.0, reward=reward)
    task = checked_task(config)
    batch = make_batch([("7+8~", "17"), ("3+4~", "5")], task, CPU)
    first = (0, "17", 1), (0, "15", 3), (0, [1, 7, PAD], 1), (0, "", 1)
    rollouts = written(*first, (1, "9", 1), (1, [5, PAD], 1), (1, "99", 1))
    assert rewards_of(batch, rollouts, task).tolist() == pytest.approx(expected)


def test_the_figures_of_a_step_by_hand():
    """Four prompts, k = 7: dead, live, all right, live. Every figure counts all 28 rollouts."""
    first = (0, [4, END], 5), (0, [4, 4], 2), (1, [3, END], 1), (1, [4, END], 6)
    rollouts = written(*first, (2, [3, END], 7), (3, [5, END], 1), (3, [3, 3], 6))
    rewards = torch.tensor([0.0, 0, 1, 0, 1, 1, 0])
    figures = rollout_figures(rollouts, rewards, 4, 7)
    entropy = (5 * 1 + 2 * 2 + 1 * 3 + 6 * 4 + 7 * 5 + 1 * 6 + 6 * 7) / 28
    groups = {"live": 3 / 4, "dead": 1 / 4, "all_pass": 1 / 4, "unique": 7 / 28}
    wanted = groups | {"pass_rate": 9 / 28, "eos_rate": 20 / 28, "entropy": entropy}
    assert figures == pytest.approx(wanted)
    million = written((0, "1", 2**24), (0, [4, 4], 1))  # one wrong among more than float32 counts
    assert rollout_figures(million, torch.tensor([1.0, 0]), 1, 2**24 + 1)["all_pass"] == 0
    graded = rollout_figures(rollouts, rewards / 2, 4, 7, graded=True)
    assert graded["live"] is graded["dead"] is graded["all_pass"] is None
    assert graded["pass_rate"] == pytest.approx(9 / 56)


def test_rollouts_have_room_for_the_longest_answer():
    """k of each prompt, of the task's length, drawn by the generator that is given."""
    model, task, _ = tiny_model("--digits 2")
    prompts = make_batch(task.draw(rng(0, "x"), 3, "train"), task, CPU).prompts
    generators = (torch.Generator().manual_seed(seed) for seed in (1, 1, 2))
    a, b, c = (roll_out(model, prompts, 11, task, generator) for generator in generators)
    assert a.tokens.shape[1] == task.max_new_tokens == 4 and a.count.sum() == 3 * 11
    assert (a.ended == (a.tokens == END).any(1)).all() and (a.tokens == PAD).any()
    assert torch.equal(a.tokens, b.tokens) and a.tokens.tolist() != c.tokens.tolist()
