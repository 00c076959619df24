"""Text spaces without an alphabet: what fits is decided by type and length alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces


class FreeText(spaces.Text):
    """Any string up to a length; Gymnasium's own check reads every character.

    Args:
        max_length: longest string.
        samples: what ``sample()`` draws from; by default a few words.
        seed: of ``sample()``.
    """

    def __init__(
        self,
        max_length: int,
        samples: Sequence[str] = ("red shoes", "lamp", ""),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(max_length, min_length=0, seed=seed)
        self.samples = tuple(samples)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return one of the sample strings."""
        return str(self.samples[int(self.np_random.integers(len(self.samples)))])

    def contains(self, x: Any) -> bool:
        """Return whether it is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, FreeText)
            and self.max_length == other.max_length
            and self.samples == other.samples
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"FreeText({self.max_length})"
