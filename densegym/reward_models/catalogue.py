"""One row of a catalogue of rewards: what it is called, what it needs, and where it fits.

Every package of ``densegym.reward_models`` that holds rewards has a module ``catalogue`` with a
tuple ``CATALOGUE`` of these rows, or a function ``catalogue()`` that returns one; the registry
finds them by that name. Nothing heavy is imported there. A plug-in's entry point may be such a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from densegym.plugins import resolve
from densegym.reward_models.types import Factory, Mode, TaskCard


@dataclass(frozen=True, slots=True)
class RewardEntry:
    """A registered reward.

    Attributes:
        name: full name with version, e.g. ``"authored/button-press-v1"``.
        target: a factory ``build(*, task, seed, **options)`` or its ``"module:attr"``.
        summary: one line for ``densegym rewards``.
        owner: who registered it: ``"densegym"``, a distribution, or ``"user"``.
        tasks: the env ids it is made for; empty means any.
        asks: what a world must give, in the words of ``TaskCard.gives``.
        fits: a further condition on the task, or None.
        remedy: what to type where only ``fits`` fails; ``{task}`` stands for the env id.
        supply: options that must be given, each with an example.
        mode: how it meets the world's reward unless the specification says so.
        alias: the name it stands for on a task, or None; raises RewardError where there is none.
        stated: options that labels name even where they were left at their default.
        remark: what labels add to the name under given options, or an empty text.
    """

    name: str
    target: str | Factory
    summary: str = ""
    owner: str = "densegym"
    tasks: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    fits: Callable[[TaskCard], bool] | None = None
    remedy: str = ""
    supply: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode = "replace"
    alias: Callable[[TaskCard], str] | None = None
    stated: Mapping[str, Any] = field(default_factory=dict)
    remark: Callable[[Mapping[str, Any]], str] | None = None

    def factory(self) -> Factory:
        """Return the factory, importing it if it is named by string."""
        factory: Factory = resolve(self.target)
        return factory

    def possible(self, task: TaskCard) -> bool:
        """Return whether the world is one that the reward is made for."""
        made_for = not self.tasks or task.id in self.tasks
        return made_for and set(self.asks) <= set(task.gives)

    def ready(self, task: TaskCard) -> bool:
        """Return whether it builds on this task here and now, once ``supply`` is given."""
        return self.possible(task) and (self.fits is None or self.fits(task))

    def example(self) -> Any:
        """Return a specification that names all it needs."""
        return {"model": self.name, **self.supply} if self.supply else self.name
