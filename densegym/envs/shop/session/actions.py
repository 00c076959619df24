"""Reads an action string: ``search[words]`` or ``click[target]``."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_ACTION = 512  # characters that are looked at; no page has a longer target
_ORIGINAL = re.compile(r"(.+)\[(.+)\]")
_FRIENDLY = re.compile(r"\s*(search|click)\s*\[(.*)\]\s*", re.IGNORECASE | re.DOTALL)


class Action(NamedTuple):
    """A parsed action.

    Attributes:
        verb: ``"search"``, ``"click"``, or "" where the string is no action.
        argument: in lower case; "" where there is none.
    """

    verb: str
    argument: str

    def __str__(self) -> str:
        return f"{self.verb}[{self.argument}]"


NO_ACTION = Action("", "")


def parse(text: str, *, original: bool = False) -> Action:
    """Return what a string asks for.

    Args:
        text: what the agent wrote; only the first 512 characters count.
        original: read it as the original does: greedy, case-sensitive verb, no outer blanks.
    """
    if original:
        found = _ORIGINAL.match(text[:MAX_ACTION])
        if found is None or found[1] not in ("search", "click"):
            return NO_ACTION
        return Action(found[1], found[2].lower())
    if len(text) > MAX_ACTION:
        return NO_ACTION
    found = _FRIENDLY.fullmatch(text)
    if found is None:
        return NO_ACTION
    return Action(found[1].lower(), " ".join(found[2].split()).lower())
