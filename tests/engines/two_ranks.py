"""One step of EstimatorTrainer on each of two ranks, for test_trl.py; writes what it found."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from maxrl import ADVANTAGES
from recipes import measure


def main(folder: Path) -> None:
    """7 groups of 6 rollouts in 3 passes of 7 on each rank: 21 rows, three groups and a half."""
    trainer = measure.trl_trainer(
        folder, num_generations=6, per_device_train_batch_size=7, gradient_accumulation_steps=3
    )
    trainer.train()
    mine = {n: v for n, v in trainer.scored.items() if n.endswith(("ids", "mask", "advantages"))}
    mine |= {"prompts": [row["prompt"] for row in trainer.scored["inputs"]]}
    both = [None, None]
    dist.all_gather_object(both, mine)

    prompts, rows, masks, theirs = ([x for part in both for x in part[name]] for name in (
        "prompts", "completion_ids", "completion_mask", "advantages"))  # fmt: skip
    ids = [row[mask.bool()].tolist() for row, mask in zip(rows, masks, strict=True)]
    given = zip(measure.demo_reward(prompts, ids), ids, strict=True)
    rewards = torch.tensor([r * (row[-1] == 1) for r, row in given]).view(-1, 6)
    ours = ADVANTAGES["maxrl"](rewards.double()).flatten()

    gradient = torch.zeros_like(trainer.gradient)
    for part, advantages in zip(both, ours.split(21), strict=True):  # each half of 42, by itself
        trainer.scored = part
        gradient += measure.trl_our_gradient(trainer, folder, advantages) / 2
    difference = (trainer.gradient - gradient).norm() / gradient.norm()
    found = {"prompts_of_both": len(set(prompts)), "dead": int((rewards.sum(1) == 0).sum())}
    found["advantages"] = (torch.stack(theirs).double() - ours).abs().max().item()
    found["gradient"] = difference.item()
    (folder / f"rank{dist.get_rank()}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
