"""Copies of worlds: another one is made of the same arguments and put into the same state.

``copy.deepcopy`` and ``pickle`` of a simulator either fail or share what must not be shared, so
worlds with ``get_state`` and ``set_state`` are copied through them, and go on exactly.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from densegym.errors import DenseGymError
from densegym.generators import generator_state, restore_generator


class Copied:
    """A world that is copied through ``get_state`` and ``set_state``; goes before ``gym.Env``.

    The spec and the generators of both spaces are copied too.
    """

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Remember what it is made of."""
        made = super().__new__(cls)
        made._made_with = (args, kwargs)
        return made

    def get_state(self) -> dict[str, Any]:
        """Return plain values and arrays from which ``set_state`` goes on."""
        raise NotImplementedError

    def set_state(self, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Go on from a state; returns the observation and info of that point."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        args, kwargs = self._made_with
        world: Any = self
        rest = (world.spec, world.action_space, world.observation_space)
        return (
            functools.partial(type(self), *args, **kwargs),
            (),
            {"state": self.get_state(), "rest": rest},
        )

    def __setstate__(self, kept: Mapping[str, Any]) -> None:
        world: Any = self
        world.spec, world.action_space, world.observation_space = kept["rest"]
        self.set_state(kept["state"])


def refuse_copy(world: Any, why: str) -> NoReturn:
    """Say that a world cannot be copied.

    Raises:
        DenseGymError: always.
    """
    raise DenseGymError(
        f"{type(world).__name__} can be neither copied nor pickled: {why}. Make another one, "
        "reset(seed=...) it with the same seed and play the same actions"
    )


def random_state(owner: Any) -> dict[str, Any]:
    """Return the state of an environment's ``np_random``, before its first use too."""
    generator = owner._np_random
    stands = None if generator is None else generator_state(generator)
    return {"seed": owner._np_random_seed, "generator": stands}


def restore_random(owner: Any, state: Mapping[str, Any]) -> None:
    """Put an environment's ``np_random`` where ``random_state`` found it."""
    owner._np_random_seed, owner._np_random = state["seed"], None
    if state["generator"] is not None:
        owner._np_random = np.random.Generator(np.random.PCG64())
        restore_generator(owner._np_random, state["generator"])


def check_state(world: Any, state: Any, kind: str) -> None:
    """Refuse what is no state of such a world.

    Args:
        world: the environment, named in the error.
        state: what was given.
        kind: what ``state["world"]`` must say.

    Raises:
        DenseGymError: it is none, or of another world.
    """
    found = state.get("world") if isinstance(state, Mapping) else None
    if found != kind:
        told = f"{found}" if found else f"{state!r:.60}"
        raise DenseGymError(
            f'{type(world).__name__} goes on from what its get_state() returned, of "{kind}"; '
            f"given {told}"
        )
