"""recipes/trl_maxrl.py in TRL itself: `make test-engines`."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")
from maxrl import ADVANTAGES
from recipes import measure, trl_maxrl

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("model")


def rewards_of(scored: dict) -> torch.Tensor:
    """What the reward function gives what was scored, and 0 for what does not end: (rows,)."""
    mask = scored["completion_mask"].bool()
    ids = [row[m].tolist() for row, m in zip(scored["completion_ids"], mask, strict=True)]
    found = measure.demo_reward([row["prompt"] for row in scored["inputs"]], ids)
    return torch.tensor([r * (row[-1] == 1) for r, row in zip(found, ids, strict=True)])


@pytest.mark.parametrize("estimator", ADVANTAGES)
def test_advantages_and_gradient_are_ours(folder, estimator):
    """A real step: rewards with dead groups, lengths 1 to 6, seven passes of accumulation."""
    trainer = measure.trl_trainer(folder, estimator, seed=3)
    trainer.train()
    scored = trainer.scored
    rewards = rewards_of(scored).view(-1, measure.K)
    assert rewards.shape == (measure.B, measure.K)
    solved = rewards.sum(1)
    assert (solved == 0).any() and ((solved > 0) & (solved < measure.K)).any()
    prompts = [row["prompt"] for row in scored["inputs"]]
    assert all(len(set(prompts[i : i + measure.K])) == 1 for i in range(0, 35, measure.K))
    ours = ADVANTAGES[estimator](rewards.double()).flatten()
    assert torch.allclose(scored["advantages"].double(), ours, rtol=1e-6, atol=1e-6)
    assert list(trainer._logs["advantages"]) == scored["advantages"].tolist()
    gradient = measure.trl_our_gradient(trainer, folder, ours)
    assert gradient.norm() > 1e-3
    assert (trainer.gradient - gradient).norm() < 1e-5 * gradient.norm()


@pytest.mark.parametrize(("loss", "cosine"), [("grpo", 0.99), ("dapo", 1.01)])
def test_other_losses_are_not_ours(folder, loss, cosine):
    """Negative controls: grpo has another direction, dapo another factor; both are warned of."""
    with pytest.warns(UserWarning, match=f"loss_type={loss}"):
        trainer = measure.trl_trainer(folder, seed=3, loss_type=loss)
    trainer.train()
    ours = measure.trl_our_gradient(trainer, folder)
    assert (trainer.gradient - ours).norm() > 0.1 * ours.norm()
    assert torch.cosine_similarity(trainer.gradient, ours, dim=0) < cosine


@pytest.mark.parametrize(
    "settings",
    [
        {},
        dict(loss_type="dr_grpo"),
        dict(importance_sampling_level="token", disable_dropout=False),
        dict(vllm_importance_sampling_correction=True, router_aux_loss_coef=None),
        dict(delta=1.5, off_policy_mask_threshold=0.0),  # not in EXACT, and need not be
    ],
)
def test_settings_with_our_direction_are_not_warned_of(folder, settings):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="not the loss")
        trainer = measure.trl_trainer(folder, seed=3, **settings)
    trainer.train()
    ours = measure.trl_our_gradient(trainer, folder)
    assert torch.cosine_similarity(trainer.gradient, ours, dim=0) > 1 - 1e-6


def test_settings_that_turn_the_gradient_are_warned_of(folder):
    """Masked tokens, an entropy bonus; samples of another temperature than is scored."""
    for name, value in (("top_entropy_quantile", 0.2), ("entropy_coef", 1.0)):
        with pytest.warns(UserWarning, match=f"not the loss.*EXACT: {name}={value}"):
            trainer = measure.trl_trainer(folder, seed=3, **{name: value})
        trainer.train()
        ours = measure.trl_our_gradient(trainer, folder)
        assert torch.cosine_similarity(trainer.gradient, ours, dim=0) < 0.999
    for settings in (
        dict(generation_kwargs={"temperature": 0.3}),
        dict(steps_per_generation=2 * measure.B),
    ):
        with pytest.warns(UserWarning, match=f"not the loss.*EXACT: {next(iter(settings))}"):
            measure.trl_trainer(folder, **settings)


def test_a_cut_off_answer_gets_nothing(folder):
    """Text that looks right, with and without the end token that TRL strips from it."""
    trainer = measure.trl_trainer(folder)
    trainer.reward_funcs = [lambda completions, **_: [1.0] * len(completions)]
    ended, cut = [2, 4, 1], [2, 4, 5]
    got = trainer._calculate_rewards([{}] * 2, ["0 1 2"] * 2, ["#### 1"] * 2, [ended, cut])
    assert got.tolist() == [[1.0], [0.0]]


def test_no_verdict_is_no_success(folder):
    """None as a reward: TRL's accuracy_reward returns it for a reference that it cannot read."""
    trainer = measure.trl_trainer(folder)
    trainer.reward_funcs = [lambda completions, **_: [None] * (len(completions) - 3) + [1.0] * 3]
    trainer.train()
    advantages = trainer.scored["advantages"].view(-1, measure.K)
    assert bool((advantages[:-1] == 0).all()) and bool(advantages.isfinite().all())


