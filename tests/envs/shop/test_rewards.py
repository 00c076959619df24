"""Dense rewards on the shop: what they pay, what they never touch, what others hook to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st

import densegym
from densegym.envs.checks import check_dense_env
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.subgoals import MOST_ATTRIBUTES, MOST_OPTIONS, subgoals
from densegym.envs.shop.session.world import Setting, ShopWorld
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, RewardError
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.features import as_steps
from densegym.reward_models.model import RewardModel
from densegym.reward_models.spec import build_reward
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Episode, Scores, Starts, Steps
from tests.envs.shop.factories import built, lamp, plain

IDS = ("DenseGym/Shop-v0", "DenseGym/ShopChoice-v0")
TEXT, CHOICE = IDS
REWARDS = ("env", "authored", "authored/shop-subgoals", "authored/shop-gates")


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder: Path = tmp_path_factory.mktemp("rewards") / "store"
    lamps = [lamp(n) for n in range(8)]
    hat = plain("HAT", title="Woollen Hat", query="hats", prices=(900.0,), category="fashion")
    store = built(folder, *lamps, hat)
    return {"store": store.info.folder, "goals": "synthetic", "split": "all"}


def with_options(env: gym.Env) -> dict:
    """Return reset options that choose the first goal."""
    return {"goal_id": env.unwrapped.world.goals[0].id}


def way(goal) -> list[str]:
    chosen = [f"click[{group}: {value}]" for group, value in goal.options.items()]
    return [f"search[{goal.name}]", f"click[{goal.asin}]", *chosen, "click[buy now]"]


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.filterwarnings("ignore:Your observation:UserWarning")
def test_every_reward_keeps_the_contract_on_both_ids(env_id, reward, setting):
    check_dense_env(gym.make(env_id, reward=reward, **setting), steps=20)


@pytest.mark.parametrize("env_id", IDS)
def test_authored_alone_is_the_potential(env_id, setting):
    env = gym.make(env_id, reward="authored", **setting)
    assert env.get_wrapper_attr("engine").reward.name == "authored/shop-potential-v1"


def play(setting, reward, actions=None, **reset):
    env = gym.make(TEXT, reward=reward, **setting)
    env.reset(options=reset or with_options(env))
    goal, paid = env.unwrapped.core.goal, []
    for action in actions or way(goal):
        _, reward, *_, info = env.step(action)
        paid.append(reward)
    return paid, info


def test_no_reward_changes_the_outcome(setting):
    returns = {reward: play(setting, reward)[1]["return/env"] for reward in REWARDS}
    assert set(returns.values()) == {1.0}


@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_shaping_adds_nothing_to_the_discounted_return_of_an_episode(setting, gamma):
    shaped, info = play(setting, {"model": "authored", "gamma": gamma})
    discounted = sum(gamma**t * paid for t, paid in enumerate(shaped))
    assert discounted == pytest.approx(gamma ** (len(shaped) - 1) * info["return/env"])
    assert shaped[0] > 0.2  # the search that lists the target


def test_every_subgoal_is_paid_once(setting):
    paid, info = play(setting, "authored/shop-subgoals")
    assert sum(paid[:-1]) == pytest.approx(0.5)
    assert paid[-1] == info["reward/part/outcome"] == 1.0
    env = gym.make(TEXT, reward="authored/shop-subgoals", max_steps=50, **setting)
    env.reset(options=with_options(env))
    goal = env.unwrapped.core.goal
    there = [env.step(action)[1] for action in way(goal)[:-1]]
    group, value = next(iter(goal.options.items()))
    others = [v for v in ("red", "dark red", "navy", "8 oz", "12 inch") if v != value]
    again = [f"click[{others[0]}]", f"click[{group}: {value}]", "click[< prev]", way(goal)[1]]
    assert sum(there) == pytest.approx(0.5)
    assert [env.step(action)[1] for action in again * 3] == [0.0] * 12


def test_a_purchase_reaches_no_subgoal_that_was_not_reached_before(setting):
    paid, _ = play(
        setting, "authored/shop-subgoals", ["search[hat]", "click[#1]", "click[buy now]"]
    )
    assert paid[0] == paid[1] == 0.0
    assert paid[2] < 0.1


ROW = st.fixed_dictionaries(
    {
        "type": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        "attributes": st.sampled_from([0.0, 0.5, 1.0]),
        "options": st.sampled_from([0.0, 0.5, 1.0]),
        "price": st.sampled_from([0.0, 1.0]),
    }
)


@given(st.lists(ROW, min_size=1, max_size=8), st.booleans())
def test_gates_open_in_order(rows, terminated):
    card = task_card(TEXT)
    model = build_reward("authored/shop-gates", task=card)
    told = {item.key: np.zeros(item.shape) for item in card.features}
    infos = [told | {f"shop/{name}": value for name, value in row.items()} for row in rows]
    starts = Starts(slot=np.arange(len(rows)), obs=[""] * len(rows), info=infos)
    model.begin(starts)
    ended = np.full(len(rows), terminated)
    scores = model.score(as_steps(starts, card)._replace(terminated=ended))
    for row, paid in zip(rows, scores.reward, strict=True):
        expected, opened = 0.0, float(terminated)
        for name, enough in (("type", 0.5), ("attributes", 1.0), ("options", 1.0), ("price", 1.0)):
            expected += 0.25 * opened * row[name]
            opened *= row[name] >= enough
        assert paid == pytest.approx(expected)


@pytest.mark.parametrize("reward", REWARDS[1:])
def test_reward_models_keep_their_contract(reward):
    card = task_card(CHOICE)

    def info(rng: np.random.Generator) -> dict:
        return {item.key: rng.integers(0, 2, item.shape).astype(float) for item in card.features}

    space = gym.spaces.Box(-1, 1, (3,))
    check_reward_model(
        lambda: build_reward(reward, task=card), space, gym.spaces.Discrete(4), info=info
    )


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("reward", REWARDS)
def test_the_vector_pays_what_single_environments_pay(setting, reward, mode):
    many = densegym.make_vec(
        CHOICE,
        3,
        reward=reward,
        vectorization_mode="vector_entry_point",
        autoreset_mode=mode,
        privileged=True,
        max_steps=7,
        **setting,
    )
    alone = [gym.make(CHOICE, reward=reward, max_steps=7, **setting) for _ in range(3)]
    obs, _ = many.reset(seed=2)
    for k, env in enumerate(alone):
        env.reset(seed=2 + k)
    rng, ended = np.random.default_rng(0), [False] * 3
    for _ in range(40):
        mask = obs["mask"].astype(bool)
        actions = np.array([rng.choice(np.flatnonzero(m)) if m.any() else 0 for m in mask])
        obs, paid, *_, info = many.step(actions)
        for k, env in enumerate(alone):
            if ended[k]:
                env.reset()
                ended[k] = False
                continue
            _, reward_k, over, late, told = env.step(actions[k])
            assert (paid[k], info["return/env"][k]) == (reward_k, told["return/env"])
            ended[k] = over or late
            if ended[k] and mode is AutoresetMode.SAME_STEP:
                env.reset()
                ended[k] = False


def test_a_world_that_keeps_its_secrets_says_so(setting):
    env = gym.make(CHOICE, reward="authored", privileged=False, **setting)
    with pytest.raises(RewardError, match="privileged=True"):
        env.reset(seed=0)
    many = densegym.make_vec(
        CHOICE, 2, reward="authored", vectorization_mode="vector_entry_point", **setting
    )
    with pytest.raises(RewardError, match="privileged=True"):
        many.reset(seed=0)
    _, info = gym.make(TEXT, privileged=False, **setting).reset(seed=0)
    assert not any(key.startswith("shop/") for key in info)


class Halves(RewardModel):
    """Spreads the outcome evenly over the steps: the simplest redistributor."""

    name = "test/halves-v1"
    traits = Traits(when="episode")

    def __init__(self) -> None:
        self.seen: list[Episode] = []

    def score(self, steps: Steps) -> Scores:
        return Scores(np.zeros(len(steps.slot)), np.ones(len(steps.slot), np.bool_))

    def finish(self, episodes: Sequence[Episode]) -> list[np.ndarray]:
        self.seen += episodes
        return [np.full(len(e.env_reward), e.env_reward.mean()) for e in episodes]


@pytest.mark.parametrize("env_id", IDS)
def test_redistributors_get_whole_episodes(env_id, setting):
    env = gym.make(env_id, reward={"model": Halves(), "hindsight": True}, **setting)
    model = env.get_wrapper_attr("engine").reward.terms[0].model
    env.reset(options=with_options(env))
    actions = way(env.unwrapped.world.goals[0])
    if env_id == CHOICE:
        actions = [0] * 15
    for action in actions:
        *_, terminated, truncated, info = env.step(action)
    assert terminated or truncated
    (episode,) = model.seen
    steps = len(actions)
    assert len(episode.info) == steps == len(info["reward/credits"])
    assert episode.terminated == terminated
    assert all("shop/potential" in told for told in episode.info)
    observed = episode.obs["cands"] if env_id == CHOICE else episode.obs
    assert len(observed) == steps + 1


@pytest.mark.parametrize("env_id", IDS)
def test_branches_give_monte_carlo_values_of_a_prefix(env_id, setting):
    """What SPA's labels need: play on from a prefix, often, without disturbing the episode."""
    env = gym.make(env_id, **setting).unwrapped
    env.reset(options=with_options(env))
    env.step(0 if env_id == CHOICE else way(env.world.goals[0])[0])
    prefix = env.state_dict()
    rng, ends = np.random.default_rng(0), []
    for _ in range(8):
        obs, info = env.load_state_dict(prefix)
        for _ in range(20):
            if env_id == CHOICE:
                action = rng.choice(np.flatnonzero(obs["mask"]))
            else:
                action = str(rng.choice(info["valid_actions"]))
            obs, reward, terminated, truncated, info = env.step(action)
            if terminated or truncated:
                break
        ends.append(reward)
    assert min(ends) >= 0.0
    assert len(set(ends)) > 1
    assert env.load_state_dict(prefix)[1]["page"] == "results"


