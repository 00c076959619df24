"""Plays a bare world with any policy and records its episodes as a reward program reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from densegym.agents.training.evaluate import Evaluator, Policy
from densegym.envs.protocols import OWN
from densegym.envs.registration import bare_spec
from densegym.envs.robot.fitness import fitness
from densegym.envs.tasks import task_card
from densegym.reward_models.authored.screening.bank import Trajectory
from densegym.reward_models.batch import stack
from densegym.reward_models.episodes import EpisodeFile, save_episodes
from densegym.reward_models.features import feature_names, reader
from densegym.reward_models.types import Episode, Float, Info, Steps


@dataclasses.dataclass(slots=True)
class Tape:
    """One episode of T steps as the world told it.

    Attributes:
        obs: T + 1 observations.
        action: T actions.
        info: T + 1 infos, the one of the reset first.
        reward: T rewards of the world's own.
        terminated: T flags.
    """

    obs: list[Any]
    info: list[Info]
    action: list[Any] = dataclasses.field(default_factory=list)
    reward: list[float] = dataclasses.field(default_factory=list)
    terminated: list[bool] = dataclasses.field(default_factory=list)


class Player:
    """Plays and records episodes of one bare world; its lanes are made once and kept.

    Args:
        env_id: environment id.
        lanes: how many episodes run side by side, sharing one policy call.
        env_kwargs: for the world's constructor.
        max_episode_steps: time limit; None keeps the protocol's.
        protocol: see ``densegym.envs.protocols``.

    Raises:
        UnknownNameError: no such id or protocol; names the closest.
    """

    def __init__(
        self,
        env_id: str,
        *,
        lanes: int = 10,
        env_kwargs: Mapping[str, Any] | None = None,
        max_episode_steps: int | None = None,
        protocol: str = OWN,
    ) -> None:
        spec = bare_spec(env_id, protocol)
        tapes: dict[int, Tape] = {}
        self.horizon = max_episode_steps or spec.max_episode_steps
        bare = dataclasses.replace(spec, max_episode_steps=self.horizon, disable_env_checker=True)
        self._card, self._fitness, self._tapes = task_card(env_id), fitness(env_id), tapes
        self._evaluator = Evaluator(
            bare,
            lanes=lanes,
            env_kwargs=env_kwargs,
            around=lambda world: _Recorder(world, tapes),
        )

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._evaluator.close()

    def play(
        self,
        policy: Policy,
        episodes: int,
        seed: int,
        *,
        source: str,
        noise: float = float("nan"),
        on_episode: Callable[[int], None] | None = None,
    ) -> list[Trajectory]:
        """Play episodes and return them in the order of their seeds.

        Args:
            policy: acts on a batch of observations.
            episodes: how many.
            seed: of the first episode; episode ``i`` is reset with ``seed + i``.
            source: label of the trajectories.
            noise: share of random actions mixed into a scripted expert, or NaN.
            on_episode: called with the number of finished episodes.

        Raises:
            DenseGymError: ``episodes`` is not positive.
        """
        return [
            self.label(tape, source=source, noise=noise)
            for tape in self.tapes(policy, episodes, seed, on_episode=on_episode)
        ]

    def tapes(
        self,
        policy: Policy,
        episodes: int,
        seed: int,
        *,
        on_episode: Callable[[int], None] | None = None,
    ) -> list[Tape]:
        """Play episodes and return them as the world told them; arguments as in ``play``."""
        self._tapes.clear()
        self._evaluator.evaluate(policy, episodes=episodes, seed=seed, on_episode=on_episode)
        return [self._tapes[seed + i] for i in range(episodes)]

    def label(self, tape: Tape, *, source: str, noise: float = float("nan")) -> Trajectory:
        """Return an episode of this world as features, with its success and its F."""
        steps = as_steps(tape)
        features = {name: reader(self._card, name)(steps) for name in feature_names(self._card)}
        return Trajectory(
            features=features,
            source=source,
            success=bool(tape.info[-1]["is_success"]),
            fitness=self._fitness(tape.info, self.horizon or len(tape.action)),
            noise=noise,
        )


def as_steps(tape: Tape) -> Steps:
    """Return an episode as one batch of T steps in lane 0."""
    count = len(tape.action)
    zeros: Float = np.zeros(count)
    return Steps(
        slot=np.zeros(count, dtype=np.int64),
        t=np.arange(count),
        obs=stack(tape.obs[:-1]),
        action=stack(tape.action),
        next_obs=stack(tape.obs[1:]),
        env_reward=zeros,
        terminated=np.array(tape.terminated, dtype=np.bool_),
        truncated=np.zeros(count, dtype=np.bool_),
        info=tape.info[1:],
    )


def record_episodes(
    path: Path,
    env_id: str,
    policy: Policy,
    *,
    episodes: int,
    seed: int,
    env_kwargs: Mapping[str, Any] | None = None,
    protocol: str = OWN,
) -> None:
    """Play episodes of a bare world and write them for ``densegym relabel``."""
    with Player(env_id, env_kwargs=env_kwargs, protocol=protocol) as player:
        tapes = player.tapes(policy, episodes, seed)
    played = [as_episode(tape, slot) for slot, tape in enumerate(tapes)]
    save_episodes(path, EpisodeFile(env_id, "env", played))


def as_episode(tape: Tape, slot: int) -> Episode:
    """Return a tape as a whole episode that the world alone paid."""
    own: Float = np.array(tape.reward)
    return Episode(
        slot=slot,
        obs=stack(tape.obs),
        action=stack(tape.action),
        env_reward=own,
        dense_reward=own.copy(),
        terminated=tape.terminated[-1],
        info=tape.info[1:],
        start=tape.info[0],
    )


class _Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Writes every episode into ``tapes``, under the seed it was reset with."""

    def __init__(self, env: gym.Env[Any, Any], tapes: dict[int, Tape]) -> None:
        super().__init__(env)
        self._tapes = tapes

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        obs, info = self.env.reset(seed=seed, options=options)
        assert seed is not None, "an evaluator resets with a seed"
        self._tape = self._tapes[seed] = Tape([obs], [info])
        return obs, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        tape = self._tape
        tape.obs.append(obs)
        tape.action.append(np.array(action))
        tape.info.append(info)
        tape.reward.append(float(reward))
        tape.terminated.append(bool(terminated))
        return obs, reward, terminated, truncated, info
