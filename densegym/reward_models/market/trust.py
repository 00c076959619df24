"""A potential of trust per agent, which leaves the equilibria of the game as they were."""

from __future__ import annotations

from densegym.reward_models.batch import all_true
from densegym.reward_models.market.payoffs import column
from densegym.reward_models.model import Event, Potential
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Need, Values


class TrustPotential(Potential):
    """Φ_i = k · mean over the others of min(T, 1 − R), agent i's trust in them.

    Nash equilibria stay, whatever Φ_i each agent has (Devlin & Kudenko 2011), if Φ is 0 where games
    end. These end at their horizon, so Φ is 0 there too and learners add no value of the last
    state; with a discount of 1 an agent's return shifts by −Φ_i(s₀).

    Args:
        height: k.
    """

    name = "market/trust-potential"
    traits = Traits(needs=Need.NOTHING)
    truncation = "terminal"

    def __init__(self, height: float = 10.0) -> None:
        self._height = float(height)

    def value(self, event: Event) -> Values:
        """Return Φ of the states entered."""
        trust = column(event.info, "market/trust")
        return Values(self._height * trust, all_true(len(trust)))
