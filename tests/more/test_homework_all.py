"""All of the homework: `make homework`, the public tests of the kit, and hostile code. Minutes.

The release is itself the test of the grader: it fails if anything wrong gets points.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DIST = ROOT / "homework" / "dist"
sys.path.append(str(ROOT / "homework"))

import sandbox as sandboxes  # noqa: E402
from sandbox import Call, Failed, Sandbox  # noqa: E402


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


HOSTILE = b"""
import os, time, torch
def leave(): os._exit(0)
def crash(): import ctypes; ctypes.string_at(0)
def loop():
    while True: print('still here')
def flood(): return 'x' * 10**7
def close(): os.closerange(0, 64)
def sleep(): time.sleep(99)
def mute(): os.closerange(0, 64), time.sleep(99)
def half():
    for stream in range(64):
        try: os.write(stream, b'{')
        except OSError: pass
    time.sleep(99)
def allocate(): return torch.zeros(10**10)
"""


def test_a_process_that_ends_loops_or_floods_costs_its_function_only(monkeypatch):
    monkeypatch.setattr(sandboxes, "MOST_LOST", 9)
    sandbox = Sandbox(trust=True)
    sandbox.load(HOSTILE)
    for name, why in (("leave", "ended"), ("crash", "crashed"), ("loop", "within 2 s"),
                      ("close", "ended"), ("flood", "not an answer")):  # fmt: skip
        with pytest.raises(Failed, match=f"^{name} .*{why}"):
            sandbox.calls([Call(name, [])])
    assert "RuntimeError (line 16" in sandbox.calls([Call("allocate", [])])[0]["error"]
    monkeypatch.setattr(sandboxes, "WALL_SECONDS", 3)
    for name in ("sleep", "mute", "half"):
        with pytest.raises(Failed, match=f"^{name} .+ by the clock"):
            sandbox.calls([Call(name, [])])
    sandbox.load(b"import os; os._exit(0)")
    with pytest.raises(Failed, match=r"^solution\.py ended its process"):
        sandbox.calls([Call("verify", ["", ""])])
