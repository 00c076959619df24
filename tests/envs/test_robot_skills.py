"""Success rules of locomotion skills: they fire on the skill, and on nothing that resembles it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.envs.robot.locomotion import SKILLS, LocomotionEnv
from densegym.envs.robot.skills import (
    LYING_STEPS,
    WAVE_WINDOW,
    Flip,
    Forward,
    LieDown,
    Posture,
    Skill,
    WaveLeg,
)
from densegym.errors import UnknownNameError

FEET_DOWN, FEET_UP = np.array([True]), np.array([False])


def fired(skill: Skill, postures: Iterable[Posture]) -> list[int]:
    """Return the steps at which the rule holds; the first posture is the reset."""
    start, *rest = postures
    skill.reset(start)
    return [step for step, posture in enumerate(rest) if skill.update(posture)]


# Forward


def walk(metres: float, steps: int, fallen: int = 0) -> list[Posture]:
    xs = np.linspace(5.0, 5.0 + metres, steps + 1)
    return [Posture(x=x, height=0.2 if 0 < i <= fallen else 1.2) for i, x in enumerate(xs)]


def test_forward_needs_the_distance_from_the_start() -> None:
    assert fired(Forward(2.0, 0.7), walk(2.2, 110))[0] == 99
    assert fired(Forward(2.0, 0.7), walk(1.99, 110)) == []
    assert fired(Forward(2.0, 0.7), walk(-3.0, 110)) == []


def test_forward_needs_nine_steps_in_ten_upright() -> None:
    assert fired(Forward(2.0, 0.7), walk(2.0, 100, fallen=10)) == [99]
    assert fired(Forward(2.0, 0.7), walk(2.0, 100, fallen=11)) == []


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=60))
def test_forward_never_fires_short_of_its_distance(moves: list[float]) -> None:
    xs = np.clip(np.cumsum(moves), -np.inf, 1.99)
    postures = [Posture(0.0, 1.2), *(Posture(x, 1.2) for x in xs)]
    assert fired(Forward(2.0, 0.7), postures) == []


# Flip


def jump(turns: float, *, airborne: bool = True, height: float = 1.3) -> list[Posture]:
    """Stand, turn steadily by ``turns`` and stand again."""
    standing = [Posture(0.0, 1.2, foot_contact=FEET_DOWN)] * 3
    flight = [
        Posture(0.0, height, pitch=pitch, airborne=airborne, foot_contact=FEET_UP)
        for pitch in np.linspace(0.0, 2 * math.pi * turns, 40)
    ]
    landing = Posture(0.0, 1.1, pitch=2 * math.pi * turns, foot_contact=FEET_DOWN)
    return [*standing, *flight, *[landing] * 10]


@pytest.mark.parametrize("direction", [+1, -1])
def test_a_flip_is_a_full_turn_and_a_landing(direction: int) -> None:
    assert len(fired(Flip(direction), jump(direction * 1.02))) == 1
    assert fired(Flip(direction), jump(-direction * 1.02)) == []
    assert fired(Flip(direction), jump(direction * 0.5)) == []
    assert fired(Flip(direction), jump(0.0)) == []


def test_a_flip_that_ends_on_the_back_or_lands_too_late_is_none() -> None:
    turned = jump(1.02)[:-10]
    lying = Posture(0.0, 0.2, pitch=6.4, foot_contact=FEET_UP)
    landed = Posture(0.0, 1.1, pitch=6.4, foot_contact=FEET_DOWN)
    assert fired(Flip(+1), [*turned, *[lying] * 300]) == []
    assert len(fired(Flip(+1), [*turned, *[lying] * 90, landed])) == 1
    assert fired(Flip(+1), [*turned, *[lying] * 120, landed]) == []


def test_rolling_over_on_the_floor_is_no_flip() -> None:
    assert fired(Flip(+1), jump(1.02, airborne=False, height=0.2)) == []
    assert len(fired(Flip(+1), jump(1.02, airborne=False, height=0.6))) == 1


@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=60), st.sampled_from([1, -1]))
def test_rocking_within_a_full_turn_never_fires(pitches: list[float], direction: int) -> None:
    postures = [
        Posture(0.0, 1.2, pitch=pitch, airborne=step % 2 == 0, foot_contact=np.array([step % 2]))
        for step, pitch in enumerate([0.0, *(pitch * 2 for pitch in pitches)])
    ]
    assert fired(Flip(direction), postures) == []


@given(st.lists(st.floats(-9.0, 9.0), min_size=1, max_size=60))
def test_front_and_back_flips_mirror_each_other(pitches: list[float]) -> None:
    def film(sign: int) -> list[Posture]:
        return [
            Posture(0.0, 1.2, pitch=sign * pitch, foot_contact=FEET_DOWN)
            for pitch in [0.0, *np.cumsum(pitches)]
        ]

    assert fired(Flip(+1), film(+1)) == fired(Flip(-1), film(-1))


# Lie down

LYING = Posture(0.0, 0.37, speed=0.02, up=1.0)


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_lying_counts_consecutive_steps(lies: list[bool]) -> None:
    standing = Posture(0.0, 0.56)
    run, expected = 0, []
    for step, lying in enumerate(lies):
        run = run + 1 if lying else 0
        expected += [step] if run >= LYING_STEPS else []
    assert fired(LieDown(), [standing, *(LYING if lying else standing for lying in lies)]) == (
        expected
    )


def test_lying_down_needs_the_last_of_its_fifty_steps() -> None:
    assert fired(LieDown(), [LYING] * 50) == []
    assert fired(LieDown(), [LYING] * 51) == [49]


@pytest.mark.parametrize(
    "near_miss",
    [
        LYING._replace(height=0.56),
        LYING._replace(speed=0.5),
        LYING._replace(up=-1.0),
        LYING._replace(up=0.7),
    ],
    ids=["standing", "falling", "on its back", "tilted"],
)
def test_other_postures_are_no_lying_down(near_miss: Posture) -> None:
    assert fired(LieDown(), [near_miss] * 200) == []


# Wave


def wave(
    *, steps: int = 300, period: int = 40, height: float = 0.2, stand: float = 1.0, leg: int = 2
) -> list[Posture]:
    postures = []
    for step in range(steps):
        contact, heights, speed = np.zeros(4, bool), np.zeros(4), np.zeros(4)
        contact[:] = step % 100 < stand * 100
        contact[leg] = height <= 0.0
        heights[leg] = height
        speed[leg] = 3.0 * math.cos(2 * math.pi * step / period)
        postures.append(
            Posture(0.0, 0.5, foot_height=heights, foot_contact=contact, leg_velocity=speed)
        )
    return postures


def test_waving_any_leg_fires_once_the_window_is_full() -> None:
    for leg in range(4):
        assert fired(WaveLeg(), wave(leg=leg))[0] == WAVE_WINDOW - 1


@pytest.mark.parametrize(
    "near_miss",
    [
        wave(height=0.1),
        wave(height=0.0),
        wave(period=10_000),
        wave(stand=0.7),
        wave(steps=150),
    ],
    ids=["too low", "on the floor", "held still", "hopping", "too short"],
)
def test_near_misses_of_waving(near_miss: list[Posture]) -> None:
    assert fired(WaveLeg(), near_miss) == []


def test_two_lifted_legs_are_no_wave() -> None:
    postures = [
        posture._replace(foot_contact=posture.foot_contact & np.array([True, True, True, False]))
        for posture in wave()
    ]
    assert fired(WaveLeg(), postures) == []


# The rules in the simulator


def rollout(skill: str, act: Callable[[Any, int], Any], seed: int, steps: int) -> tuple[float, int]:
    """Return the return and the length of one episode."""
    env = LocomotionEnv(skill)
    env.action_space.seed(seed)
    env.reset(seed=seed)
    total = 0.0
    for step in range(steps):
        _, reward, terminated, _, info = env.step(act(env, step))
        total += reward
        assert reward == info["success_now"]
        if terminated:
            break
    env.close()
    return total, step + 1


@pytest.mark.parametrize("skill", SKILLS)
def test_random_actions_show_no_skill(skill: str) -> None:
    for seed in range(3):
        assert rollout(skill, lambda env, _: env.action_space.sample(), seed, 250)[0] == 0.0


@pytest.mark.parametrize("skill", sorted(set(SKILLS) - {"AntLieDown"}))
def test_doing_nothing_shows_no_skill(skill: str) -> None:
    def nothing(env: Any, step: int) -> Any:
        return np.zeros(env.action_space.shape, np.float32)

    assert rollout(skill, nothing, 0, 250)[0] == 0.0


def hold(env: Any, target: Any) -> Any:
    """Return the torques that pull the Ant's joints towards target angles."""
    model, data = env.held.model, env.held.data
    pull = np.clip(target - data.qpos[7:] - 0.05 * data.qvel[6:], -1.0, 1.0)
    return pull[model.actuator_trnid[:, 0] - 1].astype(np.float32)


