"""Copies, pickles and states of worlds go on exactly, or are refused in one sentence."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import densegym
from densegym.envs.registration import bare_spec
from densegym.envs.shop.environments.vector import ShopVectorEnv
from densegym.envs.tasks import worlds
from densegym.errors import DenseGymError

GAMES = ("nethack", "minihack")
COPIED = [w.card.id for w in worlds() if w.card.family not in GAMES]
BUTTON, HOPPER, SHOP = (f"DenseGym/{n}-v0" for n in ("ButtonPress", "HopperForward", "Shop"))


def sample() -> list[str]:
    """Return one id of every family, and the Meta-World tasks that keep windows into the data."""
    families = {w.card.id: w.card.family for w in worlds()}
    rng = random.Random(20)
    drawn = [
        rng.choice([i for i in COPIED if families[i] == family])
        for family in sorted({families[i] for i in COPIED})
    ]
    return [*drawn, "DenseGym/PickPlace-v0"]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other


def goes_on(env_id: str) -> None:
    env, other = (gym.make(bare_spec(env_id)).unwrapped for _ in range(2))
    env.action_space.seed(1)
    env.reset(seed=3)
    other.reset(seed=9)
    seen: Any = None
    for _ in range(5):
        seen = env.step(env.action_space.sample())
        if seen[2]:
            seen = env.reset()
    state = env.get_state()
    obs, told = other.reset(options={"state": state})
    assert same(obs, seen[0])
    assert same(told, seen[-1])
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env)), other]
    for _ in range(8):
        action = env.action_space.sample()
        assert same(twins[0].action_space.sample(), action)
        expected = env.step(action)
        for twin in twins:
            assert same(list(twin.step(action)), list(expected))
        if expected[2] or expected[3]:
            break
    begun = env.reset()
    for twin in twins:
        assert same(list(twin.reset()), list(begun)), "the generators go on too"
        twin.close()
    assert same(list(env.reset(options={"state": state})), [obs, told]), "a state is not used up"
    env.close()


@pytest.mark.parametrize("env_id", sample())
def test_copies_and_states_of_a_sample_go_on_exactly(env_id: str) -> None:
    goes_on(env_id)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", COPIED)
def test_copies_and_states_go_on_exactly(env_id: str) -> None:
    goes_on(env_id)


def test_games_of_nethack_refuse() -> None:
    env = gym.make("DenseGym/MiniHack-Room-5x5-v0")
    env.reset(seed=0)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(DenseGymError, match=r"neither copied nor pickled.*same seed"):
            copied(env.unwrapped)
    for use in (env.unwrapped.get_state, lambda: env.unwrapped.set_state({})):
        with pytest.raises(DenseGymError, match="neither copied nor pickled"):
            use()
    env.close()


@pytest.mark.parametrize("reward", ["authored", "intrinsic/rnd-v1", None])
@pytest.mark.parametrize("env_id", [HOPPER, "DenseGym/ShopChoice-v0"])
def test_what_is_made_with_a_reward_is_copied_whole(env_id: str, reward: Any) -> None:
    env = gym.make(env_id, reward=reward, max_episode_steps=6)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    twins = [copy.deepcopy(env)]
    if reward == "authored":
        with pytest.raises(DenseGymError, match=r"cannot be pickled: .*copy.deepcopy"):
            pickle.dumps(env)
    else:
        twins.append(pickle.loads(pickle.dumps(env)))
    for _ in range(5):
        action = env.action_space.sample()
        expected = env.step(action)
        for twin in twins:
            assert same(list(twin.step(action)), list(expected))
        if expected[2]:
            break
    assert expected[2] or expected[3], "the time limit is copied too"


def test_states_of_another_world_are_refused() -> None:
    button, hopper = (gym.make(bare_spec(env_id)).unwrapped for env_id in (BUTTON, HOPPER))
    button.reset(seed=0)
    hopper.reset(seed=0)
    with pytest.raises(DenseGymError, match='of "HopperForward"; given button-press-v3'):
        hopper.set_state(button.get_state())
    with pytest.raises(DenseGymError, match="given 'nothing'"):
        hopper.reset(options={"state": "nothing"})
    state = hopper.get_state()
    state["physics"]["derived"]["qpos"] = np.zeros(3)
    with pytest.raises(DenseGymError, match="another scene: its qpos is"):
        hopper.set_state(state)
    shop = gym.make(bare_spec(SHOP)).unwrapped
    shop.reset(seed=0)
    broken = shop.get_state()
    broken["shopper"]["goal"].pop("asin")
    with pytest.raises(DenseGymError, match="no state of the shop: its goal is no goal"):
        shop.set_state(broken)
    probe = gym.make(bare_spec("DenseGym/HarmlessStep-v0"), length=7).unwrapped
    other = gym.make(bare_spec("DenseGym/HarmlessStep-v0")).unwrapped
    with pytest.raises(DenseGymError, match="of a corridor of 4 steps, not 7"):
        probe.set_state(other.get_state())


def test_a_seed_given_with_a_state_decides_what_follows() -> None:
    env = gym.make(bare_spec(BUTTON)).unwrapped
    env.reset(seed=0)
    state = env.get_state()
    resets = []
    for seed in (5, 5, 6):
        env.reset(seed=seed, options={"state": state})
        resets.append(env.reset()[0])
    assert np.array_equal(resets[0], resets[1])
    assert not np.array_equal(resets[0], resets[2])


def test_a_world_is_copied_before_its_first_episode() -> None:
    for env_id in (BUTTON, SHOP, "DenseGym/FetchReach-v0"):
        env = gym.make(bare_spec(env_id)).unwrapped
        assert same(list(copy.deepcopy(env).reset(seed=1)), list(env.reset(seed=1)))


def test_lanes_of_the_shop_are_copied_and_asked_each() -> None:
    lanes = ShopVectorEnv(2)
    goals = [goal.id for goal in lanes.world.goals[:2]]
    lanes.reset(seed=0, options={"goal_id": goals})
    assert [lane.core.goal.id for lane in lanes.lanes] == goals
    lanes.reset(options={"goal_id": [goals[1], None]})
    assert lanes.lanes[0].core.goal.id == goals[1]
    with pytest.raises(DenseGymError, match="one entry for each of 2 lanes; given 3"):
        lanes.reset(options={"goal_id": [1, 2, 3]})
    lanes.step(np.array([0, 0]))
    twin = copy.deepcopy(lanes)
    for _ in range(20):
        expected = lanes.step(np.array([1, 0]))
        assert same(list(twin.step(np.array([1, 0]))), list(expected))
    paid = densegym.make_vec(
        "DenseGym/ShopChoice-v0", 2, vectorization_mode="vector_entry_point", privileged=True
    )
    paid.reset(seed=1, options={"goal_id": goals})
    assert [lane.core.goal.id for lane in paid.unwrapped.lanes] == goals
