"""The figures, drawn from the logs. One colour per method throughout: compare.py's.

    draw(Logs(), Path("assets"), 3)      # that of experiment 3

Every panel is drawn by compare.panel, and an axis says which way is better where that is not plain.
"""

import math
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import maxrl
from compare import COLORS, Line, against_steps, new_figure, panel, save_figure
from paper.claims import PAIRS, Side, base, cells, distances, lost
from paper.logs import KINDS, KS, Logs
from paper.measure import expected_norms, expected_weight
from paper.rules import MARGIN, interval
from paper.sweeps import BASES, BUDGET, ORDERS, POOLS, RIVALS, ROLLOUTS, SWEEPS

METHODS = ("reinforce", "rloo", "grpo", "maxrl", "maxrl-raw", "maxrl-loo")
GREY, DASHED = "#555555", (0, (4, 3))  # of the base, and of limits
SHADES = ("#F8CDB0", "#F09A5E", "#E4762A", "#D55E00", "#8A3A00")  # of maxrl, by k
OF_GRADED = {"maxrl-loo": "#CC79A7", "tailrl": "#5B2A86", "reinforce": "#999999",
             "regression": "#0072B2"}  # fmt: skip
OF_P: Any = {"xticks": (0.01, 0.1, 1), "yscale": "log", "xlabel": "pass rate p of a prompt"}
SHOWN = {"pass@1": "pass@1", "nll": "nll in nats (lower is better)"}


def curve(logs: Logs, side: Side, figure: str, color: str, **style: Any) -> Line:
    """A held-out figure against steps."""
    return against_steps(side[1], logs.runs(*side), figure, color=color, **style)


def by_k(logs: Logs, sides: dict[int, Side], figure: str, method: str) -> Line:
    """Where a held-out figure ended, against k."""
    values = [logs.ends(*side, figure) for side in sides.values()]
    return Line(method, list(sides), values, COLORS[method], marker="o")


def default(logs: Logs, path: Path) -> None:
    """pass@1 and nll against steps: the means, and a thin line for each seed; `maxrl` at its own
    best learning rate is dashed."""
    fig, axes = new_figure(2, height=4.0)
    dashes = {"rloo": "-", "grpo": "-", "maxrl": "--", "maxrl lr=8e-4": "-", "ce": "--"}
    for ax, (figure, name) in zip(axes, SHOWN.items(), strict=True):
        style = {m: {"color": COLORS[m.split()[0]], "dash": d} for m, d in dashes.items()}
        lines = [curve(logs, ("default", m), figure, spread="seeds", **s) for m, s in style.items()]
        panel(ax, lines, xlabel="training steps", ylabel=name)
    save_figure(fig, path, axes[:1])


def convergence(logs: Logs, path: Path) -> None:
    """D against k beside its floor; then the learning curves, with the seeds that lose a kind of
    problem marked where they end."""
    fig, (left, right) = new_figure(2, height=4.6, gridspec_kw={"width_ratios": (2, 3)})
    by_distance(logs, left)
    shades = {f"maxrl k={k}": c for k, c in zip(ROLLOUTS["maxrl"], SHADES, strict=True)}
    shades |= {f"grpo k={ROLLOUTS['grpo'][-1]}": COLORS["grpo"], "ce": "#000000"}
    sides = {("convergence", label): color for label, color in shades.items()}
    lines = [curve(logs, side, "pass@1", c, spread="seeds") for side, c in sides.items()]
    panel(right, lines, xlabel="training steps", ylabel="held-out pass@1", ylim=(0, 1.02))
    for (sweep, label), color in sides.items():
        ends = [rows[-1] for rows in logs.runs(sweep, label)]
        for row in (row for row, kinds in zip(ends, lost(logs, label), strict=True) if kinds):
            right.plot(row["step"], row["pass@1"], "X", color=color, ms=8, clip_on=False)
    weights = [weight for weight, _, _ in logs.runs("convergence", "ce")[0][-1]["kinds"]]
    for solved, words in ((2, f"X: without {KINDS[2]}"), (1, f"X: only {KINDS[0]}")):
        y = sum(weights[:solved])  # where runs that solve no more end
        right.axhline(y, color=GREY, ls=":", lw=1)
        right.text(0, y - 0.015, words, fontsize=8, va="top")
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 0.14))
    save_figure(fig, path)


