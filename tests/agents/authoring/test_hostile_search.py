"""A search in which candidates crash, hang and hoard: the others finish, and each cause is told."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densegym.agents.authoring.candidates import failed
from densegym.agents.authoring.engines import PooledEvaluator
from densegym.agents.authoring.watch import Limits, cause, guarded
from densegym.errors import DenseGymError
from densegym.reward_models.sandbox.status import Status
from tests.agents.authoring.test_engines import job
from tests.reward_models.authored.search.test_authored_search import Trainer, search

STALL_S, MEMORY = 4.0, 1 << 27
HANG = compile("x = 0\nwhile True:\n    x += 1", "<reward program>", "exec")


def misbehave(plain: dict[str, Any], *, beat: Any) -> dict[str, Any]:
    """Train as the toy trainer does, but for the candidates 1, 2, 3 and 6 of the first round."""
    match plain["candidate"]:
        case "00-01":
            ctypes.string_at(0)
        case "00-02":
            exec(HANG)
        case "00-03":
            hoard = []
            while True:
                hoard.append(np.ones(1 << 20))
                beat()
        case "00-06":
            raise RuntimeError("shapes do not match")
    beat()
    return Trainer()._outcome(read(plain)).as_dict()


def read(plain: dict[str, Any]) -> Any:
    return job(**{**plain, "settings": tuple(plain["settings"])})


def full_disk(plain: dict[str, Any], *, beat: Any) -> dict[str, Any]:
    raise OSError(28, "No space left on device")


def test_good_candidates_finish_and_the_ledger_names_each_cause(tmp_path: Path):
    with PooledEvaluator(
        tmp_path / "runs", workers=2, stall_s=STALL_S, memory_bytes=MEMORY, carry=misbehave
    ) as trainer:
        rows = search(tmp_path / "l.jsonl", "eureka", trainer=trainer, candidates=12, iterations=1)
    told = {row.id: (row.status, row.feedback) for row in rows}
    assert told["00-01"][0] is Status.RUNTIME_ERROR
    assert "Segmentation fault" in told["00-01"][1]
    assert told["00-02"][0] is Status.TIMEOUT
    assert "no step for 4 s at line" in told["00-02"][1]
    assert told["00-03"][0] is Status.OOM
    assert "more memory" in told["00-03"][1]
    assert told["00-06"] == (Status.RUNTIME_ERROR, "RuntimeError: shapes do not match")
    blamed = {"00-01", "00-02", "00-03", "00-06"}
    others = [row for row in rows if row.id not in blamed and row.source.startswith("def ")]
    trained = [row for row in others if row.rungs]
    assert len(trained) >= 5
    assert any(row.final for row in trained)
    # Without misbehaviour the same candidates do as well: nobody is condemned for a neighbour.
    plain = search(tmp_path / "plain.jsonl", "eureka", candidates=12, iterations=1)
    fits = {row.id: row.rungs[0]["F_mean"] for row in plain if row.rungs and row.id not in blamed}
    assert fits == {row.id: row.rungs[0]["F_mean"] for row in trained}


def test_a_hang_is_not_waited_for_twice(tmp_path: Path):
    hangs = job(candidate="00-02")
    for _ in range(2):
        started = time.monotonic()
        with PooledEvaluator(tmp_path, workers=1, stall_s=STALL_S, carry=misbehave) as trainer:
            (outcome,) = trainer.evaluate([hangs], lambda *_: None)
        assert outcome.status == Status.TIMEOUT
    assert time.monotonic() - started < 60.0


def test_what_is_no_candidates_fault_ends_the_search(tmp_path: Path):
    with (
        PooledEvaluator(tmp_path, workers=1, carry=full_disk) as trainer,
        pytest.raises(DenseGymError, match="No space left on device"),
    ):
        trainer.evaluate([job()], lambda *_: None)


def test_causes(tmp_path: Path):
    limits = Limits.shared(2)
    assert limits.memory_bytes > 1 << 28
    assert cause(tmp_path, -9, limits)[0] is Status.OOM
    assert "exit status 3" in cause(tmp_path, 3, limits)[1]
    assert failed(MemoryError("8 GiB"))["status"] == Status.OOM
    with guarded(tmp_path, limits) as beat:
        beat()
    assert list(tmp_path.iterdir()) == []
