"""model.py: the network, and the log-probability of a completion."""

import math

import pytest
import torch

from model import GPT, ModelConfig, completion_mask, logprobs

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


# ------------------------------------------------------------------------------ the transformer


def test_the_future_is_not_seen():
    model = small_model()
    tokens = torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
    changed = tokens.clone()
    changed[0, 4:] = torch.tensor([3, 3, 0])
    a, b = model(tokens), model(changed)
    assert torch.equal(a[:, :4], b[:, :4]) and not torch.allclose(a[:, 4:], b[:, 4:])


def test_an_arrangement_of_ones_own_is_the_same_network():
    """The same seven tokens as a list, in another order, under a mask that is causal."""
    model = small_model()
    tokens = torch.randint(0, V, (7,), generator=torch.Generator().manual_seed(1))
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    sees = order[None, :] <= order[:, None]
    seen_by = []

    def attend(layer, q, k, v):
        seen_by.append(layer)
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))  # (h, 7, c)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~sees, -math.inf).softmax(-1)
        return (weights @ v).transpose(0, 1)

    whole = model(tokens[None])[0]
    assert torch.allclose(model(tokens[order], order, attend), whole[order], atol=1e-5)
    keep = torch.tensor([4, 2])
    assert torch.allclose(model(tokens[order], order, attend, keep), whole[order[keep]], atol=1e-5)
    assert seen_by == [0, 1, 0, 1]


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
