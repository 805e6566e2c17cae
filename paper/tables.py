"""What README, RESULTS and PROMISES say in numbers: from the logs, Markdown for each marker.

    <!-- results:NAME -->  ...  <!-- end -->

Every block is a function here, and `write` puts it in. An experiment whose runs are not all there
says so. Left out: which findings there are (claims.py), and the rules (rules.py).
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

import torch

import compare
from compare import Group, markdown, shown
from paper.claims import (
    COVERED,
    FAMILY,
    HARD,
    Finding,
    cells,
    corrected,
    distances,
    findings,
    lost,
    samples,
    share_of_hard,
)
from paper.figures import METHODS, of_budget, signal_to_noise
from paper.logs import RESULTS, ROOT, Logs, chosen, ready, tried
from paper.measure import STAGES, expected_weight
from paper.rules import RULE, RULE_OF_CONVERGENCE, say
from paper.sweeps import BEST_OF, EXPERIMENTS, MOST_RATES, SWEEPS, rate_text, sweeps_of

LOGS = Logs()
NOT_RUN = "*Not run yet.*"
PAGES = ("README.md", "RESULTS.md", "PROMISES.md")
ALT = {
    "default": "Held-out pass@1 and nll of four methods against steps",
    "convergence": "D against k beside its floor, and learning curves from scratch",
    "fresh": "pass@1 and nll against training rollouts, and what is unsolved after K tries",
    "border": "Differences in pass@1 over base pass rates and numbers of prompts",
    "answers": "pass@64 against pass@1 from the base on, on countdown and chain",
    "gradient": "Norm of a prompt's expected gradient against its pass rate, for three k",
    "theory": "Weights w(p) at k = 8 and 64, and signal to noise of an estimate",
    "graded": "The two objectives of graded rewards, and the expected best of several tries",
    "budget": "pass@1 against rollouts per prompt at 512 rollouts a step",
}


def block(*parts: str) -> str:
    """Paragraphs."""
    return "\n\n".join(filter(None, parts))


def fold(summary: str, *parts: str) -> str:
    """What is there for whoever wants to look."""
    return block(f"<details><summary>{summary}</summary>", *parts, "</details>")


def picture(name: str) -> str:
    """A figure of figures.py."""
    return f"![{ALT[name]}](assets/{name}.png)"


def told(f: Finding) -> str:
    """A finding as a sentence."""
    return f"{f.sentence}: {f.effect}" + (f" ({f.seeds} seeds)." if f.seeds else ".")


def ends(sweep: str, figures: Sequence[str], more: Callable[[str], list[str]] | None = None) -> str:
    """A row for the weights that a sweep starts from and one for each label: means and ranges."""
    more = more or (lambda label: [])
    rows = [["*base*", *(shown(LOGS.starts(sweep, f)) for f in figures), *more("base")]]
    for label in SWEEPS[sweep].labels:
        values = (shown(LOGS.ends(sweep, label, f)) for f in figures)
        rows.append([f"`{label}`", *values, *more(label)])
    return markdown(["at the end", *figures, *["more"] * len(more("base"))], rows)


# ------------------------------------------------------------------------ the experiments


def groups(labels: Iterable[str], seeds: int) -> dict[str, Group]:
    """The first runs of the default sweep, as compare.py has them."""
    return {m: Group({"method": m}, runs=LOGS.runs("default", m)[:seeds]) for m in labels}


def default() -> str:
    figures = compare.FIGURES
    rows = [
        [f"`maxrl` minus `{m}`",
         *(say(LOGS.gap(("default", "maxrl"), ("default", m), f)) for f in figures)]
        for m in list(SWEEPS["default"].labels)[1:]
    ]  # fmt: skip
    return block(default_seeds(), fold("Differences", markdown(["", *figures], rows)))


def default_seeds() -> str:
    """The table of compare.py for all seeds of the default run."""
    return compare.table(groups(SWEEPS["default"].labels, 8))


def default_seed_0() -> str:
    """What compare.py prints for the first commands of the README."""
    return f"```\n{compare.table(groups(('maxrl', 'rloo'), 1))}\n```"


def convergence() -> str:
    rows = []
    for label in SWEEPS["convergence"].labels:
        D = [shown(distances(LOGS, label, f)) if label != "ce" else "" for f in ("pass@1", "nll")]
        figures = (shown(LOGS.ends("convergence", label, f)) for f in ("pass@1", "pass@128", "nll"))
        losers = sum(map(bool, lost(LOGS, label)))
        rows.append([f"`{label}`", *D, *figures, f"{losers} of {len(LOGS.seeds('convergence'))}"])
    head = ["", "D", "D in nll", "pass@1 at the end", "pass@128", "nll", "lose a kind"]
    return block(markdown(head, rows), fold("The rule", RULE_OF_CONVERGENCE))


def fresh() -> str:
    def needed(label: str) -> list[str]:
        return (
            [f"{mean(samples(LOGS, label)):,.0f}"] if "=" not in label or "k=64" in label else [""]
        )

    table = ends("fresh", ("pass@1", "pass@128", "pass@1024", "nll"), needed)
    return table.replace("| more |", f"| samples to solve {COVERED:.0%} |")


def border() -> str:
    pairs = (("maxrl", "grpo"), ("maxrl", "rloo"), ("ce", "grpo"))
    effects = [cells(LOGS, *pair) for pair in pairs]
    rows = []
    for sweep, pool in effects[0]:
        ours = shown(LOGS.ends(sweep, f"maxrl pool={pool}", "pass@1"))
        rows.append(
            [sweep.replace("border", "base"), pool, ours, *(say(e[sweep, pool]) for e in effects)]
        )
    head = ["", "prompts", "pass@1 of `maxrl`", *(f"`{a}` minus `{b}`" for a, b in pairs)]
    return markdown(head, rows)


def answers() -> str:
    figures = ("pass@1", "pass@16", "pass@64", "answers")
    rest = (ends("relatives", figures), ends("chain", figures))
    return block(ends("countdown", figures), fold("Relatives of MaxRL; and chain", *rest))


def gradient() -> str:
    methods, rows = ("rloo", "grpo", "maxrl", "ce"), []
    for stage in STAGES:
        ps = [p for s in LOGS.measured("gradients")[stage].values() for p in s["p"]]
        prompts = f"{mean(p < HARD for p in ps):.2f}"
        for k in (16, 64, 1024):
            shares = (shown(share_of_hard(LOGS, stage, m, k)) for m in methods)
            rows.append([stage, f"{k:,}", prompts, *shares])
    head = [
        "",
        "k",
        f"share of prompts with p < {HARD:g}",
        *(f"of gradient, `{m}`" for m in methods),
    ]
    return markdown(head, rows)


def theory() -> str:
    ps = torch.tensor([0.01, 0.05, 0.3, 0.8]).double()
    rows = [
        [f"`{m}`", str(k), *(f"{w:.3g}" for w in expected_weight(m, ps, k).tolist()),
         *(f"{signal_to_noise(m, p, k):.2g}" for p in (0.05, 0.3))]
        for m in METHODS
        for k in (8, 64)
    ]  # fmt: skip
    weights = (f"w({p:g})" for p in ps.tolist())
    return markdown(["", "k", *weights, "signal to noise, p = 0.05", "p = 0.3"], rows)


def graded() -> str:
    return ends("graded", ("log_likelihood", "log_tail", *BEST_OF))


def budget() -> str:
    rows = [
        [str(k), *(shown(LOGS.ends(*of_budget(m)[k], f)) for m in ("maxrl", "rloo")
                   for f in ("pass@1", "nll"))]
        for k in of_budget("maxrl")
    ]  # fmt: skip
    return markdown(
        ["k", *(f"{f}, `{m}`" for m in ("maxrl", "rloo") for f in ("pass@1", "nll"))], rows
    )


TABLES: dict[int, Callable[[], str]] = dict(
    enumerate((default, convergence, fresh, border, answers, gradient, theory, graded, budget))
)


def experiment(number: int) -> str:
    """What it found, its figure, its table, and how its learning rates were chosen."""
    if not ready(LOGS, number):
        return NOT_RUN
    found = [f for f in findings(LOGS) if f.experiment == number]
    table = TABLES[number]
    costs = [rates(name) for name in sweeps_of(number)]
    how = [fold("Learning rates and cost", *costs)] if costs else []
    return block(*map(told, found[:2]), picture(table.__name__), table(), *how)


def rates(sweep: str) -> str:
    """The learning rates that were chosen, out of what, and how long all runs took."""
    found = []
    for label, n in chosen(sweep).items():
        if SWEEPS[sweep].tuned_at[label] == label and n is not None:
            grid, seeds = (sorted({key[i] for key in tried(sweep, label)}) for i in (0, 1))
            edge = f", at an edge after {MOST_RATES} rates" if n in (grid[0], grid[-1]) else ""
            span = f"{rate_text(grid[0])} to {rate_text(grid[-1])}, {len(seeds)} seeds{edge}"
            found.append(f"`{label}` {rate_text(n)} ({span})")
    lines = LOGS.lines(sweep)
    hours = sum(line["evaluations"][-1]["seconds"] for line in lines) / 3600
    cost = f"{len(lines)} runs, {hours:.1f} hours of one thread after their warm starts"
    return f"{sweep}: {'; '.join(found) or 'one rate for all'}. {cost}."


# ------------------------------------------------------------------------- the findings


def claims_table(short: bool = False) -> str:
    """Every finding that is there; or the chief ones."""
    found = [f for f in findings(LOGS) if f.chief or not short]
    rows = [[f.sentence, f.start, f.effect, f.seeds] for f in found]
    table = markdown(["finding", "start (base p, k)", "effect [95 %]", "seeds"], rows)
    not_yet = [str(n) for n in EXPERIMENTS if not ready(LOGS, n)]
    missing = f"Not run yet: experiments {', '.join(not_yet)}." if not_yet else ""
    return (
        block(table, missing) if short else block(table, missing, family(), fold("The rules", RULE))
    )


def family() -> str:
    """What survives Holm's correction."""
    p = corrected(findings(LOGS))
    survive = [f"{name} (p = {p[name]:.3f})" for name in FAMILY if p[name] < 0.05]
    return (
        f"The family of claims in favour of MaxRL: {'; '.join(FAMILY)}. After Holm's correction"
        f" (exact two-sided signed-rank p-values; with eight seeds no family of more than six could"
        f" survive) there remain, at 5 %: {'; '.join(survive) or 'none'}."
    )


