"""plain.py's step on several processes: whole groups on each, one gradient, one update.

    torchrun --nproc-per-node 2 recipes/ddp.py --method maxrl    # about a minute

Any number of processes draws the same rollouts and makes the same updates, up to rounding: the
weights of 1 and of 2 processes differ by 2e-9 after 60 steps. (Rounding errors grow until one of
them changes a draw.) Left out: a wrapper (three collective calls do everything), sharded weights,
GPUs, files to resume from.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.optim import AdamW, Optimizer

sys.path.append(str(Path(__file__).resolve().parent.parent))
from data import Task, make_task
from data.batches import Problems, make_batch, rng, torch_rng
from data.tokenizer import END, VOCAB_SIZE, decode
from harness.command import Parser, command
from maxrl import ADVANTAGES, policy_gradient_loss
from model import GPT, ModelConfig
from plain import log_probabilities, sample

CPU = torch.device("cpu")
B, K, STEPS = 32, 16, 100


def is_right(task: Task, prompt: str, completion: list[int]) -> bool:
    """The verdict; without an end token it is wrong."""
    return END in completion and task.verify(prompt, decode(completion))


def train_step(
    model: GPT, optimizer: Optimizer, task: Task, problems: Problems, method: str, k: int, step: int
) -> float:
    """A batch of B problems over all processes, one update. Returns the share of right rollouts."""
    B = len(problems)
    mine = slice(dist.get_rank(), None, dist.get_world_size())  # whole prompts, never parts of one
    batch = make_batch(problems[mine], task, CPU)
    prompts = batch.prompts.repeat_interleave(k, dim=0)
    # With a generator for each process, another number of processes would draw another batch. With
    # one for each prompt it draws the same, as long as each prompt is also sampled by itself.
    with torch.no_grad():
        draws = [torch_rng(0, "rollouts", step * B + i, CPU) for i in range(B)[mine]]
        parts = zip(prompts.split(k), draws, strict=True)
        completions = torch.cat([sample(model, p, task.max_new_tokens, END, g) for p, g in parts])
    texts = [text for text in batch.texts for _ in range(k)]
    pairs = zip(texts, completions.tolist(), strict=True)
    right = [is_right(task, *pair) for pair in pairs]
    rewards = torch.zeros(B, k)  # of everybody, because the mean of rft is that of the whole batch
    rewards[mine] = torch.tensor(right).float().view(-1, k)
    dist.all_reduce(rewards)
    advantages = ADVANTAGES[method](rewards)[mine].flatten()

    for w in model.parameters():
        w.grad = torch.zeros_like(w)  # not None: a rank without a live group has a gradient too
    live = advantages != 0  # dead groups need no backward, but they stay in the divisor:
    if live.any():  # B k of all ranks. A local mean is wrong as soon as 7 prompts meet 2 ranks.
        logp = log_probabilities(model, prompts[live], completions[live], END)
        policy_gradient_loss(logp, advantages[live], total=B * k).backward()
    for w in model.parameters():  # outside the `if`: a rank that skips it hangs all the others
        dist.all_reduce(w.grad)  # a sum. DistributedDataParallel takes means: there, loss * ranks
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # of the sum, so after it
    optimizer.step()
    return rewards.mean().item()


def warm_start(model: GPT, task: Task) -> None:
    """Imitate right answers: cross-entropy, for 150 batches of 128."""
    optimizer = AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    for step in range(150):
        batch = make_batch(task.draw(rng(0, "answers", step), 128, "train"), task, CPU)
        optimizer.zero_grad()
        (-log_probabilities(model, batch.prompts, batch.answers, END).mean()).backward()
        optimizer.step()


def run() -> None:
    """Two-digit addition, as plain.py does it."""
    parser = Parser(prog="ddp.py", description="The step of plain.py on several processes.")
    parser.add_argument("--method", default="maxrl", choices=ADVANTAGES, help="default maxrl")
    method = parser.parse_args().method
    ranks = os.environ.get("WORLD_SIZE", "") if "MASTER_ADDR" in os.environ else ""
    if not (ranks.isdecimal() and 1 <= int(ranks) <= B):
        parser.error(f"start it with: torchrun --nproc-per-node N recipes/ddp.py, N at most {B}")
    dist.init_process_group("gloo")
    task = make_task("addition", {"digits": 2, "reverse": True})
    sizes = ModelConfig(VOCAB_SIZE, task.prompt_width + task.max_new_tokens, 1, 4, 64)
    # Double, so that rounding, which depends on the number of ranks, does not change a draw.
    model = GPT(sizes, torch.Generator().manual_seed(0)).double()
    warm_start(model, task)
    for w in model.parameters():
        dist.broadcast(w.data, src=0)  # all start the same, however their machines round
    optimizer = AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(1, STEPS + 1):
        problems = task.draw(rng(0, "data", step), B, "train")
        share = train_step(model, optimizer, task, problems, method, K, step)
        if step % 20 == 0 and dist.get_rank() == 0:
            print(f"{share:.3f} of the rollouts right in step {step}", flush=True)
    dist.destroy_process_group()


def main() -> int:
    """The command; its exit statuses are those of harness.command."""
    return command("ddp.py", run)


if __name__ == "__main__":
    sys.exit(main())
