"""Train a small transformer on arithmetic by MaxRL or one of its relatives.

    python train.py --method maxrl --k 8

A run is: a warm start by cross-entropy (cached, shared by all methods), then `--steps` steps of

    prompts -> k rollouts each (model.generate) -> rewards (verify.verify)
            -> advantages (maxrl.ADVANTAGES) -> loss -> one optimizer step

and an evaluation on held-out prompts every `--eval-every` steps. One update per batch of rollouts:
on-policy, so there is no ratio, no clipping, no KL, and no entropy bonus. (Only selftrain.py makes
several.) In --out it leaves config.json, metrics.jsonl and ckpt.pt. What a formula means is in
maxrl.py.
"""

import hashlib
import itertools
import json
import math
import shlex
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import checkpoint
import maxrl
import selftrain
from checkpoint import CheckpointError
from config import SELF_TRAINING, Config, UsageError, check, parse_args, pick_device
from data import Task
from data.tokenizer import END, VOCAB_SIZE, decode
from evaluate import EVAL_K, evaluate
from model import GPT, ModelConfig, completion_mask, logprobs
from rollouts import (
    Batch,
    draw_problems,
    make_batch,
    rescore,
    rng,
    roll_out,
    rollout_figures,
    score,
    torch_rng,
    verdicts,
)

ROOT = Path(__file__).resolve().parent
TABLE = (*(f"pass@{k}" for k in EVAL_K), "nll")
GRADED = ("log_likelihood", "mse", "spread")  # what the table of a graded task adds
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunError(Exception):
    """A run that failed on its own: one line; exit status 1."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run after a whole step; exit status 130."""


# ------------------------------------------------------------------------------------ the step


def autocast(config: Config, device: torch.device) -> torch.autocast:
    """bfloat16 inside, if --bf16. Without its cache, which would outlive an update."""
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=config.bf16, cache_enabled=False
    )


def train_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    config: Config,
    task: Task,
    step: int,
    purpose: str = "data",
) -> dict[str, Any]:
    """One batch, one update. The step's training figures; FloatingPointError if not finite."""
    device = next(model.parameters()).device
    batch = make_batch(draw_problems(config, task, step, purpose), task, device)
    for w in model.parameters():
        w.grad = torch.zeros_like(w)  # which it stays in a batch without any signal
    with autocast(config, device):
        if config.method in ("ce", "exact"):
            figures = likelihood_backward(model, batch, config)
        else:
            generator = torch_rng(config.seed, "rollouts", step, device)
            figures = rollout_backward(model, batch, config, task, generator)
    for group in optimizer.param_groups:
        group["lr"] = config.lr * min(1.0, step / max(config.warmup, 1))
    return figures | {"grad_norm": update(model, optimizer, config, figures["loss"])}


def update(model: GPT, optimizer: torch.optim.Optimizer, config: Config, loss: float) -> float:
    """Apply the gradients, clipped; returns their norm. FloatingPointError if it or the loss is not
    finite: then nothing is applied."""
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip).item()
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise FloatingPointError(f"the loss is {loss}, the gradient norm {norm}")
    optimizer.step()
    return norm


def likelihood_order(config: Config) -> float:
    """The T of `ce` and `exact`."""
    return config.order or math.inf


def likelihood_backward(model: GPT, batch: Batch, config: Config) -> dict[str, Any]:
    """`ce` and `exact`: differentiate the likelihood of the reference answer, without sampling."""
    logp = logprobs(model, batch.prompts, batch.answers, END)  # (B,)
    loss = maxrl.exact_loss(logp, likelihood_order(config))
    loss.backward()
    figures = {"loss": loss.item(), "pass_rate": logp.detach().exp().mean().item()}
    return figures | dict.fromkeys(("live", "dead", "all_pass", "unique", "eos_rate", "entropy"))


def rollout_backward(
    model: GPT, batch: Batch, config: Config, task: Task, generator: torch.Generator
) -> dict[str, Any]:
    """Everything else: sample, verify, weigh, differentiate."""
    B, k = len(batch.texts), config.k
    rollouts = roll_out(model, batch.prompts, k, task, generator)
    rewards = score(batch, rollouts, task, config)  # (U,)
    A = maxrl.counted_advantages(
        config.method, rewards, rollouts.prompt, rollouts.count, k, config.order
    )
    length = completion_mask(rollouts.tokens, END).sum(1)
    rows = A.nonzero().squeeze(1)  # without an advantage there is no gradient
    rows = rows[length[rows].argsort(stable=True)]  # equal lengths together: hardly any padding
    loss = 0.0
    for part in rows.split(config.micro_batch) if len(rows) else ():
        tokens = rollouts.tokens[part, : int(length[part].max())]
        logp = rescore(model, batch.prompts, rollouts.prompt[part], tokens)
        part_loss = maxrl.policy_gradient_loss(logp, A[part], rollouts.count[part], B * k)
        part_loss.backward()
        loss += part_loss.item()
    return {"loss": loss} | rollout_figures(rollouts, rewards, B, k, task.graded)


