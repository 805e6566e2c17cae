"""k rollouts of a prompt as one prefix tree: what rollouts share is run once.

The rollouts of a prompt begin alike. `12+34=` may be answered `46`, `47`, `46` and `4`:

    12+34=  --> 4 --> 6 --> end    x2        The nodes are `4`, `46` and `47`: three tokens to
                  --> 7 --> end    x1        run, where the copies have seven. Equal rollouts
                  --> end          x1        are one path with a count.

What a node predicts depends on its prefix alone, whoever passes through it. `generate` grows the
tree level by level and runs a node once. `logprobs` runs all nodes of a given tree at once, with
gradients. The loss is a sum over rollouts of A log pi(z), and log pi(z) a sum over the edges of z's
path; collect the terms of one edge, and

    loss = -(1/(B k)) sum over edges W log pi(token | prefix),    W = sum of A over its rollouts.

So the weight of a token is the sum of the advantages of all the rollouts that pass through it.
Nobody has to add them up. All these rollouts read the one log pi(token | prefix) that `logprobs`
has computed, each with its A (times its count, if it stands for several), and backpropagation sums
what they send back.

How the network runs a tree: everything in it but attention looks at one token at a time, and takes
the nodes as one long list. Attention compares tokens, and a comparison of all nodes with all others
would be wasted on other prompts. So for attention the nodes stand in *rows*: at most WIDTH paths
through the tree of one prompt, padded to one length. In its row a node sees, by a mask, the prompt,
its ancestors and itself. A prompt with more paths has several rows. In `logprobs` a prefix that two
rows share is a node of each, run once a row; in `generate` a row takes over the keys and values of
the row that its nodes' parents stood in. Left out: rewards, advantages, strings.

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

WIDTH = 16  # paths of a row: a wider row shares more prefixes, and masks more of its products


@dataclass
class Rollouts:
    """Distinct completions of a batch of prompts, sorted by prompt; U of them, at most L tokens."""

    group: Tensor  # (U,) int64, which row of the prompts it answers
    tokens: Tensor  # (U, L) int64, the end token included, pad after it
    count: Tensor  # (U,) int64, how many of the prompt's k rollouts this is; they sum to k
    logprob: Tensor  # (U,) log pi(completion | prompt), as sampled
    ended: Tensor  # (U,) bool, False where L tokens went by without an end


# ------------------------------------------------------------------------------- nodes in rows


@dataclass
class Rows:
    """Where N nodes stand in R rows of n places."""

    source: Tensor  # (R,) whose keys come first: those of a prompt, or of a row of the level before
    place: Tensor  # (N,) in 0..R n - 1
    n: int

    def pad(self, x: Tensor) -> Tensor:
        """(N, ...) of the nodes -> (R, n, ...), with zeros where no node stands."""
        rows = x.new_zeros(len(self.source) * self.n, *x.shape[1:])
        return rows.index_copy(0, self.place, x).unflatten(0, (-1, self.n))


def in_rows(group: Tensor, path: Tensor) -> Rows:
    """Rows for N nodes. group (N,), sorted: the prompt, or the row of the level before, that a node
    belongs to. path (N,), sorted within a group: the number of the path that first came to it (in
    sampling every node of a level is a path). WIDTH paths make a row."""
    key = group * len(group) + path // WIDTH
    _, row, size = key.unique_consecutive(return_inverse=True, return_counts=True)  # (N,), (R,)
    first = size.cumsum(0) - size
    n = int(size.max())
    place = row * n + torch.arange(len(row), device=row.device) - first[row]
    return Rows(group[first], place, n)


def attend_in_rows(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor, rows: Rows) -> Tensor:
    """q (N, h, c) of the nodes, keys and values (R, S, h, c), mask (R, n, S) -> (N, h, c)."""
    q, keys, values = (x.transpose(1, 2) for x in (rows.pad(q), keys, values))  # (R, h, ., c)
    y = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask.unsqueeze(1))
    return y.transpose(1, 2).flatten(0, 1)[rows.place]


# ------------------------------------------------------------------------------------ sampling


@dataclass
class Level:
    """N prefixes of one length, and the rows that they stand in."""

    group: Tensor  # (N,)
    tokens: Tensor  # (N, L)
    count: Tensor  # (N,) how many rollouts go on from here
    logprob: Tensor  # (N,)
    row: Tensor  # (N,) of the cache
    sees: Tensor  # (N, S) bool, which positions of the row are its own prefix

    def take(self, nodes: Tensor) -> "Level":
        """Some of them."""
        return Level(*(column[nodes] for column in vars(self).values()))


Cache = list[tuple[Tensor, Tensor]]  # of each layer the keys and values, (R, S, h, C/h)


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

    A prefix with count c draws how many of its c rollouts go on with each token (one multinomial
    draw, the same law as c separate draws), and each token that was drawn at all becomes a node of
    the next level. A million rollouts cost what their different texts cost. At most max_nodes nodes
    run at a time, and each such part is grown to its end before the next: that bounds the memory,
    and 1,024 nodes stay in a CPU's caches (give a GPU more). FloatingPointError if a probability is
    NaN; ValueError if the completions are longer than the model's positions.
    """
    (B, P), L, device = prompts.shape, max_new_tokens, prompts.device
    if P + L - 1 > model.config.block_size:
        raise ValueError(f"{P} + {L} - 1 positions: the model has {model.config.block_size}")
    done: list[tuple[Tensor, ...]] = []

    def grow(t: int, level: Level, logits: Tensor, cache: Cache) -> None:
        """Draw token t of N prefixes, logits (N, V). Set aside what ends, grow the rest."""
        logp = logits.log_softmax(-1)  # (N, V)
        drawn = draw_counts(logp.exp(), level.count, generator)  # (N, V)
        parent, token = drawn.nonzero(as_tuple=True)  # (N',) the children of all nodes
        level = level.take(parent)
        level.count = drawn[parent, token]
        level.logprob = level.logprob + logp[parent, token]
        level.tokens[:, t] = token
        ended = token == end
        over = ended if t < L - 1 else torch.ones_like(ended)
        leaves, open_ = (which.nonzero().squeeze(1) for which in (over, ~over))
        columns = (level.group, level.tokens, level.count, level.logprob, ended)
        done.append(tuple(column[leaves] for column in columns))
        # split() makes one empty part of nothing
        for part in open_.split(max_nodes) if len(open_) else ():
            grow(t + 1, *run_level(model, token[part], P + t, level.take(part), cache))

    first, cache = run_prompts(model, prompts)
    everyone = torch.arange(B, device=device)
    nothing, zero = prompts.new_full((B, L), pad), torch.zeros(B, device=device)
    all_of_it = torch.ones(B, P, dtype=torch.bool, device=device)
    all_at_once = torch.full_like(everyone, k)
    grow(0, Level(everyone, nothing, all_at_once, zero, everyone, all_of_it), first, cache)
    columns = [torch.cat(column) for column in zip(*done, strict=True)]
    order = columns[0].argsort(stable=True)
    rollouts = Rollouts(*(column[order] for column in columns))
    broken = (rollouts.count.sum() != B * k) | ~rollouts.logprob.isfinite().all()
    if broken:  # asked once, here at the end: a GPU would have to stop for it
        raise FloatingPointError("the model's probabilities are not finite")
    return rollouts


