"""recipes/trl_maxrl.py in TRL itself: `make test-engines`."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")
from maxrl import ADVANTAGES
from recipes import measure, trl_maxrl
from recipes.demo import make_demo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """With the demo's model and data."""
    path = tmp_path_factory.mktemp("model")
    make_demo(path)
    return path


def graded_reward(prompts, completion_ids, **_):
    """Negative ones, ties, unequal gaps, and a third of the prompts where all are equal."""
    grades = [-2.5, 0.0, 1.0, 1.0, 0.25, -1.0, 4.0]
    return [grades[ids[0]] * (p[0] != "3") for p, ids in zip(prompts, completion_ids, strict=True)]


def run(*words: str, processes: int = 1) -> str:
    """What a script prints. Two get a second try: gloo has been seen to abort once in 11 runs."""
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2"] if processes == 2 else []
    for _ in range(processes):
        done = subprocess.run(
            [sys.executable, *launch, *words], capture_output=True, text=True, cwd=ROOT
        )
        if done.returncode == 0:
            return done.stdout
    pytest.fail(done.stderr[-3000:])


def rewards_of(scored: dict, reward) -> torch.Tensor:
    """Of what was scored, (B, k): without an end 0, or the lowest of the group if that is less."""
    mask = scored["completion_mask"].bool()
    ids = [row[m].tolist() for row, m in zip(scored["completion_ids"], mask, strict=True)]
    given = reward([row["prompt"] for row in scored["inputs"]], ids)
    groups = []
    for i in range(0, len(ids), measure.K):
        lowest = min(0.0, *given[i : i + measure.K])
        groups.append([given[j] if ids[j][-1] == 1 else lowest for j in range(i, i + measure.K)])
    return torch.tensor(groups, dtype=torch.double)


VERDICTS = [(name, measure.demo_reward) for name in ADVANTAGES]


@pytest.mark.parametrize(("estimator", "reward"), [*VERDICTS, ("tailrl", graded_reward)])
def test_advantages_and_gradient_are_ours(folder, estimator, reward):
    """A real step: rewards with dead groups, lengths 1 to 6, seven passes of accumulation."""
    trainer = measure.trl_trainer(folder, estimator, seed=3)
    trainer.reward_funcs = [reward]
    trainer.train()
    scored = trainer.scored
    prompts = [row["prompt"] for row in scored["inputs"]]
    assert all(len(set(prompts[i : i + measure.K])) == 1 for i in range(0, 35, measure.K))
    rewards = rewards_of(scored, reward)
    spread = rewards.amax(1) - rewards.amin(1)
    assert rewards.shape == (measure.B, measure.K) and (spread == 0).any() and (spread > 0).any()
    ours = ADVANTAGES[estimator](rewards).flatten()
    assert torch.allclose(scored["advantages"].double(), ours, rtol=1e-6, atol=1e-6)
    assert list(trainer._logs["advantages"]) == scored["advantages"].tolist()
    gradient = measure.trl_our_gradient(trainer, folder, ours)
    assert gradient.norm() > 1e-3
    assert (trainer.gradient - gradient).norm() < 1e-5 * gradient.norm()


@pytest.mark.parametrize("settings, low, high", [
    ({}, 1 - 1e-6, 1.01), (dict(importance_sampling_level="token"), 1 - 1e-6, 1.01),
    (dict(delta=1.5, off_policy_mask_threshold=0.0), 1 - 1e-6, 1.01),  # need not be in EXACT
    (dict(loss_type="grpo"), 0, 0.99), (dict(top_entropy_quantile=0.2), 0, 0.999),
])  # fmt: skip
def test_settings_are_named_whether_they_turn_the_gradient_or_not(folder, settings, low, high):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer = measure.trl_trainer(folder, seed=3, **settings)
    said = [str(w.message) for w in seen if "EXACT" in str(w.message)]
    want = [f"{name}={value}" for name, value in settings.items() if name in trl_maxrl.EXACT]
    assert [text.partition("EXACT: ")[2] for text in said] == want
    trainer.train()
    ours = measure.trl_our_gradient(trainer, folder)
    assert low < torch.cosine_similarity(trainer.gradient, ours, dim=0) < high


