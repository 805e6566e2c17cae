"""tree.py: what is sampled is what is scored, and sharing prefixes changes only the time."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_model import END, PAD, PROMPTS, L, P, V, small_model
from torch.nn.utils import parameters_to_vector

import tree
from model import GPT, ModelConfig, completion_mask, logprobs
from tree import draw_counts, generate

TOKENS = st.integers(0, V - 1)


def rollouts_of(model, k, prompts=PROMPTS, seed=0, **words):
    generator = torch.Generator().manual_seed(seed)
    return generate(model, prompts, k, L, end=END, pad=PAD, generator=generator, **words)


@pytest.mark.parametrize("width, max_nodes, k", [(16, 1024, 500), (1, 512, 60), (2, 3, 60),
                                                 (3, 1, 7), (64, 7, 1)])  # fmt: skip
def test_what_is_sampled_is_what_is_scored(monkeypatch, width, max_nodes, k):
    """Also in rows of one node, and in parts of one node. The same seed gives the same rollouts."""
    monkeypatch.setattr(tree, "WIDTH", width)
    model = small_model()
    r, again = (rollouts_of(model, k, max_nodes=max_nodes) for _ in range(2))
    assert all(map(torch.equal, vars(r).values(), vars(again).values()))
    assert [r.count[r.group == b].sum().item() for b in range(len(PROMPTS))] == [k] * len(PROMPTS)
    assert (r.count > 0).all() and (r.group.diff() >= 0).all() and not r.logprob.requires_grad
    ids = r.tokens.tolist()
    assert len(set(zip(r.group.tolist(), map(tuple, ids), strict=True))) == len(ids)
    assert r.ended.tolist() == [END in text for text in ids]
    assert k < 500 or (len(ids) > 100 and not r.ended.all())
    assert (r.tokens[~completion_mask(r.tokens, END)] == PAD).all()
    for scored in (logprobs(model, PROMPTS[r.group], r.tokens, END),
                   tree.logprobs(model, PROMPTS, r.group, r.tokens, END)):  # fmt: skip
        assert torch.allclose(scored, r.logprob, atol=1e-5)
    other = rollouts_of(model, k, seed=5, max_nodes=max_nodes)
    assert len(other.group) != len(ids) or not torch.equal(other.tokens, r.tokens)


@pytest.mark.parametrize("k", [1, 3, 40_000])
def test_rollouts_follow_the_model_exactly(k):
    """Chi-square of about 40,000 rollouts against their probabilities, to 5 standard deviations.
    Rare completions (expected below 10) share a cell."""
    model, n = small_model(), 40_000 // k
    r = rollouts_of(model, k, PROMPTS[1].repeat(n, 1), seed=5)
    texts, which = r.tokens.unique(dim=0, return_inverse=True)
    seen = torch.zeros(len(texts)).index_add(0, which, r.count.float())
    with torch.no_grad():
        p = logprobs(model, PROMPTS[1].expand(len(texts), P), texts, END).exp()
    common = p * n * k >= 10
    seen = torch.cat((seen[common], seen[~common].sum(0, keepdim=True)))
    p = torch.cat((p[common], 1 - p[common].sum(0, keepdim=True)))
    statistic = ((seen - p * n * k) ** 2 / (p * n * k)).sum().item()
    dof = len(seen) - 1
    assert dof > 50 and abs(statistic - dof) < 5 * math.sqrt(2 * dof)


def test_rollouts_of_a_prompt_are_independent_of_each_other():
    """Counts of the first token over many groups have the multinomial's variance and covariance."""
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0]).repeat(20_000, 1)
    n = torch.full((20_000,), 9)
    counts = draw_counts(probs, n, torch.Generator().manual_seed(0)).double()
    p = probs[0].double()
    truth = 9 * (p.diag() - p[:, None] * p[None, :])
    assert torch.allclose(counts.mean(0), 9 * p, atol=0.06)  # sd of each mean < .011
    assert torch.allclose(counts.T.cov(), truth, atol=0.12)  # sd of each entry < .023


@pytest.mark.parametrize("size", [6, 8])  # with 8 = 2^3 tokens NaN draws the last, none is lost
def test_a_broken_model_does_not_sample_nothing(size):
    model = GPT(ModelConfig(size, P + L, n_layer=1, n_head=1, n_embd=4), torch.Generator())
    model.norm.weight.data.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        rollouts_of(model, 3)


def test_every_prefix_runs_once_when_sampling_and_once_when_scoring(monkeypatch):
    """Counted: the tokens that go through the network, level by level and all at once."""
    monkeypatch.setattr(tree, "WIDTH", 10**6)  # one row a prompt: no prefix is in two rows
    model, ran = small_model(), []
    r = rollouts_of(model, 200)
    lengths = completion_mask(r.tokens, END).sum(1).tolist()
    rows = zip(r.group.tolist(), r.tokens.tolist(), lengths, strict=True)
    prefixes = {(b, *ids[:t]) for b, ids, n in rows for t in range(1, n)}
    model.register_forward_hook(lambda _, words, out: ran.append(words[0].numel()))
    rollouts_of(model, 200)
    assert sum(ran) == PROMPTS.numel() + len(prefixes)
    tree.logprobs(model, PROMPTS, r.group, r.tokens, END)
    assert ran[-1] == PROMPTS.numel() + len(prefixes)


def test_a_completion_longer_than_the_positions_is_refused_before_anything_is_sampled():
    """The last token of a completion is not run, so its place is not needed."""
    model, longest = small_model(), L + 1
    words = {"end": END, "pad": PAD, "generator": torch.Generator()}
    assert generate(model, PROMPTS, 2, longest, **words).tokens.shape[1] == longest
    model.forward = None  # type: ignore[assignment]
    with pytest.raises(ValueError, match=f"3 \\+ {longest + 1} - 1 positions"):
        generate(model, PROMPTS, 2, longest + 1, **words)


COMPLETION = st.tuples(st.integers(0, len(PROMPTS) - 1), st.lists(TOKENS, min_size=L, max_size=L))


@settings(max_examples=60, deadline=None)
@given(st.lists(COMPLETION, min_size=1, max_size=30), st.integers(1, L), st.integers(1, 5))
@example([(3, [END] * L), (0, [END, 2, END, PAD])], L, 2)  # one token each: no node but the prompts
@example([(0, [END] * L)] * 3 + [(0, [5, END, 0, 0]), (1, [END] * L), (1, [5, END, 0, 0])], 2, 1)
@example([(0, [END] * L), (1, [0, 1, 2, 3]), (1, [0, 1, 2, END]), (2, [3, 3, END, 0])], L, 9)
def test_any_completions_in_any_order_have_the_log_probs_and_gradients_of_each_alone(
    completions, length, width
):
    """Ends anywhere or nowhere, duplicates, prompts without a completion, rows of unlike length."""
    model = small_model(dtype=torch.float64)
    group = torch.tensor([b for b, _ in completions])
    tokens = torch.tensor([ids[:length] for _, ids in completions])
    weights = torch.linspace(-2, 1.5, len(group), dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "WIDTH", width)
        got = tree.logprobs(model, PROMPTS, group, tokens, END)
    alone = logprobs(model, PROMPTS[group], tokens, END)
    assert torch.allclose(got, alone, rtol=1e-10, atol=1e-10)
    parts = list(model.parameters())
    a, b = (torch.autograd.grad((weights * x).sum(), parts) for x in (got, alone))
    a, b = parameters_to_vector(a), parameters_to_vector(b)
    assert torch.allclose(a, b, rtol=1e-10, atol=1e-10 * b.abs().max().item())
