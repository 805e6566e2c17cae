"""checkpoint.py and what depends on it: crashes, full disks, two runs at once, strangers' files."""

import builtins
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
from harness.checkpoint import CheckpointError
from harness.config import Config

RUN = "--steps 6 --eval-every 2 --out"


# ------------------------------------------------------------------------------------- crashes


class Killed(BaseException):
    """Ends everything, as kill -9 does, but for what `finally` and `except` do."""


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
    elif point == "before":
        save = checkpoint.save
        monkeypatch.setattr(checkpoint, "save", lambda *a: die() if now() else save(*a))
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


def die():
    raise Killed


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("point", ["log", "before", "inside", "between", "after"])
def test_every_crash_point(train, folder, monkeypatch, point, at):
    """Die at the first, second and last checkpoint: what goes on equals what never stopped."""
    train(f"{RUN} whole")
    with monkeypatch.context() as patch:
        dies(point, patch, at)
        with pytest.raises(Killed):
            train_module.main([*TINY, *f"{RUN} cut".split()])
    Path("cut").mkdir(exist_ok=True)
    Path("cut/ckpt.pt.12345.tmp").write_bytes(b"torn")  # what a real kill leaves
    train(f"{RUN} cut {'--resume' if Path('cut/ckpt.pt').exists() else '--overwrite'}")
    assert read("whole") == read("cut") and same(weights("whole"), weights("cut"))
    assert sorted(os.listdir("cut")) == ["ckpt.pt", "config.json", "metrics.jsonl"]


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
    soak.finish(soak.start(folder, soak.next_words(folder, flags)))
    assert read("whole") == read("killed") and same(weights("whole"), weights("killed"))


def test_a_full_disk_keeps_the_last_checkpoint_and_says_so(train, folder):
    """A real process whose files may not exceed 30 kB: the log does not, a checkpoint does."""
    train(f"{RUN} whole")
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
    assert read("whole") == read("out") and same(weights("whole"), weights("out"))


def test_the_log_is_on_the_disk_before_the_checkpoint(train, monkeypatch):
    order = []
    flush, save = log.flush, checkpoint.save
    monkeypatch.setattr(log, "flush", lambda path: order.append("log") or flush(path))
    monkeypatch.setattr(checkpoint, "save", lambda *a: order.append("checkpoint") or save(*a))
    train("--sft-steps 0 --steps 2 --out out")
    assert order == ["log", "checkpoint"] * 2


# ---------------------------------------------------------------------------------------- locks


