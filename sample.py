"""Ask a checkpoint: k rollouts of a prompt, each distinct completion with its count and verdict.

    python sample.py runs/addition-maxrl-k8-s0 "12+34=" --k 8

Without a prompt it tries a few held-out ones of rising difficulty; --interactive lets you type
them. Rollouts are drawn as in training, at temperature 1. Answers are shown in the usual order even
if the model writes them from right to left. Left out: loading a model (harness/checkpoint.py).
"""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

import torch

from data import Task
from data.batches import rng, torch_rng
from data.tokenizer import decode, encode
from harness import UsageError, checkpoint
from harness.command import Parser, command
from harness.config import DEVICES, path, pick_device, whole
from model import GPT
from rollouts import roll_out, verdicts


def ask(model: GPT, task: Task, prompt: str, k: int, seed: int) -> str:
    """The text about one prompt: its pass rate, then its completions, the most frequent first."""
    device = next(model.parameters()).device
    tokens = torch.tensor([encode(prompt)], device=device)  # (1, P)
    rollouts = roll_out(model, tokens, k, task, torch_rng(seed, prompt, k, device))
    rewards = verdicts([prompt], rollouts, task)
    pass_rate = (rewards * rollouts.count).sum().item() / k
    shown = task.show(prompt, "")
    lines = [f"{shown}  pass rate {pass_rate:.3f} of {k}"]
    for i in rollouts.count.argsort(descending=True, stable=True).tolist():
        said = task.show(prompt, decode(rollouts.tokens[i].tolist()))[len(shown) :]
        verdict = "right" if rewards[i] else "wrong" if rollouts.ended[i] else "wrong: no end"
        logp = rollouts.logprob[i].item()
        lines.append(f"{rollouts.count[i].item():8} x  {said!r:14} log p {logp:8.3f}  {verdict}")
    return "\n".join(lines)


def rising_prompts(task: Task, n: int = 5) -> list[str]:
    """A few held-out prompts, from short operands to long ones."""
    drawn = [prompt for prompt, _ in task.draw(rng(0, "samples"), 200, "held-out")]
    drawn.sort(key=lambda prompt: len(prompt.replace(" ", "")))
    return [drawn[i * (len(drawn) - 1) // (n - 1)] for i in range(n)]


def converse(model: GPT, task: Task, k: int, seed: int) -> None:
    """Answer prompt after prompt from a terminal, until an empty line."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError("--interactive needs a terminal: give the prompt as an argument instead")
    example = task.show(rising_prompts(task)[2], "").replace(" ", "")
    print(f"type a prompt, for example {example!r}; an empty line quits")
    with suppress(EOFError):
        while True:
            try:
                if not (text := input("> ").strip()):
                    return
                encode(text)
                print(ask(model, task, task.align(text), k, seed))
            except ValueError as error:  # a text that cannot even be decoded is one, too
                print(error)


def run(args: argparse.Namespace) -> None:
    """The command, once its arguments are parsed."""
    device, content = pick_device(args.device), checkpoint.load(Path(args.dir))
    task, model = checkpoint.load_task(content), checkpoint.load_model(content, device)
    if args.interactive:
        converse(model, task, args.k, args.seed)
        return
    try:
        encode(args.prompt or "")  # an unreadable character is reported first
        prompts = rising_prompts(task) if args.prompt is None else [task.align(args.prompt)]
    except ValueError as error:
        raise UsageError(str(error)) from error
    print("\n\n".join(ask(model, task, prompt, args.k, args.seed) for prompt in prompts))


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog="sample.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("dir", type=path, help="the --out folder of a run, or a checkpoint file")
    made.add_argument("prompt", nargs="?", help="such as 12+34= (default: a few held-out ones)")
    made.add_argument("--k", type=whole(1), default=8, help="rollouts per prompt (default 8)")
    made.add_argument("--seed", type=whole(0), default=0, help="seed of the sampling (default 0)")
    made.add_argument("--device", default="auto", choices=DEVICES, help="(default auto)")
    made.add_argument("--interactive", action="store_true", help="ask for prompts, one by one")
    return made


def main(argv: list[str] | None = None) -> int:
    """The command; its exit statuses are those of harness.command."""
    return command("sample.py", lambda: run(parser().parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
