"""Upstream's games with their ending, screens and time limit repaired; knows no Gymnasium spaces.

The repairs override private methods of NLE 1.3, because its ``step`` quits the game before it
looks at the screen. ``tests/envs/test_nethack_layer.py`` holds rewards, flags and screens against
the unrepaired classes.
"""

from __future__ import annotations

import functools
import importlib
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import load_env_creator

from densegym.envs.nethack.compatibility import hear_signals, import_minihack
from densegym.envs.nethack.crops import Crops
from densegym.envs.nethack.messages import Lines
from densegym.envs.nethack.progression import TURN
from densegym.errors import DenseGymError, MissingExtraError, require, unknown

if TYPE_CHECKING:
    _Upstream = Any
else:
    _Upstream = object

Observation = dict[str, npt.NDArray[Any]]
RENDER_MODES = ("rgb_array", "ansi")
# What the two custom tasks of MiniHack are played on, unless des_file= says otherwise.
EMPTY_ROOM = """
MAZE: "mylevel", ' '
FLAGS:hardfloor
INIT_MAP: solidfill,' '
GEOMETRY:center,center
MAP
.....
.....
.....
.....
.....
ENDMAP
REGION:(0,0,5,5),lit,"ordinary"
STAIR:random,down
"""
# Tasks that neither NLE nor MiniHack registers, or that MiniHack cannot make.
OWN_TASKS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{
        f"ONI-Staircase-Lvl{level}{mode}": (
            "densegym.envs.nethack.oni:StaircaseLevel",
            {"level": level, "continual": bool(mode)},
        )
        for level in (2, 3, 4)
        for mode in ("", "-Continual")
    },
    "ONI-Oracle": ("densegym.envs.nethack.oni:Oracle", {}),
    "ONI-Oracle-Sober": ("densegym.envs.nethack.oni:Oracle", {"sober": True}),
    "MiniHack-KeyRoom-S10-v0": ("densegym.envs.nethack.study:KeyRoomS10", {}),
    **{
        f"MiniHack-{kind}CrossingS{size}N{rivers}-v0": (
            "densegym.envs.nethack.study:Crossing",
            {"size": size, "rivers": rivers, "lava": kind == "Lava"},
        )
        for kind, size, rivers in (
            *((kind, 9, rivers) for kind in ("Lava", "Simple") for rivers in (1, 2, 3)),
            *((kind, 11, 5) for kind in ("Lava", "Simple")),
            ("Lava", 19, 13),
            ("Lava", 19, 17),
        )
    },
    "MiniHack-Navigation-Custom-v0": (
        "minihack.navigation:MiniHackNavigation",
        {"des_file": EMPTY_ROOM},
    ),
    "MiniHack-Skill-Custom-v0": ("minihack.skills:MiniHackSkill", {"des_file": EMPTY_ROOM}),
}
_OURS = {
    "fix_moon_phase": "Seeded games never depend on the moon here",
}
_SCREENS = ("obs_crop_h", "obs_crop_w", "obs_crop_pad")
_GRID_SEEDS = 2**31  # MiniGrid's seeds are smaller than the game's
_NO_OPTIONS = {"wizkit_items": None}  # without the entry upstream crashes
_UPSTREAM_MODES = {"rgb_array": "pixel", "ansi": "ansi", None: "ansi"}


