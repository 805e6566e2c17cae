"""Which runs the figures are made of: every one is a train.py command line.

A sweep is a set of runs that start from the same weights. Learning rates are 1e-4 times powers of
two. The runs that one is chosen by have seeds of their own and look at the validation half of the
held-out problems; neither is reported. The grid is three rates, and grows where its best is at an
edge (`to_tune`). The order of SWEEPS is that in which they are run. Left out: running them
(reproduce.py). Example:

    >>> rate_text(1), to_tune({(n, s): n for n in (0, 1, 2) for s in TUNING_SEEDS[:2]}, middle=1)
    ('2e-4', [(3, 100), (3, 101)])
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

TUNING_SEEDS = (100, 101, 102)  # the third only where the first two choose different rates
MOST_RATES = 7
Tried = Mapping[tuple[int, int], float]  # (rate, tuning seed) -> where the run ended


@dataclass(frozen=True)
class Sweep:
    """Runs of one experiment. A rate n stands for 1e-4 times 2^n."""

    number: int  # of the experiment: reproduce.py --only
    flags: str  # of all runs
    quick: str  # what --quick changes in them
    labels: dict[str, str]  # label -> flags of its own
    tuned_at: dict[str, str] = field(default_factory=dict)  # label -> whose runs choose its rate
    middle: int = 0  # the rate that a grid begins with, with its neighbours
    criterion: str = "pass@1"  # held-out, that the choice is made by
    tuning: str = ""  # flags that are other for the runs it is made by
    seeds: int = 8
    rates_of: str = ""  # the sweep whose choice is taken over
    also: tuple[int, ...] = ()  # other experiments that are made from it
    figures: tuple[str, ...] = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")  # kept


def rate_text(n: int) -> str:
    """1e-4 times 2^n, as a flag has it: 2e-4, 1.6e-3."""
    mantissa, exponent = f"{1e-4 * 2.0**n:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def best_rate(tried: Tried, seeds: Iterable[int]) -> int:
    """The rate with the highest mean over these seeds; of equal ones the lowest."""
    rates = sorted({n for n, _ in tried})
    return max(rates, key=lambda n: mean(tried[n, s] for s in seeds))


def to_tune(tried: Tried, middle: int) -> list[tuple[int, int]]:
    """The (rate, seed) that are still to be run before a rate can be chosen; none at the end.

    Three rates with two seeds. While the best is at an edge, one more on that side. Then a third
    seed if the two choose different rates, and edges once more.
    """
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


def seeds_of(sweep: Sweep, quick: bool) -> range:
    """Those that are reported."""
    return range(1 if quick else sweep.seeds)


def run_name(label: str, ending: str) -> str:
    """'maxrl k=16', 's0' -> 'maxrl-k16-s0', the name of a log."""
    return f"{label.replace(' ', '-').replace('=', '')}-{ending}"


def command_line(*parts: str) -> str:
    """The flags in these parts, with one space between them."""
    return " ".join(" ".join(parts).split())


def tuning_run(sweep: Sweep, label: str, rate: int, seed: int) -> tuple[str, str]:
    """The name and the flags of a run that the learning rate of `label` is chosen by."""
    lr = rate_text(rate)
    own = f"--eval-split validation --lr {lr} --seed {seed}"
    flags = command_line(sweep.labels[label], sweep.flags, sweep.tuning, own)
    return run_name(label, f"lr{lr}-s{seed}"), flags


def reported_runs(
    sweep: Sweep, rates: Mapping[str, int], quick: bool = False, labels: Iterable[str] = ()
) -> dict[str, str]:
    """run -> flags of those that are drawn. rates: of the labels that are tuned, what was chosen.
    labels: only of these, if any."""
    runs = {}
    for label in labels or sweep.labels:
        for seed in seeds_of(sweep, quick):  # so that two at a time make two warm starts
            rate = rates.get(sweep.tuned_at.get(label, ""))
            lr = "" if rate is None else f"--lr {rate_text(rate)}"
            less = sweep.quick if quick else ""
            flags = command_line(sweep.labels[label], sweep.flags, lr, less, f"--seed {seed}")
            runs[run_name(label, f"s{seed}")] = flags
    return runs


def by_k(methods: Sequence[str], ks: Sequence[int]) -> dict[str, str]:
    """Each method at each k."""
    return {f"{m} k={k}": f"--method {m} --k {k}" for k in ks for m in methods}


def each(labels: Iterable[str]) -> dict[str, str]:
    """Every label has a rate of its own."""
    return {label: label for label in labels}


def by_method(labels: Iterable[str], at: str) -> dict[str, str]:
    """One rate for a method, chosen at its label that ends in `at`."""
    return {label: f"{label.split()[0]} {at}" for label in labels}


def by_pool(methods: Iterable[str], pools: Mapping[str, str]) -> dict[str, str]:
    """Each method on each number of training prompts."""
    own = {m: f"--method {m}" + ("" if m == "ce" else " --k 16") for m in methods}
    return {f"{m} pool={pool}": f"{own[m]} {flags}" for pool, flags in pools.items() for m in own}


def ks_of(name: str) -> list[int]:
    """The numbers of rollouts in a sweep's labels, rising."""
    return sorted({int(label.split("k=")[1]) for label in SWEEPS[name].labels if "k=" in label})


