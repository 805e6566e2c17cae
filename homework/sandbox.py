"""The grader's side of the process that runs a submission (worker.py): calls out, numbers back.

    sandbox = Sandbox()
    sandbox.load(b"def double(x): return 2 * x")
    sandbox.calls([Call("double", [4])])           # [Reply(8, ...)]

A process that crashes, ends itself, loops or floods costs its function all its points; the next
function gets a new process. As root the process belongs to another user; otherwise bubblewrap shows
it Python's own files and nothing else. Where neither works it can do what you can, so it starts
only if you trust it. Left out: what the numbers should be (checks.py).
"""

import builtins
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import worker
from worker import ASK, CPU_SECONDS, NO_FUNCTION, NO_NUMBERS

__all__ = ["ASK", "Call", "Failed", "InProcess", "NotConfined", "Reply", "Sandbox", "Tensor"]

WALL_SECONDS = 60.0  # for one test: on a busy machine its CPU seconds take long
MOST_LOST = 4  # processes: then nothing of the submission is run any more
MOST_ANSWER = 2 << 20  # bytes in one reply
MOST_TEXT = 500  # characters of a message to a student
WORKER = Path(__file__).resolve().parent / "worker.py"


class Failed(Exception):
    """The submission's own fault, in a sentence for the student."""


class NotConfined(Exception):
    """Student code would run here with all the rights of the grader."""


@dataclass
class Tensor:
    """A tensor in plain numbers: nested lists, and the name of a dtype."""

    values: Any
    dtype: str = "float32"


@dataclass
class Call:
    """One call of a student's function. `grad`: which arguments are differentiated."""

    function: str
    args: list[Any]
    grad: tuple[int, ...] = ()


@dataclass
class Reply:
    """What a call came to: a value and the gradients asked for, or an error in one line."""

    value: Any = None
    grads: list[Any] = field(default_factory=list)
    error: str = ""


class Lost(Exception):
    """The process gives no more answers; the text says why."""


# ------------------------------------------------------------------------------ how it is confined


def python_only(words: list[str]) -> list[str]:
    """The command in bubblewrap: without a network, alone, and with Python's files only."""
    places = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", str(WORKER)]
    places += [sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)]
    shown = [word for place in places for word in ("--ro-bind-try", place, place)]
    alone = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    return ["bwrap", *shown, "--proc", "/proc", "--dev", "/dev", *alone, "--chdir", "/", *words]


def confined(trust: bool) -> list[str]:
    """The command of the worker, by the first way that works here. NotConfined if none does."""
    words = [sys.executable, "-I", "-B", "-W", "ignore", str(WORKER)]
    if os.getuid() == 0:
        return [*words, "user"]
    if shutil.which("bwrap"):
        tried = subprocess.run(python_only([sys.executable, "-c", ""]), capture_output=True)
        if tried.returncode == 0:
            return [*python_only(words), "none"]
    if not trust:
        raise NotConfined("student code cannot be confined here: you are not root, and bubblewrap "
                          "(bwrap) is not installed or may not run")  # fmt: skip
    return [*words, "none"]


# ----------------------------------------------------------------------------------- conversation


