"""Checkpoints: written whole or not at all, read without executing anything; and a folder's lock.

A checkpoint is a dict of tensors and plain types (weights_only=True loads it):

    format, config, model_config, model         what sample.py needs
    step, rollouts, seconds, optimizer,
    first_weights (empty but for STaR)          what `--resume` needs besides

There is no generator state in it: every random draw of a run is a function of the seed, its
purpose and the step (data/batches.py), so a resumed run draws what it would have drawn anyway.
Left out: the log beside it (log.py), what a run is (run.py), what a task is (data/).
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch

from data import Task, make_task
from model import GPT, ModelConfig

try:
    import fcntl
except ImportError:  # Windows has no flock: two runs on one folder go unnoticed there
    fcntl = None  # type: ignore[assignment]

FORMAT = "maxrl checkpoint 1"


class CheckpointError(Exception):
    """A file that cannot be used, in one line that says which and what to do."""


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs. CheckpointError if one has it.

    The kernel lets go of it when the process ends, however it ends. What a killed one was writing
    is removed.
    """
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for torn in folder.glob("*.tmp"):
            torn.unlink()
        yield
    except BlockingIOError as error:
        raise CheckpointError(f"another run is writing to {folder}: use another --out") from error
    finally:
        if descriptor is not None:
            os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Written beside `path`, flushed, then renamed: a crash leaves the old file or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # a full disk needs the room
        raise


def save(path: Path, content: dict[str, Any]) -> None:
    """Replace a checkpoint by `content`, whole or not at all."""
    whole = io.BytesIO()  # torch's own writer turns a full disk into an error that does not say so
    torch.save({"format": FORMAT} | content, whole)
    replace_file(path, whole.getvalue())


def load(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU. CheckpointError if it is missing, cut or alien."""
    if path.is_dir():
        path = path / "ckpt.pt"
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: train first, or check the path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it likes; whatever it is, the file is unusable
        raise CheckpointError(f"{path} is damaged or not a checkpoint of this project") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this project")
    return content


def load_task(path: Path, content: dict[str, Any]) -> Task:
    """The task that a loaded checkpoint was trained on."""
    try:
        return make_task(content["config"]["task"], content["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say what task it was trained on") from error


def load_model(path: Path, content: dict[str, Any], device: torch.device) -> GPT:
    """The model of a loaded checkpoint, on `device`."""
    broken = CheckpointError(f"{path} does not hold the model it describes")
    try:
        sizes, weights = ModelConfig(**content["model_config"]), content["model"]
        if not all(type(size) is int and 0 < size < 2**31 for size in astuple(sizes)):
            raise broken
        if sizes.n_layer > len(weights) or any(w.dtype != torch.float32 for w in weights.values()):
            raise broken  # before a network of a billion layers is built
        with torch.device("meta"):  # no memory before the shapes are known to agree
            model = GPT(sizes)
        model.load_state_dict(weights, assign=True)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        AssertionError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        raise broken from error
    return model.to(device)


def insist_on_numbers(model: GPT) -> None:
    """FloatingPointError if a weight is not finite."""
    if not all(bool(w.isfinite().all()) for w in model.parameters()):
        raise FloatingPointError("a weight is not finite")
