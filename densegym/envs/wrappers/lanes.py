"""Worlds stepped side by side for SB3, without the deep copies of ``DummyVecEnv``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.util import dict_to_obs


class LaneVecEnv(DummyVecEnv):
    """SB3's in-process vector env with float64 rewards and infos copied once, not deeply.

    A deep copy of every info costs a tenth of a MuJoCo step and only protects from worlds that
    change an array after handing it out. Rewards stay float64: SB3's float32 buffer would round
    the world's own outcome.
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env[Any, Any]]]) -> None:
        super().__init__(env_fns)
        self.buf_rews = self.buf_rews.astype(np.float64)

    @classmethod
    def around(cls, host: DummyVecEnv) -> LaneVecEnv:
        """Return a host over the same worlds, with the seeds and options set on ``host``."""
        lanes = cls([partial(_same, env) for env in host.envs])
        lanes._seeds, lanes._options = list(host._seeds), list(host._options)
        return lanes

    def step_wait(self) -> Any:
        """Step every lane, resetting those that ended."""
        infos: list[dict[str, Any]] = []
        for lane, env in enumerate(self.envs):
            obs, self.buf_rews[lane], terminated, truncated, told = env.step(self.actions[lane])
            ended, info = terminated or truncated, dict(told)
            self.buf_dones[lane] = ended
            info["TimeLimit.truncated"] = truncated and not terminated
            if ended:
                info["terminal_observation"] = obs
                obs, self.reset_infos[lane] = env.reset()
            self._save_obs(lane, obs)
            infos.append(info)
        return self._obs_from_buf(), self.buf_rews.copy(), self.buf_dones.copy(), infos

    def _obs_from_buf(self) -> Any:
        """Return what the lanes show, copied; SB3's deep copy of the same takes longer."""
        shown = {key: rows.copy() for key, rows in self.buf_obs.items()}
        return dict_to_obs(self.observation_space, shown)


def _same(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return env
