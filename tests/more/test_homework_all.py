"""All of the homework: released, graded as Gradescope would, run in a notebook as the README says.

Minutes. The release itself is the test of the variants: it fails if one is not as it is listed.
"""

import csv
import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DIST = ROOT / "homework" / "dist"
sys.path.append(str(ROOT / "homework"))

import sandbox as sandboxes  # noqa: E402
from sandbox import Call, NotConfined, Sandbox  # noqa: E402

REFERENCE = "reference@example.edu"


@pytest.fixture(scope="session")
def released():
    """`make homework`."""
    command = [sys.executable, "homework/release.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unzipped(name: str, place: Path) -> Path:
    """One of the archives, unpacked, with the permissions it has inside."""
    with zipfile.ZipFile(DIST / name) as archive:
        archive.extractall(place)
        for info in archive.infolist():
            os.chmod(place / info.filename, info.external_attr >> 16)
    return place


def test_the_release_prints_the_matrix(released):
    assert "the reference has 80 points, the starter 0" in released
    assert "NOT AS LISTED" not in released and "maxrl__mean_of_the_batch" in released


def test_building_twice_gives_the_same_bytes(released):
    import archives

    start = DIST / "start.pt"
    for name, files in (
        ("student.zip", archives.student_files),
        ("autograder.zip", archives.grader_files),
    ):
        assert archives.packed(files(start)) == (DIST / name).read_bytes()


@pytest.fixture
def autograder(released, tmp_path):
    """Gradescope's root with the archive in it; call it to grade submission/."""
    root = tmp_path / "root"
    unzipped("autograder.zip", root / "source")
    (root / "submission").mkdir()
    (root / "results").mkdir()
    users = [{"email": "zoe@example.edu", "id": 2}, {"email": "Reference@Example.edu", "id": 1}]
    (root / "submission_metadata.json").write_text(json.dumps({"id": 7, "users": users}))

    def run() -> dict:
        assert (root / "source/run_autograder").stat().st_mode & stat.S_IXUSR
        environment = {**os.environ, "AUTOGRADER_ROOT": str(root), "PYTHON": sys.executable}
        environment.pop("PYTHONPATH", None)
        command = [str(root / "source/run_autograder")]
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        return json.loads((root / "results/results.json").read_text())

    run.submission = root / "submission"
    return run


def check_schema(results: dict) -> None:
    """Gradescope's format: what must be there, and nothing that it does not know."""
    known = {"score", "execution_time", "output", "visibility", "stdout_visibility", "extra_data"}
    assert results.keys() <= known | {"tests", "leaderboard"}
    assert "score" not in results  # it would override the sum
    for test in results["tests"]:
        assert {"score", "max_score", "status", "name", "output"} <= test.keys()
        assert 0 <= test["score"] <= test["max_score"] and test["status"] in ("passed", "failed")
        assert test["visibility"] == "visible"  # a hidden one would hide the total
        assert all(type(test[x]) in (int, float) for x in ("score", "max_score"))


def test_gradescope_gives_the_reference_80_points(autograder):
    unzipped("reference.zip", autograder.submission)
    results = autograder()
    check_schema(results)
    assert [t for t in results["tests"] if t["status"] == "failed"] == []
    assert sum(test["score"] for test in results["tests"]) == pytest.approx(80)
    assert REFERENCE in results["output"]  # the member of the team whose address comes first


@pytest.mark.parametrize("content", ["nothing", "rubbish", "a link", "the starter"])
def test_gradescope_survives_what_is_handed_in(autograder, content):
    if content == "rubbish":
        (autograder.submission / "solution.py").write_bytes(b"\x00\xff" * 999)
        (autograder.submission / "answers.json").write_text("{" * 10**5)
    elif content == "a link":
        os.symlink("/", autograder.submission / "solution.py")
        os.symlink("/", autograder.submission / "runs")
    elif content == "the starter":
        unzipped("student.zip", autograder.submission)
    results = autograder()
    check_schema(results)
    assert sum(test["score"] for test in results["tests"]) == 0


def test_a_class_is_graded_into_a_table(released, tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    (folder / f"{REFERENCE}.zip").write_bytes((DIST / "reference.zip").read_bytes())
    unzipped("reference.zip", folder / "other@example.edu")
    (folder / "broken@example.edu.zip").write_bytes(b"PK not a zip")
    table = tmp_path / "grades.csv"
    command = [sys.executable, ROOT / "homework/grade.py", "--all", folder, "--csv", table]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0
    points = {row["student"]: float(row["points"]) for row in csv.DictReader(table.open())}
    assert points[REFERENCE] == 80 and points["broken@example.edu"] == 0
    assert 30 < points["other@example.edu"] < 60  # part A and D are anybody's
    check_schema(json.loads((folder / f"{REFERENCE}.results.json").read_text()))


def test_public_tests_pass_for_the_reference_and_fail_for_the_starter(released, tmp_path):
    folder = unzipped("student.zip", tmp_path / "homework")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_public.py"]
    red = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert red.returncode == 1 and " passed" not in red.stdout
    with zipfile.ZipFile(DIST / "reference.zip") as archive:
        archive.extract("solution.py", folder)
    green = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert green.returncode == 0, green.stdout


def test_the_cells_of_the_readme_run_in_a_kernel(released, tmp_path):
    """With the reference in place of the starter, and one of the twelve runs."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    with (
        zipfile.ZipFile(DIST / "student.zip") as theirs,
        zipfile.ZipFile(DIST / "reference.zip") as ours,
    ):
        files = {name: theirs.read(name) for name in theirs.namelist()}
        files["solution.py"] = ours.read("solution.py")
    import archives

    (tmp_path / "student.zip").write_bytes(archives.packed(files))
    cells = re.findall(
        r"```python\n(.*?)```", (ROOT / "homework/student/README.md").read_text(), re.S
    )
    assert len(cells) == 6
    cells = [c.replace("!bash runs.sh", "!tail -n 1 runs.sh > one.sh; bash one.sh") for c in cells]
    cells = [c.replace("ada@example.edu", REFERENCE) for c in cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    words = {
        "timeout": 600,
        "kernel_name": "python3",
        "resources": {"metadata": {"path": str(tmp_path)}},
    }
    nbclient.NotebookClient(notebook, **words).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.outputs)
    assert "29 passed" in said and "pass@1024" in said and "Traceback" not in said, said
    assert (tmp_path / "homework/runs/exact-inf/ckpt.pt").exists()
    assert "ckpt.pt" in " ".join(zipfile.ZipFile(tmp_path / "homework/handin.zip").namelist())


@pytest.mark.parametrize("namespaces", [True, False])
def test_a_session_sees_no_file_or_it_is_not_begun(namespaces, monkeypatch, tmp_path):
    """Without namespaces only root can see to that, and who trusts a submission need not."""
    if not namespaces:  # a server like ours, which the kernel has them refused to
        text = Path(sandboxes.__file__).read_text()
        (tmp_path / "server.py").write_text(text.replace("LIBC.unshare(namespaces)", "-1"))
        monkeypatch.setattr(sandboxes, "__file__", str(tmp_path / "server.py"))
    source = b"import os, decimal, numpy.random\ndef f(): return os.listdir('/') + os.listdir('.')"
    root, linux = os.getuid() == 0, sys.platform == "linux"
    try:
        with Sandbox() as sandbox:
            sandbox.load(source)
            assert sandbox.calls([Call("f", [])])[0].value == []
            assert sandbox.is_confined and (sandbox.is_alone or not linux)
    except NotConfined:
        assert not root and not (namespaces and linux)
        with Sandbox(trust=True) as sandbox:
            assert not sandbox.is_confined
