"""Text spaces of every character: what fits is decided by type and length alone."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Sequence, Set
from typing import Any, overload

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import read_from_shared_memory


class _Texts(Sequence[str]):
    """Texts that are made when they are looked at; subclasses define ``_at`` and a length."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        places = range(len(self))[index]
        return self._at(places) if isinstance(places, int) else [self._at(one) for one in places]

    @abstractmethod
    def _at(self, place: int) -> str:
        """Return the text at a place, counted from 0."""


class _Unicode(_Texts, Set[str]):
    """Every character at the place of its code point, without a list of a million of them."""

    def _at(self, place: int) -> str:
        return chr(place)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and len(value) == 1

    def __len__(self) -> int:
        return sys.maxunicode + 1


_UNICODE = _Unicode()


class FreeText(spaces.Text):
    """Any string up to a length; Gymnasium's own check reads every character.

    Flattened, and in the memory that worker processes share, a character is its code point.

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

    @property
    def character_set(self) -> Any:
        """Return every character there is."""
        return _UNICODE

    @property
    def character_list(self) -> Any:
        """Return every character there is, by code point."""
        return _UNICODE

    def character_index(self, char: str) -> np.int32:
        """Return the code point of a character."""
        return np.int32(ord(char))

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


class _SharedTexts(_Texts):
    """What worker processes have written last, decoded when it is looked at or copied.

    Gymnasium reads texts out of shared memory once, before there are any, and hands out copies.
    """

    def __init__(self, space: FreeText, memory: Any, lanes: int) -> None:
        codes = np.frombuffer(memory.get_obj(), dtype=np.int32)
        self._codes = codes.reshape(lanes, space.max_length)

    def _at(self, place: int) -> str:
        codes = self._codes[place]
        return "".join(map(chr, codes[codes <= sys.maxunicode].tolist()))

    def __len__(self) -> int:
        return len(self._codes)

    def __deepcopy__(self, memo: Any) -> tuple[str, ...]:
        return tuple(self)


@read_from_shared_memory.register(FreeText)
def _read_texts(space: FreeText, shared_memory: Any, n: int = 1) -> _SharedTexts:
    return _SharedTexts(space, shared_memory, n)
