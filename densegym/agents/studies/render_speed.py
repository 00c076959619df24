"""How fast a Meta-World task is drawn: as Gymnasium does it, and as judges see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.agents.studies.study import Figures, Monitor, Request
from densegym.envs.registration import bare_spec
from densegym.envs.robot.rendering import choose_backend
from densegym.envs.tasks import task_card
from densegym.reward_models.types import Pictures

_TASK = "DenseGym/DrawerOpen-v0"
_SLOW, _FAST = 6, 60  # pictures a round
_ROUNDS = 3
_SHADOW_MAP, _SAMPLES = 4096, 4  # what Meta-World's scenes ask for


def run(request: Request, monitor: Monitor) -> Figures:
    """Carry out the study ``render``."""
    monitor.progress("drawing a Meta-World task, a few seconds", 0, None)
    return Figures(measure())


def measure(env_id: str = _TASK, *, size: int = 64) -> dict[str, float]:
    """Return frames per CPU second of a default ``env.render()`` and of the pictures of judges.

    All three are measured in turns in one process, the best of three rounds each, because other
    work on the machine only ever slows a round down.

    Args:
        env_id: a Meta-World task.
        size: height and width of the pictures.
    """
    choose_backend()
    card = task_card(env_id)
    upstream = _upstream(env_id, size)
    env: Any = gym.make(bare_spec(env_id))
    env.reset(seed=0)
    draw = env.unwrapped.draw
    one, two = (Pictures(card.cameras[:count], size) for count in (1, 2))
    rates: dict[str, list[float]] = {"default_fps": [], "fast_fps": [], "two_camera_fps": []}
    for _ in range(_ROUNDS):
        rates["default_fps"].append(_rate(upstream.render, _SLOW))
        rates["fast_fps"].append(_rate(lambda: draw(one, hidden=card.hidden), _FAST))
        rates["two_camera_fps"].append(_rate(lambda: draw(two, hidden=card.hidden), _FAST))
    upstream.close()
    env.close()
    figures = {name: round(max(values), 1) for name, values in rates.items()}
    return {**figures, "ratio": round(figures["fast_fps"] / figures["default_fps"], 1)}


def _upstream(env_id: str, size: int) -> Any:
    """Return a world whose ``render`` has the shadows and smooth edges that ours leaves out."""
    env: Any = gym.make(
        bare_spec(env_id), render_mode="rgb_array", camera="corner2", width=size, height=size
    )
    quality = env.unwrapped.sawyer.model.vis.quality
    quality.shadowsize, quality.offsamples = _SHADOW_MAP, _SAMPLES
    env.reset(seed=0)
    return env


def _rate(act: Callable[[], Any], count: int) -> float:
    picture = np.asarray(act())  # the first one makes the context
    assert picture.any(), "a black picture is no picture"
    started = time.process_time()
    for _ in range(count):
        act()
    return count / (time.process_time() - started)
