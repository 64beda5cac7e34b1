"""Savings against the share of the queries that can be served locally."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["SavingsBound"]


class SavingsBound:
    """What is saved at the oracle is at most the share that need not go to the cloud.

    It holds for queries that cost the cloud alike; if those served locally cost it more than the
    rest, more can be saved, and the publication has to say so.
    """

    name = "savings-bound"
    recomputes = "savings against the share of queries that a local model can serve"
    formula = "saving ≤ share served locally (coverage of the same set on the same questions)"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        ignored = {"router", "resource", "place"}
        for saving in publication.of_role("saving"):
            wanted = {pair for pair in saving.scope if pair[0] not in ignored}
            if not wanted:
                continue
            for share in publication.of_role("coverage", "share"):
                if {pair for pair in share.scope if pair[0] not in ignored} != wanted:
                    continue
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
