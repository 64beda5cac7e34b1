"""Watts that a device cannot draw, by the publication's own facts about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from perwatt.audit.claims import Extreme
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.rules.watts import Watts, ratings, watts
from perwatt.audit.tables import Cell, Publication

__all__ = ["Plausibility"]

_ABOVE = 1.10
"""Boards overshoot their rating for moments; an average over a query does not by more."""


class Plausibility:
    """Watts, printed or implied, above what the device is rated at."""

    name = "plausibility"
    recomputes = "a device's watts against its rating"
    formula = (
        "W ≤ 1.1 × rating (where only a supply's rating is given: the least power stated for "
        "all devices, if it is no other's)"
    )

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        rated = ratings(publication)
        limits = {device: (c.interval, (c,)) for device, c in rated.items() if not c.printed.note}
        by_elimination = _least(publication, rated)
        if by_elimination is not None:
            device, least = by_elimination
            limits[device] = (least, (rated[device],))
        above: dict[tuple[str, str], list[Watts]] = defaultdict(list)
        for row in watts(publication):
            if row.device not in limits:
                continue
            if row.watts.low <= _ABOVE * limits[row.device][0].high:
                yield Check()
            else:
                above[row.device, row.table].append(row)
        for (device, _), rows in above.items():
            eliminated = by_elimination is not None and by_elimination[0] == device
            yield Check(self._finding(rows, *limits[device], eliminated=eliminated))

    def _finding(
        self, rows: list[Watts], limit: Interval, rating: tuple[Cell, ...], *, eliminated: bool
    ) -> Finding:
        low, high = min(r.watts.middle for r in rows), max(r.watts.middle for r in rows)
        drawn = f"{low:.0f} W" if high - low < 1 else f"{low:.0f}–{high:.0f} W"
        device, most = rows[0].device, limit.middle
        ends = [f"{value / most:.1f}" for value in (low, high)]
        times = ends[0] if ends[0] == ends[1] else "–".join(ends)
        how = "implied by accuracy / IPW" if rows[0].implied else "printed"
        why = (
            f"its rating is of something else ({rating[0].printed.note}), and the least power "
            f"stated for all devices, {most:.0f} W, is no other device's"
            if eliminated
            else f"it is rated at {rating[0].printed.text} W"
        )
        return Finding(
            rule=self.name,
            severity="unsupported" if eliminated else "contradiction",
            sentence=f"{rows[0].table}: {device} draws {drawn} ({how}), {times} "
            f"times the {most:.0f} W that it can: {why}.",
            cells=of(*(cell for row in rows for cell in row.cells), *rating),
            recomputed=drawn,
            tolerance=f"{_ABOVE - 1:.0%} above the rating, and rounding",
            consistent=f"at most {_ABOVE * most:.0f} W",
        )


def _least(publication: Publication, rated: dict[str, Cell]) -> tuple[str, Interval] | None:
    """The one device whose power a stated minimum over all must be, its own rating being no such.

    Devices printed as 'about' are no candidates: what was printed is their power, loosely.
    """
    qualified = [device for device, cell in rated.items() if cell.printed.note]
    for claim in publication.claims:
        if not isinstance(claim, Extreme) or claim.which != "smallest" or len(qualified) != 1:
            continue
        over = publication.find(claim.of)
        if not any(cell.role == "rated_w" for cell in over):
            continue
        _, least, _ = publication.value_of(claim.printed)
        if least.low > 0 and not any(least.meets(c.interval) for c in over if not c.printed.note):
            return qualified[0], least
    return None
