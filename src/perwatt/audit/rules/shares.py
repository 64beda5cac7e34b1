"""Shares of counts: each part's percentage from its own count and the total."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["SharesOfCounts"]


class SharesOfCounts:
    """Where a row has a count and a share, and the count over all is printed somewhere."""

    name = "share-of-count"
    recomputes = "shares, from the counts behind them"
    formula = "share = count / the count over all of one of its keys"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        counts = {cell.scope: cell for cell in reversed(publication.of_role("count"))}
        for row in publication.rows:
            roles: dict[str, Cell] = {cell.role: cell for cell in row}
            if not {"count", "share"} <= roles.keys():
                continue
            count, share = roles["count"], roles["share"]
            # A row of two keys may have a total over either: a share of one of them is enough.
            wholes = [
                counts[count.scope - {key}]
                for key in sorted(count.scope)
                if count.scope - {key} in counts
            ]
            if not wholes:
                continue
            if any((count.interval / one.interval).meets(share.interval) for one in wholes):
                yield Check()
                continue
            whole = wholes[0]
            made = count.interval / whole.interval
            value = share.text(made.middle)
            other = ""
            if share.value > 0:
                other = f", or {count.text(count.value / share.value)} in all"
            yield Check(
                Finding(
                    rule=self.name,
                    severity="contradiction",
                    sentence=f"{share.name} is printed as {share.printed.text}{share.unit}, and "
                    f"{count.printed.text} of {whole.printed.text} ({whole.table}) is {value}.",
                    cells=of(share, count, whole),
                    recomputed=value,
                    tolerance="rounding of all three",
                    consistent=value + other,
                    leaning=publication.leaning_on((share, count)),
                )
            )
