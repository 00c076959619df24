"""Collects demonstrations for progress models: a scripted expert and four ways to fail."""

from __future__ import annotations

import math
import signal
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from densegym.agents.collecting import foreign
from densegym.agents.collecting.counting import count_sparsely
from densegym.agents.collecting.demonstrators import (
    NEAR_MISS,
    STALL_STEPS,
    WANDER,
    WRONG_TASK,
    Demonstrators,
)
from densegym.agents.collecting.journal import Journal, Written
from densegym.agents.collecting.lanes import fill
from densegym.envs.experts import capability, new_expert, offering
from densegym.envs.registration import bare_spec, goes_on
from densegym.envs.tasks import known_world
from densegym.envs.world import Act, World
from densegym.envs.wrappers.frames import FrameInInfo
from densegym.errors import DenseGymError
from densegym.reward_models.progress.demos import (
    EXPERT,
    FAILURES,
    FOREIGN,
    LEAVES,
    POLICY,
    RANDOM,
    STALL,
    Demo,
    held,
)
from densegym.reward_models.progress.local.labels import ORIGIN
from densegym.reward_models.types import Float, Places

FAILED_STEPS = 90  # of a failed episode
AFTER = 6  # pictures kept after the first success
HELD_OUT = 16  # expert episodes for evaluation, none of them displaced
_LEFT = 0.5  # share of the object's way that a failure must leave
_CELL = 0.02  # metres; placements in one cell belong to one side of the split
COUNTED = 6  # steps between states from which the expert's steps may be counted
STRAYS = (*[WANDER] * 4, "")  # what experts take over from in turn; "" is one of the next
_OTHERS = (RANDOM, WRONG_TASK, NEAR_MISS)
# Failures to learn from, per one kept for evaluation.
SHARE = {**dict.fromkeys(FAILURES, 2), NEAR_MISS: 4}
_LONGEST = 1000  # steps of a demonstration where a world's clock is its own
_TRIALS = 5  # episodes in which a policy that a user brings must succeed once
_ATTEMPTS = 40  # episodes tried per episode wanted


@dataclass(frozen=True, slots=True)
class Collected:
    """What was collected, and how many attempts were thrown away per kind.

    Attributes:
        demos: every episode kept.
        rejected: episodes per kind whose outcome was not the kind's.
        cameras: of the pictures.
    """

    demos: list[Demo]
    rejected: dict[str, int]
    cameras: tuple[str, ...]


def collect(
    env_id: str,
    *,
    episodes: int = 10,
    seed: int = 0,
    size: int = 64,
    cameras: tuple[str, ...] = (),
    expert: Callable[[World], Act] | None = None,
    journal: Journal | None = None,
    lanes: int = 1,
    on_episode: Callable[[int, int], None] = lambda done, wanted: None,
) -> Collected:
    """Collect expert episodes for training and evaluation, and failures of four kinds for both.

    Experts act with random pace and noise, or a model would learn the clock of one controller.
    Five times as many take over, four from a hand that has moved to a random point and one from
    random actions, another task's expert or one that misses: a policy in training goes such ways
    and must be told how to come back. Failures that moved the object most of its way are left out,
    because they made progress. Episodes to learn from carry the steps that an expert without noise
    still needs from every state (``Demo.left``), which it plays in a copy of the world.
    Placements are split by cells of 2 cm: no cell serves both training and evaluation.

    A kind that a world has no means for is left out: near misses need places in the observation,
    wrong tasks others of the same suite, wanderers a gripper that can be moved, and steps that are
    left a world to look ahead in.

    Args:
        env_id: a task with a scripted expert.
        episodes: expert episodes for training; there are five times as many recoveries, and 8 / 5
            as many failures of each kind, near misses twice that.
        seed: of placements and noise.
        size: of pictures, pixels.
        cameras: instead of the task card's.
        expert: who acts in place of the world's scripted expert, in the form of
            ``Capabilities.expert``; such a world need offer none.
        journal: where episodes are written down; what it holds of this very collection is kept.
        lanes: processes that collect side by side, which need a journal and an expert that can be
            pickled. What is collected is the same.
        on_episode: told about collected and wanted episodes.

    Raises:
        UnknownNameError: a task without a scripted expert.
        DenseGymError: a kind does not come about, such as failures of a task that solves itself.
    """
    if episodes < 2:
        raise DenseGymError(f"a model needs at least 2 expert episodes; given {episodes}")
    row = offering(env_id, "demos") if expert is None else with_expert(env_id, expert)
    views = cameras or row.card.cameras
    world = make_drawable(row, row.capabilities.demo_steps)
    stage = stage_of(row, world, views, size)
    if expert is not None:
        stage = paced(stage, seed)
    wanted = list(_wanted(episodes, stage))
    total = sum(count for _, _, count in wanted)
    if lanes > 1 and journal is not None:
        order = env_id, episodes, seed, size, cameras, expert
        longest = sorted(range(len(wanted)), key=lambda unit: -wanted[unit][2])
        jobs = [partial(_collect_alone, order, unit, journal) for unit in longest]
        fill(journal, jobs, lanes, lambda done: on_episode(done, total))
    demos: list[Demo] = []
    rejected = dict.fromkeys((EXPERT, *stage.cast.failures, *foreign.kinds_of(row)), 0)
    try:
        for unit in wanted:
            for demo in _collect_unit(stage, world, unit, seed, journal, rejected):
                demos.append(demo)
                on_episode(len(demos), total)
    finally:
        stage.env.close()
    return Collected(demos, rejected, tuple(views))


