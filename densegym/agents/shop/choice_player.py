"""Players that choose among the candidates of ``DenseGym/ShopChoice-v0``, batched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from densegym.agents.shop.choice_ppo import ChoicePolicy
from densegym.agents.shop.shopper import Shopper
from densegym.envs.shop.environments.features import Featurizer, K
from densegym.envs.shop.environments.lanes import Lane, Observation, observation_space, observe
from densegym.envs.shop.session.world import ShopWorld

Act = Callable[[Observation], NDArray[np.int64]]


class ChoicePlayer:
    """Lets a function of batched choice observations play.

    Args:
        world: the shop.
        act: observations, entries (B, ...), in; candidates, (B,), out.
        featurizer: as in training; without oracle and peek by default.
    """

    def __init__(self, world: ShopWorld, act: Act, featurizer: Featurizer | None = None) -> None:
        self._world, self._act = world, act
        self._featurizer = featurizer or Featurizer(world.shop)
        self._lanes: dict[int, Lane] = {}

    def choose(self, shoppers: Sequence[Shopper]) -> list[str]:
        """Return the string behind the candidate chosen for every shopper."""
        lanes = [self._lane(shopper) for shopper in shoppers]
        for lane, shopper in zip(lanes, shoppers, strict=True):
            lane.show(shopper.core)
        chosen = self._act(observe(lanes, max_steps=self._world.max_steps, peek=False))
        return [str(lane.actions[int(k)]) for lane, k in zip(lanes, chosen, strict=True)]

    def _lane(self, shopper: Shopper) -> Lane:
        if shopper.lane not in self._lanes:
            self._lanes[shopper.lane] = Lane(self._world, self._featurizer)
        return self._lanes[shopper.lane]


def new_policy(**kwargs: Any) -> ChoicePolicy:
    """Return an untrained policy for the choice interface; arguments of ``ChoicePolicy``."""
    return ChoicePolicy(observation_space(), spaces.Discrete(K), lambda _: 0.0, **kwargs)


def likeliest(policy: ChoicePolicy) -> Act:
    """Return the function that takes a policy's likeliest candidates."""

    def act(obs: Observation) -> NDArray[np.int64]:
        with torch.no_grad():
            logits = policy.scorer({name: torch.as_tensor(v) for name, v in obs.items()})
        chosen: NDArray[np.int64] = logits.argmax(-1).numpy()
        return chosen

    return act
