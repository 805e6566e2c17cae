"""What is tested, for how many points, and what is said when it fails.

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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from break_it import DICE, LOTS, Behaviour, truth
from personal import Personal, personal
from sandbox import ASK, NO_NUMBERS, Call, Failed, Reply, Sandbox, Tensor
from submission import Submission

Numbers = list[float]
KS = (2, 3, 5, 16)


@dataclass
class Student:
    """A submission as the checks see it."""

    id: str
    sandbox: Sandbox
    submission: Submission
    runs: list[Any] = field(default_factory=list)  # weights and figures of those that count so far
    asked: dict[tuple, Any] = field(default_factory=dict)  # what `ask_once` got, or why not

    @property
    def own(self) -> Personal:
        """The numbers of this id."""
        return personal(self.id)


Outcome = tuple[float, str]


def close(a: float, b: float, relative: float = 1e-3, absolute: float = 1e-6) -> bool:
    """Equal for our purposes; an epsilon of 1e-5 in a denominator is."""
    return math.isclose(a, b, rel_tol=relative, abs_tol=absolute)


def is_number(x: Any) -> bool:
    """A number that can be computed with: not True, not NaN, not of 400 digits."""
    return type(x) in (int, float) and abs(x) < 1e30


# ------------------------------------------------------------------------- numbers out of replies


def value(reply: Reply, name: str) -> Any:
    """What a call returned; Failed if it raised."""
    if reply.error:
        said = "" if reply.error == NO_NUMBERS else "raised "
        raise Failed(f"{name}: {said}{reply.error}")
    return reply.value


def number(x: Any, name: str) -> float:
    """One finite number."""
    if isinstance(x, Tensor):
        x = flat(x.values)[0] if len(flat(x.values)) == 1 else x.values
    if type(x) not in (int, float):
        raise Failed(f"{name} returned {described(x)} where a number is needed")
    if not is_number(x):
        raise Failed(f"{name} returned {'NaN' if x != x else 'infinity'}")
    return float(x)


def numbers(x: Any, shape: tuple[int, ...], name: str) -> Numbers:
    """The entries of a tensor of this shape, in order."""
    if not isinstance(x, Tensor):
        raise Failed(f"{name} returned {described(x)} where a tensor is needed")
    if shape_of(x.values) != shape:
        theirs = shape_of(x.values)
        raise Failed(f"{name} returned a tensor of shape {theirs} where {shape} is needed")
    return [number(e, name) for e in flat(x.values)]


def described(x: Any) -> str:
    """What something is, for a message."""
    if isinstance(x, Tensor):
        return "a tensor"
    names = {bool: "True or False", str: "text", type(None): "nothing", list: "a list"}
    return names.get(type(x), f"a {type(x).__name__}")


def flat(x: Any) -> list:
    """All entries of nested lists."""
    return [e for part in x for e in flat(part)] if isinstance(x, list) else [x]


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of nested lists; a ragged one has the shape (-1,)."""
    if not isinstance(x, list):
        return ()
    inner = {shape_of(part) for part in x}
    return (len(x), *inner.pop()) if len(inner) == 1 else (0,) if not x else (-1,)


# ----------------------------------------------------------------------------- part A: verify

SYMBOLS = "+-= \n"  # and four digits, and an Arabic one


def problem(a: int, sign: str, b: int, mark: str = "=") -> tuple[str, str]:
    """A prompt and its answer."""
    prompt = f"{a}{sign}{b}{mark}"
    return prompt, str(truth(prompt))


def small_problems() -> dict[str, str]:
    """One of each kind, with their answers of at most three symbols."""
    a, b, tens = DICE.randint(11, 49), DICE.randint(11, 49), DICE.randint(2, 9)
    less, more = DICE.randint(1, 9), DICE.randint(31, 99)
    return dict([
        problem(a, "+", b), problem(less, "-", more), problem(tens, "*", less),
        problem(10 * tens - less, "+", less, "<"), problem(less, "-", more, "<"),
    ])  # fmt: skip


def any_problems(n: int) -> dict[str, str]:
    """Of all lengths, with leading zeros and spaces before the operands."""
    found = {}
    for _ in range(n):
        a, b = (str(DICE.randrange(10 ** DICE.randint(1, 18))) for _ in "ab")
        a, b = (x.zfill(DICE.choice((1, 1, 18, DICE.randint(2, 17)))) for x in (a, b))
        a, b = (" " * DICE.choice((0, 0, 18, DICE.randint(1, 17))) + x for x in (a, b))
        prompt = a + DICE.choice("+-*") + b + DICE.choice("=<")
        found[prompt] = str(truth(prompt))
    return found


