"""Meta-World's benchmarks as one vector environment."""

from __future__ import annotations

import numpy as np
import pytest

import densegym
from densegym.envs.robot.upstream.task_sets import task_set
from densegym.errors import DenseGymError, UnknownNameError

metaworld = pytest.importorskip("metaworld")


def test_sets_are_those_of_upstream() -> None:
    sizes = {
        "MT10": 10, "MT25": 25, "MT50": 50, "ML10-train": 10, "ML10-test": 5,
        "ML25-train": 25, "ML25-test": 5, "ML45-train": 45, "ML45-test": 5,
    }  # fmt: skip
    for name, size in sizes.items():
        ids = task_set(name)
        assert len(set(ids)) == size
    assert task_set("MT10")[0] == "DenseGym/Reach-v0"
    assert not set(task_set("ML45-train")) & set(task_set("ML45-test"))
    with pytest.raises(UnknownNameError, match=r'Unknown set of tasks "ML1"'):
        task_set("ML1")


def test_every_lane_is_its_task_with_frozen_goals_and_its_own_reward() -> None:
    env = densegym.make_task_set("ML10-test", reward="expert", goals=3, max_episode_steps=4)
    ids = task_set("ML10-test")
    obs, info = env.reset(seed=0)
    assert obs.shape == (5, 39 + 5)
    assert np.array_equal(obs[:, 39:], np.eye(5))
    assert set(info["goal_index"]) <= {0.0, 1.0, 2.0}
    alone = densegym.make(ids[2], reward="expert", goals=3, max_episode_steps=4)
    assert np.array_equal(alone.reset(seed=2)[0], obs[2, :39])
    actions = np.stack([env.single_action_space.sample() for _ in ids])
    for _ in range(4):
        obs, paid, _, truncated, _ = env.step(actions)
        assert env.observation_space.contains(obs)
        assert paid[2] == alone.step(actions[2])[1]
    assert truncated.all()
    env.close()
    plain = densegym.make_task_set("ML10-test", one_hot=False, goals=None)
    assert plain.reset(seed=0)[0].shape == (5, 39)
    plain.close()
    with pytest.raises(DenseGymError, match=r'is "sync" or "async"; given "fast"'):
        densegym.make_task_set("ML10-test", vectorization_mode="fast")


@pytest.mark.slow
def test_all_fifty_step_in_processes() -> None:
    env = densegym.make_task_set("MT10", goals=2, vectorization_mode="async")
    obs, _ = env.reset(seed=0)
    assert obs.shape == (10, 49)
    for _ in range(3):
        env.step(env.action_space.sample())
    env.close()
    sync = densegym.make_task_set("MT50", goals=2)
    assert sync.reset(seed=0)[0].shape == (50, 89)
    sync.close()
