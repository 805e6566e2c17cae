"""Every command, as it is typed: closed and cut streams, poor terminals, empty words, python -OO,
and commands that are printed and work as they stand."""

import io
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, read, same, status_of, weights

import compare
import sample
import train as train_module
from harness import report

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "train.py": [*TINY, "--sft-steps", "0", "--steps", "1", "--out", "é"],
    "sample.py": ["out", "1+1", "--device", "cpu"],
    "compare.py": ["out", "--figure", "figure.png"],
    "maxrl.py": [],
    "plain.py": ["--help"],
    "data/addition.py": [],
}
STREAMS = (">&-", "2>&-", ">&- 2>&-", "| head -1", "2>&1 | head -1", ">/dev/full", "ASCII")


def streams(how: str, err: io.TextIOBase) -> tuple:
    """The standard streams as the interpreter makes them."""
    pipe, reader = [os.fdopen(fd, mode) for fd, mode in zip(os.pipe()[::-1], "wr", strict=True)]
    reader.close()
    out = open(os.devnull if how.startswith("2>&-") else "out.txt", "w")
    if ">/dev/full" in how:
        out = open("/dev/full", "w")
    if how == "ASCII":
        out.reconfigure(encoding="ascii"), err.reconfigure(encoding="ascii")
    if "|" in how:
        out = pipe
    return (None if ">&-" in how.replace("2>&-", "") else out,
            None if "2>&-" in how else pipe if "2>&1" in how else err)  # fmt: skip


def typed(command: str, how: str) -> tuple[int, str]:
    """The exit status of a command in a process of its own, and what it says to stderr."""
    if not (child := os.fork()):
        with open("err.txt", "w") as err:
            sys.stdout, sys.stderr = streams(how, err)
            sys.argv = [command, *COMMANDS[command]]
            sys.modules["matplotlib"] = None  # type: ignore[assignment]
            status = 99
            try:
                runpy.run_path(str(ROOT / command), run_name="__main__")
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            except BaseException as error:
                err.write(f"Traceback: {error!r}")
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream and stream.flush()  # as the interpreter does at its end
                except OSError:
                    status = 120
            err.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, Path("err.txt").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_streams_that_are_closed_cut_full_or_poor(train, command):
    """The work is done all the same; no traceback. (`| head` may end one that only prints.)"""
    train("--sft-steps 0 --steps 1 --out out")
    for how in STREAMS:
        if how == ">/dev/full" and command in ("maxrl.py", "plain.py", "data/addition.py"):
            continue  # these print and do nothing else, and say what is wrong as Python does
        status, err = typed(command, how)
        ended = [0, -signal.SIGPIPE] if "head" in how and command != "train.py" else [0]
        assert status in ended and "Traceback" not in err, (how, err)
        if command == "train.py":
            assert read("é") == read("out"), how
            for path in Path("é").iterdir():
                path.unlink()


def test_a_stream_never_fails(capsys):
    """A letter it lacks is escaped; what its file refuses is lost, and everything after that."""
    text = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream = report.Steady(text)
    assert stream.write("é\udcff") == 2 and stream.encoding == "ascii"
    stream.flush()
    assert text.buffer.getvalue() == b"\\xe9\\udcff"
    for error in (OSError(28, "full"), RuntimeError("reentrant call")):

        def refuse(*_, error=error):
            raise error

        text.write = text.flush = refuse  # type: ignore[method-assign, assignment]
        stream.write("lost"), stream.flush()
    before = sys.stdout
    with report.steady_output():
        print("said")
    assert sys.stdout is before and capsys.readouterr().out == "said\n"


@pytest.mark.parametrize(
    "command, words",
    [
        *((train_module.main, [flag, ""]) for flag in
          ("--init", "--out", "--method", "--task", "--k", "--lr", "--order", "--device",
           "--noise")),
        (train_module.main, ["--resume", "--out", ""]),
        *((sample.main, words) for words in ([""], ["out", ""], ["out", "--k", ""])),
        *((compare.main, words) for words in (["out", "--figure", ""], ["out", "--figure", "."])),
    ],
)  # fmt: skip
def test_empty_words_are_refused(train, capsys, command, words):
    if "out" in words:
        train("--sft-steps 0 --steps 0 --out out"), capsys.readouterr()
    before = sorted(Path().rglob("*"))
    assert status_of(command, words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and sorted(Path().rglob("*")) == before


MINE = "def half(r, mean, k):\n    return r - mean / 2\n"


@pytest.mark.parametrize("flags", ["--out=out", "--out=-o", "", "--method=mine.py:half --out=a'b"])
def test_printed_commands_work_as_they_stand(folder, capsys, monkeypatch, flags):
    """The one that goes on and the one that asks, whatever the flags; from another folder too."""
    Path("mine.py").write_text(MINE)
    words = [*TINY, "--sft-steps", "0", *flags.split()]
    assert train_module.main([*words, "--out=whole"]) == 0
    step = train_module.train_step

    def interrupted(*args):
        os.kill(os.getpid(), signal.SIGTERM)
        return step(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "train_step", interrupted)
        assert train_module.main(words) == 130
    python, script, *go_on = shlex.split(capsys.readouterr().err.splitlines()[-1])
    assert Path(python).samefile(sys.executable) and Path(script).samefile(ROOT / "train.py")
    assert train_module.main(go_on) == 0
    said = capsys.readouterr().out
    python, script, *ask = shlex.split(re.search("^ask it: (.*)$", said, re.MULTILINE)[1])
    assert Path(script).samefile(ROOT / "sample.py") and sample.main(ask) == 0
    out = next(path.parent for path in Path().rglob("ckpt.pt") if path.parent.name != "whole")
    assert read("whole") == read(out) and same(weights("whole"), weights(out))


def test_a_command_is_short_where_it_can_be(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.setattr(sys, "executable", str(Path(sys.executable).with_name("python")))
    assert report.command_line("sample.py", Path("runs/a b")) == "python sample.py 'runs/a b'"


def test_without_assertions_and_docstrings(train):
    """python -OO: a run, its samples, a comparison, and a folder that is none, as one process."""
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules["matplotlib"] = None
import train, sample, compare, maxrl, plain, data.addition
assert False, "is not executed"
statuses = [train.main({TINY} + "--method maxrl-loo --sft-steps 0 --steps 1 --out out".split()),
            train.main({TINY} + "--n-head 3 --out b".split()), sample.main(["out", "--k", "2"]),
            compare.main(["out"]), compare.main(["."]), sample.main(["."])]
sys.exit(statuses != [0, 2, 0, 0, 2, 2])
"""
    words = [sys.executable, "-OO", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_importing_is_free():
    """No file of the root does work, or needs an optional extra, when it is imported."""
    code = (
        "import sys; import maxrl, model, verify, train, sample, plain; "
        "sys.exit(bool({'matplotlib', 'pytest', 'hypothesis', 'transformers'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
