"""Stated ratios against the cells that they are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from perwatt.audit.claims import Ratio
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.printed import Printed
from perwatt.audit.tables import Cell, Publication

__all__ = ["Ratios", "pairs"]


def pairs(publication: Publication, claim: Ratio) -> Iterator[tuple[Cell, Cell]]:
    """Cells of `of` and `to` that agree in every key but those the claim goes across."""

    def rest(cell: Cell) -> frozenset[tuple[str, str]]:
        return frozenset(pair for pair in cell.scope if pair[0] not in claim.across)

    below: dict[frozenset[tuple[str, str]], list[Cell]] = defaultdict(list)
    for cell in publication.find(claim.to):
        below[rest(cell)].append(cell)
    for cell in publication.find(claim.of):
        yield from ((cell, other) for other in below[rest(cell)] if other is not cell)


class Ratios:
    """Each pair of cells must give the ratio that was stated, or lie in the range."""

    name = "ratio"
    recomputes = "stated ratios and ranges of ratios"
    formula = "of / to, over the rounding of both, must reach the rounding of what is stated"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if isinstance(claim, Ratio):
                found = list(pairs(publication, claim))
                if not found:
                    across = ", ".join(claim.across)
                    msg = f"claim {claim.id!r}: no two cells agree in every key but {across}"
                    raise LookupError(msg)
                for above, below in found:
                    yield self._check(claim, above, below, publication)

    def _check(self, claim: Ratio, above: Cell, below: Cell, publication: Publication) -> Check:
        printed, stated, _ = publication.value_of(claim.printed)
        ratio = above.interval / below.interval
        if claim.bound == "at least":
            stated = Interval(stated.low, float("inf"))
        elif claim.bound == "at most":
            stated = Interval(float("-inf"), stated.high)
        if ratio.meets(stated):
            return Check()
        value = above.value / below.value
        return Check(
            Finding(
                rule=self.name,
                severity="contradiction",
                sentence=f"{claim.where} says {printed.text}x ({claim.says}), and {above.name} / "
                f"{below.name} is {above.printed.text} / {below.printed.text} = {value:.3g}x.",
                cells=of(above, below),
                recomputed=f"{value:.4g}x",
                tolerance=f"rounding of both allows {ratio.low:.3g}x to {ratio.high:.3g}x",
                consistent=_consistent(claim, printed, value),
                leaning=(claim.says,),
            )
        )


def _consistent(claim: Ratio, printed: Printed, value: float) -> str:
    if "–" in printed.text:
        return f"a range that reaches {value:.3g}x"
    return f"{value:.3g}x" if claim.bound == "about" else f"{claim.bound} {value:.3g}x"
