"""Prompts with pictures: text files in which ``[[name]]`` stands for a picture or a word.

What fills a place is never read for places itself, so a task's sentence may hold any character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.types import Frames

Part: TypeAlias = str | Frames
"""A piece of a prompt: text, or one picture (H, W, 3) uint8."""
_PLACE = re.compile(r"\[\[([a-z0-9 ]+)\]\]")


class Template:
    """One prompt.

    Args:
        text: with places.
        where: it comes from, for messages.
    """

    def __init__(self, text: str, where: str) -> None:
        self._pieces = _PLACE.split(text)  # text, name, text, name, ..., text
        self.text, self._where = text, where
        self.places = frozenset(self._pieces[1::2])

    def check_form(self, *, soft: bool) -> Template:
        """Return the prompt, which must have a place for its form where letters are asked for.

        Raises:
            RewardError: it has none; says what to leave out.
        """
        if soft and "form" not in self.places:
            raise RewardError(
                f"soft=true asks for a letter instead of a number, and prompt {self._where} has no "
                "place [[form]] to say so. Leave soft out."
            )
        return self

    def fill(self, given: Mapping[str, str | Part | Sequence[Part]]) -> tuple[Part, ...]:
        """Return the prompt's parts; neighbouring texts become one.

        Args:
            given: per place, a text, a picture, or a sequence of both.

        Raises:
            RewardError: nothing is given for a place.
        """
        parts: list[Part] = []
        for index, piece in enumerate(self._pieces):
            if index % 2 == 0:
                _append(parts, piece)
                continue
            if piece not in given:
                raise RewardError(f"prompt {self._where} has a place [[{piece}]] nothing fills")
            value = given[piece]
            for part in [value] if isinstance(value, str | np.ndarray) else value:
                _append(parts, part)
        return tuple(parts)


def _append(parts: list[Part], part: Part) -> None:
    if not isinstance(part, str):
        parts.append(part)
    elif parts and isinstance(parts[-1], str):
        parts[-1] += part
    elif part:
        parts.append(part)


def joined(parts: Sequence[Part], text: str) -> tuple[Part, ...]:
    """Return parts with a text after them."""
    made = list(parts)
    _append(made, text)
    return tuple(made)
