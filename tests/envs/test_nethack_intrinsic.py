"""Intrinsic rewards in real games: wrappers agree, and nothing a game says or shows breaks them."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv

import densegym
from densegym.envs.registration import bare_spec
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.reward_models.intrinsic.annotation.sources import Labels
from densegym.reward_models.intrinsic.captions.oni import build_retrieval
from densegym.reward_models.spec import build_reward
from tests.reward_models.intrinsic.worlds import CARD, begin, say

pytest.importorskip("minihack")
KEYROOM = "DenseGym/MiniHack-KeyRoom-S5-v0"
LANES = 2
SPECS = (
    "intrinsic/first-seen",
    {"model": "intrinsic/oni-retrieval", "annotator": "random"},
    "intrinsic/calm",
    "intrinsic/ellm",
    "intrinsic/episodic-count",
    {"model": "intrinsic/e3b", "codes": "random", "normalize": False},
)


def actions(steps):
    return np.random.default_rng(0).integers(0, 10, (steps, LANES))


def single(spec, lane, steps):
    env = gym.make(KEYROOM, reward=spec)
    env.reset(seed=lane)
    paid = []
    for action in actions(steps)[:, lane]:
        _, reward, terminated, truncated, _ = env.step(action)
        paid.append(reward)
        if terminated or truncated:
            break
    env.close()
    return paid


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s if isinstance(s, str) else s["model"])
def test_single_vector_and_sb3_pay_the_same(spec):
    steps = 60
    alone = np.array([single(spec, lane, steps) for lane in range(LANES)]).T
    vector = densegym.make_vec(KEYROOM, num_envs=LANES, reward=spec)
    vector.reset(seed=[0, 1])
    together = np.array([vector.step(row)[1] for row in actions(steps)])
    vector.close()
    lanes = DenseRewardVecEnv(
        DummyVecEnv([lambda: gym.make(bare_spec(KEYROOM))] * LANES), spec, env_id=KEYROOM
    )
    lanes.seed(0)
    lanes.reset()
    sb3 = np.array([lanes.step(row)[1] for row in actions(steps)])
    lanes.close()
    np.testing.assert_allclose(alone, together, rtol=1e-5)  # float32 codes of other batch sizes
    np.testing.assert_array_equal(together, sb3)


def test_the_whole_keyboard_breaks_no_reward():
    """All 86 actions: menus, text prompts, counts, things that other worlds never say."""
    spec = ["intrinsic/oni-retrieval", "intrinsic/first-seen", "intrinsic/episodic-count"]
    env = gym.make("DenseGym/NetHack-v0", reward=spec)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(1500):
        _, reward, terminated, truncated, info = env.step(int(rng.integers(env.action_space.n)))
        assert np.isfinite(reward)
        assert info["reward/valid"] == 1.0
        if terminated or truncated:
            env.reset()
    env.close()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=4))
def test_whatever_is_typed_at_a_prompt_is_worth_nothing(lines):
    model = build_retrieval(labels=Labels())
    begin(model, [0])
    typed = [f"What do you want to call it? {line}" for line in lines]
    assert say(model, [typed]).reward.tolist() == [0.0]
    for name in ("intrinsic/first-seen", "intrinsic/oni-retrieval"):
        other = build_reward(name, task=CARD)
        begin(other, [0])
        assert np.isfinite(say(other, [lines]).reward).all()
