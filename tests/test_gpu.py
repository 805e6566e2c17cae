"""A GPU does what the CPU does, and `make gpu` says so; what needs one is skipped without it."""

import copy
import json
import subprocess
from pathlib import Path

import gpu
import pytest
import torch
from conftest import CPU, gradient_of, one_line, read, same, tiny_model, weights
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parameters_to_vector

import plain
import selftrain
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
def test_a_round_of_self_training_makes_the_same_update(monkeypatch):
    """By SGD: the first steps of AdamW only look at signs, and small ones are rounding."""
    monkeypatch.setattr(selftrain, "roll_out", rolled_out_on_a_cpu)
    flags, ends = "--method expert-iteration --pool 40 --epochs 1 --grad-clip 1e6", []
    for device in (CPU, GPU):
        model, task, config = tiny_model(f"{SIZES} {flags}", scale=3.0)
        start, model = parameters_to_vector(model.parameters()), model.to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
        train_module.self_training_round(model, optimizer, config, task, 1, {})
        ends.append(parameters_to_vector(model.parameters()).detach().cpu() - start.detach())
    assert ends[0].norm() > 0 and (ends[0] - ends[1]).norm() < 1e-3 * ends[0].norm()


@pytest.mark.cuda
def test_what_it_samples_is_what_plain_py_scores():
    model, task, config = tiny_model(SIZES, scale=3.0)
    prompts = make_batch(task.draw(rng(0, "x"), 5, "train"), task, GPU).prompts
    r = roll_out(model.to(GPU), prompts, config.k, task, torch_rng(0, "rollouts", 1, GPU))
    assert r.group.repeat_interleave(r.count).bincount().tolist() == [config.k] * 5
    scored = plain.log_probabilities(model.cpu(), prompts[r.group].cpu(), r.tokens.cpu(), END)
    assert torch.allclose(scored, r.logprob.cpu(), atol=1e-4)


@pytest.mark.cuda
def test_a_run_in_bfloat16_ends_with_finite_weights_in_float32(train):
    train("--device cuda --bf16 --out out")
    assert all(w.isfinite().all() and w.dtype == torch.float32 for w in weights("out").values())


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["maxrl", "ce"])
def test_a_resumed_run_is_the_run(train, monkeypatch, method):
    """To the bit, with kernels that add in a fixed order. (Faster ones do not, so that even two
    whole runs differ by rounding.)"""
    flags = f"--device cuda --method {method}"
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            train(f"{flags} --steps 8 --out whole")
            train(f"{flags} --steps 8 --out again")
            train(f"{flags} --steps 4 --out halves")
            train("--resume --steps 8 --out halves")
    finally:
        torch.use_deterministic_algorithms(False)
    assert same(weights("whole"), weights("again")), "the kernels are not that deterministic"
    assert same(weights("whole"), weights("halves")) and read("whole") == read("halves")


def test_without_a_gpu_one_line(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 2 and "NVIDIA GPU" in one_line(capsys)


TIMES = {"median_s": 0.5, "min_s": 0.25, "max_s": 0.75, "vs_ours": 1.0}
TEST = {"ours": TIMES, "HF generate": TIMES | {"median_s": 4.0, "vs_ours": 8.0}}
ROW = {"k": 1024, "distinct": 77, "seconds": 0.125, "peak_mb": 91.4}
BENCH = {"sampling": {"sampling, warm, 2 prompts x 3": TEST}, "step": {}}
BENCH |= {"scaling": {"pass_rate": 0.5, "rows": [ROW]}}


def stand_in(words):
    """What a command leaves."""
    if "bench.py" in words:
        Path(words[-1]).write_text(json.dumps(BENCH))
    elif "pytest" in words:
        (report,) = (word.split("=")[1] for word in words if "junit" in word)
        suite = '<testsuite tests="9" failures="1" errors="0" skipped="2"/>'
        Path(report).write_text(f"<testsuites>{suite}</testsuites>")
    else:
        Path(words[-1]).mkdir()
        rows = [{"step": 0}, {"step": 2000, "seconds": 9.5, "pass@1": 0.75}]
        Path(words[-1], "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_make_gpu_measures_each_part_and_results_md_says_it(tmp_path, monkeypatch, capsys):
    """A part that fails leaves the others. The logs of the runs stay where they are."""
    commands = []

    def run(words, cwd):
        commands.append(" ".join(words[1:]))
        stand_in(words)
        return subprocess.CompletedProcess(words, int("ce" in words))

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
    assert "Of 9 tests that need one, 6 pass. `make gpu` took 0.0 minutes." in text
    first = "| sampling, warm, pass rate 0.50, 2 prompts x 3 | 0.5 (0.25 to 0.75) "
    assert f"{first}| 4 (0.25 to 0.75), **8x** |" in text and "`ce`" not in text
    assert "| 0.50 | 1,024 | 77 | 0.125 | 91 |" in text
    assert "| `maxrl k=1024` | 10 | 0.750 |" in text
    _, _, maxrl, ce = commands
    assert "--method maxrl --k 1024 --lr 1.6e-3 --sft-steps 0" in maxrl
    assert "--seed 8 --device cuda" in maxrl and "--method ce --lr 1.6e-3" in ce
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["bench"] == BENCH and found["runs"]["ce"] == {}
    found["tests"]["passed"] = 9
    assert not gpu.whole(found)
    found["runs"]["ce"] = found["runs"]["maxrl k=1024"]
    assert gpu.whole(found)
