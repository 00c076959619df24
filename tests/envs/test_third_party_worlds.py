"""Worlds of other packages, registered by a call or an entry point, work like the shipped ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

import densegym
from densegym import Capabilities, Feature, TaskCard, World
from densegym.agents.collecting import bank, demos
from densegym.agents.studies import landscape
from densegym.agents.training.config import resolve
from densegym.agents.training.results import load_run
from densegym.agents.training.run import train
from densegym.cli.main import app
from densegym.envs import tasks
from densegym.envs.checks import check_dense_env
from densegym.envs.robot import expert_policy
from densegym.errors import DenseGymError, UnknownNameError
from densegym.reward_models.progress import demos as files
from densegym.reward_models.progress.local import fit
from densegym.reward_models.progress.oracle import OraclePotential
from densegym.reward_models.registry import find_reward
from densegym.reward_models.types import Starts
from tests.guests import CARRY, LINE, Line
from tests.offers import Point
from tests.small import SMALL

LINE_ID, CARRY_ID = LINE.card.id, CARRY.card.id


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    before = set(gym.registry)
    monkeypatch.setattr(tasks, "_WORLDS", dict(tasks._WORLDS))
    yield
    for env_id in set(gym.registry) - before:
        gym.registry.pop(env_id)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def offer(**targets: Any) -> list[Point]:
        points = [Point(name, target, f"acme-{name}") for name, target in targets.items()]
        monkeypatch.setattr(
            tasks, "entry_points", lambda group: points if group == "densegym.worlds" else []
        )
        monkeypatch.setattr(tasks, "_loaded", set())
        return points

    return offer


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def snapshot() -> tuple[dict[str, World], list[str]]:
    return dict(tasks._WORLDS), sorted(gym.registry)


def test_one_call_registers_a_world() -> None:
    densegym.register_world(
        "Guest/Line-v0",
        "tests.guests:Line",
        max_episode_steps=120,
        goal=LINE.card.goal,
        success=LINE.card.success,
        provenance="a test",
        features=LINE.card.features,
        capabilities=LINE.capabilities,
    )
    assert tasks.find_world(LINE_ID) == LINE
    densegym.register_world(LINE)  # the same again is no clash
    check_dense_env(gym.make(LINE_ID), steps=5)
    check_dense_env(densegym.make(LINE_ID, reward={"model": "env", "scale": 2.0}, seed=1), steps=5)
    tasks.unregister_world(LINE_ID)
    assert LINE_ID not in gym.registry
    with pytest.raises(UnknownNameError):
        tasks.task_card(LINE_ID)


@pytest.mark.parametrize("world", [LINE, CARRY], ids=lambda world: world.card.id)
def test_rewards_are_paid_whether_or_not_the_constructor_takes_one(world: World) -> None:
    densegym.register_world(world)
    env_id, spec = world.card.id, {"model": "env", "scale": 3.0}
    env = densegym.make(env_id, reward=spec, seed=2)
    env.reset(seed=2)
    expert, paid, ended = expert_policy(env_id), [], False
    obs, _ = env.reset(seed=2)
    while not ended:
        obs, reward, terminated, truncated, info = env.step(expert(obs))
        paid.append(reward)
        ended = terminated or truncated
    assert paid[-1] == 3.0
    assert info["return/env"] == 1.0
    for mode in ("sync", "async"):
        vector = densegym.make_vec(env_id, 2, reward=spec, seed=2, vectorization_mode=mode)
        vector.reset()
        assert vector.step(vector.action_space.sample())[1].shape == (2,)
        vector.close()


def test_the_command_line_lists_it() -> None:
    densegym.register_world(LINE)
    densegym.register_world(CARRY)
    cards = json.loads(command("envs", "--json"))
    assert {LINE_ID, CARRY_ID, "DenseGym/ButtonPress-v0"} <= {card["id"] for card in cards}
    assert "Stand on the mark." in command("envs", LINE_ID)
    able = {card["id"] for card in json.loads(command("envs", "--json", "--offers", "lookahead"))}
    assert CARRY_ID in able
    assert LINE_ID not in able
    fitting = {row["name"] for row in json.loads(command("rewards", "--json", "--task", CARRY_ID))}
    assert {"env", "delayed", "credit/uniform", "progress/oracle"} <= fitting
    assert not fitting & {"expert", "authored", "milestone"}
    remedies = " ".join(command("rewards", "--task", LINE_ID).split())
    assert "densegym demos collect Guest/Line-v0" in remedies


@pytest.mark.filterwarnings("ignore:.* paid zeros for a rollout:RuntimeWarning")
def test_an_agent_trains_on_it(tmp_path: Path) -> None:
    densegym.register_world(LINE)
    config = resolve(LINE_ID, reward="credit/uniform", steps=256, overrides=SMALL)
    folder = train(config, tmp_path / "run")
    assert load_run(folder).meta["env"] == LINE_ID


def test_its_bank_holds_its_expert_and_its_exploits(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DENSEGYM_CACHE", str(tmp_path))
    densegym.register_world(LINE)
    found = bank.load_or_collect(LINE_ID, episodes=10)
    sources = {item.source for item in found.trajectories}
    assert sources == {"random", "idle", "expert", "noise", "exploit:gives-up"}
    assert all(item.success for item in found.trajectories if item.source == "expert")
    before = bank.bank_path(LINE_ID)
    tasks.unregister_world(LINE_ID)
    densegym.register_world(dataclasses.replace(LINE, entry_point=Line))
    assert bank.bank_path(LINE_ID) != before  # another world, another bank


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demos, "HELD_OUT", 2)
    monkeypatch.setattr(demos, "SHARE", dict.fromkeys(files.FAILURES, 1))


def test_demonstrations_of_an_arm_hold_what_it_has_means_for(few: None) -> None:
    densegym.register_world(CARRY)
    found = demos.collect(CARRY_ID, episodes=2)
    failures, others = ["random", "stall", "near-miss"], ["leaves", "sweep", "planner"]
    assert list(found.rejected) == ["expert", *failures, *others]
    assert {demo.kind for demo in found.demos} == set(found.rejected)
    for demo in found.demos:
        if demo.kind not in others:
            assert (demo.done_at is not None) == (demo.kind == "expert")
        assert demo.left is not None
    straight = next(d for d in found.demos if d.kind == "expert" and not d.expert_from)
    assert straight.left[straight.done_at] == 0
    fit.train(found.demos, updates=2)


def test_an_expert_alone_is_enough_for_demonstrations(few: None, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    densegym.register_world(LINE)
    out = command("demos", "collect", LINE_ID, "--episodes", "2")
    found = demos.collect(LINE_ID, episodes=2)
    assert list(found.rejected) == ["expert", "random", "stall"]
    assert all(demo.left is None for demo in found.demos)
    fit.train(found.demos, updates=2)
    assert out.count("densegym/guest-line/") == 3
    again = files.load_for(LINE.card)
    assert files.digest(again) == files.digest(found.demos)


def test_the_oracle_and_the_landscape_read_its_own_columns(monkeypatch) -> None:
    monkeypatch.setattr(landscape, "LATTICE", (3, 3, 2))
    densegym.register_world(CARRY)
    card = tasks.task_card(CARRY_ID)
    assert find_reward("progress/oracle").ready(card)
    obs = np.array([[0.2, 0.2, 0.2, 0.5, 0.5, 0.5, 0.2, 0.2, 0.2], [0.2] * 9])
    far, there = OraclePotential(task=card).value(Starts(np.arange(2), obs, [{}, {}])).phi
    assert far < there == 1.0
    seen = landscape.survey(CARRY_ID, 0)
    assert landscape.measure(-seen.left, seen)["rank"] == pytest.approx(1.0)
    assert landscape.measure(-seen.distance, seen)["rank"] > 0.5
    densegym.register_world(LINE)
    with pytest.raises(UnknownNameError, match=r"counted ahead.*--offers lookahead"):
        landscape.survey(LINE_ID)


def test_an_entry_point_names_worlds_in_three_ways(installed) -> None:
    second = dataclasses.replace(LINE, card=dataclasses.replace(LINE.card, id="Guest/Line-v1"))
    points = installed(one=LINE, many=[CARRY], made=lambda: [second])
    assert tasks.find_world("DenseGym/ButtonPress-v0") is not None
    assert not any(point.loads for point in points)  # nobody asked for an unknown id
    env = densegym.make(CARRY_ID)
    assert isinstance(env, gym.Env)
    owners = {world.card.id: world.owner for world in tasks.worlds()}
    assert owners[LINE_ID] == "acme-one"
    assert owners["Guest/Line-v1"] == "acme-made"
    assert owners["DenseGym/ButtonPress-v0"] == "densegym"
    assert isinstance(gym.make("Guest/Line-v1", render_mode="rgb_array"), gym.Env)
    assert [point.loads for point in points] == [1, 1, 1]


def test_a_broken_plugin_is_one_warning_and_registers_nothing(installed) -> None:
    taken = dataclasses.replace(
        LINE, card=dataclasses.replace(LINE.card, id="DenseGym/ButtonPress-v0")
    )
    installed(gone=ImportError("no acme"), clash=[CARRY, taken], odd=3, line=LINE)
    with pytest.warns(UserWarning, match="could not be loaded") as told:
        ids = {world.card.id for world in tasks.worlds()}
    messages = [str(item.message) for item in told]
    assert len(messages) == 3
    assert '"gone" of acme-gone' in messages[0]
    assert "acme-clash must choose another name" in messages[1]
    assert '"odd" of acme-odd' in messages[2]
    assert LINE_ID in ids
    assert CARRY_ID not in ids
    assert CARRY_ID not in gym.registry
    assert len(tasks.worlds()) == len(ids)  # and no second warning


def with_feature(*features: Any) -> World:
    return dataclasses.replace(LINE, card=dataclasses.replace(LINE.card, features=features))


def feature(**changes: Any) -> Feature:
    good = Feature("position", (), "m", "world", "of the cart", columns=(0, 1))
    return dataclasses.replace(good, **changes)


@pytest.mark.parametrize(
    ("world", "says"),
    [
        (dataclasses.replace(LINE, entry_point="tests.guests"), 'its "module:Class"'),
        (
            dataclasses.replace(LINE, card=TaskCard(id="Guest/Line")),
            'Write "Guest/Line-v0"',
        ),
        (
            dataclasses.replace(LINE, card=TaskCard(id="DenseGym/ButtonPress-v0")),
            'id "DenseGym/ButtonPress-v0" is already registered by densegym; user must',
        ),
        (
            dataclasses.replace(LINE, card=TaskCard(id="CartPole-v1")),
            "already registered by another package",
        ),
        (dataclasses.replace(LINE, capabilities=Capabilities(reach=gym.make)), "workspace="),
        (dataclasses.replace(LINE, capabilities=Capabilities(expert="me")), '"module:attr"'),
        (with_feature("position"), "features are densegym.Feature"),
        (with_feature(feature(name="the position")), "parameter's name"),
        (with_feature(feature(name="lambda")), "parameter's name"),
        (with_feature(feature(name="terminated")), "named twice, or like the clock"),
        (with_feature(feature(), feature()), "named twice"),
        (with_feature(feature(source="state")), "obs, action, info"),
        (with_feature(feature(source="info")), 'key="position"'),
        (with_feature(feature(shape=(0,))), "positive whole numbers"),
        (with_feature(feature(shape=3)), "positive whole numbers"),
        (with_feature(feature(columns=(0, 2))), r"takes columns \(0, 1\)"),
        (with_feature(feature(columns=(0, 1, 2))), "pair"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_row_is_refused_and_nothing_is_registered(world: World, says: str) -> None:
    before = snapshot()
    with pytest.raises(DenseGymError, match=says):
        tasks.add_worlds([CARRY, world])
    assert snapshot() == before


def test_a_row_that_gymnasium_refuses_takes_back_those_before_it(monkeypatch) -> None:
    before, register = snapshot(), gym.register

    def refuse(env_id: str, **kwargs: Any) -> None:
        if env_id == CARRY_ID:
            raise gym.error.RegistrationError("no")
        register(env_id, **kwargs)

    monkeypatch.setattr(gym, "register", refuse)
    with pytest.raises(gym.error.RegistrationError):
        tasks.add_worlds([LINE, CARRY])
    assert snapshot() == before


@pytest.mark.parametrize(
    ("arguments", "keywords", "says"),
    [
        (("Guest/Line-v0",), {}, "needs an entry_point"),
        (("Guest/Line-v0", "a:B"), {"gaol": "x"}, 'Did you mean "goal"'),
        ((LINE,), {"goal": "x"}, "give it alone"),
    ],
)
def test_wrong_calls_say_what_to_type(arguments, keywords, says) -> None:
    with pytest.raises(DenseGymError, match=says):
        densegym.register_world(*arguments, **keywords)


def test_experts_are_named_by_capability() -> None:
    densegym.register_world(LINE)
    with pytest.raises(UnknownNameError, match=r'mean "Guest/Line-v0".*--offers expert'):
        expert_policy("Guest/Lime-v0")
    with pytest.raises(UnknownNameError, match=r"scripted expert to learn from.*--offers demos"):
        demos.collect("DenseGym/HopperForward-v0")
