"""verify.py: a truth table, an independent oracle, and text nobody meant to be an answer."""

import doctest
import time

import pytest
import soak
from hypothesis import given
from hypothesis import strategies as st

import verify as verify_module
from data.tokenizer import ALPHABET
from verify import verify

numbers = st.integers(0, 10**9)


def oracle(a: int, operator: str, b: int, m: int | None, reverse: bool) -> str:
    """The answer by another road: products by adding shifts, a remainder by subtraction."""
    if operator == "*":
        value = sum(a * int(digit) * 10**i for i, digit in enumerate(reversed(str(b))))
    else:
        value = sum((a, b)) if operator == "+" else -(b - a)
    if m is not None:
        value -= m * (value // m)
    text = f"{value:d}"
    return "".join(reversed(text)) if reverse else text


problems = st.tuples(
    numbers, st.sampled_from("+-*"), numbers, st.none() | st.integers(1, 999), st.booleans()
).filter(lambda p: p[3] is None or p[1] == "*")


def write(a, operator, b, m, reverse, spaces=(0, 0)) -> str:
    tail = "" if m is None else f"%{m}"
    return f"{' ' * spaces[0]}{a}{operator}{' ' * spaces[1]}{b}{tail}{'<' if reverse else '='}"


def test_doctests():
    result = doctest.testmod(verify_module)
    assert result.failed == 0 and result.attempted >= 7


@pytest.mark.parametrize(
    "prompt, right",
    [
        ("0+0=", "0"),
        ("999+1=", "1000"),
        ("999+1<", "0001"),
        ("  7-  7=", "0"),
        ("3-10=", "-7"),
        ("3-10<", "7-"),
        ("0-100<", "001-"),
        (" 25*  4=", "100"),
        (" 25*  4<", "001"),
        ("0*9=", "0"),
        (" 12* 34%  7=", "2"),
        ("  7*  6% 42<", "0"),
        ("007+1=", "8"),
    ],
)
def test_truth_table(prompt, right):
    assert verify(prompt, right)
    wrong = [
        right + "0",
        "0" + right,
        "+" + right,
        right + " ",
        " " + right,
        right + "\n",
        "",
        right + right,
        f"{right}={right}",
        right[:-1],
        right + "<pad>",
        right + "<end>",
        f"{right};{right}",
        f"({right})",
        prompt + right,
        right + "\x00",
        right + ".0",
    ]
    for text in wrong:
        assert verify(prompt, text) is False, text


@given(problems, st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_the_right_answer_is_accepted(problem, spaces):
    assert verify(write(*problem, spaces), oracle(*problem)) is True


@given(problems, st.text(ALPHABET, max_size=12))
def test_nothing_else_is_accepted(problem, text):
    assert verify(write(*problem), text) == (text == oracle(*problem))


@given(problems, problems)
def test_the_answer_to_another_prompt_is_wrong(one, other):
    assert verify(write(*one), oracle(*other)) == (oracle(*one) == oracle(*other))


anything = st.text(st.characters()) | st.text(ALPHABET)


@given(anything, anything)
def test_any_two_strings_give_a_verdict(prompt, completion):
    assert verify(prompt, completion) in (True, False)
    if verify(prompt, completion):
        assert set(prompt + completion) <= set(ALPHABET)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "=",
        "12=",
        "12+=",
        "+12=",
        "12+34",
        "12+34==",
        "12+34=<",
        "12 +34=",
        "1 2+34=",
        "12+34 =",
        "12+34=46",
        "12++34=",
        "12+-34=",
        "-12+34=",
        "12+34%5=",
        "12-3%5=",
        "5*5%0=",
        "1+2+3=",
        "1.5+2=",
        "0x1+2=",
        "1_0+2=",
        "1e3+2=",
        "12/4=",
        "2**8=",
        "１２+34=",
        "١٢+34=",
        "²+2=",
        "12+34=\n",
        "\n12+34=",
        "\t12+34=",
        "12+34=\x00",
        "\ud800+1=",
        "9" * 5000 + "+1=",
    ],
)
def test_what_is_not_a_prompt_has_no_right_answer(prompt):
    for answer in ("46", "12", "0", "1", "", "6", "25", "256", prompt):
        assert verify(prompt, answer) is False


def test_fuzz():
    """20,000 mutated answers and prompts against the oracle in soak.py, which does a million."""
    assert 500 < soak.fuzz(20_000, seed=1)["right"] < 4000


@pytest.mark.parametrize(
    "completion",
    ["46,47", "47,46", "46=46", "46;", "46 46", "4646", "12+34=46", "x46", "46<pad>", "46<end>",
     "46~", "(46)", "46,46", "12+34=46;46", " 12+ 34=46", "=46", "45+1", "46:46"],
)  # fmt: skip
def test_reward_hacking_is_false(completion):
    """Two answers, an answer then something, an answer in a scratchpad, the prompt repeated."""
    assert verify("12+34=", completion) is False and verify(" 12+ 34=", completion) is False


def test_hostile_text_is_dismissed_at_once():
    """Not a speed test: with quadratic matching or unbounded integers this would take minutes."""
    big = 10**6
    start = time.process_time()
    for text in (
        "9" * big,
        " " * big,
        "(" * big,
        "9*" * big,
        "9**9**9**9",
        "-" * big,
        "9" * 18 + " " * big,
    ):
        assert verify(text + "=", text) is False and verify("1+1=", text) is False
        assert verify(text, text) is False and verify("1+" + text + "=", "2") is False
    assert time.process_time() - start < 60
