"""The choice interface and its vector: the same shop as the text environment, step for step."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import densegym
from densegym.envs.checks import check_dense_env
from densegym.envs.shop.environments.features import BODY, FITS, F, K
from densegym.envs.shop.environments.queries import head_phrase, offered_queries
from densegym.envs.shop.environments.text import ShopEnv
from densegym.envs.shop.environments.vector import ShopVectorEnv
from densegym.errors import DenseGymError
from tests.envs.shop.factories import built, lamp

ID = "DenseGym/ShopChoice-v0"


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder: Path = tmp_path_factory.mktemp("choice") / "store"
    many = {"size": tuple(f"{n} inch" for n in range(1, 50)), "color": tuple("abcdefghijklmnopq")}
    lamps = [lamp(n) for n in range(25)]
    store = built(folder, *lamps, lamp(80, options=many, human=(), instruction=None))
    return {"store": store.info.folder, "goals": "synthetic", "split": "all"}


@pytest.mark.filterwarnings("ignore:Your observation:UserWarning")
def test_all_checkers_are_green(setting):
    env = gym.make(ID, **setting)
    check_env(env.unwrapped)
    sb3_check_env(env.unwrapped)
    check_dense_env(env, steps=30)


def choose(mask, rng):
    return int(rng.choice(np.flatnonzero(mask))) if mask.any() else 0


@pytest.mark.parametrize("seed", range(4))
def test_the_same_actions_do_the_same_as_text(setting, seed):
    rng = np.random.default_rng(seed)
    choice, text = gym.make(ID, **setting).unwrapped, ShopEnv(**setting)
    for episode in range(6):
        obs, info = choice.reset(seed=seed + episode)
        _, told = text.reset(seed=seed + episode)
        while True:
            assert {k: v for k, v in told.items() if k != "valid_actions"} == info
            action = choose(obs["mask"], rng) if rng.random() < 0.9 else K - 1
            said = choice.actions[action] if action < len(choice.actions) else "nothing"
            obs, *outcome, info = choice.step(action)
            _, *same, told = text.step(said)
            assert outcome == same
            if outcome[1] or outcome[2]:
                break


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_the_vector_does_what_single_environments_do(setting, mode):
    many = ShopVectorEnv(5, autoreset_mode=mode, max_steps=6, **setting)
    alone = [gym.make(ID, max_steps=6, **setting).unwrapped for _ in range(5)]
    rng = np.random.default_rng(0)
    obs, _ = many.reset(seed=11)
    single = [env.reset(seed=11 + k)[0] for k, env in enumerate(alone)]
    ended = [False] * 5
    for _ in range(60):
        for k in range(5):
            for name, values in obs.items():
                np.testing.assert_array_equal(values[k], single[k][name])
        actions = np.array([choose(obs["mask"][k], rng) for k in range(5)])
        obs, paid, terminated, truncated, infos = many.step(actions)
        for k, env in enumerate(alone):
            if ended[k] and mode is AutoresetMode.NEXT_STEP:
                single[k], ended[k] = env.reset()[0], False
                assert (paid[k], terminated[k], truncated[k]) == (0.0, False, False)
                continue
            single[k], reward, over, late, info = env.step(actions[k])
            assert (paid[k], terminated[k], truncated[k]) == (reward, over, late)
            ended[k] = over or late
            if ended[k] and mode is AutoresetMode.SAME_STEP:
                final = infos["final_obs"][k]
                np.testing.assert_array_equal(final["cands"], single[k]["cands"])
                assert infos["final_info"]["is_success"][k] == info["is_success"]
                single[k] = env.reset()[0]


def test_the_reward_skin_takes_the_vector(setting):
    made = densegym.make_vec(
        ID, 3, vectorization_mode="vector_entry_point", reward="env", seed=1, **setting
    )
    obs, info = made.reset(seed=3)
    assert obs["cands"].shape == (3, K, F)
    obs, paid, *_, info = made.step(np.zeros(3, np.int64))
    assert paid.shape == info["reward/env"].shape == (3,)


def test_a_masked_slot_is_an_invalid_step_and_no_error(setting):
    env = gym.make(ID, **setting).unwrapped
    env.reset(seed=0)
    page = env.world.info(env.lane.core)["page"]
    _, paid, terminated, truncated, info = env.step(K - 1)
    assert (paid, terminated, truncated, info["invalid"]) == (0.0, False, False, "syntax")
    assert info["page"] == page
    assert env.action_masks().sum() == len(env.actions)


def test_more_options_than_slots_leave_room_for_buying(setting):
    env = gym.make(ID, max_steps=50, **setting).unwrapped
    env.reset(seed=0)
    env.lane.core.act("search[brass lamp 80]")
    env.lane.core.act("click[l0080]")
    env.lane.show(env.lane.core)
    assert len(env.actions) == K
    assert {"click[buy now]", "click[back to search]", "click[features]"} <= set(env.actions)


def test_nothing_is_told_of_a_text_before_it_was_seen(setting):
    env = gym.make(ID, **setting).unwrapped
    env.reset(seed=0)
    obs, *_ = env.step(0)
    items = [k for k, action in enumerate(env.actions) if action.startswith("click[l0")]
    assert not obs["cands"][items, BODY].any()
    env.step(items[0])
    obs, *_ = env.step(env.actions.index("click[< prev]"))
    seen = obs["cands"][items, BODY] > 0
    assert seen.tolist() == [True] + [False] * (len(items) - 1)
    peeking = gym.make(ID, peek=True, **setting).unwrapped
    peeking.reset(seed=0)
    assert peeking.step(0)[0]["cands"][items, BODY].all()


def test_features_read_no_goal_but_its_instruction(setting):
    """Two goals with one instruction and different targets look the same."""
    import dataclasses

    env = gym.make(ID, **setting).unwrapped
    goal = env.world.goals[0]
    other = dataclasses.replace(
        goal, id=10**6, asin="L0007", product=7, attributes=("x",), name="Lamp", query="q"
    )
    seen = []
    for asked in (goal, other):
        obs, _ = env.reset(options={"goal": asked})
        pages = [obs, env.step(0)[0], env.step(2)[0]]
        seen.append([page["cands"].copy() for page in pages])
    for one, two in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, two)


def test_prices_are_held_against_the_cap_in_words(setting):
    env = gym.make(ID, **setting).unwrapped
    goal = next(g for g in env.world.goals if "price lower" in g.instruction)
    obs, _ = env.reset(options={"goal": goal})
    obs, *_ = env.step(0)
    items = obs["cands"][:, 4] == 1
    assert (obs["cands"][items, FITS] == (goal.price_upper >= 12.5)).all()


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("i need a floor lamp that is easy clean", "floor lamp"),
        ("find me solid wood tv stands with color: white", "tv stands"),
        ("do you have a hot sauce? i care about it", "hot sauce"),
        ("wedge sandals please", "wedge sandals"),
    ],
)
def test_the_head_of_a_request_is_what_it_is_about(text, head):
    assert head_phrase(text) == head


def test_offered_searches_come_from_the_words_alone(setting):
    env = gym.make(ID, **setting).unwrapped
    for goal in env.world.goals:
        queries = offered_queries(goal)
        assert 1 <= len(queries) <= 8
        assert all(word in goal.instruction.lower() for word in " ".join(queries).split())
    assert offered_queries(env.world.goals[0], oracle=True)[0] == env.world.goals[0].query


def test_impossible_vectors_are_refused(setting):
    with pytest.raises(DenseGymError, match="at least 1"):
        ShopVectorEnv(0, **setting)
    with pytest.raises(DenseGymError, match="begin again"):
        ShopVectorEnv(2, autoreset_mode=AutoresetMode.DISABLED, **setting)
