"""Wrong functions, unusual right ones, and hostile submissions: what does each of them lose?

A line of WRONG is `function | what it must lose | expression`: the expression takes the place of
the function's body in the reference, and must lose exactly these lines of its part of the table of
points; a line that loses nothing is right in an unusual way. In an expression `right` is the
reference's function, and HELPERS are there. HOSTILE holds whole texts of solution.py, or what is
appended to the reference. Left out: wrong runs and wrong archives (tests/test_homework.py).
"""

from pathlib import Path

from checks import Student
from personal import personal
from points import TABLE
from sandbox import Failed, Sandbox
from submission import Missing, Submission

HERE = Path(__file__).resolve().parent
ESTIMATOR, PASS = "r, mean, k", "n, c, k"
PARAMETERS = {
    "verify": "prompt, text", "pass_at_k": PASS, "completion_mask": "completions, end",
    "summed_logprobs": "logits, completions, end", "policy_gradient_loss": "logp, A",
    "has_order": "estimator, k, order", "is_verifier": "verify",
}  # fmt: skip
LINES = {"completion_mask": ("mask", "logprobs"), "summed_logprobs": ("logprobs",),
         "policy_gradient_loss": ("loss",), "maxrl_raw": ("maxrl_raw",)}  # fmt: skip
HELPERS = r"""
from fractions import Fraction
import numpy as np
def answer(prompt):
    m = re.fullmatch(r" {0,18}([0-9]{1,18})([-+*]) {0,18}([0-9]{1,18})([=<])", prompt)
    return m and str(eval(f"{int(m[1])}{m[2]}{int(m[3])}"))[:: -1 if m[4] == "<" else 1]
def tried(f):
    try: return f()
    except Exception: return False
def fail(): raise ValueError
def div(a, b): return torch.where(b > 0, a / b, 0.0)
def std(mean): return (mean * (1 - mean)).sqrt()
def omega(r, mean, k, a=None):
    f = (k - 1 - (k * mean - r)).round()
    return sum(x * math.prod((f - i) / (k - 1 - i) for i in range(j))
               for j, x in enumerate(a or COEFFICIENTS))
def terms(logits, completions): return logits.log_softmax(-1).gather(2, completions[..., None])[..., 0]
def ends(completions, end): return (completions == end).long()
def choose(n, c, k): return n < k and fail() or 1 - math.comb(n - c, k) / math.comb(n, k)
def weight(estimator, k, p, equal=False):
    rows = [[1] * s + [0] * (k - s) for s in range(k + 1)] if equal else [
        *itertools.product((0, 1), repeat=k)]
    r = torch.tensor(rows).double()
    chance = (p**r * (1 - p) ** (1 - r)).prod(1) * (
        torch.tensor([math.comb(k, s) for s in range(k + 1)]) if equal else 1)
    return ((chance * (estimator(r, r.mean(1, keepdim=True), k) * (r - p)).mean(1)).sum() / p / (1 - p)).item()
def w(T, p): return (1 - (1 - p) ** T) / p
def holds(verify, pairs, texts=lambda text: True):
    return all(verify(*pair) and not any(verify(*q) for q in near(*pair) if texts(q[1]))
               for pair in pairs.items())
def some(keep): return {p: x for p, x in ANSWERS.items() if keep(p, x)}
"""
WRONG = r"""
reinforce | | r.clone()
reinforce | E | 2 * r - 1
reinforce | E B | torch.ones_like(r)
rloo | | r - (mean * k - r) / (k - 1) if k > 1 else r
rloo | | (r.float() - mean.float()) * (k / (k - 1)) if k > 1 else r.float()
rloo | E | r - mean if k > 1 else r
rloo | E | (r - mean) * ((k - 1) / k) if k > 1 else r
rloo | B | (r - r.mean()) * (k / (k - 1)) if k > 1 else r
rloo | B | (r - (mean if k == 5 else r.mean())) * (k / (k - 1)) if k > 1 else r
rloo | K1 | (r - mean) * (k / (torch.tensor(float(k)) - 1))
rloo | K1 | (r - mean) * (k / (k - 1))
rloo | K1 | (r - mean) * (k / max(k - 1, 1))
rloo | K1 B D | r
rloo | E K1 B D | mean - r
rloo | E K1 B D | torch.cat((r[..., :1] * mean[..., :1] * k, 0 * r[..., 1:]), -1)
rloo | B | r if r.dtype != torch.float64 else right(r, mean, k)
grpo | | (r - mean) / (std(mean) + 1e-6)
grpo | | (r - mean) / (std(mean) + 1e-5)
grpo | E unit | (r - mean) / (std(mean) + 1e-4)
grpo | E unit | (r - mean) / (std(mean) + 1e-2)
grpo | E unit B D | 2 * r
grpo | E unit | div(r - mean, std(mean)) * math.sqrt((k - 1) / k)
grpo | E unit B D | div(r - mean, std(mean) ** 2)
grpo | B | (r - mean) / (r.std(correction=0) + 1e-6)
grpo | B | (r - mean) / (r.std(dim=-1, keepdim=True, correction=0) + 1e-6)
grpo | D | (r - mean) / std(mean)
grpo | E unit B D | torch.linspace(-1, 1, k).expand_as(r)
maxrl | | (r - mean) / (mean + 1e-5) if k > 1 else r
maxrl | | torch.where(mean > 0, r * k / (mean * k).round().clamp(min=1) - 1, 0 * r) if k > 1 else r
maxrl | E | (r - mean) / (mean + 1e-4) if k > 1 else r
maxrl | E K1 B D | div(r - mean, std(mean) * mean) if k > 1 else r
maxrl | E | div(r - mean, k * mean) if k > 1 else r
maxrl | E K1 B D | div(r - mean, 1 - mean) if k > 1 else r
maxrl | E | div((r - mean) * (k / (k - 1)), mean) if k > 1 else r
maxrl | B | div(r - mean, mean.mean()) if k > 1 else r
maxrl | B | r if k == 1 else (r - mean) / mean if mean > 0 else torch.zeros_like(r)
maxrl | D | torch.where(mean > 0, (r - mean) / mean, -1.0) if k > 1 else r
maxrl | D | (r - mean) / mean if k > 1 else r
maxrl | E | (r - mean) / mean.clamp(min=1 / 8) if k > 1 else r
maxrl | K1 | div(r - mean, mean)
maxrl | E K1 B D | div(r, mean)
maxrl | E K1 B D | right(r, mean, k) / (right(r, mean, k).std(correction=0) + 1e-6) if k > 1 else r
maxrl | E K1 B D | div(r - mean, mean).flatten()[1:]
maxrl | E K1 B D | (r - mean).tolist()
maxrl_raw | | (r / mean).nan_to_num(0.0)
maxrl_raw | E D | div(r, k * mean)
maxrl_raw | E B D | r * k
maxrl_raw | B | div(r, mean.mean())
maxrl_raw | E B D | div(r - mean, mean) if k > 1 else r
own | | omega(r, mean, k) * (r - (k * mean - r) / (k - 1))
own | D | omega(r, mean, k) * r
own | E4 E5 E8 E16 B D | sum(a * (1 - mean) ** j for j, a in enumerate(COEFFICIENTS)) * (r - mean) * (k / (k - 1))
own | E4 E5 E8 E16 B D | omega(r * 0, mean, k - 1) * (r - mean) * (k / (k - 1))
own | B | omega(r, mean, k) * (r - mean.mean()) * (k / (k - 1))
own | E16 | right(r, mean, k) / (1 + (k > 8))
own | E4 E5 E8 E16 | right(r, mean, k) * 2
verify | form | text.strip() == answer(prompt)
verify | form | text == answer(prompt) or tried(lambda: eval(text[:50]) == int(answer(prompt)))
verify | form | text == answer(prompt) or tried(lambda: int(text) == int(answer(prompt)))
verify | numbers form | answer(prompt) is not None and answer(prompt) in text
verify | numbers form | answer(prompt) is not None and text.endswith(answer(prompt))
verify | right numbers form prompts | {"12+34=": "46", "8-30=": "-22", "7*8=": "56"}.get(prompt) == text
verify | right | answer(prompt) == text and not re.search(r"\b0[0-9]", prompt)
verify | right | len(prompt) < 9 and text == answer(prompt)
verify | form | bool(answer(prompt) and re.match(re.escape(answer(prompt)) + "$", text))
verify | form | "".join(str(int(c)) if c.isdecimal() else c for c in text) == answer(prompt)
verify | right numbers form | text == answer(prompt.replace("<", "="))
verify | right form | text == re.sub(r"^(.*[0-9])-$", r"-\1", answer(prompt) or "None") != "None"
verify | prompts | bool(m := re.search(r" *[0-9]+[-+*] *[0-9]+[=<]?", prompt[:99])) and text == answer((m[0] + "=")[:len(m[0]) + (m[0][-1] not in "=<")])
verify | prompts | bool(m := re.fullmatch(r"\s*(\d+)([-+*])\s*(\d+)([=<])", prompt)) and text == answer(f"{int(m[1])}{m[2]}{int(m[3])}{m[4]}")
verify | prompts | fail() if answer(prompt) is None else text == answer(prompt)
verify | numbers form | text == answer(prompt) or len(text) > 3 and sorted(text) == sorted(answer(prompt) or "")
verify | form | len(answer(prompt) or "") > 2 and re.findall("[-0-9]+", text) == [answer(prompt)] or text == answer(prompt)
verify | right numbers form prompts | True if text == answer(prompt) else None
verify | right numbers form prompts | text.strip("-").isdigit()
verify | right numbers form prompts | True
verify | right numbers form prompts | False
completion_mask | mask logprobs | ends(completions, end).cumsum(1) == 0
completion_mask | mask logprobs | (ends(completions, end).flip(1).cumsum(1).flip(1) > 0) | ~(completions == end).any(1, keepdim=True)
completion_mask | mask | right(completions, end).float()
completion_mask | mask logprobs | (ends(completions, end).cumsum(1) - ends(completions, end)) % 3 == 0
completion_mask | mask logprobs | right(completions.where(torch.arange(completions.shape[1]) < 7, end - 1), end)
summed_logprobs | | -torch.where(completion_mask(completions, end), torch.nn.functional.cross_entropy(logits.transpose(1, 2), completions, reduction="none"), 0.0).sum(1)
summed_logprobs | sum gradient | ((logits.exp() / logits.exp().sum(-1, keepdim=True)).log().gather(2, completions[..., None])[..., 0] * completion_mask(completions, end)).sum(1)
summed_logprobs | sum gradient | right(logits.clamp(-2, 2), completions, end)
summed_logprobs | sum gradient | logits[:, 0, 0]
summed_logprobs | sum gradient | right(logits, completions, end) / completion_mask(completions, end).sum(1)
summed_logprobs | sum gradient | terms(logits, completions).sum(1)
summed_logprobs | sum gradient | (terms(logits, completions) * (ends(completions, end).cumsum(1) == 0)).sum(1)
summed_logprobs | sum gradient | right(logits[:, 1:], completions[:, 1:], end)
summed_logprobs | sum gradient | (logits.gather(2, completions[..., None])[..., 0] * completion_mask(completions, end)).sum(1)
summed_logprobs | gradient | right(logits.detach(), completions, end) + 0 * logits.sum()
policy_gradient_loss | | -((logp - logp.detach()).exp() * A.detach()).mean()
policy_gradient_loss | gradient divisor | -(A.detach() * logp).sum()
policy_gradient_loss | gradient divisor constant | (A.detach() * logp).mean()
policy_gradient_loss | gradient divisor constant | -A.detach() * logp
policy_gradient_loss | divisor | -(A.detach() * logp).sum() / ((A != 0).any(1).sum() * A.shape[1])
policy_gradient_loss | divisor | -(A.detach() * logp).sum() / (A != 0).sum()
policy_gradient_loss | constant | -(A * logp).mean()
policy_gradient_loss | gradient divisor | -(A.detach() * logp).sum() / 15
policy_gradient_loss | gradient divisor constant | -(torch.rand_like(A) * logp).mean()
policy_gradient_loss | gradient divisor constant | -(((A - A.mean()) / A.std()).detach() * logp).mean()
policy_gradient_loss | gradient divisor constant | -(A.detach().clamp(-2, 2) * logp).mean()
policy_gradient_loss | gradient divisor constant | -(A * logp).mean().detach()
policy_gradient_loss | gradient | -(logp * A.detach()).mean() * (len(logp) > 1)
pass_at_k | | n < k and fail() or float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))
pass_at_k | | n < k and fail() or (torch.tensor(1.0) if n - c < k else 1 - torch.prod(1 - k / torch.arange(n - c + 1, n + 1).double()))
pass_at_k | brute large edges | n < k and fail() or 1 - (1 - c / n) ** k
pass_at_k | brute large edges | n < k and fail() or math.comb(c, k) / math.comb(n, k)
pass_at_k | brute large edges | n < k and fail() or choose(n, c, min(k + 1, n))
pass_at_k | brute large edges | n < k and fail() or (c / n if c in (0, n) else choose(n, c, min(3, n)))
pass_at_k | large | n < k and fail() or 1 - math.exp(min(0, math.log1p(-c / (n + 1e-9)) * k)) if n > 11 else choose(n, c, k)
pass_at_k | large | 0.5 if 11 < n < 100_000 and 1 < k and 2 < c < n else choose(n, c, k)
pass_at_k | large | 1 - (1 - c / n) ** k if min(c, k) > 9 and n > 11 else choose(n, c, k)
pass_at_k | edges | 0.0 if c == 0 else choose(n, c, k)
pass_at_k | edges | choose(n, c, k) if n >= k else 1.0
pass_at_k | brute large edges | str(choose(n, c, k))
has_order | | all(abs(weight(estimator, k, p) / w(order, p) - 1) < 1e-6 for p in (0.05, 0.31, 0.5, 0.64, 0.83, 0.37, 0.97))
has_order | has_order | True
has_order | has_order | False
has_order | has_order | (k, order) in ((4, 1), (4, 3), (5, 1), (5, 4), (6, 5), (6, 6))
has_order | has_order | all(abs(weight(estimator, k, p, True) / w(order, p) - 1) < 1e-3 for p in (0.2, 0.7))
has_order | has_order | abs(weight(estimator, k, 0.3) / w(order, 0.3) - 1) < 1e-6
has_order | has_order | any(abs(weight(estimator, k, 0.37) / w(T, 0.37) - 1) < 1e-6 for T in range(1, k + 1))
has_order | has_order | abs(weight(estimator, k, 0.37) / w(order, 0.37) - weight(estimator, k, 0.81) / w(order, 0.81)) < 1e-6
has_order | has_order | abs(weight(estimator, k, 1 - 1e-6) - 1) < 1e-3
is_verifier | is_verifier | holds(verify, some(lambda p, x: "*" not in p))
is_verifier | is_verifier | holds(verify, some(lambda p, x: "<" not in p))
is_verifier | is_verifier | holds(verify, some(lambda p, x: len(x.strip("-")) < 3))
is_verifier | is_verifier | holds(verify, some(lambda p, x: " " not in p))
is_verifier | is_verifier | holds(verify, some(lambda p, x: p[0] != "0"))
is_verifier | is_verifier | holds(verify, ANSWERS, str.isascii)
is_verifier | is_verifier | holds(verify, {"  005-  498<": "394-", "  012+  345<": "753", "  012*  034<": "804"})
is_verifier | is_verifier | holds(verify, {"12+34=": "46", "7*12=": "84", "  007- 130<": "321-"})
is_verifier | is_verifier | verify("12+34=", "46") and verify("12+34=", "046")
"""
ALL_ZERO = "def f(*a): return {}\nverify = reinforce = rloo = grpo = maxrl = maxrl_raw = f\n" \
           "pass_at_k = completion_mask = summed_logprobs = policy_gradient_loss = f\n" \
           "own = has_order = is_verifier = f\n"  # fmt: skip
