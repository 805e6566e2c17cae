"""The loss of each engine beside ours, measured: this makes the table of README.md.

    .venv-trl/bin/python recipes/measure.py trl      # every loss_type of TRL, half a minute
    .venv-verl/bin/python recipes/measure.py verl    # every loss_agg_mode of verl, seconds
    python recipes/measure.py table                  # measured.json into README.md

Each setting gets the same advantages (MaxRL's) and the same rollouts of different lengths as our
loss, in three batches. Then the gradients are compared: the factor between them, whether it is one
of the FACTORS below, and their cosine. In TRL it is the gradient of a model's weights in a real
step of its trainer, in verl that of the log-probabilities of the tokens. Left out: losses that are
off-policy, and TRL's importance_sampling_level, which changes nothing while the ratio is 1.
"""

import json
import math
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent.parent))
from maxrl import ADVANTAGES, policy_gradient_loss

HERE = Path(__file__).resolve().parent
MEASURED = HERE / "measured.json"
B, K, L = 7, 5, 6  # prompts, rollouts of each, longest completion
BATCHES = 3  # of different rollouts: they show a factor that is not constant

# What a factor may be, as a function of a batch's number of tokens.
FACTORS = {
    "1": lambda tokens: 1.0,
    "1 / longest allowed completion": lambda tokens: 1 / L,
    "B k": lambda tokens: B * K,
    "B k / tokens of the batch": lambda tokens: B * K / tokens,
    "0.2 B k / tokens of the batch": lambda tokens: 0.2 * B * K / tokens,  # 0.2: TRL's `epsilon`
}


def compare(theirs: Tensor, ours: Tensor, tokens: int) -> dict[str, float]:
    """The factor and the cosine between two gradients of one batch, and its number of tokens."""
    dot, square = (theirs @ ours).item(), (ours @ ours).item()
    cosine = dot / math.sqrt(square * (theirs @ theirs).item())
    return {"factor": dot / square, "cosine": cosine, "tokens": tokens}


def summary(engine: str, setting: str, batches: list[dict[str, float]]) -> dict[str, Any]:
    """A row of the table. exact: the same direction in every batch, to 1e-6."""
    cosine = min(batch["cosine"] for batch in batches)
    named = [
        name
        for name, of in FACTORS.items()
        if all(abs(b["factor"] / of(b["tokens"]) - 1) < 1e-4 for b in batches)
    ]
    row: dict[str, Any] = {"engine": engine, "setting": setting}
    row |= {"cosine": round(cosine, 6), "factors": [float(f"{b['factor']:.5g}") for b in batches]}
    return row | {"factor": named[0] if named else None, "exact": cosine > 1 - 1e-6}


# ------------------------------------------------------------------------------------- TRL

TRL_LOSSES = ("luspo", "dr_grpo", "dapo", "bnpo", "cispo", "vespo", "grpo", "sapo")


