"""The markets: ids and task cards with the dilemma's numbers. Nothing heavy is imported here."""

from __future__ import annotations

from typing import NamedTuple

from densegym.envs.market.params import MARKETS, Market, find_market
from densegym.envs.world import Team, World
from densegym.reward_models.types import Feature, TaskCard

_HERE = "densegym.envs.market"


class Dilemma(NamedTuple):
    """Welfare per agent and step under the market's own payoff, jitter 0; a test solves it again.

    Attributes:
        nash: of the static equilibrium of private payoffs.
        optimum: the most that one step can give.
        constant: the best constant, percent of every endowment.
        constant_welfare: what it earns over an episode.
    """

    nash: float
    optimum: float
    constant: int
    constant_welfare: float


DILEMMAS = {
    "TrustDilemma": Dilemma(148.65, 149.18, 40, 148.27),
    "PartnerHoldUp": Dilemma(147.38, 147.75, 35, 146.57),
    "PlatformEcosystem": Dilemma(154.18, 154.38, 30, 153.40),
    "DynamicPartnerSelection": Dilemma(136.61, 136.67, 19, 136.66),
    "RecoveryRace": Dilemma(147.39, 147.75, 28, 147.75),
    "SynergySearch": Dilemma(146.19, 146.42, 26, 146.42),
    "SLCD": Dilemma(148.01, 148.45, 29, 148.45),
    "RenaultNissan": Dilemma(148.89, 149.25, 32, 149.20),
    "CooperativeNegotiation": Dilemma(147.39, 147.75, 28, 147.75),
    "ReputationMarket": Dilemma(136.76, 136.82, 19, 136.82),
    "TeamProduction": Dilemma(161.42, 205.04, 100, 205.04),
    "LoyaltyTeam": Dilemma(161.42, 205.04, 100, 205.04),
    "PublicGoods": Dilemma(50.00, 100.00, 100, 100.00),
    "CoalitionFormation": Dilemma(44.74, 175.83, 100, 175.83),
    "ApacheProject": Dilemma(0.16, 103.38, 100, 103.38),
    "ReciprocalDilemma": Dilemma(148.02, 148.45, 29, 148.45),
    "GiftExchange": Dilemma(138.02, 138.45, 32, 138.28),
    "IndirectReciprocity": Dilemma(144.12, 144.30, 23, 144.30),
    "GraduatedSanction": Dilemma(143.01, 143.10, 21, 143.10),
    "AppleAppStore": Dilemma(125.31, 125.58, 30, 125.07),
}
_TOLD = (
    ("effort", "market/effort", "share of its endowment that the agent gave"),
    ("mean_effort", "market/mean-effort", "the same, mean over all agents"),
    ("baseline", "market/baseline", "share that is expected of the agent"),
    ("trust", "market/trust", "mean of min(T, 1 - R) of the agent in the others"),
    ("private_payoff", "market/private", "what the agent keeps and earns by itself"),
    ("welfare", "market/welfare", "sum of the private payoffs of all agents, before modifiers"),
)
_FEATURES = tuple(Feature(name, (), "1", "-", meaning, "info", key) for name, key, meaning in _TOLD)


def count_agents(*, name: str, phase: str | None = None, **others: object) -> int:
    """Return how many agents a market has."""
    return find_market(name, phase).agents


def worlds() -> list[World]:
    """Return the twenty markets; they keep their own clocks."""
    return [
        World(
            card=_card(market),
            entry_point=f"{_HERE}.single:MarketEnv",
            kwargs={"name": name},
            vector_entry_point=f"{_HERE}.vector:MarketVectorEnv",
            team=Team(
                agents=f"{_HERE}.cards:count_agents",
                parallel=f"{_HERE}.parallel:MarketParallel",
                aec=f"{_HERE}.parallel:MarketAEC",
                lanes=f"{_HERE}.lanes:make_lanes",
                arguments=f"{_HERE}.games:Setting",
            ),
        )
        for name, market in MARKETS.items()
    ]


def dilemma_line(name: str) -> str:
    """Return what a learner's welfare per agent and step stands beside."""
    told = DILEMMAS[name]
    return (
        f"welfare per agent and step: static Nash {told.nash:.2f}, optimum {told.optimum:.2f}, "
        f"best constant {told.constant_welfare:.2f} ({told.constant} %)"
    )


def _card(market: Market) -> TaskCard:
    return TaskCard(
        id=f"DenseGym/Market-{market.name}-v0",
        family="market",
        goal=(
            f"{market.agents} rivals who need each other choose what to give at each of "
            f"{market.horizon} steps; {dilemma_line(market.name)}."
        ),
        success="the welfare of the episode reaches 95 % of what the static optimum would earn",
        provenance="written anew from the equations of Coopetition-Gym v1 (arXiv 2605.02063), MIT",
        features=_FEATURES,
        measures=("market/mean-welfare", "market/mean-trust", "market/mean-effort"),
        gives=("numbers", "market", "team"),
    )
