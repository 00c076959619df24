"""Protocols in training runs, in what they store, in suites and in tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from densegym.agents.bench import formats, suite, tables
from densegym.agents.bench.plots import learning_curves
from densegym.agents.bench.report import train_command, write_report
from densegym.agents.training.config import TrainConfig, from_dict, resolve
from densegym.agents.training.evaluate import Evaluator
from densegym.agents.training.folders import run_folder
from densegym.agents.training.learner import build_learner
from densegym.agents.training.results import load_results, load_run
from densegym.agents.training.run import train
from densegym.cli.main import app
from densegym.envs.levels import told
from densegym.envs.protocols import OWN
from densegym.envs.registration import bare_spec
from densegym.errors import DenseGymError, ResultsError
from tests.agents.factories import BUTTON, change, write_run
from tests.small import SMALL

REACH = "DenseGym/FetchReach-v0"
M500 = "metaworld-500"
RUNNER = CliRunner()


def small(env: str = BUTTON, protocol: str = OWN, *extra: str) -> TrainConfig:
    return resolve(env, steps=128, protocol=protocol, overrides=[*SMALL, *extra])


def test_a_run_trains_is_judged_and_is_stored_under_its_protocol(tmp_path: Path) -> None:
    config = small(REACH, "fetch-last-step")
    folder = train(config, run_folder(tmp_path, config))
    assert folder.relative_to(tmp_path).parts[0] == "DenseGym.FetchReach-v0@fetch-last-step"
    run = load_run(folder)
    about = {
        "protocol": "fetch-last-step",
        "episode_limit": 50,
        "ends_at_success": False,
        "success_rule": "last step",
    }
    assert about.items() <= run.meta.items()
    assert run.latched is not None
    assert run.last is not None
    assert (run.success == run.last).all()
    assert (run.last <= run.latched).all()
    assert "--protocol fetch-last-step" in train_command(run)

    outcome = evaluated(folder)
    assert about.items() <= outcome.items()
    assert outcome["success"] == outcome["success_last"] <= outcome["success_latched"]
    assert {"chance_idle", "chance_random", "expert_ceiling"} <= outcome.keys()
    other = evaluated(folder, "--protocol", OWN)
    assert (other["protocol"], other["success_rule"]) == (OWN, "latched")
    assert other["success"] == other["success_latched"] == outcome["success_latched"]
    refused = RUNNER.invoke(app, ["eval", str(folder), "--protocol", M500])
    assert isinstance(refused.exception, DenseGymError)
    assert "does not fit DenseGym/FetchReach-v0" in str(refused.exception)


def evaluated(folder: Path, *more: str) -> dict[str, Any]:
    shown = RUNNER.invoke(app, ["eval", str(folder), "--episodes", "3", *more])
    assert shown.exit_code == 0, shown.output
    told: dict[str, Any] = json.loads(shown.stdout.splitlines()[-1])
    return told


def test_training_episodes_are_the_protocols_too() -> None:
    for protocol, limit, ends in ((OWN, 120, True), (M500, 500, False), ("fixed-horizon", 150, 0)):
        learner = build_learner(small(BUTTON, protocol))
        lanes: Any = learner.model.get_env()
        for env in lanes.unwrapped.envs:
            assert env.spec.max_episode_steps == limit
            assert env.unwrapped.terminate_on_success is bool(ends)
        assert learner.stops_at_success is bool(ends)
        learner.close()


def test_the_own_protocol_leaves_fingerprints_as_they_were() -> None:
    config = small()
    assert "protocol" not in config.as_dict()
    assert from_dict(config.as_dict()) == config
    other = small(BUTTON, M500)
    assert from_dict(other.as_dict()) == other
    assert other.fingerprint() != config.fingerprint()


@pytest.mark.parametrize(
    ("protocol", "extra", "says"),
    [
        (M500, "episode_steps=120", "has episodes of 500 steps; given episode_steps=120"),
        (M500, "env.max_episode_steps=9", "given env.max_episode_steps=9"),
        (M500, "env.terminate_on_success=true", "given terminate_on_success=True"),
        (OWN, "env.protocol=metaworld-500", "Type --protocol metaworld-500"),
        ("fetch-last-step", "seed=0", "unknown|Unknown"),
    ],
)
def test_settings_against_the_protocol_are_refused(protocol: str, extra: str, says: str) -> None:
    with pytest.raises(DenseGymError, match=says):
        small(BUTTON, protocol, extra)
    with pytest.raises(DenseGymError, match="does not fit"):
        small(BUTTON, "fetch-last-step")


def test_settings_that_change_the_own_protocol_are_told() -> None:
    changed = small(BUTTON, OWN, "env.terminate_on_success=false").terms()
    assert (changed.protocol, changed.limit, changed.ends_at_success) == (OWN, 150, False)
    assert small().terms().ends_at_success is True


def test_an_evaluator_given_a_protocol_as_argument_keeps_its_limit() -> None:
    evaluator = Evaluator(bare_spec(BUTTON), lanes=1, env_kwargs={"protocol": M500})
    idle: Any = lambda obs, fresh: [[0.0] * 4] * len(fresh)  # noqa: E731  one line, used once
    seen = evaluator.evaluate(idle, episodes=1, seed=0)
    assert seen.length.tolist() == [500]
    evaluator.close()


def test_runs_of_different_protocols_are_rows_and_curves_of_their_own(tmp_path: Path) -> None:
    terms = {"episode_limit": 500, "ends_at_success": False, "success_rule": "latched"}
    write_run(tmp_path / "before")
    write_run(tmp_path / "own", seed=1, protocol=OWN, episode_limit=150, ends_at_success=True)
    folder = write_run(tmp_path / "published", protocol=M500, **terms)
    final = json.loads((folder / "final.json").read_text())
    change(folder / "final.json", success_latched=final["success"], success_last=[0.0] * 20)
    runs = load_results(tmp_path)
    own, published = tables.tabulate(runs)
    assert (own.protocol, own.seeds) == (OWN, (0, 1))  # runs from before have the own one
    assert (published.protocol, published.seeds) == (M500, (0,))
    cells = dict(zip(tables.COLUMNS, published.cells(), strict=True))
    assert (cells["protocol"], cells["limit"]) == (M500, "500")
    assert (cells["latched"], cells["last step"]) == ("1.00", "0.00")
    assert (own.latched, own.last) == (None, None)
    stored = told(BUTTON, "metaworld")
    assert own.levels == stored
    assert own.levels["expert_ceiling"] is not None
    cells = dict(zip(tables.COLUMNS, own.cells(), strict=True))
    assert cells["ceiling"] == f"{own.levels['expert_ceiling']:.2f}"
    assert cells["chance"].startswith("idle ")
    text = tables.caption([own, published], runs, "x")
    assert "densegym (150 steps, ends at success, success latched)" in text
    assert "metaworld-500 (500 steps, never ends early, success latched)" in text
    assert [str(table.title).count("protocol") for table in formats.to_text([own, published])] == [
        1,
        1,
    ]
    panels = [sub._suptitle.get_text() for sub in learning_curves(runs).subfigs]
    for name, panel in zip((OWN, M500), panels, strict=True):
        assert f"protocol {name}" in panel
    write_report(tmp_path)
    rows = json.loads((tmp_path / "table.json").read_text())
    assert [(row["protocol"], row["episode_limit"]) for row in rows] == [(OWN, 150), (M500, 500)]


def test_levels_stand_only_beside_episodes_of_their_kind(tmp_path: Path) -> None:
    write_run(tmp_path, protocol=OWN, episode_limit=200, ends_at_success=True)
    (row,) = tables.tabulate(load_results(tmp_path))
    assert set(row.levels.values()) == {None}
    assert dict(zip(tables.COLUMNS, row.cells(), strict=True))["chance"] == "-"


def test_a_protocol_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_run(tmp_path, protocol="metaworld-1000")
    with pytest.raises(ResultsError, match='protocol "metaworld-1000", which this version'):
        load_run(folder)


def test_a_suite_names_its_protocol(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    runs = f'[[run]]\nenv = "{BUTTON}"\n[[run]]\nenv = "{REACH}"\nprotocol = "{OWN}"\n'
    path.write_text(f'protocol = "{M500}"\n{runs}')
    loaded = suite.load_suite(str(path))
    jobs = suite.jobs_of(loaded, tmp_path / "out")
    assert [job.config.protocol for job in jobs] == [M500, OWN]
    assert jobs[0].title.endswith(f"protocol {M500}")
    jobs = suite.jobs_of(loaded, tmp_path / "out", protocol="fixed-horizon")
    assert {job.config.protocol for job in jobs} == {"fixed-horizon"}
