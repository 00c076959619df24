"""Every id in every host: all of them slowly, a sample by default, and each repair."""

from __future__ import annotations

import json
import pkgutil
import random
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatten, flatten_space, unflatten
from typer.testing import CliRunner

import densegym
from densegym.agents.studies import hosting
from densegym.agents.studies.hosting import Differs, Script, hosts, start_methods
from densegym.agents.studies.hosts import Walk, Walked, walk_hosts
from densegym.cli.main import app
from densegym.envs.shop.environments.spaces import FreeText
from densegym.envs.tasks import worlds
from densegym.errors import DenseGymError, UnknownNameError

PROBE, SHOP = "DenseGym/HarmlessStep-v0", "DenseGym/Shop-v0"
IDS = [world.card.id for world in worlds()]


def sample() -> list[str]:
    """Return one id of each of five families, drawn with a fixed seed."""
    rng, families = random.Random(20), sorted({world.card.family for world in worlds()})
    return [
        rng.choice([w.card.id for w in worlds() if w.card.family == family])
        for family in rng.sample(families, 5)
    ]


@pytest.mark.parametrize("env_id", sample())
def test_a_sample_plays_in_every_host(env_id: str) -> None:
    walked = walk_hosts(env_id, steps=3, methods=("fork",))
    assert walked.failures() == {}
    assert len(walked.told) == len(hosts(("fork",)))


@pytest.mark.slow
@pytest.mark.parametrize("env_id", IDS)
def test_every_id_plays_in_every_host(env_id: str) -> None:
    assert walk_hosts(env_id, steps=5, methods=start_methods()).failures() == {}


def test_the_study_counts_failures_and_goes_on(tmp_path, monkeypatch) -> None:
    def breaks(script: Script) -> None:
        raise Differs("was paid 1.0, not 2.0")

    def bench(code: int) -> dict[str, Any]:
        words = ["bench", "hosts", "--envs", "HarmlessStep", "--workers", "1", "--json"]
        words += ["--out", str(tmp_path / "hosts"), "--set", "start_methods='fork'"]
        told = CliRunner().invoke(app, words)
        assert told.exit_code == code, told.output
        return json.loads(told.stdout.splitlines()[-1])

    monkeypatch.setattr("densegym.agents.studies.hosts.hosts", lambda methods: {"one": breaks})
    found = bench(1)
    assert found["failures"] == {PROBE: {"one": "failed: Differs: was paid 1.0, not 2.0"}}
    assert (found["checks"], found["ids"], found["start_methods"]) == (1, 1, ["fork"])
    assert not list(tmp_path.rglob("*.json")), "a row that failed is walked again"
    monkeypatch.setattr("densegym.agents.studies.hosts.hosts", lambda methods: {"one": print})
    assert bench(0)["failures"] == {}
    assert len(list(tmp_path.rglob("*.json"))) == 1
    monkeypatch.setattr("densegym.agents.studies.hosts.hosts", lambda methods: {"one": breaks})
    assert bench(0)["failures"] == {}, "what is kept is not walked again"
    with pytest.raises(UnknownNameError, match='Unknown start method "sporn"'):
        densegym.agents.studies.hosts._methods("sporn")


def test_another_reward_in_a_host_is_a_failure(monkeypatch) -> None:
    script = Script(PROBE, 3)
    script.expect([script.play(gym.make(PROBE))], [None])
    with pytest.raises(Differs, match="lane 0 of reward None was paid"):
        script.expect([[1.0, 2.0, 3.0]], [None])
    with pytest.raises(Differs, match="outside"):
        hosting._check_inside(spaces.Discrete(2), 3)
    row = Walked(PROBE, 3, {"a": "plays", "b": "unsuited: no", "c": "failed: X: y"})
    table, line = Walk([row], ["fork"]).report()
    assert table.row_count == 3
    assert line == f"{PROBE} in c failed: X: y"
    assert not Walk([row], ["fork"]).bars_hold


@pytest.mark.parametrize("method", [m for m in ("forkserver", "spawn") if m in start_methods()])
def test_processes_that_import_nothing_know_the_ids(method: str) -> None:
    """As in a notebook, whose main module no worker can import."""
    code = f"""
from functools import partial
import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv
def play():
    import densegym
    env = AsyncVectorEnv([partial(gym.make, "{PROBE}")] * 2, context="{method}")
    print(env.reset(seed=0)[0].shape)
    env.close()
play()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(2, 2)", done.stderr


def test_an_id_may_name_the_package_to_import() -> None:
    code = f'import gymnasium; print(gymnasium.make("densegym:{PROBE}").spec.id)'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == PROBE, done.stderr


@pytest.mark.parametrize("field", ["vector_entry_point", "lanes_entry_point"])
def test_what_rows_say_makes_many_lanes_is_there(field: str) -> None:
    targets = {getattr(world, field) for world in worlds()} - {None}
    assert targets
    for target in targets:
        assert callable(pkgutil.resolve_name(target))


def test_gymnasium_is_told_of_no_vector_entry_point_and_others_are_refused_by_name() -> None:
    for env_id in IDS:
        assert gym.spec(env_id).vector_entry_point is None
    with pytest.raises(DenseGymError, match=r'no vector environment of its own.*"sync"'):
        densegym.make_vec(PROBE, 2, vectorization_mode="vector_entry_point")


@pytest.mark.parametrize("obs_mode", ["text", "dict"])
def test_texts_cross_processes_and_reach_rewards(obs_mode: str) -> None:
    single = densegym.make(SHOP, reward="authored", obs_mode=obs_mode)
    first, _ = single.reset(seed=3)
    action = "search[naïve 灯]"
    expected = single.step(action)
    for mode in ("sync", "async"):
        env = densegym.make_vec(
            SHOP, 2, reward="authored", seed=3, vectorization_mode=mode, obs_mode=obs_mode
        )
        obs, _ = env.reset()
        first_lane = obs[0] if obs_mode == "text" else {key: obs[key][0] for key in obs}
        assert first_lane == first
        obs, paid, *_ = env.step((action, action))
        lane = obs[0] if obs_mode == "text" else {key: obs[key][0] for key in obs}
        assert (lane, paid[0]) == (expected[0], expected[1])
        env.close()


def test_free_text_flattens_every_character() -> None:
    space = FreeText(8)
    for text in ("", "a b", "naïve 灯", "\U0001f600"):
        flat = flatten(space, text)
        assert flatten_space(space).contains(flat)
        assert unflatten(space, flat) == text
    assert len(space.character_set) == sys.maxunicode + 1
    assert space.character_list[ord("x")] == "x"
    assert space.character_list[97:99] == ["a", "b"]
    assert "ab" not in space.character_set
    assert np.int32(32) == space.character_index(" ")
