"""A typed grammar of reward programs: the controls that ask no language model draw from it.

A program is a weighted sum of one to six terms. A term is a scalar of the feature table (a
feature, a component, a norm, a distance between two vectors of one unit and frame) put through a
shape, perhaps behind a gate, or its decrease in a step. Every tree prints to a reward program and
carries itself along in a comment, so that parents are rebuilt from a ledger alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from densegym.reward_models.authored.screening.bank import Bank
from densegym.reward_models.types import Feature, TaskCard

WEIGHTS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
LEVELS = (0.1, 0.25, 0.5, 0.9)
SHAPES = ("identity", "bell", "rational", "tanh", "decrease")
MOST_TERMS = 6
_MARK = "# tree: "


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number a row, read from features.

    Attributes:
        kind: ``value``, ``component``, ``norm`` or ``distance``.
        first: a feature.
        second: the other end of a distance, or "".
        index: of a component.
    """

    kind: str
    first: str
    second: str = ""
    index: int = 0

    def code(self, previous: bool = False) -> str:
        """Return it as NumPy code; ``previous`` reads the state before the step."""
        first = f"prev_{self.first}" if previous else self.first
        second = f"prev_{self.second}" if previous else self.second
        if self.kind == "component":
            return f"{first}[:, {self.index}]"
        if self.kind == "norm":
            return f"np.linalg.norm({first}, axis=1)"
        if self.kind == "distance":
            return f"np.linalg.norm({first} - {second}, axis=1)"
        return first

    def features(self) -> tuple[str, ...]:
        """Return the features it reads."""
        return tuple(name for name in (self.first, self.second) if name)

    def values(self, batch: Mapping[str, Any]) -> Any:
        """Return (N,) values on a batch of features."""
        array = np.asarray(batch[self.first], dtype=np.float64)
        if self.kind == "component":
            return array[:, self.index]
        if self.kind == "norm":
            return np.linalg.norm(array, axis=1)
        if self.kind == "distance":
            return np.linalg.norm(array - batch[self.second], axis=1)
        return array


@dataclass(frozen=True, slots=True)
class Condition:
    """Pays only while a scalar lies below a threshold."""

    scalar: Scalar
    threshold: float

    def code(self) -> str:
        """Return it as NumPy code."""
        return f"({self.scalar.code()} < {self.threshold!r})"


@dataclass(frozen=True, slots=True)
class Term:
    """A weighted, shaped scalar.

    Attributes:
        weight: signed.
        shape: one of ``SHAPES``; ``decrease`` is x before the step less x after it.
        scalar: what is shaped.
        scale: the shape's temperature, a quantile of the scalar over the bank.
        gate: when it is paid, or None for always.
    """

    weight: float
    shape: str
    scalar: Scalar
    scale: float
    gate: Condition | None = None

    def code(self) -> str:
        """Return it as NumPy code."""
        x, scale = self.scalar.code(), repr(self.scale)
        shaped = {
            "identity": f"np.clip({x}, -10.0, 10.0)",
            "bell": f"np.exp(-np.square({x} / {scale}))",
            "rational": f"1.0 / (1.0 + np.square({x} / {scale}))",
            "tanh": f"np.tanh({x} / {scale})",
            "decrease": f"({self.scalar.code(previous=True)} - {x}) / {scale}",
        }[self.shape]
        gate = "" if self.gate is None else f" * {self.gate.code()}"
        return f"{self.weight!r} * ({shaped}){gate}"

    def features(self) -> tuple[str, ...]:
        """Return every parameter it reads."""
        read = list(self.scalar.features())
        if self.shape == "decrease":
            read += [f"prev_{name}" for name in self.scalar.features()]
        if self.gate is not None:
            read += self.gate.scalar.features()
        return tuple(dict.fromkeys(read))


Tree = tuple[Term, ...]


