"""MaxRL in verl: the estimators of maxrl.py as values of `algorithm.adv_estimator`.

    VERL_USE_EXTERNAL_MODULES=verl_maxrl PYTHONPATH=recipes:. python -m verl.trainer.main_ppo ...

Importing this file registers them; verl imports it in every process that has that environment.
verl_maxrl.sh beside it has the whole line, with the settings under which verl's loss is ours.
`python recipes/verl_maxrl.py` says what is registered. Left out: `rloo` and `grpo`, names that verl
has (its rloo is ours, its grpo divides by another deviation plus an epsilon), and `rft`, which
needs the mean of the whole batch. Tried with verl 0.9.1 on CPUs; no whole job was run here.
"""

import os
import sys
from collections.abc import Callable, Sequence
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
    index: Sequence[Any] | None = None,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """`ADVANTAGES[name]` in verl's form: (advantages, returns), both (N, T).

    token_level_rewards, response_mask: (N, T), of N rollouts; a rollout's reward is the sum of its
    row. index: (N,) what tells prompts apart; rows of one prompt are a group, in any order and of
    any size. The same advantage stands at every token of a rollout, 0 after its end. ValueError:
    rewards that `name` does not take. verl's `use_kl_in_reward` makes all rewards such.
    """
    if index is None:
        raise ValueError(f"{name} needs the uid of each rollout's prompt")
    rewards = token_level_rewards.sum(dim=1)  # (N,)
    groups: dict[Any, list[int]] = {}
    for row, uid in enumerate(index):
        groups.setdefault(uid, []).append(row)
    order = int(os.environ[ORDER]) if name in ORDERED and ORDER in os.environ else None
    advantages = torch.zeros_like(rewards)
    for rows in groups.values():
        advantages[rows] = ADVANTAGES[name](rewards[rows].unsqueeze(0), order=order)[0]
    spread = advantages.unsqueeze(1) * response_mask  # (N, T)
    return spread, spread


def register() -> list[str]:
    """Register every name that verl has not; returns those that are ours."""
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, register_adv_est

    for name in ADVANTAGES:
        if name not in ADV_ESTIMATOR_REGISTRY and name not in OF_THE_BATCH:
            function: Callable[..., tuple[Tensor, Tensor]] = partial(uid_advantages, name)
            register_adv_est(name)(function)
    return [n for n, f in ADV_ESTIMATOR_REGISTRY.items() if getattr(f, "func", 0) is uid_advantages]


def main() -> int:
    """Say what is registered."""
    if not find_spec("verl"):
        print("verl_maxrl.py: no verl here; install it: make recipe-verl", file=sys.stderr)
        return 2
    print("algorithm.adv_estimator may be", ", ".join(register()))
    return 0


if find_spec("verl"):
    register()
if __name__ == "__main__":
    sys.exit(main())
