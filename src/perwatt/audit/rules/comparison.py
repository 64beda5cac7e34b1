"""A best of many, picked question by question, set against a best single model."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.claims import Comparison
from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["Unlike"]


class Unlike:
    """Whether the two sides of a comparison were made the same way, and how like with like ends.

    A best picked for each question is above the best single model as soon as two models differ in
    what they solve; a side that equals its best single model was not picked that way.
    """

    name = "unlike-comparison"
    recomputes = "how each side of a comparison of sets was made; its wins, like for like"
    formula = "side = max over its single models → the best single; side > max → best of each"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for claim in publication.claims:
            if isinstance(claim, Comparison):
                yield from self._checks(claim, publication)

    def _checks(self, claim: Comparison, publication: Publication) -> Iterator[Check]:
        left = {cell.keys[claim.by]: cell for cell in publication.find(claim.left)}
        right = {cell.keys[claim.by]: cell for cell in publication.find(claim.right)}
        both = [value for value in left if value in right]
        wins = [value for value in both if left[value].value > right[value].value]
        sure = sum(left[v].interval.low > right[v].interval.high for v in both)
        may_be = sum(left[v].interval.high > right[v].interval.low for v in both)
        if sure <= claim.wins <= may_be and len(both) == claim.rows:
            yield Check()
        else:
            yield Check(self._wrong_count(claim, left, right, wins, both))
        of_left = _best(publication, claim, claim.left_set)
        of_right = _best(publication, claim, claim.right_set)
        known = [value for value in both if value in of_left and value in of_right]
        single_right = [v for v in known if right[v].interval.meets(of_right[v].interval)]
        each_left = [v for v in known if left[v].interval.low > of_left[v].interval.high]
        single_left = [v for v in known if left[v].interval.meets(of_left[v].interval)]
        each_right = [v for v in known if right[v].interval.low > of_right[v].interval.high]
        unlike = [v for v in single_right if v in each_left]
        unlike += [v for v in single_left if v in each_right]
        if not unlike:
            yield Check()
            return
        alike = [v for v in known if of_left[v].value > of_right[v].value]
        used = [cell for v in unlike for cell in (left[v], of_left[v], right[v], of_right[v])]
        oracle, single = (
            (claim.left_set, claim.right_set)
            if unlike[0] in single_right
            else (claim.right_set, claim.left_set)
        )
        each = ", ".join(
            f"{v} {of_left[v].printed.text} against {of_right[v].printed.text}" for v in known
        )
        yield Check(
            Finding(
                rule=self.name,
                severity="unsupported",
                sentence=f"{claim.where} ({claim.says}): on {', '.join(unlike)} the “{single}” "
                f"side equals its best single model, and the “{oracle}” side is picked question "
                "by question among many: an oracle against one model. Single against single, "
                f"“{claim.left_set}” leads on {len(alike)} of {len(known)} ({each}).",
                cells=of(*used),
                recomputed=f"{len(alike)} of {len(known)}",
                tolerance="rounding of the cells",
                consistent="both sides the best single model, or both picked among as many tries "
                "for each question",
                leaning=(claim.says,),
            )
        )

    def _wrong_count(
        self,
        claim: Comparison,
        left: dict[str, Cell],
        right: dict[str, Cell],
        wins: list[str],
        both: list[str],
    ) -> Finding:
        return Finding(
            rule=self.name,
            severity="contradiction",
            sentence=f"{claim.where} says {claim.wins} of {claim.rows} ({claim.says}), and the "
            f"cells give {len(wins)} of {len(both)}: {', '.join(wins) or 'none'}.",
            cells=of(*(side[value] for value in both for side in (left, right))),
            recomputed=f"{len(wins)} of {len(both)}",
            tolerance="rounding of the cells: two that are printed alike may be won by either",
            consistent=f"{len(wins)} of {len(both)}",
            leaning=(claim.says,),
        )


def _best(publication: Publication, claim: Comparison, name: str) -> dict[str, Cell]:
    """The best single member of a set for each value of `claim.by`."""
    members = {m for s in publication.sets if s.id == name for m in s.members}
    best: dict[str, Cell] = {}
    for cell in publication.find(claim.singles):
        value = cell.keys.get(claim.by)
        if cell.keys.get("model") not in members or value is None:
            continue
        if value not in best or cell.value > best[value].value:
            best[value] = cell
    return best
