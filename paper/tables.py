"""What README, RESULTS and PROMISES say in numbers: from the logs, Markdown for each marker.

    <!-- results:NAME -->  ...  <!-- end -->

Every block is a function here; `write` puts them in. Left out: opinions, but for the rules by which
`claims` says yes, partly or no.
"""

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev

from paper.logs import (
    RESULTS,
    Logs,
    best_likelihoods,
    chosen,
    gains_of_loo,
    population_norms,
    sample_ratios,
    share,
    steps_to,
)
from paper.sweeps import GROUP_METHODS, SWEEPS, ks_of, reported_runs, tuning_runs

LOGS = Logs(RESULTS)
MADE_AT = (  # "" when the runs have been made again
    "The runs below were made at a62fe76, before scoring on the tree: the same law, other draws. "
    "They were evaluated on all held-out prompts; a run of today takes the half called test."
)


def spread(values: Sequence[float], digits: int = 3) -> str:
    """mean ± standard deviation over seeds (ddof 1)."""
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- ", "|---") for line in lines)


def ends(sweep: str, figures: Sequence[str], digits: int = 3) -> list[list[str]]:
    """A row for the weights that a sweep starts from and one for each label."""
    base = [LOGS.starts(sweep, f) for f in figures]
    rows = [["*base*", *(spread(v, digits) for v in base)]]
    for label in SWEEPS[sweep].labels:
        rows.append([f"`{label}`", *(spread(LOGS.ends(sweep, label, f), digits) for f in figures)])
    return rows


# ------------------------------------------------------------------------ the experiments


def default() -> str:
    figures = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")
    rows = ends("default", figures)
    seconds = [
        f"{mean(r[-1]['seconds'] for r in LOGS.runs('default', m)):.0f}"
        for m in SWEEPS["default"].labels
    ]
    rows = [[*row, s] for row, s in zip(rows, ["", *seconds], strict=True)]
    return markdown(["after training", *figures, "seconds"], rows)


def arrivals(sweep: str, label: str, target: float) -> list[int]:
    """The steps at which the seeds that get to a pass@1 of `target` get there."""
    steps = [steps_to(rows, target) for rows in LOGS.runs(sweep, label)]
    return [step for step in steps if step is not None]


def reached(sweep: str, label: str, target: float) -> str:
    """The mean number of steps, if every seed got there."""
    steps, n = arrivals(sweep, label, target), len(LOGS.seeds(sweep))
    if len(steps) == n:
        return f"{mean(steps):.0f}"
    return f"{len(steps)} of {n} seeds" if steps else "never"


def from_scratch(sweep: str) -> str:
    figures = ("pass@1", "pass@128", "nll")
    targets = (0.5, 0.9)
    rows = ends(sweep, figures)
    steps = [[reached(sweep, label, t) for t in targets] for label in SWEEPS[sweep].labels]
    rows = [[*row, *s] for row, s in zip(rows, [["", ""], *steps], strict=True)]
    return markdown(["", *figures, *(f"steps to pass@1 {t:g}" for t in targets)], rows)


def cosines() -> str:
    """1 - cosine, at few rollouts and at many."""
    found = LOGS.measured("cosines")
    columns = [(stage, k) for stage in found for k in ("16", "4096")]
    rows = [
        [f"`{method}`", *(f"{max(1 - mean(found[s][method][k]), 0.0):.5f}" for s, k in columns)]
        for method in next(iter(found.values()))
    ]
    head = [f"{stage.split(',')[0]}, k = {k}" for stage, k in columns]
    return markdown(["1 - cosine", *head], rows)


