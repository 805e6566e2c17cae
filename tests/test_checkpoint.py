"""A run goes on where it stopped, to the bit: crashes, full disks, two runs at once; and files that
are not what they say are refused in one line."""

import builtins
import copy
import io
import json
import math
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soak
import torch
from conftest import TINY, read, same, weights

import sample
import train as train_module
from harness import checkpoint, log
from harness import config as config_module
from harness.config import Config, UsageError

RUN = "--steps 6 --eval-every 2 --out"


# ------------------------------------------------------------------------------------- crashes


class Killed(BaseException):
    """Ends everything, as kill -9 does, except for what `finally` and `except` do."""


def dies(point: str, monkeypatch, at: int) -> None:
    """Make the at-th checkpoint (or, for "log", the at-th row of the log) die at this point."""
    calls = []

    def now() -> bool:
        calls.append(1)
        return len(calls) == at

    if point == "log":
        append = log.append_line

        def torn(path, row):
            if now():
                Path(path).open("a").write(json.dumps(row)[:17])
                raise Killed
            append(path, row)

        monkeypatch.setattr(log, "append_line", torn)
    elif point == "inside":

        def half(path, mode="r"):
            file = builtins.open(path, mode)
            if "ckpt.pt" in str(path) and now():
                file.write(b"half a checkpoint")
                file.close()
                raise Killed
            return file

        monkeypatch.setattr(checkpoint, "open", half, raising=False)
    else:
        replace = os.replace

        def renamed(old, new):
            dying = new.name == "ckpt.pt" and now()
            if point == "after" or not dying:
                replace(old, new)
            if dying:
                raise Killed

        monkeypatch.setattr(os, "replace", renamed)


def test_every_crash_point(train, monkeypatch):
    """Die at the first and at a later checkpoint: what goes on equals what never stopped."""
    train(f"{RUN} whole")
    for point in ("log", "inside", "before", "after"):
        for at in (1, 3):
            out = f"{point}-{at}"
            with monkeypatch.context() as patch:
                dies(point, patch, at)
                with pytest.raises(Killed):
                    train_module.main([*TINY, *f"{RUN} {out}".split()])
            Path(out, "ckpt.pt.12345.tmp").write_bytes(b"torn")  # what a real kill leaves
            train(f"{RUN} {out} {'--resume' if Path(out, 'ckpt.pt').exists() else '--overwrite'}")
            assert read("whole") == read(out) and same(weights("whole"), weights(out)), out
            assert sorted(os.listdir(out)) == ["ckpt.pt", "config.json", "metrics.jsonl"]


def test_killed_twice(train, folder):
    """A real process and kill -9: once in mid-run, and once again after it was resumed."""
    more = "--k 64 --steps 36 --eval-every 3"
    flags = [*TINY, *more.split()]
    train(f"{more} --out whole")
    for rows in (12, 30):
        process = soak.start(folder, soak.next_words(folder, flags))
        log = folder / "killed/metrics.jsonl"
        while not log.exists() or len(log.read_bytes().splitlines()) < rows:
            time.sleep(0.01)
            assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.communicate()
    train("--resume --out killed")
    assert read("whole") == read("killed") and same(weights("whole"), weights("killed"))


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(train):
    """A real process whose files may not exceed 30 kB: the log does not, a checkpoint does."""
    train("--steps 2 --eval-every 2 --out out")
    before = Path("out/ckpt.pt").read_bytes()
    assert len(before) > 30_000
    done = subprocess.run(
        [sys.executable, str(soak.ROOT / "train.py"), *"--resume --out out --steps 6".split()],
        capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
    )  # fmt: skip
    assert done.returncode == 1 and "too large" in done.stderr and "untouched" in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("out/ckpt.pt").read_bytes() == before and not list(Path("out").glob("*.tmp"))
    train("--resume --out out --steps 6")


def test_the_log_is_on_the_disk_before_the_checkpoint(train, monkeypatch):
    order = []
    flush, save = log.flush, checkpoint.save
    monkeypatch.setattr(log, "flush", lambda path: order.append("log") or flush(path))
    monkeypatch.setattr(checkpoint, "save", lambda *a: order.append("checkpoint") or save(*a))
    train("--sft-steps 0 --steps 2 --out out")
    assert order == ["log", "checkpoint"] * 2


