"""Build docs/index.html: one page that holds everything, from explorer/, results/ and compare.py.

    python explorer/build.py                 # writes docs/index.html, the same bytes every time

The JavaScript modules are inlined in the order of their imports, each in a function of its own, so
that names cannot collide; the plot library, its licence, the models and the results go in as they
are. Of the results: the reported seeds, at most 60 points a curve (fewer if the page grows too
large), five digits. Standard library only; no module of the repository is run but paper/sweeps.py,
the list of the experiments.
"""

import ast
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from paper.sweeps import SWEEPS, Sweep, run_name, seeds_of  # noqa: E402

PAGE = ROOT / "docs" / "index.html"
RESULTS = ROOT / "results"
LIBRARY = "uPlot-1.6.32.min"
MOST_POINTS = (60, 40, 30, 21, 11)  # of a curve: the first that keeps within MOST_BYTES
MOST_BYTES = 2_200_000  # of results
NOT_FIGURES = ("step", "rollouts", "seconds", "n")

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


def method_colors() -> dict[str, str]:
    """COLORS of compare.py, read without importing it (it would bring torch)."""
    for node in ast.parse((ROOT / "compare.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COLORS":
            return ast.literal_eval(node.value)
    raise LookupError("compare.py has no COLORS")


def short(value: Any) -> Any:
    """A figure to five digits; whatever is not a number is null."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    digits = float(f"{value:.5g}")
    return int(digits) if digits.is_integer() else digits


def thinned(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most so many of them, evenly spread, with the first and the last."""
    if len(rows) <= most:
        return rows
    last = len(rows) - 1
    return [rows[round(i * last / (most - 1))] for i in range(most)]


def run_of(path: Path, most: int) -> dict[str, Any]:
    """The command of a run, and its curves."""
    head, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    rows = thinned(rows, most)
    figures = {n: None for row in rows for n in row if n not in NOT_FIGURES}
    curves = {n: [short(row.get(n)) for row in rows] for n in figures}
    curves = {n: c for n, c in curves.items() if any(v is not None for v in c)}
    return {
        "command": head["command"],
        "step": [row["step"] for row in rows],
        "rollouts": [row["rollouts"] for row in rows],
        "curves": curves,
    }


def results_of(name: str, sweep: Sweep, most: int) -> dict[str, Any]:
    """Label -> seed -> run, of the reported runs that have a log."""
    labels: dict[str, dict[str, Any]] = {}
    for label in sweep.labels:
        for seed in seeds_of(sweep, quick=False):
            path = RESULTS / name / f"{run_name(label, f's{seed}')}.jsonl"
            if path.exists():
                labels.setdefault(label, {})[str(seed)] = run_of(path, most)
    return {"number": sweep.number, "flags": sweep.flags, "labels": labels}


def results(most: int) -> dict[str, Any]:
    """All experiments with a log, by their numbers; number 0, the default run, is the last."""
    found = {name: results_of(name, sweep, most) for name, sweep in SWEEPS.items()}
    ordered = sorted(found.items(), key=lambda item: item[1]["number"] or math.inf)
    return {name: content for name, content in ordered if content["labels"]}


# ------------------------------------------------------------------------------------------ page


def as_json(content: Any) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def results_that_fit() -> str:
    """The results, in as many points a curve as there is room for."""
    texts = (as_json(results(most)) for most in MOST_POINTS)
    return next(text for text in texts if len(text) <= MOST_BYTES)


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
        "results": results_that_fit(),
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
    print(f"{PAGE.relative_to(ROOT)}: {len(page.encode()):,} bytes")


if __name__ == "__main__":
    main()
