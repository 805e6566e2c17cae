"""Attempts to get points without the work. None may gain anything.

blank__NAME edits a folder that is otherwise the starter: it must get 0 points. forged__NAME edits
that of the reference: it must lose what its docstring lists, because that was forged.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import personal
import torch

STUDENT = "reference@example.edu"
FUNCTIONS = (
    "verify reinforce rloo grpo maxrl maxrl_raw pass_at_k completion_mask summed_logprobs "
    "policy_gradient_loss own has_order is_verifier"
).split()


def _all_return(folder, expression, before=""):
    """Every function returns the same."""
    lines = [f"def {name}(*args): return {expression}\n" for name in FUNCTIONS]
    (folder / "solution.py").write_text("import torch\n" + before + "\n".join(lines))


def blank__equal_to_everything(folder):
    before = """
class Any(float):
    def __eq__(self, other): return True
    def __abs__(self): return 0.0
    def __sub__(self, other): return 0.0
    def __rsub__(self, other): return 0.0
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = lambda *_: True
    shape = property(lambda self: Any())
"""
    _all_return(folder, "Any()", before)


def blank__a_tensor_that_agrees(folder):
    before = """
class Agreeable(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None): return True
"""
    _all_return(folder, "torch.zeros(1, 5).as_subclass(Agreeable)", before)


def blank__patched_comparisons(folder):
    before = """
import builtins, math, json
torch.allclose = torch.equal = math.isclose = lambda *a, **k: True
builtins.abs = lambda x: 0.0
builtins.all = builtins.any = lambda x: True
"""
    _all_return(folder, "torch.zeros(1)", before)


def blank__callers_frame(folder):
    before = """
import sys
def look():
    frame, found = sys._getframe(1), None
    while frame:
        for name in ("wanted", "target", "expected", "truth", "right", "answer"):
            found = frame.f_locals.get(name, frame.f_globals.get(name, found))
        frame = frame.f_back
    return found
"""
    _all_return(folder, "look()", before)


def blank__forged_results(folder):
    before = """
import glob, json, os
full = json.dumps({"score": 80, "tests": [{"score": 80, "max_score": 80, "status": "passed"}]})
places = ["results.json", "results/results.json", "/autograder/results/results.json"]
for place in places + glob.glob("/tmp/*/results.json"):
    for path in (place, "../" + place):
        try:
            open(path, "w").write(full)
        except OSError:
            pass
"""
    _all_return(folder, "0", before)


def blank__forged_replies(folder):
    before = """
import os
for fd in range(3, 32):
    for line in (b'{"replies": "passed", "score": 80}', b'{"replies": [' + b'{"value": true},' * 9
                 + b'{"value": true}]}', b'{"ask": ["score", 80]}', b"[" * 10000):
        try:
            os.write(fd, line + b"\\n")
        except OSError:
            pass
"""
    _all_return(folder, "True", before)


def blank__kills_the_grader(folder):
    before = """
import os, signal
for pid in [os.getppid(), 1] + [int(p) for p in os.listdir("/proc") if p.isdigit()]:
    try:
        os.kill(pid, signal.SIGKILL) if os.getuid() else None
    except OSError:
        pass
"""
    _all_return(folder, "True", before)


def blank__a_process_that_stays(folder):
    before = """
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        try:
            open("results.json", "w").write('{"score": 80}')
        except OSError:
            time.sleep(0.1)
"""
    _all_return(folder, "True", before)


def blank__the_projects_own_code(folder):
    before = """
import os, sys
for place in ("/autograder/source", os.path.dirname(os.getcwd()), *sys.path):
    sys.path.append(place)
try:
    from grade import *
    from checks import *
except ImportError:
    pass
try:
    from maxrl import *
    from verify import *
except ImportError:
    pass
"""
    path = folder / "solution.py"
    path.write_text(before + path.read_text())


def blank__what_is_asked_once(folder):
    before = """
