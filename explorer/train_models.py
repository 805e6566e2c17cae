"""Train the checkpoints that the explorer runs in the page, and write them to models.json.

    OMP_NUM_THREADS=1 python explorer/train_models.py      # four minutes on one thread

One seed, one warm start: `base`. From it RLOO, GRPO and MaxRL train with the same settings (one
learning rate, the same prompts, as many rollouts). The weights become 16-bit numbers. models.json
also has test prompts with each model's exact pass rate, by the rounded weights in model.py.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import train  # noqa: E402
from data.batches import make_batch, rng  # noqa: E402
from data.tokenizer import ALPHABET, END  # noqa: E402
from harness import checkpoint  # noqa: E402
from harness.command import Parser, command  # noqa: E402
from model import GPT, logprobs  # noqa: E402

CPU = torch.device("cpu")
OUT = Path(__file__).with_name("models.json")
TEST = 1000  # draws of test prompts, which no model was trained on; repeated ones count once
SHARED = (
    "--digits 2 --no-reverse --n-layer 2 --n-head 4 --n-embd 64 --sft-until 0.4 --sft-steps 5000 "
    "--sft-lr 2e-3 --batch-size 64 --k 64 --lr 4e-4 --seed 0 --device cpu"
)
RUNS = {
    "base": "--method maxrl --steps 0",
    "rloo": "--method rloo --steps 1000",
    "grpo": "--method grpo --steps 1000",
    "maxrl": "--method maxrl --steps 1000",
}


def rounded(model: GPT) -> GPT:
    """The same model with every weight the nearest 16-bit number."""
    with torch.no_grad():
        for w in model.parameters():
            w.copy_(w.half().float())
    return model


def packed(model: GPT) -> str:
    """All weights in the order of the state dict, 16 bits each, in base64."""
    flat = torch.cat([w.half().flatten() for w in model.state_dict().values()])
    return base64.b64encode(flat.numpy().astype("<f2").tobytes()).decode()


def command_of(name: str) -> str:
    """What trains a model; the page shows it."""
    return f"python train.py {RUNS[name]} {SHARED}"


def checkpoint_of(name: str) -> tuple[Path, str]:
    """Where a run's checkpoint is, trained if it is not there, and the command that trains it."""
    out, flags = Path("runs/explorer", name), f"{RUNS[name]} {SHARED}"
    if not (out / "ckpt.pt").exists() and train.main([*flags.split(), "--out", str(out)]):
        raise SystemExit(1)
    return out, command_of(name)


def main() -> None:
    """Train what is missing in runs/explorer, then export."""
    Parser(prog="train_models.py", description=main.__doc__).parse_args()
    models: dict[str, Any] = {}
    for name in RUNS:
        out, command = checkpoint_of(name)
        content = checkpoint.load(out)
        model = rounded(checkpoint.load_model(content, CPU))
        task = checkpoint.load_task(content)
        problems = sorted(set(task.draw(rng(0, "explorer"), TEST, "test")))
        batch = make_batch(problems, task, CPU)
        with torch.no_grad():
            logp = logprobs(model, batch.prompts, batch.answers, END)
        models[name] = {"command": command, "logp": [round(x, 4) for x in logp.tolist()]}
        models[name]["weights"] = packed(model)
    common = {
        "config": content["model_config"],
        "alphabet": ALPHABET,
        "digits": content["config"]["digits"],
        "length": task.max_new_tokens,
        "prompts": batch.texts,
    }
    OUT.write_text(json.dumps(common | {"models": models}, indent=1) + "\n", encoding="utf-8")
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(command("train_models.py", main))
