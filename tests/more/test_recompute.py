"""Every number of the page of results, computed again from the logs by other code.

Nothing of paper/ is imported: logs are found by their configuration, not by their names, and all
statistics are written anew.

    python -m pytest tests/more/test_recompute.py
"""

import json
import math
import re
from itertools import groupby, pairwise
from pathlib import Path
from statistics import geometric_mean, mean, stdev

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
T = {4: 3.182, 8: 2.365}  # 97.5% quantile of Student's t for so many seeds
RIVALS = ("grpo", "rloo")
ALL = ("maxrl", *RIVALS)
SIX = ("reinforce", "rloo", "grpo", "maxrl", "maxrl-raw", "maxrl-loo")


# ------------------------------------------------------------------------------ the logs


class Results:
    """The logs of a folder, by configuration."""

    def __init__(self, folder):
        self.folder, self.cache = folder, {}

    def logs(self, sweep):
        """(configuration, evaluations) of each reported run."""
        if sweep not in self.cache:
            files = sorted((self.folder / sweep).glob("*.jsonl"))
            parsed = [[json.loads(x) for x in f.read_text().splitlines()] for f in files]
            self.cache[sweep] = [(lines[0]["config"], lines[1:]) for lines in parsed]
        return self.cache[sweep]

    def runs(self, sweep, label):
        """The evaluations of the runs of a label, by seed."""
        found = {c["seed"]: rows for c, rows in self.logs(sweep) if is_label(label, c)}
        assert found, (sweep, label)
        return [found[seed] for seed in sorted(found)]

    def ends(self, sweep, label, figure):
        return [end(rows, figure) for rows in self.runs(sweep, label)]

    def starts(self, sweep, figure):
        """By seed; it is the same for all labels."""
        at = {}
        for config, rows in self.logs(sweep):
            at.setdefault(config["seed"], set()).add(rows[0][figure])
        assert all(len(values) == 1 for values in at.values()), (sweep, "not one base")
        return [at[seed].pop() for seed in sorted(at)]

    def json(self, name):
        return json.loads((self.folder / f"{name}.json").read_text())["found"]


def is_label(label, c):
    """Does a configuration belong to 'maxrl k=16', 'exact order=inf', 'grpo pool=fresh', ...?"""
    method, *rest = label.split()
    if method == "regression":
        return c["reward"] == "regression"
    if c["method"] != method or (c["task"] == "noisy" and c["reward"] != "likelihood"):
        return False
    wanted = dict(part.split("=") for part in rest)
    has = {"k": c["k"], "pool": c["train_prompts"] or "fresh", "order": c["order"] or c["k"]}
    return all(str(has[name]) == value for name, value in wanted.items())


def end(rows, figure):
    last = rows[-1]["step"]
    return mean(r[figure] for r in rows if 5 * r["step"] > 4 * last)


# ------------------------------------------------------------------------- the statistics


def interval(values):
    half = T[len(values)] * stdev(values) / len(values) ** 0.5
    return [mean(values), mean(values) - half, mean(values) + half]


def word(low, high, middle=0.0):
    return "**yes**" if low > middle else "**no**" if high < middle else "not settled"


def ratio(values):
    logs = interval([math.log(v) for v in values])
    assert math.exp(logs[0]) == pytest.approx(geometric_mean(values))
    return [math.exp(x) for x in logs]


def best_from(path, x):
    """The best pass@k where pass@1 >= x: each segment is cut off at x, its ends are compared."""
    best = -math.inf
    points = [(p, math.log(q)) for p, q in path if q > 0]
    for (p, q), (p2, q2) in pairwise(points):
        if max(p, p2) < x:
            continue
        at_x = q if p == p2 else q + (q2 - q) * (x - p) / (p2 - p)
        ends = [b for a, b in ((p, q), (p2, q2)) if a >= x]
        best = max(best, *ends, *([at_x] if min(p, p2) < x else []))
    return math.exp(best)


def equal(ours, theirs, figure):
    """Differences of pass@k at equal pass@1, or None if a seed has none."""
    found = []
    for a, b in zip(ours, theirs, strict=True):
        paths = [[(r["pass@1"], r[figure]) for r in rows] for rows in (a, b)]
        tops = [max(p for p, _ in path) for path in paths]
        x = min(tops)
        if x <= max(path[0][0] for path in paths):
            return None
        found.append(best_from(paths[0], x) - best_from(paths[1], x))
    return found


