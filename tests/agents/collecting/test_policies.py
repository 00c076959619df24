"""Policies that users bring act in demonstrations as they act at home; nothing is unpickled."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import densegym
from densegym.agents.collecting import demos
from densegym.agents.collecting.demos import collect
from densegym.agents.collecting.journal import Journal
from densegym.agents.collecting.policies import Brought, policy_of
from densegym.agents.collecting.replays import replay
from densegym.agents.training.config import resolve
from densegym.agents.training.run import train
from densegym.envs.custom import registry
from densegym.envs.tasks import known_world
from densegym.errors import DenseGymError
from densegym.reward_models.progress.demos import digest
from tests.small import SMALL

POLE = "CartPole-v1"
OBSERVATIONS = np.random.default_rng(0).uniform(-0.2, 0.2, (8, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    densegym.register_task(POLE, success="steps >= 60")
    yield
    registry.forget_tasks()


def acts(text: str, algo: str = "ppo") -> list[int]:
    act = policy_of(text, POLE, algo)(known_world(POLE))
    return [int(act(obs)) for obs in OBSERVATIONS]


@pytest.mark.parametrize("algo", ["ppo", "dqn"])
def test_a_model_file_acts_as_its_model_does(algo: str, tmp_path: Path) -> None:
    import stable_baselines3

    kind = getattr(stable_baselines3, algo.upper())
    model = kind("MlpPolicy", gym.make(POLE), policy_kwargs={"net_arch": [16]}, device="cpu")
    model.save(tmp_path / "model.zip")
    chosen = model.predict(OBSERVATIONS, deterministic=True)[0].tolist()
    assert acts(str(tmp_path / "model.zip"), algo) == chosen


def test_a_run_acts_as_its_agent_does(tmp_path: Path) -> None:
    run = train(resolve(POLE, steps=128, overrides=SMALL), tmp_path / "run")
    assert set(acts(str(run))) <= {0, 1}
    with pytest.raises(DenseGymError, match="was trained in CartPole-v1; given Acrobot-v1"):
        policy_of(str(run), "Acrobot-v1")


class Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("hacked",)


def _rewritten(path: Path, **changed: bytes) -> str:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**parts, **changed}.items():
            archive.writestr(name, content)
    return str(path)


def test_a_hostile_model_file_runs_nothing(tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    path = tmp_path / "model.zip"
    PPO("MlpPolicy", gym.make(POLE), device="cpu").save(path)
    buffer = io.BytesIO()
    torch.save({"weights": Hostile()}, buffer)
    with pytest.raises(DenseGymError, match="no readable model"):
        acts(_rewritten(path, **{"policy.pth": buffer.getvalue()}))
    data = json.dumps({"policy_kwargs": {":type:": "dict", ":serialized:": "gASVAA=="}})
    PPO("MlpPolicy", gym.make(POLE), device="cpu").save(path)
    with pytest.raises(DenseGymError, match="only unpickling could read"):
        acts(_rewritten(path, data=data.encode()))
    assert not Path("hacked").exists()
    assert b"mkdir" in pickle.dumps(Hostile())  # it would have


def test_a_model_of_another_world_is_refused(tmp_path: Path) -> None:
    from stable_baselines3 import PPO

    PPO("MlpPolicy", gym.make("Acrobot-v1"), device="cpu").save(tmp_path / "model.zip")
    with pytest.raises(DenseGymError, match="is no ppo policy for CartPole-v1") as caught:
        acts(str(tmp_path / "model.zip"))
    assert "\n" not in str(caught.value)


def balance(obs: Any) -> int:
    return int(obs[2] + 0.3 * obs[3] > 0)


def test_demonstrations_of_a_policy_succeed_and_failures_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demos, "HELD_OUT", 3)
    found = collect(POLE, episodes=2, size=16, expert=lambda world: balance)
    experts = [demo for demo in found.demos if demo.kind == "expert"]
    assert all(demo.success.any() for demo in experts)
    others = [demo for demo in found.demos if demo.kind != "expert"]
    assert {demo.kind for demo in others} == {"random", "stall"}
    assert not any(demo.success.any() for demo in others)
    assert {demo.held_out for demo in experts} == {True, False}


def _recorded(name: str, *, seeds: bool = True, shift: float = 0.0) -> str:
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    env, buffers = gym.make(POLE, max_episode_steps=70), []
    for seed in range(12):
        seen = [env.reset(seed=seed)[0]]
        actions: list[int] = []
        while len(actions) < 70:
            actions.append(balance(seen[-1]))
            seen.append(env.step(actions[-1])[0])
        flags = np.zeros(70, np.bool_)
        buffers.append(
            EpisodeBuffer(
                id=seed,
                seed=seed if seeds else None,
                observations=np.stack(seen) + np.float32(shift),
                actions=np.array(actions),
                rewards=np.ones(70),
                terminations=flags,
                truncations=np.append(flags[1:], True),
            )
        )
    minari.create_dataset_from_buffers(name, buffers, env=env)
    return name


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_minari_data_set_is_played_again_with_pictures() -> None:
    found = replay(POLE, _recorded("pole/balance-v0"), size=16)
    experts = [demo for demo in found.demos if demo.kind == "expert"]
    assert len(experts) == 12
    assert experts[0].pictures.shape[2:4] == (16, 16)
    assert found.rejected["expert"] == 0
    assert {demo.kind for demo in found.demos} == {"expert", "random", "stall"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_episodes_that_cannot_be_played_again_are_refused() -> None:
    with pytest.raises(DenseGymError, match="without a seed"):
        replay(POLE, _recorded("pole/unseeded-v0", seeds=False), size=16)
    with pytest.raises(DenseGymError, match=r"comes out otherwise .* from step 0 on"):
        replay(POLE, _recorded("pole/elsewhere-v0", shift=0.1), size=16)
    with pytest.raises(DenseGymError, match="minari download a/b-v0"):
        replay(POLE, "a/b-v0")


@pytest.mark.slow
def test_lanes_collect_the_same(tmp_path: Path) -> None:
    file = tmp_path / "balance.py"
    file.write_text("def act(obs):\n    return int(obs[2] + 0.5 * obs[3] > 0)\n")
    expert = Brought(str(file), POLE)
    alone = collect(POLE, episodes=2, expert=expert)
    journal, told = Journal(tmp_path / "journal"), list[tuple[int, int]]()
    lanes = collect(
        POLE,
        episodes=2,
        expert=expert,
        journal=journal,
        lanes=2,
        on_episode=lambda *done: told.append(done),
    )
    assert digest(lanes.demos) == digest(alone.demos)
    assert lanes.rejected == alone.rejected
    assert journal.count() == len(alone.demos)
    assert told[-1] == (len(alone.demos), len(alone.demos))
