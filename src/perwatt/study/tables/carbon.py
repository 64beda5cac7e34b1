"""What a thousand right answers emit, by grid."""

from __future__ import annotations

import re

from perwatt.core.study import StudyCell, StudyColumn, StudyTable
from perwatt.study.per_correct import J_PER_KWH, j_per_correct, pair_moments, scaled
from perwatt.study.study import Study
from perwatt.study.tariffs.load import Grid, load_tariffs

__all__ = ["carbon"]

ANSWERS = 1_000


def carbon(study: Study) -> StudyTable | None:
    """None where no pair has joules."""
    if all(pair.boundary is None for pair in study.pairs):
        return None
    tariffs = load_tariffs(study.options.tariffs)
    rows: list[dict[str, StudyCell]] = []
    for pair, moments in pair_moments(study):
        joules = j_per_correct(pair, moments)
        row: dict[str, StudyCell] = {
            "pair": pair.label,
            "kwh": scaled(joules, ANSWERS / J_PER_KWH, "kWh"),
        }
        for grid in tariffs.grids:
            row[_name(grid)] = scaled(joules, ANSWERS * grid.g_per_kwh / J_PER_KWH, "gCO2e")
        rows.append(row)
    return StudyTable(
        name="carbon",
        title="Carbon per thousand right answers",
        what="A row is a pair; gCO2e = 1000 × Σ joules / Σ score ÷ 3.6 MJ × the grid's intensity,"
        " location-based yearly average. Gross joules of the pair's own boundary.",
        columns=(
            StudyColumn(name="pair", title="Pair"),
            StudyColumn(name="kwh", title="kWh", what="Electricity of 1,000 right answers, gross."),
            *(
                StudyColumn(
                    name=_name(grid),
                    title=grid.name,
                    what=f"At {grid.g_per_kwh:g} gCO2e/kWh ({grid.year}).",
                )
                for grid in tariffs.grids
            ),
        ),
        rows=tuple(rows),
        notes=(
            "Intervals are of joules and answers; a grid's intensity is taken as exact, though by"
            " the hour it may be a third or three times of its yearly average.",
            "Operation alone: what making the device emitted is not in it, nor what the boundary"
            " leaves out.",
            *(
                f"PUE is in no figure: in {pue.name} multiply by {pue.value:g}"
                f" ({pue.year}; {pue.source})."
                for pue in tariffs.pue
            ),
            *_sources(tariffs.grids),
        ),
    )


def _name(grid: Grid) -> str:
    return "g_" + (re.sub(r"\W+", "_", grid.name.lower()).strip("_") or "grid")


def _sources(grids: tuple[Grid, ...]) -> list[str]:
    by: dict[str, list[str]] = {}
    for grid in grids:
        by.setdefault(grid.source, []).append(f"{grid.name} {grid.year}")
    return [f"{', '.join(names)}: {source}." for source, names in by.items()]
