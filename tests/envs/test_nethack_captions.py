"""What a step tells: every line of the game, progression and milestones."""

from __future__ import annotations

import os

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st

import densegym
from densegym.envs.nethack.layer import NetHackEnv
from densegym.envs.nethack.messages import Lines, decode
from densegym.envs.nethack.progression import ProgressionTracker, progression
from densegym.errors import DenseGymError
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.canonical import step_captions
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Need, Scores

SCORE, KEY_ROOM = "NetHackScore-v0", "MiniHack-KeyRoom-S5-v0"


def test_every_line_the_game_wrote_is_a_caption() -> None:
    """An independent ear at the C binding hears the same lines."""
    env = NetHackEnv(SCORE)
    raw, at = env.game.nethack._pynethack, env.game._message_index
    heard: list[str] = []

    class Ear:
        def step(self, key: int) -> None:
            raw.step(key)
            buffers = env.game.nethack._obs
            if not buffers[env.game._program_state_index][0]:
                heard.append(buffers[at].tobytes().split(b"\0")[0].decode("latin-1"))

        def __getattr__(self, name: str):
            return getattr(raw, name)

    env.game.nethack._pynethack = Ear()
    env.game.hear()
    env.reset(seed=1)
    rng = np.random.default_rng(0)
    lost = ends = 0
    for _ in range(4000):
        heard.clear()
        obs, _, terminated, truncated, info = env.step(rng.integers(23))
        expected = tuple(dict.fromkeys(line for line in heard if line))
        shown = decode(obs["message"].tobytes())
        if terminated or truncated:
            ends += 1
            assert info["captions"] == expected[: len(info["captions"])]
            env.reset()
            continue
        assert info["captions"] == expected
        assert not shown or shown in info["captions"]
        lost += bool(set(expected) - {shown})
    assert lost > 100, "upstream loses lines on one step in six"
    assert ends > 0
    env.close()


def test_a_finished_game_says_nothing_more() -> None:
    env = NetHackEnv(SCORE)
    rng = np.random.default_rng(3)
    for seed in range(40):
        env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            *_, terminated, truncated, info = env.step(rng.integers(8))
        if terminated:
            assert not any("identified" in line or "You die" in line for line in info["captions"])
            break
    env.close()


def test_the_greeting_belongs_to_reset_and_to_no_step() -> None:
    env = NetHackEnv(SCORE)
    _, info = env.reset(seed=0)
    assert "welcome to NetHack" in info["captions"][0]
    assert all("welcome" not in line for line in env.step(1)[4]["captions"])
    env.close()


class Listener(RewardModel):
    """Keeps what rows were told; pays nothing."""

    name = "listener"
    traits = Traits(needs=Need.NOTHING)

    def __init__(self) -> None:
        self.steps: list[tuple[int, tuple[str, ...]]] = []
        self.starts: list[tuple[int, tuple[str, ...]]] = []

    def begin(self, starts) -> None:
        for slot, info in zip(starts.slot, starts.info, strict=True):
            self.starts.append((int(slot), step_captions(info)))

    def score(self, steps) -> Scores:
        for slot, info in zip(steps.slot, steps.info, strict=True):
            self.steps.append((int(slot), step_captions(info)))
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_autoreset_never_credits_the_greeting_to_a_step(mode: AutoresetMode) -> None:
    model = Listener()
    env = densegym.make_vec(
        "DenseGym/NetHackScore-v0", 2, reward=model, autoreset_mode=mode, max_steps=7, seed=0
    )
    env.reset()
    for _ in range(40):
        env.step(np.array([1, 2]))
    greeted = [slot for slot, said in model.starts if any("welcome" in text for text in said)]
    assert greeted.count(0) >= 4
    assert greeted.count(1) >= 4
    assert not any("welcome" in text for _, said in model.steps for text in said)
    env.close()


def test_a_scripted_key_sequence_is_heard() -> None:
    env = gym.make("DenseGym/MiniHack-KeyRoom-S5-v0", max_steps=5000)
    rng = np.random.default_rng(0)
    env.reset(seed=2)
    met: set[str] = set()
    for _ in range(4000):
        *_, terminated, truncated, info = env.step(rng.integers(10))
        met.update(info["milestones"])
        if "door-unlocked" in info["milestones"]:
            assert any("unlocking" in text for text in step_captions(info))
        if terminated or truncated:
            env.reset()
    assert {"key-taken", "door-unlocked"} <= met
    env.close()


@given(st.binary(max_size=256))
def test_any_bytes_decode(data: bytes) -> None:
    text = decode(data)
    assert text.encode("latin-1") == data.split(b"\0")[0]


def test_a_key_sequence_that_never_ends_is_an_error() -> None:
    message, state = np.zeros(256, np.uint8), np.zeros(6, np.int32)
    message[:4] = list(b"Ouch")
    lines = Lines(message, state)
    for _ in range(10_000):
        lines.listen()
    with pytest.raises(DenseGymError, match='"Ouch"'):
        lines.listen()
    lines.clear()
    state[0] = 1
    lines.listen()
    assert lines.texts() == ()


def test_progression_is_monotone_and_marks_are_met_once() -> None:
    assert (progression(1, 1), progression(2, 1), progression(1, 2)) == (0.0, 0.0154, 0.0185)
    assert (progression(50, 1), progression(99, 1)) == (0.8068, 0.8068)
    progress, blstats = ProgressionTracker(), np.zeros(27, np.int64)
    blstats[[12, 18]] = 1
    assert progress.update(blstats) == ()
    blstats[12] = 3
    assert progress.update(blstats) == ("depth-2", "depth-3")
    assert (progress.value, progress.depth) == (0.0175, 3)
    blstats[[12, 18]] = (1, 2)
    assert progress.update(blstats, ("f - a key.",)) == ("key-taken", "level-2")
    assert (progress.value, progress.depth) == (0.0185, 3)
    assert progress.update(blstats, ("f - a key.",)) == ()
    blstats[[12, 23]] = (4, 2)
    assert progress.update(blstats) == ("depth-4", "mines")
    progress.ascend()
    assert progress.value == 1.0


def test_a_game_goes_on_in_a_forked_process() -> None:
    env = NetHackEnv(SCORE)
    env.reset(seed=0)
    if (child := os.fork()) == 0:  # its copy of the game is its own
        told = [env.step(a)[4]["captions"] for a in range(20)]
        os._exit(0 if len(told) == 20 else 1)
    assert os.waitpid(child, 0)[1] == 0
    other = NetHackEnv(SCORE)
    other.reset(seed=0)
    for action in range(20):
        assert env.step(action)[4]["captions"] == other.step(action)[4]["captions"]
    env.close()
    other.close()
