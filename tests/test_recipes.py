"""recipes/: what needs neither TRL nor verl. The rest is tests/engines (`make test-engines`)."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch._dynamo  # every optimizer imports it: once here, and not in each process
import torch.distributed as dist
import torch.multiprocessing as mp

import plain
from data import make_task
from data.tokenizer import VOCAB_SIZE
from model import GPT, ModelConfig
from recipes import ddp

# ------------------------------------------------------------------------------------------ ddp

PROBLEMS = [(f"{a}+{b}=", str(a + b)) for a, b in ((1, 2), (9, 9), (7, 0), (4, 5), (2, 2), (6, 8))]
PROBLEMS.append(("3+5=", "8"))  # 7 prompts: they divide by neither 2 nor 3
K = 5


def random_model() -> GPT:
    """Double precision, far from uniform; its weights are the same on every call."""
    sizes = ModelConfig(VOCAB_SIZE, 12, n_layer=1, n_head=2, n_embd=16)
    model = GPT(sizes, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for w in model.parameters():
            w.mul_(3)
    return model


def ddp_steps(rank: int, world: int, folder: Path, method: str, steps: int) -> None:
    """What each process does; rank 0 saves its weights, and every rank that it came to the end."""
    store = f"file://{folder}/store{world}"
    limit = timedelta(seconds=30)  # a rank that waits for ever is an error, not a hanging test
    dist.init_process_group("gloo", store, limit, rank=rank, world_size=world)
    task, model = make_task("addition", digits=1, reverse=False), random_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(steps):
        ddp.train_step(model, optimizer, task, PROBLEMS, method, K, step)
    torch.save(flat(model), folder / f"{world}-{rank}.pt")
    dist.destroy_process_group()


def flat(model: GPT) -> torch.Tensor:
    return torch.cat([w.detach().flatten() for w in model.parameters()])


def trained_by(world: int, folder: Path, method: str = "maxrl", steps: int = 3) -> torch.Tensor:
    words = (world, folder, method, steps)
    mp.start_processes(ddp_steps, words, nprocs=world, start_method="fork")
    ends = [torch.load(folder / f"{world}-{rank}.pt") for rank in range(world)]
    assert all(torch.equal(ends[0], end) for end in ends), "all ranks have the same weights"
    return ends[0]


def small_first_token(prompt: str, completion: list[int]) -> bool:
    """A verdict that a random model often earns, on some prompts more than on others."""
    return completion[0] % 3 == len(prompt) % 3 and completion[0] < 9


def test_any_number_of_processes_gives_the_same_weights(tmp_path, monkeypatch):
    """With rft, whose mean is that of the whole batch, and so for all that stay in their group."""
    monkeypatch.setattr(ddp, "is_right", small_first_token)
    one, two, three = (trained_by(world, tmp_path, "rft", 20) for world in (1, 2, 3))
    assert (one - flat(random_model())).abs().max() > 1e-4
    assert (one - two).abs().max() < 1e-9 and (one - three).abs().max() < 1e-9


def test_a_rank_without_a_live_group_does_not_hang_the_others(tmp_path, monkeypatch):
    """Of two ranks the second has the prompts of odd index: none of those is ever solved."""
    dead = {prompt for prompt, _ in PROBLEMS[1::2]}
    monkeypatch.setattr(
        ddp, "is_right", lambda prompt, text: prompt not in dead and small_first_token(prompt, text)
    )
    one, two = trained_by(1, tmp_path), trained_by(2, tmp_path)
    assert (one - flat(random_model())).abs().max() > 1e-4
    assert (one - two).abs().max() < 1e-9


def test_one_process_makes_the_step_of_plain(tmp_path, monkeypatch):
    """On the same rollouts, dead groups and all."""
    monkeypatch.setattr(ddp, "is_right", small_first_token)
    one = trained_by(1, tmp_path, steps=1)
    model, task = random_model(), make_task("addition", digits=1, reverse=False)
    L = task.max_new_tokens
    generator = ddp.torch_rng(0, "rollouts", 0, ddp.CPU)
    u = torch.rand(len(PROBLEMS), K, L, generator=generator, dtype=torch.double).view(-1, L)
    monkeypatch.setattr(plain, "sample", lambda model, prompts, L, _: ddp.sample(model, prompts, u))
    monkeypatch.setattr(plain, "is_right", small_first_token)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    rate = plain.train_step(model, optimizer, task, PROBLEMS, "maxrl", K, torch.Generator())
    assert 0 < rate < 1 and torch.allclose(flat(model), one, rtol=0, atol=1e-12)


def test_samples_by_inverse_cdf_follow_the_model():
    """Frequencies of the first token of 9,000 draws against its probabilities."""
    model, n = random_model(), 9_000
    prompts = torch.tensor([[1, 2, 3]]).repeat(n, 1)
    u = torch.rand(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    with torch.no_grad():
        p = model(prompts[:1])[0][0, -1].softmax(-1)
        tokens = ddp.sample(model, prompts, u).flatten()
    share = torch.bincount(tokens, minlength=VOCAB_SIZE) / n
    assert ((share - p).abs() < 6 * (p * (1 - p) / n).sqrt() + 2 / n).all() and p.max() < 0.9


@pytest.mark.parametrize("flags", ["", "--k 0", "--method ppo"])
def test_wrong_use_of_ddp_is_one_line(monkeypatch, capsys, flags):
    monkeypatch.setattr(sys, "argv", ["ddp.py", *flags.split()])
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(SystemExit) as end:
        ddp.main()
    lines = capsys.readouterr().err.splitlines()
    assert end.value.code == 2 and len(lines) == 1 and (flags or "torchrun" in lines[0])