def pools_of(name: str) -> list[str]:
    """The numbers of training prompts in a sweep's labels, as they are there."""
    return list(dict.fromkeys(label.split("pool=")[1] for label in SWEEPS[name].labels))


RIVALS = ("grpo", "rloo")
GROUP_METHODS = ("maxrl-loo", "maxrl", *RIVALS)
ORDERS = (1, 2, 4, 16, 64, "inf")
EVERY_K = tuple(f"pass@{2**i}" for i in range(15))
FROM_SCRATCH = (
    "--digits 2 --reverse --n-layer 1 --n-head 4 --n-embd 64 --sft-steps 0 --batch-size 32 "
    "--steps 2000 --eval-every 25"
)
SMALL = "--n-head 4 --n-embd 64 --batch-size 64 --sft-lr 2e-3"
WARM = f"{SMALL} --sft-steps 5000"  # until the pass rate is .55
COLD = f"{SMALL} --sft-steps 5000 --sft-until 0.1"
COUNTDOWN = (
    f"--task countdown {SMALL} --sft-steps 1500 --steps 160 --eval-every 8 --eval-rollouts 64"
)
SAMPLED = ("pass@1", "pass@8", "pass@16", "pass@64", "answers", "nll")
POOLS = {"64": "--train-prompts 64 --steps 200 --eval-every 2"} | {
    n: f"--train-prompts {0 if n == 'fresh' else n} --steps 400 --eval-every 8"
    for n in ("256", "1024", "4096", "fresh")
}
FEW_POOLS = {n: f"--train-prompts {0 if n == 'fresh' else n}" for n in ("256", "1024", "fresh")}
SCALING = by_k(GROUP_METHODS, (4, 16, 64, 256))
FEW = by_k(("maxrl",), (3, 8)) | by_k(("maxrl-loo",), (3, 4, 8, 16))
FIRST = by_k(("maxrl", "grpo", "rloo", "reinforce"), (1024,)) | by_k(("maxrl",), (128, 16))
FIRST |= {"ce": "--method ce"}
BY_ORDER = {f"exact order={T}": f"--method exact --order {T}" for T in ORDERS}
ADDITION = by_pool(("maxrl", *RIVALS, "ce"), POOLS)
MANY_ANSWERS = by_pool(("maxrl", *RIVALS), FEW_POOLS)
BUDGET = {
    f"{m} k={k}": f"--method {m} --k {k} --batch-size {1024 // k}"
    for k in (2, 4, 16, 64, 256)
    for m in ("maxrl", "maxrl-loo", "rloo")
}
RELATIVES = {m: f"--method {m} --k 16" for m in ("maxrl-loo", "rft")}
RELATIVES |= {  # as many rollouts: 8 x 1280 x 16
    m: f"--method {m} --k 16 --rounds 8 --pool 1280 --eval-every 1"
    for m in ("expert-iteration", "star")
}
CHAIN = {m: f"--method {m} --k 16" for m in ("maxrl", *RIVALS)}
NOISY = {
    "maxrl-loo order=16": "--method maxrl-loo",
    "maxrl-loo order=4": "--method maxrl-loo --order 4",
    "maxrl-loo order=1": "--method maxrl-loo --order 1",
    "reinforce": "--method reinforce",
    "regression": "--method rloo --reward regression",
}

