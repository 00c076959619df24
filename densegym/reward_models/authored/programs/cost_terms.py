"""The fixed library of cost terms behind the l2r author: data in, a reward program out.

A library is a TOML file per family of tasks. A language model only names terms, weights and
targets; residuals and norms are ours, so nothing it writes is ever run. The reward is
−Σ wᵢ nᵢ(rᵢ), the cost of MuJoCo MPC and of Language to Rewards (Yu et al. 2023, arXiv 2306.08647)
with its norms:

- ``quadratic``: 0.5 Σ r²;
- ``l2``: √(Σ r² + p²) − p;
- ``smooth-abs``: Σ (√(r² + p²) − p).
"""

from __future__ import annotations

import ast
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from densegym import assets
from densegym.errors import RewardError
from densegym.reward_models.authored.programs.printing import comment, literal
from densegym.reward_models.features import feature_names
from densegym.reward_models.types import TaskCard

MAX_WEIGHT = 10.0
_FOLDER = "l2r"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTerm:
    """One cost of the library.

    Attributes:
        name: as the language model types it.
        meaning: one line.
        residual: NumPy expression over features: (N,), or (N, k) for a vector.
        norm: ``"quadratic"``, ``"l2"`` or ``"smooth-abs"``.
        weight: taken where none is given.
        p: where the norm turns from a parabola into a line, in units of the residual.
        unit: of the residual.
        vector: whether the residual is (N, k).
        target: subtracted from the residual where none is given; None where it is always zero.
        low: least target.
        high: largest target.
        always: whether it is part of every program.
        widths: least width of a feature, for terms that read a column of it.
        group: of a group only the term with the largest weight is kept, since its members ask
            for contradictory things; "" is no group.
    """

    name: str
    meaning: str
    residual: str
    norm: Literal["quadratic", "l2", "smooth-abs"]
    weight: float
    p: float = 0.0
    unit: str = "m"
    vector: bool = False
    target: float | None = None
    low: float = -math.inf
    high: float = math.inf
    always: bool = False
    widths: Mapping[str, int] | None = None
    group: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The features it reads, in order of appearance."""
        tree = ast.parse(self.residual, mode="eval")
        names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
        return tuple(dict.fromkeys(name for name in names if name != "np"))

    def cost(self, target: float) -> str:
        """Return the NumPy expression of n(r), (N,)."""
        residual = self.residual
        if self.target is not None and target != 0.0:
            residual = f"({residual}) - {literal(target)}"
        squares, over = f"np.square({residual})", ".sum(axis=1)" if self.vector else ""
        if self.norm == "quadratic":
            return f"0.5 * {squares}{over}"
        inside = f"{squares}{over}" if self.norm == "l2" else squares
        rooted = f"np.sqrt({inside} + {literal(self.p**2)}) - {literal(self.p)}"
        return f"({rooted}){over}" if self.norm == "smooth-abs" else f"({rooted})"


@dataclass(frozen=True, slots=True)
class Library:
    """What an l2r author works with on one task.

    Attributes:
        form: what the motion descriptor fills in.
        terms: those whose features the task has, by name.
    """

    form: str
    terms: Mapping[str, CostTerm]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A term as a program uses it."""

    term: CostTerm
    weight: float
    target: float


def load_library(card: TaskCard) -> Library:
    """Read the library of a task's family; of terms with one name the first that fits is kept.

    Raises:
        RewardError: no library ships for the family.
    """
    known = assets.names(_FOLDER, ".toml")
    if card.family not in known:
        raise RewardError(
            f"l2r has cost terms for the families {', '.join(known)}; {card.id} is of "
            f'"{card.family}". Choose another author, such as eureka.'
        )
    data = tomllib.loads(assets.text(f"{_FOLDER}/{card.family}.toml"))
    readable = set(feature_names(card))
    widths = {item.name: item.shape[0] for item in card.features if item.shape}
    terms: dict[str, CostTerm] = {}
    for entry in data["term"]:
        term = CostTerm(**entry)
        wide = all(widths.get(name, 0) >= least for name, least in (term.widths or {}).items())
        if wide and readable.issuperset(term.parameters):
            terms.setdefault(term.name, term)
    return Library(form=data["form"].strip(), terms=terms)


def choose(library: Library, reply: Mapping[str, Any], *, equal: bool = False) -> list[Chosen]:
    """Return the terms that a reply names, bounded, and those of every program.

    Unknown names are ignored. What is no finite number takes the library's default; a weight is
    bounded to [0, ``MAX_WEIGHT``], a target to the term's range, and weight 0 drops the term.

    Args:
        library: of the task.
        reply: ``{term: {"weight": ..., "target": ...}}``.
        equal: give every term weight 1, the control of Eureka's comparison.

    Returns:
        Empty if the reply names no term of the library with a weight above zero.
    """
    named = []
    for name, value in reply.items():
        if name in library.terms:
            wishes = value if isinstance(value, Mapping) else {}
            named.append(_bounded(library.terms[name], wishes, equal=equal))
    asked = _one_per_group([item for item in named if item.weight > 0.0])
    if not asked:
        return []
    taken = {item.term.name for item in named}
    rest = [term for term in library.terms.values() if term.always and term.name not in taken]
    return [*asked, *(_bounded(term, {}, equal=equal) for term in rest)]


def print_program(chosen: Sequence[Chosen], remark: str) -> str:
    """Return the text of a reward program; its terms sum to the total.

    Args:
        chosen: at least one term.
        remark: a comment, such as the motion that the weights were chosen for.
    """
    parameters = dict.fromkeys(name for item in chosen for name in item.term.parameters)
    costs = [
        f"    {item.term.name}_cost = {literal(item.weight)} * {item.term.cost(item.target)}"
        for item in chosen
    ]
    total = " + ".join(f"{item.term.name}_cost" for item in chosen)
    terms = [f'        "{item.term.name}": -{item.term.name}_cost,' for item in chosen]
    lines = [
        *comment(remark),
        "import numpy as np",
        "",
        "",
        f"def compute_reward({', '.join(parameters)}):",
        *costs,
        f"    return -({total}), {{",
        *terms,
        "    }",
        "",
    ]
    return "\n".join(lines)


def _bounded(term: CostTerm, wishes: Mapping[str, Any], *, equal: bool) -> Chosen:
    weight = min(max(_number(wishes.get("weight"), term.weight), 0.0), MAX_WEIGHT)
    default = term.target or 0.0
    target = min(max(_number(wishes.get("target"), default), term.low), term.high)
    return Chosen(term, 1.0 if equal and weight > 0.0 else weight, target)


def _number(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return number if math.isfinite(number) else default


def _one_per_group(chosen: Sequence[Chosen]) -> list[Chosen]:
    kept: dict[str, Chosen] = {}
    for item in chosen:
        key = item.term.group or f" {item.term.name}"
        if key not in kept or item.weight > kept[key].weight:
            kept[key] = item
    return list(kept.values())
