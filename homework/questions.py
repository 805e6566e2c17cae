"""Part C, questions 1 to 3: numbers in answers.json, different for each student.

A number is right within 1 %. A message says which entry is wrong, never what it should be. Left
out: prose (answers.md, which a person reads) and the runs of questions 4 and 5 (replay.py).
"""

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from checks import Outcome, Student, close, described, is_number, order, std_weight
from personal import Personal, personal

K = 8  # of question 1
NOISE_KS = (2, 8, 32)  # of question 3
METHODS = ("rl", "grpo", "maxrl", "ml")
RIGHT = 0.01  # relative
SUM_OVER_S = "sum over S = 0..8 with your own function, as in part A"
PARTS = "w p (1-p), divided by the sum of the five, in percent"
Entries = dict[tuple, float]

TEMPLATE = {
    "student": None,
    "weights": dict.fromkeys(METHODS, [None] * 5),
    "shares": dict.fromkeys(METHODS, [None] * 5),
    "factor": None,
    "half": None,
    "live": None,
    "lost": {"maxrl_raw": None, "maxrl": None, "difference": None},
    "sd": {"maxrl_raw": [None] * 3, "maxrl": [None] * 3},
}


def answer(student: Student, *path: Any) -> Any:
    """The entry of answers.json at a path, None if there is none."""
    found = student.submission.json("answers.json", 100_000)
    for step in path:
        inside = isinstance(found, dict) and step in found
        inside = inside or (isinstance(found, list) and type(step) is int and step < len(found))
        found = found[step] if inside else None
    return found


def problem(student: Student, path: tuple, wanted: float) -> str:
    """'' if the number at a path is right, else what is wrong with it."""
    x, where = answer(student, *path), "answers.json: " + " ".join(map(str, path))
    if x is None:
        return f"{where} is missing"
    if not is_number(x):
        return f"{where} is {described(x)}, not a number"
    return "" if close(float(x), wanted, RIGHT, 1e-9) else f"{where} is not right"


WEIGHTS: dict[str, Callable[[float], float]] = {
    "rl": lambda p: 1.0,
    "grpo": std_weight(K),
    "maxrl": order(K - 1),
    "ml": lambda p: 1 / p,
}


def weights(own: Personal, method: str) -> Entries:
    """w of the five prompts."""
    return {("weights", method, i): WEIGHTS[method](p) for i, p in enumerate(own.prompts)}


def shares(own: Personal, method: str) -> Entries:
    """The part of the gradient in the logit that each of the five prompts has, in percent."""
    parts = [WEIGHTS[method](p) * p * (1 - p) for p in own.prompts]
    return {("shares", method, i): 100 * x / sum(parts) for i, x in enumerate(parts)}


def factor(own: Personal) -> Entries:
    """What it takes for the hardest prompt: over RL, half of 1/p, live groups of 8 in percent."""
    p = own.prompts[-1]
    half = math.log(0.5) / math.log1p(-p)
    return {("factor",): 1 / p, ("half",): half, ("live",): -100 * math.expm1(K * math.log1p(-p))}


def lost(own: Personal) -> Entries:
    """The last term, which Algorithm 1 loses."""
    p, k = own.lost
    both = {("lost", "maxrl_raw"): order(k)(p), ("lost", "maxrl"): order(k - 1)(p)}
    return both | {("lost", "difference"): (1 - p) ** (k - 1)}


def noise(own: Personal) -> Entries:
    """The standard deviation of one group's estimate of w."""
    return {
        ("sd", name, i): standard_deviation(A, own.noise, k)
        for i, k in enumerate(NOISE_KS)
        for name, A in ADVANTAGES_OF.items()
    }


ADVANTAGES_OF: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "maxrl_raw": lambda s, k: (k / s, 0.0),  # of a success, of a failure, where s > 0
    "maxrl": lambda s, k: (k / s - 1, -1.0),
}


def standard_deviation(A: Callable[[int, int], tuple[float, float]], p: float, k: int) -> float:
    """Of g / (p (1-p)), on two outcomes; a group without a success gives 0."""
    mean = square = 0.0
    for s in range(1, k + 1):
        success, failure = A(s, k)
        x = (s * success * (1 - p) - (k - s) * failure * p) / k / (p * (1 - p))
        chance = math.comb(k, s) * p**s * (1 - p) ** (k - s)
        mean, square = mean + chance * x, square + chance * x * x
    return math.sqrt(square - mean * mean)


QUESTIONS: dict[str, tuple[Callable[[Personal], Entries], str]] = {
    **{f"weights {m}": (partial(weights, method=m), SUM_OVER_S) for m in METHODS},
    **{f"shares {m}": (partial(shares, method=m), PARTS) for m in METHODS},
    "factor": (factor, "all three entries are about the hardest of the five prompts"),
    "lost": (lost, "enumerate S = 0..k by hand, and subtract"),
    "noise": (noise, "E[x^2] - E[x]^2 of x = g / (p (1-p)), over S = 0..k"),
}


def graded(student: Student, question: str) -> Outcome:
    """The share of a question's entries that are right."""
    entries, see = QUESTIONS[question]
    wanted = entries(student.own)
    wrong = [w for path, x in wanted.items() if (w := problem(student, path, x))]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return 1 - len(wrong) / len(wanted), f"{wrong[0]}{more}: {see}" if wrong else ""


def right_answers(student: str) -> dict[str, Any]:
    """answers.json with everything right in it: what release.py tries the grader with."""
    filled = json.loads(json.dumps(TEMPLATE)) | {"student": student}
    for entries, _ in QUESTIONS.values():
        for path, x in entries(personal(student)).items():
            inner = filled
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = x
    return filled
