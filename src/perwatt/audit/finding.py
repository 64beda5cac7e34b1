"""What an audit says: checks that held, and findings that say what did not, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

from perwatt.audit.tables import Cell, Publication

__all__ = ["AuditReport", "Check", "Finding", "PrintedCell", "Rule", "RuleTally", "Severity", "of"]

Severity = Literal["contradiction", "unsupported", "note"]
"""contradiction: two printed things cannot both be so. unsupported: they can, and what is said of
them does not follow. note: nothing is wrong, and a reader would want to know."""


class PrintedCell(msgspec.Struct, frozen=True):
    """A cell as a finding quotes it."""

    table: str
    row: str
    column: str
    printed: str
    unit: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not hold, with the recomputation."""

    rule: str
    severity: Severity
    sentence: str
    cells: tuple[PrintedCell, ...]
    recomputed: str | None
    """What the other numbers give for it; None where nothing is recomputed."""
    tolerance: str
    """Where the line was drawn, and why there."""
    consistent: str
    """What would have to be printed for it to hold."""
    leaning: tuple[str, ...] = ()
    """What the publication says on the strength of these cells."""
    source: str = ""


class Check(msgspec.Struct, frozen=True):
    """One recomputation: it held, or here is the finding."""

    finding: Finding | None = None

    @property
    def held(self) -> bool:
        return self.finding is None


class Rule(Protocol):
    """A rule describes itself and yields one Check for each thing it could recompute."""

    name: str
    recomputes: str
    """One line for people."""
    formula: str

    def __call__(self, publication: Publication, /) -> Iterator[Check]: ...


class RuleTally(msgspec.Struct, frozen=True):
    """How many of a rule's recomputations held."""

    rule: str
    recomputes: str
    formula: str
    checks: int
    held: int


class AuditReport(msgspec.Struct, frozen=True):
    """One publication, audited."""

    source: str
    title: str | None
    read: str | None
    cells: int
    """Printed numbers that were read."""
    tallies: tuple[RuleTally, ...]
    findings: tuple[Finding, ...]

    @property
    def checks(self) -> int:
        return sum(t.checks for t in self.tallies)

    @property
    def held(self) -> int:
        return sum(t.held for t in self.tallies)


def of(*cells: Cell) -> tuple[PrintedCell, ...]:
    """Cells as a finding quotes them."""
    return tuple(PrintedCell(c.table, c.row, c.column, c.printed.text, c.unit) for c in cells)
