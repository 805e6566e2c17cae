"""reproduce.py: README and RESULTS say what the logs say, and the logs what the runs said."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import reproduce
import train
from harness import checkpoint
from harness.config import EXAMPLES, Config, checked_task, from_dict, parse_args
from harness.log import read_lines
from harness.report import evaluation_line, table
from paper import logs, measure, sweeps, tables
from paper.figures import FIGURES
from paper.logs import (
    RESULTS,
    Logs,
    chosen,
    complete,
    is_of,
    logs_in,
    more_pass_rates,
    superfluous,
)
from paper.measure import MEASUREMENTS
from paper.sweeps import SWEEPS, Sweep, reported_runs, run_name, sweeps_of
from reproduce import ROOT, Job, Plan, do, do_all, work_of

PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in tables.HOMES}
TINY = "--n-embd 8 --n-head 2 --digits 2 --sft-steps 0 --batch-size 3 --eval-prompts 7"
KEPT = ("pass@1", "pass@32", "nll", "halves")


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_complete(name):
    """And has no other logs beside its own."""
    assert complete(Logs(RESULTS), name)
    assert superfluous(name) == []


@pytest.mark.parametrize("page, name", [(p, n) for p, ns in tables.HOMES.items() for n in ns])
def test_the_blocks_are_those_of_the_logs(page, name):
    text = PAGES[page].partition(f"<!-- results:{name} -->\n")[2].partition("<!-- end -->")[0]
    assert text == tables.content(name) + "\n", "run reproduce.py --figures-only"


def test_every_table_has_one_home():
    homes = [name for names in tables.HOMES.values() for name in names]
    marked = re.findall(r"<!-- results:(\S+) -->", "".join(PAGES.values()))
    assert sorted(homes) == sorted(marked) == sorted(tables.BLOCKS)


def test_blocks_are_written_between_their_markers(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "can_be_made", lambda name: True)
    monkeypatch.setattr(tables, "BLOCKS", {n: lambda n=n: f"of {n}" for n in tables.BLOCKS})
    for page, text in PAGES.items():
        (tmp_path / page).write_text(text, encoding="utf-8")
    tables.write(tmp_path)
    for page, names in tables.HOMES.items():
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert all(f"-->\nof {name}\n<!-- end -->" in text for name in names)
    (tmp_path / "README.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"README\.md has no markers"):
        tables.write(tmp_path)


def test_the_readme_shows_the_run_that_the_log_is_of():
    _, first, *_, last = Logs(RESULTS).lines("default", "maxrl-s0")
    for line in (evaluation_line(0, first), *table(first, last).splitlines()):
        assert line in PAGES["README.md"]


def prose(page):
    """Its text without code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[page], flags=re.DOTALL)


def links(page):
    """(path, #heading) of every link within the tree."""
    return re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", prose(page))


