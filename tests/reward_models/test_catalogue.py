"""Every reward that is listed for a world builds there; every family's catalogue has one shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from densegym.envs import tasks
from densegym.reward_models import registry
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.registry import find_reward, reward_entries
from densegym.reward_models.spec import build_engine
from densegym.reward_models.types import TaskCard
from tests.offers import Point
from tests.supplies import example

CARDS = [world.card for world in tasks.worlds()]
ONE_A_FAMILY = list({card.family: card for card in reversed(CARDS)}.values())


@pytest.fixture(scope="module")
def supplies(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("supplies")


def built(entry: RewardEntry, card: TaskCard, supplies: Path) -> RewardEngine:
    return build_engine(example(entry, card, supplies), 2, task=card)


def check(card: TaskCard, supplies, *, slow: bool) -> None:
    entries = [entry for entry in reward_entries() if entry.ready(card)]
    assert {"env", "delayed", "credit/uniform"} <= {entry.name for entry in entries}
    for entry in entries:
        if slow or not entry.asks:
            assert built(entry, card, supplies).reward.terms, entry.name


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_rewards_listed_for_a_world_build_there(card: TaskCard, supplies) -> None:
    check(card, supplies, slow=card in ONE_A_FAMILY)


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_every_reward_listed_for_a_world_builds_there(card: TaskCard, supplies) -> None:
    check(card, supplies, slow=True)


@pytest.mark.parametrize("card", ONE_A_FAMILY, ids=lambda card: card.family)
def test_a_row_says_how_its_reward_is_paid(card: TaskCard, supplies) -> None:
    for entry in reward_entries():
        if entry.ready(card) and entry.alias is None:
            engine = built(entry, card, supplies)
            assert engine.reward.terms[0].model.traits.mode == entry.mode, entry.name


def test_captions_are_asked_of_no_robot_and_of_no_shop() -> None:
    for env_id in ("DenseGym/ButtonPress-v0", "DenseGym/Shop-v0"):
        card = tasks.task_card(env_id)
        assert not find_reward("intrinsic/motif").possible(card)
        assert not find_reward("intrinsic/oni-ranking").possible(card)
    assert find_reward("intrinsic/motif").ready(tasks.task_card("DenseGym/NetHackScore-v0"))


def test_a_strangers_world_is_offered_what_asks_for_numbers_or_pictures() -> None:
    card = TaskCard(id="Stranger/World-v3")
    names = {entry.name for entry in reward_entries() if entry.ready(card)}
    assert {"env", "credit/rrd", "intrinsic/rnd-v1", "progress/vlac"} <= names
    assert not names & {"expert", "authored", "progress/oracle", "milestone", "intrinsic/motif-v1"}


def test_a_clash_registers_nothing_and_is_said_again(monkeypatch) -> None:
    taken = RewardEntry("credit/rrd", "nowhere:build", owner="user")
    monkeypatch.setattr(registry, "_REWARDS", {taken.name: taken})
    monkeypatch.setattr(registry, "_loaded", set())
    for _ in range(2):
        with pytest.raises(
            registry.RewardError, match='"credit/rrd" is already registered by user'
        ):
            find_reward("env")
        assert list(registry._REWARDS) == ["credit/rrd"]


def test_a_plugin_may_bring_a_whole_row(monkeypatch) -> None:
    row = RewardEntry("x", "json:loads", "one line", tasks=("DenseGym/Shop-v0",), mode="add")
    points = [Point("acme/row-v1", row, "acme-rewards")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    monkeypatch.setattr(registry, "_REWARDS", {})
    monkeypatch.setattr(registry, "_loaded", set())
    (found,) = (entry for entry in reward_entries() if entry.name.startswith("acme/"))
    assert (found.owner, found.summary, found.mode) == ("acme-rewards", "one line", "add")
    assert not found.possible(tasks.task_card("DenseGym/ShopChoice-v0"))