def by_distance(logs: Logs, ax: Any) -> None:
    """D against k: of maxrl, of grpo, and of the exact objective of the same order."""
    floor = interval(distances(logs, "ce twin"))
    ax.axhspan(floor.low, floor.high, color="#DDDDDD", label="floor: twins of ce, 95 %")
    ax.axhline(
        floor.high + MARGIN,
        label=f"limit of the rule: floor + {MARGIN:g}",
        color=GREY,
        ls=DASHED,
        lw=1.2,
    )
    lines = []
    for method, ks in ROLLOUTS.items():
        D = [distances(logs, f"{method} k={k}") for k in ks]
        lines.append(Line(method, ks, D, COLORS[method], marker="o", spread="seeds"))
    D = [distances(logs, f"exact order={T}") for T in ORDERS]
    above = [T + 1 for T in ORDERS]
    lines.append(Line("exact, order k - 1", above, D, "#0072B2", ":", "s", "none"))
    panel(ax, lines, ROLLOUTS["maxrl"], (0.01, 0.02, 0.05, 0.1, 0.2, 0.5))
    ax.set_xlabel("rollouts per prompt, k")
    ax.set_ylabel("D: mean distance in pass@1 from the\nlearning curve of maximum likelihood")


def fresh(logs: Logs, path: Path) -> None:
    """Where each method ended, by k, with the range over seeds; and, of the methods trained with
    k = 64, the mean share of the problems that K tries leave unsolved."""
    fig, axes = new_figure(3, height=4.0)
    ks, methods = (16, 64, 256), (*RIVALS, "maxrl")
    for ax, (figure, name) in zip(axes, SHOWN.items(), strict=False):
        sides = {m: {k: ("fresh", f"{m} k={k}") for k in ks} for m in methods}
        lines = [by_k(logs, of, figure, m) for m, of in sides.items()]
        panel(ax, lines, ks, xlabel="training rollouts per prompt, k", ylabel=name)
        ax.axhline(mean(logs.ends("fresh", "ce", figure)), color="black", ls="--")
    lines = []
    for label in ("base", "ce", *(f"{m} k=64" for m in methods)):
        name = label.removesuffix(" k=64")
        curves = (logs.ends("fresh", label, f"pass@{K}") for K in KS)
        left = [[max(1 - x, 1e-9) for x in seeds] for seeds in curves]
        dash = {"base": DASHED, "ce": "--"}.get(name, "-")
        lines.append(Line(name, KS, left, COLORS.get(name, GREY), dash, spread="none"))
    panel(axes[2], lines, (1, 8, 128, 1024, 16384), yscale="log", ylim=(1e-4, 1))
    axes[2].set_xlabel("tries K at test time")
    axes[2].set_ylabel("1 - pass@K (lower is better)")
    save_figure(fig, path, axes[2:])


def border(logs: Logs, path: Path) -> None:
    """Differences in pass@1 at the end: orange where the first method is ahead and blue where it is
    behind, framed where all seeds agree, hatched where neither method ends above the base."""
    fig, axes = new_figure(3, height=3.4, sharey=True)
    rows, columns = list(BASES)[::-1], list(POOLS)
    for ax, (ours, theirs) in zip(axes, PAIRS, strict=True):
        panel(ax, [], title=f"{ours} minus {theirs}", xlabel="training prompts")
        ax.grid(False)
        for (sweep, pool), v in cells(logs, ours, theirs).items():
            x, y = columns.index(pool), rows.index(sweep)
            ends = [mean(logs.ends(sweep, f"{m} pool={pool}", "pass@1")) for m in (ours, theirs)]
            learns = max(ends) > mean(logs.starts(sweep, "pass@1")) + 0.02
            size = max(-1.0, min(1.0, v.centre / 0.15))
            fill = (1, 1 - size * 0.6, 1 - size) if size > 0 else (1 + size, 1 + size * 0.45, 1)
            frame = "black" if v.above in (0, v.n) else "#CCCCCC"
            style = {"color": fill, "ec": frame, "hatch": "" if learns else "///", "zorder": 2}
            ax.bar(x, 0.9, 0.9, y - 0.45, **style)
            ax.text(x, y, f"{v.centre:+.3f}", ha="center", va="center", zorder=3)
        ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(-0.5, len(rows) - 0.5))
        ax.set_xticks(range(len(columns)), columns)
        ax.set_yticks(range(len(rows)), [f"from {base(logs, sweep)}" for sweep in rows])
    save_figure(fig, path)


def answers(logs: Logs, path: Path) -> None:
    """pass@64 against pass@1: each method's mean path from the base to its last evaluation."""
    fig, axes = new_figure(2, height=4.2)
    sources = {"countdown": ("countdown", "relatives"), "chain": ("chain",)}
    for ax, (task, sweeps) in zip(axes, sources.items(), strict=True):
        for side in ((sweep, label) for sweep in sweeps for label in SWEEPS[sweep].labels):
            color = COLORS[side[1]]
            curves = (curve(logs, side, f, color).values for f in ("pass@1", "pass@64"))
            x, y = ([mean(seeds) for seeds in values] for values in curves)
            panel(ax, [Line(side[1], x, [[p] for p in y], color)])
            ax.plot(x[-1:], y[-1:], "o", color=color, ms=8)
        ax.plot(x[:1], y[:1], "s", color=GREY, ms=8, label="base", zorder=4)
        ax.set(title=task, xlabel="held-out pass@1", ylabel="held-out pass@64")
    save_figure(fig, path, axes[:1])


