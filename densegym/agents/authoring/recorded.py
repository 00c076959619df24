"""Training outcomes from a recorded ledger: replays a search in seconds, without training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from densegym.errors import ResultsError
from densegym.reward_models.authored.search.candidate import Row, row_from_dict
from densegym.reward_models.authored.search.evaluation import Job, Outcome

_Key = tuple[str, int, int]
_CLOCKLESS = ("fraction", "seed")


class RecordedEvaluator:
    """Implements ``evaluation.Evaluator`` from the ledger of an earlier search.

    Args:
        path: of the recorded ledger.
        steps: of a full training run in that search.

    Raises:
        ResultsError: there is no such ledger.
    """

    def __init__(self, path: Path, steps: int) -> None:
        if not path.is_file():
            raise ResultsError(f"no recorded ledger at {path}")
        self._path, self._rows = path, dict[str, Row]()
        self._outcomes: dict[_Key, Outcome] = {}
        # Every line matters: a later one has overwritten the terms an earlier rung ended with.
        for line in path.read_text(encoding="utf-8").splitlines():
            self._read(json.loads(line), steps)

    def _read(self, line: Mapping[str, Any], steps: int) -> None:
        row = row_from_dict(line)
        self._rows[row.id] = row
        for entry in (*row.rungs, *row.audit, *row.final):
            key = (row.id, int(entry["seed"]), round(steps * entry.get("fraction", 1.0)))
            result = {name: entry[name] for name in entry if name not in _CLOCKLESS}
            outcome = Outcome(result=result, components=row.components)
            self._outcomes.setdefault(key, outcome)

    def evaluate(
        self, jobs: Sequence[Job], on_done: Callable[[Job, Outcome], None]
    ) -> list[Outcome]:
        """Return what the record says of each job.

        Raises:
            ResultsError: the record knows no such job, or another program by its id.
        """
        outcomes = []
        for job in jobs:
            outcomes.append(self._outcome(job))
            on_done(job, outcomes[-1])
        return outcomes

    def _outcome(self, job: Job) -> Outcome:
        row = self._rows.get(job.candidate)
        if row is not None and row.source == job.source:
            known = self._outcomes.get((job.candidate, job.seed, job.until))
            if known is not None:
                return known
            if not row.status.passed:
                return Outcome(status=str(row.status), feedback=row.feedback)
        raise ResultsError(
            f"{self._path} holds no run of this candidate {job.candidate} with seed {job.seed} up "
            f"to step {job.until}: it was recorded with other settings or by another version. "
            "Add --retrain to train anew."
        )
