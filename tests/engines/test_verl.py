"""recipes/verl_maxrl.py in verl itself: `make test-engines`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("verl")
import hydra
from verl import DataProto
from verl.trainer.ppo import core_algos, ray_trainer

from maxrl import ADVANTAGES
from recipes import measure, verl_maxrl

ROOT = Path(__file__).resolve().parents[2]
OURS = ("reinforce", "maxrl", "maxrl-raw", "maxrl-loo", "tailrl", "passk", "maxrl-std")
PATH = f"{ROOT / 'recipes'}:{ROOT}"
ENVIRONMENT = {"VERL_USE_EXTERNAL_MODULES": "verl_maxrl", "PYTHONPATH": PATH}
SHOW = "from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY as r; print('maxrl' in r)"


def batch(seed: int = 0):
    """Rows of 4 prompts with 1, 3, 5 and 8 rollouts, shuffled: rewards (N,), mask (N, T), uids."""
    g = torch.Generator().manual_seed(seed)
    uids = [f"prompt-{size}" for size in (1, 3, 5, 8) for _ in range(size)]
    uids = np.array([uids[i] for i in torch.randperm(len(uids), generator=g)], dtype=object)
    rewards = (torch.rand(len(uids), generator=g) < 0.4).float()
    rewards[uids == "prompt-3"] = 0.0
    lengths = torch.randint(1, 7, (len(uids), 1), generator=g)
    return rewards, (torch.arange(6) < lengths).float(), uids


def at_the_last_token(rewards: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Where verl puts a rollout's reward: (N, T)."""
    last = mask.sum(1).long() - 1
    return torch.zeros_like(mask).scatter(1, last.unsqueeze(1), rewards.unsqueeze(1))


def test_names_that_verl_has_stay_its_own():
    assert set(verl_maxrl.register()) == set(OURS), "a second call changes nothing"
    for name in ("grpo", "rloo"):
        assert core_algos.get_adv_estimator_fn(name).__module__ == core_algos.__name__
    with pytest.raises(ValueError, match="rft"):
        core_algos.get_adv_estimator_fn("rft")


@pytest.mark.parametrize("name", (*OURS, "rloo"))
def test_compute_advantage_with_shuffled_groups_of_unlike_size(name):
    """The function of verl's trainer that calls the registry, on a batch of its own type. Its rloo
    is ours already."""
    rewards, mask, uids = batch()
    if name == "tailrl":  # which takes any reward
        rewards = 3 * rewards - mask.sum(1) / 4
    tensors = {"token_level_rewards": at_the_last_token(rewards, mask), "response_mask": mask}
    data = DataProto.from_dict(tensors=tensors, non_tensors={"uid": uids})
    data = ray_trainer.compute_advantage(data, adv_estimator=name, config=None)
    got = data.batch["advantages"]
    assert torch.equal(got, data.batch["returns"]) and bool((got[mask == 0] == 0).all())
    for uid in set(uids):
        rows = torch.from_numpy(uids == uid)
        ours = ADVANTAGES[name](rewards[None, rows].double()).T * mask[rows]
        assert torch.allclose(got[rows].double(), ours, rtol=1e-6, atol=1e-6)
    assert got.abs().max() > 0


@pytest.mark.parametrize(("mode", "near"), [("seq-mean-token-sum", True), ("token-mean", False)])
def test_the_loss_is_ours_and_the_default_is_not(mode, near):
    logp, mask, rewards = measure.rollouts(1)
    advantages = ADVANTAGES["maxrl"](rewards).flatten()
    ours = measure.our_gradient(logp, mask, advantages)
    theirs = measure.verl_gradient(logp, mask, advantages.unsqueeze(1) * mask, mode)
    distance = (theirs - ours).norm() / ours.norm()
    assert distance < 1e-7 if near else distance > 0.1


def run(words, folder, **environment):
    """What a command prints in a process of its own, which shares only the environment."""
    env = os.environ | {"PYTHONPATH": "", "RAY_USAGE_STATS_ENABLED": "0"} | environment
    done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=folder, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_registration_in_a_ray_worker(tmp_path):
    """By runtime_env alone, as on a cluster: the driver's own environment names nothing of ours."""
    code = f"""
import ray
@ray.remote
def look():
    {SHOW.replace("print(", "return (")}
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
without = ray.get(look.remote())
with_it = ray.get(look.options(runtime_env={{"env_vars": {ENVIRONMENT!r}}}).remote())
print("without", without, "with", with_it)
"""
    assert "without False with True" in run([sys.executable, "-c", code], tmp_path)


def test_the_launch_script_makes_a_configuration_of_verl(tmp_path):
    """Every setting is one that verl knows; the last ones on the command line win."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    python.chmod(0o755)
    environment = {"PYTHON": str(python), "MODEL": "m", "DATA": "d", "PROMPTS": "24"}
    script = ["bash", str(ROOT / "recipes" / "verl_maxrl.sh"), "trainer.total_epochs=3"]
    module, *settings = run(script, tmp_path, **environment).splitlines()[1:]
    assert module == "verl.trainer.main_ppo"
    with hydra.initialize_config_module("verl.trainer.config", version_base=None):
        config = hydra.compose("ppo_trainer", overrides=settings)
    actor = config.actor_rollout_ref.actor
    assert config.algorithm.adv_estimator == "maxrl" and config.trainer.total_epochs == 3
    assert actor.loss_agg_mode == "seq-mean-token-sum" and actor.policy_loss.loss_mode == "vanilla"
    assert actor.ppo_mini_batch_size == config.data.train_batch_size == 24
    assert not config.algorithm.use_kl_in_reward and not actor.use_kl_loss
    env_vars = config.ray_kwargs.ray_init.runtime_env.env_vars
    assert env_vars.VERL_USE_EXTERNAL_MODULES == "verl_maxrl"
    assert str(ROOT / "recipes") in env_vars.PYTHONPATH
