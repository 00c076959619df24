"""Φ of an episode from a judge's hops: the potential that ``shaping.Shaped`` pays."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from densegym.errors import RewardError, unknown
from densegym.reward_models.batch import all_true
from densegym.reward_models.model import Event, LaneValues, Potential
from densegym.reward_models.progress.accumulate import VIEWS, Fusion, View, fuse
from densegym.reward_models.progress.interpolation import straight
from densegym.reward_models.progress.judge import Judge, Seen, Verdict
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import (
    Bool,
    Float,
    Frames,
    Int,
    Need,
    Starts,
    Steps,
    Values,
)

CAP = 0.9  # of the way from the start until the judge says the task is done
DONE = 0.9  # probability from which a picture counts as done


@dataclass(slots=True)
class _Lane:
    """What is remembered of the episode in one lane."""

    judge: Judge
    start: Seen
    last: Seen
    text: str = ""


class AskedPicture(NamedTuple):
    """One picture a judge must be asked about, with the pictures it is compared to.

    Attributes:
        judge: who is asked; the one the episode began with.
        start: first picture of the episode.
        last: the picture before this one.
        now: this picture.
        text: the task's sentence.
    """

    judge: Judge
    start: Seen
    last: Seen
    now: Seen
    text: str


@dataclass(slots=True)
class Answers:
    """What judges said of B pictures; ``done`` is NaN where they abstained.

    Attributes:
        hops: (B,) per view.
        heard: (B,) bool per view.
        done: (B,) probability that the task is completed.
    """

    hops: dict[View, Float]
    heard: dict[View, Bool]
    done: Float = field(default_factory=lambda: np.zeros(0))

    def rows(self, start: int, stop: int) -> Answers:
        """Return the answers of some of the pictures."""
        some = slice(start, stop)
        return Answers(
            {view: hop[some] for view, hop in self.hops.items()},
            {view: heard[some] for view, heard in self.heard.items()},
            self.done[some],
        )


class FalseProgress:
    """Remembers how high Φ rose in the latest episodes that ended without success."""

    def __init__(self, last: int = 100) -> None:
        self._peak = LaneValues()
        self._failed: deque[float] = deque(maxlen=last)

    def note(self, steps: Steps, phi: Float) -> None:
        """Note Φ of a batch of steps; a lane's peak begins anew after its episode's end."""
        self._peak.reset(np.setdiff1d(steps.slot, np.arange(len(self._peak.values))))
        peak = np.maximum(self._peak.values[steps.slot], phi)
        ended = steps.terminated | steps.truncated
        for row in np.flatnonzero(ended).tolist():
            if not steps.info[row].get("is_success", 0.0):
                self._failed.append(float(peak[row]))
        self._peak.values[steps.slot] = np.where(ended, 0.0, peak)

    def begin(self, slot: Int) -> None:
        """Forget the peaks of lanes that start an episode."""
        self._peak.reset(slot)

    def state_dict(self) -> dict[str, Any]:
        """Return every lane's peak, and those of the latest failures."""
        return {"peak": self._peak.state_dict(), "failed": list(self._failed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every lane's peak, and those of the latest failures."""
        self._peak.load_state_dict(state["peak"])
        self._failed.clear()
        self._failed.extend(float(peak) for peak in state["failed"])

    def metrics(self) -> dict[str, float]:
        """Return the mean of the peaks, if any episode failed."""
        return {"false_progress": float(np.mean(self._failed))} if self._failed else {}


class ProgressPotential(Potential):
    """Fuses a judge's hops into Φ in [0, 1], one lane per sub-environment.

    Φ(s₀) is the judge's ``origin``: 0, or what is next to 0 when bent. Between pictures, and where
    the judge abstains, Φ keeps its value. A judge that is replaced (``use``) takes over a lane when
    its next episode begins, so every number of an episode comes from one judge.

    Args:
        judge: compares pictures.
        name: e.g. ``"progress/local"``.
        fusion: how hops become Φ; see ``accumulate``.
        every: steps between pictures.
        curve: k ≥ 0 bends Φ to (exp(kΦ) − 1) / (exp(k) − 1), which is the discounted time to
            success rather than the time itself; 0 leaves it straight.
        cap: keep Φ below 0.9 until the judge says the task is done; ignored by judges that
            abstain on ``done``.
        smooth: share of the old Φ kept at every picture, in [0, 1).
        interpolate: where a rollout is judged at once (``values``), let Φ go straight from one
            picture to the next instead of jumping at the next one. The sum over an episode is the
            same; who did it is told more exactly. Step by step the next picture is unknown, and Φ
            is held.
        cameras: instead of the judge's own.
        sentence: that judges are told of the task, instead of the task card's.
        markers: show the simulator's sites and goal markers to a judge that does not ask for them.

    Raises:
        UnknownNameError: no such fusion.
        RewardError: a fusion that needs a goal, and a judge that has none.
    """

    traits = Traits(
        needs=Need.FRAME | Need.TASK, ends_at_success=True, terms=("phi", "hop", "done")
    )

    def __init__(
        self,
        judge: Judge,
        *,
        name: str,
        fusion: Fusion = "mean",
        every: int = 1,
        curve: float = 0.0,
        cap: bool = True,
        smooth: float = 0.0,
        interpolate: bool = False,
        cameras: Sequence[str] = (),
        sentence: str = "",
        markers: bool = False,
    ) -> None:
        if fusion not in VIEWS:
            raise unknown("fusion", str(fusion), VIEWS)
        if "goal" in VIEWS[fusion] and judge.goal is None:
            raise RewardError(
                f'fusion="{fusion}" compares with a picture of the goal, and judge "{judge.name}" '
                'has none. Use fusion="incremental" or "forward".'
            )
        if every < 1 or curve < 0 or not 0 <= smooth < 1:
            raise RewardError(
                f"every is at least 1, curve at least 0 and smooth in [0, 1); given every={every}, "
                f"curve={curve}, smooth={smooth}"
            )
        self.name, self.judge, self.fusion = name, judge, fusion
        self.curve, self.cap, self.smooth = float(curve), cap, float(smooth)
        self.interpolate, self.sentence = interpolate, sentence
        own = judge.pictures
        self.pictures = replace(
            own, cameras=tuple(cameras) or own.cameras, every=every, markers=markers or own.markers
        )
        # What lies between two pictures is known only where a whole rollout is judged at once.
        when = "rollout" if interpolate else "step"
        self.traits = self.traits.replace(pictures=self.pictures, when=when)
        self._lanes: dict[int, _Lane] = {}
        self._watch = FalseProgress()
        self._phi, self._hop, self._done = LaneValues(), LaneValues(), LaneValues()

    def use(self, judge: Judge) -> None:
        """Let another judge begin the episodes to come."""
        self.judge = judge

    def adopt(self, trained: Potential) -> None:
        """Judge as another potential does, whose judge may have learnt on."""
        assert isinstance(trained, ProgressPotential)
        self.use(trained.judge)

    def _open(self, starts: Starts) -> None:
        seen = self.judge.see(self._frames(starts.frame))
        texts = starts.task or [""] * len(starts.slot)
        if self.sentence:
            texts = [self.sentence] * len(starts.slot)
        for row, slot in enumerate(starts.slot.tolist()):
            self._lanes[slot] = _Lane(self.judge, seen[row], seen[row], texts[row])

    def _anchor(self, starts: Starts) -> Values:
        self._phi.reset(starts.slot, self.judge.origin)
        for values in (self._hop, self._done):
            values.reset(starts.slot)
        self._watch.begin(starts.slot)
        return Values(self.bend(self._phi.values[starts.slot]), all_true(len(starts.slot)))

    def _look(self, steps: Steps) -> tuple[Int, list[AskedPicture]]:
        """Return the rows whose pictures are due, and the questions these raise."""
        due = np.flatnonzero(self.pictures.due(steps.t, steps.terminated | steps.truncated))
        asked = self.ask(steps.slot[due], self._frames(steps.frame)[due]) if len(due) else []
        return due, asked

    def _move(self, steps: Steps, due: Int, answers: Answers) -> Values:
        valid = np.ones(len(steps.slot), dtype=np.bool_)
        if len(due):
            valid[due] = self.hear(steps.slot[due], answers)
        slot = steps.slot
        phi = self.bend(self._phi.values[slot])
        terms = {"phi": phi, "hop": self._hop.values[slot], "done": self._done.values[slot]}
        self._watch.note(steps, phi)
        return Values(phi, valid, terms)

    def metrics(self) -> dict[str, float]:
        """Return the judge's, and ``false_progress``: mean largest Φ of the latest failures."""
        return {**self.judge.metrics(), **self._watch.metrics()}

    def close(self) -> None:
        """Close the judge."""
        self.judge.close()

    def values(self, events: Sequence[Event]) -> list[Values]:
        """Return Φ of the states of a rollout, asking each judge once.

        Hops depend on pictures alone, so all of a rollout are judged in one batch; only their
        fusion goes step by step. Φ(s₀) is the judge's origin, and rows without a picture keep
        theirs. With ``interpolate``, Φ between two pictures lies on the line between them.
        """
        held = self.bend(self._phi.values)
        asked, rows = list[AskedPicture](), list[Int]()
        for event in events:
            due, raised = np.zeros(0, dtype=np.int64), list[AskedPicture]()
            if isinstance(event, Starts):
                self._open(event)
            else:
                due, raised = self._look(event)
            rows.append(due)
            asked += raised
        answers, place = self.answer(asked), 0
        values = list[Values]()
        for event, due in zip(events, rows, strict=True):
            if isinstance(event, Starts):
                values.append(self._anchor(event))
                continue
            values.append(self._move(event, due, answers.rows(place, place + len(due))))
            place += len(due)
        return straight(events, rows, values, held) if self.interpolate else values

    def ask(self, slot: Int, frame: Frames) -> list[AskedPicture]:
        """Note new pictures (B, V, H, W, 3) of lanes ``slot``; return the questions they raise."""
        lanes = [self._lanes[lane] for lane in slot.tolist()]
        asked = []
        for lane, now in zip(lanes, _see(lanes, frame), strict=True):
            asked.append(AskedPicture(lane.judge, lane.start, lane.last, now, lane.text))
            lane.last = now
        return asked

    def answer(self, asked: Sequence[AskedPicture]) -> Answers:
        """Let the judges answer any number of questions, one batch per judge and view."""
        count, views = len(asked), VIEWS[self.fusion]
        answers = Answers(
            {view: np.zeros(count) for view in views},
            {view: np.zeros(count, dtype=np.bool_) for view in views},
            np.full(count, np.nan),
        )
        for judge, rows in _by_judge([question.judge for question in asked]):
            batch = _Batch(judge, [asked[row] for row in rows])
            with judge.batch():
                for view in views:
                    verdict = batch.hop(view)
                    answers.hops[view][rows] = np.clip(verdict.value, -1.0, 1.0)
                    answers.heard[view][rows] = verdict.valid
                if self.cap:
                    sure = judge.done(batch.now, batch.text)
                    answers.done[rows] = np.where(sure.valid, sure.value, np.nan)
        return answers

    def hear(self, slot: Int, answers: Answers) -> Bool:
        """Move Φ of lanes ``slot`` by one answer each; return (B,) whether a judge spoke."""
        before = self._phi.values[slot]
        origin = self.judge.origin
        phi, spoke = fuse(self.fusion, before, answers.hops, answers.heard, origin)
        phi = self.smooth * before + (1.0 - self.smooth) * phi
        if self.cap:
            phi = np.where(answers.done <= DONE, np.minimum(phi, origin + (1 - origin) * CAP), phi)
        self._phi.values[slot] = phi
        self._hop.values[slot] = next(iter(answers.hops.values()))
        self._done.values[slot] = np.nan_to_num(answers.done)
        return spoke

    def bend(self, phi: Float) -> Float:
        """Apply the curve to Φ."""
        if self.curve == 0.0:
            return phi.copy()
        bent: Float = np.expm1(self.curve * phi) / np.expm1(self.curve)
        return bent

    def state_dict(self) -> dict[str, Any]:
        """Return the judge's state, and what is remembered of every lane's episode."""
        lanes = self._lanes.values()
        return {
            "judge": self.judge.state_dict(),
            "slots": list(self._lanes),
            "start": [np.array(lane.start) for lane in lanes],
            "last": [np.array(lane.last) for lane in lanes],
            "text": [lane.text for lane in lanes],
            "watch": self._watch.state_dict(),
            **{name: values.state_dict() for name, values in self._values().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; the judge now in use goes on with every episode."""
        self.judge.load_state_dict(state["judge"])
        told = (state[name] for name in ("slots", "start", "last", "text"))
        self._lanes = {
            slot: _Lane(self.judge, start, last, text)
            for slot, start, last, text in zip(*told, strict=True)
        }
        for name, values in self._values().items():
            values.load_state_dict(state[name])
        self._watch.load_state_dict(state["watch"])

    def _values(self) -> dict[str, LaneValues]:
        return {"phi": self._phi, "hop": self._hop, "done": self._done}

    def _frames(self, frame: Frames | None) -> Frames:
        if frame is None:
            raise RewardError(f'"{self.name}" looks at pictures, and the host rendered none.')
        return frame


class _Batch:
    """Questions to one judge as arrays."""

    def __init__(self, judge: Judge, asked: Sequence[AskedPicture]) -> None:
        self._judge = judge
        self.start, self.last, self.now = (
            np.stack(rows)
            for rows in zip(*((one.start, one.last, one.now) for one in asked), strict=True)
        )
        self.text = [one.text for one in asked]

    def hop(self, view: View) -> Verdict:
        """Return the hops of one view; those from several goals are averaged."""
        judge, goal = self._judge, self._judge.goal
        if view != "goal":
            first = self.last if view == "step" else self.start
            shown = None if goal is None else np.stack([goal[0]] * len(self.now))
            return judge.hop(first, self.now, self.start, shown, self.text)
        assert goal is not None
        every = [
            judge.hop(shown, self.now, self.start, shown, self.text)
            for shown in (np.stack([one] * len(self.now)) for one in goal)
        ]
        valid = np.stack([verdict.valid for verdict in every])
        total = np.where(valid, np.stack([verdict.value for verdict in every]), 0.0).sum(axis=0)
        spoke: Bool = np.any(valid, axis=0)
        return Verdict(total / np.maximum(valid.sum(axis=0), 1), spoke)


def _see(lanes: Sequence[_Lane], frame: Frames) -> list[Seen]:
    seen: list[Any] = [None] * len(lanes)
    for judge, rows in _by_judge([lane.judge for lane in lanes]):
        for row, picture in zip(rows, judge.see(frame[rows]), strict=True):
            seen[row] = picture
    return seen


def _by_judge(judges: Sequence[Judge]) -> list[tuple[Judge, list[int]]]:
    groups: dict[int, tuple[Judge, list[int]]] = {}
    for row, judge in enumerate(judges):
        groups.setdefault(id(judge), (judge, []))[1].append(row)
    return list(groups.values())
