"""reproduce.py: README and RESULTS say what the logs say, and the logs what the runs said."""

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
from paper import tables
from paper.figures import FIGURES, draw
from paper.logs import RESULTS, Logs, chosen, is_of, more_pass_rates
from paper.measure import MEASUREMENTS
from paper.sweeps import SWEEPS, TUNING_SEED, reported_runs, run_name, tuning_runs
from reproduce import ROOT, Job, do, missing

PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in tables.HOMES}
TINY = "--n-embd 8 --n-head 2 --digits 1 --sft-steps 0 --batch-size 3 --eval-prompts 7 --k 5"


def logs_of(sweep):
    """(path, flags) of every log that a sweep should have."""
    runs = reported_runs(SWEEPS[sweep], chosen(sweep))
    yield from ((Logs(RESULTS).path(sweep, run), flags) for run, flags in runs.items())
    tuning = tuning_runs(SWEEPS[sweep])
    yield from ((Logs(RESULTS).path(f"{sweep}/tuning", r), flags) for r, flags in tuning.items())


@pytest.mark.parametrize("page, name", [(p, n) for p, ns in tables.HOMES.items() for n in ns])
def test_the_tables_are_those_of_the_logs(page, name):
    block = f"<!-- results:{name} -->\n{tables.BLOCKS[name]()}\n<!-- end -->"
    assert PAGES[page].count(block) == 1, "run reproduce.py --figures-only"


def test_every_table_has_one_home():
    homes = [name for names in tables.HOMES.values() for name in names]
    marked = re.findall(r"<!-- results:(\S+) -->", "".join(PAGES.values()))
    assert sorted(homes) == sorted(marked) == sorted(tables.BLOCKS)


