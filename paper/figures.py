"""The figures, drawn from the logs. One colour per method throughout: compare.py's.

    draw(Logs(RESULTS), Path("assets"), 3)      # those of experiment 3

At most six lines a panel; an axis says which way is better where that is not plain. Left out: any
computation that is not a mean, a range, an interval or a closed form.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import geometric_mean, mean, median
from typing import Any

import torch

import maxrl
from compare import COLORS, Line, new_figure, panel, save_figure, styles
from paper.logs import (
    EDGES,
    ESTIMATORS,
    KS,
    Logs,
    best_likelihoods,
    binned_norms,
    fewer_samples,
    gains_of_loo,
    gap,
    path_of,
    settings_of_scarce,
    signal_to_noise,
)
from paper.sweeps import FIRST, GROUP_METHODS, RIVALS, SWEEPS, ks_of
from paper.verdicts import OPEN, interval

BASE = {"color": "#555555", "ls": (0, (4, 3)), "lw": 1.2}
OF_ORDERS = ("#999999", "#F0B400", "#E07000", "#C03030", "#7A2060", "#000000")  # light to dark
LOWER = "\n(lower is better)"


def powers_of_two(ax: Any, ks: Sequence[int]) -> None:
    """A logarithmic x axis with these ticks."""
    ax.set_xscale("log", base=2)
    ax.set_xticks(ks, [f"{k:,}" for k in ks])
    ax.minorticks_off()
    ax.grid(alpha=0.25)


def plain_log(ax: Any) -> None:
    """A logarithmic y axis with at least three ticks that can be read."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    inside: list[float] = []
    for digits in ((1,), (1, 2, 5), range(1, 10)):
        if len(inside) < 3:
            ticks = (m * 10.0**e for e in range(-7, 4) for m in digits)
            inside = [t for t in ticks if low <= t <= high]
    ax.set_yticks(inside, [f"{t:g}" for t in inside])
    ax.minorticks_off()


def every_seed(ax: Any, runs: list[list[dict]], figure: str, label: str, style: dict) -> None:
    """A thin line for each seed, a thick one for their median."""
    steps = [row["step"] for row in runs[0]]
    for rows in runs:
        ax.plot(steps, [row[figure] for row in rows], lw=0.7, alpha=0.35, **style)
    middle = [median(rows[i][figure] for rows in runs) for i in range(len(steps))]
    ax.plot(steps, middle, lw=2.4, label=label, **style)


# ------------------------------------------------------------------------- 1: convergence


def convergence(logs: Logs, path: Path) -> None:
    """Held-out figures from scratch, against steps: more rollouts, and other objectives."""
    fig, axes = new_figure(3, height=3.8)
    ours = ["ce", *(f"maxrl k={k}" for k in (1024, 128, 16))]
    others = [label for label in FIRST if label not in ours[1:3] and label != "maxrl k=16"]
    others = ["ce", "maxrl k=1024", *(m for m in others if m not in ("ce", "maxrl k=1024"))]
    shades = dict(zip(ours, ("#000000", "#D55E00", "#F09A5E", "#F8CDB0"), strict=True))
    panels = ((ours, "pass@1"), (others, "pass@1"), (others, "nll"))
    for ax, (labels, figure) in zip(axes, panels, strict=True):
        for label in labels:
            color = shades[label] if labels is ours else COLORS[label.split()[0]]
            every_seed(ax, logs.runs("convergence", label), figure, label, {"color": color})
        better = f"nll (nats){LOWER}" if figure == "nll" else figure
        ax.set(xlabel="training steps", ylabel=f"held-out {better}", xlim=(0, None))
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=8)
    save_figure(fig, path)


