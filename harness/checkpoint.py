"""Checkpoints: written whole or not at all, and read without executing anything.

A checkpoint is a dict of tensors and plain types (weights_only=True loads it):

    format, alphabet, config, model_config, model        what sample.py needs
    step, optimizer, first_weights (empty without STaR)  what --resume needs in addition

It holds no generator state: every random draw of a run is a function of the seed, its purpose and
the step (data/batches.py). Every part is compared with what the configuration says it should be
(`difference`), because the file may be a stranger's. Left out: the log (log.py).
"""

import io
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from data import Task, make_task
from data.tokenizer import ALPHABET
from harness import UsageError
from harness.config import SELF_TRAINING, Config, from_dict, model_sizes
from harness.log import replace_file
from model import GPT, ModelConfig

FORMAT = "maxrl checkpoint 2"


@dataclass
class State:
    """What training changes."""

    model: GPT
    optimizer: Optimizer
    step: int = 0  # the last step that was done, or the one at hand; 0 is the base model
    first_weights: dict[str, Tensor] = field(default_factory=dict)  # STaR begins each round there
    started: float = field(default_factory=time.monotonic)  # as if the run had never paused

    def restore(self, content: dict[str, Any], seconds: float) -> None:
        """Go on from a checkpoint whose model is loaded, with these seconds on the clock."""
        settings = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": content["optimizer"], "param_groups": settings})
        self.step, self.first_weights = content["step"], content["first_weights"]
        self.started = time.monotonic() - seconds


def save(path: Path, config: Config, state: State) -> None:
    """Replace a checkpoint, whole or not at all."""
    content = {
        "format": FORMAT,
        "alphabet": ALPHABET,
        "config": asdict(config),
        "model_config": asdict(state.model.config),
        "model": state.model.state_dict(),
        "step": state.step,
        "optimizer": state.optimizer.state_dict()["state"],
        "first_weights": state.first_weights,
    }
    whole = io.BytesIO()  # torch's own writer turns a full disk into an error that does not say so
    torch.save(content, whole)
    replace_file(path, whole.getvalue())


def load(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU. UsageError unless every part is as the saved
    configuration says, in this version of the project."""
    try:
        path = path / "ckpt.pt" if path.is_dir() else path
        whole = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; train first?") from error
    try:
        content = torch.load(io.BytesIO(whole), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds; the file is unusable in any case
        raise UsageError(f"{path} is damaged or not a checkpoint of this project") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"{path} is not a checkpoint of this version of the project")
    try:
        config = from_dict(content.get("config"))
        sizes = model_sizes(config, make_task(config.task, vars(config)))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be used: {error}; start a new run") from error
    settings = {"config": asdict(config), "model_config": asdict(sizes)}
    insist(path, content, {"alphabet": ALPHABET} | settings)
    if len(whole) < 48 * sizes.n_layer * sizes.n_embd**2:  # 12 weights, of 4 bytes each
        raise UsageError(f"{path} is smaller than the model that it describes")
    insist(path, content, parts_with_numbers(content, config, GPT(sizes)))
    return content


def parts_with_numbers(content: dict[str, Any], config: Config, model: GPT) -> dict[str, Any]:
    """What the step and the tensors of a checkpoint must be like."""
    weights, step = model.state_dict(), content.get("step")
    state: dict[int, Any] = {
        i: {"step": torch.tensor(0.0), "exp_avg": w, "exp_avg_sq": w}
        for i, w in enumerate(model.parameters())
    }
    if content.get("optimizer") == {} and (step == 0 or config.method in SELF_TRAINING):
        state = {}  # no update has been made yet: a round may bring no success
    return {
        "step": step if type(step) is int and step >= 0 else "a whole number",
        "model": weights,
        "optimizer": state,
        "first_weights": weights if config.method == "star" else {},
    }


def load_task(content: dict[str, Any]) -> Task:
    """The task that a loaded checkpoint was trained on."""
    return make_task(content["config"]["task"], content["config"])


def load_model(content: dict[str, Any], device: torch.device) -> GPT:
    """The model of a loaded checkpoint, on `device`."""
    model = GPT(ModelConfig(**content["model_config"])).to(device)
    model.load_state_dict(content["model"])
    return model


def insist(path: Path, content: dict[str, Any], wanted: dict[str, Any]) -> None:
    """UsageError in one line unless `content` holds the parts that are wanted."""
    for name, part in wanted.items():
        if unlike := difference(content.get(name), part, name):
            raise UsageError(f"{path} contradicts its configuration or this version: {unlike}")


def difference(found: Any, wanted: Any, name: str) -> str:
    """How something differs from what it should be, in a line; "" if it does not.

    Dicts must have the same keys, tensors the same shape and type; other values must be equal.
    """
    if not (isinstance(wanted, dict) and isinstance(found, dict)):
        same = described(found) == described(wanted)
        return "" if same else f"{name} is {described(found)}, but should be {described(wanted)}"
    for key in [*wanted, *found]:
        if (key in wanted) != (key in found):
            return f"{name} {'lacks' if key in wanted else 'should not have'} {key!r:.60}"
    parts = (difference(found[key], wanted[key], f"{name}.{key}") for key in wanted)
    return next(filter(None, parts), "")


def described(x: Any) -> str:
    """A value, or all of a tensor except its numbers."""
    if not isinstance(x, Tensor):
        return f"a {type(x).__name__}" if isinstance(x, dict | list | tuple) else f"{x!r:.60}"
    if x.layout is not torch.strided or x.is_nested or x.is_meta or not x.is_contiguous():
        return "a tensor that is not dense and contiguous"
    if x.dtype == torch.float32 and not (x.isfinite().all() and not x.is_neg()):
        return "a tensor with a number that is not finite"
    return f"a tensor of shape {tuple(x.shape)}, {x.dtype}"


def insist_on_numbers(model: GPT) -> None:
    """FloatingPointError if a weight is not finite."""
    if not all(bool(w.isfinite().all()) for w in model.parameters()):
        raise FloatingPointError("a weight is not finite: try a smaller --lr")
