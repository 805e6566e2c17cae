"""What README, RESULTS and PROMISES say in numbers: from the logs, Markdown for each marker.

    <!-- results:NAME -->  ...  <!-- end -->

Every block is a function here; `write` puts them in. A block of an experiment whose runs are not
all there says so. Left out: opinions; claims.py has the claims, and verdicts.py the rules by which
they are judged.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev

from paper.claims import claims
from paper.logs import (
    ESTIMATORS,
    RESULTS,
    Logs,
    best_likelihoods,
    chosen,
    complete,
    ends_of_tuning,
    fewer_samples,
    gains_of_loo,
    gap,
    logs_in,
    ready,
    settings_of_scarce,
    signal_to_noise,
    steps_to,
    tuned_in,
)
from paper.sweeps import GROUP_METHODS, MOST_RATES, RIVALS, SWEEPS, ks_of, rate_text
from paper.verdicts import NO, RULE, YES, of_difference, of_ratio, said

LOGS = Logs(RESULTS)
PATHS = (
    "*Thick: the mean over seeds, from the base (square) to the end (dot). Thin: the tuning runs,"
    " on validation problems, at all rates that were tried, where a rate was chosen.*"
)
NOT_RUN = "*Not run yet.*"


def spread(values: Sequence[float], digits: int = 3) -> str:
    """mean ± standard deviation over seeds (ddof 1)."""
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("| --- ", "|---") for line in lines)


def picture(name: str, alt: str) -> str:
    """A figure of figures.py."""
    return f"![{alt}](assets/{name}.png)"


def block(*parts: str) -> str:
    """Paragraphs."""
    return "\n\n".join(parts)


def ends(sweep: str, figures: Sequence[str], digits: int = 3) -> list[list[str]]:
    """A row for the weights that a sweep starts from and one for each label."""
    base = [LOGS.starts(sweep, f) for f in figures]
    rows = [["*base*", *(spread(v, digits) for v in base)]]
    for label in SWEEPS[sweep].labels:
        rows.append([f"`{label}`", *(spread(LOGS.ends(sweep, label, f), digits) for f in figures)])
    return rows


def seeds_said(sweep: str) -> str:
    """'8 seeds'"""
    return f"{len(LOGS.seeds(sweep))} seeds"


# ------------------------------------------------------------------------ the experiments


def default() -> str:
    figures = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")
    rows = ends("default", figures)
    seconds = [
        f"{mean(r[-1]['seconds'] for r in LOGS.runs('default', m)):.0f}"
        for m in SWEEPS["default"].labels
    ]
    rows = [[*row, s] for row, s in zip(rows, ["", *seconds], strict=True)]
    gaps = "; ".join(
        f"{f} {said(gap(LOGS, 'default', 'maxrl', 'rloo', f, 'end'))}"
        for f in ("pass@1", "pass@1024")
    )
    return block(
        markdown(["at the end", *figures, "seconds of one thread"], rows),
        f"{seeds_said('default')}, mean ± standard deviation. `maxrl` less `rloo`: {gaps}.",
    )


def arrivals(sweep: str, label: str, target: float) -> list[int]:
    """The steps at which the seeds that get to a pass@1 of `target` get there."""
    steps = [steps_to(rows, target) for rows in LOGS.runs(sweep, label)]
    return [step for step in steps if step is not None]


def reached(sweep: str, label: str, target: float) -> str:
    """The steps of the seed in the middle and the range, if every seed got there."""
    steps, n = sorted(arrivals(sweep, label, target)), len(LOGS.seeds(sweep))
    if not steps:
        return "never"
    if len(steps) < n:
        return f"{len(steps)} of {n} seeds, from {steps[0]}"
    return f"{(steps[(n - 1) // 2] + steps[n // 2]) / 2:g} ({steps[0]} to {steps[-1]})"


def from_scratch(sweep: str) -> str:
    figures = ("pass@1", "pass@128", "nll")
    targets = (0.5, 0.9)
    rows = ends(sweep, figures)
    steps = [[reached(sweep, label, t) for t in targets] for label in SWEEPS[sweep].labels]
    rows = [[*row, *s] for row, s in zip(rows, [["", ""], *steps], strict=True)]
    return markdown(["at the end", *figures, *(f"steps to pass@1 {t:g}" for t in targets)], rows)


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


def verdicts_of(number: int) -> str:
    """The claims that an experiment settles, and those it does not."""
    found: dict[str, list[str]] = {}
    for claim in claims(LOGS):
        if claim.experiment == number:
            found.setdefault(claim.judged()[0], []).append(claim.text)
    return "\n".join(f"- {word}: {'; '.join(texts)}." for word, texts in sorted(found.items()))


def experiment(number: int) -> str:
    """Its verdicts, then its tables and figures."""
    return block(*filter(None, [verdicts_of(number), EXPERIMENTS[number]()]))


def experiment_1() -> str:
    return block(
        picture("convergence", "Held-out pass@1 and nll from scratch against steps"),
        f"*{seeds_said('convergence')}: a thin line each, the median thick. Steps to a pass rate:"
        " the median and the range.*",
        from_scratch("convergence"),
        "Is it the noise or the objective? Where the pass rate can be computed, so can the"
        " objective, and `--method exact` ascends it without a rollout. Order 1 is what REINFORCE"
        " would do with infinitely many:",
        picture("exact", "Held-out pass@1 and nll for exact objectives of order 1 to infinity"),
        from_scratch("exact"),
        picture("cosines", "1 - cosine between an estimate and the cross-entropy gradient"),
        "*Of one batch, five draws of the rollouts: mean and range; what is below 10⁻⁵ is drawn"
        " there.*",
        cosines(),
    )


def first_figure() -> str:
    """What README.md begins with."""
    tries = 1 / mean(LOGS.starts("convergence", "pass@1"))
    labels = SWEEPS["convergence"].labels
    ends_ = {m: mean(LOGS.ends("convergence", m, "pass@1")) for m in labels}
    said_ = ", ".join(f"`{m}` {x:.2f}" for m, x in ends_.items())
    return block(
        picture("convergence", "Held-out pass@1 and nll from scratch against steps"),
        "*Addition of numbers with up to two digits, from random weights, right about once in"
        f" {tries:,.0f} tries at first: a thin line for each of {seeds_said('convergence')}, the"
        " median thick. Cross-entropy (`ce`) is shown the answers, the others only get rewards."
        f" Mean pass@1 at the end: {said_}. ([Experiment 1](RESULTS.md#1-from-scratch))*",
    )


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
    return markdown(["at the end", *(f"{f}, k = {k}" for f, k in columns)], [base, *rows])


def gaps_by_k() -> str:
    """maxrl less others at each k: at the end, and at equal pass@1."""
    rows = []
    for k in ks_of("scaling"):
        cells = []
        for other in RIVALS:
            for figure, how in (("pass@1", "end"), ("pass@1024", "end"), ("pass@1024", "equal")):
                labels = (f"maxrl k={k}", f"{other} k={k}")
                cells.append(said(gap(LOGS, "scaling", *labels, figure, how)))
        rows.append([str(k), *cells])
    what = ("pass@1", "pass@1024", "pass@1024 at equal pass@1")
    head = [f"{figure}, less {other}" for other in RIVALS for figure in what]
    return markdown(["k", *head], rows)


def few() -> str:
    """maxrl-loo less maxrl, at one learning rate and at two."""
    figures = ("pass@1", "pass@128", "pass@1024", "nll")
    rows = [
        [f"{k}, at the rate of `maxrl`"]
        + [said(of_difference(gains_of_loo(LOGS, f, k))) for f in figures]
        for k in (3, 4, 8, 16)
    ]
    for k in ks_of("scaling"):
        labels = (f"maxrl-loo k={k}", f"maxrl k={k}")
        cells = [said(gap(LOGS, "scaling", *labels, f, "end")) for f in figures]
        rows.append([f"{k}, each at its own rate", *cells])
    return markdown(["k", *figures], rows)


def experiment_2() -> str:
    return block(
        picture("scaling", "-log pass@1, @128 and @1024 after training against rollouts"),
        scaling(),
        f"`maxrl` less the others, {seeds_said('scaling')}, with 95% intervals:",
        gaps_by_k(),
        picture("fresh-paths", "Paths in the plane of pass@1 and -log pass@1024, by rollouts"),
        PATHS,
        "A question of our own: `maxrl` trains order k - 1 and `maxrl-loo` order k, exactly. Does"
        " that matter when rollouts are few? `maxrl-loo` less `maxrl` at the end, with the learning"
        " rate that is best for `maxrl` (drawn), and with the best for each:",
        picture("few", "maxrl-loo less maxrl at one learning rate, a point for each seed"),
        few(),
    )


def counted(other: str, how: str) -> str:
    """In how many settings of experiment 3 maxrl is ahead of `other`, and behind."""
    words = []
    for c in settings_of_scarce():
        figure = "pass@1" if how == "end" else c.figure
        words.append(gap(LOGS, c.sweep, c.label("maxrl"), c.label(other), figure, how).word)
    rest = len(words) - words.count(YES) - words.count(NO)
    return (
        f"ahead of `{other}` in {words.count(YES)} of {len(words)} settings, behind in "
        f"{words.count(NO)}, not settled in {rest}"
    )


def gaps_of_scarce(other: str) -> str:
    rows = []
    for c in settings_of_scarce():
        labels = (c.label("maxrl"), c.label(other))
        columns = (("pass@1", "end"), (c.figure, "end"), (c.figure, "equal"), (c.figure, "best"))
        cells = [said(gap(LOGS, c.sweep, *labels, f, how)) for f, how in columns]
        rows.append([c.name, c.pool, spread(LOGS.ends(c.sweep, labels[0], "pass@1")), *cells])
    return markdown(
        [f"`maxrl` less `{other}`", "prompts", "pass@1 of `maxrl`", "pass@1 at the end",
         "pass@k at the end", "pass@k at equal pass@1", "pass@k at the best checkpoint"], rows
    )  # fmt: skip


def why_a_border() -> list[str]:
    """How many prompts there are for the weight of hard ones, who loses them, and what carries
    over. The words are held against the logs by tests/more/test_recompute.py."""
    figures = ("pass@1", "pass@8", "pass@128")
    rows = []
    for name, sweep in {
        c.name: c.sweep for c in settings_of_scarce() if c.figure in figures
    }.items():
        one, eight, all_ = (mean(LOGS.starts(sweep, f)) for f in figures)
        fresh = (LOGS.ends(sweep, f"{m} pool=fresh", "pass@128") for m in ("maxrl", *RIVALS))
        few = mean(LOGS.ends(sweep, "maxrl pool=64", "pass@1"))
        cells = [f"{x:.3f}" for x in (all_ - eight, all_, *map(mean, fresh), one, few)]
        rows.append([name, *cells])
    head = ["", "solved in 128 tries and not in 8, base", "pass@128, base"]
    head += [f"`{m}`, fresh" for m in ("maxrl", *RIVALS)] + ["pass@1, base", "`maxrl`, 64 prompts"]
    return [
        "Why there is a border: what MaxRL adds is the weight of prompts that are seldom solved, so"
        " there must be such prompts. Where the base solves a tenth of its tries there are many,"
        " and the other methods let go of them while `maxrl` keeps more; where it solves half there"
        " are few. And what is learnt must carry over to other prompts: with 64 pass@1 ends below"
        " the base, with any method. Many right answers are not needed: the largest gaps at equal"
        " pass@1 are those of addition, which has one.",
        markdown(head, rows),
    ]


def experiment_3() -> str:
    equal, end = ("; ".join(counted(m, how) for m in RIVALS) for how in ("equal", "end"))
    return block(
        picture("paths", "Paths in the plane of pass@1 and -log pass@k, few prompts and many"),
        PATHS,
        picture("border", "Where MaxRL helps and where it hurts, over prompts and base pass rate"),
        "*Framed: the 95% interval excludes zero.*",
        f"At equal pass@1, in pass@k, `maxrl` is {equal}. In pass@1 at the end it is {end}.",
        *why_a_border(),
        *(gaps_of_scarce(m) for m in RIVALS),
        f"pass@k is pass@128 for addition ({seeds_said('scarce-hard')}) and pass@64 for countdown"
        f" ({seeds_said('countdown')}). The best checkpoint is that with the highest pass@1 on one"
        " half of the held-out prompts, and is judged on the other half, both ways.",
    )


def factor(k: int, other: str, K: int) -> str:
    """The geometric mean over seeds, with its interval; or on how many seeds there is one."""
    ratios = fewer_samples(LOGS, k, other, K)
    found = [r for r in ratios if r]
    if len(found) < len(ratios):
        return f"{len(found)} of {len(ratios)} seeds"
    return said(of_ratio(found), ratio=True)


def efficiency() -> str:
    rows = [
        [str(k), f"{K:,}", *(factor(k, other, K) for other in ("grpo", "base"))]
        for k in ks_of("scaling")
        for K in (8, 128, 1024, 8192)
    ]
    return block(
        picture("efficiency", "-log pass@k against k; how many times fewer samples maxrl needs"),
        markdown(["k", "samples K", "fewer than grpo with K", "fewer than the base with K"], rows),
        f"Geometric means over {seeds_said('scaling')}, with 95% intervals; below 1x `maxrl` needs"
        " more. Where the base needs fewer samples than both, a factor over `grpo` compares two"
        " models that are worse than no training. *Of seeds*: on the others the first sample is"
        " enough, or 16,384 are not. (The runs of experiment 2.)",
    )


def dynamics() -> str:
    rows = []
    for m in ("maxrl", *RIVALS):
        ends_ = LOGS.ends("countdown", f"{m} pool=256", "live")
        rows.append([f"`{m}`", spread(ends_)])
    return block(
        picture("dynamics", "Norm of the expected gradient of a prompt against p; live prompts"),
        "*Points: measured from rollouts, root mean squares of the prompts in a bin of p, with 95%"
        " intervals over the seeds that have three such prompts; half of them at least. Dashed:"
        " predicted, w(p) times the norm of grad p, exactly.*",
        markdown(["", "live prompts at the end (countdown, 256 prompts)"], rows),
    )


def experiment_6() -> str:
    figures = {"pass@1": "pass@1", "pass@16": "pass@16", "pass@64": "pass@64",
               "answers": "different right answers", "nll": "nll of a demonstration"}  # fmt: skip
    base = [spread(LOGS.starts("countdown", f)) for f in figures]
    rows = [["*base*", *base]]
    sources = {m: ("countdown", f"{m} pool=fresh") for m in ("maxrl", *RIVALS)}
    sources |= {m: ("latent", m) for m in SWEEPS["latent"].labels}
    for m, where in sources.items():
        rows.append([f"`{m}`", *(spread(LOGS.ends(*where, f)) for f in figures)])
    return block(
        picture("latent", "Held-out pass@1, pass@64 and different right answers on countdown"),
        "countdown, at the end:",
        markdown(["", *figures.values()], rows),
        f"The same number of rollouts for all; {seeds_said('countdown')} of `maxrl`, `grpo` and"
        f" `rloo`, {seeds_said('latent')} of the others. Different right answers: distinct right"
        " ones of 64, per solved prompt.",
        picture("latent-paths", "Paths in the plane of pass@1 and -log pass@k: countdown, chain"),
        PATHS,
        "chain, at the end:",
        markdown(["", *figures.values()], ends("chain", list(figures))),
    )


def likelihoods() -> str:
    figures = {"log_likelihood": "log E[l]", "mse": "squared error of the mean", "spread": "spread"}
    best = best_likelihoods()["spread"]
    labels = ("maxrl-loo order=16", "reinforce", "regression")
    ratios = {
        m: of_ratio([x / best for x in LOGS.ends("likelihoods", m, "spread")]) for m in labels
    }
    over = ", ".join(f"{said(v, ratio=True)} for `{m}`" for m, v in ratios.items())
    rates_ = ", ".join(f"{rate_text(n)} for `{m}`" for m, n in chosen("likelihoods").items())
    return block(
        picture("likelihoods", "Held-out log E[l], error of the mean number, and spread"),
        markdown(["at the end", *figures.values()], ends("likelihoods", list(figures), 2)),
        f"The spread, over that of maximum likelihood ({best:.2f}): {over}."
        f" {seeds_said('likelihoods')}; log E[l] is the log of the mean l of 128 rollouts, averaged"
        " over held-out prompts; spread: of the numbers written for one prompt, from quartiles."
        " Dotted: what maximum likelihood would measure on these targets.",
        f"Each learning rate is the one that ends with the best log E[l]: {rates_}. An objective"
        " that would draw the numbers together for longer steps is so stopped early.",
        picture("two-effects", "Advantage by rank of likelihood; weight by mean likelihood"),
        "*Two effects: within a prompt the best rollouts carry the weight, and across prompts the"
        " hard ones.*",
    )


def amount(x: float) -> str:
    """Two digits, of what can be so large that rounding decides."""
    return f"{x:.2g}" if x < 1e4 else "over 10,000"


def on_two_outcomes() -> str:
    """At some k and p, the estimator with the most signal to noise beside the usual ones."""
    ps, rows = (0.01, 0.05, 0.2, 0.5, 0.9), []
    for k in (4, 8, 16, 64):
        cells = []
        for p in ps:
            by = {m: signal_to_noise(m, p, k) for m in ESTIMATORS}
            best = max(by, key=by.__getitem__)
            others = ", ".join(f"`{m}` {amount(by[m])}" for m in ("maxrl", "grpo"))
            cells.append(f"`{best}` {amount(by[best])}; {others}")
        rows.append([str(k), *cells])
    return markdown(["best at k", *(f"p = {p:g}" for p in ps)], rows)


def of_all_prompts() -> dict[tuple[str, int], dict[str, float]]:
    """(model, k) -> estimator -> the sum of all prompts' signals over k times that of noises."""
    found = {}
    for stage, measured in LOGS.measured("estimates").items():
        for k in (4, 8, 16, 64):
            pairs = {m: zip(*measured["of"][m][str(k)], strict=True) for m in ESTIMATORS}
            found[stage, k] = {m: sum(s) / (k * sum(n)) for m, (s, n) in pairs.items()}
    return found