# -------------------------------------------------------------------------- where a run starts


def new_optimizer(model: GPT, lr: float) -> torch.optim.Optimizer:
    """AdamW without weight decay, which would add a term to every objective."""
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0, fused=True)


def model_sizes(config: Config, task: Task) -> ModelConfig:
    """The sizes asked for, with positions for the longest prompt and answer of the task."""
    positions = task.prompt_width + task.max_new_tokens
    return ModelConfig(VOCAB_SIZE, positions, config.n_layer, config.n_head, config.n_embd)


def starting_model(config: Config, task: Task, device: torch.device) -> GPT:
    """The weights that every method starts from: --init, the warm start, or random ones."""
    sizes = model_sizes(config, task)
    if config.init:
        return initial_model(Path(config.init), config, sizes, device)
    generator = torch.Generator().manual_seed(int(rng(config.seed, "weights").integers(2**63)))
    model = GPT(sizes, generator).to(device)
    return warm_start(model, config, task, device) if config.sft_steps else model


def warm_start(model: GPT, config: Config, task: Task, device: torch.device) -> GPT:
    """Cross-entropy on reference answers; cached under a hash of all that it depends on."""
    shared = "task digits reverse noise n_layer n_head n_embd seed bf16 sft_until".split()
    ce = Config(
        method="ce",
        steps=config.sft_steps,
        batch_size=config.sft_batch_size,
        lr=config.sft_lr,
        device=device.type,
        **{n: getattr(config, n) for n in shared},
    )
    path = Path("runs/warmstart") / f"{warm_start_key(ce)}.pt"
    if path.exists():
        try:
            return checkpoint.load_model(path, checkpoint.load(path), device)
        except CheckpointError as error:
            raise CheckpointError(f"{error}: delete it and run again") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    optimizer = new_optimizer(model, ce.lr)
    recent: deque[float] = deque(maxlen=10)
    for step in tqdm(range(1, ce.steps + 1), desc="warm start", disable=None):
        recent.append(train_step(model, optimizer, ce, task, step, "demonstrations")["pass_rate"])
        if len(recent) == 10 and sum(recent) / 10 >= ce.sft_until:
            break  # when carries are found varies with the seed, so a step count would not do
    if not finite(model):
        raise RunError("the warm start diverged: try a smaller --sft-lr")
    content = {"config": asdict(ce), "model_config": asdict(model.config)}
    checkpoint.save(path, content | {"model": model.state_dict()})
    return model


def warm_start_key(ce: Config) -> str:
    """A hash of all that a warm start depends on: its settings, torch, the model and the tasks."""
    digest = hashlib.sha256(json.dumps([asdict(ce), torch.__version__]).encode())
    for source in (*sorted(ROOT.glob("data/*.py")), ROOT / "model.py"):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def finite(model: GPT) -> bool:
    """Whether every parameter is a number."""
    return all(bool(w.isfinite().all()) for w in model.parameters())


def initial_model(path: Path, config: Config, sizes: ModelConfig, device: torch.device) -> GPT:
    """The model of --init, which must be of this task and these sizes."""
    content = checkpoint.load(path)
    try:
        theirs = content["config"] | content["model_config"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"--init {path} does not say what it was trained on") from error
    mine = {n: getattr(config, n) for n in ("task", "digits", "reverse")} | asdict(sizes)
    for name, value in mine.items():
        if theirs.get(name) != value:
            raise UsageError(f"--init {path} has {name} {theirs.get(name)}, this run {value}")
    return checkpoint.load_model(path, content, device)


# ------------------------------------------------------------------------------------- the run


