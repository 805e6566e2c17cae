"""A GPU does what the CPU does, and `make gpu` says so; what needs one is skipped without it."""

import copy
import json
import shutil
import subprocess
from pathlib import Path

import gpu
import pytest
import torch
from conftest import CPU, gradient_of, one_line, read, tiny_model, weights

import plain
import train as train_module
from data.batches import make_batch, rng, torch_rng
from data.tokenizer import END
from paper import tables
from rollouts import roll_out

GPU = torch.device("cuda")
SIZES = "--batch-size 5 --k 200 --n-layer 2"


def rolled_out_on_a_cpu(model, prompts, k, task, generator):
    """What `roll_out` says on the CPU, wherever the model is: a GPU draws other numbers."""
    on_cpu, drawn = copy.deepcopy(model).cpu(), torch_rng(0, "rollouts", 1, CPU)
    r = roll_out(on_cpu, prompts.cpu(), k, task, drawn)
    return type(r)(*(column.to(prompts.device) for column in vars(r).values()))


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["maxrl", "maxrl-loo", "grpo", "rloo", "ce", "exact"])
def test_the_same_rollouts_give_the_same_gradient(monkeypatch, method):
    """In bfloat16 nearly, and it points the same way."""
    monkeypatch.setattr(train_module, "roll_out", rolled_out_on_a_cpu)
    flags = f"{SIZES} --method {method} --micro-batch 32"
    here, there, rounded = (gradient_of(flags, CPU), gradient_of(flags, GPU),
                            gradient_of(f"{flags} --bf16", GPU))  # fmt: skip
    assert here.norm() > 0 and (here - there).norm() < 1e-4 * here.norm()
    assert 0 < (there - rounded).norm() < 0.1 * there.norm() and rounded.dtype == torch.float32


@pytest.mark.cuda
def test_what_it_samples_is_what_plain_py_scores():
    model, task, config = tiny_model(SIZES, scale=3.0)
    prompts = make_batch(task.draw(rng(0, "x"), 5, "train"), task, GPU).prompts
    r = roll_out(model.to(GPU), prompts, config.k, task, torch_rng(0, "rollouts", 1, GPU))
    assert r.group.repeat_interleave(r.count).bincount().tolist() == [config.k] * 5
    scored = plain.log_probabilities(model.cpu(), prompts[r.group].cpu(), r.tokens.cpu(), END)
    assert torch.allclose(scored, r.logprob.cpu(), atol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize("flags", ["", "--method star --rounds 4"])
def test_a_run_in_bfloat16_goes_on_and_ends_with_finite_weights_in_float32(train, flags):
    train(f"--device cuda --bf16 {flags} --out out")
    train(f"--resume --{'rounds' if flags else 'steps'} 6 --out out")
    assert read("out")[-1]["step"] == 6
    assert all(w.isfinite().all() and w.dtype == torch.float32 for w in weights("out").values())


def test_without_a_gpu_one_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 2 and "NVIDIA GPU" in one_line(capsys)


def stand_in(words):
    """What a command leaves."""
    if "bench.py" in words:
        shutil.copy(gpu.ROOT / "results/bench.json", words[-1])
    elif "train.py" in words:
        Path(words[-1]).mkdir()
        rows = [{"step": 0}, {"step": 2000, "seconds": 9.5, "pass@1": 0.75}]
        Path(words[-1], "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_make_gpu_measures_each_part_and_results_md_says_it(tmp_path, monkeypatch, capsys):
    """A part that fails leaves the others. The logs of the runs stay where they are."""
    commands = []

    def run(words, cwd):
        commands.append(" ".join(words[1:]))
        stand_in(words)
        return subprocess.CompletedProcess(words, int("ce" in words or "cuda" in words[4:5]))

    for module, name, value in (
        (tables, "RESULTS", tmp_path), (gpu, "RESULTS", tmp_path), (gpu.subprocess, "run", run),
        (torch.cuda, "is_available", lambda: True), (gpu, "git", lambda *words: "abc1234"),
        (torch.cuda, "get_device_name", lambda: "NVIDIA Abacus"), (torch, "__version__", "2.9"),
        (tables, "write", lambda folder: None),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # as it would set it
    assert tables.gpu() == "Not measured on a GPU." and gpu.main() == 1, "something failed"
    text = capsys.readouterr().out.partition("\nOn a GPU: ")[2]
    assert text.startswith("NVIDIA Abacus, torch 2.9, float32, commit abc1234. ")
    assert "The tests that need one fail. `make gpu` took 0.0 minutes." in text
    assert "| `maxrl k=1024` | 10 | 0.750 |" in text and "`ce`" not in text
    _, _, maxrl, ce = commands
    assert "--method maxrl --k 1024 --lr 1.6e-3 --sft-steps 0" in maxrl
    assert "--seed 8 --device cuda" in maxrl and "--method ce --lr 1.6e-3" in ce
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert tables.contenders(found["bench"]) in text and found["runs"]["ce"] == {}
    found["tests"] = "pass"
    assert not gpu.whole(found)
    found["runs"]["ce"] = found["runs"]["maxrl k=1024"]
    assert gpu.whole(found)
