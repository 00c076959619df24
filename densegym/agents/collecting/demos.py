"""Collects demonstrations for progress models: a scripted expert and four ways to fail."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.agents.collecting import behaviours
from densegym.agents.collecting.behaviours import Act
from densegym.envs.registration import bare_spec
from densegym.envs.robot.experts import expert_policy
from densegym.envs.robot.lookahead import steps_to_success
from densegym.envs.tasks import task_card, worlds
from densegym.envs.wrappers.frames import FrameInInfo
from densegym.errors import DenseGymError
from densegym.reward_models.progress.demos import EXPERT, FAILURES, STALL, Demo
from densegym.reward_models.progress.local.labels import ORIGIN
from densegym.reward_models.progress.places import GOAL, HAND, OBJECT
from densegym.reward_models.types import Float

LIMIT = 250  # steps of an expert, which may be slow and displaced
FAILED_STEPS = 90  # of a failed episode
AFTER = 6  # pictures kept after the first success
HELD_OUT = 16  # expert episodes for evaluation, none of them displaced
STALL_STEPS = (25, 50)  # an expert that stalls acts for so many
OFFSET = (0.04, 0.20)  # metres by which a near miss is off
_PACE, _NOISE = (0.6, 1.0), (0.05, 0.25)
_LEFT = 0.5  # share of the object's way that a failure must leave
_CELL = 0.02  # metres; placements in one cell belong to one side of the split
ROOM = np.array([[-0.5, 0.4, 0.05], [0.5, 0.9, 0.5]])  # metres, where the hand can get to
COUNTED = 6  # steps between states from which the expert's steps are counted
_BEYOND = 1 / 6  # of the room on every side, from where points are moved to the nearest wall
_GAIN = 10.0  # of a hand that moves to a point, as the experts'
WANDER = "wander"
STRAYS = (*[WANDER] * 4, "")  # what experts take over from in turn; "" is one of the next
_OTHERS = ("random", "wrong-task", "near-miss")
_BEGIN = {WANDER: (10, 90)}  # steps after which they do
_SOON = (5, 60)
# Failures to learn from, per one kept for evaluation.
SHARE = {**dict.fromkeys(FAILURES, 4), "near-miss": 8}
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
    episodes: int = 20,
    seed: int = 0,
    size: int = 64,
    cameras: tuple[str, ...] = (),
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

    Args:
        env_id: a task with a scripted expert.
        episodes: expert episodes for training; there are five times as many recoveries, and 8 / 5
            as many failures of each kind, near misses twice that.
        seed: of placements and noise.
        size: of pictures, pixels.
        cameras: instead of the task card's.
        on_episode: told about collected and wanted episodes.

    Raises:
        UnknownNameError: a task without a scripted expert.
        DenseGymError: a kind does not come about, such as failures of a task that solves itself.
    """
    if episodes < 2:
        raise DenseGymError(f"a model needs at least 2 expert episodes; given {episodes}")
    card = task_card(env_id)
    views = cameras or card.cameras
    limits: dict[str, Any] = {"terminate_on_success": False, "max_episode_steps": LIMIT}
    world = gym.make(bare_spec(env_id), **limits)
    env = FrameInInfo(world, cameras=views, size=size, hidden=card.hidden)
    wanted = list(_wanted(episodes))
    total, expert = sum(count for _, _, count in wanted), expert_policy(env_id)
    demos: list[Demo] = []
    rejected = dict.fromkeys((EXPERT, *FAILURES), 0)
    try:
        for kind, held_out, count in wanted:
            stream = np.random.default_rng([seed, zlib.crc32(kind.encode()), held_out])
            for demo in _collect_kind(env, env_id, kind, held_out, count, stream, rejected):
                left = None if held_out else _steps_left(world, expert, demo)
                demos.append(replace(demo, left=left))
                on_episode(len(demos), total)
    finally:
        env.close()  # type: ignore[no-untyped-call]  # Gymnasium hides it
    return Collected(demos, rejected, tuple(views))


