"""How a reward program behaves on a trial: what it pays, and the faults that show only in runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from densegym.reward_models.authored.programs.runner import LIMIT, Runner, Scored
from densegym.reward_models.authored.verification.trial import Trial
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import Float

DEAD = 1e-8  # standard deviation at or below which a reward, term or factor is constant
SUM_TOLERANCE = 1e-4
DOMINANCE = 0.99  # share of the terms' variance
CORRELATION = 0.999  # of two factors that say the same
FAR = 1e6  # standard deviations from the mean at which a factor would swamp a network
MEMORY_LIMIT = 1e9
_OFTEN = 0.1
_RTOL, _ATOL = 1e-5, 1e-8  # between a row in a batch and the same row alone


class Fault(NamedTuple):
    """Why a program does not pass."""

    status: Status
    feedback: str


def measure(scored: Scored, trial: Trial, kind: str) -> dict[str, Any]:
    """Return the facts of what a program paid on the judged rows.

    Returns:
        rows, std, min, max and clip_count of the total; per term mean, std, min, max, and share
        of the terms' variance; dominance, the largest share; dead, the terms that never change;
        non_additive, whether the terms miss the total by more than 1e-4 (relative above 1).
    """
    total = scored.total[: trial.judged]
    parts = {term: part[: trial.judged] for term, part in scored.parts.items()}
    terms: dict[str, dict[str, Any]] = {term: _moments(part) for term, part in parts.items()}
    varied = sum(facts["std"] ** 2 for facts in terms.values())
    for facts in terms.values():
        facts["share"] = facts["std"] ** 2 / varied if varied > 0 else None
    facts = {"rows": len(trial)}
    if kind != "factors":
        moments = _moments(total)
        facts |= {key: moments[key] for key in ("std", "min", "max")}
        facts["clip_count"] = int(np.count_nonzero(np.abs(total) > LIMIT))
    return facts | {
        "non_additive": kind == "compute_reward" and _non_additive(total, parts),
        "dead": [term for term, told in terms.items() if told["std"] <= DEAD],
        "dominance": max((told["share"] or 0.0 for told in terms.values()), default=None),
        "terms": terms,
    }


def find_fault(scored: Scored, trial: Trial, kind: str) -> Fault | None:
    """Return what is wrong with the values a program returned, or None."""
    if scored.memory is not None and explodes(scored.memory[: trial.judged], trial.real):
        return Fault(
            Status.UNSTABLE,
            f"the memory leaves [-{MEMORY_LIMIT:g}, {MEMORY_LIMIT:g}] within an episode; let it "
            "decay, or clip it",
        )
    if kind == "factors":
        return _find_bad_factor(scored, trial)
    columns = (
        {"the total": scored.total, **_quoted(scored)} if kind != "potential" else _quoted(scored)
    )
    fault = _find_non_finite(columns, trial)
    if fault is None and _moments(scored.total[: trial.judged])["std"] <= DEAD:
        value = scored.total[0]
        fault = Fault(
            Status.CONSTANT,
            f"the {'potential' if kind == 'potential' else 'reward'} is {value:.6g} on every one "
            f"of {trial.judged} steps, so nothing can be learned from it",
        )
    return fault


def find_inconsistency(runner: Runner, trial: Trial, memory: Float | None) -> Fault | None:
    """Return how answers differ between equal calls, or between orders of a batch, or None.

    Args:
        runner: of the program.
        trial: the rows.
        memory: (N, M) memory to start every row from, or None.
    """
    features = trial.features
    once, twice = runner(features, memory), runner(features, memory)
    changed = difference(once, twice, rtol=0.0, atol=0.0)
    if changed:
        return Fault(Status.UNSTABLE, f"two equal calls returned different values of {changed}")
    order = np.random.default_rng(0).permutation(len(trial))
    changed = difference(rows_of(once, order), runner(*_inputs(features, memory, order)))
    if changed:
        return Fault(
            Status.BAD_SHAPE,
            f"the order of the rows changes {changed}: a row's value must not depend on the "
            "others. Reduce vectors with axis=1, never over the batch axis",
        )
    return None


def warn(facts: Mapping[str, Any], scored: Scored, trial: Trial) -> list[str]:
    """Return what a passing program's author should still know."""
    warnings = []
    made = {"the total": scored.total, **_quoted(scored)}
    for label, column in made.items():
        bad = int(np.count_nonzero(~np.isfinite(column)))
        if bad:
            warnings.append(f"{label} is not finite on {bad} made-up rows of {len(trial)}")
    if facts["dead"]:
        warnings.append(f"terms that never change: {', '.join(facts['dead'])}")
    if len(facts["terms"]) > 1 and facts["dominance"] > DOMINANCE:
        shares = {name: told["share"] or 0.0 for name, told in facts["terms"].items()}
        warnings.append(f'"{max(shares, key=lambda name: shares[name])}" drowns the other terms')
    if facts["non_additive"]:
        warnings.append("the terms do not sum to the total")
    if facts.get("clip_count"):
        warnings.append(f"{facts['clip_count']} totals beyond {LIMIT:g} will be clipped")
    return warnings


