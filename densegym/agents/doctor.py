"""Looks at the machine and says what works, what is missing, and what to type."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from densegym.envs.robot.rendering import INSTALL, choose_backend
from densegym.errors import DenseGymError

_EXTRAS = {
    "robot": {"metaworld": "metaworld", "gymnasium-robotics": "gymnasium_robotics"},
    "agents": {
        "stable-baselines3": "stable_baselines3",
        "sb3-contrib": "sb3_contrib",
        "torch": "torch",
        "tensorboard": "tensorboard",
        "matplotlib": "matplotlib",
        "jinja2": "jinja2",
    },
    "nethack": {"nle": "nle", "minihack": "minihack"},
    "vision": {
        "opencv-python-headless": "cv2",
        "imageio": "imageio",
        "imageio-ffmpeg": "imageio_ffmpeg",
        "pillow": "PIL",
        "safetensors": "safetensors",
        "transformers": "transformers",
    },
    "multi": {"pettingzoo": "pettingzoo"},
}
_BASE = ("numpy", "gymnasium", "mujoco", "typer", "rich")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        topic: what was looked at.
        found: what was found.
        ok: whether it will do.
        cure: what to type if not.
    """

    topic: str
    found: str
    ok: bool = True
    cure: str = ""


def examine() -> list[Finding]:
    """Return everything found, in the order people need it."""
    return [_python(), *_base(), *_extras(), _threads(), *_rendering()]


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("Python", platform.python_version(), ok, "" if ok else "install Python 3.11+")


def _base() -> list[Finding]:
    return [Finding(name, _version(name) or "missing") for name in _BASE]


def _extras() -> list[Finding]:
    findings = []
    for extra, packages in _EXTRAS.items():
        for package, module in packages.items():
            there = importlib.util.find_spec(module) is not None
            cure = "" if there else f"pip install 'densegym[{extra}]'"
            findings.append(
                Finding(f"[{extra}] {package}", _version(package) or "missing", there, cure)
            )
    return findings


def _threads() -> Finding:
    set_to = os.environ.get("OMP_NUM_THREADS", "not set")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{cores} cores; OMP_NUM_THREADS {set_to}; training uses one torch thread per run"
    return Finding("threads", found)


def _rendering() -> list[Finding]:
    try:
        backend = choose_backend() or "MuJoCo's default (a window system)"
        rate = frames_per_second()
    except DenseGymError as error:
        return [Finding("rendering", str(error), False, INSTALL)]
    ffmpeg = importlib.util.find_spec("imageio_ffmpeg") is not None or shutil.which("ffmpeg")
    film = Finding(
        "films", "H.264" if ffmpeg else "no encoder", bool(ffmpeg), "pip install 'densegym[vision]'"
    )
    return [Finding("rendering", f"{backend}, {rate:.0f} frames/s at 240 x 240"), film]


def frames_per_second(frames: int = 30) -> float:
    """Return how many pictures per second MuJoCo renders here.

    Raises:
        DenseGymError: no picture could be rendered; holds the reason.
    """
    import gymnasium as gym

    try:
        env = gym.make("HalfCheetah-v5", render_mode="rgb_array", width=240, height=240)
        env.reset(seed=0)
        env.render()
        started = time.perf_counter()
        for _ in range(frames):
            env.render()
        rate = frames / (time.perf_counter() - started)
        env.close()
    except Exception as error:  # back-ends fail in their own ways; each is the same finding here
        raise DenseGymError(f"no picture could be rendered: {error!r}. Type: {INSTALL}") from error
    return rate


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
