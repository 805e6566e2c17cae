"""bench.py: its bookkeeping is right."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from conftest import CPU, one_line, tiny_model, written

import bench
import rollouts as rollouts_module
import tree


def test_turns(monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(bench, "timed", lambda call: call() or next(clock) * 0)
    seconds = bench.alternate({"a": lambda: 1.0, "b": lambda: 5.0, "c": lambda: 50.0}, 4, most=8.0)
    assert seconds == {"a": [1.0] * 4, "b": [5.0], "c": [50.0]}


def test_nodes_by_hand(monkeypatch):
    """Nodes: 4, 46, 47 of one prompt; 4, 46 of the other. By itself `46` runs two tokens, for its
    end is only predicted; so does `47`, `4` runs one and the empty text none."""
    model, task, config = tiny_model("--k 6")
    case = bench.Case("cold", config, task, model)
    sampled = written((0, "46", 3), (0, "47", 1), (0, "4", 1), (0, "", 1), (2, "46", 2))
    monkeypatch.setattr(rollouts_module, "roll_out", lambda *_: sampled)
    distinct, every = 2 + 2 + 1 + 0 + 2, 3 * 2 + 2 + 1 + 0 + 2 * 2
    assert [*bench.tree_sizes(case).values()] == [5, distinct, every]
    one_by_one = replace(case, config=replace(case.config, micro_batch=1))
    assert bench.tree_sizes(one_by_one)["nodes"] == distinct, "nothing is shared"
    monkeypatch.setattr(tree, "WIDTH", 2)  # `4`, which ends the second row, is in both
    assert bench.tree_sizes(case)["nodes"] == 3 + 1 + 2


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
    assert all(f"warm, 6 prompts x {k}" in results["nodes"] for k in (8, 1024))
    assert all(name in out for name in results["nodes"])
    bench.sys.argv = started[1][1:]  # that process prints its peak, and nothing else
    bench.main()
    assert float(capsys.readouterr().out) == pytest.approx(bench.peak_mb(CPU), rel=0.1)


@pytest.mark.parametrize(
    "flags, says",
    [("--n-embd 15", "multiple"), ("--device cuda", "not av"), ("--n-head 0", "from 1"),
     ("--json no/x", "that exists"), ("--json /", "that exists"), ("--sft-until 0", "from 1e-12")],
)  # fmt: skip
def test_wrong_use_is_one_line(monkeypatch, capsys, flags, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(bench.sys, "argv", ["bench.py", *flags.split()])
    assert bench.main() == 2 and says in one_line(capsys)
