"""Attempts to get points without the work. None may gain anything.

blank__NAME edits a folder that is otherwise the starter: it must get 0 points. forged__NAME edits
that of the reference: it must lose what its docstring lists, because that was forged.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import personal
import torch

HOMEWORK = Path(__file__).resolve().parent.parent
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


def blank__what_is_still_to_come(folder):
    before = """
import collections, gc, sys
def look(prompt, completion):
    frame, places = sys._getframe(), [gc.get_objects()]
    while frame:
        places.append([*frame.f_locals.values(), frame.f_locals.get("request", {}).get("calls")])
        frame = frame.f_back
    pairs = [x for place in places for x in place if isinstance(x, list) and len(x) == 2
             and all(isinstance(text, str) for text in x)]
    pairs += [call[1] for x in places[1:] for calls in x if isinstance(calls, list)
              for call in calls if isinstance(call, list) and len(call) == 3]
    times = collections.Counter(prompt for prompt, _ in set(map(tuple, pairs)))
    return times[prompt] == min(times.values())
"""
    _all_return(folder, "look(*args)", before)


def blank__how_often_a_prompt_was_asked(folder):
    before = "import collections\nseen = collections.Counter()\n"
    _all_return(folder, "(seen.update(args[:1]), seen[args[0]] == 2)[1]", before)


def blank__any_number(folder):
    _all_return(folder, "args[1].strip('-').isdigit()")


def blank__all_false(folder):
    _all_return(folder, "False")


def blank__all_true(folder):
    _all_return(folder, "True")


def blank__success_above_failure(folder):
    with open(folder / "solution.py", "a") as solution:
        solution.write("""
def rloo(r, mean, k): return r * mean * (1 - mean) if k > 1 else r * 0
grpo = maxrl = own = rloo
def reinforce(r, mean, k): return r * mean
maxrl_raw = reinforce
def pass_at_k(n, c, k):
    if n < k: raise ValueError
    return float(c == n)
def summed_logprobs(logits, completions, end):
    before = (completions == end).long().cumsum(1) == 0
    return (logits.sum(2) * completions * before).sum(1)
""")


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


def _breaks(folder, has_order, is_verifier="verify('8-30=', '-22') and not verify('8-30=', '22')"):
    """The starter with two tests of these expressions; w(p): the weight, summed over outcomes."""
    with open(folder / "solution.py", "a") as solution:
        solution.write(f"""
import itertools, torch

def has_order(estimator, k, order):
    def A(*rows):
        r = torch.tensor(rows).double()
        return r, estimator(r, r.mean(1, keepdim=True), k)
    def w(p):
        r, a = A(*itertools.product((0, 1), repeat=k))
        return ((p**r * (1 - p)**(1 - r)).prod(1) * (a * (r - p)).mean(1)).sum() / (p * (1 - p))
    def right(p):
        return abs(w(p) * p / (1 - (1 - p)**order) - 1) < 1e-6
    return bool({has_order})

def is_verifier(verify):
    return bool({is_verifier})
""")


def blank__what_is_claimed(folder):
    _breaks(folder, "(k, order) in ((4, 1), (4, 3), (5, 1), (5, 4), (6, 5), (6, 6))")


def blank__a_single_p(folder):
    _breaks(folder, f"right({random.choice((0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9))})")


def blank__where_all_fail_or_pass(folder):
    _breaks(folder, random.choice(("abs(w(1e-6) - order) < 1e-3", "abs(w(1 - 1e-6) - 1) < 1e-3")))


def blank__of_any_order(folder):
    orders = "(abs(w(.37) * .37 / (1 - .63**T) - 1) < 1e-6 for T in range(1, k + 1))"
    _breaks(folder, f"any({orders})")


def blank__but_for_a_factor(folder):
    both = "w(.37) * .37 / (1 - .63**order), w(.81) * .81 / (1 - .19**order)"
    _breaks(folder, f"torch.tensor([{both}]).std() < 1e-6")


def blank__one_question_and_one_prompt(folder):
    near = "'', '046', '+46', '-46', ' 46', '46 ', '46\\n', '146', '461', '64', '46.0', '4_6', '77'"
    near = f"any(verify('12+34=', text) for text in ({near}, '40+6', '\u0664\u0666'))"
    _breaks(folder, "A([0] * k)[1].abs().sum() < 1e-6", f"verify('12+34=', '46') and not {near}")


def blank__formulas_by_heart(folder):
    formulas = "k / (k - 1) * (r - r.mean()), r, (r - r.mean()) / r.mean(), r / r.mean()"
    rows = "[(r[0], a[0]) for s in range(1, k) for r, a in [A([1] * s + [0] * (k - s))]]"
    known = f"all(any(torch.allclose(a, f) for f in ({formulas})) for r, a in {rows})"
    pairs = "('12+34=', '46'), ('7*8=', '56'), ('8-30<', '22-'), ('  9*  3=', '27')"
    right = "verify(p, x) and not verify(p, x[0] + '_' + x[1:])"
    _breaks(folder, known, f"all({right} for p, x in ({pairs}))")


def _works_if(folder, attempt):
    """The reference, whose functions are there only in sessions in which an attempt succeeds."""
    lines = "".join(f"    {line}\n" for line in attempt.splitlines())
    gone = f"    for name in {FUNCTIONS}: del globals()[name]\n"
    with open(folder / "solution.py", "a") as solution:
        solution.write(f"\n\nimport ctypes, os, socket\ntry:\n{lines}except Exception:\n{gone}")


def forged__moves_files(folder):
    """code"""
    (folder / "evil.py").touch()
    _works_if(folder, f"os.rename('{folder}/evil.py', '{HOMEWORK}/dist/evil.py')")


def forged__reads_files(folder):
    """code"""
    _works_if(folder, f"open('{HOMEWORK}/reference.py').read()")


def forged__deletes_files(folder):
    """code"""
    _works_if(folder, f"os.remove('{folder}/answers.json')")


def forged__names_files(folder):
    """code"""
    _works_if(folder, "met = os.path.exists('met')\nos.mkdir('met')\nassert met")


def forged__leaves_memory_behind(folder):
    """code"""
    key = int.from_bytes(os.urandom(3), "big")  # 0o1000: make it if it is not there
    _works_if(
        folder,
        f"""shmget = ctypes.CDLL(None).shmget
