"""`make homework`, which fails if anything wrong gets points, and the public tests of the kit."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DIST = ROOT / "homework" / "dist"


def test_the_release_and_its_public_tests(tmp_path):
    """The public tests all fail for the starter, and pass for the reference."""

    def run(folder, *words):
        words = [sys.executable, *words]
        return subprocess.run(words, cwd=folder, capture_output=True, text=True)

    done = run(ROOT, "homework/release.py")
    assert done.returncode == 0 and "the reference has 80 points" in done.stdout, done
    zipfile.ZipFile(DIST / "student.zip").extractall(tmp_path)
    tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_public.py")
    red = run(tmp_path, *tests)
    assert red.returncode == 1 and " passed" not in red.stdout
    zipfile.ZipFile(DIST / "reference.zip").extract("solution.py", tmp_path)
    assert (green := run(tmp_path, *tests)).returncode == 0, green.stdout
