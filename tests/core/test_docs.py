"""The model that docs write from scratch keeps the contract, and is paid with pictures."""

from __future__ import annotations

import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from densegym.envs.wrappers.single import DenseReward
from densegym.reward_models.checks import check_reward_model
from tests.toys import ACTIONS, CARD, SPACE, Wander

PAGE = Path(__file__).parents[2] / "docs" / "how-a-reward-is-paid.md"


@pytest.fixture(scope="module")
def page() -> dict[str, object]:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {"gymnasium": gymnasium, "__name__": "page"}
    for block in blocks:
        exec(block, names)
    return names


def test_the_model_from_scratch_keeps_the_contract(page) -> None:
    check_reward_model(page["Brightening"], SPACE, ACTIONS)
    suite = page["TestBrightening"]()
    assert len(suite.rules) >= 9
    for rule in suite.rules:
        getattr(suite, rule)()


def test_it_is_paid_for_pictures_with_terms_state_and_cost(page) -> None:
    env = DenseReward(Wander(0.0, render_mode="rgb_array"), page["Brightening"](), task=CARD)
    env.reset(seed=0)
    pytest.importorskip("cv2")
    paid = [env.step(np.full(2, 0.5))[4] for _ in range(5)]
    assert all(info["reward/part/effort"] == pytest.approx(-0.5) for info in paid)
    assert any(info["reward/part/brighter"] != 0.0 for info in paid)
    assert env.engine.metrics()["model_calls"] == 6.0
