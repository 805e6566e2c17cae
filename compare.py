"""Any runs side by side: a table of how each ended, and the curves that led there.

    python train.py --method rloo --out runs/rloo
    python train.py --method maxrl --out runs/maxrl
    python compare.py runs/rloo runs/maxrl

Runs that differ only in their seed share one line, with mean and range. Among runs of one task the
best figure has a star. Drawing the curves needs matplotlib (requirements-dev.txt); without it only
the table is printed. reproduce.py uses this file for its figures and tables. Left out: running
anything, and whether a difference counts (paper/rules.py).
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from harness import UsageError
from harness.command import Parser, command
from harness.config import path
from harness.log import read_lines

COLORS = {  # colour-blind safe (Okabe and Ito, and two more); a method's colour in every figure
    "reinforce": "#999999", "rloo": "#56B4E9", "grpo": "#009E73", "maxrl": "#D55E00",
    "maxrl-raw": "#0072B2", "maxrl-loo": "#CC79A7", "maxrl-std": "#E69F00", "rft": "#7A5230",
    "expert-iteration": "#B3A800", "star": "#5B2A86", "ce": "#000000",
}  # fmt: skip
DASHES = ("-", "--", ":", "-.")  # of lines that share a colour
FIGURES = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")
NO_PART = ("seed", "out", "device", "threads", "tensorboard")  # may differ in one method's runs
LONGEST_LABEL = 24
Rows = list[dict[str, Any]]  # the evaluations of a run, first to last


@dataclass
class Group:
    """The runs of one method with the same settings, whatever their seeds."""

    config: dict[str, Any]  # of the first of them
    folder: Path = Path()  # of the first
    runs: list[Rows] = field(default_factory=list)

    @property
    def method(self) -> str:
        """Its name, or file and function without the folder they are in."""
        return Path(str(self.config.get("method"))).name

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.config.get("task"))

    def figures(self, name: str, end: int = -1) -> list[Any]:
        """A figure of each run at its end (or at 0, its base); none at all if a run lacks it."""
        found = [rows[end][name] for rows in self.runs if is_number(rows[end].get(name))]
        return found if len(found) == len(self.runs) else []


def in_letters(name: str) -> str:
    """A name, with "?" for what a table or matplotlib would misread or what cannot be drawn."""
    return re.sub(r"^_|[^\w .,:;=()/@+~-]|[^\0-\u04ff]", "?", name)


def is_number(x: Any) -> bool:
    """Whether a figure was measured; infinity counts, null does not."""
    return isinstance(x, int | float) and not isinstance(x, bool)


def load(folder: Path) -> tuple[dict[str, Any], Rows]:
    """The configuration and the evaluations of a run; UsageError if it has none."""
    config = read_lines(folder / "config.json", method=str, task=str)
    rows = read_lines(folder / "metrics.jsonl", step=int)
    evaluations = [row for row in rows if is_number(row.get("nll"))]
    if not config or not evaluations:
        raise UsageError(f"{folder} is not the --out of a run that was evaluated")
    return config[0], evaluations


def group(folders: Sequence[Path]) -> dict[str, Group]:
    """The runs in `folders`, each once, grouped under short labels, in the order that was given."""
    groups: dict[str, Group] = {}
    for folder in {os.path.realpath(folder): folder for folder in folders}.values():
        config, rows = load(folder)
        same = json.dumps({n: x for n, x in sorted(config.items()) if n not in NO_PART})
        named = Path(os.path.abspath(folder))  # "." has no name
        groups.setdefault(same, Group(config, named)).runs.append(rows)
    return dict(zip(labels_of(list(groups.values())), groups.values(), strict=True))


def labels_of(groups: Sequence[Group]) -> list[str]:
    """The method and the settings in which a task's runs differ; the folder if that is too long."""
    found = []
    for one in groups:
        peers = [g.config for g in groups if g.task == one.task]
        names = [n for n in one.config if n not in (*NO_PART, "method", "task", "table")]
        varied = [n for n in names if len({json.dumps(c.get(n)) for c in peers}) > 1]
        settings = [f"{n}={one.config[n]}" for n in varied if one.config[n] is not None]
        found.append(" ".join([one.task] * (len(peers) < len(groups)) + [one.method, *settings]))
    named = []
    for label, one in zip(found, groups, strict=True):
        long = len(label) > max(LONGEST_LABEL, len(one.folder.name))
        named.append(in_letters(one.folder.name if long or found.count(label) > 1 else label))
    cut = [x if len(x) <= LONGEST_LABEL else f"{x[: LONGEST_LABEL - 3]}..." for x in named]
    if len({*cut}) == len(cut):
        return cut
    return [f"{x[: LONGEST_LABEL - 5]} ({i})" for i, x in enumerate(cut, 1)]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], align: bool = False) -> str:
    """A table in Markdown; align: its columns line up in a terminal too."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) if align else 0 for i in range(len(head))]
    cells = [[x.ljust(w) for x, w in zip(line, widths, strict=True)] for line in lines]
    cells.insert(1, ["-" * max(w, 3) for w in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def shown(values: Sequence[float]) -> str:
    """The mean, and the range if there are several; "-" where there are none."""
    if not values:
        return "-"
    spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"


def table(groups: dict[str, Group]) -> str:
    """Where the runs began and where they ended; the best of a task's runs has a star."""
    bases: dict[tuple[str, ...], list[str]] = {}
    for label, one in groups.items():
        cells = (str(len(one.runs)), "0", *(shown(one.figures(f, 0)) for f in FIGURES))
        bases.setdefault(cells, []).append(label)
    rows = [[", ".join(["base", *labels] if len(bases) > 1 else ["base"]), *cells]
            for cells, labels in bases.items()]  # fmt: skip
    for label, one in groups.items():
        steps = sorted({run[-1]["step"] for run in one.runs})
        span = "-".join(map(str, dict.fromkeys((steps[0], steps[-1]))))
        peers = [g for g in groups.values() if g.task == one.task]
        ends = (shown(one.figures(f)) + "*" * is_best(one, peers, f) for f in FIGURES)
        rows.append([label, str(len(one.runs)), span, *ends])
    return markdown(["", "runs", "step", *FIGURES], rows, align=True)


