"""Reward specifications: what a user writes after ``reward=``, checked and built.

A specification is a string (``"authored"``), a dict (``{"model": "authored", "scale": 0.5}``), a
list of these (their sum), None (the world's own reward), or a reward model object. All but the
last are JSON-friendly, so an ``EnvSpec`` that carries one round-trips.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from densegym.errors import RewardError, unknown
from densegym.reward_models import compose
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.engine import Fallback, RewardEngine
from densegym.reward_models.registry import find_reward
from densegym.reward_models.types import Factory, Mode, PotentialModel, RewardModel, TaskCard

RewardSpec: TypeAlias = (
    "str | Mapping[str, Any] | Sequence[Any] | RewardModel | PotentialModel | None"
)

_WRAPPING_KEYS = (
    "mode",
    "scale",
    "clip",
    "gamma",
    "truncation",
    "gate",
    "gate_threshold",
    "gate_latch",
    "fallback",
    "hindsight",
    "deferred",
    "bootstrap",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One summand of a specification.

    Attributes:
        model: a registered name, or a model object.
        wrapping: how it is paid; keys as in ``parse``.
        options: what the model's factory is given.
    """

    model: str | RewardModel | PotentialModel
    wrapping: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def parse(spec: RewardSpec) -> tuple[Part, ...]:
    """Split a specification into its parts.

    The keys of a dict are ``model``; ``mode`` (replace, add, shape, additive_unsafe); ``scale``;
    ``clip`` [low, high]; ``gamma`` and ``truncation`` of shaping; ``gate`` (another
    specification), ``gate_threshold`` and ``gate_latch``; ``fallback`` (zero, env, last, raise);
    ``hindsight`` (true: credits of whole episodes are shown in info and paid by nobody);
    ``deferred`` (true: training asks the model about whole rollouts at once); ``bootstrap``
    (false: learners take a time limit for an end); every other key is an option of the model.

    Raises:
        RewardError: the specification has a wrong type, or a dict without ``model``.
    """
    if spec is None:
        return (Part("env"),)
    if isinstance(spec, str):
        return (Part(spec),)
    if isinstance(spec, Mapping):
        return (_parse_mapping(spec),)
    if isinstance(spec, Sequence):
        if not spec:
            raise RewardError('an empty list is no reward; use "env" for the world\'s own')
        return tuple(part for item in spec for part in parse(item))
    if isinstance(spec, RewardModel | PotentialModel):
        return (Part(spec),)
    raise RewardError(
        "reward= takes a name, a dict with a model, a list of these, or a reward model; given "
        f"{spec!r} of type {type(spec).__name__}"
    )


def _parse_mapping(spec: Mapping[str, Any]) -> Part:
    if "model" not in spec:
        raise RewardError(f'a reward dict needs "model"; given keys {sorted(spec)}')
    if not isinstance(spec["model"], str | RewardModel | PotentialModel):
        raise RewardError(f'"model" is a reward name; given {spec["model"]!r}')
    wrapping = {key: spec[key] for key in _WRAPPING_KEYS if key in spec}
    options = {k: v for k, v in spec.items() if k != "model" and k not in wrapping}
    if wrapping.get("mode") not in (None, *get_args(Mode)):
        raise unknown("reward mode", str(wrapping["mode"]), get_args(Mode))
    return Part(spec["model"], wrapping, options)


def from_text(text: str) -> RewardSpec:
    """Read a specification typed on a command line: a name, or JSON of a dict or list.

    Raises:
        RewardError: the text looks like JSON and is not.
    """
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        spec: RewardSpec = json.loads(text)
    except json.JSONDecodeError as error:
        raise RewardError(
            f"the reward {text!r} is not valid JSON ({error}). Write a name such as authored, or "
            'JSON such as {"model": "authored", "scale": 0.5}.'
        ) from error
    return spec


def label(spec: RewardSpec, *, task: TaskCard) -> str:
    """Return the resolved name for tables, versions included, e.g. ``authored/button-press-v1``.

    Options follow in braces, so two different specifications never share a label.
    """
    return " + ".join(_label_part(part, task) for part in parse(spec))


def _label_part(part: Part, task: TaskCard) -> str:
    stated: Mapping[str, Any] = {}
    if isinstance(part.model, str):
        entry = _resolve(part, task)
        name, stated = entry.name, entry.stated
    else:
        name = part.model.name
    extra = {**stated, **part.wrapping, **part.options}
    return name + (json.dumps(extra, sort_keys=True, default=str) if extra else "")


def build_reward(spec: RewardSpec, *, task: TaskCard, seed: int = 0) -> RewardModel:
    """Build the model of a specification, wrapped and summed.

    Raises:
        UnknownNameError: an unknown reward or option; names the closest.
        RewardError: parts that do not fit together or the task.
    """
    models = [_build_part(part, task, seed) for part in parse(spec)]
    return models[0] if len(models) == 1 else compose.Sum(models)


