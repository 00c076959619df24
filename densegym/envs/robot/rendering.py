"""Chooses MuJoCo's off-screen back-end where no display is present."""

from __future__ import annotations

import ctypes.util
import os
import sys
from typing import Any

from densegym.errors import DenseGymError

LIBRARIES = ("libosmesa6", "libegl1", "libgl1")
INSTALL = f"apt-get install -y {' '.join(LIBRARIES)}"


def choose_backend() -> str | None:
    """Set ``MUJOCO_GL`` before MuJoCo's first rendering context, unless the user has.

    Without a display, EGL is taken where a device answers, software Mesa (osmesa) otherwise.

    Returns:
        The back-end in force: ``"egl"``, ``"osmesa"``, the user's choice, or None for MuJoCo's
        own default (a window system).

    Raises:
        DenseGymError: no library to render with; says which to install.
    """
    chosen = os.environ.get("MUJOCO_GL")
    if chosen or not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return chosen
    egl, osmesa = (ctypes.util.find_library(name) for name in ("EGL", "OSMesa"))
    if not (egl or osmesa):
        raise DenseGymError(
            f"pictures were asked for, but there is nothing to render with. Type: {INSTALL}"
        )
    backend = "egl" if egl and (_has_gpu() or not osmesa) else "osmesa"
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
