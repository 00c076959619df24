"""Chooses MuJoCo's off-screen back-end where no display is present."""

from __future__ import annotations

import ctypes.util
import os
import sys
from typing import Any


def choose_backend() -> str | None:
    """Set ``MUJOCO_GL`` before MuJoCo's first rendering context, unless the user has.

    Without a display, EGL is taken where a device answers, software Mesa (osmesa) otherwise.

    Returns:
        The back-end in force: ``"egl"``, ``"osmesa"``, the user's choice, or None for MuJoCo's
        own default (a window system).
    """
    chosen = os.environ.get("MUJOCO_GL")
    if chosen or not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return chosen
    backend = "egl" if _has_gpu() and ctypes.util.find_library("EGL") else "osmesa"
    os.environ["MUJOCO_GL"] = backend
    # PyOpenGL reads its own variable, and fails when the two disagree.
    os.environ.setdefault("PYOPENGL_PLATFORM", backend)
    return backend


def draw_plainly(model: Any) -> None:
    """Turn shadows and multisampling off, before the first picture; five times faster in software.

    Args:
        model: a ``mujoco.MjModel``.
    """
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0


def _has_gpu() -> bool:
    return any(os.path.exists(path) for path in ("/dev/nvidia0", "/dev/dri/renderD128"))
