"""The results, run and drawn: experiments on arithmetic.

    python reproduce.py --quick          one seed and short runs for every figure: under 10 minutes
    python reproduce.py                  all of it: what is missing, then the figures and tables
    python reproduce.py --only 3         one experiment (0: the default run)
    python reproduce.py --figures-only   nothing is run
    python reproduce.py --pack           nothing is run; what has ended is put into results/

Every run is one of train.py (the lists are in paper/sweeps.py); there is no training in here. A run
that has ended waits as a file in runs/reproduce, and at the end of its sweep it becomes a line of
its experiment's file in results/: command, commit, configuration, evaluations. It is not run again,
so an interrupted sweep goes on where it stopped; which runs choose a learning rate depends on those
before them. One sweep is finished before the next begins, and its figures and tables are made at
once. As many runs at a time as there are cores, one thread each. A run names its commit, so nothing
is run while code that it depends on has changes that are not committed. --quick leaves results/,
README.md and RESULTS.md alone: its logs and figures go to runs/quick.
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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output
from typing import Any

import torch
from tqdm import tqdm

import train
from compare import pyplot
from harness import log
from harness.checkpoint import replace_file
from harness.config import Parser, whole
from paper import figures, tables
from paper.logs import ROOT, Job, Logs, as_text, is_of, line_of, missing, pack, ready
from paper.measure import MEASUREMENTS
from paper.sweeps import EXPERIMENTS, SWEEPS, sweeps_of

OF_RUNS = ("*.py", ":!reproduce.py", ":!compare.py", ":!bench.py", ":!plain.py", ":!sample.py",
           ":!tests", ":!paper", ":!explorer", ":!homework", ":!recipes")  # fmt: skip
Work = tuple[Path, Callable[[], str]]  # the file that it leaves, and how


# ---------------------------------------------------------------------------------- running


class RunFailed(Exception):
    """A run of train.py that did not end well: what it printed."""


def do(job: Job, path: Path) -> str:
    """Make a run, resumed if it was cut off; keep its line in `path`."""
    out = path.with_suffix("")
    config = out / "config.json"
    cut_off = config.exists() and is_of(json.loads(config.read_text(encoding="utf-8")), job.flags)
    go_on = "--resume" if cut_off and (out / "ckpt.pt").exists() else "--overwrite"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = train.main([*job.flags.split(), "--out", str(out), go_on])
    if status:
        raise RunFailed(f"python train.py {job.flags}\n{printed.getvalue()}")
    line = line_of(job, out, commit())
    replace_file(path, as_text(line).encode())
    shutil.rmtree(out)
    end, figure = line["evaluations"][-1], SWEEPS[job.sweep].criterion
    return f"{end['seconds']:4.0f} s   {figure} {end[figure]:.3f}   {job.flags}"


@cache
def commit() -> str:
    """The commit that this process runs; "" without git."""
    return git("rev-parse", "--short", "HEAD").strip()


def git(*words: str) -> str:
    """What git says of this folder, or nothing."""
    try:
        return check_output(("git", "-C", str(ROOT), *words), text=True, stderr=DEVNULL)
    except (OSError, CalledProcessError):
        return ""


def one_thread() -> None:
    """How every worker begins."""
    commit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches it too; the parent kills it
    tqdm.set_lock(threading.RLock())  # its own would be left behind by a worker that is killed
    torch.set_num_threads(1)
    os.chdir(ROOT)  # warm starts are kept under runs/


def measure_once(measurement: Callable[[bool], dict[str, Any]], path: Path, quick: bool) -> str:
    """Into its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log.write_lines(path, [{"commit": commit(), "found": measurement(quick)}])
    return path.name


def do_all(work: Callable[[], Iterable[Work]], at_once: int) -> None:
    """Do what `work` lists until it lists nothing. It is asked again whenever something has ended:
    then there may be other work. Runs that are stopped will go on from their last evaluation."""
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=spawn, initializer=one_thread) as pool:
        at_hand: dict[Future[str], Path] = {}
        try:
            while True:
                for path, how in work():
                    if len(at_hand) == at_once:
                        break
                    if path not in at_hand.values():
                        at_hand[pool.submit(how)] = path
                if not at_hand:
                    return
                for future in wait(at_hand, return_when=FIRST_COMPLETED).done:
                    del at_hand[future]
                    print(f"  {future.result()}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()  # at any moment: a checkpoint is whole or not there
            raise


# ------------------------------------------------------------------------- what is to be done


@dataclass
class Plan:
    """The experiments that are not finished, in their order, and what is made when one is."""

    logs: Logs
    numbers: list[int]
    assets: Path

    def __post_init__(self) -> None:
        self.sweeps = [name for n in self.numbers for name in sweeps_of(n)]

    def work(self) -> Iterator[Work]:
        """What can be run now: of the first sweep that is not finished, then of those behind it.
        --quick tunes nothing: it takes the committed choice."""
        for number in list(self.numbers):
            for name in filter(self.sweeps.__contains__, sweeps_of(number)):
                jobs = missing(self.logs, name)
                if not jobs:
                    self.sweeps.remove(name)
                    pack(self.logs, [number])
                    print(f"{name} is complete", flush=True)
                for job in jobs:
                    path = self.logs.path_of(job)
                    yield path, partial(do, job, path)
            for measurement in MEASUREMENTS.get(number, ()):
                path = self.logs.folder / f"{measurement.__name__}.json"
                if not path.exists():
                    yield path, partial(measure_once, measurement, path, self.logs.quick)
            if ready(self.logs, number):
                self.numbers.remove(number)
                publish(self.logs, self.assets, [number])


def publish(logs: Logs, assets: Path, numbers: Iterable[int]) -> None:
    """The figures of those of the experiments that are all there; then the tables."""
    for number in numbers:
        if ready(logs, number):
            for path in figures.draw(logs, assets, number):
                print(path, flush=True)
    if not logs.quick:
        tables.write(ROOT)


def main() -> int:
    """The command line: 0, or one line on stderr and 2 (wrong use), 1 (failed), 130 (stopped)."""
    parser = Parser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    last = max(EXPERIMENTS)
    only = f"this experiment, 0 to {last}"
    parser.add_argument("--only", type=whole(0, last), metavar="N", help=only)
    parser.add_argument("--quick", action="store_true", help="one seed, shorter runs")
    parser.add_argument("--figures-only", action="store_true", help="run nothing")
    parser.add_argument("--pack", action="store_true", help="run nothing, put runs into results/")
    parser.add_argument("--jobs", type=whole(1), help="runs at a time (default: as many as cores)")
    args = parser.parse_args()
    try:
        pyplot()  # better known now than later if there is none
    except ImportError as error:
        parser.error(str(error))
    to_run = not (args.figures_only or args.pack)
    changed = git("diff", "HEAD", "--name-only", "--", *OF_RUNS).split()
    if to_run and changed and not args.quick:
        parser.error(f"commit {', '.join(changed)} first: a run names the commit that made it")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops like Ctrl-C
    os.chdir(ROOT)
    quick = ROOT / "runs" / "quick"
    logs = Logs(quick / "results", quick / "waiting", quick=True) if args.quick else Logs()
    assets = quick / "assets" if args.quick else ROOT / "assets"
    numbers = list(EXPERIMENTS) if args.only is None else [args.only]
    if args.pack:
        pack(logs, numbers)
    try:
        if to_run:
            do_all(Plan(logs, numbers, assets).work, args.jobs or os.cpu_count() or 1)
        else:
            publish(logs, assets, numbers)
    except (RunFailed, BrokenProcessPool) as error:
        print(f"reproduce.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("reproduce.py: stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