SWEEPS = {
    "scaling": Sweep(
        number=2,
        flags=f"{WARM} --steps 600 --eval-every 30",
        quick="--steps 40 --eval-every 10",
        labels=SCALING,
        tuned_at=by_method(SCALING, "k=16"),
        middle=2,
        also=(4,),
        figures=(*EVERY_K, "nll"),
    ),
    "few": Sweep(
        number=2,
        flags=f"{WARM} --steps 600 --eval-every 30",
        quick="--steps 40 --eval-every 10",
        labels=FEW,
        tuned_at=dict.fromkeys(FEW, "maxrl k=16"),  # both at the rate of maxrl
        rates_of="scaling",
    ),
    "countdown": Sweep(
        number=3,
        flags=COUNTDOWN,
        quick="--sft-steps 400 --k 4 --steps 16 --eval-prompts 50",
        labels=MANY_ANSWERS,
        tuned_at=by_method(MANY_ANSWERS, "pool=1024"),
        middle=1,
        also=(5, 6),
        figures=(*SAMPLED, "halves"),
    ),
    "scarce-hard": Sweep(
        number=3,
        flags=COLD,
        quick="--steps 16 --eval-every 4",
        labels=ADDITION,
        tuned_at=by_method(ADDITION, "pool=1024"),
        middle=1,
        seeds=4,
        figures=("pass@1", "pass@8", "pass@128", "nll", "halves"),
    ),
    "scarce-half": Sweep(
        number=3,
        flags=WARM,
        quick="--steps 16 --eval-every 4",
        labels=ADDITION,
        tuned_at=by_method(ADDITION, "pool=1024"),
        middle=0,
        seeds=4,
        figures=("pass@1", "pass@8", "pass@128", "nll", "halves"),
    ),
    "chain": Sweep(
        number=6,
        flags=f"--task chain {SMALL} --sft-steps 250 --steps 100 --eval-every 5 --eval-rollouts 64",
        quick="--sft-steps 200 --k 4 --steps 20 --eval-prompts 50",
        labels=CHAIN,
        tuned_at=each(CHAIN),
        middle=1,
        figures=SAMPLED,
    ),
    "latent": Sweep(
        number=6,
        flags=COUNTDOWN.replace("--steps 160 --eval-every 8 ", ""),
        quick="--sft-steps 400 --k 2 --eval-prompts 20",
        labels={
            m: own if "rounds" in own else f"{own} --steps 160 --eval-every 8"
            for m, own in RELATIVES.items()
        },
        tuned_at=each(RELATIVES),
        middle=1,
        seeds=4,
        figures=SAMPLED,
    ),
    "budget": Sweep(
        number=9,
        flags=f"{WARM} --steps 400 --eval-every 20",
        quick="--steps 40 --eval-every 10",
        labels=BUDGET,
        tuned_at={m: f"{m.split()[0]} k={4 if m.endswith(('=2', '=4')) else 64}" for m in BUDGET},
        middle=2,
    ),
    "convergence": Sweep(
        number=1,
        flags=FROM_SCRATCH,
        quick="--steps 200 --batch-size 8",
        labels=FIRST,
        tuned_at=each(FIRST),
        middle=3,
        tuning="--steps 1200",
        figures=("pass@1", "pass@128", "nll"),
    ),
    "exact": Sweep(
        number=1,
        flags=FROM_SCRATCH,
        quick="--steps 400",
        labels=BY_ORDER,
        tuned_at=each(BY_ORDER),
        middle=3,
        tuning="--steps 1200",
        figures=("pass@1", "pass@128", "nll"),
    ),
    "likelihoods": Sweep(
        number=7,
        flags=f"--task noisy {SMALL} --sft-steps 800 --k 16 --steps 300 --eval-every 15",
        quick="--steps 60",
        labels=NOISY,
        tuned_at=each(NOISY),
        middle=0,
        criterion="log_likelihood",
        seeds=4,
        figures=("log_likelihood", "mse", "spread", "nll"),
    ),
    "default": Sweep(
        number=0,
        flags="--eval-every 35",
        quick="--steps 70",
        labels={m: f"--method {m} --k 8" for m in ("maxrl", "rloo")},
        seeds=4,
    ),
}


def sweeps_of(number: int) -> list[str]:
    """The sweeps that an experiment is made from."""
    return [name for name, sweep in SWEEPS.items() if number in (sweep.number, *sweep.also)]