def on_the_model() -> str:
    """The same of all prompts together, measured."""
    rows = [
        [stage, str(k), *(f"{x:.3f}" for x in of.values())]
        for (stage, k), of in of_all_prompts().items()
    ]
    return markdown(["model", "k", *(f"`{m}`" for m in ESTIMATORS)], rows)


def on_baselines() -> str:
    """Where a baseline helps, and where it does not."""
    by = of_all_prompts().values()
    raw = [of["maxrl-raw"] / of["maxrl"] for of in by]
    plain = [of["reinforce"] / of["rloo"] for of in by]
    ps = [i / 100 for i in range(1, 100)]
    helps = max(p for p in ps if signal_to_noise("rloo", p, 8) > signal_to_noise("reinforce", p, 8))
    return (
        f"Does a baseline help? On two outcomes below p = {helps:.2f} (`rloo` against `reinforce`,"
        f" k = 8), and not above. On these models the same k without a baseline has"
        f" {min(plain):.1f} to {max(plain):.1f} times the signal to noise for expected reward"
        f" (`reinforce` over `rloo`), {min(raw):.1f} to {max(raw):.1f} times for MaxRL (`maxrl-raw`"
        " over `maxrl`). It can be so because a right text that is likely has a small score, and"
        " the wrong ones have large scores, which a baseline lets in."
    )