def is_best(one: Group, peers: Sequence[Group], figure: str) -> bool:
    """Whether no other ended better, as far as three digits show."""
    ends = [round(mean(x), 3) for g in peers if (x := g.figures(figure))]
    mine, best = one.figures(figure), min if figure == "nll" else max
    return len(ends) > 1 and bool(mine) and round(mean(mine), 3) == best(ends)


@dataclass
class Line:
    """What is drawn for one label in a panel: at each x the values of all seeds."""

    label: str
    x: Any  # a sequence, or a tensor (X,)
    values: Sequence[Sequence[float]]
    color: str
    dash: Any = "-"
    marker: str = ""
    spread: str = "range"  # range: a band from lowest to highest; seeds: each as a thin line; none


def pyplot() -> Any:
    """matplotlib's pyplot without a display. ImportError if this optional extra is missing."""
    try:
        import matplotlib.pyplot as plt

        plt.switch_backend("Agg")
        return plt
    except ImportError as error:
        needed = "figures need matplotlib: pip install -r requirements-dev.txt"
        raise ImportError(needed) from error


def new_figure(columns: int, height: float = 3.6, rows: int = 1, **options: Any) -> tuple[Any, Any]:
    """A figure as wide as a README, and its axes, row after row."""
    options |= {"figsize": (11, height * rows), "squeeze": False, "layout": "constrained"}
    fig, axes = pyplot().subplots(rows, columns, **options)
    return fig, axes.flat


