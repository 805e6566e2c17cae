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
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from harness.checkpoint import CheckpointError
from harness.config import Parser
from harness.log import read_lines

COLORS = {  # colour-blind safe (Okabe and Ito, and two more); a method's colour in every figure
    "reinforce": "#999999",
    "rloo": "#56B4E9",
    "grpo": "#009E73",
    "maxrl": "#D55E00",
    "maxrl-raw": "#0072B2",
    "maxrl-loo": "#CC79A7",
    "maxrl-std": "#E69F00",
    "rft": "#7A5230",
    "expert-iteration": "#B3A800",
    "star": "#5B2A86",
    "ce": "#000000",
}
LINES = ("-", "--", ":", "-.")  # of one colour
FIGURES = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")
Rows = list[dict[str, Any]]  # the evaluations of a run, first to last


def load(folder: Path) -> tuple[dict[str, Any], Rows]:
    """The configuration and the evaluations of a run; CheckpointError if it has none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows = read_lines(folder / "metrics.jsonl")
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
        settings = [f"{name}={config.get(name)}" for name in varied]
        groups.setdefault(" ".join([str(config.get("method")), *settings]), []).append(rows)
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


def new_figure(columns: int, height: float = 3.4, **options: Any) -> tuple[Any, Any]:
    """A figure as wide as a README, and its axes (columns,)."""
    size = (11, height)
    fig, axes = pyplot().subplots(
        1, columns, figsize=size, squeeze=False, layout="constrained", **options
    )
    return fig, axes[0]


def save_figure(fig: Any, path: Path, legend_of: Any = None) -> None:
    """Write it, and forget it. legend_of: the axes whose labels are listed beside the panels."""
    if legend_of is not None:
        handles_labels = legend_of.get_legend_handles_labels()
        fig.legend(*handles_labels, frameon=False, loc="outside right upper")
    fig.savefig(path, dpi=130)
    pyplot().close(fig)


def styles(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """How each label is drawn: the colour of its first word, and a line of its own in that."""
    drawn: dict[str, dict[str, str]] = {}
    methods: dict[str, int] = {}  # of each, how many labels came before the last
    colors = dict(COLORS)
    for label in labels:
        method = label.split()[0]
        colors.setdefault(method, f"C{len(methods)}")
        same = methods[method] = methods.get(method, -1) + 1
        drawn[label] = {"color": colors[method], "ls": LINES[same % len(LINES)]}
    return drawn


def draw_band(ax: Any, x: Sequence[float], values: Sequence[Sequence[float]], **style: Any) -> None:
    """A line through the means of values[i] at x[i], their range as a band."""
    ax.plot(x, [mean(v) for v in values], lw=2, **style)
    lows, highs = [min(v) for v in values], [max(v) for v in values]
    ax.fill_between(x, lows, highs, color=style["color"], alpha=0.15, lw=0)


def draw_curves(
    path: Path,
    groups: dict[str, list[Rows]],
    figures: Sequence[str],
    unit: str = "training steps",
    steps_per_unit: float = 1.0,
    style: dict[str, dict[str, str]] | None = None,
) -> None:
    """Held-out figures against time: the mean of each label's runs, their range as a band."""
    fig, axes = new_figure(len(figures))
    style = style or styles(groups)
    for ax, figure in zip(axes, figures, strict=True):
        for label, runs in groups.items():
            at: list[dict[int, float]] = [
                {row["step"]: row[figure] for row in rows if row.get(figure) is not None}
                for rows in runs
            ]
            steps = [s for s in at[0] if all(s in run for run in at)]
            values = [[run[s] for run in at] for s in steps]
            draw_band(ax, [s / steps_per_unit for s in steps], values, label=label, **style[label])
        name = "nll (nats)" if figure == "nll" else figure
        ax.set(xlabel=unit, ylabel=f"held-out {name}")
        ax.set_xlim(left=0)
        ax.grid(alpha=0.25)
    save_figure(fig, path, legend_of=axes[0])


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
    try:
        draw_curves(args.figure, groups, ("pass@1", "pass@128", "nll"))
    except (OSError, ValueError) as error:  # no such folder, no such format
        print(f"compare.py: cannot write --figure {args.figure}: {error}", file=sys.stderr)
        return 2
    print(f"\ncurves: {args.figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
