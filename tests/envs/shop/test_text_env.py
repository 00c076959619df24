"""``DenseGym/Shop-v0``: Gymnasium's contract, modes, settings, bad input."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import densegym
from densegym.envs.checks import check_dense_env
from densegym.envs.shop.goals.goals import build_goals
from densegym.envs.shop.session.stores import shared_goals, shared_store
from densegym.errors import DenseGymError, UnknownNameError
from tests.envs.shop.factories import built, lamp, plain

ID = "DenseGym/Shop-v0"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("shop") / "store"
    hostile = lamp(
        50,
        title=HOSTILE,
        description=HOSTILE,
        bullets=(HOSTILE, "日本語 🎈"),
        options={HOSTILE.lower(): (HOSTILE.lower(), "ü")},
        human=(),
    )
    return built(folder, *(lamp(n) for n in range(12)), hostile).info.folder


def made(store: Path, **kwargs: object) -> gym.Env:
    return gym.make(ID, store=store, goals="synthetic", split="all", **kwargs)


@pytest.mark.parametrize("mode", ["text", "text_rich", "html", "url", "dict"])
def test_both_checkers_are_green_in_every_mode(store, mode):
    env = made(store, obs_mode=mode, render_mode="ansi")
    check_env(env.unwrapped)
    check_dense_env(env, steps=20)
    env.close()


@pytest.mark.parametrize("autoreset", list(gym.vector.AutoresetMode))
def test_vectors_agree_with_single_environments(store, autoreset):
    many = densegym.make_vec(ID, 3, store=store, goals="synthetic", split="all", max_steps=4)
    alone = [made(store, max_steps=4) for _ in range(3)]
    obs, _ = many.reset(seed=7)
    assert list(obs) == [env.reset(seed=7 + k)[0] for k, env in enumerate(alone)]
    obs, paid, *_ = many.step(np.array(["search[lamp]", "click[x]", "search[oak]"], object))
    told = [env.step(a)[0] for env, a in zip(alone, ["search[lamp]", "click[x]", "search[oak]"])]  # noqa: B905
    assert list(obs) == told
    assert list(paid) == [0.0, 0.0, 0.0]


def test_equal_seeds_give_equal_requests_and_different_seeds_others(store):
    env = made(store)
    one = [env.reset(seed=3)[1]["goal_id"]] + [env.reset()[1]["goal_id"] for _ in range(9)]
    two = [env.reset(seed=3)[1]["goal_id"]] + [env.reset()[1]["goal_id"] for _ in range(9)]
    other = [env.reset(seed=4)[1]["goal_id"]] + [env.reset()[1]["goal_id"] for _ in range(9)]
    assert one == two != other


def test_every_goal_is_drawn_and_weights_count(store):
    env = made(store).unwrapped
    drawn = [env.world.goal(np.random.default_rng(n)).id for n in range(3000)]
    assert set(drawn) == {goal.id for goal in env.world.goals}
    weighted = made(store, weighted=True).unwrapped
    rng = np.random.default_rng(0)
    counts = np.bincount([weighted.world.goal(rng).id for _ in range(4000)])
    expected = np.zeros(len(counts))
    for goal in weighted.world.goals:
        expected[goal.id] = goal.weight
    np.testing.assert_allclose(counts / 4000, expected / expected.sum(), atol=0.03)


def test_buying_terminates_and_the_clock_truncates(store):
    env = made(store, max_steps=3)
    env.reset(seed=0)
    env.step("nonsense")
    env.step("search[lamp]")
    _, paid, terminated, truncated, info = env.step("click[next >]")
    assert (paid, terminated, truncated, info["is_success"]) == (0.0, False, True, 0.0)
    with pytest.raises(DenseGymError, match="reset"):
        env.unwrapped.step("click[next >]")
    env.reset(seed=0)
    env.step("search[lamp]")
    env.step("click[#1]")
    _, paid, terminated, truncated, info = env.step("click[buy now]")
    assert (terminated, truncated) == (True, False)
    assert info["score"] == pytest.approx(100 * paid)
    assert info["reward_terms"]["r_price"] in (True, False)
    with pytest.raises(DenseGymError, match="reset"):
        env.unwrapped.step("click[back to search]")


def test_invalid_actions_are_explained_unless_the_original_is_asked_for(store):
    env = made(store)
    env.reset(seed=0)
    obs, *_, info = env.step("buy it")
    assert obs.startswith("Invalid action: write search[words]")
    assert info["invalid"] == "syntax"
    assert info["valid_actions"][0].startswith("search[")
    plain_env = made(store, parity=True)
    first, _ = plain_env.reset(seed=0)
    assert plain_env.step("buy it")[0] == first


def test_goals_can_be_chosen(store):
    env = made(store)
    goal = env.unwrapped.world.goals[5]
    assert env.reset(options={"goal_id": goal.id})[1]["goal_id"] == goal.id
    assert goal.instruction in env.reset(options={"goal": goal})[0]
    with pytest.raises(DenseGymError, match="goal 999999 is not among"):
        env.reset(options={"goal_id": 999_999})
    with pytest.raises(DenseGymError, match="takes a Goal"):
        env.reset(options={"goal": "lamp"})


def test_an_episode_branches(store):
    env = made(store).unwrapped
    env.reset(seed=1)
    env.step("search[lamp]")
    kept = env.state_dict()
    there = env.step("click[#2]")[0]
    env.step("click[buy now]")
    env.load_state_dict(kept)
    assert env.step("click[#2]")[0] == there


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def test_product_text_cannot_become_markup(store):
    env = made(store, obs_mode="html").unwrapped
    goal = next(g for g in env.world.goals if g.asin == "L0050")
    pages = [env.reset(options={"goal": goal})[0]]
    walked = ("search[alert]", "click[l0050]", "click[features]", "click[< prev]")
    pages += [env.step(action)[0] for action in (*walked, f"click[{HOSTILE.lower()}]")]
    assert env.core.state.options
    pages.append(env.step("click[buy now]")[0])
    for page in pages:
        tags = Tags()
        tags.feed(page)
        assert not {"script", "img"} & set(tags.seen)
    assert "&lt;script&gt;" in pages[2]
    assert "日本語 🎈" in pages[3]


@pytest.mark.parametrize("action", ["a" * 1_000_000, "search[\ud800]", "click[\x00]", "🎈" * 90])
def test_strange_strings_are_only_invalid_or_find_nothing(store, action):
    env = made(store).unwrapped
    env.reset(seed=0)
    obs, paid, terminated, truncated, _ = env.step(action)
    assert (paid, terminated, truncated) == (0.0, False, False)
    assert env.observation_space.contains(obs)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"store": "synthetic-1g"}, "synthetic-1k"),
        ({"obs_mode": "texts"}, 'Did you mean "text"'),
        ({"scoring": "webshops"}, "webshop"),
        ({"split": "tests"}, "test"),
        ({"max_steps": "gigpa"}, "gigpo"),
        ({"max_steps": 0}, "at least 1"),
        ({"scorring": "strict"}, "scoring"),
    ],
)
def test_wrong_settings_are_named(store, wrong, told):
    with pytest.raises(DenseGymError, match=told):
        gym.make(ID, **{"store": store, "goals": "synthetic", "split": "all", **wrong})


def test_a_missing_catalogue_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.delenv("DENSEGYM_WEBSHOP_DIR", raising=False)
    with pytest.raises(DenseGymError, match="DENSEGYM_WEBSHOP_DIR"):
        gym.make(ID, store="webshop-1k")
    with pytest.raises(DenseGymError, match="no items_shuffle"):
        gym.make(ID, store=tmp_path)
    with pytest.raises(UnknownNameError):
        gym.make(ID, store=tmp_path / "nowhere")


def test_a_store_without_goals_is_named(tmp_path):
    folder = built(tmp_path / "store", plain("BARE", title="Bare")).info.folder
    with pytest.raises(DenseGymError, match="no synthetic goal"):
        gym.make(ID, store=folder, goals="synthetic")


def test_environments_of_a_process_share_one_catalogue(store):
    one, two = made(store).unwrapped, made(store).unwrapped
    assert one.world.shop.store is two.world.shop.store is shared_store(store)
    assert one.world.goals is two.world.goals
    assert shared_goals(store, "synthetic", False, "product", "all") is one.world.goals
    assert len(build_goals(shared_store(store), style="synthetic")) >= len(one.world.goals)
