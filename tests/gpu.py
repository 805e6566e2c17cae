"""All that needs a GPU, in under ten minutes: `make gpu` runs it and writes results/gpu.json.

    make gpu               the tests that are marked cuda; bench.py --device cuda --peers; and two
                           runs of experiment 1, maxrl with 1,024 rollouts and cross-entropy

Each part is a process of its own, of a command that anybody can give. RESULTS.md says what came
out. Left out: bfloat16 beyond its tests, several GPUs, learning rates other than those for CPUs.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from harness.log import read_lines
from paper import tables
from paper.logs import RESULTS, ROOT, Logs, job_of
from reproduce import git

RUNS = ("maxrl k=1024", "ce")  # of sweep "convergence", its first seed


def python(*words: str) -> int:
    """Run a command of this project, its output on the screen; its exit status."""
    print("\npython", *words, flush=True)
    return subprocess.run([sys.executable, *words], cwd=ROOT).returncode


def training_run(label: str, folder: Path) -> dict[str, Any]:
    """A run of experiment 1: seconds and pass@1 at its end; {} if it failed."""
    flags = f"{job_of(Logs(), 'convergence', label, 8, None).flags} --device cuda"
    if python("train.py", *flags.split(), "--out", str(folder)):
        return {}
    last = read_lines(folder / "metrics.jsonl")[-1]
    return {"flags": flags, "seconds": last["seconds"], "pass@1": last["pass@1"]}


def measure(folder: Path) -> dict[str, Any]:
    """Everything gpu.json holds; {} for a part that failed."""
    start, bench = time.monotonic(), folder / "bench.json"
    files = sorted(map(str, ROOT.glob("tests/test_*.py")))
    passed = python("-m", "pytest", "-m", "cuda", *files) == 0
    measured: dict[str, Any] = {"tests": "pass" if passed else "fail", "bench": {}}
    if python("bench.py", "--device", "cuda", "--peers", "--json", str(bench)) == 0:
        measured["bench"] = json.loads(bench.read_text(encoding="utf-8"))
    measured["runs"] = {m: training_run(m, folder / m.replace(" ", "-")) for m in RUNS}
    about = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    about["commit"] = git("rev-parse", "--short", "HEAD")
    return about | {"minutes": (time.monotonic() - start) / 60} | measured


def whole(measured: dict[str, Any]) -> bool:
    """Whether all tests passed and no part failed."""
    return measured["tests"] == "pass" and all((measured["bench"], *measured["runs"].values()))


def main() -> int:
    """0, or 1 if something failed (what did not is kept), or one line and 2 without CUDA."""
    if not torch.cuda.is_available():
        print("make gpu: needs an NVIDIA GPU, and a torch that finds it", file=sys.stderr)
        return 2
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # TRL would take all that there are
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder))
    (RESULTS / "gpu.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    tables.write(ROOT)
    print(f"\n{tables.gpu()}")
    return 0 if whole(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
