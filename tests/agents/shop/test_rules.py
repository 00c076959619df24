"""Players without learning, the linear scorer, and how episodes are played."""

from __future__ import annotations

import numpy as np
import pytest

from densegym.agents.shop import rules
from densegym.agents.shop.episodes import play_episodes
from densegym.agents.shop.errands import Errand, next_action
from densegym.agents.shop.linear import NAMES, LinearScorer, fit_linear
from densegym.agents.shop.shopper import Shopper
from densegym.envs.shop.session.core import ShopCore


class Stubborn:
    """Writes the same thing every time."""

    def __init__(self, action: str) -> None:
        self.action = action

    def choose(self, shoppers: list[Shopper]) -> list[str]:
        return [self.action] * len(shoppers)


def test_the_expert_buys_every_target_exactly(test):
    seen = play_episodes(rules.expert(test.shop), test, test.goals)
    assert seen.goal == [goal.id for goal in test.goals]
    assert all(seen.success)
    assert all(seen.strict)
    assert seen.score == [100.0] * len(test.goals)
    assert sum(seen.invalid) == 0


def test_the_bounds_are_in_order(test):
    shop, goals = test.shop, test.goals
    first, options, ten, fifty = (
        np.mean(play_episodes(player, test, goals).score)
        for player in (
            rules.first_item(shop),
            rules.first_item_with_options(shop),
            rules.best_listed(shop, first=10),
            rules.best_listed(shop, first=50),
        )
    )
    assert first < options <= ten <= fifty
    assert np.mean(play_episodes(rules.RandomPlayer(0), test, goals).score) < options


@pytest.mark.parametrize("lanes", [1, 3, 64])
def test_lanes_change_nothing_for_a_deterministic_player(test, lanes):
    player = rules.first_item_with_options(test.shop)
    few = play_episodes(player, test, test.goals[:7], lanes=lanes)
    alone = [play_episodes(player, test, [goal]).score[0] for goal in test.goals[:7]]
    assert few.score == alone


def test_an_invalid_action_costs_a_step_and_ends_in_truncation(test):
    told: list[int] = []
    seen = play_episodes(Stubborn("nonsense"), test, test.goals[:3], on_episode=told.append)
    assert seen.steps == seen.invalid == [test.max_steps] * 3
    assert not any(seen.bought)
    assert seen.score == [0.0] * 3
    assert told == [1, 2, 3]


def test_no_goals_make_no_episodes(test):
    assert play_episodes(rules.first_item(test.shop), test, []).goal == []


def test_an_errand_finds_back_from_every_page(test):
    goal = test.goals[0]
    core = ShopCore(test.shop)
    core.begin(goal)
    errand = rules.expert_plan(core)
    astray = [f"search[{errand.query}]", "click[next >]", "click[< prev]", "click[#2]"]
    for action in [*astray, "click[features]"]:
        core.act(action)
    for _ in range(20):
        if core.over:
            break
        core.act(next_action(core, errand))
    assert core.outcome is not None
    assert core.outcome.success


def test_an_errand_for_nothing_keeps_searching(test):
    core = ShopCore(test.shop)
    core.begin(test.goals[0])
    for expected in ("search[zzzz]", "click[back to search]", "search[zzzz]"):
        assert next_action(core, Errand("zzzz", -1)) == expected
        assert not core.act(expected).invalid


def expected(scorer: LinearScorer, world) -> float:
    """Return the mean reward of the scorer's drawn choices."""
    paid = []
    for goal in world.goals:
        errands, rows = scorer.look(goal)
        worth = [
            world.shop.outcome(goal, errand.product, tuple(errand.options.items())).reward
            for errand in errands
        ]
        paid.append(scorer.chances(rows) @ worth)
    return float(np.mean(paid))


def test_the_linear_scorer_learns_what_is_paid(train, test):
    scorer = fit_linear(train, seed=0, episodes=600)
    assert scorer.weights.shape == (len(NAMES),)
    assert expected(scorer, test) > expected(LinearScorer(test.shop), test) + 0.2


def test_the_linear_scorer_is_decided_by_its_seed(train):
    first, again, other = (fit_linear(train, seed=s, episodes=50).weights for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_features_lie_in_the_unit_interval_and_chances_sum_to_one(train):
    scorer = LinearScorer(train.shop, np.arange(len(NAMES)))
    for goal in train.goals[:20]:
        errands, rows = scorer.look(goal)
        assert rows.shape == (len(errands), len(NAMES))
        assert ((rows >= 0) & (rows <= 1)).all()
        assert scorer.chances(rows).sum() == pytest.approx(1.0)