def test_tables_are_written_between_their_markers(tmp_path):
    for page, text in PAGES.items():
        emptied = re.sub(r"(<!-- results:.* -->\n)[^<]*", r"\1", text)
        assert emptied != text
        (tmp_path / page).write_text(emptied, encoding="utf-8")
    tables.write(tmp_path)
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in PAGES} == PAGES
    (tmp_path / "README.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"README\.md has no markers"):
        tables.write(tmp_path)


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


def test_every_figure_that_is_drawn_is_shown():
    drawn = {f"assets/{f.__name__.replace('_', '-')}.png" for fs in FIGURES.values() for f in fs}
    assert drawn <= {path for path, _ in links("RESULTS.md")}
    assert {f"assets/{path.name}" for path in (ROOT / "assets").glob("*")} == drawn


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


@pytest.mark.parametrize("number", FIGURES)
def test_figures_are_drawn_from_the_logs(tmp_path, number):
    """In the size of the committed ones; what is in them, fonts decide too."""
    for path in draw(Logs(RESULTS), tmp_path, number):
        size = slice(16, 24)  # of a PNG: where its width and height are
        committed = ROOT / "assets" / path.name
        assert path.read_bytes()[size] == committed.read_bytes()[size], path.name


@pytest.mark.parametrize("sweep", SWEEPS)
def test_logs_are_of_the_runs_they_name(sweep):
    for path, flags in logs_of(sweep):
        head, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        assert is_of(head["config"], flags), path
        config, _, _ = parse_args(flags.split())
        assert parse_args(head["command"].split()[2:])[0] == config
        assert rows[0]["step"] == 0 and rows[-1]["step"] == config.steps


def test_the_logs_are_all_there_and_small_and_no_others_are_committed():
    """Files of your own may lie beside them."""
    expected = {path for sweep in SWEEPS for path, _ in logs_of(sweep)}
    expected |= {RESULTS / f"{f.__name__}.json" for f in MEASUREMENTS.values()}
    expected |= {RESULTS / name for name in ("bench.json", "bench-longer.json", "soak.json")}
    expected |= {path for path in [RESULTS / "gpu.json"] if path.exists()}
    assert sum(path.stat().st_size for path in expected) < 5e6
    git = ["git", "-C", str(ROOT), "ls-files", "results"]
    committed = subprocess.run(git, capture_output=True, text=True).stdout.split()
    assert {ROOT / name for name in committed} in (expected, set()), "empty: not a clone"


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


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_sweep_is_fair(sweep, quick):
    """All labels start from the same weights, draw the same prompts, and are tuned alike."""
    runs = reported_runs(SWEEPS[sweep], chosen(sweep), quick)
    configs = [parse_args(flags.split())[0] for flags in runs.values()]
    free = {"method", "k", "order", "lr", "seed", "reward"}
    rounds = {"rounds", "steps", "pool", "epochs", "eval_every"} if sweep == "latent" else set()
    for config in configs:
        checked_task(config)
        differ = {n for n, v in vars(config).items() if v != getattr(configs[0], n)}
        assert differ <= free | rounds
        assert config.seed != TUNING_SEED
    tried = {}
    for flags in tuning_runs(SWEEPS[sweep]).values():
        config, _, _ = parse_args(flags.split())
        assert config.seed == TUNING_SEED
        tried.setdefault((config.method, config.order, config.reward), set()).add(config.lr)
    assert len({frozenset(rates) for rates in tried.values()}) <= 1
    assert len({seed for seed in SWEEPS[sweep].seeds}) >= 3


def test_the_latent_methods_have_as_many_rollouts():
    last = {label: Logs(RESULTS).runs("latent", label)[0][-1] for label in SWEEPS["latent"].labels}
    assert len({row["rollouts"] for row in last.values()}) == 1


# ---------------------------------------------------------------------------------- running


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    return tmp_path


def test_a_run_leaves_its_log_only(folder):
    flags = f"--method ce --steps 4 --eval-every 2 --train-prompts 6 --lr 0.05 --warmup 0 {TINY}"
    job = Job(flags, "runs/a", folder / "results" / "s" / "a.jsonl")
    assert "pass@1" in do(job)
    head, *rows = map(json.loads, job.log.read_text().splitlines())
    assert head["command"] == f"python train.py {flags}"
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    made_at = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    assert head["commit"].rstrip("+") == made_at[: len(head["commit"].rstrip("+"))]
    assert len(head["train_base"]) == len(head["train_final"]) == 6
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert not any("logp" in row for row in rows) and "pass@16384" in rows[0]
    assert not Path("runs/a").exists()
    train.main([*flags.split(), "--out", "again"])
    steps = read_lines(Path("again/metrics.jsonl"))
    pass_rates = [row["pass_rate"] for row in steps if "loss" in row]
    assert "pass_rate" not in rows[0]
    assert rows[1]["pass_rate"] == pytest.approx(sum(pass_rates[:2]) / 2, abs=1e-8)
    assert rows[2]["pass_rate"] == pytest.approx(sum(pass_rates[2:]) / 2, abs=1e-8)
    assert rows[2]["pass@32"] == pytest.approx(more_pass_rates(steps[-1])["pass@32"], abs=1e-8)
    assert sum(head["train_final"]) > sum(head["train_base"]), "cross-entropy on these prompts"


def test_a_run_that_fails_says_why_and_is_gone_on_with(folder):
    flags = f"--method maxrl --steps 6 --eval-every 3 {TINY}"
    job = Job(flags, "runs/a", folder / "a.jsonl")
    with pytest.raises(reproduce.RunFailed, match="multiple of --n-head"):
        do(Job(f"{flags} --n-head 3", "runs/b", folder / "b.jsonl"))
    do(job)
    whole = job.log.read_text()
    assert train.main([*flags.replace("steps 6", "steps 3").split(), "--out", "runs/a"]) == 0
    job.log.unlink()
    assert train.main(["--resume", "--out", "runs/a", "--steps", "6"]) == 0
    do(job)  # all there already
    drop_seconds = re.compile(r'"seconds": [0-9.]+')
    assert drop_seconds.sub("", job.log.read_text()) == drop_seconds.sub("", whole)


def test_what_is_there_is_not_run_again_unless_its_flags_are_others(folder):
    logs, flags = Logs(folder), f"--method exact --order inf --steps 1 {TINY}"
    job = Job(flags, "runs/a", logs.path("x", "a"))
    assert [job.flags for job in missing(logs, "x", {"a": flags})] == [flags]
    do(job)
    assert missing(logs, "x", {"a": flags}) == []
    assert [job.out for job in missing(logs, "x", {"a": f"{flags} --lr 1"})] == [
        "runs/reproduce/x/a"
    ]


def test_a_folder_of_other_flags_is_not_gone_on_with(folder):
    flags = f"--method ce --steps 2 {TINY}"
    assert train.main([*flags.split(), "--lr", "0.1", "--out", "runs/a"]) == 0
    do(Job(flags, "runs/a", folder / "a.jsonl"))
    assert json.loads((folder / "a.jsonl").read_text().splitlines()[0])["config"]["lr"] == 5e-5


def test_ctrl_c_leaves_checkpoints_and_no_worker(folder):
    """Of three runs, two at a time: a signal to all of the processes, as a terminal sends it."""
    jobs = [(f"--method ce --steps 1000000 --eval-every 1000000 {TINY}", n) for n in "abc"]
    script = f"""
from pathlib import Path
from reproduce import Job, do_all
do_all([Job(flags, f"{folder}/{{n}}", Path("{folder}/logs", n)) for flags, n in {jobs}], 2)
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
    names = [n for s in SWEEPS.values() for n in [*reported_runs(s, {}), *tuning_runs(s)]]
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in names)


def test_figures_without_logs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--figures-only", "--only", "3"])
    assert reproduce.main() == 1
    assert "scarce" in (err := capsys.readouterr().err) and len(err.splitlines()) == 1


@pytest.mark.parametrize("flags", ["--only 9", "--jobs 0", "--fast", "3"])
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
