"""Published tables in memory: cells that know their printed digits, unit and what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from perwatt.audit.claims import Claim, Operand, Selector, Statement
from perwatt.audit.interval import Interval
from perwatt.audit.printed import Printed, parse_printed
from perwatt.audit.units import ROLES, shown

__all__ = ["TOTAL", "Cell", "Publication", "Source", "Subset", "Table"]

TOTAL = "TOTAL"
"""A key's value in a row that is over all of that key's values."""


@dataclass(frozen=True, slots=True)
class Source:
    """The publication that tables were read from."""

    id: str
    version: str | None
    title: str | None
    read: str | None
    """Which text was read, and when."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One printed number."""

    table: str
    row: str
    """Its row's keys, as printed."""
    column: str
    role: str
    keys: Mapping[str, str]
    """What it is of: model, device, benchmark, batch …"""
    printed: Printed
    scale: float
    unit: str
    """As printed."""
    complete: bool
    """Whether the table was read in full."""

    @property
    def value(self) -> float:
        """In the role's own unit (`units.ROLES`)."""
        return self.printed.value * self.scale

    @property
    def interval(self) -> Interval:
        """What rounds to the printed digits, in the role's own unit."""
        return self.printed.times(self.scale)

    @property
    def stated(self) -> Interval:
        """The same, widened by a ± printed beside it."""
        return self.printed.stated * self.scale

    @property
    def scope(self) -> frozenset[tuple[str, str]]:
        """What it is of, as far as it matters: no labels (`_year`), and a TOTAL is over all."""
        return frozenset(
            (k, v) for k, v in self.keys.items() if not k.startswith("_") and v != TOTAL
        )

    @property
    def name(self) -> str:
        return f"{self.table} [{self.row}] {self.column}"

    def text(self, value: float) -> str:
        """`value`, of the role's own unit, as this column would print it."""
        if ROLES[self.role] in {"1/W", "1/J"}:
            return f"{value / self.scale:.4g} ({self.unit})"
        return shown(value, ROLES[self.role])


@dataclass(frozen=True, slots=True)
class Table:
    """One published table, or the numbers of one passage of text."""

    id: str
    title: str
    where: str
    complete: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Subset:
    """Models that a coverage is over: any of them right counts as right."""

    id: str
    members: tuple[str, ...]
    """Those that the publication names; there may be more, which can only raise a coverage."""
    same_as: str | None = None
    """Another set that the publication's own words make the same."""
    why: str | None = None
    """Those words."""


@dataclass(frozen=True)
class Publication:
    """Everything read of one source."""

    source: Source
    tables: tuple[Table, ...]
    sets: tuple[Subset, ...]
    claims: tuple[Claim, ...]
    statements: tuple[Statement, ...]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for table in self.tables for cell in table.cells)

    def of_role(self, *roles: str) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.role in roles)

    @cached_property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """Cells of one row that are of the same thing, their columns' keys included."""
        found: dict[tuple[str, str, frozenset[tuple[str, str]]], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault((cell.table, cell.row, cell.scope), []).append(cell)
        return tuple(tuple(row) for row in found.values())

    @cached_property
    def scopes(self) -> dict[frozenset[tuple[str, str]], tuple[Cell, ...]]:
        """Cells that are of the same thing, in whichever table."""
        found: dict[frozenset[tuple[str, str]], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.scope, []).append(cell)
        return {scope: tuple(cells) for scope, cells in found.items()}

    def find(self, selector: Selector) -> tuple[Cell, ...]:
        """The cells that `selector` names, in the order of the tables."""
        return tuple(cell for cell in self.cells if _is_named(cell, selector))

    def value_of(self, operand: Operand) -> tuple[Printed, Interval, tuple[Cell, ...]]:
        """A number of a claim: its digits, the interval in the role's unit, and its cell if any.

        Raises LookupError unless a selector names exactly one cell.
        """
        if isinstance(operand, Mapping):
            cells = self.find(operand)
            if len(cells) != 1:
                named = ", ".join(f"{k} = {v!r}" for k, v in operand.items())
                msg = f"{{{named}}} names {len(cells)} cells, and one is wanted"
                raise LookupError(msg)
            return cells[0].printed, cells[0].interval, cells
        printed = parse_printed(operand)
        if printed is None:
            msg = "nothing is printed"
            raise LookupError(msg)
        return printed, printed.rounding, ()

    @cached_property
    def _used_by(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """What each claim says, and the names of the cells that it is of."""
        return tuple(
            (
                claim.says,
                frozenset(
                    cell.name for selector in claim.selectors() for cell in self.find(selector)
                ),
            )
            for claim in self.claims
        )

    def leaning_on(self, cells: tuple[Cell, ...]) -> tuple[str, ...]:
        """What the publication says that uses one of `cells`."""
        names = {cell.name for cell in cells}
        return tuple(says for says, used in self._used_by if names & used)


def _is_named(cell: Cell, selector: Selector) -> bool:
    # The table first: it alone leaves out nearly all cells.
    for key in ("table", *selector.keys() - {"table"}) if "table" in selector else selector:
        wanted = selector[key]
        has = getattr(cell, key) if key in _FIELDS else cell.keys.get(key)
        if has not in ([str(w) for w in wanted] if isinstance(wanted, list) else [str(wanted)]):
            return False
    # A row over all is none of those it is over.
    return not any(value == TOTAL and key not in selector for key, value in cell.keys.items())


_FIELDS = {"table", "column", "role"}
