"""Rows of one group that are off by one common factor: one slip, made once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from perwatt.audit.claims import Ratio
from perwatt.audit.finding import Check, Finding, Severity, of
from perwatt.audit.rules.derived import Derivation, derivations
from perwatt.audit.rules.ratios import pairs
from perwatt.audit.tables import Publication

__all__ = ["Systematic"]

_ROWS = 3
"""Fewer rows off are no pattern."""
_WIDTH = 1.10
"""Largest factor over smallest, for them to be one factor."""

_MILDEST_FIRST: tuple[Severity, ...] = ("note", "unsupported", "contradiction")


class Systematic:
    """Among cells that do not follow from their rows: a group that is off alike, whole."""

    name = "systematic-factor"
    recomputes = "whether cells that do not follow from their rows are off by one factor"
    formula = (
        "factor = recomputed / printed; one factor if all are within 10% of each other, and nearer "
        "to each other than to 1"
    )

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        groups: dict[tuple[str, str, str, str], list[Derivation]] = defaultdict(list)
        for found in derivations(publication):
            for key, value in found.target.scope:
                groups[found.target.table, found.target.column, key, value].append(found)
        told: set[frozenset[str]] = set()
        for (table, column, key, value), group in sorted(groups.items()):
            if len(group) < _ROWS:
                continue
            names = frozenset(found.target.name for found in group)
            factors = [found.factor for found in group]
            off = all(not found.holds for found in group) and min(factors) > 0
            if not off or not _one_factor(min(factors), max(factors)):
                yield Check()
            elif names not in told:
                told.add(names)
                where = f"{table}: {column} of the {len(group)} rows with {key} {value}"
                yield Check(self._finding(where, group, publication))

    def _finding(self, where: str, group: list[Derivation], publication: Publication) -> Finding:
        factors = [found.factor for found in group]
        ends = sorted({f"{min(factors):.2f}", f"{max(factors):.2f}"}, key=float)
        mended = {found.target.name: found.value for found in group}
        claims = _mended_claims(publication, mended)
        return Finding(
            rule=self.name,
            severity=min((found.severity for found in group), key=_MILDEST_FIRST.index),
            sentence=f"{where} is off by one factor: what the rows give is {'–'.join(ends)} "
            f"times what is printed.{''.join(f' {claim}' for claim in claims)}",
            cells=of(*(found.target for found in group)),
            recomputed="; ".join(
                f"{found.target.row}: {found.target.text(found.value)}" for found in group
            ),
            tolerance=f"factors within {_WIDTH - 1:.0%} of each other, and nearer to each other "
            f"than to 1, over {_ROWS} rows or more",
            consistent=f"{group[0].target.column} = {group[0].formula} in these rows too",
            leaning=publication.leaning_on(tuple(found.target for found in group)),
        )


def _one_factor(low: float, high: float) -> bool:
    """Rows that are off by 1% here and 5% there are off, and by no one factor."""
    from_one = max(low, 1 / high)
    return high / low <= min(_WIDTH, from_one)


def _mended_claims(publication: Publication, mended: dict[str, float]) -> list[str]:
    """What ratios that use these cells become with the recomputed values."""
    lines = []
    for claim in publication.claims:
        if not isinstance(claim, Ratio):
            continue
        printed, _, _ = publication.value_of(claim.printed)
        for above, below in pairs(publication, claim):
            if above.name not in mended and below.name not in mended:
                continue
            parts = [mended.get(cell.name, cell.value) for cell in (above, below)]
            if parts[1]:
                lines.append(f"“{printed.text}x” would be {parts[0] / parts[1]:.3g}x.")
    return lines
