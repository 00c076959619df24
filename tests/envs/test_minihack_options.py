"""MiniHack's tasks, all of them, and upstream's options on them, with the repairs."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("minihack")

from nle import nethack

import densegym
from densegym.envs.nethack.cards import worlds
from densegym.envs.nethack.compatibility import import_minihack
from densegym.envs.nethack.core import LaneCore
from densegym.envs.nethack.lanes import make_lanes
from densegym.envs.nethack.layer import NetHackEnv
from densegym.errors import DenseGymError, MissingExtraError, UnknownNameError

MINIHACK = import_minihack()

ROOM = "DenseGym/MiniHack-Room-5x5-v0"
SKILL = "DenseGym/MiniHack-Skill-Custom-v0"


def corridor(length: int = 3) -> str:
    """Return a level in which the stairs are east of the agent."""
    level = MINIHACK.LevelGenerator(w=length, h=2)
    level.set_start_pos((0, 0))
    level.add_goal_pos((length - 1, 0))
    return str(level.get_des())


def east(env: gym.Env) -> int:
    return [int(key) for key in env.unwrapped.game.actions].index(nethack.CompassDirection.E)


def test_every_task_of_upstream_is_here_but_those_with_levels_to_download() -> None:
    ours = {world.kwargs["task"] for world in worlds()}
    missing = {name for name in gym.registry if name.startswith("MiniHack")} - ours
    assert missing == {f"MiniHack-Boxoban-{kind}-v0" for kind in ("Unfiltered", "Medium", "Hard")}
    with pytest.raises(MissingExtraError, match=r"-m minihack\.scripts\.download_boxoban_levels"):
        NetHackEnv("MiniHack-Boxoban-Medium-v0")


def test_a_level_of_ones_own() -> None:
    env = gym.make(SKILL, des_file=corridor())
    env.reset(seed=0)
    paid = [env.step(east(env)) for _ in range(2)]
    assert [step[1] for step in paid] == [0.0, 1.0]
    assert paid[1][2]
    assert paid[1][4]["is_success"] == 1.0
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert np.array_equal(again.reset(seed=3)[0]["glyphs"], env.reset(seed=3)[0]["glyphs"])
    for task in ("Navigation", "Skill"):
        plain = gym.make(f"DenseGym/MiniHack-{task}-Custom-v0", observation_keys=("chars",))
        assert (plain.reset(seed=0)[0]["chars"] == ord(".")).sum() > 15, "the empty room"


@pytest.mark.parametrize(
    ("level", "why"),
    [
        ("no-such-file.des", "cannot stat"),
        (corridor().replace("GEOMETRY", "GEOMTRY"), "line 5, pos 0: syntax error"),
        (corridor().replace("my", "your"), "another name"),
    ],
)
def test_a_level_that_does_not_compile_is_refused(level: str, why: str) -> None:
    """Upstream plays the plain dungeon instead."""
    with pytest.raises(DenseGymError, match=f"des_file= is the text of a level.*\n?.*{why}"):
        gym.make(SKILL, des_file=level)


def test_what_winning_losing_and_waiting_pay() -> None:
    given = {"des_file": corridor(), "reward_win": 5.0, "reward_lose": -2.0, "penalty_step": -0.5}
    env = gym.make(SKILL, max_steps=3, **given)
    env.reset(seed=0)
    assert env.step(east(env))[1] == 0.0
    assert env.step(east(env))[1] == 5.0
    env.reset(seed=0)
    wait = [int(key) for key in env.unwrapped.game.actions].index(nethack.CompassDirection.N)
    assert [env.step(wait)[1] for _ in range(2)] == [-0.5, -0.5]
    _, paid, terminated, truncated, info = env.step(wait)
    assert (paid, terminated, truncated, info["end_status"]) == (-2.5, False, True, -1)
    assert make_lanes(task="MiniHack-Room-5x5-v0", num_envs=1, reward_win=5.0) is None


def test_events_of_ones_own_are_counted_apart_in_every_lane() -> None:
    manager = MINIHACK.RewardManager()
    manager.add_location_event("staircase down", reward=2.0)
    envs = gym.make_vec(SKILL, 2, des_file=corridor(), reward_manager=manager)
    envs.reset(seed=0)
    stay = [int(key) for key in envs.envs[0].unwrapped.game.actions].index(ord("s"))
    for _ in range(2):
        _, paid, terminated, _, _ = envs.step(np.array([east(envs.envs[0]), stay]))
    assert paid.tolist() == [2.0, 0.0]
    assert terminated.tolist() == [True, False]
    envs.close()


def test_an_ending_that_takes_reward_is_no_success() -> None:
    """MiniHack's Memento ends at the trap as "successful", with -1."""
    for reward, success in ((-1.0, 0.0), (1.0, 1.0)):
        manager = MINIHACK.RewardManager()
        manager.add_location_event("staircase down", reward=reward)
        env = gym.make(SKILL, des_file=corridor(), reward_manager=manager)
        env.reset(seed=0)
        for _ in range(2):
            _, paid, terminated, _, info = env.step(east(env))
        assert (paid, terminated, info["end_status"]) == (reward, True, 2)
        assert (info["is_success"], info["success_now"]) == (success, success)


