"""Build docs/index.html: one page that holds everything, from explorer/, results/ and compare.py.

    python explorer/build.py                 # writes docs/index.html, the same bytes every time

The JavaScript modules are inlined in the order of their imports, each in a function of its own, so
that names cannot collide; the plot library, its licence and the models go in as they are. FINDINGS
says which results are shown; nothing else reads results/. Standard library only, and no module of
the repository is run.
"""

import argparse
import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "index.html"
RESULTS = ROOT / "results"
LIBRARY = "uPlot-1.6.32.min"
MOST_POINTS = 60  # of a curve

# ---------------------------------------------------------------------------- JavaScript modules

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
EXPORT = re.compile(r"^export (function\*?|const|let|class) (\w+)", re.MULTILINE)


def modules(name: str, done: dict[str, str] | None = None) -> dict[str, str]:
    """Name -> code of a module and of all that it imports, those that are needed first."""
    done = {} if done is None else done
    source = (HERE / f"{name}.js").read_text(encoding="utf-8")
    for match in IMPORT.finditer(source):
        if match[2] not in done:
            modules(match[2], done)
    exported = ", ".join(match[2] for match in EXPORT.finditer(source))
    body = EXPORT.sub(r"\1 \2", IMPORT.sub(r"const {\1} = \2_js;", source))
    done[name] = f"const {name}_js = (() => {{\n{body}return {{ {exported} }};\n}})();\n"
    return done


# --------------------------------------------------------------------------------------- results
# The only place that knows which experiments there are. A finding is shown if results/ has its
# runs and they end in the order that it claims; otherwise it is left out, and main() says why.


@dataclass(frozen=True)
class Finding:
    """A sentence, and the curves that show it."""

    says: str  # without numbers, which are taken from the runs
    note: str  # how the runs were made
    experiment: str  # results/<experiment>.jsonl
    measure: str  # one of MEASURES
    lines: dict[str, str]  # label of runs -> name for people; in the order claimed, highest first
    near: str = ""  # a label: the order is that of the distance from its curves, nearest first


MEASURES = {
    "pass@1": "pass@1, right with one try",
    "pass@64": "pass@64, at least one of 64 tries right",
    "pass@1024": "pass@1024, at least one of 1,024 tries right",
}
FIVE = {
    "ce": "maximum likelihood, which is shown the answers",
    "maxrl-raw": "MaxRL without its baseline",
    "maxrl": "MaxRL",
    "grpo": "GRPO",
    "rloo": "RLOO",
}
THREE = {label: FIVE[label] for label in ("maxrl", "grpo", "rloo")}
BY_K = {f"maxrl k={k}": f"MaxRL, k = {k:,}" for k in (1024, 128, 16)}
FINDINGS = (
    Finding(
        "From a model that is right in one try of twenty, MaxRL ends ahead of GRPO and RLOO. "
        "Without its baseline it ends further ahead.",
        "Each method has the learning rate that was best for it on other problems, so a larger "
        "rate would not help the others. One answer to each problem is right here, and the "
        "baseline only adds noise. Where many answers are right, it lowers the noise.",
        "default",
        "pass@1",
        FIVE,
    ),
    Finding(
        "Trained with few tries per problem, all three lose problems that the starting model could "
        "solve with many tries. MaxRL loses the fewest.",
        "These are the same runs. On one seed MaxRL, at its larger rate, loses the harder problems "
        "too: that is the low end of its range.",
        "default",
        "pass@1024",
        THREE,
    ),
    Finding(
        "With twice as many tries per problem, MaxRL loses hardly any of them, like maximum "
        "likelihood. GRPO and RLOO still lose many.",
        "Each method has the learning rate that was best for it on other problems. With 256 tries "
        "GRPO is right with one try as often as MaxRL, and still loses a few problems for good.",
        "fresh",
        "pass@1024",
        {"ce": FIVE["ce"], **{f"{m} k=16": f"{FIVE[m]}, k = 16" for m in THREE}},
    ),
    Finding(
        "Where a problem has many right answers, MaxRL keeps more of them. It ends ahead of RLOO "
        "and GRPO with many tries, and behind them with one.",
        "The task is countdown: combine four given numbers so that a given value comes out. Each "
        "method has the learning rate that was best for it with one try, on other problems.",
        "countdown",
        "pass@64",
        {label: FIVE[label] for label in ("maxrl", "rloo", "grpo")},
    ),
    Finding(
        "From scratch, the more tries MaxRL has, the closer it keeps to maximum likelihood, which "
        "is shown the answers.",
        "All have the learning rate that is best for maximum likelihood. With still more tries, "
        "the distance is about that between two runs of maximum likelihood on other prompts.",
        "convergence",
        "pass@1",
        {"ce": FIVE["ce"], **BY_K},
        near="ce",
    ),
)


