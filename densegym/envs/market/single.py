"""One agent of a market as a Gymnasium environment; the others follow a plan."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from densegym.envs.copying import Copied, check_state
from densegym.envs.market.baselines import Plan, constant, roster
from densegym.envs.market.games import Games, Setting, rows_of
from densegym.envs.options import check_options
from densegym.errors import DenseGymError, unknown
from densegym.generators import generator_state, restore_generator


class MarketEnv(Copied, gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """The game as one agent sees it: ``DenseGym/Market-<Name>-v0``.

    Pays that agent what the mode pays it. To play all agents, use ``densegym.make_parallel``,
    ``densegym.make_aec``, or the batched ``MarketVectorEnv``; it is one game behind all of them.

    Args:
        agent: which one acts here, from 0.
        others: how the rest play: a name of ``baselines.roster`` such as ``"tit-for-tat"``, a
            share of every endowment such as 0.5, or a function of the core.
        reward: belongs to the wrapper around the world; ignored.
        protocol: as well; the wrapper refuses what does not fit.
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
        protocol: Any = None,
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
        self._told: dict[str, Any] = {}
        market = self.games.core.market
        self._kind = f"{market.name} of {market.agents} and {market.horizon} steps, agent {agent}"

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a game, or go on from ``options={"state": state}``.

        Raises:
            UnknownNameError: another option.
        """
        check_options(self, options, ("state",))
        super().reset(seed=seed)
        if options and "state" in options:
            return self.set_state(options["state"])
        self.games.use(0, self.np_random)
        obs, info = self.games.begin()
        self._told = rows_of(info, 0)[self.agent]
        return obs[0, self.agent], dict(self._told)

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Act; everybody else acts at the same time."""
        given = np.asarray(action)
        if given.shape != (1,):
            raise DenseGymError(f"an action has shape (1,); given shape {given.shape}")
        actions = self.games.shares(self._plan(self.games.core))
        actions[0, self.agent] = given[0]
        told = self.games.step(actions)
        self._told = rows_of(told.info, 0)[self.agent]
        paid, ended = float(told.reward[0, self.agent]), bool(told.terminated[0])
        return told.obs[0, self.agent], paid, ended, bool(told.truncated[0]), dict(self._told)

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays from which ``set_state`` goes on."""
        return {
            "world": self._kind,
            "games": self.games.get_state(),
            "told": copy.deepcopy(self._told),
            "angry": copy.deepcopy(getattr(self._plan, "angry", None)),
            "generator": generator_state(self.np_random),
        }

    def set_state(self, state: Mapping[str, Any]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Go on from ``get_state`` of the same market and agent; returns that point.

        Raises:
            DenseGymError: it is no state, or one of another game.
        """
        check_state(self, state, self._kind)
        restore_generator(self.np_random, state["generator"])
        obs = self.games.set_state(state["games"])
        self._told = copy.deepcopy(state["told"])
        if hasattr(self._plan, "angry"):
            self._plan.angry = copy.deepcopy(state["angry"])
        return obs[0, self.agent], dict(self._told)

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
