"""Addresses of pages, in the original's forms; they name the whole state of a session."""

from __future__ import annotations

import json

from densegym.envs.shop.session.core import ShopCore

BASE = "http://127.0.0.1:3000"


def url(core: ShopCore, session: str | int, *, base: str = BASE) -> str:
    """Return the address of the page on which a shopper stands.

    Args:
        core: the shopper.
        session: its name; the original uses the goal's number.
        base: scheme, host and port.
    """
    state, options = core.state, dict(core.state.options)
    if state.page == "index":
        return f"{base}/{session}"
    words = state.query.replace(" ", "+")
    if state.page == "results":
        return f"{base}/search_results/{session}/{words}/{state.number}"
    asin = core.shop.store.product(state.product).asin
    if state.page == "done":
        return f"{base}/done/{session}/{asin}/{options}"
    place = f"{session}/{asin}/{words}/{state.number}"
    if state.page == "item":
        return f"{base}/item_page/{place}/{json.dumps(options)}"
    return f"{base}/item_sub_page/{place}/{state.section.title()}/{options}"
