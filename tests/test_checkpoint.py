"""A run goes on where it stopped, to the bit: crashes, full disks, two runs at once; and files that
are not what they say are refused in one line."""

import copy
import json
import math
import os
import pickle
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
import soak
import torch
from conftest import TINY, TINY_ROUNDS, exit_status, in_a_child, one_line, read, same, weights

import sample
import train as train_module
from harness import UsageError, checkpoint, log
from harness.folder import lock
from model import ModelConfig

RUN = "--sft-steps 0 --steps 4 --eval-every 2 --out"


class Killed(BaseException):
    """Ends everything, as kill -9 does, except for what `finally` and `except` do."""


def dies(point: str, patch, at: int) -> None:
    """Make the at-th checkpoint (or, for "log", the at-th row of the log) die at this point."""
    module, name = (log, "append_line") if point == "log" else (os, "replace")
    write, times = getattr(module, name), iter(range(1, 99))

    def dying(*words):
        if not ((point == "log" or words[1].name == "ckpt.pt") and next(times) == at):
            return write(*words)
        if point == "log":
            words[0].open("a").write(json.dumps(words[1])[:17])
        elif point == "after":
            write(*words)
        raise Killed

    patch.setattr(module, name, dying)


def test_every_crash_point(train, monkeypatch):
    """Die at the first and at a later checkpoint: what goes on equals what never stopped."""
    train(f"{RUN} whole")
    for point in ("log", "before", "after"):
        for at in (1, 2):
            out = f"{point}-{at}"
            with monkeypatch.context() as patch:
                dies(point, patch, at)
                with pytest.raises(Killed):
                    train_module.main([*TINY, *f"{RUN} {out}".split()])
            Path(out, "ckpt.pt.12345.tmp").write_bytes(b"torn")  # what a real kill leaves
            train(f"{RUN} {out} {'--resume' if Path(out, 'ckpt.pt').exists() else '--overwrite'}")
            assert read("whole") == read(out) and same(weights("whole"), weights(out)), out
            assert sorted(os.listdir(out)) == ["ckpt.pt", "config.json", "metrics.jsonl"]
            rows = map(json.loads, Path(out, "metrics.jsonl").read_text().splitlines())
            seconds = [row["seconds"] for row in rows]
            assert seconds == sorted(seconds), "the clock goes on where it stopped"


def test_killed_twice(train, folder):
    """A process of its own and kill -9: once in mid-run, and once again after it was resumed."""
    flags = [*TINY, *"--k 64 --steps 30 --eval-every 3".split()]
    assert train_module.main([*flags, "--out", "whole"]) == 0
    log = folder / "killed/metrics.jsonl"
    for rows in (10, 24):
        words = soak.next_words(folder, flags)
        child = in_a_child(lambda words=words: train_module.main(words))
        while not log.exists() or len(log.read_bytes().splitlines()) < rows:
            time.sleep(0.01)
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended before it could be killed"
        os.kill(child, signal.SIGKILL)
        assert exit_status(child) == -signal.SIGKILL
    train("--resume --out killed")
    assert read("whole") == read("killed") and same(weights("whole"), weights("killed"))


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(train):
    """A process whose files may not exceed 30 kB: the log does not, a checkpoint does."""
    train("--steps 2 --eval-every 2 --out out")
    before = Path("out/ckpt.pt").read_bytes()
    assert len(before) > 30_000

    def resume():
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
        return train_module.main("--resume --out out --steps 6".split())

    assert exit_status(in_a_child(resume, "err.txt")) == 1
    err = Path("err.txt").read_text()
    assert "too large" in err and "untouched" in err and "Traceback" not in err
    assert Path("out/ckpt.pt").read_bytes() == before and not list(Path("out").glob("*.tmp"))


def test_two_runs_on_one_folder(train, folder, capsys):
    """The second is refused, however it asks, for as long as the first holds its descriptor."""
    train("--steps 0 --out out"), capsys.readouterr()
    first, before = lock(folder / "out"), Path("out/ckpt.pt").read_bytes()
    for flags in ("--resume --out out --steps 6", "--out out --overwrite"):
        train(flags, status=2)
        assert "another run is writing" in one_line(capsys)
    assert Path("out/ckpt.pt").read_bytes() == before
    os.close(first)  # as the system does when a process ends
    train("--resume --out out --steps 1")


