"""Multiplication: ` 12* 34=` -> `408`. Ten rows: `python -m data.multiplication`."""

from data.arithmetic import Arithmetic, show


class Task(Arithmetic):
    """a * b for operands of 1 to `digits` digits."""

    operators = "*"
    commutes = True

    def answer(self, a: int, b: int) -> int:
        return a * b

    def longest_answer(self) -> int:
        return 2 * self.digits


if __name__ == "__main__":
    show(Task)
