"""Subtraction, with negative answers: `  8- 30=` -> `-22`. `python -m data.subtraction`."""

from data.arithmetic import Arithmetic, show


class Task(Arithmetic):
    """a - b for operands of 1 to `digits` digits."""

    operators = "-"
    commutes = False

    def answer(self, a: int, b: int) -> int:
        return a - b

    def longest_answer(self) -> int:
        return self.digits + 1  # the sign


if __name__ == "__main__":
    show(Task)
