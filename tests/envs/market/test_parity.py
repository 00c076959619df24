"""The reference's recorded episodes, golden values and baselines, defects included."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from densegym.cli.main import app
from densegym.envs.market.baselines import LEVELS, constants, play, tit_for_tat
from densegym.envs.market.core import MarketCore
from densegym.envs.market.params import MARKETS, MODES, find_market
from densegym.envs.market.parity import compare, replay
from densegym.envs.market.statics import nash, optimum, stackelberg
from densegym.errors import DenseGymError


def test_every_fixture_is_within_the_tolerances(fixtures: Path) -> None:
    told = replay(fixtures)
    assert told["ok"]
    assert told["flags_equal"]
    assert (told["episodes"], told["golden_worlds"]) == (207, 20)
    assert told["largest"]["rewards"] < 2e-5


def test_the_command_fails_on_any_other_number(fixtures: Path, recorded, tmp_path: Path) -> None:
    run = CliRunner().invoke
    episode = next(one for one in recorded if one["key"].startswith("SLCD-v0|parallel"))
    for change in ("none", "rewards", "terminated", "trust"):
        other = copy.deepcopy(episode)
        if change == "terminated":
            other["terminated"][0] = not other["terminated"][0]
        elif change != "none":
            other[change][1][0] += 0.05
        path = tmp_path / f"{change}.json.gz"
        path.write_bytes(gzip.compress(json.dumps([other]).encode()))
        done = run(app, ["market", "parity", "--fixtures", str(path)])
        assert done.exit_code == (0 if change == "none" else 1), change
        assert json.loads(done.stdout)["ok"] is (change == "none")


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DenseGymError, match="holds no fixtures"):
        replay(tmp_path)
    for text in ("[]", "{", '[{"rewards": [], "env": "Nowhere-v0"}]', '{"a": 1}'):
        path = tmp_path / "trajectories.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DenseGymError, match=r"fixture|is no list|market"):
            replay(path)


def test_the_reference_differs_without_its_defects(recorded, monkeypatch) -> None:
    """What ``parity`` reproduces is reproduced nowhere else: the comparison can fail."""
    import densegym.envs.market.parity as module

    def mended(*args, parity=None, **kwargs):
        return MarketCore(*args, parity=None, **kwargs)

    defects = ("CoalitionFormation-v0|parallel", "CooperativeNegotiation-v0|parallel")
    monkeypatch.setattr(module, "MarketCore", mended)
    for start in defects:
        one = next(e for e in recorded if e["key"].startswith(start))
        told = compare(one)
        assert not told["flags"] or told["rewards"] > 1e-3, start


SAMPLE = ("TrustDilemma", "PartnerHoldUp", "CooperativeNegotiation", "PublicGoods", "GiftExchange")


@pytest.mark.parametrize(
    "name",
    [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.slow) for name in MARKETS],
)
def test_baselines_are_those_recorded(name: str, fixtures: Path) -> None:
    table = json.loads((fixtures / "baselines.json").read_text(encoding="utf-8"))
    check_baselines(name, table[f"{name}-v0"])


def check_baselines(name: str, row: dict) -> None:
    market = find_market(name)

    def core(games: int) -> MarketCore:
        kwargs = {"mode": "integrated", "payoff": "reference", "jitter": 0.0, "parity": "gym"}
        return MarketCore(market, games, **kwargs)

    played = play(core(LEVELS), constants)
    for mode in MODES:
        totals = played.returns[mode].sum(axis=1)
        assert int(totals.argmax()) == row["best_constant_percent"][mode], (name, mode)
        assert totals.max() == pytest.approx(row["best_constant_return_sum"][mode], rel=1e-6)
    totals = played.returns["integrated"].sum(axis=1)
    assert totals[0] == pytest.approx(row["constant_0_return_integrated"], rel=1e-6)
    assert totals[100] == pytest.approx(row["constant_100_return_integrated"], rel=1e-6)
    assert played.length[0] == row["constant_0_length"]
    copied = play(core(1), lambda c: tit_for_tat(c, absolute=True))
    paid = copied.returns["integrated"].sum()
    assert paid == pytest.approx(row["tit_for_tat_return_integrated"], rel=1e-6)
    for mode, recorded in (("private", "private"), ("integrated", "integrated_T1")):
        solved = nash(market, "reference", mode).actions
        recorded_row = row[f"static_nash_{recorded}"]
        assert np.allclose(solved[: len(recorded_row)], recorded_row, atol=0.06), (name, mode)


def test_the_solvers_reach_the_closed_forms() -> None:
    market = find_market("SLCD")
    alone, together = nash(market), nash(market, None, "integrated")
    assert np.allclose(alone.actions, (23.265, 22.494), atol=2e-3)
    assert np.allclose(alone.payoffs, (148.694, 147.332), atol=1e-3)
    assert np.allclose(together.actions, (26.633, 27.399), atol=2e-3)
    assert np.allclose(together.payoffs, (243.759, 275.917), atol=1e-3)
    assert np.allclose(stackelberg(market).actions, (23.67, 22.55), atol=0.05)
    for name, phase, at_nash, effort, best in (
        ("TeamProduction", None, 161.4, 34.24, 205.0),
        ("CoalitionFormation", None, 44.7, 5.91, 175.8),
        ("ApacheProject", "emergence", 8.4, 0.807, 115.7),
        ("PublicGoods", None, 50.0, 0.0, 100.0),
    ):
        game = find_market(name, phase)
        assert nash(game).welfare / game.agents == pytest.approx(at_nash, abs=0.06)
        assert nash(game).actions[0] == pytest.approx(effort, abs=0.01)
        assert optimum(game).welfare / game.agents == pytest.approx(best, abs=0.06)
