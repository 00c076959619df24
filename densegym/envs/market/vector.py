"""All agents of many games as one Gymnasium vector environment: lanes are games times agents."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from densegym.envs.market.games import Games, Setting, Told
from densegym.envs.options import check_options
from densegym.errors import DenseGymError
from densegym.reward_models.types import Bool


class MarketVectorEnv(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """Lane ``g * n + i`` is agent i of game g; the lanes of a game begin and end together.

    Game g is seeded with ``seed + g``. ``info`` holds arrays, one entry per lane.

    Args:
        num_envs: lanes, a multiple of the number of agents.
        autoreset_mode: ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``; under the last, games begin
            again through ``reset(options={"reset_mask": ...})``, which names all lanes of a game.
        reward: ignored; the wrapper around the world pays it.
        render_mode: none.
        **setting: see ``games.Setting``.

    Raises:
        DenseGymError: lanes that make no whole games, or actions in units of unequal agents.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        reward: object = None,
        render_mode: str | None = None,
        **setting: Any,
    ) -> None:
        chosen = Setting(**setting)
        agents = chosen.market().agents
        if num_envs < 1 or num_envs % agents:
            raise DenseGymError(
                f"lanes are games times agents: num_envs is a multiple of {agents}, such as "
                f"{max(1, num_envs // agents) * agents}; given {num_envs}"
            )
        self.games = Games(chosen, num_envs // agents)
        if any(space != self.games.action_spaces[0] for space in self.games.action_spaces):
            raise DenseGymError(
                'actions in units differ between these agents; use action="fraction"'
            )
        self.num_envs, self.agents = num_envs, agents
        self._mode = AutoresetMode(autoreset_mode)
        self.metadata = {"autoreset_mode": self._mode, "render_modes": []}
        self.render_mode = None
        self.single_observation_space = self.games.observation_space
        self.single_action_space = self.games.action_spaces[0]
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._ended = np.zeros(num_envs // agents, np.bool_)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin all games, or those of ``options["reset_mask"]``; a list seeds lane by lane."""
        check_options(self, options, ("reset_mask",))
        count = self.games.games
        chosen = np.ones(count, np.bool_)
        if options is not None and "reset_mask" in options:
            chosen = self._whole_games(options["reset_mask"])
        for game in range(count):
            if isinstance(seed, int):
                self.games.seed(game, seed + game)
            elif seed is not None:
                self.games.seed(game, seed[game * self.agents])
        obs, info = self.games.begin(np.flatnonzero(chosen).tolist())
        self._ended[chosen] = False
        return self._flat(obs), self._told(info)

    def step(self, actions: Any) -> Any:
        """Step all games; under ``NEXT_STEP`` those that ended before begin again instead.

        Returns what ``gymnasium.vector.VectorEnv.step`` does.
        """
        given = np.asarray(actions)
        if given.shape != (self.num_envs, 1):
            raise DenseGymError(
                f"a step takes one action per lane, shape {(self.num_envs, 1)}; given shape "
                f"{given.shape}"
            )
        shaped = given.reshape(self.games.games, self.agents)
        if self._mode is AutoresetMode.NEXT_STEP:
            return self._next_step(shaped)
        told = self.games.step(shaped)
        ended = told.terminated | told.truncated
        if self._mode is AutoresetMode.DISABLED or not ended.any():
            return self._stepped(told, self._told(told.info))
        return self._same_step(told, ended)

    def _next_step(self, actions: Any) -> Any:
        again, kept = self._ended, bool(self._ended.any())
        told = self.games.step(actions, idle=again if kept else None)
        if kept:
            obs, fresh = self.games.begin(np.flatnonzero(again).tolist())
            info = {
                key: np.where(again.reshape(-1, *(1,) * (values.ndim - 1)), fresh[key], values)
                for key, values in told.info.items()
            }
            told = told._replace(
                obs=obs,
                reward=np.where(again[:, None], 0.0, told.reward),
                terminated=told.terminated & ~again,
                truncated=told.truncated & ~again,
                info=info,
            )
        ended: Bool = told.terminated | told.truncated
        self._ended = ended
        return self._stepped(told, self._told(told.info))

    def _same_step(self, told: Told, ended: Bool) -> Any:
        lanes = np.repeat(ended, self.agents)
        last, final = self._flat(told.obs), np.full(self.num_envs, None, object)
        for lane in np.flatnonzero(lanes):
            final[lane] = last[lane].copy()
        obs, fresh = self.games.begin(np.flatnonzero(ended).tolist())
        before = self._told(told.info)
        info = {
            key: np.where(ended.reshape(-1, *(1,) * (values.ndim - 1)), fresh[key], values)
            for key, values in told.info.items()
        }
        more = {"final_obs": final, "_final_obs": lanes, "final_info": before, "_final_info": lanes}
        return self._stepped(told._replace(obs=obs), {**self._told(info), **more})

    def _stepped(self, told: Told, info: dict[str, Any]) -> Any:
        flags = (np.repeat(flag, self.agents) for flag in (told.terminated, told.truncated))
        return (self._flat(told.obs), told.reward.reshape(-1).copy(), *flags, info)

    def _whole_games(self, mask: Any) -> Bool:
        per_game = np.asarray(mask, np.bool_).reshape(-1, self.agents)
        chosen: Bool = np.asarray(per_game.any(axis=1))
        if (per_game != chosen[:, None]).any():
            raise DenseGymError(
                f"the {self.agents} lanes of a game begin together; reset_mask names all or none"
            )
        return chosen

    def _flat(self, obs: Any) -> Any:
        return obs.reshape(self.num_envs, -1)

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        flat = {
            key: values.reshape(self.num_envs, *values.shape[2:]) for key, values in info.items()
        }
        present = np.ones(self.num_envs, np.bool_)
        return flat | {f"_{key}": present for key in flat}
