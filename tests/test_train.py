"""train.py: the step, the files it leaves, the warm start, and every way to use it wrongly."""

import json
import math
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from conftest import CPU, TINY, gradient_of, one_line, read, same, tiny_model, weights
from torch.nn.utils import parameters_to_vector

import maxrl
import rollouts as rollouts_module
import train as train_module
from data import make_task, task_class
from data.batches import draw_problems, rng
from harness import checkpoint
from harness import config as config_module
from harness.config import LIKELIHOOD, METHODS, SELF_TRAINING, Config, parse_args

TRAINING = set("loss grad_norm pass_rate live dead all_pass unique eos_rate entropy".split())
EVALUATION = set("nll pass@1 pass@8 pass@128 pass@1024 greedy exact logp weight".split())
DIVERGES = Mock(side_effect=FloatingPointError("a weight is not finite"))


def test_a_run_leaves_its_files_and_prints_its_table(train, folder, capsys):
    train("--out out")
    rows, out = read("out"), capsys.readouterr().out
    assert [row["step"] for row in rows] == [0, 1, 2, 2, 3, 4, 4]
    for row in rows:
        assert set(row) - {"step", "rollouts"} == (EVALUATION if "nll" in row else TRAINING)
        assert row["rollouts"] == row["step"] * 3 * 5
        if "loss" in row:
            assert row["live"] + row["dead"] == pytest.approx(1) and row["all_pass"] <= row["live"]
        else:
            pairs = list(zip(row["weight"], row["logp"], strict=True))
            assert row["nll"] == pytest.approx(-sum(w * x for w, x in pairs), abs=1e-4)
            at_8 = sum(w * (1 - (1 - math.exp(x)) ** 8) for w, x in pairs)
            assert row["pass@8"] == pytest.approx(at_8, abs=1e-4)
    saved = torch.load("out/ckpt.pt", weights_only=True)
    assert saved["step"] == 4 and saved["config"] == json.loads(Path("out/config.json").read_text())
    for part in ("maxrl: A = (r - mean) / mean", "trains order 4", "up to 1 digit", "cpu"):
        assert part in out.splitlines()[0]
    base, final = (line.split() for line in out.split("held-out")[1].splitlines()[1:3])
    assert base[1] == f"{rows[0]['pass@1']:.4f}" and final[5] == f"{rows[-1]['nll']:.4f}"
    assert [line for line in out.splitlines() if line.endswith(("right", "wrong"))], "samples"


def test_every_method_runs_and_moves_the_weights(train):
    train("--steps 0 --out base")
    for method in {*METHODS} - {*SELF_TRAINING}:
        train(f"--method {method} --k 40 --steps 2 --out {method}")
        assert not same(weights("base"), weights(method)), method
        rows = [row for row in read(method) if "loss" in row]
        assert len(rows) == 2 and all(math.isfinite(row["grad_norm"]) for row in rows)
        assert rows[1]["rollouts"] == (0 if method in LIKELIHOOD else 2 * 3 * 40)


@pytest.mark.parametrize("flags", [
    "--task subtraction --reverse --k 65536 --batch-size 1 --threads 2",
    "--method exact --order inf --task modular --train-prompts 4 --warmup 0",
])  # fmt: skip
def test_settings_and_extremes(train, flags):
    """They are trained with, and are in config.json; no NaN and no infinity is."""
    flags = f"{flags} --out out --steps 1 --sft-steps 0"
    train(flags)
    config = json.loads(Path("out/config.json").read_text(), parse_constant=pytest.fail)
    assert torch.get_num_threads() == config["threads"]
    torch.set_num_threads(1)
    asked = vars(parse_args([*TINY, *flags.split()])[0])
    assert config == {n: "inf" if v == math.inf else v for n, v in asked.items()}


