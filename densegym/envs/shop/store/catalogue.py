"""What a product is: the record that every other part of the shop reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SEPARATOR = " › "  # noqa: RUF001 - the sign the original's files use


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanInstruction:
    """A person's request for one product.

    Attributes:
        instruction: the sentence, as typed.
        attributes: what the product must have; empty ones make no goal.
        options: option values without their group names, in the person's order.
    """

    instruction: str
    attributes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A customer's words, shown from level 2 on; the original's reviews are always empty.

    Attributes:
        stars: 1 to 5.
        text: what was written.
        title: its headline.
    """

    stars: int
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product. Texts are raw (not escaped for HTML); equality compares every field.

    Attributes:
        asin: identifier, unique in a catalogue, 1 to 10 characters.
        title: name, in its own capitals; may be empty.
        description: running text; may be empty.
        bullets: feature lines.
        prices: one price, or two that span a range, in the order listed (the original lists a few
            ranges with the larger first); same currency everywhere.
        price_text: what the page prints, e.g. ``"$12.9"`` or ``"$12.9 to $15.5"``.
        category: one of the shop's departments, e.g. ``"garden"``.
        query: lower-case shop query the product belongs to.
        chain: category path, outermost first.
        options: group -> values, all lower-case, in page order.
        attributes: short phrases that hold for the product.
        instruction: synthetic request without options and price, or None.
        instruction_attributes: the attributes that request names.
        human: requests that people wrote for this product.
        rating: mean stars, or None (prints ``N.A.``).
        reviews: newest first.
        image: address or name of the main picture, or empty.
        surcharges: group -> value -> what that value adds to the lowest price; empty where the
            price does not depend on the variant (always so in the original).
    """

    asin: str
    title: str
    description: str = ""
    bullets: tuple[str, ...] = ()
    prices: tuple[float, ...] = (100.0,)
    price_text: str = "$100.0"
    category: str
    query: str
    chain: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    instruction: str | None = None
    instruction_attributes: tuple[str, ...] = ()
    human: tuple[HumanInstruction, ...] = ()
    rating: float | None = None
    reviews: tuple[Review, ...] = ()
    image: str = ""
    surcharges: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.asin)

    @property
    def price_low(self) -> float:
        """Return the smaller end of the price range."""
        return min(self.prices)

    @property
    def price_high(self) -> float:
        """Return the larger end of the price range."""
        return max(self.prices)

    @property
    def chain_text(self) -> str:
        """Return the category path as one line, as the original's files write it."""
        return SEPARATOR.join(self.chain)

    def price_with(self, options: Mapping[str, str], drawn: float) -> float:
        """Return the price of the variant that ``options`` (group -> value) picks.

        Args:
            options: what was chosen; groups left open cost nothing extra.
            drawn: the store's price of the product, used where no variant has a price of its own.
        """
        if not self.surcharges:
            return drawn
        extra = sum(self.surcharges.get(g, {}).get(value, 0.0) for g, value in options.items())
        return min(round(self.price_low + extra, 2), self.price_high)


def chain_of(line: str) -> tuple[str, ...]:
    """Return the category path that ``Product.chain_text`` writes as one line."""
    return tuple(part.strip() for part in line.split(SEPARATOR.strip())) if line else ()


def indexed_text(product: Product) -> str:
    """Return the text that search sees, as the original's index does.

    Lower-case title, description, first bullet, and options as ``name: v1, v2, and name: ...``.
    """
    options = ", and ".join(f"{name}: {', '.join(v)}" for name, v in product.options.items())
    first = product.bullets[0] if product.bullets else ""
    return " ".join((product.title, product.description, first, options)).lower()
