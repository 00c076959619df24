"""Codes of games and of Discrete states: what they stand for is learnt, their size is not read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from densegym.reward_models.credit.fitting.inputs import inputs, states
from densegym.reward_models.credit.redistribution.rrd import RRDCredit
from densegym.reward_models.types import Episode
from tests.reward_models.credit.worlds import made_credit, played


def seen(glyphs: Any, messages: list[bytes]) -> dict[str, Any]:
    rows = len(glyphs)
    message = np.zeros((rows, 256), dtype=np.uint8)
    for row, text in zip(message, messages, strict=True):
        row[: len(text)] = list(text)
    blstats = np.zeros((rows, 27), dtype=np.int64)
    blstats[:, 0], blstats[:, 1] = 5, 4
    return {
        "glyphs": np.asarray(glyphs, dtype=np.int16),
        "blstats": blstats,
        "message": message,
        "inv_glyphs": np.full((rows, 55), 5976, dtype=np.int16),
    }


def test_a_glyph_is_no_quantity_and_a_message_is_words():
    glyphs = np.full((4, 21, 79), 2359)
    glyphs[1, 4, 5], glyphs[2, 4, 5] = 333, 334
    obs = seen(glyphs, [b"", b"", b"", b"The door opens."])
    rows = states(obs)
    assert np.abs(rows).max() <= 5.0  # the largest number is the agent's place
    # Neighbouring glyph numbers are as far apart as any two.
    near, far = np.abs(rows[1] - rows[2]).sum(), np.abs(rows[1] - rows[0]).sum()
    assert 0.3 < near / far < 3.0
    assert (rows[3] != rows[0]).sum() == 3  # three words
    assert np.isfinite(inputs(obs, np.zeros(4, dtype=np.int64), obs)).all()


def test_states_that_are_numbers_are_told_apart():
    rows = states(np.arange(500))  # as of Taxi
    assert len(np.unique(rows, axis=0)) == 500
    assert states(np.arange(500)[:, None]).tolist() == np.arange(500)[:, None].tolist()


@pytest.mark.parametrize("kind", ["game", "discrete"])
def test_what_a_symbol_is_worth_is_learnt_from_returns(kind):
    """Eight symbols in a drawn order of worth: their numbers say nothing about it."""
    rng = np.random.default_rng(0)
    symbols = np.array([2359, 2360, 2378, 333, 334, 397, 12, 13])
    worth = np.array([1.0, -1.0, 0.5, -0.5, 0.8, -0.8, 0.2, -0.2])

    def game(slot: int) -> Episode:
        drawn = rng.integers(8, size=7)
        obs: Any = symbols[drawn]
        if kind == "game":
            glyphs = np.full((7, 21, 79), 2359)
            glyphs[:, 4, 6] = symbols[drawn]
            obs = seen(glyphs, [b""] * 7)
        one = played(worth[drawn[:-1]].tolist(), slot=slot, discrete=True)
        return Episode(slot, obs, one.action, one.env_reward, one.dense_reward, True, one.info)

    model = made_credit(RRDCredit, updates_per_step=0.5, hidden=32, learning_rate=3e-3)
    model.finish([game(k) for k in range(150)])
    held_out = [game(k) for k in range(30)]
    told = np.concatenate(model.judge(held_out))
    hidden = np.concatenate([one.env_reward for one in held_out])
    assert np.corrcoef(told, hidden)[0, 1] > 0.8
