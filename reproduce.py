"""The results in the README: run the experiments, draw the figures, write the tables.

    python reproduce.py                  run what is missing in results/, then draw and write
    python reproduce.py --figures-only   draw and write from the committed logs

An experiment is a list of train.py command lines; there is no training in here. Each run's log is
kept in results/<experiment>/<run>.jsonl: its configuration, then its evaluations. A run whose log
is there is not run again, so an interrupted sweep goes on where it stopped. Two runs at a time,
one thread each, use two cores better than one run with two threads.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev

import torch

import maxrl
from compare import COLORS, FIGURES, draw_curves, pyplot

ROOT = Path(__file__).resolve().parent
SCRATCH_METHODS = ("reinforce", "maxrl", "ce")
METHODS = ("reinforce", "rloo", "grpo", "maxrl", "maxrl-loo", "ce")
SEEDS = (0, 1, 2)

SCRATCH = "--sft-steps 0 --digits 2 --reverse --n-embd 64 --n-head 2 --lr 2e-3 --steps 500"

TASK_SEEDS = (0,)
TASKS = {
    "countdown-maxrl": "--task countdown --method maxrl --k 16",
    "countdown-ce": "--task countdown --method ce",
    "countdown-expert-iteration": "--task countdown --method expert-iteration --k 16 --pool 2400",
    "chain-maxrl": "--task chain --method maxrl --k 16",
    "chain-ce": "--task chain --method ce",
    "noisy-maxrl-loo": "--task noisy --method maxrl-loo --k 16",
    "noisy-rloo": "--task noisy --method rloo --k 16",
    "noisy-regression": "--task noisy --method rloo --reward regression --k 16",
}

# experiment -> run -> the flags of train.py; the longest runs first, so that no core waits
EXPERIMENTS: dict[str, dict[str, str]] = {
    "scratch": {
        f"{m}-s{s}": f"--method {m} --k 1024 --seed {s} {SCRATCH}"
        for m in ("maxrl", "reinforce", "ce")
        for s in SEEDS
    },
    "default": {f"{m}-s{s}": f"--method {m} --k 8 --seed {s}" for m in METHODS for s in SEEDS},
    "tasks": {f"{n}-s{s}": f"{flags} --seed {s}" for s in TASK_SEEDS for n, flags in TASKS.items()},
}


# ---------------------------------------------------------------------------------- running


def run(experiment: str, name: str, flags: str) -> None:
    """One train.py process, resumed if it was cut off; its log goes to results/."""
    log = ROOT / "results" / experiment / f"{name}.jsonl"
    if log.exists():
        return
    out = f"runs/reproduce/{experiment}/{name}"
    started = (ROOT / out / "ckpt.pt").exists()
    words = [*flags.split(), "--resume" if started else "--overwrite"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    command = [sys.executable, "train.py", *words, "--out", out]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{experiment}/{name} failed: {done.stderr.strip()}")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(compact(ROOT / out, flags))
    print(f"{experiment}/{name} done", flush=True)


def compact(out: Path, flags: str) -> str:
    """The log to commit: the command, then every evaluation without its per-prompt log p."""
    rows = [
        json.loads(line)
        for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    lines = [
        {
            "command": f"python train.py {flags}",
            "config": json.loads((out / "config.json").read_text(encoding="utf-8")),
        }
    ]
    for row in rows:
        if "nll" in row:
            row.pop("logp", row.pop("c", None))  # of each prompt
            lines.append({n: round(v, 6) if isinstance(v, float) else v for n, v in row.items()})
    return "".join(json.dumps(line) + "\n" for line in lines)


# ---------------------------------------------------------------------------------- reading


def evaluations(experiment: str, name: str) -> list[dict]:
    """The evaluations of a committed run, first to last."""
    text = (ROOT / "results" / experiment / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()[1:]]


def spread(values: list[float], digits: int = 3) -> str:
    """mean ± standard deviation over seeds (ddof 1)."""
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def table(experiment: str, methods: tuple[str, ...]) -> str:
    """A Markdown table: the base, then each method's last evaluation, mean ± sd over the seeds."""
    runs = {m: [evaluations(experiment, f"{m}-s{s}") for s in SEEDS] for m in methods}
    lines = [f"| after training | {' | '.join(FIGURES)} | seconds |", "|---" * 7 + "|"]
    base = [rows[0] for rows in next(iter(runs.values()))]
    cells = [spread([row[f] for row in base]) for f in FIGURES]
    lines.append(f"| *before (base)* | {' | '.join(cells)} | |")
    for method, seeds in runs.items():
        last = [rows[-1] for rows in seeds]
        cells = [spread([row[f] for row in last]) for f in FIGURES]
        lines.append(
            f"| `{method}` | {' | '.join(cells)} | {mean(r['seconds'] for r in last):.0f} |"
        )
    return "\n".join(lines)