def exact(logs: Logs, path: Path) -> None:
    """The objectives themselves, from order 1 to maximum likelihood."""
    fig, axes = new_figure(2, height=3.8)
    for ax, figure in zip(axes, ("pass@1", "nll"), strict=True):
        for label, color in zip(SWEEPS["exact"].labels, OF_ORDERS, strict=True):
            every_seed(ax, logs.runs("exact", label), figure, label[6:], {"color": color})
        better = f"nll (nats){LOWER}" if figure == "nll" else figure
        ax.set(xlabel="training steps", ylabel=f"held-out {better}", xlim=(0, None))
        ax.grid(alpha=0.25)
    save_figure(fig, path, legend_of=axes[:1])


def cosines(logs: Logs, path: Path) -> None:
    """How far one estimate is from the gradient of maximum likelihood, against k."""
    found = logs.measured("cosines")
    fig, axes = new_figure(len(found), sharey=True)
    for ax, (stage, methods) in zip(axes, found.items(), strict=True):
        for label, style in styles({m: m for m in methods}).items():
            ks = [int(k) for k in methods[label]]
            apart = [[max(1 - x, 1e-5) for x in draws] for draws in methods[label].values()]
            dash = (0, (2, 2)) if label == "maxrl-loo" else "-"  # it lies on maxrl's
            panel(ax, [Line(label, ks, apart, style["color"], dash)])
        powers_of_two(ax, [k for k in ks if k in (2, 16, 256, 4096)])
        ax.set(xlabel="rollouts per prompt, k", title=stage, yscale="log")
    axes[0].set_ylabel("1 - cosine with the cross-entropy\ngradient (lower is closer)")
    save_figure(fig, path, legend_of=axes[:1])


# ----------------------------------------------------------------- 2: scaling with rollouts


def scaling(logs: Logs, path: Path) -> None:
    """-log pass@k after training, against the rollouts of training."""
    against_k(logs, path, "scaling", GROUP_METHODS, "training rollouts per prompt, k")


def budget(logs: Logs, path: Path) -> None:
    """The same for 1,024 rollouts a step, on few prompts or on many."""
    words = "rollouts per prompt, k (on 1024/k prompts)"
    against_k(logs, path, "budget", ("maxrl", "maxrl-loo", "rloo"), words)


def against_k(logs: Logs, path: Path, sweep: str, methods: Sequence[str], words: str) -> None:
    """-log pass@1, @128 and @1024 at the end: means and 95% intervals, beside the base."""
    ks, figures = ks_of(sweep), ("pass@1", "pass@128", "pass@1024")
    fig, axes = new_figure(len(figures))
    for ax, figure in zip(axes, figures, strict=True):
        for i, method in enumerate(methods):
            ends = [logs.ends(sweep, f"{method} k={k}", figure) for k in ks]
            values = [[-math.log(min(x, 1 - 1e-7)) for x in v] for v in ends]
            x = [k * 1.04 ** (i - 1) for k in ks]  # side by side
            with_intervals(ax, x, values, label=method, color=COLORS[method])
        base = mean(-math.log(min(x, 1 - 1e-7)) for x in logs.starts(sweep, figure))
        ax.axhline(base, label="base", **BASE)
        powers_of_two(ax, ks)
        ax.set(xlabel=words, ylabel=f"-log held-out {figure}{LOWER}")
        ax.margins(y=0.12)
        plain_log(ax)
    save_figure(fig, path, legend_of=axes[:1])


def with_intervals(
    ax: Any, x: Sequence[float], values: Sequence[Sequence[float]], **style: Any
) -> None:
    """Means with 95% intervals over seeds; geometric where all values are positive."""
    if all(v > 0 for group in values for v in group):
        stats = [[math.exp(s) for s in interval([math.log(v) for v in g])] for g in values]
    else:
        stats = [list(interval(g)) for g in values]
    single = len(values[0]) < 2
    bars = [[0 if single else m - low for m, low, _ in stats],
            [0 if single else high - m for m, _, high in stats]]  # fmt: skip
    ax.errorbar(
        x, [m for m, _, _ in stats], yerr=bars, marker="o", ms=4, lw=2, elinewidth=1, **style
    )


