"""Cells that other cells of their row determine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from perwatt.audit.finding import Check, Finding, Severity, of
from perwatt.audit.interval import Interval
from perwatt.audit.tables import Cell, Publication

__all__ = ["Derivation", "Derived", "derivations"]

_COVARIES = 1.25
"""E[P·τ] / (E[P]·E[τ]) is 1 + ρ × the two variations: a fifth of the watts and all of the seconds
is as much as one pair's queries show."""


@dataclass(frozen=True, slots=True)
class _Formula:
    role: str
    from_: tuple[str, ...]
    text: str
    compute: Callable[..., Interval]
    exact: bool = True
    """Whatever the watts are a mean over. False: only if they are one over time, since a mean of
    each query's watts covaries with its seconds (E[P·τ] ≠ E[P]·E[τ])."""


_FORMULAS = (
    _Formula("ipw", ("accuracy", "power_w"), "accuracy / power", lambda a, p: a / p),
    _Formula("ipj", ("accuracy", "energy_j"), "accuracy / energy", lambda a, e: a / e),
    _Formula(
        "ipj",
        ("accuracy", "power_w", "seconds"),
        "accuracy / (power × seconds)",
        lambda a, p, s: a / (p * s),
        exact=False,
    ),
    _Formula(
        "energy_j", ("power_w", "seconds"), "power × seconds", lambda p, s: p * s, exact=False
    ),
    _Formula("ipj", ("ipw", "seconds"), "IPW / seconds", lambda w, s: w / s, exact=False),
)
"""In order of preference: a cell is recomputed once from its own row, by the first that can."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """A printed cell beside what the others make of it."""

    target: Cell
    operands: tuple[Cell, ...]
    recomputed: Interval
    value: float
    """The same of the digits as printed, which need not be the interval's middle."""
    formula: str
    exact: bool
    """False: it may miss for watts that are a mean of each query's (`_Formula.exact`)."""

    @property
    def severity(self) -> Severity:
        """A note where it may be only that the watts are a mean of each query's."""
        if not self.exact and 1 / _COVARIES <= self.factor <= _COVARIES:
            return "note"
        one_table = all(operand.table == self.target.table for operand in self.operands)
        return "contradiction" if one_table else "unsupported"

    @property
    def holds(self) -> bool:
        return self.recomputed.meets(self.target.interval)

    @property
    def factor(self) -> float:
        """Recomputed over printed; 0 where 0 was printed."""
        return self.value / self.target.value if self.target.value else 0.0


def derivations(publication: Publication) -> Iterator[Derivation]:
    """Within one row; then, for what no row determines, among cells of the same thing."""
    done: set[str] = set()
    for row in publication.rows:
        for found in _of_cells(row, done):
            done.add(found.target.name)
            yield found
    for cells in publication.scopes.values():
        if len({cell.table for cell in cells}) > 1:
            yield from _of_cells(cells, done)


def _of_cells(cells: Iterable[Cell], done: set[str]) -> Iterator[Derivation]:
    by_role: dict[str, Cell] = {}
    targets = list(cells)
    for cell in targets:
        by_role.setdefault(cell.role, cell)
    for cell in targets:
        if cell.name in done:
            continue
        for formula in _FORMULAS:
            if cell.role == formula.role and all(role in by_role for role in formula.from_):
                operands = tuple(by_role[role] for role in formula.from_)
                recomputed = formula.compute(*(operand.interval for operand in operands))
                points = (Interval(operand.value, operand.value) for operand in operands)
                value = formula.compute(*points).middle
                yield Derivation(cell, operands, recomputed, value, formula.text, formula.exact)
                break


class Derived:
    """A finding for each cell that its row's other cells do not give."""

    name = "derived"
    recomputes = "cells that others determine: IPW, IPJ, joules"
    formula = "IPW = accuracy / W;  IPJ = accuracy / J;  J = W × s"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for found in derivations(publication):
            yield Check() if found.holds else Check(self._finding(found, publication))

    def _finding(self, found: Derivation, publication: Publication) -> Finding:
        target, recomputed = found.target, found.recomputed
        value = target.text(found.value)
        others = {operand.table for operand in found.operands} - {target.table}
        apart = f" (from {', '.join(sorted(others))})" if others else ""
        times = f": {found.factor:.3g} times that" if found.factor else ""
        within = (
            f"a note within {_COVARIES - 1:.0%}: watts may be a mean of each query's, not of time"
        )
        assumed = "" if found.exact else f"; {within}"
        return Finding(
            rule=self.name,
            severity=found.severity,
            sentence=f"{target.name} is printed as {target.printed.text}, and {found.formula}"
            f"{apart} gives {value}{times}.",
            cells=of(target, *found.operands),
            recomputed=value,
            tolerance=f"rounding of the digits allows {target.text(recomputed.low)} to "
            f"{target.text(recomputed.high)}{assumed}",
            consistent=f"{target.column} = {value}"
            + ("" if found.exact else ", or that its watts are a mean of each query's"),
            leaning=publication.leaning_on((target,)),
        )
