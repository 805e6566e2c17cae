"""selftrain.py: rounds of expert iteration and STaR."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, read, same, weights

import plain
import selftrain
import train as train_module
import tree
from data.batches import make_batch, rng
from data.tokenizer import END
from harness.config import Config, checked_task, parse_args
from tree import Rollouts

CPU = torch.device("cpu")
TINY_ROUNDS = TINY[: TINY.index("--steps")] + TINY[TINY.index("--steps") + 2 :]  # without --steps
FLAGS = "--sft-steps 60 --rounds 3 --pool 12 --epochs 2 --k 9"


@pytest.fixture
def rounds(folder):
    """rounds("star", "--out x") runs the tiny configuration, in which --steps is --rounds."""

    def call(method: str, flags: str) -> None:
        tiny = [*TINY_ROUNDS, *FLAGS.split(), "--method", method]
        assert train_module.main([*([] if "--resume" in flags else tiny), *flags.split()]) == 0

    return call


@pytest.mark.parametrize("method", ["expert-iteration", "star"])
def test_a_run_of_rounds_and_a_resumed_one(rounds, folder, method, capsys):
    """STaR remembers where it began, also if the warm start is kept no more."""
    rounds(method, "--rounds 0 --out base"), rounds(method, "--eval-every 1 --out whole")
    assert "3 rounds" in capsys.readouterr().out
    rows = read("whole")
    assert [row["step"] for row in rows] == [0, 1, 1, 2, 2, 3, 3]
    assert rows[-1]["rollouts"] == 3 * 12 * 9 and not same(weights("base"), weights("whole"))
    rounds(method, "--rounds 1 --eval-every 1 --out cut")
    for kept in folder.glob("runs/warmstart/*"):
        kept.unlink()
    rounds(method, "--resume --out cut --rounds 3")
    assert same(weights("whole"), weights("cut")) and read("cut") == rows


def test_bfloat16_rounds_see_their_own_updates():
    """Autocast would keep the rounded weights of before an update, were its cache not off."""
    losses = []
    for bf16 in (False, True):
        config = parse_args([*TINY, "--sft-steps", "0"])[0]
        config.bf16 = bf16
        task = checked_task(config)
        model = train_module.starting_model(config, task, CPU)
        batch = make_batch(task.draw(rng(0, "x"), 3, "train"), task, CPU)
        optimizer, rows = train_module.new_optimizer(model, 1e-2), torch.arange(3)
        with train_module.autocast(config, CPU):
            for _ in range(30):
                train_module.zero_gradients(model)
                loss = -tree.logprobs(model, batch.prompts, rows, batch.answers, END).mean()
                loss.backward()
                train_module.update(model, optimizer, config, loss.item())
        losses.append(loss.item())
    assert losses[0] < 4 and losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.parametrize(
    "method, flags, says",
    [*(("star", f"{flag} 2", flag) for flag in ("--steps", "--order", "--warmup", "--micro-batch")),
     *(("maxrl", f"{flag} 2", flag) for flag in ("--rounds", "--pool", "--epochs")),
     ("star", "--task noisy", "likelihoods")],
)  # fmt: skip
def test_flags_of_other_methods_are_refused(folder, capsys, method, flags, says):
    words = TINY_ROUNDS if method == "star" else TINY
    assert train_module.main([*words, "--method", method, *flags.split()]) == 2
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1 and not list(Path().glob("runs/a*"))


def is_digit(prompt: str, text: str) -> bool:
    return text[:1] in set("0123456789")


def one_round(
    method: str, verdict, monkeypatch, step: int = 1, more: Sequence[str] = (), moved: float = 0.01
):
    """A round on a random model that has `moved`: what was imitated, the weights before and after.

    The optimizer comes from a round before, in which it saw large gradients.
    """
    words = ["--method", method, "--sft-steps", "0"]
    config: Config = parse_args([*TINY_ROUNDS, *FLAGS.split(), *words, *more])[0]
    task = checked_task(config)
    model = train_module.starting_model(config, task, CPU)
    start = {name: w.clone() for name, w in model.state_dict().items()}
    with torch.no_grad():
        model.norm.bias.add_(moved)  # somewhere else than at the start
    before = {name: w.clone() for name, w in model.state_dict().items()}
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    logprobs = tree.logprobs

    def watched(model, prompts, group, tokens, end):
        seen.append((group, tokens))
        return logprobs(model, prompts, group, tokens, end)

    monkeypatch.setattr(tree, "logprobs", watched)
    task.verify = verdict
    optimizer = train_module.new_optimizer(model, 1e-2)
    if moved:
        for w in model.parameters():
            w.grad = torch.ones_like(w)
        optimizer.step(), model.load_state_dict(before)
    figures = train_module.self_training_round(model, optimizer, config, task, step, start)
    return model, start, before, seen, figures, config


def test_each_distinct_success_is_imitated_once_an_epoch(monkeypatch):
    *_, seen, figures, config = one_round("expert-iteration", is_digit, monkeypatch)
    pairs = [
        (b, tuple(row)) for group, tokens in seen
        for b, row in zip(group.tolist(), tokens.tolist(), strict=True)
    ]  # fmt: skip
    assert len(pairs) == 2 * len(set(pairs)) and len(set(pairs)) > 3, "two epochs"
    assert all(row[0] < 10 for _, row in pairs), "of right ones"
    assert max(len(group) for group, _ in seen) == config.batch_size
    assert 0 < figures["pass_rate"] < 1 and figures["grad_norm"] > 0


def test_a_right_answer_is_imitated_once_wherever_its_prompt_stands():
    """The first two prompts of this pool are the same; wrong answers are never imitated."""
    group, tokens = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([[3], [4], [5], [3], [3], [9]])
    one = torch.ones(6)
    r = Rollouts(group, tokens, one, one, one.bool())
    rewards = torch.tensor([1.0, 0, 1, 1, 1, 0])
    kept = selftrain.distinct_successes(["1+2=", "1+2=", "3+0="], r, rewards)
    assert kept.tolist() == [0, 2, 4] and kept.dtype == torch.long
    assert selftrain.distinct_successes(["", "", ""], r, 0 * rewards).tolist() == []


def test_mini_batches():
    """Each completion once an epoch, in an order of the seed's, the round's and the epoch's own."""
    config = parse_args([*TINY_ROUNDS, *FLAGS.split(), "--method", "star"])[0]
    n = torch.arange(11)
    right = Rollouts(n, n[:, None], n, n.float(), n > -1)

    def order(step: int, **changes) -> list[int]:
        parts = list(selftrain.mini_batches(right, replace(config, **changes), step))
        assert [len(part) for part in parts] == [3, 3, 3, 2] * config.epochs
        return torch.cat(parts).tolist()

    one = order(1)
    assert sorted(one[:11]) == sorted(one[11:]) == n.tolist() and one[:11] != one[11:]
    assert order(1) == one and one not in (order(2), order(1, seed=1))
    nothing = Rollouts(*(column[:0] for column in vars(right).values()))
    assert list(selftrain.mini_batches(nothing, config, 1)) == []


