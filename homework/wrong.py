"""Wrong functions (wrong.txt), unusual right ones, and hostile submissions: what do they lose?

A wrong function takes the place of one in the reference, and must lose exactly what it violates.
HOSTILE submissions must get nothing; what HOSTILE_FUNCTIONS names loses all of its function, and
nothing else. Left out: wrong runs and wrong archives (tests/test_homework.py).
"""

from pathlib import Path

from checks import Student
from personal import personal
from points import TABLE
from sandbox import Failed, InProcess, Sandbox
from submission import Missing, Submission

HERE = Path(__file__).resolve().parent
WRONG = [line for line in (HERE / "wrong.txt").read_text().splitlines() if line[0] != "#"]
PARAMETERS = {
    "verify": "prompt, text", "pass_at_k": "n, c, k", "completion_mask": "completions, end",
    "summed_logprobs": "logits, completions, end", "policy_gradient_loss": "logp, A",
    "has_order": "estimator, k, order", "is_verifier": "verify",
}  # fmt: skip
LINES = {"completion_mask": "mask logprobs", "summed_logprobs": "logprobs",
         "policy_gradient_loss": "loss"}  # fmt: skip
HELPERS = r"""
from fractions import Fraction
def answer(prompt):
    m = re.fullmatch(r" {0,18}([0-9]{1,18})([-+*]) {0,18}([0-9]{1,18})([=<])", prompt)
    return m and str(eval(f"{int(m[1])}{m[2]}{int(m[3])}"))[:: -1 if m[4] == "<" else 1]
def tried(f):
    try: return f()
    except Exception: return False
def fail(): raise ValueError
def div(a, b): return torch.where(b > 0, a / b, 0.0)
def std(mean): return (mean * (1 - mean)).sqrt()
def omega(r, mean, k):
    f = (k - 1 - (k * mean - r)).round()
    return sum(a * math.prod((f - i) / (k - 1 - i) for i in range(j))
               for j, a in enumerate(COEFFICIENTS))
def terms(x, completions): return x.gather(2, completions[..., None])[..., 0]
def ends(completions, end): return (completions == end).long()
def choose(n, c, k): return n < k and fail() or 1 - math.comb(n - c, k) / math.comb(n, k)
def off(estimator, k, order, p):
    r = torch.tensor([*itertools.product((0, 1), repeat=k)]).double()
    g = (estimator(r, r.mean(1, keepdim=True), k) * (r - p)).mean(1) / p / (1 - p)
    return (((p**r * (1 - p) ** (1 - r)).prod(1) * g).sum() * p / (1 - (1 - p) ** order)).item() - 1
def holds(verify, pairs, texts=lambda text: True):
    return all(verify(*pair) and not any(verify(*q) for q in near(*pair) if texts(q[1]))
               for pair in pairs.items())
def some(keep): return {p: x for p, x in ANSWERS.items() if keep(p, x)}
"""
EACH = "def f(*a): return {}\nverify = reinforce = rloo = grpo = maxrl = maxrl_raw = own = f\n" \
    "pass_at_k = completion_mask = summed_logprobs = policy_gradient_loss = f\n" \
    "has_order = is_verifier = f\n"  # fmt: skip
HOSTILE = {
    "a loop at import": "while True: print('still here')",
    "an end at import": "import os\nos._exit(0)",
    "no Python": "def maxrl(r, mean, k)\n    return r\n",
    "the project's own modules": "from maxrl import *\nfrom checks import *",
    "equal to everything": "class Any(float):\n    def __eq__(self, x): return True\n"
        "    __hash__ = None\n" + EACH.format("Any()"),
    "patched comparisons": "import math, torch\ntorch.allclose = math.isclose = lambda *a: True\n"
        + EACH.format("torch.zeros(1)"),
    "the callers' variables": "import sys\n" + EACH.format(
        "any(x is True for x in sys._getframe(1).f_locals.values())"),
    "forged replies": "import os\nfor fd in range(3, 64):\n"
        "    for line in (b'{\"value\": true}', b'{\"ask\": 7}', b'[' * 10**5):\n"
        "        try: os.write(fd, line + b'\\n')\n        except OSError: pass\n"
        + EACH.format("True"),
    "a file in place of the results": "try: open('results.json', 'w').write('80')\n"
        "except OSError: pass\n" + EACH.format("0"),
    "constants": EACH.format("True if isinstance(a[0], (str, int)) else a[0] * 0 + 1"),
    "a success above a failure": "def rloo(r, mean, k): return r * mean * (1 - mean)\n"
        "def reinforce(r, mean, k): return r * mean\n"
        "grpo, maxrl, own, maxrl_raw = rloo, rloo, rloo, reinforce",
}  # fmt: skip
HOSTILE_FUNCTIONS = {
    "policy_gradient_loss": "while True: print(logp)",
    "own": "return [r] * 10**9",
    "maxrl": "import os\n    while True: os.fork()",
    "grpo": "import os\n    os._exit(0)",
    "pass_at_k": "import ctypes\n    ctypes.string_at(0)",
    "verify": "return 'x' * 10**7",
}


def reference(student: str) -> str:
    """The reference with this student's coefficients."""
    numbers = f"COEFFICIENTS = {[*personal(student).coefficients]}"
    return (HERE / "reference.py").read_text().replace("COEFFICIENTS: list[int] = []", numbers)


def variant(name: str, body: str, student: str) -> str:
    """The reference with another body for a function."""
    head = f"def {name}({PARAMETERS.get(name, 'r, mean, k')}):\n    "
    return f"{reference(student)}\n{HELPERS}\nright = {name}\n{head}{body}\n"


def left(name: str, source: str, student: str, sandbox: Sandbox) -> dict[str, float]:
    """The share that is earned of each line of the table for this function."""
    sandbox.load(source.encode())
    handed_in, found = Student(student, sandbox, Submission(HERE)), {}
    for check in TABLE:
        if check.name.split(" ")[0] in LINES.get(name, name).split():
            try:
                found[check.name] = check.run(handed_in)[0]
            except (Failed, Missing):
                found[check.name] = 0.0
    return found


def surprises(student: str, lines: list[str] = WRONG) -> list[str]:
    """Wrong functions that lose other lines of the table than they should."""
    found, sandbox = [], InProcess()
    for line in lines:
        name, wanted, expression = (part.strip() for part in line.split(" | ", 2))
        shares = left(name, variant(name, f"return {expression}", student), student, sandbox)
        lost = {title.split(" ")[-1] for title, share in shares.items() if share < 1}
        if lost != {*wanted.split()}:
            found.append(f"{line}: it loses {' '.join(sorted(lost)) or 'nothing'}")
    return found


def survivors(student: str, sandbox: Sandbox) -> list[str]:
    """Hostile functions that are left a point."""
    found = []
    for name, body in HOSTILE_FUNCTIONS.items():
        if any(left(name, variant(name, body, student), student, sandbox).values()):
            found.append(f"{name} is left some points: {body}")
    return found