def test_states_travel_between_the_two_interfaces(setting):
    text, choice = (gym.make(env_id, **setting).unwrapped for env_id in IDS)
    text.reset(options=with_options(text))
    choice.reset(seed=0)
    for action in way(text.world.goals[0])[:-1]:
        text.step(action)
    _, info = choice.load_state_dict(text.state_dict())
    assert info["options"] == dict(text.core.state.options)
    buy = choice.actions.index("click[buy now]")
    assert choice.step(buy)[1] == text.step("click[buy now]")[1] == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"product": 10**9},
        {"product": "0"},
        {"options": [["color", "plaid"]]},
        {"options": [["colour", "red"]]},
        {"section": "basement"},
        {"page": "results"},
        {"page": "index"},
        {"number": 0},
        {"steps": -1},
        {"steps": 1.5},
        {"opened": 5},
        {"extra": 1},
    ],
)
def test_states_edited_by_hand_are_refused(setting, change):
    env = gym.make(TEXT, **setting).unwrapped
    env.reset(options=with_options(env))
    for action in way(env.world.goals[0])[:-1]:
        env.step(action)
    kept = env.state_dict()
    with pytest.raises(DenseGymError):
        env.load_state_dict({**kept, "state": {**kept["state"], **change}})
    assert env.step("click[buy now]")[1] == 1.0


def test_what_holds_is_told_term_by_term(setting):
    world = ShopWorld(Setting(**setting))
    core, goal = ShopCore(world.shop), world.goals[0]
    core.begin(goal)
    seen = [subgoals(core)]
    for action in way(goal):
        core.act(action)
        seen.append(subgoals(core))
    start, listed, opened, *_, ready, done = seen
    assert not any(np.any(value) for value in start.values())
    assert (listed["type_shown"], listed["target_listed"], listed["type"]) == (1.0, 1.0, 0.0)
    assert (opened["target_open"], opened["options"]) == (1.0, 0.0)
    assert ready["options"] == 1.0
    assert sum(ready["option_met"]) == len(goal.options)
    assert len(ready["option_met"]) == MOST_OPTIONS
    assert len(ready["attribute_met"]) == MOST_ATTRIBUTES
    assert (ready["outcome"], done["outcome"]) == (0.0, 1.0)
    core.begin(goal)
    core.act(way(goal)[0])
    core.act(way(goal)[1])
    assert subgoals(core)["attributes_seen"] == 0.0  # the title does not say it
    core.act("click[features]")
    assert subgoals(core)["attributes_seen"] == 1.0
