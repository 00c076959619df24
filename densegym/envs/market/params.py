"""The twenty markets of Coopetition-Gym v1 as data: endowments, dependence, trust, payoffs, ends.

Source: vikpant/strategic-coopetition at d2dffd5 (MIT) and the papers behind it: arXiv 2510.18802
(TR-1, interdependence), 2510.24909 (TR-2, trust), 2601.16237 (TR-3, collective action) and
2604.01240 (TR-4, reciprocity). Written anew from its equations; no code of it is here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from densegym.errors import unknown

Row: TypeAlias = tuple[float, ...]
Extra: TypeAlias = Literal["", "synergy", "agreement", "tiers", "partners", "coalition"]
Mode: TypeAlias = Literal["private", "integrated", "cooperative"]
Payoff: TypeAlias = Literal["paper", "reference"]
MODES: tuple[Mode, ...] = get_args(Mode)
PAYOFFS: tuple[Payoff, ...] = get_args(Payoff)


@dataclass(frozen=True, slots=True)
class Trust:
    """How trust T and reputation damage R move; the papers' symbols in brackets.

    Attributes:
        gain: λ⁺, how fast trust is built.
        loss: λ⁻, how fast it is lost.
        damage: μ, how fast a reputation is damaged.
        healing: δ, how fast it heals.
        exposure: ξ, how much more those lose who depend.
        steepness: κ, of the signal, in raw units of action.
        start: T at the start of an episode.
        damaged: R at the start of an episode.
    """

    gain: float
    loss: float
    damage: float
    healing: float
    exposure: float
    steepness: float
    start: float = 0.5
    damaged: float = 0.0


@dataclass(frozen=True, slots=True)
class Team:
    """The payoff of a team that TR-3 defines, and what its reference pays instead.

    Attributes:
        scale: ω of Q = ω(Σa)^β, or m of a public good.
        power: β; None for a public good, e − a + mΣa/n.
        warmth: φ_B, worth of the others' payoffs to the loyal.
        relief: φ_C, share of their own cost that the loyal do not feel.
        capacity: the most that loyalty can be.
        bonuses: whether the reference multiplies by loyalty and co-ordination, or only punishes
            efforts below a fifth.
    """

    scale: float
    power: float | None
    warmth: float
    relief: float
    capacity: float = 1.0
    bonuses: bool = True


@dataclass(frozen=True, slots=True)
class Reciprocity:
    """TR-4's answer to what others did compared with their habit; symbols in brackets.

    Attributes:
        rate: ρ₀.
        power: η of D^η.
        steepness: κ'.
        memory: k, steps that make a habit.
        weight: λ_R.
        dependence: ω.
    """

    rate: float
    power: float
    steepness: float
    memory: int
    weight: float
    dependence: float


@dataclass(frozen=True, slots=True)
class Ending:
    """When an episode ends before its horizon: by the mean trust of some pairs.

    Attributes:
        pairs: (i, j), i's trust in j; empty for all pairs of different agents.
        below: ends where the mean is less.
        above: ends where the mean is at least this.
    """

    pairs: tuple[tuple[int, int], ...] = ()
    below: float | None = None
    above: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One game of n agents, each of which chooses an action in [0, endowment] at every step.

    Attributes:
        name: as in ``DenseGym/Market-<name>-v0``.
        endowment: e (n,).
        share: α (n,), of what they make together; adds up to 1.
        depends: D (n, n), row i says how much i depends on j; zero on the diagonal.
        baseline: b (n,), what is expected of each; also the actions before the first step.
        trust: how trust moves.
        horizon: steps of an episode.
        value: θ of θ ln(1 + a).
        synergy: γ of γ · geometric mean of all actions; of ``"synergy"`` drawn and hidden.
        ending: when it ends early, or None.
        team: of the five worlds of TR-3.
        reciprocity: of the five worlds of TR-4.
        extra: what else happens in it.
        recovery: of RecoveryRace, the trust that ends it where defects are not reproduced: the
            reference asks for 0.9, which 150 perfect steps do not reach.
    """

    name: str
    endowment: Row
    share: Row
    depends: tuple[Row, ...]
    baseline: Row
    trust: Trust
    horizon: int = 100
    value: float = 20.0
    synergy: float = 0.65
    ending: Ending | None = None
    team: Team | None = None
    reciprocity: Reciprocity | None = None
    extra: Extra = ""
    recovery: float | None = None

    @property
    def agents(self) -> int:
        """How many there are."""
        return len(self.endowment)

    @property
    def payoff(self) -> Payoff:
        """The payoff that is paid unless another is asked for: the papers', where they differ."""
        return "reference" if self.team is None else "paper"


