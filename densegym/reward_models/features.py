"""Named features of a task card, read from batches of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from densegym.errors import RewardError, unknown
from densegym.reward_models.types import Feature, Float, Info, Starts, Steps, TaskCard

_FLOAT64 = np.dtype(np.float64)
Reader = Callable[[Steps], Any]


def feature_names(card: TaskCard) -> list[str]:
    """Return every name a reward program may take: features, their ``prev_`` twins, the clock."""
    twins = [f"prev_{item.name}" for item in card.features if item.source == "obs"]
    return [*(item.name for item in card.features), *twins, "terminated"]


def reader(card: TaskCard, name: str) -> Reader:
    """Return a function from ``Steps`` to one feature, a fresh (B, *shape) float64 array.

    ``prev_<name>`` reads the observation before the step; ``terminated`` is (B,) bool.

    Raises:
        UnknownNameError: the card has no such feature; names the closest.
    """
    if name == "terminated":
        return lambda steps: steps.terminated
    table = {item.name: item for item in card.features}
    previous = name.startswith("prev_") and name not in table
    feature = table.get(name.removeprefix("prev_") if previous else name)
    if feature is None or (previous and feature.source != "obs"):
        raise unknown(f"feature of {card.id}", name, feature_names(card))
    if feature.source == "info":
        return lambda steps: _from_info(feature, steps.info)
    read = _from_array(feature)
    if feature.source == "action":
        return lambda steps: read(steps.action)
    if previous:
        return lambda steps: read(steps.obs)
    return lambda steps: read(steps.next_obs)


def as_steps(starts: Starts, card: TaskCard) -> Steps:
    """Return first states dressed as steps that went nowhere, for potentials at s₀."""
    rows = len(starts.slot)
    never = np.zeros(rows, dtype=np.bool_)
    return Steps(
        slot=starts.slot,
        t=np.zeros(rows, dtype=np.int64),
        obs=starts.obs,
        action=_blank([item for item in card.features if item.source == "action"], rows),
        next_obs=starts.obs,
        env_reward=np.zeros(rows),
        terminated=never,
        truncated=never,
        info=starts.info,
        frame=starts.frame,
    )


def blank_steps(card: TaskCard, rows: int) -> Steps:
    """Return steps on which every feature of the card reads zero, to try a program on."""
    blank = Starts(
        slot=np.arange(rows),
        obs=_blank_observation(card, rows),
        info=[_blank_info(card)] * rows,
    )
    return as_steps(blank, card)


def _blank_info(card: TaskCard) -> dict[str, Any]:
    read = [item for item in card.features if item.source == "info"]
    return {item.key: np.zeros(item.shape) for item in read if item.key is not None}


def _from_array(feature: Feature) -> Callable[[Any], Float]:
    """Return a function from a batch to a fresh, contiguous float64 copy of one feature.

    Fresh, because programs may write into it; contiguous, because NumPy's fast paths round
    differently from its strided ones, and a batch must score like its rows.
    """
    key = feature.key
    index: Any = slice(None)
    if feature.columns is not None:
        start, stop = feature.columns
        index = (slice(None), start if feature.shape == () else slice(start, stop))

    def read(batch: Any) -> Float:
        array = batch if key is None else batch[key]
        if array.dtype == _FLOAT64:
            return array[index].copy()  # type: ignore[no-any-return]  # a batch is Any
        return array[index].astype(_FLOAT64, order="C")  # type: ignore[no-any-return]

    return read


def _from_info(feature: Feature, infos: Sequence[Info]) -> Float:
    try:
        return np.array([info[feature.key] for info in infos if feature.key], dtype=np.float64)
    except KeyError as error:
        raise RewardError(
            f'a reward reads "{feature.name}" from info[{feature.key!r}], which this world does '
            f"not tell. The card says of it: {feature.meaning}"
        ) from error


def _blank_observation(card: TaskCard, rows: int) -> Any:
    read = [item for item in card.features if item.source == "obs"]
    keys = {item.key for item in read if item.key is not None}
    if not keys:
        return _blank(read, rows)
    return {key: _blank([item for item in read if item.key == key], rows) for key in keys}


def _blank(features: Sequence[Feature], rows: int) -> Float:
    """Return zeros of the array that these features are read from."""
    whole = next((item.shape for item in features if item.columns is None), None)
    if whole is not None:
        return np.zeros((rows, *whole))
    return np.zeros((rows, max([1, *(item.columns[1] for item in features if item.columns)])))
