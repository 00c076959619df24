"""Verbs on environments that were not made for DenseGym, by plain commands."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest
from typer.testing import CliRunner

from densegym.cli.main import app
from densegym.cli.tasks import take_worlds
from densegym.envs.custom import registry
from densegym.errors import DenseGymError
from tests.small import SMALL

POLE, SWING = "CartPole-v1", "shimmy:dm_control/cartpole-balance-v0"
SETS = [part for text in SMALL for part in ("--set", text)]
OWN = Path(__file__).parents[1] / "own.py"
SUITE = """
title = "two ways"
seeds = [0]

[[run]]
env = "{env}"
reward = ["env", {{model = "authored/file", path = "mine.py"}}]
steps = 128
"""
PROGRAM = """import numpy as np


def compute_reward({name}):
    value = 1.0 - np.abs({name}){rest}
    return value, {{"value": value}}
"""


CALLBACK = """from stable_baselines3.common.callbacks import BaseCallback


class Slower(BaseCallback):
    def _on_rollout_end(self):
        self.model.clip_range = lambda left: 0.1

    def _on_step(self):
        return True
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands run in an empty folder, and what they register is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DENSEGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(gym.registry)
    yield
    registry.forget_tasks()
    for env_id in set(gym.registry) - before:
        gym.registry.pop(env_id)
    for name in ("my_worlds", "own_callbacks"):
        sys.modules.pop(name, None)


def densegym(*words: str, code: int = 0) -> str:
    """Run a command as a process of its own would: knowing nothing that another was told."""
    registry.forget_tasks()
    done = CliRunner().invoke(app, take_worlds(list(words)))
    if isinstance(done.exception, DenseGymError):
        raise done.exception
    assert done.exit_code == code, done.output + repr(done.exception)
    return done.stdout


def refused(*words: str) -> str:
    """Return the one sentence that a command is refused with."""
    with pytest.raises(DenseGymError) as caught:
        densegym(*words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def walked(env: str, program: str, *more: str) -> Path:
    """Train, evaluate, bench, check a program, play and report; return the run's folder."""
    Path("mine.py").write_text(program, encoding="utf-8")
    short = ["--set", "env.max_episode_steps=30"]
    told = json.loads(densegym("train", env, "--steps", "128", *SETS, *short, "--json", *more))
    # From here on the task is known by the card in the run's folder.
    seen = json.loads(densegym("eval", told["run"], "--episodes", "2"))
    assert (seen["env"], seen["success"] in (0.0, 0.5, 1.0)) == (env, True)
    played = json.loads(densegym("play", told["run"], "--json"))
    assert any(path.endswith(".mp4") for path in played[0]["files"])
    Path("suite.toml").write_text(SUITE.format(env=env), encoding="utf-8")
    rows = json.loads(densegym("bench", "suite.toml", "--workers", "1", *SETS, "--json", *more))
    assert [row["reward"] for row in rows] == ["env", 'authored/file{"path": "mine.py"}']
    checked = densegym("author", "check", "mine.py", "--task", env, *more)
    assert json.loads(checked)["status"] == "ok"
    assert env in densegym("report", "results/train")
    return Path(told["run"])


def test_every_verb_takes_cartpole() -> None:
    run = walked(POLE, PROGRAM.format(name="obs_2", rest=""))
    assert (run / "task.toml").is_file()
    assert "nothing found" in densegym("author", "audit", "mine.py", "--task", POLE)
    out = densegym(
        *["author", "run", POLE, "--author", "random", "--candidates", "2", "--iterations", "1"],
        *["--steps", "128", "--workers", "1", "--out", "search", "--final-seeds", "1", *SETS],
    )
    assert "candidates" in out
    assert Path("search/page.html").is_file()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("shimmy") is None, reason="needs shimmy")
def test_every_verb_takes_a_task_of_dm_control() -> None:
    card = densegym("task", "draft", SWING)
    Path("card.toml").write_text(card.replace('success = ""', 'success = "return_env >= 500"'))
    run = walked(SWING, PROGRAM.format(name="velocity", rest=".sum(axis=1)"), "--card", "card.toml")
    assert (run / "task.toml").is_file()


def test_a_world_of_this_folder_is_demonstrated_fitted_and_trained() -> None:
    Path("my_worlds.py").write_text(OWN.read_text(encoding="utf-8"), encoding="utf-8")
    more = ["--import", "my_worlds", "--card", "card.toml"]
    drafted = densegym("--import", "my_worlds", "task", "draft", "Own/Errand-v0")
    near = 'success = "np.linalg.norm(place - goal, axis=1) < 0.3"'
    Path("card.toml").write_text(drafted.replace('success = ""', near), encoding="utf-8")
    assert "place" in densegym("task", "check", "card.toml", "--import", "my_worlds")
    found = json.loads(densegym(*more, "rewards", "--task", "Own/Errand-v0", "--json"))
    assert "authored/file" in {entry["name"] for entry in found}
    collected = densegym(
        *["demos", "collect", "Own/Errand-v0", "--expert", "my_worlds:act", "--episodes", "2"],
        *more,
    )
    assert "densegym/own-errand/expert-v0: 28 episodes" in collected
    words = ["fit", "progress/local", "--task", "Own/Errand-v0", "--json", *more]
    for how in (["--updates", "2"], ["--check"]):
        fitted = json.loads(densegym(*words, *how, code=1))  # two updates pass no evaluation
        assert fitted["cost"]["updates"] == 2
        assert not fitted["progress/local"]["passed"]
        assert fitted["missed"]
    told = refused("train", "Own/Errand-v0", "--reward", "progress/local", *more)
    assert "did not pass its evaluation" in told


