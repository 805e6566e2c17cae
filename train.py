"""Train a small transformer on arithmetic by MaxRL or a method related to it.

    python train.py --method maxrl --k 8

This file says first what a step is, then what a warm start is, then what a run is. It is the loop
of plain.py (read that first), faster and with more around it. Equal rollouts run once (tree.py);
methods without rollouts and methods with rounds of imitation are here too; the warm start is kept;
and a run leaves config.json, metrics.jsonl and ckpt.pt in --out. A step makes one update from one
batch of rollouts (a round of expert iteration or STaR makes many). It is on-policy, so there is no
importance ratio to clip; nor is there a KL term or an entropy bonus. maxrl.py says what a formula
means; harness/ has the flags, the files, the signals and --resume.
"""

import hashlib
import json
import math
import sys
from collections import deque
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

import maxrl
import selftrain
import tree
from data import Task
from data.batches import Batch, draw_problems, held_out_problems, make_batch, rng, torch_rng
from data.tokenizer import END
from evaluate import evaluate, samples
from harness import UsageError, checkpoint, report
from harness.checkpoint import State
from harness.command import command, command_line, stop_requests
from harness.config import (
    LIKELIHOOD,
    SELF_TRAINING,
    Config,
    checked_task,
    model_sizes,
    parse_args,
    pick_device,
)
from harness.folder import RunFolder, open_folder
from model import GPT, logprobs
from rollouts import rewards_of, roll_out, rollout_figures

ROOT = Path(__file__).resolve().parent

# ------------------------------------------------------------------------------------ the step


def train_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    config: Config,
    task: Task,
    step: int,
    purpose: str = "data",
) -> dict[str, Any]:
    """One batch, one update. Returns the step's training figures; FloatingPointError if the loss or
    the gradient is not finite.

    purpose: what the problems are drawn for, so that a warm start has draws of its own.
    """
    fixed = config.train_prompts  # 0: fresh ones every step
    problems = draw_problems(task, config.seed, step, config.batch_size, fixed, purpose)
    device = next(model.parameters()).device
    batch = make_batch(problems, task, device)
    zero_gradients(model)
    with autocast(config, device):  # bf16: backward is inside, as it follows each part of a batch
        if config.method in LIKELIHOOD:
            figures = likelihood_backward(model, batch, config)
        else:
            generator = torch_rng(config.seed, "rollouts", step, device)
            figures = rollout_backward(model, batch, config, task, generator)
    for settings in optimizer.param_groups:
        settings["lr"] = config.lr * min(1.0, step / max(config.warmup, 1))  # rises, then stays
    return figures | {"grad_norm": update(model, optimizer, config, figures["loss"])}


def rollout_backward(
    model: GPT, batch: Batch, config: Config, task: Task, generator: torch.Generator
) -> dict[str, Any]:
    """Sample, verify, weigh, differentiate: the gradient of every method that has rollouts."""
    B, k = len(batch.texts), config.k
    rollouts = roll_out(model, batch.prompts, k, task, generator)
    rewards = rewards_of(batch, rollouts, task)  # (U,)
    words = rollouts.group, rollouts.count, k, config.order
    try:
        A = maxrl.counted_advantages(config.method, rewards, *words)
    except ValueError as error:  # a task may give any rewards
        raise UsageError(str(error)) from error
    weighed = A.nonzero().squeeze(1)  # completions; without an advantage there is no gradient
    loss = 0.0
    # splitting an empty tensor gives one empty part, which is skipped
    for part in weighed.split(config.micro_batch) if len(weighed) else ():
        group, tokens = rollouts.group[part], rollouts.tokens[part]
        logp = tree.logprobs(model, batch.prompts, group, tokens, END)
        part_loss = maxrl.policy_gradient_loss(logp, A[part], rollouts.count[part], B * k)
        part_loss.backward()
        loss += part_loss.item()
    return {"loss": loss} | rollout_figures(rollouts, rewards, B, k, task.graded)


def likelihood_backward(model: GPT, batch: Batch, config: Config) -> dict[str, Any]:
    """`ce` and `exact`: differentiate the likelihood of the reference answer, without sampling."""
    logp = logprobs(model, batch.prompts, batch.answers, END)  # (B,)
    loss = maxrl.exact_loss(logp, config.order or math.inf)  # ce: order inf
    loss.backward()
    figures = {"loss": loss.item(), "pass_rate": logp.detach().exp().mean().item()}
    # the log's other figures describe rollouts, so here they are None
    return figures | dict.fromkeys(("live", "dead", "all_pass", "unique", "eos_rate", "entropy"))