def few(logs: Logs, path: Path) -> None:
    """Leave-one-out weights less Algorithm 1, seed by seed, where rollouts are few."""
    figures = ("pass@1", "pass@128", "pass@1024", "nll")
    fig, axes = new_figure(len(figures))
    for ax, figure in zip(axes, figures, strict=True):
        for i, k in enumerate((3, 4, 8, 16)):
            gains = gains_of_loo(logs, figure, k)
            ax.plot([i] * len(gains), gains, "o", color=COLORS["maxrl-loo"], alpha=0.4, mew=0)
            m, low, high = interval(gains)
            if len(gains) > 1:
                ax.plot([i, i], [low, high], color="black", lw=1.5)
            ax.plot([i], [m], "_", color="black", ms=18, mew=2)
        ax.axhline(0, **BASE)
        ax.set_xticks(range(4), ["3", "4", "8", "16"])
        better = "lower is better" if figure == "nll" else "higher is better"
        ax.set_xlabel("rollouts, k")
        ax.set_title(f"{figure} ({better})", fontsize=10)
        ax.margins(x=0.15)
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("maxrl-loo less maxrl: a point per\nseed, the mean, 95% interval")
    save_figure(fig, path)


# ------------------------------------------------------------------------ 3: few prompts


def plane(logs: Logs, path: Path, panels: Sequence[tuple[str, str, str, str]]) -> None:
    """Paths in the plane (pass@1, -log pass@k): the mean over seeds, and each tuning run, thin.

    A panel shows what is near the means: a rate that ruins a model leads out of it.
    panels: (sweep, what follows the method in the label, figure, title).
    """
    fig, axes = new_figure(len(panels), height=3.6)
    for ax, (sweep, suffix, figure, title) in zip(axes, panels, strict=True):
        means: list[tuple[float, float]] = []
        for method in ("rloo", "grpo", "maxrl"):
            label, color = f"{method}{suffix}", COLORS[method]
            if not logs.quick:
                for rows in logs.tried(sweep, label).values():
                    ax.plot(
                        *zip(*minus_log(path_of(rows, figure)), strict=True),
                        color=color, lw=0.6, alpha=0.45,
                    )  # fmt: skip
            paths = [minus_log(p) for p in logs.paths(sweep, label, figure)]
            x, y = (
                [mean(p[i][axis] for p in paths) for i in range(len(paths[0]))] for axis in (0, 1)
            )
            means += zip(x, y, strict=True)
            ax.plot(x, y, color=color, lw=2.4, label=method)
            ax.plot(x[-1:], y[-1:], "o", color=color, ms=6)
        ax.plot(x[:1], y[:1], "s", color="#555555", ms=7, label="base", zorder=4)
        (left, right), (low, high) = ((min(side), max(side)) for side in zip(*means, strict=True))
        ax.set(xlim=(left - 0.05, right + 0.1), ylim=(low / 2, high * 2), yscale="log")
        ax.set_xlabel("held-out pass@1 (right is better)", fontsize=9)
        ax.set_title(title, fontsize=10)
        ax.set_ylabel(f"-log held-out {figure}{LOWER}")
        plain_log(ax)
        ax.grid(alpha=0.25)
    save_figure(fig, path, legend_of=axes[:1])