def times(over: Sequence[float], under: Sequence[float]) -> str:
    """The ratio of the means, and of each seed."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    return (
        f"**{mean(over) / mean(under):.2f} times** (by seed {min(ratios):.2f} to {max(ratios):.2f})"
    )


def surprise(sweep: str, label: str, figure: str) -> list[float]:
    """-log of a pass rate at the end."""
    return [-math.log(x) for x in LOGS.ends(sweep, label, figure)]


def scaling() -> str:
    figures = ("pass@1", "pass@128", "pass@1024")
    fewest, *_, most = ks_of("scaling")
    columns = [(f, k) for f in figures for k in (fewest, most)]
    starts = (spread(LOGS.starts("scaling", f)) if k == fewest else "" for f, k in columns)
    base = ["*base*", *starts]
    rows = [
        [f"`{m}`", *(spread(LOGS.ends("scaling", f"{m} k={k}", f)) for f, k in columns)]
        for m in GROUP_METHODS
    ]
    ours = surprise("scaling", "maxrl k=64", "pass@1024")
    theirs = {m: surprise("scaling", f"{m} k=64", "pass@1024") for m in ("grpo", "rloo")}
    said = " and ".join(f"{times(v, ours)} for `{m}`" for m, v in theirs.items())
    return (
        markdown(["", *(f"{f}, k = {k}" for f, k in columns)], [base, *rows])
        + f"\n\n-log pass@1024 with 64 rollouts, over that of `maxrl`: {said}."
    )


def few() -> str:
    figures = ("pass@1", "pass@128", "pass@1024", "nll")
    rows = []
    for k in ks_of("few"):
        gains = [gains_of_loo(LOGS, f, k) for f in figures]
        cells = [f"{mean(g):+.4f} ± {stdev(g):.4f}" for g in gains]
        rows.append([str(k), *cells, f"{sum(g > 0 for g in gains[2])} of {len(gains[2])}"])
    ours, loo = (surprise("few", f"{m} k=4", "pass@1024") for m in ("maxrl", "maxrl-loo"))
    return (
        markdown(["k", *figures, "seeds with a higher pass@1024"], rows)
        + f"\n\n`maxrl-loo` less `maxrl`. -log pass@1024 of `maxrl` at k = 4, over that of "
        f"`maxrl-loo`: {times(ours, loo)}."
    )


def unsolved(label: str, when: str = "train_final") -> list[float]:
    """The share of training prompts of "scarce" with p <= 0.01, for each seed."""
    return [share(head[when], 0, 0.01) for head in LOGS.heads("scarce", label)]


def scarce() -> str:
    figures = ("pass@1", "pass@32", "pass@128", "pass@1024", "nll")
    lost = [unsolved("maxrl", "train_base"), *map(unsolved, SWEEPS["scarce"].labels)]
    rows = [[*row, spread(x)] for row, x in zip(ends("scarce", figures), lost, strict=True)]
    ours = surprise("scarce", "maxrl", "pass@1024")
    said = " and ".join(
        f"{times(surprise('scarce', m, 'pass@1024'), ours)} for `{m}`" for m in ("grpo", "rloo")
    )
    return (
        markdown(["", *figures, "training prompts with p ≤ 0.01"], rows)
        + f"\n\nHeld-out -log pass@1024, over that of `maxrl`: {said}."
    )


def efficiency() -> str:
    ratios = sample_ratios(LOGS, "grpo").items()
    rows = [[f"{K:,}", f"{mean(v):.2f}x", f"{min(v):.2f}x to {max(v):.2f}x"] for K, v in ratios]
    return markdown(["samples K of grpo", "times fewer for maxrl, mean", "range over seeds"], rows)


def gradient_ratio(method: str) -> float:
    """How many times larger the mean gradient norm of prompts with p < .1 is than with p > .9."""
    measured = LOGS.measured("gradient_norms")
    norms = population_norms(method, measured["p"], measured["norm"])
    hard = [n for p, n in zip(measured["p"], norms, strict=True) if p < 0.1]
    easy = [n for p, n in zip(measured["p"], norms, strict=True) if p > 0.9]
    return mean(hard) / mean(easy)


def live(method: str) -> list[float]:
    """The share of training prompts of "scarce" with a success, in the last steps."""
    return [rows[-1]["live"] for rows in LOGS.runs("scarce", method)]


def dynamics() -> str:
    rows = [
        [f"`{m}`", f"{gradient_ratio(m):.2f}x", "" if m == "ce" else spread(live(m))]
        for m in ("ce", "maxrl", "grpo", "rloo")
    ]
    head = ["", "gradient norm where p < 0.1, over where p > 0.9", "live prompts at the end"]
    return markdown(head, rows)


def latent() -> str:
    figures = {"pass@1": "pass@1", "pass@16": "pass@16", "pass@128": "pass@128",
               "answers": "different right answers", "nll": "nll of a demonstration"}  # fmt: skip
    gain = times(LOGS.ends("latent", "maxrl", "pass@1"), LOGS.starts("latent", "pass@1"))
    kept = times(LOGS.ends("latent", "maxrl", "answers"), LOGS.starts("latent", "answers"))
    return (
        markdown(["", *figures.values()], ends("latent", list(figures)))
        + f"\n\n`maxrl` over the base: pass@1 {gain}, different right answers {kept}."
    )


def likelihoods() -> str:
    figures = {"log_likelihood": "log E[l]", "mse": "squared error of the mean", "spread": "spread"}
    best = [best_likelihoods()["spread"]] * len(LOGS.seeds("likelihoods"))
    labels = ("maxrl-loo order=16", "reinforce", "regression")
    said = ", ".join(
        f"{times(LOGS.ends('likelihoods', m, 'spread'), best)} for `{m}`" for m in labels
    )
    return (
        markdown(["", *figures.values()], ends("likelihoods", list(figures), 2))
        + f"\n\nThe spread, over that of maximum likelihood: {said}."
    )


def rates() -> str:
    """The learning rates that were chosen."""
    rows = []
    for name, sweep in SWEEPS.items():
        if sweep.rates and not sweep.rates_of:
            by_arm = ", ".join(f"`{arm}` {rate}" for arm, rate in chosen(name).items())
            rows.append([name, ", ".join(sweep.rates), by_arm])
    seconds = [json.loads(text.rstrip().rsplit("\n", 1)[-1])["seconds"] for text in all_logs()]
    hours = f"{sum(seconds) / 3600:.1f} hours of one thread after their warm starts"
    cost = f"{len(seconds)} runs, {hours}, on a machine that had other things to do."
    return markdown(["sweep", "to choose from", "chosen"], rows) + f"\n\n{cost}"


def all_logs() -> list[str]:
    """The text of the log of every run of the sweeps, tuning too; what else is there is yours."""
    paths = []
    for name, sweep in SWEEPS.items():
        paths += [LOGS.path(name, run) for run in reported_runs(sweep, chosen(name))]
        paths += [LOGS.path(f"{name}/tuning", run) for run in tuning_runs(sweep)]
    return [path.read_text(encoding="utf-8") for path in paths]


# ------------------------------------------------------------------------ claim by claim


def verdict(*parts: bool) -> str:
    """yes if all hold, no if none."""
    return "**yes**" if all(parts) else "partly" if any(parts) else "**no**"


def claims() -> str:
    """The paper's claims, and what came out here; each rule is in a function below."""
    rows = [
        likelihood_claim(),
        stall_claim(),
        rollouts_claim(),
        ahead_claim("On fresh data MaxRL is ahead in pass@1 and pass@k", "scaling", " k=64"),
        ahead_claim("On few prompts and for many epochs it keeps more pass@k", "scarce", ""),
        test_time_claim(),
        hard_prompts_claim(),
        live_claim(),
        ahead_claim(
            "It sharpens less: more of the right answers stay within reach",
            "latent",
            "",
            ("pass@128", "answers"),
        ),
    ]
    return markdown(
        ["claim of the paper", "here?", "the figure (mean ± standard deviation over seeds)"], rows
    )


