"""Part C, questions 4 and 5: the runs that were handed in, evaluated again and begun again.

A run is config.json, metrics.jsonl and ckpt.pt. It counts if

- its settings are those that `personal.py --runs` prints for this student, seed included;
- it was trained by the function that is in solution.py (config.json holds its table of advantages),
  and the expected gradient of that function is nearly that of the method, but for a factor;
- its log has one row for each step and one for each evaluation, no two of them the same;
- its first steps come out again, from start.pt, with that table, in the grader's own train.py;
- its checkpoint is of the last step, and most of its weights are neither start.pt's nor those of
  another run, of whichever method;
- its checkpoint, evaluated again, gives the last row of its log, which is not nearly that of
  start.pt, nor that of another run: weights can be in other places and do the same.

Both repetitions are train.py itself: `--steps 3`, and `--init ckpt.pt --steps 0`. What was handed
in never comes near it: a confined process (sandbox.py) reads ckpt.pt and hands back numbers, of
which a checkpoint is made here. How good a run is does not matter. Left out: the steps in between,
which would take as long as the student took.
"""

import base64
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import personal
from checks import (
    NOTHING_TO_TEST,
    Outcome,
    Student,
    ask_once,
    by_successes,
    close,
    flat,
    is_number,
    proportional,
    shape_of,
)
from sandbox import Call, Failed
from start import start, train_quietly
from submission import Missing

METHODS = personal.METHODS
K, REPLAYED = 16, 3
MOST = {"config.json": 100_000, "metrics.jsonl": 3_000_000, "ckpt.pt": 1_000_000}
MAY_DIFFER = ("method", "out", "init", "device", "table", "micro_batch")
SAME = 5e-3  # relative, of what is computed again without sampling
ROLLOUTS = 0.01  # of the pass rate: another machine may round a few of the 512 draws differently
OF_THEM = 0.1  # relative, of what follows from the draws
MOST_ADVANTAGE, MOST_WEIGHT = 1e6, 1e3  # with more than that training would have failed
MOVED = 1e-3  # every second weight of two of the reference's runs differs by 5e-3 and more
LEARNT, TOLD_APART = 0.05, 1e-4  # relative: how far a run is at least from start.pt and from others

Weights = dict[str, Any]  # the name of each tensor, and its numbers in nested lists
READER = b"""
import base64, io, torch

def read(content):
    saved = torch.load(io.BytesIO(base64.b64decode(content)), weights_only=True)
    return [saved["step"], [[name, w.tolist()] for name, w in saved["model"].items()]]
"""

SUBMITTED = '''"""The advantages of a student's function, by number of successes."""
import torch

TABLE = torch.tensor({table}, dtype=torch.float64)


def submitted(r, mean, k):
    successes = (mean * k).round().long()
    return torch.where(r > 0.5, TABLE[successes, 0], TABLE[successes, 1])
'''


def own(student: Student, method: str) -> Outcome:
    """Three seeds of one of the student's own functions."""
    names = [name for name in personal.runs(student.id) if name.startswith(f"{method}-")]
    asked = ask_once(student, method)[K]
    if not proportional(student, method, asked, K):
        return 0, f"{method}: {NOTHING_TO_TEST}"
    found = by_successes(asked)
    # of a success and of a failure; what does not occur is 0
    table = [[found[s].get(1.0, 0.0), found[s].get(0.0, 0.0)] for s in range(K + 1)]
    if any(abs(a) > MOST_ADVANTAGE for a in flat(table)):
        return 0, f"{method} gives advantages of more than {MOST_ADVANTAGE:,.0f}: it cannot train"
    return judged(student, names, table)


def exact(student: Student) -> Outcome:
    """Three orders of `exact`."""
    names = [name for name in personal.runs(student.id) if name.startswith("exact-")]
    return judged(student, names, None)


