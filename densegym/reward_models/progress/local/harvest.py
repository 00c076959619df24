"""Teaches a judge, while a policy trains, the failures and successes that the policy comes up with.

A failure unlike any in training is taken for success, a success unlike any for a failure, and a
policy in training finds both. So every so many steps the pictures of its last failed episodes join
the negatives, first and last pictures of its last successes the pictures of what done looks like,
the judge goes on learning from all of them for a few seconds, and whatever episodes begin after
that are judged by the result. Which episodes failed is what the world's success rule says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from densegym.errors import RewardError, unknown
from densegym.reward_models.progress.demos import EXPERT, HARVEST, Demo
from densegym.reward_models.progress.judge import Judge
from densegym.reward_models.progress.potential import AskedPicture, ProgressPotential
from densegym.reward_models.progress.protocol import trace, voc
from densegym.reward_models.types import Frames, Int, Starts, Steps

_PICTURES = 24  # kept of a failed episode
_HARVESTS = 4  # whose episodes stay among the negatives
_WATCHED = 4  # every so many-th episode is not learnt from: false progress is measured on these
_ORDER = 0.95  # what is left of the order (VOC) and last Φ of experts, or a harvest is thrown away


class Learning(Judge, Protocol):
    """A judge that can go on learning."""

    def refit(self, demos: Sequence[Demo], *, updates: int, seed: int) -> Learning:
        """Return a judge that went on learning from demonstrations that are not held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """When and how much is learnt.

    Attributes:
        every: environment steps between two harvests.
        updates: gradient steps of one; a hundred take about nine CPU seconds.
        episodes: latest failed episodes that one takes.
    """

    every: int = 50_000
    updates: int = 100
    episodes: int = 16

    @classmethod
    def read(cls, given: Any) -> Harvest:
        """Return the settings a user wrote after ``"harvest"``.

        Raises:
            UnknownNameError: a setting nobody knows.
            RewardError: no mapping, or a setting below its least.
        """
        least = {"every": 1, "updates": 1, "episodes": _WATCHED}
        if not isinstance(given, Mapping):
            raise RewardError(f'harvest takes settings such as {{"every": 50000}}; given {given!r}')
        for key, value in given.items():
            if key not in least:
                raise unknown("setting of harvest", str(key), least)
            if type(value) is not int or value < least[key]:
                raise RewardError(
                    f"{key} of harvest is a whole number from {least[key]}; given {value!r}"
                )
        return cls(**given)


class Films:
    """Collects the pictures of episodes; keeps the latest failures, and ends of successes.

    Attributes:
        latest: films of failures.
        won: first and last picture of successes.
    """

    def __init__(self, episodes: int) -> None:
        self.latest: deque[Frames] = deque(maxlen=episodes)
        self.won: deque[Frames] = deque(maxlen=episodes)
        self._open: dict[int, list[Frames]] = {}

    def begin(self, slot: Int, frame: Frames) -> None:
        """Open a film per row with its first picture (B, V, H, W, 3)."""
        for row, lane in enumerate(slot.tolist()):
            self._open[lane] = [frame[row].copy()]

    def note(self, steps: Steps, due: Int) -> None:
        """Add the pictures that are due; keep films that end, those without success thinned out."""
        ended = steps.terminated | steps.truncated
        for row in due.tolist():
            film = self._open[int(steps.slot[row])]
            assert steps.frame is not None
            film.append(steps.frame[row].copy())
            if not ended[row]:
                continue
            info = steps.info[row]
            if not info.get("is_success", 0.0):
                shown = np.linspace(0, len(film) - 1, min(len(film), _PICTURES)).round()
                self.latest.append(np.stack([film[i] for i in shown.astype(int)]))
            elif info.get("success_now", 1.0):  # a success that was undone shows nothing
                self.won.append(np.stack([film[0], film[-1]]))


class HarvestingPotential(ProgressPotential):
    """A potential whose judge learns from the failures it sees.

    A harvest that spoils the judge's order of held-out experts is thrown away. Metrics:
    ``harvests``; ``harvest_kept``, how many were not thrown away; ``harvest_before`` and
    ``harvest_after``, the mean largest Φ in failed episodes that the last one did not learn from.

    Args:
        judge: goes on learning.
        harvest: when and how much.
        demos: loads the demonstrations that the judge was fitted to.
        seed: of all harvests.
        **options: of ``ProgressPotential``.
    """

    judge: Learning

    def __init__(
        self,
        judge: Learning,
        *,
        harvest: Harvest,
        demos: Callable[[], Sequence[Demo]],
        seed: int,
        **options: Any,
    ) -> None:
        super().__init__(judge, **options)
        self.harvest, self._load, self._seed = harvest, demos, seed
        self._films = Films(harvest.episodes)
        self._negatives: deque[Demo] = deque(maxlen=_HARVESTS * harvest.episodes)
        self._positives: deque[Demo] = deque(maxlen=_HARVESTS * harvest.episodes)
        self._steps, self._told = 0, dict[str, float]()
        self._demos: list[Demo] | None = None

    def metrics(self) -> dict[str, float]:
        """Return ``false_progress`` and what harvests did to it."""
        return {**super().metrics(), **self._told}

    def _open(self, starts: Starts) -> None:
        super()._open(starts)
        self._films.begin(starts.slot, self._frames(starts.frame))

    def _look(self, steps: Steps) -> tuple[Int, list[AskedPicture]]:
        # Which films failed does not hang on what judges say, so a rollout that is judged at
        # once changes its judge at the same step as one judged step by step.
        due, asked = super()._look(steps)
        self._films.note(steps, due)
        before, self._steps = self._steps, self._steps + len(steps.slot)
        if before // self.harvest.every < self._steps // self.harvest.every:
            self._gather()
        return due, asked

    def _gather(self) -> None:
        """Learn from the latest failures, if there are enough to learn from and to measure."""
        if len(self._films.latest) < _WATCHED:
            return
        fresh = [_failed(film, i) for i, film in enumerate(self._films.latest)]
        self._films.latest.clear()
        watched = [demo for demo in fresh if demo.held_out]
        self._negatives += [demo for demo in fresh if not demo.held_out]
        self._positives += map(_succeeded, self._films.won)
        self._films.won.clear()
        if self._demos is None:
            self._demos = list(self._load())
        count = self._told.get("harvests", 0.0)
        seed = np.random.SeedSequence([self._seed, int(count)]).generate_state(1)
        fitted = self.judge.refit(
            [*self._demos, *self._negatives, *self._positives],
            updates=self.harvest.updates,
            seed=int(seed[0]),
        )
        kept = self._knows_experts(fitted)
        self._told = {
            "harvests": count + 1,
            "harvest_kept": self._told.get("harvest_kept", 0.0) + kept,
            "harvest_before": self._false_progress(self.judge, watched),
            "harvest_after": self._false_progress(fitted if kept else self.judge, watched),
        }
        if kept:
            self.use(fitted)

    def _knows_experts(self, fitted: Judge) -> bool:
        """Whether a judge orders held-out experts as well as the one in use, and as high."""
        old, new = (self._experts(judge) for judge in (self.judge, fitted))
        return bool((new >= _ORDER * old).all())

    def _experts(self, judge: Judge) -> Any:
        """Return mean VOC and mean last Φ, unbent, on held-out experts."""
        potential = self._alone(judge, every=self.pictures.every, curve=0.0)
        assert self._demos is not None
        films = [
            demo.pictures[: (demo.done_at or 0) + 1]
            for demo in self._demos
            if demo.held_out and demo.kind == EXPERT
        ]
        phis = [trace(potential, film) for film in films]
        return np.array([(voc(phi), phi[-1]) for phi in phis]).mean(axis=0)

    def _false_progress(self, judge: Judge, watched: Sequence[Demo]) -> float:
        potential = self._alone(judge, every=1, curve=self.curve)
        return float(np.mean([trace(potential, demo.pictures).max() for demo in watched]))

    def _alone(self, judge: Judge, *, every: int, curve: float) -> ProgressPotential:
        return ProgressPotential(
            judge,
            name=self.name,
            fusion=self.fusion,
            every=every,
            curve=curve,
            cap=self.cap,
            smooth=self.smooth,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the judge's weights, the episodes it learns from, and the counts."""
        return {
            **super().state_dict(),
            "steps": self._steps,
            "told": dict(self._told),
            "latest": [film.copy() for film in self._films.latest],
            "won": [film.copy() for film in self._films.won],
            "negatives": [demo.pictures.copy() for demo in self._negatives],
            "positives": [demo.pictures.copy() for demo in self._positives],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        super().load_state_dict(state)
        self._steps, self._told = int(state["steps"]), dict(state["told"])
        for films, name in ((self._films.latest, "latest"), (self._films.won, "won")):
            films.clear()
            films.extend(np.array(film) for film in state.get(name, []))
        self._negatives.clear()
        self._negatives.extend(_failed(np.array(film), 0) for film in state["negatives"])
        self._positives.clear()
        self._positives.extend(_succeeded(np.array(film)) for film in state.get("positives", []))


def _failed(film: Frames, index: int) -> Demo:
    watched = index % _WATCHED == _WATCHED - 1
    return Demo(HARVEST, film, np.zeros(len(film), dtype=np.bool_), held_out=watched)


def _succeeded(film: Frames) -> Demo:
    return Demo(HARVEST, film, np.arange(len(film)) == len(film) - 1)
