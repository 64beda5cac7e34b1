"""Savings that are a router's accuracy times the oracle's savings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.tables import Cell, Publication

__all__ = ["LinearSavings", "router_accuracy"]

_NEAR = 0.025
"""Of what the router's errors forgo, (1 − p) × the oracle's saving. Wrong turns alone cost more."""


class LinearSavings:
    """At each router accuracy p, all resources saved are p × the oracle's.

    Then nothing was simulated that the oracle had not: no router's cost, no query kept local in
    error, no answer lost, no standby, no queue.
    """

    name = "linear-savings"
    recomputes = "savings of an imperfect router from the oracle's"
    formula = (
        "saving(p) against p × saving(1); linear if all resources are off by less than 2.5% of "
        "(1 − p) × saving(1), or than rounding"
    )

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        tables: dict[str, dict[float, dict[frozenset[tuple[str, str]], Cell]]] = {}
        for cell in publication.of_role("saving"):
            if "router" in cell.keys:
                rest = frozenset(pair for pair in cell.scope if pair[0] != "router")
                routers = tables.setdefault(cell.table, defaultdict(dict))
                routers[router_accuracy(cell)][rest] = cell
        for routers in tables.values():
            oracle = routers.get(1.0, {})
            for accuracy, cells in routers.items():
                both = [(cell, oracle[rest]) for rest, cell in cells.items() if rest in oracle]
                if not 0.0 < accuracy < 1.0 or not both:
                    continue  # sending all to the cloud saves nothing, and the oracle is itself
                linear = all(_is_linear(accuracy, cell, best) for cell, best in both)
                yield Check(self._finding(accuracy, both)) if linear else Check()

    def _finding(self, accuracy: float, both: list[tuple[Cell, Cell]]) -> Finding:
        exact = sum((best.interval * accuracy).meets(cell.interval) for cell, best in both)
        each = "; ".join(
            f"{cell.printed.text} against {accuracy:g} × {best.printed.text} = "
            f"{accuracy * best.printed.value:.2f} "
            f"({cell.printed.value - accuracy * best.printed.value:+.2f})"
            for cell, best in both
        )
        near = "" if exact == len(both) else "nearly "
        fitted = [cell.value / best.value for cell, best in both if best.value]
        return Finding(
            rule=self.name,
            severity="unsupported",
            sentence=f"{both[0][0].table}: what a router of accuracy {accuracy:g} saves is "
            f"{near}its accuracy times what the oracle saves ({each}), {exact} of {len(both)} "
            f"within rounding (as if it were {min(fitted):.4f} to {max(fitted):.4f}): no router's "
            "cost, wrong turn, lost answer, standby or queue is in it.",
            cells=of(*(cell for cells in both for cell in cells)),
            recomputed=each,
            tolerance=f"{_NEAR:.1%} of what its errors forgo ({1 - accuracy:.2g} of the oracle's "
            "saving), or rounding, for every resource",
            consistent="savings simulated with a router's own cost and both kinds of its errors, "
            "which are not proportional to its accuracy",
        )


def _is_linear(accuracy: float, cell: Cell, best: Cell) -> bool:
    near = _NEAR * (1 - accuracy) * abs(best.value)
    off = abs(cell.value - accuracy * best.value)
    return off <= near or (best.interval * accuracy).meets(cell.interval)


def router_accuracy(cell: Cell) -> float:
    """Of the router that a saving is of; the oracle where none is said. Raises LookupError."""
    text = cell.keys.get("router", "1")
    try:
        accuracy = float(text)
    except ValueError:
        accuracy = -1.0
    if not 0.0 <= accuracy <= 1.0:
        msg = f"{cell.name}: the key router is an accuracy between 0 and 1, and {text!r} is none"
        raise LookupError(msg)
    return accuracy
