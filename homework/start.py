"""The small checkpoint that all runs of the homework start from: start.pt, in both archives.

170 steps of cross-entropy on two-digit addition, a few seconds: right about once in 17 tries, and
nearly always once in 1,024. Made by train.py, without what only --resume needs. Left out: the
flags of the runs that start from it (personal.py).
"""

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START = Path(__file__).resolve().parent / "dist" / "start.pt"
MADE_BY = (
    "--method ce --digits 2 --reverse --n-layer 1 --n-head 2 --n-embd 32 --batch-size 128 "
    "--lr 3e-3 --steps 170 --eval-every 170 --sft-steps 0 --eval-prompts 100 --device cpu"
)

sys.path.insert(0, str(ROOT))  # the project's own modules, from wherever this is called


def train_quietly(flags: list[str]) -> None:
    """train.py, in this process; RuntimeError with what it says if it fails."""
    import torch

    import train

    os.environ["TQDM_DISABLE"] = "1"
    said = io.StringIO()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as small as it is, threads only get in each other's way
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status: int | str | None = train.main(flags)
    except SystemExit as exit_:
        status = exit_.code
    finally:
        torch.set_num_threads(threads)
    if status == 130:  # train.py's word for a Ctrl-C, which was meant for us
        raise KeyboardInterrupt
    if status:
        raise RuntimeError(said.getvalue().strip().splitlines()[-1])


def start() -> Path:
    """The checkpoint; it is made if it is not there."""
    if not START.exists():
        import torch

        from harness import checkpoint

        START.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            train_quietly([*MADE_BY.split(), "--out", folder])
            content = torch.load(Path(folder) / "ckpt.pt", weights_only=True)
        needed = {name: content[name] for name in ("config", "model_config", "model", "step")}
        needed["config"]["out"] = None  # the folder has another name each time
        checkpoint.save(START, needed)
    return START
