"""Plain functions as rewards."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true, map_leaves
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import NOTHING, Float, Need, Scores, Steps

_FORMS = "f(steps), which is given batches of Steps, or f(obs, action, next_obs, info)"


def from_function(function: Callable[..., Any]) -> RewardModel:
    """Return a function as a reward model.

    Args:
        function: ``f(steps)`` returns (B,) rewards or named terms of a batch; ``f(obs, action,
            next_obs, info)`` returns the reward of one step and is called row by row.

    Raises:
        RewardError: it takes other arguments.
    """
    named = getattr(function, "__name__", type(function).__name__).strip("<>")
    try:
        count = len(inspect.signature(function).parameters)
    except (TypeError, ValueError) as error:
        raise RewardError(f"{named} has no signature; a reward is {_FORMS}") from error
    if count not in (1, 4):
        raise RewardError(f"{named} takes {count} arguments; a reward is {_FORMS}")
    return PlainFunction(f"function/{named}", function, rows=count == 4)


class PlainFunction(RewardModel):
    """Pays what a function returns.

    Args:
        name: of the reward.
        function: see ``from_function``.
        rows: whether it is called step by step.
    """

    traits = Traits(needs=Need.OBS)

    def __init__(self, name: str, function: Callable[..., Any], *, rows: bool) -> None:
        self.name = name
        self._function, self._rows = function, rows

    def score(self, steps: Steps) -> Scores:
        """Return the function's rewards.

        Raises:
            RewardError: it returned something else than a number per step.
        """
        count = len(steps.slot)
        paid = self._each(steps) if self._rows else self._function(steps)
        parts: Mapping[str, Float] = NOTHING
        if isinstance(paid, dict):
            parts = {name: np.asarray(value, dtype=np.float64) for name, value in paid.items()}
            paid = sum(parts.values(), np.zeros(count))
        try:
            total = np.asarray(paid, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise RewardError(f"{self.name} returned {paid!r}; expected numbers") from error
        if total.shape != (count,):
            raise RewardError(
                f"{self.name} returned shape {total.shape} for {count} steps; expected ({count},)"
            )
        return Scores(total, all_true(count), parts)

    def _each(self, steps: Steps) -> list[Any]:
        seen = (steps.obs, steps.action, steps.next_obs)
        return [
            self._function(*(_row(batch, row) for batch in seen), info)
            for row, info in enumerate(steps.info)
        ]


def _row(batch: Any, row: int) -> Any:
    return map_leaves(lambda leaf: leaf[row], batch)