def changed(answer: str) -> str:
    """An answer with another digit in one place."""
    i = DICE.choice([i for i, c in enumerate(answer) if c.isdigit()])
    return answer[:i] + DICE.choice([d for d in "0123456789" if d != answer[i]]) + answer[i + 1 :]


def slips(answer: str) -> list[str]:
    """What a slip of the pen makes of an answer: none of it is the answer."""
    i, j = DICE.choices(range(len(answer)), k=2)
    swapped = list(answer)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    other = ["".join(swapped), answer[:i] + answer[i + 1 :], answer[::-1]]
    other += [answer.strip("-"), f"-{answer}", f"{answer}-", f"0{answer}", f"{answer}0"]
    other += ["".join(sorted(answer)), changed(changed(answer))]
    return [changed(answer), *(text for text in other if text != answer)]


def doubles(text: str, zero: int = 0x660) -> str:
    """With the digits of another script, whose 0 is this character: they only look like ours."""
    return text.translate({48 + d: zero + d for d in range(10)})


def asked(student: Student, texts: dict[str, list[str]], what: str) -> Outcome:
    """For each prompt these texts are wrong, and its answer, which is put among them, is right.

    All are mixed, each is asked once, and small problems are added with a wrong answer each: who
    says one thing to all texts, or to the first, or to each prompt once, gets nothing.
    """
    more = {prompt: [changed(answer)] for prompt, answer in small_problems().items()}
    texts = more | texts
    rights = {prompt: [right] for prompt in texts if (right := truth(prompt)) is not None}
    pairs = {(p, text) for p, some in texts.items() for text in (*some, *rights.get(p, []))}
    mixed = DICE.sample(sorted(pairs), len(pairs))
    replies = student.sandbox.calls([Call("verify", [*pair]) for pair in mixed])
    refused: list[tuple[str, str]] = []
    accepted: list[tuple[str, str]] = []
    for reply, (prompt, text) in zip(replies, mixed, strict=True):
        name = f"verify{(prompt, text)!r:.60}"
        verdict = value(reply, name)
        if type(verdict) is not bool:
            raise Failed(f"{name} returned {described(verdict)}, not True or False")
        if verdict != (text == truth(prompt)):
            (accepted if verdict else refused).append((prompt, text))
    if refused:
        return 0, f"verify refuses the right answer to {refused[0][0]!r:.60}"
    if accepted:
        prompt, text = accepted[0]
        return 0, f"verify accepts {text!r:.60} for the prompt {prompt!r:.40}: {what}"
    return 1, ""


def verify_right(student: Student) -> Outcome:
    """verify: right answers are right, among more that are nearly so."""
    problems = {prompt: slips(answer) for prompt, answer in any_problems(60).items()}
    return asked(student, problems, "so to accept the right ones is no merit")


def verify_short(student: Student) -> Outcome:
    """verify: of all strings of up to 3 of 10 symbols, only the answer is right."""
    texts = {}
    for prompt, answer in small_problems().items():
        mine = {c for c in answer if c.isdigit()} | {"0"}
        others = DICE.sample([d for d in "0123456789" if d not in mine], 4 - len(mine))
        symbols = [*SYMBOLS, *mine, *others, doubles(max(mine))]
        texts[prompt] = ["".join(t) for n in range(4) for t in itertools.product(symbols, repeat=n)]
    return asked(student, texts, "a result has one right form, its canonical digits")


def larger_problems() -> dict[str, str]:
    """One of each sign, with their answers of three symbols and more."""
    a, b, mark = DICE.randint(155, 499), DICE.randint(17, 54), DICE.choice("=<")
    return dict([problem(a, "+", a + b, mark), problem(a, "-", b, mark), problem(b, "*", b + 5)])


def like(prompt: str, x: str) -> list[str]:
    """What looks like the answer x, or holds it, or computes to it."""
    texts = (
        f"0{x}|+{x}|-{x}|{x}-|1{x}|{x}1|{x}.0|{x}.|{x}e0|0x{int(x.strip('-')):x}|{x[0]}_{x[1:]}|"
        f"{x}+0|0+{x}|{x}-0|{x}*1|1*{x}|{prompt[:-1]}|int('{x}')|{x}={x}|{prompt}{x}|9;{x}|a{x}|{x}a|"
        f" {x}|{x} |\n{x}|{x}\n|{x[0]} {x[1:]}|{x}\n{x}|{x}<end>|{x}\x00|{x[:-1]}|{x[1:]}|"
        f"the answer is {x}|{x}, I think|I think it is {x}."
    ).split("|")
    return [*texts, doubles(x), doubles(x, 0xFF10)]


