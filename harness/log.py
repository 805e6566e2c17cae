"""metrics.jsonl: one JSON object a line, like {"step": 0, "seconds": 0.1, "rollouts": 0, ...}.

Left out: what the figures mean (train.py, evaluate.py).
"""

import json
import math
from pathlib import Path
from typing import Any

from harness.checkpoint import CheckpointError, replace_file

Row = dict[str, Any]


def write_lines(path: Path, rows: list[Row]) -> None:
    """Replace a file of JSON lines by these rows, whole or not at all."""
    replace_file(path, "".join(as_line(row) for row in rows).encode())


def append_line(path: Path, row: Row) -> None:
    """Add one row to a log."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(as_line(row))


def read_lines(path: Path, last_step: float = math.inf) -> list[Row]:
    """The rows of a log up to `last_step`. CheckpointError if a whole line is not a row of a log.

    A torn line ends the log: it is later than any checkpoint.
    """
    rows: list[Row] = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or type(row.get("step")) is not int:
            raise CheckpointError(f"{path} is not the log of a run: see its line {len(rows) + 1}")
        rows.append(row)
    return [row for row in rows if row["step"] <= last_step]


def as_line(row: Row) -> str:
    """JSON has no infinity, so an infinite order or figure is "inf", as on the command line. NaN,
    and infinity in a list, is a FloatingPointError."""
    row = {k: "inf" if v == math.inf else v for k, v in row.items()}
    try:
        return json.dumps(row, allow_nan=False) + "\n"
    except ValueError as error:
        raise FloatingPointError("a figure is not finite: try a smaller --lr") from error
