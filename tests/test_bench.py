"""bench.py: its bookkeeping is right."""

import json
from types import SimpleNamespace

import pytest
import torch
from conftest import CPU, one_line

import bench


def test_turns(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(bench, "timed", lambda call: call() or next(clock) * 0)
    seconds = bench.alternate({"a": lambda: 1.0, "b": lambda: 5.0, "c": lambda: 50.0}, 4, most=8.0)
    assert seconds == {"a": [1.0] * 4, "b": [5.0], "c": [50.0]}


def test_the_command(tmp_path, monkeypatch, capsys):
    """Small sizes, no peers: they are asked for, their absence is said, the rest is measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "SCALING_K", (8, 1024))
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    started = []
    found = SimpleNamespace(stdout="91.5")
    monkeypatch.setattr(bench.subprocess, "run", lambda words, **_: started.append(words) or found)
    flags = "--batch-size 6 --k 4 --digits 1 --n-layer 1 --n-head 2 --n-embd 16 --sft-steps 0"
    monkeypatch.setattr(bench.sys, "argv", ["bench.py", *flags.split(), "--rounds", "1", "--peers"])
    bench.main()
    assert [words[2] for words in started] == ["--memory=0", "--memory=8", "--memory=1024"]
    out = capsys.readouterr().out
    assert "recipes/requirements-trl.txt" in out
    results = json.loads((tmp_path / "bench.json").read_text())
    for part in ("sampling", "step"):
        for rows in results[part].values():
            assert set(rows) == {"plain.py", "ours"}
            assert rows["ours"]["vs_ours"] == 1 and all(r["median_s"] > 0 for r in rows.values())
    assert {row["k"]: row["peak_mb"] for row in results["scaling"]["rows"]} == {8: 91.5, 1024: 91.5}
    bench.sys.argv = started[1][1:]  # that process prints its peak, and nothing else
    bench.main()
    assert float(capsys.readouterr().out) == pytest.approx(bench.peak_mb(CPU), rel=0.1)


@pytest.mark.parametrize(
    "flags, says",
    [("--n-embd 15", "multiple"), ("--device cuda", "not av"), ("--n-head 0", "from 1"),
     ("--json no/x", "no/x"), ("--json /", "--json /"), ("--sft-until 0", "from 1e-12")],
)  # fmt: skip
def test_wrong_use_is_one_line(monkeypatch, capsys, flags, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(bench.sys, "argv", ["bench.py", *flags.split()])
    assert bench.main() == 2 and says in one_line(capsys)
