"""k rollouts of a prompt as one prefix tree: a prefix that rollouts share is computed once.

Rollouts of one prompt often agree. Four rollouts of `12+34=` may say 46, 47, 46 and 4, and four of
`50+30=` may all say 80. So the project does not store B k completions, but the U *distinct* ones,
each with a count. Here B = 2, k = 4 and U = 4 (`e` is the end token, `.` a pad):

    group   tokens   count
      0     4 6 e      2       group: which prompt the completion answers
      0     4 7 e      1       count: how many of the prompt's k rollouts it stands for
      0     4 e .      1
      1     8 0 e      4

This table is the class `Rollouts`. Whatever belongs to a completion, such as its reward or its
log-probability, is a tensor of shape (U,). Distinct completions still begin alike, and what the
network predicts after 4 does not depend on whether the rollout goes on to 46 or to 47. So each
prefix is a *node* of a tree and is computed once, and each completion is a *path*:

    12+34=  --> 4 --> 6 --> e              50+30=  --> 8 --> 0 --> e
                  --> 7 --> e
                  --> e

These five nodes, 4, 46, 47, 8 and 80, replace the 15 tokens that eight separate rollouts would run.
(Nothing follows an end token, so it is predicted but never run.) `generate` grows the tree level by
level: first 4 and 8, then 46, 47 and 80. `logprobs` is given completions and runs all their nodes
at once, with gradients. Completions that share a node share its log-probabilities, and in training
autograd adds up what each of them sends back: count x advantage.

How does a network run a tree? Everything in it except for attention treats each token by itself,
and takes the nodes as one long list. Attention compares tokens, and comparing the nodes of
different prompts would be wasted work. So for attention the nodes stand in *rows*, each of which
holds the nodes of at most WIDTH paths of one prompt. A mask lets a node see its prompt, its
ancestors and itself. Left out: rewards, advantages, strings.

    >>> model = GPT(ModelConfig(vocab_size=7, block_size=9, n_layer=1, n_head=2, n_embd=8))
    >>> prompts = torch.tensor([[1, 2, 3], [3, 2, 1]])                              # (B=2, P=3)
    >>> rollouts = generate(model, prompts, k=100, max_new_tokens=4, end=5, pad=6,
    ...                     generator=torch.Generator().manual_seed(0))
    >>> [rollouts.count[rollouts.group == b].sum().item() for b in (0, 1)]
    [100, 100]
    >>> logp = logprobs(model, prompts, rollouts.group, rollouts.tokens, end=5)
    >>> torch.allclose(logp, rollouts.logprob, atol=1e-5)
    True
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from model import GPT, causal, completion_mask

WIDTH = 16  # paths in a row; a wider row shares more prefixes, but more of its products are masked


@dataclass
class Rollouts:
    """The U distinct completions of a batch, of at most L tokens each, sorted by prompt."""

    group: Tensor  # (U,) int64, the prompt that the completion answers
    tokens: Tensor  # (U, L) int64, up to and including the end token, then pads
    count: Tensor  # (U,) int64, how many of the prompt's k rollouts it stands for; they sum to k
    logprob: Tensor  # (U,) log pi(completion | prompt), recorded while sampling
    ended: Tensor  # (U,) bool, False if L tokens were drawn without an end token


# ------------------------------------------------------------------------------- nodes in rows


@dataclass
class Rows:
    """Where N nodes stand: in R rows of n columns, with empty places at the end of a short row."""

    row: Tensor  # (N,) in 0..R-1
    column: Tensor  # (N,) in 0..n-1
    continues: Tensor  # (R,) a prompt or, when sampling, a row of the level above
    n: int

    def pad(self, x: Tensor) -> Tensor:
        """(N, ...), one entry for each node -> (R, n, ...), with zeros in the empty places."""
        padded = x.new_zeros(len(self.continues), self.n, *x.shape[1:])
        padded[self.row, self.column] = x
        return padded

    def itself(self) -> Tensor:
        """(N, n) bool: each node sees its own column."""
        return self.column.unsqueeze(1) == torch.arange(self.n, device=self.column.device)


def in_rows(continues: Tensor, path: Tensor) -> Rows:
    """Rows for N nodes: the paths of a row, at most WIDTH, continue the same prompt or row.

    continues (N,), sorted: the prompt or row that the node continues. path (N,): the number of the
    node's path, sorted and counted from 0 for each prompt or row.
    """
    key = continues * 2**32 + path // WIDTH  # a number for each row; 2**32 exceeds any path number
    _, row, size = key.unique_consecutive(return_inverse=True, return_counts=True)  # (N,), (R,)
    first = size.cumsum(0) - size  # (R,) the first node of each row
    column = torch.arange(len(row), device=row.device) - first[row]
    return Rows(row, column, continues[first], n=int(size.max()))


def number_within(group: Tensor) -> Tensor:
    """Number the members of each group from 0: 5 5 5 7 7 -> 0 1 2 0 1. group (N,), sorted."""
    return torch.arange(len(group), device=group.device) - torch.searchsorted(group, group)


KeysValues = tuple[Tensor, Tensor]  # (R, S, h, c) each: R rows of S positions, h heads of width c
Cache = list[KeysValues]  # one pair for each layer


def attend_in_rows(
    q: Tensor, k: Tensor, v: Tensor, before: KeysValues, mask: Tensor, rows: Rows
) -> tuple[Tensor, KeysValues]:
    """Attention of N nodes to the S positions that their rows continue and to the rows themselves.

    q, k, v (N, h, c) of the nodes; before, the keys and values that the rows continue; mask
    (R, n, S + n), what each node sees. Returns (N, h, c), and all keys and values of the R rows.
    """
    keys = torch.cat((before[0][rows.continues], rows.pad(k)), dim=1)  # (R, S + n, h, c)
    values = torch.cat((before[1][rows.continues], rows.pad(v)), dim=1)
    q, k, v = (x.transpose(1, 2) for x in (rows.pad(q), keys, values))  # (R, h, ., c)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.unsqueeze(1))
    return y.transpose(1, 2)[rows.row, rows.column], (keys, values)


def run_prompts(model: GPT, prompts: Tensor) -> tuple[Tensor, Cache]:
    """The prompts (B, P) -> logits of their first tokens (B, V), cache of B rows, P positions."""
    (B, P), cache = prompts.shape, []
    places = torch.arange(B * P, device=prompts.device)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.unflatten(0, (B, P)) for x in (q, k, v))
        cache.append((k, v))
        return causal(layer, q, k, v).flatten(0, 1)

    return model(prompts.flatten(), places % P, attend, keep=places[P - 1 :: P]), cache


# ------------------------------------------------------------------------------------ sampling


@dataclass
class Level:
    """N prefixes of one length: the nodes at which the tree is growing."""

    group: Tensor  # (N,) the prompt
    tokens: Tensor  # (N, L) the prefix, then pads
    count: Tensor  # (N,) how many rollouts go on from here
    logprob: Tensor  # (N,) log pi(prefix | prompt)
    row: Tensor  # (N,) the row of the cache in which its last token stands
    sees: Tensor  # (N, S) bool, which positions of that row are its own prompt and prefix

    def take(self, nodes: Tensor) -> "Level":
        """These nodes only."""
        return Level(*(column[nodes] for column in vars(self).values()))


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
    max_nodes: int = 1024,
) -> Rollouts:
    """k independent rollouts of each prompt (B, P), at temperature 1, each up to its end token.

    At a node that c rollouts have reached, one multinomial draw says how many of them go on with
    each token; this has the same law as c separate draws. Every token that was drawn at all becomes
    a node of the next level, so a million rollouts cost no more than their distinct texts. At most
    max_nodes nodes run together, and what grows from them is finished before the next nodes run.
    That bounds the memory; 1,024 nodes fit into a CPU's caches (give a GPU more). ValueError if the
    model has too few positions; FloatingPointError if a probability is NaN.
    """
    (B, P), L, device = prompts.shape, max_new_tokens, prompts.device
    if P + L - 1 > model.config.block_size:  # the last token of a completion is not run
        raise ValueError(f"{P} + {L} - 1 positions: the model has {model.config.block_size}")
    done: list[tuple[Tensor, ...]] = []  # the columns of Rollouts, in parts

    def grow(t: int, level: Level, logits: Tensor, cache: Cache) -> None:
        """Draw token t of N prefixes, logits (N, V). Set aside those that end, grow the others."""
        children, token = draw_children(t, level, logits, generator)
        ended = token == end
        stops = ended if t < L - 1 else torch.ones_like(ended)
        leaves, inner = (which.nonzero().squeeze(1) for which in (stops, ~stops))
        columns = (children.group, children.tokens, children.count, children.logprob, ended)
        done.append(tuple(column[leaves] for column in columns))
        for first in range(0, len(inner), max_nodes):
            part = inner[first : first + max_nodes]
            grow(t + 1, *run_level(model, token[part], P + t, children.take(part), cache))

    logits, cache = run_prompts(model, prompts)
    b, zero = torch.arange(B, device=device), torch.zeros(B, device=device)
    tokens, count = prompts.new_full((B, L), pad), prompts.new_full((B,), k)
    sees = torch.ones(B, P, dtype=torch.bool, device=device)
    grow(0, Level(b, tokens, count, logprob=zero, row=b, sees=sees), logits, cache)
    columns = [torch.cat(column) for column in zip(*done, strict=True)]
    by_prompt = columns[0].argsort(stable=True)
    rollouts = Rollouts(*(column[by_prompt] for column in columns))
    # On a GPU this check makes the CPU wait, so it is made only once, at the end.
    if (rollouts.count.sum() != B * k) | ~rollouts.logprob.isfinite().all():
        raise FloatingPointError("the model's probabilities are not finite")
    return rollouts


def draw_children(
    t: int, level: Level, logits: Tensor, generator: torch.Generator
) -> tuple[Level, Tensor]:
    """Draw token t of N prefixes, logits (N, V): N' children, and the token that each adds (N',).

    `row` and `sees` of a child are still those of its parent, until `run_level` runs it.
    """
    logp = logits.log_softmax(-1)  # (N, V)
    drawn = draw_counts(logp.exp(), level.count, generator)  # (N, V)
    parent, token = drawn.nonzero(as_tuple=True)  # (N',)
    children = level.take(parent)
    children.tokens[:, t] = token
    children.count = drawn[parent, token]
    children.logprob = children.logprob + logp[parent, token]
    return children, token


def run_level(
    model: GPT, token: Tensor, position: int, level: Level, cache: Cache
) -> tuple[Level, Tensor, Cache]:
    """Run the newest token (N,) of each prefix. Returns the level, now in rows of its own, its
    logits (N, V), and the cache of those rows."""
    new_cache: Cache = []
    rows = in_rows(level.row, path=number_within(level.row))  # each node is a path
    sees = torch.cat((level.sees, rows.itself()), dim=1)  # (N, S + n)
    mask = rows.pad(sees)  # an empty place sees nothing, and its output is never read

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        y, keys_values = attend_in_rows(q, k, v, cache[layer], mask, rows)
        new_cache.append(keys_values)
        return y

    logits = model(token, torch.full_like(token, position), attend)
    return replace(level, row=rows.row, sees=sees), logits, new_cache


def draw_counts(probs: Tensor, count: Tensor, generator: torch.Generator) -> Tensor:
    """Multinomial counts: of count[n] draws from probs[n], how many gave each of V outcomes.

    probs (N, V), count (N,) -> (N, V) int64, whose rows sum to count. The outcomes are the leaves
    of a binary tree: of n draws that reach a fork, Binomial(n, left / (left + right)) go left.
    So the work does not depend on the counts. The draws are made on the generator's device (MPS has
    no binomial: pass a CPU generator there), in float64, where counts are exact. A row of probs
    with a NaN draws anything or nothing; `generate` checks for that.
    """
    probs, device, V = probs.to(generator.device), probs.device, probs.shape[1]
    width = 1 << (V - 1).bit_length()  # the smallest power of two that is at least V
    mass = [F.pad(probs.double(), (0, width - V))]  # from the leaves up to the root
    while mass[-1].shape[1] > 1:
        mass.append(mass[-1][:, 0::2] + mass[-1][:, 1::2])
    n = count.to(generator.device).double().unsqueeze(1)  # (N, 1): all draws reach the root
    for m in reversed(mass[:-1]):
        left_share = (m[:, 0::2] / (m[:, 0::2] + m[:, 1::2])).nan_to_num(0.0)  # 0/0: no draws here
        n_left = torch.binomial(n, left_share, generator=generator)
        n = torch.stack((n_left, n - n_left), dim=2).flatten(1)
    return n[:, :V].long().to(device)


# --------------------------------------------------------------------------- log-probabilities


def logprobs(model: GPT, prompts: Tensor, group: Tensor, tokens: Tensor, end: int) -> Tensor:
    """log pi(completion | prompt) of U completions, summed over tokens, with gradients: (U,).

    prompts (B, P); group (U,), the prompt that a completion answers; tokens (U, L), scored up to
    and including the end token, or all L of them if there is none. Prompts without a
    completion are not run. A prefix that occurs in several rows runs once for each of them.
    """
    used, group = group.unique(return_inverse=True)
    # Sort by group, then by token 0, token 1, ...: with stable sorts the first key comes last.
    order = torch.arange(len(group), device=group.device)
    for column in (*tokens.T.flip(0), group):
        order = order[column[order].argsort(stable=True)]
    group, tokens = group[order], tokens[order]
    scored = completion_mask(tokens, end)  # (U, L)
    logits, node = run_paths(model, prompts[used], group, tokens, scored)
    per_token = logits.log_softmax(-1)[node, tokens]  # (U, L)
    return (per_token * scored).sum(1)[order.argsort()]


def run_paths(
    model: GPT, prompts: Tensor, group: Tensor, tokens: Tensor, scored: Tensor
) -> tuple[Tensor, Tensor]:
    """Run all nodes on the paths of U sorted completions: logits (B + N, V) of the B prompts and
    N nodes, and a table `node` (U, L): the node whose logits predict token t of completion u.

    group (U,) in 0..B-1; tokens (U, L); scored (U, L), True up to the end token. The example from
    the top of the file, in the four steps of the code:

        u   group   tokens   1. new   2. node       4. who sees whom
        0     0     4 6 e    - x x    0 2 3                 12+34=        4  46  47
        1     0     4 7 e    - - x    0 2 4            4    x x x x x x   x
        2     0     4 e .    - - -    0 2 .            46   x x x x x x   x   x
        3     1     8 0 e    - x x    1 5 6            47   x x x x x x   x       x
    """
    (B, P), L, path = prompts.shape, tokens.shape[1], number_within(group)

    # 1. new[u, t]: are the first t tokens of completion u a node that the line above lacks? In line
    # 1 the node 4 is not new, but 47 is. 4e is not a node, because nothing follows it. Each row
    # starts afresh.
    new, shared = torch.zeros_like(scored), path % WIDTH > 0
    for length in range(1, L):
        shared[1:] &= tokens[1:, length - 1] == tokens[:-1, length - 1]
        new[:, length] = scored[:, length] & ~shared
    u, t = new.nonzero(as_tuple=True)  # (N,) line by line: 4, 46, 47, 8, 80

    # 2. The prompts are nodes 0 and 1, and predict the first tokens. The new nodes are numbered
    # from 2 on. A node that is not new has the number above it: the largest so far in its column.
    node = group.unsqueeze(1).repeat(1, L)
    node[u, t] = B + torch.arange(len(u), device=u.device)
    node = node.cummax(0).values
    if len(u) == 0:  # all completions are one token long
        return run_prompts(model, prompts)[0], node

    # 3. 4, 46 and 47 stand in columns 0, 1 and 2 of row 0; 8 and 80 in columns 0 and 1 of row 1.
    rows = in_rows(group[u], path[u])

    # 4. In its row, a node sees itself and what its parent sees: 47 sees columns 2 and 0.
    sees = rows.itself()  # (N, n)
    parent = node[u, t - 1]  # (N,)
    for length in range(2, L):
        level = (t == length).nonzero().squeeze(1)
        sees[level] |= sees[parent[level] - B]
    return run_nodes(model, prompts, tokens[u, t - 1], P + t - 1, rows, sees), node


def run_nodes(
    model: GPT, prompts: Tensor, token: Tensor, position: Tensor, rows: Rows, sees: Tensor
) -> Tensor:
    """Run the prompts (B, P) and N nodes in one pass: logits (B + N, V).

    token and position (N,); sees (N, n), which columns of its row a node sees.
    """
    (B, P), N = prompts.shape, len(token)
    mask = rows.pad(F.pad(sees, (P, 0), value=True))  # (R, n, P + n): all see their prompt
    mask[..., 0] = True  # in empty places too: a softmax over nothing can have NaN gradients

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        (q, q_n), (k, k_n), (v, v_n) = (x.split([B * P, N]) for x in (q, k, v))  # prompts, nodes
        q, k, v = (x.unflatten(0, (B, P)) for x in (q, k, v))
        y, _ = attend_in_rows(q_n, k_n, v_n, (k, v), mask, rows)
        return torch.cat((causal(layer, q, k, v).flatten(0, 1), y))

    places = torch.arange(B * P + N, device=token.device)
    tokens = torch.cat((prompts.flatten(), token))  # (B P + N,)
    positions = torch.cat((places[: B * P] % P, position))
    keep = torch.cat((places[P - 1 : B * P : P], places[B * P :]))  # the others need only be seen
    return model(tokens, positions, attend, keep)