class Run:
    """A run's state and its folder, which it holds a lock on: a checkpoint's content, and a log."""

    def __init__(self, config: Config, task: Task, device: torch.device, out: Path):
        self.config, self.task, self.device, self.out = config, task, device, out
        self.step, self.rollouts, self.seconds = 0, 0, 0.0
        self.evaluations: list[dict[str, Any]] = []  # the base's, and the last: not the whole log
        self.first_weights: dict[str, torch.Tensor] = {}
        problems = task.draw(rng(0, "held-out"), config.eval_prompts, "held-out")  # for all seeds
        self.held_out = make_batch(problems, task, device)

    def start(self) -> None:
        """Step 0: the base model is evaluated, and can be resumed from."""
        self.model = starting_model(self.config, self.task, self.device)
        self.optimizer = new_optimizer(self.model, self.config.lr)
        if self.config.method == "star":  # which goes back there every round
            self.first_weights = {n: w.clone() for n, w in self.model.state_dict().items()}
        self.started = time.monotonic()
        measured = self.measure()
        (self.out / "ckpt.pt").unlink(missing_ok=True)  # the run that --overwrite replaces
        checkpoint.write_lines(self.out / "config.json", [asdict(self.config)])
        checkpoint.write_lines(self.out / "metrics.jsonl", [])
        self.record(*measured)

    def resume(self) -> None:
        """Where the last checkpoint was; rows of the log after it are dropped."""
        content = checkpoint.load(self.out)
        self.model = checkpoint.load_model(self.out, content, self.device)
        self.optimizer = new_optimizer(self.model, self.config.lr)
        try:
            self.optimizer.load_state_dict(content["optimizer"])
            self.step, self.rollouts = content["step"], content["rollouts"]
            self.first_weights = content["first_weights"]
            if self.config.method == "star":
                first = content | {"model": self.first_weights}
                checkpoint.load_model(self.out, first, self.device)  # they are what they should be
            self.started = time.monotonic() - content["seconds"]
            rows = checkpoint.read_lines(self.out / "metrics.jsonl", self.step)
            base = rows[0]
            numbers = [*pass_rates(base), *(base[name] or 0.0 for name in TABLE)]
            assert numbers and all(type(x) in (int, float) for x in numbers)
        except (KeyError, TypeError, ValueError, IndexError, AssertionError) as error:
            raise CheckpointError(
                f"{self.out} cannot be resumed: its checkpoint or its log is incomplete; "
                "start a new run, from its weights with --init"
            ) from error
        if self.step > self.config.steps:
            raise UsageError(f"the run is at step {self.step} already, past {self.config.steps}")
        checkpoint.write_lines(self.out / "metrics.jsonl", rows)
        self.evaluations = [base, *[row for row in rows[1:] if "nll" in row][-1:]]
        checkpoint.write_lines(self.out / "config.json", [asdict(self.config)])

    def train(self) -> None:
        """Steps up to --steps; a signal stops after the step at hand."""
        if self.step == self.config.steps and self.evaluations[-1]["step"] < self.step:
            self.record(*self.measure())  # stopped by a signal right there, and now resumed
        caught: list[int] = []
        handlers = {s: signal.signal(s, stop_after_step(caught)) for s in STOP_SIGNALS}
        try:
            bar = tqdm(total=self.config.steps, initial=self.step, desc="train", disable=None)
            while self.step < self.config.steps and not caught:
                self.train_once(bar)
            bar.close()
        finally:
            for s, handler in handlers.items():
                signal.signal(s, handler)
        if caught:
            self.save()
            command = f"python train.py --resume --out {shlex.quote(str(self.out))}"
            raise Interrupted(f"stopped after step {self.step}; to go on:\n{command}")

    def train_once(self, bar: tqdm) -> None:
        config = self.config
        try:
            figures = self.one_step(self.step + 1)
        except FloatingPointError as error:
            raise self.diverged(self.step + 1, str(error)) from error
        self.step += 1
        prompts = config.pool if config.method in SELF_TRAINING else config.batch_size
        self.rollouts += 0 if config.method in ("ce", "exact") else prompts * config.k
        self.log(figures)
        live = "" if figures["live"] is None else f", live {figures['live']:.2f}"
        bar.set_postfix_str(f"pass rate {figures['pass_rate']:.3f}{live}", refresh=False)
        bar.update()
        if self.step % config.eval_every == 0 or self.step == config.steps:
            self.record(*self.measure())

    def one_step(self, step: int) -> dict[str, Any]:
        """One batch and one update; or a round of expert iteration."""
        words = (self.model, self.optimizer, self.config, self.task, step)
        if self.config.method not in SELF_TRAINING:
            return train_step(*words)
        apply = partial(update, *words[:3])
        with autocast(self.config, self.device):
            return selftrain.one_round(*words, self.first_weights, apply)

    def diverged(self, step: int, what: str) -> RunError:
        """The error of a run whose numbers are no longer finite."""
        return RunError(
            f"step {step} of {self.config.method}: {what}; try a smaller --lr "
            f"(the last good checkpoint is {self.out / 'ckpt.pt'})"
        )

    def insist_on_numbers(self) -> None:
        """RunError if a weight is not finite."""
        if not finite(self.model):
            raise self.diverged(self.step, "a weight is not finite")

    def measure(self) -> tuple[dict[str, Any], list[str]]:
        """Held-out figures, and a few samples; RunError if the model is broken."""
        self.insist_on_numbers()
        with autocast(self.config, self.device):
            figures = evaluate(self.model, self.held_out, self.task, self.config)
            return figures, self.samples()

    def record(self, figures: dict[str, Any], samples: list[str]) -> None:
        """A measurement into the log and onto the screen, and a checkpoint."""
        self.log(figures)
        names = [n for n in (*TABLE, "greedy", "answers", *GRADED) if figures.get(n) is not None]
        tqdm.write(f"step {self.step:4}  " + "  ".join(f"{n} {figures[n]:.3f}" for n in names))
        tqdm.write("           " + "   ".join(samples))
        self.save()

    def samples(self, n: int = 3) -> list[str]:
        """What the model says to the first few held-out prompts, and the verdicts."""
        generator = torch_rng(self.config.seed, "samples", self.step, self.device)
        rollouts = roll_out(self.model, self.held_out.prompts[:n], 1, self.task, generator)
        right = verdicts(self.held_out.texts, rollouts).tolist()
        remarks = ["right" if r else "wrong" for r in right]
        if self.task.graded:
            remarks = [f"(target {y})" for y in self.held_out.references[:n]]
        texts = map(decode, rollouts.tokens.tolist())
        lines = zip(self.held_out.texts, texts, remarks, strict=False)
        return [f"{prompt}{text} {remark}" for prompt, text, remark in lines]

    def log(self, figures: dict[str, Any]) -> None:
        """One row of metrics.jsonl."""
        self.seconds = time.monotonic() - self.started
        row = {"step": self.step, "seconds": round(self.seconds, 3), "rollouts": self.rollouts}
        checkpoint.append_line(self.out / "metrics.jsonl", row | figures)
        if "nll" in figures:
            self.evaluations[1:] = [row | figures]

    def save(self) -> None:
        """A checkpoint of this step; the log is on the disk before it."""
        self.insist_on_numbers()
        checkpoint.flush(self.out / "metrics.jsonl")
        content = {name: getattr(self, name) for name in ("step", "rollouts", "seconds")}
        content |= {"config": asdict(self.config), "model_config": asdict(self.model.config)}
        content |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        content["first_weights"] = self.first_weights
        checkpoint.save(self.out / "ckpt.pt", content)

    def table(self) -> str:
        """Base against final, on held-out prompts."""
        rows = self.evaluations
        names = (*TABLE, *(name for name in GRADED if name in rows[0]))
        lines = [f"held-out  {'  '.join(f'{name:>9}' for name in names)}"]
        for label, row in (("base", rows[0]), ("final", rows[-1])):
            cells = (
                f"{'-':>{max(len(n), 9)}}" if row[n] is None else f"{row[n]:{max(len(n), 9)}.4f}"
                for n in names
            )
            lines.append(f"{label:8}  " + "  ".join(cells))
        return "\n".join(lines)


