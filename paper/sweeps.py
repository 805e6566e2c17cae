"""Which runs the figures are made of: every one is a train.py command line.

A sweep is a set of runs that start from the same weights. All runs of one *arm*, the label up to
" k=", use one learning rate: of the same few for every arm, the one whose run ends best. That run
has a seed of its own, which is not reported; the held-out prompts are those of every run, as
train.py has them. Left out: running them (reproduce.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

TUNING_SEED = 100


@dataclass(frozen=True)
class Sweep:
    """Runs of one experiment."""

    number: int  # of the experiment: reproduce.py --only
    flags: str  # of all runs
    quick: str  # what --quick changes in them
    labels: dict[str, str]  # label -> flags of its own; of each arm, the first one is tuned
    rates: tuple[str, ...]  # learning rates to choose from; none: train.py's default
    criterion: str = "pass@1"  # held-out, that the choice is made by
    tuning: str = ""  # flags that are other for the runs it is made by
    seeds: tuple[int, ...] = (0, 1, 2)
    rates_of: str = ""  # the sweep whose choice is taken over
    also: tuple[int, ...] = ()  # other experiments whose figures are drawn from it


def arm_of(label: str) -> str:
    """'maxrl k=16' -> 'maxrl'."""
    return label.split(" k=")[0]


def arms(sweep: Sweep) -> dict[str, str]:
    """arm -> the label whose learning rate is tuned."""
    return {arm_of(label): label for label in reversed(sweep.labels)}


def seeds_of(sweep: Sweep, quick: bool) -> tuple[int, ...]:
    """Those that are reported."""
    return sweep.seeds[: 1 if quick else None]


def run_name(label: str, ending: str) -> str:
    """'maxrl k=16', 's0' -> 'maxrl-k16-s0', the name of a log."""
    return f"{label.replace(' ', '-').replace('=', '')}-{ending}"


def command_line(*parts: str) -> str:
    """The flags in these parts, with one space between them."""
    return " ".join(" ".join(parts).split())


def tuning_runs(sweep: Sweep) -> dict[str, str]:
    """run -> flags of those that learning rates are chosen by."""
    runs = {}
    for label in arms(sweep).values():
        for rate in sweep.rates:
            lr, seed = f"--lr {rate}", f"--seed {TUNING_SEED}"
            flags = command_line(sweep.labels[label], sweep.flags, sweep.tuning, lr, seed)
            runs[run_name(label, f"lr{rate}")] = flags
    return runs


def reported_runs(sweep: Sweep, rates: dict[str, str], quick: bool = False) -> dict[str, str]:
    """run -> flags of those that are drawn. rates: what was chosen for each arm, if anything."""
    runs = {}
    for label, own in sweep.labels.items():
        rate = rates.get(arm_of(label))
        lr, less = f"--lr {rate}" if rate else "", sweep.quick if quick else ""
        for seed in seeds_of(sweep, quick):
            flags = command_line(own, sweep.flags, lr, less, f"--seed {seed}")
            runs[run_name(label, f"s{seed}")] = flags
    return runs


def by_k(methods: Sequence[str], ks: Sequence[int]) -> dict[str, str]:
    """Each method at each k."""
    return {f"{m} k={k}": f"--method {m} --k {k}" for k in ks for m in methods}


def ks_of(name: str) -> list[int]:
    """The numbers of rollouts in a sweep's labels, rising."""
    return sorted({int(label.split("k=")[1]) for label in SWEEPS[name].labels if "k=" in label})


GROUP_METHODS = ("maxrl-loo", "maxrl", "maxrl-raw", "grpo", "rloo")
ORDERS = (1, 2, 4, 16, 64, "inf")
FROM_SCRATCH = (
    "--digits 2 --reverse --n-layer 1 --n-head 4 --n-embd 64 --sft-steps 0 --batch-size 32 "
    "--steps 2000 --eval-every 50"
)
SMALL = "--n-head 4 --n-embd 64 --batch-size 64 --sft-lr 2e-3"
WARM = f"{SMALL} --sft-steps 5000"
NOISY = f"--task noisy {SMALL} --sft-steps 800 --k 16 --steps 300 --eval-every 50"
LATENT = f"--task countdown {SMALL} --sft-steps 1500 --k 16"
ROLLOUTS = "--steps 100 --eval-every 50"  # 102,400 rollouts, as is
ROUNDS = "--rounds 5 --pool 1280 --epochs 2 --eval-every 5"  # this

SWEEPS = {
    "convergence": Sweep(
        number=1,
        flags=FROM_SCRATCH,
        quick="--steps 300 --batch-size 16",
        labels=by_k((*GROUP_METHODS, "reinforce"), (1024,))
        | by_k(("maxrl",), (128, 16))
        | {"ce": "--method ce"},
        rates=("1e-3", "2e-3", "4e-3"),
        tuning="--steps 1200",
    ),
    "exact": Sweep(
        number=1,
        flags=FROM_SCRATCH,
        quick="--steps 600",
        labels={f"exact order={T}": f"--method exact --order {T}" for T in ORDERS},
        rates=("1e-3", "2e-3", "4e-3"),
    ),
    "scaling": Sweep(
        number=2,
        flags=f"{WARM} --steps 600",
        quick="--steps 200",
        labels=by_k(GROUP_METHODS, (16, 4, 64, 256)),
        rates=("1e-4", "2e-4", "4e-4"),
        also=(4,),
    ),
    "few": Sweep(
        number=2,
        flags=f"{WARM} --steps 600",
        quick="--steps 100",
        labels=by_k(("maxrl", "maxrl-loo"), (3, 4, 8, 16)),
        rates=(),
        seeds=(0, 1, 2, 3, 4),
        rates_of="scaling",
    ),
    "scarce": Sweep(
        number=3,
        flags=f"{WARM} --train-prompts 256 --steps 1000",
        quick="--steps 200",
        labels={m: f"--method {m} --k 16" for m in ("maxrl", "grpo", "rloo")}
        | {"ce": "--method ce"},
        rates=("1e-4", "2e-4", "4e-4"),
        also=(5,),
    ),
    "latent": Sweep(
        number=6,
        flags=LATENT,
        quick="--sft-steps 500 --k 4 --eval-prompts 50",
        labels={
            m: f"--method {m} {ROLLOUTS}" for m in ("maxrl-loo", "maxrl", "grpo", "rloo", "rft")
        }
        | {m: f"--method {m} {ROUNDS}" for m in ("expert-iteration", "star")},
        rates=("1e-4", "2e-4", "4e-4"),
    ),
    "likelihoods": Sweep(
        number=7,
        flags=NOISY,
        quick="--steps 100",
        labels={
            "maxrl-loo order=16": "--method maxrl-loo",
            "maxrl-loo order=4": "--method maxrl-loo --order 4",
            "maxrl-loo order=1": "--method maxrl-loo --order 1",
            "reinforce": "--method reinforce",
            "regression": "--method rloo --reward regression",
        },
        rates=("1e-4", "2e-4", "4e-4"),
        criterion="log_likelihood",
    ),
    "default": Sweep(
        number=0,
        flags="",
        quick="--steps 60",
        labels={m: f"--method {m} --k 8" for m in ("maxrl", "rloo")},
        rates=(),
    ),
}