def test_no_verdict_is_no_success_and_wrong_use_is_an_error(folder):
    """None as a reward: TRL's accuracy_reward returns it for a reference that it cannot read."""
    with pytest.raises(ValueError, match="no estimator ppo; there are"):
        measure.trl_trainer(folder, "ppo")
    trainer = measure.trl_trainer(folder)
    trainer.reward_funcs = [graded_reward]
    with pytest.raises(ValueError, match=r"0 or 1 .*, not"):
        trainer.train()
    trainer = measure.trl_trainer(folder)
    trainer.reward_funcs = [lambda completions, **_: [None] * (len(completions) - 3) + [1.0] * 3]
    trainer.train()
    advantages = trainer.scored["advantages"].view(-1, measure.K)
    assert bool((advantages[:-1] == 0).all()) and bool(advantages.isfinite().all())


def test_an_evaluation_has_groups_of_its_own_size(folder):
    """num_generations_eval rollouts; pass@k is unbiased, prompt by prompt."""
    trainer = measure.trl_trainer(folder, num_generations_eval=4, per_device_eval_batch_size=8)
    figures = trainer.evaluate(trainer.train_dataset.select(range(16, 26)))
    assert set(figures) >= {"eval_pass@1", "eval_pass@2", "eval_pass@4", "eval_live"}
    assert "eval_pass@8" not in figures
    assert figures["eval_pass@1"] == pytest.approx(figures["eval_pass_rate"])
    assert figures["eval_pass@4"] == pytest.approx(figures["eval_live"])
    assert 0 < figures["eval_pass@1"] < figures["eval_pass@2"] < figures["eval_pass@4"]


def test_two_ranks_with_a_group_across_them(folder):
    """7 groups of 6 on 2 ranks: the fourth is half on each. Both have the whole gradient."""
    run("tests/engines/two_ranks.py", str(folder), processes=2)
    for rank in (0, 1):
        found = json.loads((folder / f"rank{rank}.json").read_text())
        assert found["prompts_of_both"] == 7 and found["dead"] > 0
        assert found["advantages"] < 1e-6 and found["gradient"] < 1e-5


def test_demo_learns_and_resumes(tmp_path):
    """The pass rate rises, a run that ends early goes on, and the model is saved."""
    demo = ["recipes/trl_maxrl.py", "--demo", "--out", str(tmp_path / "out")]
    for flags in ("--steps 20", "--steps 30 --resume"):
        said = run(*demo, *flags.split())
    state = json.loads((tmp_path / "out" / "checkpoint-30" / "trainer_state.json").read_text())
    evaluated = {row["step"]: row for row in state["log_history"] if "eval_pass@1" in row}
    assert sorted(evaluated) == [0, 20, 30]
    assert evaluated[0]["eval_pass@1"] < 0.1 and evaluated[30]["eval_pass@1"] > 0.4
    assert "held-out pass@16" in said and (tmp_path / "out" / "config.json").exists()


def test_flags_become_settings_of_trl(tmp_path):
    """All that are in EXACT, unless they are given; sizes whose product is the batch of a step."""
    flags = "--demo --k 2 --batch-size 3 --micro-batch 4 --lr 0.5 --max_grad_norm 9 --top_p 0.9"
    flags = [*flags.split(), "--out", str(tmp_path / "out"), "--estimator", "passk", "--order", "1"]
    with pytest.warns(UserWarning, match=r"EXACT: top_p=0.9$"):
        trainer = trl_maxrl.build(trl_maxrl.parse_args(flags))
    args = trainer.args
    assert (args.learning_rate, args.max_grad_norm, args.max_completion_length) == (0.5, 9, 4)
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (2, 3)
    assert args.steps_per_generation == 3 and trainer.num_generations == 2
    assert (trainer.estimator, trainer.order) == ("passk", 1)
    assert (len(trainer.train_dataset), len(trainer.eval_dataset)) == (48, 16)


