"""The figures, drawn from the logs. One colour per method throughout: compare.py's.

    draw(Logs(), Path("assets"), 3)      # those of experiment 3

Every panel is drawn by compare.panel, and an axis says which way is better where that is not plain.
Left out: any computation that is not a mean, a range, an interval or a closed form.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

import maxrl
from compare import COLORS, Line, new_figure, panel, save_figure
from paper.claims import HARD, cells, distances, lost
from paper.logs import KINDS, KS, Logs
from paper.measure import METHODS, expected_weight
from paper.rules import MARGIN, interval
from paper.sweeps import BASES, BEST_OF, BUDGET, ORDERS, POOLS, RIVALS, ROLLOUTS, SWEEPS

BASE = {"color": "#555555", "ls": (0, (4, 3)), "lw": 1.2}
SHADES = ("#F8CDB0", "#F09A5E", "#E4762A", "#D55E00", "#8A3A00")  # of maxrl, by k
OF_ORDERS = ("#999999", "#F0B400", "#E07000", "#C03030", "#7A2060")  # light to dark
EDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 1.0)  # of bins of pass rates
OF_P = {"xscale": "log", "xlabel": "pass rate p of a prompt"}
LOWER = " (lower is better)"


def ticks(ax: Any, xs: Sequence[float] = (), ys: Sequence[float] = ()) -> None:
    """These ticks and no others, in plain numbers."""
    if xs:
        ax.set_xticks(xs, [f"{x:,g}" for x in xs])
    if ys:
        ax.set_yticks(ys, [f"{y:g}" for y in ys])
    ax.minorticks_off()


def curve(
    logs: Logs, sweep: str, label: str, figure: str, color: str, name: str = "", **more: Any
) -> Line:
    """A held-out figure against steps."""
    runs = logs.runs(sweep, label)
    values = [[rows[i][figure] for rows in runs] for i in range(len(runs[0]))]
    return Line(name or label, [row["step"] for row in runs[0]], values, color, **more)


def ends_by_k(
    logs: Logs, by_k: dict[int, tuple[str, str]], figure: str, label: str, color: str
) -> Line:
    """Where a held-out figure ended, against k. by_k: k -> sweep and label."""
    values = [logs.ends(*side, figure) for side in by_k.values()]
    return Line(label, list(by_k), values, color, marker="o")


# ------------------------------------------------------------------------ 0: the default run


def default(logs: Logs, path: Path) -> None:
    """pass@1 and nll against steps: means and ranges."""
    fig, axes = new_figure(2)
    for ax, figure in zip(axes, ("pass@1", "nll"), strict=True):
        lines = [
            curve(logs, "default", m, figure, COLORS[m], dash="--" if m == "ce" else "-")
            for m in ("rloo", "grpo", "maxrl", "ce")
        ]
        better = " in nats" + LOWER if figure == "nll" else ""
        panel(ax, lines, xlabel="training steps", ylabel=f"held-out {figure}{better}")
    save_figure(fig, path, axes)


# ----------------------------------------------------------------------------- 1: convergence


def convergence(logs: Logs, path: Path) -> None:
    """D against k beside its floor; then the learning curves, with the seeds that lose a kind of
    problem marked where they end."""
    fig, (left, right) = new_figure(2, height=4.6, gridspec_kw={"width_ratios": (2, 3)})
    lines = []
    for method, ks in ROLLOUTS.items():
        D = [distances(logs, f"{method} k={k}") for k in ks]
        lines.append(Line(method, ks, D, COLORS[method], marker="o", spread="seeds"))
    exact = [distances(logs, f"exact order={T}") for T in ORDERS]
    lines.append(Line("exact objective of order k - 1", [T + 1 for T in ORDERS], exact, "#0072B2",
                      dash=":", marker="s", spread="none"))  # fmt: skip
    floor = interval(distances(logs, "ce twin"))
    left.axhspan(floor.low, floor.high, color="#DDDDDD", label="floor: twins of ce, 95 %")
    left.axhline(floor.high + MARGIN, label="limit of the rule", **BASE)
    panel(left, lines, xscale="log", yscale="log", xlabel="rollouts per prompt, k")
    left.set_ylabel("D: mean distance in pass@1 from the\nlearning curve of maximum likelihood")
    ticks(left, ROLLOUTS["maxrl"], [0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
    left.legend(frameon=False, fontsize=8, loc="upper right")
    shown = [("ce", "#000000"), *((f"grpo k={k}", COLORS["grpo"]) for k in ROLLOUTS["grpo"][-1:])]
    shown += [(f"maxrl k={k}", c) for k, c in zip(ROLLOUTS["maxrl"], SHADES, strict=True)]
    curves = [curve(logs, "convergence", m, "pass@1", c, spread="seeds") for m, c in shown]
    panel(right, curves, xlabel="training steps", ylabel="held-out pass@1", ylim=(0, 1.02))
    for label, color in shown:
        mark_lost(right, logs, label, color)
    plateaus(right, logs)
    right.legend(frameon=False, fontsize=8, loc="upper left")
    save_figure(fig, path)


def mark_lost(ax: Any, logs: Logs, label: str, color: str) -> None:
    """A cross at the end of each seed that lost a kind of problem."""
    for rows, kinds in zip(logs.runs("convergence", label), lost(logs, label), strict=True):
        if kinds:
            ax.plot(rows[-1]["step"], rows[-1]["pass@1"], "X", color=color, ms=8, clip_on=False)


def plateaus(ax: Any, logs: Logs) -> None:
    """Where a model ends that solves all problems but those of some kinds."""
    weights = [weight for weight, _, _ in logs.runs("convergence", "ce")[0][-1]["kinds"]]
    for kinds, words in (((2,), f"X: without {KINDS[2]}"), ((1, 2), f"X: only {KINDS[0]}")):
        height = 1 - sum(weights[i] for i in kinds)
        ax.axhline(height, color="#555555", ls=":", lw=1)
        end = ax.get_xlim()[1]
        ax.text(end, height - 0.015, words, fontsize=8, color="#555555", ha="right", va="top")


# ---------------------------------------------------------------------------- 2: fresh prompts


def fresh(logs: Logs, path: Path) -> None:
    """Where each method ended, by k; and what is left unsolved after K tries."""
    fig, axes = new_figure(3, height=4.0)
    ks = (16, 64, 256)
    for ax, figure in zip(axes, ("pass@1", "nll"), strict=False):
        lines = [
            ends_by_k(logs, {k: ("fresh", f"{m} k={k}") for k in ks}, figure, m, COLORS[m])
            for m in (*RIVALS, "maxrl")
        ]
        better = " in nats" + LOWER if figure == "nll" else ""
        panel(ax, lines, xscale="log", xlabel="training rollouts per prompt, k")
        ax.set_ylabel(f"held-out {figure} at the end{better}")
        ax.axhline(mean(logs.ends("fresh", "ce", figure)), label="ce (mean)", **BASE)
        ticks(ax, ks)
    rest = [("ce", "ce", "#000000"), *((f"{m} k=64", m, COLORS[m]) for m in (*RIVALS, "maxrl"))]
    lines = [unsolved(logs, label, name, color) for label, name, color in rest]
    lines.append(unsolved(logs, "base", "base", "#555555"))
    panel(axes[2], lines, xscale="log", yscale="log", xlabel="tries K at test time")
    axes[2].set(ylabel=f"1 - pass@K, training k = 64{LOWER}", ylim=(1e-4, 1))
    ticks(axes[2], (1, 8, 128, 1024, 16384))
    save_figure(fig, path, axes)


def unsolved(logs: Logs, label: str, name: str, color: str) -> Line:
    """1 - pass@K against K."""
    at = {
        k: logs.starts("fresh", f"pass@{k}") if label == "base" else logs.ends("fresh", label, f"pass@{k}")
        for k in KS
    }  # fmt: skip
    values = [[max(1 - x, 1e-9) for x in seeds] for seeds in at.values()]
    dash = {"base": (0, (4, 3)), "ce": "--"}.get(label, "-")
    return Line(name, KS, values, color, dash, spread="none")


# ------------------------------------------------------------------------------- 3: the border


def border(logs: Logs, path: Path) -> None:
    """Where MaxRL helps, where maximum likelihood does, and where not, in pass@1."""
    compared = (("maxrl", "grpo"), ("maxrl", "rloo"), ("ce", "grpo"))
    fig, axes = new_figure(3, height=3.4, sharey=True)
    for ax, (ours, theirs) in zip(axes, compared, strict=True):
        for (sweep, pool), v in cells(logs, ours, theirs).items():
            x, y = list(POOLS).index(pool), list(BASES)[::-1].index(sweep)
            ends = [mean(logs.ends(sweep, f"{m} pool={pool}", "pass@1")) for m in (ours, theirs)]
            learns = max(ends) > mean(logs.starts(sweep, "pass@1")) + 0.02
            ax.add_patch(cell(x, y, v.centre, agreed=v.above in (0, v.n), learns=learns))
            ax.text(x, y, f"{v.centre:+.3f}", ha="center", va="center", fontsize=9)
        panel(ax, [], title=f"{ours} minus {theirs}", xlabel="training prompts")
        ax.grid(False)
        ax.set(xlim=(-0.5, len(POOLS) - 0.5), ylim=(-0.5, len(BASES) - 0.5))
        ax.set_xticks(range(len(POOLS)), list(POOLS))
        ax.set_yticks(range(len(BASES)), [f"base {b:g}" for b in list(BASES.values())[::-1]])
    save_figure(fig, path)


def cell(x: int, y: int, effect: float, agreed: bool, learns: bool) -> Any:
    """A setting: red where the first is ahead, blue where the second is; framed where all seeds
    agree, hatched where neither ends above the base."""
    from matplotlib.patches import Rectangle

    size = max(-1.0, min(1.0, effect / 0.15))
    color = (1, 1 - size * 0.6, 1 - size) if size > 0 else (1 + size, 1 + size * 0.45, 1)
    frame: dict[str, Any] = {"ec": "black", "lw": 1.6} if agreed else {"ec": "#AAAAAA", "lw": 0.5}
    hatch = None if learns else "///"
    return Rectangle((x - 0.45, y - 0.45), 0.9, 0.9, fc=color, hatch=hatch, zorder=2, **frame)


# ------------------------------------------------------------------------- 4: many right answers


def answers(logs: Logs, path: Path) -> None:
    """From the base, pass@64 against pass@1; then how many different right answers are left."""
    fig, axes = new_figure(3, height=4.0)
    for ax, sweep in zip(axes, ("countdown", "chain"), strict=False):
        others = ["relatives"] if sweep == "countdown" else []
        sides = [(s, m) for s in (sweep, *others) for m in SWEEPS[s].labels]
        for side in sides:
            way(ax, logs, side)
        panel(ax, [], title=sweep, xlabel="held-out pass@1", ylabel="held-out pass@64")
        ax.plot(*([mean(logs.starts(sweep, f))] for f in ("pass@1", "pass@64")), "s",
                color="#555555", ms=7, label="base")  # fmt: skip
        if others:
            bars(axes[2], logs, sides, "answers")
    axes[2].axvline(mean(logs.starts("countdown", "answers")), **BASE)
    panel(axes[2], [], title="countdown (dashed: the base)")
    axes[2].set_xlabel("different right answers in 64 tries,\nper solved problem")
    save_figure(fig, path, axes[:1])


def way(ax: Any, logs: Logs, side: tuple[str, str]) -> None:
    """The mean path of a method through the plane, with a point where it ends."""
    runs, color = logs.runs(*side), COLORS[side[1]]
    x, y = ([mean(rows[i][f] for rows in runs) for i in range(len(runs[0]))]
            for f in ("pass@1", "pass@64"))  # fmt: skip
    panel(ax, [Line(side[1], x, [[v] for v in y], color, spread="none")])
    ax.plot(x[-1:], y[-1:], "o", color=color, ms=7)


def bars(ax: Any, logs: Logs, sides: Sequence[tuple[str, str]], figure: str) -> None:
    """A row for each method: every seed, and their mean."""
    for i, side in enumerate(reversed(sides)):
        values, color = logs.ends(*side, figure), COLORS.get(side[1], "#0072B2")
        ax.plot(values, [i] * len(values), "o", color=color, ms=4, alpha=0.5, mew=0)
        ax.plot(mean(values), i, "|", color=color, ms=18, mew=3)
    ax.set_yticks(range(len(sides)), [label for _, label in reversed(sides)])


# ---------------------------------------------------------------------------- 5: the gradient


def gradient(logs: Logs, path: Path) -> None:
    """The norm of the expected gradient of a prompt against its pass rate, for three k."""
    fig, axes = new_figure(3, height=3.6, sharey=True)
    seeds = logs.measured("gradients")["base .5"].values()
    for ax, k in zip(axes, (16, 64, 1024), strict=True):
        lines = []
        for method in ("ce", *RIVALS, "maxrl"):
            by_bin = [norms(rows["p"], rows["norm"], method, k) for rows in seeds]
            found = {x: [s[x] for s in by_bin if x in s] for x in sorted(set().union(*by_bin))}
            dash = "--" if method == "ce" else "-"
            lines.append(Line("maximum likelihood, 1/p" if method == "ce" else method, list(found),
                              list(found.values()), COLORS[method], dash))  # fmt: skip
        panel(ax, lines, yscale="log", title=f"k = {k:,}", **OF_P)
        ax.axvspan(EDGES[0], HARD, color="#F4F4F4", zorder=0)
        ax.set_xlim(0.002, 1)
        ticks(ax, (0.01, 0.1, 1))
    axes[0].set_ylabel("norm of a prompt's expected gradient")
    save_figure(fig, path, axes[:1])


def norms(p: Sequence[float], norm: Sequence[float], method: str, k: int) -> dict[float, float]:
    """Middle of a bin of p -> the root mean square of w(p) |grad p| in it, if it has 5 prompts."""
    ps, sizes = torch.tensor(p).double(), torch.tensor(norm).double()
    w = 1 / ps if method == "ce" else expected_weight(method, ps.clamp(max=1 - 1e-12), k)
    found = {}
    for low, high in pairwise(EDGES):
        inside = (ps > low) & (ps <= high)
        if inside.sum() >= 5:
            squares = (w * ps * sizes)[inside] ** 2
            found[math.sqrt(low * high)] = squares.mean().sqrt().item()
    return found


# ---------------------------------------------------------------------------------- 6: theory


def weights(logs: Logs, path: Path) -> None:
    """w(p) of the methods, by exact enumeration at finite k, beside maximum likelihood's 1/p."""
    ps = torch.logspace(-2, -0.005, 80, dtype=torch.float64)
    fig, axes = new_figure(2, height=4.2, sharey=True)
    for ax, k in zip(axes, (8, 64), strict=True):
        lines = [
            Line("maximum likelihood, 1/p", ps, [[x] for x in (1 / ps).tolist()], "#000000", "--")
        ]
        for name in ("maxrl-std", "maxrl-loo", "maxrl", "grpo", "rloo"):
            w = expected_weight(name, ps, k).tolist()
            T = maxrl.trained_order(name, k)
            label = (f"{name} (order {T})" if T else name).replace("rloo", "reinforce, rloo")
            dash = ":" if name == "maxrl-std" else "-"
            lines.append(Line(label, ps, [[x] for x in w], COLORS[name], dash))
        panel(ax, lines, yscale="log", ylim=(0.5, 300), title=f"k = {k} rollouts", **OF_P)
        ticks(ax, (0.01, 0.03, 0.1, 0.3, 1), (1, 3, 10, 30, 100))
        ax.legend(frameon=False, fontsize=9)
    axes[0].set_ylabel("weight w(p) in E[g] = w(p) grad p")
    save_figure(fig, path)


