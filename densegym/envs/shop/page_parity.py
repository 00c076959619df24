"""Do our pages equal the original's, byte for byte? Replays recorded episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from densegym.envs.shop.goals.goals import from_original
from densegym.envs.shop.session.core import Rules, Shop, ShopCore
from densegym.envs.shop.session.render_text import text, text_rich
from densegym.envs.shop.session.urls import url
from densegym.envs.shop.store.store import Store

TOLERANCE = 1e-12


def differences(store: Store, episode: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what differs at each step of a recorded episode; nothing where all is equal.

    Args:
        store: the products it was recorded on, built in parity mode.
        episode: ``mode``, ``goal``, ``goal_idx`` and ``steps``, as in the fixtures.
    """
    core = ShopCore(Shop(store, Rules(scoring="webshop", original=True)))
    target = store.index_of(episode["goal"]["asin"])
    core.begin(from_original(episode["goal"], product=-1 if target is None else target))
    draw = text if episode["mode"] == "text" else text_rich
    for number, step in enumerate(episode["steps"]):
        reward = core.act(step["action"]).reward if "action" in step else 0.0
        ours = {
            "obs": draw(core),
            "clickables": list(core.view.clickables),
            "search": core.state.page == "index",
        }
        theirs = {
            "obs": step["obs"],
            "clickables": step["avail"]["clickables"],
            "search": step["avail"]["has_search_bar"],
        }
        if "url" in step:
            ours |= {"url": url(core, episode["goal_idx"]), "done": core.over}
            theirs |= {"url": step["url"], "done": step["done"]}
        told = {key: (ours[key], theirs[key]) for key in ours if ours[key] != theirs[key]}
        if abs(reward - step.get("reward", 0.0)) > TOLERANCE:
            told["reward"] = (reward, step["reward"])
        if told:
            yield {"step": number, "action": step.get("action"), **told}
