"""A study as one self-contained HTML file: each table with its definition, figure and finding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from markupsafe import Markup

from perwatt.core.errors import DiskFullError, FileError
from perwatt.core.estimate import Estimate
from perwatt.core.study import StudyCell, StudyColumn, StudyPair, StudySummary, StudyTable
from perwatt.report.charts.scatter import Point, scatter, unnamed
from perwatt.report.charts.strip import StripRow, strip
from perwatt.report.format import GRADES, Cell, cell, spoken
from perwatt.report.legend import pair_keys
from perwatt.report.page import render_page
from perwatt.report.sections.tradeoff import pareto
from perwatt.report.study_rows import naming, row_name, used_columns
from perwatt.report.view import NARROW, WIDE, Figure
from perwatt.store.disk import write_atomic

__all__ = ["render_study", "write_study_page"]

DRAWN = 60
"""Rows of a figure; a longer table has none."""
CROWDED = 5
"""Marks whose names need the full width."""
LONG_WORDS = 24
"""Letters beyond which a column is kept wide enough to be read."""
LONG = 12
"""Rows beyond which a table is folded under its figure."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """One column's head."""

    title: str
    what: str
    words: bool
    """Words stand to the left, numbers to the right."""
    long: bool
    """Words that a narrow column would break into many lines."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One table as the template shows it."""

    table: StudyTable
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell | str, ...], ...]
    figures: tuple[Figure, ...]
    folded: bool


def write_study_page(summary: StudySummary, path: Path) -> None:
    """Write the page to `path`, whole or not at all. Raises FileError or DiskFullError."""
    page = render_study(summary).encode("utf-8", errors="replace")
    try:
        write_atomic(path, page)
    except DiskFullError as error:
        mend = "Free some space, or name another file with -o."
        raise DiskFullError(error.message, mend) from None
    except FileError as error:
        raise FileError(error.message, "Name another file with -o.") from None


def render_study(summary: StudySummary) -> str:
    """The page. The same study gives the same text."""
    return render_page(
        "study.html",
        title=f"{summary.name}, a study",
        study=summary,
        badge=_badge(summary.pairs),
        parts=[_part(table) for table in summary.tables],
        grades=list(GRADES.items()),
        metrics=summary.metrics,
    )


def _badge(pairs: Sequence[StudyPair]) -> tuple[str, str]:
    """(class, words) of where all the study's joules come from."""
    grades = sorted({pair.grade for pair in pairs if pair.grade is not None})
    if not grades:
        return "unknown", "Energy not measured"
    words = "; ".join(f"grade {grade}, {GRADES[grade]}" for grade in grades)
    return ("estimated" if "D" in grades else "measured"), f"Energy: {words}"


def _part(table: StudyTable) -> Part:
    used = used_columns(table)
    count = naming(table, used) if used else 0
    figures = [_strip(table, name, used, count) for name in table.drawn]
    if table.name == "pairs":
        figures.insert(0, _pareto(table, used, count))
    kept = tuple(figure for figure in figures if figure is not None)
    heads = tuple(
        Head(
            title=c.title,
            what=c.what,
            words=all(isinstance(row.get(c.name), str | None) for row in table.rows),
            long=any(
                len(str(row.get(c.name) or "")) > LONG_WORDS
                for row in table.rows
                if not isinstance(row.get(c.name), Estimate)
            ),
        )
        for c in used
    )
    return Part(
        table=table,
        heads=heads,
        rows=tuple(tuple(_cell(row.get(c.name)) for c in used) for row in table.rows),
        figures=kept,
        folded=bool(kept) and len(table.rows) > LONG,
    )


def _cell(found: StudyCell) -> Cell | str:
    if isinstance(found, Estimate):
        return cell(found)
    if isinstance(found, int):
        return Cell(value=f"{found:,}", sort=float(found))
    return found or ""


def _strip(table: StudyTable, name: str, used: Sequence[StudyColumn], count: int) -> Figure | None:
    column = next(column for column in table.columns if column.name == name)
    rows = [
        StripRow(name=own, estimate=found, tip=f"{own}: {words}")
        for row in table.rows
        if isinstance(found := row.get(name), Estimate)
        and found.value is not None
        and (words := spoken(found))
        and (own := row_name(row, used, count))
    ]
    units = {row.estimate.unit for row in rows}
    if not 2 <= len(rows) <= DRAWN or len(units) != 1:
        return None
    caption = f"{column.title}, with 95% intervals."

    def draw(width: float) -> Markup:
        return strip(rows, column.title, width, f"{table.title}: {caption}")

    return Figure(id=f"{table.name}-{name}", caption=caption, wide=draw(WIDE), narrow=draw(NARROW))


def _pareto(table: StudyTable, used: Sequence[StudyColumn], count: int) -> Figure | None:
    """Accuracy against joules, where boundaries and grades are alike."""
    found: list[tuple[str, Estimate, Estimate]] = []
    for row in table.rows:
        x, y = row.get("energy_gross_j"), row.get("accuracy")
        if not isinstance(x, Estimate) or not isinstance(y, Estimate):
            continue
        if x.value is not None and y.value is not None:
            found.append((row_name(row, used, count), x, y))
    if not 2 <= len(found) <= DRAWN:
        return None
    # A table whose finding stands among its notes says there why its pairs are not ranked.
    unranked = table.finding if table.finding in table.notes else ""
    alike = not unranked and len({(x.boundary, x.grade) for _, x, _ in found}) == 1
    front = pareto([x.value or 0.0 for _, x, _ in found], [y.value or 0.0 for *_, y in found])
    points = [
        Point(
            pair=n,
            label=name,
            x=x,
            y=y,
            on_front=alike and on_front,
            tip=f"{name}: accuracy {spoken(y)}; {spoken(x)} per request",
        )
        for n, ((name, x, y), on_front) in enumerate(zip(found, front, strict=True))
    ]
    caption = "Accuracy against gross joules per request, with 95% intervals."
    if unranked:
        caption += f" {unranked}"
    elif not alike:
        caption += " Boundaries or grades differ, so that no pair is ranked before another."
    elif sum(front) > 1:
        caption += " The pale steps join the pairs that no other beats on both."

    def draw(width: float) -> Markup:
        return scatter(points, "gross energy per request", "accuracy", width, caption)

    wide = draw(640.0 if len(points) < CROWDED else WIDE)
    keys = pair_keys([p.label for p in points], drawn=unnamed(points, NARROW))
    return Figure(
        id="pairs-pareto",
        caption=caption,
        wide=wide,
        narrow=draw(NARROW),
        narrow_legend=tuple(keys),
    )
