"""What a publication says of its own numbers, as data: one struct a kind.

A `Selector` names cells: `{ table = "Table 13", column = "IPW", device = ["M4 Max", "B200"] }`;
what it leaves out may be anything. An `Operand` is one printed number, or a selector of one cell.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = [
    "Claim",
    "Comparison",
    "Count",
    "Decomposition",
    "Extreme",
    "Mean",
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

    def operands(self) -> tuple[Operand, ...]:
        """Every number or selector in it."""
        found: list[Operand] = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, dict) and name in _SELECTORS:
                found.append(value)
            elif isinstance(value, list) and name == "factors":
                found += value
        return tuple(found)


_SELECTORS = {"of", "to", "printed", "weights", "left", "right", "singles"}


class Ratio(_Claim, frozen=True, tag="ratio"):
    """`of` over `to` is `printed`; pairs of cells that agree in every key but `across`."""

    printed: Operand
    of: Selector
    to: Selector
    across: list[str]
    bound: str = "about"
    """about; at least; at most."""


class Product(_Claim, frozen=True, tag="product"):
    """`printed` is the product of `factors`."""

    printed: Operand
    factors: list[Operand]


class Decomposition(_Claim, frozen=True, tag="decomposition"):
    """The change of a metric from `to` to `of`, shared out among named factors."""

    printed: Operand
    of: Selector
    to: Selector
    factors: dict[str, str | int]

    def operands(self) -> tuple[Operand, ...]:
        return (self.of, self.to)


class Mean(_Claim, frozen=True, tag="mean"):
    """`printed` is the mean of `of`; one check for each value of the keys in `by`."""

    printed: Operand
    of: Selector
    weights: Selector | None = None
    """Cells of the role count, matched on the keys that they have."""
    by: list[str] = []


class Sum(_Claim, frozen=True, tag="sum"):
    """`of` adds up to `printed`; each cell's own rounding is allowed for."""

    printed: Operand
    of: Selector


class Extreme(_Claim, frozen=True, tag="extreme"):
    """`printed` is the largest (or smallest) of `of`, and is `winner`'s."""

    printed: Operand
    of: Selector
    which: str = "largest"
    winner: dict[str, str] = {}


class Count(_Claim, frozen=True, tag="count"):
    """There are `printed` different values of the key `distinct` in `of`."""

    printed: Operand
    of: Selector
    distinct: str
    beside: int = 0
    """Those that the text has and the table cannot show."""


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


Claim: TypeAlias = Ratio | Product | Decomposition | Mean | Sum | Extreme | Count | Comparison


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact in words. Two that differ about one thing contradict each other."""

    about: str
    says: str
    where: str