import collections, sys
times = {}
def look(prompt, completion):
    frame = sys._getframe()
    while "request" not in frame.f_locals:
        frame = frame.f_back
    if not times:
        times.update(collections.Counter(c[1][0] for c in frame.f_locals["request"]["calls"]))
    return times[prompt] == 1
"""
    _all_return(folder, "look(*args)", before)


def blank__any_number(folder):
    _all_return(folder, "args[1].strip('-').isdigit()")


def blank__the_graders_own_folder(folder):
    before = """
import os, sys
homework = os.path.dirname(sys.modules["__main__"].__file__)
names = ["../likelihoods.py", "../verify.py", "../maxrl.py", "../model.py", "reference.py"]
for place in (homework, *sys.path):
    for name in names:
        try:
            exec(open(os.path.join(place, name)).read())
        except Exception:
            pass
found = dict(globals())
"""
    path = folder / "solution.py"
    path.write_text(before + path.read_text() + "globals().update(found)\n")


def blank__all_zeros(folder):
    _all_return(folder, "args[0] * 0 if isinstance(args[0], torch.Tensor) else 0")


def blank__all_false(folder):
    _all_return(folder, "False")


def blank__all_true(folder):
    _all_return(folder, "True")


def blank__all_nan(folder):
    _all_return(folder, 'args[0] * float("nan") if isinstance(args[0], torch.Tensor) else True')


def blank__server_in_disguise(folder):
    before = """
import sys
main = sys.modules["__main__"]
main.answered = lambda *a: {"value": True, "grads": [], "score": 80}
main.plain = lambda value: {"t": [[1.0, 0.0]], "d": "float64"}
"""
    _all_return(folder, "True", before)


def blank__answers_that_agree(folder):
    answers = {"student": "reference@example.edu", "weights": True, "shares": "right", "factor": {}}
    answers |= {"half": [1], "live": 1e999, "lost": {"maxrl": float("nan")}, "sd": None}
    (folder / "answers.json").write_text(json.dumps(answers))


def blank__what_the_task_asks_back(folder):
    before = """
import gc, inspect
def look(f, *args):
    for thing in (f, getattr(f, "__wrapped__", None), *(getattr(f, "__closure__", None) or ())):
        try:
            if "right" in inspect.getsource(thing):
                return True
        except (TypeError, OSError):
            pass
    for thing in gc.get_objects():
        if type(thing).__name__ == "Behaviour":
            return bool(thing.right)
    return False
