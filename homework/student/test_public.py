"""Public tests: where you stand. Each says which property fails and how to see it by hand.

    python -m pytest test_public.py             # all
    python -m pytest test_public.py -k maxrl    # those of one function

The grader asks more questions of the same kind.
"""

import itertools
import math

import pytest
import solution
import torch

P = 0.3
ESTIMATORS = ["reinforce", "rloo", "maxrl", "maxrl_raw"]
SEE = "Fill in the table of the handout: for each S its chance, A, and g = (1/k) sum A (r - p)"


def advantages(name: str, r: torch.Tensor) -> torch.Tensor:
    """The advantages of groups (B, k)."""
    A = getattr(solution, name)(r, r.mean(dim=1, keepdim=True), r.shape[1])
    assert A.shape == r.shape, f"{name} returns shape {tuple(A.shape)} for {tuple(r.shape)}"
    return A


def weight(name: str, k: int) -> float:
    """w of E[g] = w grad p, by summing over S = 0..k successes on the two-outcome policy."""
    total = 0.0
    for S in range(k + 1):
        r = (torch.arange(k) < S).double().unsqueeze(0)  # (1, k), the successes first
        g = (advantages(name, r) * (r - P)).mean().item()  # the scores are 1 - p and -p
        total += math.comb(k, S) * P**S * (1 - P) ** (k - S) * g / (P * (1 - P))
    return total


@pytest.mark.parametrize("name, k", [
    *itertools.product(ESTIMATORS, (2, 5)), ("grpo", 2), ("own", 4), ("own", 8)
])  # fmt: skip
def test_expected_gradient(name, k):
    orders = {"own": solution.COEFFICIENTS, "maxrl": [1] * (k - 1), "maxrl_raw": [1] * k}
    a = orders.get(name, [1])
    assert a, "copy the coefficients that personal.py prints"
    wanted = sum(x * (1 - P) ** j for j, x in enumerate(a))
    same = math.isclose(weight(name, k), wanted, rel_tol=1e-3, abs_tol=1e-4)
    assert same, f"{name}, k = {k}: E[g] is not grad p times the sum of {a}_j (1-p)^j. {SEE}"


@pytest.mark.parametrize("name", [*ESTIMATORS, "grpo"])
def test_a_group_alone_and_in_a_batch(name):
    r = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 1]])
    together = advantages(name, r)
    for b in range(3):
        alone = advantages(name, r[b : b + 1])[0]
        assert torch.allclose(together[b], alone), f"{name}: is there a mean or std of all groups?"
    mean = r.mean(dim=1, keepdim=True).expand(3, 4)
    entries = getattr(solution, name)(r.flatten(), mean.flatten(), 4)
    assert torch.allclose(entries, together.flatten()), f"{name}: not entry by entry"


@pytest.mark.parametrize("name, k", [
    ("rloo", 1), ("maxrl", 1), ("maxrl_raw", 1), ("rloo", 3), ("grpo", 3), ("maxrl", 3),
])  # fmt: skip
def test_groups_in_which_all_rewards_are_equal(name, k):
    r = torch.tensor([[0.0] * k, [1.0] * k])
    A = advantages(name, r)
    wanted = r if k == 1 else torch.zeros(2, 3)
    assert torch.equal(A, wanted), f"{name}: for the rewards {r} A is {A} and not {wanted}"


@pytest.mark.parametrize("prompt, right, wrong", [
    ("12+34=", "46", ["47", "046", "46 ", "", "12+34"]), (" 8-30=", "-22", ["22", "22-"]),
    ("25+5<", "03", ["30", "3"]), ("8-30<", "22-", ["-22"]), ("12+34", None, ["46"]),
    ("3*4%5=", None, ["2"]), ("12+34:", None, ["46", "2+4=6,10+30=40;46"]),
])  # fmt: skip
def test_verify(prompt, right, wrong):
    for text in [right, *wrong] if right else wrong:
        said = solution.verify(prompt, text)
        assert said is (text == right), f"verify({prompt!r}, {text!r}) is not {text == right}"


def test_pass_at_k_by_counting():
    for n, c, k in itertools.product(range(1, 6), range(6), range(1, 6)):
        if c <= n and k <= n:
            tries = [any(some) for some in itertools.combinations([1] * c + [0] * (n - c), k)]
            same = math.isclose(solution.pass_at_k(n, c, k), sum(tries) / len(tries), abs_tol=1e-6)
            assert same, f"pass_at_k({n}, {c}, {k}): list the ways to take {k} of {n}, and count"
    with pytest.raises(ValueError):
        solution.pass_at_k(3, 1, 4)


def test_the_chances_of_all_completions_add_up_to_1():
    texts = [(2, 0, 0), (0, 2, 0), (1, 2, 0), *itertools.product((0, 1), (0, 1), (0, 1, 2))]
    logits = torch.tensor([0.3, -1.0, 0.7])  # the same at every position; token 2 is the end
    logp = solution.summed_logprobs(logits.expand(len(texts), 3, 3), torch.tensor(texts), 2)
    right = math.isclose(logp.exp().sum().item(), 1, rel_tol=1e-4)
    assert right, "they do not add up to 1. Is the end token included, and nothing after it?"


def test_the_mask_ends_with_the_end_token():
    mask = solution.completion_mask(torch.tensor([[1, 2, 1, 2], [0, 1, 0, 1]]), 2)
    assert mask.tolist() == [[True, True, False, False], [True] * 4]


def test_the_gradient_of_the_loss():
    logp, A = torch.zeros(2, 3, requires_grad=True), torch.tensor([[3.0, -1, -2], [0, 0, 0]])
    solution.policy_gradient_loss(logp, A.requires_grad_()).backward()
    assert A.grad is None or not A.grad.any(), "policy_gradient_loss: advantages are constants"
    right = torch.allclose(logp.grad, -A.detach() / 6)
    assert right, "its gradient is not -A / (B k); B k is 6 here, zeros included"


def test_has_order_and_is_verifier_know_right_from_wrong():
    def rloo(r, mean, k):
        return (r - mean) * k / (k - 1)

    said = [solution.has_order(rloo, 4, 1), solution.has_order(rloo, 4, 2)]
    assert said == [True, False], "has_order: this rloo is of order 1, and of no other"
    lenient = solution.is_verifier(lambda prompt, text: solution.verify(prompt, text.strip()))
    assert lenient is False, "is_verifier: this one lets spaces pass"
    assert solution.is_verifier(solution.verify) is True, "is_verifier: refuses your own verify"
