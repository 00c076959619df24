"""Registers every world with Gymnasium and makes environments with a reward on top."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode

from densegym.envs import tasks
from densegym.envs.children import teach_children
from densegym.envs.custom.registry import gym_spec
from densegym.envs.custom.success import success_wrapper
from densegym.envs.market import cards as market_cards
from densegym.envs.nethack import cards as nethack_cards
from densegym.envs.probes import cards as probe_cards
from densegym.envs.protocols import OWN, terms_of
from densegym.envs.robot import cards as robot_cards
from densegym.envs.shop import cards as shop_cards
from densegym.envs.world import Capabilities, World
from densegym.envs.wrappers.frames import frame_wrapper
from densegym.envs.wrappers.vector import DenseRewardVector
from densegym.errors import DenseGymError, unknown
from densegym.plugins import resolve
from densegym.reward_models.spec import RewardSpec, build_engine
from densegym.reward_models.types import TaskCard
from densegym.values import check_values, hints_of


def register_world(
    world: World | str,
    entry_point: str | Callable[..., Any] | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    capabilities: Capabilities | None = None,
    **card: Any,
) -> None:
    """Register an environment, so that everything in DenseGym finds it by its id.

    Args:
        world: its id, which ends in a version, e.g. ``"Acme/Push-v0"``; or a whole ``World``, which
            takes no other argument.
        entry_point: ``"module:Class"``, imported on first use, or the class.
        kwargs: constructor arguments, JSON-friendly.
        max_episode_steps: time limit, or None where the world keeps its own clock.
        capabilities: what it offers besides steps, such as a scripted expert.
        **card: fields of its ``TaskCard``: ``family``, ``goal``, ``success``, ``features``, ...

    Raises:
        DenseGymError: the row is malformed, or its id is taken by another.
        UnknownNameError: a task card has no such field.

    Example:
        >>> import densegym
        >>> densegym.register_world("Acme/Push-v0", "acme.envs:Push", goal="Push the box.")
        >>> densegym.envs.tasks.task_card("Acme/Push-v0").goal
        'Push the box.'
    """
    if isinstance(world, str):
        if entry_point is None:
            raise DenseGymError(
                f'"{world}" needs an entry_point: '
                f'densegym.register_world("{world}", "module:Class", goal="...")'
            )
        fields = [item.name for item in dataclasses.fields(TaskCard)]
        for name in card:
            if name not in fields:
                raise unknown("field of a task card", name, fields)
        world = World(
            card=TaskCard(id=world, **card),
            entry_point=entry_point,
            kwargs=kwargs or {},
            max_episode_steps=max_episode_steps,
            capabilities=capabilities or Capabilities(),
        )
    elif card or any((entry_point, kwargs, max_episode_steps, capabilities)):
        raise DenseGymError("a World says everything itself; give it alone, or an id and the rest")
    tasks.add_worlds([world])


def register_all() -> None:
    """Register every shipped world, here and in worker processes; ``import densegym`` does it."""
    for cards in (robot_cards, nethack_cards, shop_cards, market_cards, probe_cards):
        tasks.add_worlds(cards.worlds(), owner="densegym")
    teach_children(register_all)


def bare_spec(env_id: str, protocol: str = OWN) -> EnvSpec:
    """Return the spec of a world without the reward wrapper, for hosts that add a batched one.

    Raises:
        UnknownNameError: no such id or protocol; names the closest.
        DenseGymError: the protocol does not fit the world; names those that do.
    """
    spec, world = _spec(env_id, protocol), tasks.find_world(env_id)
    own = () if tasks.is_registered(env_id) else spec.additional_wrappers
    if world is not None and world.success is not None:
        own = (*own, success_wrapper(world.success, world.card))
    return dataclasses.replace(spec, additional_wrappers=own)


def named_spec(env_id: str) -> EnvSpec:
    """Return ``bare_spec`` with its entry point as text, as data sets keep it.

    Raises:
        DenseGymError: the environment's class has no name that could be imported.
    """
    spec = bare_spec(env_id)
    entry: Any = spec.entry_point
    if not callable(entry):
        return spec
    if "<" in entry.__qualname__:
        raise DenseGymError(
            f"{env_id} was made of {entry.__qualname__}, which nobody could import again. Put its "
            "class at the top of a module"
        )
    return dataclasses.replace(spec, entry_point=f"{entry.__module__}:{entry.__qualname__}")


def _spec(env_id: str, protocol: str) -> EnvSpec:
    """Return the spec of a world with the limit and the constructor arguments of a protocol."""
    tasks.task_card(env_id)  # names the closest id, which Gymnasium would not
    spec, world = gym_spec(env_id) or gym.spec(env_id), tasks.find_world(env_id)
    if world is None or protocol == OWN:
        return spec
    kwargs = {**spec.kwargs, "protocol": protocol}
    limit = terms_of(world, protocol).limit
    return dataclasses.replace(spec, kwargs=kwargs, max_episode_steps=limit)


def _vector_spec(env_id: str, protocol: str) -> EnvSpec:
    """Return the spec of a world that steps many lanes at once by itself.

    Gymnasium is not told of it, because a vector environment that it makes carries no wrapper.

    Raises:
        DenseGymError: it does not; says what to type.
    """
    world = tasks.find_world(env_id)
    if world is None or world.vector_entry_point is None:
        raise DenseGymError(
            f"{env_id} has no vector environment of its own. "
            'Type vectorization_mode="sync" or "async"'
        )
    return dataclasses.replace(
        bare_spec(env_id, protocol), vector_entry_point=world.vector_entry_point
    )


def accepts(env_id: str, argument: str) -> bool:
    """Return whether a world's constructor names an argument; imports the world."""
    entry = bare_spec(env_id).entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    return creator is not None and argument in inspect.signature(creator).parameters


