"""verify.py: a truth table, an independent oracle, and text nobody meant to be an answer."""

import doctest
import itertools
import math
import re

import pytest
import soak
from hypothesis import given
from hypothesis import strategies as st

import verify as verify_module
from data.tokenizer import ALPHABET
from verify import answer, likelihood, number, regression, verify

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
        right[:-1],
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
        "1,,2:3=",
    ],
)
def test_what_is_not_a_prompt_has_no_right_answer(prompt):
    assert answer(prompt) is None
    for text in ("46", "12", "0", "1", "", "6", "25", "256", prompt):
        assert verify(prompt, text) is False


def test_the_longest_numbers():
    """18 digits and 18 spaces before them, in every place; no more."""
    nine, space = "9" * 18, " " * 18
    result = str(2 * int(nine))
    assert verify(f"{space}{nine}+{space}{nine}=", result)
    assert verify(f"{nine}*{nine}%{space}{nine}=", "0")
    for a, b in ((f"9{nine}", nine), (nine, f"9{nine}"), (f" {space}1", "1"), ("1", f" {space}1")):
        assert not verify(f"{a}+{b}=", str(int(a) + int(b)))
    assert not verify(f"1*1%9{nine}=", "1") and not verify(f"1*1% {space}7=", "1")
    assert verify(f"{space}{nine},{space}1:{space}{nine}=", f"{nine}*1")
    for numbers, target in ((f"{'0' * 18}9,1", "9"), (f"{nine},1", f"9{nine}"),
                            (f" {space}9,1", "9"), (f"9, {space}1", "9"),
                            ("9,1", f" {space}9")):  # fmt: skip
        a, b = numbers.split(",")
        assert not verify(f"{numbers}:{target}=", f"{int(a)}*{int(b)}")
    z = f"-{nine}"
    assert number(z) == int(z) and number(f"{z}9") is None and number("0") == 0
    assert number("10") == 10
    assert likelihood("1+1~", z, float(z), 2.0) == 1


@pytest.mark.parametrize("n, takes", [(1, False), (2, True), (6, True), (7, False)])
def test_countdown_has_two_to_six_numbers(n, takes):
    numbers = [str(10 * i + 10) for i in range(n)]
    target = sum(map(int, numbers))
    assert verify(f"{','.join(numbers)}:{target}=", "+".join(numbers)) == takes


# ---------------------------------------------------------------------- scratchpads and countdown

GOOD = st.tuples(st.integers(0, 999), st.integers(0, 999))


@given(GOOD, st.text(st.sampled_from(ALPHABET.replace(";", "")), max_size=30))
def test_any_scratchpad_is_free_and_only_what_follows_is_judged(pair, scratch):
    a, b = pair
    prompt, right = f"{a}+{b}:", str(a + b)
    assert verify(prompt, f"{scratch};{right}")
    for wrong in (right, f"{right};{scratch}x", f"{scratch};{right};{right}", f"{scratch};{right} ",
                  f"{scratch};{a + b + 1}", f"{scratch};0{right}", scratch + right):  # fmt: skip
        assert not verify(prompt, wrong), wrong
    assert not verify(f"{a}+{b}=", f"{scratch};{right}"), "only where a scratchpad is asked for"


def expressions(numbers):
    """All of them, with and without each pair of parentheses that belongs to an operator.

    Yields (text, value, whether the text as it stands has that structure's value). Brute force: the
    value is Fraction-free integer arithmetic on the tree, and Python's own parser is the judge of
    what a text without the parentheses means.
    """
    if len(numbers) == 1:
        yield str(numbers[0])
        return
    for cut in range(1, len(numbers)):
        for left in expressions(numbers[:cut]):
            for right in expressions(numbers[cut:]):
                for operator in "+-*":
                    yield f"{left}{operator}{right}"
                    yield f"({left}{operator}{right})"


@pytest.mark.parametrize("numbers", [(3, 5, 7), (2, 2, 9), (1, 12, 4)])
def test_every_solution_of_a_brute_force_solver_is_accepted(numbers):
    """And nothing else: for each target, exactly the expressions whose value it is."""
    texts = {t for order in itertools.permutations(numbers) for t in expressions(order)}
    value = {text: eval(text) for text in texts}  # our own texts, in a test
    assert len(texts) > 150
    shown = ",".join(map(str, numbers))
    for text, result in value.items():
        for target in {max(result, 0), max(result, 0) + 1}:
            assert verify(f"{shown}:{target}=", text) == (result == target), (text, target)


