"""The settings of a run: every flag of train.py, and which of them go together.

`Config` is the one list of settings. The command line, config.json, the checkpoint and the key of
the warm start are all made from it, so a new flag is one new line here. Wrong use raises a
UsageError: one line that says what to do; the exit status is then 2. Example:

    >>> config, _, _ = parse_args(["--method", "grpo", "--k", "16"])
    >>> config.method, config.k, config.task
    ('grpo', 16, 'addition')
"""

import argparse
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

import graded
import maxrl
from data import TASKS, Task, check_task, make_task, task_class
from data.tokenizer import VOCAB_SIZE
from harness import UsageError, own_method
from harness.command import Parser
from model import ModelConfig

SELF_TRAINING = ("expert-iteration", "star")
LIKELIHOOD = ("ce", "exact")  # these differentiate the likelihood itself: no rollouts
METHODS = (*maxrl.ADVANTAGES, *SELF_TRAINING, *LIKELIHOOD)
OF_ROUNDS = ("rounds", "pool", "epochs")  # flags that only SELF_TRAINING takes
NOT_OF_ROUNDS = ("steps", "order", "warmup", "micro_batch")  # flags that it does not take
OF_TASKS = ("digits", "reverse", "noise", "sigma", "reward")  # flags that only some tasks take
TAKE_LIKELIHOODS = ("maxrl-loo", "reinforce", "rloo", "tailrl")
DEVICES = ("auto", "cuda", "mps", "cpu")
SPLITS, REWARDS = ("test", "validation"), ("likelihood", "regression")
MAY_CHANGE = ("steps", "rounds", "eval_every", "device", "out", "tensorboard")  # on --resume


def between(low: float, high: float, kind: Callable[[str], Any] = float) -> Callable[[str], Any]:
    """An argparse type: a number from `low` to `high`."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            n = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {n} from {low:g} to {high:g}, not {text}")
        return value

    return parse


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """An argparse type: a whole number from `low` to `high`."""
    return between(low, high, int)


positive = between(1e-12, 1e6)
width = between(1e-3, 1e4)  # the square of a deviation must neither vanish nor overflow
half_width = between(1e-3, 5e3)  # for sigma: its double, the default noise, must be a `width`


def order_type(text: str) -> float:
    """An argparse type: the order of an objective."""
    return math.inf if text == "inf" else whole(1)(text)


def method_type(text: str) -> str:
    """An argparse type: the name of a method, or a function in a file."""
    if text not in METHODS and not own_method.is_own(text):
        names = ", ".join(("FILE.py:FUNCTION", *METHODS))
        raise argparse.ArgumentTypeError(f"must be one of {names}, not {text}")
    return text


def path(text: str) -> str:
    """An argparse type: the name of a file or a folder."""
    if not text or str(Path(text)).startswith("-"):
        raise argparse.ArgumentTypeError("is empty or begins with a dash: give another name")
    return text


def flag(default: Any, help: str, type: Any = None, choices: Any = None) -> Any:
    """A field that is also a command-line flag; the other arguments are argparse's."""
    return field(default=default, metadata={"help": help, "type": type, "choices": choices})


@dataclass
class Config:
    """Everything that a run is a function of. Flags are these names with dashes."""

    method: str = flag("maxrl", "estimator or loss, from the list below", method_type)
    k: int = flag(8, "rollouts of each prompt (the paper's N)", whole(1))
    order: float | None = flag(None, "for maxrl-loo, passk (default k), exact (inf)", order_type)
    task: str = flag("addition", "what to learn, from the list below", choices=TASKS)
    digits: int = flag(2, "digits of the longest operand", whole(1))
    reverse: bool = flag(True, "answers are written right to left, as one adds on paper")
    steps: int = flag(800, "training steps after the warm start", whole(0))
    batch_size: int = flag(64, "prompts in a step", whole(1))
    lr: float = flag(8e-4, "learning rate, constant once it has risen", positive)
    warmup: int = flag(10, "steps over which the learning rate rises", whole(0))
    grad_clip: float = flag(1.0, "longer gradients are cut to this length", positive)
    micro_batch: int = flag(1024, "rollouts in a backward pass; fewer only save memory", whole(1))
    reward: str = flag("likelihood", "for noisy: likelihood or regression", choices=REWARDS)
    sigma: float = flag(2.0, "for noisy: width of the likelihood", half_width)
    noise: float | None = flag(None, "for noisy: noise of the target (default 2 sigma)", width)
    rounds: int = flag(8, "for expert-iteration and star, which take no --steps", whole(0))
    pool: int = flag(1024, "for the same two: prompts sampled in a round", whole(1))
    epochs: int = flag(2, "for the same two: passes over a round's successes", whole(1))
    train_prompts: int = flag(0, "train on this many fixed prompts; 0: fresh ones", whole(0))
    sft_steps: int = flag(3000, "limit on the warm start's steps; 0: random weights", whole(0))
    sft_until: float = flag(0.04, "pass rate that ends the warm start; 1: never", positive)
    sft_batch_size: int = flag(128, "demonstrations in a step of the warm start", whole(1))
    sft_lr: float = flag(2e-3, "learning rate of the warm start", positive)
    init: str | None = flag(None, "start from this checkpoint, without a warm start", path)
    n_layer: int = flag(1, "transformer blocks", whole(1, 1000))
    n_head: int = flag(4, "attention heads", whole(1, 1000))
    n_embd: int = flag(64, "width of the network", whole(1, 2**15))
    seed: int = flag(0, "seed of everything random", whole(0))
    device: str = flag("auto", "cuda, mps, cpu, or the first available", choices=DEVICES)
    threads: int = flag(1, "CPU threads (or OMP_NUM_THREADS); it affects rounding", whole(1, 1024))
    bf16: bool = flag(False, "compute in bfloat16, on CUDA only (default: float32)")
    eval_every: int = flag(100, "steps from one evaluation to the next", whole(1))
    eval_prompts: int = flag(1000, "held-out prompts in an evaluation", whole(1))
    eval_split: str = flag("test", "held-out half: test or validation", choices=SPLITS)
    eval_rollouts: int = flag(128, "rollouts of each prompt if p is not exact", whole(1, 10**6))
    out: str | None = flag(None, "folder (default runs/<task>-<method>-k<k>-s<seed>)", path)
    tensorboard: bool = flag(False, "live curves too: tensorboard --logdir runs shows them")
    table: own_method.Table | None = None  # not a flag: what --method FILE.py:FUNCTION computes

    def __post_init__(self) -> None:
        """Some settings follow from others: --noise from --sigma and, where a step is a round,
        --steps from --rounds."""
        self.noise = 2 * self.sigma if self.noise is None else self.noise
        if self.method in SELF_TRAINING:
            self.steps = self.rounds


