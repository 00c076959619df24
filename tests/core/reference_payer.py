"""A naive payer: one sub-environment, plain floats, written from docs/rewards.md alone.

It shares no line with the engine, so a fault inside the engine cannot agree with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

Obs = tuple[float, float, float]


@dataclass
class Moment:
    """One step of one sub-environment."""

    obs: Obs
    next_obs: Obs
    env: float
    terminated: bool
    truncated: bool


@dataclass
class Told:
    """What the reference says of one episode."""

    paid: list[float] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)


class Env:
    late = False

    def start(self, obs: Obs) -> None: ...
    def step(self, t: int, now: Moment) -> float | None:
        return now.env


class Count:
    late = False

    def __init__(self, abstains: bool) -> None:
        self.abstains, self.count = abstains, 0

    def start(self, obs: Obs) -> None:
        self.count = 0

    def step(self, t: int, now: Moment) -> float | None:
        self.count += 1
        return None if self.abstains and self.count % 3 == 0 else float(self.count)


class Delayed:
    late = False

    def start(self, obs: Obs) -> None:
        self.total = 0.0

    def step(self, t: int, now: Moment) -> float | None:
        self.total += now.env
        return self.total if now.terminated or now.truncated else 0.0


class Height:
    """Φ = tanh x + exp(−z²) + 0.1 y, never below 0.9 of what it was."""

    late = False

    def __init__(self, abstains: bool, gamma: float, truncation: str, unsafe: bool) -> None:
        self.abstains, self.gamma, self.truncation = abstains, gamma, truncation
        self.unsafe = unsafe

    def _height(self, obs: Obs) -> float:
        return math.tanh(obs[0]) + math.exp(-obs[2] * obs[2]) + 0.1 * obs[1]

    def start(self, obs: Obs) -> None:
        self.best = self.phi = self._height(obs)

    def step(self, t: int, now: Moment) -> float | None:
        value = self.best = max(self._height(now.next_obs), 0.9 * self.best)
        silent = self.abstains and t % 4 == 2
        if self.unsafe:
            return None if silent else value
        ends = now.terminated or (now.truncated and self.truncation == "terminal")
        before = self.phi
        if ends:
            self.phi = 0.0
        elif silent:
            self.phi = before / self.gamma
        else:
            self.phi = value
        return None if silent and not ends else self.gamma * self.phi - before


class Spread:
    """Credits: the mean of the episode's rewards, for every step."""

    late = True

    def start(self, obs: Obs) -> None: ...
    def step(self, t: int, now: Moment) -> float | None:
        return 0.0

    def credits(self, played: list[Moment]) -> list[float]:
        mean = sum(now.env for now in played) / len(played)
        return [mean] * len(played)


class Linear(Spread):
    """Credits: twice the first coordinate of the successor."""

    def credits(self, played: list[Moment]) -> list[float]:
        return [2.0 * now.next_obs[0] for now in played]


def leaf(kind: str, term: dict[str, Any]) -> Any:
    if kind == "env":
        return Env()
    if kind.startswith("count"):
        return Count("abstaining" in kind)
    if kind == "delayed":
        return Delayed()
    if kind.startswith("height"):
        unsafe = term.get("mode") == "additive_unsafe"
        gamma, truncation = term.get("gamma", 0.99), term.get("truncation", "bootstrap")
        return Height("abstaining" in kind, gamma, truncation, unsafe)
    return Spread() if kind == "spread" else Linear()


class Payer:
    """Pays a list of terms; each a dict with ``kind`` and the keys of docs/rewards.md."""

    def __init__(self, terms: list[dict[str, Any]]) -> None:
        self.terms = terms

    def episode(self, first: Obs, played: list[Moment]) -> Told:
        """Return what every step of an episode is paid, and worth once it has ended."""
        models = [leaf(term["kind"], term) for term in self.terms]
        gates = [leaf(term["gate"], {}) if "gate" in term else None for term in self.terms]
        for model in (*models, *(gate for gate in gates if gate is not None)):
            model.start(first)
        is_open, last = [False] * len(models), [0.0] * len(models)
        adds = all(self._mode(term) != "replace" for term in self.terms)
        told = Told()
        for t, now in enumerate(played):
            paid, spoke = (now.env if adds else 0.0), True
            for i, term in enumerate(self.terms):
                share = self._bounded(term, models[i].step(t, now))
                if gates[i] is not None:
                    says = gates[i].step(t, now)
                    least = term.get("gate_threshold")
                    opens = is_open[i]
                    if says is not None:
                        opens = says > 0.0 if least is None else says >= least
                    is_open[i] = opens or (is_open[i] and term.get("gate_latch", False))
                    share = share if is_open[i] else 0.0
                if share is None:
                    spoke = False
                    stand_in = {"zero": 0.0, "env": now.env, "last": last[i]}
                    share = stand_in[term.get("fallback", "zero")]
                last[i] = share
                paid += share
            told.paid.append(paid)
            told.valid.append(spoke)
        told.worth = list(told.paid)
        for term, model in zip(self.terms, models, strict=True):
            if model.late:
                for t, credit in enumerate(model.credits(played)):
                    told.worth[t] += self._bounded(term, credit)
        return told

    @staticmethod
    def _mode(term: dict[str, Any]) -> str:
        return term.get("mode", "shape" if term["kind"].startswith("height") else "replace")

    @staticmethod
    def _bounded(term: dict[str, Any], share: float | None) -> float | None:
        if share is None:
            return None
        if "clip" in term:
            low, high = term["clip"]
            share = min(max(share, low), high)
        return share * term.get("scale", 1.0)
