"""The five repairs of the NetHack layer, on the real game."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from densegym.envs.nethack.layer import NetHackEnv
from densegym.envs.registration import bare_spec
from densegym.errors import UnknownNameError


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


IDS = ["DenseGym/NetHackScore-v0", "DenseGym/MiniHack-KeyRoom-S5-v0"]


def trace(env: gym.Env, seed: int, steps: int = 600) -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(1)
    obs, _ = env.reset(seed=seed)
    seen: list[tuple[Any, ...]] = [(obs["glyphs"].tobytes(), obs["blstats"].tobytes())]
    for _ in range(steps):
        obs, reward, terminated, truncated, _ = env.step(rng.integers(env.action_space.n))
        assert env.observation_space.contains(obs)
        seen.append(
            (obs["glyphs"].tobytes(), obs["blstats"].tobytes(), reward, terminated, truncated)
        )
        if terminated or truncated:
            obs, _ = env.reset()
            seen.append((obs["glyphs"].tobytes(),))
    return seen


@pytest.mark.parametrize("env_id", IDS)
def test_equal_seeds_replay_over_resets_and_others_differ(env_id: str) -> None:
    one, other = gym.make(bare_spec(env_id)), gym.make(bare_spec(env_id))
    first = trace(one, 7)
    trace(one, 3, 50)
    assert first == trace(other, 7) == trace(one, 7)
    assert first != trace(other, 8)
    one.close()
    other.close()


def test_the_clock_truncates_and_shows_the_last_state(game) -> None:
    env = game("MiniHack-KeyRoom-S5-v0", max_steps=20)
    free = game("MiniHack-KeyRoom-S5-v0", max_steps=40)
    env.reset(seed=0)
    free.reset(seed=0)
    for t in range(20):
        obs, _, terminated, truncated, info = env.step(t % 8)
        expected = free.step(t % 8)[0]
        assert (terminated, truncated) == (False, t == 19)
    assert info["end_status"] == -1
    assert info["is_success"] == 0.0
    for key, value in obs.items():
        assert np.array_equal(value, expected[key]), key
    assert obs["blstats"].any()


def test_success_terminates_with_the_last_state(game) -> None:
    env = game("MiniHack-Room-5x5-v0")
    rng = np.random.default_rng(0)
    for seed in range(20):
        env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            obs, reward, terminated, truncated, info = env.step(rng.integers(8))
        if terminated:
            break
    assert (terminated, truncated, info["is_success"], info["end_status"]) == (True, False, 1.0, 2)
    assert reward == pytest.approx(1.0, abs=0.02)
    assert obs["blstats"].any(), "the screen after quitting would be blank"
    assert env.observation_space.contains(obs)


def test_a_death_terminates_and_shows_the_last_living_state(game) -> None:
    env = game("NetHackScore-v0")
    rng = np.random.default_rng(3)
    for seed in range(40):
        env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            obs, _, terminated, truncated, info = env.step(rng.integers(8))  # walk into everything
        if terminated:
            break
    assert terminated
    assert info["end_status"] == 1
    assert obs["blstats"][10] >= 0
    assert obs["blstats"].any()


def test_observations_are_copies(game) -> None:
    env = game("NetHackScore-v0")
    first, _ = env.reset(seed=0)
    kept = {key: value.copy() for key, value in first.items()}
    for _ in range(20):
        obs = env.step(1)[0]
        assert not any(np.shares_memory(first[key], obs[key]) for key in obs)
    assert all(np.array_equal(first[key], kept[key]) for key in kept)


def test_reset_takes_options(game) -> None:
    env = game("NetHackScore-v0")
    env.reset(seed=0, options={})
    env.reset(seed=0, options={"anything": 1})


def test_pictures_and_text(game, capfd: pytest.CaptureFixture[str]) -> None:
    picture = game("MiniHack-KeyRoom-S5-v0", render_mode="rgb_array")
    picture.reset(seed=0)
    frame = picture.render()
    assert (frame.shape, frame.dtype) == ((336, 1264, 3), np.uint8)
    assert frame.max() > 0
    text = game("MiniHack-KeyRoom-S5-v0", render_mode="ansi")
    text.reset(seed=0)
    assert "@" in text.render()
    assert game("NetHackScore-v0").render() is None
    assert capfd.readouterr().out == ""


def test_chosen_keys_and_wrong_names(game) -> None:
    env = game("NetHackScore-v0", observation_keys=["blstats", "tty_chars"])
    assert sorted(env.reset(seed=0)[0]) == ["blstats", "tty_chars"]
    with pytest.raises(UnknownNameError, match='Did you mean "blstats"'):
        game("NetHackScore-v0", observation_keys=["blstat"])
    with pytest.raises(UnknownNameError, match='Did you mean "NetHackScore-v0"'):
        game("NetHackScor-v0")
    with pytest.raises(UnknownNameError, match="render mode"):
        game("NetHackScore-v0", render_mode="human")


@pytest.mark.parametrize("present", [True, False])
def test_minihack_imports_with_and_without_pkg_resources(present: bool) -> None:
    block = "" if present else "sys.modules['pkg_resources'] = None; "
    code = (
        f"import sys, warnings; warnings.simplefilter('error', UserWarning); {block}"
        "from densegym.envs.nethack.compatibility import import_minihack; "
        "name = import_minihack().__name__; "
        "print(name, sys.modules.get('pkg_resources', 'absent') in ('absent', None))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["minihack", "True"]


def test_a_step_costs_little_more_than_upstreams(game) -> None:
    """The layer's share is measured by the benchmark; here only a gross slip is caught."""
    keys = ("glyphs", "blstats", "message")
    raw = gym.make("NetHackScore-v0", observation_keys=keys).unwrapped
    ours = game("NetHackScore-v0")
    seconds = {"raw": [], "ours": []}
    actions = np.random.default_rng(0).integers(8, size=1500)
    for _ in range(5):
        for name, env in (("raw", raw), ("ours", ours)):
            env.reset()
            started = time.process_time()
            for action in actions:
                step = env.step(int(action))
                if step[2] or step[3]:
                    env.reset()
            seconds[name].append(time.process_time() - started)
    assert np.median(seconds["ours"]) < 1.35 * np.median(seconds["raw"])
    raw.close()
