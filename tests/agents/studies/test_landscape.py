"""The landscape of a potential: what leads there is told from what does not."""

from types import SimpleNamespace

import numpy as np
import pytest

from densegym.agents.studies import landscape
from densegym.envs.tasks import find_world, task_card
from densegym.errors import UnknownNameError
from densegym.reward_models.progress.oracle import OraclePotential

ID = "DenseGym/WindowOpen-v0"
ROOM = find_world(ID).capabilities.workspace


def test_climbing_ends_on_summits_and_stays_within_the_lattice() -> None:
    points = landscape._lattice(ROOM)
    phi = -np.linalg.norm(points - np.array([0.1, 0.7, 0.2]), axis=1)
    assert set(landscape._climb(phi)) == {np.argmax(phi)}
    corner = np.where(points.sum(axis=1) < 0.1, 1.0 - points.sum(axis=1), phi)
    assert set(landscape._climb(corner)) == {np.argmax(phi), np.argmin(points.sum(axis=1))}
    assert len(set(landscape._climb(np.zeros(len(points))))) == 1


def test_a_summit_at_a_wall_is_found_out() -> None:
    points = landscape._lattice(ROOM)
    first = np.zeros(39)
    first[4:7] = 0.0, 0.7, 0.2
    obs = np.zeros((len(points), 39))
    obs[:, :3] = points
    away = np.linalg.norm(points - first[4:7], axis=1)
    seen = SimpleNamespace(obs=obs, left=away, distance=away, free=np.ones(len(points), dtype=bool))
    there = landscape.measure(-away, seen)
    assert there == {"rank": 1.0, "distance": 1.0, "climbs": 1.0}
    lost = landscape.measure(points[:, 0], seen)
    assert lost["climbs"] == 0.0
    assert abs(lost["rank"]) < 0.2
    seen.free[:] = points[:, 0] > 0.3  # the object is not among these
    assert landscape.measure(-away, seen)["climbs"] < 1.0


def test_the_oracle_and_the_expert_lead_to_the_window(monkeypatch) -> None:
    monkeypatch.setattr(landscape, "LATTICE", (3, 2, 2))
    told = []
    seen = landscape.survey(ID, 1, lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)
    assert seen.frames.shape == (12, 2, 64, 64, 3)
    assert seen.frames.shape[1:] == seen.start.shape
    assert (seen.left[seen.free] < landscape._LIMIT).all()
    assert seen.free.mean() > 0.5
    phi = landscape.value(OraclePotential(task=task_card(ID)), seen)
    assert landscape.measure(phi, seen)["distance"] > 0.99
    with pytest.raises(UnknownNameError, match="scripted expert"):
        landscape.survey("DenseGym/HopperForward-v0")
