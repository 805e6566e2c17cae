"""Every number of the page of results, computed again from the logs by other code.

Nothing of paper/ is imported: runs are found by their configuration, not by their labels, and all
statistics are written anew. Left out: the weights of experiment 6, which test_maxrl.py checks, and
the chief findings at the top, which are among those of the experiments.
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
OURS, SAME = "maxrl lr=0.0016", "maxrl lr=0.0008"  # its own best rate, and that of its rivals
KS = (16, 128, 1024, 4096, 16384)
BASES = ("border-01", "border-10", "border-50")
SPOKEN = {"different right answers": "answers", "log E[l]": "log_likelihood",
          "mean log P(l > threshold)": "log_tail"}  # fmt: skip


class Results:
    """A folder of results."""

    def __init__(self, folder):
        self.folder, self.cache = folder, {}

    def lines(self, sweep):
        """Of the reported runs, by seed."""
        if sweep not in self.cache:
            lines = map(json.loads, (self.folder / f"{sweep}.jsonl").read_text().splitlines())
            reported = [x for x in lines if x["config"]["eval_split"] == "test"]
            self.cache[sweep] = sorted(reported, key=lambda x: x["config"]["seed"])
        return self.cache[sweep]

    def runs(self, sweep, label):
        """The evaluations of the runs of a label, by seed."""
        mine = [x["evaluations"] for x in self.lines(sweep) if is_label(label, x["config"])]
        assert mine, (sweep, label)
        return mine

    def ends(self, sweep, label, figure):
        if label == "base":
            return self.starts(sweep, figure)
        return [end(rows, figure) for rows in self.runs(sweep, label)]

    def starts(self, sweep, figure):
        """By seed; it is the same for all labels."""
        at = {(x["config"]["seed"], float(x["evaluations"][0][figure])) for x in self.lines(sweep)}
        assert len(at) == len({seed for seed, _ in at}), (sweep, "not one base")
        return [value for _, value in sorted(at)]

    def gap(self, ours, theirs, figure):
        pairs = zip(self.ends(*ours, figure), self.ends(*theirs, figure), strict=True)
        return interval([a - b for a, b in pairs])


def is_label(label, c):
    """Does a configuration belong to 'maxrl k=16', 'exact order=255', 'grpo pool=fresh', ...?"""
    method, *rest = label.split()
    if (c["reward"] == "regression") != (method == "regression"):
        return False
    if method not in ("regression", c["method"]):
        return False
    if c["method"] == "ce" and c["sft_steps"] == 0:
        return (rest == ["twin"]) == (c["train_prompts"] > 0)
    has = {"k": c["k"], "pool": c["train_prompts"] or "fresh", "order": c["order"], "lr": c["lr"]}
    return all(str(has[name]) == value for name, value in (part.split("=") for part in rest))


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
    found, curves = [], [results.ends("fresh", label, f"pass@{2**i}") for i in range(15)]
    for curve in zip(*curves, strict=True):
        i = sum(p < 0.99 for p in curve)
        between = (0.99 - curve[i - 1]) / (curve[i] - curve[i - 1]) if 0 < i < 15 else 0
        found.append(2 ** (i - 1 + between) if 0 < i < 15 else 16384 if i else 1)
    return found


def hard(results, stage, method, k):
    """By seed, the share of summed gradient norms on the fifth of the prompts with the lowest p."""

    def w(p):
        if method == "grpo":  # E sqrt(m (1-m)) / (p (1-p)), m the group's mean
            logs = (math.lgamma(k + 1) - math.lgamma(s + 1) - math.lgamma(k - s + 1)
                    + s * math.log(p) + (k - s) * math.log1p(-p) for s in range(1, k))  # fmt: skip
            terms = (math.exp(x) * math.sqrt(s * (k - s)) / k for s, x in enumerate(logs, 1))
            return sum(terms) / (p * (1 - p))
        return {"rloo": 1.0, "maxrl": (1 - (1 - p) ** (k - 1)) / p, "ce": 1 / p}[method]

    found, seeds = [], json.loads((results.folder / "gradients.json").read_text())["found"][stage]
    for rows in seeds.values():
        pairs = sorted(zip(rows["p"], rows["norm"], strict=True))
        sizes = [w(min(p, 1 - 1e-9)) * p * norm for p, norm in pairs]
        found.append(sum(sizes[: len(sizes) // 5]) / sum(sizes))
    return found


def interval(values):
    """Hodges-Lehmann; the 95 % interval by all flips of the signs of ranks."""
    n = len(values)
    averages = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    sums = [sum(r for r, up in zip(range(1, n + 1), signs, strict=True) if up)
            for signs in itertools.product((0, 1), repeat=n)]  # fmt: skip
    cut = sum(sum(s <= t for s in sums) <= 0.025 * 2**n for t in range(n * (n + 1) // 2))
    return [median(averages), averages[max(cut - 1, 0)], averages[-max(cut, 1)]]


def ratio(over, under):
    logs = [math.log(a / b) for a, b in zip(over, under, strict=True)]
    return [math.exp(x) for x in interval(logs)]


def spread(values):
    return [mean(values), min(values), max(values)]


def numbers(text):
    """(value, size of its last digit) of each number in a text; `code` is not looked at."""
    text = re.sub(r"`[^`]*`", "", text)
    found = re.findall(r"(?<![\w.@])([-+]?\d[\d,]*(?:\.(\d+))?(?:e([-+]?\d+))?)", text)
    return [(float(x.replace(",", "")), 10.0 ** (int(exponent or 0) - len(digits)))
            for x, digits, exponent in found]  # fmt: skip


def agree(cell, expected, where):
    """The numbers of a cell are these, to their last digit."""
    found = numbers(cell)
    assert len(found) == len(expected), (where, cell, expected)
    for (value, unit), want in zip(found, expected, strict=True):
        assert abs(value - want) <= 0.51 * unit + 1e-6 * abs(want), (where, cell, expected)


def tables_of(block, of_differences=False):
    """Each table of a block, of differences or of others: its head, and its rows, as cells."""
    lines = [(line.startswith("|"), line) for line in block.splitlines()]
    for is_table, part in itertools.groupby(lines, key=lambda pair: pair[0]):
        if is_table:
            rows = [[c.strip() for c in line.strip("|").split("|")] for _, line in part]
            if of_differences == rows[0][0].startswith("difference"):
                yield rows[0], rows[2:]


def blocks():
    """name -> what stands between its markers, of all pages; those whose runs are there."""
    text = "".join((ROOT / p).read_text(encoding="utf-8") for p in ("README.md", "RESULTS.md"))
    found = dict(re.findall(r"<!-- results:(\S+) -->\n(.*?)<!-- end -->", text, flags=re.DOTALL))
    return {n: x for n, x in found.items() if "*Not run yet.*" not in x and n in CHECKS}


def check_ends(*sweeps):
    """Tables of bases and ends; a column of other than figures is the tries for .99."""

    def check(results, block):
        for sweep, (head, rows) in zip(sweeps, tables_of(block), strict=True):
            for (label, *cells), column in itertools.product(rows, head[1:]):
                name, figure = label.strip("*`"), SPOKEN.get(column, column)
                if figure.startswith("samples"):
                    tries = samples(results, name)
                    want = [median(tries), min(tries), max(tries)]
                else:
                    want = spread(results.ends(sweep, name, figure))
                agree(cells[head.index(column) - 1], want, (sweep, label, column))

    return check


def check_default(results, block):
    """compare.py's table is of last evaluations."""
    ((_, rows),) = tables_of(block)
    seeds = slice(None) if rows[0][1] != "1" else slice(1)
    for name, n, _, *cells in rows:
        label = {"base": "ce", "maxrl": SAME}.get(name, name)
        runs, at = results.runs("default", label)[seeds], 0 if name == "base" else -1
        assert n == str(len(runs))
        for figure, cell in zip(DEFAULTS, cells, strict=True):
            values = [float(run[at][figure]) for run in runs]
            agree(cell, spread(values) if len(values) > 1 else values, (name, figure))


