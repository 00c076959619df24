"""Your own environment: a reward in one line, for CartPole and for one with a Dict observation.

Run: python examples/05_your_own_env.py
"""

import gymnasium as gym
import numpy as np

import densegym


def upright(obs, action, next_obs, info):
    return 1.0 - abs(float(next_obs[2])) / 0.21


env = densegym.wrap(gym.make("CartPole-v1"), reward=upright)
env.reset(seed=0)
_, paid, _, _, info = env.step(0)
print(f"CartPole paid {info['reward/env']:.2f}; the agent was paid {paid:.3f}")


class Corridor(gym.Env):
    """Walk to the goal."""

    observation_space = gym.spaces.Dict(
        place=gym.spaces.Box(-1, 1, (1,), np.float32), goal=gym.spaces.Box(-1, 1, (1,), np.float32)
    )
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal = np.float32([-0.5]), self.np_random.uniform(0.2, 0.9, 1)
        return self.seen(), {}

    def step(self, action):
        self.place = np.clip(self.place + 0.1 * np.clip(action, -1, 1), -1, 1)
        there = bool(abs(self.place - self.goal)[0] < 0.1)
        return self.seen(), float(there), there, False, {}

    def seen(self):
        return {"place": np.float32(self.place), "goal": np.float32(self.goal)}


gym.register("Corridor-v0", entry_point=Corridor, max_episode_steps=50)
card = densegym.register_task("Corridor-v0", success="terminated", goal="Walk to the goal.")
print("features of rewards:", ", ".join(feature.name for feature in card.features))


def nearer(steps):
    return -np.abs(steps.next_obs["place"] - steps.next_obs["goal"])[:, 0]


env = densegym.make("Corridor-v0", reward=nearer)
obs, ended = env.reset(seed=0)[0], False
while not ended:
    obs, paid, terminated, truncated, info = env.step(np.sign(obs["goal"] - obs["place"]))
    ended = terminated or truncated
told = {key: round(info[key], 2) for key in ("is_success", "return/env", "return/dense")}
print(told)