def verify_alike(student: Student) -> Outcome:
    """verify: what looks like the answer, or computes to it, or holds it, is wrong."""
    alike = {p: like(p, x) for p, x in (small_problems() | larger_problems()).items()}
    a, b = DICE.randint(11, 49), DICE.randint(11, 49)
    plus, x = problem(a, "+", b)
    less, y = problem(a, "-", b + 50, "<")  # y is two digits and the sign
    tens, z = problem(a, "+", 60 - a, "<")  # z begins with a zero
    alike |= {
        plus: [f"{int(x) - 6}+6", x[0] * 10**4, "(" * 10**4, "9**9**9" * 9, "\ud800"],
        f"{a}-{a}=": ["-0", "00", "+0", "", "0.0"],
        less: [y[::-1], y[:2], f"{y[0]}-{y[1]}", f"0{y}", f"{y[:2]}-0"],
        tens: [z[::-1], z[1:], f"0{z}", f"{z}0"],
    }
    return asked(student, alike, "compare texts, not what they would compute to")


def no_prompts(a: int, sign: str, b: int, mark: str) -> list[str]:
    """What is nearly a prompt: a and b have two digits."""
    prompt, x = problem(a, sign, b, mark)
    found = (
        f"{prompt[:-1]}|{x}|{x}{mark}|{prompt}{x}|{a}{sign}{mark}|{sign}{b}{mark}|"
        f"{a}.0{sign}{b}{mark}|-{prompt}|x{prompt}|1 {prompt}|1{sign}{prompt}|{prompt}{mark}|"
        f"{prompt}\n|{a} {sign}{b}{mark}|{prompt[:-1]} {mark}|{a:_>3}{sign}{b}{mark}"
    ).split("|")
    for n in (a, b):
        tens, ones = divmod(n, 10)
        found += [f"{tens}_{ones}{sign}{b}{mark}", f"{a}{sign}{tens} {ones}{mark}"]
        found.append(prompt.replace(str(n), doubles(str(n)), 1))
    for before in ("\t", "\u2003", "\xa0", "\n", "+", " " * 19, " " * 40, "0" * 17, "0" * 38):
        found += [f"{before}{prompt}", f"{a}{sign}{before}{b}{mark}"]
    return found


def verify_prompts(student: Student) -> Outcome:
    """verify: a prompt that asks for nothing has no right answer, and nothing raises."""
    a, b = DICE.sample(range(11, 50), 2)
    strange = f"{a}/{b}=", "a+b=", "", "(" * 10**4, "__import__('os')="
    texts = {p: ["", "0", "None", str(a)] for p in strange}
    for sign, mark in itertools.product("+-*", "=<"):
        x = str(truth(f"{a}{sign}{b}{mark}"))
        read = x, x[::-1], str(a), str(b), str(b - a), str(1 + a + b), "", "0", "None"
        texts |= {p: [*DICE.sample(read, 3), x] for p in no_prompts(a, sign, b, mark)}
    for prompt, answer in small_problems().items():  # of these one text of about as many is right
        texts[prompt] = [changed(answer) for _ in range(9)]
    return asked(student, texts, "by the rules of A1 its prompt asks for nothing")


# ------------------------------------------------------------------------- part A: estimators


def group(k: int, successes: int) -> Numbers:
    """The rewards of a group, in any order."""
    return DICE.sample([1.0] * successes + [0.0] * (k - successes), k)


def outcomes(k: int) -> list[Numbers]:
    """All of a group; of a large one a few for each number of successes."""
    if k <= 5:
        return [list(r) for r in itertools.product((0.0, 1.0), repeat=k)]
    return [group(k, s) for s in range(k + 1) for _ in range(2)]


Asked = list[tuple[Numbers, Numbers]]  # rewards of groups, and their advantages


def ask_groups(student: Student, name: str, groups: list[Numbers]) -> Asked:
    """These groups with their advantages, each asked as a batch of its own."""
    calls = [
        Call(name, [Tensor([g], "float64"), Tensor([[sum(g) / len(g)]], "float64"), len(g)])
        for g in groups
    ]
    replies = student.sandbox.calls(calls)
    where = (f"{name}, in a group with {sum(g):g} of {len(g)}" for g in groups)
    return [
        (g, numbers(value(reply, name), (1, len(g)), there))
        for reply, g, there in zip(replies, groups, where, strict=True)
    ]


