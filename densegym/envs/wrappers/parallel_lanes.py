"""Parallel environments side by side for SB3: a lane per agent, for one shared policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from densegym.envs.options import check_options
from densegym.envs.wrappers.shared_lanes import SharedLanes
from densegym.errors import DenseGymError


class ParallelLanes(SharedLanes):
    """Steps G parallel environments of n agents each; lane ``g * n + i`` is agent i of game g.

    A game begins again when all its agents have ended. Until then an agent that has left sees
    zeros, earns nothing, and its episode goes on; so the lanes of a game end together. ``info``
    of a lane holds ``team/game``, ``team/agent`` and ``team/size``.

    Args:
        makers: one function per game; its agents have equal spaces (see ``padding.padded``).

    Raises:
        DenseGymError: agents have unequal spaces.
    """

    def __init__(self, makers: Sequence[Callable[[], Any]]) -> None:
        self.games = [make() for make in makers]
        self.names = list(self.games[0].possible_agents)
        self.agents = len(self.names)
        for kind in ("observation_space", "action_space"):
            every = [getattr(self.games[0], kind)(name) for name in self.names]
            if any(space != every[0] for space in every):
                raise DenseGymError(f"agents of one policy have one {kind}; given {every}")
        first = self.names[0]
        lanes = len(self.games) * self.agents
        seen, acted = self.games[0].observation_space(first), self.games[0].action_space(first)
        super().__init__(lanes, seen, acted)
        self._blank = np.zeros(seen.shape, seen.dtype)
        self._ended = np.zeros((lanes, 2), np.bool_)  # terminated, truncated

    def reset(self) -> Any:
        """Begin all games, seeded by the first lane of each if ``seed`` was called.

        Raises:
            UnknownNameError: ``set_options`` gave any; games that share a policy take none.
        """
        for options in self._options:
            check_options(self, options, ())
        rows = [self._begin(g, self._seeds[g * self.agents]) for g in range(len(self.games))]
        self._reset_seeds()
        self._reset_options()
        return np.concatenate(rows)

    def seed_games(self, seed: int) -> None:
        """Reset game g with ``seed + g`` next time."""
        for game in range(len(self.games)):
            self._seeds[game * self.agents] = seed + game

    def step_wait(self) -> Any:
        """Step every game, beginning ended ones again."""
        obs, rewards, dones = [], np.zeros(self.num_envs), np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = []
        for g in range(len(self.games)):
            lanes = slice(g * self.agents, (g + 1) * self.agents)
            seen, rewards[lanes], told = self._step(g)
            over = self._ended[lanes].any(axis=1).all()
            dones[lanes] = over
            for i, info in enumerate(told):
                terminated, truncated = self._ended[lanes][i]
                info["TimeLimit.truncated"] = bool(over and truncated and not terminated)
                if over:
                    info["terminal_observation"] = seen[i]
            infos += told
            obs.append(self._begin(g, None) if over else seen)
        return np.concatenate(obs), rewards, dones, infos

    def _begin(self, game: int, seed: int | None) -> Any:
        obs, infos = self.games[game].reset(seed=seed)
        first = game * self.agents
        self._ended[first : first + self.agents] = False
        rows = [self._told(game, i, infos.get(name, {})) for i, name in enumerate(self.names)]
        self.reset_infos[first : first + self.agents] = rows
        return self._stacked(obs)

    def _step(self, game: int) -> tuple[Any, Any, list[dict[str, Any]]]:
        env, first = self.games[game], game * self.agents
        live = set(env.agents)
        actions = {
            name: self._actions[first + i] for i, name in enumerate(self.names) if name in live
        }
        obs, rewards, terminated, truncated, infos = env.step(actions)
        for i, name in enumerate(self.names):
            if name in live:
                flags = terminated.get(name, False), truncated.get(name, False)
                self._ended[first + i] = flags
        if not env.agents:  # whoever is left in no list has ended
            self._ended[first : first + self.agents, 0] |= ~self._ended[
                first : first + self.agents
            ].any(axis=1)
        paid = [float(rewards.get(name, 0.0)) for name in self.names]
        told = [self._told(game, i, infos.get(name, {})) for i, name in enumerate(self.names)]
        return self._stacked(obs), paid, told

    def _told(self, game: int, agent: int, info: dict[str, Any]) -> dict[str, Any]:
        team = {"team/game": float(game), "team/agent": float(agent)}
        return {**info, **team, "team/size": float(self.agents)}

    def _stacked(self, obs: dict[Any, Any]) -> Any:
        return np.stack([np.asarray(obs.get(name, self._blank)) for name in self.names])

    def close(self) -> None:
        """Close all games."""
        for game in self.games:
            game.close()
