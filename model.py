"""A small decoder-only transformer, how it samples, and how it scores.

The architecture is GPT-2's as nanoGPT writes it: pre-norm blocks, learned positions, GELU, tied
embeddings, no dropout (the policy that is scored must be the policy that was sampled). Sampling is
at temperature 1 with no top-k and no top-p, for the same reason. Left out: losses, optimizers,
tasks, strings.

    >>> model = GPT(ModelConfig(vocab_size=7, block_size=9, n_layer=1, n_head=2, n_embd=8))
    >>> prompts = torch.tensor([[1, 2, 3], [3, 2, 1]])                              # (B=2, P=3)
    >>> rollouts = generate(model, prompts, k=100, max_new_tokens=4, end=5, pad=6,
    ...                     generator=torch.Generator().manual_seed(0))
    >>> [rollouts.count[rollouts.prompt == b].sum().item() for b in (0, 1)]
    [100, 100]
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cache = list[tuple[Tensor, Tensor]]  # of each layer the keys and values, (N, h, S, C/h)


@dataclass
class ModelConfig:
    """Sizes. block_size is the longest prompt plus completion, in tokens."""

    vocab_size: int
    block_size: int
    n_layer: int = 2
    n_head: int = 5
    n_embd: int = 160


class Attention(nn.Module):
    """Causal self-attention over the cached positions and the new ones."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        assert config.n_embd % config.n_head == 0, "the width is split evenly among the heads"
        self.n_head = config.n_head
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.proj = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, rows: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        N, T, C = x.shape
        qkv = self.qkv(x).view(N, T, 3, self.n_head, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (N, h, T, C/h)
        mask = None
        if past is not None:  # copied layer by layer, not all at once: it stays in a CPU's caches
            k = torch.cat((past[0].index_select(0, rows), k), dim=2)  # (N, h, S+T, C/h)
            v = torch.cat((past[1].index_select(0, rows), v), dim=2)
            if T > 1:  # new position i sees all S cached ones and the new ones up to i
                S = k.shape[2] - T
                mask = torch.ones(T, S + T, dtype=torch.bool, device=x.device).tril(S)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=past is None)
        return self.proj(y.transpose(1, 2).reshape(N, T, C)), (k, v)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        C = config.n_embd
        self.norm_1, self.attention = nn.LayerNorm(C), Attention(config)
        self.norm_2, self.up = nn.LayerNorm(C), nn.Linear(C, 4 * C, bias=False)
        self.down = nn.Linear(4 * C, C, bias=False)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, rows: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        y, present = self.attention(self.norm_1(x), past, rows)
        x = x + y
        return x + self.down(F.gelu(self.up(self.norm_2(x)))), present


class GPT(nn.Module):
    """Tokens in, logits out. `generator` draws the initial weights (default: the global one)."""

    def __init__(self, config: ModelConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.n_embd)  # also the output layer: tied
        self.positions = nn.Embedding(config.block_size, config.n_embd)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = nn.LayerNorm(config.n_embd)
        for name, w in self.named_parameters():
            if w.dim() == 2:  # norms start at 1 and 0; the 2 n_layer residual branches start small
                into_residual = name.endswith(("proj.weight", "down.weight"))
                std = 0.02 / math.sqrt(2 * config.n_layer) if into_residual else 0.02
                nn.init.normal_(w, std=std, generator=generator)

    def forward(
        self, tokens: Tensor, cache: Cache | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, Cache]:
        """tokens (N, T) that follow the S cached positions -> logits (N, T, V), cache of S+T.

        rows (N,) says which row of the cache each row of tokens follows (default: its own).
        """
        N, T = tokens.shape
        S = cache[0][0].shape[2] if cache else 0
        rows = torch.arange(N, device=tokens.device) if rows is None else rows
        assert S + T <= self.config.block_size, f"{S + T} positions, {self.config.block_size} known"
        x = self.tokens(tokens) + self.positions.weight[S : S + T]  # (N, T, C)
        present: Cache = []
        for i, block in enumerate(self.blocks):
            x, keys_values = block(x, cache[i] if cache else None, rows)
            present.append(keys_values)
        return F.linear(self.norm(x), self.tokens.weight), present

    def n_parameters(self) -> int:
        """How many numbers are trained; the tied embedding counts once."""
        return sum(w.numel() for w in self.parameters())


# ----------------------------------------------------------------------------------- sampling


@dataclass
class Rollouts:
    """Distinct completions of a batch of prompts, sorted by prompt; U of them, at most L tokens."""

    prompt: Tensor  # (U,) int64, which row of the prompts
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


# ------------------------------------------------------------------------------------ scoring


def completion_logits(
    model: GPT, prompts: Tensor, completions: Tensor, prompt: Tensor | None = None
) -> Tensor:
    """Teacher-forced logits of each completion token: (U, L, V), with gradients.

    prompts (B, P); completions (U, L); prompt (U,) says whose completion each is (default: one for
    each prompt, in order, scored in one pass). Otherwise each prompt runs once and its completions
    attend to its cached keys and values, through which the gradient flows back.
    """
    if prompt is None:
        P = prompts.shape[1]
        logits, _ = model(torch.cat((prompts, completions[:, :-1]), dim=1))
        return logits[:, P - 1 :]
    first, cache = model(prompts)  # (B, P, V); the last position predicts the first token
    first = first[:, -1:].index_select(0, prompt)  # (U, 1, V)
    if completions.shape[1] == 1:
        return first
    rest, _ = model(completions[:, :-1], cache, prompt)
    return torch.cat((first, rest), dim=1)


def completion_mask(completions: Tensor, end: int) -> Tensor:
    """(U, L) bool: True up to the first end token, included; a pad before it is a token."""
    ends = (completions == end).long()
    return ends.cumsum(1) - ends == 0


def logprobs(
    model: GPT, prompts: Tensor, completions: Tensor, end: int, prompt: Tensor | None = None
) -> Tensor:
    """log pi(completion | prompt), summed over tokens, the end token included: (U,).

    Shapes as in `completion_logits`. Without an end token all L tokens count.
    """
    return summed_logprobs(completion_logits(model, prompts, completions, prompt), completions, end)


def summed_logprobs(logits: Tensor, completions: Tensor, end: int) -> Tensor:
    """The same from logits (U, L, V) that are there already."""
    per_token = logits.log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2)  # (U, L)
    return (per_token * completion_mask(completions, end)).sum(1)