def which_to_take() -> str:
    """The least noisy estimator of maximum likelihood, for somebody who has to choose."""
    family = ("maxrl", "maxrl-raw", "maxrl-loo")
    best = {at: max(family, key=of.__getitem__) for at, of in of_all_prompts().items()}
    at_k = {m: sorted({k for (_, k), b in best.items() if b == m}) for m in family}
    named = "; ".join(f"`{m}` at k = {', '.join(map(str, ks))}" for m, ks in at_k.items() if ks)
    return (
        f"Which estimator of maximum likelihood to take, by this measure: {named}. Noise is not all"
        " that counts: what they train differs (order k, or k - 1 for `maxrl`), and where many"
        " texts are right their scores differ too. Experiments 2 and 9 say how they learn."
    )


def experiment_8() -> str:
    return block(
        picture("weights", "The weight that each method gives a prompt, against its pass rate"),
        "*Exact weights, by enumeration over all outcomes (`python maxrl.py` prints them). MaxRL"
        " follows 1/p down to p ≈ 1/k; GRPO lifts prompts that are nearly solved as much as hard"
        " ones; `maxrl-std`, a snippet that circulates as MaxRL, overshoots maximum likelihood.*",
        picture("series", "Objectives of order 1 to 5 beside log p, and their slopes beside 1/p"),
        "How noisy is an estimate? On a policy of two outcomes the variance can be enumerated:",
        picture("estimators", "Signal to noise for one rollout against p, six estimators"),
        on_two_outcomes(),
        "Signal to noise of one prompt's gradient at equal cost, |E g|² / (k var g): the squared"
        " norm of its mean over k times its variance. The right panel, and this table for all"
        " prompts together, are measured at the warm starts of experiments 2 and 3:",
        on_the_model(),
        on_baselines(),
        which_to_take(),
    )


