"""NLE and MiniHack tasks, repaired for Gymnasium and Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from densegym.envs.nethack.compatibility import import_minihack
from densegym.errors import require, unknown

ABORTED = -1
SUCCESSFUL = 2
DEFAULT_KEYS = ("glyphs", "blstats", "message")
_SEED_LIMIT = 2**62
_TTY_KEYS = ("tty_chars", "tty_colors", "tty_cursor")

Observation = dict[str, npt.NDArray[Any]]


class NetHackEnv(gym.Env[Observation, np.int64], RecordConstructorArgs):
    """A NetHack task that pays what its upstream env pays, step for step.

    Repairs: ``reset(seed=)`` decides the game (upstream ignores it) and later resets continue its
    generator; the world's own time limit is a truncation (upstream: a termination); the last
    observation shows the last state (upstream: the blank screen after quitting); observations are
    copies; ``reset(options=)`` takes any dict; pictures are ``"rgb_array"`` or ``"ansi"``, and
    nothing is printed.

    The reward keeps upstream's penalty of 0.01 for a step on which the game clock stands still.
    The world keeps its own clock: shorten it with ``gym.make(id, max_steps=20)``; Gymnasium's
    ``max_episode_steps`` adds a ``TimeLimit`` outside, which works too.

    Args:
        task: upstream id, e.g. ``"NetHackScore-v0"``.
        observation_keys: which entries the Dict observation has; None is glyphs, blstats and
            message, and for MiniHack chars_crop too.
        max_steps: the world's own time limit; None keeps upstream's.
        render_mode: ``"rgb_array"`` (336, 1264, 3), ``"ansi"``, or None.
        reward: ignored; the skin around the world pays it.

    Raises:
        MissingExtraError: NLE or MiniHack is not installed.
        UnknownNameError: no such task or observation key.
    """

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 42}  # noqa: RUF012

    def __init__(
        self,
        task: str = "NetHackScore-v0",
        *,
        observation_keys: Sequence[str] | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
        reward: object = None,
    ) -> None:
        keys = tuple(observation_keys) if observation_keys is not None else None
        RecordConstructorArgs.__init__(
            self, task=task, observation_keys=keys, max_steps=max_steps, render_mode=render_mode
        )
        if keys is None:
            keys = (*DEFAULT_KEYS, "chars_crop") if task.startswith("MiniHack") else DEFAULT_KEYS
        self.render_mode = render_mode
        self.game: Any = _make_game(task, keys, max_steps, render_mode)
        self._keys = keys
        self.observation_space = spaces.Dict({key: self._space(key) for key in keys})
        self.action_space = spaces.Discrete(int(self.game.action_space.n))
        self._succeeded = 0.0
        self._last_seen: Observation = {}
        self._before: Observation = {}
        self._quit = self.game._quit_game
        self.game._quit_game = self._quit_after_look

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a game; equal seeds give equal games, whatever was played before."""
        super().reset(seed=seed)
        core, display = self.np_random.integers(_SEED_LIMIT, size=2).tolist()
        self.game.seed(core, display, reseed=False)
        wishes = options if options and "wizkit_items" in options else None
        obs, info = self.game.reset(options=wishes)
        self._succeeded = 0.0
        self._before = self._copied(obs)
        return self._before, self._info(info, 0.0)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one action."""
        self._last_seen = {}
        obs, reward, ended, _, info = self.game.step(int(action))
        if not ended:
            seen = self._copied(obs)
        elif self._last_seen:
            seen = self._last_seen
        else:  # died: the game has already wiped its screen
            seen = self._before
        self._before = seen
        status = int(info["end_status"])
        self._succeeded = max(self._succeeded, float(status == SUCCESSFUL))
        aborted = ended and status == ABORTED
        told = self._info(info, float(status == SUCCESSFUL))
        return seen, float(reward), bool(ended and not aborted), bool(aborted), told

    def render(self) -> Any:
        """Return the screen as a picture, as text, or None without a render mode."""
        if self.render_mode is None:
            return None
        screen = self.game.render()
        return screen if isinstance(screen, str) else np.array(screen, dtype=np.uint8)

    def close(self) -> None:
        """End the game."""
        self.game.close()

    def _quit_after_look(self, observation: Any, done: bool) -> None:
        self._last_seen = self._copied(self.game._get_observation(observation))
        self._quit(observation, done)

    def _copied(self, obs: Observation) -> Observation:
        return {key: obs[key].copy() for key in self._keys}

    def _info(self, info: dict[str, Any], success_now: float) -> dict[str, Any]:
        status = int(info["end_status"])
        return {"success_now": success_now, "is_success": self._succeeded, "end_status": status}

    def _space(self, key: str) -> spaces.Box:
        space: spaces.Box = self.game.observation_space.spaces[key]
        if key == "blstats":  # int64 numbers declared with int32 bounds
            limits = np.iinfo(np.int64)
            return spaces.Box(limits.min, limits.max, space.shape, np.int64)
        return space


def _check_keys(task: str, keys: Sequence[str]) -> None:
    known = set(require("nle.nethack", extra="nethack").OBSERVATION_DESC)
    if task.startswith("MiniHack"):
        known |= {f"{key}_crop" for key in known} | {"pixel", "pixel_crop"}
    for key in keys:
        if key not in known:
            raise unknown("observation key", key, known)


def _make_game(
    task: str, keys: tuple[str, ...], max_steps: int | None, render_mode: str | None
) -> Any:
    require("nle", extra="nethack")
    import nle.env  # noqa: F401  registers the NetHack ids

    if task.startswith("MiniHack"):
        import_minihack()
    _check_keys(task, keys)
    asked = [*keys]
    if render_mode is not None:
        asked += [key for key in (*_TTY_KEYS, "glyphs") if key not in asked]
    mode = {"rgb_array": "pixel", "ansi": "ansi", None: "ansi"}.get(render_mode)
    if mode is None:
        raise unknown("render mode", str(render_mode), ("rgb_array", "ansi"))
    options: dict[str, Any] = {"observation_keys": tuple(asked), "render_mode": mode}
    if max_steps is not None:
        # Given to gym.make it would become a TimeLimit outside the game.
        options["max_episode_steps"] = max_steps
    if task not in gym.registry:
        known = [name for name in gym.registry if name.startswith(("NetHack", "MiniHack"))]
        raise unknown("NetHack task", task, known)
    spec = gym.spec(task)
    creator = gym.envs.registration.load_env_creator(str(spec.entry_point))
    return creator(**{**spec.kwargs, **options})
