"""A submission's code in a process of its own, which hands back plain numbers and nothing else.

A server imports torch once and forks for each session: a fresh process that reads solution.py,
without the right to fork, write files, or use much memory or time. Where the grader is root it is
another user's, and sees no file but solution.py. It is told which functions to call with which
numbers, and answers in JSON, one line each way. It never sees an expected value, and whatever it
does to itself, it can only hand back numbers.

    with Sandbox() as sandbox:
        sandbox.load(b"def double(x): return 2 * x")
        sandbox.calls([Call("double", [4])])           # [Reply(8, ...)]

Left out: what the numbers should be (checks.py). The network is not closed. Memory is limited on
Linux only. Run as a script this file is the server; it imports nothing of the project.
"""

import contextlib
import gc
import importlib.util
import io
import json
import os
import pkgutil
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CPU_SECONDS = 2  # of one session
WALL_SECONDS = 20.0  # of the same, where others share the machine
ALL_CPU_SECONDS = 14.0  # of all sessions of a submission, with what the grader spends on replies
ALL_WALL_SECONDS = 360.0  # of the same
MEMORY = 160 << 20  # bytes a session may ask for besides what torch has
MOST_ANSWER = 2 << 20  # bytes
MOST_TEXT = 500  # characters of anything that is said to a student


class Failed(Exception):
    """The submission's own fault, in a sentence for the student."""


@dataclass
class Call:
    """One call of a student's function. `grad`: which arguments are differentiated."""

    function: str
    args: list[Any]
    grad: tuple[int, ...] = ()


@dataclass
class Tensor:
    """A tensor in plain numbers: nested lists, and the name of a dtype."""

    values: Any
    dtype: str = "float32"


@dataclass
class Reply:
    """What a call came to: a value and the gradients asked for, or an error in one line."""

    value: Any = None
    grads: list[Any] = field(default_factory=list)
    error: str = ""


# ------------------------------------------------------------------------------- the grader's side


