"""B games with what every interface adds alike: settings, seeds, observations, infos, success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from gymnasium import spaces

from densegym.envs.market.core import Api, MarketCore
from densegym.envs.market.observe import (
    Observer,
    Visibility,
    reference_observation,
    reference_width,
)
from densegym.envs.market.params import MODES, Market, Mode, Payoff, find_market
from densegym.envs.market.statics import optimum
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.types import Bool, Float

Actions: TypeAlias = Literal["fraction", "centred", "units"]
ACTIONS: tuple[Actions, ...] = get_args(Actions)
GOOD_ENOUGH = 0.95  # share of the static optimum's welfare that counts as success
BINS = 11  # actions that welfare is also told for, had an agent taken them instead
_HIGHEST = 2.0  # bound of observations; they are of order one


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a market is played; the same for every interface.

    Attributes:
        name: of the market, as in its id.
        phase: of RenaultNissan (formation, mature, crisis, strained) and ApacheProject (emergence,
            growth, maturity, evolution); None is the default one.
        mode: what the world itself pays: ``"private"`` payoffs, ``"integrated"`` utilities, or
            ``"cooperative"``, the mean of these.
        payoff: ``"paper"`` or ``"reference"``; None is the papers' where they differ (TR-3).
        jitter: share by which seeds move trust, dependence, first actions, synergy and loyalty.
        action: ``"fraction"`` of the endowment in [0, 1], ``"centred"``: the same as [−1, 1], or
            ``"units"`` of the endowment, whose spaces differ between unequal agents.
        visibility: ``"full"``, ``"row"`` or ``"minimal"``; see ``observe.Observer``.
        parity: be the reference, defects included: its actions, observations and payoffs, the mode
            ``"integrated"``, and no jitter.
        max_episode_steps: horizon; None is the market's own.
    """

    name: str
    phase: str | None = None
    mode: Mode | None = None
    payoff: Payoff | None = None
    jitter: float | None = None
    action: Actions | None = None
    visibility: Visibility = "row"
    parity: bool = False
    max_episode_steps: int | None = None

    def market(self) -> Market:
        """Return the game's parameters."""
        market = find_market(self.name, self.phase)
        if self.max_episode_steps is None:
            return market
        if self.max_episode_steps < 1:
            raise DenseGymError(f"max_episode_steps is at least 1; given {self.max_episode_steps}")
        return replace(market, horizon=self.max_episode_steps)


class Told(NamedTuple):
    """One step of all games.

    Attributes:
        obs: (B, n, D) float32.
        reward: (B, n) float64, the world's own.
        terminated: (B,) bool.
        truncated: (B,) bool.
        info: by key, (B, n) float64, or (B, n, 12) for ``market/welfare-instead``.
    """

    obs: Any
    reward: Float
    terminated: Bool
    truncated: Bool
    info: dict[str, Any]


