"""What a publication says of its own numbers, as data: one struct a kind.

A `Selector` names cells: `{ table = "Table 13", column = "IPW", device = ["M4 Max", "B200"] }`;
what it leaves out may be anything. An `Operand` is one printed number, or a selector of one cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

import msgspec

__all__ = [
    "Claim",
    "Comparison",
    "Count",
    "Decomposition",
    "Extreme",
    "Mean",
    "Mixture",
    "Operand",
    "Product",
    "Ratio",
    "Selector",
    "Statement",
    "Sum",
]

Selector: TypeAlias = dict[str, str | int | list[str | int]]
Operand: TypeAlias = str | int | dict[str, str | int | list[str | int]]


class _Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    id: str
    where: str
    says: str
    """In the publication's sense, in our words."""

    def selectors(self) -> tuple[Selector, ...]:
        """Everything in it that names cells."""
        found = [getattr(self, name) for name in self.__struct_fields__ if name in _NAMES_CELLS]
        return tuple(one for one in (*found, *self.numbers()) if isinstance(one, dict))

    def numbers(self) -> tuple[Operand, ...]:
        """Everything in it that has to be one number."""
        return ()

    def needs_keys(self) -> tuple[tuple[Selector, Iterable[str]], ...]:
        """What names cells, and keys that each of those cells must have."""
        return ()

    def needs_one_unit(self) -> tuple[Selector, ...]:
        """What names cells that are set against each other."""
        return ()


_NAMES_CELLS = {"of", "to", "printed", "weights", "left", "right", "singles"}


class Ratio(_Claim, frozen=True, tag="ratio"):
    """`of` over `to` is `printed`; pairs of cells that agree in every key but `across`."""

    printed: Operand
    of: Selector
    to: Selector
    across: list[str]
    bound: Literal["about", "at least", "at most"] = "about"

    def numbers(self) -> tuple[Operand, ...]:
        return (self.printed,)

    def needs_one_unit(self) -> tuple[Selector, ...]:
        return (self.of, self.to)


class Product(_Claim, frozen=True, tag="product"):
    """`printed` is the product of `factors`."""

    printed: Operand
    factors: Annotated[list[Operand], msgspec.Meta(min_length=1)]

    def numbers(self) -> tuple[Operand, ...]:
        return (self.printed, *self.factors)


class Decomposition(_Claim, frozen=True, tag="decomposition"):
    """The change of a metric from `to` to `of`, shared out among named factors."""

    printed: Operand
    of: Selector
    to: Selector
    factors: Annotated[dict[str, str | int], msgspec.Meta(min_length=1)]

    def numbers(self) -> tuple[Operand, ...]:
        return (self.printed, self.of, self.to, *self.factors.values())

    def needs_keys(self) -> tuple[tuple[Selector, Iterable[str]], ...]:
        return (self.of, self.factors), (self.to, self.factors)

    def needs_one_unit(self) -> tuple[Selector, ...]:
        return (self.of, self.to)


class Mean(_Claim, frozen=True, tag="mean"):
    """`printed` is the mean of `of`; one check for each value of the keys in `by`."""

    printed: Operand
    of: Selector
    weights: Selector | None = None
    """Cells of the role count or share, matched on the keys that they have."""
    by: list[str] = []

    def numbers(self) -> tuple[Operand, ...]:
        return () if self.by else (self.printed,)

    def needs_keys(self) -> tuple[tuple[Selector, Iterable[str]], ...]:
        return ((self.of, self.by),)

    def needs_one_unit(self) -> tuple[Selector, ...]:
        return (self.of, self.printed) if isinstance(self.printed, dict) else (self.of,)


class Mixture(_Claim, frozen=True, tag="mixture"):
    """`printed` is over two parts together that `of` prints apart, told apart by `over`.

    One check for each value of `by`, that it lies between its parts; and one that a single mixture
    of the two gives all of them.
    """

    printed: Selector
    of: Selector
    over: str
    by: str

    def needs_keys(self) -> tuple[tuple[Selector, Iterable[str]], ...]:
        return (self.printed, (self.by,)), (self.of, (self.by, self.over))

    def needs_one_unit(self) -> tuple[Selector, ...]:
        return (self.printed, self.of)


class Sum(_Claim, frozen=True, tag="sum"):
    """`of` adds up to `printed`; each cell's own rounding is allowed for."""

    printed: Operand
    of: Selector

    def numbers(self) -> tuple[Operand, ...]:
        return (self.printed,)

    def needs_one_unit(self) -> tuple[Selector, ...]:
        return (self.of, self.printed) if isinstance(self.printed, dict) else (self.of,)


class Extreme(_Claim, frozen=True, tag="extreme"):
    """`printed` is the largest (or smallest) of `of`, and is `winner`'s."""

    printed: Operand
    of: Selector
    which: Literal["largest", "smallest"] = "largest"
    winner: dict[str, str] = {}

    def numbers(self) -> tuple[Operand, ...]:
        return (self.printed,)

    def needs_keys(self) -> tuple[tuple[Selector, Iterable[str]], ...]:
        return ((self.of, self.winner),)

    def needs_one_unit(self) -> tuple[Selector, ...]:
        return (self.of, self.printed) if isinstance(self.printed, dict) else (self.of,)


class Count(_Claim, frozen=True, tag="count"):
    """There are `printed` different values of the key `distinct` in `of`."""

    printed: Operand
    of: Selector
    distinct: str
    beside: int = 0
    """Those that the text has and the table cannot show."""

    def numbers(self) -> tuple[Operand, ...]:
        return (self.printed,)

    def needs_keys(self) -> tuple[tuple[Selector, Iterable[str]], ...]:
        return ((self.of, (self.distinct,)),)


class Comparison(_Claim, frozen=True, tag="comparison"):
    """`left` is above `right` in `wins` of `rows` values of the key `by`."""

    left: Selector
    right: Selector
    by: str
    wins: int
    rows: int
    singles: Selector
    """The single models' own scores that both sides are made from."""
    left_set: str
    right_set: str

    def needs_keys(self) -> tuple[tuple[Selector, Iterable[str]], ...]:
        return tuple((side, (self.by,)) for side in (self.left, self.right, self.singles))

    def needs_one_unit(self) -> tuple[Selector, ...]:
        return (self.left, self.right, self.singles)


Claim: TypeAlias = (
    Ratio | Product | Decomposition | Mean | Mixture | Sum | Extreme | Count | Comparison
)


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact in words. Two that differ about one thing contradict each other."""

    about: Annotated[str, msgspec.Meta(min_length=1)]
    says: str
    where: str
