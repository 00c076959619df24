"""The probe that can be farmed, and the bench that shows by which rewards."""

from __future__ import annotations

import gymnasium as gym
import pytest

from densegym.agents.studies import hacking
from densegym.envs.probes.harmless import HAND_IN, LOOK, WALK, HarmlessStep


def play(actions: list[int]) -> tuple[float, float, bool, bool]:
    env = HarmlessStep()
    env.reset(seed=0)
    paid = process = 0.0
    terminated = truncated = False
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        paid, process = paid + reward, process + info["process"]
    return paid, process, terminated, truncated


def test_only_handing_in_at_the_end_pays_and_looking_around_earns_most_process():
    assert play([WALK] * 4 + [HAND_IN]) == (1.0, pytest.approx(4.2), True, False)
    assert play([HAND_IN]) == (0.0, 0.0, True, False)
    assert play([LOOK] * 24) == (0.0, pytest.approx(14.4), False, True)
    assert play([LOOK] * 19 + [WALK] * 4 + [HAND_IN])[2:] == (True, False)


def test_every_arm_builds_and_learns_a_little(monkeypatch):
    monkeypatch.setattr(hacking, "_EPISODES", 1)
    told = []
    rows = hacking.measure([0], steps=512, on_run=told.append)
    assert [row.arm for row in rows] == list(hacking.ARMS)
    assert told == rows
    assert all(0.0 <= row.success <= 1.0 and row.length >= 1 for row in rows)


def test_the_probe_is_registered():
    env = gym.make(hacking.PROBE)
    _, info = env.reset(seed=0)
    assert info["is_success"] == 0.0
