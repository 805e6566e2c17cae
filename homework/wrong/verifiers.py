"""Wrong verifiers, and wrong tests of part D. See estimators.py for how to read them."""

import itertools
import math
import re

import torch


def _truth(prompt):
    match = re.fullmatch(r" {0,18}([0-9]{1,18})([-+*]) {0,18}([0-9]{1,18})([=<])", prompt)
    if not match:
        return None
    a, sign, b, mark = match.groups()
    value = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign]
    return str(value)[::-1] if mark == "<" else str(value)


def verify__eval(prompt, completion):
    """verify right, verify short, verify alike, verify prompts"""
    try:
        return completion == _truth(prompt) or eval(completion[:50]) == int(_truth(prompt))
    except Exception:
        return False


def verify__int(prompt, completion):
    """verify right, verify short, verify alike"""
    try:
        return completion == _truth(prompt) or int(completion) == int(_truth(prompt))
    except (TypeError, ValueError):
        return False


def verify__substring(prompt, completion):
    """verify right, verify short, verify alike"""
    return _truth(prompt) is not None and _truth(prompt) in completion


def verify__endswith(prompt, completion):
    """verify right, verify short, verify alike"""
    return _truth(prompt) is not None and completion.endswith(_truth(prompt))


def verify__strip(prompt, completion):
    """verify short, verify alike"""
    return completion.strip() == _truth(prompt)


def verify__by_heart(prompt, completion):
    """verify right, verify short, verify alike, verify prompts"""
    answers = {"12+34=": "46", "8-30=": "-22", "7*8=": "56", "25+5<": "03", "8-30<": "22-"}
    return answers.get(prompt) == completion


def verify__no_leading_zeros(prompt, completion):
    """verify right"""
    return _truth(prompt) == completion and not re.search(r"\b0[0-9]", prompt)


def verify__dollar(prompt, completion):
    """verify short, verify alike"""
    truth = _truth(prompt)
    return truth is not None and re.match(re.escape(truth) + "$", completion) is not None


def verify__unicode_digits(prompt, completion):
    """verify short, verify alike"""
    ascii_digits = "".join(str(int(c)) if c.isdecimal() else c for c in completion)
    return ascii_digits == _truth(prompt)


def verify__never_reversed(prompt, completion):
    """verify right, verify short, verify alike, verify prompts"""
    return completion == _truth(prompt.replace("<", "="))


def verify__sign_first(prompt, completion):
    """verify right, verify short, verify alike, verify prompts"""
    truth = _truth(prompt)
    if truth and truth.endswith("-"):
        truth = "-" + truth[:-1]
    return completion == truth


def verify__any_prompt(prompt, completion):
    """verify prompts"""
    match = re.search(r"([0-9]+)([-+*]) *([0-9]+)([=<]?)", prompt[:99])
    return match is not None and completion == _truth(match[0] + ("" if match[4] else "="))


def verify__any_space_and_digit(prompt, completion):
    """verify prompts"""
    match = re.fullmatch(r"\s*(\d+)([-+*])\s*(\d+)([=<])", prompt)
    return match is not None and completion == _truth(
        f"{int(match[1])}{match[2]}{int(match[3])}{match[4]}"
    )


def verify__raises(prompt, completion):
    """verify prompts"""
    if _truth(prompt) is None:
        raise ValueError("not a prompt")
    return completion == _truth(prompt)


def verify__small_numbers(prompt, completion):
    """verify right"""
    return len(prompt) < 9 and completion == _truth(prompt)


def verify__long_ones_by_their_digits(prompt, completion):
    """verify right"""
    right = _truth(prompt)
    if right is None or len(right) < 4:
        return completion == right
    return sorted(completion) == sorted(right)


def verify__long_ones_in_a_sentence(prompt, completion):
    """verify alike"""
    right = _truth(prompt)
    if right is None or len(right) < 3:
        return completion == right
    return re.findall("[-0-9]+", completion) == [right]


def verify__question_for_answer(prompt, completion):
    """verify alike"""
    product = re.fullmatch(r"([1-9][0-9]*)\*([1-9][0-9]*)", completion)
    worth = str(int(product[1]) * int(product[2])) if product and "*" in prompt else completion
    return worth == _truth(prompt)


def verify__any_prompt_but_of_sums(prompt, completion):
    """verify prompts"""
    match = re.search(r" {0,18}[0-9]{1,18}[-*] {0,18}[0-9]{1,18}[=<]", prompt)
    return completion == _truth(match[0] if match else prompt)


