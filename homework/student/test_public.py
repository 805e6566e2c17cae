"""Public tests: where you stand. Each says which property fails and how to see it by hand.

    python -m pytest test_public.py             # all
    python -m pytest test_public.py -k maxrl    # those of one function

The grader asks the same kind of questions, more of them. Nothing in here knows an answer: the
expected gradient is summed over all outcomes, pass@k is counted, chances add up to 1.
"""

import itertools
import math

import pytest
import solution
import torch

KS, P = (2, 5), 0.3


def weight(name: str, k: int, p: float = P) -> float:
    """w of E[g] = w grad p, by summing over S = 0..k successes on the two-outcome policy."""
    total = 0.0
    for S in range(k + 1):
        r = (torch.arange(k) < S).double().unsqueeze(0)  # (1, k), the successes first
        A = getattr(solution, name)(r, r.mean(dim=1, keepdim=True), k)
        assert A.shape == r.shape, (
            f"{name} returns shape {tuple(A.shape)} for r of {tuple(r.shape)}"
        )
        g = (A * (r - p)).mean().item()  # the score of a success is 1 - p, of a failure -p
        total += math.comb(k, S) * p**S * (1 - p) ** (k - S) * g / (p * (1 - p))
    return total


def order(T: int, p: float = P) -> float:
    """w_T."""
    return (1 - (1 - p) ** T) / p


@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("name", ["reinforce", "rloo", "maxrl", "maxrl_raw"])
def test_expected_gradient(name, k):
    T = {"reinforce": 1, "rloo": 1, "maxrl": k - 1, "maxrl_raw": k}[name]
    assert math.isclose(weight(name, k), order(T), rel_tol=1e-3), (
        f"{name}, k = {k}: E[g] is not that of order {T}. Fill in the table of the handout: for "
        "each S the chance, the advantages, and g = (1/k) sum A (r - p)"
    )


@pytest.mark.parametrize("name", ["reinforce", "rloo", "grpo", "maxrl", "maxrl_raw"])
def test_a_group_alone_and_in_a_batch(name):
    r = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 1]])
    mean, f = r.mean(dim=1, keepdim=True), getattr(solution, name)
    together = f(r, mean, 4)
    for b in range(3):
        alone = f(r[b : b + 1], mean[b : b + 1], 4)
        assert torch.allclose(together[b], alone[0]), (
            f"{name}: group {b} has other advantages in a batch than alone; is there a mean "
            "or a std over all groups in it?"
        )
    entries = f(r.flatten(), mean.expand(3, 4).flatten(), 4)
    assert torch.allclose(entries, together.flatten()), f"{name}: not entry by entry"


@pytest.mark.parametrize("name", ["rloo", "grpo", "maxrl"])
def test_groups_without_a_signal(name):
    r = torch.tensor([[0.0] * 3, [1.0] * 3])
    A = getattr(solution, name)(r, r.mean(dim=1, keepdim=True), 3)
    assert torch.equal(A, torch.zeros(2, 3)), (
        f"{name}: all rewards are equal, and A is {A.tolist()}"
    )


def test_grpo_has_unit_variance():
    r = torch.tensor([[1.0, 0, 0, 0, 0]])
    A = solution.grpo(r, r.mean(dim=1, keepdim=True), 5)
    assert math.isclose((A**2).mean().item(), 1, rel_tol=1e-3), "grpo: the mean of A^2 is not 1"


@pytest.mark.parametrize("prompt, right, wrong", [
    ("12+34=", "46", ["47", "046", "46 ", "", "12+34"]), (" 8-30=", "-22", ["22", "22-"]),
    ("25+5<", "03", ["30", "3"]), ("8-30<", "22-", ["-22"]), ("12+34", None, ["46"]),
])  # fmt: skip
def test_verify(prompt, right, wrong):
    assert right is None or solution.verify(prompt, right) is True, (
        f"{right!r} is right: {prompt!r}"
    )
    for text in wrong:
        assert solution.verify(prompt, text) is False, f"{text!r} is wrong for {prompt!r}"


def test_pass_at_k_by_counting():
    for n, c, k in itertools.product(range(1, 6), range(6), range(1, 6)):
        if c <= n and k <= n:
            tries = list(itertools.combinations([True] * c + [False] * (n - c), k))
            counted = sum(map(any, tries)) / len(tries)
            assert math.isclose(solution.pass_at_k(n, c, k), counted, abs_tol=1e-6), (
                f"pass_at_k({n}, {c}, {k}): list the ways to take {k} of {n}, and count"
            )
    with pytest.raises(ValueError):
        solution.pass_at_k(3, 1, 4)


def test_the_chances_of_all_completions_add_up_to_1():
    logits = torch.tensor([0.3, -1.0, 0.7])  # the same at every position; token 2 is the end
    texts = [(2, 0, 0), *((a, 2, 0) for a in (0, 1))]
    texts += [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1, 2)]
    completions = torch.tensor(texts)
    logp = solution.summed_logprobs(logits.expand(len(texts), 3, 3), completions, 2)
    assert math.isclose(logp.exp().sum().item(), 1, rel_tol=1e-4), (
        "summed_logprobs: the chances of all completions of three tokens or less do not "
        "add up to 1. Is the end token in, and nothing after it?"
    )


def test_the_gradient_of_the_loss():
    logp = torch.zeros(2, 3, requires_grad=True)
    A = torch.tensor([[3.0, -1, -2], [0, 0, 0]], requires_grad=True)
    solution.policy_gradient_loss(logp, A).backward()
    assert A.grad is None or not A.grad.any(), "policy_gradient_loss: advantages are constants"
    assert torch.allclose(logp.grad, -A.detach() / 6), (
        "policy_gradient_loss: its gradient is not -A / (B k); B k is 6 here, zeros included"
    )


@pytest.mark.parametrize("k", [4, 8])
def test_your_own_estimator(k):
    a = solution.COEFFICIENTS
    assert a, "copy the coefficients that personal.py prints"
    wanted = sum(x * (1 - P) ** j for j, x in enumerate(a))
    assert math.isclose(weight("own", k), wanted, rel_tol=1e-3, abs_tol=1e-4), (
        f"own, k = {k}: E[g] is not the sum of a_j (1-p)^j times grad p. Begin with a_0 alone"
    )


def test_has_order_knows_right_from_wrong():
    def rloo(r, mean, k):
        return (r - mean) * k / (k - 1)

    def half(r, mean, k):
        return r - mean / 2

    assert solution.has_order(rloo, 4, 1) is True, "has_order: this rloo is of order 1"
    assert solution.has_order(rloo, 4, 2) is False, "has_order: and not of order 2"
    assert solution.has_order(half, 4, 1) is False, "has_order: half a baseline is not of order 1"


def test_is_verifier_knows_right_from_wrong():
    assert solution.is_verifier(solution.verify) is True, "is_verifier: refuses your own verify"

    def lenient(prompt, text):
        return solution.verify(prompt, text.strip())

    assert solution.is_verifier(lenient) is False, "is_verifier: this one lets spaces pass"
