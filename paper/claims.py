"""What the experiments found: a sentence for each comparison, true whatever the results are.

    for f in findings(Logs()): print(f.sentence, f.start, f.effect, f.seeds)

Left out: the rules (rules.py), the tables and figures of an experiment (tables.py, figures.py).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import mean

from paper.logs import KS, Logs, ready, samples_for
from paper.measure import expected_norms
from paper.rules import MARGIN, Interval, convergence, holm, interval, of_ratio, say
from paper.sweeps import BASES, EXPERIMENTS, POOLS, ROLLOUTS, SWEEPS

NAMES = {"maxrl": "MaxRL", "grpo": "GRPO", "rloo": "RLOO", "reinforce": "REINFORCE",
         "maxrl-raw": "MaxRL without its baseline", "ce": "Cross-entropy", "tailrl": "TailRL",
         "maxrl-loo": "MaxRL on likelihoods", "regression": "regression"}  # fmt: skip
SPOKEN = {"answers": "different right answers", "log_likelihood": "log E[l]",
          "log_tail": "mean log P(l > threshold)"}  # fmt: skip
FAMILY = (  # claims that are corrected together; with eight seeds no more than six can survive
    "default over RLOO", "default over GRPO", "convergence", "fresh over GRPO", "more rollouts",
    "countdown over GRPO",
)  # fmt: skip
EXACT = ("pass@1", "pass@1024", "nll")  # figures where p is exact
PAIRS = (("maxrl", "grpo"), ("maxrl", "rloo"), ("ce", "grpo"))  # of experiment 3
COVERED = 0.99  # share of test problems that are to be solved at least once
HARD = 0.2  # the share of a seed's prompts, those with the lowest pass rates, that count as hard
Side = tuple[str, str]  # a sweep and a label


@dataclass(frozen=True)
class Finding:
    """A row of the table of findings."""

    experiment: int
    sentence: str
    start: str  # the pass rate of the base, and k
    effect: str
    seeds: str
    chief: bool = False  # README.md has it too
    name: str = ""  # in FAMILY
    p: float = 1.0  # of a claim of the family; 1 if the effect is against it
    row: str = ""  # of the table of differences, if it is one
    figure: str = ""  # its column there
    is_clear: bool = False  # whether its interval leaves out zero


def findings(logs: Logs, numbers: Iterable[int] = EXPERIMENTS) -> list[Finding]:
    """The findings of those of these experiments that have been run, in order."""
    return [f for n in numbers if n in FINDINGS and ready(logs, n) for f in FINDINGS[n](logs)]


def corrected(found: Sequence[Finding]) -> dict[str, float]:
    """name -> Holm's p of the claims of the family; what has not been run counts as p = 1."""
    return holm(dict.fromkeys(FAMILY, 1.0) | {f.name: f.p for f in found if f.name})


def base(logs: Logs, sweep: str, k: str = "") -> str:
    """Where it starts: the mean pass rate (log E[l] for graded rewards), and k."""
    figure = SWEEPS[sweep].criterion
    value = f"{'p' if figure == 'pass@1' else 'log E[l]'} = {mean(logs.starts(sweep, figure)):.2g}"
    return value + (f", k = {k}" if k else "")


def agreeing(v: Interval, none: float = 0.0) -> str:
    """On how many seeds the effect is on the same side of `none` as its estimate."""
    return f"{v.above if v.centre > none else v.n - v.above} of {v.n}"


def pair(
    logs: Logs, ours: Side, theirs: Side, figure: str, k: str, names: Sequence[str] = (),
    claim: str = "",
) -> Finding:  # fmt: skip
    """Who is ahead at the end. claim: its name in FAMILY."""
    a, b = names or (NAMES[label.split()[0]] for _, label in (ours, theirs))
    v, spoken = logs.gap(ours, theirs, figure), SPOKEN.get(figure, figure)
    words = {1: f"{a} ends above {b} in {spoken}", -1: f"{a} ends below {b} in {spoken}",
             0: f"{a} and {b} cannot be told apart in {spoken} at the end"}[v.sign]  # fmt: skip
    p, chief, row = v.p if v.centre > 0 else 1.0, bool(claim), f"{a} minus {b}"
    about = words, base(logs, ours[0], k), say(v), agreeing(v), chief, claim, p, row, spoken
    return Finding(SWEEPS[ours[0]].number, *about, v.sign != 0)


def pairs(
    logs: Logs, ours: Side, theirs: Side, figures: Sequence[str], k: str,
    names: Sequence[str] = (), claim: str = "",
) -> list[Finding]:  # fmt: skip
    """The same in several figures; the claim is about the first."""
    first, *others = figures
    found = [pair(logs, ours, theirs, f, k, names) for f in others]
    return [pair(logs, ours, theirs, first, k, names, claim), *found]


