"""MaxRL whole, the textbook way: sample, verify, weigh, differentiate, repeat.

    python plain.py                        # half a minute; prints the pass rate as it rises
    python plain.py --method grpo --k 16   # any estimator of maxrl.py: the keys of ADVANTAGES

Read maxrl.py first: the formulas are there. A small transformer adds two-digit numbers, writing the
sum right to left. It first imitates right answers for 150 steps, after which it is right about once
in thirteen tries. From then on it is only told whether its own answers are right. Left out: speed,
files, settings (train.py has them). The tests hold train.py's fast step against the one in here.
"""

import torch
from torch import Tensor

from data import Task, make_task
from data.batches import make_batch, rng  # problems as tensors; a generator for each purpose
from data.tokenizer import END, PAD, VOCAB_SIZE, decode
from harness.config import Parser, whole  # argparse whose errors are one line
from maxrl import ADVANTAGES, policy_gradient_loss
from model import GPT, ModelConfig
from verify import verify

CPU = torch.device("cpu")
STEPS_OF_WARM_START, STEPS = 150, 200


def sample(model: GPT, prompts: Tensor, L: int, generator: torch.Generator) -> Tensor:
    """One completion of each prompt (N, P), token by token, each time from the whole text: (N, L).

    Each token is drawn from the model's own probabilities (temperature 1). Pads follow the end.
    """
    text, ended = prompts, torch.zeros(len(prompts), 1, dtype=torch.bool)
    for _ in range(L):
        logits = model(text)  # (N, T, V): position t predicts token t + 1
        token = torch.multinomial(logits[:, -1].softmax(-1), 1, generator=generator)  # (N, 1)
        token[ended] = PAD
        ended |= token == END
        text = torch.cat((text, token), dim=1)
    return text[:, prompts.shape[1] :]


def is_right(prompt: str, completion: list[int]) -> bool:
    """The verdict: it ended, and what it says up to there is right. Without an end it is wrong."""
    return END in completion and verify(prompt, decode(completion))


def log_probabilities(model: GPT, prompts: Tensor, completions: Tensor) -> Tensor:
    """log pi(completion | prompt) of each row, (N, P) and (N, L) -> (N,), with gradient.

    A sum over tokens, the end token included, and nothing after it.
    """
    P = prompts.shape[1]
    logits = model(torch.cat((prompts, completions[:, :-1]), dim=1))  # (N, P+L-1, V)
    logp = logits[:, P - 1 :].log_softmax(-1)  # (N, L, V): position P-1 predicts the first token
    logp = logp.gather(2, completions.unsqueeze(2)).squeeze(2)  # (N, L), of the tokens there are
    is_end = (completions == END).long()
    before_or_at_end = is_end.cumsum(1) - is_end == 0  # no end token before this one
    return (logp * before_or_at_end).sum(1)


def train_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    task: Task,
    problems: list[tuple[str, str]],
    method: str,
    k: int,
    generator: torch.Generator,
) -> float:
    """One batch of B prompts, one update. Returns the share of right rollouts.

    problems: B pairs (prompt, reference answer), as text; the answers are not looked at here.
    """
    batch = make_batch(problems, task, CPU)  # .texts, and the same as tokens: .prompts (B, P)
    prompts = batch.prompts.repeat_interleave(k, dim=0)  # (B k, P)
    with torch.no_grad():
        completions = sample(model, prompts, task.max_new_tokens, generator)  # (B k, L)
    texts = [text for text in batch.texts for _ in range(k)]
    right = [is_right(*pair) for pair in zip(texts, completions.tolist(), strict=True)]
    rewards = torch.tensor(right).float().view(-1, k)  # (B, k): a row for each prompt

    advantages = ADVANTAGES[method](rewards)  # (B, k); for maxrl (r - mean) / mean

    logp = log_probabilities(model, prompts, completions).view(-1, k)  # (B, k)
    loss = policy_gradient_loss(logp, advantages)  # -(1/(B k)) sum of A log pi
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return rewards.mean().item()


def warm_start(model: GPT, task: Task) -> None:
    """Imitate right answers: cross-entropy, for STEPS_OF_WARM_START batches of 128."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    for step in range(STEPS_OF_WARM_START):
        batch = make_batch(task.draw(rng(0, "answers", step), 128, "train"), task, CPU)
        optimizer.zero_grad()
        (-log_probabilities(model, batch.prompts, batch.answers).mean()).backward()
        optimizer.step()


def main() -> None:
    """Two-digit addition: first right answers to imitate, then only verdicts."""
    parser = Parser(prog="plain.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", default="maxrl", choices=ADVANTAGES, help="default maxrl")
    parser.add_argument("--k", type=whole(1), default=16, help="rollouts per prompt (default 16)")
    args = parser.parse_args()

    task = make_task("addition", digits=2, reverse=True)
    positions = task.prompt_width + task.max_new_tokens
    sizes = ModelConfig(VOCAB_SIZE, positions, n_layer=1, n_head=4, n_embd=64)
    model = GPT(sizes, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    test = make_batch(task.draw(rng(0, "test"), 500, "held-out"), task, CPU)

    def pass_rate() -> float:
        """On prompts that are never trained on; exact, for each has one right answer."""
        with torch.no_grad():
            return log_probabilities(model, test.prompts, test.answers).exp().mean().item()

    warm_start(model, task)
    base = pass_rate()
    print(f"pass rate {base:.3f} after {STEPS_OF_WARM_START} steps on right answers")

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for step in range(1, STEPS + 1):
        problems = task.draw(rng(0, "data", step), 32, "train")
        train_step(model, optimizer, task, problems, args.method, args.k, generator)
        if step % 20 == 0:
            print(f"pass rate {pass_rate():.3f} after {step} steps of {args.method}")
    print(f"pass rate {base:.3f} -> {pass_rate():.3f}")


if __name__ == "__main__":
    main()
