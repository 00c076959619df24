"""ONI's three rewards (arXiv 2410.23022): retrieval, classification, ranking.

Written from the paper's formulas. Departures: every line of a step counts, not the last alone;
silence is worth nothing; a caption nobody could label is not a negative one; examples are unique
captions; preferences of the ranking head are read off grades, so a caption is asked about once and
not once a pair; what it pays is the standardised score.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from densegym.errors import DenseGymError, unknown
from densegym.reward_models.intrinsic.annotation.source import LabelSource
from densegym.reward_models.intrinsic.annotation.sources import build_source
from densegym.reward_models.intrinsic.captions.caption_reward import CaptionReward
from densegym.reward_models.intrinsic.captions.retrieval import Retrieval


def build_retrieval(
    *, seed: int = 0, beta: float = 3.0, graded: bool = False, **labels: Any
) -> CaptionReward:
    """Return the reward that pays labels themselves.

    Args:
        seed: of a random annotator.
        beta: exponent of the damping by repetition.
        graded: pay grades over 9 instead of 0 or 1.
        **labels: who labels; see ``sources.build_source``.
    """
    name = "intrinsic/oni-retrieval-v1"
    source, _ = open_source(name, None, seed, labels)
    head = Retrieval(source, graded=graded)
    return CaptionReward(name, source, head, beta=beta, update_every=0)


def build_classification(
    *, seed: int = 0, beta: float = 3.0, update_every: int = 64, **options: Any
) -> CaptionReward:
    """Return the reward of a network that classifies captions; it speaks of unlabelled ones too.

    Args:
        seed: of weights, draws and a random annotator.
        beta: exponent of the damping by repetition.
        update_every: fewest vector steps between two rounds of learning.
        **options: of the head (``threshold``, ``steps``, ``size``, ``lr``), and who labels.
    """
    from densegym.reward_models.intrinsic.captions.learned_heads import Classification

    name = "intrinsic/oni-classification-v1"
    source, rest = open_source(name, Classification, seed, options)
    head = Classification(seed=seed, **rest)
    return CaptionReward(name, source, head, beta=beta, update_every=update_every)


def build_ranking(
    *,
    seed: int = 0,
    beta: float = 3.0,
    update_every: int = 64,
    opponents: int = 0,
    **options: Any,
) -> CaptionReward:
    """Return the reward of a network that ranks captions, learned while the policy learns.

    Args:
        seed: of weights, draws and a random annotator.
        beta: exponent of the damping by repetition.
        update_every: fewest vector steps between two rounds of learning.
        opponents: with the annotator ``endpoint``, have every new caption compared with so many
            others; 0 has captions graded and reads preferences off the grades.
        **options: of the head (``quantile``, ``steps``, ``size``, ``lr``), and who labels.

    Raises:
        DenseGymError: opponents are asked for of an annotator that cannot be asked.
    """
    from densegym.reward_models.intrinsic.captions.learned_heads import Ranking
    from densegym.reward_models.intrinsic.captions.pairs import PairRanking, PairSource

    name = "intrinsic/oni-ranking-v1"
    if not opponents:
        source, rest = open_source(name, Ranking, seed, options)
        head = Ranking(seed=seed, **rest)
        return CaptionReward(name, source, head, beta=beta, update_every=update_every)
    if opponents < 0 or options.get("annotator") != "endpoint":
        raise DenseGymError(
            f'opponents is a number of comparisons asked of the annotator "endpoint"; given '
            f"{opponents} with annotator {options.get('annotator', 'recorded')!r}"
        )
    live, rest = open_source(name, Ranking, seed, {**options, "ask": "compare"})
    pairs = PairSource(live, opponents)  # type: ignore[arg-type]  # of "endpoint"
    head = PairRanking(seed=seed, **rest)
    return CaptionReward(name, pairs, head, beta=beta, update_every=update_every)


def open_source(
    name: str, head: type | None, seed: int, options: dict[str, Any]
) -> tuple[LabelSource, dict[str, Any]]:
    """Return the source that options ask for, and the options that are left for the head.

    Raises:
        UnknownNameError: an option of neither; names the closest.
    """
    of_source = set(signature(build_source).parameters) - {"seed"}
    of_head = set() if head is None else set(signature(head).parameters) - {"seed"}
    for option in options:
        if option not in of_source | of_head:
            raise unknown(f'option of reward "{name}"', option, of_source | of_head)
    chosen = {key: value for key, value in options.items() if key in of_source}
    source = build_source(seed=seed, **chosen)
    return source, {key: value for key, value in options.items() if key in of_head}
