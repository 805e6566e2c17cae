"""Part C, questions 1 to 3: numbers in answers.json, different for each student.

A number is right within 1 %. A message says which entry is wrong, never what it should be. Left
out: prose (answers.md, which a person reads) and the runs of questions 4 and 5 (replay.py).
"""

import json
import math
from pathlib import Path
from typing import Any

from checks import Outcome, Student, described, order, std_weight, weight
from personal import Personal, personal

K = 8  # of question 1
NOISE_KS = (2, 8, 32)  # of question 3
RIGHT = 0.01  # relative
TEMPLATE = Path(__file__).resolve().parent / "student" / "answers.json"
METHODS = {"rl": order(1), "grpo": std_weight(K), "maxrl": order(K - 1), "ml": lambda p: 1 / p}
POINTS = {
    "weights rl": 0.25, "weights grpo": 1, "weights maxrl": 1, "weights ml": 0.75,
    "shares rl": 0.5, "shares grpo": 0.5, "shares maxrl": 0.5, "shares ml": 0.5,
    "hardest": 1, "lost": 1.5, "noise": 1.5,
}  # fmt: skip
Entries = dict[tuple, float]  # the path of each number in answers.json


def right(question: str, own: Personal) -> tuple[Entries, str]:
    """The numbers that a question asks of this student, and how to compute them."""
    what, _, method = question.partition(" ")
    if what == "weights":
        w = [METHODS[method](p) for p in own.prompts]
        return {(what, method, i): x for i, x in enumerate(w)}, "sum over S = 0..8, as in part A"
    if what == "shares":
        parts = [METHODS[method](p) * p * (1 - p) for p in own.prompts]
        shares = {(what, method, i): 100 * x / sum(parts) for i, x in enumerate(parts)}
        return shares, "w p (1-p), divided by the sum of the five, in percent"
    if what == "hardest":
        p = own.prompts[-1]
        half, live = math.log(0.5) / math.log1p(-p), -100 * math.expm1(K * math.log1p(-p))
        return {("factor",): 1 / p, ("half",): half, ("live",): live}, "about the hardest prompt"
    if what == "lost":
        p, k = own.lost
        both = {("lost", "maxrl_raw"): order(k)(p), ("lost", "maxrl"): order(k - 1)(p)}
        last = {("lost", "difference"): (1 - p) ** (k - 1)}
        return both | last, "enumerate S = 0..k by hand, and subtract"
    sds = {("sd", name, i): standard_deviation(name, own.noise, k)
           for i, k in enumerate(NOISE_KS) for name in ("maxrl_raw", "maxrl")}  # fmt: skip
    return sds, "E[x^2] - E[x]^2 of x = g / (p (1-p)), over S = 0..k"


def standard_deviation(name: str, p: float, k: int) -> float:
    """That of g / (p (1-p)) for one group, on two outcomes; a group without a success gives 0."""
    minus = float(name == "maxrl")
    rows = [(0.0, 0.0), *((k / s - minus, -minus) for s in range(1, k + 1))]
    square = 0.0
    for s, (success, failure) in enumerate(rows):
        x = (s * success * (1 - p) - (k - s) * failure * p) / k / (p * (1 - p))
        square += math.comb(k, s) * p**s * (1 - p) ** (k - s) * x * x
    return math.sqrt(square - weight(rows, p) ** 2)


def wrong(answers: Any, path: tuple, wanted: float) -> str:
    """What is wrong with the number at a path; "" if it is right."""
    x, where = answers, "answers.json: " + " ".join(map(str, path))
    for step in path:
        inside = isinstance(x, dict) and step in x
        inside = inside or (isinstance(x, list) and type(step) is int and step < len(x))
        x = x[step] if inside else None
    if x is None:
        return f"{where} is missing"
    if type(x) not in (int, float) or not abs(x) < 1e30:
        return f"{where} is {described(x)}, not a finite number"
    return "" if math.isclose(x, wanted, rel_tol=RIGHT, abs_tol=1e-9) else f"{where} is not right"


def graded(student: Student, question: str) -> Outcome:
    """The share of a question's entries that are right."""
    wanted, see = right(question, personal(student.id))
    answers = student.submission.json("answers.json", 100_000)
    problems = [said for path, x in wanted.items() if (said := wrong(answers, path, x))]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return 1 - len(problems) / len(wanted), f"{problems[0]}{more}: {see}" if problems else ""


def right_answers(student: str) -> dict[str, Any]:
    """answers.json with everything right in it: what release.py tries the grader with."""
    filled = json.loads(TEMPLATE.read_text()) | {"student": student}
    for question in POINTS:
        for path, x in right(question, personal(student))[0].items():
            inner = filled
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = x
    return filled
