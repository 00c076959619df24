"""Task fitness and the scripted gaits that reach it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from densegym.agents.collecting.bank import bank_steps, play
from densegym.agents.collecting.behaviours import Scripted, expert_behaviour
from densegym.envs.registration import bare_spec
from densegym.envs.robot.fitness import STEP_SECONDS, evaluation_kwargs, fitness
from densegym.envs.robot.gaits import Gait, gaits
from densegym.envs.tasks import worlds
from densegym.errors import UnknownNameError

FORWARD = [w.card.id for w in worlds() if str(w.kwargs.get("skill", "")).endswith("Forward")]


def test_every_forward_skill_is_measured_in_metres_a_second() -> None:
    assert len(FORWARD) == len(STEP_SECONDS) == 4
    for env_id in FORWARD:
        world = gym.make(bare_spec(env_id))
        measure = fitness(env_id)
        assert measure.unit == "m/s"
        assert measure.step_seconds == world.unwrapped.held.dt
        assert evaluation_kwargs(env_id) == {"terminate_on_success": False}


@pytest.mark.parametrize(
    "env_id",
    [
        "DenseGym/HopperBackflip-v0",
        "DenseGym/AntWaveLeg-v0",
        "DenseGym/ButtonPress-v0",
        "DenseGym/FetchPush-v0",
        "DenseGym/PointMaze_UMaze-v0",
        "DenseGym/AdroitHandDoor-v0",
    ],
)
def test_every_other_task_is_measured_by_its_rule(env_id: str) -> None:
    measure = fitness(env_id)
    assert measure.unit == "1"
    assert evaluation_kwargs(env_id) == {}
    missed, met = {"is_success": 0.0}, {"is_success": 1.0}
    assert measure([missed, missed], 100) == 0.0
    assert measure([missed, met], 100) == 1.0


def test_a_fallen_robot_stands_still_for_the_steps_it_lost() -> None:
    infos = [{"x_position": 0.5}, {"x_position": 0.9}, {"x_position": 1.3}]
    whole, cut = (
        fitness("DenseGym/HopperForward-v0")(infos, 2),
        fitness("DenseGym/HopperForward-v0")(infos, 1000),
    )
    assert whole == pytest.approx(0.8 / 0.016)
    assert cut == pytest.approx(0.8 / 8.0)


def test_unknown_tasks_are_named() -> None:
    for ask in (fitness, evaluation_kwargs):
        with pytest.raises(UnknownNameError, match="HopperForward"):
            ask("DenseGym/HoperForward-v0")


def test_gaits_are_for_forward_skills() -> None:
    assert set(gaits()) <= set(FORWARD)
    assert {"DenseGym/HalfCheetahForward-v0", "DenseGym/AntForward-v0"} <= set(gaits())


@pytest.mark.parametrize("env_id", sorted(gaits()))
def test_gaits_arrive_more_often_than_not(env_id: str) -> None:
    expert = expert_behaviour(env_id)
    assert expert is not None
    seen = play(
        Scripted(expert, 0),
        env_id,
        6,
        seed=77,
        source="expert",
        lanes=1,
        env_kwargs=evaluation_kwargs(env_id),
        max_episode_steps=bank_steps(env_id),
    )
    assert np.mean([item.success for item in seen]) >= 0.5


def test_a_gait_keeps_time_from_zero_and_stays_in_bounds() -> None:
    rhythm = gaits()["DenseGym/HalfCheetahForward-v0"]
    obs = np.zeros(rhythm.feedback.shape[1])
    first, again = Gait(rhythm), Gait(rhythm)
    actions = np.array([first(obs) for _ in range(50)])
    np.testing.assert_array_equal(actions[:5], [again(obs) for _ in range(5)])
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1.0
    np.testing.assert_allclose(actions[0], np.clip(rhythm.offset + rhythm.cosine, -1, 1), rtol=1e-6)
