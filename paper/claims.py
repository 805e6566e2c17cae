"""What the experiments found: a sentence for each comparison, true whichever way the logs fall.

    for f in findings(Logs()): print(f.sentence, f.start, f.effect, f.seeds)

Left out: the rules (rules.py), the tables and figures of an experiment (tables.py, figures.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean

import torch

from paper.logs import KS, Logs, ready, samples_for
from paper.measure import expected_weight
from paper.rules import (
    MARGIN,
    Convergence,
    Interval,
    convergence,
    distance,
    holm,
    interval,
    of_ratio,
    say,
)
from paper.sweeps import BASES, EXPERIMENTS, ORDERS, POOLS, ROLLOUTS

NAMES = {"maxrl": "MaxRL", "grpo": "GRPO", "rloo": "RLOO", "reinforce": "REINFORCE",
         "maxrl-raw": "MaxRL without its baseline", "ce": "cross-entropy", "tailrl": "TailRL",
         "maxrl-loo": "log E[l] (`maxrl-loo`)"}  # fmt: skip
SPOKEN = {"answers": "the number of different right answers", "log_likelihood": "log E[l]",
          "log_tail": "mean log P(l > threshold)"}  # fmt: skip
Side = tuple[str, str]  # a sweep and a label
FAMILY = (  # claims that are corrected together; with eight seeds no more than six can survive
    "default, over RLOO", "default, over GRPO", "convergence", "fresh, over GRPO",
    "fresh, more rollouts", "countdown, over GRPO",
)  # fmt: skip
COVERED = 0.99  # share of test problems that are to be solved at least once
HARD = 0.1  # pass rate below which a prompt counts as hard


@dataclass(frozen=True)
class Finding:
    """A row of the table of findings."""

    experiment: int
    sentence: str
    start: str  # the pass rate of the base, and k
    effect: str
    seeds: str
    name: str = ""  # in FAMILY
    p: float = 1.0
    chief: bool = False  # README.md has it too


def findings(logs: Logs) -> list[Finding]:
    """Of the experiments that are there, in their order."""
    return [f for n in EXPERIMENTS if n in FINDINGS and ready(logs, n) for f in FINDINGS[n](logs)]


def corrected(found: Sequence[Finding]) -> dict[str, float]:
    """name -> Holm's p of the claims of the family; what has not been run counts as p = 1."""
    return holm(dict.fromkeys(FAMILY, 1.0) | {f.name: f.p for f in found if f.name})


def base(logs: Logs, sweep: str) -> str:
    """The mean pass rate at the start."""
    return f"p = {mean(logs.starts(sweep, 'pass@1')):.2g}"


def compared(a: str, b: str, figure: str, sign: int, where: str = "") -> str:
    """'MaxRL ends above GRPO in pass@1', or below, or that they cannot be told apart."""
    spoken = SPOKEN.get(figure, figure)
    if not sign:
        return f"{a} and {b} cannot be told apart in {spoken}{where or ' at the end'}"
    if figure == "nll":
        return f"{a} ends with a {'lower' if sign < 0 else 'higher'} nll than {b}"
    verb = "is" if where else "ends"
    return f"{a} {verb} {'above' if sign > 0 else 'below'} {b} in {spoken}{where}"


def agreeing(v: Interval) -> str:
    """On how many seeds the effect has the sign of its estimate."""
    return f"{v.above if v.centre > 0 else v.n - v.above} of {v.n}"


def pair(
    logs: Logs, number: int, ours: Side, theirs: Side, figure: str, start: str, at_equal: bool = False,
    names: tuple[str, str] | None = None, **more: object,
) -> Finding:  # fmt: skip
    """Who is ahead, at the end or at equal pass@1."""
    a, b = names or (NAMES[ours[1].split()[0]], NAMES[theirs[1].split()[0]])
    if not at_equal:
        v: Interval | None = logs.gap(ours, theirs, figure)
    else:
        v = logs.gap_at_equal(ours, theirs, figure)
    where = " at equal pass@1" if at_equal else ""
    if v is None:
        sentence = f"{a} and {b} have no pass@1 in common at which {figure} could be compared"
        return Finding(number, sentence, start, say(v), "", **more)  # type: ignore[arg-type]
    sentence = compared(a, b, figure, v.sign, where)
    effect = f"{SPOKEN.get(figure, figure)} {say(v)}"
    return Finding(number, sentence, start, effect, agreeing(v), p=v.p, **more)  # type: ignore[arg-type]