def series(logs: Logs, path: Path) -> None:
    """The first terms of log p = -sum (1-p)^j / j, and their slopes."""
    p = torch.linspace(0.02, 1, 200, dtype=torch.float64)
    fig, axes = new_figure(2)
    drawn = ((maxrl.objective, "objective of order T", (-3.2, 0.1)),
             (maxrl.weight, "its slope w(p)", (0, 8)))  # fmt: skip
    for ax, (function, name, limits) in zip(axes, drawn, strict=True):
        orders = [*zip(range(1, 6), OF_ORDERS, strict=True), (math.inf, "#000000")]
        lines = [
            Line(f"order {T}" if T < math.inf else "maximum likelihood", p,
                 [[x] for x in function(p, T).tolist()], color, "-" if T < math.inf else "--")
            for T, color in orders
        ]  # fmt: skip
        panel(ax, lines, xlabel="pass rate p", ylabel=name, xlim=(0, 1), ylim=limits)
    save_figure(fig, path, axes[:1])


@cache
def signal_to_noise(method: str, p: float, k: int) -> float:
    """|E[g]|^2 / (k var g), exact for a policy of two outcomes; infinite without noise."""
    w, sd = maxrl.enumerated_weight(method, p, k)
    return w**2 / (k * sd**2) if sd > 1e-12 else math.inf