def minus_log(path: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """(pass@1, pass@k) -> (pass@1, -log pass@k)."""
    return [(x, -math.log(min(max(y, 1e-7), 1 - 1e-7))) for x, y in path]


def fresh_paths(logs: Logs, path: Path) -> None:
    """Fresh prompts, more and more rollouts: where each method goes."""
    ks = ks_of("scaling")
    plane(logs, path, [("scaling", f" k={k}", "pass@1024", f"k = {k}") for k in ks])


def paths(logs: Logs, path: Path) -> None:
    """Few prompts and many: where each method goes."""
    plane(logs, path, [
        ("countdown", " pool=256", "pass@64", "countdown, 256 prompts"),
        ("countdown", " pool=1024", "pass@64", "countdown, 1,024 prompts"),
        ("scarce-hard", " pool=1024", "pass@128", "addition .1, 1,024 prompts"),
        ("scarce-half", " pool=1024", "pass@128", "addition .5, 1,024 prompts"),
    ])  # fmt: skip


def border(logs: Logs, path: Path) -> None:
    """Where MaxRL helps and where it hurts, over the pool of prompts and the base's pass rate."""
    cells = settings_of_scarce()
    rows = list(dict.fromkeys(c.name for c in cells))[::-1]
    columns = list(dict.fromkeys(c.pool for c in cells))
    fig, axes = new_figure(4, height=2.9, sharey=True)
    for ax, (other, how) in zip(
        axes, [(m, h) for h in ("equal", "end") for m in RIVALS], strict=True
    ):
        for cell in cells:
            figure = "pass@1" if how == "end" else cell.figure
            v = gap(logs, cell.sweep, cell.label("maxrl"), cell.label(other), figure, how)
            x, y = columns.index(cell.pool), rows.index(cell.name)
            size = 0 if math.isnan(v.mean) else max(-1.0, min(1.0, v.mean / 0.1))
            color = (1, 1 - size * 0.6, 1 - size) if size > 0 else (1 + size, 1 + size * 0.45, 1)
            ax.add_patch(new_rectangle(x, y, color, settled=v.word != OPEN))
            text = "-" if math.isnan(v.mean) else f"{v.mean:+.3f}"
            ax.text(x, y, text, ha="center", va="center", fontsize=7)
        ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(-0.5, len(rows) - 0.5))
        ax.set_xticks(range(len(columns)), columns, fontsize=8)
        ax.set_yticks(range(len(rows)), rows, fontsize=8)
        what = "pass@1 at the end" if how == "end" else "pass@k at equal pass@1"
        ax.set_title(f"maxrl less {other}:\n{what}", fontsize=10)
        ax.set_xlabel("training prompts")
    save_figure(fig, path)


def new_rectangle(x: int, y: int, color: tuple[float, float, float], settled: bool) -> Any:
    """A cell of the map; with a frame if its interval excludes zero."""
    from matplotlib.patches import Rectangle

    frame: dict[str, Any] = {"ec": "black", "lw": 1.6, "zorder": 2}
    frame = frame if settled else {"ec": "#CCCCCC", "lw": 0.5}
    return Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fc=color, **frame)


# ---------------------------------------------------------------- 4: test-time efficiency


def efficiency(logs: Logs, path: Path) -> None:
    """-log pass@k against k, and how many times fewer samples maxrl needs than others."""
    fig, axes = new_figure(3, height=3.6)
    base = [
        mean(-math.log(min(x, 1 - 1e-7)) for x in logs.starts("scaling", f"pass@{k}")) for k in KS
    ]
    axes[0].plot(KS, base, label="base", **BASE)
    for method in ("rloo", "grpo", "maxrl"):
        values = [
            [
                -math.log(min(x, 1 - 1e-7))
                for x in logs.ends("scaling", f"{method} k=16", f"pass@{k}")
            ]
            for k in KS
        ]
        panel(axes[0], [Line(f"{method} k=16", KS, values, COLORS[method])])
    axes[0].set(ylabel=f"-log held-out pass@k{LOWER}", xlabel="samples k at test time")
    axes[0].set_ylim(bottom=1e-4)
    for ax, other in zip(axes[1:], ("grpo", "base"), strict=True):
        for k, color in zip(ks_of("scaling"), OF_ORDERS[1:5], strict=True):
            factors = {K: fewer_samples(logs, k, other, K) for K in KS[1:14]}
            found = {K: [f for f in v if f] for K, v in factors.items() if all(v)}
            if found:
                with_intervals(ax, list(found), list(found.values()), color=color, label=f"k = {k}")
        ax.axhline(1, **BASE)
        than = "the base" if other == "base" else f"{other}, same k"
        ax.set(
            xlabel="samples K",
            ylabel=f"K over samples of maxrl for the pass@K\nof {than} (above 1: fewer)",
        )
    for ax in axes:
        powers_of_two(ax, KS[::4])
        plain_log(ax)
        ax.legend(frameon=False, fontsize=8)
    save_figure(fig, path)


