"""--tensorboard: the numbers of metrics.jsonl as live curves, beside it in the folder of the run.

    tensorboard --logdir runs    # shows the runs in this folder, even while they last

Left out: what the numbers mean (train.py, evaluate.py).
"""

from pathlib import Path
from typing import Any

from harness import UsageError


def writer_class() -> Any:
    """torch's SummaryWriter; UsageError without the package that it needs."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs a package: pip install tensorboard") from error
    return SummaryWriter


class Curves:
    """The curves of one run. They begin with the rows that the log already has."""

    def __init__(self, writer: Any, folder: Path, rows: list[dict[str, Any]]):
        self.writer = writer(str(folder), flush_secs=5)
        for row in rows:
            self.add(row)

    def add(self, row: dict[str, Any]) -> None:
        """The numbers of a row; lists and what was not measured are left out."""
        group = "held-out" if "nll" in row else "training"
        for name, value in row.items():
            if type(value) in (int, float) and name != "step":
                self.writer.add_scalar(f"{group}/{name}", value, row["step"])