def of_size(asked: Asked, k: int) -> Asked:
    """The groups of k."""
    return [pair for pair in asked if len(pair[0]) == k]


def ask_once(student: Student, name: str, ks: tuple[int, ...] = KS) -> dict[int, Asked]:
    """For each k the outcomes of a group and their advantages, in one session and no second.

    E and the runs are held against the same replies: a function can tell one session from another,
    by the clock for one thing, and would show each what it wants to see.
    """
    if (name, ks) not in student.asked:
        groups = [r for k in ks for r in outcomes(k)]
        try:
            student.asked[name, ks] = ask_groups(student, name, groups)
        except Failed as failed:
            student.asked[name, ks] = failed
    found = student.asked[name, ks]
    if isinstance(found, Failed):
        raise found
    return {k: of_size(found, k) for k in ks}


def expected_weight(asked: Asked, k: int, p: float) -> float:
    """w of E[g] = w grad p: the average over the outcomes with 0..k successes that were asked."""
    total = 0.0
    for s in range(k + 1):
        like = [pair for pair in asked if sum(pair[0]) == s]
        gs = (sum(a * (x - p) for x, a in zip(*pair, strict=True)) for pair in like)
        g = sum(gs) / len(like) / k / (p * (1 - p))
        total += math.comb(k, s) * p**s * (1 - p) ** (k - s) * g
    return total


def some_ps(k: int) -> Numbers:
    """k + 1 of them, spread over .01 to .99: w and what it should be are polynomials of degree
    below k (grpo's too), so who is right at all of these is right everywhere."""
    return [0.01 + 0.98 * (i + DICE.random()) / (k + 1) for i in range(k + 1)]


def order(T: int) -> Callable[[float], float]:
    """w_T."""
    return lambda p: -math.expm1(T * math.log1p(-p)) / p


def std_weight(k: int) -> Callable[[float], float]:
    """w of (r - mean) / std: E[std] / (p (1-p))."""

    def w(p: float) -> float:
        chance = [math.comb(k, s) * p**s * (1 - p) ** (k - s) for s in range(k + 1)]
        return sum(c * math.sqrt(s * (k - s)) / k for s, c in enumerate(chance)) / (p * (1 - p))

    return w


TARGETS: dict[str, Callable[[int], Callable[[float], float]]] = {
    "reinforce": lambda k: order(1),
    "rloo": lambda k: order(1),
    "grpo": std_weight,
    "maxrl": lambda k: order(k - 1),
    "maxrl_raw": order,
}
SEE = {
    "reinforce": "the gradient of p itself",
    "rloo": "the gradient of p itself: the baseline is the mean of the other rollouts",
    "grpo": "that of (r - mean) / std, std over the group with divisor k",
    "maxrl": "that of order k - 1",
    "maxrl_raw": "that of order k",
    "own": "that of your coefficients: begin with a_0 alone, which is rloo times a_0",
}


def target(student: Student, name: str, k: int) -> Callable[[float], float]:
    """w(p) as it should be."""

    def own(p: float) -> float:
        return sum(a * (1 - p) ** j for j, a in enumerate(student.own.coefficients))

    return own if name == "own" else TARGETS[name](k)


def expectation(student: Student, name: str, ks: tuple[int, ...] = KS) -> Outcome:
    """E[g] on a two-outcome policy, for each k."""
    for k, asked in ask_once(student, name, ks).items():
        w = target(student, name, k)
        if not all(close(expected_weight(asked, k, p), w(p), absolute=1e-4) for p in some_ps(k)):
            return 0, (
                f"{name}: at k = {k} the expected gradient is not {SEE[name]}. See it by hand: "
                "write down the k + 1 possible numbers of successes, their chances, and "
                "g = (1/k) sum A (r - p) in each; the handout works k = 2 out"
            )
    return 1, ""


NOTHING_TO_TEST = (
    "this test begins when the expected gradient (E) is nearly right, or would be with another "
    "factor, and the advantages depend on the group"
)


def by_reward(r: Numbers, A: Numbers) -> dict[float, float]:
    """The advantage of a success and of a failure. Failed if two of the same reward differ."""
    found: dict[float, float] = {}
    for x, a in zip(r, A, strict=True):
        if not close(found.setdefault(x, a), a):
            raise Failed("in one group, rollouts of the same reward have different advantages")
    return found


def by_successes(asked: Asked) -> dict[int, dict[float, float]]:
    """The same of groups of one size, for each number of successes."""
    return {int(sum(r)): by_reward(r, A) for r, A in asked}


