"""Savings against the share of the queries that can be served locally."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["SavingsBound", "with_shares"]

_IGNORED = {"router", "resource", "place"}


def with_shares(publication: Publication) -> Iterator[tuple[Cell, Cell]]:
    """Each saving beside each share of the same questions that the same models can serve."""

    def of_what(cell: Cell) -> set[tuple[str, str]]:
        return {pair for pair in cell.scope if pair[0] not in _IGNORED}

    shares = publication.of_role("coverage", "share")
    for saving in publication.of_role("saving"):
        wanted = of_what(saving)
        if wanted:
            yield from ((saving, share) for share in shares if of_what(share) == wanted)


class SavingsBound:
    """What is saved at the oracle is at most the share that need not go to the cloud.

    It holds for queries that cost the cloud alike; if those served locally cost it more than the
    rest, more can be saved, and the publication has to say so.
    """

    name = "savings-bound"
    recomputes = "savings against the share of queries that a local model can serve"
    formula = "saving ≤ share served locally (coverage of the same set on the same questions)"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for saving, share in with_shares(publication):
            if saving.interval.low <= share.interval.high:
                yield Check()
            else:
                yield Check(self._finding(saving, share, publication))

    def _finding(self, saving: Cell, share: Cell, publication: Publication) -> Finding:
        return Finding(
            rule=self.name,
            severity="unsupported",
            sentence=f"{saving.name} is {saving.printed.text}{saving.unit}, more than the "
            f"{share.printed.text}{share.unit} of the queries that can be served locally "
            f"({share.name}).",
            cells=of(saving, share),
            recomputed=f"at most {share.text(share.value)}",
            tolerance="rounding of both; queries that cost the cloud alike",
            consistent=f"at most {share.text(share.value)}, or that the queries served locally are "
            "the cloud's dearer ones",
            leaning=publication.leaning_on((saving, share)),
        )