def test_a_folder_is_named_after_its_run_and_never_written_over(train, folder, capsys, monkeypatch):
    """With --overwrite not before the successor was evaluated."""
    run = "addition-maxrl-k5-s0"
    for _ in range(3):
        train("--steps 0")
    names = sorted(path.name for path in folder.joinpath("runs").iterdir())
    assert names == [run, f"{run}-2", f"{run}-3", "warmstart"]
    before = read(f"runs/{run}")
    train(f"--out runs/{run}", status=2)
    assert "--resume" in (err := capsys.readouterr().err) and "--overwrite" in err
    assert read(f"runs/{run}") == before
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "evaluate", DIVERGES)
        train(f"--out runs/{run} --overwrite --seed 1", status=1)
    assert read(f"runs/{run}") == before
    train(f"--out runs/{run} --overwrite --steps 2")
    assert [row["step"] for row in read(f"runs/{run}")] == [0, 1, 2, 2]


def test_the_same_seed_gives_the_same_run_and_another_does_not(train):
    """However often it is evaluated, and on whichever half of the held-out problems."""
    train("--out a"), train("--out b"), train("--out c --seed 1")
    train("--out d --eval-every 1 --eval-prompts 5 --eval-split validation")
    assert read("a") == read("b") and same(weights("a"), weights("d"))
    assert not same(weights("a"), weights("c"))
    a, d = ([row for row in read(out) if "loss" in row] for out in "ad")
    assert a == d and [len(read(out)[0]["logp"]) for out in "ad"] == [9, 3], "problems of a half"


WARM = parse_args([*TINY, "--sft-steps", "3"])[0]
OF_THE_WARM_START = {
    "task": "subtraction", "digits": 2, "reverse": True, "noise": 9.0, "n_layer": 2, "n_head": 1,
    "n_embd": 18, "seed": 1, "bf16": True, "sft_until": 0.1, "sft_steps": 4, "sft_batch_size": 31,
    "sft_lr": 4e-3, "threads": 2,
}  # fmt: skip


@pytest.fixture
def kept(folder):
    """Where warm starts are kept, without any of other tests."""
    (folder / "runs/warmstart").unlink()
    return folder / "runs/warmstart"


def key_of(config: Config) -> str:
    return train_module.warm_start_key(train_module.warm_start_config(config, CPU))


def warm(config: Config) -> dict[str, torch.Tensor]:
    task = make_task(config.task, vars(config))
    return train_module.starting_model(config, task, CPU).state_dict()


def test_a_kept_warm_start_equals_a_fresh_one_and_is_shared(train, kept):
    train("--steps 1 --out a")
    (file,) = kept.iterdir()
    stamp = file.stat().st_mtime_ns
    train("--steps 1 --out b"), train("--steps 0 --out c --method grpo --k 3 --lr 1e-4")
    assert same(weights("a"), weights("b")) and read("c")[0]["logp"] == read("a")[0]["logp"]
    assert file.stat().st_mtime_ns == stamp and len([*kept.iterdir()]) == 1
    train("--steps 0 --sft-steps 0 --out random")
    for wrong in (b"damaged", Path("random/ckpt.pt").read_bytes()):  # or another run's
        file.write_bytes(wrong)
        train("--steps 1 --out d --overwrite")
        assert same(weights("a"), weights("d")) and len(file.read_bytes()) > 10_000, "made again"


def test_a_warm_start_that_cannot_be_kept_is_a_warning(train, kept, capsys):
    kept.write_text("in the way")
    train("--steps 1 --out out")
    assert "warning: the warm start is not kept" in capsys.readouterr().err
    assert read("out")[-1]["step"] == 1


def test_the_warm_start_stops_at_its_pass_rate(train, kept, monkeypatch):
    """Once the mean of ten batches reaches --sft-until; never, if that is 1."""
    step, figures = train_module.train_step, []
    recorded = lambda *words: figures.append(step(*words)) or figures[-1]  # noqa: E731
    monkeypatch.setattr(train_module, "train_step", recorded)
    train("--steps 0 --sft-until 0.01 --out a")
    seen = [row["pass_rate"] for row in figures]
    means = [sum(seen[i - 10 : i]) / 10 for i in range(10, len(seen) + 1)]
    assert means[-1] >= 0.01 and max(means[:-1], default=0) < 0.01 and len(seen) < 60
    figures.clear()
    train("--steps 0 --sft-until 1 --out b")
    assert len(figures) == 60