# ----------------------------------------------------------------------------- 5: dynamics


def dynamics(logs: Logs, path: Path) -> None:
    """Gradient norms of single prompts at two stages, and the share of prompts with a success."""
    measured = logs.measured("gradients")
    fig, axes = new_figure(len(measured) + 1, height=3.6)
    for ax, (stage, seeds) in zip(axes, measured.items(), strict=False):
        for method in ("maxrl", *RIVALS):
            seen = [binned_norms(rows, method, measured=True) for rows in seeds.values()]
            said = [binned_norms(rows, method, measured=False) for rows in seeds.values()]
            x, points, line = [], [], []
            for edges, *both in zip(
                pairwise(EDGES), zip(*seen, strict=True), zip(*said, strict=True), strict=True
            ):
                norms, predicted = ([n for n in side if not math.isnan(n)] for side in both)
                if 2 * len(norms) >= len(seeds) and min(norms + predicted) > 0:
                    x.append(math.sqrt(math.prod(edges)))
                    points.append(norms)
                    line.append(geometric_mean(predicted))
            with_intervals(ax, x, points, color=COLORS[method], label=method, ls="none")
            ax.plot(x, line, "--", color=COLORS[method])
        ax.set(xscale="log", xlabel="pass rate p of a prompt (bins)", title=stage)
        ax.set_xticks([0.01, 0.03, 0.1, 0.3, 1], ["0.01", "0.03", "0.1", "0.3", "1"])
        plain_log(ax)
    axes[0].set_ylabel("norm of its expected gradient, k = 16\n(dashed: predicted, w(p) |grad p|)")
    for method in ("maxrl", *RIVALS):
        runs = logs.runs("countdown", f"{method} pool=256")
        steps = [row["step"] for row in runs[0][1:]]
        values = [[rows[i]["live"] for rows in runs] for i in range(1, len(runs[0]))]
        panel(axes[-1], [Line(method, steps, values, COLORS[method])])
    axes[-1].set(xlabel="training steps (countdown, 256 prompts)")
    axes[-1].set_ylabel("share of training prompts with at\nleast one success in 16")
    for ax in axes:
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=8)
    save_figure(fig, path)


# ------------------------------------------------------------------------ 6: latent answers

Sources = dict[str, tuple[str, str]]  # a name -> the sweep and label that it is drawn from


def latent_sources() -> Sources:
    """Every method on countdown with fresh prompts."""
    group = {m: ("countdown", f"{m} pool=fresh") for m in ("maxrl", *RIVALS)}
    return group | {m: ("latent", m) for m in SWEEPS["latent"].labels}


def latent(logs: Logs, path: Path) -> None:
    """Where each method ended on countdown."""
    dots(logs, path, latent_sources(), {
        "pass@1": "pass@1 (right is better)", "pass@64": "pass@64 (right is better)",
        "answers": "different right answers in 64,\nper solved prompt (right: more)",
    })  # fmt: skip


def latent_paths(logs: Logs, path: Path) -> None:
    """Many right answers, fresh prompts: where each method goes."""
    plane(logs, path, [
        ("countdown", " pool=fresh", "pass@64", "countdown"),
        ("countdown", " pool=fresh", "pass@16", "countdown"),
        ("chain", "", "pass@64", "chain"),
    ])  # fmt: skip


