"""All of the homework: `make homework`, and the public tests of the kit. Minutes.

The release is itself the test of the grader: it fails if anything wrong gets points.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DIST = ROOT / "homework" / "dist"


def test_the_release_and_its_public_tests(tmp_path):
    """They all fail for the starter, and pass for the reference."""
    command = [sys.executable, "homework/release.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the reference has 80 points" in done.stdout
    zipfile.ZipFile(DIST / "student.zip").extractall(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_public.py"]
    red = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert red.returncode == 1 and " passed" not in red.stdout
    zipfile.ZipFile(DIST / "reference.zip").extract("solution.py", tmp_path)
    green = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert green.returncode == 0, green.stdout