def test_a_pool_is_drawn_for_its_round_from_what_may_be_trained_on():
    """And its rollouts with the seed's and the round's own numbers, also for the same prompts."""
    words = [*TINY_ROUNDS, *FLAGS.split(), "--method", "star", "--sft-steps", "0"]
    config = parse_args([*words, "--train-prompts", "12", "--k", "50"])[0]
    task = checked_task(config)
    model = train_module.starting_model(config, task, CPU)
    fixed = make_batch(task.draw(rng(0, "pool"), 12, "train"), task, CPU).prompts
    figures = []
    for step, seed in ((1, 0), (2, 0), (1, 0), (1, 1)):
        changed = replace(config, seed=seed)
        prompts, right, found = selftrain.successes(model, changed, task, step)
        if seed == 0:
            assert sorted(prompts.tolist()) == sorted(fixed.tolist())
        assert len(prompts) == 12 and found["unique"] > 0 and (right.group < 12).all()
        figures.append(found["entropy"])
    assert figures[0] == figures[2] and len({*figures}) == 3


def test_without_a_success_nothing_happens(monkeypatch):
    model, _, before, seen, figures, _ = one_round(
        "expert-iteration", lambda *_: False, monkeypatch
    )
    assert not seen and figures["dead"] == 1 and same(before, model.state_dict())


def test_star_forgets_the_weights_and_the_optimizer_of_a_round(monkeypatch):
    """Whatever came before a round, it ends where the first would; expert iteration's does not."""
    for method in ("star", "expert-iteration"):
        ends = [
            one_round(method, is_digit, monkeypatch, moved=m)[0].state_dict() for m in (0, 0.01)
        ]
        assert same(*ends) == (method == "star")


def test_the_gradient_is_that_of_cross_entropy(monkeypatch):
    """Of a round with one epoch and one mini-batch, against plain.py's log-probabilities."""
    monkeypatch.setattr(train_module, "new_optimizer", lambda model, lr: torch.optim.SGD(
        model.parameters(), lr=0.0))  # fmt: skip
    flags = ["--epochs", "1", "--batch-size", "200"]
    model, *_, seen, figures, config = one_round(
        "expert-iteration", is_digit, monkeypatch, more=flags
    )
    ((group, tokens),) = seen
    got = [w.grad.clone() for w in model.parameters()]
    task = checked_task(config)
    batch = make_batch(task.draw(rng(0, "data", 1), config.pool, "train"), task, CPU)
    model.zero_grad()
    loss = -plain.log_probabilities(model, batch.prompts[group], tokens, END).mean()
    loss.backward()
    assert figures["loss"] == pytest.approx(loss.item(), rel=1e-5) and len(group) > 3
    for a, w in zip(got, model.parameters(), strict=True):
        unclipped = a * max(figures["grad_norm"], 1)
        assert torch.allclose(unclipped, w.grad, rtol=1e-3, atol=1e-5)
