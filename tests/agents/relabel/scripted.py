"""A world whose episodes and rewards are written down beforehand."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from tests.toys import CARD

ENDS = ("terminated", "truncated")
Script = list[tuple[int, str]]  # episodes: length and how they end


class Scripted(gym.Env):
    """Episodes of given lengths and ends; step ``k`` of its life pays ``k``; then endless."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, script: Script, as_dict: bool = False) -> None:
        box = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.observation_space = gym.spaces.Dict({"seen": box}) if as_dict else box
        self.script, self.as_dict = list(script), as_dict
        self.life = self.t = 0
        self.episode = -1

    def _obs(self) -> Any:
        obs = np.array([self.t, self.life % 7], dtype=np.float32)
        return {"seen": obs} if self.as_dict else obs

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.episode = 0, self.episode + 1
        return self._obs(), {}

    def step(self, action):
        self.life, self.t = self.life + 1, self.t + 1
        length, how = (10**9, "") if self.episode >= len(self.script) else self.script[self.episode]
        ends = [self.t == length and how == end for end in ENDS]
        return self._obs(), float(self.life), *ends, {}

    def action_masks(self) -> np.ndarray:
        return np.ones(2, dtype=bool)


def lanes(scripts: list[Script], reward: Any, as_dict: bool = False) -> DenseRewardVecEnv:
    worlds = [lambda script=script: Scripted(script, as_dict) for script in scripts]
    return DenseRewardVecEnv(LaneVecEnv(worlds), reward, task=CARD)
