"""Programmatic success rules of locomotion skills, as small state machines over postures.

Each rule is fed the posture at reset and after every step, and says when the skill was shown.
Published work on these skills was judged by people watching videos; the thresholds are ours.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from densegym.reward_models.types import Bool, Float

UPRIGHT_SHARE = 0.9  # share of an episode's steps that must be upright
CROSSING_HEIGHT = 0.5  # m, torso at the moment a flip is completed, unless airborne
LANDED_HEIGHT = 0.7  # m, torso after a flip
LANDING_STEPS = 100
LYING_HEIGHT = 0.4  # m; the Ant's joint limits hold a limp torso at 0.37, standing is 0.56
LYING_SPEED = 0.1  # m/s
LYING_UP = 0.8  # z component of the torso's up-vector
LYING_STEPS = 50
LIFTED_HEIGHT = 0.15  # m above the floor, lowest point of the waving foot
WAVE_WINDOW = 200  # steps
WAVE_TURNS = 3  # changes of direction of the waving leg within the window
WAVE_SPEED = 0.5  # rad/s, slower joint motion is no swing
STANDING_SHARE = 0.8  # share of the window in which each other foot touches the floor


class Posture(NamedTuple):
    """What the rules look at.

    Attributes:
        x: m, forward position of the torso.
        height: m, height of the torso.
        pitch: rad, unwrapped; positive leans forward.
        speed: m/s, of the torso.
        up: z component of the torso's up-vector.
        airborne: nothing touches the floor.
        foot_height: (feet,) m, lowest point of each foot above the floor.
        foot_contact: (feet,) bool, which feet touch the floor.
        leg_velocity: (feet,) rad/s, the faster of a leg's two joints, signed.
    """

    x: float
    height: float
    pitch: float = 0.0
    speed: float = 0.0
    up: float = 1.0
    airborne: bool = False
    foot_height: Float = np.zeros(0)
    foot_contact: Bool = np.zeros(0, dtype=np.bool_)
    leg_velocity: Float = np.zeros(0)


class Skill(Protocol):
    """A success rule."""

    def reset(self, posture: Posture) -> None:
        """Start an episode."""

    def update(self, posture: Posture) -> bool:
        """Return whether the skill is shown at this step."""


@dataclass
class Forward:
    """Travel ``distance`` metres forward, upright for at least 90 % of the steps so far."""

    distance: float
    upright_above: float
    _start: float = 0.0
    _steps: int = 0
    _upright: int = 0

    def reset(self, posture: Posture) -> None:
        """Start an episode."""
        self._start, self._steps, self._upright = posture.x, 0, 0

    def update(self, posture: Posture) -> bool:
        """Return whether the distance is covered and the gait was upright."""
        self._steps += 1
        self._upright += posture.height > self.upright_above
        far = posture.x - self._start >= self.distance
        return far and self._upright >= UPRIGHT_SHARE * self._steps


@dataclass
class Flip:
    """Turn once through 2 pi in ``direction`` (+1 forward, -1 back) and land on the foot.

    The turn must be completed airborne or with the torso above 0.5 m; landing means a foot on
    the floor with the torso above 0.7 m within 100 steps.
    """

    direction: int
    _start: float = 0.0
    _turns: int = 0
    _left: int = 0

    def reset(self, posture: Posture) -> None:
        """Start an episode."""
        self._start, self._turns, self._left = posture.pitch, 0, 0

    def update(self, posture: Posture) -> bool:
        """Return whether a completed turn is landed at this step."""
        turned = self.direction * (posture.pitch - self._start)
        self._left = max(self._left - 1, 0)
        if turned >= 2 * math.pi * (self._turns + 1):
            self._turns += 1
            if posture.airborne or posture.height > CROSSING_HEIGHT:
                self._left = LANDING_STEPS
        landed = bool(posture.foot_contact.any()) and posture.height > LANDED_HEIGHT
        if self._left and landed:
            self._left = 0
            return True
        return False


@dataclass
class LieDown:
    """Keep the torso low, level and still for 50 consecutive steps."""

    _still: int = 0

    def reset(self, posture: Posture) -> None:
        """Start an episode."""
        self._still = 0

    def update(self, posture: Posture) -> bool:
        """Return whether it has been lying long enough."""
        low, slow = posture.height < LYING_HEIGHT, posture.speed < LYING_SPEED
        self._still = self._still + 1 if low and slow and posture.up > LYING_UP else 0
        return self._still >= LYING_STEPS


@dataclass
class WaveLeg:
    """Swing one lifted leg to and fro while the other three feet stay on the floor.

    Within the last 200 steps: the leg's motion changes direction at least three times with the
    foot lifted at each change, and every other foot touches the floor in 80 % of the steps.
    """

    _contact: deque[Bool] = field(default_factory=lambda: deque(maxlen=WAVE_WINDOW))
    _turned: deque[Bool] = field(default_factory=lambda: deque(maxlen=WAVE_WINDOW))
    _direction: Float = field(default_factory=lambda: np.zeros(4))

    def reset(self, posture: Posture) -> None:
        """Start an episode."""
        self._contact.clear()
        self._turned.clear()
        self._direction = np.zeros(len(posture.foot_height))

    def update(self, posture: Posture) -> bool:
        """Return whether some leg has waved within the window."""
        lifted = posture.foot_height > LIFTED_HEIGHT
        swinging = np.abs(posture.leg_velocity) > WAVE_SPEED
        direction = np.where(swinging, np.sign(posture.leg_velocity), self._direction)
        turned = lifted & swinging & (direction * self._direction < 0)
        self._direction = np.where(lifted, direction, 0.0)
        self._contact.append(posture.foot_contact)
        self._turned.append(turned)
        if len(self._contact) < WAVE_WINDOW:
            return False
        standing = np.mean(self._contact, axis=0) >= STANDING_SHARE
        others = standing.sum() - standing
        return bool(((np.sum(self._turned, axis=0) >= WAVE_TURNS) & (others == 3)).any())
