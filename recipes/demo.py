"""A model and a data set that need no network, for `trl_maxrl.py --demo` and for the tests.

The model is a tiny random transformer with a vocabulary of seven words. The question is three
digits from 0 to 3, and the answer is the greatest of them:

    {"question": "0 3 1", "answer": "#### 3"}
"""

import itertools
from pathlib import Path

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast


def make_demo(folder: Path) -> tuple[str, str]:
    """Save both in this folder; returns the names of the model's folder and of the data's file."""
    digits = [str(d) for d in range(4)]
    words = {word: i for i, word in enumerate(["<pad>", "<end>", "####", *digits])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = dict(pad_token="<pad>", eos_token="<end>", padding_side="left")
    PreTrainedTokenizerFast(tokenizer_object=inner, **ends).save_pretrained(folder / "model")
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    ids = dict(vocab_size=len(words), pad_token_id=0, bos_token_id=None, eos_token_id=1)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**sizes, **ids))
    model.save_pretrained(folder / "model")
    triples = list(itertools.product(digits, repeat=3))
    questions, answers = map(" ".join, triples), (f"#### {max(t)}" for t in triples)
    data = Dataset.from_dict({"question": list(questions), "answer": list(answers)})
    data.to_json(folder / "data.jsonl")
    return str(folder / "model"), str(folder / "data.jsonl")
