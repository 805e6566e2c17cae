"""A small decoder-only transformer, and the log-probability of a completion.

The architecture is GPT-2's as nanoGPT writes it: pre-norm blocks, learned positions, GELU, tied
embeddings, no dropout (the policy that is trained must be the policy that was sampled). Left out:
losses, optimizers, tasks, strings, sampling (tree.py).
"""

import math
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


# --------------------------------------------------------------------------- log-probabilities


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
