"""ONI's three rewards (arXiv 2410.23022): retrieval, classification, ranking.

Written from the paper's formulas. Departures: every line of a step counts, not the last alone;
silence is worth nothing; a caption nobody could label is not a negative one; examples are unique
captions; preferences of the ranking head are read off grades, so a caption is asked about once and
not once a pair; what it pays is the standardised score.
"""

from __future__ import annotations

from dataclasses import replace

from densegym.errors import DenseGymError, require
from densegym.reward_models.intrinsic.annotation.sources import Labels, build_source
from densegym.reward_models.intrinsic.captions.caption_reward import CaptionReward
from densegym.reward_models.intrinsic.captions.heads import ClassificationOptions, RankingOptions
from densegym.reward_models.intrinsic.captions.retrieval import Retrieval


def build_retrieval(
    *, seed: int = 0, beta: float = 3.0, graded: bool = False, labels: Labels
) -> CaptionReward:
    """Return the reward that pays labels themselves.

    Args:
        seed: of a random annotator.
        beta: exponent of the damping by repetition.
        graded: pay grades over 9 instead of 0 or 1.
        labels: who labels.
    """
    name = "intrinsic/oni-retrieval-v1"
    source = build_source(labels, seed=seed)
    head = Retrieval(source, graded=graded)
    return CaptionReward(name, source, head, beta=beta, update_every=0)


def build_classification(
    *,
    seed: int = 0,
    beta: float = 3.0,
    update_every: int = 64,
    head: ClassificationOptions,
    labels: Labels,
) -> CaptionReward:
    """Return the reward of a network that classifies captions; it speaks of unlabelled ones too.

    Args:
        seed: of weights, draws and a random annotator.
        beta: exponent of the damping by repetition.
        update_every: fewest vector steps between two rounds of learning.
        head: what learns.
        labels: who labels.
    """
    require("torch", extra="agents")
    from densegym.reward_models.intrinsic.captions.learned_heads import Classification

    name = "intrinsic/oni-classification-v1"
    source, model = build_source(labels, seed=seed), Classification(head, seed=seed)
    return CaptionReward(name, source, model, beta=beta, update_every=update_every)


def build_ranking(
    *,
    seed: int = 0,
    beta: float = 3.0,
    update_every: int = 64,
    opponents: int = 0,
    head: RankingOptions,
    labels: Labels,
) -> CaptionReward:
    """Return the reward of a network that ranks captions, learned while the policy learns.

    Args:
        seed: of weights, draws and a random annotator.
        beta: exponent of the damping by repetition.
        update_every: fewest vector steps between two rounds of learning.
        opponents: with the annotator ``endpoint``, have every new caption compared with so many
            others; 0 has captions graded and reads preferences off the grades.
        head: what learns.
        labels: who labels.

    Raises:
        DenseGymError: opponents are asked for of an annotator that cannot be asked.
    """
    require("torch", extra="agents")
    from densegym.reward_models.intrinsic.captions.learned_heads import Ranking
    from densegym.reward_models.intrinsic.captions.pairs import PairRanking, PairSource

    name = "intrinsic/oni-ranking-v1"
    if not opponents:
        source, model = build_source(labels, seed=seed), Ranking(head, seed=seed)
        return CaptionReward(name, source, model, beta=beta, update_every=update_every)
    if opponents < 0 or labels.annotator != "endpoint":
        raise DenseGymError(
            f'opponents is a number of comparisons asked of the annotator "endpoint"; given '
            f"{opponents} with annotator {labels.annotator!r}"
        )
    live = build_source(replace(labels, ask="compare"), seed=seed)
    pairs = PairSource(live, opponents)  # type: ignore[arg-type]  # of "endpoint"
    compared = PairRanking(head, seed=seed)
    return CaptionReward(name, pairs, compared, beta=beta, update_every=update_every)