def slug(heading):
    """A heading's name in a link, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for path, heading in links(page):
        target = path or page
        assert (ROOT / target).exists(), path
        if heading:
            headings = re.findall(r"^#+ (.*)", prose(target), flags=re.MULTILINE)
            assert heading in map(slug, headings), f"{target} has no #{heading}"


def test_every_figure_there_is_is_shown():
    shown = {path for page in PAGES for path, _ in links(page)}
    assert {f"assets/{path.name}" for path in (ROOT / "assets").glob("*")} <= shown


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page):
    tests = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    for name in re.findall(r"`(test_\w+)`", PAGES[page]):
        assert f"def {name}(" in tests, name


@pytest.mark.parametrize("page", [*PAGES, "--help"])
def test_every_command_that_is_shown_is_one(page):
    text = EXAMPLES if page == "--help" else PAGES[page]
    for command in re.findall(r"python train\.py (--[^`#\n]*)", text):
        if not re.search(r"--help|--resume|--init|mine\.py", command):  # files they need
            checked_task(parse_args(command.split())[0])


def test_a_flag_that_is_newer_than_a_log_does_not_make_it_stale():
    """What a log or a checkpoint does not mention has its default; so they are still of their run.

    A log that lacks what is not at its default is that of another run.
    """
    for flags in ("--method ce --steps 9", "--method maxrl-loo --order 3 --task chain --seed 4"):
        config = json.loads(json.dumps(vars(parse_args(flags.split())[0])))
        for name, default in vars(Config()).items():
            older = {n: v for n, v in config.items() if n != name}
            assert is_of(older, flags) == (config[name] == default), name
            assert getattr(from_dict(older), name) == default


@pytest.mark.parametrize("name", SWEEPS)
def test_logs_are_of_the_runs_they_name(name):
    for path in logs_in(name):
        head, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        flags = head["command"].partition("train.py ")[2]
        config, _, _ = parse_args(flags.split())
        assert is_of(head["config"], flags), path
        assert (config.eval_split == "validation") == (path.parent.name == "tuning")
        assert rows[0]["step"] == 0 and rows[-1]["step"] == config.steps


def test_runs_of_a_seed_start_from_the_same_weights():
    """Those of two machines do not. Leave-one-out is compared over two sweeps."""
    of = Logs(RESULTS)
    starts = {name: of.starts(name, SWEEPS[name].figures[0]) for name in SWEEPS}
    assert starts["few"] == starts["scaling"]


def test_there_are_no_other_logs():
    expected = {f"{m.__name__}.json" for ms in MEASUREMENTS.values() for m in ms}
    expected |= {"bench.json", "bench-longer.json", "soak.json", *SWEEPS}
    git = ["git", "-C", str(ROOT), "ls-files", "results"]
    committed = subprocess.run(git, capture_output=True, text=True).stdout.split()
    assert {name.split("/")[1] for name in committed} in (expected, set()), "empty: not a clone"


def test_results_are_small():
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) < 12e6


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_is_fair(name, quick):
    """All labels start from the same weights and are judged by the same held-out prompts."""
    sweep = SWEEPS[name]
    configs = [parse_args(f.split())[0] for f in reported_runs(sweep, chosen(name), quick).values()]
    free = {"method", "k", "order", "lr", "seed", "reward"}
    free |= {"budget": {"batch_size"}, "latent": {"rounds", "steps", "pool", "eval_every"}}.get(
        name, {"train_prompts", "steps", "eval_every"} if "pool=" in str(sweep.labels) else set()
    )
    for config in configs:
        checked_task(config)
        differ = {n for n, v in vars(config).items() if v != getattr(configs[0], n)}
        assert differ <= free
    source = SWEEPS[sweep.rates_of or name]
    assert set(sweep.tuned_at) <= set(sweep.labels)
    assert set(sweep.tuned_at.values()) <= set(source.labels)
    assert sweep.criterion in sweep.figures


def test_methods_of_one_setting_have_the_same_steps():
    for name in ("countdown", "scarce-hard", "scarce-half"):
        by_pool = {}
        for label, flags in SWEEPS[name].labels.items():
            by_pool.setdefault(label.split("pool=")[1], set()).add(flags.partition("--train")[2])
        assert all(len(flags) == 1 for flags in by_pool.values())


def test_the_same_number_of_rollouts():
    """On countdown for all methods, and a step of "budget" for all k."""
    runs = {**sweeps.MANY_ANSWERS, **SWEEPS["latent"].labels}
    configs = [
        parse_args(f"{SWEEPS['countdown' if 'pool' in m else 'latent'].flags} {own}".split())[0]
        for m, own in runs.items()
    ]
    per_step = {
        c.method: c.pool if "rounds" in runs.get(c.method, "") else c.batch_size for c in configs
    }
    assert {per_step[c.method] * c.k * c.steps for c in configs} == {64 * 16 * 160}
    budget = [parse_args(own.split())[0] for own in SWEEPS["budget"].labels.values()]
    assert {c.batch_size * c.k for c in budget} == {1024}


# ---------------------------------------------------------------------------------- running


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    return tmp_path


def test_a_run_leaves_its_log_only(folder):
    flags = f"--k 5 --steps 4 --eval-every 2 --train-prompts 6 --lr 0.05 --warmup 0 {TINY}"
    job = Job(flags, "runs/a", folder / "results" / "s" / "a.jsonl", KEPT)
    assert "pass@1" in do(job)
    head, *rows = map(json.loads, job.log.read_text().splitlines())
    assert head["command"] == f"python train.py {flags}"
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    made_at = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    assert head["commit"].rstrip("+") == made_at[: len(head["commit"].rstrip("+"))]
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert not Path("runs/a").exists()
    train.main([*flags.split(), "--out", "again"])
    steps = read_lines(Path("again/metrics.jsonl"))
    live = [row["live"] for row in steps if "loss" in row]
    assert rows[1]["live"] == pytest.approx(sum(live[:2]) / 2, abs=1e-7)
    assert rows[2]["live"] == pytest.approx(sum(live[2:]) / 2, abs=1e-7)
    assert rows[2]["pass@32"] == pytest.approx(more_pass_rates(steps[-1])["pass@32"], abs=1e-7)
    assert set(rows[2]) == {"step", "seconds", "rollouts", "live", *KEPT}
    assert set(rows[2]["halves"]) == {"pass@1", "pass@32"}


def test_a_run_that_fails_says_why_and_is_gone_on_with(folder):
    flags = f"--method maxrl --k 5 --steps 6 --eval-every 3 {TINY}"
    job = Job(flags, "runs/a", folder / "a.jsonl", KEPT)
    with pytest.raises(reproduce.RunFailed, match="multiple of --n-head"):
        do(Job(f"{flags} --n-head 3", "runs/b", folder / "b.jsonl", KEPT))
    do(job)
    whole = job.log.read_text()
    assert train.main([*flags.replace("steps 6", "steps 3").split(), "--out", "runs/a"]) == 0
    job.log.unlink()
    assert train.main(["--resume", "--out", "runs/a", "--steps", "6"]) == 0
    do(job)  # all there already
    drop_seconds = re.compile(r'"seconds": [0-9.]+')
    assert drop_seconds.sub("", job.log.read_text()) == drop_seconds.sub("", whole)


def test_a_folder_of_other_flags_is_not_gone_on_with(folder):
    flags = f"--method ce --steps 2 {TINY}"
    assert train.main([*flags.split(), "--lr", "0.1", "--out", "runs/a"]) == 0
    do(Job(flags, "runs/a", folder / "a.jsonl", KEPT))
    assert json.loads((folder / "a.jsonl").read_text().splitlines()[0])["config"]["lr"] == 5e-5


@pytest.fixture
def toy(folder, monkeypatch):
    """Two sweeps of runs that take no time, the second at the rates of the first."""
    labels = {"ce": "--method ce", "exact order=1": "--method exact --order 1"}
    words = {"number": 1, "flags": f"--steps 1 {TINY}", "quick": "", "seeds": 2, "labels": labels}
    first = Sweep(**words, tuned_at={"ce": "ce"}, figures=("pass@1",))
    second = Sweep(**words, tuned_at={"ce": "ce"}, figures=("pass@1",), rates_of="first")
    for module in (sweeps, logs, reproduce, measure):
        monkeypatch.setattr(module, "SWEEPS", {"first": first, "second": second})
    monkeypatch.setattr(logs, "RESULTS", folder)
    return Plan(Logs(folder), [], ["first", "second"], folder / "assets")


def test_a_plan_goes_on_until_all_is_there(toy, folder, capsys, monkeypatch):
    """Tuning first, then the runs; a finished sweep is announced and swept."""
    monkeypatch.setattr(Plan, "publish", lambda self, numbers: None)
    (folder / "first").mkdir()
    (folder / "first" / "of-an-older-list.jsonl").write_text('{"command": ""}\n')
    done = []
    while work := list(toy.work()):
        path, how = work[0]
        how()
        done.append(path.relative_to(folder).as_posix())
    assert [d for d in done if "tuning" in d] == done[: done.index("first/ce-s0.jsonl")]
    assert 6 <= sum("tuning" in d for d in done) and len(set(done)) == len(done)
    assert done[-1].startswith("second/") and toy.sweeps == []
    assert capsys.readouterr().out.count("is complete") == 2
    assert not (folder / "first" / "of-an-older-list.jsonl").exists()
    assert list(Plan(toy.logs, [], ["first", "second"], folder).work()) == []


def test_an_experiment_is_published_once_and_when_all_of_it_is_there(toy, folder, monkeypatch):
    """1 is two sweeps and a measurement, which is the last to come; 2 is a measurement."""
    measured = {n: (lambda quick: {},) for n in (1, 2)}
    measured[1][0].__name__, measured[2][0].__name__ = "one", "two"
    monkeypatch.setattr(reproduce, "MEASUREMENTS", measured)
    published = []
    monkeypatch.setattr(Plan, "publish", lambda self, numbers: published.extend(numbers))
    plan = Plan(toy.logs, [1, 2], ["first", "second"], folder)
    assert next(plan.work())[0].name == "two.json"
    next(plan.work())[1]()
    while work := [w for w in plan.work() if w[0].name != "one.json"]:
        work[0][1]()
    assert published == [2] and plan.sweeps == []
    [(_, how)] = plan.work()
    how()
    assert list(plan.work()) == [] and published == [2, 1]


def test_quick_takes_the_committed_rate_or_the_middle_one(toy, folder):
    quick = Logs(folder / "quick", quick=True)
    flags = {how.args[0].flags for _, how in work_of(quick, "first")}
    assert flags == {f"--method ce --steps 1 {TINY} --lr 1e-4 --seed 0",
                     f"--method exact --order 1 --steps 1 {TINY} --seed 0"}  # fmt: skip


def test_work_that_comes_up_later_is_done_too(folder):
    """Each piece makes the next possible."""
    names = ["a", "b", "c"]

    def work():
        for before, name in zip([None, *names], names, strict=False):
            if not Path(name).exists() and (before is None or Path(before).exists()):
                yield folder / name, functools.partial(str, folder / name)
                Path(name).touch()

    do_all(work, 2)
    assert all(Path(name).exists() for name in names)


def test_ctrl_c_leaves_checkpoints_and_no_worker(folder):
    """Of three runs, two at a time: a signal to all of the processes, as a terminal sends it."""
    runs = [(f"--method ce --steps 1000000 --eval-every 1000000 {TINY}", n) for n in "abc"]
    script = f"""
