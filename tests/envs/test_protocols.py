"""Protocols: limit, ending and success rule are set together, in every host, or refused by name."""

from __future__ import annotations

import random
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import densegym
from densegym.envs.experts import expert_policy
from densegym.envs.protocols import OWN, PROTOCOLS, Terms, terms_of
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import worlds
from densegym.envs.world import World
from densegym.errors import DenseGymError, UnknownNameError

ALL = [world for world in worlds() if world.owner == "densegym"]
ROBOTS = [world for world in ALL if world.protocols]
PAIRS = [(world, name) for world in ROBOTS for name in (OWN, *world.protocols)]
FAMILIES = ("metaworld", "fetch", "maze", "adroit", "locomotion")
SAMPLE = [
    random.Random(0).choice([pair for pair in PAIRS if pair[0].card.family == family])
    for family in FAMILIES
]
BUTTON, REACH = "DenseGym/ButtonPress-v0", "DenseGym/FetchReach-v0"


def name_of(value: Any) -> str:
    return value.card.id if isinstance(value, World) else str(value)


def made(world: World, protocol: str) -> list[gym.Env[Any, Any]]:
    """Return the environment as every host makes it."""
    batched: Any = densegym.make_vec(world.card.id, num_envs=1, protocol=protocol)
    lanes: Any = gym.make_vec(
        world.card.id, num_envs=1, vectorization_mode="sync", protocol=protocol
    )
    return [
        gym.make(world.card.id, protocol=protocol),
        densegym.make(world.card.id, protocol=protocol),
        gym.make(bare_spec(world.card.id, protocol)),
        batched.unwrapped.envs[0],
        lanes.envs[0],
    ]


def check_hosts(world: World, protocol: str) -> None:
    terms = terms_of(world, protocol)
    rule = PROTOCOLS[protocol]
    for env in made(world, protocol):
        assert env.spec is not None
        assert env.spec.max_episode_steps == terms.limit
        assert env.spec.kwargs.get("protocol", OWN) == protocol
        held: Any = env.unwrapped
        assert held.terminate_on_success is terms.ends_at_success
        assert (held._ends, held._latches) == (rule.ends, not rule.last_step)
        again: Any = gym.make(env.spec)
        assert again.spec.max_episode_steps == terms.limit
        env.close()
        again.close()


@pytest.mark.parametrize(("world", "protocol"), SAMPLE, ids=name_of)
def test_every_host_makes_what_the_protocol_says(world: World, protocol: str) -> None:
    check_hosts(world, protocol)


@pytest.mark.slow
@pytest.mark.parametrize(("world", "protocol"), PAIRS, ids=name_of)
def test_every_host_makes_what_the_protocol_says_of_every_world(
    world: World, protocol: str
) -> None:
    check_hosts(world, protocol)


@pytest.mark.parametrize("world", ALL, ids=name_of)
def test_what_does_not_fit_is_refused_with_what_does(world: World) -> None:
    fitting = (OWN, *world.protocols)
    for protocol in PROTOCOLS:
        if protocol in fitting:
            assert bare_spec(world.card.id, protocol).max_episode_steps is not None or (
                protocol == OWN
            )
            continue
        with pytest.raises(DenseGymError, match="does not fit") as refusal:
            bare_spec(world.card.id, protocol)
        assert world.card.id in str(refusal.value)
        assert all(f'"{name}"' in str(refusal.value) for name in fitting)
    with pytest.raises(UnknownNameError, match='Did you mean "metaworld-500"'):
        bare_spec(world.card.id, "metaworld-50")


@pytest.mark.parametrize(
    "env_id", ["DenseGym/HarmlessStep-v0", "DenseGym/NetHackScore-v0", "DenseGym/Shop-v0"]
)
def test_gymnasium_refuses_too_and_takes_the_remedy(env_id: str) -> None:
    with pytest.raises(DenseGymError, match='type protocol="densegym"'):
        gym.make(env_id, protocol="fixed-horizon")
    gym.make(env_id, protocol="densegym").close()


