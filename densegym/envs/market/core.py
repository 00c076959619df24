"""B games of one market, stepped side by side; every interface is a view of this.

One step, in this order: actions are clipped to [0, endowment]; trust and reputation move from
their old values; payoffs are made; the mode weighs them with the new trust; the modifiers of TR-3
and TR-4 multiply. Where the reference is wrong, ``parity`` reproduces it and nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from densegym.envs.market import payoffs
from densegym.envs.market.extras import Agreement, Partners, Tiers
from densegym.envs.market.modifiers import HabitBook, TeamBook
from densegym.envs.market.params import MODES, PAYOFFS, Market, Mode, Payoff
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.types import Bool, Float, Int

Api = Literal["gym", "parallel"]
_HIDDEN = (0.2, 0.9)  # γ of SynergySearch is drawn from here
_PARALLEL_SYNERGY = 0.5  # what the reference's PettingZoo form takes for it
_EXTRAS: dict[str, type[Agreement | Tiers | Partners]] = {
    "agreement": Agreement,
    "tiers": Tiers,
    "partners": Partners,
}


class Step(NamedTuple):
    """What one step of B games of n agents told.

    Attributes:
        reward: (B, n) float64, what the mode pays.
        private: (B, n) float64, π, whose sum is the welfare of a game.
        terminated: (B,) bool, trust ended the game.
        truncated: (B,) bool, the horizon is reached.
    """

    reward: Float
    private: Float
    terminated: Bool
    truncated: Bool


class MarketCore:
    """Steps B games of one market.

    Args:
        market: the game.
        games: B.
        mode: ``"private"`` pays π, ``"integrated"`` U = π and what trust lets an agent care for of
            others, ``"cooperative"`` the mean of U to everybody.
        payoff: ``"paper"`` or ``"reference"``, which differ in the five worlds of TR-3; None is
            the market's own.
        jitter: share by which trust, dependence, first actions, synergy and loyalty may differ
            from the table, drawn anew for every episode; 0 makes all episodes alike.
        parity: reproduce this interface of the reference, defects included.

    Attributes:
        actions: (n, B), the latest; baselines before the first step.
        trust: T (n, n, B).
        damage: R (n, n, B).
        depends: D (n, n, B).
        synergy: γ (B,).
        t: (B,) int64, steps done.

    Raises:
        DenseGymError: an unknown mode or payoff, no games, or a jitter outside [0, 0.5].
    """

    def __init__(
        self,
        market: Market,
        games: int = 1,
        *,
        mode: Mode = "private",
        payoff: Payoff | None = None,
        jitter: float = 0.1,
        parity: Api | None = None,
    ) -> None:
        _check(market, games, mode, payoff, jitter)
        self.market, self.games, self.mode = market, games, mode
        self.payoff: Payoff = payoff or market.payoff
        self.jitter, self.parity = jitter, parity
        n = market.agents
        self.endowment, self._baseline = (
            payoffs.column(market.endowment),
            payoffs.column(market.baseline),
        )
        self._off = ~np.eye(n, dtype=np.bool_)[:, :, None]
        self._table = np.array(market.depends)[:, :, None]
        self.actions, self.t = np.zeros((n, games)), np.zeros(games, np.int64)
        self.trust, self.damage, self.depends = (np.zeros((n, n, games)) for _ in range(3))
        self.synergy = np.zeros(games)
        self.team = None if market.team is None else TeamBook(market, games)
        self._habits = None if market.reciprocity is None else HabitBook(market, games)
        kind = None if parity == "parallel" else _EXTRAS.get(market.extra)
        self.extra = None if kind is None else kind(market, games, kept=parity is not None)
        self._playing = np.zeros(games, np.bool_)
        self._pairs = _pairs(market)
        self._private = np.zeros((n, games))
        self._factor: Any = 1.0
        self._fine: Any = 0.0

    def begin(self, which: Any = None, rngs: Any = None, *, synergy: float | None = None) -> None:
        """Start an episode.

        Args:
            which: indices of games; None is all of them.
            rngs: a generator for each of them, for what is drawn; none is needed where nothing is.
            synergy: γ of all of them, instead of the table's or a drawn one.
        """
        games = np.arange(self.games) if which is None else np.asarray(which, dtype=np.int64)
        n, count = self.market.agents, len(games)
        drawn = [None] * count if rngs is None else rngs
        factors = np.stack([self._draw(rng) for rng in drawn], axis=-1)
        pairs, agents = factors[: n * n].reshape(n, n, count), factors[n * n : n * n + n]
        trust = self.market.trust
        self.damage[:, :, games] = np.where(self._off, trust.damaged, 0.0)
        start = np.clip(trust.start * pairs, 0.0, 1.0 - trust.damaged)
        self.trust[:, :, games] = np.where(self._off, start, 1.0)
        self.depends[:, :, games] = self._table * np.swapaxes(pairs, 0, 1)
        self.actions[:, games] = np.clip(self._baseline * agents, 0.0, self.endowment)
        self.synergy[games] = self._synergies(drawn, factors[-1]) if synergy is None else synergy
        self.t[games] = 0
        self._playing[games] = True
        if self.team is not None:
            self.team.begin(games, agents)
        if self._habits is not None:
            self._habits.begin(games)
        if self.extra is not None:
            self.extra.begin(games)

    def step(self, actions: Any, idle: Bool | None = None) -> Step:
        """Let every agent act.

        Args:
            actions: (B, n) in units of the endowment; clipped to what each has.
            idle: (B,) games whose step counts for nothing because they begin again next.

        Raises:
            DenseGymError: a wrong shape, NaN, or games that have not begun or have ended.
        """
        raw = self._checked(actions, idle)
        acted = np.clip(raw, 0.0, self.endowment)
        self._move_trust(acted)
        self.actions, self.t = acted, self.t + 1
        self._private = payoffs.private(self.market, self.payoff, acted, self.synergy)
        if self.team is not None:
            self.team.step(acted, self.t)
        if self._habits is not None:
            self._habits.step(acted, self.t)
        self._modify(raw)
        paid = self._of_mode(self.mode) * self._factor - self._fine
        terminated, truncated = self._ended(), self.t >= self.market.horizon
        self._playing = ~(terminated | truncated)
        return Step(paid.T, self._private.T, terminated, truncated)

    def paid(self, mode: Mode) -> Float:
        """Return (B, n) what a mode, not only the core's own, pays for the latest step."""
        paid: Float = (self._of_mode(mode) * self._factor - self._fine).T
        return paid

    @property
    def welfare(self) -> Float:
        """(B,) Σπ of the latest step."""
        total: Float = self._private.sum(axis=0)
        return total

    def welfare_instead(self, instead: Float) -> Float:
        """Return Σπ (K, n, B) had each agent alone taken another of K actions, (K, n, 1)."""
        return payoffs.welfare_instead(
            self.market, self.payoff, self.actions, self.synergy, instead
        )

    def mean_trust(self) -> Float:
        """Return (B,) the mean trust between different agents."""
        n = self.market.agents
        total: Float = self.trust.sum(axis=(0, 1)) - n
        return total / (n * (n - 1))

    def weights(self) -> Float:
        """Return (n, n, B) how much each cares for each: min(T, 1 − R) · D."""
        return np.minimum(self.trust, 1.0 - self.damage) * self.depends

    def get_state(self) -> dict[str, Any]:
        """Return copies of all that a step changes, from which ``set_state`` goes on."""
        return {name: _arrays(part) for name, part in self._parts().items()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from ``get_state`` of as many games of the same market."""
        for name, part in self._parts().items():
            for key, value in state[name].items():
                setattr(part, key, np.copy(value) if isinstance(value, np.ndarray) else value)

    def _parts(self) -> dict[str, Any]:
        parts = {"core": self, "team": self.team, "habits": self._habits, "extra": self.extra}
        return {name: part for name, part in parts.items() if part is not None}

    def _of_mode(self, mode: Mode) -> Float:
        """Return (n, B) what a mode pays."""
        if self.payoff == "paper":
            if mode == "integrated":
                assert self.team is not None, "checked at the start"
                loyalty = self.team.loyalty.astype(np.float64)
                return payoffs.loyal(self.market, self._private, self.actions, loyalty)
            shared = self._private
        else:
            if mode == "private":
                return self._private
            shared = payoffs.integrated(self._private, self.weights())
        if mode == "cooperative":
            return np.broadcast_to(shared.mean(axis=0), shared.shape)
        return shared

    def _modify(self, raw: Float) -> None:
        """Find what rewards are multiplied by, and fined, at this step."""
        if self.payoff == "reference" and self.team is not None:
            self._factor = self.team.factor()
            if self.parity == "parallel" and self.market.extra == "coalition":
                self._factor /= np.where(self.team.excluded, 0.5, 1.1)  # nobody is a member
        elif self._habits is not None:
            self._factor = self._habits.factor(self.trust, self.depends)
        elif self.extra is not None:
            self._factor, self._fine = self.extra.step(raw)

    def _move_trust(self, acted: Float) -> None:
        """Update T and R from their old values and the signal s_j of what j did."""
        rule, trust, damage = self.market.trust, self.trust, self.damage
        signal = np.tanh(rule.steepness * (acted - self._baseline))
        up, down = np.maximum(signal, 0.0), np.minimum(signal, 0.0)
        room = 1.0 - damage
        gained = rule.gain * up * np.maximum(np.minimum(1.0 - trust, room - trust), 0.0)
        lost = rule.loss * down * trust * (1.0 + rule.exposure * self.depends)
        moved = np.minimum(np.maximum(trust + gained + lost, 0.0), room)
        healed = damage * np.where(signal < 0.0, 1.0, 1.0 - rule.healing)
        hurt = np.minimum(np.maximum(healed - rule.damage * down * room, 0.0), 1.0)
        self.trust = np.where(self._off, moved, 1.0)
        self.damage = np.where(self._off, hurt, 0.0)

    def _ended(self) -> Bool:
        """Return (B,) whether trust ends the game."""
        if self.parity == "parallel" and self.market.extra == "coalition":
            return np.ones(self.games, np.bool_)  # its list of members is empty
        rule = self.market.ending
        if rule is None:
            return np.zeros(self.games, np.bool_)
        mean = self.trust[self._pairs].mean(axis=0)
        ended = np.zeros(self.games, np.bool_) if rule.below is None else mean < rule.below
        if rule.above is not None:
            recovery = None if self.parity else self.market.recovery
            ended = ended | (mean >= (rule.above if recovery is None else recovery))
        return ended

    def _draw(self, rng: Any) -> Float:
        """Return factors around 1: of pairs (n²), of agents (n), and of the synergy."""
        count = self.market.agents * (self.market.agents + 1) + 1
        if rng is None or not self.jitter:
            return np.ones(count)
        drawn: Float = rng.uniform(1.0 - self.jitter, 1.0 + self.jitter, count)
        return drawn

    def _synergies(self, rngs: Any, factors: Float) -> Any:
        if self.market.extra != "synergy":
            return self.market.synergy * factors
        if self.parity == "parallel":
            return _PARALLEL_SYNERGY
        return [self.market.synergy if rng is None else rng.uniform(*_HIDDEN) for rng in rngs]

    def _checked(self, actions: Any, idle: Bool | None) -> Float:
        given = np.asarray(actions)
        if given.shape != (self.games, self.market.agents) or given.dtype.kind not in "fiu":
            raise DenseGymError(
                f"a step takes one number per game and agent, an array of shape "
                f"{(self.games, self.market.agents)}; given {given.dtype} of shape {given.shape}"
            )
        if not np.isfinite(given.sum()) and not np.isfinite(given).all():
            game, agent = np.argwhere(~np.isfinite(given))[0].tolist()
            raise DenseGymError(
                f"actions are finite numbers; given {given[game, agent]} for agent {agent} of "
                f"game {game}"
            )
        stopped = ~self._playing if idle is None else ~self._playing & ~idle
        if stopped.any():
            game = int(np.argmax(stopped))
            state = "ended" if self.t[game] else "not begun"
            raise DenseGymError(f"game {game} has {state}; call reset() before step()")
        return np.ascontiguousarray(given.T, dtype=np.float64)


def _arrays(part: Any) -> dict[str, Any]:
    """Return copies of the arrays and factors that a part keeps between steps."""
    kept = {
        key: value for key, value in vars(part).items() if isinstance(value, np.ndarray | float)
    }
    return {key: np.copy(v) if isinstance(v, np.ndarray) else v for key, v in kept.items()}


def _check(market: Market, games: int, mode: str, payoff: str | None, jitter: float) -> None:
    if mode not in MODES:
        raise unknown("mode", str(mode), MODES)
    if payoff is not None and payoff not in PAYOFFS:
        raise unknown("payoff", str(payoff), PAYOFFS)
    if payoff == "paper" and market.team is None:
        raise DenseGymError(
            f'{market.name} has one payoff, "reference"; only the worlds of TR-3 have '
            'payoff="paper". Leave payoff out.'
        )
    if games < 1:
        raise DenseGymError(f"games is at least 1; given {games}")
    if not 0.0 <= jitter <= 0.5:
        raise DenseGymError(f"jitter is a share from 0 to 0.5; given {jitter}")


def _pairs(market: Market) -> tuple[Int, Int]:
    chosen = () if market.ending is None else market.ending.pairs
    if not chosen:
        rows, columns = np.nonzero(~np.eye(market.agents, dtype=np.bool_))
        return rows, columns
    rows, columns = np.array(chosen).T
    return rows, columns
