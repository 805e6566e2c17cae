"""reproduce.py: README and RESULTS say what the logs say, and the logs what the runs said."""

import re
import sys
from pathlib import Path

import pytest
from conftest import one_line

import reproduce
import train
from harness import checkpoint
from harness.config import EXAMPLES, Config, checked_task, parse_args
from harness.log import read_lines
from paper import figures, logs, measure, sweeps, tables
from paper.logs import ROOT, Job, Logs, add, is_of, job_of, missing, ready
from paper.sweeps import SWEEPS, TUNING_SEEDS, Sweep

PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in tables.PAGES}
TINY = "--n-embd 8 --n-head 2 --sft-steps 0 --batch-size 3 --eval-prompts 7"


def written_over(folder):
    """What `tables.write` makes of copies of the pages."""
    for page, text in PAGES.items():
        (folder / page).write_text(text, encoding="utf-8")
    tables.write(folder)
    return {page: (folder / page).read_text(encoding="utf-8") for page in PAGES}


def test_the_pages_are_those_of_the_logs(tmp_path):
    for page, made in written_over(tmp_path).items():
        assert made == PAGES[page], "run reproduce.py --figures-only"


def test_blocks_are_written_between_their_markers(tmp_path, monkeypatch):
    """Each has a home, and nothing else is touched."""
    marked = re.findall(r"<!-- results:(\S+) -->", "".join(PAGES.values()))
    assert len(marked) == len(set(marked)) and set(marked) <= set(tables.BLOCKS)
    assert {f"experiment-{n}" for n in sweeps.EXPERIMENTS} <= set(marked)
    monkeypatch.setattr(tables, "content", lambda name: f"of {name} \\1")
    block, new = r"results:(\S+) -->\n.*?<!--", r"results:\1 -->\nof \1 \\1\n<!--"
    for page, made in written_over(tmp_path).items():
        assert made == re.sub(block, new, PAGES[page], flags=re.DOTALL)


def prose(page):
    """Its text without code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[page], flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    """To a file, and to a heading as GitHub names it."""
    for path, heading in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", prose(page)):
        assert (ROOT / (path or page)).exists(), path
        headings = re.findall(r"^#+ (.*)", prose(path or page) if heading else "", re.MULTILINE)
        names = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
        assert not heading or heading in names, f"{path or page} has no #{heading}"


def test_every_figure_there_is_is_shown_and_every_test_that_is_named_exists():
    pages = "".join(PAGES.values())
    shown = set(re.findall(r"\]\((assets/[^)]*)\)", pages))
    assert {f"assets/{path.name}" for path in (ROOT / "assets").glob("*")} <= shown
    for number in sweeps.EXPERIMENTS:
        drawn = f"assets/{figures.FIGURES[number].__name__}.png"
        assert (drawn in shown) == ready(Logs(), number)
    tests = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    for name in re.findall(r"`(test_\w+)`", pages):
        assert f"def {name}(" in tests, name


@pytest.mark.parametrize("page", [*PAGES, "--help"])
def test_every_command_that_is_shown_is_one(page):
    text = EXAMPLES.replace("\\\n", "") if page == "--help" else PAGES[page]
    for command in re.findall(r"python train\.py (--[^`#\n]*)", text):
        if not re.search(r"--help|--resume|--init|mine\.py", command):  # files they need
            checked_task(parse_args(command.split())[0])


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_fair(name):
    """One start, one test, several evaluations at the end; tuning sees no reported problem."""
    sweep, free = SWEEPS[name], {"method", "k", "order", "lr", "reward"}
    free |= {"budget": {"batch_size"}, "relatives": {"rounds", "steps", "pool", "eval_every"}}.get(
        name, {"train_prompts"} if "pool=" in str(sweep.labels) or name == "convergence" else set()
    )
    runs, tuning = ([job_of(Logs(), name, m, seed, 3) for m in sweep.labels]
                    for seed in (sweep.seeds[0], TUNING_SEEDS[0]))  # fmt: skip
    configs = [parse_args(job.flags.split())[0] for job in runs]
    checked_task(configs[0])
    for config in configs:
        differ = {n for n, x in vars(config).items() if x != getattr(configs[0], n)}
        late = [s for s in range(0, config.steps + 1, config.eval_every) if s > 0.8 * config.steps]
        few = sweep.number in (0, 4)
        assert differ <= free and config.eval_split == "test"
        assert config.steps % config.eval_every == 0 and len(late) >= (2 if few else 4)
    assert len({job.out for job in (*runs, *tuning)}) == 2 * len(runs), "no two share a folder"
    splits = {parse_args(job.flags.split())[0].eval_split for job in tuning}
    assert splits == {"validation"}
    assert set(sweep.tuned_at) | set(sweep.tuned_at.values()) <= set(sweep.labels)
    assert sweep.criterion in sweep.figures and not set(TUNING_SEEDS) & set(sweep.seeds)


def test_the_same_number_of_rollouts():
    """On countdown for all methods, and a step of "budget" for all k as in the default run."""
    for own in (*sweeps.MANY.values(), *sweeps.RELATIVES.values()):
        c = parse_args(f"{own} {sweeps.COUNTDOWN}".split())[0]
        prompts = c.pool if "rounds" in f"{own} {sweeps.COUNTDOWN}" else c.batch_size
        assert prompts * c.k * c.steps == 160 * 64 * 16
    budget = [parse_args(own.split())[0] for own in sweeps.BUDGETED.values()]
    assert {c.batch_size * c.k for c in budget} == {Config().batch_size * 8} == {sweeps.BUDGET}


def test_the_default_sweep_is_the_default_run_and_twins_have_other_prompts():
    """The README's first command. Twins see each prompt once, as if they were fresh."""
    config = parse_args(job_of(Logs(), "default", "maxrl lr=8e-4", 0, None).flags.split())[0]
    assert config == parse_args("--method maxrl --k 8".split())[0]
    jobs = (job_of(Logs(), "convergence", m, 8, None) for m in ("ce", "ce twin"))
    ce, twin = (parse_args(job.flags.split())[0] for job in jobs)
    assert {n for n, x in vars(ce).items() if x != getattr(twin, n)} == {"train_prompts"}
    assert twin.train_prompts == twin.steps * twin.batch_size


