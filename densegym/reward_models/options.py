"""The options of a reward: listed with their meaning, checked, and handed to its factory.

A factory ``build(*, task, seed, ...)`` takes its options as keyword parameters, or as the fields
of a frozen dataclass that annotates a parameter; both say what they mean in their docstring.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, get_type_hints

from densegym.errors import RewardError, UnknownNameError, unknown
from densegym.reward_models.catalogue import RewardEntry
from densegym.reward_models.types import Factory, TaskCard
from densegym.values import fits, type_text

_CONTEXT = ("task", "seed")  # what a factory is given besides its options
_OPEN = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_ITEM = re.compile(r"    (\w+)(?: \([^)]*\))?: (.*)")


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be chosen.

    Attributes:
        name: as written beside ``"model"`` in a specification.
        type: in words, e.g. ``"float | None"``.
        default: ``dataclasses.MISSING`` where one must be given.
        meaning: one line.
        hint: the type itself, as annotated.
    """

    name: str
    type: str
    default: Any = MISSING
    meaning: str = ""
    hint: Any = Any

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING

    @property
    def default_text(self) -> str:
        """The default as JSON but for None, or ``"required"``."""
        if self.required or self.default is None:
            return "required" if self.required else "None"
        return json.dumps(self.default, default=repr)

    def as_dict(self) -> dict[str, Any]:
        """Return its values, without ``default`` where one must be given."""
        told = {"name": self.name, "type": self.type, "meaning": self.meaning}
        return told if self.required else {**told, "default": self.default}


@dataclass(frozen=True, slots=True)
class _Takes:
    """What a factory takes.

    Attributes:
        context: which of task and seed.
        groups: by parameter, the frozen dataclass that annotates it, or an instance of one that
            is its default.
        options: all of them, in order.
        open: whether it takes options that it does not name.
    """

    context: tuple[str, ...]
    groups: Mapping[str, Any]
    options: tuple[Option, ...]
    open: bool


def options_of(entry: RewardEntry) -> tuple[Option, ...]:
    """Return the options of a reward, importing its factory."""
    return _read(entry.factory()).options


def fields_of(given: Any) -> tuple[Option, ...]:
    """Return the fields of a dataclass, explained by its docstring and those it inherits.

    Args:
        given: the dataclass, or an instance whose values are the defaults.
    """
    kind = given if isinstance(given, type) else type(given)
    hints, meanings = get_type_hints(kind), _meanings(kind)
    return tuple(
        Option(
            item.name,
            type_text(hints[item.name]),
            _default(item) if kind is given else getattr(given, item.name),
            meanings.get(item.name, ""),
            hints[item.name],
        )
        for item in dataclasses.fields(kind)
        if item.init
    )


def stated(options: Any) -> dict[str, Any]:
    """Return the fields of a dataclass of options that are plain values, as checkpoints keep them.

    What is made in code, such as a program's object, is left out.
    """
    plain = (bool, int, float, str, type(None))
    named = {item.name: getattr(options, item.name) for item in dataclasses.fields(options)}
    return {name: value for name, value in named.items() if isinstance(value, plain)}


def check_stated(name: str, kept: Mapping[str, Any], options: Any) -> None:
    """Check that weights are read under the options they were fitted with.

    Args:
        name: of the reward, for the error.
        kept: what ``stated`` returned beside the weights; options that it does not name may have
            any value.
        options: of the model that is to hold them.

    Raises:
        RewardError: an option has another value; says what to write.
    """
    now = stated(options)
    changed = {key: value for key, value in kept.items() if key in now and now[key] != value}
    if changed:
        given = ", ".join(f"{key}={now[key]!r}" for key in changed)
        raise RewardError(
            f'the checkpoint of "{name}" was made with other options; given {given}. Write '
            f"{json.dumps({'model': name, **changed})}."
        )


def build(
    factory: Factory,
    name: str,
    options: Mapping[str, Any],
    *,
    task: TaskCard,
    seed: int = 0,
    also: Iterable[str] = (),
) -> Any:
    """Call a factory with the options that a user wrote.

    Args:
        factory: of a reward model or a potential.
        name: of the reward, for errors.
        options: by name.
        task: the task's card; not passed to a factory that does not take it.
        seed: likewise.
        also: other names that a user may have meant, for errors.

    Raises:
        UnknownNameError: an option that the factory does not take; names the closest.
        RewardError: one that it needs is missing, or has a value of the wrong type.
    """
    takes, given = _checked(factory, name, options, also), {"task": task, "seed": seed}
    left = dict(options)
    groups = {parameter: _take(group, left) for parameter, group in takes.groups.items()}
    return factory(**{key: given[key] for key in takes.context}, **groups, **left)


