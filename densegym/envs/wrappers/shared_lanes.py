"""Stable-Baselines3 vector environments whose lanes are no objects of their own."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from densegym.errors import DenseGymError


class SharedLanes(VecEnv, ABC):
    """What lanes that share one world, or one game, can and cannot be asked for."""

    render_mode: str | None = None
    spec = None  # of the lanes; their worlds keep their own clocks
    _actions: Any = None

    def step_async(self, actions: Any) -> None:
        """Keep the actions."""
        self._actions = actions

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of this environment for every lane; lanes have none of their own."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse.

        Raises:
            DenseGymError: always.
        """
        raise DenseGymError(f"{attr_name} cannot be set: batched lanes are not objects")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Refuse.

        Raises:
            DenseGymError: always.
        """
        raise DenseGymError(
            f"{method_name} cannot be called: batched lanes are no separate objects"
        )

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Tell that lanes are wrapped in nothing."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[None]:
        """Return no pictures; lanes draw none."""
        return [None] * self.num_envs
