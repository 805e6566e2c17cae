"""The results, run and drawn: experiments on arithmetic.

    python reproduce.py --quick          one seed and short runs for every figure: under 10 minutes
    python reproduce.py                  all of it: what is missing, then the figures and tables
    python reproduce.py --only 3         one experiment (0: the default run)
    python reproduce.py --figures-only   nothing is run

Every run is a process of train.py in runs/reproduce (the lists are in paper/sweeps.py). One that
has ended becomes a line of its sweep's file in results/ (command, commit, configuration,
evaluations) and is not made again, so an interrupted sweep picks up where it stopped. Figures and
tables are made when their experiment is complete. A run names its commit, so none is started while
the code it depends on has uncommitted changes. --quick keeps everything in runs/quick.
"""

import json
import os
import shutil
import signal
import sys
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, run

from compare import pyplot
from harness import UsageError
from harness.command import Parser, command
from harness.config import whole
from harness.log import read_lines
from paper import figures, tables
from paper.logs import ROOT, Job, Logs, add, is_measured, is_of, missing, ready
from paper.measure import MEASUREMENTS
from paper.sweeps import EXPERIMENTS, SWEEPS, sweeps_of

NOT_OF_RUNS = ("reproduce.py", "compare.py", "bench.py", "plain.py", "sample.py", "tests", "paper",
               "explorer", "homework", "recipes")  # fmt: skip


def git(*words: str) -> str:
    """What git says about this folder, or nothing."""
    try:
        return run(("git", "-C", ROOT, *words), capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def begin(job: Job) -> Popen[str]:
    """Start a run, or go on with it if it was cut off."""
    cut_off = any(is_of(config, job.flags) for config in read_lines(job.out / "config.json"))
    go_on = "--resume" if cut_off and (job.out / "ckpt.pt").exists() else "--overwrite"
    words = [sys.executable, "train.py", *job.flags.split(), "--out", str(job.out), go_on]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    return Popen(words, cwd=ROOT, env=environment, text=True, stdout=DEVNULL, stderr=PIPE)


def keep(logs: Logs, job: Job, commit: str) -> None:
    """Keep the line of a run that has ended."""
    end, figure = add(logs, job, commit)["evaluations"][-1], SWEEPS[job.sweep].criterion
    shutil.rmtree(job.out)
    print(f"  {end['seconds']:4.0f} s   {figure} {end[figure]:.3f}   {job.flags}", flush=True)


def run_all(logs: Logs, jobs: Callable[[], Iterable[Job]], at_once: int, commit: str) -> None:
    """Do what `jobs` lists until it lists nothing. It is asked again whenever a run has ended, as
    there may then be others. Runs that are stopped save themselves and are resumed later."""
    running: dict[Job, Popen[str]] = {}
    try:
        while True:
            for job in jobs():
                if len(running) == at_once:
                    break
                if job not in running:
                    running[job] = begin(job)
            if not running:
                return
            while all(process.poll() is None for process in running.values()):
                time.sleep(0.1)
            for job in [job for job, process in running.items() if process.poll() is not None]:
                _, printed = (process := running.pop(job)).communicate()
                if process.returncode:
                    raise SystemExit(f"reproduce.py: {job.command}\n{printed}")
                keep(logs, job, commit)
    finally:
        for process in running.values():
            process.send_signal(signal.SIGINT)
        for process in running.values():
            process.communicate()


def jobs_of(logs: Logs, numbers: list[int], assets: Path) -> Iterator[Job]:
    """The runs that can be made now, in the order of the experiments. An experiment that
    is complete leaves the list and is drawn."""
    for number in list(numbers):
        jobs = [job for sweep in sweeps_of(number) for job in missing(logs, sweep)]
        yield from jobs
        if not jobs:
            if not is_measured(logs, number):
                measure = MEASUREMENTS[number]
                print(f"  measuring {measure.__name__}", flush=True)
                commit = git("rev-parse", "--short", "HEAD")
                about = {"commit": commit, "found": measure(logs.quick)}
                logs.write(f"{measure.__name__}.json", json.dumps(about) + "\n")
            numbers.remove(number)
            publish(logs, assets, [number])


def publish(logs: Logs, assets: Path, numbers: Iterable[int]) -> None:
    """Draw the figures of those experiments whose runs are all there; then write the tables."""
    for number in numbers:
        if ready(logs, number):
            print(figures.draw(logs, assets, number), flush=True)
    if not logs.quick:
        tables.write(ROOT)


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog="reproduce.py", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    made.add_argument("--only", type=whole(0, 8), metavar="N", help="this experiment, 0 to 8")
    made.add_argument("--quick", action="store_true", help="one seed, shorter runs")
    made.add_argument("--figures-only", action="store_true", help="run nothing")
    made.add_argument("--jobs", type=whole(1), help="runs at a time (default: one for each core)")
    return made


def reproduce() -> None:
    """The command."""
    args = parser().parse_args()
    try:
        pyplot()  # if there is none, better to know now than later
    except ImportError as error:
        raise UsageError(str(error)) from error
    others = (f":!{name}" for name in NOT_OF_RUNS)
    changed = git("diff", "HEAD", "--name-only", "--", "*.py", *others).split()
    if changed and not (args.quick or args.figures_only):
        raise UsageError(f"commit {', '.join(changed)} first: a run names the commit that made it")
    folder = ROOT / "runs" / "quick" if args.quick else ROOT
    logs, assets = Logs(folder / "results", args.quick), folder / "assets"
    numbers = list(EXPERIMENTS) if args.only is None else [args.only]
    if args.figures_only:
        publish(logs, assets, numbers)
        return
    jobs, commit = args.jobs or os.cpu_count() or 1, git("rev-parse", "--short", "HEAD")
    try:
        run_all(logs, lambda: jobs_of(logs, numbers, assets), jobs, commit)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("stopped; the same command resumes") from error


def main() -> int:
    """The command; its exit statuses are those of harness.command."""
    return command("reproduce.py", reproduce)


if __name__ == "__main__":
    sys.exit(main())