def of_default(logs: Logs) -> list[Finding]:
    ours, found = ("default", "maxrl"), []
    for label, rate in (("maxrl", "its own best"), ("maxrl lr=8e-4", "its rivals' best")):
        for m in ("rloo", "grpo"):
            names = (f"MaxRL, at {rate} learning rate,", NAMES[m])
            claim = f"default over {NAMES[m]}" * (label == "maxrl")
            sides = ("default", label), ("default", m)
            found += pairs(logs, *sides, EXACT, "8", names, claim)
    for m in ("maxrl-raw", "reinforce", "ce"):
        found += pairs(logs, ("default", m), ours, EXACT, "8")
    return found


def distances(logs: Logs, label: str, figure: str = "pass@1") -> list[float]:
    """D of each seed: the mean distance in a figure, over all evaluations, from the seed's `ce`."""
    pairs = zip(logs.runs("convergence", label), logs.runs("convergence", "ce"), strict=True)
    return [mean(abs(x[figure] - y[figure]) for x, y in zip(*both, strict=True)) for both in pairs]


def lost(logs: Logs, label: str) -> list[list[int]]:
    """For each seed the kinds of problems whose pass@128 is below a half at the end."""
    ends = [rows[-1]["kinds"] for rows in logs.runs("convergence", label)]
    return [[i for i, (_, _, p) in enumerate(kinds) if p < 0.5] for kinds in ends]


def of_convergence(logs: Logs) -> list[Finding]:
    ks, floor = ROLLOUTS["maxrl"], distances(logs, "ce twin")
    D = {k: distances(logs, f"maxrl k={k}") for k in ks}
    rule, start = convergence(D, floor), base(logs, "convergence", f"{ks[0]} to {ks[-1]:,}")
    near = f"{min(rule.near, default=0):,}"
    words = (f"At k = {near} MaxRL's learning curve is indistinguishable from that of maximum"
             " likelihood, and their distance D falls with k up to there on")  # fmt: skip
    asked = f"{rule.falling} of {len(floor)} seeds, where the rule of convergence asks for all"
    words = f"MaxRL converges. {words} every seed" if rule.converges else f"{words} {asked}"
    if not rule.near:
        words = (f"Up to k = {ks[-1]:,}, MaxRL's learning curve stays farther from that of maximum"
                 " likelihood than two runs of cross-entropy are from each other")  # fmt: skip
    means = ", ".join(f"{mean(values):.3f} at {k:,}" for k, values in D.items())
    effect, seeds = f"D = {means}; twins {mean(floor):.3f}", f"{rule.falling} of {len(floor)}"
    v = interval([a - b - MARGIN for a, b in zip(D[ks[-1]], floor, strict=True)])
    p, k = v.p if v.centre < 0 else 1.0, ROLLOUTS["grpo"][-1]
    ours, theirs = (("convergence", f"{m} k={k}") for m in ("maxrl", "grpo"))
    lose = {k: sum(map(bool, lost(logs, f"maxrl k={k}"))) for k in ks}
    kinds = (f"A whole kind of problem is lost for good on {lose[ks[0]]} seeds with k = {ks[0]}, "
             f"and on {lose[ks[-1]]} with k = {ks[-1]:,}")  # fmt: skip
    losers = ", ".join(f"{n} at {k:,}" for k, n in lose.items())
    return [
        Finding(1, words, start, effect, seeds, True, "convergence", p),
        pair(logs, ours, theirs, "pass@1", f"{k:,}"),
        Finding(1, kinds, start, losers, str(len(floor))),
    ]


def samples(logs: Logs, label: str) -> list[float]:
    """The samples that each seed of a label needs to cover COVERED of the problems."""
    seeds = zip(*(logs.ends("fresh", label, f"pass@{k}") for k in KS), strict=True)
    return [samples_for(COVERED, seed) for seed in seeds]


def of_fresh(logs: Logs) -> list[Finding]:
    ours, found = {k: ("fresh", f"maxrl k={k}") for k in (16, 64, 256)}, []
    for k, side in ours.items():
        names, claim = (f"With k = {k}, MaxRL", "GRPO"), "fresh over GRPO" * (k == 64)
        found += pairs(logs, side, ("fresh", f"grpo k={k}"), EXACT, str(k), names, claim)
    names = ("MaxRL with 256 rollouts", "MaxRL with 16")
    found += pairs(logs, ours[256], ours[16], EXACT, "256, 16", names, "more rollouts")
    names = ("With k = 64, MaxRL", "RLOO")
    found += pairs(logs, ours[64], ("fresh", "rloo k=64"), EXACT, "64", names)
    for label, name in (("grpo k=64", "GRPO"), ("base", "the base")):
        v = of_ratio(samples(logs, label), samples(logs, "maxrl k=64"))
        how = comparative(v, "fewer", "more")
        words = f"To solve {COVERED:.0%} of the test problems at least once, MaxRL needs"
        words = f"{words} {how} samples per problem than {name}"
        effect, start = say(v, ratio=True), base(logs, "fresh", "64")
        found.append(Finding(2, words, start, effect, agreeing(v, 1), label != "base"))
    return found