from functools import partial
from pathlib import Path
from reproduce import Job, do, do_all
jobs = [Job(flags, f"{folder}/{{n}}", Path("{folder}/logs", n), ()) for flags, n in {runs}]
do_all(lambda: [(job.log, partial(do, job)) for job in jobs], 2)
"""
    words = [sys.executable, "-c", script]
    main = subprocess.Popen(words, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE)
    begun = [folder / n / "metrics.jsonl" for n in "ab"]
    until(lambda: all(path.exists() and path.read_text().count("\n") > 3 for path in begun))
    os.killpg(main.pid, signal.SIGINT)
    assert b"KeyboardInterrupt" in main.communicate(timeout=60)[1]
    with pytest.raises(ProcessLookupError):
        until(lambda: os.killpg(main.pid, 0))  # no worker is left
    for path in begun:
        assert "model" in checkpoint.load(path.parent)
    assert not (folder / "c").exists() and not (folder / "logs").exists()


def until(condition, seconds=60):
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def test_names_of_runs():
    assert run_name("maxrl k=16", "s0") == "maxrl-k16-s0"
    names = [name for sweep in SWEEPS.values() for name in reported_runs(sweep, {})]
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in names)


def test_every_experiment_is_made_from_something():
    made = {number: sweeps_of(number) or MEASUREMENTS.get(number) for number in FIGURES}
    assert all(made.values()) and set(FIGURES) == set(tables.EXPERIMENTS)


@pytest.mark.parametrize("flags", ["--only 10", "--jobs 0", "--fast", "3"])
def test_wrong_use_is_one_line(flags, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *flags.split()])
    with pytest.raises(SystemExit) as stop:
        reproduce.main()
    assert stop.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--figures-only"])
    with pytest.raises(SystemExit, match=r"requirements-dev\.txt"):
        reproduce.main()
