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
from densegym.reward_models.base import BaseRewardModel, LaneValues
from densegym.reward_models.batch import all_true
from densegym.reward_models.credit.pipelines.pipeline import Hindsight
from densegym.reward_models.credit.properties import Properties
from densegym.reward_models.types import (
    Episode,
    Float,
    Need,
    RewardModel,
    Scores,
    Starts,
    Steps,
    TaskCard,
)


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


class _Channels(BaseRewardModel):
    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = tuple(channels)
        self.name = "credit/channels: " + " > ".join(c.model.name for c in channels)
        self.needs = Need.NOTHING
        for channel in channels:
            self.needs |= channel.model.needs

    def state_dict(self) -> dict[str, Any]:
        """Return the channels' states, in order."""
        return {"channels": [channel.model.state_dict() for channel in self.channels]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the channels' states."""
        for channel, kept in zip(self.channels, state["channels"], strict=True):
            channel.model.load_state_dict(kept)


class CausalChannels(_Channels):
    """Ordered channels at step time: milestones in the order they must be met."""

    properties = Properties("step", causal=True)

    def __init__(self, channels: Sequence[Channel]) -> None:
        super().__init__(channels)
        late = [c.model.name for c in channels if Need.EPISODE in c.model.needs]
        if late:
            raise RewardError(
                f"causal channels act at step time, but {', '.join(late)} speak only at the end of "
                'an episode. Write "causal": false and train with densegym train.'
            )
        self._sums = [LaneValues() for _ in channels]

    def begin(self, starts: Starts) -> None:
        """Begin every channel at a sum of 0."""
        for channel, total in zip(self.channels, self._sums, strict=True):
            channel.model.begin(starts)
            total.reset(starts.slot)

    def score(self, steps: Steps) -> Scores:
        """Pay each channel where the higher ones have met their thresholds by now."""
        paid = np.zeros(len(steps.slot))
        met = all_true(len(steps.slot))
        parts: dict[str, Float] = {}
        for index, (channel, total) in enumerate(zip(self.channels, self._sums, strict=True)):
            said = channel.model.score(steps)
            worth = np.where(said.valid, said.reward, 0.0)
            total.values[steps.slot] += worth
            share = channel.weight * np.where(met, worth, 0.0)
            parts[f"channel-{index + 1}"] = share
            paid = paid + share
            met = met & (total.values[steps.slot] >= channel.threshold)
        return Scores(paid, all_true(len(paid)), parts)

    def state_dict(self) -> dict[str, Any]:
        """Return the channels' states and sums."""
        return {**super().state_dict(), "sums": [total.values.copy() for total in self._sums]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the channels' states and sums."""
        super().load_state_dict(state)
        for total, kept in zip(self._sums, state["sums"], strict=True):
            total.values = np.asarray(kept, dtype=np.float64).copy()


class HindsightChannels(_Channels):
    """Ordered channels judged when the episode has ended, as in the paper."""

    properties = Properties("episode", causal=False)

    def __init__(self, channels: Sequence[Channel]) -> None:
        super().__init__(channels)
        self.needs |= Need.EPISODE
        self._paid = [Hindsight(channel.model) for channel in channels]

    def begin(self, starts: Starts) -> None:
        """Begin every channel."""
        for one in self._paid:
            one.begin(starts)

    def score(self, steps: Steps) -> Scores:
        """Let the channels see the steps; nothing is paid until the episode has ended."""
        for one in self._paid:
            one.score(steps)
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return what the channels pay together, each where all higher ones met their threshold."""
        every = [one.finish(episodes) for one in self._paid]
        return [self._joined(credits) for credits in zip(*every, strict=True)]

    def _joined(self, credits: Sequence[Float]) -> Float:
        paid = np.zeros(len(credits[0]))
        for channel, credit in zip(self.channels, credits, strict=True):
            paid = paid + channel.weight * credit
            if credit.sum() < channel.threshold:
                break
        return paid


def build_channels(
    *,
    task: TaskCard,
    seed: int = 0,
    channels: Sequence[Mapping[str, Any]] = (),
    causal: bool = False,
) -> _Channels:
    """Build ``{"model": "credit/channels", "channels": [{"reward": ..., "threshold": ...}, ...]}``.

    Args:
        task: the task's card.
        seed: of the channels.
        channels: highest first, each a mapping of reward, threshold and weight.
        causal: judge at step time by the sums so far, instead of in hindsight.

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
    return CausalChannels(made) if causal else HindsightChannels(made)
