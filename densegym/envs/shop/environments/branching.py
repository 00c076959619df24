"""States of shoppers: plain values from which an episode goes on, here or in another process."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from densegym.envs.copying import Copied, check_state, random_state, restore_random
from densegym.envs.options import check_options
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.session.core import ShopCore
from densegym.errors import DenseGymError

RESET_OPTIONS = ("goal", "goal_id", "state")


class Branching(Copied):
    """A shop that is copied, and goes on from any state, exactly; goes before ``gym.Env``."""

    _ended: bool
    _invalid: str

    def get_state(self) -> dict[str, Any]:
        """Return plain values from which ``set_state`` goes on."""
        shopper = shopper_state(self._shopper())
        own = {"ended": self._ended, "invalid": self._invalid, "generator": random_state(self)}
        return {"world": "shop", "shopper": shopper, **own}

    def set_state(self, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Go on from ``get_state`` of any shop that sells the same products.

        Returns:
            Observation and info as they were then; ``(None, {})`` before the first episode.

        Raises:
            DenseGymError: it is no state, or none that a shopper here can be in.
        """
        check_state(self, state, "shop")
        begun = restore_shopper(self._shopper(), state["shopper"])
        restore_random(self, state["generator"])
        self._ended, self._invalid = bool(state["ended"]), str(state["invalid"])
        return self._look_again() if begun else (None, {})

    def _resumed(
        self, seed: int | None, options: Mapping[str, Any] | None
    ) -> tuple[Any, dict[str, Any]] | None:
        """Return what ``reset(options={"state": ...})`` shows; None where an episode begins.

        Raises:
            UnknownNameError: an option that no shop takes.
            DenseGymError: no state.
        """
        check_options(self, options, RESET_OPTIONS)
        shown = None
        if options and "state" in options:
            shown = self.set_state(options["state"])
        if shown is None or seed is not None:
            super().reset(seed=seed)  # type: ignore[misc]  # of gym.Env, which comes after this
        return shown

    def _shopper(self) -> ShopCore:
        raise NotImplementedError

    def _look_again(self) -> tuple[Any, dict[str, Any]]:
        raise NotImplementedError


def shopper_state(core: ShopCore) -> dict[str, Any] | None:
    """Return a shopper's goal and place, or None before its first episode."""
    if not core.begun:
        return None
    return {"goal": dataclasses.asdict(core.goal), "state": core.state.as_dict()}


def restore_shopper(core: ShopCore, state: Mapping[str, Any] | None) -> bool:
    """Put a shopper where ``shopper_state`` found it; returns whether its episode has begun.

    Raises:
        DenseGymError: it is no state, or none that a shopper here can be in.
    """
    if state is None:
        return False
    try:
        fields = dict(state["goal"])
        options = fields["options"]
        fields["options"] = dict(options) if isinstance(options, Mapping) else tuple(options)
        goal = Goal(**{**fields, **{name: tuple(fields[name]) for name in ("chain", "attributes")}})
    except (KeyError, TypeError, ValueError) as error:
        raise DenseGymError(
            f"this is no state of the shop: its goal is no goal, {error}"
        ) from error
    core.load_state_dict({"goal": goal.id, "state": state["state"]}, goal)
    return True