def test_the_table_says_of_endings_what_the_worlds_do() -> None:
    for world in ROBOTS:
        assert isinstance(world.entry_point, str)
        module, name = world.entry_point.split(":")
        assert getattr(import_module(module), name).ends_at_success is world.ends_at_success
    assert {world.card.family for world in ROBOTS} == set(FAMILIES)


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"terminate_on_success": True}, "goes on at success; given terminate_on_success=True"),
        ({"max_episode_steps": 77}, "has episodes of 500 steps; .* max_episode_steps=77"),
    ],
)
def test_an_argument_against_the_protocol_is_refused(kwargs: dict[str, Any], says: str) -> None:
    for make in (gym.make, densegym.make):
        with pytest.raises(DenseGymError, match=says):
            make(BUTTON, protocol="metaworld-500", **kwargs)


def test_the_own_protocol_is_what_there_was_without_one() -> None:
    for world in random.Random(1).sample(ROBOTS, 3):
        plain, named = gym.make(world.card.id), gym.make(world.card.id, protocol=OWN)
        named.action_space.seed(0)
        told = [env.reset(seed=4) for env in (plain, named)]
        for _ in range(20):
            same(told)
            action = named.action_space.sample()
            told = [env.step(action) for env in (plain, named)]
        same(told)
        plain.close()
        named.close()


def same(told: list[Any]) -> None:
    first, second = told
    for one, other in zip(first, second, strict=True):
        np.testing.assert_equal(one, other)


def play(env: gym.Env[Any, Any], act: Any, seed: int = 0) -> tuple[list[dict[str, Any]], bool]:
    """Return the infos of an episode and whether it was terminated."""
    obs, _ = env.reset(seed=seed)
    infos: list[dict[str, Any]] = []
    while True:
        obs, _, terminated, truncated, info = env.step(act(obs))
        infos.append(info)
        if terminated or truncated:
            return infos, terminated


def test_metaworld_500_goes_on_and_latches() -> None:
    env = gym.make(BUTTON, protocol="metaworld-500")
    infos, terminated = play(env, expert_policy(BUTTON))
    first = next(t for t, info in enumerate(infos) if info["success_now"])
    assert (len(infos), terminated) == (500, False)
    assert all(info["is_success"] == float(t >= first) for t, info in enumerate(infos))
    assert infos[-1]["return/env"] == sum(info["success_now"] for info in infos) > 1


def test_fetch_last_step_forgets_a_goal_that_was_left() -> None:
    def passes_by(steps: int) -> Any:
        count = iter(range(1000))

        def act(obs: Any) -> Any:
            away = next(count) >= steps
            move = np.zeros(4)
            move[:3] = 1.0 if away else 10 * (obs["desired_goal"] - obs["achieved_goal"])
            return np.clip(move, -1, 1)

        return act

    for steps, at_the_end in ((30, 0.0), (50, 1.0)):
        for protocol, says in (("fetch-last-step", at_the_end), (OWN, 1.0)):
            infos, terminated = play(gym.make(REACH, protocol=protocol), passes_by(steps))
            assert (len(infos), terminated) == (50, False)
            assert infos[-1]["success_now"] == at_the_end
            assert infos[-1]["is_success"] == says


def test_a_fixed_horizon_outlasts_falls() -> None:
    env_id = "DenseGym/HopperForward-v0"
    lengths = {}
    for protocol in (OWN, "fixed-horizon"):
        env = gym.make(env_id, protocol=protocol)
        infos, terminated = play(env, lambda obs, env=env: np.zeros(env.action_space.shape))
        lengths[protocol] = len(infos)
        assert terminated is (protocol == OWN)
    assert lengths[OWN] < lengths["fixed-horizon"] == 1000


def test_terms_read_as_a_sentence() -> None:
    assert str(Terms("metaworld-500", 500, False, False, "latched")) == (
        "metaworld-500 (500 steps, never ends early, success latched)"
    )
    assert str(Terms(OWN, None, None, True, "latched")) == (
        "densegym (the world's own clock, success latched)"
    )