def dots(
    logs: Logs,
    path: Path,
    sources: Sources,
    figures: dict[str, str],
    best: dict[str, float] | None = None,
) -> None:
    """A row per label, a panel per figure: the mean, the seeds, and lines for the base (dashed) and
    for the best there is (dotted)."""
    fig, axes = new_figure(len(figures), sharey=True, height=3.2)
    names = list(sources)[::-1]
    for ax, (figure, title) in zip(axes, figures.items(), strict=True):
        for i, name in enumerate(names):
            values = logs.ends(*sources[name], figure)
            color = COLORS.get(name.split()[0], "black")
            ax.plot([min(values), max(values)], [i, i], color=color, lw=3, alpha=0.4)
            ax.plot(values, [i] * len(values), "o", color=color, ms=4, mew=0)
            ax.plot(mean(values), i, "|", color=color, ms=16, mew=2.5)
        ax.axvline(mean(logs.starts(next(iter(sources.values()))[0], figure)), label="base", **BASE)
        if best and figure in best:
            ax.axvline(best[figure], color="#009E73", ls=":", lw=2, label="maximum likelihood")
        ax.set(title=title, ylim=(-0.6, len(names) - 0.4))
        ax.locator_params(axis="x", nbins=5)
        ax.grid(alpha=0.25)
    axes[0].set_yticks(range(len(names)), names)
    fig.legend(
        *axes[0].get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=2
    )
    save_figure(fig, path)


# ------------------------------------------------------------------------- 7: likelihoods


def likelihoods(logs: Logs, path: Path) -> None:
    """Where each ended on noisy."""
    sources = {label: ("likelihoods", label) for label in SWEEPS["likelihoods"].labels}
    dots(logs, path, sources, {
        "log_likelihood": "held-out log E[l] (right is better)",
        "mse": "squared error of the mean of the\nnumbers written (left is better)",
        "spread": "spread of the numbers written\n(best at the dotted line)",
    }, best_likelihoods())  # fmt: skip


def two_effects(logs: Logs, path: Path) -> None:
    """Within a prompt the best rollouts carry the weight; across prompts the hard ones."""
    measured = logs.measured("two_effects")
    fig, axes = new_figure(2)
    shades = dict(zip(measured["within"], ("#E3B7CF", "#CC79A7", "#7A2060"), strict=True))
    for T, A in measured["within"].items():
        axes[0].plot(range(1, len(A) + 1), A, "o-", color=shades[T], ms=4, label=f"order {T}")
    axes[0].axhline(0, **BASE)
    axes[0].set(xlabel="rank of a rollout's likelihood in its group of 16", title="within a prompt")
    axes[0].set_ylabel("advantage (mean size 1)")
    p = torch.linspace(min(measured["p"]), max(measured["p"]), 100)
    for T, omega in measured["across"].items():
        axes[1].plot(measured["p"], omega, ".", color=shades[T], ms=4, alpha=0.4)
        axes[1].plot(p, maxrl.weight(p, int(T)), color=shades[T], lw=2, label=f"order {T}")
    axes[1].set(xlabel="mean likelihood E[l] of a prompt", title="across prompts", yscale="log")
    axes[1].set_ylabel("weight of a prompt: line w(p),\npoints from groups of 16")
    axes[1].set_yticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    axes[1].minorticks_off()
    for ax in axes:
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)
    save_figure(fig, path)


# ------------------------------------------------------------------------------ 8: theory


def weights(logs: Logs, path: Path) -> None:
    """w(p) of the methods, by exact enumeration at finite k, beside maximum likelihood's 1/p."""
    ps = torch.logspace(-2, -0.005, 80, dtype=torch.float64)
    fig, axes = new_figure(2, height=4.2, sharey=True)
    for ax, k in zip(axes, (8, 64), strict=True):
        ax.plot(ps, 1 / ps, "k--", lw=1.5, label="maximum likelihood, 1/p")
        for name in ("maxrl-std", "maxrl-loo", "maxrl", "grpo", "rloo"):
            w = [maxrl.enumerated_weight(name, p, k)[0] for p in ps.tolist()]
            T = maxrl.trained_order(name, k)
            label = f"{name} (order {T})" if T else name
            label = label.replace("rloo", "reinforce, rloo")
            thin = name == "maxrl-std"
            style = {"lw": 1.5 if thin else 2.2, "ls": ":" if thin else "-"}
            ax.plot(ps, w, color=COLORS[name], label=label, **style)
        ax.set(xscale="log", yscale="log", ylim=(0.5, 300), xlim=(0.01, 1))
        ax.set(xlabel="pass rate p of a prompt", title=f"k = {k} rollouts")
        ax.set_xticks([0.01, 0.03, 0.1, 0.3, 1], ["0.01", "0.03", "0.1", "0.3", "1"])
        ax.minorticks_off()
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=9)
    axes[0].set_ylabel("weight w(p) in E[g] = w(p) grad p")
    axes[0].set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    save_figure(fig, path)


