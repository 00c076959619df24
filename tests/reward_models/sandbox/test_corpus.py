"""Every hostile program gets its verdict in time and leaves nothing behind."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from densegym.reward_models.sandbox.allowlist import inspect_words
from densegym.reward_models.sandbox.process import SandboxError, Worker
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.sandbox.corpus import CASES, MARK, Case, body

KNOWN = ("position", "height", "push", "terminated")
FEATURES = {
    "position": np.arange(24.0).reshape(8, 3),
    "height": np.linspace(0.1, 1.0, 8),
    "push": np.ones((8, 2)),
    "terminated": np.zeros(8, dtype=bool),
}
PLACES = (Path.cwd(), Path.home(), Path("/tmp"), Path("/"))
SOUND = inspect_words("def potential(height):\n    return height", known=KNOWN)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """An empty working directory, an empty folder for temporary files, and a worker."""
    here, before = tmp_path_factory.mktemp("here"), Path.cwd()
    temporary, tempdir = tmp_path_factory.mktemp("temporary"), tempfile.tempdir
    os.chdir(here)
    tempfile.tempdir = str(temporary)
    with Worker(timeout_s=0.5) as worker:
        yield worker, here, temporary
    os.chdir(before)
    tempfile.tempdir = tempdir


def verdict(source: object, worker: Worker) -> tuple[Status, str]:
    inspection = inspect_words(source, known=KNOWN)
    if inspection.status is not Status.OK:
        return inspection.status, inspection.feedback
    try:
        worker.load(inspection)
        outcome = worker.call(FEATURES)
    except SandboxError as error:
        return error.status, error.feedback
    assert all(column.shape == (8,) for column in (outcome.total, *outcome.parts.values()))
    return Status.OK, ""


def children() -> set[int]:
    if sys.platform != "linux":
        return set()
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for each in lists for pid in each.read_text().split()}


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len({case.name for case in CASES}) == len(CASES) >= 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict(case: Case, room):
    worker, here, temporary = room
    before = children()
    copies = {name: values.copy() for name, values in FEATURES.items()}
    started = time.monotonic()
    status, feedback = verdict(case.source, worker)
    assert time.monotonic() - started < 3.0
    assert status in case.statuses, feedback
    assert bool(feedback) == (status is not Status.OK)
    assert feedback.isprintable()
    assert len(feedback) <= 500
    assert not any(part in feedback for part in ("site-packages", "/work", "/home", "python3"))
    assert [*here.iterdir(), *temporary.iterdir()] == []
    assert not any((place / MARK).exists() for place in PLACES)
    assert len(children() - before) <= 1  # the worker, which may be a new one
    assert all((FEATURES[name] == copy).all() for name, copy in copies.items())
    assert np.__dict__["exp"](0.0) == 1.0


def test_the_worker_is_sound_after_all_of_it(room):
    worker, *_ = room
    worker.load(SOUND)
    np.testing.assert_array_equal(worker.call(FEATURES).total, FEATURES["height"])


def test_an_endless_loop_is_stopped_within_three_seconds():
    endless = next(case for case in CASES if case.name == "endless_loops")
    with Worker() as worker:
        started = time.monotonic()
        assert verdict(endless.source, worker)[0] is Status.TIMEOUT
        assert 2.0 <= time.monotonic() - started < 3.0


def test_inputs_that_are_written_to_are_named_as_such(room):
    worker, *_ = room
    status, feedback = verdict(body("x = 1", "", "height[0] = x"), worker)
    assert status is Status.RUNTIME_ERROR
    assert feedback.startswith("line 4: inputs are read-only")
