"""What a run is a function of: every flag of train.py, and which of them go together.

`Config` is the one list of settings. The command line, config.json, the checkpoint and the hash of
the warm start are all made from it, so a new flag is a new line here. Wrong use is a UsageError:
one line that says what to do, exit status 2. Example:

    >>> config, resume, overwrite = parse_args(["--method", "grpo", "--k", "16"])
    >>> config.method, config.k, config.task
    ('grpo', 16, 'addition')
"""

import argparse
import math
import os
import re
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import torch

import graded
import maxrl
from data import TASKS, Task, check_task, make_task, task_class
from data.tokenizer import VOCAB_SIZE
from harness import checkpoint, own_method
from harness.checkpoint import CheckpointError
from model import ModelConfig

SELF_TRAINING = ("expert-iteration", "star")
LIKELIHOOD = ("ce", "exact")  # these differentiate the likelihood itself: no rollouts
METHODS = (*maxrl.ADVANTAGES, *SELF_TRAINING, *LIKELIHOOD)
OF_ROUNDS = ("rounds", "pool", "epochs")  # the flags of SELF_TRAINING
NOT_OF_ROUNDS = ("steps", "order", "warmup", "micro_batch")  # and what they have no use for
OF_TASKS = ("digits", "reverse", "noise", "sigma", "reward")  # the flags that only some tasks take
TAKE_LIKELIHOODS = ("maxrl-loo", "reinforce", "rloo", "tailrl")
EVAL_SPLITS = ("test", "validation")
DEVICES = ("auto", "cuda", "mps", "cpu")


def flag(default: Any, help: str, **options: Any) -> Any:
    """A field that is also a command-line flag; `options` go to argparse."""
    return field(default=default, metadata={"help": help} | options)


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """An argparse type: a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        value = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {low} and at most {high}, not {text}"
            )
        return value

    return parse


def positive(text: str) -> float:
    """An argparse type: a number above 0 that is not absurd."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"must be a positive number up to 1e6, not {text}")
    return value


def width(text: str) -> float:
    """An argparse type: a standard deviation whose square is no trouble."""
    if not 1e-3 <= (value := positive(text)) <= 1e4:
        raise argparse.ArgumentTypeError(f"must be from 0.001 to 10000, not {text}")
    return value


def method_type(text: str) -> str:
    """An argparse type: a name, or a function in a file."""
    if text not in METHODS and not own_method.is_own(text):
        names = ", ".join(METHODS)
        raise argparse.ArgumentTypeError(f"must be FILE.py:FUNCTION or one of {names}, not {text}")
    return text


def order_type(text: str) -> float:
    """An argparse type: the order of an objective."""
    return math.inf if text == "inf" else whole(1)(text)


