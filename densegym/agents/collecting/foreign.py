"""Episodes of controllers that are not the scripted expert, successes and failures alike.

A judge that has seen one controller knows its poses instead of the task. Here an expert *leaves*
before or after success, a hand *sweeps* through the object, and a *planner* searches in the world
itself. The planner, and policies that users bring, only ever serve evaluation.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.agents.collecting import behaviours
from densegym.envs.experts import capability, new_expert
from densegym.envs.world import Act, World
from densegym.reward_models.progress.demos import LEAVES, PLANNER, SWEEP, TAUGHT
from densegym.reward_models.types import Float, Places

STEPS = 90  # of an episode
AWAY = 20  # pictures kept after success where the hand goes elsewhere
_WON = 0.5  # share of episodes that are tried again until they succeed, the others until they fail
_TRIES = 16
_LEAVE = (5, 75)  # steps after which an expert leaves at the latest
_BEHIND, _ABOVE, _THROUGH = (0.06, 0.14), 0.08, (0.05, 0.3)  # metres around an object
_PACE = (0.3, 1.0)
_ASTRAY = 0.6  # of a sweep's direction, in standard deviations
_BACKWARDS = 1 / 3  # share of sweeps away from the goal
_NEAR = 0.025  # metres from a point at which the next is made for
_PATIENCE = 30  # steps after which it is made for anyhow
_CANDIDATES, _AHEAD, _HELD = 12, 10, 5  # plans compared, steps of each, steps of it that are made
_DISTURBED = 0.9  # share of steps in which a policy acts at random at most
_MISTAKEN = 0.5  # share of planners that are
_REACHED = 0.4  # share of the planner's aim that is nearness to the object


def kinds_of(world: World) -> tuple[str, ...]:
    """Return the foreign controllers that a world has means for."""
    limits = world.capabilities
    if limits.reach is None or limits.workspace is None or world.card.places is None:
        return ()
    return TAUGHT if capability(world, "lookahead") is None else (*TAUGHT, PLANNER)


def wanted(world: World, episodes: int) -> Iterator[tuple[str, bool, int]]:
    """Yield kind, side of the split and number of the episodes to collect.

    Args:
        world: offers a scripted expert.
        episodes: expert episodes for training.
    """
    for kind in kinds_of(world):
        if kind in TAUGHT:
            yield kind, False, (4 if kind == SWEEP else 2) * episodes
        yield kind, True, max(4, round(episodes * (4 if kind in TAUGHT else 8) / 5))


def begin(kind: str, world: World, env: gym.Env[Any, Any], rng: np.random.Generator) -> Act:
    """Return how a foreign controller acts in one episode of ``env``."""
    if kind == LEAVES:
        return _leaves(world, env.action_space, rng)
    assert world.card.places is not None
    if kind == SWEEP:
        return _sweeps(world.card.places, world, env.action_space, rng)
    return _plans(world.card.places, world, env, rng)


def rehearsed(
    kind: str, world: World, env: gym.Env[Any, Any], seed: int, rng: np.random.Generator
) -> Callable[[], Act]:
    """Return what begins an episode that will succeed, or will fail; either as often.

    Tries are played in ``env`` without pictures from the placement of ``seed``; the last counts
    where none comes out as wanted. A planner is not tried: it knows whether it is mistaken.
    """
    wins, stream = bool(rng.random() < _WON), int(rng.integers(2**31))
    for _ in range(_TRIES if kind in TAUGHT else 0):
        act = begin(kind, world, env, np.random.default_rng(stream))
        if _succeeds(act, env, seed) == wins:
            break
        stream = int(rng.integers(2**31))
    return lambda: begin(kind, world, env, np.random.default_rng(stream))


def _succeeds(act: Act, env: gym.Env[Any, Any], seed: int) -> bool:
    obs, _ = env.reset(seed=seed)
    for _ in range(STEPS):
        obs, _, _, _, info = env.step(act(obs))
        if info["success_now"] > 0:
            return True
    return False


def stream_of(kind: str, held_out: bool, seed: int) -> np.random.Generator:
    """Return the random numbers of one kind on one side of the split."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode()), held_out])


def disturbed(act: Act, space: Any, noisy: bool, rng: np.random.Generator) -> Act:
    """Return a policy as it is, or with random actions in up to ``_DISTURBED`` of its steps."""
    if not noisy:
        return act
    share = float(rng.uniform(0.0, _DISTURBED))
    return behaviours.noisy(lambda _: act, space, share)(rng)


def _leaves(world: World, space: Any, rng: np.random.Generator) -> Act:
    """Return an expert that makes for random points after a while, or once it seems finished."""
    expert, left = new_expert(world), int(rng.integers(*_LEAVE))
    low, high = np.array(world.capabilities.workspace)
    points = [_drive(rng.uniform(low, high), world, space, rng) for _ in range(6)]
    rest = iter(points)
    current, spent = next(rest), 0

    def act(obs: Any) -> Any:
        nonlocal left, current, spent
        left -= 1
        if left >= 0:
            return expert(obs)
        spent += 1
        if spent % 12 == 0:
            current = next(rest, current)
        return current(obs)

    return act


