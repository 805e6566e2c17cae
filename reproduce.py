"""The paper's claims, run and drawn: eight experiments on arithmetic.

    python reproduce.py --quick          one seed and short runs for every figure: under 10 minutes
    python reproduce.py                  all of it: what is missing in results/, then the figures
    python reproduce.py --only 3         one experiment (0: the default run)
    python reproduce.py --figures-only   nothing is run

Every run is one of train.py (the lists are in paper/sweeps.py); there is no training in here. Its
log goes to results/<sweep>/<run>.jsonl: the command and the configuration, then its evaluations. A
run whose log is there is not run again, so an interrupted sweep goes on where it stopped. As many
runs at a time as there are cores, one thread each: that uses them better than threads do. --quick
leaves results/, README.md and RESULTS.md alone: its logs and figures go to runs/quick.
"""

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output
from typing import Any

import torch
from tqdm import tqdm

import train
from compare import pyplot
from harness import log
from harness.config import Parser, whole
from paper import tables
from paper.figures import FIGURES, draw
from paper.logs import RESULTS, Logs, chosen, compact, is_of, tuned
from paper.measure import MEASUREMENTS
from paper.sweeps import SWEEPS, reported_runs, tuning_runs

ROOT = Path(__file__).resolve().parent


# ---------------------------------------------------------------------------------- running


class RunFailed(Exception):
    """A run of train.py that did not end well: what it printed."""


@dataclass(frozen=True)
class Job:
    """A run whose log is missing."""

    flags: str  # of train.py
    out: str  # the folder it trains in
    log: Path


def missing(logs: Logs, sweep: str, runs: dict[str, str]) -> list[Job]:
    """The jobs of a sweep that have no log, or the log of a run with other flags."""
    folder = "runs/reproduce/quick" if logs.quick else "runs/reproduce"
    return [
        Job(flags, f"{folder}/{sweep}/{run}", logs.path(sweep, run))
        for run, flags in runs.items()
        if not (
            logs.path(sweep, run).exists() and is_of(logs.lines(sweep, run)[0]["config"], flags)
        )
    ]


def do(job: Job) -> str:
    """Make a run, resumed if it was cut off; keep its log only."""
    config = Path(job.out, "config.json")
    cut_off = config.exists() and is_of(json.loads(config.read_text(encoding="utf-8")), job.flags)
    go_on = "--resume" if cut_off and config.with_name("ckpt.pt").exists() else "--overwrite"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = train.main([*job.flags.split(), "--out", job.out, go_on])
    if status:
        raise RunFailed(f"python train.py {job.flags}\n{printed.getvalue()}")
    job.log.parent.mkdir(parents=True, exist_ok=True)
    lines = compact(Path(job.out), job.flags, commit())
    log.write_lines(job.log, lines)
    shutil.rmtree(job.out)
    return f"{lines[-1]['seconds']:4.0f} s   pass@1 {lines[-1]['pass@1']:.3f}   {job.flags}"


@cache
def commit() -> str:
    """The commit that this process runs, with a + if its code was changed since; "" without git."""
    git = ("git", "-C", str(ROOT))
    try:
        name = check_output([*git, "rev-parse", "--short", "HEAD"], text=True, stderr=DEVNULL)
        changed = check_output([*git, "diff", "HEAD", "--name-only", "--", "*.py"], text=True)
    except (OSError, CalledProcessError):
        return ""
    return name.strip() + ("+" if changed else "")


def one_thread() -> None:
    """How every worker begins."""
    commit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches it too; the parent kills it
    tqdm.set_lock(threading.RLock())  # its own would be left behind by a worker that is killed
    torch.set_num_threads(1)
    os.chdir(ROOT)  # warm starts are kept under runs/


def do_all(todo: list[Job], at_once: int) -> None:
    """Make the runs. Those at hand when this is stopped will go on from their last evaluation."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=spawn, initializer=one_thread) as pool:
        try:
            futures = [pool.submit(do, job) for job in todo]
            for i, future in enumerate(as_completed(futures), 1):
                print(f"  {i}/{len(todo)} {future.result()}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()  # at any moment: a checkpoint is whole or not there
            raise


def run_sweep(name: str, logs: Logs, at_once: int) -> None:
    """Choose the learning rates (--quick takes the committed choice), then make the runs."""
    sweep = SWEEPS[name]
    print(f"{name}:", flush=True)
    if not logs.quick:
        do_all(missing(logs, f"{name}/tuning", tuning_runs(sweep)), at_once)
    for arm, tried in tuned(name).items():
        values = ", ".join(f"{rate}: {value:.4f}" for rate, value in tried.items())
        if values:
            print(f"  {arm}: held-out {sweep.criterion} by learning rate: {values}", flush=True)
    do_all(missing(logs, name, reported_runs(sweep, chosen(name), logs.quick)), at_once)


def measure_once(measurement: Callable[[bool], dict[str, Any]], logs: Logs) -> None:
    """Into results/, if it is not there."""
    path = logs.folder / f"{measurement.__name__}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        log.write_lines(path, [measurement(logs.quick)])
        print(f"  {path.name}", flush=True)


def main() -> int:
    """The command line: 0, or one line on stderr and 2 (wrong use), 1 (failed), 130 (stopped)."""
    parser = Parser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    only = f"this experiment, 0 to {max(FIGURES)}; leaves all tables as they are"
    parser.add_argument("--only", type=whole(0, max(FIGURES)), metavar="N", help=only)
    parser.add_argument("--quick", action="store_true", help="one seed, shorter runs")
    parser.add_argument("--figures-only", action="store_true", help="run nothing")
    parser.add_argument("--jobs", type=whole(1), help="runs at a time (default: as many as cores)")
    args = parser.parse_args()
    pyplot()  # better known now than later if there is none
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops like Ctrl-C
    os.chdir(ROOT)
    quick = Path("runs/quick")
    logs = Logs(quick / "results", quick=True) if args.quick else Logs(RESULTS)
    assets = quick / "assets" if args.quick else Path("assets")
    numbers = list(FIGURES) if args.only is None else [args.only]
    try:
        if not args.figures_only:
            for name, sweep in SWEEPS.items():
                if sweep.number in numbers or set(numbers) & set(sweep.also):
                    run_sweep(name, logs, args.jobs or os.cpu_count() or 1)
            for number in set(MEASUREMENTS) & set(numbers):
                measure_once(MEASUREMENTS[number], logs)
        for number in numbers:
            for path in draw(logs, assets, number):
                print(path, flush=True)
    except (RunFailed, BrokenProcessPool) as error:
        print(f"reproduce.py: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(
            f"reproduce.py: {error.filename} is missing: run without --figures-only",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("reproduce.py: stopped; the same command goes on", file=sys.stderr)
        return 130
    if args.only is None and not args.quick:
        tables.write(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
