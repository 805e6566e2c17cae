"""What a run needs besides training: flags, its folder, checkpoints, its log. No mathematics."""


class UsageError(Exception):
    """Wrong use, in one line that says what to do; exit status 2."""