def first_figure() -> str:
    """What README.md begins with."""
    if not ready(LOGS, 1):
        return NOT_RUN
    tries = 1 / mean(LOGS.starts("convergence", "pass@1"))
    first = next(f for f in findings(LOGS) if f.experiment == 1)
    return block(
        picture("convergence"),
        "*Addition of numbers with up to two digits, from random weights, which are right about"
        f" once in {tries:,.0f} tries; a thin line for each seed. Cross-entropy (`ce`) is shown the"
        f" answers, the others only get rewards. {told(first)}"
        " ([Experiment 1](RESULTS.md#1-convergence-to-maximum-likelihood))*",
    )


# ------------------------------------------------------------------- what bench.py and soak say


def benches() -> list[dict]:
    """What bench.py measured: on the default warm start, and on one that was trained for longer."""
    files = (RESULTS / name for name in ("bench.json", "bench-longer.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def speed_table() -> str:
    """Each contender's seconds in each test, and how many times ours that is."""
    first, *more = map(by_test, benches())
    for tests in more:  # cold is the same in all of them
        first |= {name: rows for name, rows in tests.items() if "warm" in name}
    return contenders(first)


def by_test(measured: dict) -> dict[str, dict]:
    """The rows of each test, whose name says how good the warm model is."""
    warm = f"warm, pass rate {measured['scaling']['pass_rate']:.2f}"
    tests = measured["sampling"] | measured["step"]
    return {name.replace("warm", warm): rows for name, rows in tests.items()}


def contenders(tests: dict[str, dict]) -> str:
    """A table of tests by contenders: median and range of seconds."""
    names = [n for n in dict.fromkeys(n for rows in tests.values() for n in rows) if n != "ours"]
    lines = []
    for test, rows in sorted(tests.items(), key=lambda item: item[0].split(",")[0]):
        seconds = {
            n: f"{r['median_s']:.3g} ({r['min_s']:.3g} to {r['max_s']:.3g})"
            for n, r in rows.items()
        }
        cells_ = (
            f"{seconds[n]}, **{rows[n]['vs_ours']:.3g}x**" if n in rows else "" for n in names
        )
        lines.append([test, seconds["ours"], *cells_])
    return markdown(["", "ours", *names], lines)


def scaling_rows(files: Sequence[dict]) -> str:
    """A step against the number of rollouts."""
    rows = [
        [f"{measured['scaling']['pass_rate']:.2f}", f"{row['k']:,}", f"{row['distinct']:,}",
         f"{row['seconds']:.3g}", f"{row['peak_mb']:.0f}"]
        for measured in files
        for row in measured["scaling"]["rows"]
    ]  # fmt: skip
    head = ("pass rate", "rollouts per prompt", "distinct, in all", "seconds", "peak memory, MB")
    return markdown(head, rows)


def scaling_table() -> str:
    """A step against the number of rollouts, at both pass rates; then what else was measured."""
    measured = benches()[0]
    shares, beside = measured["share_of_peak"], measured["beside"]
    commands = " and ".join(f"`{m['command']}`" for m in benches())
    return scaling_rows(benches()) + (
        f"\n\nMachine: {measured['cpu']}, {measured['threads']} threads, torch "
        f"{measured['torch']}, {shares['matmul_gflops']:.0f} GFLOP/s in a matrix product, of which "
        f"the cross-entropy step reaches {shares['cross-entropy step']:.0%} and the cold step "
        f"{shares['cold RL step']:.0%}. Drawing, tokenizing and verifying take "
        f"{beside['text_share']:.1%} of a warm step of 64 prompts x 8, an evaluation on 1,000 "
        f"held-out prompts {beside['evaluation_s']:.2f} s, a whole process that does one step "
        f"{beside['start_up_s']:.1f} s. Commands: {commands}."
    )


def nodes_table() -> str:
    """How many nodes scoring runs, and how many tokens it would without the tree."""
    measured = benches()[0]
    warm = f"warm, pass rate {measured['scaling']['pass_rate']:.2f}"
    rows = []
    for name, row in measured["nodes"].items():
        nodes, distinct, everything = row["nodes"], row["distinct_tokens"], row["all_tokens"]
        more = (f"{n:,} ({n / nodes:,.1f}x)" for n in (distinct, everything))
        rows.append([name.replace("warm", warm), f"{nodes:,}", *more])
    return markdown(["", "nodes", "distinct completions", "all rollouts"], rows)


def gpu() -> str:
    """What the last `make gpu` measured, if there was one; a part that failed is left out."""
    path = RESULTS / "gpu.json"
    if not path.exists():
        return "Not measured on a GPU."
    measured = json.loads(path.read_text(encoding="utf-8"))
    tests, bench = measured["tests"], measured["bench"]
    about = (
        f"On a GPU: {measured['gpu']}, torch {measured['torch']}, float32, commit "
        f"{measured['commit']}. Of {tests['of']} tests that need one, {tests['passed']} pass. "
        f"`make gpu` took {measured['minutes']:.1f} minutes."
    )
    rows = [
        [f"`{label}`", f"{run['seconds']:.0f} s", f"{run['pass@1']:.3f}"]
        for label, run in measured["runs"].items()
        if run
    ]
    speed = [contenders(by_test(bench)), scaling_rows([bench])] if bench else []
    return block(about, *speed, markdown(["run of experiment 1", "on it", "pass@1"], rows))


def soak_text() -> str:
    """What the last `make soak` measured."""
    soak = json.loads((RESULTS / "soak.json").read_text(encoding="utf-8"))
    kills, fuzz, run = soak["kills"], soak["fuzz"], soak["long_run"]
    return (
        f"The last `make soak`: {kills['n']} kills, {kills['before_the_first_checkpoint']} of them "
        f"before the first checkpoint, no bit lost; {fuzz['n']:,} hostile completions, no wrong "
        f"verdict, {fuzz['mean_us']:.1f} microseconds each and {fuzz['worst_us']:.0f} at worst; "
        f"{run['minutes']:.0f} minutes and {run['steps']:,} steps of training, resident memory "
        f"{run['first_mb']:.0f} MB after the first minute and {run['last_mb']:.0f} MB at the end, "
        f"{run['more_files']} more open files."
    )


BLOCKS: dict[str, Callable[[], str]] = {
    **{f"experiment-{n}": partial(experiment, n) for n in EXPERIMENTS},
    "first-figure": first_figure,
    "default-seeds": default_seeds,
    "default-seed-0": default_seed_0,
    "claims": claims_table,
    "headlines": partial(claims_table, short=True),
    "speed": speed_table,
    "scaling-of-a-step": scaling_table,
    "nodes": nodes_table,
    "gpu": gpu,
    "soak": soak_text,
}
NEEDS = {"default-seeds": 0, "default-seed-0": 0}  # this experiment


def content(name: str) -> str:
    """A block anew, or that its runs are not there."""
    return BLOCKS[name]() if name not in NEEDS or ready(LOGS, NEEDS[name]) else NOT_RUN


def write(folder: Path = ROOT) -> None:
    """In each page put the blocks between `<!-- results:NAME -->` and `<!-- end -->`."""
    for page in PAGES:
        text = (folder / page).read_text(encoding="utf-8")
        pattern = r"(<!-- results:(\S+) -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m: f"{m[1]}{content(m[2])}\n{m[3]}", text, flags=re.DOTALL)
        (folder / page).write_text(text, encoding="utf-8")
