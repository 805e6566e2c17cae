"""model.py: what is sampled is what is scored, and counting rollouts changes only the time."""

import itertools
import math

import pytest
import torch

import maxrl
from model import GPT, ModelConfig, completion_logits, completion_mask, logprobs
from tree import draw_counts, generate

V, P, L, END, PAD = 6, 3, 4, 4, 5  # vocabulary, prompt and completion lengths: all different


def small_model(seed: int = 0, scale: float = 12.0, dtype=torch.float32) -> GPT:
    """Random weights, larger than at initialisation: the distribution is far from uniform."""
    config = ModelConfig(vocab_size=V, block_size=P + L, n_layer=2, n_head=2, n_embd=8)
    model = GPT(config, torch.Generator().manual_seed(seed)).to(dtype)
    with torch.no_grad():
        for w in model.parameters():
            if w.dim() == 2:
                w.mul_(scale)
    return model


PROMPTS = torch.tensor([[0, 1, 2], [3, 2, 1], [0, 0, 3], [1, 1, 1], [2, 0, 1]])  # B = 5


def rollouts_of(model, k, prompts=PROMPTS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return generate(model, prompts, k, L, end=END, pad=PAD, generator=generator)


# ------------------------------------------------------------------------------ the transformer


def test_the_future_is_not_seen():
    model = small_model()
    tokens = torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
    changed = tokens.clone()
    changed[0, 4:] = torch.tensor([3, 3, 0])
    a, b = model(tokens)[0], model(changed)[0]
    assert torch.equal(a[:, :4], b[:, :4]) and not torch.allclose(a[:, 4:], b[:, 4:])


@pytest.mark.parametrize("cuts", [(3, 4, 5, 6), (1,), (3,), (2, 5)])
def test_cache_equals_no_cache(cuts):
    """The same seven tokens in one pass and in pieces of several widths, one of them included."""
    model = small_model()
    tokens = torch.randint(0, V, (3, 7), generator=torch.Generator().manual_seed(1))
    whole, _ = model(tokens)
    cache, pieces = None, []
    for start, stop in itertools.pairwise((0, *cuts, 7)):
        logits, cache = model(tokens[:, start:stop], cache)
        pieces.append(logits)
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)


def test_too_many_positions_are_refused():
    with pytest.raises(AssertionError, match="8 positions, 7 known"):
        small_model()(torch.zeros(1, 8, dtype=torch.long))


def test_tied_embeddings_and_size():
    config = ModelConfig(vocab_size=25, block_size=13)
    C = config.n_embd
    expected = (25 + 13) * C + config.n_layer * (12 * C * C + 4 * C) + 2 * C
    assert GPT(config).n_parameters() == expected == 622_080


def test_initial_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    a = small_model(3).state_dict()
    torch.manual_seed(2)
    b = small_model(3).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


# ------------------------------------------------------------------------------------ sampling


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_rollouts_add_up_and_end_where_they_say(k):
    r = rollouts_of(small_model(), k)
    for b in range(len(PROMPTS)):
        assert r.count[r.group == b].sum() == k
    assert (r.count > 0).all() and (r.group.diff() >= 0).all()
    keys = {(b, *ids) for b, ids in zip(r.group.tolist(), r.tokens.tolist(), strict=True)}
    assert len(keys) == len(r.group), "distinct completions, each once"
    for ids, ended in zip(r.tokens.tolist(), r.ended.tolist(), strict=True):
        assert ended == (END in ids)
        if ended:
            assert all(token == PAD for token in ids[ids.index(END) + 1 :])


def test_recorded_log_probs_are_those_of_a_fresh_teacher_forced_pass():
    model = small_model()
    r = rollouts_of(model, 500)
    assert len(r.group) > 100 and not r.ended.all()
    one_pass = logprobs(model, PROMPTS[r.group], r.tokens, END)
    shared = logprobs(model, PROMPTS, r.tokens, END, r.group)
    assert torch.allclose(one_pass, r.logprob, atol=1e-5)
    assert torch.allclose(shared, r.logprob, atol=1e-5)


def exact_distribution(model, prompt):
    """Every completion of one prompt with its probability, by walking the whole tree."""
    found = {}

    def walk(ids, logp):
        if len(ids) == L or (ids and ids[-1] == END):
            found[tuple(ids)] = math.exp(logp)
            return
        logits, _ = model(torch.tensor([[*prompt, *ids]]))
        for token, step in enumerate(logits[0, -1].log_softmax(0).tolist()):
            walk([*ids, token], logp + step)

    with torch.no_grad():
        walk([], 0.0)
    return found


@pytest.mark.parametrize("k", [1, 3, 40_000])
def test_rollouts_follow_the_model_exactly(k):
    """Chi-square of about 40,000 rollouts against the enumerated tree, whatever the group size.

    Rare completions (expected below 10) share a cell. The bound is 5 standard deviations of the
    statistic above its mean: a false alarm in fewer than 1 of 10^4 seeds, and the seed is fixed.
    """
    model, n = small_model(), 40_000 // k
    truth = exact_distribution(model, PROMPTS[1].tolist())
    assert sum(truth.values()) == pytest.approx(1, abs=1e-5)
    r = rollouts_of(model, k, PROMPTS[1].repeat(n, 1), seed=5)
    seen = dict.fromkeys(truth, 0)
    for ids, count in zip(r.tokens.tolist(), r.count.tolist(), strict=True):
        seen[tuple(ids[: ids.index(END) + 1] if END in ids else ids)] += count
    expected = {z: p * n * k for z, p in truth.items()}
    common = [z for z in truth if expected[z] >= 10]
    cells = [(seen[z], expected[z]) for z in common]
    cells.append((n * k - sum(s for s, _ in cells), n * k - sum(e for _, e in cells)))
    statistic = sum((s - e) ** 2 / e for s, e in cells)
    dof = len(cells) - 1
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


