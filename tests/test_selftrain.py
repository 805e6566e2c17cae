"""selftrain.py: rounds of expert iteration and STaR."""

import copy
from dataclasses import replace

import pytest
import torch
from conftest import CPU, gradient, read, same, tiny_model, weights

import plain
import selftrain
import train as train_module
from data.batches import make_batch, rng
from data.tokenizer import END
from tree import Rollouts

FLAGS = "--rounds 3 --pool 12 --epochs 2 --k 9"


@pytest.mark.parametrize("method", ["expert-iteration", "star"])
def test_a_run_of_rounds_and_a_resumed_one(train, folder, method, capsys):
    """STaR remembers where it began, also if the warm start is kept no more."""
    flags = f"{FLAGS} --method {method} --eval-every 1"
    train(f"{flags} --rounds 0 --out base"), train(f"{flags} --out whole")
    assert "3 rounds" in capsys.readouterr().out
    rows = read("whole")
    assert [row["step"] for row in rows] == [0, 1, 1, 2, 2, 3, 3]
    assert rows[-1]["rollouts"] == 3 * 12 * 9 and not same(weights("base"), weights("whole"))
    train(f"{flags} --rounds 1 --out cut")
    for kept in folder.glob("runs/warmstart/*"):
        kept.unlink()
    train("--resume --out cut --rounds 3")
    assert same(weights("whole"), weights("cut")) and read("cut") == rows


def test_bfloat16_rounds_see_their_own_updates():
    """Autocast would keep the rounded weights of before an update, were its cache not off."""
    model, task, config = tiny_model("--bf16")
    batch = make_batch(task.draw(rng(0, "x"), 3, "train"), task, CPU)
    with train_module.autocast(config, CPU):
        before = model(batch.prompts)
        model.blocks[0].up.weight.data.mul_(9)
        after = model(batch.prompts)
    assert not torch.equal(before, after) and after.isfinite().all()


def test_a_right_answer_is_imitated_once_wherever_its_prompt_stands():
    """The first two prompts of this pool are the same; wrong answers are never imitated."""
    group, tokens = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([[3], [4], [5], [3], [3], [9]])
    one = torch.ones(6)
    r = Rollouts(group, tokens, one, one, one.bool())
    rewards = torch.tensor([1.0, 0, 1, 1, 1, 0])
    kept = selftrain.distinct_successes(["1+2=", "1+2=", "3+0="], r, rewards)
    assert kept.tolist() == [0, 2, 4] and kept.dtype == torch.long


def test_mini_batches():
    """Each completion once an epoch, in an order of the seed's, the round's and the epoch's own."""
    _, _, config = tiny_model("--method star")
    n = torch.arange(11)
    right = Rollouts(n, n[:, None], n, n.float(), n > -1)

    def order(step: int, **changes) -> list[int]:
        parts = list(selftrain.mini_batches(right, replace(config, **changes), step))
        assert [len(part) for part in parts] == [3, 3, 3, 2] * config.epochs
        return torch.cat(parts).tolist()

    one = order(1)
    assert sorted(one[:11]) == sorted(one[11:]) == n.tolist() and one[:11] != one[11:]
    assert order(1) == one and one not in (order(2), order(1, seed=1))


def test_a_pool_is_drawn_for_its_round_from_what_may_be_trained_on():
    """And its rollouts with the seed's and the round's own numbers, also for the same prompts."""
    model, task, config = tiny_model("--pool 12 --k 50 --method star --train-prompts 12")
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


def after_a_round(method: str, moved: float, verdict=lambda prompt, text: text[:1].isdigit()):
    """Weights before and after a round; of a model that has moved, and its optimizer with it."""
    model, task, config = tiny_model(f"{FLAGS} --method {method}")
    start, task.verify = copy.deepcopy(model.state_dict()), verdict
    optimizer = train_module.new_optimizer(model, 1e-2)
    if moved:
        for w in model.parameters():
            w.grad = torch.ones_like(w)
        optimizer.step(), model.load_state_dict(start)
        model.norm.bias.data.add_(moved)
    before = copy.deepcopy(model.state_dict())
    figures = train_module.self_training_round(model, optimizer, config, task, 1, start)
    return before, model.state_dict(), figures


def test_star_forgets_the_weights_and_the_optimizer_of_a_round():
    """Expert iteration does not. Without a success nothing happens."""
    for method in ("star", "expert-iteration"):
        ends = [after_a_round(method, moved)[1] for moved in (0, 0.01)]
        assert same(*ends) == (method == "star")
    before, after, figures = after_a_round("expert-iteration", 0.01, lambda *_: False)
    assert figures["dead"] == 1 and same(before, after)


def test_the_gradient_is_that_of_cross_entropy_on_the_successes():
    """Of a round with one epoch and one mini-batch, against plain.py's log-probabilities."""
    flags = f"{FLAGS} --method expert-iteration --epochs 1 --batch-size 200 --grad-clip 1e6"
    model, task, config = tiny_model(flags)
    task.verify = lambda prompt, text: text[:1].isdigit()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    figures = train_module.self_training_round(model, optimizer, config, task, 1, {})
    got = gradient(model)
    prompts, right, _ = selftrain.successes(model, config, task, 1)
    assert (right.tokens[:, 0] < 10).all() and 3 < len(right.group) < 200
    model.zero_grad()
    loss = -plain.log_probabilities(model, prompts[right.group], right.tokens, END).mean()
    loss.backward()
    assert figures["loss"] == pytest.approx(loss.item(), rel=1e-5) and 0 < figures["pass_rate"] < 1
    assert figures["grad_norm"] == pytest.approx(got.norm().item(), rel=1e-4)
    assert torch.allclose(got, gradient(model), rtol=1e-3, atol=1e-5)
