"""Numbers that nothing can be: more than all of it, or less than none."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.tables import Cell, Publication

__all__ = ["Possible"]

_INFINITY = float("inf")
_NONE_OR_MORE = Interval(0.0, _INFINITY)
_LIMITS = {
    "accuracy": Interval(0.0, 1.0),
    "coverage": Interval(0.0, 1.0),
    "share": Interval(0.0, 1.0),
    "saving": Interval(-_INFINITY, 1.0),
    "ratio": Interval(-_INFINITY, _INFINITY),
    "fact": Interval(-_INFINITY, _INFINITY),
}
"""In the role's own unit; other roles are not below 0. A saving can be: it is then a loss."""


class Possible:
    """Each cell within what its role allows. Nothing is recomputed, so what is possible is not
    counted among what holds."""

    name = "possible"
    recomputes = "whether a printed number can be one of its kind at all"
    formula = "0 ≤ accuracy, coverage, share ≤ 100%;  saving ≤ 100%;  W, J, s, counts, prices ≥ 0"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for cell in publication.cells:
            if not cell.interval.meets(_limits(cell)):
                yield Check(self._finding(cell, publication))

    def _finding(self, cell: Cell, publication: Publication) -> Finding:
        limits = _limits(cell)
        above = cell.interval.low > limits.high
        limit = cell.text(limits.high if above else limits.low)
        what = "than all of it" if above else "than none"
        return Finding(
            rule=self.name,
            severity="contradiction",
            sentence=f"{cell.name} is printed as {cell.printed.text} ({cell.unit}), "
            f"{'more' if above else 'less'} {what}.",
            cells=of(cell),
            recomputed=None,
            tolerance="its rounding",
            consistent=f"at {'most' if above else 'least'} {limit}",
            leaning=publication.leaning_on((cell,)),
        )


def _limits(cell: Cell) -> Interval:
    return _LIMITS.get(cell.role, _NONE_OR_MORE)