def judged(student: Student, names: list[str], table: list | None) -> Outcome:
    """The share of these runs that count, and what is wrong with the first that does not."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            try:
                problem = wrong(student, name, table, Path(folder) / name)
            except (Missing, Failed) as error:
                problem = str(error)
            if problem:
                problems.append(f"runs/{name}: {problem}".replace(f"runs/{name}: runs/", "runs/"))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return 1 - len(problems) / len(names), (problems and problems[0] + more) or ""


def wrong(student: Student, name: str, table: list | None, folder: Path) -> str:
    """What is wrong with a run. One that counts is added to those that others are compared with."""
    folder.mkdir()
    log = rows(student, name)
    if problem := begun_again(student, name, table, log, folder):
        return problem
    first = weights_of(start())
    weights = handed_in(student, name, first)
    if any(same_weights(weights, other) for other in (first, *(w for w, _ in student.runs))):
        return "the weights in its ckpt.pt are those of start.pt or of another run"
    figures = evaluated(student, name, weights, folder)
    if not agree(log["nll", personal.STEPS], figures):
        return "ckpt.pt, evaluated again, does not have the figures of the last row of its log"
    if same_figures(figures, log["nll", 0], LEARNT):
        return "its ckpt.pt does no other than start.pt: it has not been trained"
    if any(same_figures(figures, other, TOLD_APART) for _, other in student.runs):
        return "its ckpt.pt does just what that of another run does"
    student.runs.append((weights, figures))
    return ""


def flags_of(student: Student, name: str) -> list[str]:
    """train.py's flags for a run, but for its method and folder, which the grader sets."""
    words = personal.runs(student.id)[name].split()
    words = [str(start()) if word == "start.pt" else word for word in words]
    return words[: words.index("--out")]


def rows(student: Student, name: str) -> dict[tuple[str, int], dict[str, Any]]:
    """The log that was handed in, by kind and step. Missing if it is not a whole one."""
    text = student.submission.read(f"runs/{name}/metrics.jsonl", MOST["metrics.jsonl"])
    try:
        found = [json.loads(line) for line in text.decode().splitlines()]
    except (ValueError, RecursionError):
        raise Missing("metrics.jsonl is not made of JSON lines") from None
    if not all(isinstance(row, dict) and type(row.get("step")) is int for row in found):
        raise Missing("metrics.jsonl is not a log of train.py")
    kinds = [("nll" if "nll" in row else "grad_norm", row["step"]) for row in found]
    wanted = [("grad_norm", step) for step in range(1, personal.STEPS + 1)]
    wanted += [("nll", step) for step in range(0, personal.STEPS + 1, personal.EVERY)]
    if sorted(kinds) != sorted(wanted):
        raise Missing(
            f"metrics.jsonl does not have one row for each of {personal.STEPS} steps and one for "
            f"each evaluation, every {personal.EVERY} steps"
        )
    figures = [json.dumps({**row, "step": 0, "seconds": 0, "rollouts": 0}) for row in found]
    if len(set(figures)) < len(figures):
        raise Missing("two rows of metrics.jsonl have the very same figures: it is made up")
    return dict(zip(kinds, found, strict=True))


def begun_again(student: Student, name: str, table: list | None, log: dict, folder: Path) -> str:
    """Are the settings right, and do the first steps come out again?"""
    config = student.submission.json(f"runs/{name}/config.json", MOST["config.json"])
    flags = flags_of(student, name)
    if table is not None:
        (folder / "submitted.py").write_text(SUBMITTED.format(table=table))
        flags[flags.index("--method") + 1] = f"{folder}/submitted.py:submitted"
    problem = wrong_settings(config, flags, name)
    if problem or (table is not None and (problem := wrong_function(config, name, table))):
        return problem
    flags[flags.index("--steps") + 1] = str(REPLAYED)
    for ours in log_of(flags, folder, str(table))[: REPLAYED + 1]:
        kind = "nll" if "nll" in ours else "grad_norm"
        if not agree(log[kind, ours["step"]], ours):
            what = f"step {ours['step']}" if ours["step"] else "start.pt"
            return f"{what} does not come out again as metrics.jsonl has it"
    return ""


LOGS: dict[tuple, list[dict[str, Any]]] = {}


def log_of(flags: list[str], folder: Path, depends_on: str) -> list[dict[str, Any]]:
    """The log of train.py with these flags, some of which name files in `folder` that hold
    `depends_on`. The same run is made once: release.py grades it a hundred times."""
    key = (*(flag.replace(str(folder), "") for flag in flags), depends_on)
    if key not in LOGS:
        out = folder / f"log-{len(LOGS)}"
        train_quietly([*flags, "--out", str(out)])
        LOGS[key] = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return LOGS[key]


def wrong_settings(config: Any, flags: list[str], name: str) -> str:
    """What of config.json is not what was asked for."""
    from harness.config import parse_args

    wanted = json.loads(json.dumps(asdict(parse_args(flags)[0])).replace("Infinity", '"inf"'))
    if not isinstance(config, dict):
        return "config.json is not that of a run"
    for setting, value in wanted.items():
        if setting not in MAY_DIFFER and config.get(setting) != value:
            return f"{setting} is {config.get(setting)!r:.40}; see personal.py --runs"
    method = name.split("-")[0]
    if method == "exact":
        return "" if config.get("method") == "exact" else "its method is not exact"
    said = str(config.get("method")).replace("\\", "/").split("/")[-1]
    return "" if said == f"solution.py:{method}" else f"its method is not solution.py:{method}"


