"""What is different for each student: coefficients, prompts, seeds, all drawn from the id.

    $ python personal.py ada@example.edu           # your numbers
    $ python personal.py ada@example.edu --runs    # your twelve training commands

Teams use the id that comes first in alphabetical order. Also here, because students and grader
both have this file: how the commands read their arguments and print.
"""

import argparse
import hashlib
import itertools
import json
import os
import re
import signal
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

EDITION = "1"  # change it for each class: everybody's numbers change with it

# One prompt of each kind, from nearly solved to very hard: from .. to, and in what steps.
KINDS = ((75, 95, 0.01), (30, 70, 0.01), (8, 20, 0.01), (8, 20, 0.001), (5, 50, 0.00001))


class Personal(NamedTuple):
    """A student's numbers."""

    coefficients: tuple[int, ...]  # a_0..a_3 of part B
    prompts: tuple[float, ...]  # the five pass rates of question 1
    lost: tuple[float, int]  # p and k of question 2
    noise: float  # p of question 3
    seeds: tuple[int, ...]  # of the runs


def normal(student: str) -> str:
    """An id in lower case, with an accented letter as one character (a Mac writes it as two)."""
    composed = unicodedata.normalize("NFC", student.strip().lower())
    return composed.encode("utf-8", "replace").decode()


def personal(student: str) -> Personal:
    """The numbers of an id, the same on any machine."""
    digest = hashlib.sha256(f"{EDITION}:{normal(student)}".encode()).digest()
    draws = iter(digest)

    def one_of(numbers: Sequence[int]) -> int:
        return numbers[next(draws) % len(numbers)]

    signed = (one_of((-3, -2, -1, 1, 2, 3)) for _ in range(3))
    coefficients = (one_of((1, 2, 3)), *signed)
    prompts = tuple(round(one_of(range(low, high + 1)) * step, 6) for low, high, step in KINDS)
    lost = one_of(range(10, 31)) / 100, one_of(range(3, 7))
    noise = one_of(range(5, 41)) / 100
    first = 10 * int.from_bytes(digest[-3:], "big")
    return Personal(coefficients, prompts, lost, noise, tuple(range(first, first + 3)))


def runs(student: str) -> dict[str, dict[str, Any]]:
    """The twelve runs: the name of a run's file in runs/, and train.py's flags."""
    found, seeds = dict[str, dict[str, Any]](), personal(student).seeds
    for method, seed in itertools.product(("rloo", "grpo", "maxrl"), seeds):
        found[f"{method}-s{seed}"] = {"method": method, "k": 16, "seed": seed}
    for T in ("1", "4", "inf"):
        found[f"exact-{T}"] = {"method": "exact", "order": float(T), "seed": seeds[0]}
    return found


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations; wrong use is one line and exit status 2."""

    def __init__(self, description: str):
        super().__init__(description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        for word in sys.argv[1:] if args is None else args:
            if re.fullmatch("--[^=]*=--", word):  # argparse would drop the value, and fail
                self.error(f"{word} gives no value")
        return super().parse_known_args(args, namespace)


def say(text: str) -> bool:
    """Print, and return whether that worked; `| head` is no fault, and a full disk costs words."""
    try:
        print(text, flush=True)
        return True
    except OSError as error:  # and nothing that is left in the buffer may fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        is_fault = not isinstance(error, BrokenPipeError)
        sys.stderr.write(f"cannot print: {error}\n" * is_fault)
        return not is_fault


def command(main: Callable[[], int]) -> int:
    """A whole command: Ctrl-C, or SIGTERM, ends it with a line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what has been written so far stays\n")
        return 130


def main() -> int:
    parser = Parser("Your numbers: they differ from everybody else's.")
    parser.add_argument("student", help="your id, as your teacher's list has it")
    parser.add_argument("--runs", action="store_true", help="print the training commands")
    args = parser.parse_args()
    if not normal(args.student):
        parser.error("the id is empty: give yours")
    mine, flags = personal(args.student), runs(args.student)
    lines = [
        f"student: {json.dumps(normal(args.student))}",
        f"part B, COEFFICIENTS = {list(mine.coefficients)}",
        f"question 1, pass rates: {list(mine.prompts)}",
        f"question 2, p = {mine.lost[0]}, k = {mine.lost[1]}",
        f"question 3, p = {mine.noise}",
        f"questions 4 and 5, seeds: {list(mine.seeds)}",
    ]
    if args.runs:
        words = {name: " ".join(f"--{f} {x}" for f, x in flags[name].items()) for name in flags}
        lines = [f"python train.py {words[name]} --out runs/{name}.json" for name in flags]
    return 0 if say("\n".join(lines)) else 1


if __name__ == "__main__":
    sys.exit(command(main))
