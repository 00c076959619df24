"""Ordered reward channels: a lower one counts only where every higher one met its threshold.

Gated reward accumulation, Ye et al. 2025, arXiv 2508.10548: R = Σ_i w_i R_i Π_{j<i} 1[R_j ≥ δ_j].
Channels come highest first; the first is never gated. With ``causal`` a channel pays at step t only
if the sums of the higher ones up to t have met their thresholds, which can be paid at step time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.credit.pipelines.gates import OnTruncation, check_on_truncation
from densegym.reward_models.credit.pipelines.joined import JoinedCredit
from densegym.reward_models.model import CombinedModel, LaneValues, RewardModel
from densegym.reward_models.reward import worth
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Episode, Float, Scores, Starts, Steps, TaskCard


@dataclass(frozen=True, slots=True)
class Channel:
    """One reward of an ordered list.

    Attributes:
        model: what it pays.
        threshold: δ, which its sum must reach for lower channels to pay.
        weight: w.
    """

    model: RewardModel
    threshold: float = 0.0
    weight: float = 1.0


def _name(channels: Sequence[Channel]) -> str:
    return "credit/channels: " + " > ".join(channel.model.name for channel in channels)


class CausalChannels(CombinedModel):
    """Ordered channels at step time: milestones in the order they must be met."""

    traits: Traits

    def __init__(self, channels: Sequence[Channel]) -> None:
        late = [c.model.name for c in channels if c.model.traits.when == "episode"]
        if late:
            raise RewardError(
                f"causal channels act at step time, but {', '.join(late)} speak only at the end of "
                'an episode. Write "causal": false and train with densegym train.'
            )
        self.channels, self.name = tuple(channels), _name(channels)
        self.children = tuple(channel.model for channel in channels)
        first, *others = (model.traits for model in self.children)
        terms = tuple(f"channel-{index + 1}" for index in range(len(channels)))
        self.traits = first.joined(*others).replace(terms=terms, promises=Promises())
        self._sums = [LaneValues() for _ in channels]
        self.memory = {"sums": self._sums}

    def started(self, starts: Starts) -> None:
        """Let every channel's sum be 0."""
        for total in self._sums:
            total.reset(starts.slot)

    def combine(self, steps: Steps, said: Sequence[Scores]) -> Scores:
        """Pay each channel where the higher ones have met their thresholds by now."""
        paid = np.zeros(len(steps.slot))
        met = all_true(len(steps.slot))
        parts: dict[str, Float] = {}
        each = zip(self.channels, self._sums, said, strict=True)
        for index, (channel, total, scores) in enumerate(each):
            own = worth(channel.model, scores)
            total.values[steps.slot] += own
            share = channel.weight * np.where(met, own, 0.0)
            parts[f"channel-{index + 1}"] = share
            paid = paid + share
            met = met & (total.values[steps.slot] >= channel.threshold)
        return Scores(paid, all_true(len(paid)), parts)


class HindsightChannels(JoinedCredit):
    """Ordered channels judged when the episode has ended, as in the paper.

    Args:
        channels: highest first.
        on_truncation: what an episode does that the clock cut off, as for ``HindsightGate``: its
            outcome is unknown, so only the first channel pays, or all do, or it is judged by what
            it had reached.

    Raises:
        RewardError: another ``on_truncation``.
    """

    def __init__(self, channels: Sequence[Channel], on_truncation: OnTruncation = "close") -> None:
        check_on_truncation(on_truncation)
        self.channels, self._on_truncation = tuple(channels), on_truncation
        models = [channel.model for channel in channels]
        super().__init__(models, _name(channels), Promises("episode", causal=False))

    def join(self, credits: Sequence[Float], episode: Episode) -> Float:
        """Return what the channels pay, each where all higher ones met their threshold."""
        paid = np.zeros(len(credits[0]))
        known = episode.terminated or self._on_truncation == "judge"
        for channel, credit in zip(self.channels, credits, strict=True):
            paid = paid + channel.weight * credit
            met = credit.sum() >= channel.threshold if known else self._on_truncation == "open"
            if not met:
                break
        return paid


def build_channels(
    *,
    task: TaskCard,
    seed: int = 0,
    channels: Sequence[Mapping[str, Any]] = (),
    causal: bool = False,
    on_truncation: OnTruncation = "close",
) -> CausalChannels | HindsightChannels:
    """Build ``{"model": "credit/channels", "channels": [{"reward": ..., "threshold": ...}, ...]}``.

    Args:
        task: the task's card.
        seed: of the channels.
        channels: highest first, each a mapping of reward, threshold and weight.
        causal: judge at step time by the sums so far, instead of in hindsight.
        on_truncation: as for ``HindsightChannels``; causal channels have no use for it.

    Raises:
        RewardError: fewer than two channels, or one that cannot be read.
    """
    from densegym.reward_models.spec import build_reward

    if len(channels) < 2:
        raise RewardError(
            'credit/channels orders two rewards or more, highest first: {"channels": '
            '[{"reward": "env", "threshold": 0.5}, {"reward": "intrinsic/first-seen"}]}; given '
            f"{list(channels)!r}"
        )
    made = []
    for index, entry in enumerate(channels):
        told = dict(entry)
        if "reward" not in told or not set(told) <= {"reward", "threshold", "weight"}:
            raise RewardError(f"a channel has reward, threshold and weight; given {told!r}")
        model = build_reward(told.pop("reward"), task=task, seed=seed + index)
        made.append(Channel(model, **told))
    return CausalChannels(made) if causal else HindsightChannels(made, on_truncation)
