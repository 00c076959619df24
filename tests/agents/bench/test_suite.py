"""Suites on real training runs: skip, resume, isolate failures, refuse nonsense."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from densegym.agents.bench import suite
from densegym.agents.training.results import load_results, unfinished
from densegym.errors import DenseGymError, ResultsError, UnknownNameError
from tests.small import SMALL

SUITE = """
title = "small"
seeds = [0, 1]
[[run]]
env = "DenseGym/ButtonPress-v0"
reward = ["env", "authored"]
steps = 128
"""


def jobs(tmp_path: Path, text: str = SUITE, **kwargs) -> list[suite.Job]:
    path = tmp_path / "small.toml"
    path.write_text(text)
    return suite.jobs_of(suite.load_suite(str(path)), tmp_path / "out", overrides=SMALL, **kwargs)


def test_every_shipped_suite_names_real_runs(tmp_path: Path) -> None:
    for name in suite.shipped():
        loaded = suite.load_suite(name)
        assert loaded.title
        made = suite.jobs_of(loaded, tmp_path)
        assert len({job.folder for job in made}) == len(made) > 0


def test_a_suite_runs_and_a_second_call_keeps_what_is_finished(tmp_path: Path) -> None:
    made = jobs(tmp_path)
    told: list[set[str]] = []
    first = suite.run_jobs(made, on_change=lambda states: told.append({s.state for s in states}))
    assert [state.state for state in first] == ["finished"] * 4
    assert {"running"} & set.union(*told)
    assert len(load_results(tmp_path / "out")) == 4
    before = [job.folder.stat().st_mtime_ns for job in made]
    again = suite.run_jobs(made)
    assert [state.state for state in again] == ["kept"] * 4
    assert [job.folder.stat().st_mtime_ns for job in made] == before
    changed = jobs(tmp_path, steps=256)
    with pytest.raises(ResultsError, match="other settings"):
        suite.run_jobs(changed)


def test_a_killed_run_takes_no_other_with_it_and_can_be_finished(tmp_path: Path) -> None:
    made = jobs(tmp_path, steps=2048, seeds=[0])
    killed: list[int] = []

    def kill_one(states) -> None:
        running = [s for s in states if s.state == "running" and s.done > 0]
        if running and not killed:
            import multiprocessing

            (process, *_) = multiprocessing.active_children()
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)

    states = suite.run_jobs(made, on_change=kill_one)
    assert sorted(state.state for state in states) == ["failed", "finished"]
    (failed,) = [state for state in states if state.state == "failed"]
    assert "killed by signal 9" in failed.why
    assert unfinished(tmp_path / "out") == [failed.job.work]
    assert all(state.state in ("finished", "kept") for state in suite.run_jobs(made))
    assert unfinished(tmp_path / "out") == []


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    text = SUITE.replace('["env", "authored"]', '"env"') + 'algo = "ppo"\nset = {batch_size = 1}\n'
    path = tmp_path / "bad.toml"
    path.write_text(text)
    made = suite.jobs_of(suite.load_suite(str(path)), tmp_path / "out", seeds=[0])
    (state,) = suite.run_jobs(made)
    assert state.state == "failed"
    assert "batch_size" in state.why


def test_ctrl_c_stops_all_runs_and_they_go_on_later(tmp_path: Path) -> None:
    made = jobs(tmp_path, steps=100_000, seeds=[0])

    def stop_when_running() -> None:
        while not all((job.work / "eval.jsonl").exists() for job in made):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop_when_running, daemon=True).start()
    states = suite.run_jobs(made)
    assert [state.state for state in states] == ["stopped", "stopped"]
    assert all((job.work / "eval.jsonl").exists() for job in made)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("title = ", DenseGymError, "no TOML"),
        ('tittle = "x"', UnknownNameError, 'Did you mean "title"'),
        ('[[run]]\nreward = "env"', DenseGymError, "needs env"),
        (
            '[[run]]\nenv = "DenseGym/ButtonPress-v0"\nrewards = "env"',
            UnknownNameError,
            'mean "reward"',
        ),
        ('[[run]]\nenv = "DenseGym/ButonPress-v0"', UnknownNameError, "ButtonPress"),
        (
            '[[run]]\nenv = "DenseGym/ButtonPress-v0"\nreward = "authord"',
            UnknownNameError,
            "authored",
        ),
    ],
)
def test_wrong_suites_say_what_to_type(text, error, says, tmp_path: Path) -> None:
    with pytest.raises(error, match=says):
        jobs(tmp_path, text)


def test_an_unknown_suite_names_the_closest() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "demo"'):
        suite.load_suite("dmeo")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds = 0", r"seeds takes list\[int\]; given 0"),
        ('seeds = ["a"]', r"seeds takes list\[int\]"),
        ("runs = 3", 'Did you mean "run"'),
        ("run = 3", r"run takes list"),
        ('title = "empty"', "runs nothing"),
        ("[[run]]\nsteps = 3\n", "needs env"),
        ("[[run]]\nenv = 3", r"env takes str \| list\[str\]; given 3"),
        ('[[run]]\nenv = "A-v0"\nset = ["n_envs=2"]', "set takes dict"),
        ('[[run]]\nenv = "A-v0"\nfilm = "yes"', "film takes bool"),
        ('[[run]]\nenv = "A-v0"\nalgo = ["ppo"]', "algo takes str"),
        ('[[run]]\nenv = "A-v0"\nstep = 3', 'Did you mean "steps"'),
        ("[[run]", "no TOML"),
    ],
)
def test_a_suite_file_of_a_wrong_shape_is_one_sentence(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(DenseGymError, match=said) as caught:
        suite.load_suite(str(path))
    assert "\n" not in str(caught.value)
