"""Every number of the page of results, computed again from the logs by other code.

Nothing of paper/ is imported: runs are found by their configuration, not by their labels, and all
statistics are written anew.

    python -m pytest tests/more/test_recompute.py
"""

import itertools
import json
import math
import re
from pathlib import Path
from statistics import mean, median

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULTS = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")
KS = (16, 128, 1024, 4096, 16384)
BASES = {"base 0.01": "border-01", "base 0.1": "border-10", "base 0.5": "border-50"}
SPOKEN = {"different right answers": "answers", "log E[l]": "log_likelihood",
          "mean log P(l > threshold)": "log_tail"}  # fmt: skip


# ------------------------------------------------------------------------------ the logs


class Results:
    """A folder of results."""

    def __init__(self, folder):
        self.folder, self.cache = folder, {}

    def runs(self, sweep, label):
        """The evaluations of the reported runs of a label, by seed."""
        if sweep not in self.cache:
            lines = (self.folder / f"{sweep}.jsonl").read_text().splitlines()
            found = [json.loads(x) for x in lines]
            self.cache[sweep] = [x for x in found if x["config"]["eval_split"] == "test"]
        mine = {x["config"]["seed"]: x["evaluations"]
                for x in self.cache[sweep] if is_label(label, x["config"])}  # fmt: skip
        assert mine, (sweep, label)
        return [mine[seed] for seed in sorted(mine)]

    def ends(self, sweep, label, figure):
        return [end(rows, figure) for rows in self.runs(sweep, label)]

    def starts(self, sweep, figure):
        """By seed; it is the same for all labels."""
        self.runs(sweep, "maxrl" if sweep not in ("relatives", "graded") else "")
        at = {}
        for x in self.cache[sweep]:
            at.setdefault(x["config"]["seed"], set()).add(float(x["evaluations"][0][figure]))
        assert all(len(values) == 1 for values in at.values()), (sweep, "not one base")
        return [at[seed].pop() for seed in sorted(at)]

    def gap(self, ours, theirs, figure):
        pairs = zip(self.ends(*ours, figure), self.ends(*theirs, figure), strict=True)
        return interval([a - b for a, b in pairs])


def is_label(label, c):
    """Does a configuration belong to 'maxrl k=16', 'exact order=255', 'grpo pool=fresh', ...?"""
    method, *rest = label.split() or [""]
    if method == "regression":
        return c["reward"] == "regression"
    if method and (c["method"] != method or c["reward"] == "regression"):
        return False
    if c["method"] == "ce" and c["sft_steps"] == 0 and method:
        return (rest == ["twin"]) == (c["train_prompts"] > 0)
    wanted = dict(part.split("=") for part in rest)
    has = {"k": c["k"], "pool": c["train_prompts"] or "fresh", "order": c["order"]}
    return all(str(has[name]) == value for name, value in wanted.items())


def end(rows, figure):
    last = rows[-1]["step"]
    return mean(float(r[figure]) for r in rows if 5 * r["step"] > 4 * last)


def D(results, label, figure="pass@1"):
    both = zip(results.runs("convergence", label), results.runs("convergence", "ce"), strict=True)
    return [sum(abs(x[figure] - y[figure]) for x, y in zip(a, b, strict=True)) / len(a)
            for a, b in both]  # fmt: skip


def losers(results, label):
    """Seeds that end with a kind of problem whose pass@128 is below a half."""
    return sum(min(p for _, _, p in rows[-1]["kinds"]) < 0.5
               for rows in results.runs("convergence", label))  # fmt: skip


def samples(results, label):
    """By seed, the tries that solve .99, between powers of two; at most 16,384."""
    found, names = [], [f"pass@{2**i}" for i in range(15)]
    curves = ([results.starts("fresh", n) for n in names] if label == "base" else
              [results.ends("fresh", label, n) for n in names])  # fmt: skip
    for curve in zip(*curves, strict=True):
        i = sum(p < 0.99 for p in curve)
        between = (0.99 - curve[i - 1]) / (curve[i] - curve[i - 1]) if 0 < i < 15 else 0
        found.append(2 ** (i - 1 + between) if 0 < i < 15 else 16384 if i else 1)
    return found


