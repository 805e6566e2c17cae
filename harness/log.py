"""Files of JSON lines: metrics.jsonl, whose rows are like {"step": 0, "seconds": 0.1, ...}, and
the results kept from whole runs.

Left out: what the figures mean (rollouts.py, train.py, evaluate.py).
"""

import json
import math
import os
from pathlib import Path
from typing import Any

from harness import UsageError

Row = dict[str, Any]


def replace_file(path: Path, content: bytes) -> None:
    """Write beside `path`, flush, then rename: a crash leaves the old file or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # a full disk needs the room
        raise


def append_line(path: Path, row: Row) -> None:
    """Add one row to a log."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(as_line(row))


def read_lines(path: Path, **needed: type) -> list[Row]:
    """The rows of a file; none if there is no file. needed: names and types that every row has.

    UsageError names a line that is not such a row. The last line may be torn: it is left out, for
    no checkpoint is later than it.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line, object_hook=with_infinity, parse_int=figure)
            if not all(type(row[name]) is kind for name, kind in needed.items()):
                raise ValueError
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            if number == len(lines):
                break
            raise UsageError(f"{path} is not a log of ours: see its line {number}") from error
        rows.append(row)
    return rows


def as_line(row: Row) -> str:
    """JSON has no infinity, so an infinite order or figure is "inf", as on the command line. NaN,
    or infinity in a list, raises a FloatingPointError."""
    row = {k: "inf" if v == math.inf else v for k, v in row.items()}
    try:
        return json.dumps(row, allow_nan=False) + "\n"
    except ValueError as error:
        raise FloatingPointError("a figure is not finite: try a smaller --lr") from error


def with_infinity(row: Row) -> Row:
    """Undo `as_line`: "inf" becomes infinity again."""
    return {name: math.inf if x == "inf" else x for name, x in row.items()}


def figure(text: str) -> int:
    """A whole number in a log. ValueError if it is so large that arithmetic would fail later."""
    if len(text) > 18:
        raise ValueError(f"{text} is no figure")
    return int(text)
