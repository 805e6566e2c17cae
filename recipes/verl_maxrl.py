"""MaxRL in verl: the estimators of maxrl.py as values of `algorithm.adv_estimator`.

    VERL_USE_EXTERNAL_MODULES=verl_maxrl PYTHONPATH=recipes:. python -m verl.trainer.main_ppo ...

Importing this file registers them, and verl imports it in every process with that environment.
verl_maxrl.sh beside it has the whole line, with the settings under which verl's loss is ours;
`python recipes/verl_maxrl.py` prints the names. Left out: `rloo` and `grpo`, because verl has
estimators of those names (its rloo equals ours; its grpo divides by another deviation plus an
epsilon), and `rft`, which needs the mean of the whole batch. Tested with verl 0.9.1 on CPUs; a
whole verl job was not run.
"""

import os
import sys
from collections.abc import Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent.parent))
from maxrl import ADVANTAGES, OF_THE_BATCH, ORDERED

ORDER = "MAXRL_ORDER"  # environment variable: the order of `maxrl-loo` and `passk` (default k)


def uid_advantages(
    name: str,
    token_level_rewards: Tensor,
    response_mask: Tensor,
    index: Iterable[Any] = (),
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """`ADVANTAGES[name]` in verl's form: (advantages, returns), both (N, T).

    token_level_rewards, response_mask: (N, T) for N rollouts; the reward of a rollout is the sum of
    its row. index: the uid of each rollout's prompt, N of them in an array, a tensor or a list.
    Rows of one uid are a group, in any order and of any size. Every token of a rollout gets the
    rollout's advantage, and padding gets 0. ValueError: too few or too many uids, or rewards that
    `name` does not take (with verl's `use_kl_in_reward`, almost all of them).
    """
    # As plain values: two tensors are two keys of a dict, even if they hold the same number.
    uids = [uid.item() if hasattr(uid, "item") else uid for uid in index]
    rewards = token_level_rewards.sum(dim=1) * 1.0  # (N,), floating-point whatever they were
    if len(uids) != len(rewards):
        raise ValueError(f"{name} needs a uid for each of {len(rewards)} rollouts, not {len(uids)}")
    groups: dict[Any, list[int]] = {}
    for row, uid in enumerate(uids):
        groups.setdefault(uid, []).append(row)
    order = int(os.environ[ORDER]) if name in ORDERED and os.environ.get(ORDER) else None
    advantages = torch.zeros_like(rewards)
    for rows in groups.values():
        advantages[rows] = ADVANTAGES[name](rewards[rows].unsqueeze(0), order=order)[0]
    spread = advantages.unsqueeze(1) * response_mask  # (N, T)
    return spread, spread


def register() -> list[str]:
    """Register every name that verl does not have yet, and return the names that are ours."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est

    for name in ADVANTAGES:
        if name not in ADV_ESTIMATOR_REGISTRY and name not in OF_THE_BATCH:
            register_adv_est(name)(partial(uid_advantages, name))
    return [n for n, f in ADV_ESTIMATOR_REGISTRY.items() if getattr(f, "func", 0) is uid_advantages]


def main() -> int:
    """Print the names that are registered."""
    if not find_spec("verl"):
        print("verl_maxrl.py: verl is not installed; try: make recipe-verl", file=sys.stderr)
        return 2
    print("algorithm.adv_estimator may be", ", ".join(register()))
    return 0


if find_spec("verl"):
    register()
if __name__ == "__main__":
    sys.exit(main())
