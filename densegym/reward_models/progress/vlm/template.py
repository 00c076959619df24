"""Prompts with pictures: text files in which ``[[name]]`` stands for a picture or a word.

What fills a place is never read for places itself, so a task's sentence may hold any character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from densegym import assets
from densegym.errors import RewardError, unknown
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

    @classmethod
    def shipped(cls, name: str, override: str | None = None) -> Template:
        """Return ``assets/prompts/progress/<name>.txt``, or a file of the user's in its place.

        Raises:
            RewardError: the user's file cannot be read, or lacks a place of the shipped one.
        """
        own = cls(assets.text(f"prompts/progress/{name}.txt").strip("\n"), name)
        if override is None:
            return own
        try:
            text = Path(override).read_text(encoding="utf-8").strip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise RewardError(f"the prompt {override} cannot be read: {error}") from error
        given = cls(text, override)
        for place in sorted(given.places - own.places):
            raise unknown(f"place of prompt {override}", place, own.places)
        return given

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