def gap(results, sweep, ours, theirs, figure, how):
    a, b = results.runs(sweep, ours), results.runs(sweep, theirs)
    if how == "equal":
        return equal(a, b, figure)
    read = {"end": end, "best": best_checkpoint}[how]
    return [read(x, figure) - read(y, figure) for x, y in zip(a, b, strict=True)]


def best_checkpoint(rows, figure):
    total = 0.0
    for choose, judge in ((0, 1), (1, 0)):
        top = max(r["halves"]["pass@1"][choose] for r in rows)
        row = next(r for r in rows if r["halves"]["pass@1"][choose] == top)
        total += row["halves"][figure][judge] / 2
    return total


def arrival(rows, target):
    steps = [r["step"] for r in rows if r["pass@1"] >= target]
    return min(steps, default=math.inf)


def fewer(results, k, other, K):
    """By seed, K over the samples of maxrl; None where there is no such number."""
    runs = results.runs("scaling", f"maxrl k={k}")
    figure = f"pass@{K}"
    if other == "base":
        targets = results.starts("scaling", figure)
    else:
        targets = results.ends("scaling", f"{other} k={k}", figure)
    found = []
    for rows, target in zip(runs, targets, strict=True):
        curve = [end(rows, f"pass@{2**i}") for i in range(15)]
        i = next((i for i in range(14) if curve[i] <= target <= curve[i + 1] > curve[i]), None)
        if i is None:
            found.append(None)
        else:
            found.append(K / 2 ** (i + (target - curve[i]) / (curve[i + 1] - curve[i])))
    return found


# --------------------------------------------------------------------- what is published


def numbers(text):
    """(value, size of its last digit) of each number in a text; `code` is not looked at."""
    text = re.sub(r"`[^`]*`", "", text)
    pattern = r"(?<![\w.@])([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)"
    return [(float(x.replace(",", "")), last_digit(x)) for x in re.findall(pattern, text)]


def last_digit(x):
    mantissa, _, exponent = x.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def agree(cell, expected, where):
    """The numbers of a cell are these, to their last digit."""
    found = numbers(cell)
    assert len(found) == len(expected), (where, cell, expected)
    for (value, unit), want in zip(found, expected, strict=True):
        if abs(want) >= 1000:
            unit = max(unit, 10.0 ** (math.floor(math.log10(abs(want))) - 2))
        assert abs(value - want) <= 0.51 * unit + 1e-9, (where, cell, expected)


def tables_of(block):
    """Each table of a block: its head, and its rows, as lists of cells."""
    lines = [(line.startswith("|"), line) for line in block.splitlines()]
    for is_table, part in groupby(lines, key=lambda pair: pair[0]):
        if is_table:
            rows = [[c.strip() for c in line.strip("|").split("|")] for _, line in part]
            yield rows[0], rows[2:]


def blocks():
    """name -> what stands between its markers, of all pages."""
    found = {}
    for page in ("README.md", "RESULTS.md"):
        if (ROOT / page).exists():
            text = (ROOT / page).read_text(encoding="utf-8")
            parts = re.findall(r"<!-- results:(\S+) -->\n(.*?)<!-- end -->", text, re.DOTALL)
            found |= dict(parts)
    return found


def label_in(cell):
    """'`maxrl k=16`' -> 'maxrl k=16'."""
    return cell.strip("`*")


def pm(values):
    return [mean(values), stdev(values)]


def check_ends(results, sweep_of, table, figures, extra=0):
    """A table of ends, whose first row is the base."""
    _, rows = table
    for row in rows:
        name = label_in(row[0])
        for cell, figure in zip(row[1 : len(figures) + 1], figures, strict=True):
            sweep, label = sweep_of(name)
            values = results.ends(sweep, label, figure)
            values = results.starts(sweep, figure) if name == "base" else values
            agree(cell, pm(values), (name, figure))


# ------------------------------------------------------------------------ block by block


