"""Tables of a study as CSV: a number's interval, grade and reason have columns of their own."""

from __future__ import annotations

import csv
import io

from perwatt.core.estimate import Estimate
from perwatt.core.study import StudySummary, StudyTable

__all__ = ["csv_of", "tables_as_csv"]

PARTS = ("low", "high", "unit", "n", "grade", "boundary", "method", "reason")


def tables_as_csv(summary: StudySummary) -> dict[str, str]:
    """The text of each table by its name; `faults` besides, where there are any."""
    found = {table.name: csv_of(table) for table in summary.tables}
    if summary.faults:
        head = ("run", "code", "left_out", "sentence", "mend")
        rows = [(f.run, f.code, f.left_out, f.sentence, f.mend or "") for f in summary.faults]
        found["faults"] = _written([head, *rows])
    return found


def csv_of(table: StudyTable) -> str:
    """One row for each row; `x` of an Estimate is followed by `x_low`, `x_high`, `x_unit` …

    A number is written so that reading it gives the same number back; a missing one is empty.
    """
    estimates = {
        column.name
        for column in table.columns
        if any(isinstance(row.get(column.name), Estimate) for row in table.rows)
    }
    head: list[str] = []
    for column in table.columns:
        head.append(column.name)
        if column.name in estimates:
            head += [f"{column.name}_{part}" for part in PARTS]
    rows = []
    for row in table.rows:
        cells: list[object] = []
        for column in table.columns:
            cell = row.get(column.name)
            if isinstance(cell, Estimate):
                cells += [cell.value, *(getattr(cell, part) for part in PARTS)]
            elif column.name in estimates:
                cells += [cell, *[None] * len(PARTS)]
            else:
                cells.append(cell)
        rows.append(["" if cell is None else cell for cell in cells])
    return _written([head, *rows])


def _written(rows: list[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()
