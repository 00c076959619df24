"""The study of markets in small, its bars and its table."""

from __future__ import annotations

import pytest

from densegym.agents.studies.market import ARMS, BARS, Markets, Outcome, run, train
from densegym.agents.studies.registry import find_study
from densegym.agents.studies.study import Monitor
from densegym.errors import DenseGymError

ENV = "DenseGym/Market-PublicGoods-v0"


def test_every_arm_trains() -> None:
    for arm in ("delayed, undiscounted", "credit/lare-team, no agent part"):
        seen = train(ENV, arm, 0, 4000)
        assert 50.0 <= seen.welfare <= 100.0
        assert 0.0 <= seen.effort <= 1.0
    assert set(BARS[ENV]) <= set(ARMS)


def test_what_is_asked_is_checked() -> None:
    study = find_study("market")
    for setting in ("rewards=privat", "learners=alone"):
        with pytest.raises(DenseGymError, match="Unknown"):
            run(study.request(seeds="1", steps=10, settings=[setting]), Monitor())
    with pytest.raises(DenseGymError, match="is no market"):
        run(study.request(seeds="1", steps=10, envs="DenseGym/Shop-v0"), Monitor())
    chosen = str(study.request().settings["rewards"]).split(";")
    assert set(chosen) <= set(ARMS)


def test_bars_hold_by_the_means() -> None:
    def outcome(arm: str, seed: int, welfare: float) -> Outcome:
        return Outcome(ENV, arm, seed, welfare, 0.5, 0.5, 50.0, 1.0)

    good = Markets([outcome("private", 0, 50.0), outcome("private", 1, 53.0)])
    assert good.bars_hold
    bad = Markets([outcome("private", 0, 50.0), outcome("difference", 0, 90.0)])
    assert [bar.holds for bar in bad.bars()] == [True, False]
    assert not Markets(bad.outcomes, "self-play").bars()
    assert len(bad.report()) == 1
