"""Random programs: nothing crashes or hangs, and what passes pays every row for itself alone."""

from __future__ import annotations

import faulthandler
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from densegym.reward_models.authored.programs.runner import LocalRunner, Scored, settle
from densegym.reward_models.authored.verification.verify import Verdict, verify
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.process import Worker
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.verification.fuzzing import Writer
from tests.toys import CARD

LONGEST_S = 3.0
LANES = 13  # a batch size that no check uses
EPISODE, MOMENTS = 60, 8  # steps of programs with a memory, and of those without
RARE = (0.0, 1.0, -1.0, 0.5, 3.0, -10.0, 1e-6, 30.0, 100.0)


def episode(seed: int, steps: int) -> dict[str, np.ndarray]:
    """(steps, LANES, *shape) features, some of them rare values."""
    rng = np.random.default_rng(seed)
    shapes = {"height": (), "told": (), "prev_height": (), "position": (3,), "prev_position": (3,)}
    columns = {}
    for name, shape in ({**shapes, "push": (2,)}).items():
        values = rng.normal(size=(steps, LANES, *shape)) * rng.choice([0.3, 1.0, 5.0])
        rare = rng.random(values.shape) < 0.05
        values[rare] = rng.choice(RARE, int(rare.sum()))
        columns[name] = values
    columns["terminated"] = rng.random((steps, LANES)) < 0.03
    return columns


def played(runner: LocalRunner, features: dict[str, np.ndarray]) -> np.ndarray:
    """Return (columns, steps, lanes) of what is paid: the total and every term."""
    steps, lanes = features["height"].shape
    memory = np.zeros((lanes, runner.memory)) if runner.memory else None
    rows = []
    for t in range(steps):
        scored: Scored = runner({name: values[t] for name, values in features.items()}, memory)
        memory = scored.memory
        settled = settle(scored)
        rows.append(np.stack([settled.total, *settled.parts.values()]))
    return np.stack(rows, axis=1)


def assert_each_row_for_itself(source: str, seed: int) -> None:
    """Pay whole episodes in one batch, permuted, split into others, and grown by other lanes."""
    inspection = inspect_source(source, known=feature_names(CARD))
    runner = LocalRunner(inspection)
    steps = EPISODE if inspection.memory else MOMENTS
    features, rng = episode(seed, steps), np.random.default_rng(seed + 1)
    whole, order = played(runner, features), rng.permutation(LANES)
    strangers = episode(seed + 2, steps)

    def close(one: np.ndarray, other: np.ndarray) -> None:
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6, err_msg=source)

    close(played(runner, {n: v[:, order] for n, v in features.items()}), whole[..., order])
    for lanes in (np.arange(5), np.arange(5, 11), np.array([12])):
        close(played(runner, {n: v[:, lanes] for n, v in features.items()}), whole[..., lanes])
    grown = {n: np.concatenate([v, strangers[n]], axis=1) for n, v in features.items()}
    close(played(runner, grown)[..., :LANES], whole)


def timed(source: str, worker: Worker) -> tuple[Verdict, float]:
    started = time.perf_counter()
    verdict = verify(source, CARD, worker=worker)
    return verdict, time.perf_counter() - started


def fuzz(seeds: range, folder: Path) -> Counter[str]:
    """Judge programs in a folder that must stay empty; return how many got each status."""
    seen: Counter[str] = Counter()
    here, before = Path.cwd(), tempfile.tempdir
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    (folder / "here").mkdir()
    os.chdir(folder / "here")
    tempfile.tempdir = str(temporary)
    try:
        with Worker() as worker:
            for seed in seeds:
                source = Writer(seed).program()
                faulthandler.dump_traceback_later(60, exit=True)  # a hang that Python cannot end
                verdict, spent = timed(source, worker)
                crowd = max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0)
                assert spent < LONGEST_S * crowd, source
                seen[str(verdict.status)] += 1
                assert bool(verdict.feedback) == (verdict.status is not Status.OK)
                if verdict.status is Status.OK and verdict.kind != "factors":
                    started = time.process_time()
                    assert_each_row_for_itself(source, seed)
                    assert time.process_time() - started < LONGEST_S, source
        assert [*(folder / "here").iterdir(), *temporary.iterdir()] == []
    finally:
        faulthandler.cancel_dump_traceback_later()
        os.chdir(here)
        tempfile.tempdir = before
    return seen


def test_a_sample_of_random_programs(tmp_path):
    seen = fuzz(range(20), tmp_path)
    assert seen[Status.OK] >= 5
    assert len(seen) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 10_000, 500))
def test_ten_thousand_random_programs(start, tmp_path):
    seen = fuzz(range(start, start + 500), tmp_path)
    assert seen[Status.OK] >= 100
    assert {Status.STATIC_REJECT, Status.BAD_SHAPE, Status.RUNTIME_ERROR} <= {*seen}
