"""What the arithmetic tasks share: how operands are drawn, split, written and aligned.

Difficulty is mixed on purpose. The length of each operand is uniform in 1..digits, so that a
half-trained model solves some prompts always, some never and most in between; that spread is what
the methods disagree about. Operands are padded with spaces on the left: every prompt of a task has
the same width, a batch has no padding, and equal places of equal prompts line up.

Notation: `12+34=` asks for `46`. With `reverse` the prompt ends in `<` and the whole answer is
written right to left, sign last (`8-30<` -> `22-`), the direction in which carries are learnable.
"""

import argparse
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

HELD_OUT_ONE_IN = 10  # problems; these are never trained on
SPLITS = ("train", "held-out", "validation", "test")  # the last two halve the second
MAX_DIGITS = 9  # operands are drawn as 64-bit integers, and verify.py reads up to 18 digits


class Arithmetic:
    """A task `a OP b`. Subclasses set `operators`, `commutes`, and say what the answer is.

    One whose reference answer is more than the result overrides `demonstrate`, and `mark`, by which
    verify.py knows what is asked for.
    """

    operators: str  # one character between each operand and the next
    commutes: bool  # whether the first two operands do
    answer: Callable[..., int]  # operands -> the truth, for the reference answers
    mark: str = "="  # ends the prompt
    single_answer = True
    graded = False
    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, digits: int, reverse: bool = False, noise: float = 0.0):
        if not 1 <= digits <= MAX_DIGITS:
            raise ValueError(f"digits must be 1 to {MAX_DIGITS}, not {digits}")
        if reverse and self.mark != "=":
            raise ValueError("only tasks whose prompts end in = can be reversed")
        self.digits, self.reverse, self.noise = digits, reverse, noise
        self.n_operands = len(self.operators) + 1
        largest = 10**digits - 1
        self.prompt_width = len(self.write_prompt([largest] * self.n_operands))
        self.max_new_tokens = self.longest_answer() + 1  # and the end token

    def longest_answer(self) -> int:
        """Characters of the longest legal answer."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, n: int, split: str) -> list[tuple[str, str]]:
        """n problems of a split as (prompt, reference answer). Problems may repeat."""
        kept = np.empty((0, self.n_operands), dtype=np.int64)
        for _ in range(10_000):  # one round is the rule; a split of nothing would take forever
            if len(kept) >= n:
                break
            operands = self.draw_operands(rng, 2 * n + 16)
            theirs = in_split(split_hash(operands, self.commutes), split)
            kept = np.concatenate((kept, operands[theirs]))
        else:
            raise ValueError(f"this task has hardly any {split} problems: raise --digits")
        problems = kept[:n].tolist()
        return [(self.write_prompt(p), self.demonstrate(rng, *p)) for p in problems]

    def draw_operands(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """(n, operands) int64: first a length, uniform in 1..digits, then a number that long."""
        length = rng.integers(1, self.digits + 1, size=(n, self.n_operands))
        low = np.where(length == 1, 0, 10 ** (length - 1))
        return rng.integers(low, 10**length)

    def demonstrate(self, rng: np.random.Generator, *operands: int) -> str:
        """The reference answer."""
        return self.write_answer(self.answer(*operands))

    def write_prompt(self, operands: list[int]) -> str:
        """[8, 30] -> ` 8-30=`, each operand aligned to `digits` places."""
        marks = (*self.operators, "<" if self.reverse else self.mark)
        return "".join(str(x).rjust(self.digits) + m for x, m in zip(operands, marks, strict=True))

    def write_answer(self, value: int) -> str:
        """-22 -> `-22`, or `22-` with reverse."""
        return str(value)[::-1] if self.reverse else str(value)

    def align(self, text: str) -> str:
        """`8 - 30` as a person types it -> the prompt. ValueError says what is expected."""
        number = "([0-9]+)"
        pattern = number + "".join(re.escape(mark) + number for mark in self.operators)
        pattern += f"[<{re.escape(self.mark)}]?"
        match = re.fullmatch(pattern, text.replace(" ", ""))
        if match is None:
            example = self.write_prompt([8, 7, 5][: self.n_operands])
            raise ValueError(f"{text!r} is not a prompt of this task; one is '{example}'")
        if max(map(len, match.groups())) > self.digits:
            raise ValueError(f"{text!r} is too long: this task has {self.digits}-digit operands")
        operands = [int(digits) for digits in match.groups()]
        try:
            self.answer(*operands)
        except ZeroDivisionError:
            raise ValueError(f"{text!r} has no answer") from None
        return self.write_prompt(operands)


def split_hash(operands: np.ndarray, commutes: bool) -> np.ndarray:
    """(n,) uint64: a fixed hash (splitmix64's mixing) of each problem, the same on any machine.

    Where the operation commutes, 12+34 and 34+12 are one problem and fall on the same side.
    """
    if commutes:
        operands = np.concatenate((np.sort(operands[:, :2], axis=1), operands[:, 2:]), axis=1)
    h: np.ndarray = np.zeros(len(operands), dtype=np.uint64)
    for column in operands.T.astype(np.uint64):
        h = (h ^ column) + np.uint64(0x9E3779B97F4A7C15)  # wraps around, as is meant
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h = h ^ (h >> np.uint64(31))
    return h


def in_split(hashes: np.ndarray, split: str) -> np.ndarray:
    """(n,) bool: which problems belong to one of SPLITS. ValueError for another name.

    The next digit of the hash halves what is held out: learning rates are chosen on "validation",
    figures are published of "test".
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split}")
    held_out = hashes % HELD_OUT_ONE_IN == 0
    if split in ("validation", "test"):
        return held_out & ((hashes // HELD_OUT_ONE_IN % 2 == 0) == (split == "validation"))
    return held_out == (split == "held-out")


def show(task_class: Any, noise: float = 0.0) -> None:
    """Print ten rows of a task, and how one of them becomes tokens: `python -m data.addition`."""
    from data.tokenizer import encode_completions, encode_prompts

    parser = argparse.ArgumentParser(description="Print ten rows of this task.")
    parser.add_argument("--digits", type=int, default=task_class.defaults.get("digits", 3))
    parser.add_argument("--reverse", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        task = task_class(args.digits, args.reverse, noise)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    rng = np.random.default_rng(args.seed)
    for split, n in (("train", 7), ("held-out", 3)):
        for prompt, answer in task.draw(rng, n, split):
            print(f"{split:9} {prompt} {answer}")
    ids = encode_prompts([prompt])[0].tolist()
    target = encode_completions([answer], task.max_new_tokens)[0].tolist()
    print(
        f"\nThe last one in tokens: the prompt {ids} is given,\nthe answer {target} is learnt",
        end=" ",
    )
    print(f"up to its end token {len(answer) + 1} of {task.max_new_tokens}; pads are not.")
