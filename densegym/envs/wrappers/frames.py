"""Renders the states a reward looks at, once, and hands the pictures on in ``info["frame"]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from densegym.errors import RewardError
from densegym.reward_models.progress.films import square
from densegym.reward_models.types import Frames, Pictures, TaskCard


class Camera:
    """Takes the pictures of a world's present state that a reward asks for.

    Worlds with a ``draw`` method (all robots) are asked for exactly what the reward wants; of
    others ``render()`` is resized, which gives one view.

    Args:
        env: a Gymnasium or PettingZoo environment.
        request: which pictures.
        hidden: bodies left out of plain pictures.

    Raises:
        RewardError: the env can draw nothing, or is asked for cameras it cannot name.
    """

    def __init__(self, env: Any, request: Pictures, hidden: Sequence[str] = ()) -> None:
        self._env, self._request, self._hidden = env, request, tuple(hidden)
        self._draw = getattr(env.unwrapped, "draw", None)
        if self._draw is None:
            self._check_rendering()

    def take(self) -> Frames:
        """Return (V, H, W, 3) uint8."""
        if self._draw is not None:
            drawn: Frames = self._draw(self._request, hidden=self._hidden)
            return drawn
        picture: Any = self._env.render()
        return square(np.asarray(picture, dtype=np.uint8), self._request.size)[None]

    def _check_rendering(self) -> None:
        kind = type(self._env.unwrapped).__name__
        if "rgb_array" not in self._env.metadata.get("render_modes", []):
            raise RewardError(
                f"this reward looks at pictures, but {kind} draws none. "
                "Choose a reward that reads states; densegym rewards lists them."
            )
        if self._env.render_mode != "rgb_array":
            raise RewardError(
                "this reward looks at pictures, but the environment was made with "
                f'render_mode={self._env.render_mode!r}. Make it with render_mode="rgb_array"; '
                "densegym train takes --set env.render_mode=rgb_array."
            )
        if self._request.cameras:
            raise RewardError(
                f"this reward looks through the cameras {', '.join(self._request.cameras)}, but "
                f'{kind} can only render() one view. Give the reward "cameras": [].'
            )


class FrameInInfo(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Puts ``info["frame"]``, (V, H, W, 3) uint8, into resets and into the steps that are due.

    The pictures are taken inside the step, so the last ones of an episode show its last state even
    under hosts that reset at once. A video recorder outside that asks for the same state gets the
    first view of the picture already taken.

    Args:
        env: the world.
        cameras: V cameras by name; empty means the world's own one.
        size: height and width, pixels.
        every: steps between pictures; the first and the last state always have one.
        pretty: with shadows, smooth edges and the whole robot.
        hidden: bodies left out of plain pictures.
        markers: with the simulator's sites and goal markers.

    Raises:
        RewardError: the env can draw nothing, or is asked for cameras it cannot name.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        cameras: Sequence[str] = (),
        size: int = 64,
        every: int = 1,
        pretty: bool = False,
        hidden: Sequence[str] = (),
        markers: bool = True,
    ) -> None:
        RecordConstructorArgs.__init__(
            self,
            cameras=cameras,
            size=size,
            every=every,
            pretty=pretty,
            hidden=hidden,
            markers=markers,
        )
        gym.Wrapper.__init__(self, env)
        self._every = every
        self._camera = Camera(env, Pictures(tuple(cameras), size, every, pretty, markers), hidden)
        self._t, self._shown = 0, np.zeros((0, 0, 0, 3), dtype=np.uint8)

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset and show the first state."""
        obs, info = self.env.reset(**kwargs)
        self._t, self._shown = 0, self._camera.take()
        return obs, {**info, "frame": self._shown}

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step and show the successor if its picture is due."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._t += 1
        self._shown = self._shown[:0]
        if terminated or truncated or self._t % self._every == 0:
            self._shown = self._camera.take()
            info = {**info, "frame": self._shown}
        return obs, reward, terminated, truncated, info

    @property
    def shown(self) -> Frames:
        """The pictures (V, H, W, 3) of the present state, or none (0, ...) where none was due."""
        return self._shown

    def render(self) -> Any:
        """Return the first view of this state's picture if there is one, else the world's."""
        if self.env.render_mode == "rgb_array" and len(self._shown):
            return self._shown[0]
        return self.env.render()


def frame_wrapper(
    pictures: Pictures, task: TaskCard | None
) -> Callable[[gym.Env[Any, Any]], FrameInInfo]:
    """Return what makes a world show the pictures of a reward, through the card's cameras.

    It can be pickled, so that worker processes can be given it.
    """
    own: tuple[str, ...] = ()
    if task is not None:
        own = (task.portrait if pictures.pretty else ()) or task.cameras
    return partial(
        FrameInInfo,
        cameras=pictures.cameras or own,
        size=pictures.size,
        every=pictures.every,
        pretty=pictures.pretty,
        hidden=task.hidden if task is not None else (),
        markers=pictures.markers,
    )


def shows_frames(env: gym.Env[Any, Any]) -> bool:
    """Return whether a world is wrapped in ``FrameInInfo`` already."""
    return find_frames(env) is not None


def find_frames(env: gym.Env[Any, Any]) -> FrameInInfo | None:
    """Return what takes the pictures of a world that is wrapped, or None."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, FrameInInfo):
            return env
        env = env.env
    return None