@pytest.mark.parametrize(
    "text",
    ["3*7+5", "3*7+5-2-0", "3*7+5-2+2-2", "3*7+5-3", "3*7+05-2", "3*7+5--2", "+3*7+5-2", "-2+3*7+5",
     "3*7+5-2=24", "24", "", "3*7+(5)-2", "((3*7))+5-2", "3*7+(5-2", "3*7+5-2)", "3*7+5-2 ",
     " 3*7+5-2", "3*7+5-2,3*7+5-2", "3**7+5-2", "37+5-2", "3*7+5−2", "３*7+5-2", "3*7+5-2\n",
     "3*7+5-2;24", "(3*7+5-2)()", "2-(5+7)*3", "3*7+5-2*1", "7+5*3-2", "(((3*7)+5)-2))",
     "3(7)+5-2", "((3*7+5-2))", "(3*7(+5-2", "3*7+5+2"],
)  # fmt: skip
def test_every_broken_rule_is_refused(text):
    assert verify("3,5,7,2:24=", "3*7+5-2") and verify(" 3, 5, 7, 2: 24=", "(((3*7)+5)-2)")
    assert verify("3,5,7,2:24=", text) is False


@given(st.data())
def test_a_mutated_solution_is_judged_by_what_it_says(data):
    """Change one character: right only if it still uses the numbers and still is the target."""
    solution = "(7-3)*(5+2)-4"
    i = data.draw(st.integers(0, len(solution) - 1))
    text = solution[:i] + data.draw(st.sampled_from("0123456789+-*() ")) + solution[i + 1 :]
    numbers = sorted(re.findall("[0-9]+", text))
    try:
        value = eval(text) if re.fullmatch(r"[-0-9+*()]+", text) and "**" not in text else None
    except (SyntaxError, TypeError):
        value = None
    unary = re.search(r"(^|[-+*(])[-+]", text)
    allowed = value == 24 and numbers == sorted("73524") and not unary and text.count("(") <= 4
    if verify("7,3,5,2,4:24=", text):
        assert allowed
    elif allowed:
        assert re.search(r"\([0-9]+\)", text), text  # parentheses around one number


@pytest.mark.parametrize(
    "text",
    ["9**9**9", "(" * 10_000, "(" * 10_000 + "1" + ")" * 10_000, "٣*7+5-2", "", "9" * 10**6,
     "(" * 10**5 + "3*7+5-2" + ")" * 10**5, "-" * 10**5, "1+" * 10**5,
     "\x00", "\ud800", "__import__('os')", "3*7+5-2" * 1000],
)  # fmt: skip
def test_hostile_expressions_are_false_at_once(text):
    assert verify("3,5,7,2:24=", text) is False and verify(text, "3*7+5-2") is False
    assert verify(f"{text}:24=", "24") is False and verify(f"1,2:{text}=", "1+2") is False


# ------------------------------------------------------------------------------- likelihoods


def test_likelihoods_by_hand():
    assert likelihood("12+34~", "46", 46.0, 2.0) == 1
    assert likelihood("12+34~", "48", 46.0, 2.0) == pytest.approx(math.exp(-0.5))
    assert likelihood("12+34~", "-3", 0.5, 1.5) == pytest.approx(math.exp(-(3.5**2) / 4.5))
    assert regression("12+34~", "48", 46.0, 16.0) == -4 / 256
    assert regression("12+34~", "48", 20.0, 16.0) == -1


@given(anything, anything, st.floats(-1e9, 1e9), st.floats(0.01, 1e6))
def test_likelihoods_are_total_and_in_their_range(prompt, completion, target, width):
    assert 0 <= likelihood(prompt, completion, target, width) <= 1
    assert -1 <= regression(prompt, completion, target, width) <= 0


@pytest.mark.parametrize(
    "text", ["", "+46", "046", "-0", "46 ", "4 6", "٤", "4.6", "1e3", "46~", "9" * 19]
)
def test_what_is_not_a_number_has_no_likelihood(text):
    assert (
        likelihood("12+34~", text, 46.0, 2.0) == 0 and regression("12+34~", text, 46.0, 9.0) == -1
    )
    for prompt in ("12+34=", "12+34", "12+~", ""):
        assert (
            likelihood(prompt, "46", 46.0, 2.0) == 0 and regression(prompt, "46", 46.0, 9.0) == -1
        )


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


def test_hostile_text_is_dismissed():
    """With quadratic matching or unbounded integers it would take minutes, and stop the suite."""
    big = 10**6
    texts = ("9" * big, " " * big, "(" * big, "9*" * big, "9**9**9**9", "-" * big,
             "9" * 18 + " " * big)  # fmt: skip
    for text in texts:
        assert verify(text + "=", text) is False and verify("1+1=", text) is False
        assert verify(text, text) is False and verify("1+" + text + "=", "2") is False