def build_engine(spec: RewardSpec, num_envs: int, *, task: TaskCard, seed: int = 0) -> RewardEngine:
    """Build the engine of a specification: its model, mode, fallback and bounds.

    A sum replaces the world's reward as soon as one part does; parts that add or shape are paid
    on top of whatever the others pay.
    """
    parts = parse(spec)
    model = build_reward(spec, task=task, seed=seed)
    models = model.models if len(parts) > 1 and isinstance(model, compose.Sum) else (model,)
    pairs = list(zip(parts, models, strict=True))
    modes = {_mode_of(part, own) for part, own in pairs}
    mode: Literal["replace", "add"] = "replace" if "replace" in modes else "add"
    fallbacks = [part.wrapping.get("fallback") for part in parts]
    stated = {value for value in fallbacks if value is not None}
    if len(stated) > 1:
        raise RewardError(f"the parts of one reward name different fallbacks: {sorted(stated)}")
    fallback: Fallback = stated.pop() if stated else "zero"
    engine = RewardEngine(
        model,
        num_envs,
        mode=mode,
        fallback=fallback,
        task=task.goal,
        relabelled=any(part.wrapping.get("hindsight", False) for part in parts),
        deferrable=any(_flag(part, "deferred", own, "deferred", False) for part, own in pairs),
    )
    engine.bootstraps = all(
        _flag(part, "bootstrap", own, "bootstraps", True) for part, own in pairs
    )
    return engine


def _flag(part: Part, key: str, model: RewardModel, attribute: str, default: bool) -> bool:
    """Return what a part says, or else what its model's class does."""
    return bool(part.wrapping.get(key, getattr(model, attribute, default)))


def _mode_of(part: Part, model: RewardModel) -> Mode:
    stated: Mode | None = part.wrapping.get("mode")
    assumed: Mode = getattr(model, "default_mode", "replace")
    return stated or assumed


def _resolve(part: Part, task: TaskCard) -> RewardEntry:
    assert isinstance(part.model, str)
    entry = find_reward(part.model)
    return entry if entry.alias is None else find_reward(entry.alias(task))


def _build_part(part: Part, task: TaskCard, seed: int) -> RewardModel:
    if isinstance(part.model, str):
        entry = _resolve(part, task)
        built = _call(entry.factory(), entry.name, task, seed, part.options)
    elif part.options:
        raise RewardError(f"a reward object takes no options; given {sorted(part.options)}")
    else:
        built = part.model
    return _wrap(_as_reward(built, part), part, task, seed)


def _call(
    factory: Factory, name: str, task: TaskCard, seed: int, options: Mapping[str, Any]
) -> Any:
    parameters = inspect.signature(factory).parameters
    named = [key for key, p in parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    # What a factory takes as **options it may name, with its defaults, in an attribute ``options``.
    taken = dict.fromkeys([*named, *getattr(factory, "options", {})])
    if len(named) == len(parameters) or hasattr(factory, "options"):
        for option in options:
            if option not in taken or option in ("task", "seed"):
                known = [key for key in taken if key not in ("task", "seed")]
                raise unknown(f'option of reward "{name}"', option, [*known, *_WRAPPING_KEYS])
    given = {"task": task, "seed": seed}
    passed = {key: value for key, value in given.items() if key in taken}
    return factory(**passed, **options)


def _as_reward(built: Any, part: Part) -> RewardModel:
    mode = part.wrapping.get("mode")
    shaping = {key: part.wrapping[key] for key in ("gamma", "truncation") if key in part.wrapping}
    if "gamma" in shaping:
        shaping["gamma"] = _number("gamma", shaping["gamma"])
    if isinstance(built, PotentialModel):
        if mode in (None, "shape"):
            return compose.Shaped(built, **shaping)
        if mode == "additive_unsafe":
            return compose.AdditiveUnsafe(built)
        raise RewardError(
            f'"{built.name}" is a potential: mode="{mode}" would let an agent farm it. Use '
            'mode="shape" (the default); additive_unsafe exists to show what farming does.'
        )
    if not isinstance(built, RewardModel):
        raise RewardError(f"a reward factory returned {built!r}, which is no reward model")
    shaped = mode in ("shape", "additive_unsafe")
    if shaped and getattr(built, "default_mode", "") not in ("shape", "additive_unsafe"):
        raise RewardError(
            f'"{built.name}" is no potential, so it cannot be paid with mode="{mode}". '
            'Use mode="replace" or mode="add".'
        )
    if shaping and not isinstance(built, compose.Shaped):
        raise RewardError(f'{sorted(shaping)} belong to potentials; "{built.name}" is none')
    return built


def _wrap(model: RewardModel, part: Part, task: TaskCard, seed: int) -> RewardModel:
    wrapping = part.wrapping
    scale = wrapping.get("scale", getattr(model, "default_scale", None))
    if "clip" in wrapping:
        bounds = wrapping["clip"]
        if not isinstance(bounds, list | tuple) or len(bounds) != 2:
            raise RewardError(f"clip takes [low, high]; given {bounds!r}")
        model = compose.Clip(model, *(_number("clip", bound) for bound in bounds))
    if scale is not None:
        model = compose.Scale(model, _number("scale", scale))
    if "gate" in wrapping:
        gate = build_reward(wrapping["gate"], task=task, seed=seed)
        threshold = _number("gate_threshold", wrapping.get("gate_threshold", 0.0))
        latch = bool(wrapping.get("gate_latch", False))
        model = compose.Gate(model, gate, threshold=threshold, latch=latch)
    elif "gate_threshold" in wrapping or "gate_latch" in wrapping:
        raise RewardError('gate_threshold and gate_latch need a "gate" reward')
    return model


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RewardError(f"{key} takes a number; given {value!r}")
    return float(value)
