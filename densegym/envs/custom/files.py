"""Task cards as TOML: what ``densegym task draft`` prints and ``--card`` reads."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from densegym.envs.custom.success import WORDS
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.types import Feature, TaskCard

_TEXTS = ("goal", "provenance", "family")
_LISTS = ("cameras", "measures", "gives")
_FIELDS = ("id", "success", *_TEXTS, *_LISTS, "features")
_FEATURE = tuple(field.name for field in dataclasses.fields(Feature))


def to_toml(card: TaskCard, success: str | None) -> str:
    """Return a card, with a line to fill in where nothing says what success is."""
    lines = [f"id = {_value(card.id)}", f"goal = {_value(card.goal)}"]
    if success is None:
        lines += [
            f"# What is success? One of {', '.join(WORDS)}, or an expression over the features,",
            '# steps and return_env, such as "return_env >= 100". Fill it in:',
            'success = ""',
        ]
    else:
        lines.append(f"success = {_value(success)}")
    lines += [f"{key} = {_value(value)}" for key in _TEXTS[1:] if (value := getattr(card, key))]
    lines += [f"{key} = {_value(list(value))}" for key in _LISTS if (value := getattr(card, key))]
    for feature in card.features:
        lines += ["", "[[features]]"]
        for name in _FEATURE:
            value = getattr(feature, name)
            if value is not None:
                lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def read_card(path: Path) -> dict[str, Any]:
    """Return what a card file says, as ``register_task`` takes it, ``env_id`` among it.

    Raises:
        DenseGymError: it cannot be read, is no TOML, or has fields that no card has.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DenseGymError(f"{path} cannot be read as a task card: {error}") from error
    for key in told:
        if key not in _FIELDS:
            raise unknown(f"field of the card {path}", key, _FIELDS)
    for key in ("id", "success", *_TEXTS):
        if not isinstance(told.get(key, ""), str):
            raise DenseGymError(f"{path}: {key} is a text; given {told[key]!r}")
    if not told.get("id"):
        raise DenseGymError(f'{path} names no environment; write id = "CartPole-v1"')
    for key in _LISTS:
        if key in told:
            told[key] = _texts(told[key], f"{path}: {key}")
    if "features" in told:
        if not isinstance(told["features"], list):
            raise DenseGymError(f"{path}: features are written as [[features]]")
        told["features"] = [_read_feature(row, path) for row in told["features"]]
    return {"env_id" if key == "id" else key: value for key, value in told.items()}


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DenseGymError(f"{where} is a list of texts; given {value!r}")
    return tuple(value)


def _read_feature(row: Any, path: Path) -> Feature:
    if not isinstance(row, Mapping) or "name" not in row:
        raise DenseGymError(f"{path}: every [[features]] has a name; given {row!r}")
    for key in row:
        if key not in _FEATURE:
            raise unknown(f'field of feature "{row["name"]}" in {path}', key, _FEATURE)
    columns = row.get("columns")
    pair = tuple(columns) if isinstance(columns, list) else columns
    width = _width(pair)
    shape = row.get("shape", [] if width == 1 else [width])
    told = {
        "unit": "1",
        "frame": "-",
        "meaning": "",
        **row,
        "shape": tuple(shape) if isinstance(shape, list) else shape,
        "columns": pair,
    }
    return Feature(**told)


def _width(pair: Any) -> int:
    """Return how many columns a pair spans; 1 where it is no pair, which is refused later."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        return 1
    return pair[1] - pair[0] if all(isinstance(number, int) for number in pair) else 1


def _value(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
