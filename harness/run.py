"""The life of a run: its folder claimed and locked, resumed, stopped by a signal, its last table.

    def train(run: Run) -> None:
        model = run.saved_model() or starting_model(...)
        run.begin(model, optimizer)
        for step in run.steps():
            run.log(...one step...)
            if run.due():
                run.record(...an evaluation...)

    sys.exit(command(train))

Left out: all of training. Nothing here knows what a step does.
"""

import itertools
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from data import Task
from evaluate import pass_rates
from harness import checkpoint, log, report
from harness.checkpoint import CheckpointError
from harness.config import (
    LIKELIHOOD,
    SELF_TRAINING,
    Config,
    UsageError,
    checked_task,
    parse_args,
    pick_device,
)
from model import GPT

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunError(Exception):
    """A run that failed on its own: one line; exit status 1."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run after a whole step; exit status 130."""


class Run:
    """A run's settings, how far it is, and its files: config.json, metrics.jsonl, ckpt.pt."""

    def __init__(
        self, config: Config, task: Task, device: torch.device, out: Path, resume: bool = False
    ):
        self.config, self.task, self.device, self.out = config, task, device, out
        self.step, self.rollouts, self.seconds = 0, 0, 0.0  # done so far
        self.at: int | None = None  # the step at hand, None during the warm start
        self.evaluations: list[dict[str, Any]] = []  # the base's, and the last: not the whole log
        self.first_weights: dict[str, torch.Tensor] = {}  # STaR goes back there every round
        self.saved = checkpoint.load(out) if resume else {}
        self.caught: list[int] = []  # signals
        self.handlers: dict[signal.Signals, Any] = {}  # what they did before

    def saved_model(self) -> GPT | None:
        """The model to go on with, if there is one."""
        if not self.saved:
            return None
        return checkpoint.load_model(self.out, self.saved, self.device)

    def begin(self, model: GPT, optimizer: torch.optim.Optimizer) -> None:
        """From here on the run's model is this one. With --resume the optimizer and the log are put
        where the last checkpoint was."""
        self.model, self.optimizer = model, optimizer
        self.started, self.at = time.monotonic(), self.step
        if self.saved:
            self.go_on()
        elif self.config.method == "star":
            self.first_weights = {n: w.clone() for n, w in model.state_dict().items()}

    def go_on(self) -> None:
        """Where the last checkpoint was; rows of the log after it are dropped."""
        try:
            self.optimizer.load_state_dict(self.saved["optimizer"])
            self.step, self.rollouts = self.saved["step"], self.saved["rollouts"]
            self.first_weights = self.saved["first_weights"]
            if self.config.method == "star":  # are they what they should be?
                first = self.saved | {"model": self.first_weights}
                checkpoint.load_model(self.out, first, self.device)
            self.started = time.monotonic() - self.saved["seconds"]
            rows = log.read_lines(self.out / "metrics.jsonl", self.step)
            base = rows[0]
            numbers = [*pass_rates(base), *base["weight"]]
            numbers += [base[name] or 0.0 for name in report.TABLE]
            if not all(type(x) in (int, float) for x in numbers):
                raise ValueError("the first row is no evaluation")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckpointError(
                f"{self.out} cannot be resumed: its checkpoint or its log is incomplete; "
                "start a new run, from its weights with --init"
            ) from error
        if self.step > self.config.steps:
            raise UsageError(f"the run is at step {self.step} already, past {self.config.steps}")
        log.write_lines(self.out / "metrics.jsonl", rows)
        self.evaluations = [base, *[row for row in rows[1:] if "nll" in row][-1:]]
        self.write_config()
        self.at, self.saved = self.step, {}

    def write_config(self) -> None:
        """config.json."""
        log.write_lines(self.out / "config.json", [asdict(self.config)])

    def steps(self) -> Iterator[int]:
        """The numbers of the steps to do. A signal ends it after the step at hand: saved, then
        Interrupted, with the command that goes on."""
        report.warn_if_dead(self.config, self.evaluations[0])
        self.handlers = {s: signal.signal(s, self.stop_after_this_step) for s in STOP_SIGNALS}
        self.bar = tqdm(
            total=self.config.steps, initial=self.step, desc="train", disable=None, leave=True
        )
        while self.step < self.config.steps and not self.caught:
            self.at = self.step + 1
            yield self.at
            self.bar.update()
        self.bar.close()
        if self.caught:
            self.save()
            command = f"python train.py --resume --out {shlex.quote(str(self.out))}"
            raise Interrupted(f"stopped after step {self.step}; to go on:\n{command}")

    def stop_after_this_step(self, number: int, frame: Any) -> None:
        """A signal handler: the first signal asks to stop, a second one leaves at once."""
        self.caught.append(number)
        signal.signal(number, signal.SIG_DFL)
        print("\nstopping after this step (again: at once, without saving)", file=sys.stderr)

    def restore_signals(self) -> None:
        """What they did before `steps`."""
        for s, handler in self.handlers.items():
            signal.signal(s, handler)

    def log(self, figures: dict[str, Any]) -> None:
        """One more step is done: its training figures."""
        self.step += 1
        self.rollouts += rollouts_of_a_step(self.config)
        self.append(figures)
        live = "" if figures["live"] is None else f", live {figures['live']:.2f}"
        self.bar.set_postfix_str(f"pass rate {figures['pass_rate']:.3f}{live}", refresh=False)

    def due(self) -> bool:
        """Whether an evaluation is to be made now, and was not made yet."""
        if self.evaluations and self.evaluations[-1]["step"] == self.step:
            return False
        return self.step % self.config.eval_every == 0 or self.step == self.config.steps

    def record(self, figures: dict[str, Any], samples: list[str]) -> None:
        """An evaluation into the log and onto the screen, and a checkpoint."""
        if not self.evaluations:  # a new run: only now is one that --overwrite replaces touched
            (self.out / "ckpt.pt").unlink(missing_ok=True)
            self.write_config()
            log.write_lines(self.out / "metrics.jsonl", [])
        self.append(figures)
        tqdm.write(report.evaluation_line(self.step, figures))
        tqdm.write("           " + "   ".join(samples))
        self.save()

    def append(self, figures: dict[str, Any]) -> None:
        """One row of metrics.jsonl."""
        self.seconds = time.monotonic() - self.started
        row = {"step": self.step, "seconds": round(self.seconds, 3), "rollouts": self.rollouts}
        log.append_line(self.out / "metrics.jsonl", row | figures)
        if "nll" in figures:
            self.evaluations[1:] = [row | figures]

    def save(self) -> None:
        """A checkpoint of this step; the log is on the disk before it."""
        checkpoint.insist_on_numbers(self.model)
        log.flush(self.out / "metrics.jsonl")
        content = {name: getattr(self, name) for name in ("step", "rollouts", "seconds")}
        content |= {"config": asdict(self.config), "model_config": asdict(self.model.config)}
        content |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        content["first_weights"] = self.first_weights
        checkpoint.save(self.out / "ckpt.pt", content)

    def diverged(self, error: FloatingPointError) -> str:
        """What to say when a number is no longer finite."""
        if self.at is None:
            return str(error)
        return (
            f"step {self.at} of {self.config.method}: {error}; try a smaller --lr "
            f"(the last good checkpoint is {self.out / 'ckpt.pt'})"
        )


