"""--method FILE.py:FUNCTION: a method of yours trains, is kept with the run, and is checked."""

import json

import pytest
import torch
from conftest import one_line, read, same, weights

from harness import own_method

FILE = '''
import helper

def ours(r, mean, k):
    """A = (r - mean)
    / mean. As in the paper."""
    return helper.divide(r - mean, mean)

def crash(r, mean, k):
    raise KeyError("no\\nsuch")

raw = lambda r, mean, k: helper.divide(r, mean)
nan = lambda r, mean, k: r / mean
number = lambda r, mean, k: 1.0
three = 3
raw.__doc__ = 7
'''
HELPER = "import torch\n\ndef divide(a, b):\n    return torch.where(b > 0, a / b, 0.0)\n"
FLAGS = "--sft-steps 0 --k 300 --method mine.py:ours"


@pytest.fixture
def mine(folder):
    """A file of estimators, with an import of its own."""
    (folder / "mine.py").write_text(FILE)
    (folder / "helper.py").write_text(HELPER)
    (folder / "leaves.py").write_text("raise SystemExit(0)\n")
    return folder


def test_it_trains_as_the_same_formula_of_ours_does(train, mine, capsys):
    train("--sft-steps 0 --k 300 --method maxrl --out ours"), train(FLAGS)
    assert "A = (r - mean) / mean" in capsys.readouterr().out
    folder = "runs/addition-mine-ours-k300-s0"
    assert read(folder) == read("ours") and same(weights(folder), weights("ours"))
    train("--sft-steps 0 --k 300 --method mine.py:raw --out raw")
    assert not same(weights("raw"), weights("ours"))


def test_the_table_of_what_it_computes_is_kept_and_compared(train, mine, capsys):
    train("--sft-steps 0 --steps 0 --k 4 --method mine.py:ours --out out")
    table = [[0, None, 0.0], [1, 3.0, -1.0], [2, 1.0, -1.0], [3, pytest.approx(1 / 3), -1.0]]
    table.append([4, 0.0, None])
    config = json.loads((mine / "out/config.json").read_text())
    saved = torch.load(mine / "out/ckpt.pt", weights_only=True)["config"]
    assert config["table"] == saved["table"] == table and config["method"] == "mine.py:ours"
    many = own_method.load("mine.py:ours", 10**6)
    assert len(many) == own_method.MOST_ROWS and [many[0][0], many[-1][0]] == [0, 10**6]

    capsys.readouterr()  # and the run goes on with the same function only
    (mine / "mine.py").write_text(FILE.replace("r - mean, mean", "r - mean / 2, mean"))
    train("--resume --out out --steps 4 --method mine.py:ours", status=2)
    assert "no longer computes" in one_line(capsys)


@pytest.mark.parametrize("method, why", [
    ("mine.py:three", "no function three"), ("yours.py:ours", "No such file"),
    ("mine.py:nan", "in a group with 0 successes of 5"), ("mine:ours", "FILE.py:FUNC"),
    ("mine.py:number", "tensor of the shape of r"), ("mine.py:crash", "KeyError"),
    ("leaves.py:f", "SystemExit"), ("mine.py:", "no function"),
])  # fmt: skip
def test_wrong_use_is_one_line(train, mine, capsys, method, why):
    train(f"--method {method}", status=2)
    assert why in one_line(capsys) and not [*mine.glob("runs/addition*")]
