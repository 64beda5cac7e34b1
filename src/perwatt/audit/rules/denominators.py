"""Totals and averages: which weighing of the parts gives what is printed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from perwatt.audit.claims import Mean
from perwatt.audit.finding import Check, Finding, Severity, of
from perwatt.audit.interval import Interval, total, weighted_mean
from perwatt.audit.tables import TOTAL, Cell, Publication

__all__ = ["Denominators"]


class Denominators:
    """Recomputes a mean unweighted and, where counts are given, weighted by queries."""

    name = "denominator"
    recomputes = "totals and averages, unweighted and weighted by the queries behind each part"
    formula = "Σ value / n;  Σ count × value / Σ count"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if not isinstance(claim, Mean):
                continue
            groups: dict[tuple[str | None, ...], list[Cell]] = defaultdict(list)
            for cell in publication.find(claim.of):
                groups[tuple(cell.keys.get(key) for key in claim.by)].append(cell)
            most = max(len(parts) for parts in groups.values())
            for values, parts in groups.items():
                printed = _printed(publication, claim, values)
                if printed is not None:
                    yield self._check(claim, printed, parts, most, publication)

    def _check(
        self,
        claim: Mean,
        printed: tuple[str, Interval, tuple[Cell, ...]],
        parts: list[Cell],
        most: int,
        publication: Publication,
    ) -> Check:
        text, stated, cells = printed
        plain = total(part.interval for part in parts) * (1 / len(parts))
        counts = None if claim.weights is None else _counts(publication, claim, parts)
        weighted = None
        if counts is not None:
            weighted = weighted_mean([part.interval for part in parts], counts)
        right = plain if weighted is None else weighted
        if right.meets(stated) and len(parts) == most:
            return Check()
        show = parts[0].text
        found = f"unweighted {show(plain.middle)}"
        if weighted is not None:
            found += f", weighted by queries {show(weighted.middle)}"
        severity: Severity = "contradiction"
        if right.meets(stated):
            severity = "note"
            what = (
                f"it is the mean of {len(parts)} parts where others in its column are of {most}, "
                "and they are not to be compared"
            )
        elif plain.meets(stated):
            severity = "unsupported"
            what = f"that is the unweighted mean of {len(parts)} parts of unequal size ({found})"
        else:
            neither = "not the mean" if weighted is None else "neither mean"
            what = f"it is {neither} of its {len(parts)} parts ({found})"
        where = cells[0].name if cells else claim.where
        return Check(
            Finding(
                rule=self.name,
                severity=severity,
                sentence=f"{where} is {text} ({claim.says}): {what}.",
                cells=of(*cells, *parts),
                recomputed=found,
                tolerance=f"rounding of the parts{' and counts' if counts else ''} allows "
                f"{show(right.low)} to {show(right.high)}",
                consistent=f"{show(right.middle)}, with its weighing said",
                leaning=publication.leaning_on(cells),
            )
        )


def _printed(
    publication: Publication, claim: Mean, values: Sequence[str | None]
) -> tuple[str, Interval, tuple[Cell, ...]] | None:
    """The total of one group; None where the column is empty there."""
    if not isinstance(claim.printed, dict) or not claim.by:
        printed, interval, cells = publication.value_of(claim.printed)
        if not cells:  # a bare number is in the parts' printed unit
            interval = interval * publication.find(claim.of)[0].scale
        return printed.text, interval, cells
    named = {k: v for k, v in zip(claim.by, values, strict=True) if v is not None}
    cells = publication.find({**claim.printed, **named})
    if not cells:
        return None
    return cells[0].printed.text, cells[0].interval, cells[:1]


def _counts(publication: Publication, claim: Mean, parts: Sequence[Cell]) -> list[Interval]:
    """The count behind each part: the one whose own keys the part has.

    Raises LookupError where a part has none.
    """
    assert claim.weights is not None
    counts = publication.find(claim.weights)
    found = []
    for part in parts:
        fits = [
            c for c in counts if all(part.keys.get(k) == v for k, v in c.keys.items() if v != TOTAL)
        ]
        if not fits:
            msg = f"claim {claim.id!r} has no count for {part.name}"
            raise LookupError(msg)
        found.append(fits[0].interval)
    if max(count.high for count in found) <= 0:
        msg = f"claim {claim.id!r} has counts that add up to nothing"
        raise LookupError(msg)
    return found