# ------------------------------------------------------------------------ the experiments


def of_default(logs: Logs) -> list[Finding]:
    start = f"{base(logs, 'default')}, k = 8"
    found = []
    for other in ("rloo", "grpo"):
        sides = ("default", "maxrl"), ("default", other)
        name = f"default, over {NAMES[other]}"
        found.append(pair(logs, 0, *sides, "pass@1", start, name=name, chief=True))
        found.append(pair(logs, 0, *sides, "nll", start))
    raw = ("default", "maxrl-raw"), ("default", "maxrl")
    return [*found, pair(logs, 0, *raw, "pass@1", start),
            pair(logs, 0, ("default", "maxrl"), ("default", "ce"), "pass@1", start)]  # fmt: skip


def distances(logs: Logs, label: str, figure: str = "pass@1") -> list[float]:
    """D of each seed: how far its curve is from that of its `ce`."""
    pairs = zip(logs.runs("convergence", label), logs.runs("convergence", "ce"), strict=True)
    return [distance([r[figure] for r in a], [r[figure] for r in b]) for a, b in pairs]


def convergence_of(logs: Logs) -> Convergence:
    """What the rule of experiment 1 says."""
    D = {k: distances(logs, f"maxrl k={k}") for k in ROLLOUTS["maxrl"]}
    return convergence(D, distances(logs, "ce twin"))


def lost(logs: Logs, label: str) -> list[list[int]]:
    """For each seed, the kinds of problems that 128 tries solve less than half the time, at the
    end."""
    ends = [rows[-1]["kinds"] for rows in logs.runs("convergence", label)]
    return [[i for i, (_, _, p) in enumerate(kinds) if p < 0.5] for kinds in ends]


def of_convergence(logs: Logs) -> list[Finding]:
    start = f"{base(logs, 'convergence')}, k = 16 to 16,384"
    found, n = convergence_of(logs), len(logs.seeds("convergence"))
    floor, last = distances(logs, "ce twin"), distances(logs, f"maxrl k={ROLLOUTS['maxrl'][-1]}")
    near = f"from k = {found.near[0]:,} on as near to it as can be told" if found.near else ""
    curve = "As k grows, MaxRL's learning curve"
    if found.converges:
        sentence = f"{curve} approaches that of maximum likelihood on every seed, and is {near}"
    elif near:
        sentence = (
            f"{curve} comes near that of maximum likelihood, {near}, not in order on all seeds"
        )
    else:
        sentence = f"{curve} does not come as near to that of maximum likelihood as can be told"
    means = ", ".join(f"{mean(distances(logs, f'maxrl k={k}')):.3f}" for k in ROLLOUTS["maxrl"])
    v = interval([a - b - MARGIN for a, b in zip(last, floor, strict=True)])
    seeds, k = f"{found.falling} of {n}", ROLLOUTS["grpo"][-1]
    ours, theirs = (("convergence", f"{m} k={k}") for m in ("maxrl", "grpo"))
    return [
        Finding(1, sentence, start, f"D {means}; floor {mean(floor):.3f}", seeds,
                name="convergence", p=v.p if v.sign < 0 else 1.0, chief=True),
        of_exact(logs, found.limit, floor),
        pair(logs, 1, ours, theirs, "pass@1", f"{base(logs, 'convergence')}, k = {k:,}", chief=True),
        of_lost(logs, start),
    ]  # fmt: skip


