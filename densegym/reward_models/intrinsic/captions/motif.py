"""Motif (arXiv 2310.00166): a reward model of captions learned from preferences, before training.

Departures from the released code: held-out captions are whole captions and not pairs, so the
validation accuracy is not that of captions seen in training; ties do not dominate, because pairs
are of different captions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densegym import assets
from densegym.errors import DenseGymError
from densegym.reward_models.intrinsic.annotation.comparing import pair_of
from densegym.reward_models.intrinsic.annotation.sources import RECORDED, Labels, build_source
from densegym.reward_models.intrinsic.annotation.table import CaptionTable
from densegym.reward_models.intrinsic.captions.caption_reward import CaptionReward
from densegym.reward_models.intrinsic.captions.heads import PreferenceOptions, RankingOptions
from densegym.reward_models.intrinsic.captions.learned_heads import (
    Ranking,
    bradley_terry_step,
    moments,
)
from densegym.reward_models.types import Float

PAIRS = "captions/nethack-preferences.jsonl"
_HELD_OUT = 0.2
_BATCH = 64


class Preference(Ranking):
    """A ranking that is learned once, from pairs, with moments of recorded play.

    Args:
        options: see there.
        pairs: labels by pair, 0 first, 1 second, 0.5 neither; None draws ``options.drawn`` pairs
            and reads their preferences off grades.
        seen: how often recorded play said each caption, for mean, deviation and quantile.
        seed: of weights, draws and the split.
    """

    def __init__(
        self,
        options: PreferenceOptions,
        *,
        pairs: Mapping[str, float] | None,
        seen: Mapping[str, int],
        seed: int = 0,
    ) -> None:
        ranking = RankingOptions(quantile=options.quantile, size=options.size, lr=options.lr)
        super().__init__(ranking, seed=seed)
        epochs, drawn = options.epochs, options.drawn
        if epochs < 1 or drawn < 1:
            raise DenseGymError(f"epochs and drawn are at least 1; given {epochs} and {drawn}")
        self._pairs, self._seen = pairs, seen
        self._epochs, self._drawn = epochs, drawn
        self._accuracy = float("nan")

    def update(self, grades: Mapping[str, float]) -> None:
        """Learn from all pairs, the first time."""
        if self._rounds:
            return
        first, second, preferred = self._dataset(grades)
        held = self._held_out(first, second)
        self._fit(first, second, preferred, np.flatnonzero(held == 0))
        self._rounds = 1
        self._accuracy = self._validate(first, second, preferred, np.flatnonzero(held == 2))
        said = {caption: n for caption, n in self._seen.items() if n}
        self._moments = moments(self._net(list(said))[:, 0], said, self._quantile)

    def moved(self, occurrences: Mapping[str, int], total: int) -> bool:
        """Keep the moments of recorded play."""
        return False

    def metrics(self) -> dict[str, float]:
        """Return the loss, and the accuracy on decided pairs of captions held out."""
        scored = {"held_out_accuracy": self._accuracy} if np.isfinite(self._accuracy) else {}
        return {**super().metrics(), **scored}

    def state_dict(self) -> dict[str, Any]:
        """Return network, moments and accuracy."""
        return {**super().state_dict(), "accuracy": self._accuracy}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore network, moments and accuracy."""
        super().load_state_dict(state)
        self._accuracy = float(state["accuracy"])

    def _dataset(self, grades: Mapping[str, float]) -> tuple[list[str], list[str], Float]:
        if self._pairs is not None:
            both = [pair_of(key) for key in self._pairs]
            labels = np.array([self._pairs[key] for key in self._pairs])
            return [a for a, _ in both], [b for _, b in both], labels
        captions = list(grades)
        drawn = self._rng.integers(len(captions), size=(2, self._drawn))
        drawn = drawn[:, drawn[0] != drawn[1]]
        values = np.array([grades[caption] for caption in captions])
        labels = (np.sign(values[drawn[1]] - values[drawn[0]]) + 1.0) / 2.0
        return [captions[i] for i in drawn[0]], [captions[i] for i in drawn[1]], labels

    def _held_out(self, first: Sequence[str], second: Sequence[str]) -> Any:
        """Return how many captions of each pair are held out: 0 trains, 2 validates."""
        captions = sorted({*first, *second})
        count = int(_HELD_OUT * len(captions))
        held = {captions[i] for i in self._rng.permutation(len(captions))[:count]}
        return np.array([(a in held) + (b in held) for a, b in zip(first, second, strict=True)])

    def _fit(
        self, first: Sequence[str], second: Sequence[str], preferred: Float, rows: Any
    ) -> None:
        for _ in range(self._epochs):
            losses = []
            order = self._rng.permutation(rows)
            for start in range(0, len(order), _BATCH):
                some = order[start : start + _BATCH]
                pair = [first[i] for i in some], [second[i] for i in some]
                losses.append(bradley_terry_step(self._net, *pair, preferred[some]))
            self._loss = float(np.mean(losses)) if losses else float("nan")

    def _validate(
        self, first: Sequence[str], second: Sequence[str], preferred: Float, rows: Any
    ) -> float:
        decided = [i for i in rows if preferred[i] != 0.5]
        if not decided:
            return float("nan")
        one = self._net([first[i] for i in decided])[:, 0]
        other = self._net([second[i] for i in decided])[:, 0]
        return float(np.mean((other > one) == (preferred[decided] == 1.0)))


def build_motif(
    *,
    seed: int = 0,
    beta: float = 3.0,
    pairs: str | None = None,
    head: PreferenceOptions,
    labels: Labels,
) -> CaptionReward:
    """Return Motif's reward.

    Args:
        seed: of weights, draws and a random annotator.
        beta: exponent of the damping by repetition.
        pairs: table of preferences (``densegym captions label --ask compare``), ``"recorded"``
            for the shipped one, or None to read preferences off the annotator's grades.
        head: what learns.
        labels: who labels.

    Raises:
        DenseGymError: the table holds no preferences.
    """
    name = "intrinsic/motif-v1"
    source, preferred = build_source(labels, seed=seed), None
    if pairs is not None:
        preferred = CaptionTable(
            path=assets.path(PAIRS) if pairs == "recorded" else Path(pairs), readonly=True
        )
        kind = preferred.provenance.kind
        if kind != "preference":
            raise DenseGymError(f"{preferred.path} holds {kind}s, not preferences")
    seen = CaptionTable(path=assets.path(RECORDED), readonly=True).seen
    model = Preference(head, pairs=preferred, seen=seen, seed=seed)
    return CaptionReward(name, source, model, beta=beta)
