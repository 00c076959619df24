"""Success where an environment was not made for DenseGym: a rule, and a wrapper that tells it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import WrapperSpec
from gymnasium.utils import RecordConstructorArgs

from densegym.errors import DenseGymError
from densegym.reward_models.batch import add_axis
from densegym.reward_models.features import blank_steps, feature_names, reader
from densegym.reward_models.sandbox.allowlist import inspect_words
from densegym.reward_models.sandbox.namespace import load_entry
from densegym.reward_models.sandbox.status import Status
from densegym.reward_models.types import Feature, Steps, TaskCard

INFO, TERMINATED, TRUNCATED, NONE = "is_success", "terminated", "truncated", "none"
WORDS = (INFO, TERMINATED, TRUNCATED, NONE)
EXAMPLE = "return_env >= 475"
_CLOCK = (
    Feature("steps", (), "1", "-", "steps of the episode so far", "info", "task/steps"),
    Feature("return_env", (), "1", "-", "the world's own return so far", "info", "task/return"),
    Feature("truncated", (), "1", "-", "whether the clock ended it", "info", "task/truncated"),
)
RESERVED = ("terminated", *(item.name for item in _CLOCK))
"""Names that rules know without a card."""
Rule = Callable[[Steps], bool]


def compile_rule(text: str, card: TaskCard) -> Rule:
    """Return a function from one step to whether its success rule holds.

    Args:
        text: ``"is_success"`` (``info`` tells it), ``"terminated"`` or ``"truncated"`` (an episode
            that ends so succeeded), or an expression over the card's features, ``steps``,
            ``return_env``, ``terminated`` and ``truncated``, with the words of reward programs.
        card: names the features.

    Raises:
        DenseGymError: the expression is refused, or is no single truth value.
    """
    if text == INFO:
        return _told
    if text in (TERMINATED, TRUNCATED):
        return lambda steps: bool(getattr(steps, text)[0])
    if text == NONE:
        raise DenseGymError(f'success="{NONE}" is no rule')
    taken = {item.name for item in card.features}
    clock = (item for item in _CLOCK if item.name not in taken)
    whole = replace(card, features=(*card.features, *clock))
    names = _names(text, whole)
    source = f"def potential({', '.join(names)}):\n    return 1.0 * ({text})\n"
    found = inspect_words(source, known=feature_names(whole))
    if found.status is not Status.OK:
        raise DenseGymError(_refusal(text, found.feedback))
    entry, readers = load_entry(found), [reader(whole, name) for name in names]

    def rule(steps: Steps) -> bool:
        holds = np.asarray(entry(*(read(steps) for read in readers)))
        if holds.size != 1:
            raise DenseGymError(
                f'success = "{text}" has {holds.size} values where one is expected; write '
                ".any(axis=1) or .all(axis=1) behind a vector"
            )
        return bool(holds.reshape(()) != 0)

    try:
        rule(blank_steps(whole, rows=1))
    except DenseGymError:
        raise
    except Exception as error:
        raise DenseGymError(_refusal(text, f"{type(error).__name__}: {error}")) from error
    return rule


def _names(text: str, card: TaskCard) -> list[str]:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError) as error:
        raise DenseGymError(_refusal(text, f"it is no expression of Python ({error})")) from error
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return [name for name in feature_names(card) if name in found]


def _refusal(text: str, why: str) -> str:
    return (
        f'success = "{text}": {why.rstrip(".")}. Expected {", ".join(WORDS)}, or an expression '
        f'over features, steps and return_env such as "{EXAMPLE}".'
    )


def _told(steps: Steps) -> bool:
    return bool(steps.info[0].get(INFO, False))


class TellsSuccess(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Writes ``success_now`` and, latched over the episode, ``is_success`` into ``info``.

    Args:
        env: any environment.
        rule: as in ``compile_rule``.
        task: id of the task.
        features: fields of the card's features, JSON-friendly, as an ``EnvSpec`` holds them.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        rule: str,
        task: str = "",
        features: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        RecordConstructorArgs.__init__(self, rule=rule, task=task, features=features)
        gym.Wrapper.__init__(self, env)
        card = TaskCard(id=task, features=tuple(_feature(fields) for fields in features))
        self._text, self._rule = rule, compile_rule(rule, card)
        self._latched = self._return = 0.0
        self._steps = 0
        self._obs: Any = None
        self._tells = rule != INFO

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, in which nothing succeeded yet."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._latched = self._return = 0.0
        self._steps, self._obs = 0, obs
        return obs, {**info, "success_now": 0.0, INFO: 0.0}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the world.

        Raises:
            DenseGymError: the rule is ``"is_success"``, and an episode ended without a word of it.
        """
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._steps, self._return = self._steps + 1, self._return + float(reward)
        self._tells = self._tells or INFO in info
        if (terminated or truncated) and not self._tells:
            raise DenseGymError(
                f'info never tells "{INFO}" in {self.unwrapped}; choose another rule, such as '
                f'densegym.register_task(ID, success="{TERMINATED}")'
            )
        now = float(self._rule(self._row(obs, action, reward, terminated, truncated, info)))
        self._latched, self._obs = max(self._latched, now), obs
        return (
            obs,
            reward,
            terminated,
            truncated,
            {
                **info,
                "success_now": now,
                INFO: self._latched,
            },
        )

    def _row(
        self, obs: Any, action: Any, reward: Any, terminated: bool, truncated: bool, info: Any
    ) -> Steps:
        clock = {"task/steps": self._steps, "task/return": self._return}
        return Steps(
            slot=np.zeros(1, dtype=np.int64),
            t=np.array([self._steps - 1]),
            obs=add_axis(self._obs),
            action=add_axis(action),
            next_obs=add_axis(obs),
            env_reward=np.array([reward], dtype=np.float64),
            terminated=np.array([terminated], dtype=np.bool_),
            truncated=np.array([truncated], dtype=np.bool_),
            info=[{**info, **clock, "task/truncated": float(truncated)}],
        )


def success_wrapper(rule: str, card: TaskCard) -> WrapperSpec:
    """Return the wrapper that tells success, applied outside ``TimeLimit``."""
    features = [asdict(feature) for feature in card.features]
    kwargs = {"rule": rule, "task": card.id, "features": features}
    return WrapperSpec("TellsSuccess", f"{__name__}:TellsSuccess", kwargs)


def _feature(fields: Mapping[str, Any]) -> Feature:
    shape, columns = tuple(fields["shape"]), fields.get("columns")
    pair = None if columns is None else (int(columns[0]), int(columns[1]))
    return Feature(**{**fields, "shape": shape, "columns": pair})
