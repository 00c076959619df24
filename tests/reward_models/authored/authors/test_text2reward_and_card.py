"""Text2Reward's abstraction and rounds; CARD's introspection and extreme episodes."""

from __future__ import annotations

import dataclasses

import numpy as np

from densegym.reward_models.authored.authors import find_author
from tests.reward_models.authored.fake_context import (
    BANK,
    CARD,
    FakeContext,
    answer,
    crashing,
    misranking,
    program,
    propose,
    trained,
)


def test_text2reward_asks_one_reply_each_on_the_abstraction():
    context = propose("text2reward", [answer(program(i)) for i in range(3)], candidates=3)
    assert context.asked[0]["samples"] == 3
    assert len(context.trained) == 3
    told = context.told(0)
    for part in ("class Environment:", "walker_position: Float[N, 1]  # [m]", "manipulation"):
        assert part in told
    assert "comments" in told
    assert "random actions" not in told
    card = dataclasses.replace(CARD, family="locomotion")
    assert "A reward for locomotion" in propose("text2reward", [None], card=card).told(0)


def test_text2reward_leaves_a_bad_ranking_to_people():
    context = propose("text2reward", [answer(misranking())])
    assert len(context.asked) == 1


def test_text2reward_shows_every_round_and_the_last_feedback():
    rows = [trained("00-00", 0.2, 1.0), trained("00-01", 0.4, 2.0), trained("01-00", 0.3, 3.0)]
    context = propose("text2reward", [answer(program(4))], rows=rows, feedback="it stops short")
    told = context.told()
    assert told.index("Round 1") < told.index(program(2.0)) < told.index("Round 2")
    assert told.index("Round 2") < told.index(program(3.0)) < told.index("it stops short")
    assert program(1.0) not in told
    assert "success in 50% of 20 episodes" in told
    assert "missing or wrong" in told
    assert context.submitted[0].parents == ("01-00",)


# CARD.


def test_card_writes_one_program_and_introspects_before_any_training():
    replies = [answer(misranking(1)), answer(crashing(2)), answer(misranking(3)), answer(program())]
    context = propose("card", replies, candidates=6)
    assert [row.author["note"] for row in context.submitted] == [
        "proposal",
        "introspection",
        "introspection",
        "introspection",
    ]
    assert [row.id for row in context.trained] == ["00-03"]
    assert "20% of all pairs" in context.told(1)
    assert "Failed episodes earn more.\n  near: 1, 2, 3" in context.told(1)


def test_card_gives_up_after_ten_introspections():
    context = propose("card", [answer(misranking(i)) for i in range(11)])
    assert len(context.submitted) == 11


def test_card_shows_training_and_the_extreme_episodes():
    series = [i / 10 for i in range(11)]
    course = {"series": series, "sums": series, "max": 1.0, "mean": 0.5, "min": 0.0}
    row = trained("00-00", 0.3).with_(components={"near": course})
    told = propose("card", [answer(program(2))], rows=[row], feedback="too slow").told()
    line = next(item for item in told.splitlines() if item.startswith("`near`"))
    assert line.startswith("`near`: 0.00, 0.20, 0.50, 0.80, 1.00; Max")
    returns = [
        float(np.abs(item.features["walker_position"] - item.features["goal_position"]).sum())
        for item in BANK.trajectories
    ]
    most, least = BANK.trajectories[np.argmax(returns)], BANK.trajectories[np.argmin(returns)]
    first, last = (told[told.index(title) :].partition("\n")[0] for title in ("Most:", "Least:"))
    assert f"in {len(most)} steps; it does not solve the task" in first
    assert f"in {len(least)} steps; it solves the task" in last
    assert told.index("Most:") < told.index("Least:") < told.index("too slow")
    assert "those recorded for the task" in told


def test_card_prefers_episodes_of_the_programs_own_policy():
    own = dataclasses.replace(BANK.trajectories[0], source="policy:00-00")
    context = FakeContext([answer(program(2))], rows=[trained("00-00", 0.3)])
    context.bank = BANK.joined([own])
    find_author("card").propose(context)
    assert "its own policy" in context.told()
    assert context.told().count(f"in {len(own)} steps") == 2