def comparative(v: Interval, above: str, below: str) -> str:
    """The word for a ratio whose interval lies above 1, below 1, or on both sides."""
    unclear = f"neither clearly {above} nor clearly {below}"
    return above if v.low > 1 else below if v.high < 1 else unclear


def cells(logs: Logs, *methods: str) -> dict[Side, Interval]:
    """(sweep, pool) -> one method minus another in pass@1 at the end, over the map."""
    found = {}
    for sweep, pool in product(BASES, POOLS):
        ours, theirs = ((sweep, f"{m} pool={pool}") for m in methods)
        found[sweep, pool] = logs.gap(ours, theirs, "pass@1")
    return found


def of_border(logs: Logs) -> list[Finding]:
    found, seeds = [], str(len(logs.seeds(next(iter(BASES)))))
    for ours, theirs in (("maxrl", "grpo"), ("ce", "grpo"), ("maxrl", "rloo")):
        vs = cells(logs, ours, theirs)
        ahead = [sweep for (sweep, _), v in vs.items() if v.above == v.n]
        behind = [sweep for (sweep, _), v in vs.items() if v.above == 0]
        words = (f"{NAMES[ours]} is ahead of {NAMES[theirs]} in pass@1 on all seeds in {len(ahead)}"
                 f" of {len(vs)} settings, and behind in {len(behind)}")  # fmt: skip
        counts = {s: f"{ahead.count(s)} ahead, {behind.count(s)} behind" for s in BASES}
        effect = "; ".join(f"{count} from {base(logs, s)}" for s, count in counts.items())
        chief = (ours, theirs) == ("maxrl", "grpo")
        found.append(Finding(3, words, "three bases, k = 16", effect, seeds, chief))
    return found


def of_answers(logs: Logs) -> list[Finding]:
    found = []
    for task, other in product(("countdown", "chain"), ("grpo", "base")):
        names = (f"On {task}, MaxRL", NAMES.get(other, "the base"))
        claim = "countdown over GRPO" * ((task, other) == ("countdown", "grpo"))
        sides, figures = ((task, "maxrl"), (task, other)), ("pass@64", "pass@1", "answers")
        found += pairs(logs, *sides, figures, "16", names, claim)
    return found


def share_of_hard(logs: Logs, stage: str, method: str, k: int) -> list[float]:
    """For each seed, the share of the summed norms of expected gradients that lies on the hardest
    fifth of its prompts. method: of maxrl.ADVANTAGES, or ce."""
    seeds = logs.measured("gradients")[stage].values()
    sized = (expected_norms(method, rows, k) for rows in seeds)
    return [(sizes[: round(HARD * len(p))].sum() / sizes.sum()).item() for p, sizes in sized]


def of_gradients(logs: Logs) -> list[Finding]:
    found = []
    for k in (16, 1024):
        ours, theirs = (share_of_hard(logs, "default base", m, k) for m in ("maxrl", "grpo"))
        v = of_ratio(ours, theirs)
        how = comparative(v, "more", "less")
        words = f"With k = {k:,}, MaxRL puts {how} of its gradient on the hardest prompts than GRPO"
        effect = f"{mean(ours):.3f} against {mean(theirs):.3f}, {say(v, ratio=True)}"
        found.append(Finding(5, words, base(logs, "default", f"{k:,}"), effect, agreeing(v, 1)))
    return found


def of_graded(logs: Logs) -> list[Finding]:
    found = []
    for a, b in (("maxrl-loo", "reinforce"), ("maxrl-loo", "regression"), ("tailrl", "maxrl-loo")):
        sides = ("graded", a), ("graded", b)
        found += pairs(logs, *sides, ("log_likelihood", "log_tail"), "16")
    return found


def of_budget(logs: Logs) -> list[Finding]:
    theirs, found = ("default", "maxrl"), []
    for k in (2, 32, 128):
        ours, names = f"maxrl k={k}", (f"MaxRL with {k} rollouts for each prompt", "MaxRL with 8")
        found += pairs(logs, ("budget", ours), theirs, ("pass@1", "nll"), f"{k}, 8", names)
    return found


FINDINGS: dict[int, Callable[[Logs], list[Finding]]] = {
    0: of_default, 1: of_convergence, 2: of_fresh, 3: of_border, 4: of_answers, 5: of_gradients,
    7: of_graded, 8: of_budget,
}  # fmt: skip
