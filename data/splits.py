"""Which problems are never trained on: a fixed hash of the problem decides, the same everywhere.

One problem in ten is held out. Half of those are for choosing settings ("validation") and half for
what is published ("test"). Example:

    >>> in_split(split_hash(np.array([[12, 34], [34, 12]]), commutes=True), "train").tolist()
    [True, True]
"""

import numpy as np

HELD_OUT_ONE_IN = 10
SPLITS = ("train", "held-out", "validation", "test")  # the last two halve the second


def split_hash(problems: np.ndarray, commutes: bool) -> np.ndarray:
    """(n, numbers) -> (n,) uint64: splitmix64's mixing of each problem.

    Where the first two numbers commute, 12+34 and 34+12 are one problem and fall on the same side.
    """
    if commutes:
        problems = np.concatenate((np.sort(problems[:, :2], axis=1), problems[:, 2:]), axis=1)
    h: np.ndarray = np.zeros(len(problems), dtype=np.uint64)
    for column in problems.T.astype(np.uint64):
        h = (h ^ column) + np.uint64(0x9E3779B97F4A7C15)  # unsigned integers wrap around here
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h = h ^ (h >> np.uint64(31))
    return h


def in_split(hashes: np.ndarray, split: str) -> np.ndarray:
    """(n,) bool: which problems belong to one of SPLITS. ValueError for another name."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split}")
    held_out = hashes % HELD_OUT_ONE_IN == 0
    if split in ("validation", "test"):  # the next digit of the hash halves what is held out
        return held_out & ((hashes // HELD_OUT_ONE_IN % 2 == 0) == (split == "validation"))
    return held_out == (split == "held-out")


def text_in_split(text: str, split: str) -> bool:
    """The same for a problem that is known by its text."""
    return bool(in_split(split_hash(np.array([[*text.encode()]]), commutes=False), split)[0])
