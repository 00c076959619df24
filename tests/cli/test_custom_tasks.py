"""Verbs on environments that were not made for DenseGym, by plain commands."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = [
    *("--steps", "256", "--set", "n_steps=64", "--set", "n_envs=2", "--set", "batch_size=64"),
    *("--set", "eval_every=256", "--set", "eval_episodes=1", "--set", "final_episodes=1"),
]
REWARD = """import numpy as np


def compute_reward({name}):
    value = 1.0 - np.abs({name}){rest}
    return value, {{"value": value}}
"""


def densegym(*words: str, cwd: Path, code: int = 0) -> str:
    command = [sys.executable, "-m", "densegym.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def walk(env: str, card: list[str], reward: str, cwd: Path) -> None:
    """Train, evaluate, bench, check a program, play and report."""
    (cwd / "mine.py").write_text(reward)
    slug = re.sub("[/:]", lambda sign: "." if sign[0] == "/" else "-", env)
    densegym("train", env, *card, *QUICK, "--out", "runs", cwd=cwd)
    run = cwd / "runs" / slug / "env" / "ppo" / "seed-0"
    told = json.loads(densegym("eval", str(run), "--episodes", "1", cwd=cwd).splitlines()[-1])
    assert told["success"] in (0.0, 1.0)
    checked = densegym("author", "check", "mine.py", "--task", env, *card, cwd=cwd)
    assert json.loads(checked.splitlines()[-1])["status"] == "ok"
    (cwd / "suite.toml").write_text(
        f'title = "two ways"\nseeds = [0]\n[[run]]\nenv = "{env}"\n'
        'reward = ["env", {model = "authored/file", path = "mine.py"}]\nsteps = 128\n'
        "set = {n_steps = 64, n_envs = 2, batch_size = 64, eval_episodes = 1, final_episodes = 1}\n"
    )
    densegym("bench", "suite.toml", *card, "--out", "suite", cwd=cwd)
    densegym("play", str(run), cwd=cwd)
    assert list((run / "media").glob("*.mp4"))
    shown = densegym("report", "runs", cwd=cwd)
    assert "return/env" in shown


def test_every_verb_takes_cartpole(tmp_path: Path) -> None:
    walk("CartPole-v1", [], REWARD.format(name="obs_2", rest=""), tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("shimmy") is None, reason="needs shimmy")
def test_every_verb_takes_a_task_of_dm_control(tmp_path: Path) -> None:
    env = "shimmy:dm_control/cartpole-balance-v0"
    card = re.sub(
        '(?m)^success = ""',
        'success = "return_env >= 500"',
        densegym("task", "draft", env, cwd=tmp_path),
    )
    (tmp_path / "card.toml").write_text(card)
    program = REWARD.format(name="velocity", rest=".sum(axis=1)")
    walk(env, ["--card", "card.toml"], program, tmp_path)


def test_what_cannot_work_is_one_sentence(tmp_path: Path) -> None:
    for words, said in [
        (["train", "Pendulum-v1"], "nothing says what success is"),
        (["train", "CartPole-v1", "--card", "none.toml"], "cannot be read"),
        (["train", "CartPole-v1", "--import", "no_such"], "could not be imported"),
        (["train", "CartPole-v1", "--import"], "needs a value"),
        (["train", "CartPole-v1", "--callback", "no_such:X"], "no module no_such"),
        (["train", "CartPole-v1", "--log", "wandbb"], 'Did you mean "wandb"'),
    ]:
        told = densegym(*words, cwd=tmp_path, code=2)
        assert said in told, told
        assert len(told.strip().splitlines()) == 1, told
