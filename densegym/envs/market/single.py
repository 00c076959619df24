"""One agent of a market as a Gymnasium environment; the others follow a plan."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from densegym.envs.market.baselines import Plan, constant, roster
from densegym.envs.market.games import Games, Setting, rows_of
from densegym.errors import DenseGymError, unknown


class MarketEnv(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """The game as one agent sees it: ``DenseGym/Market-<Name>-v0``.

    Pays that agent what the mode pays it. To play all agents, use ``densegym.make_parallel``,
    ``densegym.make_aec``, or the batched ``MarketVectorEnv``; it is one game behind all of them.

    Args:
        agent: which one acts here, from 0.
        others: how the rest play: a name of ``baselines.roster`` such as ``"tit-for-tat"``, a
            share of every endowment such as 0.5, or a function of the core.
        reward: belongs to the wrapper around the world; ignored.
        render_mode: none.
        **setting: see ``games.Setting``.

    Raises:
        DenseGymError: no such agent or plan.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # Gymnasium's own form

    def __init__(
        self,
        agent: int = 0,
        others: str | float | Plan = "tit-for-tat",
        reward: Any = None,
        render_mode: str | None = None,
        **setting: Any,
    ) -> None:
        self.games = Games(Setting(**setting))
        if not 0 <= agent < self.games.agents:
            raise DenseGymError(
                f"{self.games.core.market.name} has agents 0 to {self.games.agents - 1}; "
                f"given agent={agent}"
            )
        self.agent, self._others = agent, others
        self._plan = self._plan_of(others)
        self.observation_space = self.games.observation_space
        self.action_space = self.games.action_spaces[agent]
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a game."""
        super().reset(seed=seed)
        self.games.use(0, self.np_random)
        obs, info = self.games.begin()
        return obs[0, self.agent], rows_of(info, 0)[self.agent]

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Act; everybody else acts at the same time."""
        given = np.asarray(action)
        if given.shape != (1,):
            raise DenseGymError(f"an action has shape (1,); given shape {given.shape}")
        actions = self.games.shares(self._plan(self.games.core))
        actions[0, self.agent] = given[0]
        told = self.games.step(actions)
        info = rows_of(told.info, 0)[self.agent]
        paid, ended = float(told.reward[0, self.agent]), bool(told.terminated[0])
        return told.obs[0, self.agent], paid, ended, bool(told.truncated[0]), info

    def _plan_of(self, others: str | float | Plan) -> Plan:
        if callable(others):
            return others
        if isinstance(others, int | float):
            return constant(float(others))
        if others == "random":
            shape = (1, self.games.agents)
            return lambda core: self.np_random.random(shape) * core.endowment.T
        core = self.games.core
        plans = roster(core.market, core.payoff, 0.5)
        if others not in plans:
            raise unknown("plan of the others", str(others), plans)
        return plans[others]