class Games:
    """Plays B games of one setting; a view of a ``MarketCore``.

    Args:
        setting: how it is played.
        games: B.
        api: which interface of the reference ``parity`` reproduces.

    Attributes:
        core: the games.
        agents: n.
        observation_space: of one agent.
        action_spaces: of each agent; equal unless actions are in units.
    """

    def __init__(self, setting: Setting, games: int = 1, *, api: Api = "gym") -> None:
        market, parity = setting.market(), setting.parity
        action = setting.action or ("units" if parity else "fraction")
        if action not in ACTIONS:
            raise unknown("form of action", str(action), ACTIONS)
        self.core = MarketCore(
            market,
            games,
            mode=setting.mode or ("integrated" if parity else "private"),
            payoff=setting.payoff or ("reference" if parity else None),
            jitter=(0.0 if parity else 0.1) if setting.jitter is None else setting.jitter,
            parity=api if parity else None,
        )
        self.setting, self.agents, self.games, self._action = setting, market.agents, games, action
        self._parity = parity
        self._observer = Observer(self.core, setting.visibility)
        low, high, width = 0.0, _HIGHEST, self._observer.width
        if parity:
            high, width = max(1.0, *market.endowment), reference_width(market)
        self.observation_space = spaces.Box(low, high, (width,), np.float32)
        self.action_spaces = [self._space(e) for e in market.endowment]
        self._rngs: list[Any] = [np.random.default_rng() for _ in range(games)]
        self._optimum = optimum(market, self.core.payoff).welfare
        self._earned, self._reached = np.zeros(games), np.zeros(games, np.bool_)
        self._instead = self._levels()
        self._baseline = np.array(market.baseline) / np.array(market.endowment)

    def seed(self, game: int, seed: int | None) -> None:
        """Give a game its own generator; None leaves it as it is."""
        if seed is not None:
            self._rngs[game] = np.random.default_rng(seed)

    def use(self, game: int, rng: np.random.Generator) -> None:
        """Let a game draw from a generator of the host's."""
        self._rngs[game] = rng

    def begin(self, which: Sequence[int] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start episodes; return what all agents of all games see, and infos as in ``Told``."""
        chosen = list(range(self.games)) if which is None else list(which)
        self.core.begin(chosen, [self._rngs[game] for game in chosen])
        self._earned[chosen], self._reached[chosen] = 0.0, False
        return self.observe(), self._info(np.zeros((self.games, self.agents)), begun=True)

    def step(self, actions: Any, idle: Bool | None = None) -> Told:
        """Step all games with (B, n) actions in their form.

        Raises:
            DenseGymError: a wrong shape, NaN, or games that have not begun or have ended.
        """
        step = self.core.step(self.units(actions), idle)
        self._earned = self._earned + self.core.welfare
        whole = GOOD_ENOUGH * self.core.market.horizon * self._optimum
        self._reached = self._reached | (self._earned >= whole)
        info = self._info(step.private, begun=False)
        return Told(self.observe(), step.reward, step.terminated, step.truncated, info)

    def get_state(self) -> dict[str, Any]:
        """Return copies of all that a step changes; generators are the host's."""
        own = {"earned": self._earned.copy(), "reached": self._reached.copy()}
        return {"core": self.core.get_state(), **own}

    def set_state(self, state: Mapping[str, Any]) -> Any:
        """Go on from ``get_state`` of as many games of this setting; return what all see."""
        self.core.set_state(state["core"])
        self._earned, self._reached = state["earned"].copy(), state["reached"].copy()
        return self.observe()

    def units(self, actions: Any) -> Any:
        """Return actions in units of the endowment; what is no array of numbers stays."""
        given = np.asarray(actions)
        if given.dtype.kind not in "fiu" or self._action == "units":
            return given
        shares = given.astype(np.float64)
        if self._action == "centred":
            shares = 0.5 * (shares + 1.0)
        return shares * self.core.endowment.T if shares.ndim == 2 else shares

    def shares(self, units: Float) -> Any:
        """Return float32 actions in their form from (B, n) in units of the endowment."""
        if self._action == "units":
            return np.asarray(units, np.float32)
        shares = units / self.core.endowment.T
        return np.asarray(2.0 * shares - 1.0 if self._action == "centred" else shares, np.float32)

    def observe(self) -> Any:
        """Return (B, n, D) float32."""
        if not self._parity:
            return self._observer()
        rows = [
            [reference_observation(self.core, "parallel", i, game) for i in range(self.agents)]
            for game in range(self.games)
        ]
        return np.array(rows, np.float32)

    def _space(self, endowment: float) -> spaces.Box:
        low = -1.0 if self._action == "centred" else 0.0
        return spaces.Box(low, endowment if self._action == "units" else 1.0, (1,), np.float32)

    def _levels(self) -> Any:
        """Return (12, n, 1): 11 shares of the endowment, then the baseline."""
        core = self.core
        bins = np.linspace(0.0, 1.0, BINS)[:, None, None] * core.endowment
        return np.concatenate([bins, np.array(core.market.baseline)[None, :, None]])

    def _info(self, private: Float, *, begun: bool) -> dict[str, Any]:
        core, shape = self.core, (self.games, self.agents)

        def to_all(per_game: Any) -> Any:
            return np.repeat(np.asarray(per_game, np.float64)[:, None], self.agents, axis=1)

        welfare = np.zeros(self.games) if begun else core.welfare
        now = (welfare >= GOOD_ENOUGH * self._optimum) & (not begun)
        shares = (core.actions / core.endowment).T
        weight = np.minimum(core.trust, 1.0 - core.damage)
        told: dict[str, Any] = {
            "success_now": to_all(now),
            "is_success": to_all(self._reached),
            "team/game": to_all(np.arange(self.games)),
            "team/agent": np.broadcast_to(np.arange(self.agents, dtype=np.float64), shape),
            "team/size": np.full(shape, float(self.agents)),
            "market/private": private,
            "market/welfare": to_all(welfare),
            "market/trust": ((weight.sum(axis=1) - 1.0) / (self.agents - 1)).T,
            "market/mean-welfare": to_all(self._earned / (core.market.horizon * self.agents)),
            "market/mean-trust": to_all(core.mean_trust()),
            "market/effort": shares,
            "market/mean-effort": to_all(shares.mean(axis=1)),
            "market/baseline": np.broadcast_to(self._baseline, shape),
        }
        for mode in MODES[1:]:
            told[f"market/{mode}"] = np.zeros(shape) if begun else core.paid(mode)
        if not begun:
            told["market/private"] = core.paid("private")
            told["market/welfare-instead"] = core.welfare_instead(self._instead).transpose(2, 1, 0)
        else:
            told["market/welfare-instead"] = np.zeros((*shape, BINS + 1))
        return told


def rows_of(info: dict[str, Any], game: int) -> list[dict[str, Any]]:
    """Return one flat dict per agent of a game, Python floats but for arrays."""
    columns = {
        key: values[game].tolist() if values.ndim == 2 else list(values[game])
        for key, values in info.items()
    }
    agents = len(next(iter(columns.values())))
    return [{key: column[i] for key, column in columns.items()} for i in range(agents)]
