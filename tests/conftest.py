"""A tiny run that every test of train.py and sample.py starts from, in a folder of its own."""

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis
import pytest
import torch

import maxrl

os.environ["TQDM_DISABLE"] = "1"
slow = [hypothesis.HealthCheck.too_slow]  # a busy machine is not a fault
hypothesis.settings.register_profile("ours", deadline=None, suppress_health_check=slow)
hypothesis.settings.load_profile("ours")
torch.set_num_threads(1)  # tiny tensors: threads only get in each other's way

TINY = (
    "--digits 1 --no-reverse --batch-size 3 --k 5 --steps 4 --eval-every 2 --eval-prompts 20 "
    "--lr 5e-5 --sft-steps 60 --sft-until 0.55 --sft-lr 3e-3 --sft-batch-size 32 --n-layer 1 "
    "--n-head 2 --n-embd 16 --device cpu"
).split()
TINY_ROUNDS = " ".join(TINY).replace("--steps 4 ", "").split()  # where steps are rounds
CPU = torch.device("cpu")


def tiny_model(flags: str = "", scale: float = 1.0):
    """A random model of the tiny configuration with these flags, its task, and the configuration.
    A larger scale is less uniform, so that rollouts repeat."""
    from harness.config import checked_task, parse_args
    from train import starting_model

    config = parse_args([*TINY_ROUNDS, "--sft-steps", "0", *flags.split()])[0]
    task = checked_task(config)
    model = starting_model(config, task, CPU)
    with torch.no_grad():
        for w in model.parameters():
            w.mul_(scale)
    return model, task, config


def gradient(model) -> torch.Tensor:
    """All of it, in one row."""
    return torch.cat([w.grad.flatten() for w in model.parameters()])


def gradient_of(flags: str, device: torch.device = CPU) -> torch.Tensor:
    """The gradient that the first training step applies, on the CPU."""
    from train import train_step

    model, task, config = tiny_model(f"{flags} --grad-clip 1e6", scale=3.0)
    model.to(device)
    train_step(model, torch.optim.SGD(model.parameters(), lr=0.0), config, task, 1)
    return gradient(model).cpu()


def written(*rows: tuple[int, str | list[int], int]):
    """Rollouts by hand, (prompt, text or tokens, count) each. A text ends; tokens may not."""
    from data.tokenizer import END, PAD, encode
    from tree import Rollouts

    said = [[*encode(text), END] if isinstance(text, str) else text for _, text, _ in rows]
    tokens = torch.tensor([ids + [PAD] * (max(map(len, said)) - len(ids)) for ids in said])
    group, count = (torch.tensor([row[i] for row in rows]) for i in (0, 2))
    return Rollouts(group, tokens, count, -1.0 - torch.arange(len(rows)), (tokens == END).any(1))


def pytest_runtest_setup(item):
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs CUDA")


@pytest.fixture(autouse=True)
def signals_as_in_a_terminal():
    """A background job of a script starts with Ctrl-C ignored; the tests are about a terminal's."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler),
                            (signal.SIGTERM, signal.SIG_DFL),
                            (signal.SIGPIPE, signal.SIG_IGN)):  # fmt: skip
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def warm_starts(tmp_path_factory) -> Path:
    """Warm starts are kept for all tests; one that is about them removes the link to this."""
    return tmp_path_factory.mktemp("warmstart")


@pytest.fixture
def folder(tmp_path, monkeypatch, warm_starts) -> Path:
    """Where runs/ goes. Methods that a test names in a file of its own are forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(maxrl, "FORMULAS", dict(maxrl.FORMULAS))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/warmstart").symlink_to(warm_starts)
    return tmp_path


@pytest.fixture
def train(folder):
    """train("--k 2") runs the tiny configuration with these flags and expects exit status 0."""
    import train as module

    def call(flags: str = "", status: int = 0) -> None:
        rounds = "star" in flags or "expert-iteration" in flags
        tiny = [] if "--resume" in flags else TINY_ROUNDS if rounds else TINY
        assert status_of(module.main, [*tiny, *shlex.split(flags)]) == status

    return call


def in_a_child(action: Callable[[], object], err: str = os.devnull) -> int:
    """Fork: a process of its own without the seconds of an import. Returns its id."""
    if child := os.fork():
        return child
    status: object = 99
    try:
        with open(os.devnull, "w") as sys.stdout, open(err, "w") as sys.stderr:
            try:
                status = action()
            except SystemExit as end:
                status = end.code
            except BaseException as error:
                sys.stderr.write(f"Traceback: {error!r}")
    finally:
        os._exit(int(status or 0))  # type: ignore[call-overload]


def exit_status(child: int) -> int:
    """What a process ended with; minus a signal if that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def status_of(main: Callable[[list[str]], int], words: Sequence[str]) -> int | str | None:
    """The exit status of a command, also where argparse ends it."""
    try:
        return main([*words])
    except SystemExit as end:
        return end.code


def one_line(capsys) -> str:
    """What went to stderr, which is a line."""
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "Traceback" not in err, err
    return err


def read(path: str | Path) -> list[dict]:
    """metrics.jsonl without the seconds, which differ between runs."""
    rows = [json.loads(line) for line in (Path(path) / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def weights(path: str | Path) -> dict[str, torch.Tensor]:
    return torch.load(Path(path) / "ckpt.pt", weights_only=True)["model"]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
