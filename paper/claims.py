"""The claims of the paper, and a few of ours: what is compared to settle each.

    for claim in claims(Logs(RESULTS)): print(claim.text, *claim.judged())

A claim is one comparison, so that its verdict is one interval. Left out: the rules (verdicts.py).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from paper.logs import Logs, binned_norms, fewer_samples, gains_of_loo, gap, steps_to
from paper.sweeps import RIVALS
from paper.verdicts import OPEN, of_difference, of_equality, of_order, of_ratio, said

NAMES = {"grpo": "GRPO", "rloo": "RLOO", "reinforce": "REINFORCE"}
HARD_AND_OTHERS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # bins of pass rates
Judged = tuple[str, str]  # the verdict, and what was compared


@dataclass(frozen=True)
class Claim:
    """A sentence that is true or not, the experiment that says so, and how."""

    experiment: int
    text: str
    judged: Callable[[], Judged]
    chief: bool = False  # one that README.md has too


def by_gap(logs: Logs, sweep: str, ours: str, theirs: str, figure: str, how: str) -> Judged:
    """Is the figure of `ours` higher, at the end or at equal pass@1?"""
    v = gap(logs, sweep, ours, theirs, figure, how)
    where = {"end": "at the end", "equal": "at equal pass@1"}[how]
    return v.word, f"{figure} {where}: {said(v)}"


def by_equality(logs: Logs, sweep: str, ours: str, theirs: str, figure: str) -> Judged:
    """Do they end at the same figure?"""
    a, b = (logs.ends(sweep, label, figure) for label in (ours, theirs))
    v = of_equality([x - y for x, y in zip(a, b, strict=True)])
    return v.word, f"{figure} at the end: {said(v)}"


def by_steps(logs: Logs, sweep: str, sooner: str, later: str, target: float) -> Judged:
    """Does `sooner` get to this pass@1 first?"""
    a, b = ([steps_to(rows, target) for rows in logs.runs(sweep, m)] for m in (sooner, later))
    steps = [[math.inf if x is None else x for x in side] for side in (a, b)]
    wins = sum(x < y for x, y in zip(*steps, strict=True))
    ties = sum(x == y for x, y in zip(*steps, strict=True))
    tied = f", {ties} tied" if ties else ""
    return of_order(a, b), f"steps to pass@1 {target:g}: sooner on {wins} of {len(a)} seeds{tied}"


def by_samples(logs: Logs, k: int, other: str, K: int) -> Judged:
    """Does maxrl need fewer samples than `other` with K?"""
    ratios = fewer_samples(logs, k, other, K)
    found = [r for r in ratios if r]
    if len(found) < len(ratios):
        return OPEN, f"K = {K:,}, k = {k}: a factor on {len(found)} of {len(ratios)} seeds"
    v = of_ratio(found)
    return v.word, f"K = {K:,}, k = {k}: {said(v, ratio=True)} fewer"


def by_loo(logs: Logs, k: int, figure: str) -> Judged:
    """Does maxrl-loo end higher than maxrl at the rate of maxrl?"""
    v = of_difference(gains_of_loo(logs, figure, k))
    return v.word, f"{figure} at the end, k = {k}: {said(v)}"


def hardness(logs: Logs, stage: str, method: str) -> list[float]:
    """For each seed: the norm of the expected gradient where p < .1, over the largest of the other
    bins of p. Exact norms: root mean squares of w(p) |grad p|."""
    found = []
    for rows in logs.measured("gradients")[stage].values():
        hard, *others = binned_norms(rows, method, False, HARD_AND_OTHERS)
        found.append(hard / max(x for x in others if not math.isnan(x)))
    return found


def by_hardness(logs: Logs, stage: str) -> Judged:
    """Is it above one?"""
    v = of_ratio(hardness(logs, stage, "maxrl"))
    return v.word, f"{stage}: p < .1 over the largest other bin {said(v, ratio=True)}"


def by_relative_hardness(logs: Logs, stage: str, other: str) -> Judged:
    """Is it above that of another method?"""
    both = zip(hardness(logs, stage, "maxrl"), hardness(logs, stage, other), strict=True)
    v = of_ratio([a / b for a, b in both])
    return v.word, f"{stage}: the same ratio, over that of {other} {said(v, ratio=True)}"


def claims(logs: Logs) -> list[Claim]:
    """In the order of the experiments."""
    parts = [first_claims, fresh_claims, scarce_claims, sample_claims, gradient_claims]
    parts += [latent_claims, budget_claims]
    return [claim for part in parts for claim in part(logs)]


def first_claims(logs: Logs) -> list[Claim]:
    top, sweep = "maxrl k=1024", "convergence"
    end = partial(by_gap, logs, sweep, figure="pass@1", how="end")
    steps = partial(by_steps, logs, sweep)
    sooner = [
        Claim(1, f"Where p starts near 0, MaxRL gets going before {NAMES[m]}",
              partial(steps, top, f"{m} k=1024", 0.5), chief=m == "rloo")
        for m in ("reinforce", "rloo", "grpo")
    ]  # fmt: skip
    without = partial(by_steps, logs, "exact", "exact order=inf", "exact order=1", 0.5)
    return [
        Claim(1, "With 1,024 rollouts MaxRL ends where maximum likelihood does",
              partial(by_equality, logs, sweep, top, "ce", "pass@1"), chief=True),
        Claim(1, "Cross-entropy gets to .9 before MaxRL does", partial(steps, "ce", top, 0.9)),
        *sooner,
        Claim(1, "Without sampling noise, maximum likelihood before expected reward", without),
        Claim(1, "More rollouts, a better objective: MaxRL ends higher with 1,024 than 128",
              partial(end, top, "maxrl k=128"), chief=True),
        Claim(1, "MaxRL ends higher with 128 rollouts than with 16",
              partial(end, "maxrl k=128", "maxrl k=16")),
        Claim(1, "MaxRL is sooner with 1,024 rollouts than with 128",
              partial(steps, top, "maxrl k=128", 0.9)),
    ]  # fmt: skip


def fresh_claims(logs: Logs) -> list[Claim]:
    rows = [
        Claim(2, f"On fresh data MaxRL is ahead of {NAMES[m]} in {figure}, k = 64",
              partial(by_gap, logs, "scaling", "maxrl k=64", f"{m} k=64", figure, how),
              chief=m == "grpo")
        for figure, how in (("pass@1", "end"), ("pass@1024", "equal"))
        for m in RIVALS
    ]  # fmt: skip
    text = "Ours: with {k} rollouts `maxrl-loo` is better than `maxrl`, "
    loo = [
        Claim(2, text.format(k=k) + "at the rate of `maxrl`",
              partial(by_loo, logs, k, "pass@1024"), chief=k == 4)
        for k in (3, 4, 16)
    ]  # fmt: skip
    for k in (4, 16):
        compared = (f"maxrl-loo k={k}", f"maxrl k={k}", "pass@1024", "end")
        judged = partial(by_gap, logs, "scaling", *compared)
        loo.append(Claim(2, text.format(k=k) + "each at its own rate", judged))
    return rows + loo


def scarce_claims(logs: Logs) -> list[Claim]:
    compare = partial(by_gap, logs, "countdown")
    return [
        Claim(3, f"On {pool} prompts of countdown MaxRL is ahead of {NAMES[m]} in {figure}",
              partial(compare, f"maxrl pool={pool}", f"{m} pool={pool}", figure, how),
              chief=(m, pool, how) == ("grpo", "256", "equal"))
        for pool in ("256", "1024")
        for figure, how in (("pass@1", "end"), ("pass@64", "equal"))
        for m in RIVALS
    ]  # fmt: skip


def sample_claims(logs: Logs) -> list[Claim]:
    return [
        Claim(4, f"At test time MaxRL needs fewer samples than the {K:,} of {name}",
              partial(by_samples, logs, 16, other, K), chief=K == 128)
        for other, name in (("grpo", "GRPO"), ("base", "the base"))
        for K in (8, 128, 1024)
    ]  # fmt: skip


def gradient_claims(logs: Logs) -> list[Claim]:
    stages = ("base pass rate .1", "base pass rate .55")
    rows = [
        Claim(
            5,
            f"Its gradient is largest on the hard prompts, {stage}",
            partial(by_hardness, logs, stage),
            chief=stage == stages[1],
        )
        for stage in stages
    ]
    rows += [
        Claim(5, f"Its gradient lies more on hard prompts than that of {NAMES[m]}",
              partial(by_relative_hardness, logs, stages[1], m))
        for m in RIVALS
    ]  # fmt: skip
    return rows + [
        Claim(5, f"More of the training prompts have a success than with {NAMES[m]}",
              partial(by_gap, logs, "countdown", "maxrl pool=256", f"{m} pool=256", "live", "end"),
              chief=m == "grpo")
        for m in RIVALS
    ]  # fmt: skip


def latent_claims(logs: Logs) -> list[Claim]:
    places = {"countdown": " pool=fresh", "chain": ""}
    return [
        Claim(6, f"It sharpens less than {NAMES[m]} on {sweep}: {what}",
              partial(by_gap, logs, sweep, f"maxrl{suffix}", f"{m}{suffix}", figure, how),
              chief=(m, sweep, how) == ("grpo", "countdown", "equal"))
        for sweep, suffix in places.items()
        for figure, how, what in (("pass@64", "equal", "more prompts stay within reach"),
                                  ("answers", "end", "more right answers"))
        for m in RIVALS
    ]  # fmt: skip


def budget_claims(logs: Logs) -> list[Claim]:
    compare = partial(by_gap, logs, "budget", how="end")
    return [
        Claim(9, f"Ours: of 1,024 rollouts a step, {a} for a prompt are better than {b}: {figure}",
              partial(compare, f"maxrl-loo k={a}", f"maxrl-loo k={b}", figure),
              chief=(a, figure) == (4, "pass@1"))
        for a, b in ((4, 16), (64, 16))
        for figure in ("pass@1", "pass@1024")
    ]  # fmt: skip
