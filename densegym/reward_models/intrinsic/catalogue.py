"""The intrinsic rewards by name; nothing heavy is imported here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from densegym import assets
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.types import TaskCard

_INTRINSIC = "densegym.reward_models.intrinsic"
_LABELLED: Mapping[str, Any] = {"annotator": "recorded"}


def _has_goals(task: TaskCard) -> bool:
    goals = tomllib.loads(assets.text("captions/ellm-goals.toml"))
    return any(table["match"] in task.id for table in goals.values())


def _has_judged_subgoals(task: TaskCard) -> bool:
    recorded = assets.names("captions", ".jsonl")
    plans = tomllib.loads(assets.text("captions/subgoals.toml"))
    return any(
        plan["match"] in task.id and f"calm-{key}" in recorded for key, plan in plans.items()
    )


def _caption(name: str, target: str, summary: str, **more: Any) -> RewardEntry:
    """Return a row of a reward that reads what the world says of a step."""
    target = f"{_INTRINSIC}.captions.{target}"
    name = f"intrinsic/{name}"
    return RewardEntry(name, target, summary, asks=("captions",), mode="add", **more)


def _novelty(name: str, target: str, summary: str, **more: Any) -> RewardEntry:
    """Return a row of a reward for what is new."""
    target = f"{_INTRINSIC}.novelty.{target}"
    return RewardEntry(f"intrinsic/{name}", target, summary, mode="add", **more)


CATALOGUE = (
    RewardEntry(
        "milestone",
        f"{_INTRINSIC}.milestone:MilestoneReward",
        "1 when a milestone is first reached; a gate",
        asks=("milestones",),
        mode="add",
    ),
    RewardEntry(
        "progression",
        f"{_INTRINSIC}.milestone:ProgressionReward",
        "the rise of NetHack's progression metric",
        asks=("progression",),
        mode="add",
    ),
    _caption(
        "oni-retrieval-v1",
        "oni:build_retrieval",
        "labels of captions by look-up (ONI)",
        stated=_LABELLED,
    ),
    _caption(
        "oni-classification-v1",
        "oni:build_classification",
        "a classifier of captions (ONI)",
        stated=_LABELLED,
    ),
    _caption(
        "oni-ranking-v1",
        "oni:build_ranking",
        "a ranking of captions, learned online (ONI)",
        stated=_LABELLED,
    ),
    _caption(
        "motif-v1",
        "motif:build_motif",
        "a ranking of captions, learned before training (Motif)",
        stated=_LABELLED,
    ),
    _caption(
        "calm-v1",
        "calm:build_calm",
        "subgoals judged completed by what the game says (CALM)",
        stated=_LABELLED,
        fits=_has_judged_subgoals,
        remedy='--reward \'{"model": "intrinsic/calm", "subgoals": ["open the door"], '
        '"annotator": "random"}\'',
    ),
    _caption(
        "ellm-v1",
        "ellm:build_ellm",
        "captions that sound like a proposed goal (ELLM)",
        fits=_has_goals,
        remedy='--reward \'{"model": "intrinsic/ellm", "goals": ["you open the door"]}\'',
    ),
    _caption(
        "first-seen-v1",
        "first_seen:FirstSeen",
        "every caption once an episode: the control without meaning",
    ),
    _novelty("count-v1", "counts:GlobalCount", "1/sqrt of visits in all training"),
    _novelty("episodic-count-v1", "counts:EpisodicCount", "first visits of the episode"),
    _novelty(
        "e3b-v1", "e3b:E3B", "elliptical bonus of the episode, learned codes", asks=("numbers",)
    ),
    _novelty("rnd-v1", "rnd:RND", "random network distillation", asks=("numbers",)),
    _novelty("noveld-v1", "rnd:NovelD", "increase of RND at first visits", asks=("numbers",)),
    _novelty(
        "product-v1",
        "product:build_product",
        "product of several bonuses",
        supply={"parts": ["intrinsic/episodic-count", "intrinsic/count"]},
    ),
)
