"""metrics.jsonl: one JSON object a line, whole or not at all; a line torn by a crash is dropped.

    >>> read_lines(Path("runs/mine/metrics.jsonl"))[0]["step"]
    0

Left out: what the figures mean (train.py, evaluate.py).
"""

import json
import math
import os
from pathlib import Path
from typing import Any

from harness.checkpoint import CheckpointError, replace_file


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a file of JSON lines by these rows, whole or not at all."""
    replace_file(path, "".join(as_line(row) for row in rows).encode())


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Add one row to a log."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(as_line(row))


def flush(path: Path) -> None:
    """Make sure that what was appended is on the disk, and not only in the kernel's memory."""
    with open(path, "a", encoding="utf-8") as file:
        os.fsync(file.fileno())


def read_lines(path: Path, last_step: int | None = None) -> list[dict[str, Any]]:
    """The rows of a log, up to `last_step` if that is given. CheckpointError if a whole line is not
    a row of a log.

    A torn line ends the log. It is later than any checkpoint, because the log is flushed first.
    """
    rows: list[dict[str, Any]] = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or type(row.get("step")) is not int:
            raise CheckpointError(f"{path} is not the log of a run: its line {len(rows) + 1}")
        rows.append(row)
    return [row for row in rows if last_step is None or row["step"] <= last_step]


def as_line(row: dict[str, Any]) -> str:
    """JSON has no infinity, which an order or a figure may be: "inf", as on the command line."""
    row = {k: "inf" if v == math.inf else v for k, v in row.items()}
    return json.dumps(row, allow_nan=False) + "\n"
