"""Meta-World's benchmarks of several tasks as one vector environment, a lane for each task."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from densegym.envs.tasks import worlds
from densegym.errors import DenseGymError, require, unknown
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import Float

GOALS = 50  # frozen placements of a task in Meta-World's own benchmarks
_SETS = {
    "MT10": ("MT10_V3", None),
    "MT25": ("MT25_V3", None),
    "MT50": ("MT50_V3", None),
    **{f"ML{n}-{part}": (f"ML{n}_V3", part) for n in (10, 25, 45) for part in ("train", "test")},
}


def task_set(name: str) -> tuple[str, ...]:
    """Return the ids of one of Meta-World's benchmarks, in its order.

    Args:
        name: ``"MT10"``, ``"MT25"``, ``"MT50"``, or ``"ML10-train"``, ``"ML10-test"`` and so with
            25 and 45.

    Raises:
        MissingExtraError: Meta-World is not installed.
        UnknownNameError: no such benchmark.
    """
    if name not in _SETS:
        raise unknown("set of tasks", name, _SETS)
    require("metaworld", extra="robot")
    listed, part = _SETS[name]
    found: Any = getattr(require("metaworld.env_dict", extra="robot"), listed)
    upstream = found if part is None else found[part]
    ids = {world.kwargs.get("task"): world.card.id for world in worlds()}
    return tuple(ids[task] for task in upstream)


def make_task_set(
    name: str,
    *,
    reward: RewardSpec = None,
    goals: int | None = GOALS,
    goals_seed: int = 0,
    one_hot: bool = True,
    vectorization_mode: str = "sync",
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    **kwargs: Any,
) -> VectorEnv[Any, Any, Any]:
    """Make one of Meta-World's benchmarks: every lane is a task, paid by its own reward.

    Args:
        name: as for ``task_set``.
        reward: a reward specification; every task gets a model of its own.
        goals: frozen placements of each task; None draws new ones.
        goals_seed: decides which; the test half of a benchmark takes another seed.
        one_hot: append which task it is to the observation, (tasks,) zeros and a one.
        vectorization_mode: ``"sync"`` or ``"async"``.
        autoreset_mode: when ended lanes begin again.
        **kwargs: for every world's constructor, and ``max_episode_steps``.

    Returns:
        A vector environment whose observations are (tasks, 39), or (tasks, 39 + tasks), float64.

    Raises:
        UnknownNameError: no such benchmark or reward.
        DenseGymError: no such way to vectorise.
    """
    ids = task_set(name)
    given = {**kwargs, "goals": goals, "goals_seed": goals_seed}
    if reward is not None:
        given["reward"] = reward

    def lane(index: int) -> gym.Env[Any, Any]:
        env = gym.make(ids[index], **given)
        return TaskId(env, index if one_hot else None, len(ids))

    makers = [(lambda index=index: lane(index)) for index in range(len(ids))]
    if vectorization_mode == "sync":
        return SyncVectorEnv(makers, autoreset_mode=autoreset_mode)
    if vectorization_mode == "async":
        return AsyncVectorEnv(makers, autoreset_mode=autoreset_mode)
    raise DenseGymError(f'vectorization_mode is "sync" or "async"; given "{vectorization_mode}"')


class TaskId(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Gives all tasks one observation space, and says which task it is.

    Bounds of goals differ between tasks; here they are those of no task.

    Args:
        env: one task.
        index: which one it is, or None to say nothing.
        tasks: how many there are.
    """

    def __init__(self, env: gym.Env[Any, Any], index: int | None, tasks: int) -> None:
        RecordConstructorArgs.__init__(self, index=index, tasks=tasks)
        gym.Wrapper.__init__(self, env)
        self._code: Float = np.zeros(0)
        if index is not None:
            self._code = np.zeros(tasks)
            self._code[index] = 1.0
        shape = env.observation_space.shape
        assert shape is not None  # of a Box
        low, ones = np.full(shape, -np.inf), np.ones(len(self._code))
        self.observation_space = spaces.Box(
            np.concatenate([low, 0.0 * ones]), np.concatenate([-low, ones]), dtype=np.float64
        )

    def reset(self, **kwargs: Any) -> tuple[Float, dict[str, Any]]:
        """Reset, and say which task it is."""
        obs, info = self.env.reset(**kwargs)
        return self._told(obs), info

    def step(self, action: Any) -> Any:
        """Step, and say which task it is."""
        obs, *rest = self.env.step(action)
        return self._told(obs), *rest

    def _told(self, obs: Float) -> Float:
        return np.concatenate([obs, self._code])
