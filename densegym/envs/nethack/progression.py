"""How far a game has come: the dungeon progression metric and named milestones.

Progression is the share of human games that ended in ascension among those that reached a mark,
a dungeon level or an experience level: BALROG (Paglieri et al., ICLR 2025), as tabled in its
nle-progress package. It never falls within an episode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

X, Y, DEPTH, EXPERIENCE, TURN, DUNGEON, LEVEL = 0, 1, 12, 18, 20, 23, 24  # columns of blstats
# Dungeon levels 2..50 and experience levels 2..30, in ten-thousandths.
_BY_DEPTH = (
    154, 175, 212, 265, 354, 485, 696, 977, 1256, 1613, 2061, 2566, 2925, 3088, 3249, 3401, 3526,
    3655, 3790, 3929, 4083, 4258, 4452, 4664, 5068, 5544, 6016, 6465, 6913, 7101, 7176, 7232, 7284,
    7328, 7369, 7421, 7471, 7537, 7610, 7674, 7725, 7772, 7813, 7859, 7890, 7930, 7967, 8018, 8068,
)  # fmt: skip
_BY_EXPERIENCE = (
    185, 208, 242, 291, 369, 508, 745, 1170, 1791, 2548, 3326, 4144, 4940, 5779, 6261, 6563, 6810,
    7015, 7174, 7287, 7371, 7443, 7513, 7586, 7642, 7703, 7760, 7783, 7805,
)  # fmt: skip
_DUNGEONS: Mapping[int, str] = {
    1: "gehennom", 2: "mines", 3: "quest", 4: "sokoban", 5: "ludios", 6: "vlad", 7: "planes",
}  # fmt: skip
_SAID = (
    ("key-taken", re.compile(r"[a-zA-Z] - .*\bkey\b")),
    ("door-unlocked", re.compile(r"You succeed in unlocking the door|WHAMM!!.*door crashes")),
    ("door-opened", re.compile(r"The door opens|door crashes open|door shatters")),
    ("killed", re.compile(r"You (kill|destroy) ")),
    ("gold", re.compile(r"\$ - ")),
)


def progression(depth: int, experience: int) -> float:
    """Return the metric in [0, 1] of a deepest dungeon level and an experience level.

    Example:
        >>> progression(1, 1), progression(2, 1), progression(10, 8)
        (0.0, 0.0154, 0.1256)
    """
    return max(_mark(_BY_DEPTH, depth), _mark(_BY_EXPERIENCE, experience))


def _mark(table: tuple[int, ...], level: int) -> float:
    return table[min(level, len(table) + 1) - 2] / 10_000 if level >= 2 else 0.0


@lru_cache(maxsize=1 << 16)
def milestones_of(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the milestones that the raw lines of a step tell of."""
    return tuple(name for name, said in _SAID if any(map(said.search, lines)))


class ProgressionTracker:
    """The marks of one episode.

    Attributes:
        value: the progression metric.
        depth: the deepest dungeon level.
        reached: names of all milestones: ``depth-N`` and ``level-N`` from 2 on, ``mines`` and other
            branches, and what lines told: ``key-taken``, ``door-unlocked``, ``door-opened``,
            ``killed``, ``gold``.
    """

    def __init__(self) -> None:
        self.value, self.depth = 0.0, 1
        self.reached: set[str] = set()
        self._place: tuple[int, int, int] | None = None
        self._experience = 1

    def update(self, blstats: Any, lines: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Take note of a state and of what was said; return milestones met for the first time."""
        place = (blstats.item(DEPTH), blstats.item(EXPERIENCE), blstats.item(DUNGEON))
        found = milestones_of(lines) if lines else ()
        if place != self._place:
            self._place = place
            found = (*found, *self._move(*place))
        elif not found:
            return ()
        fresh = tuple(name for name in dict.fromkeys(found) if name not in self.reached)
        self.reached.update(fresh)
        return fresh

    def ascend(self) -> None:
        """Take note of the game won."""
        self.value = 1.0

    def _move(self, depth: int, experience: int, dungeon: int) -> list[str]:
        found = [f"depth-{level}" for level in range(self.depth + 1, depth + 1)]
        found += [f"level-{level}" for level in range(self._experience + 1, experience + 1)]
        if dungeon in _DUNGEONS:
            found.append(_DUNGEONS[dungeon])
        self.depth, self._experience = max(self.depth, depth), max(self._experience, experience)
        self.value = max(self.value, progression(self.depth, self._experience))
        return found
