"""Reward specifications: what a user writes after ``reward=``, checked and built.

A specification is a string (``"authored"``), a dict (``{"model": "authored", "scale": 0.5}``), a
list of these (their sum), None (the world's own reward), a function (see ``functions``), or a
reward model object. All but the last two are JSON-friendly, so an ``EnvSpec`` that carries one
round-trips.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, get_args

from densegym.errors import RewardError, unknown
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.functions import from_function
from densegym.reward_models.model import Potential, RewardModel, Truncation
from densegym.reward_models.options import build, check_options
from densegym.reward_models.registry import find_reward
from densegym.reward_models.reward import Fallback, Reward, Term
from densegym.reward_models.shaping import AdditiveUnsafe, Shaped
from densegym.reward_models.types import Mode, TaskCard
from densegym.values import fits

RewardSpec: TypeAlias = (
    "str | Mapping[str, Any] | Sequence[Any] | RewardModel | Potential | Callable[..., Any] | None"
)

_TERM_KEYS = (
    "mode",
    "scale",
    "clip",
    "gamma",
    "truncation",
    "gate",
    "gate_threshold",
    "gate_latch",
    "fallback",
)
_WHOLE_KEYS = ("hindsight", "deferred", "bootstrap")
"""What says how a whole reward is paid; meaningless inside a gate or a pipeline."""
WRAPPING_KEYS = (*_TERM_KEYS, *_WHOLE_KEYS)
"""What a specification says of any reward, beside its options; see ``parse``."""


@dataclass(frozen=True, slots=True)
class Part:
    """One summand of a specification.

    Attributes:
        model: a registered name, or a model object.
        wrapping: how it is paid; keys as in ``parse``.
        options: what the model's factory is given.
    """

    model: str | RewardModel | Potential
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
    if isinstance(spec, RewardModel | Potential):
        return (Part(spec),)
    if callable(spec):
        return (Part(from_function(spec)),)
    raise RewardError(
        "reward= takes a name, a dict with a model, a list of these, a function or a reward model; "
        "given "
        f"{spec!r} of type {type(spec).__name__}"
    )


def _parse_mapping(spec: Mapping[str, Any]) -> Part:
    if "model" not in spec:
        raise RewardError(f'a reward dict needs "model"; given keys {sorted(spec)}')
    if not isinstance(spec["model"], str | RewardModel | Potential):
        raise RewardError(f'"model" is a reward name; given {spec["model"]!r}')
    wrapping = {key: spec[key] for key in WRAPPING_KEYS if key in spec}
    _check_wrapping(wrapping)
    options = {k: v for k, v in spec.items() if k != "model" and k not in wrapping}
    if wrapping.get("mode") not in (None, *get_args(Mode)):
        raise unknown("reward mode", str(wrapping["mode"]), get_args(Mode))
    return Part(spec["model"], wrapping, options)


def _check_wrapping(wrapping: Mapping[str, Any]) -> None:
    for key in (*_WHOLE_KEYS, "gate_latch"):
        if not isinstance(wrapping.get(key, False), bool):
            raise RewardError(f"{key} takes true or false; given {wrapping[key]!r}")
    for key in ("scale", "gamma", "gate_threshold"):
        if key in wrapping and not (key == "gate_threshold" and wrapping[key] is None):
            _number(key, wrapping[key])
    if "clip" in wrapping:
        _bounds(wrapping["clip"])
    for key, hint in (("fallback", Fallback), ("truncation", Truncation)):
        if key in wrapping and not fits(wrapping[key], hint):
            raise RewardError(
                f"{key} is one of {', '.join(get_args(hint))}; given {wrapping[key]!r}"
            )


def check(spec: RewardSpec, *, task: TaskCard) -> None:
    """Refuse names and values that cannot be built, without building anything.

    Raises:
        UnknownNameError: an unknown reward or option; names the closest.
        RewardError: a value of the wrong type, or an option that is missing.
    """
    for part in parse(spec):
        if "gate" in part.wrapping:
            check(part.wrapping["gate"], task=task)
        if isinstance(part.model, str):
            entry = _resolve(part, task)
            check_options(entry.factory(), entry.name, part.options, also=WRAPPING_KEYS)


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


def in_words(spec: RewardSpec, *, task: TaskCard) -> str:
    """Return the resolved name for captions, e.g. ``progress/local, deferred, every 8``."""
    return " + ".join(
        ", ".join([name, *(_worded(key, value) for key, value in extra.items())])
        for name, extra in (_named(part, task) for part in parse(spec))
    )


def _worded(key: str, value: Any) -> str:
    word = key.replace("_", " ")
    if isinstance(value, bool):
        return word if value else f"not {word}"
    if isinstance(value, Mapping):
        inside = ", ".join(_worded(str(inner), one) for inner, one in value.items())
        return f"{word} ({inside})"
    if isinstance(value, list | tuple):
        return f"{word} {' '.join(str(one) for one in value)}"
    return f"{word} {value if isinstance(value, str | int | float) else _name_of(value)}"


def _label_part(part: Part, task: TaskCard) -> str:
    name, extra = _named(part, task)
    return name + (json.dumps(extra, sort_keys=True, default=_name_of) if extra else "")


def _named(part: Part, task: TaskCard) -> tuple[str, dict[str, Any]]:
    """Return the resolved name of a part and what is said beside it."""
    stated: Mapping[str, Any] = {}
    if isinstance(part.model, str):
        entry = _resolve(part, task)
        name, stated = entry.name, entry.stated
        remark = entry.remark(part.options) if entry.remark is not None else ""
        name += f" ({remark})" if remark else ""
    else:
        name = part.model.name
    return name, {**stated, **part.wrapping, **part.options}


def _name_of(value: Any) -> str:
    """Return how a label shows what JSON cannot hold: by its name, never by its address."""
    if isinstance(value, RewardModel | Potential):
        return value.name
    return type(value).__name__


def build_reward(spec: RewardSpec, *, task: TaskCard, seed: int = 0) -> RewardModel:
    """Build the model of a specification that stands inside another, such as a gate.

    Raises:
        UnknownNameError: an unknown reward or option; names the closest.
        RewardError: parts that do not fit together or the task, or say how a whole reward is paid.
    """
    parts = parse(spec)
    for part in parts:
        stray = [key for key in _WHOLE_KEYS if key in part.wrapping]
        if part.wrapping.get("mode") in ("replace", "add"):
            stray.insert(0, "mode")
        if stray:
            raise RewardError(
                f"{', '.join(stray)} say how a whole reward is paid and mean nothing inside "
                f"another; leave them out of {part.model!r}, or write them outside."
            )
    terms = [_term(part, task, seed) for part in parts]
    if len(terms) == 1 and terms[0].plain:
        return terms[0].model
    return Reward(terms)


def build_engine(spec: RewardSpec, num_envs: int, *, task: TaskCard, seed: int = 0) -> RewardEngine:
    """Build the engine of a specification.

    A sum replaces the world's reward as soon as one term does; terms that add or shape are paid
    on top of whatever the others pay. Pay is deferred, and credits are shown, where one part asks
    for it; learners bootstrap where every part lets them.
    """
    parts = parse(spec)
    terms = [_term(part, task, seed) for part in parts]
    lets = [
        bool(part.wrapping.get("bootstrap", term.model.traits.bootstraps))
        for part, term in zip(parts, terms, strict=True)
    ]
    reward = Reward(
        terms,
        deferred=any(part.wrapping.get("deferred", False) for part in parts),
        bootstraps=all(lets),
    )
    shown = any(part.wrapping.get("hindsight", False) for part in parts)
    return RewardEngine(reward, num_envs, task=task.goal, shown=shown)


def _term(part: Part, task: TaskCard, seed: int) -> Term:
    wrapping, model = part.wrapping, _model(part, task, seed)
    if "gate" not in wrapping and ("gate_threshold" in wrapping or "gate_latch" in wrapping):
        raise RewardError('gate_threshold and gate_latch need a "gate" reward')
    gated, least = "gate" in wrapping, wrapping.get("gate_threshold")
    return Term(
        model,
        mode=wrapping.get("mode") or model.traits.mode,
        scale=_number("scale", wrapping.get("scale", model.traits.scale)),
        clip=_bounds(wrapping["clip"]) if "clip" in wrapping else None,
        gate=_gate(wrapping["gate"], task, seed) if gated else None,
        threshold=_number("gate_threshold", least) if least is not None else None,
        latch=bool(wrapping.get("gate_latch", False)),
        fallback=wrapping.get("fallback", "zero"),
    )


def _gate(spec: RewardSpec, task: TaskCard, seed: int) -> RewardModel:
    if any("fallback" in part.wrapping for part in parse(spec)):
        raise RewardError("a gate that abstains stays as it was; leave out its fallback")
    return build_reward(spec, task=task, seed=seed)


def _bounds(bounds: Any) -> tuple[float, float]:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise RewardError(f"clip takes [low, high]; given {bounds!r}")
    return _number("clip", bounds[0]), _number("clip", bounds[1])


def _resolve(part: Part, task: TaskCard) -> RewardEntry:
    assert isinstance(part.model, str)
    entry = find_reward(part.model)
    return entry if entry.alias is None else find_reward(entry.alias(task))


def _model(part: Part, task: TaskCard, seed: int) -> RewardModel:
    if isinstance(part.model, str):
        entry = _resolve(part, task)
        made = build(
            entry.factory(), entry.name, part.options, task=task, seed=seed, also=WRAPPING_KEYS
        )
        return _as_reward(made, part)
    if part.options:
        raise RewardError(f"a reward object takes no options; given {sorted(part.options)}")
    return _as_reward(part.model, part)


def _as_reward(built: Any, part: Part) -> RewardModel:
    """Return what pays: a potential is paid as shaping, and nothing else is."""
    mode = part.wrapping.get("mode")
    shaping = {key: part.wrapping[key] for key in ("gamma", "truncation") if key in part.wrapping}
    if "gamma" in shaping:
        shaping["gamma"] = _number("gamma", shaping["gamma"])
    if isinstance(built, Potential):
        if mode in (None, "shape"):
            return Shaped(built, **shaping)
        if mode == "additive_unsafe":
            return AdditiveUnsafe(built)
        raise RewardError(
            f'"{built.name}" is a potential: mode="{mode}" would let an agent farm it. Use '
            'mode="shape" (the default); additive_unsafe exists to show what farming does.'
        )
    if not isinstance(built, RewardModel):
        raise RewardError(f"a reward factory returned {built!r}, which is no reward model")
    potentials = ("shape", "additive_unsafe")
    if mode in potentials and built.traits.mode not in potentials:
        raise RewardError(
            f'"{built.name}" is no potential, so it cannot be paid with mode="{mode}". '
            'Use mode="replace" or mode="add".'
        )
    if shaping and not isinstance(built, Shaped):
        raise RewardError(f'{sorted(shaping)} belong to potentials; "{built.name}" is none')
    return built


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RewardError(f"{key} takes a number; given {value!r}")
    return float(value)
