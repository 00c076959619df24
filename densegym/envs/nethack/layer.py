"""NLE and MiniHack tasks, repaired for Gymnasium and Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from densegym.envs.copying import refuse_copy
from densegym.envs.nethack.crops import SIZE, Crops
from densegym.envs.nethack.game import RENDER_MODES, Observation, make_game
from densegym.envs.nethack.progression import ProgressionTracker
from densegym.envs.options import check_options
from densegym.errors import DenseGymError

ABORTED = -1
SUCCESSFUL = 2
DEFAULT_KEYS = ("glyphs", "chars_crop", "blstats", "message")
_SEED_LIMIT = 2**62
_INSIDE = "the game keeps its state in a C library"
# Far above any number of the game, and exact in the float64 that Box.sample draws.
_BLSTATS_LIMIT = 2**53


class NetHackEnv(gym.Env[Observation, np.int64], RecordConstructorArgs):
    """A NetHack task that pays what its upstream env pays, step for step.

    Repairs: ``reset(seed=)`` decides the game (upstream ignores it), whatever the date, and later
    resets continue its generator; the world's own time limit is a truncation (upstream: a
    termination); the last observation and picture show the state the episode ended in, or after a
    death, which wipes the screen, the state before it (upstream: the blank screen after quitting);
    observations are copies; ``reset(options=)`` refuses what the game does not take; nothing is
    printed. A game can be neither copied nor pickled, and says so.

    The reward keeps upstream's penalty of 0.01 for a step on which the game clock stands still,
    and upstream's order at the limit: a goal reached on the very last step counts as out of time.
    Success is the task's goal; NetHackScore has none, so its ``is_success`` stays 0.
    ``info["end_status"]`` is an int: -1 out of time, 0 running, 1 dead, 2 goal reached.

    The world keeps its own clock. Shorten it with ``NetHackEnv(task, max_episode_steps=20)`` or
    ``gym.make(id, max_steps=20)``: ``gym.make`` keeps ``max_episode_steps`` to itself and puts a
    ``TimeLimit`` outside, which truncates too but leaves the game running (``end_status`` 0).

    Args:
        task: upstream id, e.g. ``"NetHackScore-v0"``.
        observation_keys: which entries the Dict observation has; None is glyphs, chars_crop,
            blstats and message. NLE's maps can be cropped as MiniHack's.
        max_episode_steps: the world's own time limit; None keeps upstream's.
        max_steps: the same, under a name that ``gym.make`` hands through.
        contexts: play only this many different games, as the bonus study does; None is no bound.
        seeds: play only the games of these seeds, drawn by this world's generator; MiniHack draws
            them by Python's global one.
        render_mode: ``"rgb_array"``, (336, 1264, 3) uint8; ``"ansi"``, 24 lines; or None.
        reward: ignored; the wrapper around the world pays it.
        protocol: ignored; the wrapper around the world refuses what does not fit.
        **upstream: other constructor arguments of the upstream task: ``character``, ``actions``,
            ``penalty_step``, and of MiniHack's ``reward_win``, ``reward_lose``, ``autopickup``,
            ``pet``, ``obs_crop_h``, ``reward_manager`` (every world gets a copy) and, for the
            two custom tasks, ``des_file``.

    Raises:
        MissingExtraError: NLE or MiniHack is not installed, or levels must be downloaded.
        UnknownNameError: no such task, observation key or render mode.
        DenseGymError: the time limit is given twice, it or the contexts are not positive, or the
            upstream task takes no such option.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 42}  # noqa: RUF012

    def __init__(
        self,
        task: str = "NetHackScore-v0",
        *,
        observation_keys: Sequence[str] | None = None,
        max_episode_steps: int | None = None,
        max_steps: int | None = None,
        contexts: int | None = None,
        seeds: Sequence[int] | None = None,
        render_mode: str | None = None,
        reward: object = None,
        protocol: object = None,
        **upstream: Any,
    ) -> None:
        keys = DEFAULT_KEYS if observation_keys is None else tuple(observation_keys)
        limit = _one_limit(max_episode_steps, max_steps)
        if contexts is not None and contexts < 1:
            raise DenseGymError(f"contexts is at least 1; given {contexts}")
        RecordConstructorArgs.__init__(
            self,
            task=task,
            observation_keys=keys,
            max_steps=limit,
            contexts=contexts,
            seeds=seeds,
            render_mode=render_mode,
            **upstream,
        )
        self._contexts, self._seeds = contexts, _level_seeds(seeds, contexts)
        self.render_mode = render_mode
        self.game: Any = make_game(task, keys, limit, render_mode, upstream)
        self.observation_space = spaces.Dict({key: self._space(key) for key in keys})
        self.action_space = spaces.Discrete(int(self.game.action_space.n))
        self._succeeded, self._progress = 0.0, ProgressionTracker()
        self._ascended = self.game.ascended

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a game; equal seeds give equal games, whatever was played before.

        Args:
            seed: of this game and those that follow without a seed.
            options: NLE's ``wizkit_items``, or none.

        Raises:
            UnknownNameError: another option.
        """
        check_options(self, options, ("wizkit_items",))
        super().reset(seed=seed)
        if self._seeds:
            core = display = self._seeds[int(self.np_random.integers(len(self._seeds)))]
        else:
            core, display = draw_seeds(self.np_random, self._contexts)
        wishes = options if options and "wizkit_items" in options else None
        self._succeeded, self._progress = 0.0, ProgressionTracker()
        obs = self.game.start(core, display, wishes)
        return obs, self._told({"end_status": 0}, 0.0)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one action."""
        obs, reward, ended, _, info = self.game.step(int(action))
        status = info["end_status"]
        aborted = status == ABORTED
        if ended and not aborted and self.game.nethack.how_done() == self._ascended:
            self._progress.ascend()
        won = status == SUCCESSFUL and not self.game.punished
        self._told(info, 1.0 if won else 0.0)
        return obs, reward, ended and not aborted, aborted, info

    def render(self) -> Any:
        """Return the screen as a picture, as text, or None without a render mode."""
        if self.render_mode is None:
            return None
        return self.game.screen() if self.render_mode == "ansi" else self.game.render().copy()

    def close(self) -> None:
        """End the game; may be called twice."""
        self.game.close()

    def get_state(self) -> NoReturn:
        """Refuse: NetHack keeps its state inside the game.

        Raises:
            DenseGymError: always.
        """
        refuse_copy(self, _INSIDE)

    def set_state(self, state: Any) -> NoReturn:
        """Refuse, as ``get_state`` does.

        Raises:
            DenseGymError: always.
        """
        refuse_copy(self, _INSIDE)

    def __reduce__(self) -> NoReturn:
        refuse_copy(self, _INSIDE)

    def _told(self, info: dict[str, Any], succeeded: float) -> dict[str, Any]:
        self._succeeded = self._succeeded or succeeded
        lines = self.game.lines.texts()
        progress = self._progress
        info["milestones"] = progress.update(self.game.blstats, lines)
        info["captions"] = lines
        info["progression"], info["depth"] = progress.value, float(progress.depth)
        info["success_now"], info["is_success"] = succeeded, self._succeeded
        return info

    def _space(self, key: str) -> spaces.Box:
        known = self.game.observation_space.spaces
        if key not in known:  # NLE knows no crops
            whole = known[Crops.whole(key)]
            return spaces.Box(0, int(whole.high.max()), (SIZE, SIZE), whole.dtype.type)
        space: spaces.Box = known[key]
        if key == "blstats":  # upstream declares int32 bounds for int64 numbers
            return spaces.Box(-_BLSTATS_LIMIT, _BLSTATS_LIMIT, space.shape, np.int64)
        return space


def draw_seeds(rng: np.random.Generator, contexts: int | None) -> tuple[int, int]:
    """Return the two seeds of the next game, drawn from a generator of games."""
    if contexts is not None:
        rng = np.random.default_rng((contexts, int(rng.integers(contexts))))
    core, display = rng.integers(_SEED_LIMIT, size=2).tolist()
    return core, display


def _level_seeds(seeds: Sequence[int] | None, contexts: int | None) -> tuple[int, ...]:
    if seeds is None:
        return ()
    listed = tuple(map(int, seeds))
    if contexts is not None or not listed or min(listed) < 0 or max(listed) >= 2 * _SEED_LIMIT:
        raise DenseGymError(
            "seeds is a list of numbers from 0 below 2**63, and stands instead of contexts; "
            f"given seeds={seeds!r:.80}, contexts={contexts}"
        )
    return listed


def _one_limit(max_episode_steps: int | None, max_steps: int | None) -> int | None:
    if max_episode_steps is not None and max_steps is not None:
        raise DenseGymError(
            f"max_episode_steps={max_episode_steps} and max_steps={max_steps} are the same limit. "
            "Type one of them"
        )
    return max_steps if max_episode_steps is None else max_episode_steps
