"""Test beds of credit assignment: delayed pay and uniform credits add up to one return."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import densegym  # noqa: F401  # registers every id

WORLDS = [
    ("DenseGym/HopperForward-v0", {}, "expert"),
    ("DenseGym/HalfCheetahForward-v0", {"max_episode_steps": 30}, "expert"),
    ("DenseGym/ButtonPress-v0", {"max_episode_steps": 30}, "expert"),
    ("DenseGym/ShopChoice-v0", {}, "env"),
    ("DenseGym/MiniHack-KeyRoom-S5-v0", {}, "env"),
    ("DenseGym/NetHackScore-v0", {"max_episode_steps": 60}, "env"),
]


def play(env_id: str, reward, kwargs, seed: int):
    env = gym.make(env_id, reward=reward, **kwargs)
    env.action_space.seed(seed)
    env.reset(seed=seed)
    paid, own, expert, ended = [], [], [], False
    while not ended and len(paid) < 400:
        action = env.action_space.sample()
        _, dense, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        paid.append(dense)
        own.append(info["reward/env"])
        expert.append(info.get("expert_reward", np.nan))
    env.close()
    return np.array(paid), np.array(own), np.array(expert), info, ended


@pytest.mark.parametrize(("env_id", "kwargs", "of"), WORLDS)
def test_the_end_pays_what_the_steps_earned(env_id, kwargs, of):
    pytest.importorskip(
        "minihack" if "MiniHack" in env_id else "nle" if "NetHack" in env_id else "mujoco"
    )
    paid, own, expert, info, ended = play(env_id, "delayed", kwargs, 0)
    earned = (expert if of == "expert" else own).sum()
    assert (paid[:-1] == 0.0).all()
    if ended:
        assert paid[-1] == pytest.approx(earned)
    assert info["return/env"] == pytest.approx(own.sum())
    spread = {"model": "credit/uniform", "hindsight": True}
    paid, own, expert, info, ended = play(env_id, spread, kwargs, 0)
    assert (paid == 0.0).all()
    if ended:
        earned = (expert if of == "expert" else own).sum()
        credit = info["reward/credits"]
        assert credit.shape == (len(own),)
        assert abs(credit.sum() - earned) <= 1e-4 * max(1.0, abs(earned))
    assert info["return/env"] == pytest.approx(own.sum())