def refused(capsys, word: str) -> None:
    """Both commands refuse out/ckpt.pt in one line with this word, and change nothing."""
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    for command, argv in ((train_module.main, ["--resume", "--out=out"]), (sample.main, ["out"])):
        assert command(argv) == 2, argv
        err = one_line(capsys)
        assert "out" in err and word in err, err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.fixture(scope="module")
def star_run(tmp_path_factory, warm_starts) -> Path:
    """A run whose checkpoint has every part: STaR, after a round in which it learnt something."""
    out = tmp_path_factory.mktemp("star")
    flags = f"--method star --rounds 2 --pool 12 --k 60 --sft-steps 0 --out {out}".split()
    assert train_module.main([*TINY_ROUNDS, *flags]) == 0
    assert torch.load(out / "ckpt.pt", weights_only=True)["optimizer"]
    return out


@pytest.fixture
def stranger(star_run, folder):
    """stranger("config", "k", value) writes out/ckpt.pt with this part replaced, by MISSING too."""
    shutil.copytree(star_run, folder / "out")
    good = torch.load(star_run / "ckpt.pt", weights_only=True)

    def write(*place_and_value) -> None:
        *parents, name, value = place_and_value
        whole = part = copy.deepcopy(good)
        for key in parents:
            part = part[key]
        part[name] = value(part[name]) if callable(value) else value
        if value is MISSING:
            del part[name]
        torch.save(whole, "out/ckpt.pt")

    return write


