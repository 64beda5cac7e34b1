"""The best, the most, the least: its value, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.claims import Extreme
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Publication

__all__ = ["Extremes"]


class Extremes:
    """A stated largest or smallest must be that of the cells, and its owner's."""

    name = "extreme"
    recomputes = "stated bests, mosts and leasts, and whose they are"
    formula = "max (or min) of the cells"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if not isinstance(claim, Extreme):
                continue
            cells = publication.find(claim.of)
            printed, stated, named = publication.value_of(claim.printed)
            if not named:  # a bare number is in the cells' printed unit
                stated = stated * cells[0].scale
            pick = max if claim.which == "largest" else min
            best = pick(cells, key=lambda cell: cell.value)
            # Two that are printed alike may either be the best.
            owned = any(
                cell.interval.meets(best.interval) and claim.winner.items() <= cell.keys.items()
                for cell in cells
            )
            if owned and best.interval.meets(stated):
                yield Check()
                continue
            same = next((c for c in cells if c.interval.meets(stated)), None)
            whose = [c for c in cells if claim.winner and claim.winner.items() <= c.keys.items()]
            of_it = f"; {whose[0].name} is {whose[0].printed.text}" if whose else ""
            other = f"; {printed.text} is {same.row}'s" if same is not None else ""
            yield Check(
                Finding(
                    rule=self.name,
                    severity="contradiction",
                    sentence=f"{claim.where} says {printed.text} is the {claim.which} "
                    f"({claim.says}), and {best.name} is {best.printed.text}{of_it}{other}.",
                    cells=of(best, *whose[:1], *([same] if same is not None else [])),
                    recomputed=f"{best.printed.text} ({best.row})",
                    tolerance="rounding of both",
                    consistent=f"{best.printed.text}, {best.row}",
                    leaning=(claim.says,),
                )
            )