def budget() -> str:
    figures = ("pass@1", "pass@128", "pass@1024", "nll")
    pairs = [
        [f"`{m}`, k = {a} less k = {b}",
         *(said(gap(LOGS, "budget", f"{m} k={a}", f"{m} k={b}", f, "end")) for f in figures)]
        for m in ("maxrl", "maxrl-loo", "rloo")
        for a, b in ((4, 16), (64, 16), (256, 16))
    ]  # fmt: skip
    loo = [
        [f"`maxrl-loo` less `{m}`, k = {k}",
         *(said(gap(LOGS, "budget", f"maxrl-loo k={k}", f"{m} k={k}", f, "end")) for f in figures)]
        for m in ("maxrl", "rloo")
        for k in ks_of("budget")
    ]  # fmt: skip
    return block(
        picture("budget", "-log pass@1, @128 and @1024 for 1,024 rollouts a step, against k"),
        f"{seeds_said('budget')}, the same number of steps; at the end, with 95% intervals:",
        markdown(["", *figures], pairs + loo),
    )


def rates() -> str:
    """The learning rates that were chosen."""
    rows = []
    for name, sweep in SWEEPS.items():
        if sweep.tuned_at and not sweep.rates_of and complete(LOGS, name):
            for label, n in chosen(name).items():
                rows.append([name, f"`{label}`", *rate_cells(name, label, n)])
    made = [name for name in SWEEPS if complete(LOGS, name)]
    seconds = [s for name in made for s in seconds_of(name)]
    hours = f"{sum(seconds) / 3600:.1f} hours of one thread after their warm starts"
    cost = f"{', '.join(made)}: {len(seconds)} runs, {hours}, beside other work; "
    cost += "idle cores need less than half."
    head = ["sweep", "tuned at", "rates tried", "seeds", "chosen", ""]
    return markdown(head, rows) + f"\n\n{cost}"