class Sandbox:
    """The grader's end of the server. `load` a submission, then `calls` into it."""

    def __init__(self) -> None:
        self.server: subprocess.Popen | None = None
        self.folder = tempfile.TemporaryDirectory(prefix="homework-")
        os.chmod(self.folder.name, 0o755)
        self.solution = Path(self.folder.name) / "solution.py"
        self.asked: set[str] = set()  # functions that were called, for who wants to know
        self.load(b"")

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.folder.cleanup()

    def stop(self) -> None:
        """End the server."""
        if self.server is not None:
            self.control.close()
            self.server.kill()
            self.server.wait()
            self.server = None

    def start(self) -> None:
        """Start the server; a few seconds."""
        self.control, theirs = socket.socketpair()
        words = [sys.executable, "-I", "-B", "-W", "ignore", __file__, str(theirs.fileno())]
        environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            words, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
        )
        theirs.close()
        self.control.settimeout(120)
        if self.control.recv(1) != b"R":
            self.stop()
            raise RuntimeError("the server for student code does not start: is torch installed?")
        self.solution.write_bytes(b"def probe(): return 1")
        message, _ = self.conversation([Call("probe", [])], None, time.monotonic() + WALL_SECONDS)
        self.end_session()
        if message.get("replies") != [{"value": 1}]:
            self.stop()
            raise RuntimeError(f"student code cannot be confined here: {message}")

    def load(self, source: bytes, problem: str = "") -> None:
        """From now on sessions are about this solution.py; with a problem there are none."""
        self.source = source
        self.spent = self.waited = 0.0  # seconds
        self.given_up: dict[str, str] = {"": problem} if problem else {}  # functions, and why

    def calls(self, calls: list[Call], answer: Callable[..., Any] | None = None) -> list[Reply]:
        """One session: all of these calls in a fresh process. Failed says what went wrong.

        answer: what is asked back while a call runs; a student's function gets it as a function
        where an argument is `ASK`.
        """
        name = calls[0].function
        self.asked.add(name)
        if name in self.given_up or "" in self.given_up:
            raise Failed(self.given_up.get(name) or self.given_up[""])
        if self.spent > ALL_CPU_SECONDS:
            raise Failed(f"not run: solution.py has used {ALL_CPU_SECONDS:g} seconds already")
        if self.waited > ALL_WALL_SECONDS:
            raise Failed(f"not run: solution.py has taken {ALL_WALL_SECONDS:g} seconds already")
        return self.session(self.source, calls, answer)

    def aside(self, source: bytes, call: Call) -> Reply:
        """One call into code of the grader's own, confined because of what it is given to read."""
        return self.session(source, [call], None)[0]

    def session(
        self, source: bytes, calls: list[Call], answer: Callable[..., Any] | None
    ) -> list[Reply]:
        """Fork, ask, listen, kill, and say what came of it."""
        began, busy = time.monotonic(), time.process_time()
        if self.server is None:
            self.start()
        self.solution.write_bytes(source)
        os.chmod(self.solution, 0o644)
        try:
            message, spoke = self.conversation(calls, answer, time.monotonic() + WALL_SECONDS)
            status, cpu = self.end_session()
        except OSError:
            self.stop()
            raise Failed("solution.py ended the process that runs it") from None
        finally:
            self.waited += time.monotonic() - began
            self.spent += time.process_time() - busy
        self.spent += cpu
        if isinstance(replies := message.get("replies"), list) and len(replies) == len(calls):
            return [reply(r) for r in replies]
        raise Failed(self.verdict(message, status, calls[0].function, spoke)[:MOST_TEXT])

    def conversation(
        self, calls: list[Call], answer: Callable[..., Any] | None, deadline: float
    ) -> tuple[dict, bool]:
        """The last message of a fresh process, and whether it said anything at all."""
        mine, theirs = socket.socketpair()
        with theirs:
            path = str(self.solution).encode()
            socket.send_fds(self.control, [path + b"\n"], [theirs.fileno()])
        line = b""
        with mine:
            try:
                lines = Lines(mine, deadline)
                lines.send({"calls": [[c.function, [*map(packed, c.args)], c.grad] for c in calls]})
                busy = time.process_time() + CPU_SECONDS
                while "ask" in (message := as_dict(line := lines.next())):
                    if time.process_time() > busy:
                        raise TimeoutError
                    lines.send(asked(message["ask"], answer))
            except TimeoutError:
                return {"slow": True}, bool(line)
            except OSError:  # it is gone: how it ended says why
                return {}, bool(line)
            except Failed as error:
                return {"failed": str(error)}, bool(line)
        return message, bool(line)

    def end_session(self) -> tuple[int, float]:
        """Kill whatever is left of it; how it ended, and the seconds of CPU it took."""
        self.control.sendall(b"K\n")
        told = b""
        while not told.endswith(b"\n"):
            part = self.control.recv(100)
            if not part:
                raise ConnectionError
            told += part
        status, cpu = told.split()
        return int(status), float(cpu)

    def verdict(self, message: dict, status: int, name: str, spoke: bool) -> str:
        """Why there are no answers, for the student."""
        ended = -os.waitstatus_to_exitcode(status)
        if message.get("slow") or ended == signal.SIGXCPU:
            self.given_up[name] = (
                f"{name} did not come back within {CPU_SECONDS} seconds; "
                "its other tests are not run"
            )
            return self.given_up[name]
        if isinstance(told := message.get("failed"), str) and told:
            if message.get("loading"):
                self.given_up[""] = told[:MOST_TEXT]
            return told
        if ended == signal.SIGSEGV or ended == signal.SIGABRT:
            return f"{name} crashed the process it runs in"
        if spoke:
            return f"what {name} handed back is not what was asked for"
        return f"{name} ended the process it runs in before it gave an answer"


