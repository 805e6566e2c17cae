"""data/: what is drawn, how it is split, and how it becomes tokens."""

import math
import re
import sys
from collections import Counter
from itertools import product

import numpy as np
import pytest

import data
from data import chain, check_task, splits
from data.addition import Task as Addition
from data.batches import held_out_problems
from data.splits import in_split, split_hash
from data.tokenizer import decode, encode
from verify import verify

RESULTS = ("addition", "modular", "multiplication", "subtraction")  # one right answer each
SETTINGS = [*product(RESULTS, (1, 3, 9), (False, True))]
OTHERS = [("chain", 1), ("chain", 9), ("countdown", 1), ("countdown", 2), ("noisy", 2)]
GOLDEN = [5465905124413615059, 5795564065080592865]
FIRST_FOUR = [(" 78+  3=", "81"), ("  4+  9=", "13"), ("  8+  9=", "17"), ("  3+716=", "719")]


def task_of(name: str, digits: int, reverse: bool = False, noise: float = 4.0):
    settings = {"digits": digits, "reverse": reverse, "noise": noise, "sigma": 2.0}
    return data.make_task(name, settings | {"reward": "likelihood"})


def draw(name, digits, reverse, n=300, split="train", seed=0):
    return task_of(name, digits, reverse).draw(np.random.default_rng(seed), n, split)


def key(name, prompt):
    """The numbers of a problem, in order where their order does not matter."""
    a, b, *modulus = map(int, re.findall("[0-9]+", prompt))
    return (a, b) if name == "subtraction" else (*sorted((a, b)), *modulus)


@pytest.mark.parametrize("name, digits, reverse", [*SETTINGS, *((*x, False) for x in OTHERS)])
@pytest.mark.parametrize("split", ["train", "held-out"])
def test_reference_answers_are_right_and_fit(name, digits, reverse, split):
    task = task_of(name, digits, reverse)
    assert task.single_answer == (name in RESULTS) and task.graded == (name == "noisy")
    for prompt, answer in draw(name, digits, reverse, 100, split):
        assert name == "noisy" or verify(prompt, answer), (prompt, answer)
        assert len(prompt) == task.prompt_width and len(answer) < task.max_new_tokens
        assert task.align(prompt.replace(" ", "")) == prompt
        assert decode(encode(prompt)) == prompt
    if name not in RESULTS:
        with pytest.raises(ValueError, match="reversed"):
            task_of(name, digits, True)
        return
    nine = 10**digits - 1
    longest = {"subtraction": (0, nine), "modular": (1, nine - 1, nine)}.get(name, (nine, nine))
    assert len(task.write_answer(task.answer(*longest))) + 1 == task.max_new_tokens


@pytest.mark.parametrize("name, digits, reverse", [s for s in SETTINGS if s[2]])
def test_train_and_held_out_share_no_problem(name, digits, reverse):
    train, held_out, validation, test = (
        {key(name, prompt) for prompt, _ in draw(name, digits, reverse, 1000, split)}
        for split in ("train", "held-out", "validation", "test")
    )
    assert not train & (held_out | validation | test) and not validation & test
    if digits == 1:  # few enough that all of them were drawn
        assert validation | test == held_out and validation and test


@pytest.mark.parametrize("name, digits, split", [
    ("addition", 2, "test"), ("subtraction", 1, "validation"), ("chain", 1, "test"),
])  # fmt: skip
def test_a_small_split_is_evaluated_whole_by_its_chances(name, digits, split):
    """The chances against the shares of many draws; each problem stands in it once."""
    task, n = task_of(name, digits, reverse=name != "chain"), 20_000
    every = task.every(split)
    chances = {prompt: chance for (prompt, _), chance in every.items()}
    assert sum(chances.values()) == pytest.approx(1) and len(chances) == len(every)
    drawn = Counter(p for p, _ in task.draw(np.random.default_rng(0), n, split))
    assert drawn.keys() == chances.keys(), "each of them and nothing else can be drawn"
    for prompt, p in chances.items():
        assert abs(drawn[prompt] / n - p) < 6 * (p * (1 - p) / n) ** 0.5, prompt
    assert held_out_problems(task, len(every), split) == every
    some = held_out_problems(task, len(every) - 1, split)
    assert sum(some.values()) == pytest.approx(1) and some.keys() <= every.keys()
    if digits == 2:
        assert max(some.values()) > 1.5 / (len(every) - 1), "drawn twice: twice the weight"


