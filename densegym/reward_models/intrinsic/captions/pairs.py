"""ONI's ranking as published: a language model compares pairs while the policy learns; torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from densegym.reward_models.intrinsic.annotation.comparing import pair_key, pair_of
from densegym.reward_models.intrinsic.annotation.labelling import LiveSource
from densegym.reward_models.intrinsic.annotation.source import BaseSource
from densegym.reward_models.intrinsic.captions.learned_heads import Ranking, bradley_terry_step
from densegym.reward_models.intrinsic.keys import digest
from densegym.reward_models.types import Float


class PairSource(BaseSource):
    """Has every new caption compared with some that were said before.

    Opponents are drawn from different captions, each as likely as any other, so that frequent
    messages do not make up most pairs, as they do in ONI's released code. A pair is asked about
    once. Which opponents a caption meets depends on its letters and on what was said before.

    Args:
        live: the service's source; its table holds preferences.
        opponents: how many a new caption is compared with.
    """

    name = "endpoint"

    def __init__(self, live: LiveSource, opponents: int) -> None:
        self._live, self._opponents = live, opponents
        self._said: dict[str, None] = {}
        self._judged: set[str] = set()
        self._read = 0

    @property
    def version(self) -> int:
        """Number of labelled pairs."""
        return self._live.version

    @property
    def grades(self) -> Mapping[str, float]:
        """Preferences by pair."""
        return self._live.grades

    def ask(self, caption: str) -> bool:
        """Have a new caption compared; return whether any of its pairs has a label."""
        if caption not in self._said:
            known = list(self._said)
            mark = digest(caption.encode())
            drawn = {known[(mark + n * 7919) % len(known)] for n in range(self._opponents) if known}
            for opponent in sorted(drawn):
                first, second = (caption, opponent) if mark % 2 else (opponent, caption)
                self._live.ask(pair_key(first, second))
            self._said[caption] = None
        if self.version != self._read:
            self._read = self.version
            self._judged = {side for key in self.grades for side in pair_of(key)}
        return caption in self._judged

    def metrics(self) -> dict[str, float]:
        """Return the service's counters."""
        return self._live.metrics()

    def state_dict(self) -> dict[str, Any]:
        """Return what was said, and the service's calls and cost."""
        return {"said": list(self._said), "live": self._live.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what was said, and calls and cost."""
        self._said = dict.fromkeys(state["said"])
        self._live.load_state_dict(state["live"])

    def close(self) -> None:
        """Leave the service."""
        self._live.close()


class PairRanking(Ranking):
    """A ranking that learns from compared pairs; ``update`` takes preferences by pair."""

    def _learn(self, captions: Sequence[str], values: Float) -> float:
        rows = self._draw(len(captions))
        both = [pair_of(captions[row]) for row in rows]
        return bradley_terry_step(
            self._net, [a for a, _ in both], [b for _, b in both], values[rows]
        )
