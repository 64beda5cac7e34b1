"""A study in a terminal: what is wrong with its runs, then each table with its finding."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perwatt.cli.show_blocks import Head, blocks
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudySummary, StudyTable
from perwatt.core.units import format_duration, format_value
from perwatt.report.format import interval
from perwatt.report.study_rows import naming, used_columns

__all__ = ["StudyProgress", "print_study"]

SHOWN = 40
"""Rows of one table in a terminal; the page, CSV and JSON have all of them."""
SAME_FROM = 4
"""Rows from which on a column that says the same in each of them is told below the table."""
MOST_REASONS = 4
"""Lines below a table that say why numbers are missing."""


class StudyProgress:
    """What is being made, on stderr: one line in place where that is a terminal, else nothing."""

    def __init__(self, tables: int) -> None:
        """`tables`: how many there are to make."""
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._status = self._console.status(self) if self._console.is_terminal else None
        self._started_s = time.monotonic()
        self._tables = tables
        self._begun = 0
        self._what = "starting"

    def __call__(self, table: str) -> None:
        """This table is begun."""
        self._begun += 1
        self.doing(f"{table}, table {self._begun} of {self._tables}")

    def doing(self, what: str) -> None:
        self._what = what

    def __rich__(self) -> Text:
        """Asked for some times a second, so that the time goes on within a long step."""
        took = format_duration(time.monotonic() - self._started_s)
        return Text(f"study: {self._what} ({took})")

    def say(self, sentence: str) -> None:
        """What must be known, in pipes as well."""
        self._console.print(f"study: {sentence}", soft_wrap=True)

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
        if same := _same(table):
            said = "; ".join(f"{c.title} {_cell(table.rows[0][c.name])}" for c in same)
            console.print(f"  In every row: {said}.", style="dim")
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
    same = _same(table)
    used = tuple(column for column in used_columns(table) if column not in same)
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


def _same(table: StudyTable) -> list[StudyColumn]:
    """Columns beyond the names that have one word or count in every row: a line says them all."""
    if len(table.rows) < SAME_FROM:
        return []
    used = used_columns(table)
    return [
        column
        for column in used[naming(table, used) :]
        if isinstance(first := table.rows[0].get(column.name), str | int)
        and all(row.get(column.name) == first for row in table.rows)
    ]


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
    text = Text(format_value(estimate.value, estimate.unit).replace("-", "−"))
    if estimate.grade is not None:
        text.append(f" {estimate.grade}", style="bold")
    if around := interval(estimate):
        text.append(f"\n{around}", style="dim")
    return text