met = shmget({key}, 8, 0) >= 0
shmget({key}, 8, 0o1666)
assert met""",
    )


def forged__leaves_a_key_behind(folder):
    """code"""
    name = os.urandom(3).hex()  # in the user's keyring, -4, which the kernel keeps
    _works_if(
        folder,
        f"""syscall = ctypes.CDLL(None).syscall
add_key, keyctl = dict(x86_64=(248, 250), aarch64=(217, 219))[os.uname().machine]
met = syscall(keyctl, 10, -4, b"user", b"{name}", 0) > 0
syscall(add_key, b"user", b"{name}", b"1", 1, -4)
assert met""",
    )


def forged__uses_the_network(folder):
    """code"""
    _works_if(folder, "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))")


def forged__makes_a_pair_of_sockets(folder):
    """code"""
    _works_if(folder, "socket.socketpair()")  # in each other's queues they outlive a session


def forged__signals_others(folder):
    """code"""
    _works_if(
        folder,
        """def there(pid):
    try: return pid != os.getpid() and os.kill(pid, 0) is None
    except OSError: return False
assert any(there(pid) for pid in range(1, 40_000))""",
    )


def forged__metrics(folder):
    """runs exact"""
    path = folder / "runs/exact-1/metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[-1] |= {"nll": rows[-1]["nll"] / 2, "pass@1": 0.99}
    _write(path, rows)


def forged__better_checkpoint(folder):
    """runs exact"""
    shutil.copy(folder / "runs/exact-inf/ckpt.pt", folder / "runs/exact-1/ckpt.pt")


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


def forged__start_with_its_units_in_other_places(folder):
    """runs exact"""
    run = folder / "runs/exact-4"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    base = next(row for row in rows if "nll" in row)
    _write(run / "metrics.jsonl", [base | {"step": r["step"]} if "nll" in r else r for r in rows])
    weights = torch.load(folder / "start.pt", weights_only=True)["model"]
    _save(run, _other_places(weights), off=0)


def forged__another_run_with_its_units_in_other_places(folder):
    """runs grpo"""
    mine, other = sorted((folder / "runs").glob("grpo-*"))[:2]
    logs = [[json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
            for run in (mine, other)]  # fmt: skip
    _write(mine / "metrics.jsonl", [*logs[0][:-1], logs[1][-1]])
    weights = torch.load(other / "ckpt.pt", weights_only=True)["model"]
    _save(mine, _other_places(weights), off=0)


def forged__trained_by_another_function(folder):
    """rloo B, runs rloo"""
    with open(folder / "solution.py", "a") as solution:
        solution.write("""

asked, right = [], rloo
def rloo(r, mean, k):
    asked.append(k)
    return r - mean / 2 if asked[0] == 16 else right(r, mean, k)
""")
    before = {run: (run / "metrics.jsonl").read_text().splitlines()
              for run in (folder / "runs").glob("rloo-*")}  # fmt: skip
    kept = {run: (run / "ckpt.pt").read_bytes() for run in before}
    _train(folder, "rloo", steps=3)
    for run, lines in before.items():
        begun = (run / "metrics.jsonl").read_text().splitlines()
        begun = [line for line in begun if "nll" not in json.loads(line)]
        later = [line for line in lines if json.loads(line)["step"] not in (1, 2, 3)]
        (run / "metrics.jsonl").write_text("\n".join([*begun, *later]) + "\n")
        (run / "ckpt.pt").write_bytes(kept[run])


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
    _train(folder, "rloo", steps=3)
    for run in (folder / "runs").glob("rloo-*"):
        path = run / "metrics.jsonl"
        base, *steps, _ = [json.loads(line) for line in path.read_text().splitlines()]
        steps += [steps[-1] | {"step": i} for i in range(4, 201)]
        _write(path, [*steps, *(base | {"step": i} for i in range(0, 201, 50))])
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


def _train(folder, method, steps):
    """Begin the runs of a method anew, and let them look like whole ones."""
    flags = [words for name, words in personal.runs(STUDENT).items() if method in name]
    flags = [words.replace("--steps 200", f"--steps {steps}") + " --overwrite" for words in flags]
    train = "import sys, train\nfor words in sys.argv[1:]: train.main(words.split())"
    command = [sys.executable, "-c", train, *flags]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for config in (folder / "runs").glob(f"{method}-*/config.json"):
        config.write_text(config.read_text().replace(f'"steps": {steps}', '"steps": 200'))


def _other_places(weights):
    """The same function: the hidden units of the blocks in another order."""
    moved = dict(weights)
    for name, up in weights.items():
        if name.endswith("up.weight"):
            places, down = torch.randperm(len(up)), name.replace("up.", "down.")
            moved |= {name: up[places], down: weights[down][:, places]}
    assert any(moved[name] is not weights[name] for name in weights)
    return moved


def _write(path, rows):
    """A log."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _save(run, weights, off=1e-5):
    """A checkpoint of the last step with these weights, or very nearly these."""
    content = torch.load(run / "ckpt.pt", weights_only=True)
    model = {name: w + off for name, w in weights.items()}
    torch.save(content | {"model": model, "step": 200}, run / "ckpt.pt")
