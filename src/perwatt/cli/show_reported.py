"""The same requests as another tool would report them, in a terminal or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from perwatt.core.summary import RunSummary
from perwatt.core.units import format_value
from perwatt.metrics.reported.tools import NOTES, VERSIONS, formula

__all__ = ["print_reported"]


def print_reported(
    runs: Sequence[tuple[str, RunSummary]], tool: str, console: Console, *, json: bool
) -> None:
    """`runs`: (directory, summary). As JSON: directory → pair → the tool's name → number."""
    if json:
        found = {
            directory: {
                pair.identity.pair_id: {
                    name: estimate.value for name, estimate in pair.reported_as[tool].items()
                }
                for pair in summary.pairs
            }
            for directory, summary in runs
        }
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    for directory, summary in runs:
        table = Table(
            title=f"{directory}, as {VERSIONS[tool]} reports it",
            title_justify="left",
            caption=NOTES[tool],
            caption_justify="left",
            header_style="bold",
            pad_edge=False,
        )
        table.add_column("its name", no_wrap=True)
        for pair in summary.pairs:
            table.add_column(pair.identity.label, justify="right", no_wrap=True)
        table.add_column("what it is")
        names = dict.fromkeys(name for pair in summary.pairs for name in pair.reported_as[tool])
        said = ""
        for name in names:
            cells = [pair.reported_as[tool][name] for pair in summary.pairs]
            shown = ["–" if c.value is None else format_value(c.value, c.unit, 4) for c in cells]
            what = formula(cells[0])
            table.add_row(name, *shown, "" if what == said else what)
            said = what
        console.print(table)
