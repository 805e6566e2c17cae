"""What the arithmetic tasks share: how operands are drawn, written, aligned and verified.

The difficulty of the problems is mixed on purpose. The length of each operand is uniform in
1..digits, so that a half-trained model solves some prompts always, some never and most sometimes;
the methods differ in how they treat that spread. Operands are padded with spaces on the left, so
every prompt of a task has the same width, a batch has no padding, and the same place (units, tens)
is in the same column of every prompt.

Notation: `12+34=` asks for `46`. With `reverse` the prompt ends in `<`, and the model writes the
whole answer from right to left, sign last (`8-30<` -> `22-`), as one adds on paper: each digit then
needs only the carry of the digit before it. People are always shown the usual order (`show`).
"""

import argparse
import re
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

import verify
from data import Problems, Task
from data.splits import in_split, split_hash
from data.tokenizer import END, encode_completions, encode_prompts
from harness import UsageError
from harness.command import Parser, command

MAX_DIGITS = 9  # operands are drawn as 64-bit integers, and verify.py reads up to 18 digits


class Arithmetic(Task):
    """A task `a OP b`. A derived class sets `operators` and `commutes` and computes the answer.

    A task whose reference answer is more than the result overrides `demonstrate`, and `mark`, which
    tells verify.py what the prompt asks for.
    """

    operators: str  # one character between each operand and the next
    commutes: bool  # whether the first two operands do
    answer: Callable[..., int]  # operands -> the truth, for the reference answers
    mark: str = "="  # ends the prompt
    takes: ClassVar[tuple[str, ...]] = ("digits", "reverse")

    def __init__(self, digits: int, reverse: bool = False):
        if not 1 <= digits <= MAX_DIGITS:
            raise ValueError(f"digits must be 1 to {MAX_DIGITS}, not {digits}")
        if reverse and self.mark != "=":
            raise ValueError("only tasks whose prompts end in = can be reversed")
        self.digits, self.reverse = digits, reverse
        self.n_operands = len(self.operators) + 1
        largest = 10**digits - 1
        self.prompt_width = len(self.write_prompt([largest] * self.n_operands))
        self.max_new_tokens = self.longest_answer() + 1  # and the end token

    def longest_answer(self) -> int:
        """Characters of the longest legal answer."""
        raise NotImplementedError

    def verify(self, prompt: str, completion: str) -> bool:
        return verify.verify(prompt, completion)

    def draw(self, rng: np.random.Generator, n: int, split: str) -> Problems:
        """n problems of a split as (prompt, reference answer). They may repeat."""
        kept = np.empty((0, self.n_operands), dtype=np.int64)
        for _ in range(10_000):  # one round is usually enough; an empty split would take forever
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

    def every(self, split: str) -> dict[tuple[str, str], float] | None:
        """All problems of a split, each with the chance that `draw` draws it.

        None where that is not known: for more than a million problems, and where a derived class
        draws its operands in another way.
        """
        n, as_here = 10**self.digits, type(self).draw_operands is Arithmetic.draw_operands
        if n**self.n_operands > 10**6 or not as_here:
            return None
        x = np.arange(n)
        length = np.searchsorted([10**i for i in range(1, self.digits)], x, side="right")
        chance = 1.0 / np.bincount(length)[length]  # of a number, up to a factor
        operands = np.array(list(product(x, repeat=self.n_operands)))
        operands = operands[in_split(split_hash(operands, self.commutes), split)]
        chances = chance[operands].prod(1)
        rng = np.random.default_rng(0)  # for references that are demonstrations
        return {
            (self.write_prompt(p), self.demonstrate(rng, *p)): c
            for p, c in zip(operands.tolist(), (chances / chances.sum()).tolist(), strict=True)
        }

    def demonstrate(self, rng: np.random.Generator, *operands: int) -> str:
        """The reference answer."""
        return self.write_answer(self.answer(*operands))

    def write_prompt(self, operands: list[int]) -> str:
        """[8, 30] -> ` 8-30=`, each operand padded to `digits` places."""
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
            raise ValueError(f"{text!r} is not a prompt of this task; '{example}' is one")
        if max(map(len, match.groups())) > self.digits:
            raise ValueError(f"{text!r} is too long: this task has {self.digits}-digit operands")
        operands = [int(digits) for digits in match.groups()]
        try:
            self.answer(*operands)
        except ZeroDivisionError:
            raise ValueError(f"{text!r} has no answer") from None
        return self.write_prompt(operands)

    def show(self, prompt: str, completion: str) -> str:
        """` 8-30<`, `22-` -> ` 8-30=-22`: the usual order, whatever the model writes."""
        if not self.reverse:
            return prompt + completion
        characters = re.findall("<pad>|.", completion, re.DOTALL)
        return f"{prompt[:-1]}={''.join(reversed(characters))}"

    def notation(self) -> str:
        digits = f"up to {self.digits} digit{'s' * (self.digits > 1)}"
        return digits + ", written right to left" * self.reverse


def show(task_class: type[Task], **settings: Any) -> NoReturn:
    """Print ten rows of a task, and how one of them becomes tokens: `python -m data.addition`."""
    settings = {"digits": 2, "reverse": True} | task_class.defaults | settings
    sys.exit(command(Path(sys.argv[0]).name, lambda: show_rows(task_class, settings)))


def show_rows(task_class: type[Task], settings: dict[str, Any]) -> None:
    """The command itself, with these settings where its flags say nothing else."""
    parser = Parser(description="Print ten rows of this task.")
    parser.add_argument("--digits", type=int, default=settings["digits"])
    parser.add_argument(
        "--reverse", action=argparse.BooleanOptionalAction, default=settings["reverse"]
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        task = task_class(**{n: (settings | vars(args))[n] for n in task_class.takes})
        rng = np.random.default_rng(args.seed)
        rows = [
            (split, *problem)
            for split, n in (("train", 7), ("held-out", 3))
            for problem in task.draw(rng, n, split)
        ]
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    for split, prompt, answer in rows:
        print(f"{split:9} {task.show(prompt, answer)}")
    ids = encode_prompts([prompt])[0].tolist()
    target = encode_completions([answer], task.max_new_tokens)[0].tolist()
    print(f"\nThe last one in tokens: given the prompt {ids},")
    print(f"the model learns to write {target}, up to the end token {END}.")