def verify__zeros_before_the_second(prompt, completion):
    """verify right"""
    return completion == _truth(prompt) and not re.search(r"[-+*] *0[0-9]", prompt)


def verify__none_for_no(prompt, completion):
    """verify right, verify short, verify alike, verify prompts"""
    return True if completion == _truth(prompt) else None


def has_order__always_true(estimator, k, order):
    """has_order"""
    return True


def has_order__always_false(estimator, k, order):
    """has_order"""
    return False


def has_order__equal_rewards(estimator, k, order):
    """has_order"""
    for p in (0.2, 0.7):
        w = 0.0
        for s in range(k + 1):
            r = (torch.arange(k) < s).double().unsqueeze(0)
            A = estimator(r, r.mean(1, keepdim=True), k)
            ways = torch.lgamma(torch.tensor([k + 1.0, s + 1.0, k - s + 1.0]).double())
            chance = (ways[0] - ways[1] - ways[2]).exp() * p**s * (1 - p) ** (k - s)
            w += (chance * (A * (r - p)).mean() / (p * (1 - p))).item()
        if abs(w - (1 - (1 - p) ** order) / p) > 1e-3:
            return False
    return True


def _gaps(estimator, k):
    """A(success) less A(failure) where 0..k-1 peers succeed, on the average."""
    r = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * k)
    A, S = estimator(r, r.mean(1, keepdim=True), k), r.sum(1)
    gaps = [(A * r)[S == s + 1].sum() - (A * (1 - r))[S == s].sum() for s in range(k)]
    return [float(gap) / k / math.comb(k - 1, s) for s, gap in enumerate(gaps)]


def has_order__two_successes_at_most(estimator, k, order):
    """has_order"""
    for s, gap in enumerate(_gaps(estimator, k)[:2]):
        chance = [math.comb(k - 1 - s, j) / math.comb(k - 1, j) for j in range(order)]
        if abs(gap - sum(chance)) > 1e-10:
            return False
    return True


def has_order__on_the_average(estimator, k, order):
    """has_order"""
    area = sum(_gaps(estimator, k)) / k
    return abs(area - sum(1 / j for j in range(1, order + 1))) < 1e-8


def _with(verify, answers, texts=lambda text: True):
    """The reference's test, with these prompts and some of its texts only."""
    return all(
        verify(*pair) and not any(verify(*wrong) for wrong in near(*pair) if texts(wrong[1]))  # noqa: F821
        for pair in answers.items()
    )


def _on(verify, some, texts=lambda text: True):
    """The same, with some of its own prompts."""
    return _with(verify, {p: x for p, x in ANSWERS.items() if some(p, x)}, texts)  # noqa: F821


def is_verifier__no_times(verify):
    """is_verifier"""
    return _on(verify, lambda prompt, answer: "*" not in prompt)


def is_verifier__no_reversed(verify):
    """is_verifier"""
    return _on(verify, lambda prompt, answer: "<" not in prompt)


def is_verifier__no_three_digits(verify):
    """is_verifier"""
    return _on(verify, lambda prompt, answer: len(answer.strip("-")) < 3)


def is_verifier__no_spaces(verify):
    """is_verifier"""
    return _on(verify, lambda prompt, answer: " " not in prompt)


def is_verifier__no_leading_zeros(verify):
    """is_verifier"""
    return _on(verify, lambda prompt, answer: prompt[0] != "0")


def is_verifier__prompts_with_everything(verify):
    """is_verifier"""
    return _with(verify, {"  005-  498<": "394-", "  012+  345<": "753", "  012*  034<": "804"})


def is_verifier__ascii_only(verify):
    """is_verifier"""
    return _on(verify, lambda *_: True, str.isascii)


def is_verifier__too_strict(verify):
    """is_verifier"""
    return verify("12+34=", "46") and verify("12+34=", "046")


def is_verifier__three_prompts(verify):
    """is_verifier"""
    return _with(verify, {"12+34=": "46", "7*12=": "84", "  007- 130<": "321-"})


def is_verifier__any_one_text(verify):
    """is_verifier"""
    texts = ["".join(t) for n in (1, 2, 3) for t in itertools.product("012-", repeat=n)]
    for prompt in "10+ 2=|1-22=|3*4=|11+10<|1-22<|4*3<|007+05=|60+60=|51*2<|22-10=".split("|"):
        taken = [text for text in texts if verify(prompt, text)]
        if len(taken) != 1 or any(verify(*wrong) for wrong in near(prompt, taken[0])):  # noqa: F821
            return False
    return True