Claim = list[str]


def likelihood_claim() -> Claim:
    ours, ce = (LOGS.ends("convergence", m, "pass@1") for m in ("maxrl k=1024", "ce"))
    return [
        "With enough rollouts MaxRL trains as maximum likelihood does",
        verdict(abs(mean(ours) - mean(ce)) <= 0.03),
        f"pass@1 from scratch: maxrl k = 1024 {spread(ours)}, cross-entropy {spread(ce)}",
    ]


def stall_claim() -> Claim:
    one, baseline = (
        LOGS.ends("convergence", f"{m} k=1024", "pass@1") for m in ("reinforce", "rloo")
    )
    exact = LOGS.ends("exact", "exact order=1", "pass@1")
    return [
        "Where p starts near 0, expected reward does not learn",
        verdict(mean(one) < 0.05, mean(baseline) < 0.05, mean(exact) < 0.05),
        f"pass@1 with 1024 rollouts: reinforce {spread(one)}, rloo {spread(baseline)}; "
        f"its objective without sampling noise {spread(exact)}",
    ]


def rollouts_claim() -> Claim:
    labels = [f"maxrl k={k}" for k in (16, 128, 1024)]
    targets = (0.5, 0.9)
    better = [
        rises([progress(arrivals("convergence", label, t)) for label in labels]) for t in targets
    ]
    said = "; ".join(
        f"{t:g}: {', '.join(reached('convergence', label, t) for label in labels)}" for t in targets
    )
    return [
        "More rollouts are a better objective: MaxRL gets further with them",
        verdict(*better),
        f"steps with k = 16, 128, 1024 to pass@1 {said}",
    ]


