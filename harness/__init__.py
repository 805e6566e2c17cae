"""What a run needs besides training: flags, its folder, checkpoints, its log. No mathematics."""


class UsageError(ValueError):
    """Wrong use, in one line that says what to do; exit status 2."""

    def __str__(self) -> str:
        return printable(super().__str__())  # it may quote a name that has a newline in it


def printable(text: str) -> str:
    """The text in one line: newlines and whatever else cannot be printed are escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