@dataclass
class Config:
    """Everything that a run is a function of. Flags are these names with dashes."""

    method: str = flag(
        "maxrl",
        f"estimator or loss: {', '.join(METHODS)}, or FILE.py:FUNCTION of (r, mean, k)",
        type=method_type,
        metavar="NAME",
    )
    k: int = flag(8, "rollouts per prompt (the paper's N)", type=whole(1))
    order: float | None = flag(
        None, "order T of maxrl-loo, passk (1..k, default k), exact (default inf)", type=order_type
    )
    task: str = flag("addition", "what to learn", choices=TASKS)
    digits: int = flag(2, "longest operand, in digits", type=whole(1))
    reverse: bool = flag(True, "the model writes answers right to left, as one adds on paper")
    steps: int = flag(800, "training steps after the warm start", type=whole(0))
    batch_size: int = flag(64, "prompts per step", type=whole(1))
    lr: float = flag(8e-4, "learning rate, constant after its warm-up", type=positive)
    warmup: int = flag(10, "steps over which the learning rate rises to its value", type=whole(0))
    grad_clip: float = flag(1.0, "longest gradient that is applied as it is", type=positive)
    micro_batch: int = flag(
        1024, "rollouts per backward pass: memory, not mathematics", type=whole(1)
    )
    reward: str = flag(
        "likelihood", "of noisy: l, or -(y-z)^2", choices=("likelihood", "regression")
    )
    sigma: float = flag(2.0, "of noisy: width of the likelihood", type=width)
    noise: float | None = flag(
        None, "of noisy: standard deviation of the target (default 2 sigma)", type=width
    )
    rounds: int = flag(8, "of expert-iteration and star, in place of --steps", type=whole(0))
    pool: int = flag(1024, "of the same: prompts sampled in a round", type=whole(1))
    epochs: int = flag(2, "of the same: passes over a round's successes", type=whole(1))
    train_prompts: int = flag(
        0, "train on this many fixed prompts, for epochs (0: fresh ones every step)", type=whole(0)
    )
    sft_steps: int = flag(
        3000, "warm-start steps by cross-entropy at most, 0: from scratch", type=whole(0)
    )
    sft_until: float = flag(
        0.04, "pass rate at which the warm start stops, 1: never", type=positive
    )
    sft_batch_size: int = flag(128, "demonstrations per warm-start step", type=whole(1))
    sft_lr: float = flag(2e-3, "learning rate of the warm start", type=positive)
    init: str | None = flag(None, "start from this checkpoint instead of a warm start")
    n_layer: int = flag(1, "transformer blocks", type=whole(1, 1000))
    n_head: int = flag(4, "attention heads", type=whole(1, 1000))
    n_embd: int = flag(64, "width", type=whole(1, 2**15))
    seed: int = flag(0, "of everything random", type=whole(0))
    device: str = flag("auto", "auto takes the first of cuda, mps, cpu there is", choices=DEVICES)
    threads: int = flag(
        1, "CPU threads (default 1, or OMP_NUM_THREADS); bits depend on it", type=whole(1, 1024)
    )
    bf16: bool = flag(False, "compute in bfloat16 (CUDA only)")
    eval_every: int = flag(100, "steps between evaluations", type=whole(1))
    eval_prompts: int = flag(1000, "held-out prompts in an evaluation", type=whole(1))
    eval_split: str = flag(
        "test", "half they are from; choose settings by validation", choices=EVAL_SPLITS
    )
    eval_rollouts: int = flag(
        128, "rollouts of each held-out prompt, where p is not exact", type=whole(1, 10**6)
    )
    out: str | None = flag(None, "folder of the run (default runs/<task>-<method>-k<k>-s<seed>)")
    table: own_method.Table | None = None  # not a flag: what --method FILE.py:FUNCTION computes

    def __post_init__(self) -> None:
        """What follows from other settings: where a step is a round, --rounds says how many."""
        self.noise = 2 * self.sigma if self.noise is None else self.noise
        if self.method in SELF_TRAINING:
            self.steps = self.rounds


DESCRIPTION = """Train a small transformer on arithmetic by MaxRL or one of its relatives.

    python train.py --method maxrl --k 8

Some tasks (chain, countdown, noisy) have defaults of their own, which config.json records.
Reading order: README.md."""
EXAMPLES = """examples:
  python train.py --method maxrl-loo --k 8 --order 4        # any order up to k, exactly
  python train.py --method mine.py:formula                  # a function of yours
  python train.py --method exact --order 1                  # REINFORCE, k = infinity
  python train.py --method exact --order inf                # is cross-entropy
  python train.py --task subtraction --digits 3 --no-reverse
  python train.py --digits 3 --no-reverse --n-layer 2 --n-head 5 --n-embd 160 --sft-until 0.55 \\
                  --batch-size 128 --lr 5e-5                # most is solved already: RLOO is level
  python train.py --task noisy --method rloo --sigma 1 --noise 3
  python train.py --task countdown --method expert-iteration --k 16 --rounds 8 --pool 2400
  python train.py --steps 1000 --batch-size 64 --lr 1e-4 --warmup 20 --grad-clip 0.5
  python train.py --k 1024 --micro-batch 256                # the same gradient in less memory
  python train.py --train-prompts 500                       # 500 fixed prompts, for epochs
  python train.py --sft-steps 0                             # from scratch
  python train.py --sft-steps 2000 --sft-until 0.8          # a longer warm start
  python train.py --init runs/addition-ce-k8-s0             # from a checkpoint
  python train.py --n-layer 4 --n-head 4 --n-embd 128 --seed 1
  python train.py --device cuda --bf16
  python train.py --eval-every 20 --eval-prompts 5000
  python train.py --out runs/mine                           # --overwrite replaces it
  python train.py --resume --out runs/mine --steps 2000     # Ctrl-C saves; this goes on
  python sample.py runs/mine --k 100                        # ask it
  python compare.py runs/mine runs/addition-rloo-k8-s0      # a table and a figure

in the folder of a run: config.json, ckpt.pt, and metrics.jsonl, one JSON object a line:
  each line        step, seconds, rollouts (so far)
  a training step  loss, grad_norm, pass_rate, live (share of prompts with a success), dead
                   (without), all_pass, unique (distinct completions per rollout), eos_rate,
                   entropy (nats per completion)
  an evaluation    nll, pass@1 to pass@1024, greedy, exact; where p is exact, logp of each
                   held-out prompt; else n and c (rollouts, right ones) of each, answers
                   (different right ones per solved prompt), and null for a pass@k with k > n
"""
MAY_CHANGE = ("steps", "rounds", "eval_every", "device", "out")  # on --resume


