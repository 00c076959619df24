"""Whole episodes that fitted credits learn from, the newest million steps of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from densegym.reward_models.types import Float

_STEPS = 1_000_000


class StoredEpisode(NamedTuple):
    """One episode of T steps.

    Attributes:
        inputs: (T, D) float32.
        total: its undiscounted return R.
        more: what one kind of credit keeps besides.
    """

    inputs: Any
    total: float
    more: Any = None

    @property
    def rate(self) -> float:
        """R / T."""
        return self.total / len(self.inputs)


Pack = Callable[[Any], Any]


def packed(episodes: Iterable[StoredEpisode], pack: Pack) -> dict[str, Any]:
    """Return episodes as arrays and plain values, ``more`` as ``pack`` turns it into such."""
    kept = list(episodes)
    inputs = [one.inputs for one in kept]
    return {
        "inputs": np.concatenate(inputs) if inputs else np.zeros((0, 0), dtype="f4"),
        "lengths": [len(one) for one in inputs],
        "totals": [one.total for one in kept],
        "more": [pack(one.more) for one in kept],
    }


def unpacked(state: Mapping[str, Any], unpack: Pack) -> list[StoredEpisode]:
    """Return the episodes of which ``packed`` made a state."""
    ends = np.cumsum(state["lengths"], dtype=np.int64)[:-1]
    parts = np.split(np.asarray(state["inputs"]), ends) if state["lengths"] else []
    rest = zip(parts, state["totals"], state["more"], strict=True)
    return [StoredEpisode(part, float(total), unpack(more)) for part, total, more in rest]


class EpisodeStore:
    """A ring of complete episodes; the oldest make room, the newest always stays.

    Args:
        steps: most steps kept.
        episodes: most episodes kept; None for any number.
    """

    def __init__(self, steps: int = _STEPS, episodes: int | None = None) -> None:
        self._most, self._count = steps, episodes
        self._episodes: deque[StoredEpisode] = deque()
        self.steps = 0

    def __len__(self) -> int:
        return len(self._episodes)

    def __iter__(self) -> Iterator[StoredEpisode]:
        return iter(self._episodes)

    def put(self, one: StoredEpisode) -> None:
        """Keep an episode."""
        self._episodes.append(one)
        self.steps += len(one.inputs)
        while self._full() and len(self._episodes) > 1:
            self.steps -= len(self._episodes.popleft().inputs)

    def latest(self, steps: int) -> list[Any]:
        """Return (T, D) inputs of the newest episodes, whole ones, until ``steps`` are reached."""
        chosen, count = [], 0
        for one in reversed(self._episodes):
            chosen.append(one.inputs)
            count += len(one.inputs)
            if count >= steps:
                break
        return chosen

    def _full(self) -> bool:
        many = self._count is not None and len(self._episodes) > self._count
        return many or self.steps > self._most

    def draw(
        self, random: np.random.Generator, count: int, *, by_length: bool
    ) -> list[StoredEpisode]:
        """Return ``count`` episodes, with replacement, uniformly or in proportion to T."""
        shares: Float | None = None
        if by_length:
            shares = np.array([len(one.inputs) for one in self._episodes]) / self.steps
        picked = random.choice(len(self._episodes), count, p=shares)
        return [self._episodes[i] for i in picked.tolist()]