def _wanted(episodes: int) -> Iterator[tuple[str, bool, int]]:
    yield EXPERT, False, (1 + len(STRAYS)) * episodes
    yield EXPERT, True, HELD_OUT
    failures = max(4, round(episodes * 2 / 5))
    for kind in FAILURES:
        yield kind, False, failures * SHARE[kind]
        yield kind, True, failures


def _collect_kind(
    env: gym.Env[Any, Any],
    env_id: str,
    kind: str,
    held_out: bool,
    count: int,
    rng: np.random.Generator,
    rejected: dict[str, int],
) -> Iterator[Demo]:
    found = 0
    for _ in range(count * _ATTEMPTS):
        stray = None if held_out else _stray(found, rng)
        demo = _attempt(env, env_id, kind, held_out, rng, stray)
        if demo is None:
            continue
        if not _of_kind(demo):
            rejected[kind] += 1
            continue
        yield demo
        found += 1
        if found == count:
            return
    raise DenseGymError(
        f"{env_id}: {found} of {count} {kind} episodes came about in {count * _ATTEMPTS} "
        f"attempts; {rejected[kind]} had the wrong outcome. Choose another task."
    )


def _stray(count: int, rng: np.random.Generator) -> str | None:
    """Return what the next expert takes over from, after ``count`` others; None: from nothing."""
    other = str(rng.choice(_OTHERS))
    return (None, *(stray or other for stray in STRAYS))[count % (1 + len(STRAYS))]


def _attempt(
    env: gym.Env[Any, Any],
    env_id: str,
    kind: str,
    held_out: bool,
    rng: np.random.Generator,
    stray: str | None,
) -> Demo | None:
    """Play one episode, or return None where the placement belongs to the other side."""
    seed = int(rng.integers(2**31))
    obs, info = env.reset(seed=seed)
    if held_out_place(obs) != held_out:
        return None
    act, begin = _act(env_id, kind, env.action_space, rng, stray)
    states, pictures, success, actions = [obs], [info["frame"]], [False], []
    limit, left = (LIMIT if kind == EXPERT else FAILED_STEPS), AFTER
    for _ in range(limit):
        action = np.asarray(act(obs), dtype=np.float32)
        obs, _, _, _, info = env.step(action)
        states.append(obs)
        actions.append(action)
        pictures.append(info["frame"])
        success.append(info["success_now"] > 0)
        left -= info["is_success"] > 0
        if left <= 0 or (kind != EXPERT and success[-1]):
            break
    return Demo(
        kind=kind,
        pictures=np.stack(pictures),
        success=np.array(success),
        state=np.stack(states),
        action=np.stack(actions),
        expert_from=begin,
        held_out=held_out,
        seed=seed,
    )


def _steps_left(world: gym.Env[Any, Any], expert: Act, demo: Demo) -> Float:
    """Return (T + 1,) steps an expert without noise needs from each state of a replayed episode.

    Every sixth state is counted and those between lie on a line. Counting ends where Φ would be 0.
    """
    obs, _ = world.reset(seed=demo.seed)
    inner: Any = world.unwrapped
    last, limit = len(demo.success) - 1, LIMIT
    counted: dict[int, int] = {}
    for t in range(last + 1):
        if t:
            assert demo.action is not None
            obs, *_ = world.step(demo.action[t - 1])
        if demo.success[t]:
            counted[t] = 0
        elif t % COUNTED == 0 or t == last:
            counted[t] = steps_to_success(inner.sawyer, expert, obs, limit)
            limit = min(LIMIT, math.ceil(counted[0] / (1.0 - ORIGIN)))
    return np.interp(np.arange(last + 1), list(counted), list(counted.values()))


def _of_kind(demo: Demo) -> bool:
    """Return whether the expert succeeded, or the failure failed and left most of the way.

    What an expert takes over from must not have succeeded before. A stall may have come any far:
    how far is never labelled.
    """
    if demo.kind == EXPERT:
        return demo.done_at is not None and demo.done_at > demo.expert_from
    if demo.done_at is not None:
        return False
    if demo.kind == STALL or demo.state is None:
        return True
    left = np.linalg.norm(demo.state[:, OBJECT] - demo.state[:, GOAL], axis=1)
    return bool(left.min() >= _LEFT * left[0])


