"""What a student finds in place of the project's own functions. Read by archives.py.

TASKS: the functions of solution.py in order, the file each is taken from, and the docstring that a
student gets. BRIDGES: functions of the project that call the student's, so that training runs on
the student's code. STRIPPED: functions that would give an answer away, or lean on one.
"""

HEAD = '''"""Your solution. Fill in the functions; assignment.md says what each must do.

Everything must be in this file: the grader knows no other. It may import the standard library,
numpy and torch. Try it: python -m pytest test_public.py
"""
'''

TASKS: dict[str, tuple[str, str]] = {
    "verify": (
        "verify.py",
        """Is `completion` the right answer to `prompt`? True or False for any two texts.

    The prompts are a+b=, a-b= and a*b=, and the same with < in place of =, which asks for the
    result from right to left, sign last. Operands have 1 to 18 digits 0-9, leading zeros allowed,
    and there may be up to 18 spaces before each. A result has one right form, its canonical digits.

        >>> verify(" 12+ 34=", "46"), verify("8-30=", "-22"), verify("8-30<", "22-")
        (True, True, True)
        >>> verify("12+34=", "046"), verify("12+34=", "46 "), verify("12+34", "46")
        (False, False, False)
    """,
    ),
    "reinforce": (
        "maxrl.py",
        """The advantage of REINFORCE without a baseline: E[g] = grad p.

    In this and the next four functions every entry of r is the reward of one rollout, 0 or 1; mean
    is the mean reward of its group of k rollouts, of a shape that broadcasts to r's. The result
    has the shape of r. Work entry by entry: r may be (B, k) with mean (B, 1), or both may be (U,).
    """,
    ),
    "rloo": (
        "maxrl.py",
        """The reward less the mean of the k - 1 *other* rewards; at k = 1 the reward.""",
    ),
    "grpo": (
        "maxrl.py",
        """(r - mean) / std of the group, std with divisor k; 0 where all rewards are equal.""",
    ),
    "maxrl": (
        "maxrl.py",
        """(r - mean) / mean, Algorithm 1 of MaxRL; 0 in groups without a success.

    At k = 1 the reward.
    """,
    ),
    "maxrl_raw": (
        "maxrl.py",
        """g is the mean score of the successes, Theorem 2 of MaxRL; 0 if there are none.""",
    ),
    "pass_at_k": (
        "maxrl.py",
        """The chance that k of n samples, drawn without replacement, hold one of the c right ones.

    ints with 0 <= c <= n and k >= 1 in, a float out. ValueError when n < k. Right for n = 100,000,
    too.
    """,
    ),
    "completion_mask": (
        "model.py",
        """Which tokens of completions (U, L) count: (U, L) bool, True up to the first `end` token.

    The end token itself counts. Without one all L tokens do.
    """,
    ),
    "summed_logprobs": (
        "model.py",
        """log pi of each completion: a sum over the tokens that count, (U,), with gradients.

    logits (U, L, V): logits[u, t] are the scores from which completions[u, t] was drawn.
    """,
    ),
    "policy_gradient_loss": (
        "maxrl.py",
        """A scalar whose gradient is that of -(1/(B k)) sum A log pi; advantages are constants.

    logprobs, advantages (B, k): each entry is one rollout.
    """,
    ),
    "own": (
        "reference.py",
        """Your own: E[g] = sum_j a_j (1-p)^j grad p with your COEFFICIENTS a_0..a_3.

    For every k >= 4, and 0 in groups whose rewards are all equal. r, mean and k as above.
    """,
    ),
    "has_order": (
        "reference.py",
        """Does the estimator have E[g] = grad J_T with T = order, for groups of k <= 6?

    estimator(r, mean, k) takes float64 tensors r (N, k) and mean (N, 1), N up to 5,000, and returns
    advantages (N, k): a fixed function of each row, which may give equal rewards different
    advantages. Ask it up to 2,000 times. True or False.
    """,
    ),
    "is_verifier": (
        "reference.py",
        """Is verify(prompt, completion) a right implementation of `verify` above?

    Ask it up to 2,000 times. True or False.
    """,
    ),
}

BRIDGES = {
    "verify.py": {"verify": "return solution.verify(prompt, completion)"},
    "model.py": {
        "completion_mask": "return solution.completion_mask(completions, end)",
        "summed_logprobs": "return solution.summed_logprobs(logits, completions, end)",
    },
    "maxrl.py": {
        "policy_gradient_loss": """counted = advantages if count is None else advantages * count
    loss = solution.policy_gradient_loss(logprobs.view(1, -1), counted.view(1, -1))
    rollouts = logprobs.numel() if count is None else count.sum()
    return loss * logprobs.numel() / (total or rollouts)""",
    },
}

STRIPPED = {
    "verify.py": ("answer", "number", "likelihood", "regression"),
    "maxrl.py": (
        "reinforce rloo grpo maxrl maxrl_raw maxrl_loo tailrl passk maxrl_std rft pass_at_k "
        "enumerated_weight main"
    ).split(),
    "graded.py": "maxrl_loo omega_of_any_order omega_of_order_k tailrl counted_tailrl".split(),
}
DOCSTRINGS = {
    "maxrl.py": "Between your functions and train.py: groups, counts, `exact`. Yours: solution.py.",
    "graded.py": "Rewards other than 0 and 1: not in this homework.",
}
