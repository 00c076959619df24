"""Episodes of any player on given goals, side by side, judged by the world's outcome alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from densegym.agents.shop.shopper import Player, Shopper
from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.goals.scoring import score
from densegym.envs.shop.session.core import ShopCore
from densegym.envs.shop.session.world import ShopWorld

LANES = 64


@dataclass(slots=True)
class Episodes:
    """What was seen, an entry per goal in the order in which they were given.

    Attributes:
        goal: ids.
        asin: the targets.
        score: 100 times the reward of the purchase; 0 without one.
        success: whether the purchase was exactly right by the world's scoring.
        strict: whether it was exactly right by the strict rule.
        bought: whether something was bought.
        steps: actions taken.
        invalid: actions that were refused.
        cpu_s: CPU seconds of this process.
    """

    goal: list[int] = field(default_factory=list)
    asin: list[str] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    success: list[bool] = field(default_factory=list)
    strict: list[bool] = field(default_factory=list)
    bought: list[bool] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    invalid: list[int] = field(default_factory=list)
    cpu_s: float = 0.0


def play_episodes(
    player: Player,
    world: ShopWorld,
    goals: Sequence[Goal],
    *,
    lanes: int = LANES,
    on_episode: Callable[[int], None] | None = None,
) -> Episodes:
    """Play one episode for every goal.

    Args:
        player: who plays.
        world: the shop; its step limit truncates.
        goals: what to ask for.
        lanes: episodes side by side.
        on_episode: called with the number of finished episodes.
    """
    seen, began = Episodes(), time.process_time()
    rows: dict[int, tuple[Shopper, int]] = {}  # by place in ``goals``
    waiting = iter(range(len(goals)))
    playing: list[tuple[int, Shopper]] = []

    def enter(lane: int) -> None:
        place = next(waiting, None)
        if place is not None:
            shopper = Shopper(ShopCore(world.shop), world.max_steps, lane)
            shopper.core.begin(goals[place])
            rows[place] = (shopper, 0)
            playing.append((place, shopper))

    for lane in range(min(lanes, len(goals))):
        enter(lane)
    finished = 0
    while playing:
        actions = player.choose([shopper for _, shopper in playing])
        now, playing = playing, []
        for (place, shopper), action in zip(now, actions, strict=True):
            done = shopper.core.act(action)
            shopper.refused = done.invalid
            rows[place] = (shopper, rows[place][1] + bool(done.invalid))
            if not done.terminated and shopper.core.state.steps < shopper.max_steps:
                playing.append((place, shopper))
                continue
            finished += 1
            if on_episode is not None:
                on_episode(finished)
            enter(shopper.lane)
    for place in range(len(goals)):
        _note(seen, *rows[place])
    seen.cpu_s = time.process_time() - began
    return seen


def _note(seen: Episodes, shopper: Shopper, invalid: int) -> None:
    core, bought = shopper.core, shopper.core.outcome
    seen.goal.append(core.goal.id)
    seen.asin.append(core.goal.asin)
    seen.score.append(0.0 if bought is None else 100.0 * bought.reward)
    seen.success.append(bought is not None and bought.success)
    seen.strict.append(bought is not None and strictly_right(core))
    seen.bought.append(bought is not None)
    seen.steps.append(core.state.steps)
    seen.invalid.append(invalid)


def strictly_right(core: ShopCore) -> bool:
    """Return whether a purchase is exactly right by the strict rule."""
    chosen = dict(core.state.options)
    product = core.shop.store.product(core.state.product)
    price = product.price_with(chosen, core.shop.store.price(core.state.product))
    return score(core.goal, product, chosen, price, rule="strict").success