def _drive(point: Float, world: World, space: Any, rng: np.random.Generator) -> Act:
    """Return a hand that goes to a point at its own pace, its other numbers held at random."""
    straight: Act = capability(world, "reach")(point, space)
    pace, others = rng.uniform(*_PACE), rng.uniform(-1.0, 1.0, space.shape[0] - 3)

    def act(obs: Any) -> Any:
        action = np.concatenate([pace * straight(obs)[:3], others])
        return np.clip(action, space.low, space.high)

    return act


def _sweeps(places: Places, world: World, space: Any, rng: np.random.Generator) -> Act:
    """Return a hand that comes down beside the object and moves through it, more or less goalwards.

    One of three moves it the other way, which undoes the task. It sweeps again from elsewhere when
    it has arrived.
    """
    sense = -1.0 if rng.random() < _BACKWARDS else 1.0
    low, high = np.array(world.capabilities.workspace)
    path: list[tuple[Float, Act]] = []
    spent = 0

    def plan(obs: Float) -> None:
        thing, goal = obs[slice(*places.object)], obs[slice(*places.goal)]
        way = sense * (goal - thing)
        way = way / max(float(np.linalg.norm(way)), 1e-6) + rng.normal(0.0, _ASTRAY, 3)
        way /= np.linalg.norm(way)
        centre = thing + rng.normal(0.0, 0.03, 3)
        start = centre - rng.uniform(*_BEHIND) * way
        above = np.array([0.0, 0.0, rng.uniform(0.0, 2 * _ABOVE)])
        for point in (start + above, start, centre + rng.uniform(*_THROUGH) * way):
            inside = np.clip(point, low, high)
            path.append((inside, _drive(inside, world, space, rng)))

    def act(obs: Any) -> Any:
        nonlocal spent
        spent += 1
        hand = obs[slice(*places.gripper)]
        while path and (np.linalg.norm(path[0][0] - hand) < _NEAR or spent > _PATIENCE):
            path.pop(0)
            spent = 0
        if not path:
            plan(obs)
        return path[0][1](obs)

    return act


def _plans(places: Places, world: World, env: gym.Env[Any, Any], rng: np.random.Generator) -> Act:
    """Return a planner that tries random actions ahead and makes the best ones.

    Its aim is the state's own: the hand near the object, the object near the goal. Every second
    one believes the goal to lie on the object's other side, and seldom succeeds.
    """
    mistaken = bool(rng.random() < _MISTAKEN)
    off = np.zeros(3)
    ahead, space = capability(world, "lookahead"), env.action_space
    chosen: list[Any] = []
    aims = [slice(*columns) for columns in (places.gripper, places.object, places.goal)]

    def value(obs: Float) -> float:
        hand, thing, goal = (obs[columns] for columns in aims)
        reach, move = np.linalg.norm(hand - thing), np.linalg.norm(thing - goal - off)
        return float(
            _REACHED * (1 - np.tanh(5.0 * reach)) + (1 - _REACHED) * (1 - np.tanh(10.0 * move))
        )

    def foresee(actions: Float, obs: Any) -> float:
        seen: list[float] = []
        left = iter(actions)

        def follow(now: Any) -> Any:
            seen.append(value(now))
            return next(left, actions[-1])

        steps = ahead(env.unwrapped, follow, obs, len(actions) + 1)
        succeeds = steps <= len(actions) and not mistaken
        return 2.0 - 0.01 * steps if succeeds else seen[-1]

    def act(obs: Any) -> Any:
        nonlocal off
        if mistaken and not off.any():
            off = 2.0 * (obs[aims[1]] - obs[aims[2]])
        if not chosen:
            straight = capability(world, "reach")(obs[aims[1]], space)
            plans = [_random_plan(straight(obs), space, rng) for _ in range(_CANDIDATES)]
            best = max(plans, key=lambda plan: foresee(plan, obs))
            chosen.extend(best[:_HELD])
        return chosen.pop(0)

    return act


def _random_plan(straight: Float, space: Any, rng: np.random.Generator) -> Float:
    """Return actions (T, A): two random moves, the first sometimes ``straight`` to the object."""
    moves = rng.uniform(-1.0, 1.0, (2, space.shape[0]))
    if rng.random() < 1 / 3:
        moves[0, :3] = straight[:3] + rng.normal(0.0, 0.3, 3)
    plan = np.repeat(moves, _AHEAD // 2, axis=0)
    clipped: Float = np.clip(plan, space.low, space.high).astype(space.dtype)
    return clipped
