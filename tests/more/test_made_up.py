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
    cells = [c for _, rows in test_recompute.tables_of(block) for row in rows for c in row[1:]]
    cell = next(c for c in cells if re.match(r"[+-]?\d+[.e]", c) or re.search(r"\d\.\d", c))
    wrong = re.sub(r"\d", lambda m: str((int(m[0]) + 1) % 10), cell)
    with pytest.raises(AssertionError):
        test_recompute.CHECKS[name](results, block.replace(f"| {cell} |", f"| {wrong} |"))
