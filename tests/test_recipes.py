"""recipes/: what needs neither TRL nor verl. The rest is tests/engines (`make test-engines`)."""

import importlib
import json
import shutil
import subprocess
import sys
from datetime import timedelta
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch._dynamo  # every optimizer imports it: once here, and not in each process
import torch.distributed as dist
import torch.multiprocessing as mp
from conftest import CPU, one_line, tiny_model
from torch.nn.utils import parameters_to_vector

import plain
from data.batches import make_batch
from data.tokenizer import END, decode
from recipes import ddp, measure, verl_maxrl

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "recipes"

PROBLEMS = [(f"{a}+{b}=", str(a + b)) for a, b in ((1, 2), (9, 9), (7, 0), (4, 5), (2, 2), (6, 8))]
PROBLEMS.append(("3+5=", "8"))  # 7 prompts: they divide by neither 2 nor 3
K = 5


def start():
    """A model in double precision and its task, a vector of its weights, and an optimizer."""
    model, task, _ = tiny_model(scale=3.0)
    optimizer = torch.optim.AdamW(model.double().parameters(), lr=1e-3, weight_decay=0.0)
    return model, task, parameters_to_vector(model.parameters()).detach(), optimizer


def ddp_steps(rank: int, world: int, folder: Path, method: str, steps: int) -> None:
    """What each process does; it saves its weights, which shows that it came to the end."""
    store = f"file://{folder}/store{world}"
    limit = timedelta(seconds=30)  # a rank that waits for ever is an error, not a hanging test
    dist.init_process_group("gloo", store, limit, rank=rank, world_size=world)
    model, task, _, optimizer = start()
    for step in range(steps):
        ddp.train_step(model, optimizer, task, PROBLEMS, method, K, step)
    torch.save(parameters_to_vector(model.parameters()).detach(), folder / f"{world}-{rank}.pt")
    dist.destroy_process_group()


def trained_by(world: int, folder: Path, method: str = "maxrl", steps: int = 3) -> torch.Tensor:
    words = (world, folder, method, steps)
    mp.start_processes(ddp_steps, words, nprocs=world, start_method="fork")
    ends = [torch.load(folder / f"{world}-{rank}.pt") for rank in range(world)]
    assert all(torch.equal(ends[0], end) for end in ends), "all ranks have the same weights"
    return ends[0]


def small_first_token(prompt: str, completion: list[int]) -> bool:
    """A verdict that a random model often earns, on some prompts more than on others."""
    return completion[0] % 3 == len(prompt) % 3 and completion[0] < 9


@pytest.mark.parametrize(("method", "dead"), [("rft", []), ("maxrl", PROBLEMS[1::2])])
def test_any_number_of_processes_gives_the_same_weights(tmp_path, monkeypatch, method, dead):
    """With rft, whose mean is the batch's; then with a rank whose prompts are never solved."""
    unsolved = {prompt for prompt, _ in dead}
    verdict = lambda task, p, said: p not in unsolved and small_first_token(p, said)  # noqa: E731
    monkeypatch.setattr(ddp, "is_right", verdict)
    one, two, three = (trained_by(world, tmp_path, method, 6) for world in (1, 2, 3))
    assert (one - start()[2]).abs().max() > 1e-4
    assert (one - two).abs().max() < 1e-9 and (one - three).abs().max() < 1e-9


