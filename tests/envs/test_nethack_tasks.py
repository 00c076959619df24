"""ONI's goal tasks, the Challenge and the bonus study's tasks."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from nle import nethack

from densegym.envs.nethack.layer import NetHackEnv
from densegym.errors import DenseGymError, UnknownNameError

MOVES = {
    (0, -1): "N", (1, 0): "E", (0, 1): "S", (-1, 0): "W",
    (1, -1): "NE", (1, 1): "SE", (-1, 1): "SW", (-1, -1): "NW",
}  # fmt: skip
SEED = 32  # of a game whose stairs a simple explorer finds
WALKABLE = [ord(c) for c in ".#<>$%)([!?/=+|-"]


def action(env: NetHackEnv, key: int) -> int:
    return [int(a) for a in env.game.actions].index(int(key))


def way(chars: Any, start: tuple[int, int], tried: set[tuple[int, int]]) -> list[str] | None:
    """Return the moves of a shortest way to the stairs, or to the edge of what was seen."""
    free, dark = np.isin(chars, WALKABLE), np.pad(chars == ord(" "), 1)
    stairs = [(int(x), int(y)) for y, x in np.argwhere(chars == ord(">"))]
    came: dict[tuple[int, int], Any] = {start: None}
    queue, goal = deque([start]), None
    while queue:
        x, y = queue.popleft()
        edge = dark[y : y + 3, x : x + 3].any() and (x, y) not in tried
        if (x, y) in stairs or (not stairs and edge and (x, y) != start):
            goal = (x, y)
            break
        for (dx, dy), name in MOVES.items():
            to = (x + dx, y + dy)
            if 0 <= to[0] < 79 and 0 <= to[1] < 21 and to not in came and free[to[1], to[0]]:
                came[to] = ((x, y), name)
                queue.append(to)
    moves: list[str] = []
    while goal is not None and came[goal] is not None:
        goal, name = came[goal]
        moves.append(name)
    return moves[::-1] or None


def walk_to_stairs(env: NetHackEnv, seed: int) -> bool:
    """Explore until the agent stands on stairs down."""
    obs, _ = env.reset(seed=seed)
    tried: set[tuple[int, int]] = set()
    for _ in range(400):
        if env.game.last_observation[env.game._internal_index][4]:
            return True
        here = (int(obs["blstats"][0]), int(obs["blstats"][1]))
        tried.add(here)
        moves = way(obs["chars"], here, tried)
        if moves is None:
            return False
        obs, _, ended, cut, _info = env.step(action(env, nethack.CompassDirection[moves[0]]))
        if ended or cut:
            return False
        if here == (int(obs["blstats"][0]), int(obs["blstats"][1])):  # something is in the way
            dx, dy = next(step for step, name in MOVES.items() if name == moves[0])
            tried.add((here[0] + dx * 1, here[1] + dy))
    return False


def on_stairs(env: NetHackEnv) -> None:
    assert walk_to_stairs(env, SEED), "the explorer finds the stairs of this game"


@pytest.mark.parametrize("mode", ["", "-Continual"])
def test_taking_the_stairs_pays_fifty(mode: str) -> None:
    env = NetHackEnv(f"ONI-Staircase-Lvl2{mode}", observation_keys=["chars", "blstats"])
    on_stairs(env)
    _, reward, terminated, _, info = env.step(action(env, nethack.MiscDirection.DOWN))
    assert (reward, terminated) == (50.0, not mode)
    assert info["is_success"] == float(not mode)
    assert info["milestones"] == ("depth-2",)
    assert (info["progression"], info["depth"]) == (0.0154, 2.0)
    env.close()


def test_another_level_pays_nothing_and_frozen_steps_cost_nothing() -> None:
    env = NetHackEnv("ONI-Staircase-Lvl3", observation_keys=["chars", "blstats"])
    on_stairs(env)
    assert env.step(action(env, nethack.MiscDirection.UP))[1] == 0.0  # no clock tick
    _, reward, terminated, _, info = env.step(action(env, nethack.MiscDirection.DOWN))
    assert (reward, terminated, info["depth"]) == (0.0, False, 2.0)
    env.close()


@pytest.mark.parametrize("sober", [True, False])
def test_hallucinated_oracles_count_only_for_the_unsober(sober: bool) -> None:
    """Agents learned to eat what makes any monster look like the Oracle."""
    env = NetHackEnv("ONI-Oracle-Sober" if sober else "ONI-Oracle")
    env.reset(seed=0)
    game = env.game
    column, row = game.blstats[:2]
    seen = tuple(array.copy() for array in game.last_observation)
    running = game._is_episode_end(seen)
    seen[game._glyph_index][row, column + 1] = game.oracle_glyph
    met = game._is_episode_end(seen)
    seen[game._blstats_index][nethack.NLE_BL_CONDITION] |= nethack.BL_MASK_HALLU
    hallucinated = game._is_episode_end(seen)
    assert (int(running), int(met), int(hallucinated)) == (0, 2, 0 if sober else 2)
    env.close()


@pytest.mark.parametrize(("key", "eaten"), [(ord("y"), True), (ord("."), False)])
def test_what_to_eat_is_answered_by_y_and_cancelled_by_others(key: int, eaten: bool) -> None:
    env = NetHackEnv("ONI-Oracle")
    env.reset(seed=0)
    asked = env.step(action(env, nethack.Command.EAT))[4]["captions"]
    assert any(line.startswith("What do you want to eat?") for line in asked)
    *_, info = env.step(action(env, key))
    assert any("finished" in line for line in info["captions"]) is eaten
    env.close()


def test_the_challenge_can_be_seeded() -> None:
    one, other = NetHackEnv("NetHackChallenge-v0"), NetHackEnv("NetHackChallenge-v0")
    rng = np.random.default_rng(0)
    assert one.action_space.n == 121
    for seed in (3, None):
        first, second = one.reset(seed=seed)[0], other.reset(seed=seed)[0]
        for _ in range(100):
            assert all(np.array_equal(first[key], second[key]) for key in first)
            key = rng.integers(121)
            first, second = one.step(key)[0], other.step(key)[0]
    one.close()
    other.close()


def test_contexts_bound_the_number_of_games() -> None:
    env = NetHackEnv("MiniHack-Corridor-R5-v0", contexts=3)
    starts = {env.reset(seed=0 if i == 0 else None)[0]["glyphs"].tobytes() for i in range(25)}
    assert len(starts) == 3
    other = NetHackEnv("MiniHack-Corridor-R5-v0", contexts=3)
    assert other.reset(seed=9)[0]["glyphs"].tobytes() in starts
    with pytest.raises(DenseGymError, match="contexts is at least 1; given 0"):
        NetHackEnv("NetHackScore-v0", contexts=0)
    env.close()
    other.close()


@pytest.mark.parametrize("task", ["MiniHack-MultiRoom-N2-v0", "MiniHack-LavaCrossingS19N13-v0"])
def test_minigrid_levels_follow_the_seed(task: str) -> None:
    one, other = NetHackEnv(task), NetHackEnv(task)
    first = [one.reset(seed=seed)[0]["glyphs"].tobytes() for seed in (0, None, 1)]
    assert [other.reset(seed=seed)[0]["glyphs"].tobytes() for seed in (0, None, 1)] == first
    assert len(set(first)) == 3
    one.close()
    other.close()


def test_an_unknown_task_names_ours_too() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "ONI-Oracle"'):
        NetHackEnv("ONI-Oracl")