def _collect_unit(
    stage: Stage,
    world: gym.Env[Any, Any],
    unit: tuple[str, bool, int],
    seed: int,
    journal: Journal | None,
    rejected: dict[str, int],
) -> Iterator[Demo]:
    """Yield the episodes of one kind on one side: those that are written down, and the rest.

    The stream of random numbers goes on where it was after the last one that is written down.
    """
    kind, held_out, count = unit
    stream = foreign.stream_of(kind, held_out, seed)
    name = f"{kind}-{'evaluation' if held_out else 'learning'}"
    done = Written() if journal is None else journal.read(name, count, stage.row.card.places)
    bad = {kind: done.rejected}
    if done.random is not None:
        stream.bit_generator.state = done.random
    yield from done.demos
    found = len(done.demos)
    if kind in FOREIGN:
        played_on = collect_foreign(stage, world, kind, held_out, count, stream, found=found)
    else:
        played_on = collect_kind(stage, kind, held_out, count, stream, bad, found=found)
    for demo in played_on:
        whole = replace(demo, left=steps_left(world, stage.row, demo))
        whole = held(whole) if kind == EXPERT else whole
        if journal is not None:
            journal.write(name, found, whole, stream, bad[kind])
        found += 1
        yield whole
    rejected[kind] += bad[kind]


