"""The folder of a run: its name, its lock, its three files and, with --tensorboard, live curves.

    with open_folder(config, saved={}, overwrite=False) as folder:
        folder.log(config, state, figures)

Left out: what is in a checkpoint (checkpoint.py), and how a log is read (log.py).
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

from harness import UsageError, checkpoint, log, report
from harness.checkpoint import State
from harness.config import LIKELIHOOD, SELF_TRAINING, Config

try:
    import fcntl
except ImportError:  # Windows has no flock: two runs on one folder go unnoticed there
    fcntl = None  # type: ignore[assignment]

FILES = ("config.json", "metrics.jsonl", "ckpt.pt")


class RunFolder:
    """The files of a run. saved: the checkpoint from which it resumes; {} in a new run."""

    def __init__(self, path: Path, saved: dict[str, Any], writer: Any = None):
        self.path, self.saved, self.writer = path, saved, writer
        self.config, self.metrics, self.checkpoint = (path / name for name in FILES)
        self.evaluations: list[log.Row] = []  # the first and the last
        self.step = 0  # of the last row

    def begin(self, config: Config, rows: list[log.Row]) -> None:
        """Write the configuration and the rows so far."""
        log.replace_file(self.metrics, "".join(map(log.as_line, rows)).encode())
        log.replace_file(self.config, log.as_line(asdict(config)).encode())
        for old in self.path.glob("events.out.tfevents.*"):  # the curves begin anew, from the rows
            old.unlink()
        if self.writer:
            self.writer = self.writer(str(self.path), flush_secs=5)
        for row in rows:
            self.note(row)

    def note(self, row: log.Row) -> None:
        """Remember an evaluation for the table at the end, and draw the numbers of any row."""
        self.step, group = row["step"], "held-out" if "nll" in row else "training"
        if "nll" in row:
            self.evaluations[1:] = [row]
        for name, value in row.items() if self.writer else ():
            if type(value) in (int, float) and name != "step":
                self.writer.add_scalar(f"{group}/{name}", value, self.step)

    def evaluation_is_due(self, config: Config, step: int) -> bool:
        """Whether this step is to be evaluated, and has not been yet."""
        is_due = step % config.eval_every == 0 or step == config.steps
        return is_due and (not self.evaluations or self.evaluations[-1]["step"] != step)

    def log(self, config: Config, state: State, figures: dict[str, Any]) -> None:
        """Add a row to metrics.jsonl. The first row deletes the run that --overwrite replaces."""
        if not self.evaluations:
            self.checkpoint.unlink(missing_ok=True)
            self.begin(config, [])
        prompts = config.pool if config.method in SELF_TRAINING else config.batch_size
        rollouts = 0 if config.method in LIKELIHOOD else state.step * prompts * config.k
        seconds = round(time.monotonic() - state.started, 3)
        row = {"step": state.step, "seconds": seconds, "rollouts": rollouts} | figures
        log.append_line(self.metrics, row)
        self.note(row)

    def save(self, config: Config, state: State) -> None:
        """Save a checkpoint of this step."""
        checkpoint.insist_on_numbers(state.model)
        checkpoint.save(self.checkpoint, config, state)
        if self.writer:
            self.writer.flush()

    def restore(self, config: Config, state: State) -> None:
        """Set the state and the log to the checkpoint's step. Later rows of the log are dropped;
        UsageError if an earlier one is missing."""
        step = self.saved["step"]
        if step > config.steps:
            raise UsageError(f"the run is at step {step}, already past {config.steps}")
        rows = [row for row in log.read_lines(self.metrics, step=int) if row["step"] <= step]
        evaluations = [row for row in rows if "nll" in row]
        trained = [row["step"] for row in rows if "nll" not in row]
        try:
            whole = [evaluations[0]["step"], *trained] == [*range(step + 1)]
            whole &= len({row["step"] for row in evaluations}) == len(evaluations)
            if not (whole and 0 <= rows[-1]["seconds"] < math.inf):
                raise ValueError("a step is missing, or the time is not valid")
            report.table(evaluations[0], evaluations[-1])
            self.begin(config, rows)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # a stranger's rows
            raise UsageError(
                f"{self.path} cannot be resumed: its log does not fit its checkpoint; "
                "start a new run from its weights with --init"
            ) from error
        state.restore(self.saved, rows[-1]["seconds"])


@contextmanager
def open_folder(config: Config, saved: dict[str, Any], overwrite: bool) -> Iterator[RunFolder]:
    """The folder of a run, locked against other runs while this lasts."""
    path = Path(config.out or default_name(config, overwrite))
    writer = curves() if config.tensorboard else None
    try:
        is_new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        descriptor = lock(path)
    except BlockingIOError as error:
        raise UsageError(f"another run is writing to {path}: use another --out") from error
    except OSError as error:
        raise UsageError(f"cannot write to --out {path}: {error.strerror}") from error
    try:
        if not (saved or overwrite) and any(path.iterdir()):
            raise UsageError(f"--out {path} exists: --resume continues it, --overwrite replaces it")
        for torn in (file for name in FILES for file in path.glob(f"{name}.*.tmp")):
            torn.unlink()  # what a killed process was writing
        folder = RunFolder(path, saved, writer)
        yield folder
    except FloatingPointError as error:
        raise FloatingPointError(f"after step {folder.step} of {config.method}: {error}") from error
    finally:
        os.close(descriptor)
        with suppress(OSError):  # a folder with files in it stays
            path.rmdir() if is_new else None


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


def curves() -> Any:
    """What writes curves for TensorBoard: torch's SummaryWriter."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs a package: pip install tensorboard") from error
    return SummaryWriter
