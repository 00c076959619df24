"""Pictures for judges: one OpenGL context per kind of model and process, shared by its lanes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from densegym.envs.robot.rendering import choose_backend
from densegym.errors import DenseGymError, require, unknown
from densegym.reward_models.types import Frames, Pictures

mujoco: Any = require("mujoco", extra="robot")
_PLAIN = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)
_ROUND = 16, 8  # slices and stacks of spheres, of 28 and 16: a third of the cost, few pixels
_UNSEEN = 5  # a geometry group that no picture shows
_SCENES: dict[Any, _Scene] = {}


class FreeView(NamedTuple):
    """A view that is no camera of the model; angles in degrees, lengths in metres.

    Attributes:
        lookat: (x, y, z) of what it looks at.
        distance: from there.
        azimuth: of the direction of view.
        elevation: the same, negative from above.
    """

    lookat: tuple[float, float, float]
    distance: float
    azimuth: float
    elevation: float


def free_view(model: Any, data: Any, config: Mapping[str, Any] | None) -> FreeView:
    """Return the view of Gymnasium's ``render`` where no camera is chosen.

    Args:
        model: a ``mujoco.MjModel``.
        data: its ``mujoco.MjData``; the middle of its bodies is looked at.
        config: what the world says instead, as ``MujocoRenderer.default_cam_config``.
    """
    usual, said = mujoco.MjvCamera(), config or {}
    middle = said.get("lookat", np.median(data.geom_xpos, axis=0))
    return FreeView(
        tuple(float(value) for value in middle),  # type: ignore[arg-type]  # three of them
        float(said.get("distance", model.stat.extent)),
        float(said.get("azimuth", usual.azimuth)),
        float(said.get("elevation", usual.elevation)),
    )


def draw(
    model: Any,
    data: Any,
    request: Pictures,
    *,
    cameras: Sequence[str | FreeView],
    hidden: Sequence[str] = (),
) -> Frames:
    """Draw the state of ``data`` through each camera.

    Lanes whose models hold the same meshes share a context, so a process makes one per world and
    size. Shadows and multisampling, four fifths of the cost in software, are off unless the
    request is ``pretty``.

    Args:
        model: a ``mujoco.MjModel``.
        data: its ``mujoco.MjData``.
        request: size and style.
        cameras: names of V cameras, or views that are none of the model's.
        hidden: bodies left out of plain pictures.

    Returns:
        (V, size, size, 3) uint8, rows from top to bottom.

    Raises:
        UnknownNameError: no such camera.
        DenseGymError: nothing to render with; says what to install.
    """
    key = (model.names, model.nmeshvert, model.nmeshface, model.ntex, request.size, request.pretty)
    if key not in _SCENES:
        _SCENES[key] = _Scene(model, request)
    return _SCENES[key].draw(
        model, data, cameras, () if request.pretty else hidden, markers=request.markers
    )


class _Scene:
    """An off-screen context with the meshes and textures of one kind of model."""

    def __init__(self, model: Any, request: Pictures) -> None:
        size, quality = request.size, model.vis.quality
        self._context = _context_class()(size, size)
        self._context.make_current()
        kept = quality.shadowsize, quality.offsamples, model.vis.global_.offwidth
        kept_height = model.vis.global_.offheight
        rounds = quality.numslices, quality.numstacks
        quality.shadowsize, quality.offsamples = (4096, 4) if request.pretty else (0, 0)
        quality.numslices, quality.numstacks = rounds if request.pretty else _ROUND
        model.vis.global_.offwidth = model.vis.global_.offheight = size
        self._buffers = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        quality.shadowsize, quality.offsamples, model.vis.global_.offwidth = kept
        model.vis.global_.offheight = kept_height
        quality.numslices, quality.numstacks = rounds
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._buffers)
        self._scene = mujoco.MjvScene(model, maxgeom=max(model.ngeom + model.nsite + 50, 200))
        if not request.pretty:
            for flag in _PLAIN:
                self._scene.flags[flag] = 0
        self._view, self._option = mujoco.MjvCamera(), mujoco.MjvOption()
        self._sites = self._option.sitegroup.copy()
        self._rectangle = mujoco.MjrRect(0, 0, size, size)

    def draw(
        self,
        model: Any,
        data: Any,
        cameras: Sequence[str | FreeView],
        hidden: Sequence[str],
        *,
        markers: bool,
    ) -> Frames:
        size = self._rectangle.width
        pictures = np.empty((len(cameras), size, size, 3), dtype=np.uint8)
        unseen = _geoms_of(model, tuple(hidden))
        groups = model.geom_group[unseen].copy()
        self._option.sitegroup[:] = self._sites if markers else 0
        self._context.make_current()
        # The model is the world's own, so it is put back before anybody else looks.
        model.geom_group[unseen] = _UNSEEN
        try:
            for view, camera in enumerate(cameras):
                _aim(self._view, model, camera)
                mujoco.mjv_updateScene(
                    model,
                    data,
                    self._option,
                    None,
                    self._view,
                    mujoco.mjtCatBit.mjCAT_ALL,
                    self._scene,
                )
                mujoco.mjr_render(self._rectangle, self._scene, self._buffers)
                mujoco.mjr_readPixels(pictures[view], None, self._rectangle, self._buffers)
        finally:
            model.geom_group[unseen] = groups
        return np.ascontiguousarray(pictures[:, ::-1])


def _aim(view: Any, model: Any, camera: str | FreeView) -> None:
    if isinstance(camera, str):
        view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, _camera(model, camera)
        return
    view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FREE, -1
    view.lookat[:], view.distance = camera.lookat, camera.distance
    view.azimuth, view.elevation = camera.azimuth, camera.elevation


def _camera(model: Any, name: str) -> int:
    camera = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
    if camera < 0:
        known = [model.camera(i).name for i in range(model.ncam)]
        raise unknown("camera", name, known)
    return int(camera)


_GEOMS: dict[Any, Any] = {}


def _geoms_of(model: Any, bodies: tuple[str, ...]) -> Any:
    key = (model.names, bodies)
    if key not in _GEOMS:
        ids = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, body) for body in bodies]
        missing = [body for body, index in zip(bodies, ids, strict=True) if index < 0]
        if missing:
            raise unknown("body", missing[0], [model.body(i).name for i in range(model.nbody)])
        _GEOMS[key] = np.flatnonzero(np.isin(model.geom_bodyid, ids))
    return _GEOMS[key]


@cache
def _context_class() -> Any:
    """Return MuJoCo's context class of the back-end in force.

    MuJoCo itself reads ``MUJOCO_GL`` when it is imported, which may be before we chose.
    """
    backend = choose_backend()
    try:
        if backend == "egl":
            from mujoco.egl import GLContext
        elif backend == "osmesa":
            from mujoco.osmesa import GLContext
        else:
            from mujoco.glfw import GLContext
    except (ImportError, AttributeError) as error:
        raise DenseGymError(
            f"MuJoCo cannot render with MUJOCO_GL={os.environ.get('MUJOCO_GL')} ({error}). "
            "Type: apt-get install -y libosmesa6 libegl1 libgl1"
        ) from error
    return GLContext