@pytest.mark.parametrize("task", ["MiniHack-Memento-Short-F2-v0", "MiniHack-Sokoban1a-v1"])
def test_lanes_and_single_games_agree_on_success(task: str) -> None:
    if not LaneCore.can(task):
        assert make_lanes(task=task, num_envs=2) is None
        return
    core, env = LaneCore(task, 1), NetHackEnv(task)
    rng = np.random.default_rng(0)
    for seed in range(6):
        core.seed(0, seed)
        core.reset(0)
        env.reset(seed=seed)
        for _ in range(150):
            action = int(rng.integers(env.action_space.n))
            _, paid, terminated, truncated, infos = core.step([action])
            _, reward, ended, cut, info = env.step(action)
            assert (paid[0], terminated[0], truncated[0]) == (reward, ended, cut)
            assert infos[0]["success_now"] == info["success_now"]
            if ended or cut:
                break
    core.close()
    env.close()


def test_other_options_of_upstream() -> None:
    env = gym.make("DenseGym/NetHackScore-v0", character="val-dwa-law-fem", render_mode="ansi")
    env.reset(seed=0)
    assert "Agent the Stripling" in env.render()
    wide = gym.make(ROOM, obs_crop_h=5, obs_crop_w=7, observation_keys=("chars_crop", "blstats"))
    obs, _ = wide.reset(seed=0)
    assert obs["chars_crop"].shape == (5, 7)
    assert wide.observation_space.contains(obs)
    few = gym.make(ROOM, actions=tuple(nethack.CompassCardinalDirection))
    assert few.action_space.n == 4


def test_seeds_of_levels_are_drawn_by_the_world() -> None:
    name = "DenseGym/MiniHack-Room-Random-15x15-v0"
    env, again = (gym.make(name, seeds=[1, 2, 3]) for _ in range(2))
    first = [env.reset(seed=s)[0]["glyphs"].tobytes() for s in (0, *[None] * 11)]
    assert first == [again.reset(seed=s)[0]["glyphs"].tobytes() for s in (0, *[None] * 11)]
    assert len(set(first)) == 3
    for bad in ({"seeds": []}, {"seeds": [-1]}, {"seeds": [1], "contexts": 2}):
        with pytest.raises(DenseGymError, match="seeds is a list of numbers"):
            gym.make(name, **bad)


@pytest.mark.parametrize(
    ("env_id", "option", "says"),
    [
        (ROOM, {"no_such": 1}, "does not take these options: .*no_such"),
        (ROOM, {"des_file": "x"}, "does not take these options"),
        ("DenseGym/NetHackScore-v0", {"reward_win": 2}, "does not take these options"),
        (ROOM, {"fix_moon_phase": False}, "would change nothing here"),
    ],
)
def test_options_that_upstream_does_not_take_are_refused(env_id, option, says) -> None:
    with pytest.raises(DenseGymError, match=says):
        gym.make(env_id, **option)


def test_batched_lanes_refuse_options_by_name() -> None:
    lanes = make_lanes(task="MiniHack-Room-5x5-v0", num_envs=2)
    lanes.set_options({"wizkit_items": ["x"]})
    with pytest.raises(UnknownNameError, match='no reset option "wizkit_items"'):
        lanes.reset()
    lanes.close()


def test_every_card_of_minihack_is_made_without_minihack() -> None:
    code = (
        "import sys; sys.modules['minihack'] = sys.modules['nle'] = None\n"
        "import densegym; from densegym.envs.tasks import worlds; print(len(worlds()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(densegym.envs.tasks.worlds())
