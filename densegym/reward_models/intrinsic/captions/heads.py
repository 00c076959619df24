"""What can be chosen of heads that learn from labelled captions; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadOptions:
    """Options of every learned head.

    Attributes:
        size: of the network; ``"paper"`` is as wide as the paper's.
        lr: learning rate.
    """

    size: Literal["small", "paper"] = "small"
    lr: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationOptions(HeadOptions):
    """Options of ONI's classification.

    Attributes:
        threshold: probability of a positive label from which a caption is worth 1; 0.5 in ONI.
        steps: gradient steps each time labels arrive; 32 in ONI.
    """

    threshold: float = 0.5
    steps: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingOptions(HeadOptions):
    """Options of ONI's ranking.

    Attributes:
        quantile: captions below it are worth 0; 0.5 in Motif.
        steps: gradient steps each time labels arrive; 32 in ONI.
    """

    quantile: float = 0.5
    steps: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceOptions(HeadOptions):
    """Options of Motif's preference model.

    Attributes:
        quantile: captions below it in recorded play are worth 0; 0.5 in the paper.
        epochs: passes over the pairs; 10 in the paper.
        drawn: number of pairs to draw where none are given.
    """

    quantile: float = 0.5
    epochs: int = 10
    drawn: int = 4_000