def check_options(
    factory: Factory, name: str, options: Mapping[str, Any], *, also: Iterable[str] = ()
) -> None:
    """Refuse what ``build`` would refuse of options, without building.

    Raises:
        UnknownNameError: an option that the factory does not take; names the closest.
        RewardError: one that it needs is missing, or has a value of the wrong type.
    """
    _checked(factory, name, options, also)


def _checked(
    factory: Factory, name: str, options: Mapping[str, Any], also: Iterable[str]
) -> _Takes:
    takes = _read(factory)
    names = [option.name for option in takes.options]
    for option in options:
        if option in _CONTEXT or (option not in names and not takes.open):
            raise _unknown(name, option, [*names, *also])
    for item in takes.options:
        if item.name in options and not fits(options[item.name], item.hint):
            raise RewardError(
                f'option "{item.name}" of reward "{name}" takes {item.type}; given '
                f"{options[item.name]!r}"
            )
    missing = [o for o in takes.options if o.required and o.name not in options]
    if missing:
        told = "; ".join(f'"{o.name}" ({o.type}) {o.meaning}'.rstrip(". ") for o in missing)
        example = json.dumps({"model": name, **{o.name: "..." for o in missing}})
        raise RewardError(f'reward "{name}" needs {told}. Write {example}.')
    return takes


def _unknown(name: str, option: str, known: Iterable[str]) -> UnknownNameError:
    error = unknown(f'option of reward "{name}"', option, known)
    return UnknownNameError(f"{error} `densegym rewards {name}` explains them.")


def _take(group: Any, options: dict[str, Any]) -> Any:
    """Build a dataclass from the options it has, which are removed from ``options``."""
    names = [item.name for item in dataclasses.fields(group) if item.init]
    chosen = {name: options.pop(name) for name in names if name in options}
    return group(**chosen) if isinstance(group, type) else dataclasses.replace(group, **chosen)


def _read(factory: Factory) -> _Takes:
    parameters, meanings = _parameters(factory), _meanings(factory)
    groups = {
        p.name: p.default if isinstance(p.default, p.annotation) else p.annotation
        for p in parameters
        if _is_group(p)
    }
    return _Takes(
        context=tuple(p.name for p in parameters if p.name in _CONTEXT),
        groups=groups,
        options=tuple(_options(parameters, groups, meanings)),
        open=any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters),
    )


def _options(
    parameters: Iterable[inspect.Parameter],
    groups: Mapping[str, Any],
    meanings: Mapping[str, str],
) -> Iterator[Option]:
    for p in parameters:
        if p.name in groups:
            yield from fields_of(groups[p.name])
        elif p.name not in _CONTEXT and p.kind not in _OPEN:
            default = MISSING if p.default is p.empty else p.default
            kind, meaning = p.annotation, meanings.get(p.name, "")
            yield Option(p.name, type_text(kind), default, meaning, kind)


def _parameters(factory: Factory) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(factory, eval_str=True)
    except NameError:  # a stranger's annotation that only type checkers import
        signature = inspect.signature(factory)
    return list(signature.parameters.values())


def _is_group(parameter: inspect.Parameter) -> bool:
    kind = parameter.annotation
    if parameter.name in _CONTEXT or not isinstance(kind, type):
        return False
    made = vars(kind).get("__dataclass_params__")
    return made is not None and bool(made.frozen)


def _default(item: dataclasses.Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _meanings(documented: Any) -> dict[str, str]:
    """Return what docstrings say of each argument or attribute; a class's own come first."""
    kinds = documented.__mro__ if isinstance(documented, type) else (documented,)
    found: dict[str, str] = {}
    for kind in reversed(kinds):
        found |= _section(inspect.cleandoc(kind.__doc__ or ""))
    return found


def _section(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    inside, name = False, ""
    for line in text.splitlines():
        if not line.startswith("    "):
            inside = line in ("Args:", "Attributes:") or (inside and not line)
        elif inside and (item := _ITEM.fullmatch(line)):
            name, found[item[1]] = item[1], item[2]
        elif inside and name in found:
            found[name] += f" {line.strip()}"
    return {key: meaning.replace("``", "`") for key, meaning in found.items()}
