"""Many shoppers in one process: one catalogue, shared pages and features, batched observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from densegym.envs.copying import Copied, check_state
from densegym.envs.options import check_options
from densegym.envs.shop.environments.branching import restore_shopper, shopper_state
from densegym.envs.shop.environments.features import Featurizer, K
from densegym.envs.shop.environments.lanes import Lane, Observation, observation_space, observe
from densegym.envs.shop.environments.text import make_setting
from densegym.envs.shop.session.subgoals import subgoals
from densegym.envs.shop.session.world import ShopWorld
from densegym.errors import DenseGymError

_RESET_OPTIONS = ("goal", "goal_id")


class ShopVectorEnv(Copied, VectorEnv[Observation, NDArray[np.int64], NDArray[Any]]):
    """``DenseGym/ShopChoice-v0`` for many lanes at once, step for step what single ones do.

    Lane i is seeded with ``seed + i``. ``info`` holds arrays: ``success_now``, ``is_success``,
    ``score`` (0 until something was bought), ``invalid``, each (lanes,), and with ``privileged``
    the shaping quantities of the single environment.

    Args:
        num_envs: lanes.
        autoreset_mode: ``NEXT_STEP`` or ``SAME_STEP``; in the latter the last observation of an
            ended episode is in ``info["final_obs"]``.
        oracle_queries: see ``ShopChoiceEnv``.
        peek: see ``ShopChoiceEnv``.
        reward: ignored; the wrapper around the world pays it.
        **setting: see ``world.Setting``; ``privileged`` is off unless asked for.

    Raises:
        DenseGymError: no lanes, or autoreset is disabled.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        oracle_queries: bool = False,
        peek: bool = False,
        reward: object = None,
        render_mode: str | None = None,
        **setting: Any,
    ) -> None:
        if num_envs < 1:
            raise DenseGymError(f"num_envs is at least 1; given {num_envs}")
        mode = AutoresetMode(autoreset_mode)
        if mode is AutoresetMode.DISABLED:
            raise DenseGymError("the shop's lanes begin again by themselves; see autoreset_mode")
        self.world = ShopWorld(make_setting({"privileged": False, **setting}))
        self.num_envs, self._same_step = num_envs, mode is AutoresetMode.SAME_STEP
        self.metadata = {"autoreset_mode": mode, "render_modes": []}
        self.render_mode = None
        self.single_observation_space = observation_space()
        self.single_action_space = spaces.Discrete(K)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._peek = peek
        featurizer = Featurizer(self.world.shop, oracle=oracle_queries)
        self.lanes = [Lane(self.world, featurizer) for _ in range(num_envs)]
        self._rngs = [np.random.default_rng() for _ in range(num_envs)]
        self._ended = np.ones(num_envs, np.bool_)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (lanes, 64) which candidates may be taken."""
        counts = np.array([len(lane.actions) for lane in self.lanes])
        return counts[:, None] > np.arange(K)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every lane.

        Args:
            seed: of lane 0, or one per lane.
            options: ``goal_id`` or ``goal``, one for all lanes or a list with one per lane, where
                None draws.

        Raises:
            UnknownNameError: another option.
            DenseGymError: a list of another length, or no such goal.
        """
        check_options(self, options, _RESET_OPTIONS)
        asked = [self._asked(options or {}, lane) for lane in range(self.num_envs)]
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        for i, lane in enumerate(self.lanes):
            if seeds is not None and seeds[i] is not None:
                self._rngs[i] = np.random.Generator(np.random.PCG64(seeds[i]))
            lane.begin(self._rngs[i], asked[i])
        self._ended[:] = False
        return self._observe(self.lanes), self._infos(np.zeros(self.num_envs, np.bool_))

    def get_state(self) -> dict[str, Any]:
        """Return plain values from which ``set_state`` goes on."""
        return {
            "world": f"{self.num_envs} lanes of the shop",
            "shoppers": [shopper_state(lane.core) for lane in self.lanes],
            "ended": self._ended.tolist(),
            "bits": [deepcopy(rng.bit_generator.state) for rng in self._rngs],
        }

    def set_state(self, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Go on from ``get_state`` of as many lanes.

        Raises:
            DenseGymError: it is no state, or none that shoppers here can be in.
        """
        check_state(self, state, f"{self.num_envs} lanes of the shop")
        begun = [
            restore_shopper(lane.core, kept)
            for lane, kept in zip(self.lanes, state["shoppers"], strict=True)
        ]
        for rng, bits in zip(self._rngs, state["bits"], strict=True):
            rng.bit_generator.state = deepcopy(bits)
        self._ended = np.array(state["ended"], np.bool_)
        if not all(begun):
            return None, {}
        for lane in self.lanes:
            lane.show(lane.core)
        return self._observe(self.lanes), self._infos(np.zeros(self.num_envs, np.bool_))

    def _asked(self, options: dict[str, Any], lane: int) -> dict[str, Any]:
        """Return the options of one lane."""
        asked = {}
        for name, value in options.items():
            own = value
            if isinstance(value, list | tuple | np.ndarray):
                if len(value) != self.num_envs:
                    raise DenseGymError(
                        f"{name} has one entry for each of {self.num_envs} lanes; "
                        f"given {len(value)}"
                    )
                own = value[lane]
            if own is not None:
                asked[name] = own
        return asked

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Take one candidate in every lane; lanes that ended before begin again instead."""
        rewards = np.zeros(self.num_envs)
        terminated, truncated = np.zeros((2, self.num_envs), np.bool_)
        invalid = np.zeros(self.num_envs, np.bool_)
        for i, (lane, action) in enumerate(zip(self.lanes, actions.tolist(), strict=True)):
            if self._ended[i]:
                lane.begin(self._rngs[i])
                continue
            rewards[i], terminated[i], truncated[i], reason = lane.act(action)
            invalid[i] = bool(reason)
        self._ended = terminated | truncated
        infos, seen = self._infos(invalid), self._observe(self.lanes)
        if self._same_step and self._ended.any():
            infos = self._begin_again(infos, seen)
        return seen, rewards, terminated, truncated, infos

    def _begin_again(self, infos: dict[str, Any], seen: Observation) -> dict[str, Any]:
        """Begin anew in lanes that ended, in place of their last observations in ``seen``."""
        ended = np.flatnonzero(self._ended)
        final = np.full(self.num_envs, None, object)
        for i in ended:
            final[i] = {name: values[i].copy() for name, values in seen.items()}
            self.lanes[i].begin(self._rngs[i])
        for name, values in self._observe([self.lanes[i] for i in ended]).items():
            seen[name][ended] = values
        told = {"final_obs": final, "_final_obs": self._ended.copy(), "final_info": infos}
        told["_final_info"] = self._ended.copy()
        self._ended = np.zeros(self.num_envs, np.bool_)
        return {**self._infos(np.zeros(self.num_envs, np.bool_)), **told}

    def _observe(self, lanes: Sequence[Lane]) -> Observation:
        return observe(lanes, max_steps=self.world.max_steps, peek=self._peek)

    def _infos(self, invalid: NDArray[np.bool_]) -> dict[str, Any]:
        outcomes = [lane.core.outcome for lane in self.lanes]
        success = np.array([o is not None and o.success for o in outcomes], np.float64)
        told: dict[str, Any] = {
            "success_now": success,
            "is_success": success,
            "score": np.array([0.0 if o is None else 100.0 * o.reward for o in outcomes]),
            "invalid": invalid,
        }
        if self.world.setting.privileged:
            told["shop/potential"] = np.array([lane.core.potential() for lane in self.lanes])
            reached = [subgoals(lane.core) for lane in self.lanes]
            for name in reached[0]:
                told[f"shop/{name}"] = np.array([item[name] for item in reached])
        present = np.ones(self.num_envs, np.bool_)
        return told | {f"_{name}": present for name in told}
