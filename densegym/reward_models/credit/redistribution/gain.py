"""Information gain: a step is worth what it tells about how the episode will end.

The papers read probabilities of texts off a language model; here a network reads the states of an
episode so far and is fitted to how stored episodes ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.inputs import states
from densegym.reward_models.credit.fitting.judged import JudgedCredit, Judging
from densegym.reward_models.credit.fitting.networks import (
    Encoder,
    check_encoder,
    padded,
    reader_of_prefixes,
)
from densegym.reward_models.credit.fitting.store import StoredEpisode
from densegym.reward_models.credit.outcomes import Ending, packed_ending, unpacked_ending
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Episode, Float, TaskCard

_UNKNOWN = Ending(0.0, False, None, None)


class Course(NamedTuple):
    """What is kept of an episode.

    Attributes:
        first: (1, D) float32, the state it began in.
        ending: how it ended.
        last: (E,) float32, its last step as other credits read it, or None.
        before: episodes that ended earlier; the same for those that ended at once.
    """

    first: Any
    ending: Ending
    last: Any = None
    before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Judging):
    """Options of credits that read an episode's states in order.

    Attributes:
        encoder: ``"gru"`` reads the states so far, ``"mlp"`` the latest one.
    """

    encoder: Encoder = "gru"


class GainCredit(JudgedCredit):
    """What both share: states of episodes, how these ended, and a reader of prefixes.

    An episode is paid before it is learned from. Until the reader is asked its probabilities count
    as constant, so that only what is paid for the ending is paid.

    Args:
        task: the task's card.
        options: see ``Reading``.
        seed: of weights and draws.
        task_key: as of ``JudgedCredit``.
        answer: likewise.
    """

    def __init__(
        self,
        task: TaskCard,
        options: Reading,
        *,
        seed: int = 0,
        task_key: str | None = None,
        answer: str | None = None,
    ) -> None:
        super().__init__(task, options, seed=seed, task_key=task_key, answer=answer)
        check_encoder(self.name, options.encoder)
        self._encoder: Encoder = options.encoder

    def _stored(self, episode: Episode) -> StoredEpisode:
        total = float(self.rewards(episode).sum())
        return _course(episode, total, self._read(episode, total))

    def _pack(self, more: Any) -> Any:
        return [more.first, packed_ending(more.ending), more.last, more.before]

    def _unpack(self, packed: Any) -> Any:
        first, ending, last, before = packed
        return Course(first, unpacked_ending(ending), last, int(before))

    def _build(self, width: int) -> Any:
        return reader_of_prefixes(self._encoder, width, self._hidden)

    def _rows(self, one: StoredEpisode) -> torch.Tensor:
        return self._scaled(np.concatenate([one.more.first, one.inputs]))

    def _ask(self, rows: torch.Tensor) -> Float:
        """Return the (T + 1,) probabilities that a reader of (T + 1, D) rows gives."""
        with torch.no_grad():
            said: Float = self._network(rows[None])[0].sigmoid().numpy().astype(np.float64)
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationGainOptions(Reading):
    """Options of information gain.

    Attributes:
        alpha: α, what the last step of a success earns on top.
    """

    alpha: float = 1.0


class InformationGainCredit(GainCredit):
    """Differences of the probability of success: ``reward="credit/information-gain"``.

    IGPO, Wang et al. 2025, arXiv 2510.14967: r_t = p_t − p_{t−1}, and the last step earns
    α · outcome on top. p is the probability of success given the states so far, p_{−1} that of the
    first one; the paper's is that of the gold answer. An outcome is 1 or 0, in place of F1. An
    episode's credits add up to p_{T−1} + α · outcome − p_{−1}, whatever happened between.

    Args:
        task: the task's card.
        options: see ``InformationGainOptions``.
        seed: of weights and draws.
    """

    name = "credit/information-gain"

    def __init__(self, task: TaskCard, options: InformationGainOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed)
        alpha = options.alpha
        if alpha < 0:
            raise RewardError(f'"{self.name}" takes alpha of at least 0; given {alpha}')
        self.alpha = alpha
        bounds = (-1.0, 1.0 + alpha)
        promises = Promises("episode", causal=True, conserves="potential", bounds=bounds)
        self.traits = self.traits.replace(promises=promises)

    def estimate(self, prefix: Episode) -> Float | None:
        """Return the gains of an unfinished episode, where the reader can know them."""
        if not self.ready:
            return None
        return np.diff(self._ask(self._rows(_course(prefix, 0.0, _UNKNOWN))))

    def probabilities(self, episode: Episode) -> Float:
        """Return the (T + 1,) probabilities of success after each state; once ``ready``."""
        return self._ask(self._rows(self._stored(episode)))

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        rows, real = padded([self._rows(one) for one in drawn])
        succeeded = torch.tensor([float(one.more.ending.success) for one in drawn])
        return cross_entropy(self._network(rows), succeeded, real)

    def _spread(self, one: StoredEpisode) -> Float:
        return self._with_outcome(np.diff(self._ask(self._rows(one))), one)

    def _unready(self, one: StoredEpisode) -> Float:
        return self._with_outcome(np.zeros(len(one.inputs)), one)

    def _with_outcome(self, gains: Float, one: StoredEpisode) -> Float:
        gains[-1] += self.alpha * one.more.ending.success
        return gains


def _course(episode: Episode, total: float, ending: Ending) -> StoredEpisode:
    every = states(episode.obs)
    return StoredEpisode(every[1:], total, Course(every[:1], ending))


def cross_entropy(said: torch.Tensor, label: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the mean over episodes of the mean over prefixes of the binary cross-entropy.

    Args:
        said: (B, L) log-odds.
        label: (B,) 0 or 1.
        real: (B, L), 1 where there was a prefix.
    """
    every = functional.binary_cross_entropy_with_logits(
        said, label[:, None].expand_as(said), reduction="none"
    )
    loss: torch.Tensor = ((every * real).sum(dim=1) / real.sum(dim=1)).mean()
    return loss