def check_arguments(env_id: str, given: Mapping[str, Any], *, prefix: str = "") -> None:
    """Refuse arguments that a world's constructor does not take; imports the world.

    Raises:
        DenseGymError: says what was given, what is expected and the closest name.
    """
    if not given:
        return
    world = tasks.find_world(env_id)
    hints: dict[str, Any] = {"max_episode_steps": int | None}
    if world is not None and world.team is not None:
        hints |= hints_of(resolve(world.team.arguments or world.team.parallel))
    if world is None or world.team is None or world.team.arguments is not None:
        hints |= hints_of(resolve(bare_spec(env_id).entry_point))
    if world is not None and world.team is not None and world.team.arguments is not None:
        hints.pop("**", None)  # they are named there
    hidden = ("self", "reward", "name")
    known = {key: hint for key, hint in hints.items() if key not in hidden}
    check_values(given, known, what=f"argument of {env_id}", prefix=prefix)


def goes_on(env_id: str) -> dict[str, Any]:
    """Return the constructor arguments under which episodes go on after success."""
    return {"terminate_on_success": False} if accepts(env_id, "terminate_on_success") else {}


def make(
    env_id: str,
    *,
    reward: RewardSpec = None,
    seed: int | None = None,
    protocol: str = OWN,
    **kwargs: Any,
) -> gym.Env[Any, Any]:
    """Make one environment with a reward; like ``gym.make``, with closest-match errors first.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.
        reward: a reward specification; None is the world's own outcome.
        seed: of rewards that draw random numbers; if given, the environment is reset with it too.
        protocol: limit, ending and success rule of episodes; see ``densegym.envs.protocols``.
        **kwargs: for ``gym.make`` and the world's constructor.
    """
    spec = _spec(env_id, protocol)
    inside = accepts(env_id, "reward")
    if seed is not None or not inside:
        outer = tasks.reward_wrapper(None if inside else reward, seed or 0)
        below = bare_spec(env_id, protocol).additional_wrappers
        spec = dataclasses.replace(spec, additional_wrappers=(*below, outer))
    if inside:
        kwargs["reward"] = reward
    env = gym.make(spec, **kwargs)
    if seed is not None:
        env.reset(seed=seed)
    return env


def make_vec(
    env_id: str,
    num_envs: int = 1,
    *,
    reward: RewardSpec = None,
    seed: int | None = None,
    vectorization_mode: str = "sync",
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
    protocol: str = OWN,
    **kwargs: Any,
) -> DenseRewardVector:
    """Make a vector environment whose reward model is called once per vector step.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.
        num_envs: number of lanes.
        reward: a reward specification; None is the world's own outcome.
        seed: seed of the first reset and of reward models that draw random numbers.
        vectorization_mode: ``"sync"`` (faster up to 0.3 ms per step), ``"async"``, or
            ``"vector_entry_point"`` for worlds that step many lanes at once by themselves.
        autoreset_mode: when ended lanes begin again.
        protocol: limit, ending and success rule of episodes; see ``densegym.envs.protocols``.
        **kwargs: for the world's constructor.

    Raises:
        UnknownNameError: no such id; names the closest.
        DenseGymError: the world has no vector environment of its own, and was asked for it.
    """
    own = vectorization_mode == "vector_entry_point"
    mode: dict[str, Any] = {"autoreset_mode": autoreset_mode}
    card = tasks.task_card(env_id)
    engine = build_engine(reward, num_envs, task=card, seed=seed or 0)
    # Given to the worlds as they are made, because a worker process cannot be reached later.
    frames = [frame_wrapper(engine.pictures, card)] if engine.needs_frames and not own else []
    inner = gym.make_vec(
        _vector_spec(env_id, protocol) if own else bare_spec(env_id, protocol),
        num_envs=num_envs,
        vectorization_mode=vectorization_mode,
        vector_kwargs={} if own else mode,
        wrappers=frames,
        **(mode if own else {}),
        **kwargs,
    )
    return DenseRewardVector(inner, reward, card, seed, engine=engine)
