"""Under which limit, ending and success rule a run trains and is evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from densegym.envs.levels import told
from densegym.envs.protocols import OWN, Terms, find_protocol, terms_of
from densegym.envs.tasks import find_world, task_card
from densegym.errors import DenseGymError

_LIMIT, _ENDS = "max_episode_steps", "terminate_on_success"
Settings: TypeAlias = Any
"""A ``TrainConfig``, which imports this module to check itself."""


def check_settings(config: Settings) -> None:
    """Refuse settings that say otherwise than a configuration's protocol.

    Raises:
        UnknownNameError: no such protocol.
        DenseGymError: it does not fit the world, or a setting contradicts it.
    """
    terms = world_terms(config.env, config.protocol)
    kwargs = {**config.env_kwargs, **config.eval_kwargs}
    if "protocol" in kwargs:
        raise DenseGymError(
            f"a protocol is more than an argument of the world; given env.protocol="
            f"{kwargs['protocol']}. Type --protocol {kwargs['protocol']}"
        )
    if config.protocol == OWN:
        return
    given = {
        "episode_steps": config.run.episode_steps,
        "env.max_episode_steps": kwargs.get(_LIMIT),
    }
    for name, steps in given.items():
        if steps not in (None, terms.limit):
            raise DenseGymError(
                f'protocol "{config.protocol}" has episodes of {terms.limit} steps; given '
                f"{name}={steps}. Leave it out, or train with --protocol {OWN}."
            )
    find_protocol(config.protocol).ends_at_success(kwargs.get(_ENDS), own=False)


def world_terms(env_id: str, protocol: str = OWN) -> Terms:
    """Return what a protocol means in a registered world.

    Raises:
        UnknownNameError: no such id or protocol; names the closest.
        DenseGymError: the protocol does not fit the world; names those that do.
    """
    task_card(env_id)
    world = find_world(env_id)
    assert world is not None
    return terms_of(world, protocol)


def evaluation_terms(config: Settings) -> Terms:
    """Return what a run is evaluated under: its protocol, with what its settings change of it."""
    terms = world_terms(config.env, config.protocol)
    kwargs = {**config.env_kwargs, **config.eval_kwargs}
    return dataclasses.replace(
        terms,
        limit=kwargs.get(_LIMIT, terms.limit),
        ends_at_success=kwargs.get(_ENDS, terms.ends_at_success),
    )


def meta_terms(meta: Mapping[str, Any]) -> Terms | None:
    """Return what a stored run was evaluated under, or None where its world is not registered.

    Runs from before protocols had names were evaluated under the worlds' own.
    """
    world = find_world(meta["env"])
    protocol = meta.get("protocol", OWN)
    if world is None or protocol not in (OWN, *world.protocols):
        return None
    terms = terms_of(world, protocol)
    return dataclasses.replace(
        terms,
        limit=meta.get("episode_limit", terms.limit),
        ends_at_success=meta.get("ends_at_success", terms.ends_at_success),
    )


def beside(env_id: str, terms: Terms) -> dict[str, float | None]:
    """Return the stored levels that may stand beside a success number; see ``levels.told``.

    None of them may where the episodes were others than those of the protocol.
    """
    if terms != world_terms(env_id, terms.protocol):
        return dict.fromkeys(told(env_id, ""))
    return told(env_id, task_card(env_id).family, terms.protocol)
