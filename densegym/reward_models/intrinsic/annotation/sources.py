"""Who labels captions: a recorded table, hand-written rules, the score, chance, or an endpoint.

Results with different kinds of annotators must never be mixed, so each says its name.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from densegym import assets
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.intrinsic.annotation.comparing import Comparer
from densegym.reward_models.intrinsic.annotation.grading import Grader
from densegym.reward_models.intrinsic.annotation.labelling import open_live
from densegym.reward_models.intrinsic.annotation.source import BaseSource, LabelSource
from densegym.reward_models.intrinsic.annotation.table import CaptionTable

RECORDED = "captions/nethack-progress.jsonl"
LEXICON = "captions/lexicon.toml"


class RecordedSource(BaseSource):
    """Replays a table; captions that are not in it stay without a label, and are counted.

    Args:
        path: of the table; None is the shipped one, labelled by a language model.
        goal: the goal its labels must be about.

    Raises:
        DenseGymError: the table judges another goal.
        ResultsError: it is damaged.
    """

    name = "recorded"
    version = 0

    def __init__(self, path: Path | None = None, *, goal: str = "progress") -> None:
        self.table = _table(assets.path(RECORDED) if path is None else path)
        if self.table.provenance.goal != goal:
            raise DenseGymError(
                f'the table {self.table.path} judges by the goal "{self.table.provenance.goal}"; '
                f'asked for "{goal}". Name a table of that goal: {{"table": "labels.jsonl"}}'
            )

    @property
    def grades(self) -> Mapping[str, float]:
        """The whole table."""
        return self.table

    def ask(self, caption: str) -> bool:
        """Return whether the table knows the caption."""
        return caption in self.table


class RuleSource(BaseSource):
    """Grades every caption at once by a function of its text.

    What is graded beforehand is the text of the shipped captions, so that learned heads start
    from as many examples as with the recorded table.
    """

    def __init__(self, name: str, rule: Callable[[str], float]) -> None:
        self.name = name
        self._rule = rule
        self._grades = {caption: rule(caption) for caption in shipped_captions()}

    @property
    def version(self) -> int:
        """Number of captions graded."""
        return len(self._grades)

    @property
    def grades(self) -> Mapping[str, float]:
        """Every caption graded so far."""
        return self._grades

    def ask(self, caption: str) -> bool:
        """Grade the caption."""
        if caption not in self._grades:
            self._grades[caption] = self._rule(caption)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the captions graded."""
        return {"captions": list(self._grades)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Grade the same captions."""
        self._grades = {caption: self._rule(caption) for caption in state["captions"]}


class ScoreSource(BaseSource):
    """Grades a caption 9 if the steps that said it raised the game's score on average, else 0.

    This leaks the task's reward and is here to test pipelines, as in Motif.
    """

    name = "score"
    wants_gain = True

    def __init__(self) -> None:
        self.version = 0
        self._gains: dict[str, list[float]] = {}
        self._grades: dict[str, float] = {}

    @property
    def grades(self) -> Mapping[str, float]:
        """Every caption that occurred."""
        return self._grades

    def ask(self, caption: str) -> bool:
        """Return whether the caption occurred before."""
        return caption in self._grades

    def learn(self, caption: str, gain: float) -> None:
        """Take note of a step that said the caption and raised the score by ``gain``."""
        sums = self._gains.setdefault(caption, [0.0, 0.0])
        sums[0] += 1.0
        sums[1] += gain
        grade = 9.0 if sums[1] > 0.0 else 0.0
        if self._grades.get(caption) != grade:
            self._grades[caption] = grade
            self.version += 1

    def state_dict(self) -> dict[str, Any]:
        """Return occurrences and gains by caption."""
        return {"gains": {caption: list(sums) for caption, sums in self._gains.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore occurrences and gains."""
        self._gains = {caption: list(sums) for caption, sums in state["gains"].items()}
        self._grades = {c: 9.0 if sums[1] > 0.0 else 0.0 for c, sums in self._gains.items()}
        self.version += 1


@cache
def _table(path: Path) -> CaptionTable:
    return CaptionTable(path=path, readonly=True)


@cache
def shipped_captions() -> tuple[str, ...]:
    """Return the canonical captions of the shipped table, without their labels."""
    return tuple(_table(assets.path(RECORDED)))


@cache
def _lexicon(path: Path) -> tuple[tuple[re.Pattern[str], float], ...]:
    try:
        rules = tomllib.loads(path.read_text(encoding="utf-8"))["rule"]
        return tuple((re.compile(rule["match"]), float(rule["grade"])) for rule in rules)
    except (OSError, ValueError, KeyError, TypeError, re.error) as error:
        raise DenseGymError(
            f"{path} is no lexicon: {error}. It holds tables such as "
            '[[rule]] match = "you descend", grade = 9'
        ) from error


def lexicon_grade(caption: str, path: Path | None = None) -> float:
    """Return the grade of the first rule that matches a caption, or 0; expert knowledge."""
    for pattern, grade in _lexicon(assets.path(LEXICON) if path is None else path):
        if pattern.search(caption):
            return grade
    return 0.0


def random_grade(caption: str, seed: int) -> float:
    """Return a grade from 0 to 9 that only the seed and the caption's letters decide."""
    digest = hashlib.blake2b(f"{seed}:{caption}".encode(), digest_size=8).digest()
    return float(int.from_bytes(digest, "big") % 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Who labels captions.

    Attributes:
        annotator: ``recorded``, ``lexicon``, ``score``, ``random``, or ``endpoint``, which asks a
            language model while the policy learns.
        goal: key of the goal, for tables and the language model.
        table: file of the recorded one, the lexicon, or the endpoint's labels, in which
            ``{seed}`` stands for the seed; None is the shipped one, or for the endpoint
            ``results/captions-seed-{seed}.jsonl``.
        llm: how the endpoint is reached; keys as of ``llm.build.LLMConfig``.
        batch: most captions of one prompt.
        priority: which captions the endpoint is asked first: ``recency``, ``frequency``, ``fifo``.
        ask: what the endpoint is asked: to ``grade`` captions, or to ``compare`` pairs.
    """

    annotator: str = "recorded"
    goal: str = "progress"
    table: str | None = None
    llm: Mapping[str, Any] | None = None
    batch: int = 50
    priority: str = "recency"
    ask: str = "grade"


def build_source(labels: Labels, *, seed: int = 0) -> LabelSource:
    """Return the source of labels.

    Args:
        labels: who labels.
        seed: of the random annotator, and in the names of files.

    Raises:
        UnknownNameError: no such annotator.
        DenseGymError: its file does not fit.
    """
    if (labels.llm is not None) != (labels.annotator == "endpoint"):
        raise DenseGymError(
            'annotator "endpoint" needs "llm", and no other takes it: {"annotator": "endpoint", '
            '"llm": {"model": "qwen3", "base_url": "http://localhost:8000/v1"}}'
        )
    path = None if labels.table is None else Path(labels.table.replace("{seed}", str(seed)))
    makers: Mapping[str, Callable[[], LabelSource]] = {
        "recorded": lambda: RecordedSource(path, goal=labels.goal),
        "lexicon": lambda: RuleSource("lexicon", lambda text: lexicon_grade(text, path)),
        "score": ScoreSource,
        "random": lambda: RuleSource("random", lambda text: random_grade(text, seed)),
        "endpoint": lambda: _live(labels, path, seed),
    }
    if labels.annotator not in makers:
        raise unknown("annotator", labels.annotator, makers)
    return makers[labels.annotator]()


def _live(labels: Labels, path: Path | None, seed: int) -> LabelSource:
    file = path or Path("results") / f"captions-seed-{seed}.jsonl"
    make = partial(Comparer if labels.ask == "compare" else Grader, goal=labels.goal)
    return open_live(
        labels.llm or {}, file, make=make, batch=labels.batch, priority=labels.priority
    )
