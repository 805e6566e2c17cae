"""metrics.jsonl: one JSON object a line, whole or not at all; a line torn by a crash is dropped.

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
    """One more row of a log."""
    with open(path, "a") as file:
        file.write(as_line(row))


def flush(path: Path) -> None:
    """See to it that what was appended is on the disk, not only in the kernel's memory."""
    with open(path, "a") as file:
        os.fsync(file.fileno())


def read_lines(path: Path, last_step: int | None = None) -> list[dict[str, Any]]:
    """The rows of a log, up to `last_step` if that is given; a line torn by a crash is dropped.

    (It is later than any checkpoint, before which the log is flushed.) CheckpointError if a whole
    line is not a row of a log.
    """
    rows: list[dict[str, Any]] = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            break
        if not isinstance(row, dict) or type(row.get("step")) is not int:
            raise CheckpointError(f"{path} is not the log of a run: its line {len(rows) + 1}")
        rows.append(row)
    return [row for row in rows if last_step is None or row["step"] <= last_step]


def as_line(row: dict[str, Any]) -> str:
    """JSON has no infinity; the only one here is an order, on the command line "inf" too."""
    row = {k: "inf" if v == math.inf else v for k, v in row.items()}
    return json.dumps(row, allow_nan=False) + "\n"
