"""Collection: features as programs read them, equal banks from equal seeds, the cache."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from densegym.agents.collecting import bank, behaviours
from densegym.agents.collecting.bank import bank_path, collect_bank, load_or_collect, play
from densegym.agents.collecting.behaviours import Scripted
from densegym.envs.registration import bare_spec
from densegym.envs.robot import exploits
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.features import feature_names

HOPPER, BUTTON = "DenseGym/HopperForward-v0", "DenseGym/ButtonPress-v0"
PUSH = spaces.Box(-1.0, 1.0, (4,), np.float32)


def steady(obs, fresh):
    """Acts by the observation alone, so lanes cannot matter."""
    return np.clip(obs[:, :3] - 0.5, -1, 1).astype(np.float32)


def same(first: Bank, second: Bank) -> bool:
    labels = [
        [(t.source, t.success, t.fitness, repr(t.noise)) for t in bank.trajectories]
        for bank in (first, second)
    ]
    a, b = first.stacked(), second.stacked()
    return (
        labels[0] == labels[1]
        and a.keys() == b.keys()
        and all(np.array_equal(a[name], b[name]) for name in a)
    )


def test_features_are_what_the_world_showed() -> None:
    (item,) = play(steady, HOPPER, 1, seed=5, source="policy:x", max_episode_steps=30)
    world = gym.make(bare_spec(HOPPER), max_episode_steps=30)
    obs, info = world.reset(seed=5)
    start = info["x_position"]
    for t in range(len(item)):
        before, action = obs, steady(obs[None], None)[0]
        obs, _, terminated, truncated, info = world.step(action)
        assert item.features["prev_torso_height"][t] == before[0]
        assert item.features["torso_height"][t] == obs[0]
        assert item.features["x_position"][t] == info["x_position"]
        assert item.features["terminated"][t] == terminated
        np.testing.assert_array_equal(item.features["joint_angles"][t], obs[2:5])
        np.testing.assert_array_equal(item.features["action"][t], action.astype(np.float64))
        np.testing.assert_array_equal(item.features["foot_height"][t], info["foot_height"])
    assert terminated or truncated
    assert set(item.features) == set(feature_names(task_card(HOPPER)))
    assert item.fitness == pytest.approx((info["x_position"] - start) / (30 * 0.008))
    assert (item.source, item.success) == ("policy:x", False)
    assert np.isnan(item.noise)


def test_lanes_change_nothing() -> None:
    few, many = (
        play(steady, HOPPER, 5, seed=3, source="s", lanes=lanes, max_episode_steps=40)
        for lanes in (1, 3)
    )
    assert same(*(Bank(task=HOPPER, gamma=1.0, trajectories=tuple(x)) for x in (few, many)))
    assert len({len(item) for item in few}) > 1  # lanes end at different times


def test_goal_worlds_with_dict_observations_are_recorded() -> None:
    pytest.importorskip("gymnasium_robotics")
    reach = "DenseGym/FetchReach-v0"
    still = Scripted(behaviours.idle(behaviours.action_space(reach)), 0)
    items = play(still, reach, 2, seed=0, source="idle", max_episode_steps=4)
    assert [item.features["desired_goal"].shape for item in items] == [(4, 3), (4, 3)]


@pytest.fixture(scope="module")
def button_bank() -> Bank:
    pytest.importorskip("metaworld")
    return collect_bank(BUTTON, episodes=22)


def test_a_bank_holds_every_behaviour(button_bank) -> None:
    by_source = {item.source for item in button_bank.trajectories}
    assert by_source == {
        "random",
        "idle",
        "expert",
        "noise",
        "exploit:stops-half-way",
        "exploit:oscillates",
    }
    assert len(button_bank.trajectories) == 22
    told = {item.noise for item in button_bank.trajectories if item.source in ("expert", "noise")}
    assert told == {0.0, 0.1, 0.3, 0.6, 1.0}
    assert all(item.success for item in button_bank.trajectories if item.source == "expert")
    assert not any(i.success for i in button_bank.trajectories if i.source in ("random", "idle"))


def test_metaworld_episodes_end_at_success_within_120_steps(button_bank) -> None:
    for item in button_bank.trajectories:
        assert len(item) <= 120
        assert bool(item.features["terminated"][-1]) is item.success
        assert not item.features["terminated"][:-1].any()


def test_the_oscillator_comes_back_again_and_again(button_bank) -> None:
    item = next(i for i in button_bank.trajectories if i.source == "exploit:oscillates")
    hand = item.features["hand_position"]
    along = hand @ (hand[10] - hand[0])
    beyond = along > (along.min() + along.max()) / 2
    assert np.count_nonzero(np.diff(beyond.astype(int))) >= 4


def test_equal_seeds_give_equal_banks(button_bank) -> None:
    assert same(button_bank, collect_bank(BUTTON, episodes=22))
    assert not same(button_bank, collect_bank(BUTTON, episodes=22, seed=1))


def test_no_two_episodes_share_a_placement(button_bank) -> None:
    places = [tuple(i.features["prev_object_position"][0]) for i in button_bank.trajectories]
    assert len(set(places)) == len(places)


def test_forward_skills_go_on_after_success() -> None:
    bank = collect_bank("DenseGym/HalfCheetahForward-v0", episodes=8)
    experts = [item for item in bank.trajectories if item.source == "expert"]
    assert experts
    assert all(item.success and len(item) == 200 for item in experts)
    assert min(item.fitness for item in experts) > 1.0


def test_a_bank_needs_one_episode_of_each_behaviour() -> None:
    with pytest.raises(DenseGymError, match="at least"):
        collect_bank(HOPPER, episodes=2)
    with pytest.raises(UnknownNameError, match="HopperForward"):
        collect_bank("DenseGym/HoperForward-v0")


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 300))
def test_shares_add_up(parts, more) -> None:
    episodes = len(parts) + more
    counts = bank._apportion(parts, episodes)
    assert sum(counts) == episodes
    for count, part in zip(counts, parts, strict=True):
        assert abs(count - 1 - more * part / sum(parts)) < 1


def test_a_bank_is_collected_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSEGYM_CACHE", str(tmp_path))
    told: list[tuple[int, int]] = []
    ask = {"episodes": 9, "on_episode": lambda done, wanted: told.append((done, wanted))}
    first = load_or_collect(HOPPER, **ask)
    assert told == [(i + 1, 9) for i in range(9)]
    again = load_or_collect(HOPPER, **ask)
    assert len(told) == 9
    assert same(first, again)
    assert list((tmp_path / "banks").iterdir()) == [bank_path(HOPPER, episodes=9)]


def test_the_cache_tells_banks_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DENSEGYM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plain = bank_path(HOPPER)
    assert plain.parent == tmp_path / "densegym" / "banks"
    others = [bank_path(HOPPER, seed=1), bank_path(HOPPER, episodes=10), bank_path(BUTTON)]
    monkeypatch.setattr(bank, "installed_versions", lambda: {"mujoco": "0.0"})
    assert len({plain, *others, bank_path(HOPPER)}) == 5


def acts(behaviour, steps: int, seed: int = 0):
    act = behaviour(np.random.default_rng(seed))
    return np.array([act(np.full(2, float(t))) for t in range(steps)])


def counting(rng):
    return lambda obs: np.full(4, obs[0] / 100 + 0.01, dtype=np.float32)


def test_sticky_actions_are_held() -> None:
    drawn = acts(behaviours.random(PUSH, hold=5), 20)
    assert (drawn.reshape(4, 5, 4) == drawn[::5, None]).all()
    assert len(np.unique(drawn[:, 0])) == 4
    assert len(np.unique(acts(behaviours.random(PUSH), 20)[:, 0])) == 20


def test_noise_replaces_that_share_of_the_actions() -> None:
    meant = acts(counting, 400)
    for share in (0.0, 0.3, 1.0):
        kept = (acts(behaviours.noisy(counting, PUSH, share), 400) == meant).all(axis=1)
        assert kept.mean() == pytest.approx(1 - share, abs=0.07)


def test_the_half_way_expert_stands_still_after_its_stop() -> None:
    meant = acts(counting, 60)
    stopped = acts(exploits.stops_half_way(counting), 60)
    step = int(np.flatnonzero((stopped == 0).all(axis=1))[0])
    assert exploits.STOP_STEPS[0] <= step < exploits.STOP_STEPS[1]
    np.testing.assert_array_equal(stopped[:step], meant[:step])
    assert (stopped[step:] == 0).all()


def test_the_oscillator_undoes_its_steps() -> None:
    swung = acts(exploits.oscillates(counting), 200)
    sums = np.cumsum(swung[:, :3], axis=0)
    half = int(np.flatnonzero(swung[:, 0] < 0)[0])
    np.testing.assert_allclose(sums[2 * half - 1 :: 2 * half], 0.0, atol=1e-5)
    np.testing.assert_allclose(swung[half : 2 * half, 0], -swung[:half, 0][::-1])
    assert (swung[:, 3] == swung[0, 3]).all()


def test_a_scripted_policy_begins_anew_in_every_fresh_lane() -> None:
    policy = Scripted(lambda rng: (lambda first: lambda obs: first)(rng.random(1)), seed=4)
    both = policy(np.zeros((2, 3)), np.array([True, True]))
    later = policy(np.zeros((2, 3)), np.array([False, True]))
    assert both[0] == later[0] != both[1] != later[1]
    again = Scripted(lambda rng: (lambda first: lambda obs: first)(rng.random(1)), seed=4)
    np.testing.assert_array_equal(again(np.zeros((2, 3)), np.array([True, True])), both)
