"""Stopped, killed and resumed runs equal those left alone: the matrix, and that it would tell."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from densegym.agents.studies.resume import legs, study
from densegym.agents.studies.resume.matrix import Cell, cells, representatives
from densegym.agents.studies.resume.study import COMPARED, Compared, Resumed, compare
from densegym.agents.studies.study import Monitor, Request
from densegym.agents.training import cuts
from densegym.agents.training.algorithms import algorithms
from densegym.envs.tasks import worlds

HOPPER = "DenseGym/HopperForward-v0"
WORLDS = [card.id for card in representatives()]


@functools.cache
def matrix() -> list[Cell]:
    return cells()


@pytest.mark.parametrize("env", random.Random(20).sample(WORLDS, 2))
def test_a_sample_of_the_matrix_is_equal(env: str, tmp_path: Path) -> None:
    cell = random.Random(20).choice(cells([env]))
    found = compare(cell, tmp_path, seed=1, steps=256)
    assert found.equal, found


@pytest.mark.slow
@pytest.mark.parametrize("env", WORLDS)
def test_the_matrix_is_equal(env: str, tmp_path: Path) -> None:
    here = [cell for cell in matrix() if cell.env == env]
    found = [
        compare(cell, tmp_path / str(number), seed=0, steps=384) for number, cell in enumerate(here)
    ]
    assert [one for one in found if not one.equal] == []


@pytest.mark.slow
def test_the_matrix_has_every_learner_and_family_and_every_reward_with_a_state() -> None:
    assert {cell.algo for cell in matrix()} == {
        a.name for a in algorithms() if a.owner == "densegym"
    }
    assert {card.family for card in representatives()} == {w.card.family for w in worlds()}
    paid = json.dumps([cell.reward for cell in matrix()])
    for name in ("ircr", "rd", "rrd", "lare", "spa", "rudder", "diaster", "oprl", "prime", "siop"):
        assert f"credit/{name}" in paid
    for name in ("count", "episodic-count", "e3b", "rnd", "noveld", "oni-ranking", "first-seen"):
        assert f"intrinsic/{name}" in paid
    assert "progress/oracle" in paid
    assert any("her=true" in cell.settings for cell in matrix())


def test_a_state_that_is_lost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the seeds of new episodes a resumed run meets the first placements again."""
    cell = Cell(env=HOPPER, algo="ppo", reward="expert", settings=("checkpoint_every=32",))
    monkeypatch.setattr(study, "_run_leg", lambda leg, wanted: _in_this_process(leg))
    assert compare(cell, tmp_path / "kept", seed=3, steps=192).equal
    begin = cuts.begin_episodes

    def forgetful(learner, seed, generators=None):
        begin(learner, seed if generators is None else seed + 1, None)

    monkeypatch.setattr("densegym.agents.training.run.begin_episodes", forgetful)
    found = compare(cell, tmp_path / "lost", seed=3, steps=192)
    assert found.stops[1][0] > 32, "the first checkpoint"
    assert {"placements", "credits", "weights"} <= set(found.differs)


def _in_this_process(leg: legs.Leg) -> None:
    from densegym.agents.training.config import from_dict
    from densegym.agents.training.run import train
    from densegym.errors import Interrupted

    folder = Path(leg.folder)
    folder.parent.mkdir(parents=True, exist_ok=True)

    class Stopping(legs.Watch):
        def _on_step(self) -> bool:
            told = super()._on_step()
            if leg.stop_at is not None and self.num_timesteps >= leg.stop_at:
                raise KeyboardInterrupt
            return told

    watch = Stopping(folder.parent / legs.TRACE)
    ending = {"digest": legs._write_ending}
    try:
        train(from_dict(leg.config), folder, resume=True, after=ending, callbacks=[watch])
    except Interrupted:
        assert leg.stop_at is not None


def test_digests_tell_values_types_and_nesting() -> None:
    values = [
        np.zeros(2),
        np.zeros(2, np.float32),
        np.zeros((2, 1)),
        torch.zeros(2),
        [0.0, 0.0],
        [[0.0], 0.0],
        {"a": 0.0},
        {"b": 0.0},
        None,
        np.array([0.0, -0.0]),
    ]
    told = [legs.digest(value) for value in values]
    assert told[1] == told[3], "a tensor tells as its array does"
    assert len(set(told)) == len(told) - 1
    assert legs.digest({"a": 1, "b": 2}) == legs.digest({"b": 2, "a": 1})


def test_two_processes_that_saw_different_things_are_told(tmp_path: Path) -> None:
    lines = [("x step 2", "a"), ("x step 4", "b"), ("x step 4", "b"), ("x step 4", "c")]
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps({"at": at, "seen": seen}) + "\n" for at, seen in lines))
    assert legs.trace(path) == ({"x step 2": "a", "x step 4": "b"}, ["x step 4"])


def test_the_study_fails_where_a_run_differs(tmp_path: Path, monkeypatch) -> None:
    pair = [Cell(env=HOPPER, algo="ppo"), Cell(env=HOPPER, algo="sac", settings=("her=true",))]

    def compared(cell: Cell, folder: Path, *, seed: int, steps: int) -> Compared:
        folder.mkdir(parents=True)
        differs = () if cell.algo == "ppo" else ("buffers",)
        return Compared(cell=cell, stops=[(seed, "SIGINT"), (steps, "SIGKILL")], differs=differs)

    monkeypatch.setattr(study, "cells", lambda envs: pair)
    monkeypatch.setattr(study, "compare", compared)
    found = study.run(Request(seeds=(0,), steps=9, workers=2, out=tmp_path / "out"), Monitor())
    assert isinstance(found, Resumed)
    assert not found.bars_hold
    told = found.as_json()
    assert (told["runs"], told["equal"], told["different"]) == (2, 1, 1)
    assert told["compared"] == list(COMPARED)
    assert told["matrix"][1]["stops"] == [[0, "SIGINT"], [9, "SIGKILL"]]
    assert "HopperForward sac env her=true: different: buffers" in str(found.report()[1])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run-1"], "what differs is kept"
