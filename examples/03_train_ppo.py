"""Plain Stable-Baselines3 on a dense reward, judged by the world's own outcome.

`densegym train` does this with presets, checkpoints and tables; here is what is inside.

Run: python examples/03_train_ppo.py [STEPS]        (40,000 steps take about 20 seconds)
"""

import sys

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import densegym
from densegym.envs.registration import bare_spec
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv

ENV = "DenseGym/ButtonPress-v0"
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000

# Bare worlds side by side; the reward is paid outside, one batched call per vector step.
lanes = LaneVecEnv([lambda: gym.make(bare_spec(ENV), max_episode_steps=120)] * 4)
paid = DenseRewardVecEnv(lanes, "authored", env_id=ENV)
stack = VecNormalize(VecMonitor(paid), gamma=0.99)

policy = {"net_arch": [128, 128], "log_std_init": -0.5}
model = PPO(
    "MlpPolicy", stack, n_steps=1024, batch_size=256, policy_kwargs=policy, seed=0, device="cpu"
)
model.learn(steps)

# Evaluation never asks the learned reward.
seen = densegym.evaluate(model, ENV, episodes=20, seed=100)
print(
    f"success {seen.success.mean():.2f}, return/env {seen.return_env.mean():.2f} over 20 episodes"
)
