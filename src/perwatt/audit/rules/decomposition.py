"""A change shared out between two causes that were never varied apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from perwatt.audit.claims import Decomposition
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.printed import Printed
from perwatt.audit.tables import Cell, Publication

__all__ = ["FactorsOfOneCell"]


class FactorsOfOneCell:
    """Shares of models and hardware need a cell in which only one of them changed.

    With such a cell the factors are recomputed along it. Without, they are compared with what they
    may have been taken from: the ratio of the accuracies and the ratio of the implied watts.
    """

    name = "decomposition"
    recomputes = "shares of a change, from cells in which only one cause changed"
    formula = "share of a cause = metric after / before with the other causes held"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if isinstance(claim, Decomposition):
                yield self._check(claim, publication)

    def _check(self, claim: Decomposition, publication: Publication) -> Check:
        _, _, (after,) = publication.value_of(claim.of)
        _, _, (before,) = publication.value_of(claim.to)
        stated = {key: publication.value_of(value)[:2] for key, value in claim.factors.items()}
        paths = list(_paths(publication, before, after, tuple(stated)))
        if any(all(path[key].meets(stated[key][1]) for key in stated) for path in paths):
            return Check()
        if paths:
            return Check(self._misses(claim, before, after, stated, paths))
        return Check(self._never_apart(claim, before, after, stated, publication))

    def _misses(
        self,
        claim: Decomposition,
        before: Cell,
        after: Cell,
        stated: dict[str, tuple[Printed, Interval]],
        paths: list[dict[str, Interval]],
    ) -> Finding:
        texts = [", ".join(f"{k} {path[k].middle:.3g}x" for k in stated) for path in paths]
        return Finding(
            rule=self.name,
            severity="contradiction",
            sentence=f"{claim.where} ({claim.says}): cells in which one cause changes give "
            f"{' or '.join(texts)}.",
            cells=of(before, after),
            recomputed=" or ".join(texts),
            tolerance="rounding of the cells on the way",
            consistent=texts[0],
            leaning=(claim.says,),
        )

    def _never_apart(
        self,
        claim: Decomposition,
        before: Cell,
        after: Cell,
        stated: dict[str, tuple[Printed, Interval]],
        publication: Publication,
    ) -> Finding:
        only, used = _only_ratios(publication, before, after)
        told = [
            f"the {printed.text}x of the {key} is the ratio of {what} ({ratio.middle:.3g}x)"
            for key, (printed, interval) in stated.items()
            for what, ratio in only.items()
            if ratio.meets(interval)
        ]
        keys = " and ".join(stated)
        also = f"; {', and '.join(told)}" if told else ""
        return Finding(
            rule=self.name,
            severity="unsupported",
            sentence=f"{claim.where} ({claim.says}): {keys} change together from {before.name} to "
            f"{after.name}, and no cell has one of them changed alone{also}.",
            cells=of(before, after, *used),
            recomputed=", ".join(f"{what} {r.middle:.3g}x" for what, r in only.items()) or None,
            tolerance="rounding of the cells",
            consistent="the older model on the newer device, or the newer on the older, measured",
            leaning=(claim.says,),
        )


def _paths(
    publication: Publication, before: Cell, after: Cell, keys: tuple[str, ...]
) -> Iterator[dict[str, Interval]]:
    """Each order of changing the keys one by one for which every cell on the way is printed."""
    for order in permutations(keys):
        scope, cell = dict(before.scope), before
        shares: dict[str, Interval] = {}
        for key in order:
            scope[key] = after.keys.get(key, "")
            found = [
                c
                for c in publication.scopes.get(frozenset(scope.items()), ())
                if c.role == before.role
            ]
            if not found or cell.interval.low <= 0:
                break  # nothing printed there, or what rounds to 0
            shares[key] = found[0].interval / cell.interval
            cell = found[0]
        if len(shares) == len(keys):
            yield shares


def _only_ratios(
    publication: Publication, before: Cell, after: Cell
) -> tuple[dict[str, Interval], tuple[Cell, ...]]:
    """The accuracies' ratio, and the watts' that the same rows imply."""
    scores = []
    for cell in (before, after):
        row = next(row for row in publication.rows if cell in row)
        scores += [c for c in row if c.role == "accuracy"]
    if len(scores) != 2 or before.role != "ipw":
        return {}, ()
    if min(cell.interval.low for cell in (before, after, *scores)) <= 0:
        return {}, ()
    watts = [
        score.interval / cell.interval for score, cell in zip(scores, (before, after), strict=True)
    ]
    return {
        "the accuracies": scores[1].interval / scores[0].interval,
        "the implied watts": watts[0] / watts[1],
    }, tuple(scores)
