"""pip install .: other trainers get the estimators, and nothing else of this folder."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WHEEL = "pip --disable-pip-version-check -q wheel --no-deps --no-build-isolation --wheel-dir"


def test_it_holds_two_modules_and_the_licence_and_is_imported_from_anywhere(tmp_path):
    """The wheel of a copy of the root, which an interpreter imports that knows nothing else."""
    source = tmp_path / "source"
    folders = shutil.ignore_patterns(".*", "runs", "results", "build", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=folders)
    subprocess.run([sys.executable, "-m", *WHEEL.split(), tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (path,) = (name for name in names if name.endswith("/METADATA"))
        about = archive.read(path).decode()
    assert {name for name in names if ".dist-info/" not in name} == {"maxrl.py", "graded.py"}
    assert any(name.endswith("/LICENSE") for name in names)
    needs = [line for line in about.splitlines() if line.startswith("Requires")]
    assert sorted(needs) == ["Requires-Dist: torch>=2.6", "Requires-Python: >=3.10"]

    code = f"""
import sys
sys.path.insert(0, {str(wheel)!r})  # an archive is imported from as a folder is
import torch, maxrl
print(maxrl.__file__)
print(maxrl.ADVANTAGES["maxrl-loo"](torch.tensor([[0.5, 0.5, 0.2]]), order=1).mul(100).round())
"""
    words = [sys.executable, "-I", "-c", code]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    file, fractions = done.stdout.splitlines()
    assert file == str(wheel / "maxrl.py")
    assert fractions == "tensor([[ 15.,  15., -30.]])"
