"""The options of a verb, made of dataclasses: one field is one option, its docstring the help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from densegym.reward_models.options import Option, fields_of
from densegym.values import LARGEST_SEED


class Spelling(NamedTuple):
    """How a field is typed: its name or "" for an argument, its type, what makes its value."""

    name: str
    type: Any = None
    read: Callable[[Any], Any] = lambda typed: typed


@dataclass(frozen=True)
class Group:
    """Options from a dataclass: all of its fields or ``only`` some, a few ``spelled`` otherwise."""

    kind: type[Any]
    only: Sequence[str] = ()
    spelled: Mapping[str, Spelling] = field(default_factory=dict)

    def parameters(self) -> list[Parameter]:
        """Return what Typer makes options of; what is not typed is None."""
        hints = get_type_hints(self.kind)
        made = {item.name: self._annotation(item, hints[item.name]) for item in self._fields()}
        kind = Parameter.KEYWORD_ONLY
        return [Parameter(k, kind, default=None, annotation=made[k]) for k in made]

    def stated(self, typed: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the fields that were typed."""
        names = [item.name for item in self._fields()]
        told = {name: typed[name] for name in names if typed.get(name) not in (None, "", [])}
        return {k: self.spelled.get(k, Spelling("")).read(v) for k, v in told.items()}

    def _fields(self) -> list[Option]:
        return [o for o in fields_of(self.kind) if not self.only or o.name in self.only]

    def _annotation(self, item: Option, hint: Any) -> Any:
        plain = f"--{item.name.replace('_', '-')}"
        both = f"{plain}/--no-{plain.removeprefix('--')}" if hint is bool else plain
        spelling = self.spelled.get(item.name, Spelling(both))
        kind: Any = (spelling.type or hint) | None
        told = item.meaning[:1].upper() + item.meaning[1:]
        if not spelling.name:
            return Annotated[kind, typer.Argument(help=told)]
        number = kind in (int | None, float | None)
        bounds: dict[str, Any] = {"min": 0} if number else {}
        if item.name == "seed":
            bounds["max"] = LARGEST_SEED
        shown = _shown(item)
        return Annotated[kind, typer.Option(spelling.name, help=told, show_default=shown, **bounds)]


def takes(**groups: Group) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command what was typed, a dict for each group."""
    parameters = [one for group in groups.values() for one in group.parameters()]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**typed: Any) -> None:
            command(**{name: group.stated(typed) for name, group in groups.items()})

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        vars(run)["__signature__"] = Signature(parameters)
        return run

    return decorate


def _shown(item: Option) -> str | bool:
    """Return the default as help shows it; switches and nothing need no word."""
    if isinstance(item.default, bool) or item.default in (None, "", (), {}):
        return False
    values = item.default if isinstance(item.default, tuple) else (item.default,)
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
