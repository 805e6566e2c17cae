"""train.py as a command: its exit status, its one line when something is wrong, and its signals.

    sys.exit(command(train))        # train(config, progress, folder) is a whole run

Left out: what a run is (train.py), and what it leaves behind (folder.py).
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness.config import Config, UsageError, parse_args
from harness.folder import Progress, RunFolder, config_of, open_folder
from harness.report import command_line, steady_output

Train = Callable[[Config, Progress, RunFolder], None]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunError(Exception):
    """A run that failed on its own: one line; exit status 1."""


class Stopped(KeyboardInterrupt):
    """A signal stopped the run after a whole step, which was saved; exit status 130."""

    def __init__(self, config: Config, progress: Progress, folder: RunFolder):
        method = [f"--method={config.method}"] if config.table else []
        go_on = command_line("train.py", "--resume", "--out", folder.path, *method)
        super().__init__(f"stopped after step {progress.step}; to go on:\n{go_on}")


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """While this lasts, the first Ctrl-C or SIGTERM only puts its number into the list; a second
    one ends the process at once."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        print("\nstopping after this step (again: at once, without saving)", file=sys.stderr)

    before = {s: signal.signal(s, note) for s in STOP_SIGNALS}
    try:
        yield received
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def command(train: Train, argv: list[str] | None = None) -> int:
    """The command: 0, or one line on stderr and 2 (wrong use), 1 (failed run), 130 (stopped)."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops like Ctrl-C
    try:
        with steady_output():
            message, status = outcome(train, argv)
            if message:
                print(f"train.py: {message}", file=sys.stderr)
            return status
    finally:
        signal.signal(signal.SIGTERM, before)


def outcome(train: Train, argv: list[str] | None) -> tuple[str, int]:
    """Run; what to say if that did not end well, and the exit status."""
    try:
        config, resume, overwrite = parse_args(argv, config_of)
        with open_folder(config, resume, overwrite) as folder:
            progress = Progress()
            try:
                train(config, progress, folder)
            except FloatingPointError as error:
                raise RunError(
                    f"step {progress.step} of {config.method}: {error}; try a smaller --lr "
                    f"(the last good checkpoint is {folder.checkpoint})"
                ) from error
        return "", 0
    except UsageError as error:
        return str(error), 2
    except RunError as error:
        return str(error), 1
    except KeyboardInterrupt as error:
        return str(error) or "stopped; what had been saved before is untouched", 130
    except OSError as error:
        return f"{error}: what had been saved before is untouched", 1
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        return "out of memory: lower --micro-batch, --k, --batch-size or --eval-prompts", 1


def lacks_memory(error: Exception) -> bool:
    """Whether this is an allocation that failed; on the CPU torch says so in a RuntimeError."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "allocate memory" in str(error)
