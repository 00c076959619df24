"""What a judge's Φ is measured by: ranks alone, so that no bending of Φ can move a measure.

Every measure stays what it is when Φ (and the done probability) go through any strictly increasing
function. Random weights, a frame counter and a constant fail every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from densegym.reward_models.authored.screening.ranking import auc, spearman
from densegym.reward_models.progress.demos import EXPERT, UNTAUGHT
from densegym.reward_models.types import Bool, Float

BARS = {"auc_phi": 0.95, "auc_done": 0.95, "rank": 0.8, "gap": 2.0, "end": 0.9, "order": 0.9}
"""The least of every measure with which a judge passes; see ``measure``."""
_HIGH = 0.95  # quantile of Φ outside success above which an expert must end
_FEWEST = 3  # successes and failures of untaught controllers with which they are judged alone


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a judge says of one episode, at the n pictures that it is shown.

    Attributes:
        kind: of the demonstration.
        phi: (n,) Φ.
        done: (n,) probability that the task is completed.
        success: (n,) whether it was.
        left: (n,) steps that an expert would need, NaN where unknown; None where nobody counted.
        order: VOC of the film, for experts alone, or NaN.
        backwards: VOC of the film played backwards, or NaN.
    """

    kind: str
    phi: Float
    done: Float
    success: Bool
    left: Float | None = None
    order: float = float("nan")
    backwards: float = float("nan")

    @property
    def succeeded(self) -> bool:
        """Whether the success rule held at any picture."""
        return bool(self.success.any())

    @property
    def end(self) -> float:
        """Φ of the first picture of success, or of the last one."""
        return float(self.phi[np.argmax(self.success)] if self.succeeded else self.phi[-1])


def measure(judged: Sequence[Judged]) -> dict[str, float]:
    """Return every measure of ``BARS``; NaN where the episodes do not tell it.

    ``auc_phi``, ``auc_done``: probability that the largest Φ (done) of a success lies above that of
    a failure, over episodes of controllers that were never trained on (all episodes, where these
    did not both succeed and fail). ``rank``: Spearman correlation of Φ with the steps that an
    expert still needs, negated, over all pictures of all episodes. ``gap``: how far experts' ends
    lie above the largest Φ of a kind of failure, in units of the judge's own spread, for the worst
    kind: √2·z(AUC), the distance of two normal distributions of spread 1 with that AUC. ``end``:
    share of experts that end above 95 % of all pictures without success. ``order``: VOC of
    experts, or minus that of the film backwards, whichever is less.
    """
    chosen = untaught(judged) or judged
    gaps = gap_by_kind(judged).values()
    return {
        "auc_phi": _auc(chosen, [float(one.phi.max()) for one in chosen]),
        "auc_done": _auc(chosen, [float(one.done.max()) for one in chosen]),
        "rank": _rank(judged),
        "gap": min(gaps, default=float("nan")),
        "end": _end(judged),
        "order": _order(judged),
    }


def passed(measures: dict[str, float]) -> bool:
    """Return whether every measure reaches its bar; what is not known does not."""
    return all(measures[name] >= least for name, least in BARS.items())


def untaught(judged: Sequence[Judged]) -> list[Judged]:
    """Return episodes of controllers that were never trained on, if enough succeed and fail."""
    chosen = [one for one in judged if one.kind in UNTAUGHT]
    good = sum(one.succeeded for one in chosen)
    return chosen if min(good, len(chosen) - good) >= _FEWEST else []


def auc_by_kind(judged: Sequence[Judged]) -> dict[str, tuple[float, float]]:
    """Return AUC of largest Φ and of done per kind that both succeeded and failed."""
    found = {}
    for kind in dict.fromkeys(one.kind for one in judged):
        mine = [one for one in judged if one.kind == kind]
        both = tuple(
            _auc(mine, [float(values.max()) for values in said])
            for said in ([one.phi for one in mine], [one.done for one in mine])
        )
        if not np.isnan(both).any():
            found[kind] = (both[0], both[1])
    return found


def gap_by_kind(judged: Sequence[Judged]) -> dict[str, float]:
    """Return how far experts' ends lie above the failures of each kind, in spreads."""
    ends = [one.end for one in judged if one.kind == EXPERT]
    gaps = {}
    for kind in dict.fromkeys(one.kind for one in judged if one.kind != EXPERT):
        peaks = [float(one.phi.max()) for one in judged if one.kind == kind and not one.succeeded]
        if ends and peaks:
            gaps[kind] = separation(np.array(ends), np.array(peaks))
    return gaps


def separation(high: Float, low: Float) -> float:
    """Return √2·z(AUC): how many spreads apart two samples are, whatever increases both alike.

    An AUC of 1 counts as one with half a pair wrong, so that few samples claim no more than they
    can show.
    """
    pairs = len(high) * len(low)
    is_high = np.arange(len(high) + len(low)) < len(high)
    share = auc(np.concatenate([high, low]), is_high)
    share = min(max(share, 0.5 / pairs), 1.0 - 0.5 / pairs)
    return float(np.sqrt(2.0) * NormalDist().inv_cdf(share))


def _auc(judged: Sequence[Judged], values: Sequence[float]) -> float:
    return auc(np.array(values), np.array([one.succeeded for one in judged], dtype=np.bool_))


def _rank(judged: Sequence[Judged]) -> float:
    counted = [one for one in judged if one.left is not None]
    if not counted:
        return float("nan")
    phi = np.concatenate([one.phi for one in counted])
    left = np.concatenate([one.left for one in counted if one.left is not None])
    phi, left = phi[np.isfinite(left)], left[np.isfinite(left)]
    return 0.0 if np.ptp(phi) == 0 else spearman(phi, -left)


def _end(judged: Sequence[Judged]) -> float:
    ends = np.array([one.end for one in judged if one.kind == EXPERT])
    without = np.concatenate([one.phi[~one.success] for one in judged])
    if not len(ends) or not len(without):
        return float("nan")
    return float((ends > np.quantile(without, _HIGH, method="lower")).mean())


def _order(judged: Sequence[Judged]) -> float:
    experts = [one for one in judged if one.kind == EXPERT]
    if not experts:
        return float("nan")
    forwards, backwards = (
        float(np.mean([getattr(one, name) for one in experts])) for name in ("order", "backwards")
    )
    return min(forwards, -backwards)