def test_two_runs_on_one_folder(train, folder, capsys):
    """The second is refused, however it asks; the lock goes with the process that held it."""
    train("--out out"), capsys.readouterr()
    holder = subprocess.Popen(
        [sys.executable, "-c", "from harness import checkpoint; import pathlib, time\n"
         f"with checkpoint.lock(pathlib.Path({str(folder / 'out')!r})):\n"
         " print('held', flush=True); time.sleep(600)"],
        cwd=soak.ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    before = Path("out/ckpt.pt").read_bytes()
    for flags in ("--resume --out out --steps 6", "--out out --overwrite"):
        train(flags, status=2)
        err = capsys.readouterr().err
        assert "another run" in err and len(err.splitlines()) == 1
    assert Path("out/ckpt.pt").read_bytes() == before
    holder.kill(), holder.wait()
    train("--resume --out out --steps 6")


def test_runs_started_at_once_get_folders_of_their_own(folder):
    flags = [*TINY, "--sft-steps", "0", "--steps", "1"]
    for process in [soak.start(folder, flags) for _ in range(2)]:
        soak.finish(process)
    assert len(list(folder.glob("runs/*/ckpt.pt"))) == 2


# ------------------------------------------------------------------------------ strangers' files


class Bomb:
    """Unpickling this would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refused(capsys, *words: str) -> str:
    """The one line with which both commands refuse out/ckpt.pt."""
    capsys.readouterr()
    assert sample.main(["out", "--device", "cpu"]) == 2
    asked = capsys.readouterr().err
    assert train_module.main([*TINY, "--init", "out", "--out", "next"]) == 2
    started = capsys.readouterr().err
    assert not Path("next").exists()
    for err in (asked, started):
        assert len(err.splitlines()) == 1 and "out" in err
        assert all(word in err for word in words), err
    return asked


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("disguise", ["pickle", "torch", "inside"])
def test_a_pickle_bomb_does_not_go_off(train, folder, capsys, disguise):
    train("--sft-steps 0 --steps 0 --out out")
    trap, path = folder / "executed", Path("out/ckpt.pt")
    if disguise == "pickle":
        path.write_bytes(pickle.dumps({"format": Bomb(trap)}))
    elif disguise == "torch":
        torch.save(Bomb(trap), path)
    else:
        content = torch.load(path, weights_only=True)
        content["config"]["out"] = Bomb(trap)
        torch.save(content, path)
    refused(capsys, "damaged")
    assert train_module.main(["--resume", "--out", "out"]) == 2
    assert not trap.exists()
    if disguise == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert trap.exists(), "it was live"


def spoil(content: dict, how: str) -> dict:
    sizes, model = content["model_config"], content["model"]
    if how == "shape":
        model["norm.weight"] = torch.ones(7)
    elif how == "missing":
        del model["norm.weight"]
    elif how == "not tensors":
        model["norm.weight"] = [1.0] * 16
    elif how == "halves":
        model["norm.weight"] = model["norm.weight"].half()
    elif how == "a billion layers":
        sizes["n_layer"] = 10**9
    elif how == "enormous":
        sizes["n_embd"] = 2**30
        model["tokens.weight"] = torch.zeros(1).expand(25, 2**30)
    elif how == "words":
        sizes["n_embd"] = "sixteen"
    elif how == "no sizes":
        del content["model_config"]
    elif how == "no model":
        content["model"] = 7
    return content


@pytest.mark.parametrize(
    "how",
    ["shape", "missing", "not tensors", "halves", "a billion layers", "enormous", "words",
     "no sizes", "no model"],
)  # fmt: skip
def test_a_model_that_is_not_what_it_says(train, capsys, how):
    train("--sft-steps 0 --steps 0 --out out")
    content = torch.load("out/ckpt.pt", weights_only=True)
    torch.save(spoil(content, how), "out/ckpt.pt")
    capsys.readouterr()
    assert sample.main(["out", "--device", "cpu"]) == 2
    assert len((err := capsys.readouterr().err).splitlines()) == 1 and "model" in err


def test_cut_and_alien_files(train, capsys):
    train("--sft-steps 0 --steps 0 --out out")
    path = Path("out/ckpt.pt")
    whole = path.read_bytes()
    for n in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:n])
        refused(capsys, "damaged")
    for content in ({"some": "dict"}, [1, 2], torch.ones(3), {"format": "another"}):
        torch.save(content, path)
        refused(capsys, "not a checkpoint")


@pytest.mark.parametrize(
    "change, says",
    [
        ({"flavour": "mint"}, "flavour"),
        ({"lr": "fast"}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"k": 2.5}, "k"),
        ({"k": True}, "k"),
        ({"k": -1}, "k"),
        ({"method": "ppo"}, "method"),
        ({"method": ["maxrl"]}, "method"),
        ({"reverse": "yes"}, "reverse"),
        ({"out": 7}, "out"),
        ({"task": "../../etc"}, "task"),
        ({"order": 1.5}, "order"),
    ],
)
def test_resume_checks_a_strangers_configuration(train, capsys, change, says):
    train("--sft-steps 0 --steps 0 --out out"), capsys.readouterr()
    content = torch.load("out/ckpt.pt", weights_only=True)
    content["config"] |= change
    torch.save(content, "out/ckpt.pt")
    train("--resume --out out", status=2)
    err = capsys.readouterr().err
    assert says in err and "start a new run" in err and len(err.splitlines()) == 1


def test_a_configuration_survives_the_way_through_a_file():
    for given in (Config(), Config(method="exact", order=math.inf, lr=3e-4), Config(init="a b")):
        assert config_module.from_dict(vars(given)) == given
    for nonsense in (None, [], "x", {1: 2}):
        with pytest.raises(CheckpointError):
            config_module.from_dict(nonsense)


@pytest.mark.parametrize(
    "line", ["[1, 2]", '"step"', '{"step": "one"}', '{"loss": 1}', "7", '{"step": true}']
)
def test_a_log_with_wrong_types(train, capsys, line):
    train("--sft-steps 0 --out out"), capsys.readouterr()
    log = Path("out/metrics.jsonl")
    lines = log.read_text().splitlines()
    log.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    train("--resume --out out --steps 6", status=2)
    err = capsys.readouterr().err
    assert "line 2" in err and len(err.splitlines()) == 1


def test_deep_json_and_a_base_that_is_no_evaluation(train, capsys):
    train("--sft-steps 0 --out out"), capsys.readouterr()
    log = Path("out/metrics.jsonl")
    rows = log.read_text()
    for first in (
        "[" * 10**5 + "\n",
        '{"step": 0, "logp": "none"}\n',
        '{"step": 0, "logp": [{}]}\n',
    ):
        log.write_text(first + rows)
        train("--resume --out out --steps 6", status=2)
        err = capsys.readouterr().err
        assert "--init" in err and len(err.splitlines()) == 1


def test_only_plain_types_and_tensors_are_saved(train):
    train("--sft-steps 0 --out out")
    content = checkpoint.load(Path("out"))

    def plain(x) -> bool:
        if isinstance(x, dict):
            return all(map(plain, [*x, *x.values()]))
        if isinstance(x, list | tuple):
            return all(map(plain, x))
        return x is None or type(x) in (str, int, float, bool, torch.Tensor)

    assert plain(dict(content))
    whole = io.BytesIO()
    torch.save(content, whole)
    assert len(whole.getvalue()) < 200_000
