"""Learning from the scripted expert: demonstrations in the choice interface, and cloning them.

The expert knows the target; whoever is cloned from it sees only what a shopper sees. A tenth of
the actions carried out are random, while the label stays the expert's, so that the clone learns
to find back from its own mistakes (DART, Laskey et al. 2017, arXiv 1703.09327).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from densegym.agents.shop.errands import find_query, next_action
from densegym.agents.shop.rules import expert_plan
from densegym.envs.shop.environments.features import Featurizer
from densegym.envs.shop.environments.lanes import Lane, Observation, observation_space, observe
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.world import ShopWorld
from densegym.errors import DenseGymError

EPISODES = 2_000
NOISE = 0.1
EPOCHS = 3
_BATCH, _RATE = 256, 1e-3


def begun(world: ShopWorld, goal: Goal) -> ShopCore:
    """Return a shopper at the beginning of an episode."""
    core = ShopCore(world.shop)
    core.begin(goal)
    return core


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """What the expert saw and chose.

    Attributes:
        obs: entries of the observation, (n, ...).
        actions: (n,) int64 candidates that the expert chose.
        episodes: from how many episodes.
    """

    obs: Observation
    actions: NDArray[np.int64]
    episodes: int


def demonstrate(
    world: ShopWorld, *, episodes: int = EPISODES, noise: float = NOISE, seed: int = 0
) -> Demonstrations:
    """Return demonstrations of the scripted expert on the goals of a world.

    Goals whose target no offered search lists are passed over: there is nothing to show.

    Args:
        world: shop and goals.
        episodes: how many.
        noise: share of the actions that are random instead.
        seed: of goals and noise.

    Raises:
        DenseGymError: no goal can be reached.
    """
    rng, lane = np.random.default_rng(seed), Lane(world, Featurizer(world.shop))
    seen: dict[str, list[NDArray[Any]]] = {name: [] for name in observation_space()}
    actions: list[int] = []
    reachable = [goal for goal in world.goals if find_query(begun(world, goal), goal.product)]
    if not reachable:
        raise DenseGymError("no goal of this part can be reached by the searches that are offered")
    for _ in range(episodes):
        lane.begin(rng, {"goal": reachable[int(rng.integers(len(reachable)))]})
        errand = expert_plan(lane.core)
        while not lane.core.over and lane.core.state.steps < world.max_steps:
            names = [str(action) for action in lane.actions]
            wanted = next_action(lane.core, errand)
            if wanted in names:  # an option may have been dropped from a crowded page
                actions.append(names.index(wanted))
                shown = observe([lane], max_steps=world.max_steps, peek=False)
                for name, values in shown.items():
                    seen[name].append(values[0])
            chosen = names.index(wanted) if wanted in names else 0
            lane.act(int(rng.integers(len(names))) if rng.random() < noise else chosen)
    obs = {name: np.stack(values) for name, values in seen.items()}
    return Demonstrations(obs, np.array(actions, np.int64), episodes)


def clone(
    scorer: torch.nn.Module,
    demos: Demonstrations,
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
    on_epoch: Callable[[int, float], None] | None = None,
) -> float:
    """Fit a scorer's choices to demonstrations by cross-entropy; returns the last epoch's loss.

    Args:
        scorer: a ``CandidateScorer``; changed in place.
        demos: what to imitate.
        epochs: passes over them.
        seed: of the order.
        on_epoch: told the number of the epoch and its mean loss.
    """
    rng, loss = np.random.default_rng(seed), float("nan")
    optimizer = torch.optim.Adam(scorer.parameters(), lr=_RATE)
    obs = {name: torch.as_tensor(values) for name, values in demos.obs.items()}
    targets = torch.as_tensor(demos.actions)
    for epoch in range(1, epochs + 1):
        losses = []
        for rows in torch.split(torch.as_tensor(rng.permutation(len(targets))), _BATCH):
            logits = scorer({name: values[rows] for name, values in obs.items()})
            miss = cross_entropy(logits, targets[rows])
            optimizer.zero_grad()
            miss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(miss.item())
        loss = float(np.mean(losses))
        if on_epoch is not None:
            on_epoch(epoch, loss)
    return loss
