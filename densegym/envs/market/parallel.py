"""A market behind PettingZoo's two interfaces: all at once, and one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import AECEnv, ParallelEnv

from densegym.envs.market.games import Games, Setting, rows_of
from densegym.errors import DenseGymError

_UNMADE = -1.0  # stands for an action that has not been made this round


class MarketParallel(ParallelEnv[str, Any, Any]):  # type: ignore[misc]  # untyped
    """All agents act at once; what ``densegym.make_parallel`` makes of a market's id.

    Args:
        render_mode: none.
        reward: belongs to the wrapper around the world; ignored.
        **setting: see ``games.Setting``.
    """

    def __init__(self, render_mode: str | None = None, reward: Any = None, **setting: Any) -> None:
        self.games = Games(Setting(**setting), api="parallel")
        name = f"market_{self.games.core.market.name}"
        self.metadata = {"name": name, "render_modes": [], "is_parallelizable": True}
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{i}" for i in range(self.games.agents)]
        self.agents: list[str] = []
        pairs = zip(self.possible_agents, self.games.action_spaces, strict=True)
        self.action_spaces = dict(pairs)
        self.observation_spaces = dict.fromkeys(self.possible_agents, self.games.observation_space)

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Box:
        """Return the space of an agent's actions, shape (1,)."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Begin a game; ``options`` are ignored, as PettingZoo's own tests ask."""
        self.games.seed(0, seed)
        self.agents = list(self.possible_agents)
        obs, info = self.games.begin()
        return self._named(obs[0]), self._named(rows_of(info, 0))

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """Let all agents act.

        Raises:
            DenseGymError: an agent is missing or unknown, an action is no finite number, or the
                game has not begun or has ended.
        """
        joint = np.array([[_number(actions, a) for a in self._expected(actions)]])
        told = self.games.step(joint)
        reward = self._named(told.reward[0].tolist())
        flags = [
            self._named([bool(flag[0])] * len(self.possible_agents))
            for flag in (told.terminated, told.truncated)
        ]
        if told.terminated[0] or told.truncated[0]:
            self.agents = []
        return self._named(told.obs[0]), reward, *flags, self._named(rows_of(told.info, 0))

    def state(self) -> Any:
        """Return what all agents see, joined: (n * D,) float32."""
        return self.games.observe()[0].reshape(-1)

    def render(self) -> None:
        """Draw nothing; ``densegym market film`` draws whole games."""

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _expected(self, actions: Any) -> list[str]:
        if not self.agents:
            begun = bool(self.games.core.t[0])
            raise DenseGymError(
                f"the game has {'ended' if begun else 'not begun'}; call reset() before step()"
            )
        check_agents(actions, self.agents)
        return self.agents

    def _named(self, rows: Any) -> dict[str, Any]:
        return dict(zip(self.possible_agents, rows, strict=True))


class MarketAEC(AECEnv[str, Any, Any]):  # type: ignore[misc]  # untyped
    """Agents act one after another; later ones see what earlier ones did, as followers do.

    An observation is that of ``MarketParallel`` and n numbers more: the actions made in this
    round, −1 where none was; the game steps when the last agent has acted.

    Args:
        render_mode: none.
        reward: belongs to the wrapper around the world; ignored.
        **setting: see ``games.Setting``.
    """

    def __init__(self, render_mode: str | None = None, reward: Any = None, **setting: Any) -> None:
        super().__init__()
        self.games = Games(Setting(**setting), api="parallel")
        name = f"market_{self.games.core.market.name}"
        self.metadata = {"name": name, "render_modes": [], "is_parallelizable": False}
        self.render_mode = render_mode
        self.possible_agents = [f"agent_{i}" for i in range(self.games.agents)]
        self.agents: list[str] = []
        pairs = zip(self.possible_agents, self.games.action_spaces, strict=True)
        self.action_spaces = dict(pairs)
        seen = self.games.observation_space
        high = max(float(seen.high.max()), *(float(s.high[0]) for s in self.games.action_spaces))
        width = seen.shape[0] + self.games.agents
        space = spaces.Box(_UNMADE, high, (width,), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, space)
        self._made = np.full(self.games.agents, _UNMADE, np.float32)

    def observation_space(self, agent: str) -> spaces.Box:
        """Return the space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Box:
        """Return the space of an agent's actions, shape (1,)."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin a game; ``options`` are ignored, as PettingZoo's own tests ask."""
        self.games.seed(0, seed)
        self.agents = list(self.possible_agents)
        self._seen, info = self.games.begin()
        self.infos = self._named(rows_of(info, 0))
        self.rewards = self._named([0.0] * len(self.agents))
        self._cumulative_rewards = dict(self.rewards)
        self.terminations = self._named([False] * len(self.agents))
        self.truncations = dict(self.terminations)
        self._made[:] = _UNMADE
        self.agent_selection = self.agents[0]

    def observe(self, agent: str) -> Any:
        """Return what an agent sees, and what was done before it in this round."""
        return np.concatenate([self._seen[0, self.possible_agents.index(agent)], self._made])

    def step(self, action: Any) -> None:
        """Let the selected agent act.

        Raises:
            DenseGymError: the action is no finite number, or nobody is left to act.
        """
        if not self.agents:
            raise DenseGymError("the game has not begun or has ended; call reset() before step()")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._cumulative_rewards[agent] = 0.0
        turn = self.possible_agents.index(agent)
        self._made[turn] = _number({agent: action}, agent)
        if turn == len(self.possible_agents) - 1:
            self._step_all()
        else:
            self._clear_rewards()
        self.agent_selection = self.agents[(turn + 1) % len(self.agents)]
        self._accumulate_rewards()

    def state(self) -> Any:
        """Return what all agents see, joined, and the actions of this round."""
        return np.concatenate([self._seen[0].reshape(-1), self._made])

    def render(self) -> None:
        """Draw nothing; ``densegym market film`` draws whole games."""

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _step_all(self) -> None:
        told = self.games.step(self._made[None].astype(np.float64))
        self._seen = told.obs
        self.rewards = self._named(told.reward[0].tolist())
        self.terminations = self._named([bool(told.terminated[0])] * len(self.possible_agents))
        self.truncations = self._named([bool(told.truncated[0])] * len(self.possible_agents))
        self.infos = self._named(rows_of(told.info, 0))
        self._made[:] = _UNMADE

    def _named(self, rows: Any) -> dict[str, Any]:
        return dict(zip(self.possible_agents, rows, strict=True))


def check_agents(actions: Any, agents: list[str]) -> None:
    """Refuse a dict of actions that leaves an agent out or names another.

    Raises:
        DenseGymError: says which.
    """
    missing = [agent for agent in agents if agent not in actions]
    foreign = [agent for agent in actions if agent not in agents]
    if missing or foreign:
        raise DenseGymError(
            f"a step takes one action from each of {', '.join(agents)}; missing: "
            f"{', '.join(missing) or 'none'}; unknown: {', '.join(map(str, foreign)) or 'none'}"
        )


def _number(actions: dict[str, Any], agent: str) -> float:
    given = np.asarray(actions[agent])
    if given.shape not in ((1,), ()) or given.dtype.kind not in "fiu":
        raise DenseGymError(
            f"the action of {agent} is one number, shape (1,); given {given.dtype} of shape "
            f"{given.shape}"
        )
    if not np.isfinite(given).all():
        raise DenseGymError(f"the action of {agent} is a finite number; given {given.item()}")
    return float(given.reshape(()))