def wrong_function(config: dict, name: str, table: list) -> str:
    """Is the table that the run was trained by that of solution.py?"""
    mine = [[s, a if s else None, b if s < K else None] for s, (a, b) in enumerate(table)]
    theirs = config.get("table")
    if isinstance(theirs, list) and len(theirs) == len(mine):
        if all(same_row(a, b) for a, b in zip(mine, theirs, strict=True)):
            return ""
    return (
        "it was not trained by the function that is in solution.py now, asked for a group at a "
        "time: train it again, or mend the function if a group's numbers depend on other groups"
    )


def same_row(a: list, b: Any) -> bool:
    """Of two tables: equal numbers, or nothing in both."""
    if not isinstance(b, list) or len(a) != len(b):
        return False
    pairs = zip(a, b, strict=True)
    return all(y is None if x is None else is_number(y) and close(x, y) for x, y in pairs)


def agree(theirs: dict, ours: dict) -> bool:
    """Whether a row of the log is what came out again."""
    sampled = ours.get("entropy") is not None
    for name in ("nll", "pass@1", "pass@8", "pass@128", "pass@1024", "pass_rate"):
        if name in ours and not near(theirs.get(name), ours[name], name, sampled):
            return False
    return "grad_norm" not in ours or near(
        theirs.get("grad_norm"), ours["grad_norm"], "grad_norm", sampled
    )


def near(x: Any, y: float, name: str, sampled: bool) -> bool:
    """Equal but for rounding, and what rounding does to draws."""
    if not is_number(x):
        return False
    if not sampled:
        return close(x, y, SAME, 1e-4)
    return abs(x - y) <= ROLLOUTS if name == "pass_rate" else close(x, y, OF_THEM)


def weights_of(path: Path) -> Weights:
    """Those of a checkpoint of our own."""
    from harness import checkpoint

    return {name: w.tolist() for name, w in checkpoint.load(path)["model"].items()}


READ: dict[bytes, Any] = {}  # what READER made of a file; release.py has it read a hundred times


def forget() -> None:
    """Begin another submission with nothing in memory of those before."""
    LOGS.clear()
    READ.clear()


def handed_in(student: Student, name: str, like: Weights) -> Weights:
    """The weights in a ckpt.pt of the last step, of the same shapes as these. Missing if not."""
    content = student.submission.read(f"runs/{name}/ckpt.pt", MOST["ckpt.pt"])
    no = Missing("ckpt.pt is not a checkpoint of train.py for this run")
    if content not in READ:
        call = Call("read", [base64.b64encode(content).decode()])
        try:
            READ[content] = student.sandbox.aside(READER, call).value
        except Failed:
            raise no from None
    try:
        step, tensors = READ[content]
        weights = dict(tensors)
        if {n: shape_of(w) for n, w in weights.items()} != {
            n: shape_of(w) for n, w in like.items()
        }:
            raise no
    except (TypeError, ValueError):
        raise no from None
    numbers = flat(list(weights.values()))
    if not all(is_number(x) and abs(x) < MOST_WEIGHT for x in numbers):
        raise Missing(f"ckpt.pt holds weights that are no numbers, or {MOST_WEIGHT:g} and more")
    if step != personal.STEPS:
        raise Missing(f"ckpt.pt is not of step {personal.STEPS}")
    return weights


def same_weights(a: Weights, b: Weights) -> bool:
    """Most are equal, or nearly so: no training has come between."""
    import torch

    gaps = [(torch.tensor(a[name]) - torch.tensor(b[name])).abs().flatten() for name in b]
    return torch.cat(gaps).median().item() < MOVED


def same_figures(a: dict, b: dict, relative: float) -> bool:
    """Whether two evaluations came to nearly the same."""
    return all(close(a[name], b[name], relative) for name in ("nll", "pass@1", "pass@8"))


def evaluated(student: Student, name: str, weights: Weights, folder: Path) -> dict:
    """The row of the log that these weights have."""
    import torch

    from harness import checkpoint

    path = folder / "ckpt.pt"
    tensors = {n: torch.tensor(w, dtype=torch.float32) for n, w in weights.items()}
    checkpoint.save(path, checkpoint.load(start()) | {"model": tensors})
    flags = flags_of(student, name)
    for flag, value in (("--method", "exact"), ("--init", str(path)), ("--steps", "0")):
        flags[flags.index(flag) + 1] = value
    flags = [w for i, w in enumerate(flags) if "--order" not in flags[max(i - 1, 0) : i + 1]]
    return log_of(flags, folder, json.dumps(weights))[0]
