"""Watts of a row: as printed, or as its own accuracy and IPW, or joules and seconds, imply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from perwatt.audit.interval import Interval
from perwatt.audit.tables import Cell, Publication

__all__ = ["Watts", "ratings", "watts"]


@dataclass(frozen=True, slots=True)
class Watts:
    """What one row says that a device drew."""

    device: str
    model: str | None
    table: str
    row: str
    watts: Interval
    cells: tuple[Cell, ...]
    implied: bool
    """By accuracy / IPW; False where the row prints watts."""


def watts(publication: Publication) -> Iterator[Watts]:
    """One for each row that has a device and anything that gives its watts."""
    for row in publication.rows:
        device = row[0].keys.get("device")
        roles = {cell.role: cell for cell in row}
        if device is None:
            continue
        if "power_w" in roles:
            cells: tuple[Cell, ...] = (roles["power_w"],)
            value = cells[0].interval
        elif {"accuracy", "ipw"} <= roles.keys():
            cells = (roles["accuracy"], roles["ipw"])
            value = cells[0].interval / cells[1].interval
        else:
            continue
        if not isfinite(value.high - value.low):
            continue  # an IPW that rounds to 0 implies nothing
        yield Watts(
            device,
            row[0].keys.get("model"),
            row[0].table,
            row[0].row,
            value,
            cells,
            implied="power_w" not in roles,
        )


def ratings(publication: Publication) -> dict[str, Cell]:
    """What each device is rated at. One that rounds to 0 W is no rating."""
    return {
        cell.keys["device"]: cell
        for cell in publication.of_role("rated_w")
        if "device" in cell.keys and cell.interval.low > 0
    }
