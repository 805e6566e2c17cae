"""Every command, as it is typed: without optional extras, with streams that are closed or cut;
commands that are printed and work as they stand; and the examples in docstrings."""

import doctest
import importlib
import io
import os
import re
import runpy
import shlex
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch
from conftest import TINY, exit_status, in_a_child, one_line, read, same, status_of, weights

import sample
import train as train_module
from harness.command import Steady
from model import ModelConfig

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "train.py": [*TINY, "--sft-steps", "0", "--steps", "1", "--out", "é"],
    "sample.py": ["out", "1+1", "--device", "cpu"],
    "compare.py": ["out", "--figure", "figure.png"],
    "maxrl.py": [],
    "plain.py": ["--help"],
    "data/addition.py": [],
    "homework/personal.py": ["ada", "--runs"],
    "homework/grade.py": ["out", "--trust", "--out", "results.json"],
}
CUT = ("| head -1", ">&-")
STREAMS = (*CUT, "2>&-", ">&- 2>&-", "2>&1 | head -1", ">/dev/full", "ASCII")


def streams(how: str) -> tuple:
    """The standard streams as the interpreter makes them; None for one that is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    pipe = open(writer, "w")
    out = pipe if "|" in how else open("/dev/full" if "full" in how else os.devnull, "w")
    if how == "ASCII":
        out.reconfigure(encoding="ascii"), sys.stderr.reconfigure(encoding="ascii")
    err = None if "2>&-" in how else pipe if "2>&1" in how else sys.stderr
    return None if ">&-" in how.replace("2>&-", "") else out, err


def typed(command: str, how: str) -> int:
    """A command as the interpreter runs it."""
    sys.stdout, sys.stderr = streams(how)
    sys.argv = [command, *COMMANDS[command]]
    sys.path.append(str((ROOT / command).parent))
    for name, module in [*sys.modules.items()]:  # ours are imported again, without optional extras
        path = Path(getattr(module, "__file__", None) or "/")
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / ".venv"):
            del sys.modules[name]
    sys.modules |= dict.fromkeys(("matplotlib", "pytest", "hypothesis", "transformers"))
    status: object = 0
    try:
        runpy.run_path(str(ROOT / command), run_name="__main__")
    except SystemExit as end:
        status = end.code
    for stream in (sys.stdout, sys.stderr):
        try:
            stream and stream.flush()  # the interpreter's last act
        except OSError:
            status = 120
    return status or 0


@pytest.mark.parametrize("command", COMMANDS)
def test_streams_that_are_closed_cut_full_or_poor(train, command):
    """The work is done, and there is no traceback. (`| head` may end what only prints.)"""
    train("--sft-steps 0 --steps 1 --out out")
    for how in CUT if command == "homework/grade.py" else STREAMS:
        status = exit_status(in_a_child(lambda how=how: typed(command, how), "err.txt"))
        whole = command in ("train.py", "homework/grade.py")
        prints = {"maxrl.py", "plain.py", "homework/personal.py"} & {command}
        ended = [0, -signal.SIGPIPE] if "head" in how and not whole else [0]
        ended += [1, 120] if "full" in how and prints else []
        err = Path("err.txt").read_text()
        assert status in ended and "Traceback" not in err, (how, err)
        if command == "train.py":
            assert read("é") == read("out"), how
            shutil.rmtree("é")
        elif command == "homework/grade.py":
            Path("results.json").unlink()


def test_a_signal_may_print_while_something_is_being_printed():
    """Python refuses that with a RuntimeError."""

    class Busy(io.StringIO):
        def write(self, text):
            raise RuntimeError("reentrant call")

    assert Steady(Busy()).write("lost") == 4


COMMON = ["train", "sample", "compare", "bench", "reproduce", "recipes.ddp"]


@pytest.mark.parametrize("command", COMMON)
def test_help_and_empty_words_of_every_flag(command, monkeypatch, capsys):
    """--help into a full disk and without docstrings (python -OO); `--flag=--`, which argparse
    takes for no word at all."""
    module = importlib.import_module(command)
    monkeypatch.setattr(module, "__doc__", None)

    def main(*words):
        monkeypatch.setattr(sys, "argv", [f"{command}.py", *words])
        return status_of(lambda _: module.main(), [])

    def full_disk():
        sys.stdout = open("/dev/full", "w")
        return main("--help")

    assert exit_status(in_a_child(full_disk)) == 0
    assert main("--help") == 0
    for flag in {*re.findall(r"--[a-z][a-z-]*[a-z]", capsys.readouterr().out)}:
        assert main(f"{flag}=--") == 2 and f"{flag}=-- gives no value" in one_line(capsys)


@pytest.mark.parametrize("number, flags", [
    (signal.SIGINT, ""), (signal.SIGTERM, "--method=mine.py:half --out=a'b"),
])  # fmt: skip
def test_printed_commands_work_as_they_stand(folder, capsys, monkeypatch, number, flags):
    """A signal saves after the step at hand; a second one would find the default handler."""
    Path("mine.py").write_text("half = lambda r, mean, k: r - mean / 2")
    words = [*TINY, "--sft-steps", "0", *flags.split()]
    assert train_module.main([*words, "--out=whole"]) == 0
    step, before = train_module.train_step, signal.getsignal(number)

    def interrupted(*args):
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_DFL
        return step(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "train_step", interrupted)
        assert train_module.main(words) == 130
    assert signal.getsignal(number) == before
    python, script, *go_on = shlex.split(capsys.readouterr().err.splitlines()[-1])
    assert Path(python).samefile(sys.executable) and Path(script).samefile(ROOT / "train.py")
    (out,) = (path.parent for path in Path().rglob("ckpt.pt") if path.parent.name != "whole")
    assert torch.load(out / "ckpt.pt", weights_only=True)["step"] == 1
    assert train_module.main(go_on) == 0
    said = capsys.readouterr().out
    python, script, *ask = shlex.split(re.search("^ask it: (.*)$", said, re.MULTILINE)[1])
    assert Path(script).samefile(ROOT / "sample.py") and sample.main(ask) == 0
    assert read("whole") == read(out) and same(weights("whole"), weights(out))


DOCTESTS = "maxrl graded model tree verify data data.tokenizer data.splits data.batches".split()


@pytest.mark.parametrize("name", DOCTESTS)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"ModelConfig": ModelConfig})
    assert found.failed == 0 < found.attempted
