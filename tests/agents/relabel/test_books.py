"""What rows of a rollout are worth: faded, kept apart, scaled, beside the learner's values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from densegym.agents.extras.settings import cosine_rise
from densegym.agents.relabel.rollout import RolloutBooks
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.reward import Reward, Term
from tests.toys import Redistribute

OWN = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]])
CREDITS = np.tile(OWN.mean(axis=0), (3, 1))


def begin(engine: RewardEngine) -> None:
    engine.begin(engine.slots, np.zeros((2, 3)), [{}] * 2)


def rollout(engine: RewardEngine, books: RolloutBooks, *, values: float = 0.0) -> Any:
    """Play an episode of three steps in two lanes; the learner adds ``values`` to the last."""
    for t, own in enumerate(OWN):
        outcome = engine.advance(
            slot=engine.slots,
            action=np.zeros((2, 1)),
            next_obs=np.zeros((2, 3)),
            env_reward=own,
            terminated=np.array([t == 2] * 2),
            truncated=np.zeros(2, dtype=bool),
            info=[{}] * 2,
        )
        books.note(t, outcome.reward + values * (t == 2))
    begin(engine)
    return books.rewards(np.array([[True] * 2, [False] * 2, [False] * 2]))


def made(mode: str = "replace", **settings: Any) -> tuple[RewardEngine, RolloutBooks]:
    engine = RewardEngine(Reward([Term(Redistribute(), mode=mode)]), 2)  # type: ignore[arg-type]
    engine.collect()
    begin(engine)
    return engine, RolloutBooks(engine, 3, **{"gamma": 0.5, "normalize": False, **settings})


def test_credits_replace_what_was_paid_and_leave_the_learners_values() -> None:
    engine, books = made()
    for _ in range(2):
        rewards = rollout(engine, books, values=0.25)
        np.testing.assert_array_equal(rewards, CREDITS + 0.25 * np.array([[0.0], [0.0], [1.0]]))
        np.testing.assert_array_equal(books.dense, CREDITS)
        np.testing.assert_array_equal(books.apart, CREDITS)


def test_what_is_kept_apart_is_not_in_the_rewards() -> None:
    engine, books = made("add")
    books.keep_apart()
    np.testing.assert_array_equal(rollout(engine, books, values=0.5)[:2], OWN[:2])
    np.testing.assert_array_equal(books.dense, OWN + CREDITS)
    np.testing.assert_array_equal(books.apart, CREDITS)


def test_pay_fades_along_a_cosine_and_goes_on_fading_after_a_checkpoint() -> None:
    engine, books = made("add")
    books.fade(3)
    for update in range(5):
        left = 1.0 - cosine_rise(update, 3)
        np.testing.assert_allclose(rollout(engine, books), OWN + left * CREDITS, rtol=1e-6)
        np.testing.assert_allclose(books.apart, left * CREDITS, atol=1e-12)
        again, books_again = made("add")
        books_again.fade(3)
        books_again.load_state_dict(books.state_dict())
        engine, books = again, books_again


def test_scaled_credits_follow_the_running_deviation_of_discounted_returns() -> None:
    engine, books = made(normalize=True)
    returns: list[float] = []
    for _ in range(3):
        rewards = rollout(engine, books, values=0.5)
        running = np.zeros(2)
        for row, credit in enumerate(CREDITS):
            running = (running * 0.5 if row else 0.0) + credit
            returns += running.tolist()
        # SB3's moments begin with a count of 1e-4 at mean 0 and variance 1.
        count = len(returns) + 1e-4
        mean = sum(returns) / count
        variance = (1e-4 + sum(x * x for x in returns)) / count - mean * mean
        scaled = CREDITS / np.sqrt(variance + 1e-8)
        np.testing.assert_allclose(rewards[:2], scaled[:2], rtol=1e-5)
        np.testing.assert_allclose(rewards[2], scaled[2] + 0.5, rtol=1e-5)


def test_moments_survive_a_checkpoint() -> None:
    engine, books = made(normalize=True)
    rollout(engine, books)
    other, again = made(normalize=True)
    again.load_state_dict(books.state_dict())
    np.testing.assert_array_equal(rollout(other, again), rollout(engine, books))
    _, plain = made()
    assert plain.state_dict() == {"updates": 0, "moments": {}}


def test_rows_of_ended_episodes_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, books = made()
    asked = []
    monkeypatch.setattr(engine.pay, "forget", asked.append)
    rollout(engine, books)
    rollout(engine, books)
    assert asked == [3, 6]
