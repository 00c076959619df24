"""What most reward models inherit: no-ops for everything but ``score``, and a decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from densegym.reward_models.batch import all_true
from densegym.reward_models.types import (
    Bool,
    Episode,
    Float,
    Int,
    Mode,
    Need,
    Pictures,
    Scores,
    Starts,
    Steps,
)


class Stateless:
    """Keeps nothing through a checkpoint."""

    name: str = "reward"

    def state_dict(self) -> dict[str, Any]:
        """Return no state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Refuse a state that this model cannot hold.

        Raises:
            ValueError: the state is not empty.
        """
        if state:
            raise ValueError(f"{self.name} keeps no state, but was given {sorted(state)}")


class BasePotential(Stateless):
    """A stateless potential; subclasses define ``initial`` and ``after``."""

    needs: Need = Need.OBS
    stops_at_success: bool | None = None

    def initial(self, starts: Starts) -> tuple[Float, Bool]:
        """Value the first states."""
        raise NotImplementedError(f"{type(self).__name__} must define initial(starts)")

    def after(self, steps: Steps) -> tuple[Float, Bool]:
        """Value the successors."""
        raise NotImplementedError(f"{type(self).__name__} must define after(steps)")


class BaseRewardModel(Stateless):
    """A stateless reward model; subclasses override ``score`` and, if stateful, the rest.

    Attributes:
        default_mode: how the model meets the world's reward unless the specification says so.
        gamma: the discount the model assumes, or None; training refuses a learner with another.
        stops_at_success: True or False where the reward asks that training episodes end, or do
            not end, at the first success; None where it does not care.
    """

    needs: Need = Need.OBS
    terms: tuple[str, ...] = ()
    default_mode: Mode = "replace"
    gamma: float | None = None
    stops_at_success: bool | None = None

    def begin(self, starts: Starts) -> None:
        """Take note of rows that start an episode; nothing to note here."""

    def score(self, steps: Steps) -> Scores:
        """Judge one batch of steps."""
        raise NotImplementedError(f"{type(self).__name__} must define score(steps)")

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float | None]:
        """Keep the step rewards."""
        return [None] * len(episodes)

    def metrics(self) -> dict[str, float]:
        """Return numbers for logs; ``model_calls`` and ``cost_usd`` reach the tables."""
        return {}

    def close(self) -> None:
        """Let go of files, threads and connections; nothing to let go of here."""

    def estimate(self, prefix: Episode) -> Float | None:
        """Return (t,) credits of an episode that is still going on; None where nothing is known."""
        return None


def metrics_of(model: object) -> dict[str, float]:
    """Return the metrics of a model or potential, if it keeps any."""
    ask: Callable[[], dict[str, float]] | None = getattr(model, "metrics", None)
    return {} if ask is None else ask()


def close_model(model: object) -> None:
    """Close a model or potential, if it can be closed."""
    close: Callable[[], None] | None = getattr(model, "close", None)
    if close is not None:
        close()


def pictures_of(model: Any) -> Pictures | None:
    """Return what a model or potential wants to look at, if it says so."""
    return getattr(model, "pictures", None)


class LaneValues:
    """A float64 value per slot that grows as slots appear; what stateful models keep."""

    def __init__(self) -> None:
        self.values: Float = np.zeros(0)

    def reset(self, slot: Int, value: Float | float = 0.0) -> None:
        """Set lanes ``slot`` to ``value``, making room for new ones."""
        missing = int(slot.max(initial=-1)) + 1 - len(self.values)
        if missing > 0:
            self.values = np.concatenate([self.values, np.zeros(missing)])
        self.values[slot] = value


class FunctionReward(BaseRewardModel):
    """A reward model made of one function from ``Steps`` to named terms, which are summed."""

    def __init__(
        self, name: str, function: Callable[[Steps], Mapping[str, Float]], terms: Sequence[str]
    ) -> None:
        self.name = name
        self.terms = tuple(terms)
        self._function = function

    def score(self, steps: Steps) -> Scores:
        """Return the function's terms and their sum."""
        parts = self._function(steps)
        total = np.zeros(len(steps.slot))
        for part in parts.values():
            total = total + part
        return Scores(reward=total, valid=all_true(len(steps.slot)), parts=parts)


def reward(
    name: str, *, terms: Sequence[str] = ()
) -> Callable[[Callable[[Steps], Mapping[str, Float]]], FunctionReward]:
    """Turn a function from ``Steps`` to named terms into a reward model.

    Args:
        name: the model's name with version, e.g. ``"mine/forward-v1"``.
        terms: the names of the terms, if they should appear in ``info`` from the first reset on.

    Example:
        >>> @reward("mine/forward-v1")
        ... def forward(steps):
        ...     return {"forward": steps.next_obs[:, 0]}
        >>> forward.name
        'mine/forward-v1'
    """

    def wrap(function: Callable[[Steps], Mapping[str, Float]]) -> FunctionReward:
        return FunctionReward(name, function, terms)

    return wrap