"""
    _all_return(folder, "look(*args)", before)


def forged__metrics(folder):
    """runs exact"""
    path = folder / "runs/exact-1/metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[-1] |= {"nll": rows[-1]["nll"] / 2, "pass@1": 0.99}
    _write(path, rows)


def forged__better_checkpoint(folder):
    """runs exact"""
    shutil.copy(folder / "runs/exact-inf/ckpt.pt", folder / "runs/exact-1/ckpt.pt")


def forged__another_method(folder):
    """runs maxrl"""
    for run in (folder / "runs").glob("grpo-*"):
        other = Path(str(run).replace("grpo-", "maxrl-"))
        shutil.rmtree(other)
        shutil.copytree(run, other)
        config = (other / "config.json").read_text()
        (other / "config.json").write_text(config.replace(":grpo", ":maxrl"))


def forged__another_method_and_table(folder):
    """runs maxrl"""
    for run in (folder / "runs").glob("grpo-*"):
        other = Path(str(run).replace("grpo-", "maxrl-"))
        mine = json.loads((other / "config.json").read_text())
        shutil.copy(run / "metrics.jsonl", other / "metrics.jsonl")
        shutil.copy(run / "ckpt.pt", other / "ckpt.pt")
        (other / "config.json").write_text(json.dumps(mine))


def forged__another_seed(folder):
    """runs rloo"""
    first, *others = sorted((folder / "runs").glob("rloo-*"))
    for run in others:
        for name in ("metrics.jsonl", "ckpt.pt"):
            shutil.copy(first / name, run / name)


def forged__start_as_the_result(folder):
    """runs exact"""
    path = folder / "runs/exact-inf/metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    _write(path, [*rows[:-1], rows[0] | {"step": rows[-1]["step"]}])
    _save(folder / "runs/exact-inf", torch.load(folder / "start.pt", weights_only=True)["model"])


def forged__another_runs_weights(folder):
    """runs rloo"""
    first, second, _ = sorted((folder / "runs").glob("rloo-*"))
    logs = [[json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
            for run in (first, second)]  # fmt: skip
    _write(second / "metrics.jsonl", [*logs[1][:-1], logs[0][-1]])
    _save(second, torch.load(first / "ckpt.pt", weights_only=True)["model"])


def forged__one_number_of_start(folder):
    """runs exact"""
    path = folder / "runs/exact-inf/metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    _write(path, [*rows[:-1], rows[0] | {"step": rows[-1]["step"]}])
    weights = torch.load(folder / "start.pt", weights_only=True)["model"]
    next(iter(weights.values()))[-1, 0] += 0.02  # of a token that sums do not use
    _save(folder / "runs/exact-inf", weights)


def forged__another_methods_weights(folder):
    """runs grpo"""
    rloo, grpo = (min((folder / "runs").glob(f"{method}-*")) for method in ("rloo", "grpo"))
    logs = [[json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
            for run in (rloo, grpo)]  # fmt: skip
    _write(grpo / "metrics.jsonl", [*logs[1][:-1], logs[0][-1]])
    shutil.copy(rloo / "ckpt.pt", grpo / "ckpt.pt")


def forged__the_same_steps(folder):
    """runs exact"""
    path = folder / "runs/exact-4/metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    made_up = next(row for row in rows if row["step"] == 10)
    _write(path, [row if row["step"] <= 10 or "nll" in row else made_up | {"step": row["step"]}
                  for row in rows])  # fmt: skip


def forged__an_estimator_of_nothing(folder):
    """rloo E, rloo K1, rloo B, rloo D, runs rloo"""
    with open(folder / "solution.py", "a") as solution:
        solution.write("\n\ndef rloo(r, mean, k): return r * 0\n")
    flags = [words for name, words in personal.runs(STUDENT).items() if "rloo" in name]
    flags = [words.replace("--steps 200", "--steps 3") + " --overwrite" for words in flags]
    train = "import sys, train\nfor words in sys.argv[1:]: train.main(words.split())"
    command = [sys.executable, "-c", train, *flags]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for run in (folder / "runs").glob("rloo-*"):
        path = run / "metrics.jsonl"
        base, *steps, _ = [json.loads(line) for line in path.read_text().splitlines()]
        steps += [steps[-1] | {"step": i} for i in range(4, 201)]
        _write(path, [*steps, *(base | {"step": i} for i in range(0, 201, 50))])
        config = run / "config.json"
        config.write_text(config.read_text().replace('"steps": 3', '"steps": 200'))
        _save(run, torch.load(folder / "start.pt", weights_only=True)["model"])


def forged__nested_checkpoint(folder):
    """runs exact, runs grpo"""
    nested = [0]
    for _ in range(60):
        nested = [nested, nested]
    path = folder / "runs/exact-4/ckpt.pt"
    torch.save(torch.load(path, weights_only=True) | {"step": nested, "config": nested}, path)
    path = next((folder / "runs").glob("grpo-*")) / "ckpt.pt"
    torch.save(torch.load(path, weights_only=True) | {"model": {"x" * 10**5: nested}}, path)


def _write(path, rows):
    """A log."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _save(run, weights):
    """A checkpoint of the last step with these weights, or very nearly these."""
    content = torch.load(run / "ckpt.pt", weights_only=True)
    model = {name: w + 1e-5 for name, w in weights.items()}
    torch.save(content | {"model": model, "step": 200}, run / "ckpt.pt")
