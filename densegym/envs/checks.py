"""What a DenseGym environment and its row in the table must be, for third parties to call."""

from __future__ import annotations

import keyword
import math
import re
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.envs.protocols import find_protocol
from densegym.envs.world import World
from densegym.errors import DenseGymError
from densegym.reward_models.batch import map_leaves
from densegym.reward_models.types import Feature

_ID = re.compile(r"([\w:-]+/)?[\w:.-]+-v\d+")
_LAZY = re.compile(r"[\w.]+:\w+")
_EVERY_STEP = ("reward/env", "reward/dense", "reward/valid", "return/env", "return/dense")


def check_dense_env(env: gym.Env[Any, Any], *, steps: int = 50, seed: int = 0) -> None:
    """Check that an environment with a reward wrapper keeps the contract.

    Checked: flat float info on reset and every step, ``is_success`` from the world, running
    returns that add up, observations inside their space and not overwritten later, equal seeds
    giving equal episodes.

    Args:
        env: the environment as ``gym.make`` returns it.
        steps: how many steps to take.
        seed: of the episodes.

    Raises:
        DenseGymError: a rule is broken; the message says which.
    """
    first = _roll(env, steps, seed)
    _roll(env, steps, seed + 1)
    for t, (one, other) in enumerate(zip(first, _roll(env, steps, seed), strict=True)):
        if not _equal(one, other):
            raise DenseGymError(
                f"{env} does not honour reset(seed=): two episodes of seed {seed} differ at {t}"
            )


def _roll(env: gym.Env[Any, Any], steps: int, seed: int) -> list[tuple[Any, ...]]:
    env.action_space.seed(seed)
    obs, info = env.reset(seed=seed)
    _check_observation(env, obs)
    _check_info(info, "reset")
    trace: list[tuple[Any, ...]] = [(obs, 0.0)]
    copies = [_copied(obs)]
    paid = earned = 0.0
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        _check_observation(env, obs)
        _check_info(info, "step")
        paid, earned = paid + float(reward), earned + info["reward/env"]
        if info["reward/dense"] != reward:
            raise DenseGymError(f"reward/dense is {info['reward/dense']}, but step paid {reward}")
        if not np.isclose(info["return/dense"], paid) or not np.isclose(info["return/env"], earned):
            raise DenseGymError(
                "return/env and return/dense must be the running sums of an episode"
            )
        trace.append((obs, float(reward)))
        copies.append(_copied(obs))
        if terminated or truncated:
            break
    for (seen, _), copy in zip(trace, copies, strict=True):
        if not _equal(seen, copy):
            raise DenseGymError(f"{env} overwrites observations it has returned; return copies")
    return trace


def _check_observation(env: gym.Env[Any, Any], obs: Any) -> None:
    if not env.observation_space.contains(obs):
        raise DenseGymError(f"{env} observed something outside its space {env.observation_space}")


def _check_info(info: dict[str, Any], when: str) -> None:
    for key in (*_EVERY_STEP, "is_success"):
        if type(info.get(key)) is not float:
            raise DenseGymError(f"info[{key!r}] on {when} is a float; found {info.get(key)!r}")


def _copied(obs: Any) -> Any:
    return map_leaves(lambda leaf: leaf if isinstance(leaf, str) else np.array(leaf), obs)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(np.array_equal(one, other))


def check_world(world: World) -> None:
    """Check that a row of the table of worlds is well formed; its env is not made.

    Raises:
        DenseGymError: says what was given, what was expected and what to type.
    """
    env_id, entry = world.card.id, world.entry_point
    if not _ID.fullmatch(env_id):
        raise DenseGymError(
            f'a world\'s id ends in its version, such as "Acme/Push-v0"; given "{env_id}". '
            f'Write "{re.sub("[^a-zA-Z0-9_/.:-]", "-", env_id).removesuffix("-v")}-v0".'
        )
    if not callable(entry) and not (isinstance(entry, str) and _LAZY.fullmatch(entry)):
        raise DenseGymError(
            f'the entry_point of {env_id} is a class or its "module:Class"; given {entry!r}'
        )
    names: set[str] = set()
    for feature in world.card.features:
        if fault := _feature_fault(feature, names):
            raise DenseGymError(f"{env_id}: {fault}")
        names.add(feature.name)
    arm = (world.card.places, world.capabilities.workspace)
    if world.capabilities.reach and None in arm:
        raise DenseGymError(
            f"{env_id} offers reach, which needs the gripper's columns and room: give the card "
            "places=Places(...) and the capabilities workspace=((x, y, z), (x, y, z))"
        )
    for protocol in world.protocols:
        find_protocol(protocol)
    given = world.capabilities
    for target in (given.expert, given.lookahead, given.reach, *given.exploits.values()):
        if isinstance(target, str) and not _LAZY.fullmatch(target):
            raise DenseGymError(
                f'{env_id}: a capability is a function or its "module:attr"; given "{target}"'
            )


def _feature_fault(feature: Any, names: set[str]) -> str:
    """Return what is wrong with a row of a feature table, or nothing."""
    if not isinstance(feature, Feature):
        return f"features are densegym.Feature(name, shape, unit, frame, meaning); given {feature}"
    said, words = f'feature "{feature.name}"', ("obs", "action", "info")
    if not feature.name.isidentifier() or keyword.iskeyword(feature.name):
        return f"{said} must be a parameter's name in Python, such as hand_position"
    if feature.name == "terminated" or feature.name in names:
        return f"{said} is named twice, or like the clock; every name stands for one thing"
    if feature.source not in words:
        return f'{said} is read from one of {", ".join(words)}; given source="{feature.source}"'
    if feature.source == "info" and not feature.key:
        return f'{said} is read from info, so name its entry: key="{feature.name}"'
    columns = (0, 1) if feature.columns is None else feature.columns
    if not _whole(feature.shape, least=1) or not _whole(columns, least=0) or len(columns) != 2:
        return (
            f"{said} has a tuple of positive whole numbers as shape, () for a scalar, and a pair "
            f"as columns; given shape={feature.shape!r}, columns={feature.columns!r}"
        )
    if feature.columns is None:
        return ""
    start, stop = columns
    if len(feature.shape) > 1 or stop - start != math.prod(feature.shape):
        wanted = (start, start + math.prod(feature.shape))
        return f"{said} of shape {feature.shape} takes columns {wanted}; given {feature.columns}"
    return ""


def _whole(numbers: Any, *, least: int) -> bool:
    """Return whether this is a tuple of whole numbers, none of them too small."""
    if not isinstance(numbers, tuple):
        return False
    return all(isinstance(number, int) and number >= least for number in numbers)