def test_draw_counts_edges():
    g = torch.Generator().manual_seed(0)
    probs = torch.tensor([[0.0, 1.0, 0.0], [0.25, 0.0, 0.75], [1.0, 0.0, 0.0]])
    for n in (0, 1, 10**6):
        counts = draw_counts(probs, torch.tensor([n, n, n]), g)
        assert counts.sum(1).tolist() == [n, n, n]
        assert (counts[probs == 0] == 0).all(), "what has no probability is never drawn"
    counts = draw_counts(probs[1:2], torch.tensor([10**6]), g)
    assert abs(counts[0, 0].item() - 250_000) < 6 * math.sqrt(10**6 * 3 / 16)
    assert draw_counts(torch.ones(2, 1), torch.tensor([3, 0]), g).tolist() == [[3], [0]]


def test_a_broken_model_does_not_sample_nothing():
    model = small_model()
    with torch.no_grad():
        model.norm.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="not finite"):
        rollouts_of(model, 3)


def test_same_seed_same_rollouts():
    a, b = rollouts_of(small_model(), 9, seed=4), rollouts_of(small_model(), 9, seed=4)
    assert torch.equal(a.tokens, b.tokens) and torch.equal(a.count, b.count)
    assert not torch.equal(
        a.logprob, rollouts_of(small_model(), 9, seed=5).logprob[: len(a.logprob)]
    )


# ------------------------------------------------------------------------------------- scoring


def test_the_mask_ends_with_the_first_end_token():
    completions = torch.tensor(
        [[0, END, PAD, PAD], [PAD, 0, END, END], [END, 0, 0, 0], [0, 1, 2, 3]]
    )
    assert completion_mask(completions, END).int().tolist() == [
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 0, 0, 0],
        [1, 1, 1, 1],
    ]


def test_log_probs_of_a_padded_batch_are_those_of_each_completion_alone():
    model = small_model()
    completions = torch.tensor([[0, END, PAD, PAD], [END, 3, 2, 1], [2, 2, 1, END], [2, PAD, 1, 3]])
    lengths, prompts = (2, 1, 4, 4), PROMPTS[:4]
    batch = logprobs(model, prompts, completions, END)
    for i, n in enumerate(lengths):
        alone = logprobs(model, prompts[i : i + 1], completions[i : i + 1, :n], END)
        assert batch[i].item() == pytest.approx(alone.item(), abs=1e-5)
        rows = torch.tensor([i])
        shared = logprobs(model, prompts, completions[i : i + 1, :n], END, rows)
        assert batch[i].item() == pytest.approx(shared.item(), abs=1e-5)


def gradients(model, loss):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


def test_shared_prompts_counts_and_skipped_rows_do_not_change_the_gradient():
    """The training step's short cuts against the textbook: all B k rollouts, each scored alone."""
    model, k = small_model(dtype=torch.float64), 50
    r = rollouts_of(model, k)
    rewards = (r.tokens[:, 0] < 2).double()
    A = maxrl.counted_advantages("maxrl", rewards, r.group, r.count, k)
    live = (A * (r.tokens[:, 1] != 0)).nonzero().squeeze(1)  # and some rows that carry nothing
    A = A * (r.tokens[:, 1] != 0)
    assert 0 < len(live) < len(A)
    used, prompt = r.group[live].unique(return_inverse=True)
    logp = logprobs(model, PROMPTS[used], r.tokens[live], END, prompt)
    short = maxrl.policy_gradient_loss(logp, A[live], r.count[live], len(PROMPTS) * k)

    rows = torch.arange(len(A)).repeat_interleave(r.count)  # (B k,)
    assert len(rows) == len(PROMPTS) * k
    logp = logprobs(model, PROMPTS[r.group[rows]], r.tokens[rows], END)
    plain = maxrl.policy_gradient_loss(logp, A[rows])
    assert short.item() == pytest.approx(plain.item(), rel=1e-9)
    assert torch.allclose(gradients(model, short), gradients(model, plain), rtol=1e-6, atol=1e-12)


def test_on_a_one_answer_task_maxrl_raw_is_cross_entropy_wherever_there_is_a_success():
    """Every success is the same text, so the mean score of the successes is the reference's."""
    model = small_model(dtype=torch.float64)
    r = rollouts_of(model, 200)
    best = [(r.group == b).nonzero()[r.count[r.group == b].argmax()].item() for b in range(5)]
    answers = r.tokens[best]  # what each prompt says most is taken for its right answer
    rewards = (r.tokens == answers[r.group]).all(1).double()
    A = maxrl.counted_advantages("maxrl-raw", rewards, r.group, r.count, 200)
    logp = logprobs(model, PROMPTS, r.tokens, END, r.group)
    raw = maxrl.policy_gradient_loss(logp, A, r.count, 5 * 200)
    ce = maxrl.exact_loss(logprobs(model, PROMPTS, answers, END), math.inf)
    assert torch.allclose(gradients(model, raw), gradients(model, ce), rtol=1e-9, atol=1e-12)


def test_greedy_logits_of_one_token_completions():
    model = small_model()
    one = torch.tensor([[END], [2]])
    rows = torch.tensor([3, 0])
    assert torch.allclose(
        completion_logits(model, PROMPTS, one, rows),
        completion_logits(model, PROMPTS[rows], one),
        atol=1e-6,
    )