def run_prompts(model: GPT, prompts: Tensor) -> tuple[Tensor, Cache]:
    """The prompts (B, P) -> logits of their first tokens (B, V), cache of B rows, P positions."""
    (B, P), cache = prompts.shape, []
    places = torch.arange(B * P, device=prompts.device)

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.unflatten(0, (B, P)) for x in (q, k, v))
        cache.append((k, v))
        return causal(layer, q, k, v).flatten(0, 1)

    return model(prompts.flatten(), places % P, attend, places[P - 1 :: P]), cache


def run_level(
    model: GPT, token: Tensor, position: int, level: Level, cache: Cache
) -> tuple[Level, Tensor, Cache]:
    """Run the last tokens of N prefixes: logits (N, V), and the cache with them in it.

    `level` comes with the rows of the parents; what is returned has rows of its own.
    """
    new: Cache = []
    path = torch.arange(len(token), device=token.device)
    first = torch.searchsorted(level.row, level.row)  # the first node of the same row
    rows = in_rows(level.row, path - first)
    itself = F.one_hot(rows.place % rows.n, rows.n).bool()
    sees = torch.cat((level.sees, itself), dim=1)  # (N, S + n)
    level = replace(level, row=rows.place // rows.n, sees=sees)
    mask = rows.pad(sees)  # a place without a node sees nothing: what comes out there is not read

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        pairs = zip(cache[layer], (k, v), strict=True)
        keys, values = (torch.cat((old[rows.source], rows.pad(x)), dim=1) for old, x in pairs)
        new.append((keys, values))
        return attend_in_rows(q, keys, values, mask, rows)

    return level, model(token, torch.full_like(token, position), attend), new


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


# --------------------------------------------------------------------------- log-probabilities


def logprobs(model: GPT, prompts: Tensor, group: Tensor, tokens: Tensor, end: int) -> Tensor:
    """log pi(completion | prompt) of U completions, with gradients; prefixes run once a row: (U,).

    prompts (B, P); group (U,), which of them a completion answers; tokens (U, L). Summed over
    tokens, the end token included; without one all L tokens count. Only the prompts that are
    answered are run.
    """
    used, group = group.unique(return_inverse=True)
    prompts = prompts[used]  # (B', P)
    order = lexicographic(group, tokens)
    group, tokens = group[order], tokens[order]
    counts = completion_mask(tokens, end)  # (U, L)
    paths = Paths(group, tokens, counts)
    logp = run_paths(model, prompts, paths).log_softmax(-1)  # (B' + N, V)
    per_token = logp.flatten()[paths.node * logp.shape[1] + tokens]  # (U, L)
    return (per_token * counts).sum(1)[order.argsort()]


def lexicographic(group: Tensor, tokens: Tensor) -> Tensor:
    """The order that sorts U completions by group, then token by token: (U,)."""
    order = torch.arange(len(group), device=group.device)
    for column in (*tokens.T.flip(0), group):  # the last one decides
        order = order[column[order].argsort(stable=True)]
    return order


class Paths:
    """The paths of U sorted completions through the tree: which node predicts which token.

    Nodes are numbered path by path: 0..B'-1 are the prompts, B'..B'+N-1 the prefixes. A prefix of t
    tokens that the path before has too is the same node. With one prompt (its number is 0), `e` for
    the end token and `.` for a pad:

        tokens      new         node
        4 6 e       - x x       0 1 2       `4` and `46` are nodes
        4 7 e       - - x       0 1 3       `4` is node 1 already, `47` is new
        4 e .       - - -       0 1 .       nothing goes on from `4e`
    """

    def __init__(self, group: Tensor, tokens: Tensor, counts: Tensor):
        """group (U,); tokens (U, L); counts (U, L) bool, True up to the end token."""
        self.group, self.tokens = group, tokens
        self.path = torch.arange(len(group), device=group.device) - torch.searchsorted(group, group)
        other = (tokens != tokens.roll(1, 0)).cumsum(1) > 0  # than the path before, in tokens 0..t
        other |= (self.path % WIDTH == 0).unsqueeze(1)  # every row has nodes of its own
        # (U, L): tokens 0..t-1 are a new node; never for t = 0, that is the prompt itself
        self.new = F.pad(other[:, :-1], (1, 0)) & counts
        number = self.new.flatten().cumsum(0).view_as(tokens) + int(group[-1])
        number = torch.where(self.new, number, 0).cummax(0).values  # not new: that of a path before
        self.node = torch.cat((group.unsqueeze(1), number[:, 1:]), dim=1)  # (U, L) predicts token t


def run_paths(model: GPT, prompts: Tensor, paths: Paths) -> Tensor:
    """The prompts (B', P) and the nodes that paths lead through -> logits (B' + N, V)."""
    B, P = prompts.shape
    u, t = paths.new.nonzero(as_tuple=True)  # (N,)
    if len(u) == 0:  # all completions are one token long
        return run_prompts(model, prompts)[0]
    rows = in_rows(paths.group[u], paths.path[u])
    # Which places of its row each node sees: those of the nodes on its path, up to itself.
    columns = torch.arange(paths.node.shape[1], device=u.device)
    before = (columns > 0) & (columns <= t.unsqueeze(1))  # (N, L); column 0 is the prompt
    place = F.pad(rows.place % rows.n, (B, 0))[paths.node[u]]  # (N, L), the prompts have none
    place = torch.where(before, place, rows.n)  # an extra place takes what is not meant
    sees = prompts.new_zeros(len(u), rows.n + 1, dtype=torch.bool).scatter(1, place, True)
    mask = rows.pad(F.pad(sees[:, :-1], (P, 0), value=True))  # (R, n, P + n), all of the prompt
    mask[..., 0] = True  # also for places without a node: over nothing softmax and gradient are NaN

    def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        first, rest = zip(*(x.split([B * P, len(u)]) for x in (q, k, v)), strict=True)
        q, k, v = (x.unflatten(0, (B, P)) for x in first)
        of_prompts = causal(layer, q, k, v).flatten(0, 1)
        pairs = zip((k, v), rest[1:], strict=True)
        keys, values = (torch.cat((old[rows.source], rows.pad(x)), dim=1) for old, x in pairs)
        return torch.cat((of_prompts, attend_in_rows(rest[0], keys, values, mask, rows)))

    positions = torch.arange(B * P, device=u.device) % P
    keep = torch.arange(B * P + len(u), device=u.device)
    return model(
        torch.cat((prompts.flatten(), paths.tokens[u, t - 1])),
        torch.cat((positions, P + t - 1)),
        attend,
        torch.cat((keep[P - 1 : B * P : P], keep[B * P :])),
    )