def seconds_of(name: str) -> list[float]:
    """How long each run of a sweep took, tuning runs among them."""
    texts = [path.read_text(encoding="utf-8") for path in logs_in(name)]
    return [json.loads(text.rstrip().rsplit("\n", 1)[-1])["seconds"] for text in texts]


def rate_cells(name: str, label: str, n: int) -> list[str]:
    """What was tried, with how many seeds, what was chosen, and what is wrong with it."""
    tried = ends_of_tuning(LOGS, tuned_in(name), label)
    grid, seeds = sorted({r for r, _ in tried}), {s for _, s in tried}
    best = mean(tried[n, s] for s in seeds)
    remark = ""
    if n in (grid[0], grid[-1]):
        remark = f"at an edge after {MOST_RATES} rates"
    if SWEEPS[name].criterion == "pass@1" and best < 0.1:
        remark = f"none gets going: pass@1 {best:.3f}"
    span = f"{rate_text(grid[0])} to {rate_text(grid[-1])}"
    return [span, str(len(seeds)), rate_text(n), remark]


def claims_table(short: bool = False) -> str:
    """Every claim with its verdict, the rule above it; or the chief ones without it."""
    there = {number for number in EXPERIMENTS if ready(LOGS, number)}
    rows = [
        [c.text, *(c.judged() if c.experiment in there else ("not run yet", ""))]
        for c in claims(LOGS)
        if c.chief or not short
    ]
    table = markdown(["claim", "here?", "difference, [95% interval]"], rows)
    return table if short else block(RULE, table)


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