MISSING = "(missing)"
SPOILED = [  # shape, type, layout, contiguity, no memory, no number, no tensor
    lambda w: torch.zeros(3),
    lambda w: w.reshape(1, -1),
    lambda w: w.double(),
    lambda w: w.half(),
    lambda w: w.to(torch.float8_e4m3fn),
    lambda w: w.int(),
    lambda w: w.reshape(-1).to_sparse(),
    lambda w: torch.zeros(*w.shape, 2)[..., 0] if w.dim() else None,
    lambda w: torch.zeros(1).expand(w.shape if w.dim() else (2,)),
    lambda w: torch.nested.nested_tensor([w.reshape(-1)]),
    lambda w: w.to("meta"),
    lambda w: w * math.nan,
    lambda w: w.tolist(),
    None,
    MISSING,
]
NO_DICT = [None, {}, "small", MISSING]
LOOP: list = []
LOOP.append(LOOP)
SIZES = [10**9, 1.0, "sixteen", MISSING]
MATRIX = {
    **{(part, "norm.weight"): SPOILED for part in ("model", "first_weights")},
    **{("optimizer", *place): SPOILED for place in ((0, "exp_avg"), (5, "step"))},
    ("optimizer", 3, "exp_avg_sq"): SPOILED[:2],
    **{(*part, "more"): [torch.zeros(3)]
       for part in (("model",), ("first_weights",), ("optimizer", 0))},
    ("optimizer", 99): [{}],
    ("step",): [None, -1, 2.0, True, "two", torch.tensor(2), MISSING],
    ("optimizer",): [None, 7, {0: {}}, {"state": {}, "param_groups": []}, MISSING],
    **{(part,): NO_DICT for part in ("first_weights", "model", "model_config")},
    ("config",): [*NO_DICT, {1: 2}, {"n_head": 0}],
    ("alphabet",): [None, "", "0123456789+-*%(),:;=<~ ^", 7, LOOP, MISSING],
    **{("model_config", name): SIZES for name in vars(ModelConfig(1, 1))},
    ("config", "task"): ["chain", "modular", "../../etc", None],
    ("config", "digits"): [2, 99],
    ("config", "n_layer"): [2, 1000],
    ("config", "n_head"): [3, 4],
    ("config", "lr"): ["fast", math.nan],
    ("config", "k"): [2.5, True, -1, MISSING],
    ("config", "method"): ["ppo", ["star"], 7],
    ("config", "reverse"): ["yes", None],
    ("config", "out"): [7, ""],
    ("config", "order"): [1.5, -math.inf],
    ("config", "table"): ["x", ["x"], LOOP, [[0, None, torch.ones(2)]]],
    ("config", "flavour"): ["mint"],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_every_part_is_what_it_should_be(stranger):
    """(Three numbers where the fused optimizer expects a thousand would overwrite memory.)"""
    for place, values in MATRIX.items():
        for value in values:
            stranger(*place, value)
            with pytest.raises(UsageError) as error:
                checkpoint.load(Path("out"))
            said = str(error.value)
            assert said.startswith("out/ckpt.pt ") and "\n" not in said, (place, value, said)


def test_a_checkpoint_of_a_model_that_no_memory_would_hold(stranger, star_run, capsys):
    content = torch.load(star_run / "ckpt.pt", weights_only=True)
    for part in ("config", "model_config"):
        content[part] |= {"n_layer": 1000, "n_embd": 2**15}
    torch.save(content, "out/ckpt.pt"), refused(capsys, "smaller than the model")


def test_a_strangers_method_is_not_executed(train, stranger, capsys):
    """Only --method says what file may be executed, with a table in the checkpoint or without."""
    Path("evil.py").write_text("open('executed', 'w')\ndef f(r, mean, k):\n    return r\n")
    for table in (None, [], [[0, None, 1.0]]):
        stranger("first_weights", {})
        content = torch.load("out/ckpt.pt", weights_only=True)
        content["config"] |= {"method": "evil.py:f", "table": table}
        torch.save(content, "out/ckpt.pt")
        train("--resume --out out", status=2)
        assert "give --method evil.py:f again" in one_line(capsys)
    assert not Path("executed").exists()


class Bomb(str):
    """Unpickling this would create a file of that name."""

    def __reduce__(self):
        return (open, (str(self), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_bomb_does_not_go_off(stranger, folder, capsys):
    trap, path = folder / "executed", Path("out/ckpt.pt")
    stranger("config", "out", Bomb(trap))
    refused(capsys, "damaged")
    inside = path.read_bytes()
    path.write_bytes(pickle.dumps({"format": Bomb(trap)}))
    refused(capsys, "damaged")
    assert not trap.exists()
    path.write_bytes(inside), torch.load(path, weights_only=False)
    assert trap.exists(), "it was live"


def test_cut_and_alien_files(train, stranger, capsys):
    path = Path("out/ckpt.pt")
    whole = path.read_bytes()
    for n in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:n])
        refused(capsys, "damaged")
    for content in ({"some": "dict"}, [1, 2], torch.ones(3), {"format": "another"}):
        torch.save(content, path)
        refused(capsys, "not a checkpoint")
    train("--init out --out next", status=2)
    assert "out/ckpt.pt is not a checkpoint" in one_line(capsys)


def test_a_log_that_does_not_fit_its_checkpoint(train, stranger, capsys):
    """Rows of steps 0, 1, 2: cut, torn in the middle, doubled, or not rows of a run at all."""
    path = Path("out/metrics.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])
    assert ["nll" in line for line in lines] == [True, False, False, True]
    wrong = [lines[:0], lines[:1], lines[:2], lines[1:], [*lines[:2], *lines[1:]]]
    wrong += [[lines[0], *lines], [*lines, lines[-1]]]  # an evaluation twice
    rows = ["[1, 2]", '{"step": "one"}', '{"loss": 1}', "7", '{"step": true}', "{", "[" * 10**5]
    wrong += [[lines[0], row + "\n", *lines[1:]] for row in rows]
    spoiled = [{"seconds": s} for s in (-1, "x", math.nan, 10**400)]
    spoiled += [{"pass@1": figure} for figure in ("low", [1], {}, 10**400, math.nan)]
    wrong += [[*lines[:-1], json.dumps(last | figure) + "\n"] for figure in spoiled]
    for text in [*map("".join, wrong), "\0", None]:
        path.unlink() if text is None else path.write_text(text)
        train("--resume --out out", status=2)
        assert "out" in one_line(capsys)
        assert not path.exists() if text is None else path.read_text() == text


def test_resume_refuses_other_settings(train, capsys):
    train("--sft-steps 0 --steps 3 --out out"), capsys.readouterr()
    before = Path("out/ckpt.pt").read_bytes()
    for flags, says, but in (
        ("--lr 0.5 --method grpo --steps 9", "--lr, --method", "--steps"),
        ("--threads 2", "--threads", "--lr"),
        ("--rounds 9", "--rounds", "--threads"),
        ("--steps 2", "step 3", "--lr"),
    ):
        train(f"--resume --out out {flags}", status=2)
        err = one_line(capsys)
        assert says in err and but not in err
    assert Path("out/ckpt.pt").read_bytes() == before
    train("--resume --out out --lr 5e-5"), "what is the same may be said again"
