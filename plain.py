"""All of MaxRL, the textbook way: sample, verify, weigh, differentiate, repeat.

    python plain.py                        # RLOO, then MaxRL from the same start: about a minute
    python plain.py --method grpo --k 16   # one estimator of maxrl.py, by its key in ADVANTAGES

A small transformer adds two-digit numbers. It first imitates right answers until it is right about
once in twenty tries. From then on it is only told whether its own answers are right. Everything is
in this file except for the network (model.py) and the estimators (maxrl.py): copy it and change it.
Left out: speed, files, settings, and a learning rate for each method (train.py has them). The tests
check train.py's fast step against the step here, for every method.
"""

import argparse
import copy
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from maxrl import ADVANTAGES, policy_gradient_loss
from model import GPT, ModelConfig

# ------------------------------------------------------------- the problems, as text and as tokens

CHARACTERS = "0123456789+="  # a token is an index into this text, or END
END = len(CHARACTERS)
P, L = 6, 4  # tokens of a prompt `12+34=`, and of the longest answer with its end token


def encode(text: str) -> list[int]:
    return [CHARACTERS.index(c) for c in text]


def decode(tokens: list[int]) -> str:
    """The text up to the end token."""
    return "".join(CHARACTERS[t] for t in tokens[: tokens.index(END)])


def problems(rng: random.Random, n: int, held_out: bool = False) -> tuple[Tensor, Tensor]:
    """n random sums: the prompts (n, P), and their right answers (n, L) with the digits reversed,
    because one adds from the right. Half of the numbers have one digit; the smaller number of a sum
    comes first. One pair of numbers in ten is held out from training."""
    prompts: list[list[int]] = []
    answers: list[list[int]] = []
    while len(prompts) < n:
        a, b = sorted(rng.choice((rng.randrange(10), rng.randrange(10, 100))) for _ in range(2))
        if ((100 * a + b) % 97 % 10 == 0) == held_out:
            prompts.append(encode(f"{a:02}+{b:02}="))
            answers.append((encode(str(a + b)[::-1]) + [END] * L)[:L])
    return torch.tensor(prompts), torch.tensor(answers)


def is_right(prompt: list[int], completion: list[int]) -> bool:
    """The verdict: the completion ends, and its text is the sum. Without an end it is wrong."""
    a, b = "".join(CHARACTERS[t] for t in prompt[:-1]).split("+")
    return END in completion and decode(completion) == str(int(a) + int(b))[::-1]


# -------------------------------------------------------------------------------------- the method


def sample(model: GPT, prompts: Tensor, length: int, end: int, rng: torch.Generator) -> Tensor:
    """One completion of each prompt (N, P), token by token, each from the text so far: (N, length).

    Each token is drawn from the model's own probabilities (temperature 1). Only end tokens
    follow an end token.
    """
    text, ended = prompts, torch.zeros(len(prompts), 1, dtype=torch.bool)
    for _ in range(length):
        logits = model(text)  # (N, T, V): position t predicts token t + 1
        token = torch.multinomial(logits[:, -1].softmax(-1), 1, generator=rng)  # (N, 1)
        token[ended] = end
        ended |= token == end
        text = torch.cat((text, token), dim=1)
    return text[:, prompts.shape[1] :]


def log_probabilities(model: GPT, prompts: Tensor, completions: Tensor, end: int) -> Tensor:
    """log pi(completion | prompt) of each row, (N, P) and (N, L) -> (N,), with gradient.

    It is a sum over the tokens up to and including the end token; what follows does not count.
    """
    first = prompts.shape[1]
    logits = model(torch.cat((prompts, completions[:, :-1]), dim=1))  # (N, P+L-1, V)
    logp = logits[:, first - 1 :].log_softmax(-1)  # (N, L, V): position P-1 predicts the first
    logp = logp.gather(2, completions.unsqueeze(2)).squeeze(2)  # (N, L), of each sampled token
    is_end = (completions == end).long()
    before_or_at_end = is_end.cumsum(1) - is_end == 0  # no end token stands before this one
    return (logp * before_or_at_end).sum(1)


