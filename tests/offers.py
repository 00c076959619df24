"""What installed packages offer, played by objects: the entry points of tests."""

from __future__ import annotations

from typing import Any


class Point:
    """An entry point; an exception as target is raised by loading it."""

    def __init__(self, name: str, target: Any, owner: str = "acme") -> None:
        self.name, self.target, self.loads = name, target, 0
        self.dist = type("Dist", (), {"name": owner})()

    def load(self) -> Any:
        """Return the target, counting the calls."""
        self.loads += 1
        if isinstance(self.target, Exception):
            raise self.target
        return self.target
