"""The folder of a run: its name, its lock, and its three files.

    with open_folder(config, resume=False, overwrite=False) as folder:
        folder.log(progress.row(config, figures))

Left out: what is in a checkpoint (checkpoint.py) and in a log (log.py), and how far a run has come
(progress.py).
"""

import itertools
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from harness import UsageError, checkpoint, log, report
from harness.checkpoint import CheckpointError
from harness.config import Config
from harness.curves import Curves, writer_class
from harness.progress import Progress
from model import GPT

try:
    import fcntl
except ImportError:  # Windows has no flock: two runs on one folder go unnoticed there
    fcntl = None  # type: ignore[assignment]


class RunFolder:
    """The files of a run: config.json, metrics.jsonl and ckpt.pt; with a writer, curves as well."""

    def __init__(self, path: Path, resume: bool, writer: Any = None):
        self.writer = writer
        self.curves: Curves | None = None
        self.path, self.metrics, self.checkpoint = path, path / "metrics.jsonl", path / "ckpt.pt"
        self.saved = checkpoint.load(path) if resume else {}

    def begin(self, config: Config) -> None:
        """Write a new run's first files. The run that --overwrite replaces is lost only now."""
        self.checkpoint.unlink(missing_ok=True)
        self.write(config, [])

    def write(self, config: Config, rows: list[log.Row]) -> None:
        """Write the configuration and the rows so far."""
        log.write_lines(self.metrics, rows)  # first: a stranger's rows may not be writable
        log.write_lines(self.path / "config.json", [asdict(config)])
        for old in self.path.glob("events.out.tfevents.*"):  # the curves begin anew, from the rows
            old.unlink()
        if self.writer:
            self.curves = Curves(self.writer, self.path, rows)

    def log(self, row: log.Row) -> None:
        """Add one row to metrics.jsonl."""
        log.append_line(self.metrics, row)
        if self.curves:
            self.curves.add(row)

    def save(self, config: Config, progress: Progress, model: GPT, optimizer: Optimizer) -> None:
        """Save a checkpoint of this step."""
        checkpoint.insist_on_numbers(model)
        step, first_weights = progress.step, progress.first_weights
        checkpoint.save(self.checkpoint, config, model, optimizer, step, first_weights)
        if self.curves:
            self.curves.writer.flush()

    def restore(self, config: Config, progress: Progress, model: GPT, optimizer: Optimizer) -> None:
        """Set the optimizer, the progress and the log to the checkpoint's step. Later rows of the
        log are dropped; CheckpointError if an earlier one is missing."""
        step = self.saved["step"]
        if step > config.steps:
            raise UsageError(f"the run is at step {step}, already past {config.steps}")
        rows = log.read_lines(self.metrics, step)
        evaluations = [row for row in rows if "nll" in row]
        trained = [row["step"] for row in rows if "nll" not in row]
        try:
            whole = [evaluations[0]["step"], *trained] == [*range(step + 1)]
            if not (whole and 0 <= rows[-1]["seconds"] < math.inf):
                raise ValueError("a step is missing, or the time is none")
            progress.started = time.monotonic() - rows[-1]["seconds"]
            report.table(evaluations[0], evaluations[-1])
            self.write(config, rows)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # a stranger's rows
            raise CheckpointError(
                f"{self.path} cannot be resumed: its log does not fit its checkpoint; "
                "start a new run from its weights with --init"
            ) from error
        settings = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": self.saved["optimizer"], "param_groups": settings})
        progress.step, progress.first_weights = step, self.saved["first_weights"]
        progress.evaluations = [evaluations[0], evaluations[-1]]


@contextmanager
def open_folder(config: Config, resume: bool, overwrite: bool) -> Iterator[RunFolder]:
    """The folder of a run, locked against other runs while this lasts."""
    path = Path(config.out or default_name(config, overwrite))
    writer = writer_class() if config.tensorboard else None
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = lock(path)
    except BlockingIOError as error:
        raise UsageError(f"another run writes to {path}: use another --out") from error
    except OSError as error:
        raise UsageError(f"cannot write to --out {path}: {error.strerror}") from error
    try:
        if not (resume or overwrite) and any(path.iterdir()):
            raise UsageError(f"--out {path} exists: --resume goes on, --overwrite replaces it")
        for name in ("config.json", "metrics.jsonl", "ckpt.pt"):
            for torn in path.glob(f"{name}.*.tmp"):  # what a killed process was writing
                torn.unlink()
        yield RunFolder(path, resume, writer)
    finally:
        os.close(descriptor)
        with suppress(OSError):  # a folder with files in it stays
            path.rmdir()


def default_name(config: Config, overwrite: bool) -> str:
    """runs/<task>-<method>-k<k>-s<seed>, with -2, -3, ... if that is taken."""
    method = Path(config.method).name.replace(".py:", "-")
    name = f"runs/{config.task}-{method}-k{config.k}-s{config.seed}"
    names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    return name if overwrite else next(name for name in names if not Path(name).exists())


def lock(path: Path) -> int:
    """Lock a folder until the descriptor is closed or the process ends, however it ends.
    BlockingIOError if another run has locked it."""
    descriptor = os.open(path if fcntl else os.devnull, os.O_RDONLY)
    if fcntl:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor
