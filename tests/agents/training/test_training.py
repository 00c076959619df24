"""Real training runs, small: resume, stops, refusals, and what lies in the folder afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from densegym.agents.films.film import film_learner
from densegym.agents.training import checkpoint
from densegym.agents.training.config import TrainConfig, resolve
from densegym.agents.training.evaluate import Evaluator
from densegym.agents.training.folders import run_folder
from densegym.agents.training.learner import build_learner
from densegym.agents.training.load import load_learner
from densegym.agents.training.results import load_run
from densegym.agents.training.run import RunStatus, train
from densegym.envs.registration import bare_spec
from densegym.envs.wrappers.lanes import LaneVecEnv
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv
from densegym.errors import DenseGymError, Interrupted, ResultsError, RewardError
from densegym.reward_models.spec import build_engine
from tests.chat_server import ChatServer, slowly
from tests.small import SMALL
from tests.toys import CARD, Wander

BUTTON = "DenseGym/ButtonPress-v0"


def small(
    env: str = BUTTON, *, steps: int = 256, extra: tuple[str, ...] = (), **kwargs: Any
) -> TrainConfig:
    return resolve(env, steps=steps, overrides=[*SMALL, *extra], **kwargs)


def off_policy(env: str, algo: str, *extra: str) -> TrainConfig:
    settings = [
        "eval_every=60",
        "eval_episodes=2",
        "final_episodes=2",
        "checkpoint_every=60",
        "learning_starts=50",
        "buffer_size=500",
        "batch_size=16",
    ]
    return resolve(env, algo=algo, steps=120, overrides=[*settings, *extra])


def test_a_run_leaves_a_whole_folder(tmp_path: Path) -> None:
    told: list[RunStatus] = []
    config = small(reward="authored", extra=("env.width=64", "env.height=64"))
    folder = train(
        config,
        run_folder(tmp_path, config),
        after={"filming": film_learner},
        on_progress=told.append,
    )
    assert (
        folder
        == tmp_path / "DenseGym.ButtonPress-v0" / "authored.button-press-v1" / "ppo" / "seed-0"
    )
    run = load_run(folder)
    assert run.meta["reward"] == "authored/button-press-v1"
    assert run.meta["terminate_on_success"] is True
    assert run.meta["fingerprint"] == config.fingerprint()
    assert run.meta["reward_s"] > 0
    assert [point.step for point in run.points] == [128, 256]
    assert told[-1].phase == "finished"
    assert {"training", "evaluating", "filming"} <= {progress.phase for progress in told}
    assert {path.suffix for path in (folder / "media").iterdir()} == {".mp4", ".png"}
    assert (folder / "model.zip").is_file()
    assert not folder.with_name("seed-0.partial").exists()
    with pytest.raises(ResultsError, match="already holds a finished run"):
        train(config, folder)
    learner, _ = load_learner(folder)
    again = learner.evaluate(episodes=2, seed=3)
    learner.close()
    assert again.length.tolist() == [150, 150] or again.success.any()


def test_every_reward_term_is_logged(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = small(reward="authored", extra=("checkpoint_every=1024",))  # which cuts no episode
    folder = train(config, run_folder(tmp_path, config))
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    tags = events.Tags()["scalars"]
    expected = {
        "reward/env",
        "reward/dense",
        "reward/part/reach",
        "reward/part/press",
        "eval/success",
        "eval/return_env",
        "rollout/ep_rew_mean",
        "rollout/success_rate",
    }
    assert expected <= set(tags)


def test_positive_rewards_train_without_ending_at_success() -> None:
    for reward, extra, ends in (
        ("expert", (), False),
        ("env", (), True),
        ("authored", (), True),
        ("expert", ("env.terminate_on_success=true",), True),
    ):
        learner = build_learner(small(reward=reward, extra=extra))
        assert learner.stops_at_success is ends
        for env in learner.model.get_env().venv.venv.venv.envs:
            assert env.unwrapped.terminate_on_success is ends
        learner.close()


def test_a_silent_judge_neither_holds_training_up_nor_pays() -> None:
    with ChatServer(slowly(60.0, "+90%")) as server:
        asked = {"base_url": server.url, "served": "m", "deadline_s": 0.05, "every": 2}
        engine = build_engine({"model": "progress/vlac", **asked}, 2, task=CARD)
        lanes = LaneVecEnv([lambda: Wander(render_mode="rgb_array")] * 2)
        env = DenseRewardVecEnv(lanes, engine=engine)
        learner = PPO("MlpPolicy", env, n_steps=64, device="cpu")
        began = time.monotonic()
        try:
            learner.learn(256)
        finally:
            env.close()
    assert time.monotonic() - began < 30.0
    assert len(server.seen) < 20, "left alone"
    assert engine.usage.abstentions > 10, "pictures that stand still are not asked about"
    sums = engine.pop_sums()
    assert sums["reward/dense"] == pytest.approx(sums["reward/env"])
    assert sums["reward/part/phi"] == 0.0


def test_evaluation_reads_the_world_and_faces_the_same_placements() -> None:
    evaluator = Evaluator(bare_spec(BUTTON), lanes=3)
    seen: list[np.ndarray] = []

    def policy(obs, fresh):
        seen.extend(obs[fresh])
        return np.zeros((len(obs), 4), np.float32)

    first = evaluator.evaluate(policy, episodes=4, seed=9)
    placements, seen = seen, []
    alone = Evaluator(bare_spec(BUTTON), lanes=1)
    second = alone.evaluate(policy, episodes=4, seed=9)
    assert sorted(map(tuple, placements)) == sorted(map(tuple, seen))
    assert first.return_env.tolist() == second.return_env.tolist() == [0.0] * 4
    assert first.length.tolist() == [150] * 4
    with pytest.raises(DenseGymError, match="at least one episode"):
        evaluator.evaluate(policy, episodes=0, seed=0)
    evaluator.close()
    alone.close()


def interrupt_after(step: int):
    def tell(progress: RunStatus) -> None:
        if progress.phase == "training" and progress.step >= step:
            raise KeyboardInterrupt

    return tell


@pytest.mark.parametrize(
    "config",
    [
        small(reward="authored", steps=384),
        off_policy(BUTTON, "sac"),
        off_policy("DenseGym/FetchReach-v0", "tqc", "her=true"),
        off_policy("DenseGym/NetHackScore-v0", "dqn"),
        small("DenseGym/HopperForward-v0", algo="recurrent-ppo", reward="expert", steps=384),
    ],
    ids=lambda config: config.algo,
)
def test_an_interrupted_run_goes_on_where_it_stopped(config: TrainConfig, tmp_path: Path) -> None:
    folder = run_folder(tmp_path, config)
    with pytest.raises(Interrupted, match="add --resume to go on from the checkpoint of step"):
        train(config, folder, on_progress=interrupt_after(3 * config.run.steps // 4))
    work = folder.with_name("seed-0.partial")
    stopped_at = checkpoint.load(work / "checkpoint.pt", config)["step"]
    assert 0 < stopped_at < config.run.steps
    with pytest.raises(ResultsError, match="--resume"):
        train(config, folder)
    steps: list[int] = []
    train(config, folder, resume=True, on_progress=lambda progress: steps.append(progress.step))
    assert steps[0] == stopped_at
    points = [point.step for point in load_run(folder).points]
    assert points == sorted(set(points))


def test_a_run_killed_before_its_first_checkpoint_starts_its_books_anew(tmp_path: Path) -> None:
    config = small()
    folder = run_folder(tmp_path, config)
    work = folder.with_name("seed-0.partial")
    work.mkdir(parents=True)
    line = {"step": 200, "cpu_s": 1.0, "return_env": [0.0], "success": [0.0], "length": [1]}
    (work / "eval.jsonl").write_text(json.dumps(line) + "\n")
    train(config, folder, resume=True)
    assert [point.step for point in load_run(folder).points] == [128, 256]


def test_a_checkpoint_restores_every_parameter(tmp_path: Path) -> None:
    config = small(reward="authored")
    first, second = build_learner(config), build_learner(config)
    first.model.learn(128)
    checkpoint.save(tmp_path / "checkpoint.pt", first, config)
    checkpoint.restore(checkpoint.load(tmp_path / "checkpoint.pt", config), second)
    raw = np.ones((1, 39))
    assert (first.normalizer.normalize_obs(raw) == second.normalizer.normalize_obs(raw)).all()
    obs = first.model.get_env().reset()
    assert (
        first.model.predict(obs, deterministic=True)[0].tolist()
        == second.model.predict(obs, deterministic=True)[0].tolist()
    )
    for one, other in zip(
        first.model.policy.optimizer.state.values(),
        second.model.policy.optimizer.state.values(),
        strict=True,
    ):
        assert torch.equal(one["exp_avg"], other["exp_avg"])
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no readable checkpoint"),
        (b"PK\x03\x04 truncated", "no readable checkpoint"),
        ({"weights": 1}, "not written by densegym"),
        ({"schema": 99}, "checkpoint schema 99, this version reads 3"),
        ({"schema": 3, "fingerprint": "other"}, "another configuration"),
    ],
    ids=str,
)
def test_damaged_and_foreign_checkpoints_are_refused(content, says, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ResultsError, match=says):
        checkpoint.load(path, small())


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    torch.save({"schema": 1, "fingerprint": Hostile()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ResultsError, match="no readable checkpoint"):
        checkpoint.load(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("kwargs", "error", "says"),
    [
        (
            {"reward": {"model": "toy/height-v1", "gamma": 0.9}},
            RewardError,
            "gamma=0.9, but ppo learns with gamma=0.99",
        ),
        (
            {"reward": {"model": "toy/uniform-v1", "deferred": True}},
            RewardError,
            'Leave out "deferred"',
        ),
        ({"algo": "dqn"}, DenseGymError, "dqn cannot act in .*Use --algo ppo"),
        ({"extra": ("her=true",)}, DenseGymError, "her=true needs a goal-conditioned world"),
        ({"reward": "authored", "extra": ("her=true",)}, RewardError, "hindsight"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused(kwargs, error, says, registered: list[str]) -> None:
    from densegym.reward_models.registry import register_reward
    from tests.toys import Height, Redistribute

    register_reward("toy/height-v1", Height)
    register_reward("toy/uniform-v1", Redistribute)
    registered += ["toy/height-v1", "toy/uniform-v1"]
    algo = kwargs.pop("algo", "ppo")
    config = off_policy(BUTTON, algo) if algo == "dqn" else small(**kwargs)
    with pytest.raises(error, match=says):
        build_learner(config)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_a_resumable_run(stop: signal.Signals, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "densegym.cli.main",
        "train",
        BUTTON,
        "--steps",
        "200000",
        "--out",
        str(tmp_path),
        *(part for text in SMALL for part in ("--set", text)),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    work = tmp_path / "DenseGym.ButtonPress-v0" / "env" / "ppo" / "seed-0.partial"
    deadline = time.monotonic() + 60
    while not (work / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "--resume" in errors
    assert "Traceback" not in errors
    lines = (work / "eval.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["step"] == 128
    assert checkpoint.load(work / "checkpoint.pt")["step"] >= 128