DESCRIPTION = "Train a small transformer on arithmetic by MaxRL or a method related to it."
EXAMPLES = f"""methods: {", ".join(METHODS[:9])},
  {", ".join(METHODS[9:])}; or FILE.py:FUNCTION, a function of (r, mean, k)
tasks: {", ".join(TASKS)}
  (chain, countdown and noisy have defaults of their own, which config.json records)

examples:
  python train.py --method maxrl --k 8
  python train.py --method maxrl-loo --k 8 --order 4      # any order up to k, exactly
  python train.py --method mine.py:formula                # a function of yours
  python train.py --k 1024 --micro-batch 256              # the same gradient in less memory
  python train.py --resume --out runs/mine --steps 2000   # Ctrl-C saves; this resumes

The folder of a run holds config.json, ckpt.pt, and metrics.jsonl, one JSON object a line:
  each line        step, seconds, rollouts (so far)
  a training step  loss, grad_norm, pass_rate, live (share of prompts with a success), dead
                   (without), all_pass, unique (distinct completions per rollout), eos_rate,
                   entropy (nats per completion)
  an evaluation    nll, pass@1 to pass@1024, greedy, exact, and the weight of each prompt; where p
                   is exact, logp of each prompt; else n (rollouts) and c (right ones) of each,
                   answers (different right ones per solved prompt), and null for pass@k if k > n
"""


def flags() -> list[Field]:
    """The fields that are flags."""
    return [f for f in fields(Config) if f.metadata]


def dashed(name: str) -> str:
    """A field as its flag is written."""
    return "--" + name.replace("_", "-")


def parser() -> Parser:
    """The command line of train.py. Flags that are not given are not in its result."""
    made = Parser(
        prog="train.py",
        usage="python train.py [--method NAME] [--k N] [any other flag]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        argument_default=argparse.SUPPRESS,
        formatter_class=partial(
            argparse.RawDescriptionHelpFormatter, max_help_position=28, width=100
        ),
    )
    for f in flags():
        name, words = dashed(f.name), dict(f.metadata)
        if f.default is not None and f.default is not False:
            words["help"] += f" (default {f.default})"
        if isinstance(f.default, bool):
            made.add_argument(name, action=argparse.BooleanOptionalAction, help=words["help"])
        else:
            made.add_argument(name, metavar="NAME" if "str" in str(f.type) else "N", **words)
    made.add_argument("--resume", action="store_true", help="go on with the run in --out")
    made.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    return made


def parse_args(
    argv: list[str] | None, load: Callable[[Path], dict[str, Any]] | None = None
) -> tuple[Config, dict[str, Any], bool]:
    """The configuration of a run; with --resume, the checkpoint that load(folder) reads, otherwise
    {}; and whether --overwrite was given."""
    given = vars(parser().parse_args(argv))
    resume, overwrite = given.pop("resume", False), given.pop("overwrite", False)
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if not resume:
        return new_config(given), {}, overwrite
    if load is None or "out" not in given:
        raise UsageError("--resume needs --out: the folder of the run to go on with")
    saved = load(Path(given["out"]))
    return resumed_config(Config(**saved["config"]), given), saved, False


