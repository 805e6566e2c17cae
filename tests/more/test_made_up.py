"""Every table, finding and figure of the page of results, from made-up logs of the right shape."""

import re

import made_up
import pytest
import test_recompute

from paper import claims, figures, logs, tables
from paper.logs import Logs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Made-up logs of every sweep in the place of those that are committed."""
    folder, patch = tmp_path_factory.mktemp("results"), pytest.MonkeyPatch()
    made_up.write_all(folder)
    patch.setattr(logs, "RESULTS", folder)
    patch.setattr(tables, "LOGS", Logs(folder))
    yield Logs(folder)
    patch.undo()


@pytest.mark.parametrize("number", range(9))
def test_the_figure_and_the_text_of_an_experiment(number, made, tmp_path):
    assert logs.ready(made, number)
    drawn = figures.draw(made, tmp_path, number)
    text = tables.content(f"experiment-{number}")
    assert drawn.read_bytes()[1:4] == b"PNG" and f"(assets/{drawn.name})" in text
    assert "nan" not in text and text.count("![") == 1


def test_the_chief_findings_are_few_and_each_claim_of_the_family_is_one(made):
    found = claims.findings(made)
    assert {f.experiment for f in found} == {0, 1, 2, 3, 4, 5, 7, 8}
    assert 6 <= sum(f.chief for f in found) <= 14
    assert {f.name for f in found} - {""} == set(claims.FAMILY)


@pytest.mark.parametrize("name", test_recompute.CHECKS)
def test_other_code_computes_the_same_numbers(name, made):
    """And finds a number that is wrong."""
    block, results = tables.content(name), test_recompute.Results(made.folder)
    test_recompute.check(name, results, block)
    for start in "|", "-" if block.startswith("-") else "|":
        with pytest.raises(AssertionError):
            test_recompute.check(name, results, with_a_wrong_number(block, start))


def with_a_wrong_number(block, start):
    """The block with other digits in a number of the last of the lines that begin like this."""
    lines = block.splitlines()
    numbers = [(i, [*re.finditer(r"\d\.\d+", line.partition("** (")[0])])
               for i, line in enumerate(lines) if line.startswith(start)]  # fmt: skip
    i, (*_, number) = [pair for pair in numbers if pair[1]][-1]
    wrong = re.sub(r"\d", lambda m: str((int(m[0]) + 3) % 10), number[0])
    lines[i] = lines[i][: number.start()] + wrong + lines[i][number.end() :]
    return "\n".join(lines)