LIMP = np.array([0, 0.52, 0, -0.52, 0, -0.52, 0, 0.52])
STANDING = np.array([0, 1.0, 0, -1.0, 0, -1.0, 0, 1.0])


def test_an_ant_with_its_legs_stretched_lies_down_and_a_standing_one_does_not() -> None:
    total, length = rollout("AntLieDown", lambda env, _: hold(env, LIMP), 0, 200)
    assert total == 1.0
    assert length < 150
    assert rollout("AntLieDown", lambda env, _: hold(env, STANDING), 0, 250) == (0.0, 250)


def waving(env: Any, step: int) -> Any:
    # The neighbouring legs turn towards the lifted one, or the body would tip onto it.
    swing = 0.5 * math.sin(2 * math.pi * step / 30)
    return hold(env, np.array([swing, 0.4, -0.5, -1.0, 0.0, -0.8, 0.5, 1.0]))


def test_an_ant_can_wave_a_leg_and_a_still_leg_is_no_wave() -> None:
    assert rollout("AntWaveLeg", waving, 0, 300) == (1.0, WAVE_WINDOW)
    assert rollout("AntWaveLeg", lambda env, _: waving(env, 7), 0, 300)[0] == 0.0


@pytest.mark.parametrize(("skill", "sign"), [("HopperFrontflip", 1), ("HopperBackflip", -1)])
def test_a_hopper_turned_in_the_air_and_set_on_its_foot_has_flipped(skill: str, sign: int) -> None:
    env = LocomotionEnv(skill)
    env.reset(seed=0)
    rest = env.held.init_qpos.copy()

    def film(turn: float, final_height: float) -> list[Posture]:
        flight = [(2.0, pitch) for pitch in np.linspace(0.0, turn, 30)]
        postures = []
        for height, pitch in [(1.205, 0.0), *flight, (final_height, turn)]:
            rest[1:3] = height, pitch
            env.held.set_state(rest, env.held.init_qvel)
            postures.append(env.posture())
        return postures

    full = sign * 2 * math.pi * 1.001
    flip = SKILLS[skill][1]()
    assert fired(flip, film(full, 1.205)) == [30]
    assert fired(flip, film(full / 2, 1.205)) == []
    assert fired(flip, film(-full, 1.205)) == []
    assert fired(flip, film(full, 2.0)) == []
    env.close()


@pytest.mark.parametrize(
    ("skill", "metres"),
    [("HopperForward", 2), ("Walker2dForward", 2), ("AntForward", 2), ("HalfCheetahForward", 10)],
)
def test_a_robot_carried_forward_is_paid_once(skill: str, metres: float) -> None:
    env = LocomotionEnv(skill, terminate_on_success=False)
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, np.float32)
    qpos, qvel = env.held.data.qpos.copy(), env.held.data.qvel.copy()
    rewards, latched = [], []
    for carried in (0.5 * metres, 0.95 * metres, 1.05 * metres, 1.1 * metres, 0.0):
        moved = qpos.copy()
        moved[0] += carried
        env.held.set_state(moved, qvel)
        _, reward, _, _, info = env.step(still)
        rewards.append(reward)
        latched.append(info["is_success"])
        assert "expert_reward" in info
    assert rewards == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert latched == [0.0, 0.0, 1.0, 1.0, 1.0]
    env.close()


def test_unknown_skills_name_the_closest() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "HopperForward"'):
        LocomotionEnv("HoperForward")
