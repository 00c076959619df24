"""DRRN: looks, network, replay, learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from densegym.agents.shop.drrn import (
    DRRN,
    DRRNConfig,
    DRRNPlayer,
    DRRNTrainer,
    Memory,
    Replay,
    bag,
    look_at,
    q_values,
)
from densegym.agents.shop.episodes import play_episodes
from densegym.envs.shop.session.core import ShopCore

TINY = DRRNConfig(steps=200, lanes=4, buckets=512, size=8, hidden=16, batch=16)


def begun(world) -> ShopCore:
    core = ShopCore(world.shop)
    core.begin(world.goals[0])
    return core


def test_every_action_it_sees_is_valid(train):
    core = begun(train)
    for _ in range(3):
        look, names = look_at(core)
        assert len(look.actions) == len(names)
        for name in names:
            assert not core.copy().act(name).invalid
        core.act(names[-1] if core.state.page != "results" else "click[#1]")


def test_batched_values_equal_single_ones(train):
    torch.manual_seed(0)
    network, core = DRRN(TINY), begun(train)
    first, _ = look_at(core)
    core.act(look_at(core)[1][0])
    second, _ = look_at(core)
    together = q_values(network, [first, second])
    for look, values in zip((first, second), together, strict=True):
        np.testing.assert_allclose(q_values(network, [look])[0], values, atol=1e-6)
        assert len(values) == len(look.actions)
    assert q_values(network, []) == []


def test_an_empty_text_is_a_bag_too():
    assert len(bag("")) == 1
    assert bag("Red, red LAMP!").tolist() == bag("red red lamp").tolist()


def test_replay_draws_half_from_paid_episodes(train):
    look, _ = look_at(begun(train))
    memory = Memory(look, 0, 0.0, None)
    paid = memory._replace(reward=1.0)
    replay = Replay(40, np.random.default_rng(0))
    replay.add([memory] * 30)
    assert {item.reward for item in replay.draw(8)} == {0.0}
    replay.add([memory, paid])
    drawn = replay.draw(8)
    assert len(drawn) == 8
    assert len(replay) == 22
    assert any(item.reward for item in drawn)


def test_learning_is_decided_by_its_seed_and_changes_the_values(train, test):
    def learned(seed: int) -> torch.Tensor:
        trainer = DRRNTrainer(train, TINY, seed)
        trainer.learn()
        return trainer.network.value[0].weight.detach().clone()

    first, again = learned(1), learned(1)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert (first != learned(2)).any()


def test_progress_is_told_and_the_network_plays(train, test):
    told: list[int] = []
    trainer = DRRNTrainer(train, TINY)
    assert trainer.learn(lambda done, paid: told.append(done)) > 0
    assert told[-1] == pytest.approx(TINY.steps, abs=TINY.lanes)
    seen = play_episodes(DRRNPlayer(trainer.network), test, test.goals[:4])
    assert sum(seen.invalid) == 0