def panel(
    ax: Any, lines: Iterable[Line], xticks: Sequence[float] = (), yticks: Sequence[float] = (),
    **settings: Any,
) -> None:  # fmt: skip
    """Draw lines through the means, with their spread; settings as for matplotlib's Axes.set.
    xticks, yticks: all the ticks of a logarithmic axis, in plain numbers."""
    for line in lines:
        style = {"color": line.color, "ls": line.dash}
        means = [mean(v) for v in line.values]
        ax.plot(line.x, means, lw=2, marker=line.marker, ms=5, label=line.label, **style)
        if line.spread == "range":
            lows, highs = [min(v) for v in line.values], [max(v) for v in line.values]
            ax.fill_between(line.x, lows, highs, color=line.color, alpha=0.15, lw=0)
        elif line.spread == "seeds":
            for seed in zip(*line.values, strict=True):
                ax.plot(line.x, seed, lw=0.7, alpha=0.45, **style)
    ax.set(**settings)
    ax.grid(alpha=0.25)
    for axis, ticks in (("x", xticks), ("y", yticks)):
        if ticks:
            ax.set(**{f"{axis}scale": "log"})
            ax.set(**{f"{axis}ticks": ticks, f"{axis}ticklabels": [f"{t:,}" for t in ticks]})
            ax.minorticks_off()


def save_figure(fig: Any, file: Path, legend_of: Iterable[Any] = ()) -> None:
    """Write it, and forget it. legend_of: the axes whose labels are listed below the panels."""
    named: dict[str, Any] = {}
    for ax in legend_of:
        named |= {label: line for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    if named:
        place = {"loc": "outside lower center", "ncols": min(len(named), 6), "frameon": False}
        fig.legend(named.values(), named.keys(), **place)
    fig.savefig(file, dpi=130)
    pyplot().close(fig)


def styles(methods: dict[str, str]) -> dict[str, dict[str, str]]:
    """{label: method} -> {label: style}: a colour for each method, dashes for its labels."""
    colors, drawn, before = dict(COLORS), {}, list(methods.values())
    for i, (label, method) in enumerate(methods.items()):
        color = colors.setdefault(method, f"C{len(colors) - len(COLORS)}")
        drawn[label] = {"color": color, "dash": DASHES[before[:i].count(method) % len(DASHES)]}
    return drawn


def draw(file: Path, groups: dict[str, Group]) -> None:
    """pass@1 and pass@128 against steps; a row of panels for each task."""
    tasks = list(dict.fromkeys(one.task for one in groups.values()))
    style = styles({label: one.method for label, one in groups.items()})
    fig, axes = new_figure(2, rows=len(tasks))
    for i, ax in enumerate(axes):
        task, figure = tasks[i // 2], ("pass@1", "pass@128")[i % 2]
        mine = {x: one for x, one in groups.items() if one.task == task}
        title = in_letters(task) if len(tasks) > 1 else ""
        lines = [against_steps(x, one.runs, figure, **style[x]) for x, one in mine.items()]
        panel(ax, lines, title=title, xlabel="training steps", ylabel=f"held-out {figure}")
    save_figure(fig, file, fig.axes)


def against_steps(label: str, runs: Sequence[Rows], figure: str, **style: Any) -> Line:
    """A held-out figure at those steps at which all runs have it."""
    at = [{x["step"]: x[figure] for x in rows if is_number(x.get(figure))} for rows in runs]
    steps = [s for s in at[0] if all(s in run for run in at)]
    style = {"marker": "o" if len(steps) == 1 else ""} | style
    return Line(label, steps, [[run[s] for run in at] for s in steps], **style)


def run(argv: list[str] | None) -> None:
    """The command."""
    parser = Parser(prog="compare.py", description="Runs side by side, in a table and a figure.")
    parser.add_argument("dir", nargs="+", type=path, help="the --out of a run")
    parser.add_argument("--figure", type=path, default="compare.png", help="where it goes")
    args = parser.parse_args(argv)
    if os.path.isdir(args.figure):
        raise UsageError(f"--figure {args.figure} is a folder: name a file")
    figure = Path(args.figure)
    figure = figure if figure.suffix else figure.with_suffix(".png")
    groups = group([*map(Path, args.dir)])
    print(table(groups), flush=True)
    try:
        draw(figure, groups)
        print(f"\ncurves: {figure}", flush=True)
    except ImportError as error:
        print(f"no figure: {error}")
    except (OSError, ValueError, RuntimeError) as error:  # no such folder, no such format
        raise UsageError(f"cannot write --figure {figure}: {error}") from error


def main(argv: list[str] | None = None) -> int:
    """The command; its exit statuses are those of harness.command."""
    return command("compare.py", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
