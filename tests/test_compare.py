"""compare.py: runs side by side."""

from pathlib import Path

import pytest

import compare


@pytest.fixture
def runs(train):
    """Two seeds of maxrl and one run of grpo, tiny."""
    for flags in ("--out a", "--out b --seed 1", "--out c --method grpo"):
        train(f"{flags} --sft-steps 0")
    return [Path(name) for name in "abc"]


def test_runs_that_differ_in_the_seed_are_one_line(runs, capsys):
    groups = compare.group(runs)
    assert {label: len(rows) for label, rows in groups.items()} == {"maxrl": 2, "grpo": 1}
    ends = [compare.load(run)[1][-1]["pass@1"] for run in runs[:2]]
    assert compare.main([*map(str, runs), "--figure", "f.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("| maxrl "))
    mean = sum(ends) / 2
    assert f"| 2 | 4 | {mean:.3f} ({min(ends):.3f} to {max(ends):.3f}) |" in row
    assert Path("f.png").read_bytes()[1:4] == b"PNG"


def test_settings_that_differ_are_named(train):
    train("--out a --sft-steps 0"), train("--out b --sft-steps 0 --k 3 --lr 0.01")
    assert set(compare.group([Path("a"), Path("b")])) == {
        "maxrl k=5 lr=5e-05",
        "maxrl k=3 lr=0.01",
    }


def test_what_a_run_does_not_have_is_a_dash(train):
    train("--task countdown --eval-rollouts 8 --sft-steps 0 --out a")
    text = compare.table(compare.group([Path("a")]))
    assert text.splitlines()[-1].count(" - ") == 2, "pass@128 and pass@1024"


@pytest.mark.parametrize("damage", ["nothing", "config", "log"])
def test_what_is_not_a_run(train, capsys, damage):
    train("--out a --sft-steps 0"), capsys.readouterr()
    if damage == "config":
        Path("a/config.json").write_text("[1]")
    elif damage == "log":
        Path("a/metrics.jsonl").write_text('{"step": 1, "loss": 2}\n')
    assert compare.main(["a" if damage != "nothing" else "missing"]) == 2
    err = capsys.readouterr().err
    assert "--out of a run" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("figure", ["nowhere/f.png", "f.nonsense"])
def test_a_figure_that_cannot_be_written(train, capsys, figure):
    train("--out a --sft-steps 0"), capsys.readouterr()
    assert compare.main(["a", "--figure", figure]) == 2
    assert figure in (err := capsys.readouterr().err) and len(err.splitlines()) == 1
