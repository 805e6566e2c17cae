"""What the commands share: their flags, their streams, their signals, and one line for an error.

    sys.exit(command("sample.py", lambda: run(parser().parse_args())))

Left out: what a command does, and the flags of train.py (config.py).
"""

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import torch

from harness import UsageError

ROOT = Path(__file__).resolve().parent.parent


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations; an error in the arguments is a UsageError."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        words = sys.argv[1:] if args is None else args
        for word in words:  # argparse would drop the value, and fail
            if re.fullmatch("--[^=]*=--", word):
                self.error(f"{word} gives no value")
        return super().parse_known_args(words, namespace)


class Steady:
    """A stream that never fails. What it cannot write is lost: its reader may be gone, the disk
    full, or the stream closed from the start (None). Characters that it lacks are escaped."""

    def __init__(self, stream: Any):
        self.stream = stream or open(os.devnull, "w")
        with suppress(AttributeError):  # a notebook's stream takes all letters
            self.stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        self.attempt(lambda: self.stream.write(text))
        return len(text)

    def flush(self) -> None:
        self.attempt(self.stream.flush)

    def attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except RuntimeError:
            pass  # a signal's handler may print while something is being printed
        except OSError:
            with suppress(OSError):  # or Python would write the rest of the buffer when it exits
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


def command(name: str, action: Callable[[], object]) -> int:
    """A whole command: 0, or one line on stderr and 2 (wrong use), 1 (failed), 130 (stopped).
    Meanwhile nothing that is printed raises an exception, and SIGTERM acts like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Steady, streams)
    try:
        message, status = outcome(action)
        if message:
            print(f"{name}: {message}", file=sys.stderr)
        return status
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams
        signal.signal(signal.SIGTERM, before)


def outcome(action: Callable[[], object]) -> tuple[str, int]:
    """Run; return what to say if it did not end well, and the exit status."""
    try:
        action()
        return "", 0
    except (UsageError, FloatingPointError) as error:
        return str(error), 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt as error:
        return str(error) or "stopped; what had been saved before is untouched", 130
    except OSError as error:
        return f"{error}: what had been saved before is untouched", 1
    except (MemoryError, RuntimeError) as error:
        known = (MemoryError, torch.OutOfMemoryError)
        if not isinstance(error, known) and "allocate memory" not in str(error):  # on the CPU
            raise
        return "out of memory: lower --micro-batch, --k, --batch-size or --eval-prompts", 1


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """While this lasts, the first Ctrl-C or SIGTERM only puts its number into the list; a second
    one ends the process at once."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        print("\nstopping after this step; a second signal quits without saving", file=sys.stderr)

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def command_line(script: str, *words: str) -> str:
    """A command that works as it stands, in the current folder and with this Python."""
    program = [os.path.relpath(path) for path in (sys.executable, ROOT / script)]
    return shlex.join([*program, *words])
