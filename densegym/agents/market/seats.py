"""One agent of every game as lanes for SB3, while policies sit in the other seats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from densegym.reward_models.types import Int

Seated: TypeAlias = Callable[[Any], Any]
"""From observations (B, D) of one seat to its actions (B, ...)."""


class SeatVecEnv(VecEnvWrapper):
    """A lane per game of a host with a lane per agent: the lane of the agent who learns.

    Args:
        venv: lanes ``g * agents + i``, paid already.
        agents: per game.

    Attributes:
        seat: (games,) the agent who learns in each game; may change between episodes.
        others: by agent, the policy in every other seat.
    """

    def __init__(self, venv: VecEnv, agents: int) -> None:
        super().__init__(venv)
        self.agents = agents
        self.num_envs = venv.num_envs // agents
        self.seat: Int = np.zeros(self.num_envs, dtype=np.int64)
        self.others: dict[int, Seated] = {}
        self.reset_infos = [{} for _ in range(self.num_envs)]
        self._seen: Any = None
        self._actions: Any = None

    def lanes(self) -> Int:
        """Return (games,) the host's lanes of those who learn."""
        taken: Int = np.arange(self.num_envs) * self.agents + self.seat
        return taken

    def reset(self) -> Any:
        """Reset the host."""
        self._seen = self.venv.reset()
        return self._seen[self.lanes()]

    def step_async(self, actions: Any) -> None:
        """Let everybody act: the learner's actions, and what the others' policies say."""
        given = np.asarray(actions)
        joint = np.zeros((self.venv.num_envs, *given.shape[1:]), given.dtype)
        agent = np.arange(self.venv.num_envs) % self.agents
        for i, policy in self.others.items():
            rows = np.flatnonzero(agent == i)
            joint[rows] = policy(self._seen[rows])
        joint[self.lanes()] = given
        self.venv.step_async(joint)

    def step_wait(self) -> Any:
        """Return the rows of those who learn."""
        self._seen, paid, dones, infos = self.venv.step_wait()
        lanes = self.lanes()
        return self._seen[lanes], paid[lanes], dones[lanes], [infos[lane] for lane in lanes]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the host for every game."""
        return self.venv.get_attr(attr_name, indices)[: self.num_envs]

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the host's lanes."""
        return list(self.venv.seed(seed))
