"""A submission's code in a process of its own: calls go in, numbers and tensors come out.

    sandbox = Sandbox()
    sandbox.load(b"def double(x): return 2 * x")
    sandbox.calls([Call("double", [4])])           # [{"value": 8}]

The process (this file, run as a script) imports torch, gives up all that student code does not
need, runs the text of solution.py, and answers one call after the other in lines of JSON. It never
sees an expected value. If it crashes, ends itself, loops or floods, that function has no points,
and the next one gets a new process. Left out: what the numbers should be (checks.py).
"""

import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

CPU_SECONDS, ALL_CPU_SECONDS = 2, 14  # for one call, for all calls of a process
MEMORY, MOST_ANSWER = 300 << 20, 2 << 20  # bytes: besides what torch takes (Linux), in one reply
NOBODY = 65534  # the user who owns nothing
# Imported before the process becomes another user, who may not be allowed to read these files.
USUAL = "csv dataclasses decimal doctest fractions inspect numpy.linalg numpy.random secrets"
USUAL += " statistics torch.func torch.testing unittest"
ASK = {"ask": True}  # stands for an argument that is a function: calling it asks the grader
Answer = Callable[..., Any]  # what is asked back while a call runs


class Failed(Exception):
    """The submission's own fault, in a sentence for the student."""


class Call(NamedTuple):
    """One call of a student's function; without a name, the text of solution.py to run."""

    function: str
    args: list[Any]
    grad: tuple[int, ...] = ()  # which arguments are differentiated


def plain(value: Any) -> Any:
    """As JSON. TypeError for anything but numbers, texts, tensors and ASK."""
    if isinstance(value, torch.Tensor):
        return {"t": value.detach().tolist(), "d": str(value.dtype).removeprefix("torch.")}
    if hasattr(value, "item"):  # numpy's numbers
        value = value.item()
    if value is None or type(value) in (bool, int, float, str) or value is ASK:
        return value
    if type(value) in (list, tuple):
        return [plain(v) for v in value]
    raise TypeError(type(value).__name__)


def restored(value: Any) -> Any:
    """What `plain` was given, tensors as tensors. Rubbish may raise any exception."""
    if isinstance(value, dict) and value != ASK:
        return torch.tensor(value["t"], dtype=getattr(torch, value["d"]))
    return [restored(v) for v in value] if isinstance(value, list) else value


# ----------------------------------------------------------------------------- the grader's side


def command(trust: bool) -> list[str]:
    """What starts the process. As root it belongs to another user; otherwise bubblewrap shows it
    Python's own files only; otherwise it can do what you can, and you must trust it."""
    words = [sys.executable, "-I", "-B", "-W", "ignore", __file__]
    if os.getuid() == 0:
        return words  # see confine()
    places = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", __file__, sys.prefix]
    places += [sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)]
    box = ["bwrap", *(word for place in places for word in ("--ro-bind-try", place, place))]
    box += "--proc /proc --dev /dev --unshare-all --die-with-parent --new-session".split()
    nothing = [*box, sys.executable, "-c", ""]
    if shutil.which("bwrap") and not subprocess.run(nothing, capture_output=True).returncode:
        return [*box, *words]
    if not trust:
        raise PermissionError("student code is not confined here, without root or bubblewrap")
    return words


