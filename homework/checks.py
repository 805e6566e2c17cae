"""Parts A, B and D: what is tested, and what is said when it fails.

A check asks the student's functions for numbers (sandbox.py) and holds them against a property:

    E   the expected gradient, summed exactly over all outcomes of a group of two-outcome rollouts
    K1  a group of one rollout
    B   a group gives the same numbers alone, in a batch, in another order, as train.py passes it
    D   groups in which all rollouts fail, or all succeed

It returns the share of its points that is earned and one sentence, which names the property and a
way to see it for oneself, never the number that was expected. Left out: the points (points.py), and
part C (questions.py).
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import reference
import torch
from break_it import DICE, LOTS, estimators, verifiers
from personal import personal
from reference import answer, foreign, texts
from sandbox import ASK, Call, Failed, Sandbox
from submission import Submission
from torch import Tensor

Outcome = tuple[float, str]
Reply = dict[str, Any]
# A call, and what it returns, or the gradient in its first argument; None: a ValueError.
Case = tuple[Call, Tensor | None]
double = functools.partial(torch.tensor, dtype=torch.float64)
same = functools.partial(torch.allclose, equal_nan=True)


class Student(NamedTuple):
    """A submission as the checks see it."""

    id: str
    sandbox: Sandbox
    submission: Submission


def value(reply: Reply, name: str) -> Any:
    """What a call returned; Failed if it raised."""
    if "error" in reply:
        raise Failed(f"{name} {reply['error']}")
    return reply.get("value")


def described(x: Any) -> str:
    """What something is, for a message."""
    names = {bool: "True or False", str: "text", type(None): "nothing", Tensor: "a tensor"}
    return names.get(type(x), f"a {type(x).__name__}")


def numbers(reply: Reply, shape: tuple[int, ...], name: str) -> Tensor:
    """What a call returned, as float64; Failed if it is no tensor of this shape, or no number."""
    x = value(reply, name)
    if shape == () and type(x) in (int, float):
        x = double(max(-1e300, min(x, 1e300)))  # an int may be too large for a tensor
    if not isinstance(x, Tensor):
        needed = "a tensor" if shape else "a number"
        raise Failed(f"{name} returned {described(x)} where {needed} is needed")
    if x.shape != shape:
        raise Failed(f"{name} returned a tensor of shape {tuple(x.shape)}, not {shape}")
    return x.double()


# ------------------------------------------------------------------------- part A: the estimators
# All checks of an estimator look at one table: by k, the rewards (k + 1, k) of groups with S = 0..k
# successes, and their advantages, NaN where there are none.

Table = dict[int, tuple[Tensor, Tensor]]
Weight = Callable[..., float]  # w(p)


def groups(k: int) -> Tensor:
    """Such rewards, the successes first."""
    return (torch.arange(k) < torch.arange(k + 1).unsqueeze(1)).double()


def weight(r: Tensor, A: Tensor, p: float, power: int = 1) -> float:
    """w of E[g] = w grad p: the mean of x = g / (p (1-p)), or of its power, over 0..k successes."""
    k = r.shape[1]
    chance = double([math.comb(k, s) * p**s * (1 - p) ** (k - s) for s in range(k + 1)])
    x = (A * (r - p)).mean(dim=1) / (p * (1 - p))
    return (chance @ x**power).item()


def weight_of(name: str, k: int) -> Weight:
    """That of a function in the reference."""
    r = groups(k)
    A = getattr(reference, name)(r, r.mean(dim=1, keepdim=True), k)
    return functools.partial(weight, r, A)


def order(T: int) -> Weight:
    """w_T."""
    return lambda p: -math.expm1(T * math.log1p(-p)) / p


# Of groups of k, with the student's coefficients a: the right w, and what the expected gradient is.
WEIGHTS: dict[str, tuple[Callable[[int, tuple], Weight], str]] = {
    "reinforce": (lambda k, a: order(1), "the gradient of p itself"),
    "rloo": (lambda k, a: order(1), "the gradient of p: the baseline is the mean of the *others*"),
    "grpo": (lambda k, a: weight_of("grpo", k), "that of (r - mean) / std, with divisor k"),
    "maxrl": (lambda k, a: order(k - 1), "that of order k - 1"),
    "maxrl_raw": (lambda k, a: order(k), "that of order k"),
    "own": (lambda k, a: lambda p: sum(x * (1 - p) ** j for j, x in enumerate(a)),
            "that of your coefficients: begin with a_0 alone, which is rloo times a_0"),
}  # fmt: skip
PASSED = {"reinforce": 1.0, "maxrl_raw": 1.0}  # the advantage where all succeed; else 0


@functools.lru_cache(99)
def table(student: Student, name: str) -> tuple[Table, dict[int, str]]:
    """The table, with the rollouts of a group in any order; and what is wrong, by k."""
    sizes = {5, 16, DICE.randint(9, 15), *((4, 8) if name == "own" else (1, 2, 3))}
    rewards = [double([DICE.sample(g, k) for g in groups(k).tolist()]) for k in sorted(sizes)]
    found = {r.shape[1]: (r, torch.full_like(r, math.nan)) for r in rewards}
    problems: dict[int, str] = {}
    rows = [(k, g, A) for k, (r, As) in found.items() for g, A in zip(r, As, strict=True)]
    calls = [Call(name, [g.unsqueeze(0), g.mean().view(1, 1), k]) for k, g, _ in rows]
    for (k, g, A), reply in zip(rows, student.sandbox.calls(calls), strict=True):
        where = f"{name}, in a group with {g.sum():g} of {k} right,"
        try:
            theirs = numbers(reply, (1, k), where)[0]
            if not all(same(theirs[g == x], theirs[g == x][:1], 1e-3, 1e-5) for x in (0, 1)):
                raise Failed(f"{where} gives equal rewards different advantages")
            A[:] = theirs
        except Failed as failed:
            problems.setdefault(k, str(failed))
    return found, problems


def off(student: Student, name: str, k: int, scaled: bool = False) -> float:
    """How far w is from the right one, as a share of its largest value, or, if `scaled`, from the
    nearest multiple of it. Both are polynomials of degree below k, so k + 1 values of p tell.
    Groups of equal rewards count as they are, or as right, whichever is better: they are for D."""
    ps = [(i + DICE.uniform(0.02, 0.98)) / (k + 1) for i in range(k + 1)]
    right = double([*map(WEIGHTS[name][0](k, personal(student.id).coefficients), ps)])
    r, A = table(student, name)[0][k]
    mended, least = A.clone(), math.inf
    mended[0], mended[k] = 0.0, PASSED.get(name, 0.0)
    for some in (A, mended):
        w = double([weight(r, some, p) for p in ps])
        factor = (w @ right / (right @ right)).item() if scaled else 1.0
        if factor > 1e-3:
            error = (w / factor - right).abs().max() / right.abs().max()
            least = min(least, error.item())  # it stays if this is NaN
    return least


def expectation(student: Student, name: str, letter: str) -> Outcome:
    """E, or E4 for k = 4."""
    for k in (int(letter[1:]),) if letter[1:] else (2, 3, 5, 16):
        if off(student, name, k) > 2.5e-4:
            said = f"{name}: at k = {k} the expected gradient is not {WEIGHTS[name][1]}. See it by "
            said += "hand: for each S write down its chance and g, as the handout does for k = 2"
            return 0, table(student, name)[1].get(k) or said
    return 1, ""


def proportional(student: Student, name: str) -> tuple[Table, dict[int, str]]:
    """The table; Failed unless E nearly holds up to a constant factor. Constant functions have the
    properties K1, B and D, too, and earn nothing for them."""
    if off(student, name, 5, scaled=True) > 0.015:
        raise Failed(f"{name}: not tested until E holds, at least up to a constant factor")
    return table(student, name)


def equal_rewards(student: Student, name: str, letter: str) -> Outcome:
    """D: groups that all fail or all succeed, of one rollout too where K1 is not tested; or K1."""
    sizes = {"own": (4, 8), "grpo": (1, 2, 5, 16), "maxrl_raw": (1, 2, 5, 16)}
    ks = (1,) if letter == "K1" else sizes.get(name, (2, 5, 16))
    found, problems = proportional(student, name)
    for k, s in ((n, s) for n in ks for s in (0, n)):
        wanted = PASSED.get(name, float(k == 1 and name != "grpo")) if s else 0.0
        if not (found[k][1][s] - wanted).abs().max() < 1e-3:
            which = "succeed" if s else "fail"
            return 0, problems.get(k) or f"{name}: not right in a group of {k} if all {which}"
    return 1, ""


def batches(student: Student, name: str) -> list[Case]:
    """For B: groups in a batch, and some of their entries, in float64 and in float32, with the
    numbers that they give alone: for the size that is trained with and for another."""
    found, asked = proportional(student, name)[0], list[Case]()
    for k in (16, max(k for k in found if k < 16)):
        rows = [0, k, *DICE.choices(range(1, k), k=DICE.randint(3, 9))]
        DICE.shuffle(rows)
        r, alone = (x[rows] for x in found[k])
        all_of_it = r, r.mean(dim=1, keepdim=True), alone
        some = torch.tensor(DICE.sample(range(r.numel()), r.numel() - DICE.randint(1, k)))
        for a, b, right in (all_of_it, [x.expand_as(r).flatten()[some] for x in all_of_it]):
            calls = Call(name, [a, b, k]), Call(name, [a.float(), b.float(), k])
            asked += [(call, right) for call in calls]
    return asked


# ----------------------------------------------------------------------------- part A: verify
# All checks of verify look at one list of verdicts, on pairs of a prompt and a text. Each pair is
# of one kind: what is in the prompt, where a right answer was asked for, or what is wrong.

PIECES = {  # what is put into a prompt in every place: it remains one, or becomes one that is none
    "spaces": [" ", "  ", " " * 18, " " * 19],
    "zeros": ["0", "0" * 16, "0" * 18],
    "long numbers": ["314159265", "7" * 16],
    "signs": [*"-+*/%"],
    "a missing character": [""],
    "other characters": [*"x=<_\t\n\xa0\u2003", ".0", foreign(0), "(" * 9999],
}  # fmt: skip
RIGHT = ["prompts with " + kind for kind in ("=", "<", "spaces", "zeros", "long numbers")]
NUMBER, *FORMS = texts("1+1=", "2")
KINDS = {"right": RIGHT, "numbers": [NUMBER], "form": FORMS,
         "prompts": ["no prompts: " + kind for kind in PIECES]}  # fmt: skip


def asked_pairs() -> dict[tuple[str, str], str]:
    """Everything that verify is asked, and of which kind it is."""
    found: dict[tuple[str, str], str] = {}
    for sign, mark, falling in itertools.product("+-*", "=<", (True, False)):
        a, b = sorted(DICE.sample(range(DICE.choice((10, 100))), 2), reverse=falling)
        prompt, longer = (f"{n * a}{sign}{n * b}{mark}" for n in (1, 1234))
        changed = [(prompt, "="), (f"{a}{sign}{a}{mark}", "="), (longer, "long numbers")]
        for kind, pieces in PIECES.items():
            changed += [(prompt[:i] + piece + prompt[i + (not piece) :], kind)
                        for piece in pieces for i in range(len(prompt) + 1)]  # fmt: skip
        for asked, kind in changed:
            if (x := answer(asked)) is None:
                found |= {(asked, y): f"no prompts: {kind}" for y in (str(answer(prompt)), "None")}
            else:
                other = x.translate(str.maketrans("0123456789", "1234567890"))
                kind = "<" if mark == "<" else kind
                found |= {(asked, y): f"prompts with {kind}" for y in (other, x)}
        for asked in (prompt, longer):
            for kind, wrong in texts(asked, x := str(answer(asked))).items():
                found |= {(asked, y): kind for y in wrong if y != x}
    return found


@functools.lru_cache(99)
def mistakes(student: Student) -> dict[str, str]:
    """For each kind of pair the first that verify is wrong about, if there is one."""
    pairs, found = asked_pairs(), dict[str, str]()
    mixed = DICE.sample(sorted(pairs), len(pairs))
    replies = student.sandbox.calls([Call("verify", [*pair]) for pair in mixed])
    for (prompt, text), reply in zip(mixed, replies, strict=True):
        right, theirs = text == answer(prompt), reply.get("value")
        said = "refuses the right answer" if right else "accepts"
        if type(theirs) is not bool:
            said = reply.get("error") or f"returned {described(theirs)} and not True or False"
        if theirs is not right:
            said = f"verify {said}: {text!r:.60} for the prompt {prompt!r:.40}"
            found.setdefault(pairs[prompt, text], said)
    return found


def verify(student: Student, _: str, which: str) -> Outcome:
    """The share of these kinds without a mistake. A constant function refuses all that is wrong, so
    it counts only if right answers of a kind are accepted and wrong digits refused."""
    found, kinds = mistakes(student), KINDS[which]
    if which != "right" and all(kind in found for kind in RIGHT):
        raise Failed("verify: not tested until it accepts more of the right answers")
    missed = [kind for kind in kinds if kind in found]
    said = f"{found[missed[0]]}. Wrong in: {', '.join(missed)}" if missed else ""
    return 1 - len(missed) / len(kinds), said


# --------------------------------------------------- part A: pass@k, log-probability and loss

torch.seed()
LOSS = "policy_gradient_loss"
# By line of the table of points: the errors that are allowed, relative and absolute, and a hint.
LINES = {
    "B": (1e-3, 1e-5, "unlike a group alone. Compare f(r, mean, k) with f(r[:1], mean[:1], k)"),
    "brute": (0, 1e-6, "list the ways to take k of n, and count"),
    "large": (0, 1e-6, "multiply k exact factors"),
    "edges": (0, 1e-6, "list the ways to take k of n, and count"),
    "ends": (0, 0, "the first end token is the last that was drawn"),
    "sum": (1e-3, 1e-4, "add log softmax(logits)[token] by hand, the first end token included"),
    "gradient": (1e-3, 1e-5, "the gradient is -A / (B k), or, in a logit, 1{token} - softmax"),
    "divisor": (1e-3, 1e-6, "the gradient is -A / (B k), and groups of zeros count in B k"),
}


def pass_cases(which: str) -> list[tuple[int, int, int]]:
    """n, c and k: all up to n = 7; or with n = 100,000, and some between; or no success, n of them,
    and n < k, with some that are no edges."""
    n, c, k, N = DICE.randint(500, 5000), DICE.randint(10, 60), DICE.randint(10, 60), 100_000
    if which == "brute":
        return [(n, c, k) for n in range(1, 8) for k in range(1, n + 1) for c in range(1, n + 1)]
    if which == "edges":
        return [(n, c, k) for n in (1, c % 4 + 8) for k in (1, 4, n, n + 1) for c in (0, n // 3, n)]
    return [(N, N - 10 * n, 3), (N, c, 1), (N, 5, N - 2), (N, c % 8 + 2, n), (n, 3, k), (n, c, 2),
            (n, c, k)]  # fmt: skip


def drawn() -> tuple[Tensor, Tensor, int]:
    """Logits (U, L, V), completions (U, L) and the end token: new ones each time, in another shape.
    The logits of a token have any level, which makes no difference, and are now and then far apart;
    rows have any number of end tokens: the first has none, the second one at its end."""
    U, L, V = 20, DICE.randint(9, 19), DICE.randint(4, 9)
    tokens, end = torch.randint(V, (U, L)), DICE.randrange(V)
    tokens[:2] = (end + torch.randint(1, V, (2, L))) % V
    tokens[1, -1] = end
    return 150 * torch.randint(-1, 2, (U, L, 1)) + 2 * torch.randn(U, L, V), tokens, end


def loss_of(B: int, k: int, dead: bool = False) -> tuple[Call, Tensor]:
    """The loss with advantages (B, k), of both signs and unlike sizes, differentiated in both
    arguments. None is 0, except for `dead`: all of one group, one of another."""
    sizes = DICE.sample([900, *DICE.choices((2, 2, 2, 30), k=B * k - 1)], B * k)
    A = torch.tensor([DICE.choice((-1, 1)) * DICE.uniform(x / 4, x) for x in sizes]).view(B, k)
    if dead:
        none, live = DICE.sample(range(B), 2)
        A[none] = A[live, DICE.randrange(k)] = 0.0
    return Call(LOSS, [-9 * torch.rand(B, k).square() - 0.001, A], (0, 1)), -A / (B * k)


def cases(student: Student, name: str, which: str) -> list[Case]:
    """What is asked. Losses have unlike numbers of groups, so no fixed divisor is right."""
    if which == "B":
        return batches(student, name)
    if name == "pass_at_k":
        return [(Call(name, [n, c, k]), double(reference.pass_at_k(n, c, k)) if n >= k else None)
                for n, c, k in pass_cases(which)]  # fmt: skip
    if name == LOSS:
        shapes = [*zip(*(sorted(DICE.sample(range(low, 8), 2)) for low in (3, 2)), strict=True)]
        shapes += [(1, DICE.randint(2, 9))] * (which == "gradient")
        return [loss_of(B, k, dead=which == "divisor") for B, k in shapes]
    asked = [drawn() for _ in range(3)]
    if name == "completion_mask":
        return [(Call(name, [t, end]), reference.completion_mask(t, end)) for _, t, end in asked]
    found: list[Case] = []
    for x, tokens, end in asked:
        right = reference.summed_logprobs(x.requires_grad_(), tokens, end)
        slope = torch.autograd.grad(right.sum(), x)[0]
        grad, wanted = ((0,), slope) if which == "gradient" else ((), right.detach())
        found.append((Call(name, [x, tokens, end], grad), wanted))
    return found


def gradient(reply: Reply, call: Call, i: int) -> Tensor:
    """The gradient of this call in its i-th argument."""
    name, grads = call.function, reply.get("grads")
    value(reply, f"{name}, differentiated,")
    if name == LOSS:
        numbers(reply, (), name)
    if not isinstance(grads, list) or i >= len(grads) or grads[i] is None:
        raise Failed(f"{name}: no gradient reaches its argument")
    return numbers({"value": grads[i]}, call.args[i].shape, f"the gradient of {name}")


def held(student: Student, name: str, which: str) -> Outcome:
    """The cases of a line of the table of points."""
    asked, (relative, absolute, see) = cases(student, name, which), LINES[which]
    replies = student.sandbox.calls([call for call, _ in asked])
    for (call, right), reply in zip(asked, replies, strict=True):
        where = f"{name}{tuple(call.args)}" if name == "pass_at_k" else name
        if right is None:
            if not reply.get("error", "").startswith("raised ValueError"):
                return 0, f"{where} must raise a ValueError: so few samples say nothing"
            continue
        theirs = gradient(reply, call, 0) if call.grad else numbers(reply, right.shape, where)
        if right.dtype == torch.bool != reply["value"].dtype:
            return 0, f"{name} returned a tensor that is not of type bool"
        if not same(theirs, right.double(), relative, absolute):
            return 0, f"{where} is not right: {see}"
    return 1, ""


def constant(student: Student, *_: str) -> Outcome:
    """policy_gradient_loss: advantages are constants, and matter."""
    calls, factors = [loss_of(4, 3)[0], loss_of(4, 3)[0]] * 2, []
    for call, reply in zip(calls, student.sandbox.calls(calls), strict=True):
        factors.append(gradient(reply, call, 0) / call.args[1])
        if reply["grads"][1:] != [None] and gradient(reply, call, 1).any():
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
        call = Call(function, [ASK, *case.args])
        verdict = value(student.sandbox.calls([call], case.behave)[0], function)
        if type(verdict) is not bool:
            raise Failed(f"{function} returned {described(verdict)}, not True or False")
        if case.lot is None and not verdict:
            return 0, f"{function} refuses a right one, so it earns nothing: {case.kind}"
        if case.lot is not None and verdict:
            missed.setdefault(case.lot, case.kind)
    said = f"accepts wrong ones in {len(missed)} of {LOTS} lots: {'; '.join(set(missed.values()))}"
    return 1 - len(missed) / LOTS, f"{function} {said}" if missed else ""