def tasks_table(graded: bool) -> str:
    """Base and final evaluation of each run of the other tasks, mean over the seeds."""
    names = ("log_likelihood", "mse", "spread") if graded else ("pass@1", "pass@8", "pass@128")
    columns = (*names, *(() if graded else ("different right answers", "nll of a demonstration")))
    lines = [f"| `python train.py` | | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    keys = names if graded else (*names, "answers", "nll")
    for name, flags in TASKS.items():
        if name.startswith("noisy") == graded:
            runs = [evaluations("tasks", f"{name}-s{s}") for s in TASK_SEEDS]
            for label, i in (("base", 0), ("final", -1)):
                values = [[run[i][key] for run in runs] for key in keys]
                cells = [f"{mean(v):.3f}" for v in values]
                head = f"`{flags}`" if label == "base" else ""
                lines.append(f"| {head} | {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def benches() -> list[dict]:
    """What bench.py measured: on the default warm start, and on one that was trained for longer."""
    files = (ROOT / "results" / name for name in ("bench.json", "bench-longer.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def speed_table() -> str:
    """Each contender's seconds in each test, and how many times ours that is."""
    tests = {}
    for i, measured in enumerate(benches()):
        rate = f"pass rate {measured['scaling']['pass_rate']:.2f}"
        for name, rows in (measured["sampling"] | measured["step"]).items():
            if "warm" in name or i == 0:  # cold is the same in both
                tests[name.replace("warm", f"warm, {rate}")] = rows
    names = [n for n in dict.fromkeys(n for rows in tests.values() for n in rows) if n != "ours"]
    lines = [f"| | ours | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for test, rows in sorted(tests.items(), key=lambda item: item[0].split(",")[0]):
        cells = []
        for name in names:
            row = rows.get(name)
            cells.append(f"{seconds(row)}, **{row['vs_ours']:.3g}x**" if row else "")
        lines.append(f"| {test} | {seconds(rows['ours'])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def seconds(row: dict[str, float]) -> str:
    """Median and range."""
    return f"{row['median_s']:.3g} ({row['min_s']:.3g} to {row['max_s']:.3g})"


def scaling_table() -> str:
    """A step against the number of rollouts, at both pass rates; then what else was measured."""
    columns = ("pass rate", "rollouts per prompt", "distinct, in all", "seconds", "peak memory, MB")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for measured in benches():
        rate = measured["scaling"]["pass_rate"]
        for row in measured["scaling"]["rows"]:
            lines.append(
                f"| {rate:.2f} | {row['k']:,} | {row['distinct']:,} | {row['seconds']:.3g} "
                f"| {row['peak_mb']:.0f} |"
            )
    measured = benches()[0]
    shares, beside = measured["share_of_peak"], measured["beside"]
    commands = " and ".join(f"`{m['command']}`" for m in benches())
    return "\n".join(lines) + (
        f"\n\nMachine: {measured['cpu']}, {measured['threads']} threads, torch "
        f"{measured['torch']}, {shares['matmul_gflops']:.0f} GFLOP/s in a matrix product, of which "
        f"the cross-entropy step reaches {shares['cross-entropy step']:.0%} and the cold step "
        f"{shares['cold RL step']:.0%}. Drawing, tokenizing and verifying take "
        f"{beside['text_share']:.1%} of a warm step of 64 prompts x 8, an evaluation on 1,000 "
        f"held-out prompts {beside['evaluation_s']:.2f} s, a whole process that does one step "
        f"{beside['start_up_s']:.1f} s. Commands: {commands}."
    )


def soak_text() -> str:
    """What the last `make soak` measured."""
    soak = json.loads((ROOT / "results" / "soak.json").read_text(encoding="utf-8"))
    kills, fuzz, run = soak["kills"], soak["fuzz"], soak["long_run"]
    return (
        f"The last `make soak`: {kills['n']} kills, {kills['before_the_first_checkpoint']} of them "
        f"before the first checkpoint, no bit lost; {fuzz['n']:,} hostile completions, no wrong "
        f"verdict, {fuzz['mean_us']:.1f} microseconds each and {fuzz['worst_us']:.0f} at worst; "
        f"{run['minutes']:.0f} minutes and {run['steps']:,} steps of training, resident memory "
        f"{run['first_mb']:.0f} MB after the first minute and {run['last_mb']:.0f} MB at the end, "
        f"{run['more_files']} more open files."
    )


def tables() -> dict[str, str]:
    """What stands between the README's markers."""
    return {
        "tasks": tasks_table(graded=False),
        "noisy": tasks_table(graded=True),
        "speed": speed_table(),
        "scaling": scaling_table(),
        "soak": soak_text(),
        "default": table("default", METHODS),
        "scratch": table("scratch", SCRATCH_METHODS),
    }


def write_tables(readme: Path) -> None:
    """Put each table between `<!-- results:NAME -->` and `<!-- end -->`."""
    text = readme.read_text(encoding="utf-8")
    for name, content in tables().items():
        head, _, rest = text.partition(f"<!-- results:{name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not end:
            raise SystemExit(f"{readme} has no markers for {name}")
        text = f"{head}<!-- results:{name} -->\n{content}\n{end}{tail}"
    readme.write_text(text, encoding="utf-8")


# ---------------------------------------------------------------------------------- drawing


def draw_weights(path: Path) -> None:
    """w(p) of the methods, by exact enumeration at finite k, beside maximum likelihood's 1/p."""
    plt = pyplot()
    ps = torch.logspace(-2, -0.005, 80, dtype=torch.float64)
    fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    for ax, k in zip(axes, (8, 64), strict=True):
        ax.plot(ps, 1 / ps, "k--", lw=1.5, label="maximum likelihood, 1/p")
        for name in ("maxrl-std", "maxrl-loo", "maxrl", "grpo", "rloo"):
            w = [maxrl.enumerated_weight(name, p, k)[0] for p in ps.tolist()]
            T = maxrl.trained_order(name, k)
            label = f"{name} (order {T})" if T else name
            label = label.replace("rloo", "reinforce, rloo")
            ax.plot(
                ps,
                w,
                color=COLORS[name],
                lw=1.5 if name == "maxrl-std" else 2.2,
                label=label,
                ls=":" if name == "maxrl-std" else "-",
            )
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="pass rate p of a prompt",
            title=f"k = {k} rollouts",
            ylim=(0.5, 300),
            xlim=(0.01, 1),
        )
        ax.set_xticks([0.01, 0.03, 0.1, 0.3, 1], ["0.01", "0.03", "0.1", "0.3", "1"])
        ax.minorticks_off()
        ax.grid(alpha=0.25)
        ax.legend(frameon=False, fontsize=9)
    axes[0].set_ylabel("weight w(p) in E[g] = w(p) grad p")
    axes[0].set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    fig.tight_layout()
    fig.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--figures-only", action="store_true", help="run nothing")
    parser.add_argument("--only", choices=EXPERIMENTS, help="run this experiment, draw nothing")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default 2)")
    args = parser.parse_args()
    if not args.figures_only:
        chosen = [args.only] if args.only else list(EXPERIMENTS)
        jobs = [(e, name, flags) for e in chosen for name, flags in EXPERIMENTS[e].items()]
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda job: run(*job), jobs))
    if not args.only:
        draw_weights(ROOT / "assets" / "weights.png")
        curves = ("pass@1", "pass@128", "nll")
        runs = {m: [evaluations("scratch", f"{m}-s{s}") for s in SEEDS] for m in SCRATCH_METHODS}
        draw_curves(ROOT / "assets" / "scratch.png", runs, curves)
        write_tables(ROOT / "README.md")


if __name__ == "__main__":
    main()
