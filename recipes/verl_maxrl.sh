#!/usr/bin/env bash
# MaxRL in verl 0.9.1, on GSM8K as verl's examples/data_preprocess/gsm8k.py writes it.
#
#   MODEL=Qwen/Qwen2.5-0.5B-Instruct DATA=~/data/gsm8k bash recipes/verl_maxrl.sh [any verl setting]
#
# The settings are checked against verl's own configuration, and the loss under them against ours,
# on CPUs; the whole job needs GPUs and was not run here. A run that was killed goes on when it is
# started again: trainer.resume_mode=auto is verl's default.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prompts=${PROMPTS:-128}  # per step
k=${K:-8}                # rollouts per prompt

# Every process of verl imports what this names. The environment of this shell is enough for one
# machine; workers on other machines of a ray cluster get it from runtime_env, below.
export VERL_USE_EXTERNAL_MODULES=verl_maxrl
export PYTHONPATH="$here:$here/..${PYTHONPATH:+:$PYTHONPATH}"
env=+ray_kwargs.ray_init.runtime_env.env_vars

settings=(
  algorithm.adv_estimator="${ESTIMATOR:-maxrl}"

  # The loss of maxrl.py: summed over tokens, divided by the number of rollouts. The default,
  # token-mean, has a factor that changes from batch to batch.
  actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-sum
  actor_rollout_ref.actor.policy_loss.loss_mode=vanilla
  # One update for each batch of rollouts, so that the ratio is 1 and nothing is clipped.
  actor_rollout_ref.actor.ppo_mini_batch_size="$prompts"
  actor_rollout_ref.actor.ppo_epochs=1
  # No KL and no entropy bonus. A KL in the reward makes rewards other than 0 and 1: an error.
  algorithm.use_kl_in_reward=False
  actor_rollout_ref.actor.use_kl_loss=False
  actor_rollout_ref.actor.entropy_coeff=0
  # Score what was sampled.
  actor_rollout_ref.rollout.temperature=1.0
  actor_rollout_ref.rollout.top_p=1.0
  actor_rollout_ref.rollout.top_k=-1

  data.train_batch_size="$prompts"
  actor_rollout_ref.rollout.n="$k"
  data.train_files="${DATA:?a folder with train.parquet and test.parquet}/train.parquet"
  data.val_files="$DATA/test.parquet"
  data.max_prompt_length=512
  data.max_response_length=1024
  actor_rollout_ref.model.path="${MODEL:?a name or folder}"
  actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8
  actor_rollout_ref.rollout.name=vllm
  # Sums over tokens have long gradients: with this default most early steps are clipped. That
  # changes the length of a step, not its direction.
  actor_rollout_ref.actor.grad_clip=1.0

  "$env.VERL_USE_EXTERNAL_MODULES=verl_maxrl"
  "$env.PYTHONPATH='$PYTHONPATH'"
)
exec "${PYTHON:-python}" -m verl.trainer.main_ppo "${settings[@]}" "$@"
