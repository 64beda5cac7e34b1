"""What any of several models solves is at least what each of them solves."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["CoverageBound", "singles"]


def singles(publication: Publication, coverage: Cell) -> tuple[Cell, ...]:
    """Accuracies of the coverage's own members, on the very same questions."""
    members = {m for s in publication.sets if s.id == coverage.keys.get("set") for m in s.members}
    wanted = {pair for pair in coverage.scope if pair[0] != "set"}
    return tuple(
        cell
        for cell in publication.of_role("accuracy")
        if cell.keys.get("model") in members
        and {pair for pair in cell.scope if pair[0] != "model"} == wanted
    )


class CoverageBound:
    """A coverage below one of its own members' scores."""

    name = "coverage-bound"
    recomputes = "what any of a set of models solves, against each member's own score"
    formula = (
        "coverage of a set ≥ accuracy of every member, on the same questions, within rounding and "
        "a printed ±"
    )

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for coverage in publication.of_role("coverage"):
            for single in singles(publication, coverage):
                if coverage.stated.high >= single.stated.low:
                    yield Check()
                else:
                    yield Check(self._finding(coverage, single, publication))

    def _finding(self, coverage: Cell, single: Cell, publication: Publication) -> Finding:
        return Finding(
            rule=self.name,
            severity="contradiction",
            sentence=f"{coverage.name} says that {coverage.printed.text}{coverage.unit} is solved "
            f"by some model of “{coverage.keys['set']}”, and {single.keys['model']}, one of them, "
            f"alone solves {single.printed.text}{single.unit} ({single.table}).",
            cells=of(coverage, single),
            recomputed=f"at least {single.text(single.value)}",
            tolerance="rounding of both"
            + (" and the ± printed" if coverage.printed.spread or single.printed.spread else ""),
            consistent=f"{coverage.column} of at least {single.text(single.value)}",
            leaning=publication.leaning_on((coverage,)),
        )
