"""The same quantity, printed in two places with two values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from perwatt.audit.finding import Check, Finding, Severity, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["Disagreement"]


class Disagreement:
    """Cells of one role and equal keys must agree within rounding and any ± printed.

    Coverages of two sets that the publication's words make the same are compared too; that they
    differ is then for its words to explain.
    """

    name = "cross-table"
    recomputes = "quantities that are printed more than once"
    formula = "same role, same keys: the same number, within rounding and a printed ±"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        same = {s.id: s.same_as for s in publication.sets if s.same_as is not None}
        groups: dict[tuple[str, frozenset[tuple[str, str]]], list[Cell]] = defaultdict(list)
        for cell in publication.cells:
            if cell.role == "fact":
                continue
            scope = frozenset((k, same.get(v, v) if k == "set" else v) for k, v in cell.scope)
            groups[cell.role, scope].append(cell)
        for cells in groups.values():
            for first, second in combinations(cells, 2):
                if first.stated.meets(second.stated):
                    yield Check()
                else:
                    yield Check(self._finding(first, second, publication))

    def _finding(self, first: Cell, second: Cell, publication: Publication) -> Finding:
        one_set = first.keys.get("set") == second.keys.get("set")
        severity: Severity = "contradiction" if one_set else "unsupported"
        why = "" if one_set else f" {_words(publication, first, second)}"
        apart = second.value / first.value if first.value else None
        return Finding(
            rule=self.name,
            severity=severity,
            sentence=f"{first.name} is {first.printed.text} ({first.unit}), and {second.name}, "
            f"the same thing, is {second.printed.text} ({second.unit}).{why}",
            cells=of(first, second),
            recomputed=None if apart is None else f"the second is {apart:.4g} times the first",
            tolerance="rounding of both"
            + (" and the ± printed" if first.printed.spread or second.printed.spread else ""),
            consistent="one number in both places, or what makes them two things",
            leaning=publication.leaning_on((first, second)),
        )


def _words(publication: Publication, *cells: Cell) -> str:
    ids = {cell.keys.get("set") for cell in cells}
    words = [s.why for s in publication.sets if s.id in ids and s.same_as in ids and s.why]
    return f"({'; '.join(words)}.)" if words else "(The publication makes the two sets one.)"
