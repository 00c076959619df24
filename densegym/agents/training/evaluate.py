"""Evaluation on the world's own outcome: no learned reward is ever asked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from densegym.envs.wrappers.actions import ActionCheck
from densegym.envs.wrappers.protocol import under_protocol
from densegym.errors import ActionError, DenseGymError
from densegym.reward_models.batch import stack
from densegym.reward_models.types import Bool, Float, Int


class Policy(Protocol):
    """Acts on a batch of observations; ``fresh`` marks lanes that begin an episode."""

    def __call__(self, obs: Any, fresh: Bool) -> Any:
        """Return one action per lane."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation saw, an entry per episode.

    Attributes:
        return_env: (episodes,) float64, undiscounted sum of the world's own reward.
        success: (episodes,) float64, 1.0 where the world's success rule was met, as the protocol
            of the world has it; NaN where the world has no rule.
        length: (episodes,) int64 steps.
        measures: (episodes,) float64 each, other outcomes by their key in the last ``info``.
        latched: (episodes,) float64, 1.0 where the rule was met at any step.
        last: (episodes,) float64, 1.0 where it was met at the last step; None where the world does
            not tell ``info["success_now"]``.
    """

    return_env: Float
    success: Float
    length: Int
    measures: Mapping[str, Float] = field(default_factory=dict)
    latched: Float | None = None
    last: Float | None = None

    @property
    def success_rate(self) -> float | None:
        """Share of successful episodes; None where the world tells no success."""
        return None if np.isnan(self.success).any() else float(self.success.mean())

    @property
    def told_success(self) -> list[float] | None:
        """Success as it is stored: a number per episode; None where the world tells none."""
        return None if self.success_rate is None else self.success.tolist()

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists, as stored in ``eval.jsonl``."""
        told: dict[str, Any] = {
            "return_env": self.return_env.tolist(),
            "success": self.told_success,
            "length": self.length.tolist(),
        }
        for name, seen in (("success_latched", self.latched), ("success_last", self.last)):
            if seen is not None:
                told[name] = seen.tolist()
        if self.measures:
            told["measures"] = {key: seen.tolist() for key, seen in self.measures.items()}
        return told


class Evaluator:
    """Plays episodes of one world with fixed placements; its lanes are made once and kept.

    Args:
        spec: the world without any reward wrapper.
        lanes: how many episodes run side by side, sharing one policy call.
        env_kwargs: for the world's constructor.
        measures: keys of the last ``info`` of an episode to note.
        around: put around every world, below what a protocol changes of it.
    """

    def __init__(
        self,
        spec: EnvSpec,
        *,
        lanes: int = 10,
        env_kwargs: Mapping[str, Any] | None = None,
        measures: Sequence[str] = (),
        around: Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]] = lambda world: world,
    ) -> None:
        self._around = around
        self._spec, self._lanes, self._env_kwargs = spec, lanes, dict(env_kwargs or {})
        self._measures = tuple(measures)
        self._worlds: list[gym.Env[Any, Any]] = []

    def evaluate(
        self,
        policy: Policy,
        *,
        episodes: int,
        seed: int,
        on_episode: Callable[[int], None] | None = None,
    ) -> Evaluation:
        """Play episodes and report the world's outcome.

        Episode ``i`` is reset with ``seed + i``, whatever lane it runs in, so two policies face
        the same placements.

        Args:
            policy: acts on a batch of observations.
            episodes: how many.
            seed: of the first episode.
            on_episode: called with the number of finished episodes.

        Raises:
            DenseGymError: ``episodes`` is not positive.
            ActionError: the policy chose what no world should see.
        """
        if episodes < 1:
            raise DenseGymError(f"an evaluation needs at least one episode; given {episodes}")
        while len(self._worlds) < min(self._lanes, episodes):
            self._worlds.append(
                under_protocol(self._around(gym.make(self._spec, **self._env_kwargs)))
            )
        worlds = self._worlds[:episodes]
        return _play(policy, worlds, episodes, seed, self._measures, on_episode)

    def close(self) -> None:
        """Close the lanes."""
        for world in self._worlds:
            world.close()
        self._worlds.clear()


def _play(
    policy: Policy,
    worlds: list[gym.Env[Any, Any]],
    episodes: int,
    seed: int,
    keys: Sequence[str],
    on_episode: Callable[[int], None] | None,
) -> Evaluation:
    measures = {key: np.zeros(episodes) for key in keys}
    returns, success, length = np.zeros(episodes), np.zeros(episodes), np.zeros(episodes, np.int64)
    latched, last, tells = np.zeros(episodes), np.zeros(episodes), True
    playing = np.arange(len(worlds))
    obs = [world.reset(seed=seed + i)[0] for i, world in enumerate(worlds)]
    fresh = np.ones(len(worlds), dtype=np.bool_)
    waiting, finished = len(worlds), 0
    check = ActionCheck(worlds[0].action_space, lambda lane: int(length[playing[lane]]))
    while (playing >= 0).any():
        actions = policy(stack(obs), fresh)
        if len(actions) != len(worlds):
            raise ActionError(
                f"the policy chose {len(actions)} actions for {len(worlds)} observations; expected "
                "one each"
            )
        fresh = np.zeros(len(worlds), dtype=np.bool_)
        for lane in np.flatnonzero(playing >= 0):
            episode = playing[lane]
            check(actions[lane], int(lane))
            obs[lane], reward, terminated, truncated, info = worlds[lane].step(actions[lane])
            returns[episode] += float(reward)
            length[episode] += 1
            now = info.get("success_now")
            latched[episode] = max(latched[episode], now or 0.0, info.get("is_success", 0.0))
            if terminated or truncated:
                tells = tells and now is not None
                last[episode] = now or 0.0
                success[episode] = float(info.get("is_success", np.nan))
                for key in keys:
                    measures[key][episode] = float(info[key])
                finished += 1
                if on_episode is not None:
                    on_episode(finished)
                playing[lane] = waiting if waiting < episodes else -1
                if waiting < episodes:
                    obs[lane] = worlds[lane].reset(seed=seed + waiting)[0]
                    fresh[lane] = True
                    waiting += 1
    if np.isnan(success).any():
        return Evaluation(returns, success, length, measures)
    return Evaluation(returns, success, length, measures, latched, last if tells else None)
