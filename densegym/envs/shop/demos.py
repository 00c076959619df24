"""Recorded shopping sessions: JSON lines that are executed again and checked, not trusted.

A line is written before its page is shown, so a killed session loses nothing. Lines hold actions
and hashes of what was seen; reading a file plays it through the shop and compares every step.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from densegym.envs.shop.goals.goals import Goal
from densegym.envs.shop.session.core import ShopCore, Transition
from densegym.envs.shop.session.render_text import text
from densegym.envs.shop.session.world import ShopWorld
from densegym.errors import ResultsError

VERSION = 1


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One step of a demonstration; the first of an episode has no action.

    Attributes:
        action: what was done, or "".
        text: the page that followed.
        valid_actions: what could be done there.
        reward: what was paid.
        terminated: whether something was bought.
    """

    action: str
    text: str
    valid_actions: tuple[str, ...]
    reward: float
    terminated: bool


@dataclass(slots=True)
class Demo:
    """An episode: its goal and its steps, the first of them the page on which it began."""

    goal: Goal
    steps: list[DemoStep] = field(default_factory=list)

    @property
    def reward(self) -> float:
        """Return what the purchase paid; 0 without one."""
        return self.steps[-1].reward if self.steps else 0.0


class Recorder:
    """Appends sessions to a file.

    Args:
        path: of the file; made with its folder.
        world: the shop that is played.
    """

    def __init__(self, path: Path, world: ShopWorld) -> None:
        self._path, self._world, self._t = path, world, 0
        path.parent.mkdir(parents=True, exist_ok=True)

    def began(self, core: ShopCore) -> None:
        """Note the first page of an episode."""
        self._t = 0
        self._write(core, "", Transition())

    def acted(self, core: ShopCore, action: str, done: Transition) -> None:
        """Note an action and the page that followed."""
        self._t += 1
        self._write(core, action, done)

    def _write(self, core: ShopCore, action: str, done: Transition) -> None:
        line = {
            "v": VERSION,
            "store": self._world.shop.store.hash,
            "scoring": self._world.setting.scoring,
            "goal_id": core.goal.id,
            "t": self._t,
            "obs_hash": _digest(core),
            "action": action,
            "valid_actions": core.valid_actions(),
            "reward": done.reward,
            "terminated": done.terminated,
            "time": round(time.time(), 3),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def load_demos(path: Path, world: ShopWorld) -> list[Demo]:
    """Return the episodes of a file after playing every one of them again.

    A torn last line, of a session that was killed, is left out.

    Raises:
        ResultsError: the file cannot be read, was recorded on another shop, or its steps do not
            lead where it says; names the line.
    """
    demos: list[Demo] = []
    core = ShopCore(world.shop)
    for number, line in _lines(path):
        where = f"{path} line {number}"
        _same_shop(line, world, where)
        if line["t"] == 0:
            core.begin(world.find_goal(line["goal_id"]))
            demos.append(Demo(core.goal))
            done = Transition()
        elif not demos or line["goal_id"] != core.goal.id or line["t"] != len(demos[-1].steps):
            raise ResultsError(f"{where} does not follow the line before it")
        elif core.over:
            raise ResultsError(f"{where} goes on after the purchase")
        else:
            done = core.act(line["action"])
        if (_digest(core), done.reward) != (line["obs_hash"], line["reward"]):
            raise ResultsError(
                f"{where} does not lead where it says: it was edited, or made by another version"
            )
        demos[-1].steps.append(_seen(core, line["action"], done))
    return demos


def _seen(core: ShopCore, action: str, done: Transition) -> DemoStep:
    valid = tuple(core.valid_actions())
    return DemoStep(action, text(core), valid, done.reward, done.terminated)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path} cannot be read as recorded sessions: {error}") from error
    for number, line in enumerate(content.split("\n")[:-1], start=1):
        try:
            told = json.loads(line)
            known = {"v": int, "goal_id": int, "t": int, "action": str, "obs_hash": str}
            if not all(type(told[key]) is kind for key, kind in known.items()):
                raise ValueError("a field has another type")
            told["reward"] = float(told["reward"])
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{path} line {number} is no recorded step: {error}") from error
        yield number, told


def _same_shop(line: dict[str, Any], world: ShopWorld, where: str) -> None:
    if line["v"] != VERSION:
        raise ResultsError(f"{where} has version {line['v']}; this program reads {VERSION}")
    here = (world.shop.store.hash, world.setting.scoring)
    there = (line.get("store"), line.get("scoring"))
    if here != there:
        raise ResultsError(
            f"{where} was recorded on the store {str(there[0])[:12]} with scoring {there[1]!r}; "
            f"this is {here[0][:12]} with {here[1]!r}"
        )


def _digest(core: ShopCore) -> str:
    return hashlib.sha256(text(core).encode("utf-8", "surrogatepass")).hexdigest()[:16]
