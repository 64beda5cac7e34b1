"""Implied watts that are the device's rating: looked up, perhaps, and not measured."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.rules.watts import ratings, watts
from perwatt.audit.tables import Publication

__all__ = ["AtRating"]

_NEAR = 0.02
"""Of the rating. A model that decodes one query at a time seldom fills a board's power."""


class AtRating:
    """Watts that accuracy and IPW imply, equal to what the device is rated at."""

    name = "at-rating"
    recomputes = "watts that accuracy and IPW imply, against the device's rating"
    formula = "accuracy / IPW within 2% of the rating: a note"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        rated = {d: c for d, c in ratings(publication).items() if c.printed.note is None}
        for row in watts(publication):
            if not row.implied or row.device not in rated:
                continue
            rating = rated[row.device]
            share = row.watts.middle / rating.value
            coarse = row.watts.half_width > _NEAR * row.watts.middle
            if coarse or abs(share - 1) > _NEAR:
                yield Check()
                continue
            yield Check(
                Finding(
                    rule=self.name,
                    severity="note",
                    sentence=f"{row.table} [{row.row}]: accuracy / IPW is {row.watts.middle:.0f} "
                    f"W, {share:.1%} of the {rating.printed.text} W that {row.device} is rated "
                    "at: a rating, or a board at its limit throughout.",
                    cells=of(*row.cells, rating),
                    recomputed=f"{row.watts.middle:.1f} W",
                    tolerance=f"{_NEAR:.0%} of the rating",
                    consistent="watts measured over the queries, and said to be",
                    leaning=publication.leaning_on(row.cells),
                )
            )
