"""Is this completion a correct answer to this prompt? Strings in, a verdict out.

The right answer is computed from the text of the prompt, with integers; no text is ever evaluated.
The numbers in a prompt have at most 18 digits, and spaces may stand before each of them, because
the tasks align their prompts. The form of the prompt says what it asks for:

    a+b=  a-b=  a*b=  a*b%m=     the result
    the same with < for =        the result written right to left, with its sign last
    the same with : for =        any text, then `;`, then the result
    the same with ~ for =        the result, but see `likelihood`
    a,b,c,d:t=                   an expression in + - * ( ) that uses each number once and equals t

A result is right in one form only, its canonical digits: no plus sign, no leading zeros, no spaces
and nothing after it. `verify` is total: any two strings give True or False.

Right:
    >>> verify(" 12+ 34=", "46"), verify("8-30=", "-22"), verify("8-30<", "22-")
    (True, True, True)
    >>> verify("25+5<", "03"), verify(" 12* 34%  7=", "2"), verify("3-3=", "0")
    (True, True, True)
    >>> verify("12+34:", "2+4=6,10+30=40;46"), verify("3,5,7,2:24=", "3*7+5-2")
    (True, True)

Wrong:
    >>> verify("12+34=", "47"), verify("8-30=", "22"), verify("25+5<", "30"), verify("12+34=", "")
    (False, False, False, False)

Malformed:
    >>> [verify("12+34=", text) for text in ("046", "+46", " 46", "46 ", "46=46", "46\\n")]
    [False, False, False, False, False, False]
    >>> [verify(text, "46") for text in ("12+34", "12+34=46", "1 2+34=", "46=", "1*46%0=")]
    [False, False, False, False, False]
    >>> [verify("12+34:", text) for text in ("46", "45;46;46", "46;", ";46,", "46;47")]
    [False, False, False, False, False]
    >>> [verify("3,5,7,2:24=", text) for text in ("(7+5)*2", "3*7+3", "(3*7)+((5-2))", "24")]
    [False, False, False, False]

Hostile:
    >>> verify("9**9**9=", "0"), verify("__import__('os')=", ""), verify("(" * 10**5, "9" * 10**5)
    (False, False, False)
    >>> verify("1+3=", "\u0664"), verify("\uff11\uff12+34=", "46"), verify("\\x00", "\\ud800")
    (False, False, False)
"""

import math
import re

# Every repetition is bounded, so that no text takes long to match. [0-9] matches ASCII digits only.
_NUMBER = " {0,18}([0-9]{1,18})"
_PROMPT = re.compile(rf"{_NUMBER}([-+*]){_NUMBER}(?:%{_NUMBER})?([=<:~])")
_ONE = " {0,18}[0-9]{1,18}"
_COUNTDOWN = re.compile(rf"({_ONE}(?:,{_ONE}){{1,5}}):{_NUMBER}=")
_TOKEN = re.compile(r"[0-9]{1,18}|[-+*()]")
_WRITTEN = re.compile(r"0|-?[1-9][0-9]{0,17}")


def verify(prompt: str, completion: str) -> bool:
    """True if `completion` is a correct answer to `prompt`. A pure function that never raises.

    `completion` is the text before the end token. A completion without an end token is wrong, and
    the caller has to check that.
    """
    countdown = _COUNTDOWN.fullmatch(prompt)
    if countdown:
        numbers, target = countdown.groups()
        return _reaches(completion, [int(n) for n in numbers.split(",")], int(target))
    if prompt.endswith(":"):  # only what follows the first `;` is judged
        completion = completion.partition(";")[2]
    return completion == answer(prompt)


def answer(prompt: str) -> str | None:
    """The canonical result that an arithmetic prompt asks for; None for any other text.

    >>> answer("12+34="), answer("12+34<"), answer("3,5,7,2:24=")
    ('46', '64', None)
    """
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        return None
    a, operator, b, modulus, mark = match.groups()
    if modulus is not None and (operator != "*" or int(modulus) == 0):
        return None
    value = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[operator]
    if modulus is not None:
        value %= int(modulus)
    return str(value)[::-1] if mark == "<" else str(value)


# ---------------------------------------------------------------------------------- countdown


def _reaches(text: str, numbers: list[int], target: int) -> bool:
    """True if `text` is an expression that uses each of the numbers once and equals the target.

    Every pair of parentheses must enclose an operator of its own, so there are at most as many
    pairs as operators. This bounds the length of the text and the depth of the recursion.
    """
    written = [str(n) for n in numbers]
    if len(text) > sum(map(len, written)) + 3 * (len(numbers) - 1):
        return False
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text or sorted(t for t in tokens if t.isdigit()) != sorted(written):
        return False
    tokens.reverse()  # so that pop() takes the next token
    try:
        value, _ = _sum(tokens)
    except (IndexError, ValueError):
        return False
    return not tokens and value == target


def _sum(tokens: list[str]) -> tuple[int, int]:
    """product (("+" | "-") product)*: its value, and its number of operators outside brackets."""
    value, operators = _product(tokens)
    while tokens and tokens[-1] in "+-":
        sign = 1 if tokens.pop() == "+" else -1
        right, more = _product(tokens)
        value, operators = value + sign * right, operators + more + 1
    return value, operators


def _product(tokens: list[str]) -> tuple[int, int]:
    """factor ("*" factor)*: its value, and its number of operators outside brackets."""
    value, operators = _factor(tokens), 0
    while tokens and tokens[-1] == "*":
        tokens.pop()
        value, operators = value * _factor(tokens), operators + 1
    return value, operators


def _factor(tokens: list[str]) -> int:
    """number | "(" sum ")", where the sum has an operator outside further brackets: its value.

    ValueError or IndexError if the next tokens are neither.
    """
    token = tokens.pop()
    if token != "(":
        return int(token)
    value, operators = _sum(tokens)
    if not operators or tokens.pop() != ")":
        raise ValueError
    return value


# ---------------------------------------------------------------------------------- likelihoods


def number(completion: str) -> int | None:
    """The integer that a completion consists of; None if it is anything but canonical digits."""
    return int(completion) if _WRITTEN.fullmatch(completion) else None


def likelihood(prompt: str, completion: str, target: float, sigma: float) -> float:
    """exp(-(y - z)^2 / (2 sigma^2)) for the target y and the number z that the completion writes.

    It lies in [0, 1], and is 0 if the completion is not a number or the prompt does not end in `~`.
    This is a Gaussian density divided by its largest value; dividing by a constant does not change
    the maximum-likelihood gradient.

        >>> likelihood("12+34~", "46", 46.0, 2.0), likelihood("12+34~", "4b", 46.0, 2.0)
        (1.0, 0.0)
        >>> round(likelihood("12+34~", "44", 46.0, 2.0), 4)
        0.6065
    """
    z = number(completion)
    if z is None or not prompt.endswith("~") or answer(prompt) is None:
        return 0.0
    return math.exp(-((target - z) ** 2) / (2 * sigma**2))


def regression(prompt: str, completion: str, target: float, clip: float) -> float:
    """-min(|y - z|, clip)^2 / clip^2: direct regression. In [-1, 0]; -1 where likelihood is 0."""
    z = number(completion)
    if z is None or not prompt.endswith("~") or answer(prompt) is None:
        return -1.0
    return -(min(abs(target - z), clip) ** 2) / clip**2
