"""Wrong answers.json, wrong runs, and hostile files.

answers__NAME edits the answers of the reference, folder__NAME the folder that is handed in. A
docstring may name a whole part, and `code` for all that needs solution.py.
"""

import json
import os
import shutil

import torch


def answers__limit_for_grpo(answers):
    """weights grpo"""
    prompts = [1 / w for w in answers["weights"]["ml"]]
    answers["weights"]["grpo"] = [(p * (1 - p)) ** -0.5 for p in prompts]


def answers__order_k(answers):
    """weights maxrl"""
    prompts = [1 / w for w in answers["weights"]["ml"]]
    answers["weights"]["maxrl"] = [(1 - (1 - p) ** 8) / p for p in prompts]


def answers__fractions_for_percent(answers):
    """shares rl, shares grpo, shares maxrl, shares ml"""
    answers["shares"] = {m: [x / 100 for x in row] for m, row in answers["shares"].items()}


def answers__shares_of_weights(answers):
    """shares rl, shares grpo, shares maxrl, shares ml"""
    for method, w in answers["weights"].items():
        answers["shares"][method] = [100 * x / sum(w) for x in w]


def answers__same_order(answers):
    """lost"""
    answers["lost"] |= {"maxrl": answers["lost"]["maxrl_raw"], "difference": 0}


def answers__variance_for_sd(answers):
    """noise"""
    answers["sd"] = {name: [x * x for x in row] for name, row in answers["sd"].items()}


def answers__texts(answers):
    """weights ml, factor"""
    answers["weights"]["ml"] = [str(x) for x in answers["weights"]["ml"]]
    answers["factor"] = "10,000"


def answers__nan(answers):
    """weights rl, lost, noise"""
    answers["weights"]["rl"] = [float("nan")] * 5
    answers["lost"] = {"maxrl_raw": float("inf"), "maxrl": True, "difference": None}
    answers["sd"] = [1, 2, 3]


def folder__answers_not_json(folder):
    """numbers"""
    (folder / "answers.json").write_text("{'weights': [1, 1, 1, 1, 1]")


def folder__answers_nested(folder):
    """numbers"""
    (folder / "answers.json").write_text("[" * 50_000 + "]" * 50_000)


def folder__no_solution(folder):
    """code"""
    (folder / "solution.py").unlink()


def folder__syntax_error(folder):
    """code"""
    (folder / "solution.py").write_text("def maxrl(r, mean, k)\n    return r\n")


def folder__import_error(folder):
    """code"""
    _before(folder, "import maxrl\n")


def folder__loops_on_import(folder):
    """code"""
    _before(folder, "while True:\n    print('still here')\n")


def folder__exits_on_import(folder):
    """code"""
    _before(folder, "import os\nos._exit(0)\n")


def folder__solution_is_a_link(folder):
    """code"""
    (folder / "solution.py").unlink()
    os.symlink("/etc/passwd", folder / "solution.py")


def folder__solution_is_huge(folder):
    """code"""
    (folder / "solution.py").write_bytes(b"# \n" * 10**6)


def folder__solution_is_a_folder(folder):
    """code"""
    (folder / "solution.py").unlink()
    (folder / "solution.py").mkdir()


def folder__no_runs(folder):
    """runs rloo, runs grpo, runs maxrl, runs exact"""
    shutil.rmtree(folder / "runs")


def folder__checkpoints_mixed_up(folder):
    """runs maxrl"""
    first, second, _ = sorted((folder / "runs").glob("maxrl-*"))
    shutil.copy(first / "ckpt.pt", second / "ckpt.pt")


def folder__too_few_steps(folder):
    """runs exact"""
    _edit(folder / "runs/exact-4/config.json", lambda config: config.update(steps=50))


def folder__a_step_twice(folder):
    """runs exact"""
    path = folder / "runs/exact-4/metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-2]]))


def folder__runs_is_a_link(folder):
    """runs rloo, runs grpo, runs maxrl, runs exact"""
    (folder / "runs").rename(folder.parent / "elsewhere")
    os.symlink("../elsewhere", folder / "runs")


def folder__a_run_is_a_link(folder):
    """runs exact"""
    (folder / "runs/exact-4").rename(folder / "elsewhere")
    os.symlink("../elsewhere", folder / "runs/exact-4")


def folder__checkpoint_is_no_checkpoint(folder):
    """runs exact, runs grpo"""
    (folder / "runs/exact-4/ckpt.pt").write_bytes(b"PK\x05\x06" + bytes(18))
    next((folder / "runs").glob("grpo-*")).joinpath("ckpt.pt").write_bytes(b"\x80\x02}q\x00.")


def folder__whole_numbers_for_weights(folder):
    """runs exact"""
    path = folder / "runs/exact-4/ckpt.pt"
    content = torch.load(path, weights_only=True)
    torch.save(content | {"model": {n: w.long() for n, w in content["model"].items()}}, path)


def folder__logs_are_rubbish(folder):
    """runs exact, runs rloo"""
    (folder / "runs/exact-4/metrics.jsonl").write_text('[1, 2]\n"x"\n')
    log = next((folder / "runs").glob("rloo-*")) / "metrics.jsonl"
    log.write_text(log.read_text().replace('"grad_norm": ', '"grad_norm": "x", "y": '))


def policy_gradient_loss__loops(logprobs, advantages):
    """loss gradient, loss divisor, loss constant"""
    while True:
        print(logprobs)


def own__allocates(r, mean, k):
    """own E4, own E5, own E8, own E16, own B, own D"""
    return [r] * 10**9


def maxrl__forks(r, mean, k):
    """maxrl E, maxrl K1, maxrl B, maxrl D, runs maxrl"""
    while True:
        os.fork()


def grpo__exits(r, mean, k):
    """grpo E, grpo unit, grpo B, grpo D, runs grpo"""
    os._exit(0)


def pass_at_k__text(n, c, k):
    """pass_at_k brute, pass_at_k large, pass_at_k edges"""
    return "0.5"


def _before(folder, lines):
    """Put something in front of solution.py."""
    path = folder / "solution.py"
    path.write_text(lines + path.read_text())


def _edit(path, change):
    """Change a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