def held_out_place(obs: Float) -> bool:
    """Return which side of the split a placement is on: two cells of five are for evaluation."""
    place = np.concatenate([obs[OBJECT], obs[GOAL]])
    cell = np.floor(place / _CELL).astype(np.int64)
    return zlib.crc32(cell.tobytes()) % 5 < 2


def _act(
    env_id: str, kind: str, space: Any, rng: np.random.Generator, stray: str | None = None
) -> tuple[Act, int]:
    """Return how to act in one episode, and the step from which the expert does."""
    if kind == EXPERT:
        expert = _human(expert_policy(env_id), space, rng)
        if stray is None:
            return expert, 0
        begin = int(rng.integers(*_BEGIN.get(stray, _SOON)))
        before, _ = _act(env_id, stray, space, rng)
        return _takes_over(expert, before, begin), begin
    if kind == "random":
        hold = int(rng.choice([0, 1, behaviours.HOLD]))
        return behaviours.random(space, hold=hold)(rng) if hold else _wanders(space, rng), 0
    if kind == WANDER:
        return _wanders(space, rng), 0
    if kind == STALL:
        return _stalls(expert_policy(env_id), space, rng), 0
    if kind == "wrong-task":
        return _human(expert_policy(_other_task(env_id, rng)), space, rng), 0
    return _near_miss(_human(expert_policy(env_id), space, rng), rng), 0


def _human(expert: Act, space: Any, rng: np.random.Generator) -> Act:
    """Return an expert of random pace and noise."""
    pace, noise = rng.uniform(*_PACE), rng.uniform(*_NOISE)

    def act(obs: Any) -> Any:
        meant = np.array(expert(obs))
        meant[:3] = pace * meant[:3] + rng.normal(0.0, noise, 3)
        return np.clip(meant, space.low, space.high)

    return act


def _takes_over(expert: Act, stray: Act, begin: int) -> Act:
    """Return an expert that acts from step ``begin`` on; until then another does."""
    t = 0

    def act(obs: Any) -> Any:
        nonlocal t
        t += 1
        return stray(obs) if t <= begin else expert(obs)

    return act


def _stalls(expert: Act, space: Any, rng: np.random.Generator) -> Act:
    stray, left = behaviours.random(space)(rng), int(rng.integers(*STALL_STEPS))

    def act(obs: Any) -> Any:
        nonlocal left
        left -= 1
        return expert(obs) if left >= 0 else stray(obs)

    return act


def _wanders(space: Any, rng: np.random.Generator) -> Act:
    """Return a hand that moves to one random point and stays there, often at a wall.

    A policy that has not found the object yet drifts until a wall stops it.
    """
    low, high = ROOM
    beyond = _BEYOND * (high - low)
    return moves_to(np.clip(rng.uniform(low - beyond, high + beyond), low, high), space)


def moves_to(point: Float, space: Any) -> Act:
    """Return a hand that moves straight to a point (3,) and stays there."""

    def act(obs: Any) -> Any:
        action = np.zeros(space.shape)
        action[:3] = _GAIN * (point - obs[HAND])
        return np.clip(action, space.low, space.high)

    return act


def _near_miss(act: Act, rng: np.random.Generator) -> Act:
    """Return an expert that believes the object (and the goal) to stand beside its place."""
    direction = rng.normal(size=3)
    off = rng.uniform(*OFFSET) * direction / np.linalg.norm(direction)

    def missing(obs: Any) -> Any:
        believed = np.array(obs)
        believed[OBJECT] += off
        believed[GOAL] += off
        return act(believed)

    return missing


def _other_task(env_id: str, rng: np.random.Generator) -> str:
    others = [
        world.card.id
        for world in worlds()
        if world.card.family == "metaworld" and world.card.id != env_id
    ]
    return str(rng.choice(others))