def new_config(given: dict[str, Any]) -> Config:
    """The configuration of a new run with these flags; UsageError if one is of no use here."""
    name = given.get("task", Config.task)
    kind, known = task_class(name), [f.name for f in flags()]
    if unknown := [x for x in (*kind.takes, *kind.defaults) if x not in known]:
        raise UsageError(
            f"data/{name}.py names {', '.join(unknown)}, which train.py has no flag for"
        )
    defaults = {"threads": threads_of_environment()} | kind.defaults
    if given.get("method") in SELF_TRAINING:
        defaults["eval_every"] = 1
    config = Config(**(defaults | given))
    refuse_unused(config, given)
    config.table = own_method.load(config.method, config.k)
    return config


def resumed_config(saved: Config, given: dict[str, Any]) -> Config:
    """The saved configuration with the changes that are allowed; UsageError for any others."""
    changed = {name: value for name, value in given.items() if value != getattr(saved, name)}
    if others := ", ".join(dashed(name) for name in changed if name not in MAY_CHANGE):
        raise UsageError(f"cannot resume with a different {others}: start a new run for that")
    if own_method.is_own(saved.method) and "method" not in given:  # a file must not execute code
        raise UsageError(f"give --method {saved.method} again: the run uses a function of yours")
    if own_method.load(saved.method, saved.k) != saved.table:
        raise UsageError(f"{saved.method} no longer computes the advantages the run began with")
    refuse_unused(saved, changed)
    return replace(saved, **changed)


def threads_of_environment() -> int:
    """OMP_NUM_THREADS, or 1, because the default network is too small for more."""
    first = re.match("[1-9][0-9]*", os.environ.get("OMP_NUM_THREADS", ""))
    return min(int(first[0]), 1024) if first else 1


def refuse_unused(config: Config, given: Iterable[str]) -> None:
    """UsageError for a flag that this method or this task would not look at."""
    of_others = NOT_OF_ROUNDS if config.method in SELF_TRAINING else OF_ROUNDS
    unused = {*OF_TASKS, *of_others} - {*task_class(config.task).takes}
    for name in given:
        if name in unused:
            raise UsageError(f"{dashed(name)} is not for {config.method} on {config.task}")


def from_dict(saved: Any) -> Config:
    """A configuration from a file, built as if from a command line, so that every value is one that
    its flag would take. Unknown names are left out, and missing settings have their defaults."""
    saved = saved if isinstance(saved, dict) else {}
    words = [as_word(f.name, saved[f.name]) for f in flags() if saved.get(f.name) is not None]
    rows = saved["table"] if isinstance(saved.get("table"), list) else [None]
    is_it = all(isinstance(r, list) and {*map(type, r)} <= {int, float, type(None)} for r in rows)
    return Config(**vars(parser().parse_args(words)), table=rows if is_it else None)


def as_word(name: str, value: Any) -> str:
    """A setting as a word of the command line."""
    if isinstance(value, bool):
        return dashed(name if value else f"no-{name}")
    return f"{dashed(name)}={value}"


def checked_task(config: Config) -> Task:
    """The task of a configuration; UsageError for settings that do not go together."""
    method, k = config.method, config.k
    try:
        task = make_task(config.task, vars(config))
        for split in ("train", config.eval_split):
            check_task(config.task, task, split)
        if method in maxrl.FORMULAS:
            maxrl.check_order(method, k, config.order)
    except ValueError as error:
        raise UsageError(str(error)) from error
    takers = ", ".join(TAKE_LIKELIHOODS)
    for is_wrong, why in (
        (method == "ce" and config.order is not None,
         "ce takes no order: it is --method exact --order inf"),
        (method in ("grpo", "maxrl-std") and k == 1,
         f"{method} needs --k 2 or more: one reward has a std of 0, so every advantage is 0"),
        (method == "exact" and not task.single_answer,
         f"exact needs a single right answer, which {config.task} does not have"),
        (task.graded and method not in (*TAKE_LIKELIHOODS, "ce"),
         f"{config.task} has likelihoods as rewards, and only {takers} take these"),
        (task.graded and method == "maxrl-loo" and k > graded.MOST,
         f"maxrl-loo takes --k up to {graded.MOST} on {config.task}"),
        (config.reward == "regression" and method not in ("reinforce", "rloo", "tailrl"),
         "--reward regression is negative: only reinforce, rloo and tailrl take it"),
    ):  # fmt: skip
        if is_wrong:
            raise UsageError(why)
    model_sizes(config, task)
    return task


def model_sizes(config: Config, task: Task) -> ModelConfig:
    """The sizes asked for, with positions for the longest prompt and answer of the task."""
    if config.n_embd % config.n_head:
        raise UsageError(f"--n-embd {config.n_embd} must be a multiple of --n-head {config.n_head}")
    positions = task.prompt_width + task.max_new_tokens
    return ModelConfig(VOCAB_SIZE, positions, config.n_layer, config.n_head, config.n_embd)


def pick_device(name: str, bf16: bool = False) -> torch.device:
    """The device called `name`, if it is available."""
    available = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    available += ["cpu"]
    name = available[0] if name == "auto" else name
    if name not in available:
        raise UsageError(f"--device {name} is not available here, only {', '.join(available)}")
    if bf16 and name != "cuda":
        raise UsageError("--bf16 needs --device cuda; leave it out elsewhere")
    return torch.device(name)