class Sandbox:
    """One submission after the other. NotConfined where student code needs `trust`."""

    def __init__(self, trust: bool = False) -> None:
        self.command = confined(trust)
        self.process: subprocess.Popen | None = None
        self.load(b"")

    def load(self, source: bytes, problem: str = "") -> None:
        """From now on all calls go into this solution.py; with a problem, none does."""
        self.stop()
        self.source = source
        self.lost = 0
        self.given_up: dict[str, str] = {"": problem} if problem else {}  # functions, and why

    def calls(
        self, calls: list[Call], answer: Callable[..., Any] | None = None
    ) -> list[Reply]:
        """All of these calls, one after the other. Failed if there are not all the replies.

        answer: what is asked back while a call runs; a student's function gets it as a function
        where an argument is `ASK`.
        """
        name = calls[0].function
        if why := self.given_up.get("") or self.given_up.get(name):
            raise Failed(why)
        try:
            replies = self.conversation(calls, answer)
        except Lost as lost:
            self.stop()
            self.lost += 1
            self.given_up[name] = f"{name} {lost}; its other tests are not run"
            if self.lost >= MOST_LOST:
                self.given_up[""] = f"not run: {MOST_LOST} functions have ended their process"
            raise Failed(self.given_up[name]) from None
        except BaseException:
            self.stop()  # the next conversation begins with a new process
            raise
        if replies[0].error == NO_FUNCTION:
            raise Failed(f"{NO_FUNCTION} {name}")
        return replies

    def conversation(self, calls: list[Call], answer: Callable[..., Any] | None) -> list[Reply]:
        """The replies, of one test. Which calls are still to come is nowhere in that process."""
        if self.process is None:
            self.start()
        began, self.deadline = time.process_time(), time.monotonic() + WALL_SECONDS
        replies = []
        for i, call in enumerate(calls):
            args = [packed(a) for a in call.args]
            self.send({"name": call.function, "args": args, "grad": call.grad, "first": i == 0})
            while "ask" in (message := self.receive()):
                if time.process_time() - began > 2 * CPU_SECONDS:  # of the grader's, to answer
                    raise Lost(f"did not come back within {CPU_SECONDS} seconds")
                self.send(asked(message["ask"], answer))
            replies.append(reply(message))
        return replies

    def start(self) -> None:
        """Start the process and run solution.py in it, a few seconds."""
        self.end, theirs = socket.socketpair()
        environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            self.command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
        )
        theirs.close()
        self.rest, self.deadline = b"", time.monotonic() + 120
        try:
            ready = self.receive()
        except Lost:
            ready = {}
        if ready.keys() != {"ready"}:
            raise RuntimeError("the process for student code does not start: is torch installed?")
        self.deadline = time.monotonic() + WALL_SECONDS
        try:
            self.send({"source": self.source.decode("utf-8", "replace")})
            message = self.receive()
            if "error" in message:
                raise Lost(f"does not load: {raised(message['error'])}")
        except Lost as lost:
            self.given_up[""] = f"solution.py {lost}"
            self.stop()
            raise Failed(self.given_up[""]) from None

    def send(self, message: Any) -> None:
        """One line."""
        try:
            self.end.settimeout(max(self.deadline - time.monotonic(), 0.01))
            self.end.sendall(json.dumps(message).encode() + b"\n")
        except OSError:  # a reply to come will say why
            pass

    def receive(self) -> dict:
        """One line of JSON. Lost if there is none."""
        while b"\n" not in self.rest:
            try:
                self.end.settimeout(max(self.deadline - time.monotonic(), 0.01))
                part = self.end.recv(1 << 16)
            except TimeoutError:
                raise Lost(f"did not come back within {WALL_SECONDS:g} seconds") from None
            except OSError:
                part = b""
            self.rest += part
            if not part:
                raise Lost(self.ended())
            if len(self.rest) > MOST_ANSWER:
                raise Lost("hands back far more than was asked for")
        line, _, self.rest = self.rest.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise Lost("hands back what is not an answer")
        return message

    def ended(self) -> str:
        """How a process came to its end, which says why."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.returncode or 0
        number = -code if code < 0 else code - 128  # bubblewrap adds 128
        if number in (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL):
            return f"did not come back within {CPU_SECONDS} seconds"
        return "crashed its process" if number > 0 else "ended its process without an answer"

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.end.close()
            self.process.kill()
            self.process.wait()
            self.process = None


class InProcess(Sandbox):
    """The same in this process, for our own submissions: no limits, nothing is confined."""

    def __init__(self) -> None:
        self.process = None
        self.load(b"")

    def load(self, source: bytes, problem: str = "") -> None:
        super().load(source, problem)
        self.module = worker.loaded(source.decode())

    def conversation(self, calls: list[Call], answer: Callable[..., Any] | None) -> list[Reply]:
        def ask(*args: Any) -> Any:
            told = asked([worker.plain(a) for a in args], answer)
            if "error" in told:
                raise ValueError(told["error"])
            return worker.argument(told["value"], False, ask)

        def one(call: Call) -> Reply:
            args = [packed(a) for a in call.args]
            return reply(worker.answered(self.module, call.function, args, [*call.grad], ask))

        return [one(call) for call in calls]


# ------------------------------------------------------------------------------- in and out of JSON


def asked(args: Any, answer: Callable[..., Any] | None) -> dict:
    """The reply to what a student's function asked back."""
    try:
        assert answer is not None
        return {"value": packed(answer(*map(unpacked, args)))}
    except Exception as error:  # a question that makes no sense is the student's mistake
        return {"error": f"{type(error).__name__}: {error}"[:MOST_TEXT]}


def reply(message: dict) -> Reply:
    """A reply out of a message, whatever is in it."""
    if "error" in message:
        return Reply(error=raised(message["error"]))
    grads = message.get("grads")
    grads = [unpacked(g) for g in grads] if isinstance(grads, list) else []
    return Reply(unpacked(message.get("value")), grads)


def raised(error: Any) -> str:
    """The type of an exception and its line. Not its text: that could be what was asked."""
    kind, line = error if isinstance(error, list) and len(error) == 2 else ("", 0)
    if kind in (NO_FUNCTION, NO_NUMBERS):
        return kind
    known = isinstance(kind, str) and isinstance(getattr(builtins, kind, None), type)
    where = f" (line {line} of solution.py)" if type(line) is int and 0 < line < 10**5 else ""
    return f"{kind if known else 'an exception'}{where}"


def packed(value: Any) -> Any:
    """An argument as JSON."""
    return {"t": value.values, "d": value.dtype} if isinstance(value, Tensor) else value


def unpacked(value: Any) -> Any:
    """And back."""
    if isinstance(value, dict) and value.keys() == {"t", "d"}:
        return Tensor(value["t"], str(value["d"]))
    return value
