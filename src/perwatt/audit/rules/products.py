"""Stated products against their factors."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from perwatt.audit.claims import Product
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.tables import Publication

__all__ = ["Products"]


class Products:
    """The product of the factors must reach the rounding of what is printed."""

    name = "product"
    recomputes = "stated products"
    formula = "factor × factor …, over the rounding of each"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if not isinstance(claim, Product):
                continue
            printed, stated, cells = publication.value_of(claim.printed)
            factors = [publication.value_of(factor) for factor in claim.factors]
            made = Interval(1.0, 1.0)
            for _, interval, _ in factors:
                made = made * interval
            if made.meets(stated):
                yield Check()
                continue
            text = " × ".join(factor.text for factor, _, _ in factors)
            value = prod(interval.middle for _, interval, _ in factors)
            used = (*cells, *(cell for _, _, found in factors for cell in found))
            yield Check(
                Finding(
                    rule=self.name,
                    severity="contradiction",
                    sentence=f"{claim.where} says that {text} is {printed.text} ({claim.says}), "
                    f"and it is {value:.4g}.",
                    cells=of(*used),
                    recomputed=f"{value:.4g}",
                    tolerance=f"rounding of the factors allows {made.low:.4g} to {made.high:.4g}",
                    consistent=f"{value:.3g}",
                    leaning=(claim.says,),
                )
            )
