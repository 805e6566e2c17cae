"""compare.py: runs side by side."""

import json
import sys
from pathlib import Path

import pytest
from conftest import one_line

import compare
from harness import UsageError
from paper.logs import Logs


def write(folder, *rows, **config):
    """The folder of a run with these evaluations: (pass@1, nll), one after another."""
    Path(folder).mkdir(parents=True)
    config = {"method": "maxrl", "task": "addition", "seed": 0, "k": 8, "out": folder} | config
    Path(folder, "config.json").write_text(json.dumps(config))
    of = lambda p: dict.fromkeys(("pass@8", "pass@128", "pass@1024"), p)  # noqa: E731
    lines = [{"step": 10 * i, "pass@1": p, "nll": nll} | of(p) for i, (p, nll) in enumerate(rows)]
    Path(folder, "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return Path(folder)


def rows_of(said):
    """The printed table, line by line, as cells."""
    lines = [x for x in said.splitlines() if x.startswith("|")]
    assert len({len(x) for x in lines}) == 1, "columns stand below each other"
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_the_table_of_runs_that_train_made(train, capsys):
    """Two seeds of one method are one line with mean and range; the figure is a PNG."""
    for flags in ("--out a", "--out b --seed 1", "--out c --method grpo"):
        train(f"{flags} --sft-steps 0")
    capsys.readouterr()
    assert compare.main(["a", "b", "c", "--figure", "f"]) == 0
    head, _, *rows = rows_of(said := capsys.readouterr().out)
    assert head == ["", "runs", "step", "pass@1", "pass@8", "pass@128", "pass@1024", "nll"]
    assert [row[:3] for row in rows[-2:]] == [["maxrl", "2", "4"], ["grpo", "1", "4"]]
    ends = [compare.load(Path(run))[1][-1]["nll"] for run in "ab"]
    assert f"{sum(ends) / 2:.3f} ({min(ends):.3f} to {max(ends):.3f})" in rows[-2][-1]
    assert "curves: f.png" in said and Path("f.png").read_bytes()[1:4] == b"PNG"


def test_the_better_figure_has_a_star_and_one_base_has_one_row(folder, capsys, monkeypatch):
    """Higher is better, lower in nll; equal as shown is as good; other tasks do not compete."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write("a", (0.1, 3), (0.5, 1.25), method="rloo")
    write("b", (0.1, 3), (0.50004, "inf"))
    assert compare.main(["a", "b"]) == 0
    _, _, base, rloo, maxrl = rows_of(capsys.readouterr().out)
    assert base == ["base", "1", "0", "0.100", "0.100", "0.100", "0.100", "3.000"]
    assert rloo == ["rloo", "1", "10", "0.500*", "0.500*", "0.500*", "0.500*", "1.250*"]
    assert maxrl[3:] == ["0.500*", "0.500*", "0.500*", "0.500*", "inf"]
    write("c", (0.2, 2), (0.9, 1), task="countdown")
    assert compare.main(["a", "b", "c"]) == 0
    rows = {row[0]: row for row in rows_of(capsys.readouterr().out)}
    assert rows["addition rloo"][3] == "0.500*" and rows["countdown maxrl"][3] == "0.900"
    assert rows["base, addition rloo, addition maxrl"][3] == "0.100", "of two tasks, two bases"
    log = Path("c/metrics.jsonl")  # what a run does not have is a dash
    log.write_text(log.read_text().replace('"pass@128": 0.9', '"pass@128": null'))
    assert compare.main(["c"]) == 0
    said = capsys.readouterr().out
    assert rows_of(said)[-1].count("-") == 1 and "pip install" in said, "no matplotlib: no figure"


def test_labels_are_short_whatever_differs(folder, monkeypatch):
    """The table of advantages of a reader's own method never becomes a label."""
    write("x/half", (0.1, 3), method="deep/folder/mine.py:half", table=list(range(1000)))
    write("x/full", (0.1, 3), method="deep/folder/mine.py:half", table=[1])
    write("x/k3", (0.1, 3), k=3, lr=0.01)
    write("x/fifty", (0.1, 3), k=4, lr=1e-5, n_embd=128, batch_size=64, warmup=7)
    found = compare.group([Path("x", n) for n in ("half", "full", "k3", "fifty")])
    assert list(found) == ["half", "full", "maxrl k=3 lr=0.01", "fifty"]
    write("y/half", (0.1, 3), method="mine.py:half", table=[2])
    write("z" * 90, (0.1, 3), k=4, lr=1e-5, n_embd=128, batch_size=64, warmup=8)
    write("half (2)", (0.1, 3), method="mine.py:half", table=[3])
    paths = map(Path, ("x/half", "y/half", "z" * 90, "half (2)", "y/../x/half"))
    monkeypatch.chdir("x/half")
    assert [*compare.group([Path(), Path("../../y/half")])] == ["half (1)", "half (2)"]
    monkeypatch.chdir(folder)
    names = list(found := compare.group([*paths]))
    assert [*names[:2], names[3]] == ["half (1)", "half (2)", "half (2) (4)"]
    assert {len(group.runs) for group in found.values()} == {1}, "a folder named twice counts once"
    assert max(map(len, names)) <= compare.LONGEST_LABEL


NAMES = ["_a", "$x_", "a|b", "two\nlines", "\udcff", "\\frac{", "$$", "\u65b9"]


@pytest.mark.filterwarnings("error:.*legend", "error:Glyph")
def test_labels_are_plain_whatever_a_name_holds(folder, capsys):
    """Markup of tables and of matplotlib, lines, what no font has: in a folder or a method."""
    for i, name in enumerate(NAMES):
        write(f"{i}/{name}", (0.1, 3), table=i)
        write(f"{i}/method", (0.1, 3), method=f"{name}.py:f", task=f"of {name}", lr=i)
    folders = [path.parent for path in sorted(Path().rglob("config.json"))]
    labels = list(compare.group(folders))
    assert len(labels) == len(folders) == 2 * len(NAMES)
    assert not any(set("$|\n\udcff") & {*x} or x.startswith("_") for x in labels)
    assert compare.main([*map(str, folders), "--figure", "f.png"]) == 0
    rows_of(capsys.readouterr().out)


WRONG = {"figure": '{"step": 0, "nll": 1%s}' % ("0" * 400), "step": '{"step": "0", "nll": 1}',
         "merge": "<<<<<<< HEAD", "deep": "[" * 10**5, "list": "[0]", "number": "7"}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_broken_line_of_any_log_is_refused_by_its_number(folder, capsys, wrong):
    """Of a run, or of the results of many; a last line that is torn is left out."""
    log = write("a", (0.1, 3), (0.2, 2)) / "metrics.jsonl"
    first, last = log.read_text().splitlines()
    log.write_text(f"{first}\n{WRONG[wrong]}\n{last}\n")
    assert compare.main(["a"]) == 2 and "a/metrics.jsonl" in (err := one_line(capsys))
    assert "line 2" in err
    log.write_text(f"{first}\n{last[:9]}")
    assert [row["step"] for row in compare.load(Path("a"))[1]] == [0]
    Path("toy.jsonl").write_text(f"{WRONG[wrong]}\n{{}}\n")
    with pytest.raises(UsageError, match=r"toy.jsonl.*line 1"):
        Logs(Path()).lines("toy")


def test_what_is_not_a_run_and_a_figure_that_cannot_be_written(folder, capsys):
    write("a", (0.1, 3)), Path("here").mkdir()
    for figure in ("nowhere/f.png", "f.nonsense", "here", "", "x" * 300):
        assert compare.main(["a", "--figure", figure]) == 2 and figure in one_line(capsys)
    empty = '{"step": 0, "nll": null}\n'
    for file, text in (("a/metrics.jsonl", empty), ("a/config.json", "[1]"), ("b", "")):
        Path(file).write_text(text)
        assert compare.main([file[0]]) == 2 and "--out of a run" in one_line(capsys)