def estimators(logs: Logs, path: Path) -> None:
    """Signal to noise of a rollout's worth of gradient: two outcomes exactly, then the model."""
    ps = torch.logspace(-2.5, -0.01, 40, dtype=torch.float64).tolist()
    fig, axes = new_figure(4, sharey=True)
    for ax, k in zip(axes, (4, 16, 64), strict=False):
        exact = [
            Line(m, ps, [[signal_to_noise(m, p, k)] for p in ps], COLORS[m],
                 (0, (2, 2)) if m == "maxrl-loo" else "-")
            for m in METHODS
        ]  # fmt: skip
        panel(ax, exact, title=f"two outcomes, k = {k}", **OF_P)
    for method in METHODS:
        pairs = [
            (p, signal / (16 * noise))
            for rows in logs.measured("estimates").values()
            for p, (signal, noise) in zip(rows["p"], rows["of"][method]["16"], strict=True)
            if noise > 0 and signal > 0
        ]
        x, y = of_bins(pairs)
        panel(axes[3], [Line(method, x, [[v] for v in y], COLORS[method], marker="o")])
    panel(axes[3], [], title="this model, k = 16", **OF_P)
    for ax in axes:
        ax.set(yscale="log", ylim=(1e-3, 300))
        ticks(ax, (0.01, 0.1, 1))
    axes[0].set_ylabel("signal to noise of one rollout,\n|E g|² / (k var g) (higher is better)")
    save_figure(fig, path, axes[:1])