class _RepairedGame(_Upstream):  # type: ignore[misc]  # put in front of a class known at run time
    """Goes before an upstream class; returns copies, and the last screen instead of a blank one."""

    _frozen_steps: int
    _final: Sequence[npt.NDArray[Any]] | None = None
    _kept: tuple[str, ...] = ()
    _crops: Crops | None = None
    lines: Lines
    punished = False
    """Whether MiniHack's events took something in the last step: some end a game badly."""

    def hear(self) -> None:
        """Keep every line of the game from now on."""
        raw, buffers = self.nethack._pynethack, self.nethack._obs
        lines = Lines(buffers[self._message_index], buffers[self._program_state_index])

        def step(key: int) -> tuple[Any, bool]:
            raw.step(key)
            lines.listen()
            return buffers, raw.done()

        begin = type(self.nethack).reset

        def reset(*args: Any, **kwargs: Any) -> Any:
            begun = begin(self.nethack, *args, **kwargs)
            lines.listen()
            return begun

        # On the instance, because upstream makes its game where no subclass can be put.
        self.nethack.step, self.nethack.reset, self.lines = step, reset, lines

    def start(self, core: int, display: int, options: dict[str, Any] | None) -> Observation:
        """Start the game that two seeds below 2**63 decide, and return its first observation."""
        self._final = None
        # Past upstream's own methods, of which the Challenge's refuses and MiniGrid's crashes.
        # Holds for the next game only.
        type(self.nethack).set_initial_seeds(self.nethack, core, display, False, None)
        grid = getattr(self, "minigrid_env", None)
        if grid is not None:
            grid.reset(seed=core % _GRID_SEEDS)
        self.lines.clear()
        observation: Observation = self.reset(options=options or dict(_NO_OPTIONS))[0]
        self._final = None
        hear_signals()  # the game before this one may have ended by itself
        return observation

    def update(self, des_file: str) -> None:
        """Compile MiniHack's level; upstream plays another dungeon where that fails.

        Raises:
            DenseGymError: the description has a fault, or its level another name.
        """
        base = importlib.import_module("minihack.base")
        folder = Path(self.nethack._vardir)
        if des_file.endswith(".des"):
            ways = (Path(des_file).absolute(), Path(base.PATH_DAT_DIR, des_file))
            source = next((path for path in ways if path.is_file()), ways[0])
        else:
            source = folder / "mylevel.des"
            source.write_text(des_file, encoding="utf-8")
        compiled = folder / "lib" / "mylevel.lev"
        compiled.unlink(missing_ok=True)
        command = [base.PATCH_SCRIPT, str(folder), base.HACKDIR, base.LIB_DIR, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stderr or not compiled.is_file():
            raise DenseGymError(
                "des_file= is the text of a level, or the path of a .des file, that begins with "
                f"""MAZE: "mylevel", ' ' and compiles; given {des_file!r:.60}: """
                f"{done.stderr.strip() or 'its level has another name'}"
            )

    def screen(self) -> str:
        """Return the terminal's 24 lines of 80 characters."""
        lines = self.last_observation[self._observation_keys.index("tty_chars")]
        return "\n".join(line.tobytes().decode("latin-1") for line in lines)

    @property
    def ascended(self) -> int:
        """Return how a won game is said to have ended."""
        return int(require("nle", extra="nethack").nethack.ASCENDED)

    @property
    def blstats(self) -> npt.NDArray[np.int64]:
        """The bottom line's numbers now, (27,) int64."""
        numbers: npt.NDArray[np.int64] = self.last_observation[self._blstats_index]
        return numbers

    def step(self, action: int) -> Any:
        """Play one action."""
        self.lines.clear()
        return super().step(action)

    def _get_end_status(self, observation: Any, done: bool) -> Any:
        aborted = self._check_abort(observation)
        status = self.StepStatus.ABORTED if aborted else self._is_episode_end(observation)
        self.punished = _taken(getattr(self, "reward_manager", None))
        if not (done or status):  # skips the slow call of an enum class
            return self.StepStatus.RUNNING
        if not done:  # the screen is real until upstream quits
            self._final = tuple(array.copy() for array in observation)
        return self.StepStatus(done or status)

    def _reward_fn(self, last_observation: Any, action: Any, observation: Any, status: Any) -> Any:
        if status and self._final is None:  # a death has wiped the screen; this is the one before
            self._final = last_observation
        return super()._reward_fn(last_observation, action, observation, status)

    def _quit_game(self, observation: Any, done: bool) -> None:
        said = len(self.lines)
        super()._quit_game(observation, done)
        self.lines.forget_after(said)  # "Really quit?" is no event of the game

    def _get_time_penalty(self, last_observation: Any, observation: Any) -> Any:
        if self.penalty_mode != "constant" or self.penalty_time:
            return super()._get_time_penalty(last_observation, observation)
        at = self._blstats_index  # upstream's numbers, without NumPy's slow scalars
        frozen = last_observation[at].item(TURN) == observation[at].item(TURN)
        self._frozen_steps = self._frozen_steps + 1 if frozen else 0
        return self.penalty_step if frozen else 0

    def _get_observation(self, observation: Any) -> Observation:
        if self._final is not None:
            for buffer, value in zip(observation, self._final, strict=True):
                np.copyto(buffer, value)  # pictures are drawn from these buffers too
        if self._crops is not None:
            return self._crops.observe(observation)
        seen = super()._get_observation(observation)
        return {key: seen[key].copy() for key in self._kept}

    def _get_information(self, end_status: Any) -> dict[str, Any]:
        return {"end_status": int(end_status)}


def make_game(
    task: str,
    keys: tuple[str, ...],
    max_episode_steps: int | None,
    render_mode: str | None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Make a repaired upstream game.

    Args:
        task: upstream id, e.g. ``"NetHackScore-v0"``.
        keys: entries of its observations.
        max_episode_steps: its time limit; None keeps upstream's.
        render_mode: one of ``RENDER_MODES``, or None.
        options: other constructor arguments of the upstream env.

    Raises:
        MissingExtraError: NLE or MiniHack is not installed, or levels must be downloaded.
        UnknownNameError: no such task, observation key or render mode.
        DenseGymError: the time limit is not positive, or upstream takes no such option.
    """
    given = dict(options or {})
    for name, instead in _OURS.items():
        if name in given:
            raise DenseGymError(f"{name} would change nothing here. {instead}")
    # Counts what happened in one game; lanes must not share one.
    if "reward_manager" in given:
        given["reward_manager"] = deepcopy(given["reward_manager"])
    if render_mode not in _UPSTREAM_MODES:
        raise unknown("render mode", str(render_mode), RENDER_MODES)
    upstream, own = _upstream_class(task)
    _check_keys(task, keys)
    drawn = keys if is_minihack(task) else tuple(Crops.whole(key) for key in keys)
    shown = ("tty_chars",) if render_mode == "ansi" else ()
    kwargs: dict[str, Any] = {
        **own,
        **given,
        "observation_keys": tuple(dict.fromkeys((*drawn, *shown))),
        "render_mode": _UPSTREAM_MODES[render_mode],  # upstream's default prints
        "fix_moon_phase": True,  # else the date changes luck and monsters under equal seeds
    }
    if max_episode_steps is not None:
        if max_episode_steps < 1:
            raise DenseGymError(
                f"max_episode_steps is {max_episode_steps}, but a game lasts at least one step. "
                "Type a positive number, or leave it out for upstream's limit"
            )
        kwargs["max_episode_steps"] = max_episode_steps
    try:
        with warnings.catch_warnings():
            # MiniHack asks for version 0 of a MiniGrid env, and we play MiniHack's tasks.
            warnings.filterwarnings("ignore", message=".*MiniGrid-MultiRoom-.* is out of date")
            game = _repaired(upstream)(**kwargs)
    except ModuleNotFoundError as error:  # MiniHack says so of MiniGrid and of levels
        needed = "python -m minihack.scripts.download_boxoban_levels"
        line = needed if "oxoban" in str(error) else "pip install 'densegym[nethack]'"
        raise MissingExtraError(f"{error}. Type: {line}") from error
    except TypeError as error:
        raise DenseGymError(
            f"{task} does not take these options: {error}. Given: {', '.join(given) or 'none'}"
        ) from error
    game._kept = keys
    plain = not any(name in given for name in _SCREENS)
    if plain and all(Crops.can(key, game._observation_keys) for key in keys):
        game._crops = Crops(keys, game._observation_keys)
    game.hear()
    return game


@functools.cache
def _repaired(upstream: type) -> Any:
    return type(f"Repaired{upstream.__name__}", (_RepairedGame, upstream), {})


def _upstream_class(task: str) -> tuple[type, dict[str, Any]]:
    """Return the class behind a task and its constructor arguments."""
    require("nle", extra="nethack")
    require("nle.env", extra="nethack")  # registers the NetHack ids
    if is_minihack(task):
        import_minihack()
    if task in OWN_TASKS:
        target, kwargs = OWN_TASKS[task]
        module, _, name = target.partition(":")
        return getattr(importlib.import_module(module), name), dict(kwargs)
    known = [name for name in gym.registry if name.startswith(("NetHack", "MiniHack"))]
    if task not in known:
        raise unknown("NetHack task", task, [*known, *OWN_TASKS])
    spec = gym.spec(task)
    upstream: Any = load_env_creator(str(spec.entry_point))
    return upstream, dict(spec.kwargs)


def _taken(manager: Any) -> bool:
    """Return whether MiniHack's events, single or in groups, took something in this step."""
    parts = getattr(manager, "reward_managers", (manager,))
    return any(part is not None and part._reward < 0.0 for part in parts)


def is_minihack(task: str) -> bool:
    """Return whether an upstream id belongs to MiniHack."""
    return task.startswith("MiniHack")


def _check_keys(task: str, keys: Sequence[str]) -> None:
    known = set(require("nle.nethack", extra="nethack").OBSERVATION_DESC)
    if is_minihack(task):
        known -= {"program_state", "internal", "misc"}  # MiniHack's observations leave them out
        known |= {*require("minihack.base", extra="nethack").MINIHACK_SPACE_FUNCS, "pixel"}
        known -= {"screen_descriptions_crop"}  # upstream returns another shape than it declares
    else:
        known |= {f"{name}_crop" for name in ("glyphs", "chars", "colors", "specials")}
    for key in keys:
        if key not in known:
            raise unknown("observation key", key, known)
