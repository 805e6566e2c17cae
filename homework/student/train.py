"""Train a very small model on two-digit addition, with your own functions from solution.py.

    python train.py --method maxrl --k 16 --seed 1 --out runs/maxrl-s1.json

The model is given ` 8+30<` and learns to write `83`: the sum from right to left, which is the order
in which carries arise. Your `verify` is the reward, your estimator gives the advantages, and your
`summed_logprobs` and `policy_gradient_loss` make the gradient. `--method exact` differentiates J_T
of the exact pass rate. Left out: almost everything that makes training fast.
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from personal import Parser, command, say
from torch import Tensor

from model import GPT, ModelConfig

CHARACTERS = " +<0123456789"
END = len(CHARACTERS)  # the end token; it also fills the places after it
P, L = 6, 4  # tokens of a prompt, and of a completion: three digits and the end token
Loss = tuple[Tensor, float]  # and the pass rate
SIZES = ModelConfig(vocab_size=END + 1, block_size=P + L, n_layer=1, n_head=2, n_embd=32)


@dataclass
class Settings:
    """The flags of a run."""

    method: str = "maxrl"  # an estimator in solution.py, or exact
    k: int = 16  # rollouts for each prompt
    order: float = math.inf  # the T of J_T, for exact
    seed: int = 0
    steps: int = 200
    every: int = 50  # steps from one evaluation to the next
    batch: int = 16  # prompts in a step
    lr: float = 1e-3
    init: str = "start.pt"  # the file of the first weights; none: random ones


def tokens(texts: list[str], length: int) -> Tensor:
    """Texts as token numbers, (N, length) int64, filled with end tokens."""
    rows = [[CHARACTERS.index(c) for c in text] for text in texts]
    return torch.tensor([row + [END] * (length - len(row)) for row in rows])


def text(row: list[int]) -> str:
    """The characters before the first end token."""
    return "".join(CHARACTERS[t] for t in row[: row.index(END)])


def problems(generator: torch.Generator, n: int, held_out: bool) -> tuple[list[str], Tensor]:
    """n prompts, sums of numbers of one or two digits, and their answers (n, L). One pair of
    numbers in ten is held out from training, whichever number comes first."""
    prompts, answers = [], []
    while len(prompts) < n:
        most = 10 ** torch.randint(1, 3, (2,), generator=generator)
        a, b = (torch.rand(2, generator=generator) * most).long().tolist()
        scattered = (min(a, b) * 100 + max(a, b)) * 2654435761 >> 16  # without a pattern
        if (scattered % 10 == 0) == held_out:
            prompts.append(f"{a:2}+{b:2}<")
            answers.append(str(a + b)[::-1])
    return prompts, tokens(answers, L)


def logprobs(model: GPT, prompts: list[str], completions: Tensor, mine: Any) -> Tensor:
    """log pi of completions (N, L) for N prompts: (N,), by your `summed_logprobs`."""
    logits = model(torch.cat((tokens(prompts, P), completions[:, :-1]), dim=1))[:, P - 1 :]
    return mine.summed_logprobs(logits, completions, END)


@torch.no_grad()
def sample(model: GPT, prompts: Tensor, generator: torch.Generator) -> Tensor:
    """A completion of each prompt, token by token, at temperature 1: (N, P) -> (N, L)."""
    rows, ended = prompts, torch.zeros(len(prompts), 1, dtype=torch.bool)
    for _ in range(L):
        token = torch.multinomial(model(rows)[:, -1].softmax(-1), 1, generator=generator)
        token[ended] = END
        ended |= token == END
        rows = torch.cat((rows, token), dim=1)
    return rows[:, P:]


def policy_gradient(model: GPT, prompts: list[str], s: Settings, mine: Any, draws: Any) -> Loss:
    """The loss of k rollouts of each prompt."""
    asked = [prompt for prompt in prompts for _ in range(s.k)]  # B k, those of a group together
    completions = sample(model, tokens(asked, P), draws)
    right = [END in row and mine.verify(prompt, text(row)) for prompt, row in
             zip(asked, completions.tolist(), strict=True)]  # fmt: skip
    r = torch.tensor(right).double().view(-1, s.k)  # (B, k)
    A = getattr(mine, s.method)(r, r.mean(dim=1, keepdim=True), s.k).float()
    logp = logprobs(model, asked, completions, mine).view(-1, s.k)
    return mine.policy_gradient_loss(logp, A), r.mean().item()


def exact(model: GPT, prompts: list[str], answers: Tensor, T: float, mine: Any) -> Loss:
    """The loss with the gradient of -J_T. Each prompt has one right answer, so nothing is sampled:
    the gradient of J_T is pass@T, taken as a constant, times that of log p."""
    logp = logprobs(model, prompts, answers, mine)
    p = logp.detach().exp()
    return -((1 - (1 - p) ** T) * logp).mean(), p.mean().item()


@torch.no_grad()
def evaluate(model: GPT, mine: Any) -> dict[str, float]:
    """nll = -log p and pass@k = 1 - (1-p)^k, averaged over the same 500 held-out problems."""
    held_out = problems(torch.Generator().manual_seed(0), 500, held_out=True)
    logp = logprobs(model, *held_out, mine).double()
    passed = {f"pass@{k}": (1 - (1 - logp.exp()) ** k).mean().item() for k in (1, 8, 128, 1024)}
    return {"nll": -logp.mean().item()} | passed


def train(s: Settings, mine: Any, folder: Path, save: Path | None = None) -> Iterator[dict]:
    """The rows of the log. mine: the module with your functions. folder: where `init` is."""
    generator = torch.Generator().manual_seed(s.seed)
    model = GPT(SIZES, generator)
    if s.init != "none":
        model.load_state_dict(torch.load(folder / s.init, weights_only=True))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.0)
    yield {"step": 0} | evaluate(model, mine)
    for step in range(1, s.steps + 1):
        prompts, answers = problems(generator, s.batch, held_out=False)
        if s.method == "exact":
            loss, pass_rate = exact(model, prompts, answers, s.order, mine)
        else:
            loss, pass_rate = policy_gradient(model, prompts, s, mine, generator)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        if not math.isfinite(norm):
            raise SystemExit(f"step {step}: the gradient is {norm}. Is an advantage not finite?")
        optimizer.param_groups[0]["lr"] = s.lr * min(1, step / 20)  # rises, then stays
        optimizer.step()
        yield {"step": step, "pass_rate": pass_rate, "grad_norm": norm}
        if step % s.every == 0:
            yield {"step": step} | evaluate(model, mine)
    if save:
        torch.save(model.state_dict(), save)


MOST = {"k": (1, 4096), "order": (1, math.inf), "seed": (0, 10**9), "steps": (0, 10**6),
        "every": (1, 10**6), "batch": (1, 4096), "lr": (1e-9, 10)}  # fmt: skip


def main() -> int:
    parser = Parser("Train with your own functions in solution.py.")
    for name, default in asdict(Settings()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"({default})")
    parser.add_argument("--out", type=Path, help="write the settings and the log to this file")
    parser.add_argument("--save", type=Path, help="write the weights to this file")
    args = vars(parser.parse_args())
    for name, (low, high) in MOST.items():
        if not low <= args[name] <= high:
            parser.error(f"--{name} must be from {low} to {high}")
    out, save, here = args.pop("out"), args.pop("save"), Path(__file__).resolve().parent
    if args["init"] != "none" and not (here / args["init"]).is_file():
        parser.error(f"--init: there is no file {args['init']} beside train.py")
    for path in filter(None, (out, save)):  # better known now than after the training
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("a").close()
        except OSError as error:
            parser.error(f"cannot write to {path}: {error.strerror}")
    import solution

    s, rows = Settings(**args), []
    if s.method != "exact" and not hasattr(solution, s.method):
        parser.error(f"there is no {s.method} in solution.py")
    torch.set_num_threads(1)  # so small a model gains nothing from more
    for row in train(s, solution, here, save):
        rows.append(row)
        if "nll" in row:
            say("  ".join(f"{name} {x:.3g}" for name, x in row.items()))
    if out:
        out.write_text(json.dumps({"settings": asdict(s), "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