def test_a_draw_of_its_own_has_chances_that_nobody_knows():
    class Squares(Addition):
        draw_operands = lambda self, rng, n: super().draw_operands(rng, n)[:, [0, 0]]  # noqa: E731

    assert Squares(2).every("test") is None is task_of("modular", 1).every("test")
    assert len(held_out_problems(Squares(2), 50, "test")) < 50


class Sorting(data.Task):
    """Three digits in rising order."""

    prompt_width, max_new_tokens, says = 4, 4, None

    def problem(self, rng):
        digits = "".join(map(str, rng.integers(10, size=3)))
        return digits + "=", "".join(sorted(digits)) if self.says is None else self.says

    def verify(self, prompt, completion):
        return completion == "".join(sorted(prompt[:3]))


def test_a_task_needs_four_things_only():
    task = Sorting()
    check_task("sorting", task, "test")
    rows = {s: set(task.draw(np.random.default_rng(1), 100, s)) for s in splits.SPLITS}
    assert not rows["train"] & rows["held-out"] and not rows["test"] & rows["validation"]
    assert task.reward("310=", "013", "013") == 1 and task.reward("310=", "031", "013") == 0
    assert task.align("310=") == "310=" and task.show("310=", "013") == "310=013"
    with pytest.raises(ValueError, match="4 characters"):
        task.align("31=")


@pytest.mark.parametrize("wrong, says", [
    ({"says": "1^2"}, r"'\^'"), ({"prompt_width": 5}, "prompt_width is 5"),
    ({"max_new_tokens": 3}, "raise it"), ({"verify": lambda *_: False}, "fix verify"),
    ({"verify": lambda *_: True}, "fix verify"), ({"says": ""}, "fix verify"),
    ({"verify": lambda _, text: text > ""}, "single_answer"), ({"reward": lambda *_: "1"}, "real"),
    ({"reward": lambda *_: math.nan}, "finite"), ({"verify": data.Task().verify}, "NotImplemented"),
    ({"verify": lambda *_: {}["no"]}, "KeyError"), ({"problem": lambda *_: {}["no"]}, "KeyError"),
    ({"problem": lambda _: ("123=", "123")}, "hardly any validation problems"),
])  # fmt: skip
def test_a_task_that_contradicts_itself_is_refused_in_one_line(wrong, says):
    task = Sorting()
    vars(task).update(wrong)
    with pytest.raises(ValueError, match=says) as error:
        check_task("sorting", task, "validation")
    assert str(error.value).startswith("data/sorting.py") and "\n" not in str(error.value)