def of_bins(pairs: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Medians of p and of y over the bins of p that hold at least three."""
    points = list(pairs)
    inside = [[q for q in points if low < q[0] <= high] for low, high in pairwise(EDGES)]
    held = [part for part in inside if len(part) >= 3]
    return [median(p for p, _ in part) for part in held], [
        median(y for _, y in part) for part in held
    ]


# ------------------------------------------------------------------------- 7: graded rewards


def graded(logs: Logs, path: Path) -> None:
    """The two objectives, and the expected best of several tries."""
    fig, axes = new_figure(3, height=3.4)
    sides = [("graded", label) for label in SWEEPS["graded"].labels]
    titles = {"log_likelihood": "log E[l]", "log_tail": "mean log P(l > threshold)"}
    for ax, (figure, title) in zip(axes, titles.items(), strict=False):
        bars(ax, logs, sides, figure)
        ax.axvline(mean(logs.starts("graded", figure)), **BASE)
        panel(ax, [], title=title, xlabel="held-out, at the end (right is better)")
    tries = [int(figure.split("@")[1]) for figure in BEST_OF]
    lines = [
        Line(label, tries, [logs.ends(*side, f) for f in BEST_OF], color, marker="o")
        for side, color in zip(sides, ("#CC79A7", "#D55E00", "#999999", "#0072B2"), strict=True)
        for label in side[1:]
    ]
    panel(axes[2], lines, xscale="log", title="expected best l of several tries", xlabel="tries")
    ticks(axes[2], tries)
    axes[2].legend(frameon=False, fontsize=8)
    save_figure(fig, path)


# ----------------------------------------------------------------- 8: more prompts or rollouts


def of_budget(method: str) -> dict[int, tuple[str, str]]:
    """k -> the sweep and label of a method's runs with BUDGET rollouts a step."""
    at = {2: ("budget", "maxrl k=2"), 8: ("default", method)}  # at k = 2 the two are the same
    return at | {k: ("budget", f"{method} k={k}") for k in (32, 128)}


def budget(logs: Logs, path: Path) -> None:
    """pass@1 at the end against k, at the same number of rollouts a step."""
    fig, (ax,) = new_figure(1, height=3.8)
    lines = [ends_by_k(logs, of_budget(m), "pass@1", m, COLORS[m]) for m in ("rloo", "maxrl")]
    xlabel = f"rollouts per prompt, k, of {BUDGET // 8} x 8 = {BUDGET} a step on {BUDGET}/k prompts"
    panel(ax, lines, xscale="log", xlabel=xlabel, ylabel="held-out pass@1 at the end")
    ticks(ax, (2, 8, 32, 128))
    save_figure(fig, path, [ax])


FIGURES: dict[int, tuple[Callable[[Logs, Path], None], ...]] = {
    0: (default,),
    1: (convergence,),
    2: (fresh,),
    3: (border,),
    4: (answers,),
    5: (gradient,),
    6: (weights, series, estimators),
    7: (graded,),
    8: (budget,),
}


def draw(logs: Logs, folder: Path, number: int) -> list[Path]:
    """The figures of an experiment; their files are named after the functions here."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        folder / f"{function.__name__}.png": partial(function, logs) for function in FIGURES[number]
    }
    for path, function in drawn.items():
        function(path)
    return list(drawn)
