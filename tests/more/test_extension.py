"""The README's examples of a new method and of a new task, carried out in a copy of the tree, with
one more flag and a user's files in results/ and runs/. Its `make test` is as green as ours.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LEFT_OUT = (".git", ".venv*", "runs", "build", "__pycache__", "*.egg-info", ".*_cache")


def example(name: str) -> tuple[str, str, str]:
    """What follows the name before a block of the README, the block, and the text after it."""
    pattern = rf"<!-- example:{name} ?(\S*) -->\n```python\n(.*?)```\n(.*?)(?=\n#|\Z)"
    found = re.search(pattern, README, re.DOTALL)
    assert found, f"the README has no block of Python after <!-- example:{name} -->"
    return found[1], found[2], found[3]


def put_before(path: Path, line: str, text: str) -> None:
    """Insert text before the one line that begins like this."""
    head, found, tail = path.read_text(encoding="utf-8").partition(f"\n{line}")
    assert found, f"{path} has no line {line}"
    path.write_text(f"{head}\n{text}{line}{tail}", encoding="utf-8")


found = re.search(r'`("[a-z0-9-]+": [a-z0-9_]+),?` in `FORMULAS`', example("method")[2])
assert found, 'the README does not say: `"NAME": FUNCTION` in `FORMULAS`'
ENTRY = found[1]  # the line of `FORMULAS` that it asks for
METHOD, TASK = ENTRY.split('"')[1], Path(example("task")[0]).stem


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The tree with all of it added, by the same hands as a reader's: text put into files."""
    copy = tmp_path_factory.mktemp("extended") / "maxrl"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (copy / ".venv").symlink_to(sys.prefix)
    put_before(copy / "maxrl.py", "def _divide(", f"{example('method')[1]}\n\n")
    put_before(copy / "maxrl.py", "}\nORDERED", f"    {ENTRY},\n")
    (copy / example("task")[0]).write_text(example("task")[1], encoding="utf-8")
    flag = '    mine: int = flag(3, "my own", type=whole(0))\n'
    put_before(copy / "harness/config.py", "    out: str", flag)
    for name in ("results/mine.jsonl", "results/few/mine.jsonl", "results/mine/a.json",
                 "runs/mine.txt", "runs/mine/metrics.jsonl"):  # fmt: skip
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("of my own\n")
    return copy


def run(copy: Path, *words: str) -> str:
    """A command in the copy, as typed; what it prints."""
    not_ours = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTEST_CURRENT_TEST")
    env = {name: value for name, value in os.environ.items() if name not in not_ours}
    done = subprocess.run(words, cwd=copy, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_the_method_trains_and_is_in_the_table(copy):
    flags = [*TINY, "--method", METHOD, "--out", "runs/a", "--sft-steps", "0", "--k", "300"]
    said = run(copy, sys.executable, "train.py", *flags)
    docstring = example("method")[1].split('"""')[1]
    assert said.startswith(f"{METHOD}: {docstring.split('. ')[0]}")
    rows = run(copy, sys.executable, "maxrl.py").splitlines()
    assert sum(row.split()[:1] == [METHOD] for row in rows) == 4, "one for each k"


def test_the_task_is_learnt_and_its_verdicts_are_right(copy):
    """On rewards only, from a warm start that knows a little; printed verdicts are checked."""
    flags = f"--task {TASK} --steps 150 --eval-every 50 --sft-until 0.3 --out runs/b --device cpu"
    said = run(copy, sys.executable, "train.py", *flags.split())
    assert f"| {TASK} | " in said
    base, final = (float(line.split()[1]) for line in said.splitlines()[-2:])
    assert final > base + 0.1
    verdicts = re.findall(r"(\d{4})=(\d*)(?:<pad>\d*)* (right|wrong)", said)
    asked = run(copy, sys.executable, "sample.py", "runs/b", "--k", "3", "--device", "cpu")
    for block in asked.split("\n\n"):
        prompt = re.match(r"(\d{4})=  pass rate", block)[1]
        found = re.findall(r"x  '(\d*)' .* (right|wrong)$", block, re.MULTILINE)
        verdicts += [(prompt, *pair) for pair in found]
    assert {verdict for *_, verdict in verdicts} == {"right", "wrong"}
    for prompt, answer, verdict in verdicts:
        assert (answer == "".join(sorted(prompt))) == (verdict == "right"), (prompt, answer)


def test_the_tests_of_the_copy_are_green(copy):
    """All of `make test`, its lint included."""
    said = run(copy, "make", "test")
    assert len(re.findall(r"^[0-9]+ passed", said, re.MULTILINE)) == 2 and "failed" not in said
