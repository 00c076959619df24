"""All agents of many games as a Stable-Baselines3 vector environment, for one shared policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from densegym.envs.market.games import Games, Setting, rows_of
from densegym.envs.options import check_options
from densegym.envs.wrappers.shared_lanes import SharedLanes
from densegym.errors import DenseGymError


def make_lanes(*, num_envs: int, **setting: Any) -> MarketVecEnv:
    """Return the lanes of ``num_envs`` games."""
    return MarketVecEnv(Games(Setting(**setting), num_envs))


class MarketVecEnv(SharedLanes):
    """Steps games and begins ended ones at once; lane ``g * n + i`` is agent i of game g.

    Args:
        games: what is played; actions must be shares, so that all agents' spaces are equal.
    """

    def __init__(self, games: Games) -> None:
        if any(space != games.action_spaces[0] for space in games.action_spaces):
            raise DenseGymError(
                'actions in units differ between these agents; use action="fraction"'
            )
        self.agents = games.agents
        lanes = games.games * games.agents
        super().__init__(lanes, games.observation_space, games.action_spaces[0])
        self.games = games

    def reset(self) -> Any:
        """Begin all games, seeded by the first lane of each if ``seed`` was called."""
        for options in self._options:
            check_options(self, options, ())
        for game in range(self.games.games):
            self.games.seed(game, self._seeds[game * self.agents])
        obs, info = self.games.begin()
        self._reset_seeds()
        self._reset_options()
        for game in range(self.games.games):
            first = game * self.agents
            self.reset_infos[first : first + self.agents] = rows_of(info, game)
        return obs.reshape(self.num_envs, -1)

    def step_wait(self) -> Any:
        """Step every game, beginning ended ones again."""
        told = self.games.step(np.asarray(self._actions).reshape(self.games.games, self.agents))
        infos = [row for game in range(self.games.games) for row in rows_of(told.info, game)]
        ended, obs = told.terminated | told.truncated, told.obs
        cut = np.repeat(told.truncated & ~told.terminated, self.agents).tolist()
        for info, flag in zip(infos, cut, strict=True):
            info["TimeLimit.truncated"] = flag
        if ended.any():
            over = np.flatnonzero(ended).tolist()
            last = obs.reshape(self.num_envs, -1)
            obs, fresh = self.games.begin(over)
            for game in over:
                first = game * self.agents
                for lane, row in enumerate(rows_of(fresh, game), start=first):
                    infos[lane]["terminal_observation"] = last[lane]
                    self.reset_infos[lane] = row
        dones = np.repeat(ended, self.agents)
        return obs.reshape(self.num_envs, -1), told.reward.reshape(-1).copy(), dones, infos
