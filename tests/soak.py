"""The tests that are too long for `make test`: `make soak` (three quarters of an hour).

    kills      a real run killed at 20 random moments, then compared with an undisturbed one
    fuzz       a million hostile completions against an independent oracle, with the time they take
    long run   30 minutes of training: memory and open files once in 10 seconds

The figures go to results/soak.json. `make test` makes two kills and judges 20,000 completions.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import TINY, read, same, weights

from data.tokenizer import ALPHABET
from verify import verify

ROOT = Path(__file__).resolve().parent.parent


def start(folder: Path, words: list[str]) -> subprocess.Popen:
    """train.py as a process of its own, with its runs/ in `folder`."""
    command = [sys.executable, str(ROOT / "train.py"), *words]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": str(random.randrange(1000))}
    return subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> None:
    _, err = process.communicate()
    assert process.returncode == 0, err


def next_words(folder: Path, flags: list[str]) -> list[str]:
    """What a user types after a kill: --resume, or all of it again if nothing was saved yet."""
    if (folder / "killed" / "ckpt.pt").exists():
        return ["--resume", "--out", "killed"]
    return [*flags, "--out", "killed", "--overwrite"]


def kills(folder: Path, n: int, rng: random.Random) -> dict[str, float]:
    """Kill a run n times, then let it end: weights and log are to the bit those of a run that
    nobody disturbed. Returns how many kills hit it before its first checkpoint."""
    flags = [*TINY, *"--digits 3 --k 64 --steps 400 --sft-steps 400 --eval-every 7".split()]
    finish(start(folder, [*flags, "--out", "whole"]))
    for cached in (folder / "runs/warmstart").glob("*"):
        cached.unlink()  # so that the warm start can be killed too
    early = 0
    for _ in range(n):
        process = start(folder, next_words(folder, flags))
        time.sleep(rng.uniform(1.0, 6.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        early += not (folder / "killed" / "ckpt.pt").exists()
    finish(start(folder, next_words(folder, flags)))
    assert read(folder / "whole") == read(folder / "killed"), "the logs differ"
    assert same(weights(folder / "whole"), weights(folder / "killed")), "the weights differ"
    assert not list((folder / "killed").glob("*.tmp")), "a torn file was left"
    return {"n": n, "before_the_first_checkpoint": early}


LOOK_ALIKES = "０１２३４５６７８９٠١٢٣٤٥٦٧٨٩²³½①−＋＝ـ\u00a0\u200b\u202e"
GARBAGE = "\x00 \ud800 <pad> \n e5 .0 _ () {} %s \\ ' = 1/0".split(" ")


def slow_answer(prompt: str) -> str | None:
    """The oracle: reads and computes by other ways than verify.py."""
    body, mark = prompt[:-1], prompt[-1:]
    marks = "".join(c for c in body if c in "+-*%")
    if mark not in ("=", "<", "~") or "/" in body or marks not in ("+", "-", "*", "*%"):
        return None
    numbers = re.split(r"[-+*%]", body)
    if not all(re.fullmatch(r" {0,18}[0-9]{1,18}", number, re.ASCII) for number in numbers):
        return None
    a, b, *m = map(int, numbers)
    if m == [0]:
        return None
    text = str(truth(a, marks[0], b, m[0] if m else None))
    return "".join(reversed(text)) if mark == "<" else text


def truth(a: int, operator: str, b: int, m: int | None) -> int:
    """Digit by digit, as one multiplies on paper."""
    if operator == "*":
        value = sum(a * int(d) * 10**i for i, d in enumerate(reversed(str(b))))
    else:
        value = sum((a, b)) if operator == "+" else -(b - a)
    return value if m is None else value - m * (value // m)


def mutate(rng: random.Random, text: str) -> str:
    """A right answer, with something done to it that looks as if it might pass."""
    i, j = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
    done = (
        lambda: text,
        lambda: text[:i] + rng.choice(ALPHABET) + text[j:],
        lambda: text[:i] + rng.choice(LOOK_ALIKES) + text[i + 1 :],
        lambda: text[:i] + rng.choice(GARBAGE) + text[i:],
        lambda: rng.choice(("0", "+", "-", " ", "00", "\t")) + text,
        lambda: text + rng.choice((" ", "\n", ".", "0", ";" + text, "=" + text, text)),
        lambda: text[::-1],
        lambda: text[i:j],
        lambda: "".join(rng.choices(ALPHABET, k=rng.randrange(12))),
        lambda: "9" * rng.choice((19, 400, 5000, 100_000)),
        lambda: rng.choice("([{-") * rng.choice((1, 30, 10_000)) + text,
        lambda: "**".join("9" * rng.randrange(2, 9)),
    )
    return rng.choice(done)()


def fuzz(n: int, seed: int) -> dict[str, float]:
    """n completions judged by verify.py; AssertionError on a wrong verdict. Microseconds a call."""
    rng = random.Random(seed)
    seconds, right = 0.0, 0
    for _ in range(n):
        a, b = (rng.randrange(10 ** rng.randrange(1, 19)) for _ in range(2))
        operator, reverse = rng.choice("+-*"), rng.random() < 0.5
        m = rng.randrange(1, 1000) if operator == "*" and rng.random() < 0.5 else None
        prompt = f"{a}{operator}{b}" + (f"%{m}" if m else "") + ("<" if reverse else "=")
        answer = str(truth(a, operator, b, m))[:: -1 if reverse else 1]
        said = mutate(rng, answer)
        if rng.random() < 0.1:
            prompt, said = mutate(rng, prompt), answer
        started = time.thread_time()
        verdict = verify(prompt, said)
        seconds, right = seconds + time.thread_time() - started, right + verdict
        assert verdict is (said == slow_answer(prompt)), (prompt[:99], said[:99])
    return {"n": n, "right": right, "mean_us": 1e6 * seconds / n}


def long_run(folder: Path, minutes: float) -> dict[str, float]:
    """Resident memory (MB) and open files of a run, after its first minute and until it is stopped:
    the last five minutes hold at most 5% more memory than the first, and no more files."""
    process = start(folder, "--steps 1000000 --eval-every 50 --out long".split())
    log, ends = folder / "long" / "metrics.jsonl", time.monotonic() + 60 * minutes
    while not log.exists():
        time.sleep(1)
        assert process.poll() is None, process.communicate()[1]
    time.sleep(60)
    samples, of_process = [], Path(f"/proc/{process.pid}")
    while time.monotonic() < ends:
        resident = re.search(r"VmRSS:\s*(\d+)", (of_process / "status").read_text())[1]
        samples.append((int(resident) / 1024, len(list((of_process / "fd").iterdir()))))
        time.sleep(10)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    part = max(len(samples) // 6, 1)
    first, few = map(max, zip(*samples[:part], strict=True))
    last, many = map(max, zip(*samples[-part:], strict=True))
    assert last <= 1.05 * first and many <= few, (first, last, few, many)
    found = {"minutes": minutes, "steps": read(folder / "long")[-1]["step"]}
    return found | {"first_mb": first, "last_mb": last, "more_files": many - few}


def main() -> None:
    parser = argparse.ArgumentParser(description="The tests that take three quarters of an hour.")
    parser.add_argument("parts", nargs="*", metavar="kills|fuzz|long_run")
    parser.add_argument("--minutes", type=float, default=30, help="of the long run")
    args = parser.parse_args()
    path, seed = ROOT / "results" / "soak.json", random.randrange(10**6)
    results = json.loads(path.read_text()) if path.exists() else {}
    runs = {"kills": lambda folder: kills(folder, 20, random.Random(seed)),
            "fuzz": lambda _: fuzz(10**6, seed),
            "long_run": lambda folder: long_run(folder, args.minutes)}  # fmt: skip
    for part in args.parts or runs:
        with tempfile.TemporaryDirectory() as folder:
            results[part] = runs[part](Path(folder)) | {"seed": seed}
        assert results[part].get("mean_us", 0) < 50
        print(part, results[part], flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
