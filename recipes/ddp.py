"""plain.py's step on several processes: whole groups on each, one gradient, one update.

    torchrun --nproc-per-node 2 recipes/ddp.py               # about a minute
    torchrun --nproc-per-node 2 recipes/ddp.py --method grpo --k 8

Any number of processes draws the same rollouts and makes the same updates, up to rounding: 1 and 3
differ by 1e-14 after 20 steps. (Rounding then grows tenfold in five steps, until it turns a draw.)
Left out: a wrapper (four collective calls do all), sharded weights, GPUs, files to resume from.
"""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from data import Task, make_task
from data.batches import Problems, make_batch, rng, torch_rng
from data.tokenizer import END, PAD, VOCAB_SIZE
from harness.config import Parser, whole
from maxrl import ADVANTAGES, policy_gradient_loss
from model import GPT, ModelConfig
from plain import CPU, is_right, log_probabilities

B, STEPS_OF_WARM_START, STEPS = 32, 150, 100


def sample(model: GPT, prompts: Tensor, uniforms: Tensor) -> Tensor:
    """plain.sample from given uniforms, (N, P) and (N, L) -> (N, L): token where the CDF passes."""
    text, ended = prompts, torch.zeros(len(prompts), 1, dtype=torch.bool)
    for u in uniforms.unsqueeze(2).unbind(1):  # (N, 1)
        cdf = model(text)[:, -1].softmax(-1).cumsum(-1)  # (N, V)
        token = torch.searchsorted(cdf, u.contiguous(), right=True).clamp(max=VOCAB_SIZE - 1)
        token[ended] = PAD
        ended |= token == END
        text = torch.cat((text, token), dim=1)
    return text[:, prompts.shape[1] :]


def train_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    task: Task,
    problems: Problems,
    method: str,
    k: int,
    step: int,
) -> float:
    """A batch of B problems over all processes, one update. Returns the share of right rollouts."""
    B, L = len(problems), task.max_new_tokens
    mine = slice(dist.get_rank(), None, dist.get_world_size())  # whole prompts, never parts of one
    batch = make_batch(problems[mine], task, CPU)
    prompts = batch.prompts.repeat_interleave(k, dim=0)
    # A generator for each rank would draw another batch on another number of ranks: draw it all.
    u = torch.rand(B, k, L, generator=torch_rng(0, "rollouts", step, CPU), dtype=torch.double)
    with torch.no_grad():
        completions = sample(model, prompts, u[mine].reshape(-1, L))
    texts = [text for text in batch.texts for _ in range(k)]
    right = [is_right(*pair) for pair in zip(texts, completions.tolist(), strict=True)]

    rewards = torch.zeros(B, k)  # of everybody, because the mean of rft is that of the whole batch
    rewards[mine] = torch.tensor(right).float().view(-1, k)
    dist.all_reduce(rewards)
    advantages = ADVANTAGES[method](rewards)[mine].flatten()

    for w in model.parameters():
        w.grad = torch.zeros_like(w)  # not None: a rank without a live group has a gradient too
    live = advantages != 0  # dead groups need no backward, but they stay in the divisor:
    if live.any():  # B k of all ranks. A local mean is wrong as soon as 7 prompts meet 2 ranks.
        logp = log_probabilities(model, prompts[live], completions[live])
        policy_gradient_loss(logp, advantages[live], total=B * k).backward()
    for w in model.parameters():  # outside the `if`: a rank that skips it hangs all the others
        dist.all_reduce(w.grad)  # a sum. DistributedDataParallel takes means: there, loss * ranks
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # of the sum, so after it
    optimizer.step()
    return rewards.mean().item()


def warm_start(model: GPT, task: Task) -> None:
    """plain.py's, on every process alike; then rank 0's weights, so that all start from one."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    for step in range(STEPS_OF_WARM_START):
        batch = make_batch(task.draw(rng(0, "answers", step), 128, "train"), task, CPU)
        optimizer.zero_grad()
        (-log_probabilities(model, batch.prompts, batch.answers).mean()).backward()
        optimizer.step()
    for w in model.parameters():
        dist.broadcast(w.data, src=0)


def main() -> None:
    """Two-digit addition, as plain.py does it."""
    parser = Parser(prog="ddp.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", default="maxrl", choices=ADVANTAGES, help="default maxrl")
    parser.add_argument("--k", type=whole(1), default=16, help="rollouts per prompt (default 16)")
    args = parser.parse_args()
    if "WORLD_SIZE" not in os.environ:
        parser.error("start it by: torchrun --nproc-per-node 2 recipes/ddp.py")
    if int(os.environ["WORLD_SIZE"]) > B:
        parser.error(f"a step has {B} prompts, so at most {B} processes")
    dist.init_process_group("gloo")
    task = make_task("addition", digits=2, reverse=True)
    positions = task.prompt_width + task.max_new_tokens
    sizes = ModelConfig(VOCAB_SIZE, positions, n_layer=1, n_head=4, n_embd=64)
    # Double, so that rounding, which depends on the number of ranks, does not turn a draw.
    model = GPT(sizes, torch.Generator().manual_seed(0)).double()
    warm_start(model, task)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(1, STEPS + 1):
        problems = task.draw(rng(0, "data", step), B, "train")
        share = train_step(model, optimizer, task, problems, args.method, args.k, step)
        if step % 20 == 0 and dist.get_rank() == 0:
            print(f"{share:.3f} of the rollouts right in step {step}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