def test_the_command_that_a_report_shows_repeats_the_run() -> None:
    Path("mine.py").write_text(PROGRAM.format(name="angle", rest=""), encoding="utf-8")
    Path("own_callbacks.py").write_text(CALLBACK, encoding="utf-8")
    card = densegym("task", "draft", POLE).replace('"obs_2"', '"angle"')
    Path("card.toml").write_text(card.replace("return_env >= 475", "abs(angle) > 0.1"))
    reward = '{"model": "authored/file", "path": "mine.py", "scale": 0.5}'
    words = ["--reward", reward, "--steps", "256", "--seed", "3", *SETS, "--set", "gamma=0.9"]
    words += ["--set", "policy.net_arch=[8]", "--set", "extra.entropy_modulation=0.5"]
    words += ["--set", "env.max_episode_steps=50", "--callback", "own_callbacks:Slower"]
    first = densegym("train", POLE, "--card", "card.toml", *words, "--json")
    run = Path(json.loads(first)["run"])
    densegym("report", "results/train")
    page = Path("results/train/report.html").read_text(encoding="utf-8")
    (shown,) = re.findall(r'<pre class="command">(densegym train.*?)</pre>', page)
    again = densegym(*shlex.split(html.unescape(shown))[1:], "--out", "again", "--json")
    twin = Path(json.loads(again)["run"])
    assert (twin / "final.json").read_text() == (run / "final.json").read_text()
    assert (twin / "config.toml").read_text() == (run / "config.toml").read_text()


SAID = {
    ("train", "Pendulum-v1"): "densegym task draft Pendulum-v1 > card.toml",
    ("train", "CartPole-v9"): 'Did you mean "CartPole-v1"',
    ("train", POLE, "--card", "none.toml"): "cannot be read",
    ("train", POLE, "--import", "no_such"): "could not be imported",
    ("train", POLE, "--import"): "needs a value",
    ("train", POLE, "--callback", "no_such:X"): "no module no_such",
    ("train", POLE, "--log", "wandbb"): 'Did you mean "wandb"',
    ("train", POLE, "--algo", "choice-ppo"): "Use --algo ppo or a2c or recurrent-ppo or dqn.",
    ("train", POLE, "--algo", "sac"): "Use --algo ppo or a2c or recurrent-ppo or dqn.",
    ("train", POLE, "--reward", "expert"): "no trustworthy hand-written",
    ("train", POLE, "--reward", "authored"): '"path": "my_reward.py"',
    ("train", POLE, "--reward", "progress/local"): f"demos collect {POLE} --expert FILE.py",
    ("train", POLE, "--protocol", "metaworld-500"): 'type protocol="densegym"',
    ("fit", "progress/local", "--task", POLE): f"demos collect {POLE} --expert FILE.py",
    ("demos", "collect", POLE, "--expert", "foo"): "an expert is FILE.py",
    ("demos", "collect", POLE, "--expert", "json:nothing"): "names no policy",
    ("demos", "collect", POLE, "--expert", "none.zip"): "no readable model",
    ("demos", "import", "a/b-v0", "--task", POLE): "minari download a/b-v0",
    ("bench", "landscape", "--envs", POLE): "densegym envs --offers lookahead",
}


@pytest.mark.parametrize("words", SAID, ids=" ".join)
def test_what_cannot_work_is_one_sentence_that_works_here(words: tuple[str, ...]) -> None:
    assert SAID[words] in refused(*words)


def test_a_card_that_was_changed_judges_no_run_that_was_begun_without() -> None:
    for name, steps in (("one", 5), ("two", 6)):
        card = densegym("task", "draft", POLE)
        rule = f'success = "steps >= {steps}"'
        changed = card.replace('success = "return_env >= 475"', rule)
        Path(f"{name}.toml").write_text(changed, encoding="utf-8")
    told = densegym("train", POLE, "--steps", "128", *SETS, "--json", "--card", "one.toml")
    run = json.loads(told)["run"]
    more = ["train", POLE, "--steps", "256", "--resume", *SETS]
    assert "--card" in refused(*more, "--card", "two.toml")
    assert "another task card" in refused("eval", run, "--card", "two.toml")
    densegym(*more, "--card", "one.toml")
