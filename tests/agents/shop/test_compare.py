"""Comparisons: what is kept, what is made again, the table, the command."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from densegym.agents.shop.compare import Comparison, compare
from densegym.agents.shop.roster import AGENTS, find_agent
from densegym.agents.shop.table import COLUMNS, bootstrap, tabulate, to_markdown, to_text
from densegym.cli.main import app
from densegym.envs.shop.session.world import Setting
from densegym.errors import DenseGymError, ResultsError, UnknownNameError
from tests.small import SMALL


@pytest.fixture
def setting(store) -> Setting:
    return Setting(store=store, goals="synthetic", split="test")


def asked(setting: Setting, out, *agents: str, **changes) -> Comparison:
    given = {"agents": agents, "settings": [setting], "seeds": (0,), "out": out, "steps": 40}
    return Comparison(**{**given, **changes})


def test_the_baseline_is_always_beside(setting, tmp_path):
    leaky = dataclasses.replace(setting, split_rule="original")
    results = compare(asked(setting, tmp_path, "rule", settings=[setting, leaky], seeds=(0, 1)))
    shown = [(result.agent, result.seed, result.setting.split_rule) for result in results]
    linear = [("linear", 0), ("linear", 1)]
    rows = [("rule", 0), *linear]
    assert shown == [(*row, rule) for rule in ("product", "original") for row in rows]
    table = tabulate(results)
    assert [row.seeds for row in table] == [(), (0, 1), (), (0, 1)]
    assert "(leaks)" in table[-1].cells()[1]
    assert "2 (smoke)" in table[1].cells()


def test_a_second_call_plays_nothing_again(setting, tmp_path):
    first = compare(asked(setting, tmp_path, "rule", episodes=5))
    told: list[str] = []
    again = compare(
        asked(setting, tmp_path, "rule", episodes=5),
        watch=lambda what, done, total: told.append(what),
    )
    assert [result.episodes for result in again] == [result.episodes for result in first]
    assert told == []
    assert len(first[0].episodes.goal) == 5


def test_every_agent_that_learns_is_trained_kept_and_evaluated(setting, tmp_path):
    names = ("clone", "choice-ppo", "drrn")
    small = [value for value in SMALL if not value.startswith("n_envs")]
    results = compare(
        asked(setting, tmp_path, *names, episodes=4, steps=128, overrides=[*small, "n_envs=2"])
    )
    assert {result.agent for result in results} == {"linear", *names}
    for result in results:
        assert result.train_steps > 0
        assert result.train_cpu_s > 0
        assert len(result.episodes.score) == 4
    run = next(tmp_path.glob("trained/*/choice-ppo/seed-0/run"))
    (plain,) = [
        r for r in compare(asked(setting, tmp_path, str(run), episodes=4)) if r.agent == str(run)
    ]
    (named,) = [r for r in results if r.agent == "choice-ppo"]
    assert plain.episodes.score == named.episodes.score


def test_a_damaged_result_is_refused(setting, tmp_path):
    compare(asked(setting, tmp_path, "rule", episodes=3))
    (kept,) = tmp_path.glob("*/rule/seed-0.json")
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "schema": 99}))
    with pytest.raises(ResultsError, match="remove it"):
        compare(asked(setting, tmp_path, "rule", episodes=3))
    kept.write_text("{")
    with pytest.raises(ResultsError, match="remove it"):
        compare(asked(setting, tmp_path, "rule", episodes=3))


def test_unknown_agents_and_a_model_nobody_named_are_refused(setting, tmp_path):
    with pytest.raises(UnknownNameError, match="rule-options"):
        compare(asked(setting, tmp_path, "rule-option"))
    with pytest.raises(DenseGymError, match="--model"):
        compare(asked(setting, tmp_path, "llm", episodes=2))
    with pytest.raises(UnknownNameError):
        find_agent("nobody")


def test_the_bootstrap_redraws_products():
    values = np.array([0.0, 0.0, 0.0, 0.0, 100.0, 100.0, 100.0, 100.0])
    low, high = bootstrap(values, list("aaaabbbb"))
    assert (low, high) == (0.0, 100.0)  # two products: any of them may be all that is drawn
    low, high = bootstrap(values, list("abcdefgh"))
    assert 0.0 < low < 50.0 < high < 100.0
    assert bootstrap(np.full(4, 7.0), list("abcd")) == (7.0, 7.0)


def test_the_table_has_every_column(setting, tmp_path):
    rows = tabulate(compare(asked(setting, tmp_path, "rule", "expert", episodes=4)))
    text = to_markdown(rows, "densegym shop eval")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count("|") == len(COLUMNS) + 1 for line in lines)
    assert "expert (privileged)" in text
    low, high = rows[-1].success[1:]
    assert (rows[-1].agent, rows[-1].success[0]) == ("expert (privileged)", 100.0)
    assert 30.0 < low < 70.0  # four right of four prove little
    assert high == 100.0
    assert "Command: densegym shop eval" in text
    assert len(to_text(rows)) == 1


def test_the_command(store, tmp_path):
    runner = CliRunner()
    done = runner.invoke(
        app,
        ["shop", "eval", "--agent", "rule", "--store", str(store), "--goals", "synthetic",
         "--steps", "40", "--episodes", "4", "--out", str(tmp_path / "out")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    table = (tmp_path / "out" / "table.md").read_text()
    assert "test by product" in table
    listed = runner.invoke(app, ["shop", "agents"])
    assert all(name in listed.output for name in AGENTS)
    wrong = runner.invoke(app, ["shop", "eval", "--agent", "rule", "--split-rule", "nonsense"])
    assert isinstance(wrong.exception, DenseGymError)
