"""Goal similarity (ELLM, arXiv 2302.06692): pay captions that sound like a proposed goal."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densegym import assets
from densegym.errors import DenseGymError
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.canonical import step_captions
from densegym.reward_models.intrinsic.captions.vectors import Embed, ngrams, word_vectors
from densegym.reward_models.intrinsic.episode_counts import EpisodeCounts
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Need, Scores, Starts, Steps, TaskCard

FILE = "captions/ellm-goals.toml"


class GoalSimilarity(RewardModel):
    """Pays max over goals of cos(E(caption), E(goal)) where it exceeds a threshold.

    A goal pays once an episode, without which the reward can be farmed; the captions of a step
    are paid in order.

    Args:
        goals: sentences.
        embed: maps a text to a vector of length 1, or 0 for a text without known words.
        threshold: least similarity that is paid.

    Raises:
        DenseGymError: no goals, or a threshold outside [0, 1].
    """

    name = "intrinsic/ellm-v1"
    traits = Traits(needs=Need.NOTHING, mode="add", scale=0.5, terms=("goal",))

    def __init__(self, goals: Sequence[str], embed: Embed = ngrams, threshold: float = 0.6) -> None:
        if not goals or not 0.0 <= threshold <= 1.0:
            raise DenseGymError(
                f"goals are at least one sentence and threshold is in [0, 1]; given {list(goals)} "
                f"and {threshold}"
            )
        self._embed, self._threshold = embed, threshold
        self._goals = np.stack([embed(goal) for goal in goals])
        self._paid: EpisodeCounts[int] = EpisodeCounts()
        self._nearest: dict[str, tuple[int, float]] = {}

    def begin(self, starts: Starts) -> None:
        """Let every goal pay again."""
        self._paid.begin(starts.slot)

    def score(self, steps: Steps) -> Scores:
        """Pay the captions of every row that reach a goal not paid yet."""
        paid = np.zeros(len(steps.slot))
        for row, (lane, info) in enumerate(zip(steps.slot.tolist(), steps.info, strict=True)):
            for caption in step_captions(info):
                goal, similarity = self._match(caption)
                if similarity > self._threshold and self._paid.add(lane, goal) == 1:
                    paid[row] += similarity
        return Scores(reward=paid, valid=all_true(len(paid)), parts={"goal": paid})

    def state_dict(self) -> dict[str, Any]:
        """Return which goals every lane was paid for."""
        return self._paid.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore which goals every lane was paid for."""
        self._paid.load_state_dict(state)

    def _match(self, caption: str) -> tuple[int, float]:
        if caption not in self._nearest:
            similarity = self._goals @ self._embed(caption)
            best = int(np.argmax(similarity))
            self._nearest[caption] = best, float(similarity[best])
        return self._nearest[caption]


def build_ellm(
    *,
    task: TaskCard,
    goals: Sequence[str] | None = None,
    threshold: float = 0.6,
    vectors: str | None = None,
) -> GoalSimilarity:
    """Return the reward for a task's goals.

    Args:
        task: the task; its shipped goals were proposed by a language model.
        goals: sentences of the user's instead.
        threshold: least similarity that is paid.
        vectors: file of word vectors (fastText, GloVe), as ONI's baseline; None hashes n-grams.

    Raises:
        DenseGymError: no goals ship for the task and none are given, or the file is none.
    """
    chosen = _shipped(task) if goals is None else goals
    embed = ngrams if vectors is None else word_vectors(Path(vectors))
    return GoalSimilarity(chosen, embed, threshold)


def _shipped(task: TaskCard) -> Sequence[str]:
    for table in tomllib.loads(assets.text(FILE)).values():
        if table["match"] in task.id:
            goals: list[str] = table["goals"]
            return goals
    raise DenseGymError(
        f"no goals ship for {task.id}; name them: "
        '{"model": "intrinsic/ellm", "goals": ["you kill the newt", ...]}'
    )