def self_training_round(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    config: Config,
    task: Task,
    step: int,
    first_weights: dict[str, torch.Tensor],
) -> dict[str, Any]:
    """A step of expert iteration or STaR: many updates, each by cross-entropy on right answers."""
    if config.method == "star":  # begins every round from the first weights
        model.load_state_dict(first_weights)
        optimizer.state.clear()
    loss, norm = 0.0, 0.0
    with autocast(config, next(model.parameters()).device):
        prompts, right, figures = selftrain.successes(model, config, task, step)
        for part in selftrain.mini_batches(right, config, step):
            zero_gradients(model)
            group, tokens = right.group[part], right.tokens[part]
            cross_entropy = -tree.logprobs(model, prompts, group, tokens, END).mean()
            cross_entropy.backward()
            loss = cross_entropy.item()
            norm = update(model, optimizer, config, loss)
    return {"loss": loss} | figures | {"grad_norm": norm}


def update(model: GPT, optimizer: torch.optim.Optimizer, config: Config, loss: float) -> float:
    """Clip the gradients, apply them and return their norm. If the norm or the loss is not finite,
    raise FloatingPointError and apply nothing."""
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip).item()
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise FloatingPointError(
            f"the loss is {loss}, the gradient norm {norm}: try a smaller --lr"
        )
    optimizer.step()
    return norm


def new_optimizer(model: GPT, lr: float) -> torch.optim.Optimizer:
    """AdamW without weight decay, which would add a term to every objective."""
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0, fused=True)


def zero_gradients(model: GPT) -> None:
    """Zeros, not None, which AdamW would skip: a batch without any signal is an update like any
    other, in which AdamW's momentum moves the weights."""
    for w in model.parameters():
        w.grad = torch.zeros_like(w)


def autocast(config: Config, device: torch.device) -> torch.autocast:
    """Compute in bfloat16 if --bf16 asks for it, without a cache that would outlive an update."""
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=config.bf16, cache_enabled=False
    )


# ------------------------------------------------------------------------------ the warm start


def starting_model(config: Config, task: Task, device: torch.device) -> GPT:
    """The weights that every method starts from: --init, the warm start, or random ones."""
    if config.init:
        return initial_model(Path(config.init), config, task, device)
    generator = torch.Generator().manual_seed(int(rng(config.seed, "weights").integers(2**63)))
    model = GPT(model_sizes(config, task), generator).to(device)
    return warm_start(model, config, task, device) if config.sft_steps else model


def warm_start(model: GPT, config: Config, task: Task, device: torch.device) -> GPT:
    """Train by cross-entropy on reference answers until their mean likelihood over the last ten
    steps is --sft-until, for at most --sft-steps. (Where only one answer is right, the likelihood
    is the pass rate.) If an earlier run with the same key kept its model, that one is taken."""
    ce = warm_start_config(config, device)
    path = Path("runs/warmstart") / f"{warm_start_key(ce)}.pt"
    with suppress(UsageError):  # none was kept, or it cannot be read
        if (kept := checkpoint.load(path))["config"] == asdict(ce):
            return checkpoint.load_model(kept, device)
    optimizer = new_optimizer(model, ce.lr)
    recent: deque[float] = deque(maxlen=10)
    try:
        for step in tqdm(range(1, ce.steps + 1), desc="warm start", disable=None):
            figures = train_step(model, optimizer, ce, task, step, "demonstrations")
            recent.append(figures["pass_rate"])
            if len(recent) == 10 and sum(recent) / 10 >= ce.sft_until:
                break  # seeds learn to carry at different times, so no fixed number would do
        checkpoint.insist_on_numbers(model)
    except FloatingPointError as error:
        raise FloatingPointError("the warm start diverged: try a smaller --sft-lr") from error
    keep_warm_start(path, ce, model)
    return model