def rollouts_of_a_step(config: Config) -> int:
    """How many are sampled in each."""
    if config.method in LIKELIHOOD:
        return 0
    return config.k * (config.pool if config.method in SELF_TRAINING else config.batch_size)


# ---------------------------------------------------------------------------------- its folder


def claim_folder(config: Config, overwrite: bool) -> tuple[Path, bool]:
    """The folder of a new run, and whether it is new. One with something in it is left alone."""
    method = Path(config.method).name.replace(".py:", "-")
    default = f"runs/{config.task}-{method}-k{config.k}-s{config.seed}"
    numbers = itertools.count(2)
    out = Path(config.out or default)
    created = not out.exists()
    try:
        while True:
            try:  # making the folder is what claims it: two runs started at once get two
                out.mkdir(parents=True, exist_ok=bool(config.out or overwrite))
                break
            except FileExistsError:
                if config.out or overwrite:
                    raise
                out, created = Path(f"{default}-{next(numbers)}"), True
        if config.out and not overwrite and any(out.iterdir()):
            raise UsageError(
                f"--out {out} exists: --resume goes on with it, --overwrite replaces it"
            )
        tempfile.TemporaryFile(dir=out).close()  # can it be written to? Better known now than later
    except OSError as error:
        raise UsageError(f"cannot write to --out {out}: {error.strerror}") from error
    return out, created


@contextmanager
def open_run(config: Config, resume: bool, overwrite: bool) -> Iterator[Run]:
    """A run in a folder that is locked while it lasts. A folder that stayed empty goes again."""
    task, device = checked_task(config), pick_device(config.device, config.bf16)
    torch.set_num_threads(config.threads)
    if resume:
        out, created = Path(str(config.out)), False
    else:
        out, created = claim_folder(config, overwrite)
    with checkpoint.lock(out):
        try:
            print(report.headline(config, task, device), flush=True)
            run = Run(config, task, device, out, resume)
            try:
                yield run
            except FloatingPointError as error:
                raise RunError(run.diverged(error)) from error
            finally:
                run.restore_signals()
        except BaseException:
            if created:
                with suppress(OSError):
                    out.rmdir()  # which succeeds only if nothing was written into it
            raise


# --------------------------------------------------------------------------------- the command


def lacks_memory(error: Exception) -> bool:
    """Whether this is an allocation that failed; on the CPU torch says so in a RuntimeError."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "allocate memory" in str(error)


def command(train: Callable[[Run], None], argv: list[str] | None = None) -> int:
    """The command: 0, or one line on stderr and 2 (wrong use), 1 (failed run), 130 (stopped)."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops like Ctrl-C
    try:
        with open_run(*parse_args(argv)) as run:
            train(run)
        ask = f"ask it: python sample.py {shlex.quote(str(run.out))}"
        print(f"\n{ask}\n\n{report.table(run.evaluations[0], run.evaluations[-1])}")
        return 0
    except (UsageError, CheckpointError) as error:
        message, status = str(error), 2
    except RunError as error:
        message, status = str(error), 1
    except KeyboardInterrupt as error:
        message, status = str(error) or "stopped; what had been saved before is untouched", 130
    except OSError as error:
        message, status = f"{error}: what had been saved before is untouched", 1
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        flags = "--micro-batch, --k, --batch-size or --eval-prompts"
        message, status = f"out of memory: lower {flags}", 1
    finally:
        signal.signal(signal.SIGTERM, before)
    print(f"train.py: {message}", file=sys.stderr)
    return status