def check_0(results, block):
    table = next(tables_of(block))
    figures = ("pass@1", "pass@8", "pass@128", "pass@1024", "nll")
    check_ends(results, lambda n: ("default", "maxrl" if n == "base" else n), table, figures)
    for row in table[1][1:]:
        seconds = [rows[-1]["seconds"] for rows in results.runs("default", label_in(row[0]))]
        agree(row[-1], [mean(seconds)], "seconds")
    said = block.rpartition("`maxrl` less `rloo`:")[2].split("; ")
    for part, figure in zip(said, ("pass@1", "pass@1024"), strict=True):
        agree(part, interval(gap(results, "default", "maxrl", "rloo", figure, "end")), figure)


def check_1(results, block):
    found = list(tables_of(block))
    for sweep, table in zip(("convergence", "exact"), found, strict=False):
        first = {"convergence": "ce", "exact": "exact order=1"}[sweep]
        source = lambda n, s=sweep, f=first: (s, f if n == "base" else n)  # noqa: E731
        check_ends(results, source, table, ("pass@1", "pass@128", "nll"))
        for row in table[1][1:]:
            for cell, target in zip(row[-2:], (0.5, 0.9), strict=True):
                check_steps(cell, results.runs(sweep, label_in(row[0])), target)
    stages = results.json("cosines")
    for row in found[2][1]:
        values = [mean(stages[s][label_in(row[0])][k]) for s in stages for k in ("16", "4096")]
        for cell, value in zip(row[1:], values, strict=True):
            agree(cell, [max(1 - value, 0)], row[0])


