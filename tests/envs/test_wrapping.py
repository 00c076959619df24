from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import densegym
from densegym.envs.custom import registry
from densegym.errors import RewardError


@pytest.fixture(autouse=True)
def own_tasks() -> Iterator[None]:
    yield
    registry.forget_tasks()


def by_row(obs: Any, action: Any, next_obs: Any, info: Any) -> float:
    return float(next_obs[2] - obs[2] + 0.1 * action)


def by_batch(steps: Any) -> Any:
    return steps.next_obs[:, 2] - steps.obs[:, 2] + 0.1 * steps.action


def by_term(steps: Any) -> dict[str, Any]:
    turn = steps.next_obs[:, 2].astype(float) - steps.obs[:, 2]
    return {"turn": turn, "push": 0.1 * steps.action}


@pytest.mark.parametrize("function", [by_row, by_batch, by_term])
def test_one_world_a_vector_and_sb3_pay_alike(function: Any) -> None:
    sb3 = pytest.importorskip("stable_baselines3.common.vec_env")
    one = densegym.wrap(gym.make("CartPole-v1"), reward=function)
    many = densegym.wrap_vec(
        gym.make_vec("CartPole-v1", 2, vectorization_mode="sync"), reward=function
    )
    lanes = densegym.wrap_sb3(
        sb3.DummyVecEnv([lambda: gym.make("CartPole-v1")] * 2), reward=function
    )
    lanes.seed(5)
    one.reset(seed=5)
    many.reset(seed=5)
    lanes.reset()
    for action in (0, 1, 1, 0, 1):
        paid = one.step(action)[1]
        both = np.array([action, action])
        assert many.step(both)[1][0] == pytest.approx(paid, abs=1e-12)
        assert lanes.step(both)[1][0] == pytest.approx(paid, abs=1e-12)


def test_terms_of_a_function_stand_in_info() -> None:
    env = densegym.wrap(gym.make("CartPole-v1"), reward=by_term)
    env.reset(seed=0)
    *_, info = env.step(1)
    parts = info["reward/part/turn"] + info["reward/part/push"]
    assert parts == pytest.approx(info["reward/dense"])


def test_a_function_is_a_part_like_any_other() -> None:
    env = densegym.make("CartPole-v1", reward=["env", {"model": "env", "scale": 0.5}, by_row])
    env.reset(seed=0)
    assert env.step(0)[1] != 1.5
    assert "function/by_row" in env.engine.reward.name


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda: 0.0, "takes 0 arguments"),
        (lambda a, b: 0.0, "takes 2 arguments"),
        (lambda steps: np.zeros(7), r"shape \(7,\) for 1 steps"),
        (lambda steps: "much", "expected numbers"),
        (lambda o, a, n, i: None, "must be finite"),
        (lambda o, a, n, i: "much", "expected numbers"),
        (max, "no signature|arguments"),
    ],
)
def test_a_function_that_is_no_reward_is_refused(function: Any, said: str) -> None:
    def step() -> None:
        env = densegym.wrap(gym.make("CartPole-v1"), reward=function)
        env.reset(seed=0)
        env.step(0)

    with pytest.raises(RewardError, match=said):
        step()


def test_a_wrapped_world_tells_the_success_of_its_card() -> None:
    densegym.register_task("CartPole-v1", success="steps >= 4")
    env = densegym.wrap(gym.make("CartPole-v1"))
    env.reset(seed=0)
    told = [env.step(1)[4]["is_success"] for _ in range(5)]
    assert told == [0.0, 0.0, 0.0, 1.0, 1.0]
