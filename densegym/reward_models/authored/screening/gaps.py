"""A sign test that needs no expert: does bringing two things closer lower a term?

A term *measures the gap* between X and Y if it changes when X moves towards Y, and stays when
both move together. Where the task wants that gap closed, such a term must not fall when it is.
This finds the defect of Adroit's dense rewards in Gymnasium-Robotics 1.4.2 (pull request 220),
which pay for the distance between palm and handle, on states no expert has ever seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from densegym.reward_models.authored.programs.runner import Runner
from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.types import Bool, Float, TaskCard

ROWS = 256  # states that are probed, evenly spread over the bank
CLOSER = 0.5  # share of the gap by which X moves towards Y
ROOM = 0.01  # metres; a smaller gap has no room to close
TOGETHER = (0.05, -0.03, 0.04)  # metres by which both move
CLOSED = 0.5  # an expert that at least halves a gap closes it
MOST = 0.9  # share of states, or of expert episodes, that makes a rule
SLIGHT = 1e-3  # share of the change by which a term may differ when both move together
_NOISE = 1e-9


class Gap(NamedTuple):
    """A distance that the task wants closed.

    Attributes:
        near: name of what moves, without ``_position``.
        far: name of what it moves to.
    """

    near: str
    far: str


class Falls(NamedTuple):
    """A term that falls as a gap closes.

    Attributes:
        term: its name.
        gap: which gap.
        share: of the probed states in which it falls.
    """

    term: str
    gap: Gap
    share: float


def wanted_gaps(card: TaskCard, bank: Bank) -> list[Gap]:
    """Return the gaps a task wants closed.

    They are those the card itself measures as a feature ``<near>_from_<far>``, and those between
    two positions that successful experts at least halve in nine of ten episodes.
    """
    names = {item.name for item in card.features if item.source == "obs"}
    declared = [Gap(*name.split("_from_")) for name in sorted(names) if "_from_" in name]
    experts = [item for item in bank.trajectories if item.source == "expert" and item.success]
    places = sorted(name for name in names if name.endswith("_position"))
    pairs = [(a, b) for i, a in enumerate(places) for b in places[i + 1 :]]
    closed = [
        Gap(a.removesuffix("_position"), b.removesuffix("_position"))
        for a, b in pairs
        if experts and np.mean([_halved(item.features, a, b) for item in experts]) >= MOST
    ]
    known = {frozenset(gap) for gap in declared}
    return [*declared, *(gap for gap in closed if frozenset(gap) not in known)]


def falling_terms(runner: Runner, card: TaskCard, bank: Bank) -> list[Falls]:
    """Probe every wanted gap and return the terms that fall as it closes.

    Raises:
        SandboxError: the program failed in its worker.
    """
    rows = bank.stacked()
    count = len(rows["terminated"])
    chosen = np.linspace(0, count - 1, min(ROWS, count)).astype(np.int64)
    found = []
    for gap in wanted_gaps(card, bank):
        states = {name: values[chosen] for name, values in rows.items()}
        states = _with_room(states, gap)
        if len(states["terminated"]) and any(name in runner.parameters for name in _read(gap)):
            found += _falls(runner, states, gap)
    return found


def _falls(runner: Runner, states: Mapping[str, Any], gap: Gap) -> list[Falls]:
    before = runner(states).parts
    closer = runner(_closer(states, gap)).parts
    together = runner(_together(states, gap)).parts
    found = []
    for term, value in before.items():
        with np.errstate(invalid="ignore"):  # infinite terms change by nothing we can tell
            change, shifted = closer[term] - value, together[term] - value
        changed: Bool = np.abs(change) > _NOISE * np.maximum(1.0, np.abs(value))
        stays = np.abs(shifted) <= SLIGHT * np.abs(change)
        if changed.mean() < 1.0 - CLOSER or stays[changed].mean() < MOST:
            continue
        share = float((change[changed] < 0.0).mean())
        if share >= MOST:
            found.append(Falls(term, gap, share))
    return found


def _read(gap: Gap) -> Sequence[str]:
    """Return the features in which a gap shows."""
    near, far = gap
    return (f"{near}_position", f"{far}_position", f"{near}_from_{far}", f"{far}_from_{near}")


def _closer(states: Mapping[str, Any], gap: Gap) -> dict[str, Any]:
    """Return states with near moved half way to far; the step's earlier state is left as it is."""
    near, far, there, back = _read(gap)
    moved = dict(states)
    if near in states and far in states:
        moved[near] = states[near] + CLOSER * (states[far] - states[near])
    for name in (there, back):
        if name in states:
            moved[name] = (1.0 - CLOSER) * states[name]
    return moved


def _together(states: Mapping[str, Any], gap: Gap) -> dict[str, Any]:
    moved = dict(states)
    for name in _read(gap)[:2]:
        if name in states:
            moved[name] = states[name] + np.array(TOGETHER)[: states[name].shape[1]]
    return moved


def _with_room(states: Mapping[str, Any], gap: Gap) -> dict[str, Any]:
    near, far, there, back = _read(gap)
    apart = next((states[name] for name in (there, back) if name in states), None)
    if apart is None:
        apart = states[near] - states[far]
    room = np.linalg.norm(apart, axis=1) > ROOM
    return {name: values[room] for name, values in states.items()}


def _halved(features: Mapping[str, Any], near: str, far: str) -> bool:
    apart: Float = np.linalg.norm(features[near] - features[far], axis=1)
    return bool(apart[-1] <= CLOSED * apart[0])
