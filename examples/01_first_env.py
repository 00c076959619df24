"""A Sawyer arm with a learned dense reward: one word in gym.make.

Run: python examples/01_first_env.py
"""

import gymnasium as gym

import densegym
from densegym.envs.robot import expert_policy

ENV = "DenseGym/ButtonPress-v0"
env = gym.make(ENV, reward="authored")
expert = expert_policy(ENV)

obs, info = env.reset(seed=0)
ended = False
while not ended:
    obs, reward, terminated, truncated, info = env.step(expert(obs))
    ended = terminated or truncated

print(f"the agent was paid    {info['return/dense']:.2f}")
print(f"the world itself paid {info['return/env']:.2f}, success {info['is_success']:.0f}")
print({key: round(value, 3) for key, value in info.items() if key.startswith("reward/")})

# The same task, eight lanes, one batched call of the reward model per step.
lanes = densegym.make_vec(ENV, 8, reward=["env", {"model": "authored", "mode": "add"}], seed=0)
lanes.reset()
_, rewards, *_ = lanes.step(lanes.action_space.sample())
print("eight lanes were paid ", rewards.round(3))
