"""train.py as a command: its exit status, its one line when something is wrong, and its signals.

    sys.exit(command(train))    # train(config, task, device, progress, folder) is a whole run

Left out: what a run is (train.py), and what it leaves behind (folder.py).
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from harness import UsageError, checkpoint
from harness.config import Config, checked_task, parse_args, pick_device
from harness.folder import RunFolder, open_folder
from harness.progress import Progress
from harness.report import command_line, steady_output


class Stopped(KeyboardInterrupt):
    """A signal stopped the run after a whole step, which was saved; exit status 130."""

    def __init__(self, config: Config, progress: Progress, folder: RunFolder):
        method = [f"--method={config.method}"] if config.table else []
        go_on = command_line("train.py", "--resume", "--out", str(folder.path), *method)
        super().__init__(f"stopped after step {progress.step}; to go on:\n{go_on}")


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """While this lasts, the first Ctrl-C or SIGTERM only puts its number into the list; a second
    one ends the process at once."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        print("\nstopping after this step; a second signal stops at once, unsaved", file=sys.stderr)

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def command(train: Callable[..., None], argv: list[str] | None = None) -> int:
    """The command: 0, or one line on stderr and 2 (wrong use), 1 (failed run), 130 (stopped)."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops like Ctrl-C
    try:
        with steady_output():
            message, status = outcome(train, argv)
            if message:
                print(f"train.py: {message}", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
    return status


def outcome(train: Callable[..., None], argv: list[str] | None) -> tuple[str, int]:
    """Run; return what to say if the run did not end well, and the exit status."""
    progress = Progress()
    try:
        config, resume, overwrite = parse_args(argv, checkpoint.load)
        task, device = checked_task(config), pick_device(config.device, config.bf16)
        torch.set_num_threads(config.threads)
        with open_folder(config, resume, overwrite) as folder:
            train(config, task, device, progress, folder)
        return "", 0
    except UsageError as error:
        return str(error), 2
    except FloatingPointError as error:  # the last good checkpoint is untouched
        return f"step {progress.step} of {config.method}: {error}", 1
    except KeyboardInterrupt as error:
        return str(error) or "stopped; what had been saved before is untouched", 130
    except OSError as error:
        return f"{error}: what had been saved before is untouched", 1
    except (MemoryError, RuntimeError) as error:
        known = (MemoryError, torch.OutOfMemoryError)
        if not isinstance(error, known) and "allocate memory" not in str(error):  # on the CPU
            raise
        return "out of memory: lower --micro-batch, --k, --batch-size or --eval-prompts", 1
