"""k rollouts of a prompt as one prefix tree with counts: every prefix runs once.

Left out: rewards, advantages, strings.

    >>> model = GPT(ModelConfig(vocab_size=7, block_size=9, n_layer=1, n_head=2, n_embd=8))
    >>> prompts = torch.tensor([[1, 2, 3], [3, 2, 1]])                              # (B=2, P=3)
    >>> rollouts = generate(model, prompts, k=100, max_new_tokens=4, end=5, pad=6,
    ...                     generator=torch.Generator().manual_seed(0))
    >>> [rollouts.count[rollouts.group == b].sum().item() for b in (0, 1)]
    [100, 100]
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model import GPT, Cache


@dataclass
class Rollouts:
    """Distinct completions of a batch of prompts, sorted by prompt; U of them, at most L tokens."""

    group: Tensor  # (U,) int64, which row of the prompts it answers
    tokens: Tensor  # (U, L) int64, the end token included, pad after it
    count: Tensor  # (U,) int64, how many of the prompt's k rollouts this is; they sum to k
    logprob: Tensor  # (U,) log pi(completion | prompt), as sampled
    ended: Tensor  # (U,) bool, False where L tokens went by without an end


@torch.no_grad()
def generate(
    model: GPT,
    prompts: Tensor,
    k: int,
    max_new_tokens: int,
    *,
    end: int,
    pad: int,
    generator: torch.Generator,
    max_rows: int = 512,
) -> Rollouts:
    """k independent rollouts of each prompt (B, P), at temperature 1, each up to its end token.

    The k rollouts of a prompt form a prefix tree. Where they agree they are one row with a count,
    not k copies: a row with count c draws how many of its c rollouts go on with each token (one
    multinomial draw, the same law as c separate draws), and each token that was drawn at all
    becomes a row of its own. So the model runs once per prompt, then once per distinct unfinished
    prefix: a million rollouts cost what their different texts cost. At most max_rows rows run at a
    time, and each such part is grown to its end before the next: that bounds the memory, and 512
    rows stay in a CPU's caches (give a GPU more). FloatingPointError if a probability is NaN.
    """
    B, L = len(prompts), max_new_tokens
    done: list[tuple[Tensor, ...]] = []

    def grow(t: int, of_rows: Iterable[Tensor], logits: Tensor, cache: Cache) -> None:
        """Draw token t of N rows, logits (N, V). Set aside what ends, grow the rest."""
        prompt, tokens, count, logprob = of_rows
        logp = logits.log_softmax(-1)  # (N, V)
        drawn = draw_counts(logp.exp(), count, generator)  # (N, V)
        parent, token = drawn.nonzero(as_tuple=True)  # (N',) the children of all rows
        prompt, tokens, count = prompt[parent], tokens[parent], drawn[parent, token]
        logprob = logprob[parent] + logp[parent, token]
        tokens[:, t] = token
        ended = token == end
        over = ended if t < L - 1 else torch.ones_like(ended)
        leaves, open_ = (which.nonzero().squeeze(1) for which in (over, ~over))
        done.append(tuple(x[leaves] for x in (prompt, tokens, count, logprob, ended)))
        for rows in open_.split(max_rows) if len(open_) else ():
            of_row = (x[rows] for x in (prompt, tokens, count, logprob))
            logits, present = model(token[rows, None], cache, parent[rows])
            grow(t + 1, of_row, logits[:, 0], present)

    logits, cache = model(prompts)
    everyone = torch.arange(B, device=prompts.device)
    nothing = prompts.new_full((B, L), pad)
    zero = torch.zeros(B, device=prompts.device)
    all_at_once = torch.full_like(everyone, k)
    grow(0, (everyone, nothing, all_at_once, zero), logits[:, -1], cache)
    columns = [torch.cat(column) for column in zip(*done, strict=True)]
    order = columns[0].argsort(stable=True)
    rollouts = Rollouts(*(column[order] for column in columns))
    broken = (rollouts.count.sum() != B * k) | ~rollouts.logprob.isfinite().all()
    if broken:  # asked once, here at the end: a GPU would have to stop for it
        raise FloatingPointError("the model's probabilities are not finite")
    return rollouts


def draw_counts(probs: Tensor, count: Tensor, generator: torch.Generator) -> Tensor:
    """Multinomial counts: of count[n] draws from probs[n], how many are each of the V outcomes.

    probs (N, V), count (N,) -> (N, V) int64 with rows that sum to count. A binary tree over the
    outcomes: of the n draws in a node, Binomial(n, left / (left + right)) go left. The work does
    not depend on the counts. Drawn on the generator's device (MPS has no binomial; its user passes
    a CPU generator), in float64, where counts are exact. A row of probs with a NaN draws
    anything, or nothing: `generate` looks for that.
    """
    probs, device, V = probs.to(generator.device), probs.device, probs.shape[1]
    width = 1 << (V - 1).bit_length()  # the next power of two
    mass = [F.pad(probs.double(), (0, width - V))]  # leaves first
    while mass[-1].shape[1] > 1:
        mass.append(mass[-1][:, 0::2] + mass[-1][:, 1::2])
    n = count.to(generator.device).double().unsqueeze(1)  # (N, 1): everything is at the root
    for m in reversed(mass[:-1]):
        left_share = (m[:, 0::2] / (m[:, 0::2] + m[:, 1::2])).nan_to_num(0.0)  # 0/0: nothing there
        n_left = torch.binomial(n, left_share, generator=generator)
        n = torch.stack((n_left, n - n_left), dim=2).flatten(1)
    return n[:, :V].long().to(device)
