"""SIOP: steps are worth what they tell about the answer that an episode comes to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from densegym.errors import RewardError
from densegym.reward_models.credit.fitting.inputs import inputs_of
from densegym.reward_models.credit.fitting.networks import padded
from densegym.reward_models.credit.fitting.scales import moments, standard
from densegym.reward_models.credit.fitting.store import StoredEpisode
from densegym.reward_models.credit.redistribution.gain import GainCredit, Reading, cross_entropy
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Episode, Float, TaskCard

_EPSILON = 1e-6
_REFERENCES = 3  # of one answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SIOPOptions(Reading):
    """Options of gains towards the answer that was given.

    Attributes:
        gain_share: λ, of an answer's share; the rest is paid for the ending.
        evidence: η; 0 leaves an answer's plain share.
        group: least episodes of a task that are compared, once there are so many; those that end
            at once all are.
        task_key: the info key that names a task; where no step tells it, or with None, all
            episodes are of one.
        answer: the info key of an episode's answer; None compares success and failure alone.
    """

    gain_share: float = 0.5
    evidence: float = 3.0
    group: int = 8
    task_key: str | None = "goal_id"
    answer: str | None = "asin"


class SIOPCredit(GainCredit):
    """Gains towards the answer that was given, by how many gave it: ``reward="credit/siop"``.

    SIOP, 2026, arXiv 2605.04984: r_t = q_c (log(p_t + ε) − log(p_{t−1} + ε)) and the last step
    earns (1 − λ) q_c on top; the rewards of all steps of the latest episodes of one task are then
    standardised together, so credits are comparisons and those of a lone step are 0. q_c is the
    share of these episodes that ended with answer c, times exp(η · their share of successes),
    made to add up to 1; an episode without an answer has q = 0.

    Departures. Answers are equal or not, in place of entailment: the product that was bought, or
    where no such thing is told whether the episode succeeded. p is the mean probability that an
    episode ends like up to three references, the last steps of episodes with answer c; the reader
    learns to tell them from those with other answers to the task. η is 3 instead of 1, because in
    worlds of success and failure a majority of failures would outweigh a success.

    Args:
        task: the task's card.
        options: see ``SIOPOptions``.
        seed: of weights and draws.
    """

    name = "credit/siop"
    traits = GainCredit.traits.replace(promises=Promises("episode", causal=False))

    def __init__(self, task: TaskCard, options: SIOPOptions, *, seed: int = 0) -> None:
        super().__init__(task, options, seed=seed, task_key=options.task_key, answer=options.answer)
        group, gain_share = options.group, options.gain_share
        if group < 2 or not 0.0 <= gain_share <= 1.0:
            raise RewardError(
                f'"{self.name}" takes group from 2 up and gain_share from 0 to 1; given {group} '
                f"and {gain_share}"
            )
        self.gain_share, self.evidence, self.group = gain_share, options.evidence, group

    def estimate(self, prefix: Episode) -> Float | None:
        """Return None: an unfinished episode has no answer yet."""
        return None

    def _spread(self, one: StoredEpisode) -> Float:
        """Return the credits of an episode beside the latest of its task."""
        return self._credits([one])[0]

    def _credits(self, stored: Sequence[StoredEpisode]) -> list[Float]:
        """Return credits of episodes that are not stored yet, beside the latest of their tasks."""
        credits: dict[int, Float] = {}
        tasks = [one.more.ending.task for one in stored]
        for task in dict.fromkeys(tasks):
            mine = [i for i, own in enumerate(tasks) if own == task]
            others = self._latest(task, self.group - len(mine))
            told = self._compared([*others, *(stored[i] for i in mine)])
            credits |= dict(zip(mine, told[len(others) :], strict=True))
        return [credits[i] for i in range(len(stored))]

    def _latest(self, task: Hashable, count: int) -> list[StoredEpisode]:
        """Return the latest episodes of a task; of those that ended at once all or none."""
        known = [one for one in self._store if one.more.ending.task == task]
        if count < 1 or not known:
            return []
        oldest = known[-min(count, len(known))].more.before
        return [one for one in known if one.more.before >= oldest]

    def _compared(self, members: Sequence[StoredEpisode]) -> list[Float]:
        """Return standardised credits of all episodes of a group."""
        endings = [one.more.ending for one in members]
        shares = answer_shares(
            [ending.answer for ending in endings],
            [ending.success for ending in endings],
            self.evidence,
        )
        references = _references(members)
        raw = []
        for one, share in zip(members, shares.tolist(), strict=True):
            gains = np.zeros(len(one.inputs))
            if share and self.ready:
                chance = self._chance(one, references[one.more.ending.answer])
                gains = share * np.diff(np.log(chance + _EPSILON))
            gains[-1] += (1.0 - self.gain_share) * share
            raw.append(np.nan_to_num(gains, nan=0.0, posinf=0.0, neginf=0.0))
        return _standardised(raw)

    def _stored(self, episode: Episode) -> StoredEpisode:
        one = super()._stored(episode)
        last = inputs_of(episode)[-1]
        return one._replace(more=one.more._replace(last=last, before=self._seen))

    def _standardise(self) -> None:
        super()._standardise()
        last = np.stack([one.more.last for one in self._store])
        self._moments["last_mean"], self._moments["last_std"] = moments(last)

    def _build(self, width: int) -> Any:
        return super()._build(width + len(self._moments["last_mean"]))

    def _chance(self, one: StoredEpisode, references: Sequence[Any]) -> Float:
        """Return (T + 1,) the mean probability that an episode so far ends like references."""
        # Which three must not depend on the order in which episodes ended.
        kept = sorted(references, key=lambda last: last.tobytes())[:_REFERENCES]
        told: Float = np.mean([self._ask(self._beside(one, last)) for last in kept], axis=0)
        return told

    def _beside(self, one: StoredEpisode, reference: Any) -> torch.Tensor:
        """Return (T + 1, D + E) scaled states beside the reference they are compared with."""
        rows = self._rows(one)
        scaled = standard(reference, self._moments["last_mean"], self._moments["last_std"])
        aside = torch.as_tensor(scaled).expand(len(rows), -1)
        return torch.cat([rows, aside], dim=1)

    def _draw(self) -> list[StoredEpisode]:
        """Return episodes of tasks that had several answers."""
        answers: dict[Hashable, set[Hashable]] = {}
        for one in self._store:
            if one.more.ending.answer is not None:
                answers.setdefault(one.more.ending.task, set()).add(one.more.ending.answer)
        told = [
            one
            for one in self._store
            if one.more.ending.answer is not None and len(answers[one.more.ending.task]) > 1
        ]
        if not told:
            return []
        return [told[i] for i in self._random.integers(len(told), size=self.drawn).tolist()]

    def _loss(self, drawn: Sequence[StoredEpisode]) -> torch.Tensor:
        rows, labels = [], []
        for one in drawn:
            task = one.more.ending.task
            known = _references([o for o in self._store if o.more.ending.task == task])
            own, others = known.pop(one.more.ending.answer), list(known.values())
            for answer, label in ((own, 1.0), (self._one_of(others), 0.0)):
                rows.append(self._beside(one, self._one_of(answer)))
                labels.append(label)
        every, real = padded(rows)
        return cross_entropy(self._network(every), torch.tensor(labels), real)

    def _one_of(self, several: Sequence[Any]) -> Any:
        return several[int(self._random.integers(len(several)))]


def answer_shares(answers: Sequence[Hashable], successes: Sequence[bool], evidence: float) -> Float:
    """Return q of every episode's answer, 0 where there is none; those of all answers make 1.

    Args:
        answers: of N episodes of one task, None for no answer.
        successes: of the same episodes.
        evidence: η; 0 leaves the plain share.
    """
    outcomes: dict[Hashable, list[bool]] = {}
    for answer, success in zip(answers, successes, strict=True):
        if answer is not None:
            outcomes.setdefault(answer, []).append(success)
    weights = {
        answer: len(told) * np.exp(evidence * (np.mean(told) - 1.0))
        for answer, told in outcomes.items()
    }
    total = sum(weights.values())
    return np.array([weights[a] / total if a is not None else 0.0 for a in answers])


def _references(members: Sequence[StoredEpisode]) -> dict[Hashable, list[Any]]:
    """Return the last steps (E,) of the episodes that came to each answer."""
    every: dict[Hashable, list[Any]] = {}
    for one in members:
        if one.more.ending.answer is not None:
            every.setdefault(one.more.ending.answer, []).append(one.more.last)
    return every


def _standardised(credits: Sequence[Float]) -> list[Float]:
    every = np.concatenate(credits)
    deviation = float(every.std())
    if deviation < _EPSILON:
        return [np.zeros(len(one)) for one in credits]
    return [(one - every.mean()) / deviation for one in credits]
