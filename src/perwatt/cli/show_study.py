"""A study in a terminal: what is wrong with its runs, then each table with its finding."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perwatt.cli.show_blocks import Head, blocks
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudySummary, StudyTable
from perwatt.core.units import format_duration, format_value
from perwatt.report.format import interval
from perwatt.report.study_rows import naming, used_columns

__all__ = ["StudyProgress", "print_study"]

SHOWN = 40
"""Rows of one table in a terminal; the page, CSV and JSON have all of them."""
MOST_REASONS = 4
"""Lines below a table that say why numbers are missing."""


class StudyProgress:
    """What is being made, on stderr: one line in place where that is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._status = self._console.status("") if self._console.is_terminal else None
        self._started_s = time.monotonic()

    def __call__(self, what: str) -> None:
        took = format_duration(time.monotonic() - self._started_s)
        if self._status:
            self._status.update(f"study: {what} ({took})")
        else:
            print(f"study: {what} ({took})", file=sys.stderr)

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()


def print_study(summary: StudySummary, console: Console) -> None:
    """Headline, faults, tables."""
    console.print()
    console.print(summary.headline, style="bold")
    for fault in summary.faults:
        mend = f" {fault.mend}" if fault.mend else ""
        style = "yellow" if fault.left_out else "dim"
        console.print(f"[{fault.code}] {fault.sentence}{mend}", style=style)
    for table in summary.tables:
        console.print()
        console.print(table.title, style="bold underline")
        console.print(table.what, style="dim")
        for block in _blocks(table, console.width):
            console.print(block)
        if len(table.rows) > SHOWN:
            console.print(f"… and {len(table.rows) - SHOWN} more rows: see -o, --csv or --json.")
        if table.finding:
            console.print(f"• {table.finding}")
        for line in _missing(table):
            console.print(f"  {line}", style="dim")
        for note in table.notes:
            console.print(f"  {note}", style="dim")


def _blocks(table: StudyTable, width: int) -> list[Table]:
    """The columns in use, beside those that name the rows."""
    used = used_columns(table)
    rows = table.rows[:SHOWN]
    heads = [
        Head(
            title=column.title,
            words=all(isinstance(row.get(column.name), str | None) for row in table.rows),
        )
        for column in used
    ]
    cells = [[_cell(row.get(column.name)) for column in used] for row in rows]
    return blocks(heads, cells, naming(table, used), width)


def _missing(table: StudyTable) -> list[str]:
    """Why there is a dash, each reason once with the columns it is in."""
    found: dict[str, list[str]] = {}
    for row in table.rows[:SHOWN]:
        for column in table.columns:
            cell = row.get(column.name)
            if isinstance(cell, Estimate) and cell.value is None and cell.reason:
                titles = found.setdefault(cell.reason, [])
                titles += [column.title] if column.title not in titles else []
    lines = [f"– in {', '.join(titles)}: {reason}." for reason, titles in found.items()]
    left = len(lines) - MOST_REASONS
    return lines[:MOST_REASONS] + ([f"… and {left} more reasons: see --json."] if left > 0 else [])


def _cell(cell: StudyCell) -> Text:
    if cell is None:
        return Text("")
    if isinstance(cell, str):
        return Text(cell)
    if isinstance(cell, int):
        return Text(f"{cell:,}")
    return _estimate(cell)


def _estimate(estimate: Estimate) -> Text:
    if estimate.value is None:
        return Text("–", style="dim")
    text = Text(format_value(estimate.value, estimate.unit))
    if estimate.grade is not None:
        text.append(f" {estimate.grade}", style="bold")
    if around := interval(estimate):
        text.append(f"\n{around}", style="dim")
    return text
