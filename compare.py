"""Any runs side by side: a table of how each ended, and the curves that led there.

    python train.py --method grpo --out runs/grpo
    python train.py --method maxrl --out runs/maxrl
    python compare.py runs/grpo runs/maxrl

Runs of one method and k that differ in their seed only are one line, with mean and range. The
figure needs matplotlib (pip install -r requirements-dev.txt); without it there is the table.
reproduce.py draws with this file. Left out: running anything.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from checkpoint import CheckpointError, read_lines
from config import Parser

COLORS = {  # colour-blind safe (Okabe and Ito); one colour per method in every figure
    "reinforce": "#999999",
    "rloo": "#56B4E9",
    "grpo": "#E69F00",
    "maxrl": "#D55E00",
    "maxrl-loo": "#CC79A7",
    "maxrl-std": "#009E73",
    "ce": "#000000",
}
FIGURES = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")
Rows = list[dict[str, Any]]  # the evaluations of a run, first to last


def load(folder: Path) -> tuple[dict[str, Any], Rows]:
    """The configuration and the evaluations of a run; CheckpointError if it has none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows = read_lines(folder / "metrics.jsonl", 10**18)
        evaluations = [row for row in rows if "nll" in row]
        assert isinstance(config, dict) and evaluations
    except (OSError, ValueError, AssertionError) as error:
        raise CheckpointError(f"{folder} is not the --out of a run that was evaluated") from error
    return config, evaluations


def group(folders: Sequence[Path]) -> dict[str, list[Rows]]:
    """The runs under a label each: the method, and those settings in which the runs differ."""
    loaded = [load(folder) for folder in folders]
    configs = [config for config, _ in loaded]
    ignored = ("method", "seed", "out", "device")
    names = {name: None for config in configs for name in config if name not in ignored}
    varied = [n for n in names if len({json.dumps(config.get(n)) for config in configs}) > 1]
    groups: dict[str, list[Rows]] = {}
    for config, rows in loaded:
        settings = [f"{name} {config.get(name)}" for name in varied]
        groups.setdefault(", ".join([str(config.get("method")), *settings]), []).append(rows)
    return groups


def cell(values: list[float | None]) -> str:
    """The mean, and the range if there is one; "-" where a run has no such figure."""
    numbers = [v for v in values if v is not None]
    if not numbers or len(numbers) < len(values):
        return "-"
    spread = f" ({min(numbers):.3f} to {max(numbers):.3f})" if len(numbers) > 1 else ""
    return f"{mean(numbers):.3f}{spread}"


def table(groups: dict[str, list[Rows]], figures: Sequence[str] = FIGURES) -> str:
    """A Markdown table of where the runs began and where they ended."""
    lines = [f"| | runs | step | {' | '.join(figures)} |", "|---" * (len(figures) + 3) + "|"]
    for prefix, end in (("base, ", 0), ("", -1)):
        for label, runs in groups.items():
            cells = [cell([rows[end].get(figure) for rows in runs]) for figure in figures]
            steps = sorted({rows[end]["step"] for rows in runs})
            shown = "-".join(map(str, {steps[0]: None, steps[-1]: None}))
            lines.append(f"| {prefix}{label} | {len(runs)} | {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pyplot() -> Any:
    """matplotlib's pyplot without a display; it is an optional extra."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("figures need matplotlib: pip install -r requirements-dev.txt") from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def draw_curves(path: Path, groups: dict[str, list[Rows]], figures: Sequence[str]) -> None:
    """Held-out figures against steps: the mean of each label's runs, their range as a band."""
    plt = pyplot()
    fig, axes = plt.subplots(1, len(figures), figsize=(10, 3.6), squeeze=False)
    for ax, figure in zip(axes[0], figures, strict=True):
        for i, (label, runs) in enumerate(groups.items()):
            at: list[dict[int, float]] = [
                {row["step"]: row[figure] for row in rows if row.get(figure) is not None}
                for rows in runs
            ]
            steps = [s for s in at[0] if all(s in run for run in at)]
            values = [[run[s] for run in at] for s in steps]
            color = COLORS.get(label, f"C{i}")
            ax.plot(steps, [mean(v) for v in values], color=color, lw=2, label=label)
            lows, highs = [min(v) for v in values], [max(v) for v in values]
            ax.fill_between(steps, lows, highs, color=color, alpha=0.2, lw=0)
        name = "nll (nats)" if figure == "nll" else figure
        ax.set(xlabel="training steps", ylabel=f"held-out {name}")
        ax.set_xlim(left=0)
        ax.grid(alpha=0.25)
    axes[0][0].legend(frameon=False)
    fig.tight_layout()
    fig.savefig(path, dpi=130)
    plt.close(fig)


def main(argv: list[str] | None = None) -> int:
    """The command line: 0, or one line on stderr and 2."""
    parser = Parser(prog="compare.py", description="Runs side by side, in a table and a figure.")
    parser.add_argument("dir", nargs="+", type=Path, help="the --out of a run")
    parser.add_argument("--figure", type=Path, default=Path("compare.png"), help="where it goes")
    args = parser.parse_args(argv)
    try:
        groups = group(args.dir)
    except CheckpointError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    print(table(groups), flush=True)
    draw_curves(args.figure, groups, ("pass@1", "pass@128", "nll"))
    print(f"\ncurves: {args.figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
