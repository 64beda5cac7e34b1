"""Accuracy and joules per right answer by kind, level and category of the items."""

from __future__ import annotations

from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.core.summary import UNSCORED, PairSummary
from perwatt.report.charts.dots import Dot, DotRow, dots
from perwatt.report.format import Cell, cell, spoken
from perwatt.report.legend import pair_keys
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["slices"]

BY = (("kind", "By kind"), ("level", "By level"), ("category", "By category"))
LEVELS = {"1": "1 (easy)", "2": "2 (middling)", "3": "3 (hard)"}


def slices(view: View) -> Section | None:
    known = {by for pair in view.pairs for by, found in pair.slices.items() if found}
    wanted = [*BY, *((by, f"By {by}") for by in sorted(known - {by for by, _ in BY}))]
    scored = {by for by in known if any(_scored(pair, by) for pair in view.pairs)}
    figures = [(title, _figure(view, by)) for by, title in wanted if by in scored]
    if not figures:
        return None
    return Section(
        name="slices",
        title="By kind, level and category",
        template="slices.html",
        data={"figures": figures},
    )


def _scored(pair: PairSummary, by: str) -> bool:
    """Is there any slice whose answers somebody judged, or failed to?"""
    found = (own.get("accuracy") for own in pair.slices.get(by, {}).values())
    return any(e is not None and e.reason != UNSCORED for e in found)


def _figure(view: View, by: str) -> Figure:
    names = sorted({name for pair in view.pairs for name in pair.slices.get(by, {})})
    rows = [
        DotRow(
            name=LEVELS.get(name, name) if by == "level" else name,
            dots=tuple(
                Dot(pair=n, estimate=e, tip=f"{view.labels[n]}, {name}: accuracy {spoken(e)}")
                for n, pair in enumerate(view.pairs)
                if (e := _metric(pair, by, name, "accuracy")) is not None and e.value is not None
            ),
        )
        for name in names
    ]
    caption = f"Accuracy by {by}, with 95% intervals."

    def draw(width: float) -> Markup:
        return dots(rows, width, caption, "accuracy")

    head = [by.capitalize()]
    for label in view.labels:
        own = f", {label}" if len(view.labels) > 1 else ""
        head += [f"n{own}", f"Accuracy{own}", f"J per correct{own}"]
    table = Table(
        caption=f"Accuracy and joules per right answer by {by}",
        head=tuple(head),
        rows=[_table_row(view, by, name) for name in names],
        sortable=True,
    )
    keys = pair_keys(view.labels)
    return figure(view, f"by-{by}", caption, draw, data=table, legend=keys)


def _table_row(view: View, by: str, name: str) -> tuple[Cell | str, ...]:
    row: list[Cell | str] = [LEVELS.get(name, name) if by == "level" else name]
    for pair in view.pairs:
        accuracy = _metric(pair, by, name, "accuracy")
        row.append(str(accuracy.n) if accuracy else "0")
        row += [cell(accuracy), cell(_metric(pair, by, name, "j_per_correct"))]
    return tuple(row)


def _metric(pair: PairSummary, by: str, name: str, metric: str) -> Estimate | None:
    return pair.slices.get(by, {}).get(name, {}).get(metric)