def gradient(logs: Logs, path: Path) -> None:
    """The norm of the expected gradient of a prompt against its pass rate at the default base, for
    three values of k. A point is the root mean square over a tenth of a seed's prompts, in the
    order of their pass rates; bands are ranges over seeds."""
    fig, axes = new_figure(3, sharey=True)
    seeds = logs.measured("gradients")["default base"].values()
    for ax, k in zip(axes, (16, 64, 1024), strict=True):
        lines = []
        for method in ("ce", *RIVALS, "maxrl"):
            found = [expected_norms(method, rows, k) for rows in seeds]
            ps, sizes = (torch.stack(x).reshape(len(x), 10, -1) for x in zip(*found, strict=True))
            middles = ps.log().mean((0, 2)).exp()  # (10,)
            rms = (sizes**2).mean(2).sqrt()  # (seeds, 10)
            name, dash = ("maximum likelihood", "--") if method == "ce" else (method, "-")
            lines.append(Line(name, middles.tolist(), rms.T.tolist(), COLORS[method], dash))
        panel(ax, lines, title=f"k = {k:,}", **OF_P | {"xticks": (0.01, 0.1)})
    axes[0].set_ylabel("norm of a prompt's expected gradient")
    save_figure(fig, path, axes[:1])


def theory(logs: Logs, path: Path) -> None:
    """w(p) for two values of k, and the signal-to-noise ratio of the gradient per rollout."""
    ps = torch.logspace(-2, -0.005, 60).double()
    fig, axes = new_figure(3, height=4.2)
    dashes = {"ce": "--", "maxrl-std": ":", "rloo": "-", "grpo": "-", "maxrl": "-"}
    for ax, k in zip(axes, (8, 64), strict=False):
        lines = []
        for m, dash in dashes.items():
            w = expected_weight(m, ps, k)[:, None].tolist()
            lines.append(Line({"ce": "maximum likelihood, 1/p"}.get(m, m), ps, w, COLORS[m], dash))
        settings = OF_P | {"ylim": (0.5, 300), "yticks": (1, 3, 10, 30, 100)}
        panel(ax, lines, title=f"weight w(p), k = {k}", **settings)
    lines = []
    for m in ("reinforce", "rloo", "grpo", "maxrl", "maxrl-raw"):
        exact = (maxrl.enumerated_weight(m, p, 16) for p in ps.tolist())
        ratios = [[w**2 / (16 * sd**2) if sd > 1e-12 else math.inf] for w, sd in exact]
        lines.append(Line(m, ps, ratios, COLORS[m]))
    title = "signal to noise of one rollout, k = 16"
    panel(axes[2], lines, title=title, ylim=(3e-3, 300), **OF_P)
    save_figure(fig, path, axes[1:])


def graded(logs: Logs, path: Path) -> None:
    """The two objectives at the end, a point for each seed."""
    fig, (ax,) = new_figure(1, height=4.0)
    for label, color in OF_GRADED.items():
        x, y = (logs.ends("graded", label, f) for f in ("log_likelihood", "log_tail"))
        ax.plot(x, y, "o", color=color, label=label, ms=6)
    panel(ax, [], xlabel="held-out log E[l] (right is better)")
    ax.set_ylabel("mean of log P(l > threshold)\nover ten thresholds (up is better)")
    save_figure(fig, path, [ax])


def of_budget(method: str) -> dict[int, Side]:
    """k -> a method's runs with BUDGET rollouts a step; at k = 2 all are the same."""
    at: dict[int, Side] = {2: ("budget", "maxrl k=2"), 8: ("default", method)}
    return at | {k: ("budget", f"{method} k={k}") for k in (32, 128)}


def budget(logs: Logs, path: Path) -> None:
    """pass@1 at the end against k, for the same number of rollouts per step."""
    fig, (ax,) = new_figure(1)
    lines = [by_k(logs, of_budget(m), "pass@1", m) for m in ("rloo", "maxrl")]
    panel(ax, lines, list(of_budget("maxrl")), ylabel="held-out pass@1 at the end")
    ax.set_xlabel(f"rollouts per prompt, k; a step has {BUDGET} rollouts, on {BUDGET}/k prompts")
    save_figure(fig, path, [ax])


FIGURES: tuple[Callable[[Logs, Path], None], ...] = (
    default, convergence, fresh, border, answers, gradient, theory, graded, budget,
)  # fmt: skip


def draw(logs: Logs, folder: Path, number: int) -> Path:
    """The figure of an experiment; its file is named after the function here."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{FIGURES[number].__name__}.png"
    FIGURES[number](logs, path)
    return path
