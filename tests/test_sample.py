"""sample.py: what it prints about a checkpoint, and what it refuses."""

import re
from unittest.mock import Mock

import pytest
from conftest import status_of

import sample


@pytest.fixture
def run(train, capsys):
    """A tiny run, and a function that asks it: flags -> (status, stdout, stderr)."""
    train("--out out --digits 2 --steps 0")

    def ask(*words):
        capsys.readouterr()
        return status_of(sample.main, ["out", *words]), *capsys.readouterr()

    return ask


def test_completions_counts_and_verdicts_and_prompts(run):
    status, out, _ = asked = run("1+1", "--k", "500")
    first, *rows = out.splitlines()
    assert status == 0 and first.startswith(" 1+ 1=")
    pattern = r" *(\d+) x  '(.*?)' +log p +(-[\d.]+)  (right|wrong|wrong: no end)"
    found = [re.fullmatch(pattern, row).groups() for row in rows]
    counts = [int(count) for count, *_ in found]
    assert sum(counts) == 500 and counts == sorted(counts, reverse=True)
    right = sum(int(count) for count, *_, verdict in found if verdict == "right")
    assert f"pass rate {right / 500:.3f} over 500 rollouts" in first
    assert all((verdict == "right") == (said == "2") for _, said, _, verdict in found)
    assert run("1+1", "--k", "500") == asked != run("1+1", "--k", "500", "--seed", "1")
    status, out, _ = run("--k", "3")  # held-out prompts of rising difficulty
    prompts = re.findall(r"^(.*=)  pass rate", out, re.MULTILINE)
    lengths = [len(prompt.replace(" ", "")) for prompt in prompts]
    assert status == 0 and len(prompts) == 5
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]


def test_wrong_use_is_one_line_and_status_2(run):
    for words, says in (("123+1=", "too long"), ("1-1=", "not a prompt"), ("1+1 --k 0", "from 1"),
                        ("--interactive", "terminal"), ("--device tpu", "cpu")):  # fmt: skip
        status, _, err = run(*words.split())
        assert status == 2 and says in err and len(err.splitlines()) == 1


def test_a_conversation(run, monkeypatch):
    """What cannot be read, or not even decoded, is answered and not the end; Ctrl-D is."""
    no_text = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    for end in ("", EOFError):
        typed = Mock(side_effect=["1^1", "999+1", no_text, "1+1", end])
        monkeypatch.setattr("builtins.input", typed)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        status, out, _ = run("--interactive")
        assert status == 0 and " 1+ 1=  pass rate" in out
        assert "'^'" in out and "too long" in out and "can't decode" in out
    monkeypatch.setattr("sys.stdin", None)
    assert run("--interactive")[0] == 2
