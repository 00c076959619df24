"""ONI's three rewards (arXiv 2410.23022): retrieval, classification, ranking.

Written from the paper's formulas. Departures: every line of a step counts, not the last alone;
silence is worth nothing; a caption nobody could label is not a negative one; examples are unique
captions; the ranking head pays its standardised score.
"""

from __future__ import annotations

from typing import Any

from densegym.reward_models.intrinsic.caption_reward import CaptionReward
from densegym.reward_models.intrinsic.retrieval import Retrieval
from densegym.reward_models.intrinsic.sources import build_source


def build_retrieval(
    *,
    seed: int = 0,
    annotator: str = "recorded",
    goal: str = "progress",
    table: str | None = None,
    beta: float = 3.0,
    graded: bool = False,
) -> CaptionReward:
    """Return the reward that pays labels themselves.

    Args:
        seed: of a random annotator.
        annotator: who labels; see ``sources.build_source``.
        goal: key of the goal captions are judged by.
        table: file of labels.
        beta: exponent of the damping by repetition.
        graded: pay grades over 9 instead of 0 or 1.
    """
    source = build_source(annotator, seed=seed, goal=goal, table=table)
    head = Retrieval(source, graded=graded)
    name = "intrinsic/oni-retrieval-v1"
    return CaptionReward(name, source, head, beta=beta, update_every=0)


def build_classification(
    *,
    seed: int = 0,
    annotator: str = "recorded",
    goal: str = "progress",
    table: str | None = None,
    beta: float = 3.0,
    update_every: int = 64,
    **head: Any,
) -> CaptionReward:
    """Return the reward of a network that classifies captions; it speaks of unlabelled ones too.

    Args:
        seed: of weights, draws and a random annotator.
        annotator: who labels.
        goal: key of the goal captions are judged by.
        table: file of labels.
        beta: exponent of the damping by repetition.
        update_every: fewest vector steps between two rounds of learning.
        **head: ``threshold``, ``steps``, ``size``, ``lr`` of the head.
    """
    from densegym.reward_models.intrinsic.learned_heads import Classification

    source = build_source(annotator, seed=seed, goal=goal, table=table)
    name = "intrinsic/oni-classification-v1"
    made = Classification(seed=seed, **head)
    return CaptionReward(name, source, made, beta=beta, update_every=update_every)


def build_ranking(
    *,
    seed: int = 0,
    annotator: str = "recorded",
    goal: str = "progress",
    table: str | None = None,
    beta: float = 3.0,
    update_every: int = 64,
    **head: Any,
) -> CaptionReward:
    """Return the reward of a network that ranks captions, learned while the policy learns.

    Args:
        seed: of weights, draws and a random annotator.
        annotator: who labels.
        goal: key of the goal captions are judged by.
        table: file of labels.
        beta: exponent of the damping by repetition.
        update_every: fewest vector steps between two rounds of learning.
        **head: ``quantile``, ``steps``, ``size``, ``lr`` of the head.
    """
    from densegym.reward_models.intrinsic.learned_heads import Ranking

    source = build_source(annotator, seed=seed, goal=goal, table=table)
    name = "intrinsic/oni-ranking-v1"
    made = Ranking(seed=seed, **head)
    return CaptionReward(name, source, made, beta=beta, update_every=update_every)