def test_rewards_must_be_verdicts(folder):
    trainer = measure.trl_trainer(folder)
    trainer.reward_funcs = [lambda completions, **_: [0.5] * len(completions)]
    with pytest.raises(ValueError, match=r"0 or 1.* not 0.5 \(in sum"):
        trainer.train()


def test_a_batch_that_the_data_do_not_fill_is_an_error(folder):
    """TRL itself trains zero steps then."""
    with pytest.raises(ValueError, match="64 prompts do not fill a batch of 65"):
        measure.trl_trainer(folder, gradient_accumulation_steps=65)


def test_a_tokenizer_without_an_end_token_is_an_error(folder):
    trainer = measure.trl_trainer(folder)
    tokenizer = trl_maxrl.AutoTokenizer.from_pretrained(folder / "model")
    tokenizer.eos_token = None
    words = dict(reward_funcs=measure.demo_reward, train_dataset=trainer.train_dataset)
    with pytest.raises(ValueError, match="no end token"):
        trl_maxrl.EstimatorTrainer(
            str(folder / "model"), args=trainer.args, processing_class=tokenizer, **words
        )


def test_the_tokenizer_of_the_demo_is_loaded_as_it_was_made(tmp_path):
    """AutoTokenizer takes another class for some types of model, whatever the files say."""
    model, _ = trl_maxrl.make_demo(tmp_path)
    tokenizer = trl_maxrl.AutoTokenizer.from_pretrained(model)
    ids = tokenizer("#### 3").input_ids
    assert ids == [2, 6] and tokenizer.decode(ids) == "#### 3" and len(tokenizer) == 7


def test_an_evaluation_has_groups_of_its_own_size(folder):
    """num_generations_eval rollouts; pass@k is unbiased, prompt by prompt."""
    trainer = measure.trl_trainer(folder, num_generations_eval=4, per_device_eval_batch_size=8)
    figures = trainer.evaluate(trainer.train_dataset.select(range(16, 26)))
    assert set(figures) >= {"eval_pass@1", "eval_pass@2", "eval_pass@4", "eval_live"}
    assert "eval_pass@8" not in figures
    assert figures["eval_pass@1"] == pytest.approx(figures["eval_pass_rate"])
    assert figures["eval_pass@4"] == pytest.approx(figures["eval_live"])
    assert 0 < figures["eval_pass@1"] < figures["eval_pass@2"] < figures["eval_pass@4"]


def torchrun(processes: int, *command: str) -> subprocess.CompletedProcess:
    """With one retry, reported: gloo has been seen to abort once in eleven runs."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    for last in (False, True):
        done = subprocess.run([*launch, *command], capture_output=True, text=True, cwd=ROOT)
        if done.returncode == 0 or last:
            return done
        warnings.warn(f"torchrun failed once:\n{done.stderr[-2000:]}", stacklevel=2)
    raise AssertionError


def test_two_ranks_with_a_group_across_them(folder):
    """7 groups of 6 on 2 ranks: the fourth is half on each. Both have the whole gradient."""
    done = torchrun(2, str(HERE / "two_ranks.py"), str(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    for rank in found:
        assert rank["prompts_of_both"] == 7 and rank["dead"] > 0
        assert rank["advantages"] < 1e-6 and rank["gradient"] < 1e-5


def test_demo_learns_and_resumes(tmp_path):
    """The command: the pass rate rises, a run that ends early goes on, and the model is saved."""
    script, out = str(ROOT / "recipes" / "trl_maxrl.py"), str(tmp_path / "out")
    for flags in (["--steps", "20"], ["--steps", "30", "--resume"]):
        command = [sys.executable, script, "--demo", "--out", out, *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    state = json.loads((tmp_path / "out" / "checkpoint-30" / "trainer_state.json").read_text())
    evaluated = {row["step"]: row for row in state["log_history"] if "eval_pass@1" in row}
    assert sorted(evaluated) == [0, 20, 30]
    assert evaluated[0]["eval_pass@1"] < 0.1 and evaluated[30]["eval_pass@1"] > 0.4
    assert "held-out pass@16" in done.stdout and (tmp_path / "out" / "config.json").exists()
    again = subprocess.run(command[:-3], capture_output=True, text=True)
    assert again.returncode == 2 and "--resume" in again.stderr.splitlines()[-1]


def test_half_a_checkpoint_is_one_line(tmp_path, capsys):
    (tmp_path / "checkpoint-20").mkdir()
    with pytest.raises(SystemExit) as end:
        trl_maxrl.main(["--demo", "--resume", "--out", str(tmp_path)])
    assert end.value.code == 2 and "checkpoint-20 is not whole" in capsys.readouterr().err


def test_the_demo_at_other_sizes(tmp_path):
    flags = "--demo --k 2 --batch-size 3 --steps 1 --eval-every 1".split()
    assert trl_maxrl.main([*flags, "--out", str(tmp_path / "out")]) == 0


def test_two_processes_run_the_command(tmp_path):
    flags = ["--demo", "--out", str(tmp_path / "out"), "--steps", "2", "--eval-every", "2"]
    done = torchrun(2, str(ROOT / "recipes" / "trl_maxrl.py"), *flags, "--estimator", "maxrl-loo")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("held-out pass@1 ") == 1


def test_a_model_with_a_chat_template(tmp_path):
    """The flags of a real run: prompts become conversations, and verdicts read the model's turn."""
    model, data = trl_maxrl.make_demo(tmp_path)
    tokenizer = trl_maxrl.AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    tokenizer.save_pretrained(model)
    flags = "--steps 1 --eval-every 1 --k 4 --batch-size 4 --held-out 4 --max-tokens 4".split()
    given = ["--model", model, "--dataset", data, "--instruction", "", *flags]
    assert trl_maxrl.main([*given, "--out", str(tmp_path / "out")]) == 0
    state = json.loads((tmp_path / "out" / "checkpoint-1" / "trainer_state.json").read_text())
    assert any("pass_rate" in row for row in state["log_history"])