class Lines:
    """JSON lines on a socket, until a deadline."""

    def __init__(self, end: socket.socket, deadline: float):
        self.end, self.deadline, self.rest = end, deadline, b""

    def wait(self) -> None:
        """What is left of the time; TimeoutError if nothing."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.end.settimeout(left)

    def send(self, message: Any) -> None:
        """One line."""
        self.wait()
        self.end.sendall(json.dumps(message).encode() + b"\n")

    def next(self) -> bytes:
        """One line; b"" if the other side is gone."""
        parts, size = [self.rest], len(self.rest)
        while b"\n" not in parts[-1]:
            self.wait()
            parts.append(self.end.recv(1 << 16))
            size += len(parts[-1])
            if not parts[-1]:
                return b""
            if size > MOST_ANSWER:
                raise Failed("the answer is far larger than it could be")
        line, _, self.rest = b"".join(parts).partition(b"\n")
        return line


def as_dict(line: bytes) -> dict:
    """The message that a line is, {} if it is none: student code may write what it likes."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def asked(args: Any, answer: Callable[..., Any] | None) -> dict:
    """The reply to a question that a student's function asked back."""
    try:
        assert answer is not None
        return {"value": packed(answer(*map(unpacked, args)))}
    except Exception as error:  # a question that makes no sense is the student's mistake
        return {"error": f"{type(error).__name__}: {error}"[:MOST_TEXT]}


def reply(message: Any) -> Reply:
    """A reply out of a line, whatever was in it."""
    if not isinstance(message, dict):
        return Reply(error="gave no answer")
    error = message.get("error", "")
    grads = message.get("grads")
    grads = [unpacked(g) for g in grads] if isinstance(grads, list) else []
    return Reply(unpacked(message.get("value")), grads, str(error)[:MOST_TEXT])


def packed(value: Any) -> Any:
    """An argument as JSON."""
    return {"t": value.values, "d": value.dtype} if isinstance(value, Tensor) else value


def unpacked(value: Any) -> Any:
    """And back."""
    if isinstance(value, dict) and value.keys() == {"t", "d"}:
        return Tensor(value["t"], str(value["d"]))
    return value


ASK = {"ask": True}  # an argument that the student's function gets as a function

# ------------------------------------------------------------------------------ the server's side

NOT_PRELOADED = "antigravity idlelib lib2to3 test this tkinter turtle turtledemo venv".split()
FURTHER = (
    "torch torch.distributions torch.testing numpy numpy.fft numpy.linalg numpy.ma "
    "numpy.polynomial numpy.random numpy.testing _strptime collections.abc concurrent.futures "
    "importlib.metadata importlib.resources multiprocessing.pool unittest.mock "
    "xml.etree.ElementTree"
).split()


def preload() -> None:
    """Import what a student may, for their process has no files to import it from."""
    import encodings

    standard = [n for n in sys.stdlib_module_names if n[0] != "_" and n not in NOT_PRELOADED]
    codecs = [f"encodings.{module.name}" for module in pkgutil.iter_modules(encodings.__path__)]
    for name in (*standard, *codecs, *FURTHER):
        with contextlib.suppress(Exception):  # some are for other systems
            importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    torch.broadcast_shapes((1,), (1,))  # these three import far more than they look
    repr(torch.zeros(1))
    content = io.BytesIO()
    torch.save({"weight": torch.zeros(1)}, content)
    torch.load(io.BytesIO(content.getvalue()), weights_only=True)


