"""A submission's code in a process of its own, which hands back plain numbers and nothing else.

A server imports torch once and forks for each session: a fresh process that runs the text of
solution.py, without the right to fork, write files, or use much memory or time, in an empty folder
that has become its whole file system. On Linux it also is alone: no other process, network or
shared memory. It is told which function to call with which numbers, answers in JSON, and is told
the next call. It never sees an expected value, and whatever it does to itself, it can only hand
back numbers, and the type and line of an exception.

    with Sandbox() as sandbox:
        sandbox.load(b"def double(x): return 2 * x")
        sandbox.calls([Call("double", [4])])           # [Reply(8, ...)]

Left out: what the numbers should be (checks.py). Memory is limited on Linux only. Run as a script
this file is the server; it imports nothing of the project.
"""

import builtins
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CPU_SECONDS = 2  # of one session; as many again of the grader's, to talk with it
WALL_SECONDS = 60.0  # of the same: thousands of calls wait for their turn on a busy machine
ALL_CPU_SECONDS = 14.0  # of all sessions of a submission, with what the grader spends on replies
ALL_WALL_SECONDS = 360.0  # of the same
MEMORY = 160 << 20  # bytes a session may ask for besides what torch has
MOST_ANSWER = 2 << 20  # bytes that a session may hand back, in all its answers
MOST_TEXT = 500  # characters of anything that is said to a student


class Failed(Exception):
    """The submission's own fault, in a sentence for the student."""


class NotConfined(Exception):
    """Student code could read and change here what the grader can."""


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

    def __init__(self, trust: bool = False) -> None:
        self.trust = trust
        self.server: subprocess.Popen | None = None
        self.folder = tempfile.TemporaryDirectory(prefix="homework-")
        os.chmod(self.folder.name, 0o755)
        self.asked: set[str] = set()  # functions that were called, for who wants to know
        self.load(b"")

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.folder.cleanup()

    def stop(self) -> None:
        """End the server, which first ends what is left of a session."""
        if self.server is not None:
            self.control.close()
            try:
                self.server.wait(5)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
            self.server = None

    def start(self) -> None:
        """Start the server, a few seconds, and see what a session sees. NotConfined: too much."""
        self.control, theirs = socket.socketpair()
        words = [sys.executable, "-I", "-B", "-W", "ignore", __file__]
        environment = {"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            [*words, str(theirs.fileno()), self.folder.name],
            pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self.control.settimeout(120)
        if self.control.recv(1) != b"R":
            self.stop()
            raise RuntimeError("the server for student code does not start: is torch installed?")
        self.how = CONFINED
        seen = self.probed()
        if self.trust and not isinstance(seen, list):
            self.how = TRUSTED
            seen = self.probed()
        if not isinstance(seen, list):
            self.stop()
            raise NotConfined(f"student code cannot be confined here ({seen})")
        files, number, has_socket = seen
        self.is_confined, self.is_alone = files == 0, number == 1 or not has_socket

    def probed(self) -> Any:
        """How many files a session sees, its number among the processes, and whether it gets a
        socket; else what is wrong."""
        deadline = time.monotonic() + WALL_SECONDS
        replies, message, _ = self.conversation(PROBE, [Call("probe", [])], None, deadline)
        self.end_session()
        return replies[0].value if replies else message.get("refused", message)

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
        try:
            deadline = time.monotonic() + WALL_SECONDS
            replies, message, spoke = self.conversation(source, calls, answer, deadline)
            status, cpu = self.end_session()
        except OSError:
            self.stop()
            raise Failed("solution.py ended the process that runs it") from None
        except BaseException:
            self.stop()  # the next session begins with a server that waits for it
            raise
        finally:
            self.waited += time.monotonic() - began
            self.spent += time.process_time() - busy
        self.spent += cpu
        if len(replies) == len(calls):
            return replies
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not message and killed and cpu > CPU_SECONDS / 2:  # by the kernel, which counts in ticks
            message = {"slow": True}
        raise Failed(self.verdict(message, status, calls[0].function, spoke)[:MOST_TEXT])

    def conversation(
        self, source: bytes, calls: list[Call], answer: Callable[..., Any] | None, deadline: float
    ) -> tuple[list[Reply], dict, bool]:
        """The replies of a fresh process, its last message, and whether it said anything at all.

        One call after the other: which ones are still to come is nowhere in that process.
        """
        mine, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [self.how], [theirs.fileno()])
        line = b""
        replies: list[Reply] = []
        with mine:
            try:
                lines = Lines(mine, deadline)
                lines.send({"source": source.decode("latin-1")})
                busy = time.process_time() + CPU_SECONDS
                for call in calls:
                    lines.send([call.function, [*map(packed, call.args)], call.grad])
                    while "ask" in (message := as_dict(line := lines.next())):
                        if time.process_time() > busy:
                            raise TimeoutError
                        lines.send(asked(message["ask"], answer))
                    if time.process_time() > busy:
                        raise TimeoutError
                    if not message.keys() & {"value", "error"}:
                        message = {k: message[k] for k in SAID if k in message}
                        return replies, message, bool(line)  # student code can say anything
                    said = reply(message)
                    if said.error == NO_FUNCTION:
                        raise Failed(f"{NO_FUNCTION} {call.function}")
                    replies.append(said)
            except TimeoutError:
                return replies, {"slow": True}, bool(line)
            except OSError:  # it is gone: how it ended says why
                return replies, {}, bool(line)
            except Failed as error:
                return replies, {"failed": str(error)}, bool(line)
        return replies, {}, True

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
        if "slow" in message:
            self.given_up[name] = (
                f"{name} did not come back within {CPU_SECONDS} seconds; "
                "its other tests are not run"
            )
            return self.given_up[name]
        if "loading" in message:
            self.given_up[""] = f"solution.py does not load: {raised(message['loading'])}"
            return self.given_up[""]
        if isinstance(message.get("failed"), str):
            return message["failed"]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
            return f"{name} crashed the process it runs in"
        if spoke:
            return f"what {name} handed back is not what was asked for"
        return f"{name} ended the process it runs in before it gave an answer"