def test_a_model_with_a_chat_template(folder, tmp_path):
    """The flags of a real run: prompts become conversations, and verdicts read the model's turn."""
    model = trl_maxrl.AutoTokenizer.from_pretrained(folder / "model")
    model.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    make_demo(tmp_path)
    model.save_pretrained(tmp_path / "model")
    flags = "--steps 1 --eval-every 1 --k 4 --batch-size 4 --held-out 4 --max-tokens 4 --lora 2"
    named = ["--model", str(tmp_path / "model"), "--dataset", str(tmp_path / "data.jsonl")]
    words, out = [*named, *flags.split(), "--instruction", ""], tmp_path / "out"
    assert trl_maxrl.main([*words, "--out", str(out)]) == 0
    state = json.loads((out / "checkpoint-1" / "trainer_state.json").read_text())
    assert sum("eval_pass@4" in row for row in state["log_history"]) == 2
    assert (out / "adapter_config.json").exists()


ROWS = [{"question": f"{i} 1 2", "answer": "#### 2"} for i in range(5)]


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_files_and_what_is_held_out(tmp_path):
    """Of a file some rows by chance; of a folder its split test."""
    for ending in ("json", "JSONL"):
        path = tmp_path / f"rows.{ending}"
        path.write_text(lines(ROWS))
        train, test = trl_maxrl.load(str(path), held_out=2, seed=1)
        assert (len(train), len(test)) == (3, 2)
        assert len({row["question"] for row in (*train, *test)}) == 5
        path.unlink()
    (tmp_path / "train.jsonl").write_text(lines(ROWS[:2]))
    (tmp_path / "test.jsonl").write_text(lines(ROWS[2:]))
    train, test = trl_maxrl.load(str(tmp_path), held_out=2, seed=1)
    assert list(train) == ROWS[:2] and len(test) == 2
    assert all(row in ROWS[2:] for row in test)


WRONG = """
--model MODEL --dataset rows.jsonl --held-out 1      | one ####
--model MODEL --dataset other.jsonl --held-out 1     | `question`
--model MODEL --dataset none.jsonl                   | none.jsonl
--model MODEL --dataset broken.jsonl                 | broken.jsonl
--model MODEL --dataset empty.jsonl                  | not be empty
--model MODEL --dataset plain.txt                    | .jsonl, .json
--model none --dataset good.jsonl                    | none
--model= --dataset good.jsonl                        | --model
--model ENDLESS --dataset good.jsonl --held-out 1 --batch-size 2 | no end token
--model MODEL --dataset good.jsonl --held-out 9      | --held-out 9: test_size=9
--model MODEL --dataset good.jsonl --held-out 1 --batch-size 50 | 4 training prompts do not fill
--demo --k 1                                         | at least 2
--demo --order 3                                     | maxrl takes no order
--demo --estimator ppo                               | tailrl
--demo --lr inf                                      | --lr must be above 0, and finite
--demo --lora 0                                      | --lora must be above 0
--demo --steps=--                                    | gives no value
--demo --model MODEL                                 | --demo alone
--demo --resume                                      | no whole checkpoint in out
--demo --resume --out half                           | no whole checkpoint in half
--demo --out mine                                    | mine exists
--demo --output_dir=                                 | --out FOLDER
"""


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_wrong_use_is_one_line_and_touches_nothing(folder, tmp_path, monkeypatch, capfd, line):
    flags, says = map(str.strip, line.split("|"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "model", "endless")
    tokenizer = trl_maxrl.AutoTokenizer.from_pretrained("endless")
    tokenizer.eos_token = None
    tokenizer.save_pretrained("endless")
    bad = [{"question": "0 1 2", "answer": "2"}] * 2 + [{"input": "0 1 2", "output": "2"}] * 2
    files = {"good.jsonl": lines(ROWS), "rows.jsonl": lines(bad[:2]), "other.jsonl": lines(bad[2:])}
    files |= {"broken.jsonl": '{"question": "0 1', "empty.jsonl": "", "plain": "", "plain.txt": ""}
    files |= {"mine/README.md": "mine", "half/checkpoint-20/config.json": "{}"}
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    given = flags.replace("MODEL", str(folder / "model")).replace("ENDLESS", "endless").split()
    capfd.readouterr()
    with pytest.raises(SystemExit, match="2"):
        sys.exit(trl_maxrl.main([*([] if "--out" in flags else ["--out", "out"]), *given]))
    (error,) = (line for line in capfd.readouterr().err.splitlines() if "trl_maxrl.py:" in line)
    assert says in error
    assert all(Path(name).read_text() == text for name, text in files.items())