class Grammar:
    """Draws and changes trees for one task.

    Args:
        card: the task, for the types of its features.
        bank: labelled trajectories, for the scales.
    """

    def __init__(self, card: TaskCard, bank: Bank) -> None:
        self._batch = bank.stacked()
        self._scalars = _scalars(card.features)
        self._past = {item.name for item in card.features if item.source == "obs"}

    def tree(self, rng: np.random.Generator) -> Tree:
        """Return a uniform tree of one to six terms."""
        return tuple(self.term(rng) for _ in range(int(rng.integers(1, MOST_TERMS + 1))))

    def term(self, rng: np.random.Generator) -> Term:
        """Return a uniform term; every feature is as likely as any other."""
        scalar = self.scalar(rng)
        gate = (
            Condition(other := self.scalar(rng), self._scale(other, rng))
            if rng.random() < 0.25
            else None
        )
        return Term(_weight(rng), self._shape(scalar, rng), scalar, self._scale(scalar, rng), gate)

    def scalar(self, rng: np.random.Generator) -> Scalar:
        """Return a scalar of a uniformly drawn feature."""
        names = sorted(self._scalars)
        of_feature = self._scalars[names[int(rng.integers(len(names)))]]
        return of_feature[int(rng.integers(len(of_feature)))]

    def mutated(self, tree: Tree, rng: np.random.Generator) -> Tree:
        """Change a weight, a scale, a shape, the number of terms, or a feature."""
        at = int(rng.integers(len(tree)))
        term, draw = tree[at], rng.random()
        if draw < 0.3:
            changed = replace(term, weight=_weight(rng))
        elif draw < 0.5:
            changed = replace(term, scale=self._scale(term.scalar, rng))
        elif draw < 0.7:
            changed = replace(term, shape=self._shape(term.scalar, rng))
        elif draw < 0.9:
            if len(tree) < MOST_TERMS and (len(tree) == 1 or rng.random() < 0.5):
                return (*tree, self.term(rng))
            return (*tree[:at], *tree[at + 1 :])
        else:
            changed = self.term(rng)
        return (*tree[:at], changed, *tree[at + 1 :])

    def crossed(self, first: Tree, second: Tree, rng: np.random.Generator) -> Tree:
        """Replace one term of a tree by one of another."""
        at = int(rng.integers(len(first)))
        return (*first[:at], second[int(rng.integers(len(second)))], *first[at + 1 :])

    def _shape(self, scalar: Scalar, rng: np.random.Generator) -> str:
        able = SHAPES if set(scalar.features()) <= self._past else SHAPES[:-1]
        return able[int(rng.integers(len(able)))]

    def _scale(self, scalar: Scalar, rng: np.random.Generator) -> float:
        level = LEVELS[int(rng.integers(len(LEVELS)))]
        drawn = float(np.quantile(np.abs(scalar.values(self._batch)), level))
        return float(f"{max(drawn, 1e-3):.3g}")


def program(tree: Tree) -> str:
    """Return a tree as a reward program that carries the tree in a comment."""
    parameters = dict.fromkeys(name for term in tree for name in term.features())
    names = [f"{term.shape}_{k}" for k, term in enumerate(tree)]
    lines = [f"    {name} = {term.code()}" for name, term in zip(names, tree, strict=True)]
    total, parts = " + ".join(names), ", ".join(f'"{name}": {name}' for name in names)
    return "\n".join(
        [
            _MARK + json.dumps([asdict(term) for term in tree], sort_keys=True),
            f"def compute_reward({', '.join(parameters)}):",
            *lines,
            f"    return {total}, {{{parts}}}",
            "",
        ]
    )


def tree_of(source: str) -> Tree | None:
    """Return the tree a program carries, or None for a program of another author."""
    line = next((line for line in source.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        return None
    return tuple(_term(item) for item in json.loads(line.removeprefix(_MARK)))


def _term(item: Mapping[str, Any]) -> Term:
    gate = item["gate"]
    kept = None if gate is None else Condition(Scalar(**gate["scalar"]), gate["threshold"])
    return Term(item["weight"], item["shape"], Scalar(**item["scalar"]), item["scale"], kept)


def _weight(rng: np.random.Generator) -> float:
    return float(rng.choice(WEIGHTS)) * (1.0 if rng.random() < 0.5 else -1.0)


def _scalars(features: Sequence[Feature]) -> dict[str, list[Scalar]]:
    """Return the scalars that each feature takes part in."""
    table: dict[str, list[Scalar]] = {}
    for item in features:
        if item.shape == ():
            table[item.name] = [Scalar("value", item.name)]
        elif len(item.shape) == 1:
            parts = [Scalar("component", item.name, index=k) for k in range(item.shape[0])]
            table[item.name] = [Scalar("norm", item.name), *parts]
    for one in features:
        for other in features:
            alike = (one.unit, one.frame, one.shape) == (other.unit, other.frame, other.shape)
            if one.name < other.name and alike and len(one.shape) == 1 and one.shape[0] > 1:
                # As often as all components together: distances are what tasks are made of.
                table[one.name] += [Scalar("distance", one.name, other.name)] * one.shape[0]
                table[other.name] += [Scalar("distance", one.name, other.name)] * one.shape[0]
    return table
