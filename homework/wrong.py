"""Wrong functions, unusual right ones, and hostile code (wrong.txt): what do they lose?

A wrong function takes the place of one in the reference, and must lose exactly what it violates; a
right one must lose nothing. Left out: wrong runs and wrong archives (tests/test_homework.py).
"""

import re
from pathlib import Path

from checks import Student
from personal import personal
from points import TABLE
from sandbox import Failed, InProcess, Sandbox
from submission import Submission

HERE = Path(__file__).resolve().parent
_, HELPERS, *SECTIONS = re.split(r"^=== .*\n", (HERE / "wrong.txt").read_text(), flags=re.M)
WRONG, HOSTILE_FUNCTIONS = (section.splitlines() for section in SECTIONS[:2])
FUNCTIONS = (
    "verify reinforce rloo grpo maxrl maxrl_raw pass_at_k completion_mask summed_logprobs "
    "policy_gradient_loss own has_order is_verifier"
)
EACH = r"def f(*a): return \1\n" + FUNCTIONS.replace(" ", " = ") + " = f"
HOSTILE = re.sub(r"EACH\((.*)\)", EACH, SECTIONS[2]).split("---\n")
PARAMETERS = {
    "verify": "prompt, text", "pass_at_k": "n, c, k", "completion_mask": "completions, end",
    "summed_logprobs": "logits, completions, end", "policy_gradient_loss": "logp, A",
    "has_order": "estimator, k, order", "is_verifier": "verify",
}  # fmt: skip
LINES = {"completion_mask": "mask logprobs", "summed_logprobs": "logprobs",
         "policy_gradient_loss": "loss"}  # fmt: skip


def reference(student: str) -> str:
    """The reference with this student's coefficients."""
    numbers = f"COEFFICIENTS = {[*personal(student).coefficients]}"
    return (HERE / "reference.py").read_text().replace("COEFFICIENTS: list[int] = []", numbers)


def left(name: str, body: str, student: str, sandbox: Sandbox) -> dict[str, float]:
    """The share that is earned of each line of a function, if it has another body."""
    head = f"def {name}({PARAMETERS.get(name, 'r, mean, k')}):\n    "
    sandbox.load(f"{reference(student)}\n{HELPERS}\nright = {name}\n{head}{body}\n".encode())
    handed_in, found = Student(student, sandbox, Submission(HERE)), {}
    for check in TABLE:
        if check.name.split(" ")[0] in LINES.get(name, name).split():
            try:
                found[check.name] = check.run(handed_in)[0]
            except Failed:
                found[check.name] = 0.0
    return found


def surprises(student: str, lines: list[str] = WRONG) -> list[str]:
    """Wrong functions that lose other lines of the table than they should."""
    found, sandbox = [], InProcess()
    for line in lines:
        name, wanted, expression = (part.strip() for part in line.split(" | ", 2))
        shares = left(name, f"return {expression}", student, sandbox)
        lost = {title.split(" ")[-1] for title, share in shares.items() if share < 1}
        if lost != {*wanted.split()}:
            found.append(f"{line}: it loses {' '.join(sorted(lost)) or 'nothing'}")
    return found


def survivors(student: str, sandbox: Sandbox) -> list[str]:
    """Hostile functions that keep some points."""
    pairs = [line.split(" | ", 1) for line in HOSTILE_FUNCTIONS]
    return [f"{name} keeps some points with {body}" for name, body in pairs
            if any(left(name, body, student, sandbox).values())]  # fmt: skip
