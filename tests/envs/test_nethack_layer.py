"""The repairs of the NetHack layer, on the real game and against upstream's own classes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from densegym.envs.nethack.compatibility import import_minihack
from densegym.envs.nethack.layer import NetHackEnv
from densegym.envs.nethack.speed import layer_speed
from densegym.envs.registration import bare_spec
from densegym.errors import DenseGymError, UnknownNameError

SCORE, KEY_ROOM = "NetHackScore-v0", "MiniHack-KeyRoom-S5-v0"
KEYS = ("glyphs", "blstats", "message")
SCREEN = (336, 1264, 3)


@pytest.fixture
def game() -> Iterator[Callable[..., NetHackEnv]]:
    """Makes games and ends them after the test."""
    made: list[NetHackEnv] = []

    def make(*args: Any, **kwargs: Any) -> NetHackEnv:
        made.append(NetHackEnv(*args, **kwargs))
        return made[-1]

    yield make
    for env in made:
        env.close()


@pytest.fixture
def upstream() -> Iterator[Callable[..., Any]]:
    """Makes unrepaired games that do not look at the date."""
    made: list[Any] = []
    import_minihack()

    def make(task: str, **kwargs: Any) -> Any:
        made.append(
            gym.make(task, fix_moon_phase=True, disable_env_checker=True, **kwargs).unwrapped
        )
        return made[-1]

    yield make
    for env in made:
        env.close()


def copied(obs: dict[str, Any]) -> dict[str, Any]:
    return {key: value.copy() for key, value in obs.items()}


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def play_until_termination(
    env: NetHackEnv, actions: int, *, see: Callable[[dict[str, Any]], Any] = copied
) -> tuple[dict[str, Any], Any, tuple[Any, ...]]:
    """Return the observation before the end, what ``see`` made of it, and the last step."""
    rng = np.random.default_rng(3)
    for seed in range(40):
        obs, _ = env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            before, seen = obs, see(obs)
            last = env.step(rng.integers(actions))
            obs, _, terminated, truncated, _ = last
        if terminated:
            return before, seen, last
    raise AssertionError("no game of 40 terminated")


def trace(env: gym.Env, seed: int, steps: int = 600) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(1)
    obs, _ = env.reset(seed=seed)
    seen: list[tuple[Any, ...]] = [tuple(value.tobytes() for value in obs.values())]
    for _ in range(steps):
        obs, *outcome = env.step(rng.integers(env.action_space.n))
        assert env.observation_space.contains(obs)
        seen.append((*(value.tobytes() for value in obs.values()), *outcome))
        if outcome[1] or outcome[2]:
            obs, _ = env.reset()
            seen.append(tuple(value.tobytes() for value in obs.values()))
    return seen


@pytest.mark.parametrize("task", [SCORE, KEY_ROOM])
def test_equal_seeds_replay_over_resets_and_others_differ(game, task: str) -> None:
    one, other = game(task, max_steps=250), game(task, max_steps=250)
    first = trace(one, 7)
    trace(one, 3, 50)
    assert first == trace(other, 7) == trace(one, 7)
    assert first != trace(other, 8)
    assert sum(len(row) == len(first[0]) for row in first) >= 3, "resets belong to the replay"


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[NetHackEnv, NetHackEnv]]:
    one, other = NetHackEnv(SCORE), NetHackEnv(SCORE)
    yield one, other
    one.close()
    other.close()


@given(seed=st.integers(0, 2**63), after=st.integers(0, 2**63))
def test_a_seed_decides_first_observations_whatever_was_played(
    pair: tuple[NetHackEnv, NetHackEnv], seed: int, after: int
) -> None:
    pair[1].reset(seed=after)
    assert equal(*(env.reset(seed=seed)[0] for env in pair))
    assert equal(*(env.reset()[0] for env in pair))


@pytest.mark.parametrize("task", [SCORE, KEY_ROOM, "NetHackStaircase-v0", "NetHackEat-v0"])
def test_rewards_ends_and_screens_are_upstreams(game, upstream, task: str) -> None:
    keys = (*KEYS, "chars_crop") if task == KEY_ROOM else KEYS
    ours = game(task, max_episode_steps=120, observation_keys=keys)
    raw = upstream(task, observation_keys=keys)
    raw._max_episode_steps = 120
    seeds = np.random.default_rng(5)  # the generator that reset(seed=5) makes

    def start(seed: int | None) -> None:
        raw.seed(*seeds.integers(2**62, size=2).tolist())
        assert equal(ours.reset(seed=seed)[0], raw.reset()[0])

    start(5)
    actions, ends = np.random.default_rng(0), 0
    for _ in range(800):
        action = actions.integers(raw.action_space.n)
        obs, reward, terminated, truncated, info = ours.step(action)
        expected, expected_reward, ended, _, expected_info = raw.step(action)
        assert reward == expected_reward
        assert (terminated or truncated) == ended
        assert info["end_status"] == int(expected_info["end_status"])
        if ended:
            ends += 1
            start(None)
        else:
            assert equal(obs, expected)
    assert ends >= 3


@pytest.mark.parametrize("task", [SCORE, KEY_ROOM])
def test_the_clock_truncates_and_shows_the_last_state(game, task: str) -> None:
    env = game(task, max_episode_steps=20, render_mode="rgb_array")
    free = game(task, render_mode="rgb_array")
    env.reset(seed=0)
    free.reset(seed=0)
    for t in range(20):
        obs, _, terminated, truncated, info = env.step(t % 8)
        expected = free.step(t % 8)[0]
        assert (terminated, truncated) == (False, t == 19)
        assert type(info["end_status"]) is int
    assert (info["end_status"], info["is_success"]) == (-1, 0.0)
    assert obs["blstats"].any()
    assert equal(obs, expected)
    assert np.array_equal(env.render(), free.render())


def test_the_clock_is_upstreams_unless_shortened(game) -> None:
    limits = [game(SCORE), game(KEY_ROOM), game(SCORE, max_steps=9)]
    assert [env.game._max_episode_steps for env in limits] == [5000, 200, 9]
    outside = gym.make(bare_spec("DenseGym/NetHackScore-v0"), max_episode_steps=2)
    inside = gym.make(bare_spec("DenseGym/NetHackScore-v0"), max_steps=2)
    for env, status in ((outside, 0), (inside, -1)):
        env.reset(seed=0)
        env.step(1)
        *_, terminated, truncated, info = env.step(1)
        assert (terminated, truncated, info["end_status"]) == (False, True, status)
        env.close()
    with pytest.raises(DenseGymError, match="are the same limit"):
        game(SCORE, max_steps=9, max_episode_steps=9)
    with pytest.raises(DenseGymError, match="max_episode_steps is 0"):
        game(SCORE, max_episode_steps=0)


def test_success_terminates_with_the_last_state(game) -> None:
    env = game("MiniHack-Room-5x5-v0", render_mode="rgb_array")
    _, _, (obs, reward, _, truncated, info) = play_until_termination(env, 8)
    assert (truncated, info["end_status"]) == (False, 2)
    assert (info["success_now"], info["is_success"]) == (1.0, 1.0)
    assert reward == pytest.approx(1.0, abs=0.02)
    assert obs["blstats"].any(), "the screen after quitting would be blank"
    assert env.observation_space.contains(obs)
    assert env.render().any()
    assert env.reset(seed=0)[1]["is_success"] == 0.0
    assert env.step(0)[4]["is_success"] == 0.0, "the latch opens with every episode"


def test_a_death_terminates_and_shows_the_last_living_state(game) -> None:
    env = game(SCORE, render_mode="ansi")
    before, (seen, text), last = play_until_termination(
        env, 8, see=lambda obs: (copied(obs), env.render())
    )
    obs, _, terminated, truncated, info = last
    assert (terminated, truncated, info["end_status"]) == (True, False, 1)
    assert info["is_success"] == 0.0
    assert obs["blstats"].any()
    assert equal(obs, seen)
    assert not any(np.shares_memory(obs[key], before[key]) for key in obs)
    assert env.render() == text


def test_observations_are_copies_and_writing_into_them_changes_nothing(game) -> None:
    env, other = game(SCORE), game(SCORE)
    first, _ = env.reset(seed=0)
    other.reset(seed=0)
    kept = copied(first)
    rng = np.random.default_rng(0)
    for _ in range(200):
        action = rng.integers(env.action_space.n)
        obs, reward, *_ = env.step(action)
        expected, expected_reward, *_ = other.step(action)
        assert not any(np.shares_memory(first[key], obs[key]) for key in obs)
        assert equal(obs, expected)
        assert reward == expected_reward
        for value in obs.values():
            value[...] = 1
    assert equal(first, kept)


def test_the_date_decides_nothing(game) -> None:
    """Else full moon, new moon and Friday the 13th would meet every game of a day, or none."""
    env = game(SCORE, observation_keys=["message"])
    moons = sum(b"moon" in env.reset(seed=seed)[0]["message"].tobytes() for seed in range(60))
    assert 0 < moons < 60


def test_reset_takes_options(game) -> None:
    env = game(SCORE)
    first = env.reset(seed=0)[0]
    for options in ({}, None):
        assert equal(first, env.reset(seed=0, options=options)[0])
    with pytest.raises(UnknownNameError, match=r'no reset option "anything".*wizkit_items'):
        env.reset(options={"anything": 1})
    with pytest.raises(ValueError, match="wizard"):
        env.reset(options={"wizkit_items": ["wand of wishing"]})


@pytest.mark.parametrize("task", [SCORE, KEY_ROOM])
def test_pictures_and_text(game, capfd: pytest.CaptureFixture[str], task: str) -> None:
    picture = game(task, render_mode="rgb_array")
    picture.reset(seed=0)
    frame = picture.render()
    assert (frame.shape, frame.dtype) == (SCREEN, np.uint8)
    kept = frame.copy()
    for action in range(8):
        picture.step(action)
    assert not np.array_equal(picture.render(), kept)
    assert np.array_equal(frame, kept), "pictures are copies"
    text = game(task, render_mode="ansi")
    obs, _ = text.reset(seed=0)
    assert sorted(obs) == sorted(picture.observation_space.spaces)
    lines = text.render().split("\n")
    assert [len(line) for line in lines] == [80] * 24
    assert "@" in text.render()
    assert "Dlvl:1" in lines[-1]
    silent = game(task)
    silent.reset(seed=0)
    assert silent.render() is None
    assert capfd.readouterr().out == ""


def test_chosen_keys_and_wrong_names(game) -> None:
    env = game(SCORE, observation_keys=["blstats", "tty_chars"])
    assert sorted(env.reset(seed=0)[0]) == ["blstats", "tty_chars"]
    room = game(KEY_ROOM, observation_keys=["glyphs_crop"])
    assert {key: value.shape for key, value in room.reset(seed=0)[0].items()} == {
        "glyphs_crop": (9, 9)
    }
    with pytest.raises(UnknownNameError, match='Did you mean "blstats"'):
        game(SCORE, observation_keys=["blstat"])
    with pytest.raises(UnknownNameError, match='"tty_chars_crop"'):
        game(SCORE, observation_keys=["tty_chars_crop"])
    for key in ("screen_descriptions_crop", "program_state"):  # MiniHack cannot return them right
        with pytest.raises(UnknownNameError, match=key):
            game(KEY_ROOM, observation_keys=[key])
    with pytest.raises(UnknownNameError, match='Did you mean "NetHackScore-v0"'):
        game("NetHackScor-v0")
    with pytest.raises(UnknownNameError, match="CartPole"):
        game("CartPole-v1")
    with pytest.raises(UnknownNameError, match="render mode"):
        game(SCORE, render_mode="human")


@pytest.mark.parametrize("task", [SCORE, KEY_ROOM])
def test_every_key_stays_in_its_space(game, task: str) -> None:
    keys = ["inv_strs", "inv_glyphs", "screen_descriptions", "tty_colors", "tty_cursor", "specials"]
    env = game(task, observation_keys=[*KEYS, *keys])
    trace(env, 0, 150)
    sampled = env.observation_space["blstats"].sample()
    assert sampled.min() < 0 < sampled.max(), "samples are spread over the space"


@pytest.mark.parametrize("task", [SCORE, KEY_ROOM])
def test_both_checkers_are_green_with_pictures(task: str) -> None:
    env = gym.make(bare_spec(f"DenseGym/{task}")).unwrapped
    check_env(env)  # makes the env once more for every render mode
    with warnings.catch_warnings():
        # SB3 advises on flattening maps; none is an error.
        warnings.filterwarnings("ignore", message="Your observation .* unconventional shape")
        sb3_check_env(env)
    env.close()


def test_closing_twice_is_fine(game) -> None:
    env = game(SCORE)
    env.reset(seed=0)
    env.close()
    env.close()


def test_a_step_costs_at_most_a_ninth_more_than_upstreams() -> None:
    assert layer_speed(rounds=12) >= 0.9
