"""What sections are made from and made of. A section is a function `(View) -> Section | None`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from markupsafe import Markup

from perwatt.core.records import Phase
from perwatt.core.study import Published
from perwatt.core.summary import MetricInfo, PairSummary, RunSummary
from perwatt.report.format import Cell
from perwatt.report.rows import Row, request_rows
from perwatt.report.timeline import Ticks, power_ticks

__all__ = ["Figure", "ReportRun", "Section", "Table", "View", "figure", "view_of"]

WIDE, NARROW = 860.0, 340.0


class ReportRun(msgspec.Struct, frozen=True, kw_only=True):
    """One finished run. Tables are columns by name (DESIGN §4); they may be empty."""

    directory: str
    """The directory's own name; never a path of the machine it was made on."""
    summary: RunSummary
    requests: dict[str, list[Any]]
    power: dict[str, list[Any]]
    phases: tuple[Phase, ...] = ()
    """What the run did when, ended phases alone; empty where nobody kept that."""
    published: tuple[Published, ...] = ()
    """Figures that somebody else measured, of an imported run."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A run as the sections see it."""

    run: ReportRun
    prefix: str
    """Begins every id of this run, so that ids are unique over several runs in one page."""
    rows: tuple[Row, ...]
    """Requests in the order they were sent."""
    ticks: tuple[Ticks, ...] = ()
    """Watts of each domain that was read, in the sensors' own order."""

    @property
    def summary(self) -> RunSummary:
        return self.run.summary

    @property
    def pairs(self) -> tuple[PairSummary, ...]:
        return self.run.summary.pairs

    @property
    def labels(self) -> list[str]:
        return [pair.identity.label for pair in self.pairs]

    @property
    def pair_index(self) -> dict[str, int]:
        return {pair.identity.pair_id: n for n, pair in enumerate(self.pairs)}

    @property
    def infos(self) -> dict[str, MetricInfo]:
        return {info.name: info for info in self.summary.metrics}

    def rows_of(self, pair: int) -> list[Row]:
        wanted = self.pairs[pair].identity.pair_id
        return [row for row in self.rows if row.pair_id == wanted]


def view_of(run: ReportRun, prefix: str) -> View:
    """Read the run's rows and watts once for all sections."""
    order = [domain.name for domain in run.summary.domains]
    ticks = sorted(
        (series for series in power_ticks(run.power) if len(series.power_w)),
        key=lambda series: order.index(series.domain) if series.domain in order else len(order),
    )
    return View(run=run, prefix=prefix, rows=tuple(request_rows(run.requests)), ticks=tuple(ticks))


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A plain table; the first column names the rows. A cell is words or a `Cell`."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[tuple[Cell | str, ...]]
    sortable: bool = False

    @property
    def missing(self) -> list[str]:
        """Why values are missing, each reason once."""
        cells = (c for row in self.rows for c in row if isinstance(c, Cell))
        return list(dict.fromkeys(c.reason for c in cells if c.sort is None and c.reason))


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A chart drawn twice, for a desk and for a phone, with its data beside it."""

    id: str
    caption: str
    """What is shown and what to see in it: also the text alternative."""
    wide: Markup
    narrow: Markup
    legend: tuple[tuple[str, Markup], ...] = ()
    """(words, swatch)."""
    narrow_legend: tuple[tuple[str, Markup], ...] = ()
    """What only the chart for a phone has no room to say itself."""
    data: Table | None = None
    json: Markup | None = None
    """Data too long for a table, as JSON text that is safe inside a script element."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the report; `template` in the templates folder gets `data` by name."""

    name: str
    title: str
    template: str
    data: dict[str, Any]


def figure(
    view: View,
    name: str,
    caption: str,
    draw: Callable[[float], Markup],
    *,
    data: Table | None = None,
    legend: Sequence[tuple[str, Markup]] = (),
    narrow_legend: Sequence[tuple[str, Markup]] = (),
    json: Markup | None = None,
    wide: float = WIDE,
) -> Figure:
    """Draw at both widths; `draw` gets the width in pixels."""
    return Figure(
        id=f"{view.prefix}-{name}",
        caption=caption,
        wide=draw(wide),
        narrow=draw(NARROW),
        legend=tuple(legend),
        narrow_legend=tuple(narrow_legend),
        data=data,
        json=json,
    )