@pytest.mark.parametrize("name", SWEEPS)
def test_lines_are_of_the_runs_they_name(name):
    """Commands and configurations agree."""
    for line in Logs().lines(name):
        config = parse_args(line["command"].partition("train.py ")[2].split())[0]
        assert is_of(line["config"], line["command"].partition("train.py ")[2])
        assert line["label"] in SWEEPS[name].labels and line["seed"] == config.seed
        assert line["evaluations"][-1]["step"] == config.steps


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A sweep of runs that take a second."""
    labels = {"ce": "--method ce", "maxrl k=5": "--method maxrl --k 5"}
    kept = ("pass@1", "pass@32", "nll", "kinds")
    flags = f"--steps 4 --eval-every 2 {TINY}"
    sweep = Sweep(1, flags, "--steps 2", labels, {"ce": "ce"}, seeds=range(2), figures=kept)
    for module in (sweeps, logs, reproduce, measure):
        monkeypatch.setattr(module, "SWEEPS", {"toy": sweep})
    monkeypatch.setattr(logs, "RESULTS", tmp_path / "results")
    return Logs(tmp_path / "results")


def test_what_is_kept_of_a_run(toy):
    jobs = job_of(toy, "toy", "maxrl k=5", 1, None), job_of(toy, "toy", "ce", 100, 3)
    for job in jobs:
        assert train.main([*job.flags.split(), "--out", str(job.out)]) == 0
    line, tuning = (add(toy, job, "abc") for job in jobs)
    assert toy.lines("toy") == [tuning, line]
    about = [line[name] for name in ("sweep", "label", "seed", "commit", "command")]
    assert about == ["toy", "maxrl k=5", 1, "abc", f"python train.py {jobs[0].flags}"]
    rows = [row for row in read_lines(jobs[0].out / "metrics.jsonl") if "nll" in row]
    assert [row["step"] for row in line["evaluations"]] == [0, 2, 4]
    always, last = {"step", "seconds", "rollouts", "pass@1"}, line["evaluations"][-1]
    assert set(last) == always | {"pass@32", "nll", "kinds"}
    assert last["pass@1"] == pytest.approx(rows[-1]["pass@1"], rel=1e-4)
    assert sum(w for w, _, _ in last["kinds"]) == pytest.approx(1, abs=1e-4)
    assert sum(w * p for w, p, _ in last["kinds"]) == pytest.approx(last["pass@1"], 1e-3)
    assert [set(row) for row in tuning["evaluations"]] == [always]


def test_what_is_missing_comes_in_order_and_is_not_made_again(toy, monkeypatch):
    """Runs for tuning or without a rate, then those of the chosen one, which replace others."""

    def stand_in(job, commit):
        config = vars(parse_args(job.flags.split())[0])
        row = {"step": 4, "seconds": 1.0, "pass@1": {8e-4: 0.7, 1.6e-3: 0.6}.get(config["lr"], 0.5)}
        about = {"sweep": "toy", "label": job.label, "seed": job.seed, "command": job.command}
        return about | {"commit": commit, "config": config, "evaluations": [row]}

    monkeypatch.setattr(logs, "line_of", stand_in)
    jobs = missing(toy, "toy")
    assert [job.label for job in jobs] == ["ce"] * 6 + ["maxrl k=5"] * 2
    assert {job.seed for job in jobs[:6]} == {100, 101}
    for job in jobs:
        add(toy, job, "abc")
    later = missing(toy, "toy")
    assert [(job.label, job.seed) for job in later] == [("ce", 0), ("ce", 1)]
    assert all("--lr 8e-4" in job.flags for job in later), "the best"
    for job in later:
        add(toy, job, "abc")
    assert not missing(toy, "toy") and ready(toy, 1)
    assert [x["label"] for x in toy.lines("toy")] == ["ce"] * 8 + ["maxrl k=5"] * 2
    add(toy, job_of(toy, "toy", "ce", 0, 4), "abc")
    assert len(toy.lines("toy")) == 10 and missing(toy, "toy") == [later[0]]
    quick = missing(Logs(toy.folder.parent / "quick", quick=True), "toy")
    assert [j.flags.split()[-3:] for j in quick] == [["2", "--seed", "0"]] * 2
    assert "--lr 8e-4" in quick[0].flags, "the committed choice"


def test_all_is_run_then_drawn_and_what_fails_says_why_and_stops_the_others(
    toy, tmp_path, monkeypatch
):
    """One that was cut off is gone on with; one that is stopped has saved itself."""
    drawn, numbers, quick = [], [1], Logs(toy.folder, quick=True)  # two runs of two steps
    monkeypatch.setattr(reproduce, "publish", lambda of, assets, numbers: drawn.extend(numbers))
    monkeypatch.setattr(logs, "tuned", lambda sweep: ([], {"ce": 0}))
    first = missing(quick, "toy")[0]
    cut = first.flags.replace("--steps 2", "--steps 1")
    assert train.main([*cut.split(), "--out", str(first.out)]) == 0
    assert train.main(["--resume", "--out", str(first.out), "--steps", "2"]) == 0
    endless, bad = (Job("toy", "ce", 0, f"--method ce {TINY} {flags}", tmp_path / flags[2:8])
                    for flags in ("--steps 1000000", "--n-head 3"))  # fmt: skip
    with pytest.raises(SystemExit, match="multiple of --n-head"):
        jobs = lambda: [endless, *reproduce.jobs_of(quick, numbers, tmp_path), bad]  # noqa: E731
        reproduce.run_all(quick, jobs, 2, "abc")
    assert len(quick.lines("toy")) == 2 and drawn == [1]
    assert not list(first.out.parent.iterdir()), "only lines are left"
    assert "model" in checkpoint.load(endless.out)


def test_wrong_use_is_one_line(monkeypatch, capsys):
    """A flag; no matplotlib; or code that is not committed, of that which runs depend on."""
    asked = []
    monkeypatch.setattr(reproduce, "git", lambda *words: asked.append(words) or "maxrl.py\n")
    for flags, says in (("--only 9", "--only"), ("--jobs 0", "--jobs"), ("--fast", "--fast"),
                        ("3", "3"), ("", "commit maxrl.py first"),
                        ("--figures-only", "pip install")):  # fmt: skip
        if flags == "--figures-only":
            monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *flags.split()])
        assert reproduce.main() == 2 and says in one_line(capsys)
    left_out = {word.removeprefix(":!") for word in asked[0] if word.startswith(":!")}
    loaded = {Path(m.__file__) for m in (train, train.maxrl, train.tree, train.selftrain)}
    assert not {path.name for path in loaded} & left_out and "harness" not in left_out