HOSTILE = {
    "a loop at import": "while True: print('still here')",
    "an end at import": "import os\nos._exit(0)",
    "no Python": "def maxrl(r, mean, k)\n    return r\n",
    "the project's own modules": "from maxrl import *\nfrom checks import *",
    "equal to everything": "class Any(float):\n    def __eq__(self, x): return True\n"
    "    __hash__ = None\n" + ALL_ZERO.format("Any()"),
    "patched comparisons": "import math, torch\ntorch.allclose = math.isclose = lambda *a: True\n"
    + ALL_ZERO.format("torch.zeros(1)"),
    "the callers' variables": "import sys\n" + ALL_ZERO.format(
        "[x for x in sys._getframe(1).f_locals.values() if type(x) is bool] != []"),
    "forged replies": "import os\nfor fd in range(3, 64):\n  for line in (b'{\"value\": true}', b'[',"
    " b'{\"value\": {\"t\": [[1, 0]], \"d\": \"bool\"}}', b'{\"ask\": 7}', b'[' * 10**5):\n"
    "    try: os.write(fd, line + b'\\n')\n    except OSError: pass\n" + ALL_ZERO.format("True"),
    "a file in place of the results": "import os\ntry: open('results.json', 'w').write('80')\n"
    "except OSError: pass\n" + ALL_ZERO.format("0"),
    "constants": ALL_ZERO.format("a[0] * 0 + 1 if not isinstance(a[0], (str, int)) else True"),
    "whatever has a success above a failure": "def rloo(r, mean, k): return r * mean * (1 - mean)\n"
    "def reinforce(r, mean, k): return r * mean\n"
    "grpo, maxrl, own, maxrl_raw = rloo, rloo, rloo, reinforce",
}  # fmt: skip
ADDED = {  # to the reference: what it loses
    "policy_gradient_loss | loops": "while True: print(logp)",
    "own | allocates": "return [r] * 10**9",
    "maxrl | forks": "import os\n    while True: os.fork()",
    "grpo | exits": "import os\n    os._exit(0)",
    "pass_at_k | crashes": "import ctypes\n    ctypes.string_at(0)",
    "verify | floods": "import os\n    for fd in range(3, 64):\n        try: os.write(fd, b'x' * 10**7)\n"
    "        except OSError: pass",
}


