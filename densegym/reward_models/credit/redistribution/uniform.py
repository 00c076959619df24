"""The cheapest honest redistribution, beside which every other one is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densegym.reward_models.credit.fitting.returns import ReturnCredit
from densegym.reward_models.traits import Promises
from densegym.reward_models.types import Episode, Float


class UniformCredit(ReturnCredit):
    """Every step of an episode earns R / T: ``reward="credit/uniform"``.

    The credits of an episode add up to its return R.
    """

    name = "credit/uniform"
    traits = ReturnCredit.traits.replace(
        promises=Promises("episode", causal=False, conserves="return")
    )

    def finish(self, episodes: Sequence[Episode]) -> Sequence[Float]:
        """Return R / T for every step."""
        return [np.full(len(one.env_reward), self.rewards(one).mean()) for one in episodes]
