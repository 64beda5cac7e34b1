"""What a query served locally would use, for the savings to be what they are."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.rules.linear_savings import router_accuracy
from perwatt.audit.rules.savings_bound import with_shares
from perwatt.audit.tables import Cell, Publication

__all__ = ["LocalCost"]

_SLIGHT = 0.02
"""Of what the cloud uses. Less is hardly a cost: perhaps none was counted."""


class LocalCost:
    """A saving that nearly equals the share served locally leaves those queries next to nothing."""

    name = "local-cost"
    recomputes = "what a query served locally uses, from savings and the share served locally"
    formula = "local / cloud = 1 − saving(oracle) / share served locally;  a note below 2%"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for saving, share in with_shares(publication):
            if router_accuracy(saving) != 1.0 or share.interval.low <= 0:
                continue
            used = Interval(1.0, 1.0) - saving.interval / share.interval
            if used.high < 0:
                continue  # more is saved than can be served: savings-bound
            if used.middle >= _SLIGHT:
                yield Check()
            else:
                yield Check(self._finding(saving, share, used, publication))

    def _finding(
        self, saving: Cell, share: Cell, used: Interval, publication: Publication
    ) -> Finding:
        resource = saving.keys.get("resource", "resource")
        between = f"{max(0.0, used.low):.2%}–{used.high:.2%}"
        return Finding(
            rule=self.name,
            severity="note",
            sentence=f"{saving.name}: {saving.printed.text}{saving.unit} of the {resource} is "
            f"saved where {share.printed.text}{share.unit} is served locally ({share.table}): a "
            f"query served locally uses {between} of the {resource} that the cloud would.",
            cells=of(saving, share),
            recomputed=between,
            tolerance=f"rounding of both; queries that cost the cloud alike; noted below "
            f"{_SLIGHT:.0%}",
            consistent=f"the {resource} of a query served locally, printed and counted",
            leaning=publication.leaning_on((saving, share)),
        )
