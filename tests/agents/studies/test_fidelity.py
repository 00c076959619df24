"""The fidelity bench: its worlds, its bars, and a small real run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from densegym.agents.studies import fidelity
from densegym.agents.studies.fidelity import Fidelity, Method
from densegym.cli.main import app


def row(method: str, correlation: float) -> Fidelity:
    return Fidelity("HalfCheetah-v5", method, 0, 120, correlation, None, 0.5, 1.0)


def rows(**changes: float) -> list[Fidelity]:
    told = {"uniform": 0.2, "rd": 0.6, "rrd": 0.6, "rrd-unbiased": 0.5, "spa": 0.4, "lare": 0.95}
    return [row(name, value) for name, value in {**told, **changes}.items()]


def test_bars_hold_and_are_missed():
    assert all(bar.holds for bar in fidelity.bars(rows()))
    for change in ({"lare": 0.89}, {"rrd": 0.44}, {"uniform": 0.45}, {"spa": 0.1}, {"spa": 0.97}):
        assert not all(bar.holds for bar in fidelity.bars(rows(**change)))
    assert fidelity.bars([]) == []


@pytest.mark.parametrize("env", fidelity.ENVS)
def test_episodes_are_whole_and_seeded(env):
    first, again = (fidelity.collect(env, 2, seed=3) for _ in range(2))
    other = fidelity.collect(env, 2, seed=4)
    for one, same, different in zip(first, again, other, strict=True):
        assert len(one.env_reward) == fidelity.STEPS
        np.testing.assert_array_equal(one.obs, same.obs)
        assert (one.env_reward != different.env_reward).any()


def test_a_small_run_measures_a_decoder_and_the_control(monkeypatch):
    methods = (
        Method("uniform", {"model": "credit/uniform"}, episodes=12),
        Method("lare", {"model": "credit/lare"}, episodes=12, updates=100),
    )
    monkeypatch.setattr(fidelity, "METHODS", methods)
    control, decoder = fidelity.measure(["HalfCheetah-v5"], [0], processes=1)
    assert decoder.correlation > 0.6 > control.correlation
    assert control.explained is None
    assert decoder.explained is not None


def test_unknown_envs_are_refused_before_anything_is_fitted():
    told = CliRunner().invoke(app, ["bench", "fidelity", "--envs", "Pendulum-v1"])
    assert told.exit_code != 0
    assert "HalfCheetah-v5" in str(told.exception) + told.output


def test_the_json_holds_rows_and_bars():
    told = json.loads(json.dumps(fidelity.as_dict(rows(lare=0.5))))
    assert told["holds"] is False
    assert len(told["rows"]) == 6