def pass_rates(evaluation: dict[str, Any]) -> list[float]:
    """p of each held-out prompt: exact, or the share of right rollouts."""
    if "logp" in evaluation:
        return [math.exp(x) for x in evaluation["logp"]]
    return [c / evaluation["n"] for c in evaluation["c"]]


def stop_after_step(caught: list[int]) -> Callable[[int, Any], None]:
    """A signal handler: the first signal asks to stop, a second one leaves at once."""

    def handler(number: int, frame: Any) -> None:
        caught.append(number)
        signal.signal(number, signal.SIG_DFL)
        print("\nstopping after this step (again: at once, without saving)", file=sys.stderr)

    return handler


def claim_folder(config: Config, overwrite: bool) -> tuple[Path, bool]:
    """The folder of a new run, and whether it is new. One with something in it is left alone."""
    default = f"runs/{config.task}-{config.method}-k{config.k}-s{config.seed}"
    numbers = itertools.count(2)
    out = Path(config.out or default)
    created = not out.exists()
    try:
        while True:
            try:  # making the folder is what claims it: two runs started at once get two
                out.mkdir(parents=True, exist_ok=bool(config.out or overwrite))
                break
            except FileExistsError:
                if config.out or overwrite:
                    raise
                out, created = Path(f"{default}-{next(numbers)}"), True
        if config.out and not overwrite and any(out.iterdir()):
            raise UsageError(
                f"--out {out} exists: --resume goes on with it, --overwrite replaces it"
            )
        tempfile.TemporaryFile(dir=out).close()  # can it be written to? Better known now than later
    except OSError as error:
        raise UsageError(f"cannot write to --out {out}: {error.strerror}") from error
    return out, created


