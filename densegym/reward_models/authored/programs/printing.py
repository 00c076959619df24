"""Pieces of the text of generated reward programs: numbers, arrays, comments."""

from __future__ import annotations

from densegym.reward_models.types import Float

DIGITS = 6


def literal(value: float) -> str:
    """Return a finite number as Python text."""
    return f"{value:.{DIGITS}g}"


def array(values: Float) -> str:
    """Return a vector or matrix of finite numbers as a NumPy expression."""
    if values.ndim == 1:
        rows = ", ".join(literal(value) for value in values)
        return f"np.array([{rows}])"
    lines = ",\n".join(f"        [{', '.join(literal(v) for v in row)}]" for row in values)
    return f"np.array([\n{lines},\n    ])"


def comment(text: str) -> list[str]:
    """Return any text as lines that can hold nothing but comments."""
    cleaned = ["".join(letter for letter in line if letter.isprintable()) for line in _lines(text)]
    return [f"# {line}".rstrip() for line in cleaned]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
