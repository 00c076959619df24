"""Several rewards judged when their episode has ended, whenever they speak."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densegym.errors import RewardError
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import RewardModel
from densegym.reward_models.reward import worth
from densegym.reward_models.traits import Promises, Traits
from densegym.reward_models.types import Episode, Float, Scores, Starts, Steps


class _EpisodePay:
    """A model's pay for whole episodes."""

    def __init__(self, model: RewardModel) -> None:
        self._model = model
        self._late = model.traits.when == "episode"
        self._paid: dict[int, list[float]] = {}

    def begin(self, starts: Starts) -> None:
        """Forget what was not finished in these lanes."""
        for slot in starts.slot.tolist():
            self._paid[slot] = []

    def score(self, steps: Steps) -> None:
        """Keep what the model says of each step; an abstention counts 0."""
        scores = self._model.score(steps)
        if not self._late:
            paid = worth(self._model, scores).tolist()
            for slot, reward in zip(steps.slot.tolist(), paid, strict=True):
                self._paid[slot].append(reward)

    def finish(self, episodes: Sequence[Episode]) -> list[Float]:
        """Return (T,) float64 of each finished episode; silence counts 0."""
        if not self._late:
            return [np.array(self._paid.pop(one.slot)) for one in episodes]
        pairs = zip(self._model.finish(episodes), episodes, strict=True)
        return [np.zeros(len(e.env_reward)) if c is None else c for c, e in pairs]

    def state_dict(self) -> dict[str, Any]:
        """Return what unfinished episodes were paid."""
        return {"slots": list(self._paid), "paid": [list(paid) for paid in self._paid.values()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what unfinished episodes were paid."""
        self._paid = {k: list(v) for k, v in zip(state["slots"], state["paid"], strict=True)}


class JoinedCredit(RewardModel):
    """Pays what several models are worth together once an episode has ended.

    Subclasses define ``join``. Nothing is paid at step time, and credits depend on whole episodes,
    so they are never Markov.

    Args:
        models: at least one.
        name: of the whole.
        promises: of the whole.

    Raises:
        RewardError: a model that is judged by rollouts.
    """

    traits: Traits
    children: tuple[RewardModel, ...]

    def __init__(self, models: Sequence[RewardModel], name: str, promises: Promises) -> None:
        if any(model.traits.when == "rollout" for model in models):
            raise RewardError(
                f'{name} judges the steps of its rewards one by one; leave out "interpolate".'
            )
        self.children, self.name = tuple(models), name
        self._pay = [_EpisodePay(model) for model in models]
        self.memory = {"unfinished": self._pay}
        first, *others = (model.traits for model in models)
        self.traits = first.joined(*others).replace(when="episode", markov=False, promises=promises)

    @abstractmethod
    def join(self, credits: Sequence[Float], episode: Episode) -> Float:
        """Return (T,) credits of an episode from the (T,) of every model."""

    def begin(self, starts: Starts) -> None:
        """Begin every model."""
        super().begin(starts)
        for one in self._pay:
            one.begin(starts)

    def score(self, steps: Steps) -> Scores:
        """Let the models see the steps; nothing is paid until the episode has ended."""
        for one in self._pay:
            one.score(steps)
        return Scores(np.zeros(len(steps.slot)), all_true(len(steps.slot)))

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return the joined credits."""
        every = [one.finish(episodes) for one in self._pay]
        by_episode = zip(*every, strict=True)
        return [self.join(said, one) for said, one in zip(by_episode, episodes, strict=True)]
