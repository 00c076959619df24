"""Worlds of several agents in training: lanes for one shared policy, and evaluation by games."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from densegym.agents.training.config import TrainConfig
from densegym.agents.training.evaluate import Evaluation, Policy
from densegym.envs.tasks import find_world
from densegym.envs.world import World
from densegym.errors import DenseGymError, require
from densegym.plugins import resolve

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

_ALONE = ("agent", "others")  # arguments that put one agent among scripted ones
_FEW = 8  # agents whose returns are told one by one


class TeamWorld:
    """How a run makes a world of several agents.

    Args:
        world: its row.
        kwargs: constructor arguments of the run.
        eval_kwargs: those that are others in evaluation.
    """

    def __init__(
        self, world: World, kwargs: Mapping[str, Any], eval_kwargs: Mapping[str, Any]
    ) -> None:
        assert world.team is not None
        self._world, self._team = world, world.team
        self._kwargs = {**world.kwargs, **kwargs}
        self._eval_kwargs = {**self._kwargs, **eval_kwargs}
        self.agents = int(resolve(world.team.agents)(**self._kwargs))

    def lanes(self, games: int) -> VecEnv:
        """Return games side by side, a lane per agent."""
        require("stable_baselines3", extra="agents")
        from densegym.envs.wrappers.parallel_lanes import ParallelLanes

        if self._team.lanes is not None:
            made: VecEnv = resolve(self._team.lanes)(num_envs=games, **self._kwargs)
            return made
        return ParallelLanes([lambda: self._parallel(self._kwargs)] * games)

    def evaluator(self, games: int = 10) -> TeamEvaluator:
        """Return what plays games of all agents with one policy, so many side by side."""
        measures = self._world.card.measures
        return TeamEvaluator(
            lambda: self._parallel(self._eval_kwargs), games=games, measures=measures
        )

    def _parallel(self, kwargs: Mapping[str, Any]) -> Any:
        require("pettingzoo", extra="multi")
        from densegym.envs.wrappers.padding import padded

        return padded(resolve(self._team.parallel)(**kwargs))


def find_team(
    env_id: str, kwargs: Mapping[str, Any], eval_kwargs: Mapping[str, Any] = MappingProxyType({})
) -> TeamWorld | None:
    """Return a world of which all agents are moved; None where one acts alone.

    A market that is given ``agent`` or ``others`` is one agent among scripted ones.
    """
    world = find_world(env_id)
    if world is None or world.team is None or any(key in kwargs for key in _ALONE):
        return None
    return TeamWorld(world, kwargs, eval_kwargs)


def team_world(config: TrainConfig) -> TeamWorld | None:
    """Return the world of a run if all its agents learn; None where one acts alone."""
    kwargs = dict(config.env_kwargs)
    if config.run.episode_steps is not None:
        kwargs["max_episode_steps"] = config.run.episode_steps
    return find_team(config.env, kwargs, config.eval_kwargs)


class TeamEvaluator:
    """Plays games in which one policy moves every agent; its games are made once and kept.

    An episode is a game: its return is the mean over agents, and every agent's own stands in the
    measures (``return of <agent>``, of at most 8), beside the means over agents of ``measures``.
    Success is NaN where the world tells none.

    Args:
        make: makes one parallel environment with equal spaces.
        games: how many are played side by side.
        measures: keys of the last ``info`` of an episode to note.
    """

    def __init__(
        self, make: Callable[[], Any], *, games: int = 10, measures: Sequence[str] = ()
    ) -> None:
        self._make, self._games, self._measures = make, games, tuple(measures)
        self._worlds: list[Any] = []

    def evaluate(
        self,
        policy: Policy,
        *,
        episodes: int,
        seed: int,
        on_episode: Callable[[int], None] | None = None,
    ) -> Evaluation:
        """Play games; game ``i`` is reset with ``seed + i``.

        Args:
            policy: acts on a batch with a row per agent of every game.
            episodes: how many.
            seed: of the first game.
            on_episode: called with the number of finished games.

        Raises:
            DenseGymError: ``episodes`` is not positive.
        """
        if episodes < 1:
            raise DenseGymError(f"an evaluation needs at least one episode; given {episodes}")
        while len(self._worlds) < min(self._games, episodes):
            self._worlds.append(self._make())
        told = []
        for first in range(0, episodes, len(self._worlds)):
            count = min(len(self._worlds), episodes - first)
            told += self._play(policy, count, seed + first)
            if on_episode is not None:
                on_episode(len(told))
        columns: list[Any] = list(zip(*told, strict=True))
        returns = np.array(columns[0])
        names = self._worlds[0].possible_agents
        measures = {key: np.array(columns[3])[:, i] for i, key in enumerate(self._measures)}
        if len(names) <= _FEW:
            measures |= {f"return of {name}": returns[:, i] for i, name in enumerate(names)}
        length = np.array(columns[2], dtype=np.int64)
        return Evaluation(returns.mean(axis=1), np.array(columns[1]), length, measures)

    def close(self) -> None:
        """Close the games."""
        for world in self._worlds:
            world.close()
        self._worlds.clear()

    def _play(self, policy: Policy, games: int, seed: int) -> list[tuple[Any, ...]]:
        require("stable_baselines3", extra="agents")
        from densegym.envs.wrappers.parallel_lanes import ParallelLanes

        lanes = ParallelLanes([partial(_same, world) for world in self._worlds[:games]])
        n = lanes.agents
        lanes.seed_games(seed)
        obs = lanes.reset()
        fresh, live = np.ones(len(obs), np.bool_), np.ones(games, np.bool_)
        returns, length = np.zeros((games, n)), np.zeros(games, np.int64)
        success, measures = np.zeros(games), np.zeros((games, len(self._measures)))
        while live.any():
            obs, paid, dones, infos = lanes.step(policy(obs, fresh))
            fresh = dones.copy()
            over = dones.reshape(games, n)[:, 0] & live
            returns += np.where(live[:, None], paid.reshape(games, n), 0.0)
            length += live
            for game in np.flatnonzero(over):
                rows = infos[game * n : (game + 1) * n]
                success[game] = np.mean([row.get("is_success", np.nan) for row in rows])
                measures[game] = [np.mean([row[k] for row in rows]) for k in self._measures]
            live &= ~over
        return list(zip(returns, success, length, measures, strict=True))


def _same(world: Any) -> Any:
    return world
