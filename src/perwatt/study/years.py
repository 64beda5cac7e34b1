"""Pairs by the years in which their model and their device came out."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from perwatt.stats.sample import Floats
from perwatt.study.footing import Footing, footing_of, same_sensors
from perwatt.study.item_grid import ItemGrid, item_grid
from perwatt.study.sets import facts_of
from perwatt.study.study import Study

__all__ = ["Dated", "Group", "dated", "group"]

Years = tuple[int, int]
"""Of the model, of the device."""


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """Cells of (model year, device year), over items that all of their pairs were asked."""

    cells: Mapping[Years, tuple[int, ...]]
    """The pairs of each cell, in the order of the grid's columns."""
    grid: ItemGrid
    left_out: int
    """Items that not all of these pairs were asked."""
    undated: tuple[str, ...]
    """Labels of pairs of which a year is not known."""
    one_sensor: bool
    """All were measured by the same sensors, whose error cancels in ratios."""

    def apart(self, group: Group) -> Footing:
        """A group's footing as one side of a ratio."""
        unsure = group.footing
        return msgspec.structs.replace(unsure, gain=(1.0, 1.0)) if self.one_sensor else unsure


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Several cells together, each pair with the same weight. Arrays are (items,)."""

    pairs: tuple[int, ...]
    score: Floats
    joules: Floats
    watts: Floats
    footing: Footing


_CACHE: WeakKeyDictionary[Study, Dated | None] = WeakKeyDictionary()


def dated(study: Study) -> Dated | None:
    """None where no pair has both years. Kept for the study's other tables."""
    if study not in _CACHE:
        _CACHE[study] = _dated(study)
    return _CACHE[study]


def _dated(study: Study) -> Dated | None:
    cells: dict[Years, list[int]] = {}
    undated = []
    for number, pair in enumerate(study.pairs):
        device, facts = study.facts.device(pair.device), facts_of(study, pair)
        if device is None or facts is None or device.year is None or facts.year is None:
            undated.append(pair.label)
        else:
            cells.setdefault((facts.year, device.year), []).append(number)
    if not cells:
        return None
    ordered = {years: tuple(cells[years]) for years in sorted(cells)}
    grid = item_grid(study, list(ordered.values()))
    common = grid.common(range(len(ordered)))
    return Dated(
        cells=ordered,
        grid=common,
        left_out=int(grid.cluster.size - common.cluster.size),
        undated=tuple(undated),
        one_sensor=same_sensors(
            study, [study.pairs[p] for pairs in ordered.values() for p in pairs]
        ),
    )


def group(study: Study, of: Dated, years: list[Years]) -> Group:
    """The cells of `years`, all of which exist, as one."""
    places = {cell: at for at, cell in enumerate(of.cells)}
    columns = [places[cell] for cell in years]
    weights = np.array([len(of.cells[cell]) for cell in years], dtype=np.float64)
    weights /= weights.sum()
    pairs = tuple(pair for cell in years for pair in of.cells[cell])
    return Group(
        pairs=pairs,
        score=of.grid.score[:, columns] @ weights,
        joules=of.grid.joules[:, columns] @ weights,
        watts=of.grid.watts[:, columns] @ weights,
        footing=footing_of([study.pairs[pair] for pair in pairs]),
    )
