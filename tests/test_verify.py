"""verify.py: a truth table, an independent oracle, and text that nobody meant to be an answer."""

import itertools
import math

import pytest
import soak
from hypothesis import given
from hypothesis import strategies as st

from data.tokenizer import ALPHABET
from verify import answer, likelihood, number, regression, verify

# Digits, a minus, blanks and a surrogate that are not ASCII.
LOOK_ALIKES = "٤４²−\u200b\x00\ud800\n\t"


@pytest.mark.parametrize("prompt, right", [
    ("0+0=", "0"), ("999+1=", "1000"), ("999+1<", "0001"), ("  7-  7=", "0"), ("3-10=", "-7"),
    ("3-10<", "7-"), ("0-100<", "001-"), (" 25*  4=", "100"), (" 25*  4<", "001"), ("0*9=", "0"),
    (" 12* 34%  7=", "2"), ("  7*  6% 42<", "0"), ("5*3%1=", "0"), ("007+1=", "8"),
    ("12+34=", "46"),
])  # fmt: skip
def test_truth_table(prompt, right):
    """Wrong are other forms of the number, two answers, the prompt again, and a scratchpad."""
    assert verify(prompt, right) is True
    wrong = [right + tail for tail in ("0", " ", "\x00", ".0", ";", "~", "<pad>", "<end>", "e0")]
    wrong += [head + right for head in ("0", "+", " ", "x", "=", ";", prompt, f"{prompt};")]
    wrong += [f"{right}{middle}{right}" for middle in ("", " ", ",", "=", ":", ";", "\n")]
    for text in [*wrong, "", right[:-1], f"({right})", f"{right}+0", f"{right},47", f"47,{right}"]:
        assert verify(prompt, text) is False, text
    for mark in LOOK_ALIKES:
        assert not any(verify(prompt, x) for x in (right + mark, mark + right, mark + right[1:]))


problems = st.tuples(
    st.integers(0, 10**9), st.sampled_from("+-*"), st.integers(0, 10**9),
    st.none() | st.integers(1, 999), st.sampled_from("=<"),
).filter(lambda p: p[3] is None or p[1] == "*")  # fmt: skip


@given(problems, st.integers(0, 9), st.text(st.characters()) | st.text(ALPHABET, max_size=12))
def test_the_right_answer_is_accepted_and_nothing_else(problem, spaces, text):
    a, operator, b, m, mark = problem
    right = str(soak.truth(a, operator, b, m))[:: -1 if mark == "<" else 1]
    prompt = f"{' ' * spaces}{a}{operator} {b}{'' if m is None else f'%{m}'}{mark}"
    assert verify(prompt, right) is True and verify(prompt, text) is (text == right)
    assert verify(text, right) in (True, False), "any text is judged"


@pytest.mark.parametrize("prompt", [
    "", "=", "12=", "12+=", "+12=", "12+34", "12+34==", "12+34=<", "12 +34=", "1 2+34=", "12+34 =",
    "12+34=46", "12++34=", "12+-34=", "-12+34=", "12+34%5=", "12-3%5=", "5*5%0=", "1+2+3=",
    "1.5+2=", "0x1+2=", "1_0+2=", "1e3+2=", "12/4=", "2**8=", "１２+34=", "١٢+34=", "²+2=",
    "12+34=\n", "\n12+34=", "\t12+34=", "12+34=\x00", "\ud800+1=", "9" * 5000 + "+1=", "1,,2:3=",
])  # fmt: skip
def test_what_is_not_a_prompt_has_no_right_answer(prompt):
    assert answer(prompt) is None
    for text in ("46", "12", "0", "1", "", "6", "25", "256", "1+2", prompt):
        assert verify(prompt, text) is False


def test_the_longest_numbers():
    """18 digits and 18 spaces before them, in every place; no more."""
    nine, space = "9" * 18, " " * 18
    assert verify(f"{space}{nine}+{space}{nine}=", str(2 * int(nine)))
    assert verify(f"{nine}*{nine}%{space}{nine}=", "0")
    for a, b in ((f"9{nine}", nine), (nine, f"9{nine}"), (f" {space}1", "1"), ("1", f" {space}1")):
        assert not verify(f"{a}+{b}=", str(int(a) + int(b)))
    assert not verify(f"1*1%9{nine}=", "1") and not verify(f"1*1% {space}7=", "1")
    assert verify(f"{space}{nine},{space}1:{space}{nine}=", f"{nine}*1")
    for a, b, target in ((f"{'0' * 18}9", "1", "9"), (nine, "1", f"9{nine}"),
                         (f" {space}9", "1", "9"), ("9", f" {space}1", "9"),
                         ("9", "1", f" {space}9")):  # fmt: skip
        assert not verify(f"{a},{b}:{target}=", f"{int(a)}*{int(b)}")
    z = f"-{nine}"
    assert number(z) == int(z) and number(f"{z}9") is None and likelihood("1+1~", z, int(z), 2) == 1


