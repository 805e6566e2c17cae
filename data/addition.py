"""Addition: ` 12+ 34=` -> `46`. The default task. Ten rows: `python -m data.addition`."""

from data.arithmetic import Arithmetic, show


class Task(Arithmetic):
    """a + b for operands of 1 to `digits` digits."""

    operators = "+"
    commutes = True

    def answer(self, a: int, b: int) -> int:
        return a + b

    def longest_answer(self) -> int:
        return self.digits + 1  # the carry


if __name__ == "__main__":
    show(Task)
