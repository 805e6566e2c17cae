"""lesson.ipynb runs from top to bottom, and is stored with what it printed and drew."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).resolve().parent.parent.parent


def outputs(cell) -> list[str]:
    """The text of each output of a cell, or its formats."""
    return [out.get("text") or " ".join(sorted(out.get("data", ()))) for out in cell.outputs]


def test_the_notebook_runs_whole(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stored = nbformat.read(ROOT / "lesson.ipynb", 4)
    assert len(stored.cells) <= 25
    fresh = nbformat.read(ROOT / "lesson.ipynb", 4)
    resources = {"metadata": {"path": str(ROOT)}}
    nbclient.NotebookClient(fresh, timeout=1200, resources=resources).execute()
    for old, new in zip(stored.cells, fresh.cells, strict=True):
        if old.cell_type == "code":
            shown = [out for out in outputs(old) if "image/png" in out]
            assert shown == [out for out in outputs(new) if "image/png" in out]
            assert bool(outputs(old)) == bool(outputs(new)), "stored with its outputs"
    curves = next(cell for cell in fresh.cells if "plain.learn" in cell.source)
    assert "image/png" in outputs(curves)[-1], "the curves are left on the page"
