"""The numbers in README, RESULTS and PROMISES: Markdown made from the logs for each marker.

    <!-- results:NAME -->  ...  <!-- end -->

`write` fills in every block. An experiment whose runs are not all there says so. Left out: which
findings there are (claims.py), and the rules (rules.py).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, median

import torch

import compare
from compare import Group, markdown, shown
from paper import claims, figures
from paper.logs import RESULTS, ROOT, Logs, ready, tried, tuned
from paper.measure import STAGES, expected_weight
from paper.rules import RULE, RULE_OF_CONVERGENCE, say, times
from paper.sweeps import BEST_OF, EXPERIMENTS, SWEEPS, rate_text, sweeps_of

LOGS = Logs()
SEED_0 = {"rloo": "rloo", "maxrl": "maxrl lr=8e-4"}  # as README shows them
NOT_RUN = "*Not run yet.*"
PAGES = ("README.md", "RESULTS.md", "PROMISES.md")


def block(*parts: str) -> str:
    """Paragraphs."""
    return "\n\n".join(filter(None, parts))


def fold(summary: str, *parts: str) -> str:
    """Parts that are hidden until a reader opens them."""
    return block(f"<details><summary>{summary}</summary>", *parts, "</details>")


def picture(number: int) -> str:
    """The figure of an experiment; what it shows is the docstring of its function."""
    draw = figures.FIGURES[number]
    return f"![{' '.join((draw.__doc__ or '').split())}](assets/{draw.__name__}.png)"


def told(f: claims.Finding) -> str:
    """A finding as an item of a list."""
    return f"- {f.sentence}: **{f.effect}** ({f.start}; {f.seeds} seeds)"


def differences(found: Sequence[claims.Finding]) -> str:
    """Findings about pairs of methods as a table, bold where the interval leaves out zero."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for f in found:
        effect = f"**{f.effect}**" if f.is_clear else f.effect
        rows.setdefault((f.row, f.start), {})[f.figure] = f"{effect}, {f.seeds}"
    names = list(dict.fromkeys(f.figure for f in found))
    lines = [[*row, *(cells.get(n, "") for n in names)] for row, cells in rows.items()]
    return markdown(["difference at the end", "start", *names], lines) if found else ""