def runs(experiment: str) -> list[dict[str, Any]]:
    """The reported runs of an experiment, as {"label", "seed", "command", "evaluations", ...}.

    [] if it has none. The runs that chose a learning rate looked at validation problems.
    """
    path = RESULTS / f"{experiment}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = map(json.loads, lines)
    return [run for run in found if run["config"]["eval_split"] == "test"]


def short(value: Any) -> Any:
    """A figure to four digits; whatever is not a number is null."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    digits = float(f"{value:.4g}")
    return int(digits) if digits.is_integer() else digits


def thinned(rows: list[Any], most: int) -> list[Any]:
    """At most so many of them, evenly spread, with the first and the last."""
    if len(rows) <= most:
        return rows
    last = len(rows) - 1
    return [rows[round(i * last / (most - 1))] for i in range(most)]


def line_of(label: str, name: str, measure: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean curve of the runs with a label, at the steps that all of them evaluated."""
    tables = [
        {row["step"]: row[measure] for row in run["evaluations"] if row.get(measure) is not None}
        for run in found
        if run["label"] == label
    ]
    steps = thinned(sorted(set.intersection(*map(set, tables))) if tables else [], MOST_POINTS)
    if not steps:
        raise LookupError(f"no {measure} of {label}")
    means = [short(mean(table[step] for table in tables)) for step in steps]
    ends = [short(table[steps[-1]]) for table in tables]
    return {
        "name": name,
        "method": label.split()[0],
        "runs": len(tables),
        "step": steps,
        "mean": means,
        "end": means[-1],
        "range": [min(ends), max(ends)],
    }


def distance(a: dict[str, Any], b: dict[str, Any]) -> float:
    """The mean distance of two curves, over the steps that both have."""
    other = dict(zip(b["step"], b["mean"], strict=True))
    pairs = zip(a["step"], a["mean"], strict=True)
    return mean(abs(y - other[step]) for step, y in pairs if step in other)


def check(finding: Finding, lines: dict[str, dict[str, Any]]) -> None:
    """LookupError where runs are missing, or do not show the order that a finding claims."""
    counts = [line["runs"] for line in lines.values()]
    if len(set(counts)) > 1:
        raise LookupError(f"runs are missing: there are {counts}")
    if finding.near:
        far = [short(distance(line, lines[finding.near])) for line in lines.values()]
        if far != sorted(far):
            raise LookupError(f"the distances have another order: {far}")
        return
    ends = [line["end"] for line in lines.values()]
    if ends != sorted(ends, reverse=True):
        raise LookupError(f"the runs end in another order: {ends}")


def shown(finding: Finding) -> dict[str, Any]:
    """What the page draws of a finding; LookupError where its runs do not show it."""
    found = runs(finding.experiment)
    if not found:
        raise LookupError("no runs")
    lines = {x: line_of(x, name, finding.measure, found) for x, name in finding.lines.items()}
    check(finding, lines)
    first = list(lines)[-1] if finding.near else next(iter(lines))
    command = next(run["command"] for run in found if run["label"] == first)
    return {
        "says": finding.says,
        "note": finding.note,
        "measure": MEASURES[finding.measure],
        "lines": list(lines.values()),
        "command": command,
    }


def results() -> tuple[list[dict[str, Any]], list[str]]:
    """The findings that are shown, and what is said of the others."""
    kept, left_out = [], []
    for finding in FINDINGS:
        try:
            kept.append(shown(finding))
        except LookupError as error:
            left_out.append(f"left out: “{finding.says}” (results/{finding.experiment}: {error})")
    return kept, left_out


# ------------------------------------------------------------------------------------------ page


def method_colors() -> dict[str, str]:
    """COLORS of compare.py, read without importing it (it would bring torch)."""
    for node in ast.parse((ROOT / "compare.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COLORS":
            return ast.literal_eval(node.value)
    raise LookupError("compare.py has no COLORS")


def as_json(content: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


def build() -> str:
    """The page."""
    parts = {
        "styles": f"{read(f'{LIBRARY}.css')}\n{read('style.css')}",
        "licence": read("uPlot-LICENSE"),
        "library": read(f"{LIBRARY}.js"),
        "code": "".join(modules("main").values()),
        "colors": as_json(method_colors()),
        "models": as_json(json.loads(read("models.json"))),
        "results": as_json(results()[0]),
    }
    page = read("template.html") + "\n"
    for name, content in parts.items():
        assert page.count(f"<<{name}>>") == 1, name
        page = page.replace(f"<<{name}>>", content)
    return page


def main() -> None:
    """Write docs/index.html."""
    page = build()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8", newline="\n")
    print(f"{PAGE.relative_to(ROOT)}: {len(page.encode()):,} bytes", *results()[1], sep="\n")


if __name__ == "__main__":
    argparse.ArgumentParser(description=main.__doc__).parse_args()
    main()
