"""Lean Meta-World tasks against upstream's own: every number the same to the last bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

pytest.importorskip("metaworld")
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from scipy.spatial.transform import Rotation

from densegym.envs.robot import metaworld
from densegym.envs.robot.metaworld import MetaWorldEnv
from densegym.envs.robot.upstream import lean
from tests.walks import SEED

pytestmark = pytest.mark.filterwarnings("ignore:Constant.*may be too high")
TASKS = sorted(ALL_V3_ENVIRONMENTS)
DRAWN = random.Random(SEED).sample(TASKS, 4)


def told(task: str, version: Any, steps: int) -> list[tuple[Any, float, dict[str, Any]]]:
    """Everything that upstream's step tells: 20 steps by chance, the rest by its script."""
    world, rng = MetaWorldEnv(task, expert_version=version), np.random.default_rng(0)
    obs, script = world.reset(seed=7)[0], ENV_POLICY_MAP[task]()
    rows = []
    for step in range(steps):
        action = rng.uniform(-1, 1, 4) if step < 20 else np.clip(script.get_action(obs), -1, 1)
        obs, reward, _, _, info = world.sawyer.step(action.astype(np.float32))
        rows.append((obs, float(reward), info))
    world.close()
    return rows


def same(task: str, version: Any, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = told(task, version, steps)
    monkeypatch.setattr(lean, "lean", lambda upstream: upstream)
    theirs = told(task, version, steps)
    for (obs, reward, info), (wanted, paid, known) in zip(ours, theirs, strict=True):
        assert obs.dtype == wanted.dtype
        assert obs.tobytes() == wanted.tobytes()
        assert reward == paid
        assert info == known


@pytest.mark.parametrize("task", DRAWN)
def test_some_tasks_tell_what_upstream_tells(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same(task, "v2", 60, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("task", TASKS)
def test_every_task_tells_what_upstream_tells(
    task: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    same(task, version, 150, monkeypatch)


def test_quaternions_are_scipys_and_broken_matrices_are_mended_by_it() -> None:
    turns = Rotation.random(500, random_state=0).as_matrix()
    halves = Rotation.from_euler("xyz", np.pi * np.eye(3)).as_matrix()  # of negative trace
    for matrix in [*turns, *halves, np.eye(3), turns[0] * 1.1]:
        wanted = Rotation.from_matrix(matrix).as_quat()
        assert lean._Turn.from_matrix(matrix).as_quat().tobytes() == wanted.tobytes()
    with pytest.raises(ValueError, match="determinant"):
        lean._Turn.from_matrix(-np.eye(3)).as_quat()


def test_the_class_is_still_the_tasks_own() -> None:
    upstream = ALL_V3_ENVIRONMENTS["sweep-into-v3"]
    made = metaworld._make_sawyer("sweep-into-v3")
    assert isinstance(made, upstream)
    assert lean.lean(upstream) is type(made)
    assert type(made).__name__ == upstream.__name__
