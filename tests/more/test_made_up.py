"""Every table, claim and figure of the page of results, from made-up logs of the right shape."""

import re

import made_up
import pytest
import test_recompute

from paper import claims, figures, logs, tables, verdicts
from paper.logs import Logs
from paper.verdicts import NO, OPEN, YES


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of made-up logs of every sweep."""
    folder = tmp_path_factory.mktemp("results")
    made_up.write_all(folder)
    return folder


@pytest.fixture
def as_results(made, monkeypatch):
    monkeypatch.setattr(logs, "RESULTS", made)
    monkeypatch.setattr(tables, "RESULTS", made)
    monkeypatch.setattr(tables, "LOGS", Logs(made))
    return Logs(made)


@pytest.mark.parametrize("number", tables.EXPERIMENTS)
def test_tables_and_figures_of_an_experiment(number, as_results, tmp_path):
    assert logs.ready(as_results, number)
    text = tables.EXPERIMENTS[number]()
    assert "nan" not in text
    drawn = figures.draw(as_results, tmp_path, number)
    assert all(f"(assets/{path.name})" in text for path in drawn), "each is shown"
    assert text.count("![") == len(drawn)


@pytest.mark.parametrize("number", filter(None, figures.FIGURES))
def test_committed_figures_are_drawn_from_the_committed_logs(number, tmp_path):
    """Under the names of the committed ones; how many pixels they have, fonts decide too."""
    drawn = figures.draw(Logs(logs.RESULTS), tmp_path, number)
    assert drawn
    for path in drawn:
        assert path.exists() and (logs.RESULTS.parent / "assets" / path.name).exists()


def test_claims_of_made_up_logs(as_results):
    found = {claim.text: claim.judged() for claim in claims.claims(as_results)}
    word, said = found["On fresh data MaxRL is ahead of GRPO in pass@1, k = 64"]
    assert word == YES and said.startswith("pass@1 at the end: +0.0")
    assert {word for word, _ in found.values()} <= {YES, NO, OPEN}
    table = tables.claims_table()
    assert table.startswith(verdicts.RULE) and table.count("| **yes** |") > 5


@pytest.mark.parametrize("name", test_recompute.CHECKS)
def test_other_code_computes_the_same_numbers(name, as_results):
    """And finds a number that is wrong."""
    block, results = tables.BLOCKS[name](), test_recompute.Results(as_results.folder)
    test_recompute.CHECKS[name](results, block + "\n")
    with pytest.raises(AssertionError):
        test_recompute.CHECKS[name](results, with_a_wrong_number(block))


def with_a_wrong_number(block):
    """The block with other digits in the first number of a row, or of a sentence of ends."""
    lines = block.splitlines()
    heads = {i for i, line in enumerate([*lines[1:], ""]) if line.startswith("|---")}
    rows = (i for i, line in enumerate(lines) if line.startswith("|") or "at the end:" in line)
    number = re.compile(r"\d\.\d|\d(?=e-\d)")
    i = next(i for i in rows if i not in heads and number.search(lines[i]))
    lines[i] = number.sub(lambda m: re.sub(r"\d", other_digit, m[0]), lines[i], count=1)
    return "\n".join(lines)


def other_digit(match):
    return str((int(match[0]) + 3) % 10)