def _find_non_finite(columns: Mapping[str, Float], trial: Trial) -> Fault | None:
    for label, column in columns.items():
        bad = ~np.isfinite(column[: trial.judged])
        if bad.all() or (trial.real and bad.any()):
            row = int(np.argmax(bad))
            return Fault(
                Status.NON_FINITE,
                f"{label} is {column[row]} on {np.count_nonzero(bad)} of {trial.judged} steps, for "
                f"example where {trial.describe(row)}. Guard divisions, logarithms and roots, for "
                "example with np.maximum(x, 1e-6)",
            )
    return None


def _find_bad_factor(scored: Scored, trial: Trial) -> Fault | None:
    named = _quoted(scored)
    if not named:
        return Fault(Status.CONSTANT, "there is no factor")
    fault = _find_non_finite(named, trial)
    if fault is not None:
        return fault
    moments = {name: _moments(part[: trial.judged]) for name, part in named.items()}
    dead = [name for name, told in moments.items() if told["std"] <= DEAD]
    if dead:
        return Fault(Status.CONSTANT, f"factors that never change: {', '.join(dead)}")
    twins = [
        f"{one} and {other}"
        for one, other in itertools.combinations(named, 2)
        if _correlation(named[one], named[other], trial.judged) >= CORRELATION
    ]
    if twins:
        return Fault(Status.CONSTANT, f"factors that say the same: {'; '.join(twins)}")
    far = [name for name, part in named.items() if _reach(part, moments[name]) > FAR]
    if far:
        told = f"factors beyond {FAR:g} standard deviations on far-off states: {', '.join(far)}"
        return Fault(Status.UNSTABLE, f"{told}. Clip them, or use np.tanh")
    return None


def _quoted(scored: Scored) -> dict[str, Float]:
    return {f'"{name}"': part for name, part in scored.parts.items()}


def _moments(column: Float) -> dict[str, float]:
    finite = column[np.isfinite(column)]
    if not len(finite):
        return dict.fromkeys(("mean", "std", "min", "max"), math.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            "mean": float(finite.mean()),
            "std": float(finite.std()),
            "min": float(finite.min()),
            "max": float(finite.max()),
        }


def _correlation(one: Float, other: Float, judged: int) -> float:
    both = np.isfinite(one[:judged]) & np.isfinite(other[:judged])
    with np.errstate(all="ignore"):
        return abs(float(np.corrcoef(one[:judged][both], other[:judged][both])[0, 1]))


def _reach(column: Float, moments: Mapping[str, float]) -> float:
    finite = column[np.isfinite(column)]
    return float(np.abs((finite - moments["mean"]) / moments["std"]).max())


def _non_additive(total: Float, parts: Mapping[str, Float]) -> bool:
    with np.errstate(all="ignore"):  # rows that are not finite are told elsewhere
        missed = np.abs(sum(parts.values(), np.zeros(len(total))) - total)
    finite = np.isfinite(missed)
    tolerance = SUM_TOLERANCE * np.maximum(1.0, np.abs(total[finite]))
    return bool((missed[finite] > tolerance).any())


def explodes(memory: Float, real: bool) -> bool:
    """Return whether memory leaves its bounds: at all in real steps, often in made-up ones."""
    if real:
        return not bool((np.abs(memory) <= MEMORY_LIMIT).all())  # NaN compares false
    far = (np.abs(memory) > MEMORY_LIMIT).any(axis=1)  # NaN may be due to impossible states
    return float(far.mean()) > _OFTEN


def _inputs(
    features: Mapping[str, Any], memory: Float | None, rows: Any
) -> tuple[dict[str, Any], Float | None]:
    taken = {name: values[rows] for name, values in features.items()}
    return taken, None if memory is None else memory[rows]


def rows_of(scored: Scored, rows: Any) -> Scored:
    """Return some rows of a score."""
    parts = {name: part[rows] for name, part in scored.parts.items()}
    return Scored(scored.total[rows], parts, None if scored.memory is None else scored.memory[rows])


def difference(
    one: Scored, other: Scored, *, rtol: float = _RTOL, atol: float = _ATOL
) -> str | None:
    """Return what of two scores differs, in words, or None."""
    if one.parts.keys() != other.parts.keys():
        return "which terms there are"
    pairs = {"the total": (one.total, other.total)}
    pairs |= {f'"{name}"': (part, other.parts[name]) for name, part in one.parts.items()}
    if one.memory is not None and other.memory is not None:
        pairs["the memory"] = (one.memory, other.memory)
    for label, (first, second) in pairs.items():
        if not np.allclose(first, second, rtol=rtol, atol=atol, equal_nan=True):
            return label
    return None