def headline(config: Config, task: Task, device: torch.device) -> str:
    """In one line: method, formula, order, task, parameters, device."""
    method, k = config.method, config.k
    with torch.device("meta"):
        n_parameters = GPT(model_sizes(config, task)).n_parameters()
    if method in SELF_TRAINING:
        formula, order = "cross-entropy on distinct successes", f"k = {k}, {config.rounds} rounds"
    elif method in maxrl.ADVANTAGES:
        first_line = (maxrl.FORMULAS[method].__doc__ or "").splitlines()[0]
        formula = first_line.split(". ")[0].rstrip(".")
        trained = maxrl.trained_order(method, k, config.order)
        order = f"k = {k}, " + (f"trains order {trained}" if trained else "trains no J_T")
    else:
        T = likelihood_order(config)
        formula = f"loss = -J_{T:g}(p), p computed exactly" if T < math.inf else "loss = -log p"
        if not task.single_answer:
            formula = "loss = -log pi(one demonstration), which bounds -log p from above"
        order = f"order {T:g}, --k is ignored"
    notation = f"up to {task.digits} digits" + (", reversed" if task.reverse else "")
    return (
        f"{method}: {formula}; {order} | {config.task}, {notation} | "
        f"{n_parameters / 1e6:.2f}M parameters on {device.type}"
    )


def warn_if_dead(config: Config, base: dict[str, Any]) -> None:
    """Say so when hardly any group will have a success, which no estimator can learn from."""
    if config.method in (*maxrl.ADVANTAGES, *SELF_TRAINING) and "mse" not in base:
        p = torch.tensor(pass_rates(base)).double()
        live = maxrl.exact_pass_at_k(p, config.k).mean().item()
        if live < 0.05:
            print(
                f"warning: at the start only {live:.2%} of the groups have a success (the mean of "
                f"1-(1-p)^k, k = {config.k}): raise --k, --sft-steps or --batch-size",
                file=sys.stderr,
            )


def run(config: Config, resume: bool, overwrite: bool) -> None:
    """One run from its configuration to its table."""
    task, device = check(config), pick_device(config.device, config.bf16)
    if resume:
        out, created = Path(str(config.out)), False
    else:
        out, created = claim_folder(config, overwrite)
    with checkpoint.lock(out):
        try:
            state = Run(config, task, device, out)
            print(headline(config, task, device), flush=True)
            state.resume() if resume else state.start()
        except BaseException:
            if created:
                with suppress(OSError):
                    out.rmdir()  # which succeeds only if nothing was written into it
            raise
        warn_if_dead(config, state.evaluations[0])
        state.train()
    print(f"\nask it: python sample.py {shlex.quote(str(out))}\n\n{state.table()}")


def lacks_memory(error: Exception) -> bool:
    """Whether this is an allocation that failed; on the CPU torch says so in a RuntimeError."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "allocate memory" in str(error)


def main(argv: list[str] | None = None) -> int:
    """The command: 0, or one line on stderr and 2 (wrong use), 1 (failed run), 130 (stopped)."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops like Ctrl-C
    try:
        run(*parse_args(argv))
        return 0
    except (UsageError, CheckpointError) as error:
        message, status = str(error), 2
    except (RunError, FloatingPointError) as error:
        message, status = str(error), 1
    except KeyboardInterrupt as error:
        message, status = str(error) or "stopped; what had been saved before is untouched", 130
    except OSError as error:
        message, status = f"{error}: what had been saved before is untouched", 1
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        flags = "--micro-batch, --k, --batch-size or --eval-prompts"
        message, status = f"out of memory: lower {flags}", 1
    finally:
        signal.signal(signal.SIGTERM, before)
    print(f"train.py: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