PAIRS = (("maxrl", "grpo"), ("maxrl", "rloo"), ("ce", "grpo"))


def check_rows(want, keys=1):
    """The first table of a block: want(results, *keys of a row) are the numbers of its cells."""

    def check(results, block):
        for i, row in enumerate(next(tables_of(block))[1]):
            names = [text.strip("`").replace(",", "") for text in row[:keys]] + [i] * (keys == 2)
            for cell, numbers in zip(row[keys:], want(results, *names), strict=True):
                agree(cell, numbers, names)

    return check


def of_convergence(results, label):
    ends = (results.ends("convergence", label, f) for f in ("pass@1", "pass@128", "nll"))
    distances = (D(results, label, f) for f in ("pass@1", "nll"))
    return [*map(spread, (*distances, *ends)), [losers(results, label)]]


def of_border(results, start, pool, i):
    at = {m: (BASES[i // 3], f"{m} pool={pool}") for m in ("maxrl", "grpo", "rloo", "ce")}
    agree(start, [mean(results.starts(BASES[i // 3], "pass@1"))], (start, pool))
    gaps = (results.gap(at[a], at[b], "pass@1") for a, b in PAIRS)
    return [spread(results.ends(*at["maxrl"], "pass@1")), *gaps]


def of_gradient(results, start, k, i):
    sweep, stage = ("default", "default base") if i < 3 else ("border-50", "base .5")
    agree(start, [mean(results.starts(sweep, "pass@1"))], (start, k))
    return [spread(hard(results, stage, m, int(k))) for m in ("rloo", "grpo", "maxrl", "ce")]


def of_budget(results, k):
    of = {m: ("budget", f"{m} k={k}") for m in ("maxrl", "rloo")}
    if k == "2":
        of["rloo"] = of["maxrl"]
    if k == "8":
        of = {"maxrl": ("default", OURS), "rloo": ("default", "rloo")}
    return [spread(results.ends(*of[m], f)) for m in of for f in ("pass@1", "nll")]


def effects(results, number):
    """The numbers of each finding of an experiment, in order."""
    one = {m: ("default", m) for m in ("rloo", "grpo", "maxrl-raw", "reinforce", "ce")}
    one |= {"maxrl": ("default", OURS), "same": ("default", SAME)}
    figures = ("pass@1", "pass@1024", "nll")
    if number == 0:
        pairs = [*itertools.product(("maxrl", "same"), ("rloo", "grpo"))]
        pairs += [(other, "maxrl") for other in ("maxrl-raw", "reinforce", "ce")]
        for (ours, theirs), figure in itertools.product(pairs, figures):
            yield results.gap(one[ours], one[theirs], figure)
    if number == 1:
        twins = mean(D(results, "ce twin"))
        yield [*(x for k in KS for x in (mean(D(results, f"maxrl k={k}")), k)), twins]
        yield [x for k in KS for x in (losers(results, f"maxrl k={k}"), k)]
        yield results.gap(*(("convergence", f"{m} k=1024") for m in ("maxrl", "grpo")), "pass@1")
    if number == 2:
        for other in ("grpo k=64", "base"):
            yield ratio(samples(results, other), samples(results, "maxrl k=64"))
        pairs = [(f"maxrl k={k}", f"grpo k={k}") for k in (16, 64, 256)]
        pairs += [("maxrl k=256", "maxrl k=16"), ("maxrl k=64", "rloo k=64")]
        for (ours, theirs), figure in itertools.product(pairs, figures):
            yield results.gap(("fresh", ours), ("fresh", theirs), figure)
    for pair in (PAIRS[0], PAIRS[2], PAIRS[1]) if number == 3 else ():
        row = []
        for sweep in BASES:
            ends = [[results.ends(sweep, f"{m} pool={n}", "pass@1") for m in pair]
                    for n in ("256", "1024", "fresh")]  # fmt: skip
            signs = [{x > y for x, y in zip(*both, strict=True)} for both in ends]
            base = mean(results.starts(sweep, "pass@1"))
            row += [signs.count({True}), signs.count({False}), base]
        yield row
    for task, other in itertools.product(("countdown", "chain") * (number == 4), ("grpo", "base")):
        for figure in ("pass@64", "pass@1", "answers"):
            yield results.gap((task, "maxrl"), (task, other), figure)
    for k in (16, 1024) if number == 5 else ():
        ours, theirs = (hard(results, "default base", m, k) for m in ("maxrl", "grpo"))
        yield [mean(ours), mean(theirs), *ratio(ours, theirs)]
    graded = ("maxrl-loo reinforce", "maxrl-loo regression", "tailrl maxrl-loo") * (number == 7)
    for pair, figure in itertools.product(graded, ("log_likelihood", "log_tail")):
        yield results.gap(*(("graded", m) for m in pair.split()), figure)
    for k, figure in itertools.product((2, 32, 128) * (number == 8), ("pass@1", "nll")):
        yield results.gap(("budget", f"maxrl k={k}"), one["maxrl"], figure)


def check_findings(results, block, number):
    """Each effect; in the table of differences what leaves out zero is bold."""
    want = effects(results, number)
    for sentence, effect in re.findall(r"^- (.*): \*\*(.*)\*\* \(", block, flags=re.MULTILINE):
        agree(re.sub(r"D = |from (p = )?|at ", " ", effect), next(want), sentence)
    for _, rows in tables_of(block, of_differences=True):
        for cell in (cell for row in rows for cell in row[2:]):
            _, low, high = expected = next(want)
            agree(re.sub(r", \d of \d$", "", cell.replace("*", "")), expected, cell)
            assert ("**" in cell) == (low > 0 or high < 0)
    assert next(want, None) is None


CHECKS = dict.fromkeys(("experiment-0", "default-seeds", "default-seed-0"), check_default)
CHECKS |= {
    "experiment-1": check_rows(of_convergence), "experiment-2": check_ends("fresh"),
    "experiment-3": check_rows(of_border, 2), "experiment-5": check_rows(of_gradient, 2),
    "experiment-4": check_ends("countdown", "relatives", "chain"),
    "experiment-7": check_ends("graded"), "experiment-8": check_rows(of_budget),
}  # fmt: skip


def check(name, results, block):
    """The tables of a block, and its findings."""
    CHECKS[name](results, block)
    if name.startswith("experiment-"):
        check_findings(results, block, int(name[-1]))


@pytest.mark.parametrize("name", CHECKS)
def test_published_numbers_are_those_of_the_logs(name):
    if name in blocks():
        check(name, Results(ROOT / "results"), blocks()[name])