@given(st.text(ALPHABET.replace(";", "")))
def test_any_scratchpad_is_free_and_only_what_follows_is_judged(scratch):
    assert verify("12+34:", f"{scratch};46")
    for wrong in ("46", f"46;{scratch}x", f"{scratch};46;46", f"{scratch};46 ", f"{scratch};046"):
        assert not verify("12+34:", wrong), wrong


def test_fuzz():
    """20,000 mutated answers and prompts against the oracle in soak.py, which does a million."""
    assert 500 < soak.fuzz(20_000, seed=1)["right"] < 4000


def expressions(numbers):
    """All of them, with and without each pair of parentheses that belongs to an operator."""
    if len(numbers) == 1:
        yield str(numbers[0])
    for cut in range(1, len(numbers)):
        sides = expressions(numbers[:cut]), expressions(numbers[cut:])
        for left, right, operator in itertools.product(*sides, "+-*"):
            yield f"{left}{operator}{right}"
            yield f"({left}{operator}{right})"


def solutions(numbers):
    """{text: value} of every solution; Python's own parser says what a text means."""
    texts = {t for order in itertools.permutations(numbers) for t in expressions(order)}
    return {text: eval(text) for text in texts}  # texts of our own


@pytest.mark.parametrize("numbers", [(3, 5, 7), (2, 2, 9), (1, 12, 4)])
def test_every_solution_is_accepted_and_no_neighbour_of_one(numbers):
    """A neighbour has one character more, less, or another one in its place."""
    value, shown = solutions(numbers), ",".join(map(str, numbers))
    assert len(value) > 150
    for i, (text, result) in enumerate(sorted(value.items())):
        target = max(result, 0)
        assert verify(f"{shown}:{target}=", text) == (result == target), text
        assert not verify(f"{shown}:{target + 1}=", text)
        for at in range(len(text) + 1) if i % 7 == 0 else ():
            for c in ("", *"0123579+-*/() ;=,", *LOOK_ALIKES):
                for other in (text[:at] + c + text[at:], text[:at] + c + text[at + 1 :]):
                    right = value.get(other) == target
                    assert verify(f"{shown}:{target}=", other) == right, other


def test_every_short_text_is_judged_right():
    """All texts of at most 6 characters; a solution with two numbers has at most 5."""
    for a, b, target in ((1, 2, 3), (2, 1, 1), (2, 2, 4)):
        value = solutions((a, b))
        texts = ("".join(t) for n in range(7) for t in itertools.product("12+-*()", repeat=n))
        found = {text for text in texts if verify(f" {a}, {b}: {target}=", text)}
        assert found == {text for text in value if value[text] == target}


def test_countdown_has_two_to_six_numbers():
    for n, takes in ((1, False), (2, True), (6, True), (7, False)):
        numbers = [str(10 * i + 10) for i in range(n)]
        nested = "(" * (n - 1) + numbers[0] + "".join(f"+{x})" for x in numbers[1:])
        for text in ("+".join(numbers), nested):
            assert verify(f"{','.join(numbers)}:{sum(map(int, numbers))}=", text) == takes


def test_likelihoods_by_hand():
    assert likelihood("12+34~", "46", 46.0, 2.0) == 1
    assert likelihood("12+34~", "48", 46.0, 2.0) == pytest.approx(math.exp(-0.5))
    assert likelihood("12+34~", "-3", 0.5, 1.5) == pytest.approx(math.exp(-(3.5**2) / 4.5))
    assert regression("12+34~", "48", 46.0, 16.0) == -4 / 256
    assert regression("12+34~", "48", 20.0, 16.0) == -1
    assert [number(text) for text in ("0", "10", "-7", "9" * 18)] == [0, 10, -7, 10**18 - 1]
    no_number = ["", "+46", "046", "-0", "46 ", "4 6", "٤", "4.6", "1e3", "46~", "9" * 19]
    wrong = [("12+34~", text) for text in no_number]
    for pair in [*wrong, *((prompt, "46") for prompt in ("12+34=", "12+34", "12+~", ""))]:
        assert (likelihood(*pair, 46.0, 2.0), regression(*pair, 46.0, 9.0)) == (0, -1), pair


@pytest.mark.parametrize("text", [
    "9" * 10**6, " " * 10**6, "(" * 10**6, "9*" * 10**6, "-" * 10**6, "1+" * 10**5,
    "9" * 18 + " " * 10**6, "(" * 10**5 + "3*7+5-2" + ")" * 10**5, "3*7+5-2" * 1000, "9**9**9**9",
    "٣*7+5-2", "\x00", "\ud800", "__import__('os')", "",
], ids=range(15))  # fmt: skip
def test_hostile_text_is_dismissed_at_once(text):
    """With quadratic matching or unbounded integers it would take minutes, and stop the suite."""
    for prompt in ("1+1=", "3,5,7,2:24=", text, f"{text}=", f"1+{text}=", f"1,2:{text}="):
        assert verify(prompt, text) is False and verify(prompt, "2-1") is False
    assert verify(f"{text}:24=", "24") is False
