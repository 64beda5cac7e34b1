"""Shares that make a whole, counts that make a total, and how many of a thing there are."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.claims import Count, Sum
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import total
from perwatt.audit.tables import Publication

__all__ = ["Counts", "Sums"]


class Sums:
    """Parts must add up to what is printed, each one's rounding allowed for. Whole tables only."""

    name = "sum"
    recomputes = "parts against their total"
    formula = "Σ parts, each within its rounding"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if not isinstance(claim, Sum):
                continue
            parts = publication.find(claim.of)
            if not all(part.complete for part in parts):
                continue
            printed, stated, cells = publication.value_of(claim.printed)
            if not cells:  # a bare number is in the parts' printed unit
                stated = stated * parts[0].scale
            added = total(part.interval for part in parts)
            if added.meets(stated):
                yield Check()
                continue
            value = parts[0].text(sum(part.value for part in parts))
            yield Check(
                Finding(
                    rule=self.name,
                    severity="contradiction",
                    sentence=f"{claim.where} says that {len(parts)} parts make {printed.text} "
                    f"({claim.says}), and they make {value}.",
                    cells=of(*cells, *parts),
                    recomputed=value,
                    tolerance=f"rounding of the parts allows {parts[0].text(added.low)} to "
                    f"{parts[0].text(added.high)}",
                    consistent=value,
                    leaning=(claim.says,),
                )
            )


class Counts:
    """How many there are said to be, and how many the table has. Whole tables only."""

    name = "count"
    recomputes = "stated numbers of strategies, benchmarks, models"
    formula = "different values of a key, and those that the text has beside them"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if not isinstance(claim, Count):
                continue
            cells = publication.find(claim.of)
            if not all(cell.complete for cell in cells):
                continue
            printed, stated, _ = publication.value_of(claim.printed)
            values = sorted({cell.keys.get(claim.distinct, "") for cell in cells} - {""})
            many = len(values) + claim.beside
            if stated.low <= many <= stated.high:
                yield Check()
                continue
            beside = f" and {claim.beside} beside them" if claim.beside else ""
            yield Check(
                Finding(
                    rule=self.name,
                    severity="contradiction",
                    sentence=f"{claim.where} says {printed.text} ({claim.says}), and there are "
                    f"{many}: {', '.join(values)}{beside}.",
                    cells=of(*cells),
                    recomputed=str(many),
                    tolerance="none: a whole number",
                    consistent=str(many),
                    leaning=(claim.says,),
                )
            )
