"""Candidates are really trained: rungs go on from checkpoints, killed workers lose nothing."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from densegym.agents.authoring.candidates import carry_out, outcome_path
from densegym.agents.authoring.engines import PooledEvaluator
from densegym.errors import UnknownNameError
from densegym.reward_models.authored.search.evaluation import Job
from tests.small import SMALL

BUTTON = "DenseGym/ButtonPress-v0"
SETTINGS = tuple(text for text in SMALL if not text.startswith(("eval", "final", "checkpoint")))
REACH = """
def compute_reward(hand_position, prev_hand_position, object_position):
    before = np.linalg.norm(prev_hand_position - object_position, axis=1)
    after = np.linalg.norm(hand_position - object_position, axis=1)
    reach = before - after
    return reach, {"reach": reach}
"""
BLIND = """
def compute_reward(hand_position):
    blind = np.log(hand_position[:, 0] - 100.0)
    return blind, {"blind": blind}
"""


def job(**changes) -> Job:
    plain = {
        "candidate": "00-00",
        "source": REACH,
        "task": BUTTON,
        "seed": 3,
        "steps": 1280,
        "until": 128,
        "eval_seed": 77,
        "eval_episodes": 2,
        "settings": (*SETTINGS, "episode_steps=20"),
    }
    return Job(**{**plain, **changes})


def test_a_rung_goes_on_where_the_last_one_ended_even_in_a_moved_folder(tmp_path: Path):
    with PooledEvaluator(tmp_path / "one", workers=1) as pool:
        pool.evaluate([job()], lambda *_: None)
    (tmp_path / "one").rename(tmp_path / "two")
    with PooledEvaluator(tmp_path / "two", workers=1) as pool:
        (second,) = pool.evaluate([job(until=384)], lambda *_: None)
        (once,) = pool.evaluate([job(until=384, candidate="00-01")], lambda *_: None)
    assert second.status == "trained"
    assert second.result["env_steps"] == once.result["env_steps"] == 384
    assert len(second.components["reach"]["series"]) == 4  # untrained, and at 128, 256, 384
    assert second.components["reach"]["series"][0] == once.components["reach"]["series"][0]
    assert second.result["episodes"] == 2
    assert set(second.components) == {"reach", "fitness", "episode_length"}
    assert second.clocks["cpu_s"] > 0


def test_a_finished_job_is_not_carried_out_again(tmp_path: Path):
    with PooledEvaluator(tmp_path, workers=1) as pool:
        (first,) = pool.evaluate([job()], lambda *_: None)
        before = outcome_path(job(folder=str(tmp_path / "00-00" / "seed-3"))).stat().st_mtime_ns
        told = []
        (again,) = pool.evaluate([job()], lambda item, outcome: told.append(item.candidate))
    after = outcome_path(job(folder=str(tmp_path / "00-00" / "seed-3"))).stat().st_mtime_ns
    assert (again.result, before, told) == (first.result, after, ["00-00"])


def test_the_same_job_has_the_same_outcome(tmp_path: Path):
    one = carry_out(job(folder=str(tmp_path / "one")).as_dict())
    two = carry_out(job(folder=str(tmp_path / "two")).as_dict())
    assert (one["result"], one["components"]) == (two["result"], two["components"])


def test_a_program_without_finite_rewards_is_told_so(tmp_path: Path):
    outcome = carry_out(job(source=BLIND, folder=str(tmp_path)).as_dict())
    assert outcome["status"] in ("unstable", "runtime_error")
    assert outcome["feedback"]
    json.dumps(outcome, allow_nan=False)


def test_a_killed_worker_is_replaced_and_its_job_done(tmp_path: Path):
    told = []
    with PooledEvaluator(tmp_path, workers=1) as pool:
        pool.evaluate([job(candidate="warm")], lambda *_: None)
        (worker,) = pool.workers()
        threading.Timer(0.3, lambda: os.kill(worker, signal.SIGKILL)).start()
        jobs = [job(candidate=f"0{k}", until=640) for k in range(2)]
        outcomes = pool.evaluate(jobs, lambda item, _: told.append(item.candidate))
    assert [outcome.status for outcome in outcomes] == ["trained", "trained"]
    assert sorted(told) == ["00", "01"]


def test_workers_end_with_a_killed_parent(tmp_path: Path):
    import subprocess
    import sys

    script = (
        "import sys, pathlib\n"
        "from densegym.agents.authoring.engines import PooledEvaluator\n"
        "from tests.agents.authoring.test_engines import job\n"
        f"pool = PooledEvaluator(pathlib.Path({str(tmp_path)!r}), workers=1)\n"
        "pool.evaluate([job()], lambda *_: None)\n"
        "print(*pool.workers(), flush=True)\n"
        "pool.evaluate([job(until=1280, candidate='long')], lambda *_: None)\n"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root
    ) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert workers
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(_alive(pid) for pid in workers):
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in workers)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_an_unknown_engine_is_named(tmp_path: Path):
    with pytest.raises(UnknownNameError, match='Did you mean "ray"'):
        PooledEvaluator(tmp_path, engine="rai")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_ray_carries_the_same_jobs(tmp_path: Path):
    pytest.importorskip("ray")
    with PooledEvaluator(tmp_path / "ray", engine="ray", workers=2) as pool:
        (there,) = pool.evaluate([job()], lambda *_: None)
    here = carry_out(job(folder=str(tmp_path / "here")).as_dict())
    assert there.result == here["result"]
