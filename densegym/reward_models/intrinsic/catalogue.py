"""The intrinsic rewards by name, for the registry; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_ROOM = "densegym.reward_models.intrinsic"


class Intrinsic(NamedTuple):
    """One registered name.

    Attributes:
        name: with version.
        target: ``"module:attr"`` of the factory.
        summary: one line for listings.
        stated: options that labels name even where they were left at their default.
    """

    name: str
    target: str
    summary: str
    stated: Mapping[str, Any] = {}


_LABELLED: Mapping[str, Any] = {"annotator": "recorded"}

CATALOGUE = (
    Intrinsic(
        "intrinsic/oni-retrieval-v1",
        f"{_ROOM}.oni:build_retrieval",
        "labels of captions by look-up (ONI)",
        _LABELLED,
    ),
    Intrinsic(
        "intrinsic/oni-classification-v1",
        f"{_ROOM}.oni:build_classification",
        "a classifier of captions (ONI)",
        _LABELLED,
    ),
    Intrinsic(
        "intrinsic/oni-ranking-v1",
        f"{_ROOM}.oni:build_ranking",
        "a ranking of captions, learned online (ONI)",
        _LABELLED,
    ),
    Intrinsic(
        "intrinsic/motif-v1",
        f"{_ROOM}.motif:build_motif",
        "a ranking of captions, learned before training (Motif)",
        _LABELLED,
    ),
    Intrinsic(
        "intrinsic/calm-v1",
        f"{_ROOM}.calm:build_calm",
        "subgoals judged completed by what the game says (CALM)",
        _LABELLED,
    ),
    Intrinsic(
        "intrinsic/ellm-v1",
        f"{_ROOM}.ellm:build_ellm",
        "captions that sound like a proposed goal (ELLM)",
    ),
    Intrinsic(
        "intrinsic/first-seen-v1",
        f"{_ROOM}.first_seen:FirstSeen",
        "every caption once an episode: the control without meaning",
    ),
    Intrinsic(
        "intrinsic/count-v1", f"{_ROOM}.counts:GlobalCount", "1/sqrt of visits in all training"
    ),
    Intrinsic(
        "intrinsic/episodic-count-v1",
        f"{_ROOM}.counts:EpisodicCount",
        "first visits of the episode",
    ),
    Intrinsic(
        "intrinsic/e3b-v1", f"{_ROOM}.e3b:E3B", "elliptical bonus of the episode, learned codes"
    ),
    Intrinsic("intrinsic/rnd-v1", f"{_ROOM}.rnd:RND", "random network distillation"),
    Intrinsic("intrinsic/noveld-v1", f"{_ROOM}.rnd:NovelD", "increase of RND at first visits"),
    Intrinsic(
        "intrinsic/product-v1", f"{_ROOM}.product:build_product", "product of several bonuses"
    ),
)
