"""The hosts that people put environments into, each playing one script and telling what was paid.

A host is a function from a script to nothing: it raises where the id cannot be played there, where
an observation or a reward is not what its space says, or where another reward arrives than from
``gym.make``. ``Unsuited`` says that the host is not made for such worlds.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces, wrappers
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

import densegym
from densegym.envs import tasks
from densegym.errors import DenseGymError
from densegym.reward_models.spec import RewardSpec, build_engine

LANES = 2
_SEED = 11
_PATIENCE = 300  # seconds that a worker process may take
_LIMIT = 2  # steps, where a time limit is laid over the world's own


class Unsuited(Exception):
    """A host that is not made for such a world; the message says why."""


class Differs(DenseGymError):
    """A host shows or pays what the world alone does not."""


def learned(env_id: str) -> RewardSpec:
    """Return the shipped program of a task, or a bonus for what is new in an episode."""
    try:
        build_engine("authored", 1, task=tasks.task_card(env_id)).close()
    except DenseGymError:
        return "intrinsic/episodic-count-v1"
    return "authored"


@dataclass(frozen=True)
class Script:
    """What is played in every host: equal actions under equal seeds.

    Attributes:
        env_id: of the world.
        steps: at most so many; a stream ends with its episode.
    """

    env_id: str
    steps: int

    @cached_property
    def rewards(self) -> tuple[RewardSpec, RewardSpec]:
        """Return the default reward and a learned one."""
        return (None, learned(self.env_id))

    @cached_property
    def actions(self) -> list[Any]:
        """Return the actions, the same in every lane."""
        with closing(gym.make(self.env_id)) as env:
            env.action_space.seed(_SEED)
            return [env.action_space.sample() for _ in range(self.steps)]

    @cached_property
    def paid(self) -> Mapping[tuple[str, int], list[float]]:
        """Return what ``gym.make`` pays, by reward and lane."""
        return {
            (str(reward), lane): self.play(gym.make(self.env_id, **_given(reward)), lane)
            for reward in self.rewards
            for lane in range(LANES)
        }

    def play(self, env: gym.Env[Any, Any], lane: int = 0) -> list[float]:
        """Play one environment as a lane does; returns what it paid."""
        with closing(env):
            obs: Any = env.reset(seed=_SEED + lane)[0]
            _check_inside(env.observation_space, obs)
            stream: list[float] = []
            for action in self.actions:
                obs, reward, terminated, truncated, _ = env.step(action)
                _check_inside(env.observation_space, obs)
                stream.append(float(reward))
                if terminated or truncated:
                    break
        return stream

    def expect(self, streams: Sequence[list[float]], rewards: Sequence[RewardSpec]) -> None:
        """Compare what lanes were paid with what the world alone pays.

        Raises:
            Differs: something else, or not a finite number.
        """
        for lane, (stream, reward) in enumerate(zip(streams, rewards, strict=True)):
            alone = self.paid[str(reward), lane]
            if not np.isfinite(stream).all():
                raise Differs(f"lane {lane} of reward {reward} was paid {stream}")
            # Some hosts keep rewards as float32.
            if not np.array_equal(_single(stream), _single(alone)):
                raise Differs(f"lane {lane} of reward {reward} was paid {stream}, not {alone}")


def hosts(methods: Sequence[str]) -> dict[str, Callable[[Script], None]]:
    """Return every host by name.

    Args:
        methods: how worker processes are started: ``"fork"``, ``"forkserver"``, ``"spawn"``.
    """
    return {
        "gym.make": _alone,
        "densegym.make": _densegym_make,
        "gym.make_vec": partial(_make_vec, mode=None),
        "gym.make_vec sync": partial(_make_vec, mode="sync"),
        "gym.make_vec async": partial(_make_vec, mode="async"),
        "densegym.make_vec": _densegym_make_vec,
        **{f"AsyncVectorEnv {method}": partial(_async, method=method) for method in methods},
        "DummyVecEnv": _dummy,
        **{f"SubprocVecEnv {method}": partial(_subproc, method=method) for method in methods},
        "FlattenObservation": _flattened,
        "batched spaces": _batched,
        "RecordEpisodeStatistics": _statistics,
        "TimeLimit": _time_limit,
        "RecordVideo": _video,
    }


def start_methods() -> tuple[str, ...]:
    """Return how this system can start processes."""
    return tuple(sorted(multiprocessing.get_all_start_methods()))


def _single(stream: Sequence[float]) -> Any:
    return np.asarray(stream, dtype=np.float32)


def _given(reward: RewardSpec) -> dict[str, Any]:
    return {} if reward is None else {"reward": reward}


def _check_inside(space: spaces.Space[Any], obs: Any) -> None:
    if not space.contains(obs):
        raise Differs(f"observed something outside of {space}")


def _alone(script: Script) -> None:
    for reward in script.rewards:
        script.expect([script.paid[str(reward), lane] for lane in range(LANES)], [reward] * LANES)


def _densegym_make(script: Script) -> None:
    for reward in script.rewards:
        env = densegym.make(script.env_id, reward=reward)
        script.expect([script.play(env)], [reward])


def _make_vec(script: Script, *, mode: str | None) -> None:
    for reward in script.rewards:
        env = gym.make_vec(script.env_id, LANES, vectorization_mode=mode, **_given(reward))
        script.expect(_vector_streams(env, script), [reward] * LANES)


def _densegym_make_vec(script: Script) -> None:
    for reward in script.rewards:
        env = densegym.make_vec(script.env_id, LANES, reward=reward)
        script.expect(_vector_streams(env, script), [reward] * LANES)


def _lanes(script: Script) -> list[Callable[[], gym.Env[Any, Any]]]:
    """Return lanes of the default and of the learned reward, which are sent as id alone."""
    return [partial(gym.make, script.env_id, **_given(reward)) for reward in script.rewards]


def _async(script: Script, *, method: str) -> None:
    env = AsyncVectorEnv(_lanes(script), context=method)
    script.expect(_vector_streams(env, script), script.rewards)


def _dummy(script: Script) -> None:
    _refuse_text(script)
    script.expect(_sb3_streams(DummyVecEnv(_lanes(script)), script), script.rewards)


def _subproc(script: Script, *, method: str) -> None:
    _refuse_text(script)
    env = SubprocVecEnv(_lanes(script), start_method=method)
    script.expect(_sb3_streams(env, script), script.rewards)


def _refuse_text(script: Script) -> None:
    with closing(gym.make(script.env_id)) as env:
        if isinstance(env.observation_space, spaces.Text):
            raise Unsuited("Stable-Baselines3 knows no texts")


def _vector_streams(env: Any, script: Script) -> list[list[float]]:
    with closing(env):
        if isinstance(env, AsyncVectorEnv):
            env.reset_async(seed=_SEED)
            obs: Any = env.reset_wait(timeout=_PATIENCE)[0]
        else:
            obs, _ = env.reset(seed=_SEED)
        _check_lanes(env, obs)
        rows = []
        for action in script.actions:
            obs, rewards, terminated, truncated, _ = env.step(_batch(env, action))
            _check_lanes(env, obs)
            rows.append((rewards, terminated | truncated))
    return _until_the_end(rows)


def _check_lanes(env: Any, obs: Any) -> None:
    for lane in iterate(env.observation_space, obs):
        _check_inside(env.single_observation_space, lane)


def _batch(env: Any, action: Any) -> Any:
    space = env.single_action_space
    return concatenate(space, [action] * LANES, create_empty_array(space, LANES))


def _sb3_streams(env: Any, script: Script) -> list[list[float]]:
    with closing(env):
        env.seed(_SEED)
        env.reset()
        rows = []
        for action in script.actions:
            _, rewards, dones, _ = env.step(np.stack([action] * LANES))
            rows.append((rewards, dones))
    return _until_the_end(rows)


def _until_the_end(rows: Sequence[tuple[Any, Any]]) -> list[list[float]]:
    """Return what every lane was paid in its first episode."""

    def stream(lane: int) -> Iterator[float]:
        for rewards, ended in rows:
            yield float(rewards[lane])
            if ended[lane]:
                return

    return [list(stream(lane)) for lane in range(LANES)]


def _flattened(script: Script) -> None:
    env: Any = wrappers.FlattenObservation(gym.make(script.env_id))
    script.expect([script.play(env)], [None])


def _batched(script: Script) -> None:
    with closing(gym.make(script.env_id)) as env:
        space = env.observation_space
        seen = [env.reset(seed=_SEED + lane)[0] for lane in range(LANES)]
    batch = concatenate(space, seen, create_empty_array(space, LANES))
    _check_inside(batch_space(space, LANES), batch)
    for one, again in zip(seen, iterate(batch_space(space, LANES), batch), strict=True):
        if not data_equivalence(one, again):
            raise Differs("an observation is another one after it was batched")


def _statistics(script: Script) -> None:
    for reward in script.rewards:
        env: Any = wrappers.RecordEpisodeStatistics(gym.make(script.env_id, **_given(reward)))
        script.expect([script.play(env)], [reward])


def _time_limit(script: Script) -> None:
    for reward in script.rewards:
        env = gym.make(script.env_id, max_episode_steps=_LIMIT, **_given(reward))
        stream, alone = script.play(env), script.paid[str(reward), 0]
        if len(stream) != min(_LIMIT, len(alone)):
            raise Differs(f"an episode of {_LIMIT} steps took {len(stream)}")
        if reward is None and stream != alone[:_LIMIT]:
            raise Differs(f"was paid {stream}, not {alone[:_LIMIT]}")


def _video(script: Script) -> None:
    with closing(gym.make(script.env_id)) as env:
        if "rgb_array" not in env.metadata["render_modes"]:
            raise Unsuited("the world draws no pictures")
    env = gym.make(script.env_id, render_mode="rgb_array")
    if importlib.util.find_spec("moviepy") is None:  # what it would be given
        _check_pictures(script, env)
        return
    with tempfile.TemporaryDirectory() as folder:
        host: Any = wrappers.RecordVideo(env, folder, episode_trigger=lambda _: True)
        script.expect([script.play(host)], [None])
        if not [path for path in Path(folder).glob("*.mp4") if path.stat().st_size]:
            raise Differs("no video was written")


def _check_pictures(script: Script, env: gym.Env[Any, Any]) -> None:
    host: Any = wrappers.RenderCollection(env, pop_frames=False, reset_clean=False)
    script.expect([script.play(host)], [None])
    for picture in host.frame_list:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise Differs(f"a picture is {picture.dtype} {picture.shape}")
