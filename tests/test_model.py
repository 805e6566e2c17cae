"""model.py: the network, and the log-probability of a completion."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from model import GPT, ModelConfig, logprobs

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


def transformer(model, tokens):
    """The same network of torch's own layers: logits (N, T, V)."""
    C, h, T = model.config.n_embd, model.config.n_head, tokens.shape[1]
    x = model.tokens.weight[tokens] + model.positions.weight[:T]
    for block in model.blocks:
        words = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        layer = nn.TransformerEncoderLayer(C, h, 4 * C, bias=False, **words)
        ours = (block.attention.qkv, block.attention.proj, block.up, block.down)
        weights = [module.weight for module in (*ours, block.norm_1, block.norm_2)]
        layer.load_state_dict(dict(zip(layer.state_dict(), weights, strict=True)))
        x = layer(x, nn.Transformer.generate_square_subsequent_mask(T), is_causal=True)
    return F.layer_norm(x, (C,), model.norm.weight, model.norm.bias) @ model.tokens.weight.T


def test_the_network_is_a_transformer_in_whatever_arrangement_its_tokens_are_run():
    """In rows, and as a list of seven tokens in another order under a mask."""
    model = small_model()
    tokens = torch.randint(0, V, (2, 7), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = transformer(model, tokens)
    assert torch.allclose(model(tokens), whole, atol=1e-4)
    tokens, whole, seen_by = tokens[0], whole[0], []
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])

    def attend(layer, q, k, v):
        seen_by.append(layer)
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))  # (h, 7, c)
        sees = order[None, :] <= order[:, None]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=sees).transpose(0, 1)

    assert torch.allclose(model(tokens[order], order, attend), whole[order], atol=1e-4)
    keep = torch.tensor([4, 2])
    assert torch.allclose(model(tokens[order], order, attend, keep), whole[order[keep]], atol=1e-4)
    assert seen_by == [0, 1, 0, 1]
    with pytest.raises(AssertionError, match="8 positions, 7 known"):
        model(torch.zeros(1, 8, dtype=torch.long))


def test_sizes_and_initial_weights():
    """Tied embeddings, GPT-2's standard deviations, and weights from the generator alone."""
    config = ModelConfig(vocab_size=25, block_size=13)
    C, layers = config.n_embd, config.n_layer
    model = GPT(config, torch.Generator().manual_seed(3))
    assert model.n_parameters() == (25 + 13) * C + layers * (12 * C * C + 4 * C) + 2 * C == 622_080
    for name, w in model.named_parameters():
        if w.dim() == 2:
            small = name.endswith(("proj.weight", "down.weight"))
            assert w.std().item() == pytest.approx(0.01 if small else 0.02, rel=0.1), name
    torch.manual_seed(2)
    again = GPT(config, torch.Generator().manual_seed(3))
    assert all(map(torch.equal, model.parameters(), again.parameters()))


def test_log_probs_of_a_padded_batch_are_those_of_each_completion_alone():
    """Each alone: token by token, from the whole text before it."""
    model = small_model()
    completions = torch.tensor([[0, END, END, PAD], [END, 3, 2, 1], [2, 2, 1, END], [2, PAD, 1, 3]])
    batch = logprobs(model, PROMPTS[:4], completions, END)
    for i, n in enumerate((2, 1, 4, 4)):
        text = torch.cat((PROMPTS[i], completions[i, :n]))[None]
        steps = [model(text[:, :t])[0, -1].log_softmax(0)[text[0, t]] for t in range(P, P + n)]
        assert batch[i].item() == pytest.approx(sum(steps).item(), abs=1e-5)
