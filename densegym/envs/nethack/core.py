"""Many games of one task in one process, written by the game's C code into shared arrays.

``LaneCore`` plays step for step what ``NetHackEnv`` plays, without upstream's two copies of
sixteen observations per step: the C code of every lane writes into rows of shared arrays, and
rewards, ends and crops are computed for all lanes at once. It knows the tasks whose rules are
score, stairs down, or a message; ``LaneCore.can`` tells, and others are played by plain envs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import seeding
from nle import nethack
from nle.env import base as nle_base
from nle.env import tasks as nle_tasks

from densegym.envs.nethack.crops import MARGIN, SIZE, Crops
from densegym.envs.nethack.layer import ABORTED, DEFAULT_KEYS, SUCCESSFUL, NetHackEnv, draw_seeds
from densegym.envs.nethack.progression import TURN as _TURN
from densegym.envs.nethack.progression import ProgressionTracker
from densegym.errors import require
from densegym.reward_models.types import Bool, Float

_SCORE = nethack.NLE_BL_SCORE
_GAME_OVER, _QUESTION, _LINE, _MORE, _STAIRS = 0, 1, 2, 3, 4
_SPACE, _ESCAPE = ord(" "), 27
_NEEDED = ("glyphs", "blstats", "message", "program_state", "internal")
_PACK = ("inv_strs", "inv_letters")
_DEATH = 1


class LaneCore:
    """Steps ``lanes`` games of one task.

    Args:
        task: upstream id, as for ``NetHackEnv``.
        lanes: how many games.
        observation_keys: as for ``NetHackEnv``.
        max_steps: as for ``NetHackEnv``.
        contexts: as for ``NetHackEnv``.

    Attributes:
        observation_space: of one lane.
        action_space: of one lane.
    """

    def __init__(
        self,
        task: str,
        lanes: int,
        *,
        observation_keys: Sequence[str] | None = None,
        max_steps: int | None = None,
        contexts: int | None = None,
    ) -> None:
        keys = DEFAULT_KEYS if observation_keys is None else tuple(observation_keys)
        self._envs = [
            NetHackEnv(task, observation_keys=keys, max_steps=max_steps, contexts=contexts)
            for _ in range(lanes)
        ]
        self.observation_space: spaces.Space[Any] = self._envs[0].observation_space
        self.action_space: spaces.Space[Any] = self._envs[0].action_space
        self.lanes, self._keys, self._contexts = lanes, keys, contexts
        self._games = [env.game for env in self._envs]
        self._rngs = [np.random.default_rng() for _ in range(lanes)]
        self._progress = [ProgressionTracker() for _ in range(lanes)]
        first = self._games[0]
        self._codes = [int(code) for code in first.actions]
        self._limit, self._modes = first._max_episode_steps, first._allow_all_modes
        self._any_question = first._allow_all_yn_questions
        self._penalty = float(first.penalty_step)
        self._rule = _rule(first)
        self._key_door = _plays(first, "step").__qualname__.startswith("MiniHackKeyDoor")
        self._steps = np.zeros(lanes, np.int64)
        self._succeeded = np.zeros(lanes)
        self._share_buffers()

    @staticmethod
    def can(task: str, observation_keys: Sequence[str] | None = None) -> bool:
        """Return whether the task's rules and observations are known here."""
        keys = DEFAULT_KEYS if observation_keys is None else observation_keys
        if not all(Crops.whole(key) in nethack.OBSERVATION_DESC for key in keys):
            return False
        env = NetHackEnv(task, observation_keys=keys)
        try:
            return _rule(env.game) is not None
        finally:
            env.close()

    def seed(self, lane: int, seed: int | None) -> None:
        """Decide a lane's games from the next reset on; None leaves them as they are."""
        if seed is not None:
            self._rngs[lane] = seeding.np_random(seed)[0]

    def reset(self, lane: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start the next game of a lane; returns its first observation and info."""
        core, display = draw_seeds(self._rngs[lane], self._contexts)
        self._games[lane].start(core, display, None)
        self._steps[lane], self._succeeded[lane] = 0, 0.0
        self._progress[lane] = ProgressionTracker()
        self._before = self._copies()
        observed = {key: array[lane].copy() for key, array in self._observe(self._before).items()}
        return observed, self._told(lane, 0)

    def step(
        self, actions: Sequence[int]
    ) -> tuple[dict[str, Any], Float, Bool, Bool, list[dict[str, Any]]]:
        """Play one action in every lane.

        Returns:
            Observations with leading axis ``lanes``, of ended lanes the last ones of their
            episodes; rewards (lanes,) float64; terminated and truncated (lanes,) bool; infos.
        """
        before = self._before
        for lane, action in enumerate(actions):
            self._press(lane, self._codes[action])
        over = self._answer()
        self._steps += 1
        aborted = self._steps >= self._limit
        status = self._status(over, aborted)
        reward, punished = self._pay(before["blstats"], over, status)
        won = (status == SUCCESSFUL) & ~punished
        after = self._copies()
        for lane in np.flatnonzero(over).tolist():  # a death has wiped the screen
            for key, array in after.items():
                array[lane] = before[key][lane]
            np.copyto(self._buffers["blstats"][lane], before["blstats"][lane])
        self._before = after
        infos = [
            self._told(lane, code, won=bool(success))
            for lane, (code, success) in enumerate(zip(status.tolist(), won, strict=True))
        ]
        truncated = status == ABORTED
        terminated = (status == _DEATH) | (status == SUCCESSFUL)
        return self._observe(after), reward, terminated, truncated, infos

    def close(self) -> None:
        """End all games."""
        for env in self._envs:
            env.close()

    def _share_buffers(self) -> None:
        wanted = {*_NEEDED, *(Crops.whole(key) for key in self._keys)}
        if self._key_door:
            wanted |= {*_PACK}
        self._buffers = {
            key: np.zeros((self.lanes, *described["shape"]), described["dtype"])
            for key, described in nethack.OBSERVATION_DESC.items()
            if key in wanted
        }
        self._shown = {key: self._buffers[key] for key in wanted if key in self._watched()}
        for lane, game in enumerate(self._games):
            rows = {key: array[lane] for key, array in self._buffers.items()}
            game.nethack._pynethack.set_buffers(**rows)
            game.nethack._obs = tuple(
                rows.get(key, unused)
                for key, unused in zip(game._observation_keys, game.nethack._obs, strict=True)
            )
            game.hear()
        self._raw = [game.nethack._pynethack for game in self._games]
        self._heard = [game.lines for game in self._games]
        self._before = self._copies()
        self._padded = {
            key: np.zeros((self.lanes, *_margins(self._buffers[Crops.whole(key)].shape[1:])),
                          self._buffers[Crops.whole(key)].dtype)
            for key in self._keys
            if key not in self._buffers
        }  # fmt: skip
        self._rows = np.arange(self.lanes)[:, None, None]
        self._across, self._down = np.arange(SIZE)[None, None, :], np.arange(SIZE)[None, :, None]
        self._doors = _closed_doors() if self._key_door else np.zeros(0, np.int64)

    def _watched(self) -> set[str]:
        return {"blstats", *(Crops.whole(key) for key in self._keys)}

    def _copies(self) -> dict[str, npt.NDArray[Any]]:
        return {key: array.copy() for key, array in self._shown.items()}

    def _observe(self, whole: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
        blstats = whole["blstats"]
        seen = {}
        for key in self._keys:
            if key in self._buffers:
                seen[key] = whole[key].copy()
                continue
            padded = self._padded[key]
            padded[:, MARGIN:-MARGIN, MARGIN:-MARGIN] = whole[Crops.whole(key)]
            down = blstats[:, 1, None, None] + self._down
            seen[key] = padded[self._rows, down, blstats[:, 0, None, None] + self._across]
        return seen

    def _press(self, lane: int, code: int) -> None:
        lines = self._heard[lane]
        lines.clear()
        if self._key_door and code == nethack.Command.APPLY:
            self._unlock(lane)
        self._raw[lane].step(code)
        lines.listen()

    def _answer(self) -> Bool:
        """Get past prompts as upstream does; return which games are over."""
        asking = self._buffers["internal"][:, _QUESTION : _MORE + 1].any(axis=1)
        if self._modes:
            asking &= self._buffers["program_state"][:, _GAME_OVER] == 1
        over = np.zeros(self.lanes, dtype=np.bool_)
        for lane in np.flatnonzero(asking).tolist():
            self._known_steps(lane)
        for lane, raw in enumerate(self._raw):
            over[lane] = raw.done()
        return over

    def _known_steps(self, lane: int) -> None:
        raw, lines = self._raw[lane], self._heard[lane]
        internal, message = self._buffers["internal"][lane], self._buffers["message"][lane]
        while not raw.done():
            if internal[_MORE]:
                key = _SPACE
            elif internal[_LINE]:
                key = _ESCAPE
            elif internal[_QUESTION]:
                asked = message.tobytes()
                if self._any_question or any(w in asked for w in nle_base.SKIP_EXCEPTIONS):
                    return
                key = _ESCAPE
            else:
                return
            asked_once = not internal[_MORE] and not internal[_LINE]
            raw.step(key)
            lines.listen()
            if asked_once:
                return

    def _status(self, over: Bool, aborted: Bool) -> npt.NDArray[np.int64]:
        if self._rule == "stairs":
            status = np.where(self._buffers["internal"][:, _STAIRS] != 0, SUCCESSFUL, 0)
        elif self._rule == "score":
            status = np.zeros(self.lanes, np.int64)
        else:
            status = np.array([
                0 if late else int(game._is_episode_end(game.nethack._obs))
                for game, late in zip(self._games, aborted.tolist(), strict=True)
            ])  # fmt: skip
        status[aborted] = ABORTED
        status[over] = _DEATH
        return status

    def _pay(self, before: Any, over: Bool, status: npt.NDArray[np.int64]) -> tuple[Float, Bool]:
        """Return what is paid, and where events took something: some end a game badly."""
        blstats = self._buffers["blstats"]
        frozen = blstats[:, _TURN] == before[:, _TURN]
        if self._rule == "score":
            gained = np.where(over, 0.0, blstats[:, _SCORE] - before[:, _SCORE])
        elif self._rule == "stairs":
            gained = (status == SUCCESSFUL).astype(np.float64)
        else:
            collected = [game.reward_manager.collect_reward() for game in self._games]
            gained = np.array(collected, dtype=np.float64)
        paid: Float = gained + np.where(frozen, self._penalty, 0.0)
        return paid, gained < 0.0

    def _told(self, lane: int, status: int, *, won: bool = False) -> dict[str, Any]:
        progress, lines = self._progress[lane], self._heard[lane].texts()
        milestones = progress.update(self._buffers["blstats"][lane], lines)
        if status == _DEATH and self._games[lane].nethack.how_done() == nethack.ASCENDED:
            progress.ascend()
        succeeded = float(won)
        if succeeded:
            self._succeeded[lane] = 1.0
        return {
            "end_status": status,
            "milestones": milestones,
            "captions": lines,
            "progression": progress.value,
            "depth": float(progress.depth),
            "success_now": succeeded,
            "is_success": succeeded,
        }

    def _unlock(self, lane: int) -> None:
        """Play MiniHack's scripted unlocking, if a key is carried and a closed door is near."""
        key, door = self._key_letter(lane), self._door(lane)
        if key is None or door is None:
            return
        raw, lines = self._raw[lane], self._heard[lane]
        for code in (int(nethack.Command.APPLY), key, door, ord("y")):
            raw.step(code)
            lines.listen()
        self._known_steps(lane)
        while True:
            raw.step(door)
            lines.listen()
            self._known_steps(lane)
            if self._door(lane) is None:
                break
        for name, array in self._before.items():  # upstream's step begins here
            array[lane] = self._buffers[name][lane]

    def _key_letter(self, lane: int) -> int | None:
        names, letters = self._buffers["inv_strs"][lane], self._buffers["inv_letters"][lane]
        for name, letter in zip(names, letters, strict=True):
            if not name.any():
                return None
            if b"key" in name.tobytes():
                return int(letter)
        return None

    def _door(self, lane: int) -> int | None:
        column, row = self._buffers["blstats"][lane, :2].tolist()
        around = self._buffers["glyphs"][lane, row - 1 : row + 2, column - 1 : column + 2]
        found = np.flatnonzero(np.isin(around, self._doors))
        return self._games[lane]._index_to_dir_action(int(found[0])) if len(found) else None


def _margins(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(side + 2 * MARGIN for side in shape)


def _closed_doors() -> npt.NDArray[np.int64]:
    symbols = range(nethack.MAXPCHARS)
    glyphs = [
        nethack.GLYPH_CMAP_OFF + symbol
        for symbol in symbols
        if nethack.symdef.from_idx(symbol).explanation == "closed door"
    ]
    return np.array(glyphs, dtype=np.int64)


def _plays(game: Any, method: str) -> Any:
    """Return an upstream game's own method, past our repairs."""
    for cls in type(game).__mro__[2:]:
        if method in vars(cls):
            return vars(cls)[method]
    raise AttributeError(method)


def _rule(game: Any) -> str | None:
    """Return by what a game is won or paid, or None where that is not known here."""
    if getattr(game, "penalty_mode", None) != "constant" or game.penalty_time:
        return None
    for method in ("_check_abort", "_perform_known_steps"):
        if _plays(game, method) is not getattr(nle_base.NLE, method):
            return None
    pays, ends, steps = (_plays(game, m) for m in ("_reward_fn", "_is_episode_end", "step"))
    staircase = nle_tasks.NetHackStaircase
    if not any("minihack" in cls.__module__ for cls in type(game).__mro__):
        if steps is not nle_base.NLE.step:
            return None
        if (pays, ends) == (nle_tasks.NetHackScore._reward_fn, nle_base.NLE._is_episode_end):
            return "score"
        ours = pays is staircase._reward_fn and ends is staircase._is_episode_end
        return "stairs" if ours else None
    return _minihack_rule(game, pays, ends, steps)


def _minihack_rule(game: Any, pays: Any, ends: Any, steps: Any) -> str | None:
    require("minihack.base", extra="nethack")
    from minihack.base import MiniHack
    from minihack.envs.keyroom import MiniHackKeyDoor
    from minihack.reward_manager import MessageEvent

    if pays is not MiniHack._reward_fn or ends is not MiniHack._is_episode_end:
        return None
    if steps not in (MiniHack.step, MiniHackKeyDoor.step):
        return None
    if (game.reward_win, game.reward_lose) != (1, 0):
        return None
    manager = game.reward_manager
    if manager is None:
        return "stairs"
    told = all(type(event) is MessageEvent for event in manager.events)
    return "message" if told and not manager.custom_reward_functions else None