def serve(control: socket.socket) -> None:
    """One session after another: fork when a socket comes, kill when told to."""
    preload()
    gc.freeze()  # so that a fork's collections do not copy what is shared
    control.sendall(b"R")
    while True:
        path, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not path:
            return
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                session(socket.socket(fileno=descriptors[0]), path.decode().strip())
            os._exit(0)
        os.close(descriptors[0])
        if not control.recv(2):
            os.killpg(child, signal.SIGKILL)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGKILL)
            os.killpg(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        control.sendall(f"{status} {usage.ru_utime + usage.ru_stime:.3f}\n".encode())


def confine(folder: str, end: int) -> None:
    """Give up what a student's code does not need, before any of it runs. `end` stays open."""
    os.setsid()
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.closerange(3, end)
    os.closerange(end + 1, 1024)
    limits = {"CPU": CPU_SECONDS, "FSIZE": 0, "CORE": 0, "NOFILE": 32, "NPROC": 0}
    if Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits["AS"] = pages * resource.getpagesize() + MEMORY
    if os.getuid() == 0:
        os.chroot(".")  # the folder has become all there is
        nobody = 20_000 + os.getppid() % 40_000  # not that of another server: it could kill there
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)  # limits on processes do not hold for root
    for name, most in limits.items():
        hard = most + 1 if name == "CPU" else most  # first a signal that says which limit it was
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, hard))


def session(end: socket.socket, path: str) -> None:
    """In the child: read solution.py, call what is to be called, write the answers."""
    stream = end.makefile("rwb")
    request = json.loads(stream.readline())

    def say(message: Any) -> None:
        stream.write(json.dumps(message).encode() + b"\n")
        stream.flush()

    def ask(*args: Any) -> Any:
        say({"ask": [plain(a) for a in args]})
        told = json.loads(stream.readline())
        if "error" in told:
            raise ValueError(told["error"])
        return argument(told["value"], False, ask)

    try:
        confine(os.path.dirname(path), end.fileno())
    except OSError as error:  # the grader's mistake, which `start` finds out
        say({"failed": f"{type(error).__name__}: {error}"})
        return
    try:
        module = load_solution(os.path.basename(path))
    except BaseException as error:
        say({"failed": f"solution.py does not load: {in_a_line(error)}", "loading": True})
        return
    replies = [answered(module, call[0], call[1], call[2], ask) for call in request["calls"]]
    try:
        say({"replies": replies})
    except ValueError:  # what was handed back is no JSON
        say({"replies": [{"error": "returned what is not made of numbers"} for _ in replies]})


def load_solution(path: str) -> Any:
    """The module."""
    spec = importlib.util.spec_from_file_location("solution", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["solution"] = module
    spec.loader.exec_module(module)
    return module


def answered(module: Any, name: str, args: list, grad: list[int], ask: Callable) -> dict:
    """One call: its value and gradients, or its error."""
    function = getattr(module, name, None)
    if not callable(function):
        return {"error": f"solution.py has no function {name}", "missing": True}
    try:
        given = [argument(a, i in grad, ask) for i, a in enumerate(args)]
        value = function(*given)
        message = {"value": plain(value)}
        if grad:
            value.sum().backward()
            message["grads"] = [
                None if given[i].grad is None else plain(given[i].grad) for i in grad
            ]
        return message
    except BaseException as error:
        return {"error": f"{in_a_line(error)}"}


def argument(value: Any, grad: bool, ask: Callable) -> Any:
    """What a function is given: a tensor, a plain value, or the function that asks back."""
    import torch

    if value == ASK:
        return ask
    if isinstance(value, dict):
        return torch.tensor(value["t"], dtype=getattr(torch, value["d"]), requires_grad=grad)
    return value


def plain(value: Any) -> Any:
    """What a function returned, as JSON. TypeError for anything but numbers, texts and tensors."""
    import torch

    if isinstance(value, torch.Tensor):
        return {"t": value.detach().tolist(), "d": str(value.dtype).removeprefix("torch.")}
    if hasattr(value, "item"):  # numpy's numbers
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return [plain(v) for v in value]
    raise TypeError(f"it returned a {type(value).__name__}")


def in_a_line(error: BaseException) -> str:
    """What happened, as the last line of a traceback says it, and where in solution.py."""
    text, where, step = (
        " ".join(f"{type(error).__name__}: {error}".split()),
        "",
        error.__traceback__,
    )
    while step is not None:
        if step.tb_frame.f_code.co_filename.endswith("solution.py"):
            where = f" (line {step.tb_lineno} of solution.py)"
        step = step.tb_next
    return text[:300] + where


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