def test_a_warm_start_depends_on_the_settings_in_its_key_only(kept):
    """To the bit, so runs that differ in others share it. A flag of yours is tried here too."""
    start = warm(WARM)
    for flag in config_module.flags():
        value = getattr(WARM, flag.name)
        choices = flag.metadata["choices"] or (not value,)
        other = value + 1 if type(value) in (int, float) else choices[-1]
        other = OF_THE_WARM_START.get(flag.name, other)
        changed = replace(WARM, **{flag.name: other})
        if flag.name in OF_THE_WARM_START:
            assert key_of(changed) != key_of(WARM), flag.name
        elif flag.name not in ("init", "out", "device"):
            assert key_of(changed) == key_of(WARM), flag.name
            for file in kept.iterdir():
                file.unlink()
            assert same(start, warm(changed)), flag.name


def test_the_key_of_a_warm_start_holds_torch_and_the_files_that_make_it(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(train_module, "ROOT", tmp_path)
    keys = {key_of(WARM)}
    for name in ("train.py", "maxrl.py", "model.py", "data/__init__.py", "data/new.py"):
        (tmp_path / name).write_text("# changed")
        keys.add(key_of(WARM))
    monkeypatch.setattr(torch, "__version__", "2.99")
    assert len({*keys, key_of(WARM)}) == 7


def test_a_warm_start_that_diverges_or_is_interrupted_is_not_kept(train, kept, capsys, monkeypatch):
    for module, name in ((checkpoint, "insist_on_numbers"), (train_module, "update")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, DIVERGES)
            train("", status=1)
        assert "--sft-lr" in one_line(capsys) and not kept.exists()
    monkeypatch.setattr(train_module, "train_step", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    train("", status=130)
    assert not [*Path("runs").iterdir()]


def test_init_from_a_checkpoint(train, capsys):
    train("--steps 1 --out a"), train("--out b --init a --steps 0")
    assert same(weights("a"), weights("b"))
    for flags, word in (
        ("--digits 2", "digits"), ("--reverse", "reverse"), ("--n-embd 32", "n_embd"),
        ("--task subtraction", "task"), ("--n-head 1", "n_head"), ("--n-layer 2", "n_layer"),
    ):  # fmt: skip
        train(f"--init a --out c {flags}", status=2)
        assert word in capsys.readouterr().err and not Path("c").exists()
    noisy = "--task noisy --method tailrl --sft-steps 0 --steps 0"
    train(f"{noisy} --out d"), Path("mine").mkdir()
    train(f"{noisy} --noise 2000 --init d --out mine", status=2)
    assert "--noise" in capsys.readouterr().err and Path("mine").exists(), "it was there before"


def test_ce_is_exact_of_infinite_order():
    ce = gradient_of("--method ce")
    for order, is_same in (("", True), ("--order inf", True), ("--order 1", False)):
        exact = gradient_of(f"--method exact {order}")
        assert torch.equal(ce, exact) == is_same and exact.abs().max() > 0


def test_the_update():
    """The learning rate rises over the warm-up and stays; a long gradient is cut to --grad-clip."""
    model, task, config = tiny_model("--method ce --warmup 4 --lr 0.5 --grad-clip 0.01")
    optimizer = torch.optim.SGD(model.parameters(), lr=9.0)
    moved, weights = [], lambda: parameters_to_vector(model.parameters()).detach()
    for step in range(1, 7):
        before = weights()
        figures = train_module.train_step(model, optimizer, config, task, step)
        assert figures["grad_norm"] > 0.01, "logged as it was"
        moved.append((weights() - before).norm().item())
    assert moved == pytest.approx([0.01 * 0.5 * x for x in (0.25, 0.5, 0.75, 1, 1, 1)], rel=1e-2)
    (group,) = train_module.new_optimizer(model, 1.0).param_groups
    assert group["weight_decay"] == 0


def test_every_step_draws_its_own_rollouts(monkeypatch):
    model, task, config = tiny_model("--k 50", scale=3.0)
    problems = task.draw(rng(0, "x"), 3, "train")
    monkeypatch.setattr(train_module, "draw_problems", lambda *_: problems)
    words = model, torch.optim.SGD(model.parameters(), lr=0.0), replace(config, lr=0.0), task
    figures = [train_module.train_step(*words, step)["entropy"] for step in (1, 2, 1)]
    assert figures[0] == figures[2] != figures[1]


def test_a_run_without_a_success_is_warned_of_and_changes_nothing(train, capsys):
    """No group is live, so no gradient: the weights stay, nothing divides by zero."""
    flags = "--sft-steps 0 --digits 9 --k 2"
    train(f"{flags} --steps 0 --out base"), train(f"{flags} --steps 2 --out out")
    assert "1-(1-p)^k" in capsys.readouterr().err and same(weights("base"), weights("out"))
    rows = [row for row in read("out") if "loss" in row]
    assert [(row["dead"], row["loss"], row["grad_norm"]) for row in rows] == [(1, 0, 0)] * 2
    train("--sft-steps 0 --method ce --steps 0 --out ce")
    assert "warning" not in capsys.readouterr().err


def test_bfloat16_has_nearly_the_same_gradient():
    """--bf16 needs CUDA on the command line; what it does to a step is tested on the CPU."""
    exact, rounded = (gradient_of(f"--method ce {bf16}") for bf16 in ("", "--bf16"))
    assert 0 < (exact - rounded).norm() < 0.05 * exact.norm()
    sampled = gradient_of("--k 500 --bf16")
    assert sampled.isfinite().all() and sampled.abs().max() > 0


@pytest.mark.parametrize("says, wrong", [
    ("the loss is nan", lambda logp: math.nan),
    ("norm nan", lambda logp: (logp.sum() * 0).abs().sqrt()),  # it is 0, and its slope is not
    ("a weight is not finite", None),
])  # fmt: skip
def test_numbers_that_are_not_finite_stop_the_run(train, capsys, monkeypatch, says, wrong):
    """In step 3: step and method are named, and the last good checkpoint is that of step 2."""
    loss, step = maxrl.policy_gradient_loss, train_module.train_step

    def poisoned(model, optimizer, config, task, number):
        if number == 3 and wrong:
            spoiled = lambda logp, *rest: loss(logp, *rest) + wrong(logp)  # noqa: E731
            monkeypatch.setattr(maxrl, "policy_gradient_loss", spoiled)
        figures = step(model, optimizer, config, task, number)
        if number == 3:
            model.norm.bias.data[3] = math.inf
        return figures

    monkeypatch.setattr(train_module, "train_step", poisoned)
    flags = "--method reinforce --sft-steps 0 --k 3000 --steps 9 --out out --eval-every"
    train(f"{flags} {2 if wrong else 1}", status=1)
    err = one_line(capsys)
    assert f"after step {2 if wrong else 3} of reinforce: " in err and says in err
    saved = torch.load("out/ckpt.pt", weights_only=True)
    assert saved["step"] == 2 and all(w.isfinite().all() for w in saved["model"].values())


def test_fresh_prompts_are_new_in_each_step_and_fixed_ones_are_visited_once_an_epoch():
    _, task, _ = tiny_model()  # batches of 3: epochs end inside batches
    seen = [p for step in range(1, 8) for p in draw_problems(task, 0, step, 3, fixed=7)]
    pool = sorted(task.draw(rng(0, "pool"), 7, "train"))
    assert sorted(seen[:7]) == sorted(seen[7:14]) == sorted(seen[14:]) == pool
    assert seen[:7] != seen[7:14]
    _, task, _ = tiny_model("--digits 3")
    one, again, two = (draw_problems(task, 0, step, 3) for step in (1, 1, 2))
    assert one == again != two and one != draw_problems(task, 0, 1, 3, purpose="demonstrations")


@pytest.mark.parametrize(
    "flags, says",
    [("--method ppo", "maxrl-loo"), ("--task nothing", "subtraction"), ("--k 0", "from 1"),
     ("--method grpo --k 1", "std"), ("--order 2", "takes no order"), ("--digits 10", "1 to 9"),
     ("--method ce --order 2", "exact"), ("--method maxrl-loo --order 6", "from 1 to k = 5"),
     ("--method passk --order inf", "from 1 to k = 5"), ("--method exact --order 1.5", "from 1"),
     ("--lr -1", "number"), ("--lr 1e38", "1e+06"), ("--lr nan", "from"), ("--seed -1", "from 0"),
     ("--k 10000000000", "to 1e+09"), ("--k many", "from 1"), ("--n-embd 15", "multiple"),
     ("--device cuda", "not available"), ("--device tpu", "cpu"), ("--bf16", "cuda"),
     ("--init missing.pt", "No such file"), ("--resume", "--out"),
     ("--resume --out missing", "No such file"), ("--resume --overwrite --out x", "exclude"),
     ("--ste 3", "unrecognized"), ("--out /dev/null/x", "cannot write"),
     ("--sigma 1 --method rloo", "--sigma is not for rloo on addition"),
     ("--task noisy --sigma 1e-200", "0.001"), ("--task noisy --sigma 6e3", "5000"),
     ("--task noisy --method grpo", "likelihoods"), ("--task noisy --method maxrl", "maxrl-loo"),
     ("--task noisy --method maxrl-loo --reward regression", "regression"),
     ("--task noisy --reverse", "reversed"), ("--task noisy --method exact", "single right"),
     ("--task noisy --method maxrl-loo --k 5000", "4096"), ("--task noisy --method star", "likeli"),
     ("--task countdown --digits 5", "digits"), ("--n-embd 1000000000 --n-head 1", "32768"),
     *((f"--method star {flag} 2", flag) for flag in ("--steps", "--order", "--micro-batch")),
     *((f"{flag} 2", flag) for flag in ("--rounds", "--pool", "--epochs")),
     *((f"{flag} ''", flag) for flag in ("--init", "--out", "--task", "--k", "--lr", "--order")),
     ("--method ''", "must be"), ("--out=-o", "--out"), ("--resume --out ''", "--out"),
     *((f"{flags} {'x' * 300}", "too long") for flags in ("--resume --out", "--out", "--init")),
     *((f"{flag} 'a\nb\u2028c'", "a\\nb\\u2028c") for flag in (
         "--resume --out", "--init", "--method", "--task", "--k", "--device", "--method=x.py:f"))],
)  # fmt: skip
def test_wrong_use_is_one_line_and_status_2(train, folder, capsys, monkeypatch, flags, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    train(flags, status=2)
    assert says in one_line(capsys)
    assert not [path for path in folder.rglob("*") if path.is_file()], "and no file is left behind"


@pytest.mark.parametrize("name, value", [("takes", ("digts",)), ("defaults", {"digts": 3})])
def test_a_task_that_names_a_flag_that_does_not_exist(train, capsys, monkeypatch, name, value):
    monkeypatch.setattr(task_class("addition"), name, value)
    train("", status=2)
    assert "data/addition.py names digts" in one_line(capsys)


def test_too_little_memory_names_the_flag(train, capsys, monkeypatch):
    no_memory = torch.OutOfMemoryError("no")
    monkeypatch.setattr(rollouts_module, "generate", Mock(side_effect=no_memory))
    train("--out out", status=1)
    assert "--micro-batch" in capsys.readouterr().err


def test_live_curves_hold_the_numbers_of_the_log_also_after_a_pause(train, monkeypatch, capsys):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train("--steps 2 --out out --tensorboard"), train("--resume --out out --steps 4")
    curves = accumulator.EventAccumulator("out").Reload()
    rows = [json.loads(line) for line in Path("out/metrics.jsonl").read_text().splitlines()]
    for curve in ("held-out/nll", "held-out/pass@1", "training/loss", "training/seconds"):
        group, name = curve.split("/")
        chosen = [row for row in rows if ("nll" in row) == (group == "held-out")]
        logged = [(row["step"], pytest.approx(row[name])) for row in chosen]
        assert [(event.step, event.value) for event in curves.Scalars(curve)] == logged
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    capsys.readouterr()
    train("--out none --tensorboard", status=2)
    assert "pip install" in one_line(capsys) and not Path("none").exists()