def _even(n: int, depends: float) -> tuple[Row, ...]:
    return tuple(tuple(0.0 if i == j else depends for j in range(n)) for i in range(n))


def _equal(
    name: str, n: int, e: float, depends: float, baseline: float, trust: Trust, **more: Any
) -> Market:
    """Return a market of agents that are all alike."""
    return Market(
        name=name,
        endowment=(e,) * n,
        share=(1.0 / n,) * n,
        depends=_even(n, depends),
        baseline=(baseline,) * n,
        trust=trust,
        **more,
    )


def _team(name: str, n: int, team: Team, **more: Any) -> Market:
    trust = Trust(0.10, 0.25, 0.4, 0.02, 0.5, 1.0)
    return _equal(name, n, 50.0, 0.55, 20.0, trust, team=team, **more)


_RECIPROCAL = Trust(0.10, 0.30, 0.6, 0.03, 0.5, 1.0)


def _hub(spokes: int) -> tuple[Row, ...]:
    n = spokes + 1
    return tuple(
        tuple(0.0 if i == j or min(i, j) > 0 else (0.25 if i == 0 else 0.75) for j in range(n))
        for i in range(n)
    )


def _markets() -> tuple[Market, ...]:
    return (
        _equal(
            "TrustDilemma", 2, 100.0, 0.6, 40.0, Trust(0.15, 0.45, 0.5, 0.02, 0.6, 1.5),
            synergy=0.7, ending=Ending(below=0.05),
        ),
        Market(
            name="PartnerHoldUp", endowment=(120.0, 80.0), share=(0.6, 0.4),
            depends=((0.0, 0.35), (0.85, 0.0)), baseline=(42.0, 28.0),
            trust=Trust(0.10, 0.35, 0.55, 0.025, 0.7, 1.2, 0.55), synergy=0.6,
            ending=Ending(((1, 0),), below=0.1),
        ),
        Market(
            name="PlatformEcosystem", endowment=(150.0,) + (80.0,) * 4,
            share=(0.3,) + (0.175,) * 4, depends=_hub(4), baseline=(45.0,) + (24.0,) * 4,
            trust=Trust(0.08, 0.25, 0.45, 0.02, 0.4, 1.0, 0.6), value=25.0, synergy=0.75,
            ending=Ending(tuple((j, 0) for j in range(1, 5)), below=0.15),
        ),
        _equal(
            "DynamicPartnerSelection", 6, 100.0, 0.4, 35.0,
            Trust(0.12, 0.35, 0.6, 0.015, 0.45, 1.2), horizon=50, value=18.0, synergy=0.55,
            extra="partners",
        ),
        _equal(
            "RecoveryRace", 2, 100.0, 0.55, 35.0,
            Trust(0.08, 0.35, 0.7, 0.01, 0.4, 1.0, 0.25, 0.5), horizon=150, synergy=0.6,
            ending=Ending(above=0.9), recovery=0.85,
        ),
        _equal(
            "SynergySearch", 2, 100.0, 0.5, 40.0, Trust(0.10, 0.30, 0.6, 0.03, 0.5, 1.0, 0.55),
            synergy=0.5, extra="synergy",
        ),
        Market(
            name="SLCD", endowment=(100.0, 100.0), share=(0.55, 0.45),
            depends=((0.0, 0.64), (0.86, 0.0)), baseline=(30.0, 30.0),
            trust=Trust(0.08, 0.28, 0.5, 0.02, 0.45, 1.0, 0.65),
        ),
        _renault_nissan("mature"),
        _equal(
            "CooperativeNegotiation", 2, 100.0, 0.55, 35.0,
            Trust(0.12, 0.40, 0.65, 0.02, 0.55, 1.2), synergy=0.6, extra="agreement",
        ),
        _equal(
            "ReputationMarket", 5, 100.0, 0.35, 35.0, Trust(0.10, 0.30, 0.55, 0.015, 0.45, 1.0),
            value=18.0, synergy=0.5, extra="tiers",
        ),
        _team("TeamProduction", 4, Team(25.0, 0.7, 0.0, 0.0, bonuses=False)),
        _team("LoyaltyTeam", 4, Team(25.0, 0.7, 0.8, 0.3)),
        _team("PublicGoods", 5, Team(2.0, None, 0.6, 0.2)),
        _team("CoalitionFormation", 6, Team(25.0, 0.7, 0.7, 0.3), horizon=150, extra="coalition"),
        _apache("maturity"),
        _equal(
            "ReciprocalDilemma", 2, 100.0, 0.5, 30.0, _RECIPROCAL,
            reciprocity=Reciprocity(1.0, 1.0, 1.0, 5, 1.0, 0.6),
        ),
        Market(
            name="GiftExchange", endowment=(100.0, 80.0), share=(0.5, 0.5),
            depends=((0.0, 0.4), (0.7, 0.0)), baseline=(30.0, 24.0), trust=_RECIPROCAL,
            reciprocity=Reciprocity(1.2, 1.5, 1.0, 3, 1.2, 0.8),
        ),
        _equal(
            "IndirectReciprocity", 4, 100.0, 0.4, 30.0, _RECIPROCAL, horizon=150,
            reciprocity=Reciprocity(0.8, 1.0, 1.0, 7, 1.5, 0.5),
        ),
        _equal(
            "GraduatedSanction", 6, 100.0, 0.35, 40.0, _RECIPROCAL, horizon=200,
            reciprocity=Reciprocity(0.6, 1.5, 0.8, 10, 1.8, 1.0),
        ),
        Market(
            name="AppleAppStore", endowment=(100.0, 80.0, 60.0), share=(1 / 3,) * 3,
            depends=((0.0, 0.3, 0.2), (0.8, 0.0, 0.15), (0.85, 0.1, 0.0)),
            baseline=(30.0, 24.0, 18.0), trust=replace(_RECIPROCAL, start=0.6), horizon=66,
            reciprocity=Reciprocity(1.0, 1.2, 0.8, 4, 1.0, 0.8),
        ),
    )  # fmt: skip