def test_lora_trains(tmp_path):
    pytest.importorskip("peft")
    flags = "--demo --lora 2 --steps 1 --eval-every 1 --k 4 --batch-size 4 --micro-batch 8".split()
    assert trl_maxrl.main([*flags, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "adapter_config.json").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--model MODEL --dataset rows.jsonl", "no single ####"),
        ("--model MODEL --dataset other.jsonl", "`question`"),
        ("--model MODEL --dataset none.jsonl", "none.jsonl"),
        ("--model MODEL --dataset broken.jsonl", "broken.jsonl"),
        ("--model none --dataset good.jsonl", "none"),
        ("--model ENDLESS --dataset good.jsonl", "no end token"),
        ("--model MODEL --dataset good.jsonl --held-out 9", "--held-out"),
        ("--model MODEL --dataset good.jsonl --held-out 1 --batch-size 50", "--batch-size"),
        ("--demo --k 5 --batch-size 3 --micro-batch 4", "15 rollouts"),
        ("--demo --k 1", "at least 2"),
        ("--demo --order 3", "--order"),
        ("--demo --estimator ppo", "maxrl"),
        ("--demo --resume", "no checkpoint"),
        ("--demo --model MODEL", "--demo alone"),
        ("", "--demo"),
    ],
)
def test_wrong_use_is_one_line(folder, tmp_path, monkeypatch, capfd, flags, says):
    monkeypatch.chdir(tmp_path)
    if not (folder / "model").exists():
        trl_maxrl.make_demo(folder)
    endless = tmp_path / "endless"
    tokenizer = trl_maxrl.AutoTokenizer.from_pretrained(folder / "model")
    tokenizer.eos_token = None
    tokenizer.save_pretrained(endless)
    good = [{"question": "0 1 2", "answer": "#### 2"}] * 3
    Path("good.jsonl").write_text("".join(json.dumps(row) + "\n" for row in good))
    Path("rows.jsonl").write_text(json.dumps({"question": "0 1 2", "answer": "2"}) + "\n")
    Path("other.jsonl").write_text(json.dumps({"input": "0 1 2", "output": "2"}) + "\n")
    Path("broken.jsonl").write_text('{"question": "0 1')
    given = flags.replace("MODEL", str(folder / "model")).replace("ENDLESS", str(endless))
    capfd.readouterr()
    try:
        status = trl_maxrl.main([*given.split(), "--out", "out"])
    except SystemExit as end:
        status = end.code
    error = [line for line in capfd.readouterr().err.splitlines() if "trl_maxrl.py:" in line]
    assert status == 2 and len(error) == 1 and says in error[0]


def test_every_loss_of_trl_is_in_the_table():
    import inspect
    import re

    source = inspect.getsource(trl_maxrl.GRPOTrainer._compute_loss)
    tested = re.findall(r"self\.loss_type (?:==|in) (\[[^]]*\]|\"\w+\")", source)
    names = {name for text in tested for name in re.findall(r'"(\w+)"', text)}
    assert names == set(measure.TRL_LOSSES)
    rows = [row for row in json.loads(measure.MEASURED.read_text()) if row["engine"][:3] == "TRL"]
    assert all(any(f"loss_type={n}" in row["setting"] for row in rows) for n in names)
