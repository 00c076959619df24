"""Every registered reward that builds offline keeps the contract, on every family of worlds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from densegym.envs import tasks
from densegym.envs.registration import bare_spec
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.checks import RewardModelSuite, check_reward_model
from densegym.reward_models.registry import reward_entries
from densegym.reward_models.spec import build_reward
from densegym.reward_models.types import TaskCard
from tests.supplies import example

FAMILIES = list({world.card.family: world.card for world in reversed(tasks.worlds())}.values())
STREAMS = (  # rewards that learn from the stream, or count over all sub-environments
    "intrinsic/count",
    "intrinsic/e3b",
    "intrinsic/rnd",
    "intrinsic/noveld",
    "intrinsic/product",
    "intrinsic/oni-",
)
FITTED_FIRST = ("intrinsic/motif", "intrinsic/oni-ranking", "intrinsic/oni-classification")


class Recorded(gym.Space):
    """Draws from what a world really showed."""

    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self.seen = seen

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        return self.seen[int(self.np_random.integers(len(self.seen)))]


class World:
    """Observations, actions and infos of a short random play."""

    def __init__(self, card: TaskCard) -> None:
        env = gym.make(bare_spec(card.id))
        obs, info = env.reset(seed=0)
        env.action_space.seed(0)
        observations, actions, self.infos = [obs], [], [dict(info)]
        for _ in range(12):
            actions.append(env.action_space.sample())
            obs, _, terminated, truncated, info = env.step(actions[-1])
            observations.append(obs)
            self.infos.append(dict(info))
            if terminated or truncated:
                env.reset()
        env.close()
        self.observations, self.actions = Recorded(observations), Recorded(actions)

    def info(self, rng: np.random.Generator) -> dict[str, Any]:
        return self.infos[int(rng.integers(len(self.infos)))]


@pytest.fixture(scope="module")
def worlds() -> dict[str, World]:
    return {}


def offline(entry: RewardEntry) -> bool:
    """Whether a reward answers without an endpoint."""
    return "base_url" not in entry.supply


def check_all(
    card: TaskCard, world: World, folder: Path, wanted: Callable[[str], bool]
) -> set[str]:
    """Check the rewards of a world whose names are wanted; return them."""
    checked = set()
    for entry in reward_entries():
        if entry.ready(card) and offline(entry) and wanted(entry.name):
            check_reward_model(
                lambda entry=entry: build_reward(example(entry, card, folder), task=card),
                world.observations,
                world.actions,
                info=world.info,
                rows_apart=not entry.name.startswith(STREAMS),
            )
            checked.add(entry.name)
    return checked


@pytest.mark.parametrize("card", FAMILIES, ids=lambda card: card.family)
def test_every_reward_keeps_the_contract(card: TaskCard, worlds, tmp_path) -> None:
    world = worlds.setdefault(card.id, World(card))
    checked = check_all(card, world, tmp_path, lambda name: not name.startswith(FITTED_FIRST))
    assert {"env", "delayed", "credit/rrd", "credit/pipeline", "credit/channels"} <= checked
    assert "authored/file" in checked


@pytest.mark.slow
@pytest.mark.parametrize("reward", FITTED_FIRST)
def test_rewards_that_are_fitted_before_training_keep_the_contract(reward, tmp_path) -> None:
    card = tasks.task_card("DenseGym/MiniHack-KeyRoom-S5-v0")
    assert len(check_all(card, World(card), tmp_path, lambda name: name.startswith(reward))) == 1


def test_a_third_party_subclasses_the_suite() -> None:
    from tests.toys import ACTIONS, SPACE, Counting

    class TestCounting(RewardModelSuite):
        observation_space, action_space = SPACE, ACTIONS

        def make(self) -> Counting:
            return Counting(abstains=True)

    assert "test_a_checkpoint_loses_nothing" in TestCounting.rules
    for rule in TestCounting.rules:
        getattr(TestCounting(), rule)()
