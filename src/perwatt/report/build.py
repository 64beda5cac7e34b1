"""One self-contained HTML file from finished runs: no network, no clock, always the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from perwatt.core.errors import DiskFullError, FileError
from perwatt.core.estimate import worst_grade
from perwatt.core.summary import RunSummary
from perwatt.core.units import format_duration
from perwatt.report.format import GRADES
from perwatt.report.page import render_page
from perwatt.report.sections import SECTIONS, UNASKED
from perwatt.report.sections.published import published_badge, published_headline
from perwatt.report.view import ReportRun, view_of
from perwatt.store.disk import write_atomic

__all__ = ["ReportRun", "render_report", "write_report"]


def render_report(runs: Sequence[ReportRun]) -> str:
    """The page. The same runs give the same text. Raises ValueError when there are none."""
    if not runs:
        msg = "a report needs at least one run"
        raise ValueError(msg)
    return render_page(
        "report.html", runs=[_run_data(run, f"r{n}") for n, run in enumerate(runs, 1)]
    )


def write_report(runs: Sequence[ReportRun], path: Path) -> None:
    """Write the page to `path`, whole or not at all. Raises FileError or DiskFullError."""
    page = render_report(runs).encode("utf-8", errors="replace")
    try:
        write_atomic(path, page)
    except DiskFullError as error:
        raise DiskFullError(
            error.message, "Free some space, or name another file with -o."
        ) from None
    except FileError as error:
        raise FileError(error.message, "Name another file with -o.") from None


def _run_data(run: ReportRun, prefix: str) -> dict[str, Any]:
    view = view_of(run, prefix)
    summary, badge, makers = run.summary, _badge(run.summary), SECTIONS
    if run.published and not view.rows:
        summary = msgspec.structs.replace(summary, headline=published_headline(view))
        badge, makers = published_badge(view), UNASKED
    return {
        "id": prefix,
        "directory": run.directory,
        "summary": summary,
        "lasted": format_duration(summary.duration_s),
        "badge": badge,
        "sections": [section for make in makers if (section := make(view))],
    }


def _badge(summary: RunSummary) -> tuple[str, str]:
    """(class, words) for where the joules come from; the worst grade speaks for the run."""
    grades = [pair.ledger.grade for pair in summary.pairs if pair.ledger]
    grade = worst_grade(grades)
    if grade is None:
        return "unknown", "Energy not measured"
    some = f" for {len(grades)} of {len(summary.pairs)} pairs" * (len(grades) < len(summary.pairs))
    if grade == "D":
        return "estimated", f"Energy is ESTIMATED{some}, not measured: grade D"
    return "measured", f"Energy measured{some}: grade {grade}, {GRADES[grade]}"