def progress(steps: Sequence[int]) -> tuple[int, float]:
    """The more seeds arrive the better, then the sooner."""
    return len(steps), -mean(steps) if steps else 0.0


def rises(values: Sequence[tuple[int, float]]) -> bool:
    """Strictly, from first to last."""
    return all(a < b for a, b in pairwise(values))


def ahead_claim(
    claim: str, sweep: str, suffix: str, figures: Sequence[str] = ("pass@1", "pass@1024")
) -> Claim:
    """Is maxrl ahead of both grpo and rloo in both figures?"""
    methods = ("maxrl", "grpo", "rloo")
    at = {f: {m: LOGS.ends(sweep, m + suffix, f) for m in methods} for f in figures}
    ahead = [mean(at[f]["maxrl"]) > mean(at[f][m]) for f in figures for m in methods[1:]]
    said = [f"{f}: " + ", ".join(f"{m} {spread(v)}" for m, v in at[f].items()) for f in figures]
    return [claim, verdict(*ahead), "; ".join(said)]


def test_time_claim() -> Claim:
    ratios = sample_ratios(LOGS, "grpo")
    means = {K: mean(v) for K, v in ratios.items()}
    worst, best = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    return [
        "It needs 2.3 to 19.2 times fewer samples at test time than GRPO for the same pass@k",
        verdict(means[best] > 2.3, means[worst] > 1),
        f"{means[worst]:.2f}x at K = {worst:,} to {means[best]:.2f}x at K = {best:,}",
    ]


def hard_prompts_claim() -> Claim:
    ratio = {m: gradient_ratio(m) for m in ("ce", "maxrl", "grpo", "rloo")}
    return [
        "Its gradient is larger on hard prompts than on easy ones",
        verdict(ratio["maxrl"] > 1, ratio["maxrl"] > ratio["grpo"] > ratio["rloo"]),
        "gradient norm where p < 0.1 over where p > 0.9: "
        + ", ".join(f"{m} {r:.2f}" for m, r in ratio.items()),
    ]


