"""Saving, loading, locking and log repair: written whole or not at all, read without executing.

A checkpoint is a dict of tensors and plain types (weights_only=True loads it):

    format, config, model_config, model         what sample.py needs
    step, rollouts, seconds, optimizer,
    first_weights (empty but for STaR)          what `--resume` needs besides

There is no generator state in it: every random draw of a run is a function of the seed, its
purpose and the step (`rollouts.rng`), so a resumed run draws what the uninterrupted one would have.
Left out: what a run is (train.py) and what a task is (data/).
"""

import io
import json
import math
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


def _replace(path: Path, content: bytes) -> None:
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
    _replace(path, whole.getvalue())


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
        names = ("task", "digits", "reverse", "noise")
        return make_task(*(content["config"][name] for name in names))
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


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a file of JSON lines by these rows, whole or not at all."""
    _replace(path, "".join(_line(row) for row in rows).encode())


def append_line(path: Path, row: dict[str, Any]) -> None:
    """One more row of a log."""
    with open(path, "a") as file:
        file.write(_line(row))


def flush(path: Path) -> None:
    """See to it that what was appended is on the disk, not only in the kernel's memory."""
    with open(path, "a") as file:
        os.fsync(file.fileno())


def read_lines(path: Path, last_step: int) -> list[dict[str, Any]]:
    """The rows of a log up to `last_step`; a line torn by a crash is later than any checkpoint.

    CheckpointError if a whole line is not a row of a log.
    """
    rows: list[dict[str, Any]] = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            break
        if not isinstance(row, dict) or type(row.get("step")) is not int:
            raise CheckpointError(f"{path} is not the log of a run: its line {len(rows) + 1}")
        rows.append(row)
    return [row for row in rows if row["step"] <= last_step]


def _line(row: dict[str, Any]) -> str:
    """JSON has no infinity; the only one here is an order, on the command line "inf" too."""
    row = {k: "inf" if v == math.inf else v for k, v in row.items()}
    return json.dumps(row, allow_nan=False) + "\n"