def _renault_nissan(phase: str) -> Market:
    depends, start, damaged = {
        "formation": ((0.78, 0.66), 0.45, 0.05),
        "mature": ((0.51, 0.66), 0.70, 0.02),
        "crisis": ((0.35, 0.72), 0.30, 0.45),
        "strained": ((0.28, 0.65), 0.40, 0.35),
    }[phase]
    return Market(
        name="RenaultNissan",
        endowment=(90.0, 100.0),
        share=(0.48, 0.52),
        depends=((0.0, depends[0]), (depends[1], 0.0)),
        baseline=(27.0, 30.0),
        trust=Trust(0.08, 0.25, 0.55, 0.02, 0.5, 1.0, start, damaged),
        value=22.0,
        synergy=0.58,
    )


def _apache(phase: str) -> Market:
    agents, scale, capacity = {
        "emergence": (8, 20.0, 1.0),
        "growth": (15, 25.0, 0.85),
        "maturity": (40, 30.0, 0.7),
        "evolution": (35, 28.0, 0.6),
    }[phase]
    return _team(
        "ApacheProject", agents, Team(scale, 0.7, 0.75, 0.25, capacity=capacity), horizon=60
    )


PHASES = {
    "RenaultNissan": ("formation", "mature", "crisis", "strained"),
    "ApacheProject": ("emergence", "growth", "maturity", "evolution"),
}
MARKETS: dict[str, Market] = {market.name: market for market in _markets()}
"""By name, each in its default phase (mature, maturity)."""


def find_market(name: str, phase: str | None = None) -> Market:
    """Return a market, in one of its phases where it has any.

    Args:
        name: as in ``MARKETS``.
        phase: see ``PHASES``; None is the default one.

    Raises:
        UnknownNameError: no such market or phase; names the closest.
    """
    if name not in MARKETS:
        raise unknown("market", name, MARKETS)
    if phase is None:
        return MARKETS[name]
    if phase not in PHASES.get(name, ()):
        raise unknown(f"phase of {name}", phase, PHASES.get(name, ("none: leave phase out",)))
    return {"RenaultNissan": _renault_nissan, "ApacheProject": _apache}[name](phase)
