"""The figures, drawn from the logs. One colour per method throughout: compare.py's.

    draw(Logs(RESULTS), Path("assets"), 3)      # those of experiment 3

Left out: any computation that is not a mean, a range or a closed form.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import torch

import maxrl
from compare import COLORS, draw_band, draw_curves, new_figure, save_figure, styles
from paper.logs import (
    BINS,
    KS,
    Logs,
    best_likelihoods,
    gains_of_loo,
    population_norms,
    sample_ratios,
    share,
)
from paper.sweeps import GROUP_METHODS, SWEEPS, ks_of

P_EDGES = (0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997)
BASE = {"color": "#555555", "ls": (0, (4, 3)), "lw": 1.2}
OF_ORDERS = ("#999999", "#F0B400", "#E07000", "#C03030", "#7A2060", "#000000")  # light to dark


def powers_of_two(ax: Any, ks: Sequence[int]) -> None:
    """A logarithmic x axis with these ticks."""
    ax.set_xscale("log", base=2)
    ax.set_xticks(ks, [f"{k:,}" for k in ks])
    ax.minorticks_off()
    ax.grid(alpha=0.25)


# ------------------------------------------------------------------------- 1: convergence


def convergence(logs: Logs, path: Path) -> None:
    """Held-out figures from scratch, against steps."""
    groups = {label: logs.runs("convergence", label) for label in SWEEPS["convergence"].labels}
    groups = {"ce": groups.pop("ce")} | groups
    draw_curves(path, groups, ("pass@1", "pass@128", "nll"))


def exact(logs: Logs, path: Path) -> None:
    """The objectives themselves, from order 1 to maximum likelihood."""
    labels = list(SWEEPS["exact"].labels)
    style = {label: {"color": c, "ls": "-"} for label, c in zip(labels, OF_ORDERS, strict=True)}
    groups = {label: logs.runs("exact", label) for label in labels}
    draw_curves(path, groups, ("pass@1", "pass@128", "nll"), style=style)


def cosines(logs: Logs, path: Path) -> None:
    """How far one estimate is from the gradient of maximum likelihood, against k."""
    found = logs.measured("cosines")
    fig, axes = new_figure(len(found), sharey=True)
    for ax, (stage, methods) in zip(axes, found.items(), strict=True):
        for label, style in styles(methods).items():
            ks = [int(k) for k in methods[label]]
            apart = [[max(1 - x, 1e-5) for x in draws] for draws in methods[label].values()]
            draw_band(ax, ks, apart, label=label, **style)
        powers_of_two(ax, [k for k in ks if k in (2, 16, 256, 4096)])
        ax.set(xlabel="rollouts per prompt, k", title=stage, yscale="log")
    axes[0].set_ylabel("1 - cosine with the cross-entropy\ngradient (lower is closer)")
    save_figure(fig, path, legend_of=axes[0])


# ----------------------------------------------------------------- 2: scaling with rollouts


def scaling(logs: Logs, path: Path) -> None:
    """-log pass@k after training, against the rollouts of training."""
    ks = ks_of("scaling")
    figures = ("pass@1", "pass@128", "pass@1024")
    fig, axes = new_figure(len(figures))
    for ax, figure in zip(axes, figures, strict=True):
        for method in GROUP_METHODS:
            ends = [logs.ends("scaling", f"{method} k={k}", figure) for k in ks]
            values = [[-math.log(x) for x in v] for v in ends]
            draw_band(ax, ks, values, label=method, color=COLORS[method], marker="o", ms=4)
        base = mean(-math.log(x) for x in logs.starts("scaling", figure))
        ax.axhline(base, **BASE)
        ax.annotate("base", (ks[-1], base), (0, 3), textcoords="offset points", ha="right")
        powers_of_two(ax, ks)
        ax.set(xlabel="training rollouts per prompt, k", ylabel=f"-log held-out {figure}")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        if ax.get_ylim()[1] < 10 * ax.get_ylim()[0]:  # hardly a power of ten in sight
            ax.yaxis.set_minor_formatter("{x:g}")
    save_figure(fig, path, legend_of=axes[0])


def few(logs: Logs, path: Path) -> None:
    """Leave-one-out weights less Algorithm 1, seed by seed, where rollouts are few."""
    ks = ks_of("few")
    figures = ("pass@1", "pass@128", "pass@1024", "nll")
    fig, axes = new_figure(len(figures))
    for ax, figure in zip(axes, figures, strict=True):
        for k in ks:
            gains = gains_of_loo(logs, figure, k)
            ax.plot([k] * len(gains), gains, "o", color=COLORS["maxrl-loo"], alpha=0.5, mew=0)
            ax.plot([k], [mean(gains)], "_", color="black", ms=18, mew=2)
        ax.axhline(0, **BASE)
        powers_of_two(ax, ks)
        ax.set(xlabel="rollouts, k", title=figure + (" (nats)" if figure == "nll" else ""))
        ax.margins(x=0.15)
    axes[0].set_ylabel("maxrl-loo less maxrl\n(a point per seed, and the mean)")
    save_figure(fig, path)


# ------------------------------------------------------------------------ 3: data-scarce


def scarce(logs: Logs, path: Path) -> None:
    """Held-out figures against epochs over a few training prompts."""
    groups = {label: logs.runs("scarce", label) for label in SWEEPS["scarce"].labels}
    config = logs.heads("scarce", "ce")[0]["config"]
    per_epoch = config["train_prompts"] / config["batch_size"]
    figures = ("pass@1", "pass@32", "pass@128", "pass@1024")
    draw_curves(path, groups, figures, "epochs", per_epoch)


def histogram(logs: Logs, path: Path) -> None:
    """The training prompts by pass rate, before and after."""
    labels = list(SWEEPS["scarce"].labels)
    fig, (ax,) = new_figure(1, height=3.0)
    bars = {"base": [h["train_base"] for h in logs.heads("scarce", labels[0])]}
    bars |= {label: [h["train_final"] for h in logs.heads("scarce", label)] for label in labels}
    names = [f"{low:g} to {high:g}" for low, high in BINS]
    width = 0.8 / len(bars)
    for i, (label, seeds) in enumerate(bars.items()):
        shares = [[share(p, *b) for p in seeds] for b in BINS]
        means = [mean(s) for s in shares]
        errors = [[m - min(s) for m, s in zip(means, shares, strict=True)],
                  [max(s) - m for m, s in zip(means, shares, strict=True)]]  # fmt: skip
        x = [n + (i - (len(bars) - 1) / 2) * width for n in range(len(BINS))]
        color = COLORS.get(label, "#DDDDDD")
        ax.bar(x, means, width * 0.9, yerr=errors, label=label, color=color, ecolor="#555555")
    ax.set_xticks(range(len(BINS)), names)
    ax.set(xlabel="exact pass rate of a training prompt", ylabel="share of training prompts")
    ax.legend(frameon=False)
    save_figure(fig, path)


# ---------------------------------------------------------------- 4: test-time efficiency


def efficiency(logs: Logs, path: Path) -> None:
    """pass@k against k, and how many times fewer samples maxrl needs for what grpo reaches."""
    fig, axes = new_figure(2)
    base = [mean(logs.starts("scaling", f"pass@{k}")) for k in KS]
    axes[0].plot(KS, base, label="base", **BASE)
    for method in ("rloo", "grpo", "maxrl"):
        values = [logs.ends("scaling", f"{method} k=16", f"pass@{k}") for k in KS]
        draw_band(axes[0], KS, values, label=method, color=COLORS[method])
    axes[0].set(ylabel="held-out pass@k", xlabel="samples k at test time")
    axes[0].legend(frameon=False, loc="lower right")
    ratios = sample_ratios(logs, "grpo")
    draw_band(axes[1], list(ratios), list(ratios.values()), color=COLORS["maxrl"])
    axes[1].axhline(1, **BASE)
    axes[1].set(
        xlabel="samples K of grpo", ylabel="K / samples with which maxrl\nreaches grpo's pass@K"
    )
    axes[1].set_yscale("log")
    for ax in axes:
        powers_of_two(ax, KS[::2])
    ticks = [t for t in (0.5, 1, 2, 4, 8, 16, 32, 64) if t <= 2 * max(map(max, ratios.values()))]
    axes[1].set_yticks(ticks, [f"{t:g}x" for t in ticks])
    axes[1].minorticks_off()
    save_figure(fig, path)


# ----------------------------------------------------------------------------- 5: dynamics


def dynamics(logs: Logs, path: Path) -> None:
    """Gradient norms of single prompts, and the share of training prompts with a success."""
    fig, axes = new_figure(2)
    measured = logs.measured("gradient_norms")
    for method in ("ce", "maxrl", "grpo", "rloo"):
        norms = population_norms(method, measured["p"], measured["norm"])
        x, y = binned(measured["p"], norms)
        axes[0].plot(measured["p"], norms, ".", color=COLORS[method], ms=3, alpha=0.3)
        axes[0].plot(x, y, color=COLORS[method], lw=2, marker="o", ms=4, label=method)
    axes[0].set(xscale="logit", yscale="log", xlabel="exact pass rate p of a prompt")
    axes[0].set_xticks(P_EDGES[::2], [f"{p:g}" for p in P_EDGES[::2]])
    axes[0].minorticks_off()
    axes[0].set(xlim=(P_EDGES[0], P_EDGES[-1]), ylim=(0.02, None))
    axes[0].set_ylabel("norm of its expected gradient, k = 16")
    for method in ("maxrl", "grpo", "rloo"):
        runs = logs.runs("scarce", method)
        steps = [row["step"] for row in runs[0][1:]]
        values = [[rows[i]["live"] for rows in runs] for i in range(1, len(runs[0]))]
        draw_band(axes[1], steps, values, color=COLORS[method], label=method)
    axes[1].set(xlabel="training steps (256 fixed prompts, k = 16)")
    axes[1].set_ylabel("share of prompts with at least\none success in 16")
    for ax in axes:
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)
    save_figure(fig, path)


def binned(p: Sequence[float], y: Sequence[float]) -> list[list[float]]:
    """Means of p, and of y (geometric), over the bins of p that hold at least five."""
    x_y: list[list[float]] = [[], []]
    for low, high in pairwise(P_EDGES):
        inside = [(a, b) for a, b in zip(p, y, strict=True) if low < a <= high]
        if len(inside) >= 5:
            x_y[0].append(mean(a for a, _ in inside))
            x_y[1].append(math.exp(mean(math.log(b) for _, b in inside)))
    return x_y


# ------------------------------------------------------------------------ 6: latent answers


def latent(logs: Logs, path: Path) -> None:
    """Where each method ended on countdown."""
    dots(logs, path, "latent", {
        "pass@1": "pass@1", "pass@16": "pass@16", "pass@128": "pass@128",
        "answers": "different right answers\nin 128, per solved prompt",
    })  # fmt: skip


def dots(
    logs: Logs,
    path: Path,
    sweep: str,
    figures: dict[str, str],
    best: dict[str, float] | None = None,
) -> None:
    """A row per label, a panel per figure: the mean, the seeds, and lines for the base (dashed) and
    for the best there is (dotted)."""
    fig, axes = new_figure(len(figures), sharey=True, height=3.2)
    labels = list(SWEEPS[sweep].labels)[::-1]
    for ax, (figure, title) in zip(axes, figures.items(), strict=True):
        for i, label in enumerate(labels):
            values = logs.ends(sweep, label, figure)
            color = COLORS.get(label.split()[0], "black")
            ax.plot([min(values), max(values)], [i, i], color=color, lw=3, alpha=0.4)
            ax.plot(values, [i] * len(values), "o", color=color, ms=4, mew=0)
            ax.plot(mean(values), i, "|", color=color, ms=16, mew=2.5)
        ax.axvline(mean(logs.starts(sweep, figure)), label="base", **BASE)
        if best and figure in best:
            ax.axvline(best[figure], color="#009E73", ls=":", lw=2, label="maximum likelihood")
        ax.set(title=title, ylim=(-0.6, len(labels) - 0.4))
        ax.grid(alpha=0.25)
    axes[0].set_yticks(range(len(labels)), labels)
    fig.legend(
        *axes[0].get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=2
    )
    save_figure(fig, path)


# ------------------------------------------------------------------------- 7: likelihoods


def likelihoods(logs: Logs, path: Path) -> None:
    """Where each ended on noisy."""
    dots(logs, path, "likelihoods", {
        "log_likelihood": "held-out log E[l] (nats)",
        "mse": "squared error of the mean\nof the numbers written",
        "spread": "spread of the numbers written",
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


FIGURES: dict[int, tuple[Callable[[Logs, Path], None], ...]] = {
    0: (),
    1: (convergence, exact, cosines),
    2: (scaling, few),
    3: (scarce, histogram),
    4: (efficiency,),
    5: (dynamics,),
    6: (latent,),
    7: (likelihoods, two_effects),
    8: (weights, series),
}


def draw(logs: Logs, folder: Path, number: int) -> list[Path]:
    """The figures of an experiment; their files are named after the functions here."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{function.__name__.replace('_', '-')}.png" for function in FIGURES[number]]
    for function, path in zip(FIGURES[number], paths, strict=True):
        function(logs, path)
    return paths
