"""The paper's claims, run and drawn: experiments on arithmetic.

    python reproduce.py --quick          one seed and short runs for every figure: under 10 minutes
    python reproduce.py                  all of it: what is missing in results/, then the figures
    python reproduce.py --only 3         one experiment (0: the default run)
    python reproduce.py --figures-only   nothing is run

Every run is one of train.py (the lists are in paper/sweeps.py); there is no training in here. Its
log goes to results/<sweep>/<run>.jsonl: the command and the configuration, then its evaluations. A
run whose log is there is not run again, so an interrupted sweep goes on where it stopped; which
runs choose a learning rate depends on those before them, and is read off their logs. One sweep is
finished before the next begins, and its figures and tables are made at once. As many runs at a time
as there are cores, one thread each: that uses them better than threads do. --quick leaves results/,
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
from harness.config import Parser, whole
from paper import tables
from paper.figures import FIGURES, draw
from paper.logs import (
    RESULTS,
    Logs,
    compact,
    complete,
    is_of,
    missing_runs,
    missing_tuning,
    ready,
    superfluous,
    tuned_in,
)
from paper.measure import MEASUREMENTS
from paper.sweeps import SWEEPS, sweeps_of

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
    figures: tuple[str, ...]  # that the log keeps


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
    lines = compact(Path(job.out), job.flags, commit(), job.figures)
    log.write_lines(job.log, lines)
    shutil.rmtree(job.out)
    figure = job.figures[0]
    return f"{lines[-1]['seconds']:4.0f} s   {figure} {lines[-1][figure]:.3f}   {job.flags}"


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


def measure_once(measurement: Callable[[bool], dict[str, Any]], log_path: Path, quick: bool) -> str:
    """Into its log."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log.write_lines(log_path, [{"commit": commit(), "found": measurement(quick)}])
    return log_path.name


Work = tuple[Path, Callable[[], str]]  # the log that it leaves, and how


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


def work_of(logs: Logs, sweep: str) -> Iterator[Work]:
    """What can be run of a sweep now: tuning runs, and runs whose learning rate is chosen.
    --quick tunes nothing: it takes the committed choice."""
    parts = {sweep: missing_runs(logs, sweep)}
    if not logs.quick:
        parts = {f"{tuned_in(sweep)}/tuning": missing_tuning(sweep)} | parts
    folder = "runs/reproduce/quick" if logs.quick else "runs/reproduce"
    for part, runs in parts.items():
        for run, flags in runs.items():
            path = logs.path(part, run)
            job = Job(flags, f"{folder}/{part}/{run}", path, SWEEPS[sweep].figures)
            yield path, partial(do, job)


def measurements_of(logs: Logs, numbers: Iterable[int]) -> Iterator[Work]:
    """The measurements of these experiments that are not there."""
    for number in numbers:
        for measurement in MEASUREMENTS.get(number, ()):
            path = logs.folder / f"{measurement.__name__}.json"
            if not logs.has_measured(measurement.__name__):
                yield path, partial(measure_once, measurement, path, logs.quick)


@dataclass
class Plan:
    """The sweeps and the experiments that are not finished, and what is made when one is."""

    logs: Logs
    numbers: list[int]  # of the experiments
    sweeps: list[str]  # in their order
    assets: Path

    def __post_init__(self) -> None:
        self.unpublished = list(self.numbers)

    def work(self) -> Iterator[Work]:
        """First comes what the first sweep needs, and what is measured for its experiments."""
        self.publish_finished()
        of_no_sweep = [n for n in self.numbers if not sweeps_of(n)]
        yield from measurements_of(self.logs, of_no_sweep)
        for name in list(self.sweeps):
            if complete(self.logs, name):
                self.finish(name)
            else:
                yield from work_of(self.logs, name)
                of_it = [n for n in self.numbers if name in sweeps_of(n)]
                yield from measurements_of(self.logs, of_it)
        yield from measurements_of(self.logs, self.numbers)

    def finish(self, name: str) -> None:
        """The sweep leaves the list, and what older lists left in its folder goes."""
        print(f"{name} is complete", flush=True)
        self.sweeps.remove(name)
        if not self.logs.quick:
            for path in superfluous(name):
                path.unlink()
        self.publish_finished()

    def publish_finished(self) -> None:
        """The figures and tables of experiments that have come to their end since."""
        waiting = [n for n in self.unpublished if not set(sweeps_of(n)) & set(self.sweeps)]
        new = [n for n in waiting if not list(measurements_of(self.logs, [n]))]
        if new:
            self.unpublished = [n for n in self.unpublished if n not in new]
            self.publish(new)

    def publish(self, numbers: list[int]) -> None:
        """The figures of those of the experiments that are all there; then the tables."""
        for number in numbers:
            if ready(self.logs, number):
                for path in draw(self.logs, self.assets, number):
                    print(path, flush=True)
        if not self.logs.quick:
            tables.write(ROOT)


def main() -> int:
    """The command line: 0, or one line on stderr and 2 (wrong use), 1 (failed), 130 (stopped)."""
    parser = Parser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    only = f"this experiment, 0 to {max(FIGURES)}"
    parser.add_argument("--only", type=whole(0, max(FIGURES)), metavar="N", help=only)
    parser.add_argument("--quick", action="store_true", help="one seed, shorter runs")
    parser.add_argument("--figures-only", action="store_true", help="run nothing")
    parser.add_argument("--jobs", type=whole(1), help="runs at a time (default: as many as cores)")
    args = parser.parse_args()
    try:
        pyplot()  # better known now than later if there is none
    except ImportError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops like Ctrl-C
    os.chdir(ROOT)
    quick = Path("runs/quick")
    logs = Logs(quick / "results", quick=True) if args.quick else Logs(RESULTS)
    numbers = list(FIGURES) if args.only is None else [args.only]
    sweeps = [name for name in SWEEPS if any(name in sweeps_of(n) for n in numbers)]
    plan = Plan(logs, numbers, sweeps, quick / "assets" if args.quick else Path("assets"))
    try:
        if not args.figures_only:
            do_all(plan.work, args.jobs or os.cpu_count() or 1)
        plan.publish(numbers)
    except (RunFailed, BrokenProcessPool) as error:
        print(f"reproduce.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("reproduce.py: stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
