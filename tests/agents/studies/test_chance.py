"""Chance levels: one playing serves every protocol, records are kept while they are current."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import densegym
from densegym.agents.collecting.behaviours import expert_behaviour, idle, random
from densegym.agents.studies import chance
from densegym.agents.studies.registry import find_study
from densegym.envs.levels import POLICIES, record
from densegym.envs.protocols import OWN, terms_of
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import find_world, worlds
from densegym.envs.world import World
from densegym.errors import DenseGymError, ResultsError, UnknownNameError

ROBOTS = [world for world in worlds() if world.protocols and world.owner == "densegym"]
REACH = "DenseGym/FetchReach-v0"
EPISODES = 3


def measure(out: Path, envs: str, **settings: Any) -> dict[str, Any]:
    study = find_study("chance")
    pairs = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    result = study.run(study.request(envs=envs, out=out, settings=pairs))
    assert result.bars_hold
    return result.as_json()


def played(world: World, protocol: str, policy: str) -> dict[str, float]:
    """Play a policy under a protocol step by step, as anybody would."""
    env = gym.make(bare_spec(world.card.id, protocol))
    behaviour = {
        "idle": idle(env.action_space),
        "random": random(env.action_space),
        "expert": expert_behaviour(world.card.id),
    }[policy]
    assert behaviour is not None
    rows = []
    for episode in range(EPISODES):
        seed = chance.SEED + episode
        act = behaviour(np.random.default_rng((seed, chance._ACTIONS)))
        obs, _ = env.reset(seed=seed)
        paid, seen, over = 0.0, [], False
        while not over:
            obs, reward, terminated, truncated, info = env.step(act(obs))
            paid, over = paid + float(reward), terminated or truncated
            seen.append(info["success_now"])
        rows.append((info["is_success"], max(seen), seen[-1], paid, len(seen)))
    env.close()
    means = np.mean(rows, axis=0).tolist()
    names = ("success", "latched", "last", "return_env", "length")
    return dict(zip(names, means, strict=True))


@pytest.mark.parametrize(
    "env_id",
    [
        REACH,
        "DenseGym/PointMaze_UMaze-v0",
        pytest.param("DenseGym/AntLieDown-v0", marks=pytest.mark.slow),
        pytest.param("DenseGym/HopperForward-v0", marks=pytest.mark.slow),
        pytest.param("DenseGym/HandlePress-v0", marks=pytest.mark.slow),
        pytest.param("DenseGym/AdroitHandPen-v0", marks=pytest.mark.slow),
    ],
)
def test_levels_are_those_of_episodes_played_under_each_protocol(
    env_id: str, tmp_path: Path
) -> None:
    stored = measure(tmp_path, env_id, episodes=EPISODES)[env_id]["protocols"]
    world = find_world(env_id)
    assert world is not None
    assert list(stored) == [OWN, *world.protocols]
    for protocol, found in stored.items():
        for policy in POLICIES:
            if policy == "expert" and world.capabilities.expert is None:
                assert policy not in found
                continue
            told = {k: v for k, v in found[policy].items() if k != "episodes"}
            assert told == pytest.approx(played(world, protocol, policy), abs=1e-6)


def test_levels_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = measure(tmp_path, "FetchReach", episodes=2, protocols=OWN)
    assert list(first[REACH]["protocols"]) == [OWN]
    path = tmp_path / "fetch.json"
    assert json.loads(path.read_text())["worlds"] == first
    count = []
    monkeypatch.setattr(chance, "_played", lambda *given: count.append(given) or iter(()))
    assert measure(tmp_path, "FetchReach", episodes=2, protocols=OWN) == first
    assert not count
    monkeypatch.undo()
    more = measure(tmp_path, "FetchReach", episodes=2)
    assert list(more[REACH]["protocols"]) == [OWN, "fetch-last-step", "fixed-horizon"]
    assert more[REACH]["protocols"][OWN] == first[REACH]["protocols"][OWN]
    stale = json.loads(path.read_text())
    stale["worlds"][REACH]["protocols"][OWN]["episode_limit"] = 49
    stale["worlds"][REACH]["protocols"][OWN]["random"]["length"] = 49.0
    path.write_text(json.dumps(stale))
    assert measure(tmp_path, "FetchReach", episodes=2) == more
    stale["worlds"][REACH]["densegym"] = "0.0.1"
    path.write_text(json.dumps(stale))
    assert measure(tmp_path, "FetchReach", episodes=2) == more


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="DenseGym/FetchReach-v0"):
        measure(tmp_path, "FetchReech")
    with pytest.raises(UnknownNameError, match="protocol"):
        measure(tmp_path, "FetchReach", protocols="none")
    with pytest.raises(DenseGymError, match="at least 1; given 0"):
        measure(tmp_path, "FetchReach", episodes=0)
    (tmp_path / "fetch.json").write_text("[]")
    with pytest.raises(ResultsError, match="no levels"):
        measure(tmp_path, "FetchReach", episodes=1)


@pytest.mark.parametrize("world", ROBOTS, ids=lambda world: world.card.id)
def test_every_robot_world_has_its_record(world: World) -> None:
    stored = record(world.card.id, world.card.family)
    assert stored, (
        f"type: densegym bench chance --envs {world.card.id} --out densegym/assets/levels"
    )
    assert stored["densegym"] == densegym.__version__
    assert (stored["episodes"], stored["seed"]) == (100, chance.SEED)
    assert {"gymnasium", "mujoco", "numpy"} <= set(stored["versions"])
    assert {"gymnasium", "mujoco"} <= {k for k, v in stored["versions"].items() if v == version(k)}
    policies = set(POLICIES if world.capabilities.expert else POLICIES[:2])
    kept = stored["protocols"]
    assert set(kept) == {OWN, *world.protocols}
    for protocol, found in kept.items():
        assert terms_of(world, protocol).as_dict().items() <= found.items()
        assert {policy for policy in POLICIES if policy in found} == policies
        for policy in policies:
            level = found[policy]
            assert level["episodes"] == 100
            assert 0 <= level["last"] <= level["latched"] <= 1
            assert level["success"] in (level["last"], level["latched"])
            assert 0 < level["length"] <= found["episode_limit"]
