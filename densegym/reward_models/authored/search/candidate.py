"""A candidate reward program, and everything a search has learned about it: one ledger row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from densegym.errors import ResultsError
from densegym.reward_models.sandbox.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the ledger holds of one candidate; replaced as a whole when more is known.

    Attributes:
        id: ``"<iteration>-<submission>"``, e.g. ``"02-05"``; every artefact is keyed by it.
        iteration: 0-based.
        parents: ids it was made from.
        author: kind, and for language models also model, prompt_hash, temperature, sample, reply
            (key of the recorded reply), and a note such as ``"repair"`` or ``"crossover"``.
        source: the program's text as submitted.
        ast_hash: hash of the code without comments and layout; equal hashes are trained once.
        status: what became of it.
        feedback: what an author is told about a failure, without paths.
        duplicate_of: id of the earlier candidate with the same code, or None.
        isolation: the level its checks ran at: ``ast``, ``ast+process`` or ``ast+process+ns``.
        static: facts of the static check.
        dynamic: facts of the dynamic check: std, min, max, dominance, dead, ...
        screen: facts of the trajectory bank: auc, spearman, loop_gain, idle_gap, ...
        rungs: one entry a rung: fraction, env_steps, seed, F_mean, F_std, success, length,
            training_success, episodes. Clocks are kept beside the ledger.
        audit: like rungs, for rungs it was not promoted to and was trained through all the same,
            to measure what halving missed.
        final: entries like rungs on fresh seeds and fresh placements.
        components: per term (and ``"fitness"``, ``"episode_length"``): series, max, mean, min
            over evaluation episodes at fixed fractions of training.
        tokens: in and out.
        usd: what its replies cost, or None where the price is unknown.
        env: id, versions.
        features_hash: hash of the feature table it was written against.
    """

    id: str
    iteration: int
    source: str
    status: Status
    parents: tuple[str, ...] = ()
    author: Mapping[str, Any] = field(default_factory=dict)
    ast_hash: str = ""
    feedback: str = ""
    duplicate_of: str | None = None
    isolation: str = ""
    static: Mapping[str, Any] = field(default_factory=dict)
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    screen: Mapping[str, Any] = field(default_factory=dict)
    rungs: Sequence[Mapping[str, Any]] = ()
    audit: Sequence[Mapping[str, Any]] = ()
    final: Sequence[Mapping[str, Any]] = ()
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=lambda: {"in": 0, "out": 0})
    usd: float | None = 0.0
    env: Mapping[str, Any] = field(default_factory=dict)
    features_hash: str = ""

    @property
    def fitness(self) -> float | None:
        """Mean F at the highest rung reached, or None before any training."""
        return float(self.rungs[-1]["F_mean"]) if self.rungs else None

    @property
    def env_steps(self) -> int:
        """Environment steps trained for it, rungs and final runs together; audits are not."""
        rungs = int(self.rungs[-1]["env_steps"]) if self.rungs else 0
        return rungs + sum(int(run["env_steps"]) for run in self.final)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as written to the ledger."""
        return dataclasses.asdict(self) | {"status": str(self.status)}

    def with_(self, **changes: Any) -> Row:
        """Return the row with some fields replaced."""
        return dataclasses.replace(self, **changes)


def row_from_dict(data: Mapping[str, Any]) -> Row:
    """Rebuild a row from a ledger line.

    Raises:
        ResultsError: a field is missing, foreign, or has an unknown status.
    """
    try:
        return Row(
            **{
                **data,
                "status": Status(data["status"]),
                "parents": tuple(data.get("parents", ())),
                "rungs": tuple(data.get("rungs", ())),
                "audit": tuple(data.get("audit", ())),
                "final": tuple(data.get("final", ())),
            }
        )
    except (TypeError, KeyError, ValueError) as error:
        raise ResultsError(f"a ledger line is no candidate: {error}") from error
