"""Every hostile program is refused, in time, with a reason; sound ones like them pass."""

from __future__ import annotations

import os
import time
from collections import Counter
from random import Random

import pytest

from densegym.reward_models.authored.verification.verify import verify
from densegym.reward_models.features import feature_names
from densegym.reward_models.sandbox.allowlist import inspect_source, inspect_words
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.authored.verification.hostile import CASES, Hostile, remembering, reward
from tests.toys import CARD

KNOWN = feature_names(CARD)
RUNNING = [case for case in CASES if set(case.statuses) != {Status.STATIC_REJECT}]


def assert_refused(case: Hostile, worker) -> None:
    started = time.perf_counter()
    verdict = verify(case.source, CARD, worker=worker)
    crowd = max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0)
    assert time.perf_counter() - started < 3.0 * crowd, case.source
    assert verdict.status in case.statuses, (case.source, verdict)
    assert verdict.feedback.isprintable()


def test_there_are_many_kinds_and_each_passes_a_check_of_its_words():
    kinds = Counter(case.kind for case in CASES)
    assert len({case.source for case in CASES}) >= 150
    assert min(kinds.values()) >= 4
    assert len(kinds) >= 10
    for case in CASES:
        assert inspect_words(case.source, known=KNOWN).status is Status.OK, case.source


def test_what_needs_no_run_is_refused_within_milliseconds():
    spent = []
    for case in CASES:
        started = time.process_time()
        status = inspect_source(case.source, known=KNOWN).status
        spent.append(time.process_time() - started)
        assert status is Status.STATIC_REJECT or case in RUNNING, case.source
    assert sorted(spent)[len(spent) // 2] < 0.010
    assert max(spent) < 0.050


def test_a_sample_of_the_others_is_refused_when_tried(worker):
    for case in Random(3).sample([case for case in RUNNING if case.kind != "slow"], 12):
        assert_refused(case, worker)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(RUNNING)))
def test_every_other_is_refused_when_tried(number, worker):
    assert_refused(RUNNING[number], worker)


SOUND = (
    reward("r = np.where(height > 0.0, height, told)"),
    reward("r = 0.0 * height", "for i in range(3):", "    r = r + np.abs(position[:, i])"),
    reward("r = 0.0 * height", "for w, x in zip((0.5, 1.0), [height, told]):", "    r += w * x"),
    reward("r = np.sum(np.square(position - (0.1, 0.2, 0.3)), axis=1) / position.shape[1]"),
    reward("r = np.zeros(len(height))", "r[height > 0.0] = 1.0", "r = r + told"),
    reward("r = np.array((0.0, 1.0, 3.0))[np.argmax(position, axis=1)]"),
    reward("r = np.stack([height, told, height * told]).min(axis=0)"),
    reward("x = [height]", "x = x + [told]", "r = sum(x)"),
    reward("d = {'a': height, 'b': told}", "r = 0.0 * height", "for k, v in d.items():",
           "    r = r + v * (2.0 if len(d) == 2 else 1.0)"),
    reward("r = np.zeros((height.shape[0], 3)).sum(axis=1) + height"),
    reward("near = height[:, None] * np.ones((1, 3))", "r = near.max(axis=1)"),
    reward("r = position @ np.array((0.2, 0.3, 0.5))"),
    remembering("r = height * np.exp(-0.01 * age)"),
    remembering("r = np.where(age > 40.0, told, height)"),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(SOUND)))
def test_sound_programs_of_the_same_looks_pass(number, worker):
    verdict = verify(SOUND[number], CARD, worker=worker)
    assert verdict.status is Status.OK, (SOUND[number], verdict.feedback)
