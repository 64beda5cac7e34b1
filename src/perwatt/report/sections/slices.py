"""Accuracy and joules per right answer by kind, level and category of the items."""

from __future__ import annotations

from markupsafe import Markup

from perwatt.core.estimate import Estimate
from perwatt.core.summary import UNSCORED, PairSummary
from perwatt.report.charts.dots import Dot, DotRow, dots
from perwatt.report.format import Cell, cell, spoken
from perwatt.report.leaders import leaders, leaders_note
from perwatt.report.legend import pair_keys
from perwatt.report.view import Figure, Section, Table, View, figure

__all__ = ["slices"]

BY = (("kind", "By kind"), ("level", "By level"), ("category", "By category"))
SIDE_BY_SIDE = 3
"""Pairs that get columns of their own; more of them get rows."""
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
    drawn = leaders(view)
    rows = [
        DotRow(
            name=_name(by, name),
            dots=tuple(
                Dot(pair=n, estimate=e, tip=f"{view.labels[n]}, {name}: accuracy {spoken(e)}")
                for n, pair in ((n, view.pairs[n]) for n in drawn)
                if (e := _metric(pair, by, name, "accuracy")) is not None and e.value is not None
            ),
        )
        for name in names
    ]
    alone = any(dot.estimate.low is None for row in rows for dot in row.dots)
    caption = f"Accuracy by {by}, with 95% intervals."
    caption += " A hollow mark: too few items for an interval." if alone else ""
    caption += leaders_note(view)

    def draw(width: float) -> Markup:
        return dots(rows, width, caption, "accuracy")

    keys = pair_keys(view.labels, drawn=drawn)
    table = _table(view, by, names)
    return figure(view, f"by-{by}", caption, draw, data=table, legend=keys)


def _table(view: View, by: str, names: list[str]) -> Table:
    caption = f"Accuracy and joules per right answer by {by}"
    if len(view.pairs) > SIDE_BY_SIDE:
        return Table(
            caption=caption,
            head=(by.capitalize(), "Pair", "n", "Accuracy", "J per correct"),
            rows=[
                (_name(by, name), label, *_cells(pair, by, name))
                for name in names
                for label, pair in zip(view.labels, view.pairs, strict=True)
            ],
            sortable=True,
        )
    head = [by.capitalize()]
    for label in view.labels:
        own = f", {label}" if len(view.labels) > 1 else ""
        head += [f"n{own}", f"Accuracy{own}", f"J per correct{own}"]
    rows: list[tuple[Cell | str, ...]] = [
        (_name(by, name), *(c for pair in view.pairs for c in _cells(pair, by, name)))
        for name in names
    ]
    return Table(caption=caption, head=tuple(head), rows=rows, sortable=True)


def _cells(pair: PairSummary, by: str, name: str) -> tuple[Cell | str, ...]:
    accuracy = _metric(pair, by, name, "accuracy")
    count = str(accuracy.n) if accuracy else "0"
    return count, cell(accuracy), cell(_metric(pair, by, name, "j_per_correct"))


def _name(by: str, name: str) -> str:
    return LEVELS.get(name, name) if by == "level" else name


def _metric(pair: PairSummary, by: str, name: str, metric: str) -> Estimate | None:
    return pair.slices.get(by, {}).get(name, {}).get(metric)
