"""IPW that is accuracy over one number: the same watts for every model on a device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.interval import Interval
from perwatt.audit.rules.watts import Watts, watts
from perwatt.audit.tables import Publication

__all__ = ["Constant", "ImpliedConstant", "constants"]

_MODELS = 3
"""Fewer models may draw the same by chance."""
_SHARP = 0.02
"""Of the watts. Coarser rounding makes one wattage of what differs as models do."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One device in one table, and the watts that fit all of its models."""

    device: str
    table: str
    rows: tuple[Watts, ...]
    common: Interval


def constants(publication: Publication) -> Iterator[tuple[tuple[Watts, ...], Constant | None]]:
    """Each device of each table with three or more models, and its one wattage if there is one."""
    groups: dict[tuple[str, frozenset[tuple[str, str]]], list[Watts]] = defaultdict(list)
    for row in watts(publication):
        sharp = row.watts.half_width <= _SHARP * row.watts.middle
        if row.implied and row.model is not None and sharp:
            rest = frozenset(pair for pair in row.cells[0].scope if pair[0] != "model")
            groups[row.table, rest].append(row)
    for (table, _), rows in groups.items():
        if len({row.model for row in rows}) < _MODELS:
            continue
        common: Interval | None = rows[0].watts
        for row in rows[1:]:
            common = common and common.common(row.watts)
        found = None if common is None else Constant(rows[0].device, table, tuple(rows), common)
        yield tuple(rows), found


class ImpliedConstant:
    """One wattage for all models of a device: then IPW ranks accuracy and nothing else."""

    name = "implied-constant"
    recomputes = "the watts that accuracy and IPW imply, model by model on one device"
    formula = (
        "W = accuracy / IPW, of those that rounding leaves known to 2%; one constant if a single W "
        "lies in every model's rounding"
    )

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        for _, found in constants(publication):
            yield Check() if found is None else Check(self._finding(found, publication))

    def _finding(self, found: Constant, publication: Publication) -> Finding:
        cells = tuple(cell for row in found.rows for cell in row.cells)
        each = " / ".join(f"{row.watts.middle:.1f}" for row in found.rows)
        models = len({row.model for row in found.rows})
        between = f"{found.common.low:.1f}–{found.common.high:.1f} W"
        return Finding(
            rule=self.name,
            severity="unsupported",
            sentence=f"{found.table}: on {found.device} accuracy / IPW is {each} W for {models} "
            f"models, one wattage within rounding ({between}): IPW there is accuracy over a "
            "constant of the hardware, and says nothing of a model's power.",
            cells=of(*cells),
            recomputed=between,
            tolerance="rounding of accuracy and IPW, as printed",
            consistent="watts measured for each model, which differ as their load on the device "
            "does",
            leaning=publication.leaning_on(cells),
        )
