"""Checkpoints: written whole or not at all, and read without executing anything.

A checkpoint is a dict of tensors and plain types (weights_only=True loads it):

    format, alphabet, config, model_config, model        what sample.py needs
    step, optimizer, first_weights (empty without STaR)  what --resume needs besides

It holds no generator state: every random draw of a run is a function of the seed, its purpose and
the step (data/batches.py), so a resumed run draws what it would have drawn anyway. Every part is
compared with what the configuration says that it is (`difference`), because the file may be a
stranger's. Left out: the log beside it (log.py), and what a run is (train.py).
"""

import io
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data import Task, make_task
from data.tokenizer import ALPHABET
from harness.config import SELF_TRAINING, UsageError, from_dict, model_sizes
from model import GPT, ModelConfig

FORMAT = "maxrl checkpoint 2"


class CheckpointError(UsageError):
    """A file that cannot be used, in one line that says which and what to do."""


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
    torch.save({"format": FORMAT, "alphabet": ALPHABET} | content, whole)
    replace_file(path, whole.getvalue())


def load(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU. CheckpointError unless its model is what its
    configuration says, in this version of the project."""
    path = path / "ckpt.pt" if path.is_dir() else path
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: train first, or check the path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds; the file is unusable in any case
        raise CheckpointError(f"{path} is damaged or not a checkpoint of this project") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this version of the project")
    try:
        config = from_dict(content.get("config"))
        sizes = model_sizes(config, make_task(config.task, vars(config)))
    except (UsageError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}; start a new run") from error
    insist(path, content, {"alphabet": ALPHABET, "model_config": asdict(sizes)})
    with torch.device("meta"):  # no memory before the shapes are known to agree
        insist(path, content, {"model": GPT(sizes).state_dict()})
    return content | {"config": asdict(config)}


def load_task(content: dict[str, Any]) -> Task:
    """The task that a loaded checkpoint was trained on."""
    return make_task(content["config"]["task"], content["config"])


def load_model(content: dict[str, Any], device: torch.device) -> GPT:
    """The model of a loaded checkpoint, on `device`."""
    with torch.device("meta"):
        model = GPT(ModelConfig(**content["model_config"]))
    model = model.to_empty(device=device)
    model.load_state_dict(content["model"])
    return model


def load_optimizer(
    path: Path, content: dict[str, Any], model: GPT, optimizer: torch.optim.Optimizer
) -> None:
    """Put a new optimizer where a loaded checkpoint has it. The other parts that --resume needs are
    compared only."""
    method, step = content["config"]["method"], content.get("step")
    if type(step) is not int or step < 0:
        raise CheckpointError(f"{path} cannot be resumed: its step is {described(step)}")
    state: dict[int, Any] = {
        i: {"step": torch.tensor(0.0), "exp_avg": w, "exp_avg_sq": w}
        for i, w in enumerate(model.parameters())
    }
    if content.get("optimizer") == {} and (step == 0 or method in SELF_TRAINING):
        state = {}  # no update was made yet: a round may be without a success
    first_weights = model.state_dict() if method == "star" else {}
    insist(path, content, {"optimizer": state, "first_weights": first_weights})
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": content["optimizer"], "param_groups": settings})


def insist(path: Path, content: dict[str, Any], wanted: dict[str, Any]) -> None:
    """CheckpointError in one line unless `content` holds the parts that are wanted."""
    for name, part in wanted.items():
        if unlike := difference(content.get(name), part, name):
            raise CheckpointError(f"{path} contradicts its configuration or this version: {unlike}")


def difference(found: Any, wanted: Any, name: str) -> str:
    """How something differs from what it should be, in a line; "" if it does not.

    Dicts have the same keys, tensors the same shape and type, and other values are equal.
    """
    if not (isinstance(wanted, dict) and isinstance(found, dict)):
        same = described(found) == described(wanted) and not getattr(found, "is_meta", False)
        return "" if same else f"{name} is {described(found)}, and should be {described(wanted)}"
    for key in [*wanted, *found]:
        if (key in wanted) != (key in found):
            return f"{name} {'lacks' if key in wanted else 'should not have'} {key!r:.60}"
    parts = (difference(found[key], wanted[key], f"{name}.{key}") for key in wanted)
    return next(filter(None, parts), "")


def described(x: Any) -> str:
    """A value, or all of a tensor except its numbers."""
    if not isinstance(x, Tensor):
        return "a dict" if isinstance(x, dict) else f"{x!r:.60}"
    if x.layout is not torch.strided or x.is_nested or not x.is_contiguous():
        return "a tensor that is not dense and contiguous"
    return f"a tensor of shape {tuple(x.shape)}, {x.dtype}"


def insist_on_numbers(model: GPT) -> None:
    """FloatingPointError if a weight is not finite."""
    if not all(bool(w.isfinite().all()) for w in model.parameters()):
        raise FloatingPointError("a weight is not finite")
