"""Learners of other packages, registered by a call or an entry point, and how all are listed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3 import PPO, SAC
from typer.testing import CliRunner

import densegym
from densegym.agents.training import algorithms
from densegym.agents.training.algorithms import Algorithm, algorithm_names, find_algorithm
from densegym.agents.training.config import resolve
from densegym.agents.training.results import load_run
from densegym.agents.training.run import train
from densegym.cli.main import app
from densegym.errors import DenseGymError, UnknownNameError
from tests.offers import Point
from tests.small import SMALL

HOPPER = "DenseGym/HopperForward-v0"


class GuestPPO(PPO):
    """Another package's learner."""


class GuestSAC(SAC):
    """Another package's learner with a replay buffer."""


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algorithms, "_ALGORITHMS", dict(algorithms._ALGORITHMS))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def offer(**targets: Any) -> list[Point]:
        points = [
            Point(name.replace("_", "-"), target, "acme-learners")
            for name, target in targets.items()
        ]
        monkeypatch.setattr(algorithms, "entry_points", lambda group: points)
        monkeypatch.setattr(algorithms, "_points", {})
        monkeypatch.setattr(algorithms, "_read", set())
        return points

    return offer


def runs(name: str, folder: Path) -> None:
    done = train(resolve(HOPPER, algo=name, steps=200, overrides=SMALL), folder / "run")
    assert load_run(done).meta["algo"] == name


def test_a_learner_registered_by_a_call_trains(tmp_path: Path) -> None:
    densegym.register_algorithm("guest-ppo", f"{__name__}:GuestPPO")
    densegym.register_algorithm("guest-ppo", f"{__name__}:GuestPPO")  # the same is no clash
    assert find_algorithm("guest-ppo").owner == "user"
    algorithms.unregister_algorithm("guest-ppo")
    densegym.register_algorithm("guest-ppo", GuestPPO)
    runs("guest-ppo", tmp_path)


def test_a_learner_of_an_entry_point_trains_and_is_loaded_when_asked_for(
    installed, tmp_path: Path
) -> None:
    row = Algorithm("x", "stable_baselines3:A2C")
    guest, other, third = points = installed(guest_ppo=GuestPPO, other=row, guest_sac=GuestSAC)
    assert {"guest-ppo", "other", "guest-sac", "choice-ppo"} <= set(algorithm_names())
    find_algorithm("ppo")
    assert not any(point.loads for point in points)
    runs("guest-ppo", tmp_path)
    with pytest.raises(DenseGymError, match="already registered by acme-learners"):
        densegym.register_algorithm("guest-ppo", GuestSAC)
    assert (guest.loads, other.loads, third.loads) == (1, 0, 0)
    found = {item.name: item for item in algorithms.algorithms()}
    assert found["other"].owner == "acme-learners"
    assert found["guest-sac"].off_policy
    assert len(algorithm_names()) == len(set(algorithm_names())) == len(found)


def test_a_broken_plugin_and_a_taken_name_are_warnings(installed) -> None:
    installed(ppo=GuestPPO, broken=ImportError("no acme"))
    with pytest.warns(UserWarning, match='"ppo" of acme-learners is left out'):
        algorithm_names()
    assert find_algorithm("ppo").target == "stable_baselines3:PPO"
    with (
        pytest.warns(UserWarning, match='learner "broken" of acme-learners'),
        pytest.raises(UnknownNameError, match="broken"),
    ):
        find_algorithm("broken")


@pytest.mark.parametrize(
    ("name", "says"),
    [("ppo", 'learner "ppo" is already registered by densegym'), ("My PPO", "a-z, 0-9")],
)
def test_wrong_names_are_refused(name: str, says: str) -> None:
    before = algorithm_names()
    with pytest.raises(DenseGymError, match=says):
        densegym.register_algorithm(name, GuestPPO)
    assert algorithm_names() == before


def test_help_lists_every_learner_and_loads_no_trainer() -> None:
    shown = CliRunner().invoke(app, ["train", "--help"]).output
    for name in algorithm_names():
        assert name in shown
    heavy = "'torch', 'stable_baselines3'"
    code = f"import densegym.cli.main, sys; assert not {{{heavy}}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(UnknownNameError, match='Did you mean "choice-ppo"'):
        find_algorithm("choiceppo")
