"""Which runs the figures are made of: every one is a train.py command line.

A sweep is a set of runs that start from the same weights. Learning rates are 1e-4 times powers of
two. The runs by which a rate is chosen have seeds of their own and look at the validation half of
the held-out problems; neither is reported. The grid starts with three rates and grows where its
best is at an edge (`to_tune`). SWEEPS are run in order. Left out: running them (reproduce.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

TUNING_SEEDS = (100, 101, 102)  # the third only where the first two choose different rates
MOST_RATES = 7
EVERY_RATE = range(-10, 11)  # of which a grid is a part
Tried = Mapping[tuple[int, int], float]  # (rate, tuning seed) -> where the run ended


@dataclass(frozen=True)
class Sweep:
    """Runs of one experiment. A rate n stands for 1e-4 times 2^n."""

    number: int  # of the experiment: reproduce.py --only
    flags: str  # of all runs
    quick: str  # what --quick changes in them
    labels: dict[str, str]  # label -> flags of its own
    tuned_at: dict[str, str] = field(default_factory=dict)  # label -> whose runs choose its rate
    middle: int = 3  # a grid begins with this rate and its neighbours
    criterion: str = "pass@1"  # held-out, by which the choice is made
    seeds: range = range(8)
    figures: tuple[str, ...] = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")  # kept


def rate_text(n: int) -> str:
    """1e-4 times 2^n, as a flag is written: 2e-4, 1.6e-3."""
    mantissa, exponent = f"{1e-4 * 2.0**n:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def best_rate(tried: Tried, seeds: Iterable[int]) -> int:
    """The rate with the highest mean over these seeds; the lowest of equal ones."""
    rates = sorted({n for n, _ in tried})
    return max(rates, key=lambda n: mean(tried[n, s] for s in seeds))


def to_tune(tried: Tried, middle: int) -> list[tuple[int, int]]:
    """The (rate, seed) pairs that are still to be run before a rate can be chosen, none at the end:
    three rates with two seeds; while the best is at an edge, one more on that side; then a third
    seed if the two choose different rates, and edges once more."""
    rates = sorted({n for n, _ in tried} | {middle - 1, middle, middle + 1})
    seeds = [s for s in TUNING_SEEDS if s in {s for _, s in tried} | set(TUNING_SEEDS[:2])]
    missing = [(n, s) for n in rates for s in seeds if (n, s) not in tried]
    if missing:
        return missing
    best = best_rate(tried, seeds)
    if best in (rates[0], rates[-1]) and len(rates) < MOST_RATES:
        beyond = best - 1 if best == rates[0] else best + 1
        return [(beyond, s) for s in seeds]
    if len(seeds) == 2 and len({best_rate(tried, [s]) for s in seeds}) == 2:
        return [(n, TUNING_SEEDS[2]) for n in rates]
    return []


def each(labels: Iterable[str]) -> dict[str, str]:
    """Every label has a rate of its own."""
    return {label: label for label in labels}


def by_k(methods: Sequence[str], ks: Sequence[int]) -> dict[str, str]:
    """Each method at each k."""
    return {f"{m} k={k}": f"--method {m} --k {k}" for k in ks for m in methods}


RIVALS = ("grpo", "rloo")
EVERY_K = tuple(f"pass@{2**i}" for i in range(15))
LARGER = "--n-layer 2 --n-head 4 --n-embd 64 --sft-lr 2e-3 --batch-size 64"  # for long answers
SIX = {m: f"--method {m} --k 8" for m in ("maxrl", "rloo", "grpo", "reinforce", "maxrl-raw")}
SIX["ce"] = "--method ce"
# The default learning rate is the best for rloo, grpo and reinforce; that of maxrl is higher.
SEVEN = SIX | {"maxrl lr=8e-4": "--method maxrl --k 8 --lr 8e-4"}
ROLLOUTS = {"maxrl": (16, 128, 1024, 4096, 16384), "grpo": (1024,)}
ORDERS = (255, 1023, 4095)
SCRATCH = "--sft-steps 0 --batch-size 32 --steps 1000 --eval-every 25"
AT_ONE_RATE = {  # at which `ce` learns best on tuning seeds
    "ce": "--method ce",
    # One pass over 1000 x 32 prompts of a draw of its own, from the same distribution.
    "ce twin": "--method ce --train-prompts 32000",
    **{f"exact order={T}": f"--method exact --order {T}" for T in ORDERS},
    **by_k(("maxrl",), ROLLOUTS["maxrl"]),
}
GRPO_FROM_SCRATCH = by_k(("grpo",), ROLLOUTS["grpo"])
FRESH = by_k(("maxrl", *RIVALS), (16, 64, 256)) | {"ce": "--method ce"}
POOLS = {"256": 256, "1024": 1024, "fresh": 0}
BORDER = {
    f"{m} pool={pool}": f"--method {m} --train-prompts {n}" + " --k 16" * (m != "ce")
    for pool, n in POOLS.items()
    for m in ("maxrl", *RIVALS, "ce")
}
BASES = {"border-01": 0.01, "border-10": 0.1, "border-50": 0.5}
COUNTDOWN = f"--task countdown {LARGER} --sft-steps 1500 --eval-rollouts 64"
STEPS = "--k 16 --steps 160 --eval-every 16"
MANY = {m: f"--method {m} {STEPS}" for m in ("maxrl", *RIVALS)}
RELATIVES = {"rft": f"--method rft {STEPS}"}
RELATIVES |= {  # as many rollouts: 8 x 1280 x 16 = 160 x 64 x 16
    m: f"--method {m} --k 16 --rounds 8 --pool 1280" for m in ("expert-iteration", "star")
}
CHAIN = {m: f"--method {m} --k 16" for m in ("maxrl", "grpo")}
GRADED = {m: f"--method {m}" for m in ("maxrl-loo", "tailrl", "reinforce")}
GRADED["regression"] = "--method rloo --reward regression"
BUDGET = 512  # rollouts a step, as the default's 64 prompts x 8
BUDGETED = {
    f"{m} k={k}": f"--method {m} --k {k} --batch-size {BUDGET // k}"
    for k in (2, 32, 128)
    for m in (("maxrl", "rloo") if k > 2 else ("maxrl",))  # at k = 2 the two are the same
}
SAMPLED = ("pass@1", "pass@16", "pass@64", "answers", "nll")
BEST_OF = ("best@1", "best@8", "best@64")

OF_SIX = "--steps 80 --eval-every 10"  # --quick
OF_SCRATCH = "--steps 20 --batch-size 4 --eval-every 2"
OF_COUNTDOWN = "--sft-steps 400 --k 4 --steps 16 --eval-every 2 --eval-prompts 50"
OF_CHAIN = "--sft-steps 200 --k 4 --steps 20 --eval-every 2 --eval-prompts 50"
ON_CHAIN = f"--task chain {LARGER} --steps 100 --eval-every 10 --eval-rollouts 64"
ON_NOISY = f"--task noisy {LARGER} --sft-steps 800 --k 16 --steps 300 --eval-every 15"
FROM_SCRATCH = {m: f"{own} --lr 1.6e-3" for m, own in AT_ONE_RATE.items()} | GRPO_FROM_SCRATCH
AT_1024 = {label: f"{label.split()[0]} pool=1024" for label in BORDER}

SWEEPS = {
    "default": Sweep(0, "", OF_SIX, SEVEN, each(SIX)),
    "convergence": Sweep(
        1, SCRATCH, OF_SCRATCH, FROM_SCRATCH, each(GRPO_FROM_SCRATCH), seeds=range(8, 16),
        figures=("pass@1", "pass@128", "nll", "kinds"),
    ),
    "fresh": Sweep(2, "--eval-every 40", OF_SIX, FRESH, each(FRESH), figures=(*EVERY_K, "nll")),
    **{
        name: Sweep(3, f"--sft-until {p} --steps 400 --eval-every 20", "--steps 20 --eval-every 2",
                    BORDER, AT_1024, seeds=range(4))
        for name, p in BASES.items()
    },
    "countdown": Sweep(4, COUNTDOWN, OF_COUNTDOWN, MANY, each(MANY), 2, figures=SAMPLED),
    "relatives": Sweep(
        4, COUNTDOWN, "--sft-steps 400 --k 2 --eval-prompts 20", RELATIVES, each(RELATIVES), 2,
        seeds=range(4), figures=SAMPLED,
    ),
    "chain": Sweep(4, ON_CHAIN, OF_CHAIN, CHAIN, each(CHAIN), 2, figures=SAMPLED),
    "graded": Sweep(
        7, ON_NOISY, "--steps 60 --eval-every 5", GRADED, each(GRADED), -1,
        "log_likelihood", figures=("log_likelihood", "log_tail", *BEST_OF),
    ),
    "budget": Sweep(8, "--eval-every 40", OF_SIX, BUDGETED, each(BUDGETED)),
}  # fmt: skip
EXPERIMENTS = range(9)


def sweeps_of(number: int) -> list[str]:
    """The sweeps of an experiment."""
    return [name for name, sweep in SWEEPS.items() if sweep.number == number]