def test_one_process_makes_the_step_of_plain(tmp_path, monkeypatch):
    """On the same rollouts, dead groups and all."""
    monkeypatch.setattr(ddp, "is_right", lambda task, *pair: small_first_token(*pair))
    one = trained_by(1, tmp_path, steps=1)
    model, task, _, optimizer = start()

    def by_prompt(model, prompts, L, end, _):
        draws = [ddp.torch_rng(0, "rollouts", i, CPU) for i in range(len(PROBLEMS))]
        parts = zip(prompts.split(K), draws, strict=True)
        return torch.cat([ddp.sample(model, part, L, end, draw) for part, draw in parts])

    monkeypatch.setattr(plain, "sample", by_prompt)
    prompts = make_batch(PROBLEMS, task, CPU).prompts
    verdict = lambda prompt, tokens: small_first_token(decode(prompt), tokens)  # noqa: E731
    words = (verdict, "maxrl", K, task.max_new_tokens, END, torch.Generator())
    rate = plain.train_step(model, optimizer, prompts, *words)
    end = parameters_to_vector(model.parameters())
    assert 0 < rate < 1 and torch.allclose(end, one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("flags", ["", "--method ppo"])
def test_wrong_use_of_ddp_is_one_line(monkeypatch, capsys, flags):
    monkeypatch.setattr(sys, "argv", ["ddp.py", *flags.split()])
    monkeypatch.setenv("WORLD_SIZE", "1"), monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert ddp.main() == 2 and (flags[-3:] or "torchrun") in one_line(capsys)


@pytest.fixture
def trl_maxrl(monkeypatch):
    """The module on stand-ins, whatever is installed. tests/engines has its trainer, in TRL."""
    names = "accelerate accelerate.utils datasets datasets.exceptions transformers"
    for name in (*names.split(), "transformers.trainer_utils", "trl"):
        fake = ModuleType(name)
        fake.__getattr__ = lambda attribute: object  # any name can be imported from it
        monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.delitem(sys.modules, "recipes.trl_maxrl", raising=False)
    module = importlib.import_module("recipes.trl_maxrl")
    monkeypatch.delitem(sys.modules, "recipes.trl_maxrl")
    return module


SAME = "42.0=42 12,345,678.50=12345678.5 $5.=5 5=5% $-5=-5.0 .5=0.50 +3=3 1,000=1000"
OTHER = "4,2=42 1,0000=10000 0,123=123 ,5=5 1,000,00=100000 1000,000=1000000 43=42 -5=5 9**9**9=0"
OTHER += " .=0 -=0 nan=0 1e9=1000000000 1_000=1000 \u0664\u0662=42 x=y"
PAIRS = [(*pair.split("="), True) for pair in SAME.split()]
PAIRS += [(*pair.split("="), False) for pair in OTHER.split()]
PAIRS += [("5 %", "5", True), ("4 2", "42", False), ("x + 1", "x + 1", True), ("", "0", False)]
PAIRS.append(("9" * 10**5, "9", False))


def test_a_comma_separates_groups_of_three_digits_and_an_answer_follows_one_marker(trl_maxrl):
    for one, other, same in PAIRS:
        assert trl_maxrl.same_answer(one, other) == trl_maxrl.same_answer(other, one) == same, one
        text = f"6 * 7 = 42\n#### {one}"
        assert trl_maxrl.is_right([text], [other], other="ignored") == [float(same)], one
    for text in ("42", "", "####", "#### 42 #### 42", "#### 4 #### 42", "42 ####"):
        conversation = [{"role": "assistant", "content": text}]
        assert trl_maxrl.is_right([text, conversation, "####42"], ["42"] * 3) == [0.0, 0.0, 1.0]


def test_rows_become_problems(trl_maxrl):
    row = {"question": "6*7?", "answer": "6*7=<<42>>42\n#### 42"}
    assert trl_maxrl.problem(row, "", chat=False) == {"prompt": "6*7?", "answer": "42"}
    chat = trl_maxrl.problem({"prompt": "6*7?", "answer": "#### 42"}, "Think.", chat=True)
    assert chat["prompt"] == [{"role": "user", "content": "6*7?\nThink.\n"}]
    for bad in ({"answer": "42"}, {"answer": None}, {"answer": 42}, {"question": None}):
        with pytest.raises(ValueError, match="one #### and a result"):
            trl_maxrl.problem(row | bad, "", chat=False)


def test_a_copy_takes_the_maxrl_beside_it_and_says_what_to_install(tmp_path):
    """And not one in the folder above; in a project without TRL."""
    (tmp_path / "mine").mkdir()
    for path in (RECIPES / "trl_maxrl.py", ROOT / "maxrl.py", ROOT / "graded.py"):
        shutil.copy(path, tmp_path / "mine")
    (tmp_path / "maxrl.py").write_text("raise SystemExit('another maxrl.py')")
    (tmp_path / "mine" / "accelerate.py").write_text("raise ImportError('none here')")
    words = [sys.executable, str(tmp_path / "mine" / "trl_maxrl.py"), "--demo", "--out", "x"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "requirements-trl.txt" in done.stderr


def test_groups_of_verl_are_rows_of_one_uid(monkeypatch):
    """By hand: a 1 of 4, b 2 of 3, c a group of one; uids, rewards of any type, at any token."""
    uids, rewards = list("bacababa"), torch.zeros(8, 3)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]] * 4)
    rewards[1, 0] = rewards[4, 1] = rewards[6, 2] = rewards[2, 2] = 1.0
    want = torch.tensor([-1.0, 3.0, 1.0, -1.0, 0.5, -1.0, 0.5, -1.0]).unsqueeze(1) * mask
    types = (torch.float, torch.double, torch.bfloat16, torch.long, torch.bool)
    kinds = [uids, np.array(uids), np.array(uids, dtype=object), "bacababa", list(map(ord, uids))]
    kinds += [np.array(kinds[-1]), torch.tensor(kinds[-1]), list(torch.tensor(kinds[-1]))]
    for index, kind in product(kinds, types):
        advantages, returns = verl_maxrl.uid_advantages("maxrl", rewards.to(kind), mask, index)
        assert advantages.is_floating_point() and torch.equal(returns, advantages)
        assert torch.equal(advantages.float(), want), (index, kind)
    of = lambda name: verl_maxrl.uid_advantages(name, rewards, mask, uids)[0]  # noqa: E731
    monkeypatch.setenv("MAXRL_ORDER", "1")
    one, rloo = of("maxrl-loo"), of("rloo")
    monkeypatch.delenv("MAXRL_ORDER")
    assert torch.allclose(one, rloo) and not torch.allclose(one, of("maxrl-loo"))


