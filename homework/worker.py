"""The process in which a submission runs: it is told calls as JSON lines, and answers in JSON.

    python worker.py user|none

It imports torch, gives up what student code does not need (`user`: it becomes another user; both:
files, processes, memory and time are limited), runs the text of solution.py, and makes one call
after the other. It never sees an expected value, and hands back plain numbers and, of an exception,
its type and line. Left out: what is asked, and why an answer does not come (sandbox.py).
"""

import builtins
import contextlib
import importlib
import json
import os
import resource
import signal
import socket
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

CPU_SECONDS = 2  # for one test
ALL_CPU_SECONDS = 14  # for all tests together
MEMORY = 300 << 20  # bytes, besides what torch takes; on Linux only
NOBODY = 65534  # the user who owns nothing
NO_FUNCTION, NO_NUMBERS = "solution.py has no function", "returned what is not made of numbers"
ASK = {"ask": True}  # stands for an argument that is a function: calling it asks the grader
# Imported before the process becomes another user, who may not be allowed to read these files.
USUAL = (
    "cmath collections copy dataclasses decimal enum fractions functools heapq inspect itertools "
    "math operator random re statistics string time traceback typing unicodedata numpy.linalg "
    "torch.distributions torch.func torch.nn.functional torch.testing"
).split()


def confine(user: str) -> None:
    """Give up everything that student code does not need, before any of it runs."""
    os.chdir("/")
    if user == "user":
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + ALL_CPU_SECONDS
    limits = {"CPU": seconds, "FSIZE": 0, "CORE": 0, "NOFILE": 64, "NPROC": 0}
    if Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits["AS"] = pages * resource.getpagesize() + MEMORY
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def loaded(source: str) -> types.ModuleType:
    """The module that this text is."""
    module = sys.modules["solution"] = types.ModuleType("solution")
    module.__file__ = "solution.py"
    exec(compile(source, "solution.py", "exec"), module.__dict__)
    return module


def answered(module: Any, name: str, args: list, grad: list[int], ask: Callable) -> dict:
    """One call: its value and gradients, or its error."""
    function = getattr(module, name, None)
    if not callable(function):
        return {"error": [NO_FUNCTION, 0]}
    try:
        given = [argument(a, i in grad, ask) for i, a in enumerate(args)]
        # x * 1 is no leaf of the graph: a function cannot write a gradient into it by hand
        value = function(*(x * 1 if i in grad else x for i, x in enumerate(given)))
        try:
            message = {"value": plain(value)}
        except TypeError:
            return {"error": [NO_NUMBERS, 0]}
        if grad:
            value.sum().backward()
            grads = [given[i].grad for i in grad]
            message["grads"] = [None if g is None else plain(g) for g in grads]
        return message
    except BaseException as error:
        return {"error": described(error)}


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
    raise TypeError(type(value).__name__)


def described(error: BaseException) -> list:
    """The nearest of Python's own types, and the last line of solution.py that it came through."""
    kinds = (kind.__name__ for kind in type(error).__mro__)
    line, step = getattr(error, "lineno", 0), error.__traceback__  # a SyntaxError has its own
    while step is not None:
        if step.tb_frame.f_code.co_filename == "solution.py":
            line = step.tb_lineno
        step = step.tb_next
    return [next(kind for kind in kinds if hasattr(builtins, kind)), line]


def main() -> None:
    """Answer one line after the other until the grader closes the connection."""
    stream = socket.socket(fileno=os.dup(0)).makefile("rw", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # whatever student code prints is gone
        os.dup2(nowhere, standard)

    def say(message: Any) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    def ask(*args: Any) -> Any:
        say({"ask": [plain(a) for a in args]})
        told = json.loads(stream.readline())
        if "error" in told:
            raise ValueError(told["error"])
        return argument(told["value"], False, ask)

    for name in USUAL:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    torch.zeros(1, requires_grad=True).sum().backward()  # now its parts are all there
    confine(sys.argv[1])
    say({"ready": True})
    module: Any = None
    for line in stream:
        told = json.loads(line)
        if told.get("first", True):  # of a test: the clock starts again
            signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        if "source" in told:
            try:
                module = loaded(told["source"])
                say({"value": True})
            except BaseException as error:
                say({"error": described(error)})
            continue
        try:
            say(answered(module, told["name"], told["args"], told["grad"], ask))
        except ValueError:  # a text that is no text, for one
            say({"error": [NO_NUMBERS, 0]})


if __name__ == "__main__":
    main()
