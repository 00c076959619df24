"""Drafts a task card from a live environment: its spaces, and a few random episodes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from densegym.envs.custom.success import INFO, RESERVED
from densegym.errors import DenseGymError
from densegym.reward_models.model import distinct
from densegym.reward_models.types import Feature, TaskCard

EPISODES, LONGEST = 3, 200  # random episodes, and steps looked at in each
_NUMBERS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_SCALARS = 8  # observations of at most so many columns get a feature per column


@dataclass(frozen=True, slots=True)
class Draft:
    """What an environment tells about itself.

    Attributes:
        card: with a feature for every array that is observed, done, or told in ``info``.
        success: a rule for ``compile_rule``, or None where nothing hints at one.
    """

    card: TaskCard
    success: str | None


class _Seen:
    """Extremes of every number that was observed, and the keys of ``info``."""

    def __init__(self) -> None:
        self.low: dict[str, Any] = {}
        self.high: dict[str, Any] = {}
        self.info: dict[str, int] = {}
        self.steps = 0

    def note(self, leaves: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Note one step."""
        self.steps += 1
        for key, value in leaves.items():
            self.low[key] = np.minimum(self.low.get(key, value), value)
            self.high[key] = np.maximum(self.high.get(key, value), value)
        for key, value in info.items():
            if isinstance(value, bool | int | float | np.number | np.bool_):
                self.info[key] = self.info.get(key, 0) + 1


def draft(
    env_id: str,
    make: Callable[[], gym.Env[Any, Any]],
    *,
    seed: int = 0,
    episodes: int = EPISODES,
) -> Draft:
    """Make an environment, look at it, and close it.

    Args:
        env_id: its id.
        make: makes it.
        seed: of the random episodes.
        episodes: how many random ones are looked at; none shows neither ranges nor ``info``.

    Raises:
        DenseGymError: it cannot be made, or breaks in its first steps.
    """
    try:
        env = make()
        try:
            return _draft(env_id, env, seed, episodes)
        finally:
            env.close()
    except DenseGymError:
        raise
    except Exception as error:
        raise DenseGymError(
            f"{env_id} broke while a card was drafted from it: {type(error).__name__}: {error}"
        ) from error


def _draft(env_id: str, env: gym.Env[Any, Any], seed: int, episodes: int) -> Draft:
    seen = _watch(env, seed, episodes)
    space = env.observation_space
    features = _distinct([*_observed(space, seen), *_acted(env.action_space), *_told(seen)])
    gives = ["numbers"] if _is_numeric(space) and _is_numeric(env.action_space) else []
    if "rgb_array" in (env.metadata or {}).get("render_modes", ()):
        gives.append("pictures")
    card = TaskCard(
        id=env_id,
        goal=_first_sentence(env),
        provenance=f"{type(env.unwrapped).__module__}, its own licence",
        features=features,
        gives=tuple(gives),
    )
    return Draft(card, _success(env, seen))


def _watch(env: gym.Env[Any, Any], seed: int, episodes: int) -> _Seen:
    seen = _Seen()
    env.action_space.seed(seed)
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed + episode)
        for _ in range(LONGEST):
            obs, _, terminated, truncated, info = env.step(env.action_space.sample())
            seen.note(dict(_leaves(env.observation_space, obs)), info)
            if terminated or truncated:
                break
    return seen


def _success(env: gym.Env[Any, Any], seen: _Seen) -> str | None:
    if INFO in seen.info:
        return INFO
    threshold = None if env.spec is None else env.spec.reward_threshold
    return None if threshold is None else f"return_env >= {threshold:g}"


def _leaves(space: spaces.Space[Any], obs: Any) -> Iterable[tuple[str, Any]]:
    for name, part, _ in _parts(space):
        value = obs if name is None else obs[name]
        if isinstance(part, _NUMBERS):
            yield name or "", np.asarray(value, dtype=np.float64)


def _parts(space: spaces.Space[Any]) -> list[tuple[str | None, spaces.Space[Any], tuple[int, ...]]]:
    """Return what a reward can read: the observation, or the entries of a dict of arrays."""
    if isinstance(space, spaces.Dict):
        entries = [(key, part) for key, part in space.items() if part.shape is not None]
        return [(key, part, part.shape or ()) for key, part in entries]
    return [] if space.shape is None else [(None, space, space.shape)]


def _observed(space: spaces.Space[Any], seen: _Seen) -> list[Feature]:
    features: list[Feature] = []
    for key, part, shape in _parts(space):
        if isinstance(part, spaces.Text) or len(shape) > 1:
            continue  # texts and pictures are no features of reward programs
        low, high = seen.low.get(key or ""), seen.high.get(key or "")
        name = _identifier(key or "observation")
        if key is None and len(shape) == 1 and shape[0] <= _SCALARS:
            for column in range(shape[0]):
                span = _span(low, high, column)
                features.append(
                    Feature(f"obs_{column}", (), "1", "-", span, "obs", None, (column, column + 1))
                )
        else:
            features.append(Feature(name, shape, "1", "-", _span(low, high), "obs", key))
    return features


def _acted(space: spaces.Space[Any]) -> list[Feature]:
    if space.shape is None or len(space.shape) > 1 or isinstance(space, spaces.Text):
        return []
    return [Feature("action", space.shape, "1", "-", f"what was done: {space}", "action")]


def _told(seen: _Seen) -> list[Feature]:
    always = [key for key, count in seen.info.items() if count == seen.steps and key != INFO]
    return [
        Feature(f"info_{_identifier(key)}", (), "1", "-", f'info["{key}"]', "info", key)
        for key in always
        if not key.startswith("_")
    ]


def _span(low: Any, high: Any, column: int | None = None) -> str:
    if low is None or np.size(low) == 0:
        return "observed"
    if column is not None:
        low, high = low[column], high[column]
    return f"from {np.min(low):.3g} to {np.max(high):.3g} in {EPISODES} random episodes"


def _identifier(text: str) -> str:
    kept = "".join(c if c.isalnum() else "_" for c in text).strip("_")
    free = kept.isidentifier() and not keyword.iskeyword(kept) and kept not in RESERVED
    return kept if free else f"x_{kept}"


def _distinct(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return features, the second of one name called ``<name>_2`` and so on."""
    names = [name.replace("-", "_") for name in distinct([item.name for item in features])]
    return tuple(replace(item, name=name) for item, name in zip(features, names, strict=True))


def _is_numeric(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return all(_is_numeric(part) for part in space.values())
    return space.shape is not None and not isinstance(space, spaces.Text)


def _first_sentence(env: gym.Env[Any, Any]) -> str:
    text = " ".join((type(env.unwrapped).__doc__ or "").replace("#", " ").split())
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)  # links of Markdown
    text = text.removeprefix("Description").strip()
    sentence = text.partition(". ")[0].rstrip(".")
    return f"{sentence[:200]}." if sentence else ""
