"""A small decoder-only transformer, and the log-probability of a completion.

The architecture is that of GPT-2 in the form that nanoGPT gives it: pre-norm blocks, learned
positions, GELU, tied embeddings. There is no dropout, because the policy that is trained must be
the policy that was sampled. Left out: losses, optimizers, tasks, strings, sampling (tree.py).

    >>> model = GPT(ModelConfig(vocab_size=7, block_size=9))
    >>> prompts, completions = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 6]])   # 5 is the end
    >>> model(torch.cat((prompts, completions), dim=1)).shape                         # (N, T, V)
    torch.Size([1, 6, 7])
    >>> logprobs(model, prompts, completions, end=5).shape           # of 4 and 5, but not of the 6
    torch.Size([1])
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]  # layer, queries, keys, values -> values


@dataclass
class ModelConfig:
    """Sizes. block_size is the most tokens that a prompt and its completion may have together."""

    vocab_size: int
    block_size: int
    n_layer: int = 2
    n_head: int = 5
    n_embd: int = 160


def causal(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Position t sees positions 0..t of its row. All tensors are (N, T, h, C/h)."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # (N, h, T, C/h)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


class Attention(nn.Module):
    """Self-attention with h heads. The function `attend` decides which token sees which."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        assert config.n_embd % config.n_head == 0, "the width is split evenly among the heads"
        self.n_head = config.n_head
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.proj = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def forward(self, x: Tensor, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.n_head, -1)).unbind(-3)  # (..., h, C/h)
        return self.proj(attend(q, k, v).flatten(-2))  # (..., C)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        C = config.n_embd
        self.norm_1, self.attention = nn.LayerNorm(C), Attention(config)
        self.norm_2, self.up = nn.LayerNorm(C), nn.Linear(C, 4 * C, bias=False)
        self.down = nn.Linear(4 * C, C, bias=False)

    def forward(
        self,
        x: Tensor,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
        keep: Tensor | None = None,
    ) -> Tensor:
        y = self.attention(self.norm_1(x), attend)
        x = x + y if keep is None else x[keep] + y[keep]
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


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
            if w.dim() == 2:  # norms keep 1 and 0; the 2 n_layer residual branches start small
                into_residual = name.endswith(("proj.weight", "down.weight"))
                std = 0.02 / math.sqrt(2 * config.n_layer) if into_residual else 0.02
                nn.init.normal_(w, std=std, generator=generator)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        attend: Attend = causal,
        keep: Tensor | None = None,
    ) -> Tensor:
        """tokens (N, T) -> logits (N, T, V): position t predicts token t + 1.

        The other arguments are for tree.py, whose tokens do not stand in plain rows: there `tokens`
        may have any shape. `positions`, of the same shape, says at which position of its text each
        token stands; `attend` decides which token sees which; `keep`, indices into the first
        dimension, selects the tokens whose logits are wanted. The last layer runs its MLP for these
        only.
        """
        if positions is None:
            T, known = tokens.shape[1], self.config.block_size
            assert T <= known, f"{T} positions, {known} known"
            positions = torch.arange(T, device=tokens.device)
        x = self.tokens(tokens) + self.positions(positions)  # (N, T, C)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            x = block(x, partial(attend, layer), keep if layer == last else None)
        return F.linear(self.norm(x), self.tokens.weight)

    def n_parameters(self) -> int:
        """The number of trained weights. The tied embedding counts once."""
        return sum(w.numel() for w in self.parameters())


# --------------------------------------------------------------------------- log-probabilities


def completion_logits(model: GPT, prompts: Tensor, completions: Tensor) -> Tensor:
    """Teacher-forced logits of each completion token: (N, P) and (N, L) -> (N, L, V)."""
    P = prompts.shape[1]
    return model(torch.cat((prompts, completions[:, :-1]), dim=1))[:, P - 1 :]


def completion_mask(completions: Tensor, end: int) -> Tensor:
    """(N, L) bool, True up to and including the first end token. A pad before it counts, too."""
    ends = (completions == end).long()
    return ends.cumsum(1) - ends == 0


def logprobs(model: GPT, prompts: Tensor, completions: Tensor, end: int) -> Tensor:
    """log pi(completion | prompt), summed over the tokens up to and including the end token: (N,).

    prompts (N, P); completions (N, L). In a completion without an end token all L tokens count.
    """
    return summed_logprobs(completion_logits(model, prompts, completions), completions, end)


def summed_logprobs(logits: Tensor, completions: Tensor, end: int) -> Tensor:
    """The same, computed from the logits (N, L, V) of `completion_logits`."""
    per_token = logits.log_softmax(-1).gather(2, completions.unsqueeze(2)).squeeze(2)  # (N, L)
    return (per_token * completion_mask(completions, end)).sum(1)