class Sandbox:
    """One submission after the other."""

    wall_seconds = 20.0  # for one reply: on a busy machine its CPU seconds take long

    def __init__(self, trust: bool = False) -> None:
        self.command = command(trust)
        self.process: subprocess.Popen | None = None
        self.load(b"")

    def load(self, source: bytes, problem: str = "") -> None:
        """From now on all calls go into this solution.py; with a problem, none does."""
        self.stop()
        self.source = source.decode("utf-8-sig", "replace")  # a BOM is no code
        self.given_up = {"solution.py": problem} if problem else {}  # or functions; and why

    def calls(self, calls: list[Call], answer: Answer | None = None) -> list[dict[str, Any]]:
        """Calls of one function, which gets `answer` where an argument is `ASK`. Each reply has a
        "value" and, if asked for, "grads", or else an "error". Failed if a reply is missing."""
        name, at_fault = calls[0].function, "solution.py"
        if why := self.given_up.get("solution.py") or self.given_up.get(name):
            raise Failed(why)
        try:
            if self.process is None:
                self.start()
                if error := self.reply(Call("", [self.source]), None).get("error"):
                    raise Failed(f"{error} when it was loaded")
            at_fault = name
            return [self.reply(call, answer) for call in calls]
        except Failed as lost:
            self.stop()
            self.given_up[at_fault] = why = f"{at_fault} {lost}; it is not run again"
            if len(self.given_up) == 4:
                self.given_up["solution.py"] = "nothing else is run after so many lost processes"
            raise Failed(why) from None

    def reply(self, call: Call, answer: Answer | None) -> dict[str, Any]:
        """The process's reply to a call. It never knows which calls are still to come."""
        reply = self.told([call.function, plain(call.args), call.grad])
        while "ask" in reply:
            try:
                said = {"value": plain(answer(*reply["ask"]))}  # type: ignore[misc]
            except Exception as error:  # a question that makes no sense is the student's mistake
                said = {"error": f"{type(error).__name__}: {error}"[:500]}
            reply = self.told(said)
        return reply

    def start(self) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(self.command, env=environment, stderr=subprocess.DEVNULL,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        assert self.process.stdout
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError("student code cannot be run: is torch installed?")

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(OSError), self.process:  # what was sent may not arrive
                self.process.kill()
            self.process = None

    def told(self, message: Any) -> dict[str, Any]:
        """The process's reply to a message, each a line of JSON. Failed if there is none."""
        process, line = self.process, b""
        assert process and process.stdin and process.stdout
        watchdog = threading.Timer(self.wall_seconds, process.kill)
        watchdog.start()
        try:
            with contextlib.suppress(OSError):  # if it has ended; the missing line says why
                process.stdin.write(json.dumps(message).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline(MOST_ANSWER)
            if line.endswith(b"\n") or len(line) == MOST_ANSWER:
                return readable(json.loads(line))
            code = process.wait()
        except Exception:  # a process can be made to send anything
            raise Failed("hands back something that is not an answer") from None
        finally:
            watchdog.cancel()
        number = -code if code < 0 else code - 128  # bubblewrap adds 128
        if number in (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL):
            most = f"{CPU_SECONDS} s of CPU ({ALL_CPU_SECONDS} s for all functions)"
            raise Failed(f"did not come back within {most} or {self.wall_seconds:g} s by the clock")
        raise Failed("crashed its process" if number > 0 else "ended its process without an answer")


class InProcess(Sandbox):
    """The same in this process, for our own submissions: no limits, nothing is confined."""

    def __init__(self) -> None:
        self.process = None

    def start(self) -> None: ...

    def reply(self, call: Call, answer: Answer | None) -> dict[str, Any]:
        return readable(answered(*call, answer))


def readable(reply: Any) -> dict[str, Any]:
    """A reply with its tensors and one line of error. Rubbish may raise any exception."""
    return {key: str(x)[:100] if key == "error" else restored(x) for key, x in reply.items()}


# ---------------------------------------------------------------------------- the student's side


def confine() -> None:
    """Give up everything that student code does not need, before any of it runs."""
    os.chdir("/")
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    seconds = int(time.process_time()) + 1 + ALL_CPU_SECONDS
    limits = {"CPU": seconds, "FSIZE": 0, "CORE": 0, "NOFILE": 64, "NPROC": 0}
    if (memory := Path("/proc/self/statm")).exists():
        pages = int(memory.read_text().split()[0])
        limits["AS"] = pages * resource.getpagesize() + MEMORY
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def answered(name: str, args: list, grad: Any, ask: Answer | None) -> dict[str, Any]:
    """One call: its value and gradients, or its error, as JSON."""
    try:
        if not name:
            module = sys.modules["solution"] = types.ModuleType("solution")
            exec(compile(args[0], "solution.py", "exec"), module.__dict__)
            return {}
        if not callable(function := getattr(sys.modules["solution"], name, None)):
            return {"error": "is not in solution.py"}
        given: list[Any] = [ask if isinstance(a, dict) else a for a in args]
        for i in grad:
            given[i] = given[i].detach().clone().requires_grad_()
        # x * 1 is no leaf of the graph: a function cannot write a gradient into it by hand
        value = function(*(x * 1 if i in grad else x for i, x in enumerate(given)))
        try:
            message = {"value": plain(value)}
        except TypeError:
            return {"error": "returned something not made of numbers"}
        if grad:
            value.sum().backward()
            message["grads"] = [plain(given[i].grad) for i in grad]
        return message
    except BaseException as error:
        return {"error": f"raised {described(error)}"}


def described(error: BaseException) -> str:
    """Its type, and the last line of solution.py that it came through. Its text is left out: it
    could repeat what was asked."""
    lines = [getattr(error, "lineno", 0)]  # a SyntaxError has its own
    lines += [step.lineno for step in traceback.extract_tb(error.__traceback__)
              if step.filename == "solution.py"]  # fmt: skip
    return type(error).__name__ + (f" (line {lines[-1]} of solution.py)" if lines[-1] else "")


def main() -> None:
    """Answer one line after the other until the grader closes the connection."""
    heard, said = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # whatever student code prints is gone
        os.dup2(nowhere, standard)

    def say(message: Any) -> None:
        print(json.dumps(message), file=said, flush=True)

    def ask(*args: Any) -> Any:
        say({"ask": plain([*args])})
        reply = json.loads(heard.readline())
        if "error" in reply:
            raise ValueError(reply["error"])
        return restored(reply["value"])

    for name in USUAL.split():
        importlib.import_module(name)
    torch.set_num_threads(1)
    torch.zeros(1, requires_grad=True).sum().backward()  # now all its parts are loaded
    confine()
    print("ready", file=said, flush=True)
    for name, args, grad in map(json.loads, heard):
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # it kills when it runs out
        say(answered(name, restored(args), grad, ask))


if __name__ == "__main__":
    main()
