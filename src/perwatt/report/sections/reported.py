"""The same requests as other tools would report them, folded: for whoever compares with theirs."""

from __future__ import annotations

from perwatt.core.units import format_value
from perwatt.metrics.reported.tools import NOTES, VERSIONS, formula
from perwatt.report.format import DASH
from perwatt.report.view import Section, Table, View

__all__ = ["reported"]

SIDE_BY_SIDE = 6
"""Pairs in one table."""


def reported(view: View) -> Section | None:
    """Nothing for a summary made without them."""
    tools = [tool for tool in VERSIONS if any(tool in pair.reported_as for pair in view.pairs)]
    if not tools:
        return None
    return Section(
        name="reported",
        title="As others report it",
        template="reported.html",
        data={"tools": [(VERSIONS[tool], NOTES[tool], _tables(view, tool)) for tool in tools]},
    )


def _tables(view: View, tool: str) -> list[Table]:
    """So many pairs side by side as a page is wide."""
    starts = range(0, len(view.pairs), SIDE_BY_SIDE)
    return [_table(view, tool, n, n + SIDE_BY_SIDE) for n in starts]


def _table(view: View, tool: str, start: int, end: int) -> Table:
    found = [pair.reported_as.get(tool, {}) for pair in view.pairs[start:end]]
    rows = []
    said = ""
    for name in dict.fromkeys(name for own in found for name in own):
        cells = [own.get(name) for own in found]
        what = next((formula(c) for c in cells if c), "")
        values = [
            DASH if c is None or c.value is None else format_value(c.value, c.unit, 4)
            for c in cells
        ]
        rows.append((name, *values, "" if what == said else what))
        said = what
    head = ("Its name", *view.labels[start:end], "What it is")
    part = (
        f", pairs {start + 1} to {min(end, len(view.pairs))}"
        if start or end < len(view.pairs)
        else ""
    )
    return Table(caption=f"As {VERSIONS[tool]} reports it{part}", head=head, rows=rows)