def of_exact(logs: Logs, limit: float, floor: Sequence[float]) -> Finding:
    """Whether the objective of order 1,023 is maximum likelihood for all that can be seen."""
    T = ORDERS[1]
    D = distances(logs, f"exact order={T}")
    words = "is" if interval(D).high < limit else "is not"
    near = sum(a < b + MARGIN for a, b in zip(D, floor, strict=True))
    return Finding(
        1, f"The objective of order {T:,}, ascended without sampling, {words} as near to maximum "
        "likelihood as can be told", f"{base(logs, 'convergence')}, no rollouts",
        f"D {mean(D):.3f}; floor {mean(floor):.3f}", f"{near} of {len(D)}", chief=True,
    )  # fmt: skip


def of_lost(logs: Logs, start: str) -> Finding:
    """How many seeds lose a kind of problem, by k."""
    counts = {k: sum(map(bool, lost(logs, f"maxrl k={k}"))) for k in ROLLOUTS["maxrl"]}
    least, most = counts[ROLLOUTS["maxrl"][0]], counts[ROLLOUTS["maxrl"][-1]]
    n = len(logs.seeds("convergence"))
    few, many = ROLLOUTS["maxrl"][0], ROLLOUTS["maxrl"][-1]
    return Finding(
        1, f"With k = {few} MaxRL ends without a whole kind of problem on {least} of {n} seeds, with "
        f"k = {many:,} on {most}", start, ", ".join(f"{k:,}: {c}" for k, c in counts.items()), str(n),
    )  # fmt: skip


def samples(logs: Logs, label: str) -> list[float]:
    """The samples that each seed needs to cover COVERED of the problems; more than there are counts
    as the most there are. label: of "fresh", or base."""
    curves = [
        logs.starts("fresh", f"pass@{k}") if label == "base" else logs.ends("fresh", label, f"pass@{k}")
        for k in KS
    ]  # fmt: skip
    return [min(samples_for(COVERED, seed), KS[-1]) for seed in zip(*curves, strict=True)]


def of_fresh(logs: Logs) -> list[Finding]:
    start = base(logs, "fresh")
    ours = ("fresh", "maxrl k=64")
    found = [
        pair(logs, 2, ours, ("fresh", f"{m} k=64"), "pass@1", f"{start}, k = 64",
             name=f"fresh, over {NAMES[m]}" * (m == "grpo"))
        for m in ("grpo", "rloo")
    ]  # fmt: skip
    names = ("MaxRL with 256 rollouts", "MaxRL with 16")
    sides = (("fresh", "maxrl k=256"), ("fresh", "maxrl k=16"))
    found.append(pair(logs, 2, *sides, "pass@1", f"{start}, k = 256, 16", names=names,
                      name="fresh, more rollouts", chief=True))  # fmt: skip
    for label, name in (("grpo k=64", "GRPO"), ("base", "the base")):
        ratios = zip(samples(logs, label), samples(logs, "maxrl k=64"), strict=True)
        v = of_ratio([a / b for a, b in ratios])
        how = "fewer samples than" if v.low > 1 else "more samples than" if v.high < 1 else (
            "a number of samples that cannot be told from that of")  # fmt: skip
        sentence = (
            f"To solve {COVERED:.0%} of the test problems at least once, MaxRL needs {how} {name}"
        )
        found.append(Finding(2, sentence, f"{start}, k = 64", say(v, ratio=True), agreeing_ratio(v),
                             chief=label != "base"))  # fmt: skip
    return found


def agreeing_ratio(v: Interval) -> str:
    """On how many seeds a ratio is on the same side of one as its estimate."""
    return f"{v.above if v.centre > 1 else v.n - v.above} of {v.n}"


def cells(logs: Logs, ours: str, theirs: str) -> dict[Side, Interval]:
    """(sweep, pool) -> ours minus theirs in pass@1 at the end, over the map of experiment 3."""
    return {
        (sweep, pool): logs.gap((sweep, f"{ours} pool={pool}"), (sweep, f"{theirs} pool={pool}"),
                                "pass@1")
        for sweep in BASES
        for pool in POOLS
    }  # fmt: skip


