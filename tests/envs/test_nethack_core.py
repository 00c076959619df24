"""The batched core against plain envs, step for step."""

from __future__ import annotations

import numpy as np
import pytest

from densegym.envs.nethack.core import LaneCore
from densegym.envs.nethack.layer import NetHackEnv

KEYS = ("glyphs", "chars_crop", "glyphs_crop", "blstats", "message")
TASKS = {
    "NetHackScore-v0": (23, 150),
    "NetHackStaircase-v0": (23, 150),
    "MiniHack-Room-5x5-v0": (8, 60),
    "MiniHack-KeyRoom-S5-v0": (10, 150),
    "MiniHack-Corridor-R3-v0": (11, 150),
    "MiniHack-MultiRoom-N2-v0": (8, 40),
    "MiniHack-WoD-Hard-Restricted-v0": (11, 150),
    "MiniHack-Freeze-Wand-Restricted-v0": (11, 150),
    "MiniHack-Levitate-Potion-Restricted-v0": (11, 150),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_lane_plays_what_a_plain_env_plays(task: str) -> None:
    count, limit = TASKS[task]
    lanes = 3
    core = LaneCore(task, lanes, observation_keys=KEYS, max_steps=limit)
    envs = [NetHackEnv(task, observation_keys=KEYS, max_steps=limit) for _ in range(lanes)]
    for lane, env in enumerate(envs):
        core.seed(lane, 5 + lane)
        seen, info = core.reset(lane)
        expected, told = env.reset(seed=5 + lane)
        assert info == told
        assert_equal(seen, expected)
    rng, ends = np.random.default_rng(0), 0
    for _ in range(60 if "MultiRoom" in task else 500):  # its levels are compiled at every reset
        actions = rng.integers(count, size=lanes)
        seen, reward, terminated, truncated, infos = core.step(actions)
        for lane, env in enumerate(envs):
            expected, paid, ended, cut, told = env.step(actions[lane])
            assert_equal({key: array[lane] for key, array in seen.items()}, expected)
            assert (reward[lane], terminated[lane], truncated[lane]) == (paid, ended, cut)
            assert infos[lane] == told
            if ended or cut:
                ends += 1
                seen_first, info = core.reset(lane)
                expected, told = env.reset()
                assert info == told
                assert_equal(seen_first, expected)
    assert ends >= 3
    core.close()
    for env in envs:
        env.close()


def assert_equal(one, other) -> None:
    assert one.keys() == other.keys()
    for key in one:
        assert one[key].dtype == other[key].dtype
        assert np.array_equal(one[key], other[key]), key


def test_unlocking_is_played_the_same() -> None:
    """A policy that goes for the key and the door, so that the scripted keys are pressed."""
    task = "MiniHack-KeyRoom-S5-v0"
    core = LaneCore(task, 1, observation_keys=KEYS)
    env = NetHackEnv(task, observation_keys=KEYS)
    core.seed(0, 3)
    core.reset(0)
    env.reset(seed=3)
    rng, unlocked = np.random.default_rng(1), 0
    for _ in range(6000):
        action = rng.integers(10)
        seen, reward, terminated, truncated, infos = core.step([action])
        expected, paid, ended, cut, told = env.step(action)
        assert infos[0] == told
        assert (reward[0], terminated[0], truncated[0]) == (paid, ended, cut)
        assert_equal({key: array[0] for key, array in seen.items()}, expected)
        unlocked += "door-unlocked" in told["milestones"]
        if ended or cut:
            core.reset(0)
            env.reset()
    assert unlocked >= 1
    core.close()
    env.close()


@pytest.mark.parametrize(
    ("task", "keys", "able"),
    [
        ("NetHackScore-v0", None, True),
        ("NetHackEat-v0", None, False),
        ("NetHack-v0", None, False),
        ("ONI-Staircase-Lvl2", None, False),
        ("NetHackChallenge-v0", None, False),
        ("MiniHack-KeyRoom-S10-v0", None, True),
        ("MiniHack-WoD-Easy-Restricted-v0", None, True),
        ("MiniHack-ExploreMaze-Easy-v0", None, False),
        ("MiniHack-KeyRoom-S5-v0", ["pixel"], False),
    ],
)
def test_what_it_can_play(task: str, keys: list[str] | None, able: bool) -> None:
    assert LaneCore.can(task, keys) is able