def ends(sweep: str, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """A row for the weights that a sweep starts from and one for each label: means and ranges."""
    head = ["at the end", *(claims.SPOKEN.get(name, name) for name in names)]
    rows = []
    for label in ("base", *SWEEPS[sweep].labels):
        name = "*base*" if label == "base" else f"`{label}`"
        rows.append([name, *(shown(LOGS.ends(sweep, label, f)) for f in names)])
    return head, rows


def first_runs(labels: Mapping[str, str], n: int) -> str:
    """The table of compare.py for n seeds of the default run. labels: as shown -> of the sweep."""
    runs = {shown: LOGS.runs("default", label)[:n] for shown, label in labels.items()}
    return compare.table({m: Group({"method": m}, runs=found) for m, found in runs.items()})


def default_seeds() -> str:
    """All arms, each with its learning rate, from the lowest pass@1 to the highest."""
    first = {x["label"]: x["config"] for x in LOGS.lines("default") if x["seed"] == 0}
    order = sorted(first, key=lambda label: mean(LOGS.ends("default", label, "pass@1")))
    return first_runs({"{method} lr={lr:g}".format(**first[label]): label for label in order}, 8)


def convergence() -> str:
    rows = []
    for label in SWEEPS["convergence"].labels:
        D = (claims.distances(LOGS, label, f) for f in ("pass@1", "nll"))
        found = (LOGS.ends("convergence", label, f) for f in ("pass@1", "pass@128", "nll"))
        losers = sum(map(bool, claims.lost(LOGS, label)))
        rows.append([f"`{label}`", *map(shown, (*D, *found)), str(losers)])
    head = ["", "D", "D in nll", "pass@1 at the end", "pass@128", "nll", "seeds that lose a kind"]
    return markdown(head, rows)


def fresh() -> str:
    head, rows = ends("fresh", ("pass@1", "pass@128", "pass@1024", "nll"))
    for row, label in zip(rows, ("base", *SWEEPS["fresh"].labels), strict=True):
        n = claims.samples(LOGS, label)
        row.append(f"{median(n):,.0f} ({min(n):,.0f} to {max(n):,.0f})")
    return markdown([*head, f"samples to solve {claims.COVERED:.0%}"], rows)


def border() -> str:
    effects, rows = [claims.cells(LOGS, *pair) for pair in claims.PAIRS], []
    for sweep, pool in effects[0]:
        ours = shown(LOGS.ends(sweep, f"maxrl pool={pool}", "pass@1"))
        start = claims.base(LOGS, sweep)
        rows.append([start, pool, ours, *(say(e[sweep, pool]) for e in effects)])
    pairs = (f"`{a}` minus `{b}`" for a, b in claims.PAIRS)
    return markdown(["start", "prompts", "pass@1 of `maxrl`", *pairs], rows)


def answers() -> str:
    names = ("pass@1", "pass@16", "pass@64", "answers")
    first, *rest = (markdown(*ends(s, names)) for s in ("countdown", "relatives", "chain"))
    return block(first, fold("Relatives that imitate successes; chain", *rest))


def gradient() -> str:
    rows, methods = [], ("rloo", "grpo", "maxrl", "ce")
    for stage, k in product(STAGES, (16, 64, 1024)):
        shares = (claims.share_of_hard(LOGS, stage, m, k) for m in methods)
        rows.append([claims.base(LOGS, STAGES[stage]), f"{k:,}", *map(shown, shares)])
    of = (f"of the gradient of {m}" for m in ("`rloo`", "`grpo`", "`maxrl`", "maximum likelihood"))
    return markdown(["share on the hardest fifth of the prompts", "k", *of], rows)


def theory() -> str:
    ps, same = torch.tensor([0.01, 0.05, 0.3, 0.8]).double(), dict[tuple[str, ...], list[str]]()
    for m in figures.METHODS:
        weights = torch.cat([expected_weight(m, ps, k) for k in (8, 64)]).tolist()
        same.setdefault(tuple(f"{w:.3g}" for w in weights), []).append(f"`{m}`")
    rows = [[", ".join(names), *weights] for weights, names in same.items()]
    columns = (f"p = {p:g}, k = {k}" for k, p in product((8, 64), ps.tolist()))
    return markdown(["weight w(p)", *columns], rows)


def graded() -> str:
    return markdown(*ends("graded", ("log_likelihood", "log_tail", *BEST_OF)))


def budget() -> str:
    columns, rows = list(product(("maxrl", "rloo"), ("pass@1", "nll"))), []
    for k in figures.of_budget("maxrl"):
        found = (LOGS.ends(*figures.of_budget(m)[k], f) for m, f in columns)
        rows.append([str(k), *map(shown, found)])
    return markdown(["k", *(f"{f}, `{m}`" for m, f in columns)], rows)


TABLES = (default_seeds, convergence, fresh, border, answers, gradient, theory, graded, budget)


def experiment(number: int) -> str:
    """What it found, its figure and its table."""
    found = claims.findings(LOGS, [number])
    listed = "\n".join(told(f) for f in found if not f.row)
    pairs = differences([f for f in found if f.row])
    return block(listed, pairs, picture(number), TABLES[number]())


def rates() -> str:
    """For each sweep the learning rates, and its cost."""
    made = {n: map(rate, sweeps_of(n)) for n in EXPERIMENTS if sweeps_of(n) and ready(LOGS, n)}
    listed = "\n".join(f"- Experiment {n}. {' '.join(found)}" for n, found in made.items())
    return fold("The learning rates, and hours on one thread, without warm starts", listed)


def rate(sweep: str) -> str:
    """The learning rates that were chosen, from which grid, and how long all runs took."""
    found = []
    for label, n in tuned(sweep)[1].items():
        if SWEEPS[sweep].tuned_at[label] == label and n is not None:
            grid, seeds = (sorted({key[i] for key in tried(sweep, label)}) for i in (0, 1))
            edge = ", at an edge" if n in (grid[0], grid[-1]) else ""
            span = f"{rate_text(grid[0])} to {rate_text(grid[-1])}, {len(seeds)} seeds{edge}"
            found.append(f"`{label}` {rate_text(n)} ({span})")
    lines = LOGS.lines(sweep)
    hours = sum(line["evaluations"][-1]["seconds"] for line in lines) / 3600
    cost = f"{len(lines)} runs, {hours:.1f} hours"
    return f"{sweep}: {'; '.join(found)}; {cost}."


def headlines() -> str:
    """The chief findings, as a table."""
    found, rows = claims.findings(LOGS), []
    p = claims.corrected(found)
    for f in (f for f in found if f.chief):
        rows.append([f.sentence, f.start, f.effect, f.seeds, f"{p[f.name]:.2g}" if f.name else "-"])
    return markdown(["finding", "start", "effect [95 %]", "seeds", "P"], rows)


def overview() -> str:
    """The chief findings, and the rules."""
    not_yet = ", ".join(str(n) for n in EXPERIMENTS if not ready(LOGS, n))
    table = block(headlines(), f"Not run yet: experiments {not_yet}." * bool(not_yet))
    return block(table, fold("The rules", RULE, RULE_OF_CONVERGENCE))


WARM = "warm, pass rate {pass_rate:.2f}"  # of a test
BENCHES = ("bench.json", "bench-longer.json")  # the default warm start, and a longer one


def read(name: str) -> dict:
    """A file of results/."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def contenders(*measured: dict) -> str:
    """Seconds by test and contender, median and range, and how many times ours they are."""
    tests: dict[str, dict] = {}
    for one in measured:
        warm = WARM.format(**one["scaling"])
        for name, rows in (one["sampling"] | one["step"]).items():
            tests.setdefault(name.replace("warm", warm), rows)
    names = [n for n in dict.fromkeys(n for rows in tests.values() for n in rows) if n != "ours"]
    lines = []
    for test, rows in sorted(tests.items(), key=lambda item: item[0].split(",")[0]):
        s = {n: "{median_s:.3g} ({min_s:.3g} to {max_s:.3g})".format(**r) for n, r in rows.items()}
        ratios = (f"{s[n]}, **{times(rows[n]['vs_ours'])}**" if n in rows else "" for n in names)
        lines.append([test, s["ours"], *ratios])
    return markdown(["seconds", "ours", *names], lines)


def scaling(one: dict) -> str:
    """A step against the number of rollouts."""
    head = "pass rate", "rollouts per prompt", "distinct in all", "seconds", "peak memory, MB"
    row, of = "{:.2f}|{k:,}|{distinct:,}|{seconds:.3g}|{peak_mb:.0f}", one["scaling"]
    return markdown(head, [row.format(of["pass_rate"], **x).split("|") for x in of["rows"]])


def scaling_table() -> str:
    """A step against the number of rollouts; then the machine, and a GPU if one was measured."""
    first, more = map(read, BENCHES)
    about = "Machine: {cpu}, {threads} threads, torch {torch}. Commands: `{command}`, `{second}`."
    return block(scaling(first), f"{about.format(second=more['command'], **first)} {gpu()}")


def gpu() -> str:
    """What the last `make gpu` measured, if there was one; a part that failed is left out."""
    if not (RESULTS / "gpu.json").exists():
        return "Not measured on a GPU."
    found = read("gpu.json")
    about = (
        "On a GPU: {gpu}, torch {torch}, float32, commit {commit}. The tests that need one {tests}."
        " `make gpu` took {minutes:.1f} minutes."
    )
    ran = {f"`{label}`": run for label, run in found["runs"].items() if run}
    rows = [[m, f"{run['seconds']:.0f}", f"{run['pass@1']:.3f}"] for m, run in ran.items()]
    runs = markdown(["of experiment 1, on the GPU", "seconds", "pass@1 at the end"], rows)
    speed = [table(found["bench"]) for table in (contenders, scaling) if found["bench"]]
    return block(about.format(**found), *speed, runs)


def soak_text() -> str:
    """What the last `make soak` measured."""
    return (
        "In the last `make soak`, not one bit was lost in {kills[n]} kills, "
        "{kills[before_the_first_checkpoint]} of them before the first checkpoint. None of "
        "{fuzz[n]:,} hostile completions got a wrong verdict; a verdict took {fuzz[mean_us]:.1f} "
        "microseconds on average. "
        "After {long_run[minutes]:.0f} minutes and {long_run[steps]:,} steps of training, resident "
        "memory had gone from {long_run[first_mb]:.0f} MB (after one minute) to "
        "{long_run[last_mb]:.0f} MB, and the number of open files had grown by "
        "{long_run[more_files]}."
    ).format(**read("soak.json"))


BLOCKS: dict[str, Callable[[], str]] = {
    "default-seeds": default_seeds,
    "default-seed-0": lambda: f"```\n{first_runs(SEED_0, 1)}\n```",
    "claims": overview,
    "headlines": headlines,
    "rates": rates,
    "speed": lambda: contenders(*map(read, BENCHES)),
    "scaling-of-a-step": scaling_table,
    "soak": soak_text,
}
NEEDS = {f"experiment-{n}": n for n in EXPERIMENTS}  # the runs of this experiment
BLOCKS |= {name: partial(experiment, n) for name, n in NEEDS.items()}
NEEDS |= {"default-seeds": 0, "default-seed-0": 0}


def content(name: str) -> str:
    """A block made anew, or a note that its runs are missing."""
    return BLOCKS[name]() if name not in NEEDS or ready(LOGS, NEEDS[name]) else NOT_RUN


def write(folder: Path = ROOT) -> None:
    """In each page put the blocks between `<!-- results:NAME -->` and `<!-- end -->`."""
    for page in PAGES:
        text = (folder / page).read_text(encoding="utf-8")
        pattern = r"(<!-- results:(\S+) -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m: f"{m[1]}{content(m[2])}\n{m[3]}", text, flags=re.DOTALL)
        (folder / page).write_text(text, encoding="utf-8")