def live_claim() -> Claim:
    shares = {m: live(m) for m in ("maxrl", "grpo", "rloo")}
    best = [mean(shares["maxrl"]) > mean(shares[other]) for other in ("grpo", "rloo")]
    return [
        "More of the training prompts have a success",
        verdict(*best),
        "at the end, of 256: " + ", ".join(f"{m} {spread(v)}" for m, v in shares.items()),
    ]


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
    """A table of tests by contenders."""
    names = [n for n in dict.fromkeys(n for rows in tests.values() for n in rows) if n != "ours"]
    lines = []
    for test, rows in sorted(tests.items(), key=lambda item: item[0].split(",")[0]):
        cells = []
        for name in names:
            row = rows.get(name)
            cells.append(f"{seconds(row)}, **{row['vs_ours']:.3g}x**" if row else "")
        lines.append([test, seconds(rows["ours"]), *cells])
    return markdown(["", "ours", *names], lines)


def seconds(row: dict[str, float]) -> str:
    """Median and range."""
    return f"{row['median_s']:.3g} ({row['min_s']:.3g} to {row['max_s']:.3g})"


def scaling_rows(files: Sequence[dict]) -> str:
    """A step against the number of rollouts."""
    columns = ("pass rate", "rollouts per prompt", "distinct, in all", "seconds", "peak memory, MB")
    rows = [
        [f"{measured['scaling']['pass_rate']:.2f}", f"{row['k']:,}", f"{row['distinct']:,}",
         f"{row['seconds']:.3g}", f"{row['peak_mb']:.0f}"]
        for measured in files
        for row in measured["scaling"]["rows"]
    ]  # fmt: skip
    return markdown(columns, rows)


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


def gpu() -> str:
    """What the last `make gpu` measured, if there was one; a part that failed is left out."""
    path = RESULTS / "gpu.json"
    if not path.exists():
        return "Not measured on a GPU."
    measured = json.loads(path.read_text(encoding="utf-8"))
    tests, bench = measured["tests"], measured["bench"]
    parts = [
        f"On a GPU: {measured['gpu']}, torch {measured['torch']}, float32, commit "
        f"{measured['commit']}. Of {tests['of']} tests that need one, {tests['passed']} pass. "
        f"`make gpu` took {measured['minutes']:.1f} minutes."
    ]
    if bench:
        parts += [contenders(by_test(bench)), scaling_rows([bench])]
    return "\n\n".join([*parts, gpu_runs(measured["runs"])])


def gpu_runs(runs: dict[str, dict]) -> str:
    """Runs of figure 1, beside the same on a CPU; a run that failed has no row."""
    rows = []
    for name, there in runs.items():
        here = LOGS.lines("convergence", name)[-1]
        if there:
            cells = [f"{run['seconds']:.0f} s, {run['pass@1']:.3f}" for run in (there, here)]
            rows.append([f"`{name}`", *cells])
    return markdown(["of figure 1: seconds, pass@1", "GPU", "one thread of a CPU"], rows)


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
    "default": default,
    "convergence": lambda: from_scratch("convergence"),
    "exact": lambda: from_scratch("exact"),
    "cosines": cosines,
    "scaling": scaling,
    "few": few,
    "scarce": scarce,
    "efficiency": efficiency,
    "dynamics": dynamics,
    "latent": latent,
    "likelihoods": likelihoods,
    "rates": rates,
    "claims": claims,
    "speed": speed_table,
    "scaling-of-a-step": scaling_table,
    "gpu": gpu,
    "soak": soak_text,
    "made-at": lambda: MADE_AT,
}
HOMES = {
    "README.md": ("claims",),
    "PROMISES.md": ("soak",),
    "RESULTS.md": tuple(name for name in BLOCKS if name not in ("claims", "soak")),
}


def write(folder: Path) -> None:
    """In each file of HOMES put its blocks between `<!-- results:NAME -->` and `<!-- end -->`."""
    for file, names in HOMES.items():
        text = (folder / file).read_text(encoding="utf-8")
        for name in names:
            head, _, rest = text.partition(f"<!-- results:{name} -->\n")
            _, end, tail = rest.partition("<!-- end -->")
            if not end:
                raise SystemExit(f"{file} has no markers for {name}")
            text = f"{head}<!-- results:{name} -->\n{BLOCKS[name]()}\n{end}{tail}"
        (folder / file).write_text(text, encoding="utf-8")