def series(logs: Logs, path: Path) -> None:
    """The first terms of log p = -sum (1-p)^j / j, and their slopes."""
    p = torch.linspace(0.02, 1, 200, dtype=torch.float64)
    fig, axes = new_figure(2)
    for T, color in enumerate(OF_ORDERS[:5], 1):
        axes[0].plot(p, maxrl.objective(p, T), color=color, lw=2, label=f"order {T}")
        axes[1].plot(p, maxrl.weight(p, T), color=color, lw=2, label=f"order {T}")
    axes[0].plot(p, p.log(), "k--", label="log p")
    axes[1].plot(p, 1 / p, "k--", label="1/p")
    axes[0].set(ylabel="objective of order T", ylim=(-3.2, 0.1))
    axes[1].set(ylabel="its slope w(p)", ylim=(0, 8))
    for ax in axes:
        ax.set(xlabel="pass rate p", xlim=(0, 1))
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)
    save_figure(fig, path)


def estimators(logs: Logs, path: Path) -> None:
    """Signal to noise of a rollout's worth of gradient: two outcomes exactly, then the model."""
    ps = torch.logspace(-2.5, -0.01, 60, dtype=torch.float64).tolist()
    fig, axes = new_figure(4, sharey=True, height=3.6)
    for ax, k in zip(axes, (4, 16, 64), strict=False):
        for method in ESTIMATORS:
            ratios = [signal_to_noise(method, p, k) for p in ps]
            over = {"ls": (0, (2, 2)), "zorder": 3} if method == "maxrl-loo" else {}
            ax.plot(ps, ratios, color=COLORS[method], lw=2, label=method, **over)
        ax.set(title=f"two outcomes, k = {k}")
    for method in ESTIMATORS:
        pairs = [
            (p, signal / (16 * noise))
            for rows in logs.measured("estimates").values()
            for p, (signal, noise) in zip(rows["p"], rows["of"][method]["16"], strict=True)
            if noise > 0
        ]
        axes[3].plot(*of_bins(pairs), "o-", color=COLORS[method], ms=4, lw=1.2)
    axes[3].set(title="this model, k = 16")
    for ax in axes:
        ax.set(xscale="log", yscale="log", xlabel="pass rate p of a prompt", ylim=(1e-3, 300))
        ax.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
        ax.grid(alpha=0.25)
    axes[0].set_ylabel("signal to noise for one rollout,\n|E g|² / (k var g) (higher is better)")
    save_figure(fig, path, legend_of=axes[:1])


def of_bins(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Medians of p and of y over the bins of p that hold at least three."""
    x, y = [], []
    for low, high in pairwise(EDGES):
        inside = [(a, b) for a, b in pairs if low < a <= high and b > 0]
        if len(inside) >= 3:
            x.append(median(a for a, _ in inside))
            y.append(median(b for _, b in inside))
    return x, y


FIGURES: dict[int, tuple[Callable[[Logs, Path], None], ...]] = {
    0: (),
    1: (convergence, exact, cosines),
    2: (scaling, fresh_paths, few),
    3: (paths, border),
    4: (efficiency,),
    5: (dynamics,),
    6: (latent, latent_paths),
    7: (likelihoods, two_effects),
    8: (weights, series, estimators),
    9: (budget,),
}


def draw(logs: Logs, folder: Path, number: int) -> list[Path]:
    """The figures of an experiment; their files are named after the functions here."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{function.__name__.replace('_', '-')}.png" for function in FIGURES[number]]
    for function, path in zip(FIGURES[number], paths, strict=True):
        function(logs, path)
    return paths