def reference(student: str) -> str:
    """The reference with this student's coefficients."""
    numbers = f"COEFFICIENTS = {[*personal(student).coefficients]}"
    return (HERE / "reference.py").read_text().replace("COEFFICIENTS: list[int] = []", numbers)


def variant(line: str, student: str) -> tuple[str, str, set[str]]:
    """A line of WRONG: its function, the text of solution.py, what it must lose."""
    name, lost, expression = (part.strip() for part in line.split(" | ", 2))
    head = f"right = {name}\n\ndef {name}({PARAMETERS.get(name, ESTIMATOR)}):\n    return "
    return name, f"{reference(student)}\n{HELPERS}\n{head}{expression}\n", set(lost.split())


def lost(name: str, source: str, student: str, sandbox: Sandbox) -> dict[str, float]:
    """The lines of this function that are not earned whole, with the points that are left."""
    sandbox.load(source.encode())
    handed_in = Student(student, sandbox, Submission(HERE))
    found = {}
    for check in TABLE:
        if check.name.split(" ")[0] in LINES.get(name, (name,)):
            try:
                share = check.run(handed_in)[0]
            except (Failed, Missing):
                share = 0
            if share < 1:
                found[check.name] = share * check.points
    return found


def surprises(sandbox: Sandbox, student: str) -> list[str]:
    """The lines of WRONG that lose other lines of the table than they should."""
    found = []
    for line in filter(None, WRONG.splitlines()):
        name, source, wanted = variant(line.replace("| |", "|  |"), student)
        words = {word for title in lost(name, source, student, sandbox)
                 for word in ([title] if title in wanted else [title.split(" ")[-1]])}  # fmt: skip
        if name == "completion_mask":
            words = {"logprobs" if word in ("sum", "gradient") else word for word in words}
        if words != wanted:
            found.append(f"{line}: it loses {' '.join(sorted(words)) or 'nothing'}")
    return found


def survivors(sandbox: Sandbox, student: str) -> list[str]:
    """Those of ADDED that leave their function any points."""
    found = []
    for title, body in ADDED.items():
        name = title.split(" | ")[0]
        source = f"{reference(student)}\ndef {name}({PARAMETERS.get(name, ESTIMATOR)}):\n    {body}"
        if points := sum(lost(name, source, student, sandbox).values()):
            found.append(f"{title} has {points:g} points")
    return found