@pytest.mark.parametrize("code, says", [
    ("def f(:", "SyntaxError"), ("import nonsense", "No module"), ("pass", "no attribute 'Task'"),
    ("class Task:\n    takes = ('digits',)", "cannot build"), ("raise OSError('a\\nb')", "a b"),
])  # fmt: skip
def test_a_task_whose_file_is_broken_is_refused_in_one_line(code, says, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.setattr(data, "__path__", [str(tmp_path)])
    monkeypatch.setattr(data, "TASKS", ["mine"])
    monkeypatch.delitem(sys.modules, "data.mine", raising=False)
    with pytest.raises(ValueError, match=says) as error:
        data.make_task("mine", {"digits": 1})
    assert str(error.value).startswith("data/mine.py") and "\n" not in str(error.value)


def test_countdown_problems_are_solvable_and_split_as_multisets():
    problems = [draw("countdown", 1, False, 300, split) for split in ("train", "held-out")]
    parts = [[prompt[:-1].split(":") for prompt, _ in side] for side in problems]
    train, held_out = ({(*sorted(n.split(",")), t) for n, t in side} for side in parts)
    assert not train & held_out and {len(answer) for _, answer in problems[0]} >= {7, 9}
    targets = [int(target) for _, target in parts[0]]
    assert 1 <= min(targets) < 5 and 90 < max(targets) <= 99
    assert task_of("countdown", 1).max_new_tokens == len("(((3+5)*2)-7)") + 1


@pytest.mark.parametrize("digits", [1, 2])
def test_chains_come_in_two_styles_and_the_longest_is_found_by_trying_them_all(digits):
    pairs, styles = product(range(10**digits), repeat=2), (chain.place_by_place, chain.running_sum)
    longest = max(len(style(a, b)) for a, b in pairs for style in styles)
    assert task_of("chain", digits, False).max_new_tokens == longest + 1
    assert chain.place_by_place(12, 34) == "2+4=6,10+30=40;46"
    assert chain.running_sum(12, 34) == "12+4=16,16+30=46;46"
    assert chain.place_by_place(7, 932) == "7+2=9,0+30=30,0+900=900;939"
    first_sums = [a.partition("=")[0] for _, a in draw("chain", 3, False, 600)]
    places = sum("+" in x and len(x) == 3 for x in first_sums)
    assert 200 < places < 580, "about half, and one-digit operands, where both styles agree"


def test_noise_has_the_standard_deviation_it_says():
    task = task_of("noisy", 2, False, 4.0)
    rows = task.draw(np.random.default_rng(0), 1000, "train")
    errors = [int(y) - sum(map(int, prompt[:-1].split("+"))) for prompt, y in rows]
    rounded = (4.0**2 + 1 / 12) ** 0.5
    assert abs(np.mean(errors)) < 5 * rounded / 1000**0.5
    assert abs(np.std(errors) - rounded) < 5 * rounded / 2000**0.5
    assert task_of("noisy", 2, False, 1.0).max_new_tokens == len("206") + 1
    assert task_of("noisy", 1, False, 200.0).max_new_tokens == len("-1600") + 1


def test_the_split_is_fixed_and_takes_one_problem_in_ten():
    """Half of those for validation, half for the test; the same on every machine, for ever."""
    operands = np.array([[12, 34], [34, 12], [999, 1]])
    commuting, ordered = split_hash(operands, True), split_hash(operands, False)
    assert commuting[0] == commuting[1] and ordered[0] != ordered[1]
    assert ordered[[0, 2]].tolist() == GOLDEN
    assert draw("addition", 3, False, 4) == FIRST_FOUR != draw("addition", 3, False, 4, seed=1)
    hashes = split_hash(np.arange(100_000)[:, None], False)
    held_out, validation, test = (in_split(hashes, s) for s in ("held-out", "validation", "test"))
    assert abs(held_out.mean() - 0.1) < 0.005  # 5 standard deviations of a fair coin
    assert (held_out == (validation | test)).all() and not (validation & test).any()
    assert abs(validation.sum() - test.sum()) < 6 * held_out.sum() ** 0.5
    with pytest.raises(ValueError, match="split"):
        task_of("addition", 1).draw(np.random.default_rng(0), 1, "dev")


@pytest.mark.parametrize(
    "task, typed, aligned, refused",
    [
        (("subtraction", 3, True), ("8 - 30<", "8-30", " 008-30="), "  8- 30<",
         ("", "8", "8-", "8+3", "8-3-1", "1234-1", "-1-2", "８-1", "a-b", "5%6")),
        (("modular", 2), ("5*6%7",), " 5* 6% 7=", ("5*6*7", "5%6%7", "5*6%0")),
        (("chain", 2), ("12 + 3",), "12+ 3:", ("12",)),
        (("noisy", 2), ("12+34~",), "12+34~", ("1",)),
        (("countdown", 2), ("3, 5,17,2: 24",), " 3, 5,17, 2: 24=",
         ("", "3,5,7:24", "3,5,7,100:24", "0,5,7,2:24", "3,5,7,2:0", "3,5,7,2:1000", "3,5,7,2")),
    ],
)  # fmt: skip
def test_what_people_type_is_aligned_or_refused_and_shown_in_the_usual_order(
    task, typed, aligned, refused
):
    assert {task_of(*task).align(text) for text in typed} == {aligned}
    for text in refused:
        with pytest.raises(ValueError):
            task_of(*task).align(text)
    assert task_of("addition", 2, True).show("57+95<", "251") == "57+95=152"
    assert task_of("subtraction", 2, True).show(" 8-30<", "22-") == " 8-30=-22"
    assert task_of("addition", 2, True).show("57+95<", "2<pad>1") == "57+95=1<pad>2"
    assert task_of("addition", 2).show("57+95=", "152") == "57+95=152"