def _collect_alone(order: tuple[Any, ...], unit: int, journal: Journal) -> None:
    """Collect one unit of a collection into its journal, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process ends it
    env_id, episodes, seed, size, cameras, expert = order
    row = offering(env_id, "demos") if expert is None else with_expert(env_id, expert)
    world = make_drawable(row, row.capabilities.demo_steps)
    stage = stage_of(row, world, cameras or row.card.cameras, size)
    if expert is not None:
        stage = paced(stage, seed)
    wanted = list(_wanted(episodes, stage))[unit]
    try:
        for _ in _collect_unit(stage, world, wanted, seed, journal, {wanted[0]: 0}):
            pass
    finally:
        stage.env.close()


def with_expert(env_id: str, expert: Callable[[World], Act]) -> World:
    """Return a world whose expert is another; without a scripted one, its own clock may run out."""
    world = known_world(env_id)
    given = replace(world.capabilities, expert=expert)
    if world.capabilities.expert is None:
        given = replace(given, demo_steps=world.max_episode_steps or _LONGEST)
    return replace(world, capabilities=given)


class Stage(NamedTuple):
    """Where demonstrations are played.

    Attributes:
        env: makes pictures.
        row: of the table of worlds.
        cast: who can act.
    """

    env: gym.Env[Any, Any]
    row: World
    cast: Demonstrators


def stage_of(
    row: World,
    world: gym.Env[Any, Any],
    views: tuple[str, ...],
    size: int,
    *,
    pretty: bool = False,
) -> Stage:
    """Return where demonstrations of a drawable world are played."""
    hidden = row.card.hidden
    env = FrameInInfo(world, cameras=views, size=size, pretty=pretty, hidden=hidden)
    return Stage(env, row, Demonstrators(row, world.action_space))


def paced(stage: Stage, seed: int) -> Stage:
    """Return a stage whose stalling experts stop before the half of what success takes.

    Raises:
        DenseGymError: the expert does not succeed.
    """
    for episode in range(_TRIALS):
        first = stage.env.reset(seed=seed + episode)
        demo = played(stage, EXPERT, seed + episode, new_expert(stage.row), first)
        if demo.done_at is None:
            continue
        half = min(STALL_STEPS[1], max(2, demo.done_at // 2))
        stall = (min(STALL_STEPS[0], half // 2), half)
        return stage._replace(cast=Demonstrators(stage.row, stage.env.action_space, stall))
    raise DenseGymError(
        f"the policy succeeds in none of {_TRIALS} episodes of {stage.row.card.id} "
        f"({stage.row.card.success}); demonstrations need one that does"
    )


def make_drawable(row: World, steps: int) -> gym.Env[Any, Any]:
    """Return a world that goes on after success, for so many steps, and can be drawn.

    Raises:
        DenseGymError: what it observes cannot be flattened, or it acts by more than an array or a
            choice.
    """
    spec = bare_spec(row.card.id)
    limits = {**goes_on(row.card.id), "max_episode_steps": steps}
    world = gym.make(spec, **limits)
    acts = isinstance(world.action_space, spaces.Discrete | spaces.Box)
    if not acts or not world.observation_space.is_np_flattenable:
        raise DenseGymError(
            "demonstrations are collected where actions are an array or a choice and observations "
            f"can be flattened; {row.card.id} has {world.action_space} and "
            f"{world.observation_space}"
        )
    if hasattr(world.unwrapped, "draw"):
        return world
    world.close()
    return gym.make(spec, render_mode="rgb_array", **limits)


def _wanted(episodes: int, stage: Stage) -> Iterator[tuple[str, bool, int]]:
    """Yield kind, side of the split and number of the episodes to collect."""
    yield EXPERT, False, (1 + len(STRAYS)) * episodes
    yield EXPERT, True, HELD_OUT
    failures = max(4, round(episodes * 2 / 5))
    for kind in stage.cast.failures:
        yield kind, False, failures * SHARE[kind]
        yield kind, True, failures
    yield from foreign.wanted(stage.row, episodes)


def collect_kind(
    stage: Stage,
    kind: str,
    held_out: bool,
    count: int,
    rng: np.random.Generator,
    rejected: dict[str, int],
    *,
    found: int = 0,
) -> Iterator[Demo]:
    """Yield episodes of one kind on one side of the split.

    Args:
        stage: where they are played.
        kind: of demonstration.
        held_out: whether their placements are for evaluation.
        count: how many.
        rng: of placements and noise.
        rejected: episodes by kind whose outcome was not the kind's, which are added.
        found: how many of them there are already.

    Raises:
        DenseGymError: too few come about.
    """
    if found >= count:
        return
    for _ in range(count * _ATTEMPTS):
        stray = None if held_out else _stray(found, stage.cast.failures, rng)
        demo = _attempt(stage, kind, held_out, rng, stray)
        if demo is None:
            continue
        if not _of_kind(demo):
            rejected[kind] += 1
            continue
        found += 1
        yield demo
        if found == count:
            return
    raise DenseGymError(
        f"{stage.row.card.id}: {found} of {count} {kind} episodes came about in "
        f"{count * _ATTEMPTS} attempts; {rejected[kind]} had the wrong outcome. "
        "Choose another task."
    )


def collect_foreign(
    stage: Stage,
    world: gym.Env[Any, Any],
    kind: str,
    held_out: bool,
    count: int,
    rng: np.random.Generator,
    *,
    found: int = 0,
) -> Iterator[Demo]:
    """Yield ``count`` episodes of a controller that is no expert, on one side of the split.

    Args:
        stage: where they are played.
        world: the same without pictures, where they are tried first.
        kind: of ``FOREIGN``.
        held_out: whether their placements are for evaluation.
        count: how many.
        rng: of placements and controllers.
        found: how many there are already.
    """
    while found < count:
        placement = int(rng.integers(2**31))
        obs, _ = world.reset(seed=placement)
        if held_out_place(flat(world.observation_space, obs), stage.row.card.places) != held_out:
            continue
        start = foreign.rehearsed(kind, stage.row, world, placement, rng)
        first = stage.env.reset(seed=placement)
        yield replace(played(stage, kind, placement, start(), first), held_out=held_out)
        found += 1


def _stray(count: int, kinds: Sequence[str], rng: np.random.Generator) -> str | None:
    """Return what the next expert takes over from, after ``count`` others; None: from nothing."""
    other = str(rng.choice([kind for kind in _OTHERS if kind in kinds]))
    return (None, *(stray or other for stray in STRAYS))[count % (1 + len(STRAYS))]


def _attempt(
    stage: Stage,
    kind: str,
    held_out: bool,
    rng: np.random.Generator,
    stray: str | None,
) -> Demo | None:
    """Play one episode, or return None where the placement belongs to the other side."""
    env, seed = stage.env, int(rng.integers(2**31))
    obs, info = env.reset(seed=seed)
    placed = held_out_place(flat(env.observation_space, obs), stage.row.card.places)
    if placed != held_out:
        return None
    act, begin = stage.cast.act(kind, rng, stray)
    demo = played(stage, kind, seed, act, (obs, info))
    return replace(demo, expert_from=begin, held_out=held_out)


def played(stage: Stage, kind: str, seed: int, act: Act, first: tuple[Any, dict[str, Any]]) -> Demo:
    """Play an episode that has just begun, up to a few pictures after its first success.

    Args:
        stage: where.
        kind: of demonstration; failures are short, and end at success.
        seed: of the placement.
        act: from one observation to one action.
        first: what ``reset`` returned.
    """
    env, state = stage.env, partial(flat, stage.env.observation_space)
    obs, info = first
    states, pictures, success, actions = [state(obs)], [info["frame"]], [False], []
    longest, left = stage.row.capabilities.demo_steps, foreign.AWAY if kind == LEAVES else AFTER
    if kind == POLICY:
        longest = min(longest, stage.row.max_episode_steps or longest)
    for _ in range(longest if kind in (EXPERT, POLICY) else min(FAILED_STEPS, longest)):
        action = _action(env.action_space, act(obs))
        obs, _, terminated, _, info = env.step(action)
        states.append(state(obs))
        actions.append(action)
        pictures.append(info["frame"])
        success.append(info["success_now"] > 0)
        left -= info["is_success"] > 0
        if terminated or left <= 0 or (kind in FAILURES and success[-1]):
            break
    return Demo(
        kind=kind,
        pictures=np.stack(pictures),
        success=np.array(success),
        state=np.stack(states),
        action=np.stack(actions),
        seed=seed,
        places=stage.row.card.places,
    )


def flat(space: spaces.Space[Any], obs: Any) -> Any:
    """Return an observation as (D,), as demonstrations keep it."""
    plain = isinstance(space, spaces.Box) and len(space.shape) == 1
    return obs if plain else spaces.flatten(space, obs)


def _action(space: spaces.Space[Any], chosen: Any) -> Any:
    if isinstance(space, spaces.Box):
        return np.asarray(chosen, dtype=np.float32)
    return int(np.asarray(chosen).item())


def steps_left(world: gym.Env[Any, Any], row: World, demo: Demo) -> Float | None:
    """Return (T + 1,) steps an expert without noise needs from each state of a replayed episode.

    A few of every sixth state are counted, see ``counting``. Counting ends where Φ would be 0.
    None where the world cannot be looked ahead in.
    """
    ahead = capability(row, "lookahead")
    inner: Any = world.unwrapped
    if ahead is None or row.capabilities.expert is None:
        return None
    returns = hasattr(inner, "get_state")  # to states of before; else they are counted in passing
    obs, _ = world.reset(seed=demo.seed)
    last, longest = len(demo.success) - 1, row.capabilities.demo_steps
    kept: dict[int, Any] = {}
    for t in range(last + 1):
        if t:
            assert demo.action is not None
            obs, *_ = world.step(demo.action[t - 1])
        if t % COUNTED and t != last:
            continue
        if returns:
            kept[t] = inner.get_state(), obs
        else:
            kept[t] = 0 if demo.success[t] else ahead(inner, new_expert(row), obs, longest)
    limit = longest

    def count(t: int) -> int:
        nonlocal limit
        if not returns:
            return int(kept[t])
        inner.set_state(kept[t][0])
        found: int = ahead(inner, new_expert(row), kept[t][1], limit)
        if t == 0:
            limit = min(longest, math.ceil(found / (1.0 - ORIGIN)))
        return found

    return count_sparsely(list(kept), demo.success, count)


def _of_kind(demo: Demo) -> bool:
    """Return whether the expert succeeded, or the failure failed and left most of the way.

    What an expert takes over from must not have succeeded before. A stall may have come any far:
    how far is never labelled.
    """
    if demo.kind == EXPERT:
        return demo.done_at is not None and demo.done_at > demo.expert_from
    if demo.done_at is not None:
        return False
    if demo.kind == STALL or demo.state is None or demo.places is None:
        return True
    columns = (demo.places.object, demo.places.goal)
    moved, goal = (demo.state[:, slice(*place)] for place in columns)
    left = np.linalg.norm(moved - goal, axis=1)
    return bool(left.min() >= _LEFT * left[0])


def held_out_place(obs: Float, places: Places | None) -> bool:
    """Return which side of the split a placement is on: two cells of five are for evaluation.

    Without places in the observation, all of it is the placement.
    """
    place = obs
    if places is not None:
        place = np.concatenate([obs[slice(*places.object)], obs[slice(*places.goal)]])
    cell = np.floor(place / _CELL).astype(np.int64)
    return zlib.crc32(cell.tobytes()) % 5 < 2
