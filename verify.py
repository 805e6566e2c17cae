"""Is this completion a correct answer to this prompt? Strings in, a verdict out.

The truth is computed from the prompt's own text, with integers; nothing is ever evaluated. The
prompts: `a+b=`, `a-b=`, `a*b=`, `a*b%m=`, numbers of at most 18 digits, each with alignment spaces
before it. `<` in place of `=` asks for the whole answer right to left, sign last.

There is exactly one right answer, its canonical digits, so being right means being equal to it: no
plus, no leading zeros, no spaces, nothing after it. Total: any two strings give True or False.

Right:
    >>> verify(" 12+ 34=", "46"), verify("8-30=", "-22"), verify("8-30<", "22-")
    (True, True, True)
    >>> verify("25+5<", "03"), verify(" 12* 34%  7=", "2"), verify("3-3=", "0")
    (True, True, True)

Wrong:
    >>> verify("12+34=", "47"), verify("8-30=", "22"), verify("25+5<", "30"), verify("12+34=", "")
    (False, False, False, False)

Malformed:
    >>> [verify("12+34=", text) for text in ("046", "+46", " 46", "46 ", "46=46", "46\\n")]
    [False, False, False, False, False, False]
    >>> [verify(text, "46") for text in ("12+34", "12+34=46", "1 2+34=", "46=", "1*46%0=")]
    [False, False, False, False, False]

Hostile:
    >>> verify("9**9**9=", "0"), verify("__import__('os')=", ""), verify("(" * 10**5, "9" * 10**5)
    (False, False, False)
    >>> verify("1+3=", "\u0664"), verify("\uff11\uff12+34=", "46"), verify("\\x00", "\\ud800")
    (False, False, False)
"""

import re

# Every repetition is bounded, so matching is quick whatever the text; [0-9] is ASCII digits only.
_NUMBER = " {0,18}([0-9]{1,18})"
_PROMPT = re.compile(rf"{_NUMBER}([-+*]){_NUMBER}(?:%{_NUMBER})?([=<])")


def verify(prompt: str, completion: str) -> bool:
    """True if `completion` is the canonical answer to `prompt`. Pure and total; never raises.

    The caller sees to it that the model ended its completion: without an end token it is wrong.
    """
    truth = answer(prompt)
    return truth is not None and completion == truth


def answer(prompt: str) -> str | None:
    """The canonical answer, or None if the text is not a prompt that has one."""
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