def proportional(student: Student, name: str, asked: Asked, k: int) -> bool:
    """Do these groups have the task's weight, within 1.5 % of the largest and but for a positive
    factor? Other orders are 6 % off and more, an epsilon of 1e-2 in grpo is not. A reward that is
    returned as it is has the weight of rloo, but is no answer to that task."""
    each = by_successes(asked)
    if name not in ("reinforce", "own") and close(each[2][1.0], each[k - 1][1.0]):
        return False
    ps = (0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
    pairs = [(expected_weight(asked, k, p), target(student, name, k)(p)) for p in ps]
    most = max(abs(right) for _, right in pairs)
    factor = sum(w * right for w, right in pairs) / sum(right * right for _, right in pairs)
    return factor > 1e-3 and all(abs(w / factor - right) < 0.015 * most for w, right in pairs)


def in_proportion(student: Student, name: str, more: list[Numbers]) -> Asked:
    """What comes of these groups, asked for in one session with all of 5 and of another size.

    Failed if those are not `proportional`: who returns anything at all gains nothing from the other
    properties.
    """
    sizes = 5, DICE.randint(6, 8)
    groups = [group(k, s) for k in sizes for s in range(k + 1)]
    asked = ask_groups(student, name, groups + more)
    n = len(groups)
    if not all(proportional(student, name, of_size(asked[:n], k), k) for k in sizes):
        raise Failed(f"{name}: {NOTHING_TO_TEST}")
    return asked[n:]


def group_of_one(student: Student, name: str) -> Outcome:
    """k = 1."""
    (_, (failed,)), (_, (passed,)) = in_proportion(student, name, [[0.0], [1.0]])
    if close(failed, 0) and close(passed, 1):
        return 1, ""
    return 0, f"{name}: with k = 1 it is not reinforce. Call it with r = mean = 1 and k = 1"


OTHERS = "a group has other numbers in a batch than alone, or in another order"
ENTRIES = "it does not work entry by entry (train.py passes r and mean of any one shape)"


def in_a_batch(student: Student, name: str) -> Outcome:
    """Groups alone, in a batch, in another order, and entry by entry: of the size that is trained
    with and of another, in float64 and in train.py's float32."""
    sizes = [16, DICE.randint(5, 15)]
    groups = [group(k, s) for k in sizes for s in range(k + 1)]
    asked = in_proportion(student, name, groups)
    calls, wanted = [], []
    for k in sizes:
        each = by_successes(of_size(asked, k))
        batch = [group(k, s) for s in (0, k, *DICE.choices(range(1, k), k=DICE.randint(3, 9)))]
        batch = DICE.sample(batch, len(batch))
        mean = [[sum(r) / k] for r in batch]
        right = [[each[int(sum(r))][x] for x in r] for r in batch]
        # as in training: entries with their groups' means, in any shape
        entries = [(x, m, a) for r, (m,), row in zip(batch, mean, right, strict=True)
                   for x, a in zip(r, row, strict=True)]  # fmt: skip
        some = DICE.sample(entries, len(entries) - DICE.randint(1, k))
        xs, means, alone = (list(part) for part in zip(*some, strict=True))
        for dtype in ("float64", "float32"):
            calls.append(Call(name, [Tensor(batch, dtype), Tensor(mean, dtype), k]))
            calls.append(Call(name, [Tensor(xs, dtype), Tensor(means, dtype), k]))
            wanted += [(right, (len(batch), k), OTHERS), (alone, (len(some),), ENTRIES)]
    replies = student.sandbox.calls(calls)
    for reply, (right, shape, why) in zip(replies, wanted, strict=True):
        theirs = numbers(value(reply, f"{name}, {why},"), shape, name)
        if not all(close(a, b, absolute=1e-5) for a, b in zip(theirs, flat(right), strict=True)):
            return 0, f"{name}: {why}. Compare f(r, mean, k) with f(r[:1], mean[:1], k)"
    return 1, ""


def dead_groups(
    student: Student, name: str, ks: tuple[int, ...] = (2, 5, 16), passed: float = 0
) -> Outcome:
    """No signal where all rewards are equal; `passed`: what is right where all are 1."""
    asked = in_proportion(student, name, [group(k, s) for k in ks for s in (0, k)])
    if all(close(a, r[0] * passed, absolute=1e-4) for r, A in asked for a in A):
        return 1, ""
    return 0, f"{name}: a group whose rewards are all equal is not right. Try all 0, and all 1"


def unit_variance(student: Student) -> Outcome:
    """grpo: mean 0 and variance 1 in every live group, and its successes above its failures."""
    groups = [group(k, s) for k in (2, 5, 16) for s in range(1, k)]
    for r, A in ask_groups(student, "grpo", groups):
        each = by_reward(r, A)
        if each[0.0] >= each[1.0]:
            return 0, "grpo: a success has a larger A than a failure"
        if not close(sum(A), 0, absolute=1e-3) or not close(sum(a * a for a in A) / len(A), 1):
            return 0, "grpo: take A of one group: its mean must be 0, the mean of its squares 1"
    return 1, ""


# ----------------------------------------------------------------------------------- part A: pass@k


def pass_at(student: Student, cases: list[tuple[int, int, int]]) -> Numbers:
    """The student's pass_at_k of each."""
    replies = student.sandbox.calls([Call("pass_at_k", list(case)) for case in cases])
    pairs = zip(replies, cases, strict=True)
    return [number(value(r, f"pass_at_k{c}"), f"pass_at_k{c}") for r, c in pairs]


def pass_brute(student: Student) -> Outcome:
    """pass_at_k: counted one by one, for n up to 7 and some more."""
    cases = [(n, c, k) for n in range(1, 8) for k in range(1, n + 1) for c in range(1, n + 1)]
    cases += [(n := DICE.randint(8, 11), DICE.randint(1, n), DICE.randint(1, n)) for _ in range(20)]
    for (n, c, k), theirs in zip(cases, pass_at(student, cases), strict=True):
        tries = list(itertools.combinations(range(n), k))
        if not close(theirs, sum(min(t) < c for t in tries) / len(tries), 1e-6):
            return 0, f"pass_at_k({n}, {c}, {k}): list all ways to take {k} of {n}, and count"
    return 1, ""


def pass_large(student: Student) -> Outcome:
    """pass_at_k: n = 100,000, and some between."""
    n = 100_000
    cases = [(n, DICE.randint(2, 9), DICE.randint(500, 9000)) for _ in range(3)]
    cases += [(n, n - DICE.randint(500, 9000), 3), (n, DICE.randint(2, 99), 1), (n, 5, n - 2)]
    for _ in range(3):
        m, many = DICE.randint(12, 5000), DICE.randint(99, n)
        cases += [(m, DICE.randint(1, m), DICE.randint(1, 9))]
        cases += [(m, DICE.randint(1, 9), DICE.randint(1, m))]
        cases += [(many, DICE.randint(9, 60), DICE.randint(9, many // 9))]
    for (n, c, k), theirs in zip(cases, pass_at(student, cases), strict=True):
        fail = math.prod(max(n - k - i, 0) / (n - i) for i in range(c))
        if not close(theirs, 1 - fail, 1e-6):
            return (
                0,
                "pass_at_k is not exact for n = 100,000: a product of k factors is, or math.comb",
            )
    return 1, ""


def pass_edges(student: Student) -> Outcome:
    """pass_at_k: no success is 0, n successes are 1, and n < k a ValueError."""
    n, c = DICE.randint(8, 11), DICE.randint(3, 6)
    none, all_right = ([(m, c * m, k) for m, k in ((n, 1), (n, n), (1, 1))] for c in (0, 1))
    *edges, two, four = pass_at(student, [*none, *all_right, (n, c, 2), (n, c, 4)])
    if not all(close(x, i // 3) for i, x in enumerate(edges)):
        return 0, "pass_at_k of no success in n samples is 0, and of n successes 1"
    between = {k: 1 - math.comb(n - c, k) / math.comb(n, k) for k in (2, 4)}
    if not (close(two, between[2]) and close(four, between[4])):
        return 0, "pass_at_k: there is more than these edges. Some successes in n, k = 2: count"
    cases = [(n, c, n + 1), (n, 0, n + 1), (1, 1, 2)]
    for reply in student.sandbox.calls([Call("pass_at_k", [*case]) for case in cases]):
        if not reply.error.startswith("ValueError"):
            return 0, "pass_at_k with n < k must raise a ValueError: so few samples say nothing"
    return 1, ""


# ----------------------------------------------------------- part A: log-probability and loss

ENDS = ((1,), (), (0, 1), (3,), (2, 3), (1, 2, 3), (0, 1, 2, 3))  # where an end token is


@dataclass
class Drawn:
    """Completions (U, L) with the end tokens of ENDS, and logits (U, L, V) they come from."""

    shape: tuple[int, int, int]  # U, L, V
    end: int
    tokens: list[list[int]]
    logits: list[list[Numbers]]


def drawn() -> Drawn:
    """Other ones each time, of another shape."""
    L, V = DICE.randint(9, 19), DICE.randint(5, 19)
    end = DICE.randrange(V)
    others = [v for v in range(V) if v != end]
    ends = [*ENDS, (L - 2,), (L - 1,), *DICE.choices(ENDS, k=DICE.randint(0, 3))]
    DICE.shuffle(ends)
    tokens = [[end if t in row else DICE.choice(others) for t in range(L)] for row in ends]
    logits = [[some_logits(V) for _ in row] for row in tokens]
    return Drawn((len(ends), L, V), end, tokens, logits)


def some_logits(V: int) -> Numbers:
    """Of one token, (V,): of any level, which makes no difference, and now and then far apart."""
    level, size = DICE.choice((-150, 0, 0, 150)), DICE.choice((2, 2, 2, 9))
    return [level + DICE.uniform(-size, size) for _ in range(V)]


def log_softmax(x: Numbers) -> Numbers:
    """In plain Python."""
    most = max(x)
    total = most + math.log(sum(math.exp(e - most) for e in x))
    return [e - total for e in x]


def counted(row: list[int], end: int) -> int:
    """Tokens up to the first end token, included."""
    return row.index(end) + 1 if end in row else len(row)


def mask(student: Student) -> Outcome:
    """completion_mask: true up to the first end token."""
    for _ in range(2):
        x = drawn()
        call = Call("completion_mask", [Tensor(x.tokens, "int64"), x.end])
        theirs = value(student.sandbox.calls([call])[0], "completion_mask")
        if not isinstance(theirs, Tensor) or theirs.dtype != "bool":
            raise Failed(f"completion_mask returned {described(theirs)} that is not a bool tensor")
        wanted = [[t < counted(row, x.end) for t in range(len(row))] for row in x.tokens]
        if theirs.values != wanted:
            return 0, "completion_mask: mark what was drawn: the first end token is the last"
    return 1, ""


def ask_logprobs(student: Student, xs: list[Drawn], grad: tuple[int, ...] = ()) -> list[Reply]:
    """summed_logprobs of each of these."""
    args = [[Tensor(x.logits), Tensor(x.tokens, "int64"), x.end] for x in xs]
    return student.sandbox.calls([Call("summed_logprobs", a, grad) for a in args])


def gradient(reply: Reply, i: int, shape: tuple[int, ...], name: str) -> Numbers | None:
    """The i-th gradient that was asked for, None if none has arrived."""
    value(reply, f"{name}, differentiated,")
    if i >= len(reply.grads) or reply.grads[i] is None:
        return None
    return numbers(reply.grads[i], shape, f"the gradient of {name}")


def logprobs_sum(student: Student) -> Outcome:
    """summed_logprobs: the sum of log pi(token), the end token included, what is after it not."""
    name, xs = "summed_logprobs", [drawn(), drawn()]
    for x, reply in zip(xs, ask_logprobs(student, xs), strict=True):
        sums = numbers(value(reply, name), x.shape[:1], name)
        for mine, row, scores in zip(sums, x.tokens, x.logits, strict=True):
            terms = [log_softmax(logits)[t] for logits, t in zip(scores, row, strict=True)]
            if not close(mine, sum(terms[: counted(row, x.end)]), 1e-3, 1e-4):
                return 0, (
                    "summed_logprobs: add log softmax(logits)[token] of one row by hand, up to and "
                    "with the first end token. The chances of all completions must add up to 1"
                )
    return 1, ""


def logprobs_gradient(student: Student) -> Outcome:
    """summed_logprobs: its gradient."""
    x = drawn()
    found = gradient(ask_logprobs(student, [x], (0,))[0], 0, x.shape, "summed_logprobs")
    if found is None:
        return 0, "summed_logprobs: no gradient arrives at the logits"
    theirs = iter(found)
    for row, scores in zip(x.tokens, x.logits, strict=True):
        for t, (token, logits) in enumerate(zip(row, scores, strict=True)):
            for v, logp in enumerate(log_softmax(logits)):
                wanted = ((v == token) - math.exp(logp)) * (t < counted(row, x.end))
                if not close(next(theirs), wanted, 1e-3, 1e-5):
                    return 0, (
                        "summed_logprobs: its gradient in a logit is 1{token} - softmax "
                        "up to the end token and 0 after it; yours is something else"
                    )
    return 1, ""


def two_shapes() -> list[tuple[int, int]]:
    """(B, K) of two losses; one has more of both, so no fixed divisor is right for the two."""
    Bs, Ks = DICE.sample(range(3, 8), 2), DICE.sample(range(2, 8), 2)
    return list(zip(sorted(Bs), sorted(Ks), strict=True))


def some_advantages(B: int, K: int) -> list[Numbers]:
    """(B, K), none of them 0, of both signs, one in four large and one at least."""
    most = DICE.sample([900, *DICE.choices((2, 2, 2, 30), k=B * K - 1)], B * K)
    signs = DICE.sample([-1, 1] * B * K, B * K)
    flat_ = [sign * DICE.uniform(x / 4, x) for sign, x in zip(signs, most, strict=True)]
    return [flat_[i * K : (i + 1) * K] for i in range(B)]


def ask_loss(student: Student, cases: list[list[Numbers]], grad: tuple[int, ...]) -> list[Reply]:
    """The loss of the same log-probabilities (B, K) with each of these advantages."""
    logp = [[-(DICE.uniform(0.03, DICE.choice((1, 9))) ** 2) for _ in r] for r in cases[0]]
    calls = [Call("policy_gradient_loss", [Tensor(logp), Tensor(A)], grad) for A in cases]
    return student.sandbox.calls(calls)


def loss_gradient(student: Student, dead: bool) -> Outcome:
    """policy_gradient_loss: the gradient is -A / (B k); groups without a signal count in B k."""
    name = "policy_gradient_loss"
    for B, K in two_shapes() if dead else [*two_shapes(), (1, DICE.randint(2, 9))]:
        A = some_advantages(B, K)
        if dead:
            none, live = DICE.sample(range(B), 2)
            A[none] = [0.0] * K
            A[live][DICE.randrange(K)] = 0.0
        reply = ask_loss(student, [A], (0,))[0]
        theirs = gradient(reply, 0, (B, K), name)
        number(reply.value, name)
        if theirs is None:
            return 0, f"{name}: no gradient arrives at the log-probabilities"
        if not all(close(g, -a / (B * K)) for g, a in zip(theirs, flat(A), strict=True)):
            why = "A group of zeros adds nothing, but it counts in B k" if dead else (
                "Set all but one A to 0 and look at logprobs.grad"
            )  # fmt: skip
            return 0, f"{name}: its gradient is not that of -(1/(B k)) sum A log pi. {why}"
    return 1, ""


def loss_constant(student: Student) -> Outcome:
    """policy_gradient_loss: advantages are constants, and matter."""
    name, shape = "policy_gradient_loss", two_shapes()[0]
    A, other = some_advantages(*shape), some_advantages(*shape)
    factors: list[float] = []
    for reply, advantages in zip(
        ask_loss(student, [A, other, A], (0, 1)), (A, other, A), strict=True
    ):
        number(reply.value, name)
        found = gradient(reply, 0, shape, name)
        if found is None:
            return 0, f"{name}: no gradient arrives at the log-probabilities"
        if any(gradient(reply, 1, shape, name) or []):
            return 0, f"{name}: a gradient flows into the advantages; detach them"
        factors += [g / a for g, a in zip(found, flat(advantages), strict=True)]
    if factors[0] < 0 and all(math.isclose(f, factors[0], rel_tol=1e-3) for f in factors):
        return 1, ""
    return 0, f"{name}: its gradient is not -A times a constant, the same for all A and all calls"


# ------------------------------------------------------------------------------------------- part D


def caught(student: Student, function: str, drawn: Callable[[], list[Behaviour]]) -> Outcome:
    """The share of the lots in which all wrong ones are refused; nothing if a right one is."""
    cases, missed = drawn(), set()
    for case in DICE.sample(cases, len(cases)):
        call = Call(function, [ASK, *case.args])
        verdict = value(student.sandbox.calls([call], Counted(case.behave))[0], function)
        if type(verdict) is not bool:
            raise Failed(f"{function} returned {described(verdict)}, not True or False")
        if case.lot is None and not verdict:
            return 0, f"{function} refuses one that is right, so it earns nothing: {case.hint}"
        missed |= {case.lot} if verdict and case.lot is not None else set()
    return 1 - len(missed) / LOTS, "" if not missed else (
        f"{function} lets wrong ones pass in {len(missed)} of {LOTS} lots. Think of mistakes that "
        "you made"
    )


class Counted:
    """A behaviour that may be asked so many times."""

    def __init__(self, behave: Callable[..., Any], most: int = 2000):
        self.behave, self.left = behave, most

    def __call__(self, *args: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ValueError("asked more than 2000 times")
        return self.behave(*args)
