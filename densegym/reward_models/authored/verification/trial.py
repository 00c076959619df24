"""The rows a reward program is tried on: real steps where there are some, and made-up ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.types import TaskCard

_ZEROS, _EXTREMES, _NORMALS = 16, 240, 768  # together the 1024 rows that every program sees
_DECADES = 2.0  # extremes reach 100 where no real step says what is plausible


@dataclass(frozen=True, slots=True)
class Trial:
    """N rows of the features a program reads.

    Attributes:
        features: (N, *shape) float64 by name; ``terminated`` is (N,) bool.
        judged: the first ``judged`` rows say what the reward is like: the real steps, or all
            rows where none were given.
        real: whether real steps were given; a fault on some made-up rows is only a warning.
    """

    features: Mapping[str, Any]
    judged: int
    real: bool

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))

    def describe(self, row: int, most: int = 4) -> str:
        """Return the features of one row in words, at most ``most`` of them."""
        told = [
            f"{name} = {np.array2string(values[row], precision=3, threshold=6, separator=', ')}"
            for name, values in list(self.features.items())[:most]
        ]
        return ", ".join(told)


def make_trial(
    card: TaskCard, parameters: Sequence[str], samples: Mapping[str, Any] | None, seed: int = 0
) -> Trial:
    """Return real steps, followed by zeros, extremes, and standard-normal rows.

    Extremes lie up to the features' own span outside what real steps show.

    Args:
        card: the task, for the features' shapes.
        parameters: names of the features to make.
        samples: real steps, (rows, *shape) by name, or None.
        seed: of the made-up rows.

    Raises:
        RewardError: the samples lack a feature or have it in another shape.
    """
    rng = np.random.default_rng(seed)
    shapes = _shapes(card)
    columns, count = {}, 0
    for name in parameters:
        real = _samples(samples, name, shapes[name])
        count = len(real)
        made = _made_clock(rng) if name == "terminated" else _made(rng, real, shapes[name])
        columns[name] = np.concatenate([real, made])
    rows = _ZEROS + _EXTREMES + _NORMALS
    return Trial(columns, count or rows, real=count > 0)


def _shapes(card: TaskCard) -> dict[str, tuple[int, ...]]:
    shapes = {item.name: item.shape for item in card.features}
    return {f"prev_{name}": shape for name, shape in shapes.items()} | shapes | {"terminated": ()}


def _samples(samples: Mapping[str, Any] | None, name: str, shape: tuple[int, ...]) -> Any:
    dtype = np.bool_ if name == "terminated" else np.float64
    if not samples:
        return np.zeros((0, *shape), dtype=dtype)
    if name not in samples:
        raise RewardError(f'the samples lack the feature "{name}"; they have {sorted(samples)}')
    values: Any = np.asarray(samples[name], dtype=dtype)
    if values.shape[1:] != shape:
        raise RewardError(
            f'samples of "{name}" have shape {values.shape}; expected (rows, *{shape})'
        )
    return values


def _made(rng: np.random.Generator, real: Any, shape: tuple[int, ...]) -> Any:
    size: tuple[int, ...] = (_EXTREMES, *shape)
    if len(real):
        low, high = real.min(axis=0), real.max(axis=0)
        span = high - low
        extremes = rng.uniform(low - span, high + span, size)
    else:
        extremes = rng.choice([-1.0, 1.0], size) * 10.0 ** rng.uniform(0.0, _DECADES, size)
    return np.concatenate(
        [np.zeros((_ZEROS, *shape)), extremes, rng.normal(size=(_NORMALS, *shape))]
    )


def _made_clock(rng: np.random.Generator) -> Any:
    drawn = rng.random(_EXTREMES + _NORMALS) < 0.5
    return np.concatenate([np.zeros(_ZEROS, dtype=np.bool_), drawn])