def test_resume_drops_what_came_after_the_checkpoint(train):
    train("--steps 6 --out whole"), train("--steps 4 --out cut")
    with open("cut/metrics.jsonl", "a") as file:
        file.write('{"step": 5, "seconds": 1, "rollouts": 75, "loss": 7}\n{"step": 6, "sec')
    train("--resume --steps 6 --out cut")
    assert read("whole") == read("cut") and same(weights("whole"), weights("cut"))


def test_a_run_that_is_resumed_where_it_stopped_is_evaluated(train):
    """Stopped by a signal between evaluations, and then asked for no more steps than it has."""
    train("--steps 3 --eval-every 3 --out out")
    rows = Path("out/metrics.jsonl").read_text().splitlines(keepends=True)
    Path("out/metrics.jsonl").write_text("".join(rows[:-1]))  # stopped just before it
    train("--resume --out out --steps 3")
    assert [row["step"] for row in read("out") if "nll" in row] == [0, 3]


# ---------------------------------------------------------------------------------------- locks


def test_two_runs_on_one_folder(train, folder, capsys):
    """The second is refused, however it asks; the lock goes with the process that held it."""
    train("--steps 0 --out out"), capsys.readouterr()
    (folder / "runs/addition-maxrl-k5-s0").mkdir()
    held = [str(folder / name) for name in ("out", "runs/addition-maxrl-k5-s0")]
    holder = subprocess.Popen(
        [sys.executable, "-c", "from harness.folder import lock; import pathlib, time\n"
         f"locks = [lock(pathlib.Path(name)) for name in {held}]\n"
         "print('held', flush=True); time.sleep(600)"],
        cwd=soak.ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    before = Path("out/ckpt.pt").read_bytes()
    for flags in ("--resume --out out --steps 6", "--out out --overwrite"):
        train(flags, status=2)
        err = capsys.readouterr().err
        assert "another run" in err and len(err.splitlines()) == 1
    assert Path("out/ckpt.pt").read_bytes() == before
    train("--steps 0")
    assert Path("runs/addition-maxrl-k5-s0-2/ckpt.pt").exists(), "the first is taken, though empty"
    holder.kill(), holder.wait()
    train("--resume --out out --steps 1")


# ------------------------------------------------------------------------------ strangers' files


def one_line(capsys) -> str:
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "Traceback" not in err, err
    return err


def refused(capsys, *words: str, resume_only: bool = False) -> None:
    """Each command refuses out/ckpt.pt in one line with these words, and changes nothing."""
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    calls = [lambda: train_module.main("--resume --out out --rounds 5".split())]
    if not resume_only:
        calls.append(lambda: sample.main(["out", "--device", "cpu"]))
        calls.append(lambda: train_module.main([*TINY, "--init", "out", "--out", "next"]))
    for call in calls:
        assert call() == 2
        err = one_line(capsys)
        assert "out" in err and all(word in err for word in words), err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.fixture(scope="module")
def star_run(tmp_path_factory, warm_starts) -> Path:
    """A run whose checkpoint has every part: STaR, after a round in which it learnt something."""
    out = tmp_path_factory.mktemp("star")
    words = [*TINY[: TINY.index("--steps")], *TINY[TINY.index("--steps") + 2 :]]
    flags = f"--method star --rounds 2 --pool 12 --k 60 --sft-steps 0 --out {out}".split()
    assert train_module.main([*words, *flags]) == 0
    assert torch.load(out / "ckpt.pt", weights_only=True)["optimizer"]
    return out


@pytest.fixture
def stranger(star_run, folder):
    """stranger(change) writes out/ckpt.pt with some change to its content."""
    (folder / "out").mkdir()
    for file in star_run.iterdir():
        (folder / "out" / file.name).write_bytes(file.read_bytes())
    content = torch.load(star_run / "ckpt.pt", weights_only=True)

    def write(change) -> None:
        changed = copy.deepcopy(content)
        change(changed)
        torch.save(changed, "out/ckpt.pt")

    return write


TENSORS = [("model", "norm.weight"), ("first_weights", "norm.weight")]
TENSORS += [("optimizer", 0, "exp_avg"), ("optimizer", 3, "exp_avg_sq"), ("optimizer", 5, "step")]
WAYS = {
    "shape": lambda w: torch.zeros(3),
    "flat": lambda w: w.reshape(1, -1),
    "double": lambda w: w.double(),
    "half": lambda w: w.half(),
    "whole numbers": lambda w: w.int(),
    "sparse": lambda w: w.reshape(-1).to_sparse(),
    "strided": lambda w: torch.zeros(2, *w.shape).movedim(0, -1)[..., 0],
    "one number for all": lambda w: torch.zeros(1).expand(w.shape if w.dim() else (2,)),
    "nested": lambda w: torch.nested.nested_tensor([w.reshape(-1)]),
    "no numbers": lambda w: w.to("meta"),
    "a list": lambda w: w.tolist(),
    "none": lambda w: None,
    "missing": None,
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("place", TENSORS, ids=str)
def test_every_tensor_is_what_it_should_be(stranger, capsys, place):
    """Its shape, type, layout; its place: nothing is missing, and nothing is there besides. (Three
    numbers where the fused optimizer expects a thousand would overwrite memory.)"""
    *parents, name = place

    def parent(content):
        for key in parents:
            content = content[key]
        return content

    for spoil in WAYS.values():

        def change(content, spoil=spoil):
            if spoil is None:
                del parent(content)[name]
            else:
                parent(content)[name] = spoil(parent(content)[name])

        stranger(change)
        refused(capsys, name, resume_only=place[0] != "model")
    stranger(lambda content: parent(content).update(more=torch.zeros(3)))
    refused(capsys, "more", resume_only=place[0] != "model")


def test_a_contiguous_copy_is_taken(stranger):
    """What is refused above is refused for what is wrong with it."""
    stranger(lambda content: content["model"].update({"norm.weight": torch.ones(16)}))
    assert train_module.main("--resume --out out --rounds 3".split()) == 0


@pytest.mark.parametrize(
    "part, values",
    [
        ("step", [None, -1, 2.0, True, "two", torch.tensor(2)]),
        ("optimizer", [None, 7, [], {0: {}}, {"state": {}, "param_groups": []}]),
        ("first_weights", [None, {}, 7]),
        ("model", [None, {}, 7, [1.0]]),
        ("model_config", [None, {}, 7, "small"]),
        ("alphabet", [None, "", "0123456789+-*%(),:;=<~ ^", 7]),
        ("config", [None, [], "x", {1: 2}, {"n_head": 0}]),
    ],
)
def test_every_other_part_is_what_it_should_be(stranger, capsys, part, values):
    resume_only = part in ("step", "optimizer", "first_weights")
    for value in values:
        stranger(lambda content, value=value: content.update({part: value}))
        refused(capsys, resume_only=resume_only)
    stranger(lambda content: content.pop(part))
    refused(capsys, resume_only=resume_only)


@pytest.mark.parametrize(
    "change",
    [{"task": "chain"}, {"task": "modular"}, {"task": "../../etc"}, {"digits": 2}, {"digits": 99},
     {"n_layer": 2}, {"n_layer": 1000}, {"n_embd": 32}, {"n_head": 3}, {"n_head": 4},
     {"lr": "fast"},
     {"lr": math.nan}, {"k": 2.5}, {"k": True}, {"k": -1}, {"method": "ppo"}, {"method": ["star"]},
     {"reverse": "yes"}, {"out": 7}, {"order": 1.5}, {"flavour": "mint"}, {"init": ""}],
    ids=str,
)  # fmt: skip
def test_a_configuration_that_is_none_or_contradicts_the_model(stranger, capsys, change):
    stranger(lambda content: content["config"].update(change))
    refused(capsys, *change)


@pytest.mark.parametrize("size", ["vocab_size", "block_size", "n_layer", "n_head", "n_embd"])
def test_sizes_that_contradict_the_configuration(stranger, capsys, size):
    for value in (10**9, 2**30, 1.0, "sixteen", 0, None):
        stranger(lambda content, value=value: content["model_config"].update({size: value}))
        refused(capsys, f"model_config.{size}")
    stranger(lambda content: content["model_config"].pop(size))
    refused(capsys, size)


def test_a_strangers_method_is_not_executed(stranger, capsys):
    """Only --method says what file may be executed, with a table in the checkpoint or without."""
    Path("evil.py").write_text("open('executed', 'w')\ndef f(r, mean, k):\n    return r\n")
    for table in (None, [], [[0, None, 1.0]]):
        stranger(lambda c, table=table: c["config"].update(method="evil.py:f", table=table))
        assert train_module.main("--resume --out out".split()) == 2
        assert "say --method evil.py:f again" in one_line(capsys)
    assert not Path("executed").exists()


class Bomb:
    """Unpickling this would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("disguise", ["pickle", "torch", "inside"])
def test_a_pickle_bomb_does_not_go_off(stranger, folder, capsys, disguise):
    trap, path = folder / "executed", Path("out/ckpt.pt")
    if disguise == "pickle":
        path.write_bytes(pickle.dumps({"format": Bomb(trap)}))
    elif disguise == "torch":
        torch.save(Bomb(trap), path)
    else:
        stranger(lambda content: content["config"].update(out=Bomb(trap)))
    refused(capsys, "damaged")
    assert not trap.exists()
    if disguise == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert trap.exists(), "it was live"


def test_cut_and_alien_files(stranger, capsys):
    path = Path("out/ckpt.pt")
    whole = path.read_bytes()
    for n in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:n])
        refused(capsys, "damaged")
    for content in ({"some": "dict"}, [1, 2], torch.ones(3), {"format": "another"}):
        torch.save(content, path)
        refused(capsys, "not a checkpoint")


def test_a_configuration_survives_the_way_through_a_file():
    for given in (Config(), Config(method="exact", order=math.inf, lr=3e-4), Config(init="a b")):
        assert config_module.from_dict(vars(given)) == given
    for nonsense in (None, [], "x", {1: 2}):
        with pytest.raises(UsageError):
            config_module.from_dict(nonsense)


# ------------------------------------------------------------------------------------- the log


def test_a_log_that_does_not_fit_its_checkpoint(stranger, capsys):
    """Rows of steps 0, 1, 2: cut, torn in the middle, doubled, or not rows of a run at all."""
    path = Path("out/metrics.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    kinds = ["nll" in line for line in lines]
    assert kinds == [True, False, True, False, True] or kinds == [True, False, False, True]
    first = json.loads(lines[0])
    wrong = [*(lines[:n] for n in range(len(lines) - 1)), lines[1:], [*lines[:2], *lines[1:]]]
    wrong += [[lines[0], *lines[2:]], ["[" * 10**5 + "\n", *lines]]
    rows = ["[1, 2]", '"step"', '{"step": "one"}', '{"loss": 1}', "7", '{"step": true}', "{", "\0"]
    wrong += [[lines[0], row + "\n", *lines[1:]] for row in rows]
    bases = [{"logp": "none"}, {"logp": [{}]}, {"logp": [1e308]}, {"weight": []}, {"weight": 1}]
    bases += [{"nll": "low"}, {"pass@8": [1]}, {"step": 1}]
    wrong += [[json.dumps(first | base) + "\n", *lines[1:]] for base in bases]
    last = json.loads(lines[-1])
    wrong += [[*lines[:-1], json.dumps(last | {"seconds": s}) + "\n"] for s in (-1, "x", math.nan)]
    for text in wrong:
        path.write_text("".join(text))
        refused(capsys, resume_only=True)
    for damage in (b"", b"\xff\xfe{}\n", None):
        path.unlink() if damage is None else path.write_bytes(damage)
        refused(capsys, "--init", resume_only=True)


# -------------------------------------------------------------------------------- what may change


def test_resume_refuses_other_settings(train, capsys):
    train("--sft-steps 0 --out out")
    before = Path("out/ckpt.pt").read_bytes()
    for flags, says, but in (
        ("--lr 0.5 --method grpo --steps 9", ("--lr 0.5", "--method grpo"), "--steps"),
        ("--threads 2", ("--threads 2",), "--out"),
        ("--rounds 9", ("--rounds",), "--threads"),
        ("--steps 2", ("step 4",), "--lr"),
    ):
        train(f"--resume --out out {flags}", status=2)
        err = one_line(capsys)
        assert all(part in err for part in says) and but not in err
    train("--resume --out out/ckpt.pt", status=2)
    assert "folder" in one_line(capsys)
    assert Path("out/ckpt.pt").read_bytes() == before


def test_only_plain_types_and_tensors_are_saved(star_run):
    content = checkpoint.load(star_run)

    def plain(x) -> bool:
        if isinstance(x, dict):
            return all(map(plain, [*x, *x.values()]))
        if isinstance(x, list | tuple):
            return all(map(plain, x))
        return x is None or type(x) in (str, int, float, bool, torch.Tensor)

    assert plain(dict(content))
    whole = io.BytesIO()
    torch.save(content, whole)
    assert len(whole.getvalue()) < 300_000
