"""One device, several wattages: where a constant was used, other tables print others."""

from __future__ import annotations

from collections.abc import Iterator

from perwatt.audit.finding import Check, Finding, of
from perwatt.audit.rules.constant import Constant, constants
from perwatt.audit.rules.watts import Watts, watts
from perwatt.audit.tables import Publication

__all__ = ["DeviceWatts"]

_APART = 0.10
"""Of the constant: two runs of one load come closer than that."""


class DeviceWatts:
    """A device whose watts do not depend on the model in one table, and do in the others."""

    name = "device-watts"
    recomputes = "a device's constant watts against those of its rows in other tables"
    formula = "W printed, or accuracy / IPW, within 10% of the constant"

    def __call__(self, publication: Publication, /) -> Iterator[Check]:
        every = tuple(watts(publication))
        for _, found in constants(publication):
            if found is None:
                continue
            others = [row for row in every if _is_comparable(row, found)]
            apart = [row for row in others if not _near(row, found)]
            yield from (Check() for row in others if _near(row, found))
            if apart:
                yield Check(self._finding(found, apart))

    def _finding(self, found: Constant, apart: list[Watts]) -> Finding:
        each = "; ".join(f"{row.watts.middle:.0f} W in {row.table} [{row.row}]" for row in apart)
        return Finding(
            rule=self.name,
            severity="unsupported",
            sentence=f"{found.device} draws {found.common.middle:.1f} W whatever the model in "
            f"{found.table}, and {each}.",
            cells=of(*(cell for row in apart for cell in row.cells)),
            recomputed=each,
            tolerance=f"{_APART:.0%} of the constant, and rounding",
            consistent=f"about {found.common.middle:.0f} W in every table, or watts for each model "
            f"in {found.table}",
        )


def _is_comparable(row: Watts, found: Constant) -> bool:
    """Another table's row that is of no other batch, framework or precision."""
    mine, its = found.rows[0].cells[0].keys, row.cells[0].keys
    loads = (mine.keys() & its.keys()) - {"model", "benchmark"}
    return row.table != found.table and all(mine[key] == its[key] for key in loads | {"device"})


def _near(row: Watts, found: Constant) -> bool:
    wide = found.common * (1 - _APART), found.common * (1 + _APART)
    return row.watts.high >= wide[0].low and row.watts.low <= wide[1].high
