"""Figures that somebody else measured and published, as they gave them."""

from __future__ import annotations

from perwatt.core.estimate import worst_grade
from perwatt.core.study import Published
from perwatt.report.format import DASH, GRADES, Cell, cell
from perwatt.report.view import Section, Table, View

__all__ = ["published", "published_badge", "published_headline"]

MOST_ROWS, MOST_METRICS = 200, 6


def published(view: View) -> Section | None:
    """Nothing for a run that perwatt measured alone."""
    if not (figures := view.run.published):
        return None
    metrics = list(dict.fromkeys(figure.metric for figure in figures))
    shown = metrics[:MOST_METRICS]
    rows: dict[tuple[str, str, str, str], dict[str, Published]] = {}
    for figure in figures:
        # One source's line is one row: a configuration may have been measured twice.
        key = (figure.pair_id, figure.workload, figure.load, figure.source)
        rows.setdefault(key, {})[figure.metric] = figure
    cells: list[tuple[Cell | str, ...]] = [
        (
            _label(view, pair),
            workload,
            load,
            *(cell(own[m].estimate) if m in own else DASH for m in shown),
        )
        for (pair, workload, load, _), own in list(rows.items())[:MOST_ROWS]
    ]
    table = Table(
        caption="As published; where a unit has no interval, none was published",
        head=("Pair", "Workload", "Load", *(_words(metric) for metric in shown)),
        rows=cells,
        sortable=True,
    )
    return Section(
        name="published",
        title="As published",
        template="published.html",
        data={
            "table": table,
            "rows": len(rows),
            "shown": len(cells),
            "metrics": len(metrics),
            "hidden": [_words(metric) for metric in metrics[MOST_METRICS:]],
            "figures": len(figures),
        },
    )


def published_headline(view: View) -> str:
    """In place of a sentence about requests, of which there are none."""
    figures = view.run.published
    pairs = len({figure.pair_id for figure in figures})
    tools = ", ".join(dict.fromkeys(figure.metric.partition(".")[0] for figure in figures))
    return (
        f"{len(figures):,} figures of {pairs} {'pair' if pairs == 1 else 'pairs'}, read from"
        f" {tools}: perwatt asked nothing and measured nothing here."
    )


def published_badge(view: View) -> tuple[str, str]:
    """(class, words) for where the joules come from."""
    grades = [e.grade for f in view.run.published if (e := f.estimate).grade is not None]
    grade = worst_grade(grades)
    if grade is None:
        return "unknown", "Energy not published"
    return "unknown", f"Energy as published: grade {grade} at worst, {GRADES[grade]}"


def _label(view: View, pair: str) -> str:
    index = view.pair_index.get(pair)
    return pair if index is None else view.labels[index]


def _words(metric: str) -> str:
    """`j per out token` of `mlenergy.j_per_out_token`."""
    return metric.partition(".")[2].replace("_", " ") if "." in metric else metric
