"""Where a shopper stands: one small immutable value, so that branching an episode is free."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from densegym.errors import DenseGymError

PageName = Literal["index", "results", "item", "section", "done"]
PAGES = ("index", "results", "item", "section", "done")


_KINDS = {"query": str, "number": int, "product": int, "section": str, "steps": int}


class State(NamedTuple):
    """A page of the shop and what led to it.

    Attributes:
        page: which kind of page.
        query: of the last search; "" on the index.
        number: page of the results, from 1; may lie past the last one.
        product: index in the store on item, section and done pages; else -1.
        section: name of the section, e.g. ``"features"``, or "".
        options: chosen (group, value) pairs in the order in which groups were first chosen.
        opened: products opened since the index page, as the original remembers them.
        steps: actions taken, invalid ones included.
    """

    page: PageName = "index"
    query: str = ""
    number: int = 1
    product: int = -1
    section: str = ""
    options: tuple[tuple[str, str], ...] = ()
    opened: frozenset[int] = frozenset()
    steps: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**self._asdict(), "opened": sorted(self.opened)}

    @classmethod
    def from_dict(cls, values: Any) -> State:
        """Return the state that ``as_dict`` told of.

        Raises:
            DenseGymError: it is no state.
        """
        try:
            state = cls(
                **{
                    **values,
                    "options": tuple((group, value) for group, value in values["options"]),
                    "opened": frozenset(values["opened"]),
                }
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DenseGymError(f"this is no state of the shop: {error}") from error
        if state.page not in PAGES:
            raise DenseGymError(f'the shop has no page "{state.page}"; it has {", ".join(PAGES)}')
        for name, kind in _KINDS.items():
            if type(getattr(state, name)) is not kind:
                raise DenseGymError(f"this is no state of the shop: {name} is no {kind.__name__}")
        return state


def with_option(
    options: tuple[tuple[str, str], ...], group: str, value: str
) -> tuple[tuple[str, str], ...]:
    """Return the chosen options after a click; the last click in a group counts."""
    chosen = dict(options)
    chosen[group] = value
    return tuple(chosen.items())
