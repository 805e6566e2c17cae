"""One token for each character: a `tiktoken.Encoding` with a vocabulary of its own, no download.

All tasks share one vocabulary. The end and pad tokens are special, so no text is encoded to them.
The model treats the end token like any other token, and a pad inside a completion is decoded to
`<pad>`. (GPT-2's tokenizer would split 1234 into pieces that depend on the text around it, but
digits have to line up.)

    >>> encode("12+34=")
    [1, 2, 10, 3, 4, 19]
    >>> decode([4, 6, END]), decode([4, PAD, 6])
    ('46', '4<pad>6')
    >>> encode("2^3=")
    Traceback (most recent call last):
    ValueError: character '^' is not in the vocabulary 0123456789+-*%(),:;=<~ and space
"""

import numpy as np
import tiktoken

ALPHABET = "0123456789+-*%(),:;=<~ "
END, PAD = len(ALPHABET), len(ALPHABET) + 1
VOCAB_SIZE = len(ALPHABET) + 2

ENCODING = tiktoken.Encoding(
    name="maxrl-arithmetic",
    pat_str=r"[\s\S]",  # one character at a time: there is nothing to merge
    mergeable_ranks={character.encode(): rank for rank, character in enumerate(ALPHABET)},
    special_tokens={"<end>": END, "<pad>": PAD},
    explicit_n_vocab=VOCAB_SIZE,
)


def encode(text: str) -> list[int]:
    """The token ids of a text, one for each character. ValueError names a character without one."""
    for character in text:
        if character not in ALPHABET:
            raise ValueError(
                f"character {character!r} is not in the vocabulary {ALPHABET.strip()} and space"
            )
    return ENCODING.encode_ordinary(text)


def encode_prompts(texts: list[str]) -> np.ndarray:
    """(B, P) int64. All texts must have the same length; the tasks align them for this purpose."""
    return np.array([encode(text) for text in texts], dtype=np.int64)


def encode_completions(texts: list[str], max_new_tokens: int) -> np.ndarray:
    """(B, max_new_tokens) int64: each text is followed by an end token and then by pads."""
    rows = np.full((len(texts), max_new_tokens), PAD, dtype=np.int64)
    for row, text in zip(rows, texts, strict=True):
        ids = [*encode(text), END]
        row[: len(ids)] = ids
    return rows


def decode(ids: list[int]) -> str:
    """The text before the first end token, or all of it if there is none."""
    return ENCODING.decode(ids[: ids.index(END)] if END in ids else ids)