def of_border(logs: Logs) -> list[Finding]:
    found = []
    for ours, theirs in (("maxrl", "grpo"), ("maxrl", "rloo"), ("ce", "grpo")):
        parts = []
        for sweep in BASES:
            vs = [v for (name, _), v in cells(logs, ours, theirs).items() if name == sweep]
            ahead, behind = (sum(v.above == n for v in vs) for n in (vs[0].n, 0))
            parts.append(f"{ahead} ahead, {behind} behind at {base(logs, sweep)}")
        sentence = (f"{NAMES[ours]} against {NAMES[theirs]} in pass@1, on all seeds of a setting (256,"
                    " 1,024 or fresh prompts)")  # fmt: skip
        start = "three bases" + (", k = 16" if ours != "ce" else "")
        n = str(len(logs.seeds(next(iter(BASES)))))
        found.append(Finding(3, sentence, start, "; ".join(parts), n, chief=theirs == "grpo"))
    return found


def of_answers(logs: Logs) -> list[Finding]:
    found = []
    for sweep in ("countdown", "chain"):
        sides, start = ((sweep, "maxrl"), (sweep, "grpo")), f"{sweep}, {base(logs, sweep)}, k = 16"
        mine = sweep == "countdown"
        found.append(pair(logs, 4, *sides, "pass@64", start, at_equal=True, chief=mine,
                          name="countdown, over GRPO" * mine))  # fmt: skip
        found += [pair(logs, 4, *sides, figure, start) for figure in ("pass@1", "answers")]
    return found


def share_of_hard(logs: Logs, stage: str, method: str, k: int) -> list[float]:
    """For each seed, the share of the summed norms of expected gradients that lies on prompts with
    p < HARD. method: of maxrl.ADVANTAGES, or ce."""
    found = []
    for rows in logs.measured("gradients")[stage].values():
        p, norm = (torch.tensor(rows[name], dtype=torch.float64) for name in ("p", "norm"))
        w = 1 / p if method == "ce" else expected_weight(method, p.clamp(max=1 - 1e-12), k)
        size = w * p * norm
        found.append((size[p < HARD].sum() / size.sum()).item())
    return found


def of_gradients(logs: Logs) -> list[Finding]:
    found = []
    for k in (16, 1024):
        stage = "base .5"
        both = [share_of_hard(logs, stage, m, k) for m in ("maxrl", "grpo")]
        v = of_ratio([a / b for a, b in zip(*both, strict=True)])
        how = "more" if v.low > 1 else "less" if v.high < 1 else "neither more nor less"
        sentence = f"MaxRL puts {how} of its gradient on prompts with p < {HARD:g} than GRPO does"
        effect = f"{mean(both[0]):.2f} against {mean(both[1]):.2f}: {say(v, ratio=True)}"
        found.append(Finding(5, sentence, f"{stage}, k = {k:,}", effect, agreeing_ratio(v)))
    return found


def of_graded(logs: Logs) -> list[Finding]:
    compared_ = (("tailrl", "maxrl-loo", "log_tail"), ("maxrl-loo", "tailrl", "log_likelihood"),
                 ("maxrl-loo", "reinforce", "log_likelihood"))  # fmt: skip
    return [
        pair(logs, 7, ("graded", a), ("graded", b), figure, "graded rewards, k = 16")
        for a, b, figure in compared_
    ]


def of_budget(logs: Logs) -> list[Finding]:
    start, theirs = base(logs, "budget"), ("default", "maxrl")
    sides = {k: ("budget", f"maxrl k={k}") for k in (2, 32, 128)}
    return [
        pair(logs, 8, ours, theirs, "pass@1", f"{start}, k = {k}, 8",
             names=(f"With 512 rollouts a step, MaxRL with {k} for each prompt", "with 8"))
        for k, ours in sides.items()
    ]  # fmt: skip


FINDINGS: dict[int, Callable[[Logs], list[Finding]]] = {
    0: of_default,
    1: of_convergence,
    2: of_fresh,
    3: of_border,
    4: of_answers,
    5: of_gradients,
    7: of_graded,
    8: of_budget,
}
