"""Under which limit, ending and success rule a run trains and is evaluated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from densegym.envs.levels import told
from densegym.envs.protocols import OWN, Terms, find_protocol, terms_of
from densegym.envs.tasks import find_world, task_card
from densegym.errors import DenseGymError

_LIMIT, _ENDS = "max_episode_steps", "terminate_on_success"


def check_terms(
    env_id: str, protocol: str, kwargs: Mapping[str, Any], episode_steps: int | None
) -> None:
    """Refuse settings of a run that say otherwise than its protocol.

    Args:
        env_id: e.g. ``"DenseGym/ButtonPress-v0"``.
        protocol: its name.
        kwargs: constructor arguments of the world, in training or evaluation.
        episode_steps: limit of training episodes, or None.

    Raises:
        UnknownNameError: no such id or protocol.
        DenseGymError: it does not fit the world, or a setting contradicts it.
    """
    terms = world_terms(env_id, protocol)
    if "protocol" in kwargs:
        raise DenseGymError(
            f"a protocol is more than an argument of the world; given env.protocol="
            f"{kwargs['protocol']}. Type --protocol {kwargs['protocol']}"
        )
    if protocol == OWN:
        return
    given = {"episode_steps": episode_steps, "env.max_episode_steps": kwargs.get(_LIMIT)}
    for name, steps in given.items():
        if steps not in (None, terms.limit):
            raise DenseGymError(
                f'protocol "{protocol}" has episodes of {terms.limit} steps; given '
                f"{name}={steps}. Leave it out, or train with --protocol {OWN}."
            )
    find_protocol(protocol).ends_at_success(kwargs.get(_ENDS), own=False)


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


def changed_terms(env_id: str, protocol: str, kwargs: Mapping[str, Any]) -> Terms:
    """Return a protocol in a world, with what constructor arguments change of it."""
    terms = world_terms(env_id, protocol)
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