def train_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    prompts: Tensor,
    verdict: Callable[[list[int], list[int]], bool],
    method: str,
    k: int,
    length: int,
    end: int,
    rng: torch.Generator,
) -> float:
    """One batch of prompts (B, P), one update. Returns the share of right rollouts.

    verdict(prompt, completion) is all that the step is told: token lists in, right or wrong out.
    """
    copies = prompts.repeat_interleave(k, dim=0)  # (B k, P)
    with torch.no_grad():
        completions = sample(model, copies, length, end, rng)  # (B k, L)
    right = [verdict(*pair) for pair in zip(copies.tolist(), completions.tolist(), strict=True)]
    rewards = torch.tensor(right).float().view(-1, k)  # (B, k): a row for each prompt

    advantages = ADVANTAGES[method](rewards)  # (B, k); for maxrl (r - mean) / mean

    logp = log_probabilities(model, copies, completions, end).view(-1, k)  # (B, k)
    loss = policy_gradient_loss(logp, advantages)  # -(1/(B k)) sum of A log pi
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return rewards.mean().item()


# ------------------------------------------------------------------------------------- the example

BATCH, STEPS, LEARNING_RATE = 32, 350, 1e-3


def warm_start(model: GPT, steps: int = 3000, until: float = 0.06) -> None:
    """Imitate right answers (cross-entropy) until the last ten batches average this pass rate."""
    rng, rates = random.Random(1), [0.0]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    while len(rates) < steps and sum(rates[-10:]) < 10 * until:
        logp = log_probabilities(model, *problems(rng, 128), END)
        optimizer.zero_grad()
        (-logp.mean()).backward()
        optimizer.step()
        rates.append(logp.detach().exp().mean().item())


def measure(model: GPT) -> tuple[float, float]:
    """The pass rate p and the nll, the means of p and of -log p over sums that are never trained
    on. Both are exact, because each prompt has one right answer."""
    with torch.no_grad():
        logp = log_probabilities(model, *problems(random.Random(2), 500, held_out=True), END)
    return logp.exp().mean().item(), -logp.mean().item()


def learn(start: GPT, method: str, k: int) -> Iterator[tuple[int, float, float]]:
    """Train a copy of a model, and yield the step, the pass rate and the nll every 50 steps."""
    model, rng, generator = copy.deepcopy(start), random.Random(3), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    yield 0, *measure(model)
    for step in range(1, STEPS + 1):
        prompts, _ = problems(rng, BATCH)
        train_step(model, optimizer, prompts, is_right, method, k, L, END, generator)
        if step % 50 == 0 or step == STEPS:
            yield step, *measure(model)


def run(start: GPT, method: str, k: int) -> str:
    """Learn and print the figures as they come. Returns the line that sums them up."""
    rows = []
    for step, rate, nll in learn(start, method, k):
        print(f"{method:6} step {step:3}  pass rate {rate:.3f}  nll {nll:.3f}", flush=True)
        rows.append((rate, nll))
    (base, base_nll), (rate, nll) = rows[0], rows[-1]
    return f"{method} pass rate {base:.3f} -> {rate:.3f}, nll {base_nll:.2f} -> {nll:.2f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description="All of MaxRL, the textbook way."
    )  # without its usage, an error is one line
    parser.add_argument("--method", choices=ADVANTAGES, help="run only this (default: rloo, maxrl)")
    parser.add_argument("--k", type=int, default=8, help="rollouts per prompt (default 8)")
    args = parser.parse_args()
    if not 1 <= (args.k or 0) <= 4096:
        parser.error("--k must be a number from 1 to 4096")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # one is fastest: the tensors are small

    sizes = ModelConfig(len(CHARACTERS) + 1, P + L, n_layer=1, n_head=4, n_embd=64)
    start = GPT(sizes, torch.Generator().manual_seed(0))
    warm_start(start)
    methods = [args.method] if args.method else ["rloo", "maxrl"]
    print("\n".join([run(start, method, args.k) for method in methods]))


if __name__ == "__main__":
    for name in ("SIGINT", "SIGPIPE"):  # Ctrl-C and `| head` end it without a traceback
        signal.signal(getattr(signal, name, signal.SIGINT), signal.SIG_DFL)
    try:
        main()
    except OSError as error:  # the figures cannot be printed
        sys.exit(f"plain.py: {error}")
