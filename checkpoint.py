"""Saving and loading: written whole or not at all, read without executing anything.

A checkpoint is a dict of tensors and plain types (weights_only=True loads it):

    format, config, model_config, model         what sample.py needs
    step, rollouts, seconds, optimizer          what `--resume` needs besides

There is no generator state in it: every random draw of a run is a function of the seed, its
purpose and the step (`train.rng`), so a resumed run draws what the uninterrupted one would have.
Left out: what a run is (train.py) and what a task is (data/).
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch

from data import make_task
from model import GPT, ModelConfig

FORMAT = "maxrl checkpoint 1"


class CheckpointError(Exception):
    """A file that cannot be used, in one line that says which and what to do."""


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Written beside `path`, then renamed: a crash leaves the old file or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def save(path: Path, content: dict[str, Any]) -> None:
    """Replace a checkpoint by `content`, whole or not at all."""
    with _replacing(path) as file:
        torch.save({"format": FORMAT} | content, file)


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


def load_task(path: Path, content: dict[str, Any]):
    """The task that a loaded checkpoint was trained on."""
    try:
        return make_task(*(content["config"][name] for name in ("task", "digits", "reverse")))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say what task it was trained on") from error


def load_model(path: Path, content: dict[str, Any], device: torch.device) -> GPT:
    """The model of a loaded checkpoint, on `device`."""
    try:
        model = GPT(ModelConfig(**content["model_config"]))
        model.load_state_dict(content["model"])
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        AssertionError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        raise CheckpointError(f"{path} does not hold the model it describes") from error
    return model.to(device)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a file of JSON lines by these rows, whole or not at all."""
    with _replacing(path) as file:
        file.write("".join(_line(row) for row in rows).encode())


def append_line(path: Path, row: dict[str, Any]) -> None:
    """One more row of a log."""
    with open(path, "a") as file:
        file.write(_line(row))


def read_lines(path: Path, last_step: int) -> list[dict[str, Any]]:
    """The rows of a log up to `last_step`; a line torn by a crash is later than any checkpoint."""
    rows = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return [row for row in rows if row["step"] <= last_step]


def _line(row: dict[str, Any]) -> str:
    """JSON has no infinity; the only one here is an order, on the command line "inf" too."""
    return json.dumps({k: "inf" if v == math.inf else v for k, v in row.items()}) + "\n"