EXPERIMENTS: dict[int, Callable[[], str]] = {
    0: default,
    1: experiment_1,
    2: experiment_2,
    3: experiment_3,
    4: efficiency,
    5: dynamics,
    6: experiment_6,
    7: likelihoods,
    8: experiment_8,
    9: budget,
}
BLOCKS: dict[str, Callable[[], str]] = {
    **{f"experiment-{n}": partial(experiment, n) for n in EXPERIMENTS},
    "first-figure": first_figure,
    "rates": rates,
    "claims": claims_table,
    "headlines": partial(claims_table, short=True),
    "speed": speed_table,
    "scaling-of-a-step": scaling_table,
    "nodes": nodes_table,
    "gpu": gpu,
    "soak": soak_text,
}


HOMES = {
    "README.md": ("first-figure", "headlines"),
    "PROMISES.md": ("soak",),
    "RESULTS.md": tuple(n for n in BLOCKS if n not in ("first-figure", "headlines", "soak")),
}
NEEDS = {f"experiment-{n}": n for n in EXPERIMENTS} | {"first-figure": 1}  # this experiment


def can_be_made(name: str) -> bool:
    """Whether the runs of a block are there; claims and rates begin with the first experiment."""
    if name in ("claims", "headlines", "rates"):
        return any(ready(LOGS, n) for n in EXPERIMENTS if n)
    return name not in NEEDS or ready(LOGS, NEEDS[name])


def content(name: str) -> str:
    """A block anew, or that its runs are not there."""
    return BLOCKS[name]() if can_be_made(name) else NOT_RUN


def write(folder: Path) -> None:
    """In each file of HOMES put its blocks between `<!-- results:NAME -->` and `<!-- end -->`."""
    for file, names in HOMES.items():
        text = (folder / file).read_text(encoding="utf-8")
        for name in names:
            head, _, rest = text.partition(f"<!-- results:{name} -->\n")
            _, end, tail = rest.partition("<!-- end -->")
            if not end:
                raise SystemExit(f"{file} has no markers for {name}")
            text = f"{head}<!-- results:{name} -->\n{content(name)}\n{end}{tail}"
        (folder / file).write_text(text, encoding="utf-8")
