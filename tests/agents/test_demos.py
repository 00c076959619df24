"""Demonstrations: what was asked for came about, placements are split, Minari gives them back."""

import gymnasium as gym
import numpy as np
import pytest

import densegym  # noqa: F401  registers the worlds
from densegym.agents import demos as collecting
from densegym.envs.registration import bare_spec
from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.progress import demos as files

ID = "DenseGym/ButtonPress-v0"


@pytest.fixture(scope="module")
def collected():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "HELD_OUT", 2)
        patch.setattr(collecting, "FAILED_STEPS", 55)
        yield collecting.collect(ID, episodes=2, seed=1)


def test_every_kind_is_there_with_its_outcome(collected) -> None:
    for kind in files.KINDS:
        found = [demo for demo in collected.demos if demo.kind == kind]
        assert len(found) == (4 if kind == files.EXPERT else 8)
        assert all((demo.done_at is not None) == (kind == files.EXPERT) for demo in found)
        for demo in found:
            assert len(demo.pictures) == len(demo.state) == len(demo.action) + 1
    experts = [demo for demo in collected.demos if demo.kind == files.EXPERT]
    assert any(demo.expert_from for demo in experts if not demo.held_out)
    assert not any(demo.expert_from for demo in experts if demo.held_out)


def test_no_placement_serves_both_sides(collected) -> None:
    cells = {True: set(), False: set()}
    for demo in collected.demos:
        place = np.concatenate([demo.state[0][4:7], demo.state[0][36:39]])
        cells[demo.held_out].add(tuple(np.floor(place / 0.02).astype(int)))
    assert cells[True]
    assert cells[False]
    assert not cells[True] & cells[False]


def test_minari_gives_back_every_pixel(collected, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(DenseGymError, match="densegym demos collect"):
        files.load(ID)
    world = gym.make(bare_spec(ID))
    for kind in files.KINDS:
        kept = [demo for demo in collected.demos if demo.kind == kind]
        for _ in range(2):  # the second time replaces the first
            name = files.save(kept, ID, kind, env=world, cameras=collected.cameras)
        assert name == f"densegym/button-press/{kind}-v0"
    world.close()
    again = files.load(ID)
    assert files.digest(again) == files.digest(collected.demos)
    assert [demo.seed for demo in again] == [demo.seed for demo in collected.demos]


def test_tasks_without_an_expert_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="scripted expert"):
        collecting.collect("DenseGym/HopperForward-v0")
    with pytest.raises(DenseGymError, match="at least 2"):
        collecting.collect(ID, episodes=1)