def check_steps(cell, runs, target):
    steps = sorted(arrival(rows, target) for rows in runs)
    there = [s for s in steps if s < math.inf]
    if not there:
        assert cell == "never"
    elif len(there) < len(steps):
        agree(cell, [len(there), len(steps), there[0]], cell)
    else:
        n = len(steps)
        middle = (steps[(n - 1) // 2] + steps[n // 2]) / 2
        agree(cell, [middle, steps[0], steps[-1]], cell)


def check_first_figure(results, block):
    tries = 1 / mean(results.starts("convergence", "pass@1"))
    sentence = block[block.index("right about once in") : block.index("([Experiment 1]")]
    labels = re.findall(r"`([^`]*)` [\d.]", sentence)
    assert len(labels) == 7
    ends = [mean(results.ends("convergence", label, "pass@1")) for label in labels]
    seeds = len(results.runs("convergence", "ce"))
    agree(sentence.replace("pass@1", ""), [tries, seeds, *ends], "caption")


def check_2(results, block):
    ends, gaps, few = tables_of(block)
    columns = [(f, k) for f in ("pass@1", "pass@128", "pass@1024") for k in (4, 256)]
    for row in ends[1]:
        for cell, (figure, k) in zip(row[1:], columns, strict=True):
            name = label_in(row[0])
            if name != "base":
                agree(cell, pm(results.ends("scaling", f"{name} k={k}", figure)), name)
            elif k == 4:
                agree(cell, pm(results.starts("scaling", figure)), name)
    for k, *cells in gaps[1]:
        asked = (("pass@1", "end"), ("pass@1024", "end"), ("pass@1024", "equal"))
        asked = [(f"{m} k={k}", f, how) for m in RIVALS for f, how in asked]
        for cell, (other, figure, how) in zip(cells, asked, strict=True):
            agree_gap(cell, gap(results, "scaling", f"maxrl k={k}", other, figure, how))
    for what, *cells in few[1]:
        k, own = what.partition(",")[0], what.endswith("its own rate")
        for cell, figure in zip(cells, ("pass@1", "pass@128", "pass@1024", "nll"), strict=True):
            agree_gap(cell, loo(results, k, figure, own))


def loo(results, k, figure, own):
    """maxrl-loo less maxrl at the end, at the rate of maxrl or each at its own."""
    theirs = "scaling" if own or k in ("4", "16") else "few"
    a = results.runs("scaling" if own else "few", f"maxrl-loo k={k}")
    b = results.runs(theirs, f"maxrl k={k}")
    return [end(x, figure) - end(y, figure) for x, y in zip(a, b, strict=True)]


def agree_gap(cell, differences):
    if differences is None:
        assert cell == "no common pass@1"
    else:
        agree(cell, interval(differences), cell)


SETTINGS = {
    "addition, base .5": ("scarce-half", "pass@128"),
    "addition, base .1": ("scarce-hard", "pass@128"),
    "countdown, base .1": ("countdown", "pass@64"),
}


def check_border(results, rows):
    for (name, *cells), sweep in zip(rows, ("scarce-half", "scarce-hard"), strict=True):
        assert SETTINGS[name][0] == sweep
        one, eight, many = (mean(results.starts(sweep, f"pass@{k}")) for k in (1, 8, 128))
        fresh = (mean(results.ends(sweep, f"{m} pool=fresh", "pass@128")) for m in ALL)
        few = mean(results.ends(sweep, "maxrl pool=64", "pass@1"))
        agree(" ".join(cells), [many - eight, many, *fresh, one, few], name)


def test_what_is_said_of_the_border():
    """Many prompts are seldom solved or few, who lets go of them, what does not carry over, and
    where the largest gaps are."""
    results = Results(ROOT / "results")
    assert "Why there is a border" in blocks()["experiment-3"]
    for sweep, least, most in (("scarce-half", 0, 0.15), ("scarce-hard", 0.4, 1)):
        one, eight, many = (mean(results.starts(sweep, f"pass@{k}")) for k in (1, 8, 128))
        assert least < many - eight < most
        ours, *others = (mean(results.ends(sweep, f"{m} pool=fresh", "pass@128")) for m in ALL)
        assert max(others) < ours < many
        for m in (*ALL, "ce"):
            assert mean(results.ends(sweep, f"{m} pool=64", "pass@1")) < one
    for other in RIVALS:
        largest = {}
        for sweep, figure in SETTINGS.values():
            pools = {pool_of(config) for config, _ in results.logs(sweep)}
            gaps = [gap(results, sweep, f"maxrl pool={n}", f"{other} pool={n}", figure, "equal")
                    for n in pools]  # fmt: skip
            largest[sweep] = max(mean(differences) for differences in gaps if differences)
        assert max(largest, key=largest.get) == "scarce-hard"


def pool_of(config):
    """A label's word for the number of training prompts."""
    return config["train_prompts"] or "fresh"


def check_3(results, block):
    (_, of_the_border), *tables = tables_of(block)
    check_border(results, of_the_border)
    for other, (_, rows) in zip(RIVALS, tables, strict=True):
        words = {"end": [], "equal": []}
        assert len(rows) == 13
        for name, pool, ours, *cells in rows:
            sweep, figure = SETTINGS[name]
            labels = (f"maxrl pool={pool}", f"{other} pool={pool}")
            agree(ours, pm(results.ends(sweep, labels[0], "pass@1")), name)
            asked = (("pass@1", "end"), (figure, "end"), (figure, "equal"), (figure, "best"))
            for i, (cell, (f, how)) in enumerate(zip(cells, asked, strict=True)):
                differences = gap(results, sweep, *labels, f, how)
                agree_gap(cell, differences)
                if i in (0, 2):
                    low, high = interval(differences)[1:] if differences else (-1, 1)
                    words[how].append(word(low, high))
        for how, start in (("equal", "At equal pass@1"), ("end", "In pass@1 at the end")):
            sentence = block[block.index(start) :]
            part = sentence[sentence.index(f"ahead of `{other}`") :]
            counts = [int(x) for x in re.findall(r"\d+", re.sub(r"`.*?`", "", part))[:4]]
            yes, no = words[how].count("**yes**"), words[how].count("**no**")
            assert counts == [yes, 13, no, 13 - yes - no], (other, how)


def check_4(results, block):
    for k, K, *cells in next(tables_of(block))[1]:
        for cell, other in zip(cells, ("grpo", "base"), strict=True):
            found = fewer(results, int(k), other, int(K.replace(",", "")))
            there = [x for x in found if x]
            if len(there) < len(found):
                agree(cell, [len(there), len(found)], cell)
            else:
                agree(cell.replace("x", ""), ratio(there), cell)


def check_5(results, block):
    for name, cell in next(tables_of(block))[1]:
        agree(cell, pm(results.ends("countdown", f"{label_in(name)} pool=256", "live")), name)


def check_6(results, block):
    figures = ("pass@1", "pass@16", "pass@64", "answers", "nll")

    def countdown(name):
        group = name in ("base", "maxrl", *RIVALS)
        name = "maxrl" if name == "base" else name
        return ("countdown", f"{name} pool=fresh") if group else ("latent", name)

    first, second = tables_of(block)
    assert len(first[1]) == 8 and len(second[1]) == 4
    check_ends(results, countdown, first, figures)
    check_ends(results, lambda n: ("chain", "maxrl" if n == "base" else n), second, figures)


def check_7(results, block):
    def source(name):
        return "likelihoods", "reinforce" if name == "base" else name

    figures = ("log_likelihood", "mse", "spread")
    check_ends(results, source, next(tables_of(block)), figures)
    sentence = block[block.index("The spread, over") :].split(". ")[0]
    best = math.sqrt(4**2 - 2**2)
    found = re.findall(r"([\d.]+x \[.*?\]) for `(.*?)`", sentence)
    assert len(found) == 3
    for cell, label in found:
        values = [x / best for x in results.ends("likelihoods", label, "spread")]
        agree(cell.replace("x", ""), ratio(values), label)


def signal(method, p, k):
    """|E g|^2 / (k var g) on two outcomes, from the formulas of the estimators."""
    total = square = 0.0
    for s in range(k + 1):
        chance = math.comb(k, s) * p**s * (1 - p) ** (k - s)
        q, f = s / k, k - s
        if method == "reinforce" or (method.startswith("maxrl") and s == 0):
            a, b = (1.0, 0.0) if method == "reinforce" else (0.0, 0.0)
        elif method == "rloo":
            a, b = f / (k - 1), -s / (k - 1)
        elif method == "grpo":
            sd = math.sqrt(q * (1 - q))
            a, b = ((1 - q) / sd, -q / sd) if sd else (0.0, 0.0)
        else:
            a, b = {
                "maxrl": (1 / q - 1, -1.0),
                "maxrl-raw": (1 / q, 0.0),
                "maxrl-loo": (1 / q * f / (k - 1), -k / (s + 1) * s / (k - 1)),
            }[method]
        g = (s * a * (1 - p) - f * b * p) / k
        total, square = total + chance * g, square + chance * g * g
    noise = square - total**2
    return total**2 / (k * noise) if noise > 1e-15 else math.inf


def check_8(results, block):
    first, second = tables_of(block)
    for stage, k, *cells in second[1]:
        of = results.json("estimates")[stage]["of"]
        for cell, m in zip(cells, SIX, strict=True):
            signal_, noise = (sum(pair[i] for pair in of[m][k]) for i in (0, 1))
            agree(cell, [signal_ / noise / int(k)], (stage, k, m))
    for k, *cells in first[1]:
        for cell, p in zip(cells, (0.01, 0.05, 0.2, 0.5, 0.9), strict=True):
            by = {m: signal(m, p, int(k)) for m in SIX}
            pairs = re.findall(r"`(.*?)` (over 10,000|[\d.e+-]+)", cell)
            assert by[pairs[0][0]] >= min(max(by.values()) * (1 - 1e-6), 1e4)
            for name, value in pairs:
                large = value == "over 10,000"
                assert by[name] > 9e3 if large else abs(float(value) / by[name] - 1) < 0.06


def check_9(results, block):
    figures = ("pass@1", "pass@128", "pass@1024", "nll")
    for what, *cells in next(tables_of(block))[1]:
        methods, ks = re.findall(r"`(.*?)`", what), re.findall(r"k = (\d+)", what)
        ours, theirs = f"{methods[0]} k={ks[0]}", f"{methods[-1]} k={ks[-1]}"
        for cell, figure in zip(cells, figures, strict=True):
            agree_gap(cell, gap(results, "budget", ours, theirs, figure, "end"))


# ------------------------------------------------------------------------------ the claims


def judged(differences, words_for="difference"):
    """The verdict and the numbers of a claim about differences."""
    if differences is None:
        return "not settled", []
    numbers_ = interval(differences)
    if words_for == "equality":
        inside = -0.02 <= numbers_[1] and numbers_[2] <= 0.02
        outside = numbers_[1] > 0.02 or numbers_[2] < -0.02
        return "**yes**" if inside else "**no**" if outside else "not settled", numbers_
    return word(*numbers_[1:]), numbers_


def sooner(results, sweep, first, second, target):
    a, b = ([arrival(r, target) for r in results.runs(sweep, m)] for m in (first, second))
    wins, ties = (sum(f(x, y) for x, y in zip(a, b, strict=True)) for f in (lt, eq))
    n = len(a)
    losses = n - wins - ties
    said = [target, wins, n, *([ties] if ties else [])]
    if losses == 0 and ties <= 1:
        return "**yes**", said
    return ("**no**" if wins == 0 and ties <= 1 else "not settled"), said


def lt(x, y):
    return x < y


def eq(x, y):
    return x == y


def hardness(results, stage, method):
    """Of each seed, from the exact norms of expected gradients: p < .1 over the largest bin."""
    found = []
    for rows in results.json("gradients")[stage].values():
        bins = {}
        for p, norm in zip(rows["p"], rows["norm"], strict=True):
            edge = next(e for e in (0.1, 0.25, 0.5, 0.75, 1.0) if p <= e)
            bins.setdefault(edge, []).append((expected_weight(method, p) * p * norm) ** 2)
        rms = {e: mean(v) ** 0.5 for e, v in bins.items() if len(v) >= 3}
        found.append(rms.pop(0.1) / max(rms.values()))
    return found


def expected_weight(method, p, k=16):
    """w(p): 1, (1 - (1-p)^(k-1)) / p, or by summing over the successes."""
    if method == "rloo":
        return 1.0
    if method == "maxrl":
        return (1 - (1 - p) ** (k - 1)) / p
    total = 0.0
    for s in range(1, k):  # grpo: sum of A S is k sd, whatever the scores
        chance = math.comb(k, s) * p**s * (1 - p) ** (k - s)
        total += chance * math.sqrt(s / k * (1 - s / k))
    return total / (p * (1 - p))


NAMES = {"GRPO": "grpo", "RLOO": "rloo", "REINFORCE": "reinforce"}


def name_in(text):
    return next((NAMES[n] for n in NAMES if re.search(rf"\b{n}\b", text)), "base")


def claim_again(results, text, said):
    """(verdict, numbers) of a row of the table of claims, from what it says."""
    other, figure = name_in(text), said.split(" ")[0].rstrip(",")
    how = "equal" if "at equal" in said else "end"
    if "ends where maximum likelihood" in text:
        d = gap(results, "convergence", "maxrl k=1024", "ce", "pass@1", "end")
        return judged(d, "equality")
    if "Cross-entropy gets" in text:
        return sooner(results, "convergence", "ce", "maxrl k=1024", 0.9)
    if "gets going before" in text:
        return sooner(results, "convergence", "maxrl k=1024", f"{other} k=1024", 0.5)
    if "Without sampling noise" in text:
        return sooner(results, "exact", "exact order=inf", "exact order=1", 0.5)
    if "is sooner with 1,024" in text:
        return sooner(results, "convergence", "maxrl k=1024", "maxrl k=128", 0.9)
    if "ends higher with" in text:
        a, b = ("1024", "128") if "1,024" in text else ("128", "16")
        return judged(gap(results, "convergence", f"maxrl k={a}", f"maxrl k={b}", "pass@1", "end"))
    if "On fresh data" in text:
        return judged(gap(results, "scaling", "maxrl k=64", f"{other} k=64", figure, how))
    if "`maxrl-loo` is better" in text:
        k = re.search(r"with (\d+) rollouts", text)[1]
        return judged(loo(results, k, figure, text.endswith("its own rate")))
    if "prompts of countdown" in text:
        pool = re.search(r"On ([\d,]+) prompts", text)[1].replace(",", "")
        labels = (f"maxrl pool={pool}", f"{other} pool={pool}")
        return judged(gap(results, "countdown", *labels, figure, how))
    if "At test time" in text:
        K = int(re.search(r"K = ([\d,]+)", said)[1].replace(",", ""))
        found = fewer(results, 16, other, K)
        if None in found:
            return "not settled", [K, 16, len([x for x in found if x]), len(found)]
        return word(*ratio(found)[1:], 1.0), [K, 16, *ratio(found)]
    if "gradient" in text:
        stage = said.partition(":")[0]
        values = hardness(results, stage, "maxrl")
        if other != "base":
            theirs = hardness(results, stage, other)
            values = [a / b for a, b in zip(values, theirs, strict=True)]
        return word(*ratio(values)[1:], 1.0), ratio(values)
    if "have a success" in text:
        labels = ("maxrl pool=256", f"{other} pool=256")
        return judged(gap(results, "countdown", *labels, "live", "end"))
    if "sharpens less" in text:
        sweep = "chain" if "chain" in text else "countdown"
        suffix = "" if sweep == "chain" else " pool=fresh"
        return judged(gap(results, sweep, f"maxrl{suffix}", f"{other}{suffix}", figure, how))
    a, b = re.search(r"a step, (\d+) for a prompt are better than (\d+)", text).groups()
    return judged(gap(results, "budget", f"maxrl-loo k={a}", f"maxrl-loo k={b}", figure, "end"))


def check_claims(results, block):
    for text, verdict, said in next(tables_of(block))[1]:
        again, values = claim_again(results, text, said)
        assert verdict == again, (text, said, values)
        plain = re.sub(r"^.*?(at the end|at equal pass@1)(, k = \d+)?:", "", said)
        plain = re.sub(r"^base pass rate.*?(bin|rloo|grpo) ", "", plain)
        plain = plain.replace("steps to pass@1", "").replace("x", "")
        agree(plain, values, text)


def check_rates(results, block):
    """The choice, the grid, the seeds; and how many runs there are, of how many hours."""
    for sweep, label, grid, seeds, rate, _ in next(tables_of(block))[1]:
        ends = {}
        criterion = "log_likelihood" if sweep == "likelihoods" else "pass@1"
        for file in (results.folder / sweep / "tuning").glob("*.jsonl"):
            head, *rows = map(json.loads, file.read_text().splitlines())
            c = head["config"]
            assert c["eval_split"] == "validation" and c["seed"] >= 100
            if is_label(label_in(label), c):
                ends.setdefault(c["lr"], {})[c["seed"]] = end(rows, criterion)
        means = {lr: mean(by_seed.values()) for lr, by_seed in ends.items()}
        assert means[float(rate)] == max(means.values()), (sweep, label)
        low, high = map(float, grid.split(" to "))
        assert (low, high) == (min(ends), max(ends))
        assert all(len(by_seed) == int(seeds) for by_seed in ends.values())
    names, _, line = block.strip().splitlines()[-1].partition(": ")
    files = [f for name in names.split(", ") for f in (results.folder / name).rglob("*.jsonl")]
    texts = [text for f in files if (text := f.read_text()).startswith('{"command"')]
    seconds = [json.loads(text.splitlines()[-1])["seconds"] for text in texts]
    agree(line, [len(texts), sum(seconds) / 3600], "cost")


OF_CLAIMS = {0: 0, 1: 9, 2: 9, 3: 8, 4: 6, 5: 6, 6: 8, 7: 0, 8: 0, 9: 4}  # how many
OF_EXPERIMENTS = (check_0, check_1, check_2, check_3, check_4)
OF_EXPERIMENTS += (check_5, check_6, check_7, check_8, check_9)
CHECKS = {
    **{f"experiment-{n}": check for n, check in enumerate(OF_EXPERIMENTS)},
    "first-figure": check_first_figure,
    "claims": check_claims,
    "headlines": check_claims,
    "rates": check_rates,
}


@pytest.mark.parametrize("name", CHECKS)
def test_every_number_of_a_block(name):
    CHECKS[name](Results(ROOT / "results"), blocks()[name])


@pytest.mark.parametrize("number", range(10))
def test_an_experiment_repeats_the_verdicts_of_its_claims(number):
    """`- **yes**: a claim; another.`, each as the table above has it, and none is left out."""
    text = blocks()
    block = text[f"experiment-{number}"]
    verdicts = {claim: verdict for claim, verdict, _ in next(tables_of(text["claims"]))[1]}
    repeated = {}
    for verdict, said in re.findall(
        r"^- (\*\*yes\*\*|\*\*no\*\*|not settled): (.*)\.$", block, re.M
    ):
        repeated |= dict.fromkeys(said.split("; "), verdict)
    assert repeated.items() <= verdicts.items()
    assert len(repeated) == OF_CLAIMS[number]
