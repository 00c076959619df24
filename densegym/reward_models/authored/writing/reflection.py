"""What a ledger row tells the author of the next program: pure functions from rows to text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from densegym.reward_models.authored.programs.declarations import Component, declared
from densegym.reward_models.authored.search.candidate import Row
from densegym.reward_models.authored.writing import prompts
from densegym.reward_models.sandbox.status import Status

POINTS = 10
CONSTANT = 1e-2  # of a term's own size; less change than that over training is none
MUCH_LARGER = 10.0  # times the next largest term
_OUTCOMES = {"fitness": "task score", "episode_length": "episode length"}
_PATH = re.compile(r"(?<![\w/.])(?:[A-Za-z]:)?(?:[/\\][\w.~-]+){2,}")
_SLACK = 0.1  # of a declared range


def reflect(row: Row) -> str:
    """Return the course of every term over training and what stands out in it, with advice.

    After Eureka's reward reflection (Ma et al. 2024, arXiv 2310.12931, appendix A): at most ten
    points, maximum, mean and minimum per term, and the same of the task's score and the episodes'
    length; the authored total is left out. Departures: terms come from evaluation episodes, sums
    per episode are added, and a term's declared sign and range are compared with what was
    measured.

    Args:
        row: a candidate that was trained; "" for any other.
    """
    if not row.components:
        return ""
    return prompts.render("reflection", share=share(row), series="\n".join(courses(row)))


def progress(row: Row, points: int = POINTS) -> str:
    """Return the course of every term and what stands out in it, without advice."""
    if not row.components:
        return ""
    return prompts.render("course", share=share(row), series="\n".join(courses(row, points)))


def courses(row: Row, points: int = POINTS) -> list[str]:
    """Return a line per term and outcome, each followed by what stands out in it.

    Args:
        row: a trained candidate.
        points: most values of a series.
    """
    terms = {name: course for name, course in row.components.items() if _is_term(name)}
    expected = {item.name: item for item in declared(row.source)}
    lines = []
    for name, course in terms.items():
        lines.append(_course(f"`{name}`", course, points, sums=True))
        found = [
            *_flags(name, terms),
            *_mismatches(expected.get(name), row.dynamic.get("terms", {}).get(name) or course),
        ]
        lines += [f"  ! {flag}" for flag in found]
    missing = [f"`{name}`" for name in expected if terms and name not in terms]
    if missing:
        lines.append(f"  ! declared, but not among the terms: {', '.join(missing)}")
    lines += [
        _course(title, row.components[name], points, sums=False)
        for name, title in _OUTCOMES.items()
        if name in row.components
    ]
    return lines


def share(row: Row) -> str:
    """Return how much of a full run a row was trained for, in percent."""
    return f"{row.rungs[-1].get('fraction', 1.0):.0%}" if row.rungs else "0%"


def describe(row: Row) -> str:
    """Return in a sentence or two what an agent trained on a program did."""
    moved = [
        f"`{name}` went from {number(course['series'][0])} to {number(course['series'][-1])} a step"
        for name, course in row.components.items()
        if _is_term(name) and len(course["series"]) > 1
    ]
    told = f"It reached: {prompts.outcome(row)}."
    return f"{told} In training {', '.join(moved)}." if moved else told


def screen_feedback(row: Row) -> str:
    """Return how a program ranks recorded episodes, and what is wrong with the ranking; or ""."""
    facts = row.screen
    told = []
    if facts.get("auc") is not None:
        told.append(
            f"successes earn more than failures in {facts['auc']:.0%} of all pairs "
            f"({facts.get('n_succ', 0)} successes, {facts.get('n_fail', 0)} failures)"
        )
    if facts.get("spearman") is not None:
        told.append(
            "the rank correlation of its return with how cleanly a script acted is "
            f"{facts['spearman']:.2f}"
        )
    summary = f"{'; '.join(told)}.".capitalize() if told else ""
    wrong = scrub(row.feedback) if row.status is Status.TPE_FAIL else ""
    feedback = "\n".join(part for part in (summary, wrong) if part)
    return prompts.render("screen", feedback=feedback) if feedback else ""


def error_feedback(row: Row) -> str:
    """Return in one line why a program cannot be used; of a traceback its last line alone."""
    lines = [line.strip() for line in scrub(row.feedback).splitlines() if line.strip()]
    if not lines:
        return prompts.render("error", problem=str(row.status))
    told = lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
    return prompts.render("error", problem=f"{told} ({row.status})")


def scrub(text: str) -> str:
    """Return text in which no path of this machine is left."""
    return _PATH.sub("<file>", text)


def number(value: float) -> str:
    """Return two decimals, or two significant digits of small numbers."""
    size = abs(value)
    if not math.isfinite(value) or size >= 1e5 or 0.0 < size < 1e-4:
        return f"{value:.1e}"
    if size >= 100.0:
        return f"{value:.0f}"
    digits = 2 if size >= 1.0 or size == 0.0 else 1 - math.floor(math.log10(size))
    return f"{value + 0.0:.{digits}f}"


def _is_term(name: str) -> bool:
    return name != "total" and name not in _OUTCOMES


def _course(title: str, course: Mapping[str, Any], points: int, *, sums: bool) -> str:
    values = [number(value) for value in _spread(course["series"], points)]
    ends = ", ".join(f"{key.title()} {number(course[key])}" for key in ("max", "mean", "min"))
    line = f"{title}: {', '.join(values)}; {ends}"
    if sums and course.get("sums"):
        line += f"; {number(course['sums'][-1])} an episode at the end"
    return line


def _spread(series: Sequence[float], points: int) -> list[float]:
    """Return at most so many values, evenly spread, first and last included."""
    if len(series) <= points:
        return list(series)
    last = len(series) - 1
    return [series[round(i * last / (points - 1))] for i in range(points)]


def _flags(name: str, terms: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    own = _size(terms[name])
    if len(terms[name]["series"]) > 1:
        if own == 0.0:
            yield "always zero"
        elif terms[name]["max"] - terms[name]["min"] <= CONSTANT * own:
            yield "nearly constant"
    others = max((_size(course) for other, course in terms.items() if other != name), default=own)
    if own > MUCH_LARGER * others:
        yield (
            f"{own / others:.0f} times as large as the next largest term"
            if others > 0.0
            else "the only term that pays anything"
        )


def _size(course: Mapping[str, Any]) -> float:
    return float(max(abs(course["max"]), abs(course["min"])))


def _mismatches(expected: Component | None, measured: Mapping[str, Any]) -> Iterator[str]:
    if expected is None or measured.get("min") is None or measured.get("max") is None:
        return
    low, high = float(measured["min"]), float(measured["max"])
    slack = 1e-6 * max(abs(low), abs(high), 1.0)
    if expected.sign == "+" and low < -slack:
        yield f"declared positive, measured down to {number(low)}"
    if expected.sign == "-" and high > slack:
        yield f"declared negative, measured up to {number(high)}"
    if math.isfinite(expected.low) and math.isfinite(expected.high):
        slack = _SLACK * (expected.high - expected.low) + 1e-9
        if low < expected.low - slack or high > expected.high + slack:
            span = f"{number(expected.low)} to {number(expected.high)}"
            yield f"expected from {span}, measured from {number(low)} to {number(high)}"
