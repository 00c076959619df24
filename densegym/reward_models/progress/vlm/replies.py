"""Reads what vision-language models write: a score, a list of numbers, yes or no, a letter.

Whatever cannot be read for certain is None: a refusal such as "I cannot compare 2 pictures" holds
a number too, and must not be paid.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_SCORE = re.compile(rf"(?<![\w.+-])({_NUMBER})\s*(%*|percent\b)(?![\w.])", re.IGNORECASE)
_TAGGED = re.compile(r"<score>(.*?)(?:</score>|$)", re.DOTALL | re.IGNORECASE)
_WRAPPING = " \t\r\n`*\"'."
_THOUGHT = re.compile(r"^.*</think>", re.DOTALL | re.IGNORECASE)
_LIST = re.compile(r"\[[^\[\]]*\]")
_LONGEST = 10_000  # characters of a reply that are looked at


def read_score(text: str) -> float | None:
    """Return a signed score in [-1, 1], or None.

    The last number inside the last ``<score>`` tags counts; without tags, the reply (after any
    ``</think>``) must be a number and nothing else. Numbers are percent, except those within
    [-1, 1] that are written with a decimal point and without "%"; larger ones are clipped.
    """
    text = _plain(text)
    tagged = _TAGGED.findall(text)
    if tagged:
        found = _SCORE.findall(tagged[-1])
        return _fraction(*found[-1]) if found else None
    whole = _SCORE.fullmatch(_THOUGHT.sub("", text).strip(_WRAPPING))
    return _fraction(*whole.groups()) if whole else None


def read_numbers(text: str, count: int, low: float, high: float) -> list[float] | None:
    """Return the last JSON list of exactly ``count`` numbers within bounds, or None."""
    for found in reversed(_LIST.findall(_plain(text))):
        try:
            values = json.loads(found.replace("%", ""))
        except ValueError:
            continue
        if len(values) != count or not all(_is_number(value) for value in values):
            continue
        return [float(v) for v in values] if all(low <= v <= high for v in values) else None
    return None


def read_yes(text: str, *, after: str = "") -> float | None:
    """Return 1 for yes and 0 for no, or None.

    Args:
        text: of the reply.
        after: the word whose verdict counts, as in "Success: Yes"; empty for a reply that is the
            verdict alone.
    """
    text = _plain(text)
    if after:
        found = re.findall(rf"{re.escape(after)}\W*(yes|no)\b", text, re.IGNORECASE)
        text = found[-1] if found else ""
    word = text.strip(_WRAPPING + "<>/").lower()
    return {"yes": 1.0, "1": 1.0, "true": 1.0, "no": 0.0, "0": 0.0, "false": 0.0}.get(word)


def expectation(
    alternatives: Sequence[Mapping[str, float]], values: Mapping[str, float]
) -> float | None:
    """Return the mean value of the first token over its likely alternatives, or None.

    Tokens that stand for the same label, such as "A" and " A", count together.

    Args:
        alternatives: per position, log-probabilities of tokens.
        values: of the labels.
    """
    weights: dict[str, float] = {}
    for token, logprob in alternatives[0].items() if alternatives else ():
        label = token.strip()
        if label in values and not math.isnan(logprob):
            weights[label] = weights.get(label, 0.0) + math.exp(min(logprob, 0.0))
    total = sum(weights.values())
    if total < 0.5:  # the model meant something else
        return None
    return sum(values[label] * weight for label, weight in weights.items()) / total


def _plain(text: str) -> str:
    return text[:_LONGEST].replace("\u2212", "-").replace("\u2013", "-").strip()


def _fraction(number: str, unit: str) -> float:
    value = float(number)
    if "." in number and not unit and abs(value) <= 1.0:
        return value
    return max(-1.0, min(1.0, value / 100.0))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