class UsageError(Exception):
    """Wrong use: one line that says what to do; exit status 2."""


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def flags() -> list[Field]:
    """The fields that are flags."""
    return [f for f in fields(Config) if f.metadata]


def parse_args(argv: list[str] | None) -> tuple[Config, bool, bool]:
    """The configuration, and whether --resume and --overwrite were given."""
    parser = Parser(
        prog="train.py",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for f in flags():
        options = {name: value for name, value in f.metadata.items() if name != "help"}
        if isinstance(f.default, bool):
            options["action"] = argparse.BooleanOptionalAction if f.default else "store_true"
        default = "" if f.default in (None, False) else f" (default {f.default})"
        parser.add_argument(
            "--" + f.name.replace("_", "-"),
            default=argparse.SUPPRESS,
            help=f.metadata["help"] + default,
            **options,
        )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    given = vars(parser.parse_args(argv))
    resume, overwrite = given.pop("resume"), given.pop("overwrite")
    if given.get("out") == "":
        raise UsageError("--out is empty: name a folder, or leave it out")
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if resume:
        return resumed_config(given), True, False
    defaults = {"threads": threads_of_environment()}
    defaults |= task_class(given.get("task", Config.task)).defaults
    if given.get("method") in SELF_TRAINING:
        defaults |= {"eval_every": 1}
    config = Config(**(defaults | given))
    refuse_unused(config, given)
    config.table = own_table(config)
    return config, False, overwrite


def threads_of_environment() -> int:
    """OMP_NUM_THREADS if it is set, otherwise 1: the default network is too small for more."""
    first = re.match("[1-9][0-9]{0,2}", os.environ.get("OMP_NUM_THREADS", ""))
    return int(first[0]) if first else 1


def own_table(config: Config) -> own_method.Table | None:
    """Load the function that --method names, if it does; UsageError if it cannot be."""
    if not own_method.is_own(config.method):
        return None
    try:
        return own_method.load(config.method, config.k)
    except ValueError as error:
        raise UsageError(f"--method {config.method}: {error}") from error


def refuse_unused(config: Config, given: dict[str, Any]) -> None:
    """UsageError for a flag that this method or this task would not look at."""
    for name in NOT_OF_ROUNDS if config.method in SELF_TRAINING else OF_ROUNDS:
        if name in given:
            raise UsageError(f"--{name.replace('_', '-')} is not for {config.method}: see --help")
    for name in set(OF_TASKS) - set(task_class(config.task).takes):
        if name in given:
            raise UsageError(f"--{name} is not for {config.task}, which does not take it")


def from_dict(saved: Any) -> Config:
    """A configuration out of a file. CheckpointError names what no flag would take."""
    if not isinstance(saved, dict):
        raise CheckpointError("it holds no configuration")
    known = {f.name: f for f in fields(Config)}
    for name, value in saved.items():
        if name not in known:
            raise CheckpointError(f"it has a setting that this version does not know: {name!r:.40}")
        if not would_take(known[name], value):
            raise CheckpointError(f"its setting {name} is {value!r:.40}")
    return Config(**saved)


def would_take(f: Field, value: Any) -> bool:
    """Whether a flag could have given its field this value."""
    kind, choices = f.metadata.get("type"), f.metadata.get("choices")
    if not f.metadata:
        return value is None or isinstance(value, list)
    if value is None or isinstance(f.default, bool):
        return (value is None and f.default is None) or type(value) is type(f.default)
    if choices or not kind:
        return isinstance(value, str) and (not choices or value in choices)
    try:
        return type(value) in (int, float, str) and kind(str(value)) == value
    except argparse.ArgumentTypeError:
        return False


def resumed_config(given: dict[str, Any]) -> Config:
    """The saved configuration with what may change changed; UsageError if anything else differs."""
    if "out" not in given:
        raise UsageError("--resume needs --out: the folder of the run to go on with")
    path = Path(given["out"])
    if path.is_file():
        raise UsageError(f"--out {path} is a file: --resume needs the folder it is in")
    content = checkpoint.load(path)
    try:
        config = from_dict(content.get("config"))
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be resumed: {error}; start a new run") from error
    differing = [
        f"--{name.replace('_', '-')} {value} (the run has {getattr(config, name)})"
        for name, value in given.items()
        if name not in MAY_CHANGE and getattr(config, name) != value
    ]
    if differing:
        raise UsageError(f"cannot resume with {', '.join(differing)}: start a new --out for that")
    if config.table and "method" not in given:  # a checkpoint does not say what is to be executed
        raise UsageError(f"say --method {config.method} again: the run is by a function of yours")
    if own_table(config) != config.table:
        raise UsageError(f"{config.method} computes other advantages than when the run began")
    changed = {name: value for name, value in given.items() if name in MAY_CHANGE}
    refuse_unused(config, changed)
    return replace(config, **changed)


def checked_task(config: Config) -> Task:
    """The task of a configuration; UsageError for settings that do not go together."""
    method, k, order = config.method, config.k, config.order
    try:
        task = make_task(config.task, vars(config))
        for split in ("train", config.eval_split):
            check_task(config.task, task, split)
        if method == "exact" and order is not None:
            maxrl.weight(torch.tensor(0.5), order)
        elif method == "ce" and order is not None:
            raise ValueError("ce takes no order: it is exact --order inf")
        elif method in maxrl.FORMULAS:
            maxrl.check_order(method, k, order)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if method in ("grpo", "maxrl-std") and k == 1:
        raise UsageError(
            f"{method} needs --k 2 or more: the std of one reward is 0, so all advantages would be"
        )
    if method == "exact" and not task.single_answer:
        raise UsageError(f"{method} needs a task with a unique answer, which {config.task} is not")
    if task.graded and method not in (*TAKE_LIKELIHOODS, "ce"):
        takers = ", ".join(TAKE_LIKELIHOODS)
        raise UsageError(f"{config.task} has likelihoods for rewards, which only {takers} take")
    if task.graded and method == "maxrl-loo" and k > graded.MOST:
        raise UsageError(f"maxrl-loo takes --k up to {graded.MOST} in {config.task}")
    if config.reward == "regression" and method not in ("reinforce", "rloo", "tailrl"):
        raise UsageError("--reward regression is negative: reinforce, rloo and tailrl take it")
    if config.n_head < 1 or config.n_embd % config.n_head:
        raise UsageError(f"--n-embd {config.n_embd} must be a multiple of --n-head {config.n_head}")
    return task


def model_sizes(config: Config, task: Task) -> ModelConfig:
    """The sizes asked for, with positions for the longest prompt and answer of the task."""
    positions = task.prompt_width + task.max_new_tokens
    return ModelConfig(VOCAB_SIZE, positions, config.n_layer, config.n_head, config.n_embd)


def pick_device(name: str, bf16: bool = False) -> torch.device:
    """The device called `name`, if it is there."""
    available = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    available += ["cpu"]
    name = available[0] if name == "auto" else name
    if name not in available:
        raise UsageError(f"--device {name} is not available here; there is {', '.join(available)}")
    if bf16 and name != "cuda":
        raise UsageError("--bf16 needs --device cuda; leave it out elsewhere")
    return torch.device(name)