def hard(results, stage, method, k):
    """By seed, the share of summed gradient norms on prompts with p < .1, by our own formulas."""
    seeds = json.loads((results.folder / "gradients.json").read_text())["found"][stage]

    def w(p):
        if method == "grpo":  # E sqrt(m (1-m)) / (p (1-p)), m the group's mean
            logs = (math.lgamma(k + 1) - math.lgamma(s + 1) - math.lgamma(k - s + 1)
                    + s * math.log(p) + (k - s) * math.log1p(-p) for s in range(1, k))  # fmt: skip
            terms = (math.exp(x) * math.sqrt(s * (k - s)) / k for s, x in enumerate(logs, 1))
            return sum(terms) / (p * (1 - p))
        return {"rloo": 1.0, "maxrl": (1 - (1 - p) ** (k - 1)) / p, "ce": 1 / p}[method]

    found = []
    for rows in seeds.values():
        sizes = [
            (p, w(min(p, 1 - 1e-9)) * p * g) for p, g in zip(rows["p"], rows["norm"], strict=True)
        ]
        found.append(sum(x for p, x in sizes if p < 0.1) / sum(x for _, x in sizes))
    return found


# ------------------------------------------------------------------------- the statistics


def interval(values):
    """Hodges-Lehmann; the 95 % interval by inverting the test: all flips of the ranks' signs."""
    n = len(values)
    averages = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    sums = [sum(r for r, up in zip(range(1, n + 1), signs, strict=True) if up)
            for signs in itertools.product((0, 1), repeat=n)]  # fmt: skip
    cut = sum(sum(s <= t for s in sums) <= 0.025 * 2**n for t in range(n * (n + 1) // 2))
    return [median(averages), averages[max(cut - 1, 0)], averages[-max(cut, 1)]]


def ratio(over, under):
    return [
        math.exp(x) for x in interval([math.log(a / b) for a, b in zip(over, under, strict=True)])
    ]


def spread(values):
    return [mean(values), min(values), max(values)]


# --------------------------------------------------------------------- what is published


def numbers(text):
    """(value, size of its last digit) of each number in a text; `code` is not looked at."""
    text = re.sub(r"`[^`]*`", "", text)
    found = re.findall(r"(?<![\w.@])([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)", text)
    return [(float(x.replace(",", "")), last_digit(x)) for x in found]


def last_digit(x):
    mantissa, _, exponent = x.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def agree(cell, expected, where):
    """The numbers of a cell are these, to their last digit."""
    found = numbers(cell)
    assert len(found) == len(expected), (where, cell, expected)
    for (value, unit), want in zip(found, expected, strict=True):
        assert abs(value - want) <= 0.51 * unit + 1e-6 * abs(want), (where, cell, expected)


def tables_of(block):
    """Each table of a block: its head, and its rows, as lists of cells."""
    lines = [(line.startswith("|"), line) for line in block.splitlines()]
    for is_table, part in itertools.groupby(lines, key=lambda pair: pair[0]):
        if is_table:
            rows = [[c.strip() for c in line.strip("|").split("|")] for _, line in part]
            yield rows[0], rows[2:]


def blocks():
    """name -> what stands between its markers, of all pages; those whose runs are there."""
    text = "".join((ROOT / p).read_text(encoding="utf-8") for p in ("README.md", "RESULTS.md"))
    found = dict(re.findall(r"<!-- results:(\S+) -->\n(.*?)<!-- end -->", text, flags=re.DOTALL))
    return {n: x for n, x in found.items() if "*Not run yet.*" not in x and n in CHECKS}


# ------------------------------------------------------------------------------ the checks


def check_ends(results, sweep, table):
    """A table of bases and ends; other columns are the tries for .99."""
    head, rows = table
    for label, *cells in rows:
        name = label.strip("*`")
        for column, cell in zip(head[1:], cells, strict=True):
            figure = SPOKEN.get(column, column)
            if figure.startswith("samples"):
                agree(cell, [mean(samples(results, name))], (sweep, label))
            elif name == "base":
                agree(cell, spread(results.starts(sweep, figure)), (sweep, label, column))
            else:
                agree(cell, spread(results.ends(sweep, name, figure)), (sweep, label, column))


def last(rows, figure):
    return float(rows[-1][figure])


def check_default(results, block):
    """compare.py's table is of last evaluations, and marks the best; then the differences."""
    first, *more = tables_of(block)
    seeds = slice(None) if first[1][0][1] != "1" else slice(1)
    for name, n, _, *cells in first[1]:
        for figure, cell in zip(DEFAULTS, cells, strict=True):
            runs = results.runs("default", "maxrl" if name == "base" else name)[seeds]
            values = [
                float(rows[0][figure]) if name == "base" else last(rows, figure) for rows in runs
            ]
            agree(cell, spread(values) if len(values) > 1 else values, (name, figure))
            assert n == str(len(values))
    for j, figure in enumerate(DEFAULTS, 3):
        ends = {r[0]: numbers(r[j])[0][0] for r in first[1] if r[0] != "base"}
        best = (min if figure == "nll" else max)(ends.values())
        assert {r[0] for r in first[1] if r[j].endswith("*")} == {
            m for m, x in ends.items() if x == best
        }
    for name, *cells in [row for _, rows in more for row in rows]:
        other = ("default", name.split("`")[3])
        for figure, cell in zip(DEFAULTS, cells, strict=True):
            agree(cell, results.gap(("default", "maxrl"), other, figure), (name, figure))


def check_convergence(results, block):
    for name, *cells in next(tables_of(block))[1]:
        label = name.strip("`")
        distances = [spread(D(results, label, f)) for f in ("pass@1", "nll")]
        ends = [
            spread(results.ends("convergence", label, f)) for f in ("pass@1", "pass@128", "nll")
        ]
        for cell, want in zip(cells, [*distances, *ends, [losers(results, label)]], strict=True):
            agree(cell, want, label)


def check_border(results, block):
    for base, pool, ours, *gaps in next(tables_of(block))[1]:
        sweep = BASES[base]
        agree(ours, spread(results.ends(sweep, f"maxrl pool={pool}", "pass@1")), (base, pool))
        for cell, (a, b) in zip(
            gaps, (("maxrl", "grpo"), ("maxrl", "rloo"), ("ce", "grpo")), strict=True
        ):
            sides = ((sweep, f"{m} pool={pool}") for m in (a, b))
            agree(cell, results.gap(*sides, "pass@1"), (base, pool, a, b))


def check_gradient(results, block):
    for stage, k, share, *cells in next(tables_of(block))[1]:
        seeds = json.loads((results.folder / "gradients.json").read_text())["found"][stage]
        ps = [p for rows in seeds.values() for p in rows["p"]]
        agree(share, [mean(p < 0.1 for p in ps)], stage)
        for m, cell in zip(("rloo", "grpo", "maxrl", "ce"), cells, strict=True):
            agree(cell, spread(hard(results, stage, m, int(k.replace(",", "")))), (stage, k, m))


def check_theory(results, block):
    """The weights of the methods that have a closed form."""
    for name, k, *cells in next(tables_of(block))[1]:
        method, n = name.strip("`"), int(k)
        order = {"reinforce": 1, "rloo": 1, "maxrl": n - 1, "maxrl-raw": n, "maxrl-loo": n}.get(
            method
        )
        if order:
            for p, cell in zip((0.01, 0.05, 0.3, 0.8), cells, strict=True):
                (value, unit), want = numbers(cell)[0], (1 - (1 - p) ** order) / p
                assert abs(value - want) <= max(0.51 * unit, 0.006 * want), (method, n, p)


def check_budget(results, block):
    for k, *cells in next(tables_of(block))[1]:
        columns = [(m, f) for m in ("maxrl", "rloo") for f in ("pass@1", "nll")]
        for (m, figure), cell in zip(columns, cells, strict=True):
            side = ("default", m) if k == "8" else ("budget", f"{m if k != '2' else 'maxrl'} k={k}")
            agree(cell, spread(results.ends(*side, figure)), (k, m, figure))


def effects(results, there):
    """The numbers of each row of the table of findings, in its order."""
    one = {m: ("default", m) for m in ("maxrl", "rloo", "grpo", "maxrl-raw", "reinforce", "ce")}
    if 0 in there:
        for figure, other in itertools.product(("pass@1", "nll"), ("rloo", "grpo")):
            yield results.gap(one["maxrl"], one[other], figure)
        for other in ("maxrl-raw", "reinforce", "ce"):
            yield results.gap(one[other], one["maxrl"], "pass@1")
    if 1 in there:
        twins = mean(D(results, "ce twin"))
        yield [*(mean(D(results, f"maxrl k={k}")) for k in KS), twins]
        yield [mean(D(results, "exact order=1023")), twins]
        yield results.gap(*(("convergence", f"{m} k=4096") for m in ("maxrl", "grpo")), "pass@1")
        yield [x for k in KS for x in (losers(results, f"maxrl k={k}"), k)]
    if 2 in there:
        for a, b in (
            ("maxrl k=64", "grpo k=64"),
            ("maxrl k=256", "maxrl k=16"),
            ("maxrl k=64", "rloo k=64"),
        ):
            yield results.gap(("fresh", a), ("fresh", b), "pass@1")
        for other in ("grpo k=64", "base"):
            yield ratio(samples(results, other), samples(results, "maxrl k=64"))
    if 3 in there:
        for a, b in (("maxrl", "grpo"), ("ce", "grpo"), ("maxrl", "rloo")):
            row = []
            for sweep in BASES.values():
                ends = [[results.ends(sweep, f"{m} pool={n}", "pass@1") for m in (a, b)]
                        for n in ("256", "1024", "fresh")]  # fmt: skip
                pairs = [zip(*both, strict=True) for both in ends]
                signs = [{x > y for x, y in pair} for pair in pairs]
                row += [
                    signs.count({True}),
                    signs.count({False}),
                    mean(results.starts(sweep, "pass@1")),
                ]
            yield row
    for task in ("countdown", "chain") if 4 in there else ():
        for figure in ("pass@64", "pass@1", "answers"):
            yield results.gap((task, "maxrl"), (task, "grpo"), figure)
    for k in (16, 1024) if 5 in there else ():
        ours, theirs = (hard(results, "base .5", m, k) for m in ("maxrl", "grpo"))
        yield [mean(ours), mean(theirs), *ratio(ours, theirs)]
    graded = {m: ("graded", m) for m in ("maxrl-loo", "tailrl", "reinforce")}
    if 7 in there:
        yield results.gap(graded["maxrl-loo"], graded["reinforce"], "log_likelihood")
        for figure in ("log_tail", "log_likelihood"):
            yield results.gap(graded["tailrl"], graded["maxrl-loo"], figure)
    for k in (2, 32, 128) if 8 in there else ():
        yield results.gap(("budget", f"maxrl k={k}"), one["maxrl"], "pass@1")


def check_claims(results, block):
    """Each effect, and that the sentence says what the effect does."""
    absent = re.search(r"Not run yet: experiments ([\d, ]+)\.", block)
    there = set(range(9)) - set(map(int, absent[1].split(","))) if absent else set(range(9))
    rows = next(tables_of(block))[1]
    for (sentence, _, effect, _), want in zip(rows, effects(results, there), strict=True):
        agree(re.sub(r"D = |from (p = )?|at ", " ", effect), want, sentence)
        said = re.search(r" ends (above|below) | cannot be told apart ", sentence)
        if said:
            sign = (want[1] > 0) - (want[2] < 0)
            assert said[1] == {1: "above", -1: "below", 0: None}[sign], (sentence, want)


def check_headlines(results, block):
    """Rows of the table of findings, as they are there."""
    theirs = [row for _, rows in tables_of(blocks_of(results)["claims"]) for row in rows]
    assert all(row in theirs for _, rows in tables_of(block) for row in rows)


def blocks_of(results):
    """Of the pages; tests of made-up logs put theirs here."""
    return getattr(results, "blocks", None) or blocks()


def of_sweeps(*sweeps):
    def check(results, block):
        for sweep, table in zip(sweeps, tables_of(block), strict=True):
            check_ends(results, sweep, table)

    return check


CHECKS = {
    "experiment-0": check_default, "default-seeds": check_default, "default-seed-0": check_default,
    "experiment-1": check_convergence, "experiment-2": of_sweeps("fresh"),
    "experiment-3": check_border, "experiment-4": of_sweeps("countdown", "relatives", "chain"),
    "experiment-5": check_gradient, "experiment-6": check_theory,
    "experiment-7": of_sweeps("graded"), "experiment-8": check_budget, "claims": check_claims,
    "headlines": check_headlines,
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_published_numbers_are_those_of_the_logs(name):
    if name in blocks():
        CHECKS[name](Results(ROOT / "results"), blocks()[name])


def test_an_interval_by_hand():
    """Eight values: the fourth Walsh average from either end."""
    values = [0.3, 1.1, -0.4, 2.0, 0.9, 1.6, 0.7, 1.3]
    assert interval(values) == pytest.approx([0.975, 0.25, 1.6])
    assert interval([1, 2, 4]) == [2.25, 1, 4], "few seeds: their range"
