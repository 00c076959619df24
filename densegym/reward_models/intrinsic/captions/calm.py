"""CALM (arXiv 2409.12798): pay a subgoal when a language model says it has been completed.

The paper judges recorded demonstrations, transition by transition, and trains nobody. Here the
judge reads the captions of a step, so that a caption is judged once and not once a transition,
and the reward is paid while a policy learns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from densegym import assets
from densegym.errors import DenseGymError, RewardError, unknown
from densegym.reward_models.batch import all_true
from densegym.reward_models.intrinsic.annotation.source import BaseSource
from densegym.reward_models.intrinsic.annotation.sources import RuleSource, random_grade
from densegym.reward_models.intrinsic.annotation.table import CaptionTable
from densegym.reward_models.intrinsic.canonical import step_captions
from densegym.reward_models.intrinsic.captions.subgoals import Plan, plan_for
from densegym.reward_models.intrinsic.episode_counts import EpisodeCounts
from densegym.reward_models.model import RewardModel
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Info, Need, Scores, Starts, Steps, TaskCard

JUDGES = ("recorded", "endpoint", "random", "oracle")


class TableJudge(BaseSource):
    """Judges by a recorded table; captions that are not in it complete nothing."""

    name = "recorded"
    version = 0

    def __init__(self, path: Path, key: str) -> None:
        self.grades = CaptionTable(path=path, readonly=True)
        made = self.grades.provenance
        if (made.kind, made.goal) != ("subgoal", key):
            raise DenseGymError(f'{path} judges the {made.kind}s of "{made.goal}", not of "{key}"')

    def ask(self, caption: str) -> bool:
        """Return whether the table knows the caption."""
        return caption in self.grades


class Calm(RewardModel):
    """Pays 1 at the step on which a subgoal is judged completed, once an episode (a latch).

    Where the world tells its milestones, every judgement is also scored against them:
    ``metrics()`` has precision, recall and F1 over all steps and subgoals so far, first
    completions of an episode on both sides. The score is never paid.

    Args:
        plan: the subgoals.
        judge: grades captions by the index of the subgoal that they complete, or -1; None pays
            the world's own milestones, the oracle.
    """

    name = "intrinsic/calm-v1"
    traits = Traits(needs=Need.NOTHING, mode="add", scale=0.5)

    def __init__(self, plan: Plan, judge: Any | None) -> None:
        terms = tuple(f"subgoal-{n}" for n in range(1, len(plan.subgoals) + 1))
        self.traits = self.traits.replace(terms=terms)
        self._plan, self._judge = plan, judge
        self._milestones = {
            goal.milestone: index for index, goal in enumerate(plan.subgoals) if goal.milestone
        }
        if judge is None and not self._milestones:
            raise DenseGymError('the "oracle" pays milestones; name them in the subgoals')
        self._done: EpisodeCounts[int] = EpisodeCounts()
        self._truly: EpisodeCounts[int] = EpisodeCounts()
        self._open = True
        self._tally = [0, 0, 0]  # true positives, false positives, false negatives

    def begin(self, starts: Starts) -> None:
        """Open the latches of lanes that begin an episode."""
        self._done.begin(starts.slot)
        self._truly.begin(starts.slot)

    def score(self, steps: Steps) -> Scores:
        """Pay first completions, and score the judge where the world knows better."""
        paid = np.zeros((len(self.traits.terms), len(steps.slot)))
        for row, (lane, info) in enumerate(zip(steps.slot.tolist(), steps.info, strict=True)):
            truth = self._fresh(self._truly, lane, self._true(info))
            said = truth if self._judge is None else self._said(info)
            judged = self._fresh(self._done, lane, said)
            paid[list(judged), row] = 1.0
            if self._milestones and "milestones" in info:
                known = {index for index in judged if self._plan.subgoals[index].milestone}
                self._tally[0] += len(known & truth)
                self._tally[1] += len(known - truth)
                self._tally[2] += len(truth - known)
        parts = dict(zip(self.traits.terms, paid, strict=True))
        return Scores(reward=paid.sum(axis=0), valid=all_true(len(steps.slot)), parts=parts)

    def metrics(self) -> dict[str, float]:
        """Return precision, recall and F1 of the judge, and what the judge counts."""
        hits, false, missed = self._tally
        own = {
            "precision": hits / max(hits + false, 1),
            "recall": hits / max(hits + missed, 1),
            "f1": 2 * hits / max(2 * hits + false + missed, 1),
            "completions": float(hits + missed),
        }
        return own if self._judge is None else {**own, **self._judge.metrics()}

    def close(self) -> None:
        """Let go of the judge's files and threads; may be called twice."""
        if self._judge is not None and self._open:
            self._open = False
            self._judge.close()

    def state_dict(self) -> dict[str, Any]:
        """Return latches, tallies and the judge's state."""
        return {
            "done": self._done.state_dict(),
            "truly": self._truly.state_dict(),
            "tally": list(self._tally),
            "judge": {} if self._judge is None else self._judge.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        self._done.load_state_dict(state["done"])
        self._truly.load_state_dict(state["truly"])
        self._tally = [int(n) for n in state["tally"]]
        if self._judge is not None:
            self._judge.load_state_dict(state["judge"])

    def _fresh(self, latch: EpisodeCounts[int], lane: int, indices: set[int]) -> set[int]:
        return {index for index in indices if latch.add(lane, index) == 1}

    def _true(self, info: Info) -> set[int]:
        if self._judge is None and "milestones" not in info:
            raise RewardError(
                'the "oracle" reads info["milestones"], which NetHack and MiniHack worlds give'
            )
        met = info.get("milestones", ())
        return {self._milestones[name] for name in met if name in self._milestones}

    def _said(self, info: Info) -> set[int]:
        assert self._judge is not None
        judged = set()
        for caption in step_captions(info):
            if self._judge.ask(caption):
                judged.add(int(self._judge.grades[caption]))
        return {index for index in judged if 0 <= index < len(self.traits.terms)}


def build_calm(
    *,
    task: TaskCard,
    seed: int = 0,
    annotator: str = "recorded",
    subgoals: Sequence[Any] | None = None,
    table: str | None = None,
    llm: Mapping[str, Any] | None = None,
    batch: int = 50,
) -> Calm:
    """Return the reward for a task's subgoals.

    Args:
        task: the task whose subgoals are paid.
        seed: of a random judge, and in the name of an endpoint's table.
        annotator: who judges: ``recorded``, ``endpoint``, ``random``, or ``oracle``, which pays
            the world's own milestones.
        subgoals: texts, or mappings with ``text`` and ``milestone``; None takes the shipped ones.
        table: file of judgements.
        llm: how the endpoint is reached.
        batch: most captions of one prompt.

    Raises:
        UnknownNameError: no such judge.
        DenseGymError: the task has no subgoals, or the table is about others.
    """
    plan = plan_for(task, subgoals)
    if annotator not in JUDGES:
        raise unknown("annotator", annotator, JUDGES)
    if annotator == "oracle":
        return Calm(plan, None)
    if annotator == "random":
        count = len(plan.subgoals)
        return Calm(plan, RuleSource("random", partial(_random_subgoal, seed=seed, count=count)))
    if annotator == "recorded":
        path = assets.path(f"captions/calm-{plan.key}.jsonl") if table is None else Path(table)
        return Calm(plan, TableJudge(path, plan.key))
    return Calm(plan, _live(plan, llm or {}, table, seed, batch))


def _random_subgoal(caption: str, *, seed: int, count: int) -> float:
    """Return one of the subgoals for about three captions in ten, else -1."""
    return random_grade(caption, seed) % count if random_grade(caption, seed + 1) < 3 else -1.0


def _live(plan: Plan, llm: Mapping[str, Any], table: str | None, seed: int, batch: int) -> Any:
    from densegym.reward_models.intrinsic.annotation.judging import SubgoalJudge
    from densegym.reward_models.intrinsic.annotation.labelling import open_live

    texts = [goal.text for goal in plan.subgoals]
    make = partial(SubgoalJudge, task=plan.task, subgoals=texts, key=plan.key)
    name = table or "results/subgoals-seed-{seed}.jsonl"
    path = Path(name.replace("{seed}", str(seed)))
    return open_live(llm, path, make=make, batch=batch, priority="recency")
