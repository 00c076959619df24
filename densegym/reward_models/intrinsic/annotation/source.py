"""What a source of caption labels answers, whoever the annotator is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class LabelSource(Protocol):
    """Grades captions from 0 to 9, at once or later.

    Attributes:
        name: the annotator's type, as tables show it.
        wants_gain: whether it must be told by how much a step raised the game's score.
    """

    name: str
    wants_gain: bool

    @property
    def version(self) -> int:
        """Changes whenever a label arrives or changes."""

    @property
    def grades(self) -> Mapping[str, float]:
        """Every label known so far."""

    def ask(self, caption: str) -> bool:
        """Note that a caption occurred; return whether it has a label by now."""

    def metrics(self) -> dict[str, float]:
        """Return counters for logs, e.g. calls and USD of a language model."""

    def state_dict(self) -> dict[str, Any]:
        """Return what must survive a checkpoint."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""

    def close(self) -> None:
        """Let go of files and threads."""


class BaseSource:
    """A source that counts nothing, keeps nothing and holds nothing."""

    name = "annotator"
    wants_gain = False

    def metrics(self) -> dict[str, float]:
        """Return no counters."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return no state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore nothing."""

    def close(self) -> None:
        """Hold nothing."""