def keep_warm_start(path: Path, ce: Config, model: GPT) -> None:
    """Keep the model for later runs. If this fails, they only have to make their own."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.save(path, ce, State(model, new_optimizer(model, ce.lr)))
    except OSError as error:
        print(f"warning: the warm start is not kept: {error}", file=sys.stderr)


def warm_start_config(config: Config, device: torch.device) -> Config:
    """A warm start is a run of the method `ce`. It shares these settings with the run it is for."""
    shared = "task digits reverse noise n_layer n_head n_embd seed bf16 threads sft_until".split()
    settings: dict[str, Any] = {n: getattr(config, n) for n in shared}
    settings |= {n: getattr(config, f"sft_{n}") for n in ("steps", "batch_size", "lr")}
    return Config(method="ce", device=device.type, **settings)


def warm_start_key(ce: Config) -> str:
    """A hash of all that a warm start depends on: its settings, torch, the code that makes it."""
    digest = hashlib.sha256(json.dumps([asdict(ce), torch.__version__]).encode())
    for name in ("train.py", "maxrl.py", "model.py", "data/*.py"):
        for file in sorted(ROOT.glob(name)):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def initial_model(path: Path, config: Config, task: Task, device: torch.device) -> GPT:
    """The model of --init, which must have this run's task and sizes."""
    content = checkpoint.load(path)
    for name in ("task", "digits", "reverse", "n_layer", "n_head", "n_embd"):
        theirs, ours = content["config"][name], getattr(config, name)
        if theirs != ours:
            raise UsageError(f"--init {path} has {name} {theirs}, and this run has {ours}")
    if content["model_config"] != asdict(model_sizes(config, task)):  # noise makes answers longer
        raise UsageError(f"--init {path} is for answers of another length: choose the same --noise")
    return checkpoint.load_model(content, device)


# ------------------------------------------------------------------------------------- the run


def train(config: Config, task: Task, device: torch.device, folder: RunFolder) -> None:
    """A whole run, or the rest of one: an evaluation and a checkpoint at step 0, after every
    --eval-every steps, and after the last one."""
    print(report.headline(config, task, device), flush=True)
    chances = held_out_problems(task, config.eval_prompts, config.eval_split)
    held_out = make_batch(list(chances), task, device), torch.tensor([*chances.values()]).double()
    if folder.saved:  # --resume
        model = checkpoint.load_model(folder.saved, device)
        state = State(model, new_optimizer(model, config.lr))
        folder.restore(config, state)
    else:
        model = starting_model(config, task, device)
        state = State(model, new_optimizer(model, config.lr))
        if config.method == "star":  # every round begins where the first did
            state.first_weights = {n: w.clone() for n, w in model.state_dict().items()}

    bar = tqdm(total=config.steps, initial=state.step, desc="train", disable=None)
    with stop_requests() as requests, bar:
        while True:
            if folder.evaluation_is_due(config, state.step):
                figures, answers = measure(state.model, *held_out, config, task, state.step)
                if state.step == 0:
                    report.warn_if_dead(config, task, figures)
                folder.log(config, state, figures)
                tqdm.write(report.evaluation_line(state.step, figures) + "\n" + answers)
                folder.save(config, state)
            if state.step == config.steps:
                break
            if requests:  # Ctrl-C or SIGTERM
                folder.save(config, state)
                raise KeyboardInterrupt(report.go_on(config, state.step, folder.path))
            state.step += 1
            words = state.model, state.optimizer, config, task, state.step
            if config.method in SELF_TRAINING:
                figures = self_training_round(*words, state.first_weights)
            else:
                figures = train_step(*words)
            folder.log(config, state, figures)
            bar.set_postfix(pass_rate=figures["pass_rate"], live=figures["live"], refresh=False)
            bar.update()
    print(f"\nask it: {command_line('sample.py', str(folder.path))}\n")
    print(report.table(folder.evaluations[0], folder.evaluations[-1]))


def measure(
    model: GPT, held_out: Batch, weight: torch.Tensor, config: Config, task: Task, step: int
) -> tuple[dict[str, Any], str]:
    """Held-out figures, and a line of answers; FloatingPointError if the model is broken."""
    checkpoint.insist_on_numbers(model)
    with autocast(config, held_out.prompts.device):
        figures = evaluate(model, held_out, weight, task, config)
        return figures, " " * 11 + "   ".join(samples(model, held_out, task, config, step))


def run(argv: list[str] | None) -> None:
    """The command line, the folder of the run, and training in it."""
    config, saved, overwrite = parse_args(argv, checkpoint.load)
    task, device = checked_task(config), pick_device(config.device, config.bf16)
    torch.set_num_threads(config.threads)
    with open_folder(config, saved, overwrite) as folder:
        train(config, task, device, folder)


def main(argv: list[str] | None = None) -> int:
    """The command; its exit statuses are those of harness.command."""
    return command("train.py", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