def test_verl_gets_errors_that_say_what_is_wrong(monkeypatch, capsys):
    rewards, mask = torch.tensor([[1.0], [0.01]]), torch.ones(2, 1)
    with pytest.raises(ValueError, match="0 or 1"):  # what use_kl_in_reward would do
        verl_maxrl.uid_advantages("maxrl", rewards, mask, ["a", "a"])
    for uids in ("", "a", "aaa", torch.tensor([1])):
        with pytest.raises(ValueError, match="a uid for each of 2 rollouts"):
            verl_maxrl.uid_advantages("maxrl", rewards, mask, uids)
    monkeypatch.setattr(verl_maxrl, "find_spec", lambda name: None)
    assert verl_maxrl.main() == 2 and "try: make recipe-verl" in one_line(capsys)


def test_the_readme_shows_what_was_measured(trl_maxrl):
    """For the versions that are installed; what the recipes set is exactly ours."""
    measured = json.loads(measure.MEASURED.read_text())
    readme = (RECIPES / "README.md").read_text(encoding="utf-8")
    assert f"<!-- measured -->\n{measure.table(measured)}\n<!-- end -->" in readme
    pins = {p.read_text() for p in (*RECIPES.glob("requirements-*.txt"), ROOT / "Makefile")}
    for engine in {row["engine"] for row in measured}:
        assert any(engine.lower().replace(" ", "==") in text for text in pins)
    rows = {row["setting"]: row for row in measured}
    for name in (f"loss_type={trl_maxrl.EXACT['loss_type']}", "loss_agg_mode=seq-mean-token-sum"):
        assert rows[name]["factor"] == "1" and rows[name]["exact"]
    assert not rows["loss_type=grpo"]["exact"]
