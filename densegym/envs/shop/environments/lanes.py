"""Shoppers side by side and what they see: one set of arrays for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from densegym.envs.shop.environments.features import (
    BODY,
    EXACT,
    FUZZY,
    GOAL,
    GROUP_SET,
    LEFT,
    MATCH,
    NO_OFFER,
    NUMBER,
    OPENED,
    PAGE,
    SET_SHARE,
    F,
    Featurizer,
    K,
    Offer,
    Row,
)
from densegym.envs.shop.session.actions import NO_ACTION, Action
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.state import State
from densegym.envs.shop.session.world import ShopWorld

Observation = dict[str, NDArray[Any]]
_SLOTS = np.arange(K)


def observation_space() -> spaces.Dict:
    """Return the space of one lane's observation."""
    return spaces.Dict(
        {
            "goal": spaces.Box(-1.0, 1.0, (GOAL,), np.float32),
            "page": spaces.Box(-1.0, 1.0, (PAGE,), np.float32),
            "cands": spaces.Box(-1.0, 1.0, (K, F), np.float32),
            "mask": spaces.MultiBinary(K),
        }
    )


class Lane:
    """One shopper and what it may do next.

    Args:
        world: the shop.
        featurizer: shared by all lanes of a process.
    """

    def __init__(self, world: ShopWorld, featurizer: Featurizer) -> None:
        self._world, self._featurizer = world, featurizer
        self.core = ShopCore(world.shop)
        self.offer = NO_OFFER
        self.embedding: Row = np.zeros(GOAL, np.float32)

    @property
    def actions(self) -> tuple[Action, ...]:
        """Return the actions behind the candidates."""
        return self.offer.actions

    def begin(self, rng: np.random.Generator, options: dict[str, Any] | None = None) -> None:
        """Start an episode."""
        self.core.begin(self._world.goal(rng, options))
        self.show(self.core)

    def show(self, core: ShopCore) -> None:
        """Go on as another shopper, from where it stands."""
        self.core = core
        self.embedding = self._featurizer.request(core.goal).embedding
        self._look()

    def act(self, action: int) -> tuple[float, bool, bool, str]:
        """Take a candidate; returns reward, terminated, truncated and why it was invalid."""
        core, offer = self.core, self.offer
        if 0 <= action < len(offer.clicks):
            done = core.press(offer.clicks[action])
        else:
            chosen = 0 <= action < len(offer.actions)
            done = core.perform(offer.actions[action] if chosen else NO_ACTION)
        truncated = not done.terminated and core.state.steps >= self._world.max_steps
        self._look()
        return done.reward, done.terminated, truncated, done.invalid

    def _look(self) -> None:
        core = self.core
        self.offer = NO_OFFER if core.over else self._featurizer.offer(core.goal, core.state)


def observe(lanes: Sequence[Lane], *, max_steps: int, peek: bool) -> Observation:
    """Return fresh arrays, (lanes, ...); rows beyond the candidates are 0.

    The featurizer keeps what a page shows; here it is joined for all lanes at once, and what the
    way there decides is added: clock, page number, chosen options, opened products.

    Args:
        lanes: at least one.
        max_steps: actions until truncation.
        peek: whether a product's full text counts before it was opened.
    """
    offers = [lane.offer for lane in lanes]
    states = [lane.core.state for lane in lanes]
    counts = np.array([len(offer.actions) for offer in offers])
    mask = counts[:, None] > _SLOTS
    cands = np.zeros((len(lanes), K, F), np.float32)
    cands[mask] = np.concatenate([offer.rows for offer in offers])
    page = np.concatenate([offer.page for offer in offers]).reshape(len(lanes), PAGE)
    playing = counts > 0
    left = playing * (1.0 - np.array([state.steps for state in states]) / max_steps)
    number = playing * np.minimum(np.array([state.number for state in states]) / 5.0, 1.0)
    page[:, 15], page[:, 5] = left, number
    cands[:, :, LEFT], cands[:, :, NUMBER] = mask * left[:, None], mask * number[:, None]
    for lane, (offer, state) in enumerate(zip(offers, states, strict=True)):
        if state.page == "item" and state.options:
            _write_options(cands[lane], page[lane], offer, state)
        elif state.page == "results" and (peek or state.opened):
            _write_opened(cands[lane], offer, state, peek=peek)
    goal = np.concatenate([lane.embedding for lane in lanes]).reshape(len(lanes), GOAL)
    return {"goal": goal, "page": page, "cands": cands, "mask": mask.astype(np.int8)}


def _write_opened(cands: Row, offer: Offer, state: State, *, peek: bool) -> None:
    opened = [offer.products[item] for item in state.opened if item in offer.products]
    cands[opened, OPENED] = 1.0
    cands[opened, BODY] = offer.body[opened]
    if peek:
        cands[: len(offer.body), BODY] = offer.body


def _write_options(cands: Row, page: Row, offer: Offer, state: State) -> None:
    chosen, count = state.options, len(offer.actions)
    share = len(chosen) / max(len(offer.groups), 1)
    cands[:count, SET_SHARE] = share
    page[7], page[14] = len(chosen) / 3.0, share
    match = 0.0
    for item in chosen:
        cands[offer.groups.get(item[0], []), GROUP_SET] = 1.0
        place = offer.places.get(item, -1)  # -1 where the option was dropped from the list
        if place >= 0:
            cands[place, OPENED] = 1.0
            match += max(cands[place, EXACT], cands[place, FUZZY])
    cands[offer.buy, MATCH] = match / len(chosen)