class Lines:
    """JSON lines on a socket, until a deadline."""

    def __init__(self, end: socket.socket, deadline: float):
        self.end, self.deadline, self.rest, self.size = end, deadline, b"", 0

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
        parts = [self.rest]
        while b"\n" not in parts[-1]:
            self.wait()
            parts.append(self.end.recv(1 << 16))
            self.size += len(parts[-1])
            if not parts[-1]:
                return b""
            if self.size > MOST_ANSWER:
                raise Failed("the answers are far larger than they could be")
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


def reply(message: dict) -> Reply:
    """A reply out of a line, whatever was in it."""
    if "error" in message:
        return Reply(error=raised(message["error"]))
    grads = message.get("grads")
    grads = [unpacked(g) for g in grads] if isinstance(grads, list) else []
    return Reply(unpacked(message.get("value")), grads)


NO_FUNCTION, NO_NUMBERS = "solution.py has no function", "returned what is not made of numbers"


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


SAID = ("refused", "loading")  # what a session says that is no answer
ASK = {"ask": True}  # an argument that the student's function gets as a function

# ------------------------------------------------------------------------------ the server's side

NOT_PRELOADED = "antigravity idlelib lib2to3 test this tkinter turtle turtledemo venv".split()
FURTHER = (
    "torch torch.distributions torch.func torch.testing numpy numpy.fft numpy.linalg numpy.ma "
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
    torch.set_num_threads = lambda nthreads: None  # a session may start no threads
    torch.broadcast_shapes((1,), (1,))  # all these import far more than they look
    torch.testing.assert_close(torch.zeros(1), torch.zeros(1))
    torch.func.grad(torch.sum)(torch.zeros(1))
    torch.use_deterministic_algorithms(False)
    torch.set_default_device("cpu")
    torch.set_default_device(None)
    repr(torch.zeros(1))
    content = io.BytesIO()
    torch.save({"weight": torch.zeros(1)}, content)
    torch.load(io.BytesIO(content.getvalue()), weights_only=True)


CONFINED, TRUSTED = b"C", b"T"
PROBE = b"""
import os, socket
def probe():
    seen = len(os.listdir("/")), os.getpid()
    try:
        socket.socket().close()
    except OSError:
        return [*seen, False]
    return [*seen, True]
"""
LIBC = ctypes.CDLL(None, use_errno=True)
# mounts, users: for who is not root. Processes, IPC and network: for root, too, where it may
NEW_MOUNTS, NEW_USER, NEW_PROCESSES, NEW_OTHERS = 0x20000, 0x10000000, 0x20000000, 0x48000000
READ_ONLY, DIES_WITH_PARENT, CAPABILITIES_3 = 1, 1, 0x20080522
NO_MORE_RIGHTS, FILTER = 38, 22  # of prctl
# what opens a way to others, or keeps memory without an owner: sockets, shared memory, queues,
# semaphores, keys, files in memory, namespaces, tracing. By the kernel's name of the machine
REFUSED = {
    "x86_64": (
        0xC000003E,
        (29, 41, 53, 64, 68, 101, 240, 248, 249, 250, 272, 308, 310, 319, 425, 447),
    ),
    "aarch64": (
        0xC00000B7,
        (97, 117, 180, 186, 190, 194, 198, 199, 217, 218, 219, 268, 270, 279, 425, 447),
    ),
}
OTHER_NUMBERS = 0x40000000  # x86-64 has a second set of system calls from here on


def serve(control: socket.socket, folder: str) -> None:
    """One session after another: fork when a socket comes, kill when told to."""
    settle()
    preload()
    gc.freeze()  # so that a fork's collections do not copy what is shared
    home = os.open("/proc/self/ns/pid", os.O_RDONLY) if sys.platform == "linux" else -1
    control.sendall(b"R")
    while True:
        how, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not how:
            return
        # a folder of its own: the kernel remembers which names were looked for in one
        place = tempfile.mkdtemp(dir=folder)
        os.chmod(place, 0o755)
        child = begun(socket.socket(fileno=descriptors[0]), place, how == CONFINED, home)
        go_on = ended(control, child)
        os.rmdir(place)
        if not go_on:
            return


def ended(control: socket.socket, child: int) -> bool:
    """Kill the session when told to, and say what it came to; False if nobody asks any more. A
    function of its own: of this frame, no later session is a copy."""
    go_on = control.recv(2)
    os.kill(child, signal.SIGKILL)  # what it started goes with it
    _, status, usage = os.wait4(child, 0)
    if go_on:
        control.sendall(f"{status} {usage.ru_utime + usage.ru_stime:.3f}\n".encode())
    return bool(go_on)


def settle() -> None:
    """Who is not root may make namespaces only as a user of a namespace of its own, and come back
    only to a namespace of processes that belongs to it: the server becomes the first process of
    one. Where that is refused, `confine` says so."""
    if os.getuid() and unshared(NEW_USER | NEW_PROCESSES):
        if server := os.fork():
            os.waitpid(server, 0)
            os._exit(0)
        LIBC.prctl(DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def begun(end: socket.socket, folder: str, confined: bool, home: int) -> int:
    """The process of a new session, where it is allowed alone: in namespaces with nobody else. One
    of processes is entered by who is forked next, so the server makes it, forks, and comes back to
    its own, `home`. Root in a container may have to do without."""
    root = os.getuid() == 0
    alone = confined and unshared(NEW_PROCESSES)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            # root's sessions have a user of their own each: the number is that of the process
            own = os.readlink("/proc/self") if alone else os.getpid()
            nobody = 20_000 + int(own) % 40_000 if root else 0
            if alone:
                succeeded(unshared(NEW_OTHERS if root else NEW_OTHERS | NEW_MOUNTS))
            session(end, folder, confined, nobody)
        os._exit(0)
    if alone:
        LIBC.setns(home, NEW_PROCESSES)
    end.close()
    return child


def unshared(namespaces: int) -> bool:
    """Leave the namespaces of these kinds that are shared with others, if that is allowed."""
    return sys.platform == "linux" and LIBC.unshare(namespaces) == 0


def confine(folder: str, end: int, confined: bool, nobody: int) -> None:
    """Give up what a student's code does not need, before any of it runs. `end` stays open."""
    os.setsid()
    sys.stdin = sys.stdout = sys.stderr = Nowhere()  # not /dev/null: its times outlive a session
    os.closerange(0, end)
    os.closerange(end + 1, 1024)
    limits = {"CPU": CPU_SECONDS, "FSIZE": 0, "CORE": 0, "NOFILE": 32, "NPROC": 0}
    if Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits["AS"] = pages * resource.getpagesize() + MEMORY
    if confined and not nobody:  # the folder is the grader's own: something else in its place
        succeeded(sys.platform == "linux")
        succeeded(LIBC.mount(b"none", folder.encode(), b"tmpfs", READ_ONLY, None) == 0)
    os.chdir(folder)
    if confined:
        os.chroot(".")  # the folder has become all there is
    if confined and nobody:
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)  # limits on processes do not hold for root
    elif confined:  # in the namespace it may all that root may, which it could leave the folder by
        header, none = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
        succeeded(LIBC.capset(header, none) == 0)
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    if sys.platform == "linux" and os.uname().machine in REFUSED:
        refuse(*REFUSED[os.uname().machine])


def refuse(machine: int, calls: tuple[int, ...]) -> None:
    """From now on the kernel refuses these system calls, by a filter (seccomp, with its bytecode:
    load a word, compare and jump, return)."""
    load, equal, at_least, back = 0x20, 0x15, 0x35, 0x06
    no, yes = 0x00050001, 0x7FFF0000  # "not permitted", and go on
    steps = [(load, 0, 0, 4), (equal, 0, len(calls) + 3, machine), (load, 0, 0, 0)]
    steps += [(at_least, len(calls) + 1, 0, OTHER_NUMBERS)]
    steps += [(equal, len(calls) - i, 0, call) for i, call in enumerate(calls)]
    steps += [(back, 0, 0, yes), (back, 0, 0, no)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    )
    LIBC.prctl(NO_MORE_RIGHTS, 1, 0, 0, 0)
    LIBC.prctl(FILTER, 2, program, 0, 0)


class Nowhere(io.StringIO):
    """What is written here is gone, and there is nothing to read."""

    def write(self, text: str, /) -> int:
        return len(text)

    def reconfigure(self, **_: Any) -> None:
        """As a terminal's can be."""

    @property
    def buffer(self) -> io.BytesIO:
        """For bytes."""
        return io.BytesIO()


def succeeded(it: bool) -> None:
    """PermissionError if not."""
    if not it:
        raise PermissionError("only root may do it, or on Linux who may have user namespaces")


def session(end: socket.socket, folder: str, confined: bool, nobody: int) -> None:
    """In a process of its own: run solution.py, and call what is to be called."""
    stream = end.makefile("rwb")

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
        confine(folder, end.fileno(), confined, nobody)
    except OSError as error:  # the grader's mistake, which `start` finds out
        say({"refused": str(error)})
        return
    try:
        module = loaded(json.loads(stream.readline())["source"].encode("latin-1"))
    except BaseException as error:
        say({"loading": described(error)})
        return
    for line in stream:
        name, args, grad = json.loads(line)
        message = answered(module, name, args, grad, ask)
        try:
            say(message)
        except ValueError:  # what was handed back is no JSON
            say({"error": [NO_NUMBERS, 0]})


def loaded(source: bytes) -> types.ModuleType:
    """The module."""
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
        # no leaf of the graph: a function that writes a gradient into it hands none back
        value = function(*(x * 1 if i in grad else x for i, x in enumerate(given)))
        try:
            message = {"value": plain(value)}
        except TypeError:
            return {"error": [NO_NUMBERS, 0]}
        if grad:
            value.sum().backward()
            message["grads"] = [
                None if given[i].grad is None else plain(given[i].grad) for i in grad
            ]
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
    raise TypeError(f"it returned a {type(value).__name__}")


def described(error: BaseException) -> list:
    """The nearest of Python's own types, and the last line of solution.py that it came through."""
    kinds = (kind.__name__ for kind in type(error).__mro__)
    line, step = getattr(error, "lineno", 0), error.__traceback__  # a SyntaxError has its own
    while step is not None:
        if step.tb_frame.f_code.co_filename == "solution.py":
            line = step.tb_lineno
        step = step.tb_next
    return [next(kind for kind in kinds if hasattr(builtins, kind)), line]


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
