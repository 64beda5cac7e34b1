"""Figures over two parts together, beside the same figures of each part."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from perwatt.audit.claims import Mixture
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.tables import Cell, Publication

__all__ = ["Mixtures"]


class Mixtures:
    """A whole lies between its parts, and one weighing of the parts gives every figure of it.

    That the weighing is one holds for figures that grow alike with the queries, as joules, FLOPs
    and price of one model do with its tokens.
    """

    name = "mixture"
    recomputes = "figures over two parts, from the parts; the weight that each figure implies"
    formula = "whole = w × first + (1 − w) × second, 0 ≤ w ≤ 1, one w for all figures"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if isinstance(claim, Mixture):
                yield from self._checks(claim, publication)

    def _checks(self, claim: Mixture, publication: Publication) -> Iterator[Check]:
        weights: list[tuple[str, Interval, tuple[Cell, ...]]] = []
        for whole in publication.find(claim.printed):
            figure = whole.keys.get(claim.by, "")
            parts = [c for c in publication.find(claim.of) if c.keys.get(claim.by) == figure]
            if len(parts) != 2:
                msg = f"claim {claim.id!r} has {len(parts)} parts for {figure!r}, and two are mixed"
                raise LookupError(msg)
            first, second = sorted(parts, key=lambda part: part.keys.get(claim.over, ""))
            outside = whole.interval.low > max(p.interval.high for p in parts) or (
                whole.interval.high < min(p.interval.low for p in parts)
            )
            if outside:
                yield Check(self._outside(claim, whole, parts))
                continue
            yield Check()
            weight = (whole.interval - second.interval) / (first.interval - second.interval)
            if isfinite(weight.high - weight.low):  # parts that are alike tell no weight
                weights.append((first.keys.get(claim.over, ""), weight, (whole, first, second)))
        if len(weights) > 1:
            one = Interval(
                max(weight.low for _, weight, _ in weights),
                min(weight.high for _, weight, _ in weights),
            )
            yield Check() if one.low <= one.high else Check(self._differ(claim, weights))

    def _outside(self, claim: Mixture, whole: Cell, parts: list[Cell]) -> Finding:
        texts = [part.printed.text for part in sorted(parts, key=lambda part: part.value)]
        return Finding(
            rule=self.name,
            severity="contradiction",
            sentence=f"{whole.name} is {whole.printed.text}{whole.unit}, outside of what its two "
            f"parts have, {texts[0]} and {texts[1]} ({claim.says}).",
            cells=of(whole, *parts),
            recomputed=f"{texts[0]} to {texts[1]}",
            tolerance="rounding of all three",
            consistent=f"between {texts[0]} and {texts[1]}",
            leaning=(claim.says,),
        )

    def _differ(
        self, claim: Mixture, weights: list[tuple[str, Interval, tuple[Cell, ...]]]
    ) -> Finding:
        part = weights[0][0]
        each = ", ".join(
            f"{cells[0].keys.get(claim.by)} {weight.middle:.0%} (between {cells[1].printed.text} "
            f"and {cells[2].printed.text}: {cells[0].printed.text})"
            for _, weight, cells in weights
        )
        return Finding(
            rule=self.name,
            severity="unsupported",
            sentence=f"{claim.where} ({claim.says}): no one weighing of the parts gives all of the "
            f"whole; the weight of {part} would be {each}.",
            cells=of(*(cell for _, _, cells in weights for cell in cells)),
            recomputed=each,
            tolerance="rounding of all cells; figures that grow alike with the queries",
            consistent=f"one weight of {part} for every {claim.by}, or the weighing of each",
            leaning=(claim.says,),
        )
