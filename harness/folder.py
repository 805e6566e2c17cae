"""The folder of a run: its name, its lock, its three files, and how far the run in it is.

    with open_folder(config, resume=False, overwrite=False) as folder:
        folder.begin(config)
        folder.log(progress.row(config, figures))
        folder.save(config, progress, model, optimizer)

Left out: what is in a checkpoint (checkpoint.py) and in a log (log.py).
"""

import itertools
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from harness import checkpoint, log, report
from harness.checkpoint import CheckpointError
from harness.config import LIKELIHOOD, SELF_TRAINING, Config, UsageError
from model import GPT

try:
    import fcntl
except ImportError:  # Windows has no flock: two runs on one folder go unnoticed there
    fcntl = None  # type: ignore[assignment]


@dataclass
class Progress:
    """How far a run is."""

    step: int = 0  # the last step that was done, or the one at hand
    started: float = 0.0  # when the run would have begun if it had never paused
    first_weights: dict[str, Tensor] = field(default_factory=dict)  # STaR begins each round there
    evaluations: list[dict[str, Any]] = field(default_factory=list)  # the base's, and the last

    def begin(self, config: Config, model: GPT) -> None:
        """A new run begins with this model; the time of the warm start does not count."""
        self.started = time.monotonic()
        if config.method == "star":
            self.first_weights = {n: w.clone() for n, w in model.state_dict().items()}

    def lacks_evaluation(self, config: Config) -> bool:
        """Whether an evaluation is due at this step, and was not made yet."""
        is_due = self.step % config.eval_every == 0 or self.step == config.steps
        return is_due and (not self.evaluations or self.evaluations[-1]["step"] != self.step)

    def row(self, config: Config, figures: dict[str, Any]) -> dict[str, Any]:
        """A row of the log; if it is an evaluation, it is remembered for the table at the end."""
        rollouts_of_a_step = config.k * (
            0 if config.method in LIKELIHOOD
            else config.pool if config.method in SELF_TRAINING
            else config.batch_size
        )  # fmt: skip
        seconds = round(time.monotonic() - self.started, 3)
        row = {"step": self.step, "seconds": seconds, "rollouts": self.step * rollouts_of_a_step}
        if "nll" in figures:
            self.evaluations[1:] = [row | figures]
        return row | figures


class RunFolder:
    """The files of a run: config.json, metrics.jsonl and ckpt.pt."""

    def __init__(self, path: Path, resume: bool):
        self.path, self.metrics, self.checkpoint = path, path / "metrics.jsonl", path / "ckpt.pt"
        self.saved = checkpoint.load(path) if resume else {}

    def begin(self, config: Config) -> None:
        """The first files of a new run. Those of a run that --overwrite replaces go only now."""
        self.checkpoint.unlink(missing_ok=True)
        log.write_lines(self.path / "config.json", [asdict(config)])
        log.write_lines(self.metrics, [])

    def log(self, row: dict[str, Any]) -> None:
        """One more row of metrics.jsonl."""
        log.append_line(self.metrics, row)

    def save(self, config: Config, progress: Progress, model: GPT, optimizer: Optimizer) -> None:
        """A checkpoint of this step; the log is on the disk before it."""
        checkpoint.insist_on_numbers(model)
        log.flush(self.metrics)
        content: dict[str, Any] = {"config": asdict(config), "model_config": asdict(model.config)}
        content |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()["state"]}
        content |= {"step": progress.step, "first_weights": progress.first_weights}
        checkpoint.save(self.checkpoint, content)

    def restore(self, config: Config, progress: Progress, model: GPT, optimizer: Optimizer) -> None:
        """Put the optimizer, the progress and the log where the checkpoint is. Later rows of the
        log are dropped; CheckpointError if an earlier one is missing."""
        checkpoint.load_optimizer(self.checkpoint, self.saved, model, optimizer)
        progress.step, progress.first_weights = self.saved["step"], self.saved["first_weights"]
        if progress.step > config.steps:
            raise UsageError(f"the run is at step {progress.step}, past {config.steps} already")
        rows = log.read_lines(self.metrics, progress.step)
        try:
            steps = [row["step"] for row in rows if "nll" not in row]
            progress.evaluations = [rows[0], [row for row in rows if "nll" in row][-1]]
            if [rows[0]["step"], *steps] != [*range(progress.step + 1)]:
                raise ValueError("a step is missing")
            if not 0 <= rows[-1]["seconds"] < math.inf:
                raise ValueError("the time is no time")
            report.live_share(config, rows[0])
            report.table(*progress.evaluations)
        except Exception as error:  # a stranger's rows may hold anything
            raise CheckpointError(
                f"{self.path} cannot be resumed: its log does not fit its checkpoint; "
                "start a new run, from its weights with --init"
            ) from error
        progress.started = time.monotonic() - rows[-1]["seconds"]
        log.write_lines(self.metrics, rows)
        log.write_lines(self.path / "config.json", [asdict(config)])


def config_of(path: Path) -> Config:
    """The configuration of the run in a folder, as its checkpoint has it."""
    if path.is_file():
        raise UsageError(f"--out {path} is a file: --resume needs the folder it is in")
    return Config(**checkpoint.load(path)["config"])


@contextmanager
def open_folder(config: Config, resume: bool, overwrite: bool) -> Iterator[RunFolder]:
    """The folder of a run, held against other runs while this lasts."""
    path, descriptor = claim(config, resume or overwrite)
    try:
        for torn in path.glob("*.tmp"):  # what a killed process was writing
            torn.unlink()
        yield RunFolder(path, resume)
    finally:
        os.close(descriptor)


def claim(config: Config, holds_a_run: bool) -> tuple[Path, int]:
    """A folder and its lock: --out, or the first of the default names that is empty and free.

    holds_a_run: the folder may have a run in it, which is resumed or replaced.
    """
    method = Path(config.method).name.replace(".py:", "-")
    name = f"runs/{config.task}-{method}-k{config.k}-s{config.seed}"
    numbered = (f"{name}-{n}" for n in itertools.count(2))
    names = [config.out] if config.out else itertools.chain([name], numbered)
    for path in map(Path, names):
        try:
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()  # better known now than after a warm start
            descriptor = lock(path)
        except BlockingIOError as error:
            if not config.out and not holds_a_run:
                continue
            message = f"another run is writing to {path}: use another --out"
            raise UsageError(message) from error
        except OSError as error:
            raise UsageError(f"cannot write to --out {path}: {error.strerror}") from error
        if holds_a_run or not any(path.iterdir()):
            break
        os.close(descriptor)
        if config.out:
            raise UsageError(f"--out {path} exists: --resume goes on, --overwrite replaces it")
    return path, descriptor


def lock(path: Path) -> int:
    """Lock a folder until the descriptor is closed or the process ends, however it ends.
    BlockingIOError if another run has locked it."""
    descriptor = os.open(path if fcntl else os.devnull, os.O_RDONLY)
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor
