"""Parts A, B and D: what is tested, and what is said when it fails.

A check asks the student's functions for numbers (sandbox.py) and holds them against a property:

    E   the expected gradient, summed exactly over all outcomes of a group of two-outcome rollouts
    K1  a group of one rollout
    B   a group gives the same numbers alone, in a batch, in another order, as train.py passes it
    D   groups in which all rollouts fail, or all succeed

It returns the share of its points that is earned and one sentence. The sentence names the property
and a way to see it oneself; it never holds the number that was expected. Left out: the points
(points.py), the questions (questions.py), the submitted runs (replay.py).
"""

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import reference
import torch
from break_it import DICE, LOTS, estimators, truth, verifiers
from personal import personal
from sandbox import ASK, NO_NUMBERS, Call, Failed, Sandbox, tensor
from submission import Submission

Outcome = tuple[float, str]
Reply = dict[str, Any]


@dataclass
class Student:
    """A submission as the checks see it."""

    id: str
    sandbox: Sandbox
    submission: Submission
    asked: dict[str, Any] = field(default_factory=dict)  # `table` and `mistakes`, once they are


# ------------------------------------------------------------------------- numbers out of replies


def close(a: float, b: float, relative: float = 1e-3, absolute: float = 1e-6) -> bool:
    """Equal for our purposes."""
    return math.isclose(a, b, rel_tol=relative, abs_tol=absolute)


def same(a: float, b: float) -> bool:
    """Nearly equal, or both are NaN."""
    return close(a, b, absolute=1e-5) or (a != a and b != b)


def value(reply: Reply, name: str) -> Any:
    """What a call returned; Failed if it raised."""
    if error := reply.get("error"):
        raise Failed(f"{name} {'' if error == NO_NUMBERS else 'raised '}{error}")
    return reply.get("value")


def is_tensor(x: Any) -> bool:
    return isinstance(x, dict) and x.keys() == {"t", "d"}


def described(x: Any) -> str:
    """What something is, for a message."""
    names = {bool: "True or False", str: "text", type(None): "nothing", list: "a list"}
    return "a tensor" if is_tensor(x) else names.get(type(x), f"a {type(x).__name__}")


def numbers(x: Any, shape: tuple[int, ...], name: str) -> torch.Tensor:
    """A float64 tensor of this shape, whose entries may be NaN or infinite; Failed if it is not."""
    if not is_tensor(x):
        raise Failed(f"{name} returned {described(x)} where a tensor is needed")
    try:
        found = torch.tensor(x["t"], dtype=torch.float64)
    except Exception:
        raise Failed(f"{name} returned what is not a tensor of numbers") from None
    if found.shape != shape:
        raise Failed(f"{name} returned a tensor of shape {tuple(found.shape)}, not {shape}")
    return found


def number(x: Any, name: str) -> float:
    """One finite number."""
    found = numbers(tensor(x) if type(x) in (int, float) else x, (), name).item()
    if not math.isfinite(found):
        raise Failed(f"{name} returned {'NaN' if found != found else 'infinity'}")
    return found


# ------------------------------------------------------------------------- part A: the estimators
# All checks of an estimator look at one table: the advantages of a success and of a failure in a
# group of k with S successes, asked for group by group.

SMALL, SIZES = (1, 2, 3), (2, 3, 5, 16)
PASSED = {"reinforce": 1.0, "maxrl_raw": 1.0}  # the advantage where all succeed; else 0
Rows = dict[tuple[int, int], tuple[float, float]]  # by k and S; NaN where there are no numbers
Weight = Callable[[float], float]


def group(k: int, successes: int) -> list[float]:
    """The rewards of a group, in any order."""
    return DICE.sample([1.0] * successes + [0.0] * (k - successes), k)


def table(student: Student, name: str) -> tuple[Rows, dict[int, str]]:
    """The advantages of groups of all tested sizes and of two more, with their rollouts in
    any order; and for the sizes at which something is wrong, what."""

    if name in student.asked:
        return student.asked[name]
    sizes = {5, 16, DICE.randint(6, 7), DICE.randint(9, 15), *((4, 8) if name == "own" else SMALL)}
    groups = [group(k, s) for k in sorted(sizes) for s in range(k + 1)]
    calls = [Call(name, [tensor([g], "float64"), tensor([[sum(g) / len(g)]], "float64"), len(g)])
             for g in groups]  # fmt: skip
    found: Rows = {}
    problems: dict[int, str] = {}
    for g, reply in zip(groups, student.sandbox.calls(calls), strict=True):
        try:
            found[len(g), int(sum(g))] = by_reward(name, g, reply)
        except Failed as failed:
            found[len(g), int(sum(g))] = math.nan, math.nan
            problems.setdefault(len(g), str(failed))
    student.asked[name] = found, problems
    return found, problems


def by_reward(name: str, g: list[float], reply: Reply) -> tuple[float, float]:
    """The advantage of a success and of a failure in this group, 0 where there is none."""
    where = f"{name}, in a group with {sum(g):g} of {len(g)} right,"
    A = numbers(value(reply, where), (1, len(g)), where)[0].tolist()
    success, failure = (A[g.index(r)] if r in g else 0.0 for r in (1.0, 0.0))
    if not all(same(a, success if r else failure) for r, a in zip(g, A, strict=True)):
        raise Failed(f"{where} gives equal rewards different advantages")
    return success, failure


def of_size(name: str, rows: Rows, k: int, dead: bool = False) -> list[tuple[float, float]]:
    """The rows of groups of k. The right ones are put in where all rewards are equal, unless
    `dead`: those are for D to test."""
    chosen = [rows[k, s] for s in range(k + 1)]
    return chosen if dead else [(0.0, 0.0), *chosen[1:-1], (PASSED.get(name, 0.0), 0.0)]


def weight(rows: list[tuple[float, float]], p: float) -> float:
    """w of E[g] = w grad p: the sum over 0..k successes on the two-outcome policy."""
    k, total = len(rows) - 1, 0.0
    for s, (success, failure) in enumerate(rows):
        g = (s * success * (1 - p) - (k - s) * failure * p) / k / (p * (1 - p))
        total += math.comb(k, s) * p**s * (1 - p) ** (k - s) * g
    return total


def order(T: int) -> Weight:
    """w_T."""
    return lambda p: -math.expm1(T * math.log1p(-p)) / p


def std_weight(k: int) -> Weight:
    """w of (r - mean) / std: E[std] / (p (1-p))."""
    std = [math.sqrt(s * (k - s)) / k for s in range(k + 1)]
    return lambda p: sum(math.comb(k, s) * p**s * (1 - p) ** (k - s) * x
                         for s, x in enumerate(std)) / (p * (1 - p))  # fmt: skip


TARGETS: dict[str, tuple[Callable[[int], Weight], str]] = {
    "reinforce": (lambda k: order(1), "the gradient of p itself"),
    "rloo": (lambda k: order(1), "the gradient of p: the baseline is the mean of the *others*"),
    "grpo": (std_weight, "that of (r - mean) / std, with the group's std, divisor k"),
    "maxrl": (lambda k: order(k - 1), "that of order k - 1"),
    "maxrl_raw": (order, "that of order k"),
}


def target(student: Student, name: str, k: int) -> tuple[Weight, str]:
    """w(p) as it should be, and what it is, in words."""
    if name != "own":
        return TARGETS[name][0](k), TARGETS[name][1]
    a = personal(student.id).coefficients
    words = "that of your coefficients: begin with a_0 alone, which is rloo times a_0"
    return lambda p: sum(x * (1 - p) ** j for j, x in enumerate(a)), words


def expectation(student: Student, name: str, ks: tuple[int, ...] = SIZES) -> Outcome:
    """E, at k + 1 values of p: w and its target are polynomials of degree below k. Where all
    rewards are equal, what the function says may stand, or what is right."""
    rows, problems = table(student, name)
    for k in ks:
        w, words = target(student, name, k)
        ps = [(i + DICE.uniform(0.02, 0.98)) / (k + 1) for i in range(k + 1)]
        both = (of_size(name, rows, k, dead) for dead in (True, False))
        if not any(all(close(weight(r, p), w(p), 2.5e-4, 1e-4) for p in ps) for r in both):
            return 0, problems.get(k) or (
                f"{name}: at k = {k} the expected gradient is not {words}. See it by hand: for "
                "each number of successes write down its chance and g = (1/k) sum A (r - p), as "
                "the handout does for k = 2"
            )
    return 1, ""


def proportional(student: Student, name: str) -> tuple[Rows, dict[int, str]]:
    """The table; Failed unless, up to a constant factor, it has the task's weight to 1.5 % of the
    largest. Constant functions have the properties K1, B and D, too, and earn nothing by them. And
    the reward itself has the weight of rloo, but is no answer to that task."""
    found = table(student, name)
    for k in sorted({k for k, _ in found[0] if 5 <= k < 8}):
        both = [of_size(name, found[0], k, dead) for dead in (True, False)]
        w, _ = target(student, name, k)
        by_mean = name in ("reinforce", "own") or not close(both[0][2][0], both[0][k - 1][0])
        if not by_mean or not any(near_to(w, rows) for rows in both):
            raise Failed(f"{name}: not tested until E holds, at least up to a constant factor")
    return found


def near_to(w: Weight, rows: list[tuple[float, float]]) -> bool:
    """Whether the weight is nearly w, or w times a positive factor."""
    pairs = [(weight(rows, p), w(p)) for p in (0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)]
    factor = sum(x * right for x, right in pairs) / sum(right * right for _, right in pairs)
    most = max(abs(right) for _, right in pairs)
    return factor > 1e-3 and all(abs(x / factor - right) < 0.015 * most for x, right in pairs)


def equal_rewards(student: Student, name: str, ks: tuple[int, ...]) -> Outcome:
    """D, or with ks = (1,) K1: groups that all fail or all succeed."""
    rows, problems = proportional(student, name)
    for k, s in ((n, s) for n in ks for s in (0, n)):
        wanted = PASSED.get(name, float(k == 1 and name != "grpo")) if s else 0.0
        if not close(rows[k, s][0 if s else 1], wanted, absolute=1e-4):
            which = "succeed" if s else "fail"
            return 0, problems.get(k) or f"{name}: not right in a group of {k} that all {which}"
    return 1, ""


OTHERS = "a group has other numbers in a batch than alone"
ENTRIES = "it does not work entry by entry (train.py passes r and mean of any one shape)"


def in_a_batch(student: Student, name: str) -> Outcome:
    """B: groups in a batch, and some of their entries, in float64 and in float32, give the numbers
    that they give alone: for the size that is trained with and for another."""
    rows, _ = proportional(student, name)
    calls, wanted = [], []
    for k in (16, max(k for k, _ in rows if k < 16)):
        batch = [group(k, s) for s in (0, k, *DICE.choices(range(1, k), k=DICE.randint(3, 9)))]
        batch = DICE.sample(batch, len(batch))
        cells = [(x, sum(r) / k, rows[k, int(sum(r))][0 if x else 1]) for r in batch for x in r]
        some = DICE.sample(cells, len(cells) - DICE.randint(1, k))
        flat = [list(part) for part in zip(*some, strict=True)]
        for dtype in ("float64", "float32"):
            mean = tensor([[sum(r) / k] for r in batch], dtype)
            calls.append(Call(name, [tensor(batch, dtype), mean, k]))
            calls.append(Call(name, [tensor(flat[0], dtype), tensor(flat[1], dtype), k]))
            wanted += [(cells, (len(batch), k), OTHERS), (some, (len(some),), ENTRIES)]
    for reply, (right, shape, why) in zip(student.sandbox.calls(calls), wanted, strict=True):
        theirs = numbers(value(reply, f"{name}, for rewards of shape {shape},"), shape, name)
        if not all(same(a, b) for a, (_, _, b) in zip(theirs.flatten(), right, strict=True)):
            return 0, f"{name}: {why}. Compare f(r, mean, k) with f(r[:1], mean[:1], k)"
    return 1, ""


def unit_variance(student: Student) -> Outcome:
    """grpo: mean 0 and variance 1 in every live group, and its successes above its failures."""
    rows, problems = table(student, "grpo")
    for k, s in ((n, s) for n in (2, 5, 16) for s in range(1, n)):
        a, b = rows[k, s]
        mean, square = (s * a + (k - s) * b) / k, (s * a * a + (k - s) * b * b) / k
        if not (a > b and close(mean, 0, absolute=1e-3) and close(square, 1, 2.5e-4)):
            return 0, problems.get(k) or (
                f"grpo: take a group with {s} of {k} right. The mean of A must be 0, the mean of "
                "A^2 must be 1, and a success must have the larger A"
            )
    return 1, ""


# ----------------------------------------------------------------------------- part A: verify
# All checks of verify look at one list of verdicts, on pairs of a prompt and a text. Each pair is
# of one kind: where a right answer was asked for, or what is wrong with the text or the prompt.

RIGHT = ("=", "<", "operands with spaces", "leading zeros", "long operands")
NUMBERS = ("another number",)
FORMS = ("spaces", "zeros", "signs", "foreign digits", "a computation", "more than a number")
Pairs = dict[tuple[str, str], str]  # the kind of each


def some_problem(kind: str) -> str:
    """A prompt of one of the kinds in RIGHT."""
    least, most = (10, 18) if kind == "long operands" else (1, 2)
    a, b = (str(DICE.randrange(10 ** DICE.randint(least, most))) for _ in "ab")
    if kind == "leading zeros":
        a, b = DICE.sample((a.zfill(DICE.randint(5, 18)), b.zfill(DICE.choice((1, 5, 18)))), 2)
    if kind == "operands with spaces":
        a, b = DICE.sample((" " * DICE.choice((1, 2, 18)) + a, " " * DICE.choice((0, 3)) + b), 2)
    return f"{a}{DICE.choice('+-*')}{b}{'<' if kind == '<' else '='}"


def small_problems() -> list[str]:
    """One of each sign and mark, with answers of at most three characters."""
    a, b, tens = DICE.randint(11, 49), DICE.randint(11, 49), DICE.randint(2, 9)
    few, more = DICE.randint(1, 9), DICE.randint(31, 99)
    return [f"{a}+{b}=", f"{few}-{more}=", f"{tens}*{few}=", f"{10 * tens - few}+{few}<",
            f"{few}-{more}<"]  # fmt: skip


def changed(x: str) -> str:
    """An answer with another digit in one place."""
    i = DICE.choice([i for i, c in enumerate(x) if c.isdigit()])
    return x[:i] + DICE.choice([d for d in "0123456789" if d != x[i]]) + x[i + 1 :]


def foreign(text: str, zero: int = 0x660) -> str:
    """With the digits of another script, whose 0 is this character: they only look like ours."""
    return text.translate({48 + d: zero + d for d in range(10)})


def near(prompt: str, x: str) -> list[str]:
    """Slips of the pen, and what looks like the answer x, or holds it, or computes to it."""
    n = x.strip("-")
    texts = (
        f"0{x}|{x}0|+{x}|-{x}|{x}-|{n}|{n}-|-{n}|1{x}|{x}1|{x[:-1]}|{x[1:]}|{x[::-1]}|0{n}-||"
        f"{x}.0|{x}.|{x}e0|0x{int(n):x}|{x[0]}_{x[1:]}|{x}+0|0+{x}|{x}-0|{x}*1|1*{x}|int('{x}')|"
        f"{x}={x}|{prompt}{x}|{prompt[:-1]}|9;{x}|a{x}|{x}a|{x}<end>|{x}\x00|the answer is {x}|"
        f"{x}, I think|I say {x}.| {x}|{x} |\n{x}|{x}\n|\t{x}|{x[0]} {x[1:]}|{x}\n{x}"
    ).split("|")
    return [*texts, changed(x), changed(changed(x)), "".join(sorted(x)),
            "".join(DICE.sample(x, len(x))), foreign(x), foreign(x, 0xFF10)]  # fmt: skip


def kind_of(text: str, x: str) -> str:
    """How a text differs from the answer x."""
    if not text.isascii() or any(c.isspace() for c in text):
        return "spaces" if text.isascii() else "foreign digits"
    if re.fullmatch(r"[-+]?[0-9]*[-+]?", text):
        a, b = text.strip("-+"), x.strip("-")
        zeros = a and a.strip("0") == b.strip("0")
        return "signs" if a == b else "zeros" if zeros else NUMBERS[0]
    return "a computation" if re.fullmatch(r"[-+*.()'0-9a-fx_int]*", text) else FORMS[-1]


def no_prompts(sign: str, mark: str) -> tuple[str, dict[str, list[str]]]:
    """A prompt, and texts that look like it and ask for nothing, by their kind."""
    a, b = (str(n) for n in DICE.sample(range(11, 50), 2))
    prompt = f"{a}{sign}{b}{mark}"
    before = {"a space is where none may be": "\t\u2003\xa0\n", "it has another sign": "-+",
              "it is too long": (" " * 19, " " * 40, "0" * 17, "0" * 38)}  # fmt: skip
    found = {
        kind: [text for s in some for text in (s + prompt, f"{a}{sign}{s}{b}{mark}")]
        for kind, some in before.items()
    }
    inside = f"{a} {sign}{b}{mark}", f"{prompt[:-1]} {mark}", f"{a[0]} {a[1]}{sign}{b}{mark}"
    found["a space is where none may be"] += inside
    found["it has another sign"] += [f"{a}/{b}=", f"{a}%{b}=", "a+b=", "__import__('os')="]
    found["something is missing"] = [prompt[:-1], f"{a}{sign}{mark}", f"{sign}{b}{mark}", a, ""]
    found["something is around it"] = [
        f"x{prompt}", f"{prompt}x", f"{prompt}{a}", f"1 {prompt}", f"1{sign}{prompt}",
        f"{prompt}{mark}", f"{prompt}\n", "(" * 10**4]  # fmt: skip
    found["a digit is none"] = [prompt.replace(n, text) for n in (a, b) for text in
                                (foreign(n), f"{n[0]}_{n[1]}", f"{n}.0", f"_{n}")]  # fmt: skip
    return prompt, found


PROMPTS = tuple(no_prompts("+", "=")[1])


def asked_pairs() -> Pairs:
    """Everything that verify is asked."""
    found: Pairs = {}
    for kind in RIGHT * 12:
        prompt = some_problem(kind)
        x = str(truth(prompt))
        found |= {(prompt, text): kind_of(text, x) for text in near(prompt, x)}
        found |= {(prompt, changed(x)): kind, (prompt, x): kind}
    for prompt in small_problems():
        x = str(truth(prompt))
        mine = {c for c in x if c.isdigit()} | {"0"}
        symbols = [*"+-= \n\u0664", *mine]
        symbols += DICE.sample(sorted({*"0123456789"} - mine), 10 - len(symbols))
        for n in range(4):
            for text in map("".join, itertools.product(symbols, repeat=n)):
                found[prompt, text] = kind_of(text, x)
        found[prompt, x] = prompt[-1]
    for sign, mark in itertools.product("+-*", "=<"):
        prompt, texts_of = no_prompts(sign, mark)
        x = str(truth(prompt))
        for kind, texts in texts_of.items():
            found |= {(text, said): kind for text in texts for said in (x, x[::-1], "0", "None")}
    return found


def mistakes(student: Student) -> dict[str, str]:
    """For each kind of pair the first that verify is wrong about, if there is one. All are mixed. A
    raised error, and a value that is no bool, are mistakes."""

    if "verify" in student.asked:
        return student.asked["verify"]
    pairs, found = asked_pairs(), dict[str, str]()
    mixed = DICE.sample(sorted(pairs), len(pairs))
    replies = student.sandbox.calls([Call("verify", [*pair]) for pair in mixed])
    for (prompt, text), reply in zip(mixed, replies, strict=True):
        right, theirs = text == truth(prompt), reply.get("value")
        said = "refuses the right answer" if right else "accepts"
        if error := reply.get("error"):
            said = f"raised {error}"
        elif type(theirs) is not bool:
            said = f"returned {described(theirs)} and not True or False"
        if theirs is not right:
            said = f"verify {said}: {text!r:.60} for the prompt {prompt!r:.40}"
            found.setdefault(pairs[prompt, text], said)
    student.asked["verify"] = found
    return found


def verify(student: Student, kinds: tuple[str, ...]) -> Outcome:
    """The share of these kinds without a mistake. Only if some right answers are accepted (and
    wrong digits refused), for a constant function refuses all that is wrong."""
    found = mistakes(student)
    if kinds is not RIGHT and sum(kind not in found for kind in RIGHT) < 2:
        raise Failed("verify: not tested until it knows more of the right answers")
    missed = [kind for kind in kinds if kind in found]
    said = f"{found[missed[0]]}. Wrong in: {', '.join(missed)}" if missed else ""
    return 1 - len(missed) / len(kinds), said


# ----------------------------------------------------------------------------------- part A: pass@k


def pass_cases() -> dict[str, list[tuple[int, int, int]]]:
    """n, c and k: all up to n = 7 with c > 0, and some more; n = 100,000, and some between; and no
    success, n of them, n < k, with two that are no edges."""
    one = DICE.randint
    brute = [(n, c, k) for n in range(1, 8) for k in range(1, n + 1) for c in range(1, n + 1)]
    brute += [(n := one(8, 11), one(1, n), one(1, n)) for _ in range(20)]
    N = 100_000
    large = [(N, N - one(500, 9000), 3), (N, one(2, 99), 1), (N, 5, N - 2)]
    for m, many in ((one(12, 5000), one(99, N)) for _ in range(3)):
        large += [(N, one(2, 9), one(500, 9000)), (m, one(1, m), one(1, 9)),
                  (m, one(1, 9), one(1, m)), (many, one(9, 60), one(9, many // 9))]  # fmt: skip
    n, c = one(8, 11), one(3, 6)
    edges = [(m, x * m, k) for x in (0, 1) for m, k in ((n, 1), (n, n), (1, 1))]
    edges += [(n, c, 2), (n, c, 4), (n, c, n + 1), (n, 0, n + 1), (1, 1, 2)]
    return {"brute": brute, "large": large, "edges": edges}


def pass_at_k(student: Student, which: str, see: str) -> Outcome:
    """Some cases, against a product of exact factors."""
    cases = pass_cases()[which]
    replies = student.sandbox.calls([Call("pass_at_k", [*case]) for case in cases])
    for (n, c, k), reply in zip(cases, replies, strict=True):
        name = f"pass_at_k({n}, {c}, {k})"
        if n < k and not reply.get("error", "").startswith("ValueError"):
            return 0, f"{name} must raise a ValueError: so few samples say nothing"
        right = n < k or close(number(value(reply, name), name), reference.pass_at_k(n, c, k), 1e-6)
        if not right:
            return 0, f"{name} is not right: {see}"
    return 1, ""


# ----------------------------------------------------------- part A: log-probability and loss


def drawn() -> tuple[torch.Tensor, torch.Tensor, int]:
    """Logits (U, L, V), completions (U, L) and the end token: others each time, of another shape.
    The logits of a token are of any level, which makes no difference, and now and then far apart;
    end tokens are at one, at no and at several places."""
    L, V = DICE.randint(9, 19), DICE.randint(5, 19)
    end = DICE.randrange(V)
    others = [v for v in range(V) if v != end]
    ends = [(1,), (), (0, 1), (3,), (2, 3), (1, 2, 3), (0, 1, 2, 3), (L - 2,), (L - 1,)]
    ends = DICE.sample([*ends, *DICE.choices(ends, k=DICE.randint(0, 3))], k=9)
    tokens = [[end if t in row else DICE.choice(others) for t in range(L)] for row in ends]
    sizes = [[(DICE.choice((-150, 0, 0, 150)), DICE.choice((2, 2, 2, 9))) for _ in row]
             for row in tokens]  # fmt: skip
    logits = [[[a + DICE.uniform(-b, b) for _ in range(V)] for a, b in row] for row in sizes]
    return torch.tensor(logits, dtype=torch.float64), torch.tensor(tokens), end


def mask(student: Student) -> Outcome:
    """completion_mask: true up to the first end token."""
    xs = [drawn()[1:] for _ in range(3)]
    calls = [Call("completion_mask", [tensor(x.tolist(), "int64"), end]) for x, end in xs]
    for (x, end), reply in zip(xs, student.sandbox.calls(calls), strict=True):
        theirs = value(reply, "completion_mask")
        if not is_tensor(theirs) or theirs["d"] != "bool":
            raise Failed(f"completion_mask returned {described(theirs)} that is not a bool tensor")
        if theirs["t"] != reference.completion_mask(x, end).tolist():
            return 0, "completion_mask: mark what was drawn: the first end token is the last"
    return 1, ""


def logprobs(student: Student, differentiated: bool) -> Outcome:
    """summed_logprobs: the sum of log pi(token) up to the first end token, or its gradient."""
    name, xs = "summed_logprobs", [drawn(), drawn()]
    args = [[tensor(x.tolist()), tensor(tokens.tolist(), "int64"), end] for x, tokens, end in xs]
    calls = [Call(name, a, (0,) if differentiated else ()) for a in args]
    for (x, tokens, end), reply in zip(xs, student.sandbox.calls(calls), strict=True):
        right = reference.summed_logprobs(x.requires_grad_(), tokens, end)
        if differentiated:
            theirs, right = gradient(reply, 0, x, name), torch.autograd.grad(right.sum(), x)[0]
            see = "its gradient in a logit is 1{token} - softmax up to the end token, 0 after it"
        else:
            theirs, right = numbers(value(reply, name), (len(x),), name), right.detach()
            see = ("add log softmax(logits)[token] of one row by hand, up to and with the first "
                   "end token. The chances of all completions must add up to 1")  # fmt: skip
        if not torch.allclose(theirs, right, 1e-3, 1e-5 if differentiated else 1e-4):
            return 0, f"{name}: {see}"
    return 1, ""


def gradient(reply: Reply, i: int, like: torch.Tensor, name: str) -> torch.Tensor:
    """The i-th gradient that was asked for, of this shape."""
    value(reply, f"{name}, differentiated,")
    grads = reply.get("grads")
    if not isinstance(grads, list) or i >= len(grads) or grads[i] is None:
        raise Failed(f"{name}: no gradient arrives at its argument")
    return numbers(grads[i], tuple(like.shape), f"the gradient of {name}")


LOSS = "policy_gradient_loss"


def some_advantages(B: int, k: int) -> torch.Tensor:
    """(B, k), none of them 0, of both signs, some large and one very large."""
    sizes = DICE.sample([900, *DICE.choices((2, 2, 2, 30), k=B * k - 1)], B * k)
    signs = DICE.sample([-1, 1] * B * k, B * k)
    found = [sign * DICE.uniform(x / 4, x) for sign, x in zip(signs, sizes, strict=True)]
    return torch.tensor(found, dtype=torch.float64).view(B, k)


def ask_loss(student: Student, cases: list[torch.Tensor]) -> list[Reply]:
    """The loss of the same log-probabilities (B, k) with each of these advantages (B, k)."""
    logp = [[-(DICE.uniform(0.03, DICE.choice((1, 9))) ** 2) for _ in r] for r in cases[0]]
    args = [[tensor(logp), tensor(A.tolist())] for A in cases]
    replies = student.sandbox.calls([Call(LOSS, pair, (0, 1)) for pair in args])
    for reply in replies:
        number(value(reply, LOSS), LOSS)
    return replies


def two_shapes() -> list[tuple[int, int]]:
    """(B, k) of two losses; one has more of both, so no fixed divisor is right for the two."""
    Bs, ks = DICE.sample(range(3, 8), 2), DICE.sample(range(2, 8), 2)
    return list(zip(sorted(Bs), sorted(ks), strict=True))


def loss_gradient(student: Student, dead: bool) -> Outcome:
    """policy_gradient_loss: the gradient is -A / (B k); groups without a signal count in B k."""
    for B, k in two_shapes() if dead else [*two_shapes(), (1, DICE.randint(2, 9))]:
        A = some_advantages(B, k)
        if dead:
            none, live = DICE.sample(range(B), 2)
            A[none] = A[live, DICE.randrange(k)] = 0.0
        theirs = gradient(ask_loss(student, [A])[0], 0, A, LOSS)
        if not torch.allclose(theirs, -A / A.numel(), rtol=1e-3):
            see = ("A group of zeros adds nothing, but it counts in B k" if dead else
                   "Set all but one A to 0 and look at logprobs.grad")  # fmt: skip
            return 0, f"{LOSS}: for {B} groups of {k} its gradient is not -A / (B k). {see}"
    return 1, ""


def loss_constant(student: Student) -> Outcome:
    """policy_gradient_loss: advantages are constants, and matter."""
    shape = two_shapes()[0]
    A, other = some_advantages(*shape), some_advantages(*shape)
    factors = []
    for reply, advantages in zip(ask_loss(student, [A, other, A]), (A, other, A), strict=True):
        factors.append(gradient(reply, 0, A, LOSS) / advantages)
        if reply["grads"][1:] != [None] and gradient(reply, 1, A, LOSS).any():
            return 0, f"{LOSS}: a gradient flows into the advantages; detach them"
    if factors[0][0, 0] < 0 and torch.allclose(torch.stack(factors), factors[0][0, 0], rtol=1e-3):
        return 1, ""
    return 0, f"{LOSS}: its gradient is not -A times a constant, the same for all A and all calls"


# ------------------------------------------------------------------------------------------- part D


def caught(student: Student, function: str) -> Outcome:
    """The share of the lots in which all wrong ones are refused; nothing if a right one is."""
    cases = estimators() if function == "has_order" else verifiers()
    missed: dict[int, str] = {}
    for case in DICE.sample(cases, len(cases)):
        questions = itertools.count()

        def behave(*args: Any, case: Any = case, questions: Any = questions) -> Any:
            if next(questions) >= 2000:
                raise ValueError("asked more than 2000 times")
            return case.behave(*args)

        reply = student.sandbox.calls([Call(function, [ASK, *case.args])], behave)[0]
        verdict = value(reply, function)
        if type(verdict) is not bool:
            raise Failed(f"{function} returned {described(verdict)}, not True or False")
        if case.lot is None and not verdict:
            return 0, f"{function} refuses a right one, so it earns nothing: {case.kind}"
        if case.lot is not None and verdict:
            missed.setdefault(case.lot, case.kind)
    said = f"accepts wrong ones in {len(missed)} of {LOTS} lots: {'; '.join(set(missed.values()))}"
    return 1 - len(missed) / LOTS, f"{function} {said}" if missed else ""
