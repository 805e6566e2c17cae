"""plain.py: the textbook loop itself, and the fast step held against it."""

import ast
import itertools
import random
import re
import sys
from pathlib import Path
from textwrap import indent

import pytest
import torch
from conftest import CPU, gradient, tiny_model

import maxrl
import plain
import train
from data.addition import Task as Addition
from data.arithmetic import show
from data.batches import make_batch, rng
from data.tokenizer import END, decode
from model import completion_mask
from tree import Rollouts

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["plain", "maxrl", "model", "graded"])
def test_it_stands_alone(name):
    """So that it can be copied with three files, which import nothing else of the project."""
    tree = ast.parse((ROOT / f"{name}.py").read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {getattr(node, "module", None) or node.names[0].name for node in nodes}
    ours = {m.split(".")[0] for m in modules} - set(sys.stdlib_module_names) - {"torch"}
    assert ours == {"plain": {"maxrl", "model"}, "maxrl": {"graded"}}.get(name, set())


def test_samples_follow_the_log_probabilities_and_end_where_they_say():
    """Frequencies of 12,000 completions of one prompt against the probabilities it gives them."""
    model, task, _ = tiny_model(scale=3.0)
    batch = make_batch([("1+2<", "3")], task, CPU)
    n, L = 12_000, task.max_new_tokens
    generator = torch.Generator().manual_seed(0)
    tokens = plain.sample(model, batch.prompts.repeat(n, 1), L, END, generator)
    assert tokens.shape == (n, L)
    assert (tokens[~completion_mask(tokens, END)] == END).all(), "nothing after the end token"
    distinct, count = tokens.unique(dim=0, return_counts=True)
    p = plain.log_probabilities(model, batch.prompts.repeat(len(distinct), 1), distinct, END).exp()
    assert ((count / n - p).abs() < 6 * (p * (1 - p) / n).sqrt() + 2 / n).all()
    assert count.max() > 100


@pytest.mark.parametrize("method", maxrl.ADVANTAGES)
def test_the_fast_step_has_the_gradient_of_the_plain_one(monkeypatch, method):
    """On the same rollouts: each of the B k copies by itself, against distinct ones with counts."""
    k = 20 if method == "passk" else 300  # at k = 300 only a group with one success has a signal
    model, task, config = tiny_model(f"--method {method} --k {k} --micro-batch 7", scale=6.0)
    batch = make_batch(task.draw(rng(0, "data", 1), 4, "train"), task, CPU)
    optimizer = torch.optim.SGD(model.double().parameters(), lr=0.0)
    kept, losses = [], []
    for name, seen in (("sample", kept), ("policy_gradient_loss", losses)):
        of_plain = getattr(plain, name)
        spy = lambda *words, f=of_plain, seen=seen: seen.append(f(*words)) or seen[-1]  # noqa: E731
        monkeypatch.setattr(plain, name, spy)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.zeros(()))
    task.verify = lambda prompt, text: text[:1] in set("024")  # dead, live, all
    verdict = lambda prompt, tokens: END in tokens and task.verify("", decode(tokens))  # noqa: E731
    slow, seed = torch.zeros(1), itertools.count()
    while not slow.any():  # another torch samples other texts, in which there may be no signal
        words = (verdict, method, k, task.max_new_tokens, END)
        generator = torch.Generator().manual_seed(next(seed))
        pass_rate = plain.train_step(model, optimizer, batch.prompts, *words, generator)
        slow = gradient(model)

    group = torch.arange(4).repeat_interleave(k)
    rows, count = torch.cat((group[:, None], kept[-1]), 1).unique(dim=0, return_counts=True)
    ended = (rows[:, 1:] == END).any(1)
    same = Rollouts(rows[:, 0], rows[:, 1:], count, torch.zeros(len(rows)).double(), ended)
    assert len(count) < 4 * k
    monkeypatch.setattr(train, "roll_out", lambda *_: same)
    train.zero_gradients(model)
    figures = train.rollout_backward(model, batch, config, task, torch.Generator())
    assert figures["pass_rate"] == pytest.approx(pass_rate) and 0 < pass_rate < 1
    assert figures["loss"] == pytest.approx(losses[-1].item(), rel=1e-9, abs=1e-12)
    assert torch.allclose(gradient(model), slow, rtol=1e-10, atol=1e-10 * slow.abs().max().item())


def test_problems_and_verdicts_by_hand():
    """No pair of numbers is both trained on and held out; answers are written right to left."""
    prompts, answers = plain.problems(random.Random(0), 3000)
    held_out, _ = plain.problems(random.Random(1), 300, held_out=True)
    assert not {*map(tuple, prompts.tolist())} & {*map(tuple, held_out.tolist())}
    assert all(map(plain.is_right, prompts.tolist(), answers.tolist()))
    lengths = (answers == plain.END).int().argmax(1)
    assert lengths.unique().tolist() == [1, 2, 3], "sums of one, two and three digits"
    END, ask = plain.END, plain.encode
    assert plain.is_right(ask("57+95="), [*ask("251"), END])
    assert plain.is_right(ask("03+04="), [7, END, END, 5])
    for wrong in ([*ask("152"), END], [*ask("2510")], ask("251"), [*ask("25"), END], [END], []):
        assert not plain.is_right(ask("57+95="), wrong)


def test_the_readme_shows_code_of_plain():
    """Its loop in fifteen lines is a piece of plain.py, to the letter."""
    readme, code = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "plain.py"))
    shown = readme.partition("<!-- plain.py -->\n```python\n")[2].partition("```")[0]
    assert len(shown.splitlines()) >= 10 and indent(shown, "    ") in code


@pytest.mark.parametrize(
    "main, flag",
    [(plain.main, f) for f in ("--k=0", "--k=--", "--method=ppo", "--k=4097")]
    + [(lambda: show(Addition), f) for f in ("--digits=0", "--digits=--", "--seed=x", "--k=8")],
)
def test_wrong_use_is_refused_in_one_line(main, flag, monkeypatch, capsys):
    """Of the commands that use argparse as it is."""
    monkeypatch.setattr(sys, "argv", ["command", flag])
    with pytest.raises(SystemExit, match="2"):
        main()
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and not out


def test_both_methods_start_from_the_same_model_and_learn(monkeypatch, capsys):
    monkeypatch.setattr(plain, "STEPS", 3)
    monkeypatch.setattr(plain, "BATCH", 21)
    monkeypatch.setattr(sys, "argv", ["plain.py", "--k", "10"])
    plain.main()
    pattern = r"(rloo|maxrl) pass rate (.*) -> (.*), nll (.*) -> (.*)"
    lines = capsys.readouterr().out.splitlines()[-2:]
    rloo, ours = (re.fullmatch(pattern, line).groups() for line in lines)
    assert (rloo[0], ours[0]) == ("rloo", "maxrl") and 0.03 < float(ours[1]) < 0.1
    assert rloo[1::2] == ours[1::2], "the same base"
    assert rloo[2::2] != ours[2::2], "and then another method"