def demo_reward(prompts: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
    """A verdict that random completions often earn; a third of the prompts are never solved."""
    dead = [int(prompt.split()[0]) % 3 == 0 for prompt in prompts]
    return [float(not d and ids[0] % 2) for d, ids in zip(dead, completion_ids, strict=True)]


def trl_trainer(folder: Path, estimator: str = "maxrl", seed: int = 0, **settings: Any) -> Any:
    """A trainer of one step on the demo's model, whose random completions have 1 to L tokens. After
    `train()` it has `gradient` (of all weights, before clipping) and `scored` (what it scored)."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig

    from recipes.demo import make_demo
    from recipes.trl_maxrl import EXACT, EstimatorTrainer

    if not (folder / "model").exists():
        make_demo(folder)

    class Catch(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            trainer.gradient = torch.cat([w.grad.flatten() for w in trainer.model.parameters()])

    class Recorder(EstimatorTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
            self.scored = super()._generate_and_score_completions(inputs) | {"inputs": inputs}
            return self.scored

    sizes = dict(num_generations=K, max_completion_length=L, max_steps=1, max_grad_norm=0.0)
    passes = dict(per_device_train_batch_size=K, gradient_accumulation_steps=B, seed=seed)
    quiet = dict(use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True)
    config = EXACT | sizes | passes | quiet | dict(output_dir=str(folder / "out")) | settings
    prompts = [f"{a} {b} {c}" for a in range(4) for b in range(4) for c in range(4)]
    data = Dataset.from_dict({"prompt": prompts})
    args = (str(folder / "model"), demo_reward, GRPOConfig(**config), data)
    trainer = Recorder(*args, callbacks=[Catch()], estimator=estimator)
    return trainer


def trl_our_gradient(trainer: Any, folder: Path, advantages: Tensor | None = None) -> Tensor:
    """The gradient of policy_gradient_loss on what the trainer scored, by a model of its own."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    s = trainer.scored
    ids = torch.cat((s["prompt_ids"], s["completion_ids"]), 1)  # (N, P+L), padded left and right
    mask = torch.cat((s["prompt_mask"], s["completion_mask"]), 1)
    length = s["completion_ids"].shape[1]
    logits = model(ids, attention_mask=mask).logits[:, -length - 1 : -1]  # (N, L, V)
    logp = logits.log_softmax(-1).gather(2, s["completion_ids"].unsqueeze(2)).squeeze(2)
    logp = (logp * s["completion_mask"]).sum(1)  # (N,)
    policy_gradient_loss(logp, s["advantages"] if advantages is None else advantages).backward()
    return torch.cat([w.grad.flatten() for w in model.parameters()])


def trl_batch(loss: str, seed: int, folder: Path) -> dict[str, float]:
    """One batch of one loss_type."""
    trainer = trl_trainer(folder, seed=seed, loss_type=loss)
    trainer.train()
    tokens = int(trainer.scored["completion_mask"].sum())
    return compare(trainer.gradient, trl_our_gradient(trainer, folder), tokens)


# ------------------------------------------------------------------------------------ verl

VERL_MODES = (
    "seq-mean-token-sum",
    "seq-mean-token-sum-norm",
    "token-mean",
    "token-sum",
    "seq-mean-token-mean",
)


def rollouts(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random log-probabilities (B k, L), the mask of their 1 to L tokens, and rewards (B, k)."""
    g = torch.Generator().manual_seed(seed)
    logp = -torch.rand(B * K, L, generator=g, dtype=torch.double)
    lengths = torch.randint(1, L + 1, (B * K, 1), generator=g)
    rewards = (torch.rand(B, K, generator=g) < 0.4).double()
    rewards[::3] = 0  # dead groups
    return logp, (torch.arange(L) < lengths).double(), rewards


def verl_gradient(logp: Tensor, mask: Tensor, advantages: Tensor, mode: str) -> Tensor:
    """That of verl's loss in the token log-probabilities; advantages (N, L). On-policy."""
    from verl.trainer.ppo.core_algos import get_policy_loss_fn
    from verl.workers.config import ActorConfig

    config = ActorConfig(strategy="fsdp", rollout_n=K, ppo_micro_batch_size_per_gpu=1)
    logp = logp.clone().requires_grad_()
    loss, _ = get_policy_loss_fn("vanilla")(
        old_log_prob=logp.detach(), log_prob=logp, advantages=advantages, response_mask=mask,
        loss_agg_mode=mode, config=config,
    )  # fmt: skip
    return torch.autograd.grad(loss, logp)[0].flatten()


def our_gradient(logp: Tensor, mask: Tensor, advantages: Tensor) -> Tensor:
    """That of policy_gradient_loss, likewise; advantages (N,)."""
    logp = logp.clone().requires_grad_()
    loss = policy_gradient_loss((logp * mask).sum(1), advantages)
    return torch.autograd.grad(loss, logp)[0].flatten()


def verl_batch(mode: str, seed: int, _: Path) -> dict[str, float]:
    """One batch of one loss_agg_mode."""
    from recipes.verl_maxrl import uid_advantages

    logp, mask, rewards = rollouts(seed)
    token_rewards = torch.zeros_like(mask)
    token_rewards[:, 0] = rewards.flatten()
    theirs, _returns = uid_advantages("maxrl", token_rewards, mask, [i // K for i in range(B * K)])
    ours = our_gradient(logp, mask, ADVANTAGES["maxrl"](rewards).flatten())
    return compare(verl_gradient(logp, mask, theirs, mode), ours, int(mask.sum()))


# ----------------------------------------------------------------------------------- files

ENGINES = {  # the argument of this command: name, setting, values of the setting, a batch of one
    "trl": ("TRL", "loss_type", TRL_LOSSES, trl_batch),
    "verl": ("verl", "loss_agg_mode", VERL_MODES, verl_batch),
}


def table(rows: list[dict[str, Any]]) -> str:
    """The table of README.md."""
    lines = ["| engine | setting | multiple of our loss | our direction? |", "|---|---|---|---|"]
    for row in rows:
        low, high = min(row["factors"]), max(row["factors"])
        factor = row["factor"] or f"{low:g} to {high:g} in three batches"
        exact = "**exactly**" if row["exact"] else f"no: cosine down to {row['cosine']:.3f}"
        lines.append(f"| {row['engine']} | `{row['setting']}` | {factor} | {exact} |")
    return "\n".join(lines)


def write_table() -> None:
    """measured.json into README.md, between its two marks."""
    path = HERE / "README.md"
    before, start, rest = path.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    _, end, after = rest.partition("<!-- end -->")
    assert start and end, "README.md has lost the marks of its table"
    rows = json.loads(MEASURED.read_text())
    path.write_text(f"{before}{start}{table(rows)}\n{end}{after}", encoding="utf-8")


def main() -> int:
    """Measure one engine and keep the rows of the other, or write the table."""
    if len(sys.argv) != 2 or sys.argv[1] not in (*ENGINES, "table"):
        print("measure.py: say trl, verl or table", file=sys.stderr)
        return 2
    if sys.argv[1] == "table":
        write_table()
        return 0
    engine, setting, values, batch = ENGINES[sys.argv[1]]
    tested = f"{engine} {version(engine.lower())}"
    with tempfile.TemporaryDirectory() as folder:
        new = [
            summary(tested, f"{setting}={v}", [batch(v, s, Path(folder)) for s in range(BATCHES)])
            for v in values
        ]
    kept = [row for row in json.loads(MEASURED.read_text()) if row["engine"].split()[0] != engine]
    rows = sorted(kept + new, key=lambda row: row["engine"].split()[0])  # stable
    MEASURED.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(new))
    return 0


if __name__ == "__main__":
    sys.exit(main())
