"""All of the homework: released, its public tests, and its README's cells in a notebook. Minutes.

The release is itself the test of the grader: it fails if anything wrong gets points.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DIST = ROOT / "homework" / "dist"


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """`make homework`, and the student's archive, unpacked."""
    command = [sys.executable, "homework/release.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the reference has 80 points" in done.stdout
    folder = tmp_path_factory.mktemp("kit")
    zipfile.ZipFile(DIST / "student.zip").extractall(folder)
    return folder


def test_public_tests_fail_for_the_starter_and_pass_for_the_reference(kit):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_public.py"]
    red = subprocess.run(command, cwd=kit, capture_output=True, text=True)
    assert red.returncode == 1 and " passed" not in red.stdout
    zipfile.ZipFile(DIST / "reference.zip").extract("solution.py", kit)
    green = subprocess.run(command, cwd=kit, capture_output=True, text=True)
    assert green.returncode == 0, green.stdout


def test_the_cells_of_the_readme_run_in_a_kernel(kit, tmp_path):
    """With the reference in place of the starter, and one of the twelve runs."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    zipfile.ZipFile(DIST / "reference.zip").extract("solution.py", kit)
    with zipfile.ZipFile(tmp_path / "student.zip", "w") as archive:
        for path in kit.glob("*.*"):
            archive.write(path, path.name)
    cells = re.findall(r"```python\n(.*?)```", (kit / "README.md").read_text(), re.S)
    cells = [c.replace("!bash runs.sh", "!tail -n 1 runs.sh > one.sh; bash one.sh") for c in cells]
    cells = [c.replace("ada@example.edu", "reference@example.edu") for c in cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", resources=place).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.outputs)
    assert " passed" in said and "pass@1024" in said and "Traceback" not in said, said
    assert (tmp_path / "homework/handin.zip").exists()
